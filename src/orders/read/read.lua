#!lua flags=no-writes,allow-oom
-- Reads documents, and finds those whose TTL is due to be renewed: half of it is over. It writes nothing, so a server that
-- refuses writes (full, a replica, unable to save) answers it too.
--
-- KEYS  document keys
-- ARGV  1 TTL of a final order's document, ms
-- Returns {documents, due}: one document, or false, for each key; and the positions of the due ones, from 0.

local ttl = tonumber(ARGV[1])
local documents = redis.call('MGET', unpack(KEYS))
local due = {}
for i, key in ipairs(KEYS) do
  if documents[i] then
    local left = redis.call('PTTL', key) -- below 0: no TTL
    if left > 0 and left < ttl / 2 then due[#due + 1] = i - 1 end
  end
end
return {documents, due}
