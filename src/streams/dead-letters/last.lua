#!lua flags=no-writes,allow-oom
-- Reads the id of the newest dead letter.
--
-- KEYS  1 dead
-- Returns the entry id; false when there is no dead letter.

local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return newest and newest[1] or false
