--- Strings that meet in one place of this state's table of strings, as a copy of this process could choose them.

local M = {}

-- The seed: that of the empty string is its hash (lstring.h).
local function seed()
  local address = tonumber(("%p"):format(""):match "0x(%x+)", 16)
  local memory = assert(io.open("/proc/self/mem", "rb"))
  memory:seek("set", address + 12)
  local number = ("I4"):unpack(memory:read(4))
  memory:close()
  return number
end

--- So many, of 12 bytes, as the items of a result (csrc/lib/message.h), all in one string; or nil and why not.
---@param count integer
---@return string?, string?
function M.items(count)
  if _VERSION ~= "Lua 5.4" then return nil, "the hash is that of Lua 5.4" end
  local program = os.tmpname()
  if not os.execute("cc -O1 -o " .. program .. " spec/support/collide.c") then return nil, "needs a C compiler (cc)" end
  local pipe = assert(io.popen(("%s %d %d"):format(program, seed(), count)))
  local items = pipe:read "*a"
  pipe:close()
  os.remove(program)
  return items
end

return M
