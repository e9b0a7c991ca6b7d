-- Orders for wrk: POST /orders, each with an id of its own.
--
-- arguments  1 a text that makes the ids of this run unique   2 requests a second, or 0 for no limit: each connection
--            then only waits for its answer   3 the seed of the random digits   4 an API key, or '' for none
--            5 how many items each order has   6 the seconds of the header Prefer: wait, or 0 for none
--
-- An id begins with eight random digits, so that it falls anywhere in an index, like the ids of real clients.

dofile('report.lua')

local ffi = require('ffi')
ffi.cdef('typedef struct { long seconds; long nanoseconds; } bench_time; int clock_gettime(int clock, bench_time *time);')
local MONOTONIC = 1
local time = ffi.new('bench_time')
local function milliseconds()
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1000000
end

local run, count = '', 0
local head
local items

function init(args)
  run = args[1]
  math.randomseed(tonumber(args[3]))
  head = 'POST /orders HTTP/1.1\r\nhost: ' .. wrk.host .. ':' .. wrk.port .. '\r\ncontent-type: application/json'
  if args[4] ~= '' then head = head .. '\r\nauthorization: Bearer ' .. args[4] end
  if args[6] ~= '0' then head = head .. '\r\nprefer: wait=' .. args[6] end
  head = head .. '\r\ncontent-length: '
  items = tonumber(args[5])
  local rate = tonumber(args[2])
  if rate == 0 then return end
  -- At a fixed rate: a late request is made up for.
  local interval, due = 1000 / rate, nil
  function delay()
    local now = milliseconds()
    due = (due or now) + interval
    return math.max(0, due - now)
  end
end

-- The items of an order in cents, and their sum.
local function itemsOf()
  local texts, sum = {}, 0
  for n = 1, items do
    local quantity, price = math.random(1, 9), math.random(1, 9999)
    sum = sum + quantity * price
    texts[n] = string.format('{"sku":"sku-%04d","name":"Item number %d","quantity":%d,"unit_price":%d.%02d}',
      math.random(1, 9999), n, quantity, math.floor(price / 100), price % 100)
  end
  return ',"items":[' .. table.concat(texts, ',') .. ']', sum
end

function request()
  count = count + 1
  local rest, cents = '', math.random(100, 999999)
  if items > 0 then rest, cents = itemsOf() end
  local body = string.format('{"order_id":"%08x-%s-%d","amount":%d.%02d%s}', math.random(0, 4294967295), run, count,
    math.floor(cents / 100), cents % 100, rest)
  return head .. #body .. '\r\n\r\n' .. body
end
