#!lua
-- Accepts orders: each one is known, or there is no room for it, or it is appended to the stream, counted, and its
-- document stored.
--
-- KEYS  1 stream `placed`   2 hash `accepted`   3.. one document key for each order
-- ARGV  1 deadline, ms on this server's clock   2 version of the message   3 name of a new epoch
--       4 most messages that may wait   5 epoch that the caller saw last ('' for none)   6 highest count that it saw in that
--       then for each order: its document, the message's data, request id, traceparent ('' for none)
-- Gives {now, accepted so far, messages waiting, not accepted, epoch}: now is this server's clock in ms; of each order that
--       was not accepted there are its position, from 0, and the document under which it is known, or '' when there was
--       no room. The epoch is missing when it is the one that the caller saw. The last two are missing when the deadline
--       had passed: then nothing was done.
--
-- The caller stopped waiting at the deadline and told its client so: what runs later must not accept.
-- The appends come first: a script that fails half-way must not leave a document without a message.
-- A counter below what the caller saw has lost orders: a new epoch begins, so that no number of the old one names two
-- orders. The hash keeps how far each old epoch had come here, for the audit.
-- One command for all documents is cheaper, here and in the append-only file, than one for each.
-- A full server refuses the whole script (no allow-oom) before it has written anything.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[2], 'epoch', 'count')
local epoch, count = kept[1], tonumber(kept[2] or 0) or -1 -- what is no number has lost what it was
local waiting = redis.call('XLEN', KEYS[1])
if now > tonumber(ARGV[1]) then return {now, count, waiting} end

local seen = ARGV[5]
local function lifeOf(name) return tonumber(string.match(name, '^(%d+)%.') or 0) end
if not epoch or count < 0 or (epoch == seen and count < tonumber(ARGV[6]))
  or (epoch ~= seen and lifeOf(epoch) < lifeOf(seen)) then
  if epoch then redis.call('HSET', KEYS[2], 'epoch:' .. epoch, math.max(count, 0)) end
  epoch, count = ARGV[3], 0
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'count', count)
end

local cap = tonumber(ARGV[4])
local known = redis.call('MGET', unpack(KEYS, 3))
local refused = {}
local untraced = {} -- a message has no field for what it does not have: every function reads each one
local accepted = {} -- documents by key: an order may come twice in one call
local documents = {} -- key, document, key, document …
for i = 3, #KEYS do
  local key, arg = KEYS[i], 4 * i - 5
  local document = known[i - 2] or accepted[key]
  if document or waiting >= cap then
    refused[#refused + 1], refused[#refused + 2] = i - 3, document or ''
  else
    count, waiting = count + 1, waiting + 1
    local trace = ARGV[arg + 3]
    redis.call('XADD', KEYS[1], '*', 'v', ARGV[2], 'data', ARGV[arg + 1], 'request_id', ARGV[arg + 2],
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
