#!lua flags=allow-oom
-- Discards dead letters. Keeps the newest discarded ones, with the reason. Cuts their long fields, since discarding
-- must free memory.
--
-- KEYS  1 dead   2 discarded
-- ARGV  1 reason   2 how many discarded ones to keep   3 bytes of dead letters at which to stop
--       4 most bytes of a field to keep   5.. entry ids of dead letters
-- Returns {looked at, discarded}: how many ids it has looked at, from the first on, and the ids that were discarded.

local mostBytes, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
local looked, bytes, discarded = 0, 0, {}
for i = 5, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  looked = looked + 1
  if entry then
    local fields = entry[2]
    for f = 2, #fields, 2 do
      bytes = bytes + #fields[f]
      if #fields[f] > kept then fields[f] = string.sub(fields[f], 1, kept) end
    end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'reason', ARGV[1], unpack(fields))
    redis.call('XDEL', KEYS[1], ARGV[i])
    discarded[#discarded + 1] = ARGV[i]
  end
  if bytes >= mostBytes then break end
end
return {looked, discarded}
