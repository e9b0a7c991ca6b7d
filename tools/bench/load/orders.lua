-- Orders for wrk: POST /orders, each with an id of its own.
--
-- arguments  1 a text that makes the ids of this run unique   2 requests a second, or 0 for no limit: each connection
--            then only waits for its answer   3 the seed of the random digits
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

function init(args)
  run = args[1]
  math.randomseed(tonumber(args[3]))
  head = 'POST /orders HTTP/1.1\r\nhost: ' .. wrk.host .. ':' .. wrk.port .. '\r\ncontent-type: application/json\r\ncontent-length: '
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

function request()
  count = count + 1
  local body = string.format('{"order_id":"%08x-%s-%d","amount":%d.%02d}', math.random(0, 4294967295), run, count,
    math.random(1, 9999), math.random(0, 99))
  return head .. #body .. '\r\n\r\n' .. body
end
