#!lua flags=no-writes,allow-oom
-- Gives the id of the newest dead letter; false when there is none.
--
-- KEYS  1 dead

local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return newest and newest[1] or false
