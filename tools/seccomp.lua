-- Writes lua/cella/seccomp/made/MACHINE.lua: the filters of the policies that most containers have, compiled. From the
-- root of the checkout, with a built module:
--
--   lua5.4 tools/seccomp.lua          writes them
--   lua5.4 tools/seccomp.lua check    compares; exits with 1 where one is stale

package.path = "lua/?.lua;" .. package.path
package.cpath = (os.getenv "CELLA_BUILD" or "build/lua5.4") .. "/?.so;" .. package.cpath

local calls = require "cella.seccomp.calls"
local seccomp = require "cella.seccomp"

local function escaped(bytes)
  return (bytes:gsub(".", function(byte) return ("\\%d"):format(byte:byte()) end))
end

-- Instructions of eight bytes, as many in a line as it holds.
local function lines(program)
  local list, line = {}, ""
  for i = 1, #program, 8 do
    local piece = escaped(program:sub(i, i + 7))
    if #line + #piece > 110 then
      list[#list + 1], line = line, ""
    end
    line = line .. piece
  end
  list[#list + 1] = line
  return list
end

local function text(machine)
  local out = { "-- Written by tools/seccomp.lua: what seccomp.named(NAME):filter \"" .. machine .. "\" is.",
    "local join = table.concat", "return {" }
  for _, name in ipairs { "default", "nesting" } do
    local policy = seccomp.named(name)
    out[#out + 1] = ("  %s = { mark = %d, program = join {"):format(name, policy:mark())
    for _, line in ipairs(lines(assert(policy:filter(machine)))) do out[#out + 1] = ('    "%s",'):format(line) end
    out[#out + 1] = "  } },"
  end
  out[#out + 1] = "}"
  return table.concat(out, "\n") .. "\n"
end

local stale = false
for _, machine in ipairs(calls.MACHINES) do
  local path = ("lua/cella/seccomp/made/%s.lua"):format(machine)
  local file = io.open(path)
  local there = file and file:read "*a"
  if file then file:close() end
  if there ~= text(machine) then
    if arg[1] == "check" then
      io.stderr:write(path, " is stale: lua5.4 tools/seccomp.lua\n")
      stale = true
    else
      local out = assert(io.open(path, "w"))
      out:write(text(machine))
      out:close()
    end
  end
end
os.exit(stale and 1 or 0)
