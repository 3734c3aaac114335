--- What the table of a worker may say, and the container that its interpreter gets: the box's, with the limits that the
--- worker adds.

local blame = require "cella.blame"
local core = require "cella.core"
local host_facts = require "cella.host"
local inside = require "cella.worker.inside"
local kernel = require "cella.host.kernel"
local seccomp = require "cella.seccomp"
local sizes = require "cella.size"
local streams = require "cella.streams"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local LIBRARIES = { "base", "bit", "bit32", "coroutine", "debug", "ffi", "io", "jit", "math", "os", "package", "string",
  "table", "utf8" }

-- What computes, and what tells the time. Those that a version of Lua does not have are not there.
local DEFAULT = { "base", "bit", "bit32", "coroutine", "math", "os.clock", "os.date", "os.difftime", "os.time",
  "string", "table", "utf8" }

local MIB = 1048576

local one_library = rule.one_of(LIBRARIES)

local function library(value, path)
  if type(value) ~= "string" then
    validate.fail(path, 'a name expected, "string", or "os.time" for one function, got %s', validate.show(value))
  end
  local name, field = value:match "^([^.]*)%.(.*)$"
  if not name then return one_library(value, path) end
  one_library(name, path)
  if not field:find "^[A-Za-z_][A-Za-z0-9_]*$" then
    validate.fail(path, "%s is not the name of a function", validate.show(field))
  end
  return value
end

-- The least that any Lua starts in.
local LEAST = MIB

local function memory(value, path)
  if value == "unlimited" then return value end
  if type(value) == "number" then return rule.integer(LEAST, sizes.MOST)(value, path) end
  local bytes = type(value) == "string" and sizes.bytes(value)
  if not bytes or bytes > sizes.MOST or bytes < LEAST then
    validate.fail(path, '"unlimited", bytes from 1 MiB on, or a string such as "64M" expected, got %s',
      validate.show(value))
  end
  return math.floor(bytes)
end

local function output(value, path)
  if value == "null" or value == "inherit" then return value end
  if type(value) == "string" then validate.fail(path, '"null", "inherit", a descriptor, a file, { path = ... } or a '
    .. "function expected, got %s", validate.show(value)) end
  return streams.fields.stdout(value, path)
end

-- A path, or a list of it and options for it.
local function interpreter(value, path)
  if type(value) == "string" then return { rule.absolute(value, path) } end
  local list = rule.list(rule.text)(value, path)
  if not list[1] then validate.fail(path, "the list is empty") end
  rule.absolute(list[1], validate.join(path, 1))
  return list
end

local function seconds(value, path)
  rule.seconds(value, path)
  if value == 0 then validate.fail(path, "more than 0 seconds expected") end
  return value
end

local record = rule.record {
  interpreter = interpreter,
  libraries = rule.list(library),
  memory = memory,
  timeout = seconds,
  setup_timeout = seconds,
  result_limit = rule.integer(0, 1073741824),
  output = output,
  output_limit = rule.integer(0, 9007199254740992),
  restart = rule.boolean,
}

--- Checks the table of a worker and fills in the defaults; raises at the user's line.
---@param keys table?
---@return table
function M.check(keys)
  local own = validate.check(record, keys == nil and {} or keys, "worker")
  own.explicit = own.libraries ~= nil
  own.explicit_memory = own.memory ~= nil
  own.libraries = own.libraries or DEFAULT
  own.memory = own.memory or 64 * MIB
  own.timeout = own.timeout or 1
  own.setup_timeout = own.setup_timeout or 10
  own.result_limit = own.result_limit or MIB
  own.output = own.output or "null"
  own.output_limit = own.output_limit or MIB
  if own.restart == nil then own.restart = true end
  return own
end

-- What needs nothing of the kernel but memory and time.
local COMPUTING = {}
for name in ("base bit bit32 coroutine debug jit math string table utf8 os.clock os.date os.difftime os.exit os.getenv "
  .. "os.setlocale os.time"):gmatch "%S+" do COMPUTING[name] = true end

-- What makes a process, and no thread.
local FORKS = { "fork", "vfork", clone = { { 0, "&==", "thread", 0 } } }
local single

