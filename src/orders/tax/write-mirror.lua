#!lua
-- Writes the mirror of the tax rates, unless another process has written newer rates since the caller read the stamp.
--
-- KEYS  1 hash `tax-rates`
-- ARGV  1 stamp that the caller read ('' for no mirror)   2 new stamp ('' when there are no rates)   3 rates, as JSON
-- Returns nothing.

if (redis.call('HGET', KEYS[1], 'stamp') or '') ~= ARGV[1] then return end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'rates', ARGV[3])
end
