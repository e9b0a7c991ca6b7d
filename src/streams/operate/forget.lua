#!lua flags=allow-oom
-- Ends a function in one partition. Each call moves some of its retries to the dead letters. The call that moves the
-- last ones also destroys the groups and marks the function as ended. Does nothing while a consumer of one of its
-- groups is alive. Runs on a full server too, since it frees memory.
--
-- KEYS  1 retry   2 retrying   3 dead   4 alive   5.. streams
-- ARGV  1 'look' to change nothing   2 a consumer that has been idle for less is alive, in ms   3 most retries to move
--       4 bytes of retries at which to stop   5.. the function's members of the set `functions`, one for each stream
-- Returns {consumers that are alive, groups, retries, left}. For 'look', or while a consumer is alive: the groups and
--       retries that exist. Else: the groups that were destroyed and the retries that were moved. `left` is the number
--       of retries that remain.

local function fields(info)
  local named = {}
  for i = 1, #info, 2 do named[info[i]] = info[i + 1] end
  return named
end

local groups, alive = {}, 0
for i = 5, #KEYS do
  local name = string.match(ARGV[i], '[^ ]+$') -- the group is the last word
  local there = redis.call('EXISTS', KEYS[i]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[i]) or {}
  for _, group in ipairs(there) do
    if fields(group).name == name then
      groups[#groups + 1] = {KEYS[i], name}
      for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[i], name)) do
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

-- A record that cannot be read becomes the data of the dead letter. The token increases, as with each outcome: a worker
-- that has taken the message no longer owns it, even after a redrive.
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
for i = 5, #ARGV do redis.call('HSET', KEYS[4], ARGV[i], 'ended') end
return {0, #groups, moved, 0}
