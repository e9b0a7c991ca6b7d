#!lua flags=allow-oom
-- Settles messages: writes their keys, acknowledges and deletes them, all in one step. A message that this consumer
-- no longer owns (its lease ran out and another one took it over) is left alone with all that belongs to it.
--
-- KEYS  1 stream   2.. keys to write, in the order of the messages they belong to
-- ARGV  1 group   2 consumer   then for each message: its id, how many keys it writes, and for each of them
--       its value and its TTL in ms
-- Gives the ids that were settled. Settling frees memory, so it runs on a full server too.

local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local settled = {}
local arg, key = 3, 2
while arg <= #ARGV do
  local id, writes = ARGV[arg], tonumber(ARGV[arg + 1])
  arg = arg + 2
  local owned = #redis.call('XPENDING', stream, group, id, id, 1, consumer) > 0
  for _ = 1, writes do
    if owned then redis.call('SET', KEYS[key], ARGV[arg], 'PX', ARGV[arg + 1]) end
    key, arg = key + 1, arg + 2
  end
  if owned then settled[#settled + 1] = id end
end
if #settled > 0 then
  redis.call('XACK', stream, group, unpack(settled))
  redis.call('XDEL', stream, unpack(settled))
end
return settled
