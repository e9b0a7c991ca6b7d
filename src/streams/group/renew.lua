#!lua flags=allow-oom
-- Renews the lease of messages in flight that this consumer still owns.
--
-- KEYS  1 stream   2 retry   3 retrying
-- ARGV  1 group   2 consumer   3 lease in ms   then for each message: its source, id and token, as in settle
-- Returns how many messages the consumer still owns. JUSTID does not change the number of deliveries.

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
local owned = 0
for i = 4, #ARGV, 3 do
  local source, id, token = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if source == 'stream' then
    if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0 then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
      owned = owned + 1
    end
  elseif redis.call('HGET', KEYS[3], id .. '#') == token then
    redis.call('ZADD', KEYS[2], due, id)
    owned = owned + 1
  end
end
return owned
