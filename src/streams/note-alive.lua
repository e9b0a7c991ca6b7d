#!lua flags=allow-oom
-- Notes that functions run, by the clock of Redis.
--
-- KEYS  1 alive
-- ARGV  each function as the set `functions` has it

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 1, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], now) end
