#!lua
-- Sets the number of partitions, unless another process has changed it since the caller read it.
--
-- KEYS  1 number of partitions
-- ARGV  1 the number that was read, or '' for none   2 the number to set
-- Returns the number in Redis after the call.

local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
