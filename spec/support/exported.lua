-- Performs a program, and exports each container that it starts, or returns, as a bundle:
--   exported.lua DIRECTORY PROGRAM [ARGUMENT ...]
-- DIRECTORY/N is the bundle of the Nth start, N.cella what that writes under cella, N.runc what it writes under that
-- runtime, and so on; or N.refused says why there is none.
local directory, program = arg[1], arg[2]
arg[0] = program -- luacheck: ignore 122
table.remove(arg, 1)
table.remove(arg, 1)

local bundle = require "cella.oci.bundle"
local cella = require "cella"
local Container = require "cella.container"
local policy = require "cella.policy"
local runtimes = require "spec.support.runtimes"
local sys = require "cella.sys"

local unpack = table.unpack or unpack
local new, count = cella.container, 0

-- What is about the caller, who is not there behind a bundle, and has the same effect for the program as nothing.
local CALLERS = { "stdout", "stderr", "timeout", "wait", "capture_limit", "output_limit" }

local function write(name, text)
  local file = assert(io.open(("%s/%d.%s"):format(directory, count, name), "w"))
  assert(file:write(text))
  assert(file:close())
end

local function copy(of)
  local result = {}
  for key, value in pairs(of) do result[key] = value end
  return result
end

local function note(keys, command)
  count = count + 1
  keys, command = copy(keys), type(command) == "table" and copy(command) or command or copy(keys.command)
  keys.command = nil
  -- What a bundle has none of; and IDs that are the same each time.
  keys.init, keys.die_with_parent = false, false
  if keys.ids == nil then
    local _, uid = sys.getresuid()
    keys.ids = uid == 0 and policy.range(0, 1879048192, 65536) or policy.root()
  end
  if type(command) == "table" then
    for _, name in ipairs(CALLERS) do command[name] = nil end
    if command.stdin == "null" then command.stdin = nil end
    -- Who is there to be looked at need not be there long.
    if type(command[1]) == "string" and command[1]:find "sleep$" then command[2] = "0" end
  end
  local box = new(keys)
  local good, written, err = pcall(bundle.write, box, ("%s/%d"):format(directory, count), command)
  if not good or not written then return write("refused", tostring(not good and written or err)) end
  command.stdin, command.stdout, command.stderr = "null", "capture", "stdout"
  -- The second time: what the program leaves in a directory of the host's is there then, as it is for the runtimes.
  assert(box:run(command))
  write("cella", assert(box:run(command)).stdout)
  -- Now, while there is what it mounts.
  for _, name in ipairs(runtimes.NAMES) do
    if not runtimes.lacks(name) then write(name, runtimes.run(name, ("%s/%d"):format(directory, count))) end
  end
end

local last

function cella.container(keys)
  local box = new(keys)
  last = keys
  for _, name in ipairs { "run", "spawn" } do
    local start = box[name]
    rawset(box, name, function(self, command, ...)
      note(keys, command)
      return start(self, command, ...)
    end)
  end
  return box
end

local returned = assert(loadfile(program))(unpack(arg))
if Container.is(returned) then note(last) end
