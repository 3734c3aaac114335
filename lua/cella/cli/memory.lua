--- The memory of a command line, which loads the library, starts a container and does little more: it is had at once,
--- and what becomes garbage while the library is loaded may lie there.

local core = require "cella.core"

-- Percent of what is in use, at which the next round of the collector begins.
local PAUSE = 1000

return function()
  core.use_huge_page()
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", PAUSE)
  elseif not pcall(collectgarbage, "setpause", PAUSE) then
    collectgarbage("param", "pause", PAUSE) -- Lua 5.5
  end
end