-- The filter of system calls: see doc/seccomp.md. RLIMIT_NPROC holds neither for the host's root nor before Linux 5.14,
-- so the filter refuses other processes too, where the box does not say how many there may be.
local function filter_for(box, libraries)
  for _, name in ipairs(libraries) do
    if not COMPUTING[name] and not COMPUTING[name:match "^[^.]*"] then
      if box.cgroup or box.rlimits and box.rlimits.nproc then return seccomp.named "default" end
      single = single or seccomp.named "default" - FORKS
      return single
    end
  end
  return seccomp.named "strict"
end

local function copy(list)
  local result = {}
  for key, value in pairs(list or {}) do result[key] = value end
  return result
end

local function both(limit) return { soft = limit, hard = limit } end

-- The interpreter, and an init before it.
local function processes(box) return box.init and 2 or 1 end

local function limit_by_cgroup(box, own)
  local cgroup = copy(box.cgroup)
  if own.explicit_memory or cgroup.memory == nil then
    cgroup.memory = own.memory
    if cgroup.swap == nil then cgroup.swap = 0 end
  end
  if cgroup.pids == nil then cgroup.pids = processes(box) end
  return cgroup
end

local function limit_each(box, own)
  local limits = copy(box.rlimits)
  limits.core = limits.core or both(0)
  limits.nofile = limits.nofile or both(64)
  -- Before Linux 5.14 all processes of a user are counted, wherever they are, and it might have too many already.
  if not limits.nproc and box.namespaces.user == "new" and not kernel.is_older(kernel.version(), "5.14") then
    limits.nproc = both(processes(box))
  end
  if not box.cgroup and own.memory ~= "unlimited" and (own.explicit_memory or not limits.as) then
    limits.as = both(own.memory)
  end
  return limits
end

-- Whether a path of the host is in the box's root anyway.
local function is_there(box, path)
  if not (box.root and box.root.system) then return true end
  for _, piece in ipairs(host_facts.facts().system or {}) do
    if not piece.link and path:sub(1, #piece.path + 1) == piece.path .. "/" then return true end
  end
  return false
end

--- The description of the interpreter's container.
---@param box table  of the box, checked
---@param own table  of M.check
---@return table
function M.box(box, own)
  local whole = copy(box)
  whole.compiled = nil -- what is recorded for the box is not what this one gets
  whole.command = nil
  whole.rlimits = limit_each(box, own)
  if box.seccomp == nil and box.no_new_privs ~= false then
    whole.seccomp = seccomp.rule(filter_for(box, own.libraries), "seccomp")
  end
  if box.cgroup then whole.cgroup = limit_by_cgroup(box, own) end
  if own.interpreter then return whole end
  local path = core.readlink "/proc/self/exe"
  if not path then blame "worker.interpreter: missing: /proc does not tell which this process's own is" end
  own.interpreter = { path }
  if not is_there(box, path) then
    whole.mounts = { { type = "bind", source = path, destination = path, readonly = true, nosuid = true,
      nodev = true } }
    for i, mount in ipairs(box.mounts) do whole.mounts[i + 1] = mount end
  end
  return whole
end

local NO_INIT = { "LUA_INIT", "LUA_INIT_5_2", "LUA_INIT_5_3", "LUA_INIT_5_4", "LUA_INIT_5_5" }

--- The command that starts the interpreter.
---@param box table
---@param own table
---@return table
function M.command(box, own)
  local wanted = {}
  for i, name in ipairs(own.libraries) do wanted[i] = ("%q"):format(name) end
  local script = ("local WANTED, LIMIT = { %s }, %.0f "):format(table.concat(wanted, ", "), own.result_limit)
  local command = copy(own.interpreter)
  command[#command + 1] = "-e"
  command[#command + 1] = script .. inside
  command.stdin, command.stdout = "pipe", "capture"
  command.stderr = own.output
  if own.output == "null" then
    command.stderr, command.capture_limit = "capture", 4096 -- for the errors
  end
  command.setup_timeout, command.output_limit, command.wait = own.setup_timeout, own.output_limit, false
  if box.environment ~= "inherit" then
    command.environment = copy(box.environment)
    for _, name in ipairs(NO_INIT) do
      if command.environment[name] == nil then command.environment[name] = false end
    end
  end
  return command
end

return M
