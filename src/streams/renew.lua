#!lua flags=allow-oom
-- Renews the lease of messages in hand: those that this consumer still owns start to count as idle anew.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3.. message ids
-- Gives how many are still owned. JUSTID leaves the count of deliveries as it is.

local owned = 0
for i = 3, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    owned = owned + 1
  end
end
return owned
