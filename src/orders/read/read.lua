#!lua flags=no-writes,allow-oom
-- Reads documents, and finds the documents whose TTL is due for renewal. A TTL is due when less than half of it is
-- left. The script writes nothing, so a server that refuses writes also runs it (full, a replica, unable to save).
--
-- KEYS  document keys
-- ARGV  1 TTL of a final order's document, ms
-- Returns {documents, due}: for each key, a document or false; and the positions of the due documents, from 0.

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
