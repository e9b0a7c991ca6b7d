#!lua
-- Accepts orders. When an order has no document yet and the backlog is not full, the script appends its message to the
-- stream, counts the order and stores its document.
--
-- KEYS  1 stream `placed`   2 hash `accepted`   3 hash `settled`   4.. one document key for each order
-- ARGV  1 deadline, ms on this server's clock   2 name of a new epoch   3 most messages that may wait
--       4 epoch ('' for none) and 5 count of the caller's watermark
--       6 most bytes of large messages that may wait   7 bytes above which a message is large
--       8 replication id of this server, '' when unknown   9 that of the server that it replaced, '' for none
--       then for each order: its document, the message's version and data, request id, traceparent ('' for none)
-- Returns {now, accepted, waiting, refused, epoch}: this server's clock in ms, the count of the epoch, and the number
--       of messages that wait. `refused` is a list with two values for each order that was not accepted: its position
--       from 0, and the existing document, or '' when the backlog is full. `epoch` is missing when the epoch equals
--       ARGV 4. After the deadline, the script does nothing, and `refused` and `epoch` are missing. When the keys were
--       released (release.lua), it does nothing either, and `refused` is 'released'.
--
-- At the deadline, the caller stops waiting and answers its client, so a script that runs later must not accept.
-- The messages are appended first, so that a script that fails half-way leaves no document without a message.
-- When the counter is behind the watermark, Redis has lost orders. The script then begins a new epoch, so that no
-- ordinal names two orders. The hash keeps the last count of each old epoch for the audit.
-- `server` in `accepted` is the replication id of the server that counted last. A server that has replaced another one may
-- lack the last orders of that server, whose numbers no caller may know. It therefore also begins a new epoch.
-- `bytes` in `accepted` counts the bytes of large messages that were appended, `bytes` in `settled` those that have ended.
-- When no message waits, or more have ended than were appended, the two counters begin anew at the same number. A large
-- message is always accepted while no other one waits. Small messages need no such count.
-- One MSET for all documents is cheaper than many SETs, for the server and in the append-only file.
-- A full server refuses the script before the script writes anything (no allow-oom).

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[2], 'epoch', 'count', 'bytes', 'server', 'released')
local epoch, count = kept[1], tonumber(kept[2] or 0) or -1 -- a count that is not a number counts as lost
local waiting = redis.call('XLEN', KEYS[1])
if now > tonumber(ARGV[1]) then return {now, count, waiting} end
if kept[5] then return {now, count, waiting, 'released'} end

local seen = ARGV[4]
local function generationOf(name) return tonumber(string.match(name, '^(%d+)%.') or 0) end
local server = ARGV[8] ~= '' and ARGV[8] ~= kept[4] and ARGV[8] or nil -- another server than the last one
local replaced = server and kept[4] and ARGV[9] ~= ''
if not epoch or count < 0 or replaced or (epoch == seen and count < tonumber(ARGV[5]))
  or (epoch ~= seen and generationOf(epoch) < generationOf(seen)) then
  if epoch then redis.call('HSET', KEYS[2], 'epoch:' .. epoch, math.max(count, 0)) end
  epoch, count = ARGV[2], 0
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'count', count)
  if server then redis.call('HSET', KEYS[2], 'server', server) end
end

local cap, mostBytes, large = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7])
local bytes, ended = tonumber(kept[3] or ''), nil
local function fits(size)
  if not ended then
    ended = tonumber(redis.call('HGET', KEYS[3], 'bytes') or 0) or 0
    if not bytes or bytes < ended or waiting == 0 then bytes = ended end
  end
  return bytes == ended or bytes - ended + size <= mostBytes
end

local known = redis.call('MGET', unpack(KEYS, 4))
local refused = {}
local untraced = {} -- no empty field, because every function reads all fields
local accepted = {} -- documents by key, because one call may have the same order twice
local documents = {} -- key, document, key, document …
for i = 4, #KEYS do
  local key, arg = KEYS[i], 5 * i - 10
  local document = known[i - 3] or accepted[key]
  local size = #ARGV[arg + 2]
  if document or waiting >= cap or (size > large and not fits(size)) then
    refused[#refused + 1], refused[#refused + 2] = i - 4, document or ''
  else
    count, waiting = count + 1, waiting + 1
    if size > large then bytes = bytes + size end
    local trace = ARGV[arg + 4]
    redis.call('XADD', KEYS[1], '*', 'v', ARGV[arg + 1], 'data', ARGV[arg + 2], 'request_id', ARGV[arg + 3],
      'ordinal', epoch .. ':' .. count, unpack(trace == '' and untraced or {'traceparent', trace}))
    accepted[key] = ARGV[arg]
    documents[#documents + 1], documents[#documents + 2] = key, ARGV[arg]
  end
end
if #documents > 0 then
  redis.call('HSET', KEYS[2], 'count', count, unpack(ended and {'bytes', string.format('%.0f', bytes)} or {}))
  if server then redis.call('HSET', KEYS[2], 'server', server) end
  redis.call('MSET', unpack(documents))
end
return {now, count, waiting, refused, epoch ~= seen and epoch or nil}
