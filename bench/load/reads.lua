-- Reads for wrk: GET a path for each line of a file, one after the other, and again from the top.
--
-- arguments  1 the file   2 line to begin with, from 0
-- It writes one line of JSON for the bench to read.

local requests, next = {}, 1

function init(args)
  local host = ' HTTP/1.1\r\nhost: ' .. wrk.host .. ':' .. wrk.port .. '\r\n\r\n'
  for path in io.lines(args[1]) do requests[#requests + 1] = 'GET ' .. path .. host end
  next = 1 + tonumber(args[2] or 0) % #requests
end

function request()
  local text = requests[next]
  next = next % #requests + 1
  return text
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
