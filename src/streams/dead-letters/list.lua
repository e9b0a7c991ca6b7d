#!lua flags=no-writes,allow-oom
-- Reads dead letters in order, with the beginning of each field. Reads a few at a time, since their sizes are known
-- only after a read.
--
-- KEYS  1 dead
-- ARGV  1 first and 2 last id, as XRANGE takes them   3 most dead letters   4 bytes of dead letters at which to stop
--       5 most bytes of each field to return
-- Returns {dead letters, bytes, more}: the entry id, the fields and the data size of each; how many bytes were
--       read; and 1 when it stopped before the last dead letter, else 0.

local most, mostBytes, kept = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found, bytes = {}, 0

local function add(id, fields)
  local size = 0
  for i = 1, #fields, 2 do
    local value = fields[i + 1]
    bytes = bytes + #value
    if fields[i] == 'data' then size = #value end
    if #value > kept then
      local last = kept
      while last > 0 and string.find(value, '^[\128-\191]', last + 1) do last = last - 1 end
      fields[i + 1] = string.sub(value, 1, last)
    end
  end
  found[#found + 1] = {id, fields, size}
end

local start, count, finished = ARGV[1], 1, false
repeat
  count = math.min(count, most - #found)
  local entries = redis.call('XRANGE', KEYS[1], start, ARGV[2], 'COUNT', count)
  for _, entry in ipairs(entries) do add(entry[1], entry[2]) end
  finished = #entries < count
  if #entries > 0 then start = '(' .. entries[#entries][1] end
  count = count * 2
until finished or #found >= most or bytes >= mostBytes
return {found, bytes, finished and 0 or 1}
