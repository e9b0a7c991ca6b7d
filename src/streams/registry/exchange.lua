#!lua flags=allow-oom
-- Notes that a process lives, with its settings, and returns the settings of all that do. A note holds for a time of its
-- own, by the clock of Redis: a process that is killed leaves no other trace.
--
-- KEYS  1 processes
-- ARGV  1 name of the process   2 its settings as text, or '' when it ends   3 how long the note holds in ms
-- Returns the settings of each process that lives, this one included.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now + ARGV[3]) .. ARGV[2])
end

local living, last = {}, now
local notes = redis.call('HGETALL', KEYS[1])
for i = 1, #notes, 2 do
  local ends, settings = string.match(notes[i + 1], '^(%d+) (.*)$')
  ends = tonumber(ends) or 0
  if ends < now then
    redis.call('HDEL', KEYS[1], notes[i])
  else
    living[#living + 1] = settings
    last = math.max(last, ends)
  end
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
return living
