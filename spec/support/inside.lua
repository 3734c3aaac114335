--- Runs Lua source that a spec has sent out of the runner: inside.lua RESULTS SOURCE [ARGUMENTS...]
---
--- The source finds cella, core, sys and the functions below as globals. What it returns goes to the file RESULTS.

-- luacheck: allow defined top, ignore 131

local literal = require "spec.support.literal"

portable = require "spec.support.portable"
unpack = portable.unpack

cella = require "cella"
core = require "cella.core"
sys = cella.sys

--- What another process is told about a file: its whole text, or nil.
function read(path)
  local file = io.open(path, "r")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

--- A field of /proc/PID/status, without blanks at its ends.
function status(field, pid)
  local text = assert(read(("/proc/%s/status"):format(pid or "self")))
  return (text:match("\n" .. field .. ":[ \t]*([^\n]*)") or text:match("^" .. field .. ":[ \t]*([^\n]*)"))
end

-- Here the results go, whatever becomes of the process's root and mounts.
local RESULTS = 900
local directory, results_name = arg[1]:match("^(.*)/([^/]*)$")
local results = assert(core.open(directory, { "path", "directory" }, nil, RESULTS))
assert(results:number() == RESULTS)

--- The numbers of the open descriptors up to `limit`, but for that of the results.
function open_descriptors(limit)
  local list = {}
  for number = 0, limit or 1023 do
    if number ~= RESULTS and core.is_open(number) then list[#list + 1] = number end
  end
  return list
end

--- The children of this process.
function children()
  local list = {}
  for pid in assert(read(("/proc/self/task/%d/children"):format(sys.getpid()))):gmatch("%d+") do
    list[#list + 1] = tonumber(pid)
  end
  return list
end

--- The mount on a path, as { root =, options =, optional =, type = }, or nil: the topmost one.
function mount_at(path, pid)
  local found
  for line in io.lines(("/proc/%s/mountinfo"):format(pid or "self")) do
    local root, point, options, optional, fstype =
      line:match("^%d+ %d+ %d+:%d+ (%S+) (%S+) (%S+)(.-) %- (%S+)")
    if point == path then found = { root = root, options = options, optional = optional, type = fstype } end
  end
  return found
end

--- A mount namespace of this process's own, from which nothing gets out.
function own_mounts()
  assert(sys.unshare "mount")
  assert(sys.mount("none", "/", nil, { "rec", "private" }))
end

--- An empty directory, which is a file system of its own that ends with the process.
function scratch()
  own_mounts()
  assert(sys.mount("none", "/tmp", "tmpfs"))
  return "/tmp"
end

--- The names of a list as keys.
function set(list)
  local result = {}
  for _, item in ipairs(list) do result[item] = true end
  return result
end

--- What can be compared of this process before and after: everything that others can see of it.
function snapshot()
  local result = { namespaces = {}, descriptors = {} }
  for line in read("/proc/self/status"):gmatch("[^\n]+") do
    local field, value = line:match("^([%w_]+):%s*(.*)$")
    if field and not field:find("ctxt_switches", 1, true) and not field:find("^Vm") and not field:find("^Rss")
      and not field:find("^Cpus") and not field:find("^HugetlbPages") then
      result[field] = value
    end
  end
  -- What counts those of all processes of the user, and what is only waiting to be taken.
  result.SigQ, result.SigPnd, result.ShdPnd = nil, nil, nil
  for _, name in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time", "pid_for_children",
    "time_for_children" } do
    result.namespaces[name] = sys.namespace(name)
  end
  for _, number in ipairs(open_descriptors()) do
    result.descriptors[number] = read("/proc/self/fdinfo/" .. number):gsub("pos:%s*%d+\n", "")
  end
  result.children = children()
  result.mounts = read "/proc/self/mountinfo"
  result.limits = read "/proc/self/limits"
  result.dumpable = sys.get_dumpable()
  -- Of this memory, and of this thread. Kernels have not always all of them.
  result.merges = (read "/proc/self/ksm_stat" or ""):match "ksm_merge_any: (%w+)"
  for _, name in ipairs { "personality", "timerslack_ns", "oom_score_adj", "coredump_filter", "cgroup", "setgroups" } do
    result[name] = read("/proc/self/" .. name)
  end
  for _, name in ipairs { "cwd", "root" } do result[name] = core.readlink("/proc/self/" .. name) end
  result.hostname = sys.gethostname()
  result.securebits = sys.get_securebits()
  result.environment = sys.environment()
  local stat = read("/proc/self/stat"):gsub("^.*%) ", "")
  local number = 2
  for word in stat:gmatch("%S+") do
    number = number + 1
    -- Parent, group, session, terminal; priority, nice; exit signal.
    if number >= 4 and number <= 7 or number == 18 or number == 19 or number == 38 then
      result["stat " .. number] = word
    end
  end
  return result
end

--- The differences of two snapshots, as a list of lines.
function changes(before, after, path, list)
  list, path = list or {}, path or ""
  for key, value in pairs(before) do
    if type(value) == "table" and type(after[key]) == "table" then
      changes(value, after[key], path .. key .. ".", list)
    elseif value ~= after[key] then
      list[#list + 1] = ("%s%s: %s -> %s"):format(path, key, tostring(value), tostring(after[key]))
    end
  end
  for key, value in pairs(after) do
    if before[key] == nil then list[#list + 1] = ("%s%s: nil -> %s"):format(path, key, tostring(value)) end
  end
  return list
end

--- A function of spec/support/host.c.
function host(library, name)
  assert(package.loadlib(library, name))()
end

--- Waits for a condition; the time is a bound against a hang.
function wait_for(condition)
  local till = core.now() + 30 * (tonumber(os.getenv "CELLA_PATIENCE") or 1)
  while not condition() do
    assert(core.now() < till, "waited in vain")
    core.poll({}, 0.005)
  end
  return true
end

--- True while a process runs: not once it has ended and is only to be waited for.
function runs(pid)
  local ok, state = pcall(status, "State", pid)
  return ok and not state:find("^[ZX]")
end

local chunk = assert(portable.load(arg[2], "=inside"))
local function traced(message)
  return debug.traceback(tostring(message), 2)
end
local values = portable.pack(xpcall(function() return chunk(unpack(arg, 3)) end, traced))
local text
if values[1] then
  text = literal.write(portable.pack(unpack(values, 2, values.n)))
else
  text = literal.write { raised = values[2] }
end
assert(sys.write_file(results_name, text, nil, nil, results:number()))
if portable.exit_closes then os.exit(values[1] and 0 or 1, true) end
if not values[1] then error() end -- which says nothing, and is the status 1
