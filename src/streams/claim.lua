#!lua flags=allow-oom
-- Takes over messages that nobody has touched for a lease, with how often each was delivered, this time included.
-- One that was delivered often without an outcome is a suspect: it may be what kills its worker, so only one of them
-- is taken at a time. The others are put back as they were, or the innocent would be counted out with the culprit.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3 lease in ms   4 cursor   5 most messages
--       6 deliveries that make a suspect
-- Gives {next cursor, {id, fields, deliveries} for each}.

local reply = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
local claimed, suspected = {}, false
for _, entry in ipairs(reply[2]) do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
  local deliveries = pending[1] and pending[1][4] or 1
  local suspect = deliveries >= tonumber(ARGV[6])
  if suspect and suspected then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1], 'IDLE', ARGV[3], 'RETRYCOUNT', deliveries - 1, 'JUSTID')
  else
    claimed[#claimed + 1] = {entry[1], entry[2], deliveries}
  end
  suspected = suspected or suspect
end
return {reply[1], claimed}
