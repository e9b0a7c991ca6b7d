#!lua flags=allow-oom
-- Ends a function in one partition: destroys its groups and deletes its retries. While a consumer of one of those is
-- alive nothing is done. It runs on a full server too, since what it frees is what may have filled it.
--
-- KEYS  1 retry   2 retrying   3.. streams
-- ARGV  1 'look' to do nothing but look   2 how long a consumer is silent, in ms, that is not alive
--       3.. group of the function, stream by stream
-- Gives {consumers that are alive, groups, retries}.

local function fields(info)
  local named = {}
  for i = 1, #info, 2 do named[info[i]] = info[i + 1] end
  return named
end

local groups, alive = {}, 0
for i = 3, #KEYS do
  local there = redis.call('EXISTS', KEYS[i]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[i]) or {}
  for _, group in ipairs(there) do
    if fields(group).name == ARGV[i] then
      groups[#groups + 1] = {KEYS[i], ARGV[i]}
      for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[i], ARGV[i])) do
        if fields(consumer).idle < tonumber(ARGV[2]) then alive = alive + 1 end
      end
    end
  end
end

local retries = redis.call('ZCARD', KEYS[1])
if alive == 0 and ARGV[1] ~= 'look' then
  for _, group in ipairs(groups) do redis.call('XGROUP', 'DESTROY', group[1], group[2]) end
  redis.call('UNLINK', KEYS[1], KEYS[2])
end
return {alive, #groups, retries}
