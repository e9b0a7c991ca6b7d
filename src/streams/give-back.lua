#!lua flags=allow-oom
-- Gives messages back that this consumer owns and did not try: they count as idle for so long, and as delivered as
-- often as before, so that it costs them nothing. The token of a retry only goes up (see take-retries): what its record
-- sets against that goes up by two, for the taking that comes to nothing and for this end of it.
--
-- KEYS  1 stream   2 retry   3 retrying
-- ARGV  1 group   2 consumer   3 idle in ms   4 lease in ms   then for each message: source, id, token, deliveries
-- Gives how many were given back.

local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4]) - tonumber(ARGV[3])
local given = 0
for i = 5, #ARGV, 4 do
  local source, id, token, deliveries = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  if source == 'stream' then
    if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0 then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'IDLE', ARGV[3], 'RETRYCOUNT', deliveries - 1, 'JUSTID')
      given = given + 1
    end
  elseif redis.call('HGET', KEYS[3], id .. '#') == token then
    local record = cjson.decode(redis.call('HGET', KEYS[3], id))
    record.taken = record.taken + 2
    redis.call('HSET', KEYS[3], id, cjson.encode(record), id .. '#', token + 1)
    redis.call('ZADD', KEYS[2], due, id)
    given = given + 1
  end
end
return given
