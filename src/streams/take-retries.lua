#!lua flags=allow-oom
-- Takes messages whose next attempt is due. Taking one moves its score to the end of a lease: when that runs out it
-- is due again. How often it was taken is the token of whoever took it last.
-- Suspects (see claim) are taken one at a time.
--
-- KEYS  1 retry   2 retrying
-- ARGV  1 lease in ms   2 most messages   3 deliveries that make a suspect
-- Gives {id, record, token} for each.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, suspected = {}, false
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  local record = redis.call('HGET', KEYS[2], id)
  if record then
    local times = tonumber(redis.call('HGET', KEYS[2], id .. '#') or 0) + 1
    local suspect = times - cjson.decode(record).taken >= tonumber(ARGV[3])
    if not (suspect and suspected) then
      redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), id)
      redis.call('HSET', KEYS[2], id .. '#', times)
      taken[#taken + 1] = {id, record, tostring(times)}
    end
    suspected = suspected or suspect
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return taken
