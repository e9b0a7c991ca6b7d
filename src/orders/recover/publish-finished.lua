#!lua
-- Tells of finished orders that went past Redis: their documents are written and their events appended, in one step.
--
-- KEYS  1 events   2.. one document key for each order
-- ARGV  for each order: its document and the TTL of that in ms, its event, request id, traceparent ('' for none)
-- Gives how many were told.
--
-- A full server refuses it (no allow-oom): such orders go on coming while it is full, and lie safe in MySQL until it is
-- not.

local untraced = {} -- an event has no field for what it does not have: every function reads each one
for i = 2, #KEYS do
  local arg = 5 * (i - 2)
  local document, ttl, event, request, trace = unpack(ARGV, arg + 1, arg + 5)
  redis.call('SET', KEYS[i], document, 'PX', ttl)
  redis.call('XADD', KEYS[1], '*', 'v', '1', 'data', event, 'request_id', request,
    unpack(trace == '' and untraced or {'traceparent', trace}))
end
return #KEYS - 1
