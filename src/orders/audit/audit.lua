#!lua flags=no-writes,allow-oom
-- Reads the figures of one partition at one moment, so that no message moves between two of them. It is a script because
-- a full server refuses every command in a MULTI, even one that reads.
--
-- KEYS  1 hash `accepted`   2 hash `settled`   3 stream `placed`   4 retries and 5 dead letters of the function of orders
-- Returns {fields of `accepted`, duplicates, conflicts, redriving, waiting, retrying, dead letters}. The fields are a list
--       of field, value, field, value …. The counts of `settled` are text, or false when they were never counted.

local settled = redis.call('HMGET', KEYS[2], 'duplicates', 'conflicts', 'redriving')
return {
  redis.call('HGETALL', KEYS[1]), settled[1], settled[2], settled[3],
  redis.call('XLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]), redis.call('XLEN', KEYS[5])
}
