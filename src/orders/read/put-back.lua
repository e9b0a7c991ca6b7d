#!lua
-- Writes the document of a final order, unless Redis has a document of the order. Replaces any other text.
--
-- KEYS  1 document
-- ARGV  1 document   2 its TTL in ms   3 text with which each document of this order begins
-- Returns 1 when the document was written, else 0.

local there = redis.pcall('GET', KEYS[1])
if type(there) == 'string' and string.sub(there, 1, #ARGV[3]) == ARGV[3] and string.sub(there, -1) == '}' then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
