#!lua flags=allow-oom
-- Takes over messages that have been idle for a lease, or takes messages of the caller again whose delivery it did not
-- receive. Returns how often each was delivered, including this delivery.
-- A message that was delivered often without an outcome is a suspect: it may kill its worker. A suspect is only taken
-- alone. A message that was released to other workers (see release) is skipped unless the caller supports its version.
-- Messages are claimed a few at a time, since their sizes are known only after a claim.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3 lease in ms   4 cursor   5 most messages
--       6 deliveries that make a message a suspect   7 'suspect' to take a suspect when there is no other message, else
--       'safe'   8 about how many bytes of messages to claim   9 'expired' for messages whose lease has expired, 'lost' for
--       messages of this consumer   10 number of versions   11.. versions that the caller supports, then the ids of the
--       messages that the caller has, for 'lost'
-- Returns {next cursor, {id, fields, deliveries} for each, suspects that were skipped}.

local LOOKED_AT = 1000 -- the largest number of pending messages to read in one call, since the script blocks Redis
local stream, group, most, mostBytes = KEYS[1], ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[8])
local lost, versions = ARGV[9] == 'lost', tonumber(ARGV[10])
local known, held = {}, {}
for i = 11, 10 + versions do known['left:' .. ARGV[i]] = true end
for i = 11 + versions, #ARGV do held[ARGV[i]] = true end

local safe, suspects, deliveries, cursor = {}, {}, {}, '0-0'
local idle = lost and 0 or ARGV[3]
local pending = redis.call('XPENDING', stream, group, 'IDLE', idle, ARGV[4], '+', LOOKED_AT, unpack(lost and {ARGV[2]} or {}))
for i, entry in ipairs(pending) do
  local id, owner = entry[1], entry[2]
  if not held[id] and (string.sub(owner, 1, 5) ~= 'left:' or known[owner]) then
    deliveries[id] = lost and entry[4] or entry[4] + 1 -- a lost delivery does not count
    local list = deliveries[id] >= tonumber(ARGV[6]) and suspects or safe
    list[#list + 1] = id
  end
  if #safe == most or i == LOOKED_AT then
    cursor = '(' .. id
    break
  end
end

local ids, passed = safe, #suspects
if #safe == 0 and ARGV[7] == 'suspect' and suspects[1] then ids, passed = {suspects[1]}, passed - 1 end

local claimed, bytes, first, count = {}, 0, 1, 4
while first <= #ids and count >= 1 do
  local last = math.min(first + count - 1, #ids)
  -- XCLAIM skips deleted entries, and removes them from the pending list.
  local entries = {}
  if lost then
    for i = first, last do
      local own = redis.call('XCLAIM', stream, group, ARGV[2], idle, ids[i], 'RETRYCOUNT', deliveries[ids[i]])
      entries[#entries + 1] = own[1]
    end
  else
    entries = redis.call('XCLAIM', stream, group, ARGV[2], idle, unpack(ids, first, last))
  end
  for _, entry in ipairs(entries) do
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
    claimed[#claimed + 1] = {entry[1], entry[2], deliveries[entry[1]]}
  end
  first = last + 1
  local room = #claimed == 0 and most or math.floor((mostBytes - bytes) * #claimed / (bytes + 1))
  count = math.min(count * 2, room)
end
if first <= #ids then cursor = '(' .. ids[first - 1] end
return {cursor, claimed, passed}
