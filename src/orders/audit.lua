#!lua flags=no-writes,allow-oom
-- Reads the figures of one partition at one moment, so that no message is between two of them. A script and no MULTI: a
-- full server queues no command, not even one that reads.
--
-- KEYS  1 hash `accepted`   2 hash `settled`   3 stream `placed`   4 retries and 5 dead letters of the orders' function
-- Gives {epoch, accepted, duplicates, conflicts, redriving, waiting, retrying, dead letters}: the first five as text, or
--       false for what was never counted.

local accepted = redis.call('HMGET', KEYS[1], 'epoch', 'count')
local settled = redis.call('HMGET', KEYS[2], 'duplicates', 'conflicts', 'redriving')
return {
  accepted[1], accepted[2], settled[1], settled[2], settled[3],
  redis.call('XLEN', KEYS[3]), redis.call('ZCARD', KEYS[4]), redis.call('XLEN', KEYS[5])
}
