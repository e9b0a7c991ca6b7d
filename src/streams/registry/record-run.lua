#!lua flags=allow-oom
-- Records the current time as the last run of some functions, by the clock of Redis.
--
-- KEYS  1 alive
-- ARGV  each function as a member of the set `functions`
-- Returns nothing.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, member in ipairs(ARGV) do redis.call('HSET', KEYS[1], member, now) end
