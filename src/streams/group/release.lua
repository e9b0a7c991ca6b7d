#!lua flags=allow-oom
-- Releases messages that this consumer owns and did not try. They count as idle for the given time, and this delivery
-- does not count. The deliveries of a retry are its token minus `taken` in its record. Each delivery and each release
-- adds one to the token (see take-retries), so `taken` increases by two: by one for this delivery, and by one for this
-- release.
--
-- KEYS  1 stream   2 retry   3 retrying
-- ARGV  1 group   2 consumer   3 idle in ms   4 lease in ms   then for each message: source, id, token, deliveries, and
--       its version when the caller does not support it, else ''
--
-- When the caller does not support the version of a message, workers that support it can take the message at once, and
-- other workers skip it. A message from the stream becomes pending for a consumer named left:<version>. For a retry,
-- the field <id>@ has the version.
-- Returns how many messages were released.

-- Returns the record with a new `taken`. A record that begins with `taken` need not be decoded. An older version and a
-- redrive may write `taken` at another position. A record that cannot be read stays as it is.
local function withTaken(record, taken)
  local first = '{"taken":' .. string.format('%.0f', taken)
  local _, last = string.find(record, '^{"taken":%-?%d+')
  if last then return first .. string.sub(record, last + 1) end
  local valid, decoded = pcall(cjson.decode, record)
  if not valid or type(decoded) ~= 'table' or not decoded.v then return record end
  decoded.taken = nil
  return first .. ',' .. string.sub(cjson.encode(decoded), 2)
end

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4]) - tonumber(ARGV[3])
local FREE = 86400000 -- ms; longer than any lease
local released = 0
for i = 5, #ARGV, 5 do
  local source, id, token, deliveries = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local version = ARGV[i + 4]
  if source == 'stream' then
    if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0 then
      local left = version ~= ''
      redis.call('XCLAIM', KEYS[1], ARGV[1], left and 'left:' .. version or ARGV[2], 0, id,
        'IDLE', left and FREE or ARGV[3], 'RETRYCOUNT', deliveries - 1, 'JUSTID')
      released = released + 1
    end
  elseif redis.call('HGET', KEYS[3], id .. '#') == token then
    local after = string.format('%.0f', token + 1)
    local taken = token - deliveries + 2
    redis.call('HSET', KEYS[3], id, withTaken(redis.call('HGET', KEYS[3], id) or '', taken),
      id .. '#', after, id .. '~', after .. ':' .. string.format('%.0f', taken))
    redis.call('ZADD', KEYS[2], due, id)
    if version ~= '' then redis.call('HSET', KEYS[3], id .. '@', version) end
    released = released + 1
  end
end
return released
