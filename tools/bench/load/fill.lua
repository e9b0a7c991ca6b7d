-- Orders for wrk: POST /orders until enough are accepted; records each accepted order for reads.lua.
--
-- arguments  1 to 6 as in orders.lua   7 most orders   8 the file for the paths of accepted orders

dofile('orders.lua')

local A_LONG_TIME = 3600 * 1000
local begin, most, sent, paths = init, 0, 0

function init(args)
  begin(args)
  most = tonumber(args[7])
  paths = assert(io.open(args[8], 'a'))
end

function delay()
  if sent >= most then return A_LONG_TIME end
  sent = sent + 1
  return 0
end

function response(status, headers, body)
  local id = body:match('"order_id"%s*:%s*"([^"]+)"')
  if id then paths:write('/orders/', id, '\n') end
end
