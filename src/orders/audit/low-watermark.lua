#!lua flags=no-writes,allow-oom
-- Finds the low watermark of a partition's epoch: the number up to which no accepted order waits or is retried.
--
-- KEYS  1 hash `accepted`   2 stream `placed`   3 retries of `process-orders`   4 records of these retries
-- ARGV  1 most retries to read
-- Returns {epoch, number}, or false when the number cannot be found: the counter has no epoch, the oldest message is
--       from an older epoch or has no number, a retry has no record, or there are too many retries.

local kept = redis.call('HMGET', KEYS[1], 'epoch', 'count')
local epoch, number = kept[1], tonumber(kept[2] or 0)
if not epoch then return false end

local prefix = epoch .. ':'
local function numberOf(ordinal)
  if string.sub(ordinal or '', 1, #prefix) == prefix then return tonumber(string.sub(ordinal, #prefix + 1)) end
end

local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if oldest then
  local first = nil
  for i = 1, #oldest[2], 2 do
    if oldest[2][i] == 'ordinal' then first = numberOf(oldest[2][i + 1]) end
  end
  if not first then return false end
  number = first - 1
end

if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[1]) then return false end
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local read, record = pcall(cjson.decode, redis.call('HGET', KEYS[4], id) or '')
  if not read or type(record) ~= 'table' then return false end
  local retried = numberOf(record.ordinal)
  if retried and retried <= number then number = retried - 1 end
end
return {epoch, number}
