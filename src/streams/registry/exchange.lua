#!lua flags=allow-oom
-- Renews the record of a process, and reads the records of all running processes. A record expires by the clock of
-- Redis, so the record of a killed process disappears.
--
-- KEYS  1 processes
-- ARGV  1 name of the process   2 its record as text, or '' to remove it   3 how long the record is kept in ms
-- Returns the record of each running process, including the record of this process.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now + ARGV[3]) .. ARGV[2])
end

local live, last = {}, now
local records = redis.call('HGETALL', KEYS[1])
for i = 1, #records, 2 do
  local expires, record = string.match(records[i + 1], '^(%d+) (.*)$')
  expires = tonumber(expires) or 0
  if expires < now then
    redis.call('HDEL', KEYS[1], records[i])
  else
    live[#live + 1] = record
    last = math.max(last, expires)
  end
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
return live
