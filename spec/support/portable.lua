--- What the versions of Lua have under different names, and what each can: specs are written in what 5.1 to 5.5 and
--- LuaJIT have in common.

local M = {}

--- The program that is the Lua of this run: tools/specs.
M.program = os.getenv "CELLA_LUA" or "lua5.4"
M.name = M.program:match "[^/]+$"

--- Where it is, for who does not look along PATH.
function M.path()
  return M.program:find("/", 1, true) and M.program or require "cella.subid.program".find(M.program)
end

--- What a C compiler needs for a program that has it inside.
function M.flags()
  local built = M.program:match "^(/.*)/"
  return built and ("-I %s/include %s/liblua.a -Wl,-E -lm -ldl"):format(built, built)
    or ("$(pkg-config --cflags --libs %s)"):format(M.name)
end

M.unpack = table.unpack or unpack
M.jit = rawget(_G, "jit") ~= nil
--- Numbers have integers among them (5.3).
M.integers = math.type ~= nil
--- local x <close> (5.4).
M.closes = (rawget(_G, "loadstring") or load) "local x <close> = nil" ~= nil
--- What a number has after its digits where it is a float, and what it has not before 5.3: 3.0.
M.float = M.integers and ".0" or ""

--- os.exit can close the state; where it cannot, that does only who comes to the end of the program (5.1).
M.exit_closes = M.jit or _VERSION ~= "Lua 5.1"
--- A coroutine may yield from inside pcall, a metamethod or an iterator (not in 5.1).
M.yields_anywhere = M.exit_closes

--- The debugger knows of arguments without names (not in 5.1).
M.counts_varargs = M.exit_closes

--- An object whose finalizer calls f.
function M.finalized(f)
  local new = rawget(_G, "newproxy") -- tables have none before 5.2
  local object = new and new(true) or setmetatable({}, {})
  local meta = getmetatable(object)
  meta.__gc = function() f() end
  return new and object or setmetatable(object, meta)
end

--- Collects what nobody has, and what only its finalizer had. What LuaJIT has compiled has the functions, and what is
--- theirs, for which it was compiled: that goes.
function M.collect()
  if M.jit then require("jit").flush() end
  collectgarbage()
  collectgarbage()
end

--- How the shell of a pipe has ended, of what its close returns: before 5.2 that is whether somebody knows, alone.
---@return integer? status
function M.closed(pipe, otherwise)
  local ok, how, status = pipe:close()
  return how == "exit" and status or how == nil and ok and otherwise or nil
end

function M.pack(...)
  return { n = select("#", ...), ... }
end

--- 2 to the power of n, which is an integer where there are any.
function M.power(n)
  return math.tointeger and math.tointeger(2 ^ n) or 2 ^ n
end

--- Whether a mask in hexadecimal digits has bit n.
function M.has_bit(mask, n)
  local place = #mask - math.floor(n / 4)
  return math.floor(tonumber(place > 0 and mask:sub(place, place) or "0", 16) / 2 ^ (n % 4)) % 2 == 1
end

--- Integers one after the other, the lowest byte of each first. `sizes`: of each its bytes, as a digit.
function M.encode(sizes, ...)
  local bytes = {}
  for i = 1, #sizes do
    local size, number = tonumber(sizes:sub(i, i)), (select(i, ...))
    if string.pack then
      bytes[#bytes + 1] = string.pack("<i" .. size + 1, number):sub(1, size)
    else
      for _ = 1, size do
        bytes[#bytes + 1] = string.char(number % 256)
        number = math.floor(number / 256)
      end
    end
  end
  return table.concat(bytes)
end

--- The integer in the four bytes at `at`.
function M.decode(bytes, at)
  local a, b, c, d = bytes:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
end

--- An instruction of a filter of system calls: struct sock_filter (seccomp(2)).
function M.instruction(code, yes, no, k)
  return M.encode("2114", code, yes, no, k)
end

--- load of a text, with an environment.
function M.load(text, name, environment)
  if not setfenv then return load(text, name, "t", environment or _G) end
  local chunk, message = loadstring(text, name)
  if not chunk then return nil, message end
  return setfenv(chunk, environment or _G)
end

-- Before 5.2 there is one number, of os.execute; and none of a pipe.
local tells = os.execute() == true

--- Runs a shell command: what os.execute returns from 5.2 on.
---@return boolean? ok, string how, integer status
function M.execute(command)
  if tells then return os.execute(command) end
  local number = os.execute(command)
  local signal, status = number % 128, math.floor(number / 256) % 256
  if signal ~= 0 then return nil, "signal", signal end
  return status == 0 or nil, "exit", status
end

--- What a shell command writes, and its exit status as a shell has it.
---@return string output, integer status
function M.output(command)
  local results = not tells and os.tmpname()
  local pipe = assert(io.popen(results and ("(%s\n); echo $? >%s"):format(command, results) or command, "r"))
  local output = pipe:read "*a"
  local _, how, status = pipe:close()
  if not results then return output, how == "signal" and 128 + status or status end
  local file = assert(io.open(results))
  status = file:read "*n"
  file:close()
  os.remove(results)
  return output, assert(status, "the shell has not said how it ended")
end

return M
