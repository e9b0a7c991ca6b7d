#!lua flags=allow-oom
-- Removes the entries of a log that every group has acknowledged, except the newest ones. Without a group, keeps only the
-- newest entries. Readers without a group go on after a short interruption with what is kept.
--
-- KEYS  1 stream
-- ARGV  1 how many of the newest entries to keep   2 how many bytes they may take; beyond that, fewer are kept
-- Returns how many entries were removed.
--
-- Removes whole nodes of the stream only (~), so a few more entries are left.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local length, keep = redis.call('XLEN', KEYS[1]), tonumber(ARGV[1])
local bytes = redis.pcall('MEMORY', 'USAGE', KEYS[1]) -- an estimate; a user may lack the right
if type(bytes) == 'number' and bytes > tonumber(ARGV[2]) then
  keep = math.min(keep, math.floor(length * ARGV[2] / bytes))
end
local spare = length - keep
if spare <= 0 then return 0 end
local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
if #groups == 0 then return redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', keep, 'LIMIT', spare) end

local function before(a, b) -- stream ids: milliseconds, hyphen, sequence
  local ams, aseq = string.match(a, '(%d+)-(%d+)')
  local bms, bseq = string.match(b, '(%d+)-(%d+)')
  if tonumber(ams) ~= tonumber(bms) then return tonumber(ams) < tonumber(bms) end
  return tonumber(aseq) < tonumber(bseq)
end

local oldest = nil
for _, info in ipairs(groups) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  local needed = group['last-delivered-id']
  if group.pending > 0 then needed = redis.call('XPENDING', KEYS[1], group.name, '-', '+', 1)[1][1] end
  if not oldest or before(needed, oldest) then oldest = needed end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest, 'LIMIT', spare)
