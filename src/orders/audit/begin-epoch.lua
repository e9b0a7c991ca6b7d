#!lua flags=allow-oom
-- Begins a new epoch of a partition's counter of accepted orders if it has lost what was seen of it, as accept.lua does
-- with the next order.
--
-- KEYS  1 hash `accepted`
-- ARGV  1 name of a new epoch   2 epoch that the caller saw   3 highest count that it saw in that
-- Returns {epoch, accepted so far} as they are now.

local function lifeOf(name) return tonumber(string.match(name, '^(%d+)%.') or 0) end

local kept = redis.call('HMGET', KEYS[1], 'epoch', 'count')
local epoch, count = kept[1], tonumber(kept[2] or 0) or -1 -- what is no number has lost what it was
local seen = ARGV[2]
if not epoch or count < 0 or (epoch == seen and count < tonumber(ARGV[3]))
  or (epoch ~= seen and lifeOf(epoch) < lifeOf(seen)) then
  if epoch then redis.call('HSET', KEYS[1], 'epoch:' .. epoch, math.max(count, 0)) end
  epoch, count = ARGV[1], 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'count', count)
end
return {epoch, count}
