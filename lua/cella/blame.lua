--- The programmer's mistakes are raised where the programmer made them: at the first frame outside of cella.

local lazy = require "cella.lazy"

local getinfo = debug.getinfo

-- The chunk of this file says what those of the others are called: "@/usr/share/lua/5.4/cella/blame.lua", as a searcher
-- for files calls it, or "=cella.blame". The path, not the name: a user may have a file cella/plan.lua as well.
local OWN = getinfo(1, "S").source
local BEFORE, SEPARATOR, AFTER = OWN:match "^(.*)cella([./])blame([A-Za-z0-9./]*)$"

local known

local function add(value)
  if type(value) == "function" then known[getinfo(value, "S").source] = true end
end

-- Our chunks. Where this one has a name of another kind, so may they all: they are those of the functions of what is
-- loaded by now. (Stripped, all have the same.)
local function chunks()
  if known and BEFORE then return known end
  known = { [OWN] = true }
  if BEFORE then known[BEFORE .. "cella" .. AFTER] = true end
  for _, name in ipairs(lazy.load "cella.modules") do
    if BEFORE then
      known[BEFORE .. name:gsub("%.", SEPARATOR) .. AFTER] = true
    else
      local module = package.loaded[name]
      add(module)
      for _, value in next, type(module) == "table" and module or {} do add(value) end
    end
  end
  return known
end

--- Raises a message with the place of the innermost call that no file of cella's library made: a user's, also where
--- a function of the user's was called by cella; or the command line's. A tail call leaves no frame: then it is who
--- called the function that made it. Where there is no frame of the user's (a coroutine that is nothing but a function
--- of cella's), the message has no place.
---@param message string
return function(message)
  local ours, level = chunks(), 2
  while true do
    local frame = getinfo(level, "S")
    if not frame then error(message, 0) end
    -- "tail" is what Lua 5.1 has in place of each frame that a tail call took away.
    if frame.what ~= "C" and frame.what ~= "tail" and not ours[frame.source] then error(message, level) end
    level = level + 1
  end
end
