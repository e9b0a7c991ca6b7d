#!lua
-- Puts the document of a final order back, unless there is one. Replaces a text that is not a document of the order.
--
-- KEYS  1 document
-- ARGV  1 document   2 its TTL in ms   3 beginning of each document of this order
-- Returns 1 when it was put back, else 0.

local there = redis.pcall('GET', KEYS[1])
if type(there) == 'string' and string.sub(there, 1, #ARGV[3]) == ARGV[3] and string.sub(there, -1) == '}' then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
