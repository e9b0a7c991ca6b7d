#!lua
-- Publishes final orders of the outbox: writes their documents and appends their events in one step.
--
-- KEYS  1 stream `events`   2 hash `accepted`   3.. one document key for each order
-- ARGV  for each order: its document, the TTL of the document in ms, its event, request id, traceparent ('' for none)
-- Returns the number of published orders.
--
-- A full server refuses the script (no allow-oom). The script itself refuses when the keys were released (release.lua),
-- since nobody would read the events. The orders then stay in the outbox, where they are safe.

if redis.call('HEXISTS', KEYS[2], 'released') == 1 then return redis.error_reply('RELEASED the keys are released') end
local untraced = {} -- no empty field, because every function reads all fields
for i = 3, #KEYS do
  local arg = 5 * (i - 3)
  local document, ttl, event, request, trace = unpack(ARGV, arg + 1, arg + 5)
  redis.call('SET', KEYS[i], document, 'PX', ttl)
  redis.call('XADD', KEYS[1], '*', 'v', '1', 'data', event, 'request_id', request,
    unpack(trace == '' and untraced or {'traceparent', trace}))
end
return #KEYS - 2
