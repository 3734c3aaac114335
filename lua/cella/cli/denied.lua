--- `cella run --denied`: two lines for each thing that the program is denied.

local printable = require "cella.printable"

local M = {}

-- A program may ask for as much as it likes, and nobody reads all of it.
local MOST = 1000

--- What the key `denied` of a command takes.
---@param err file*
---@return fun(event: cella.denied.event)
function M.teller(err)
  local count = 0
  return function(event)
    count = count + 1
    if count > MOST then
      if count == MOST + 1 then err:write("cella: denied: more than that is not told\n") end
      return
    end
    err:write(("cella: denied%s: %s\n"):format(event.certain and "" or ", as it seems", tostring(event)))
    if event.key then err:write("cella:   opened by  ", printable.line(event.key), "\n") end
  end
end

return M
