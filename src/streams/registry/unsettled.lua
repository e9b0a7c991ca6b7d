#!lua flags=no-writes
-- Counts the entries of a log that each of its groups has not settled: not read yet, or read and not acknowledged.
--
-- KEYS  1 stream
-- Returns {group, entries} for each group; none when there is no log.
--
-- Redis has no lag for a group whose position was set to the middle of the log. For such a group, the whole log counts
-- until the group has read to the end of the log. The number may be too high, but it is never too low.

if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local function fields(info)
  local named = {}
  for i = 1, #info, 2 do named[info[i]] = info[i + 1] end
  return named
end

local log = fields(redis.call('XINFO', 'STREAM', KEYS[1]))
local unsettled = {}
for i, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = fields(info)
  local entries = group.pending
  if group.lag then entries = entries + group.lag
  elseif group['last-delivered-id'] ~= log['last-generated-id'] then entries = log.length end
  unsettled[i] = {group.name, entries}
end
return unsettled
