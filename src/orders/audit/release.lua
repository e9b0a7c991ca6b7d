#!lua
-- Ends the use of a partition's keys, if no order waits. accept.lua then accepts no order in the partition.
--
-- KEYS  1 hash `accepted`   2 stream `placed`   3 retries of process-orders
-- Returns the fields of `accepted`, without the new field `released`; nothing when an order waits.

if redis.call('XLEN', KEYS[2]) + redis.call('ZCARD', KEYS[3]) > 0 then return nil end
local fields = redis.call('HGETALL', KEYS[1])
redis.call('HSET', KEYS[1], 'released', '1')
return fields
