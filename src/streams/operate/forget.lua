#!lua flags=allow-oom
-- Ends a function in one partition: its retries become dead letters, some with each call, and with the last of them its
-- groups are destroyed. While a consumer of one of those is alive nothing is done. It runs on a full server too, since
-- what it frees is what may have filled it.
--
-- KEYS  1 retry   2 retrying   3 dead   4.. streams
-- ARGV  1 'look' to do nothing but look   2 how long a consumer is silent, in ms, that is not alive
--       3 most retries of a call   4 bytes of retries at which to stop   5.. group of the function, stream by stream
-- Returns {consumers that are alive, groups, retries, left}: groups and retries that are there for 'look', else those
--       that were ended, and the retries that are left for the next call.

local function fields(info)
  local named = {}
  for i = 1, #info, 2 do named[info[i]] = info[i + 1] end
  return named
end

local groups, alive = {}, 0
for i = 4, #KEYS do
  local there = redis.call('EXISTS', KEYS[i]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[i]) or {}
  for _, group in ipairs(there) do
    if fields(group).name == ARGV[i + 1] then
      groups[#groups + 1] = {KEYS[i], ARGV[i + 1]}
      for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[i], ARGV[i + 1])) do
        if fields(consumer).idle < tonumber(ARGV[2]) then alive = alive + 1 end
      end
    end
  end
end

local retries = redis.call('ZCARD', KEYS[1])
if alive > 0 or ARGV[1] == 'look' then return {alive, #groups, retries, retries} end

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local function text(value)
  if type(value) == 'number' then return string.format('%.0f', value) end
  return type(value) == 'string' and value or ''
end

-- A record that cannot be read is kept as it is, as the data of the letter. The token goes up, as with each outcome: who
-- had taken the message owns it no longer, not even once it is redriven.
local function toDeadLetter(id, record)
  local token = tonumber(redis.call('HGET', KEYS[2], id .. '#') or '') or 0
  local valid, decoded = pcall(cjson.decode, record)
  if not valid or type(decoded) ~= 'table' then decoded = {v = '', data = record} end
  redis.call('XADD', KEYS[3], '*', 'id', id, 'v', text(decoded.v), 'data', text(decoded.data),
    'request_id', text(decoded.requestId), 'traceparent', text(decoded.traceparent), 'ordinal', text(decoded.ordinal),
    'code', 'forgotten', 'error', 'FunctionForgotten',
    'message', 'An operator ended the function while the message waited for another attempt.',
    'attempts', text(decoded.attempts or 0), 'first_at', text(decoded.firstAt or tonumber(now)), 'last_at', now,
    'taken', text(token + 1))
end

local moved, bytes = 0, 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1)) do
  local record = redis.call('HGET', KEYS[2], id)
  if record then
    toDeadLetter(id, record)
    moved = moved + 1
    bytes = bytes + #record
  end
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id, id .. '#', id .. '~', id .. '@')
  if bytes >= tonumber(ARGV[4]) then break end
end

local left = redis.call('ZCARD', KEYS[1])
if left > 0 then return {0, 0, moved, left} end
redis.call('UNLINK', KEYS[2])
for _, group in ipairs(groups) do redis.call('XGROUP', 'DESTROY', group[1], group[2]) end
return {0, #groups, moved, 0}
