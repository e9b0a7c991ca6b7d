-- Reads for wrk: GET a path for each line of a file, one after the other, and again from the top.
--
-- arguments  1 the file   2 line to begin with, from 0

dofile('report.lua')

local requests, next = {}, 1

function init(args)
  local host = ' HTTP/1.1\r\nhost: ' .. wrk.host .. ':' .. wrk.port .. '\r\n\r\n'
  for path in io.lines(args[1]) do requests[#requests + 1] = 'GET ' .. path .. host end
  next = 1 + tonumber(args[2]) % #requests
end

function request()
  local text = requests[next]
  next = next % #requests + 1
  return text
end
