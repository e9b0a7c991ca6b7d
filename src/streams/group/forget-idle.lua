#!lua flags=allow-oom
-- Removes the consumers of killed processes: they have no pending messages and have been idle for long. Checks and
-- removes in one step, since the removal of a consumer drops its pending messages.
--
-- KEYS  1 stream
-- ARGV  1 group   2 least idle time in ms
-- Returns how many consumers were removed; 0 when the stream or the group does not exist.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local joined = false
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  joined = joined or group[2] == ARGV[1] -- the first field of a group is its name
end
if not joined then return 0 end

local removed = 0
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #info, 2 do consumer[info[i]] = info[i + 1] end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
