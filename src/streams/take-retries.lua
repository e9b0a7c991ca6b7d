#!lua flags=allow-oom
-- Takes messages whose next attempt is due. Taking one moves its score to the end of a lease: when that runs out it
-- is due again. Its token goes up with each taking and with each end of one: it is owned by whoever has the last one.
-- One that the caller itself still owns, its lease having run out while the process or the server hung, is not taken
-- from it: its lease is renewed. A suspect (see claim) is taken alone, if at all.
--
-- KEYS  1 retry   2 retrying
-- ARGV  1 lease in ms   2 most messages   3 deliveries that make a suspect
--       4 'suspect' to take one where there is nothing else, else 'safe'   5.. what the caller has in hand, each as id#token
-- Gives {{id, record, token} for each, suspects that were passed over}.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now + tonumber(ARGV[1])
local most = tonumber(ARGV[2])
local held = {}
for i = 5, #ARGV do held[ARGV[i]] = true end

local taken, suspects = {}, {}
local function take(id, record, token)
  redis.call('ZADD', KEYS[1], due, id)
  redis.call('HSET', KEYS[2], id .. '#', token)
  taken[#taken + 1] = {id, record, tostring(token)}
end

local ids
repeat -- Suspects stay where they are, and must not hide what is due behind them.
  ids = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', #suspects, most)
  for _, id in ipairs(ids) do
    local record = redis.call('HGET', KEYS[2], id)
    local last = redis.call('HGET', KEYS[2], id .. '#') or '0'
    if not record then
      redis.call('ZREM', KEYS[1], id)
    elseif held[id .. '#' .. last] then
      redis.call('ZADD', KEYS[1], due, id)
    else
      local token = last + 1
      if token - cjson.decode(record).taken >= tonumber(ARGV[3]) then
        suspects[#suspects + 1] = {id, record, token}
      else
        take(id, record, token)
      end
    end
  end
until #taken > 0 or #ids < most

if ARGV[4] == 'suspect' and #taken == 0 and #suspects > 0 then take(unpack(table.remove(suspects, 1))) end
return {taken, #suspects}
