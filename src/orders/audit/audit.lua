#!lua flags=no-writes,allow-oom
-- Reads all figures of one partition at the same moment, so that no message moves from one figure to another in
-- between. It is a script because a full server refuses every command in a MULTI, even a read.
--
-- KEYS  1 hash `accepted`   2 hash `settled`   3 stream `placed`   4 retries and 5 dead letters of `process-orders`
-- Returns {fields of `accepted`, duplicates, conflicts, redriving, waiting, retrying, dead letters}. The fields are a
--       list of field, value, field, value …. A count of `settled` is text, or false when it does not exist.

local settled = redis.call('HMGET', KEYS[2], 'duplicates', 'conflicts', 'redriving')
return {
  redis.call('HGETALL', KEYS[1]), settled[1], settled[2], settled[3],
  redis.call('XLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]), redis.call('XLEN', KEYS[5])
}
