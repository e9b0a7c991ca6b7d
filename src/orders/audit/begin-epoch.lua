#!lua flags=allow-oom
-- Begins a new epoch for a partition's counter of accepted orders if the counter is behind the caller's watermark.
-- accept.lua does the same before it accepts an order.
--
-- KEYS  1 hash `accepted`
-- ARGV  1 name of a new epoch   2 epoch and 3 count of the caller's watermark
-- Returns {epoch, count}: the counter after the call.

local function generationOf(name) return tonumber(string.match(name, '^(%d+)%.') or 0) end

local kept = redis.call('HMGET', KEYS[1], 'epoch', 'count')
local epoch, count = kept[1], tonumber(kept[2] or 0) or -1 -- a count that is not a number counts as lost
local seen = ARGV[2]
if not epoch or count < 0 or (epoch == seen and count < tonumber(ARGV[3]))
  or (epoch ~= seen and generationOf(epoch) < generationOf(seen)) then
  if epoch then redis.call('HSET', KEYS[1], 'epoch:' .. epoch, math.max(count, 0)) end
  epoch, count = ARGV[1], 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'count', count)
end
return {epoch, count}
