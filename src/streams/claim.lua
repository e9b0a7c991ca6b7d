#!lua flags=allow-oom
-- Takes over messages that nobody has touched for a lease, with how often each was delivered, this time included.
-- One that was delivered often without an outcome is a suspect: it may be what kills its worker. It is taken alone, if
-- at all; all others are put back as they were, or the innocent would be counted out with the culprit.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3 lease in ms   4 cursor   5 most messages
--       6 deliveries that make a suspect   7 'suspect' to take one where there is nothing else, else 'safe'
--       8 about how many bytes of messages to claim: a few at a time, since only claiming shows their sizes
-- Gives {next cursor, {id, fields, deliveries} for each, suspects that were put back}.

local function deliveriesOf(id)
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  return pending[1] and pending[1][4] or 1
end

local cursor, most, mostBytes = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[8])
local claimed, suspects = {}, {}
local asked, count, seen, bytes = 0, 4, 0, 0
repeat
  count = math.min(count, most - asked)
  local reply = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], cursor, 'COUNT', count)
  cursor, asked = reply[1], asked + count
  for _, entry in ipairs(reply[2]) do
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    local message = {entry[1], entry[2], deliveriesOf(entry[1])}
    seen = seen + 1
    local list = message[3] >= tonumber(ARGV[6]) and suspects or claimed
    list[#list + 1] = message
  end
  local room = seen == 0 and most or math.floor((mostBytes - bytes) * seen / (bytes + 1))
  count = math.min(count * 2, room)
until cursor == '0-0' or asked >= most or count < 1
if ARGV[7] == 'suspect' and #claimed == 0 then claimed[1] = table.remove(suspects, 1) end
for _, message in ipairs(suspects) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, message[1], 'IDLE', ARGV[3], 'RETRYCOUNT', message[3] - 1, 'JUSTID')
end
return {cursor, claimed, #suspects}
