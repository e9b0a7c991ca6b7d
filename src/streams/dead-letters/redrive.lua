#!lua
-- Sends dead letters back to their function: each becomes a retry, with its attempts counted anew and its id kept. One
-- that has not the whole message is refused, and so is one that is larger than a message may be. What cannot be read of
-- a letter is left out: the function finds the message invalid then.
--
-- KEYS  1 dead   2 retry   3 retrying   4 settled
-- ARGV  1 due time of the first, ms from now   2 pause between two, ms   3 'count' where the queue's counters are
--       kept, else ''   4 bytes of letters at which to stop   5 the largest message in bytes   6.. ids of dead letters
-- Gives {looked at, sent, refused}: how many of the ids, in their order, and the ids that were sent back and refused.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now + tonumber(ARGV[1])
local mostBytes, largest = tonumber(ARGV[4]), tonumber(ARGV[5])

local function whole(text) -- a number that any reader takes
  return text and string.match(text, '^%d+$') and #text <= 15 and text
end

local function count(counter, change) -- as in settle
  local result = redis.pcall('HINCRBY', KEYS[4], counter, change)
  if type(result) == 'table' then redis.call('HSET', KEYS[4], counter, math.max(0, change)) end
end

local looked, bytes, sent, refused = 0, 0, {}, {}
for i = 6, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  looked = looked + 1
  local letter, size = {}, 0
  for f = 1, #(entry and entry[2] or {}), 2 do
    letter[entry[2][f]] = entry[2][f + 1]
    size = size + #entry[2][f + 1]
  end
  bytes = bytes + size
  if entry and (letter.partial or size > largest) then
    refused[#refused + 1] = ARGV[i]
  elseif entry then
    local id = letter.id or ARGV[i]
    local taken = whole(letter.taken) or '0'
    local was = letter.code == 'conflict' and 'conflict' or 'failed'
    local record = cjson.encode({
      v = letter.v or '', data = letter.data or '', requestId = letter.request_id or '',
      traceparent = letter.traceparent or '', ordinal = letter.ordinal or '', attempts = 0,
      firstAt = tonumber(whole(letter.first_at) or now), taken = tonumber(taken), redriven = was
    })
    redis.call('HSET', KEYS[3], id, record, id .. '#', taken, id .. '~', taken .. ':' .. taken)
    redis.call('ZADD', KEYS[2], due, id)
    redis.call('XDEL', KEYS[1], ARGV[i])
    if ARGV[3] == 'count' then
      if was == 'conflict' then count('conflicts', -1) else count('redriving', 1) end
    end
    sent[#sent + 1] = ARGV[i]
    due = due + tonumber(ARGV[2])
  end
  if bytes >= mostBytes then break end
end
return {looked, sent, refused}
