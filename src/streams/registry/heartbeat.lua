#!lua flags=allow-oom
-- Notes that functions run, by the clock of Redis, or that an operator has ended them.
--
-- KEYS  1 alive
-- ARGV  1 'alive' or 'ended'   2.. each function as the set `functions` has it

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], ARGV[1] == 'alive' and now or 'ended') end
