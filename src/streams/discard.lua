#!lua flags=allow-oom
-- Discards dead letters. Each one is kept among the newest discarded ones, with the reason.
--
-- KEYS  1 dead   2 discarded
-- ARGV  1 reason   2 how many discarded ones to keep   3.. ids of dead letters
-- Gives the ids that were discarded.

local gone = {}
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'reason', ARGV[1], unpack(entry[2]))
    redis.call('XDEL', KEYS[1], ARGV[i])
    gone[#gone + 1] = ARGV[i]
  end
end
return gone
