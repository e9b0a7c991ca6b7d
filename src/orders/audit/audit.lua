#!lua flags=no-writes,allow-oom
-- Reads the figures of one partition at one moment, so that no message is between two of them. A script and no MULTI: a
-- full server queues no command, not even one that reads.
--
-- KEYS  1 hash `accepted`   2 hash `settled`   3 stream `placed`   4 retries and 5 dead letters of the orders' function
-- Returns {fields of `accepted`, duplicates, conflicts, redriving, waiting, retrying, dead letters}: the fields as field,
--       value, field, value …; the counts of `settled` as text, or false for what was never counted.

local settled = redis.call('HMGET', KEYS[2], 'duplicates', 'conflicts', 'redriving')
return {
  redis.call('HGETALL', KEYS[1]), settled[1], settled[2], settled[3],
  redis.call('XLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]), redis.call('XLEN', KEYS[5])
}
