#!lua flags=allow-oom
-- Reads documents and keeps those in use: one that has a TTL (a finished order), half of which is gone, gets it anew.
-- A waiting order has no TTL and must never get one, or it could be evicted.
--
-- KEYS  document keys
-- ARGV  1 TTL of a finished order's document, ms
-- Gives one document, or false, for each key.

local ttl = tonumber(ARGV[1])
local documents = redis.call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
  if documents[i] then
    local left = redis.call('PTTL', key)
    if left > 0 and left < ttl / 2 then
      redis.pcall('PEXPIRE', key, ttl) -- a read-only replica still answers the read
    end
  end
end
return documents
