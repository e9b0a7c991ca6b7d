#!lua
-- Writes the mirror of the tax rates, unless it has changed since the caller looked: another process then wrote newer rates.
--
-- KEYS  1 hash `tax-rates`
-- ARGV  1 stamp that the caller saw ('' for no mirror)   2 new stamp ('' when there are no rates)   3 the rates, as JSON
-- Returns nothing.

if (redis.call('HGET', KEYS[1], 'stamp') or '') ~= ARGV[1] then return end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'rates', ARGV[3])
end
