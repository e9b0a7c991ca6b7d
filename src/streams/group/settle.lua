#!lua flags=allow-oom
-- Settles messages in one step: each is done, is tried again later, or is dead-lettered. Its keys are written and its events
-- appended in the same step. Skips a message that this consumer no longer owns, because its lease expired and another
-- consumer took it over. Also skips a message with a key that Redis refuses to write, such as one that holds no text.
--
-- KEYS  1 stream   2 events   3 retry   4 retrying   5 dead   6 settled   7.. keys to write, message by message
-- ARGV  1 group   2 consumer   3 'delete' when settled entries leave the stream, else 'keep'
--       4 lowest and 5 highest id of the messages from the stream; '' when there is none
--       then for each message:
--       shape   its source, its outcome, and how many counters, values and events it has, as in 'stream done 0 1 1'
--       id
--       token   only of source 'retry', which is owned if it was neither taken nor settled since (see take-retries);
--               'stream' is owned if it is pending for this consumer
--       of each key its value and its TTL in ms
--       of outcome 'retry' the pause before it in ms and the record; of 'dead' how many fields and values follow, and those
--       of each counter of `settled` its name and what to add to it
--       of each event its text, the beginning of the first key's value that shows that it is published already ('' for
--       none), request id, traceparent
-- Returns {settled, refused, lost}: how many were settled; the position, from 0, and the error of each that was refused; the
--       position of each that was not owned. It runs on a full server too, since settling frees memory.
--
-- Lua does not roll back, so everything is decoded and checked before the first write: the script does all or nothing.
-- Only keys may fail later. They come first in a message: whatever is written before an error is written again each time
-- that the message is delivered.

local stream, events, retry, retrying, dead, counters = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local group, consumer, delete = ARGV[1], ARGV[2], ARGV[3] == 'delete'

-- Refuses a user who may not run one of these commands, before the first write.
for _, command in ipairs({
  {'HGET', retrying, ''}, {'SET', KEYS[7] or retry, ''}, {'HSET', retrying, '', ''}, {'ZADD', retry, '0', ''},
  {'XADD', dead, '*', '', ''}, {'XADD', events, '*', '', ''}, {'HINCRBY', counters, '', '0'}, {'ZREM', retry, ''},
  {'HDEL', retrying, ''}, {'XACK', stream, group, '0-0'}, {'XDEL', stream, '0-0'}
}) do
  if not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM the user may not run ' .. command[1] .. ' on ' .. command[2])
  end
end

-- Refuses when something else has overwritten a key of the service. Skips the check for a user who may not run TYPE.
for key, type in pairs({
  [events] = 'stream', [dead] = 'stream', [retry] = 'zset', [retrying] = 'hash', [counters] = 'hash'
}) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= type then
    return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. type)
  end
end

-- Most messages of a call have the same shape; it is read once.
local shapes = {}
local function shapeOf(text)
  if text and not shapes[text] then
    local source, outcome, counts, writes, events = string.match(text, '^(%a+) (%a+) (%d+) (%d+) (%d+)$')
    local fixed = outcome == 'done' and 0 or outcome == 'retry' and 2 or outcome == 'dead' and 1
    if not fixed or (source ~= 'stream' and source ~= 'retry') then return nil end
    shapes[text] = {
      source = source, outcome = outcome, counts = tonumber(counts), writes = tonumber(writes), events = tonumber(events),
      length = 2 + (source == 'retry' and 1 or 0) + 2 * writes + fixed + 2 * counts + 4 * events
    }
  end
  return shapes[text]
end

local function isWhole(text, least)
  local number = tonumber(text)
  return number and number == math.floor(number) and number >= least
end

-- Reads the whole call without a write; returns what is wrong with it.
local function check()
  local arg, key = 6, 6
  while arg <= #ARGV do
    local shape = shapeOf(ARGV[arg])
    if not shape then return 'the shape', arg end
    if shape.source == 'retry' and not tonumber(ARGV[arg + 2]) then return 'the token', arg end
    local at = arg + 2 + (shape.source == 'retry' and 1 or 0) + 2 * shape.writes
    arg, key = arg + shape.length, key + shape.writes
    if shape.outcome == 'retry' then
      if not isWhole(ARGV[at], 0) then return 'the pause', at end
      at = at + 2
    elseif shape.outcome == 'dead' then
      local fields = ARGV[at]
      if not isWhole(fields, 2) or fields % 2 > 0 or fields + 0 > 1000 then return 'the fields', at end
      at, arg = at + 1 + fields, arg + fields
    end
    for i = 1, shape.counts do
      if not isWhole(ARGV[at + 2 * i - 1], -1000) then return 'the counter', at end
    end
  end
  if arg ~= #ARGV + 1 then return 'the number of arguments', #ARGV end
  if key ~= #KEYS then return 'the number of keys', #KEYS end
