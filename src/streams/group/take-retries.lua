#!lua flags=allow-oom
-- Takes messages whose next attempt is due. A message that was taken is due again when its lease expires. Its token
-- increases with each delivery and each outcome: the consumer with the last token owns the message. A message that the
-- caller still has in flight is not taken again: its lease expired because the process or the server stalled, and is
-- renewed. A suspect (see claim) is only taken alone.
--
-- The hash `retrying` has these fields for a message: <id> is its record, <id># its token, <id>~ is <token>:<taken>,
-- and <id>@ is the version of a message that was released to other workers. In <id>~, `taken` is a copy of `taken` in
-- the record, so that a large record need not be read. An older version changes <id># and not <id>~: when their tokens
-- differ, `taken` in the record counts.
--
-- KEYS  1 retry   2 retrying
-- ARGV  1 lease in ms   2 most messages   3 most bytes of records; a larger record is taken alone
--       4 deliveries that make a message a suspect   5 'suspect' to take a suspect when there is no other message, else
--       'safe'   6 how many versions the caller supports, then these, then its messages in flight, each as id#token
-- Returns {{id, record, token} for each, suspects that were skipped}.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now + tonumber(ARGV[1])
local most, mostBytes, suspicious = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local held = {}
local known = {}
for i = 7, 6 + ARGV[6] do known[ARGV[i]] = true end
for i = 7 + ARGV[6], #ARGV do held[ARGV[i]] = true end
-- A message that was released to other workers (see release) stays due, so that they find it at once. Only the first
-- STAY_DUE of a call stay due: more would hide the messages after them. The rest are due again after PASSED_OVER (ms).
local STAY_DUE = 100
local PASSED_OVER = 1000
local MOST_PASSED = 1000 -- the largest number of these messages in one call, since the script blocks Redis

local bytes, full = 0, false
local function read(id)
  local size = redis.call('HSTRLEN', KEYS[2], id)
  if bytes > 0 and bytes + size > mostBytes then
    full = true
    return nil
  end
  bytes = bytes + size
  return redis.call('HGET', KEYS[2], id)
end

-- A record that cannot be read counts as not delivered yet: the worker that takes it dead-letters it.
local function takenIn(record, last)
  local known = string.match(record, '^{"taken":(-?%d+)[,}]')
  if known then return tonumber(known) end
  local valid, decoded = pcall(cjson.decode, record)
  return valid and type(decoded) == 'table' and tonumber(decoded.taken) or last
end

local taken, suspects, passed, staying = {}, {}, 0, 0
local function take(id, record, last, base)
  redis.call('ZADD', KEYS[1], due, id)
  local token = string.format('%.0f', last + 1)
  redis.call('HSET', KEYS[2], id .. '#', token, id .. '~', token .. ':' .. string.format('%.0f', base))
  taken[#taken + 1] = {id, record, token}
end

local function look(id)
  local fields = redis.call('HMGET', KEYS[2], id .. '#', id .. '~', id .. '@')
  if fields[3] and not known[fields[3]] then
    passed = passed + 1
    if staying < STAY_DUE then
      staying = staying + 1
    else
      redis.call('ZADD', KEYS[1], now + PASSED_OVER, id)
    end
    return
  end
  local token = fields[1] or '0'
  if held[id .. '#' .. token] then
    redis.call('ZADD', KEYS[1], due, id)
    return
  end
  local last = tonumber(token) or 0
  local of, base = string.match(fields[2] or '', '^(.*):(-?%d+)$')
  local record = nil
  if of == token then
    base = tonumber(base)
  else
    record = read(id)
    if full then return end
    base = takenIn(record, last)
  end
  if last + 1 - base >= suspicious then
    suspects[#suspects + 1] = {id, last, base}
    if record then redis.call('HSET', KEYS[2], id .. '~', token .. ':' .. string.format('%.0f', base)) end
    return
  end
  record = record or read(id)
  if not full then take(id, record, last, base) end
end

local ids
repeat -- Skips the messages that were found and stay due. They must not hide the messages after them.
  ids = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', #suspects + staying, most)
  for _, id in ipairs(ids) do
    if redis.call('HEXISTS', KEYS[2], id) == 1 then
      look(id)
    else
      redis.call('ZREM', KEYS[1], id)
      redis.call('HDEL', KEYS[2], id .. '#', id .. '~', id .. '@')
    end
    if full then break end
  end
until #taken > 0 or #ids < most or full or passed >= MOST_PASSED

if ARGV[5] == 'suspect' and #taken == 0 and #suspects > 0 then
  local id, last, base = unpack(table.remove(suspects, 1))
  take(id, redis.call('HGET', KEYS[2], id), last, base)
end
return {taken, #suspects}
