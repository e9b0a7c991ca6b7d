#!lua
-- Accepts orders. An order that is not known, and has room, is appended to the stream and counted, and its document is
-- stored.
--
-- KEYS  1 stream `placed`   2 hash `accepted`   3.. one document key for each order
-- ARGV  1 deadline, ms on this server's clock   2 name of a new epoch   3 most messages that may wait
--       4 epoch ('' for none) and 5 count of the caller's watermark
--       then for each order: its document, the message's version and data, request id, traceparent ('' for none)
-- Returns {now, accepted, waiting, refused, epoch}: this server's clock in ms, the count of the epoch, and the messages
--       that wait. `refused` has, for each order that was not accepted, its position from 0 and the document of the known
--       order, or '' when there was no room. `epoch` is missing when it is that of the watermark. After the deadline, the
--       script does nothing, and `refused` and `epoch` are missing.
--
-- The caller stops waiting at the deadline and answers its client, so a script that runs later must not accept.
-- The appends come first: a script that fails half-way must not leave a document without a message.
-- A counter behind the watermark has lost orders. It begins a new epoch, so that no number of the old one names two orders.
-- The hash keeps the last count of each old epoch for the audit.
-- One MSET for all documents is cheaper than a SET for each, here and in the append-only file.
-- A full server refuses the script before it writes anything (no allow-oom).

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[2], 'epoch', 'count')
local epoch, count = kept[1], tonumber(kept[2] or 0) or -1 -- a count that is not a number is lost
local waiting = redis.call('XLEN', KEYS[1])
if now > tonumber(ARGV[1]) then return {now, count, waiting} end

local seen = ARGV[4]
local function generationOf(name) return tonumber(string.match(name, '^(%d+)%.') or 0) end
if not epoch or count < 0 or (epoch == seen and count < tonumber(ARGV[5]))
  or (epoch ~= seen and generationOf(epoch) < generationOf(seen)) then
  if epoch then redis.call('HSET', KEYS[2], 'epoch:' .. epoch, math.max(count, 0)) end
  epoch, count = ARGV[2], 0
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'count', count)
end

local cap = tonumber(ARGV[3])
local known = redis.call('MGET', unpack(KEYS, 3))
local refused = {}
local untraced = {} -- no empty field: every function reads all fields
local accepted = {} -- documents by key: one call may have an order twice
local documents = {} -- key, document, key, document …
for i = 3, #KEYS do
  local key, arg = KEYS[i], 5 * i - 9
  local document = known[i - 2] or accepted[key]
  if document or waiting >= cap then
    refused[#refused + 1], refused[#refused + 2] = i - 3, document or ''
  else
    count, waiting = count + 1, waiting + 1
    local trace = ARGV[arg + 4]
    redis.call('XADD', KEYS[1], '*', 'v', ARGV[arg + 1], 'data', ARGV[arg + 2], 'request_id', ARGV[arg + 3],
      'ordinal', epoch .. ':' .. count, unpack(trace == '' and untraced or {'traceparent', trace}))
    accepted[key] = ARGV[arg]
    documents[#documents + 1], documents[#documents + 2] = key, ARGV[arg]
  end
end
if #documents > 0 then
  redis.call('HSET', KEYS[2], 'count', count)
  redis.call('MSET', unpack(documents))
end
return {now, count, waiting, refused, epoch ~= seen and epoch or nil}
