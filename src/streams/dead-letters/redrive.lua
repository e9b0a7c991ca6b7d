#!lua
-- Sends dead letters back to their function. Each becomes a retry with the same id and new attempts.
-- Refuses a dead letter that does not have the whole message, or that is too large for a message. A missing field
-- becomes empty: the function then finds the message invalid.
--
-- KEYS  1 dead   2 retry   3 retrying   4 settled
-- ARGV  1 ms until the first message is due   2 ms between two messages
--       3 JSON: counter and change by the code of the dead letter, with '' for every other code; {} to count nothing
--       4 bytes of dead letters at which to stop   5 the largest message in bytes   6 request id of the redrive
--       7.. entry ids of dead letters
-- Returns {looked at, sent, refused}: how many ids it has looked at, from the first on, the ids that were sent back,
--       and the ids that were refused.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now + tonumber(ARGV[1])
local counters, mostBytes, largest = cjson.decode(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local function whole(text) -- a whole number that every reader accepts
  return text and string.match(text, '^%d+$') and #text <= 15 and text
end

local function count(counter, change) -- as in settle
  local result = redis.pcall('HINCRBY', KEYS[4], counter, change)
  if type(result) == 'table' then redis.call('HSET', KEYS[4], counter, math.max(0, change)) end
end

local looked, bytes, sent, refused = 0, 0, {}, {}
for i = 7, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  looked = looked + 1
  local dead, size = {}, 0
  for f = 1, #(entry and entry[2] or {}), 2 do
    dead[entry[2][f]] = entry[2][f + 1]
    size = size + #entry[2][f + 1]
  end
  bytes = bytes + size
  if entry and (dead.partial or size > largest) then
    refused[#refused + 1] = ARGV[i]
  elseif entry then
    local id = dead.id or ARGV[i]
    local taken = whole(dead.taken) or '0'
    local record = cjson.encode({
      v = dead.v or '', data = dead.data or '', requestId = dead.request_id or '',
      traceparent = dead.traceparent or '', ordinal = dead.ordinal or '', attempts = 0,
      firstAt = tonumber(whole(dead.first_at) or now), taken = tonumber(taken),
      redriven = dead.code == 'conflict' and 'conflict' or 'failed',
      redrive = {at = now, requestId = ARGV[6]}
    })
    redis.call('HSET', KEYS[3], id, record, id .. '#', taken, id .. '~', taken .. ':' .. taken)
    redis.call('ZADD', KEYS[2], due, id)
    redis.call('XDEL', KEYS[1], ARGV[i])
    local counted = counters[dead.code or ''] or counters['']
    if counted then count(counted[1], counted[2]) end
    sent[#sent + 1] = ARGV[i]
    due = due + tonumber(ARGV[2])
  end
  if bytes >= mostBytes then break end
end
return {looked, sent, refused}
