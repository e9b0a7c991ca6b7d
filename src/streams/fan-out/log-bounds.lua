#!lua flags=no-writes,allow-oom
-- Reads the bounds of a log.
--
-- KEYS  1 stream
-- Returns {first, last, trimmed}: the id of the oldest entry ('' without an entry), the highest id that the log has had,
--       and how many entries were removed. Returns nothing when there is no log.

if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local field = {}
for i = 1, #info, 2 do field[info[i]] = info[i + 1] end
local first = field['first-entry']
return {first and first[1] or '', field['last-generated-id'], field['entries-added'] - field['length']}
