--- The lines that luacov counts in a copy of the process: they are brought home, as the copy leaves without luacov's
--- writing them down, into a directory that is forgotten.

local M = {}

local sethook = debug.sethook

local function runner()
  local luacov = package.loaded["luacov.runner"]
  return type(luacov) == "table" and type(luacov.data) == "table" and luacov or nil
end

--- In the copy: counts from nothing, and writes nothing on the way.
function M.begin()
  local luacov = runner()
  if not luacov then return end
  luacov.data, luacov.tick = {}, false
  -- A copy is a thread of Lua's own, and each has its hook.
  if luacov.debug_hook then sethook(luacov.debug_hook, "l") end
end

--- In the copy: what was counted since; nil where luacov is not at work.
---@return table<string, table<integer|string, integer>>?
function M.counted()
  local luacov = runner()
  return luacov and luacov.data
end

-- A file has no more lines, and luacov's report goes through all up to the last.
local LONGEST = 10000000

local function is_within(value, from, to)
  return type(value) == "number" and value >= from and value <= to and value == math.floor(value)
end

--- In the caller: adds that to its own.
---@param data any  what came from the copy
function M.add(data)
  local luacov = runner()
  if not luacov or type(data) ~= "table" then return end
  for name, counted in pairs(data) do
    -- luacov writes each name into a line.
    if type(name) == "string" and not name:find("\n", 1, true) and type(counted) == "table" then
      local file = luacov.data[name] or { max = 0, max_hits = 0 }
      luacov.data[name] = file
      for line, hits in pairs(counted) do
        if is_within(line, 1, LONGEST) and is_within(hits, 0, 2 ^ 53) then
          file[line] = (file[line] or 0) + hits
          file.max = math.max(file.max, line)
          file.max_hits = math.max(file.max_hits, file[line])
        end
      end
    end
  end
end

return M
