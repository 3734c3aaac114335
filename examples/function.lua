-- A Lua function as the program: runs a chunk of Lua in a root in which there is nothing but an empty /tmp, without
-- network or privileges, with bounds for time and memory, and prints what it returns.
--
--   lua5.4 examples/function.lua 'return 6 * 7, { "a", "table" }'
--   lua5.4 examples/function.lua 'local f = io.open("/tmp/x", "w") f:write "kept in memory" f:close()
--                                 for line in io.lines "/tmp/x" do print(line) end'
--   lua5.4 examples/function.lua 'return io.open "/etc/passwd"'
--   lua5.4 examples/function.lua 'return ("x"):rep(1e9)'
--   lua5.4 examples/function.lua 'while true do end'
--
-- Exit status: 0 if the chunk returned, 1 if it did not, 2 if there was no container for it.

local cella = require "cella"

-- The root needs no files, not even a libc: the interpreter is in the copy of this process that runs the function.
local box = cella.container {
  root = { { type = "directory", destination = "/tmp", mode = 1023 }, size = "16M" },
  rlimits = { as = 256 * 1024 * 1024, core = 0, nofile = 64 },
}

-- The copy has the memory of this process. What a stranger's chunk may touch of it is what this table says: no `debug`,
-- no `require`, nothing of ours by name. And no bytecode ("t"), which can be made to reach any memory.
local function stranger(source)
  local world = {
    io = { open = io.open, lines = io.lines, write = io.write }, os = { time = os.time, clock = os.clock },
    math = math, string = string, table = table, print = print, pairs = pairs, ipairs = ipairs, select = select,
    tostring = tostring, tonumber = tonumber, type = type, error = error, assert = assert, pcall = pcall,
  }
  return assert(load(source, "=chunk", "t", world))()
end

-- A stranger's table may have itself in it, or the same one so often that it is never shown to its end.
local left = 1000000 -- bytes

local function show(value)
  if left <= 0 then return "..." end
  if type(value) ~= "table" then
    local text = ("%q"):format(value)
    left = left - #text
    return text
  end
  left = left - 1000
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = ("[%s] = %s"):format(show(key), show(item)) end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local result, err = box:run { stranger, arg[1] or "return 'nothing to do'", timeout = 2, result_limit = 1024 * 1024 }
if not result then
  io.stderr:write(tostring(err), "\n")
  os.exit(2)
elseif not result.values then
  io.stderr:write(tostring(result.error or result.lost), "\n")
  os.exit(1)
end
for i = 1, result.values.n do print(show(result.values[i])) end