end

local fault, place = check()
if fault then return redis.error_reply('ERR settle: ' .. fault .. ' is wrong at argument ' .. place) end

-- One XPENDING for the whole range is cheaper than one for each message.
local MOST = 1000000
local pending = {}
if ARGV[4] ~= '' then
  for _, entry in ipairs(redis.call('XPENDING', stream, group, ARGV[4], ARGV[5], MOST, consumer)) do
    pending[entry[1]] = true
  end
end

local arg, key = 5, 6
local function nextArg()
  arg = arg + 1
  return ARGV[arg]
end

local function owns(source, id, token)
  if source == 'stream' then return pending[id] end
  return redis.call('HGET', retrying, id .. '#') == token
end

-- A counter that is not a number starts again: it must not prevent settlements.
local function count(counter, change)
  local result = redis.pcall('HINCRBY', counters, counter, change)
  if type(result) == 'table' then redis.call('HSET', counters, counter, math.max(0, tonumber(change))) end
end

local untraced = {} -- an event has no empty field: every function reads each one
local settled, entries, ended = 0, {}, false
local position, refused, lost = -1, {}, {}
while arg < #ARGV do
  position = position + 1
  local shape, id = shapeOf(nextArg()), nextArg()
  local source, outcome = shape.source, shape.outcome
  local token = source == 'retry' and nextArg()
  local owned = owns(source, id, token)
  if not owned then lost[#lost + 1] = position end

  -- The first key is written last: it shows that the events are published, which they are not if another key is refused.
  local before = nil
  if owned then
    for i = shape.writes, 1, -1 do
      local old = redis.pcall('SET', KEYS[key + i], ARGV[arg + 2 * i - 1], 'PX', ARGV[arg + 2 * i], 'GET')
      if type(old) == 'table' then -- an error: the old value is text, or false
        owned = false
        refused[#refused + 1], refused[#refused + 2] = position, old.err
        break
      end
      -- The same key may be written more than once: what it held before the first time counts.
      if before == nil and KEYS[key + i] == KEYS[key + 1] then before = old end
    end
  end
  key, arg = key + shape.writes, arg + 2 * shape.writes

  if outcome == 'retry' then
    local pause, record = nextArg(), nextArg()
    if owned then
      local time = redis.call('TIME')
      local due = time[1] * 1000 + math.floor(time[2] / 1000) + pause
      -- A new token: the consumer may still renew the old one, if it misses this reply.
      local after = string.format('%.0f', (token or 0) + 1)
      redis.call('HSET', retrying, id, record, id .. '#', after, id .. '~', after .. ':' .. after)
      redis.call('ZADD', retry, due, id)
    end
  elseif outcome == 'dead' then
    local fields = tonumber(nextArg())
    if owned then redis.call('XADD', dead, '*', unpack(ARGV, arg + 1, arg + fields)) end
    arg = arg + fields
  end

  for _ = 1, shape.counts do
    local counter, change = nextArg(), nextArg()
    if owned then count(counter, change) end
  end

  for _ = 1, shape.events do
    local event, mark, request, trace = nextArg(), nextArg(), nextArg(), nextArg()
    if owned and not (before and mark ~= '' and string.sub(before, 1, #mark) == mark) then
      redis.call('XADD', events, '*', 'v', '1', 'data', event, 'request_id', request,
        unpack(trace == '' and untraced or {'traceparent', trace}))
    end
  end

  if owned then
    settled = settled + 1
    if source == 'stream' then
      entries[#entries + 1] = id
    elseif outcome ~= 'retry' then
      redis.call('ZREM', retry, id)
      redis.call('HDEL', retrying, id, id .. '#', id .. '~', id .. '@')
      ended = true
    end
  end
end

-- An older version does not know the field <id>~ and leaves it behind.
if ended and redis.call('ZCARD', retry) == 0 then redis.call('UNLINK', retrying) end
if #entries > 0 then
  redis.call('XACK', stream, group, unpack(entries))
  if delete then redis.call('XDEL', stream, unpack(entries)) end
end
return {settled, refused, lost}
