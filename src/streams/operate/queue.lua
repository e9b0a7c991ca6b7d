#!lua flags=no-writes,allow-oom
-- Reads in one step how much work waits in one partition of a queue. A missing key counts as empty.
--
-- KEYS  1 stream   2 retry   3 settled
-- Returns {messages, pending, oldest id, seconds, retries, redriving}: the id is false when there is no message, and
--       `seconds` is this server's clock.

local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local pending = 0
local groups = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}
for _, group in ipairs(groups) do
  for i = 1, #group, 2 do
    if group[i] == 'pending' then pending = pending + group[i + 1] end
  end
end
return {
  redis.call('XLEN', KEYS[1]), pending, oldest and oldest[1] or false, redis.call('TIME')[1],
  redis.call('ZCARD', KEYS[2]), redis.call('HGET', KEYS[3], 'redriving')
}
