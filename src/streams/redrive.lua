#!lua
-- Sends dead letters back to their function: each becomes a retry, with its attempts counted anew and its id kept.
--
-- KEYS  1 dead   2 retry   3 retrying   4 settled
-- ARGV  1 due time of the first, ms from now   2 pause between two, ms   3 'count' where the queue's counters are
--       kept, else ''   4.. ids of dead letters
-- Gives the ids that were sent back.

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local sent = {}
for i = 4, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    local letter = {}
    for f = 1, #entry[2], 2 do letter[entry[2][f]] = entry[2][f + 1] end
    local was = letter.code == 'conflict' and 'conflict' or 'failed'
    redis.call('HSET', KEYS[3], letter.id, cjson.encode({
      v = letter.v, data = letter.data, requestId = letter.request_id, traceparent = letter.traceparent,
      ordinal = letter.ordinal, attempts = 0, firstAt = tonumber(letter.first_at),
      taken = tonumber(letter.taken), redriven = was
    }), letter.id .. '#', letter.taken)
    redis.call('ZADD', KEYS[2], due, letter.id)
    redis.call('XDEL', KEYS[1], ARGV[i])
    if ARGV[3] == 'count' then
      if was == 'conflict' then redis.call('HINCRBY', KEYS[4], 'conflicts', -1)
      else redis.call('HINCRBY', KEYS[4], 'redriving', 1) end
    end
    sent[#sent + 1] = ARGV[i]
    due = due + tonumber(ARGV[2])
  end
end
return sent
