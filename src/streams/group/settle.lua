#!lua flags=allow-oom
-- Settles messages in one step. Each message is done, is tried again later, or is dead-lettered. The same step writes
-- the keys of the message and appends its events. Skips a message that this consumer no longer owns, because its lease
-- expired and another consumer took it over. Also skips a message when Redis refuses to write one of its keys, as when
-- the key has another type than string. Runs on a full server too, since it frees memory.
--
-- KEYS  1 stream   2 events   3 retry   4 retrying   5 dead   6 settled   7.. keys to write, message by message
-- ARGV  1 group   2 consumer   3 'delete' to delete settled entries from the stream, else 'keep'
--       4 lowest and 5 highest id of the messages from the stream; '' when there is none
--       then for each message:
--       shape   its source, its outcome, and how many counters, values and events it has, as in 'stream done 0 1 1'
--       id
--       token   only for source 'retry': this consumer owns the message while its token is the same (see take-retries).
--               For source 'stream', this consumer owns the message while the message is pending for it
--       for each key: its value, its TTL in ms
--       for outcome 'retry': the pause in ms, the record
--       for outcome 'dead': how many fields and values follow, then these
--       for each counter of `settled`: its name, the number to add
--       for each event: its text, a mark, request id, traceparent. If the old value of the first key begins with the
--               mark, the event was published before and is skipped. The mark '' never skips the event
-- Returns {settled, refused, lost}: how many messages were settled; the position, from 0, and the error of each message
--       that was refused; the position of each message that this consumer does not own.
--
-- Redis does not undo the writes of a failed script, so everything is checked before the first write. After that, only
-- a write of a key can fail. The keys of a message are written first: a refused message is delivered again, and nothing
-- but its keys is written again.

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

-- Refuses the call when something else has overwritten a key of the service. Skips the check for a user who may not run
-- TYPE.
for key, type in pairs({
  [events] = 'stream', [dead] = 'stream', [retry] = 'zset', [retrying] = 'hash', [counters] = 'hash'
}) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= type then
    return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. type)
  end
end

-- Most messages of a call have the same shape, so each shape is parsed once.
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

-- Checks all arguments before the first write. Returns the fault and its position; nothing when there is no fault.
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

-- Resets a counter that is not a number: the counter must not prevent settlements.
local function count(counter, change)
  local result = redis.pcall('HINCRBY', counters, counter, change)
  if type(result) == 'table' then redis.call('HSET', counters, counter, math.max(0, tonumber(change))) end
end

local untraced = {} -- leaves out an empty traceparent: every function reads each field of an event
local settled, entries, ended = 0, {}, false
local position, refused, lost = -1, {}, {}
while arg < #ARGV do
  position = position + 1
  local shape, id = shapeOf(nextArg()), nextArg()
  local source, outcome = shape.source, shape.outcome
  local token = source == 'retry' and nextArg()
  local owned = owns(source, id, token)
  if not owned then lost[#lost + 1] = position end

  -- Writes the first key last: its value shows that the events are published, so no other key may be refused after it.
  local before = nil
  if owned then
    for i = shape.writes, 1, -1 do
      local old = redis.pcall('SET', KEYS[key + i], ARGV[arg + 2 * i - 1], 'PX', ARGV[arg + 2 * i], 'GET')
      if type(old) == 'table' then -- an error; an old value is a string, or false
        owned = false
        refused[#refused + 1], refused[#refused + 2] = position, old.err
        break
      end
      -- The first key may be written more than once: only its value before the first write counts.
      if before == nil and KEYS[key + i] == KEYS[key + 1] then before = old end
    end
  end
  key, arg = key + shape.writes, arg + 2 * shape.writes

  if outcome == 'retry' then
    local pause, record = nextArg(), nextArg()
    if owned then
      local time = redis.call('TIME')
      local due = time[1] * 1000 + math.floor(time[2] / 1000) + pause
      -- A new token: if this reply is lost, the consumer may still try to renew the old token.
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

-- Removes fields <id>~ that are left over: an older version does not delete them.
if ended and redis.call('ZCARD', retry) == 0 then redis.call('UNLINK', retrying) end
if #entries > 0 then
  redis.call('XACK', stream, group, unpack(entries))
  if delete then redis.call('XDEL', stream, unpack(entries)) end
end
return {settled, refused, lost}
