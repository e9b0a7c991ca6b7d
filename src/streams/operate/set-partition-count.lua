#!lua
-- Sets the number of partitions, unless another process has changed it since it was looked at.
--
-- KEYS  1 number of partitions
-- ARGV  1 the number that was seen, or '' for none   2 the number to set
-- Gives the number as it then is.

local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
