#!lua
-- Appends each dead letter once, even when the reply to an earlier call was lost: a mark shows for a while that the
-- dead letter was appended. A full server refuses the script (no allow-oom).
--
-- KEYS  1 dead   2.. the mark of each dead letter
-- ARGV  1 how long a mark stays, in ms   2 how many fields and values each dead letter has, together
--       3.. the fields and values of each dead letter
-- Returns how many dead letters were appended.

local width, appended = tonumber(ARGV[2]), 0
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    local first = 3 + (i - 2) * width
    redis.call('XADD', KEYS[1], '*', unpack(ARGV, first, first + width - 1))
    redis.call('SET', KEYS[i], '1', 'PX', ARGV[1])
    appended = appended + 1
  end
end
return appended
