-- Orders for wrk: POST /orders, each with an id of its own.
--
-- arguments  1 text that tells this run's ids from those of every other   2 requests a second, or 0 for as many as
--            will go: each connection then waits for its answer only   3 what the random digits are drawn from
--
-- An id begins with eight random digits, so that it falls anywhere in an index, as the ids of real clients do.

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
  -- By the clock and not by the answers: what comes late is made up for.
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
