#!lua
-- Adds dead letters, each one once: a mark shows for a while that it has been added, also if the reply was lost.
--
-- KEYS  1 dead   2.. the mark of each letter
-- ARGV  1 how long a mark stays, in ms   then for each letter a JSON list of fields and values
-- Returns how many were added. A full server refuses it (no allow-oom).

local added = 0
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('XADD', KEYS[1], '*', unpack(cjson.decode(ARGV[i])))
    redis.call('SET', KEYS[i], '1', 'PX', ARGV[1])
    added = added + 1
  end
end
return added
