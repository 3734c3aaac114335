--- cgroups of version 2 for containers: cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
--
-- Below its own cgroup (or a `parent`) a Lua process has one for all its containers, and below that one for each. The
-- limits are written and read back before there is a process, but for a cpuset, which comes before it does anything;
-- the child is born in there (clone3(2), CLONE_INTO_CGROUP); at the end everything in there is killed and the directory
-- removed.
--
-- The processes are in a leaf, `box`, one below the limits. The files of a cgroup belong to who made it, and whoever
-- has that ID inside can mount cgroup v2 in a user and cgroup namespace of its own and write to those of the cgroup
-- that it is in. The limits are above of what is seen there.

local files = require "cella.host.file"
local lazy = require "cella.lazy"
local core = require "cella.core"
local Error = require "cella.error"
local open = require "cella.open"
local printable = require "cella.printable"
local base = require "cella.cgroup.base"
local description = require "cella.cgroup.description"
---@module "cella.cgroup.place"
local place = lazy "cella.cgroup.place"
local status = require "cella.host.status"
local statistics = require "cella.cgroup.usage"
local validate = require "cella.validate"

---@class cella.cgroup.module
local M = {}

local function read_file(path)
  local fd = open.bounded(path)
  if not fd then return nil end
  fd:close()
  return (files.read(path))
end

local home -- where this process was before delegate()

--- What is known of this process's place: see cella.cgroup.Facts.
---@return cella.cgroup.Facts
function M.facts()
  return { read = read_file, home = home }
end

--- The rule of the key `cgroup`.
M.rule = description.rule

---@class cella.cgroup
---@field path string  of its directory
local Group = { __name = "cella.cgroup" }
Group.__index = Group

local function failed(op, path, message, errno, why)
  return nil, Error.new { op = op, path = path, errno = errno, why = why,
    message = message and (message:match ": (.*)$" or message) }
end

local function explain_write(setting, code)
  if code == "ENOENT" then
    if setting.file == "memory.swap.max" then
      return "this kernel does not account for swap (CONFIG_SWAP, swapaccount=1)"
    end
    return ("this kernel's controller %s has no such file"):format(setting.controller)
  elseif setting.file == "io.max" and (code == "ENODEV" or code == "EINVAL" or code == "ENXIO") then
    return "the device has to be a whole disk that is there, not a partition of one"
  elseif code == "EACCES" then
    return "the caller may not write to it: the controller's files are not delegated (cgroups(7))"
  elseif setting.controller == "cpuset" and (code == "EINVAL" or code == "ERANGE") then
    return "there are no such CPUs or memory nodes here (/sys/devices/system/cpu/possible)"
  end
  return nil
end

-- Where the kernel lets a process run, and have its memory: proc_pid_status(5).
local ALLOWED = { ["cpuset.cpus"] = "Cpus_allowed_list", ["cpuset.mems"] = "Mems_allowed_list" }

local NOT_RUN = "the limit would not be what was asked for: the program was not run"

local function not_recoverable(path, message, why)
  return nil, Error.new { op = "write_file", path = path, code = "ENOTRECOVERABLE", message = message, why = why }
end

-- That a cpuset is in force, for its cgroup and for the process that is in there already.
local function expect_cpuset(group, setting, text, pid)
  local path = group.path .. "/" .. setting.file
  local effective = group.handle:read(setting.file .. ".effective") or ""
  local missing = description.missing_numbers({ text = text }, effective)
  if missing then
    return not_recoverable(path, ("%s cannot be had: %s"):format(setting.key, missing),
      ("the cgroups above allow %s; the kernel would use that without a word"):format((effective:gsub("%s+$", ""))))
  end
  local field = ALLOWED[setting.file]
  local allowed = status.field(read_file(("/proc/%d/status"):format(pid)) or "", field)
  if not allowed then return not_recoverable(path, field .. " of the process cannot be read", NOT_RUN) end
  local beyond = description.missing_numbers({ text = allowed }, text)
  if beyond then return not_recoverable(path, ("%s of the process has %s too"):format(field, beyond), NOT_RUN) end
  return true
end

-- Writes one limit, and reads back what the kernel has made of it.
local function apply(group, setting, pid)
  local path, text = group.path .. "/" .. setting.file, setting.text
  if setting.device then
    local number, message, errno = core.block_device(setting.device)
    if number == nil then return failed("stat", setting.device, message, errno) end
    if not number then
      return failed("stat", setting.device, "is no block device", nil, setting.key .. ".device has to be a disk")
    end
    text = text:format(number)
  end
  local ok, message, errno = group.handle:write(setting.file, text)
  if not ok then
    local code = core.errno_name(errno)
    return failed("write_file", path, message, errno, explain_write(setting, code) or setting.key .. " was refused")
  end
  local found
  found, message, errno = group.handle:read(setting.file)
  if not found then return failed("read", path, message, errno) end
  if not description.holds({ file = setting.file, text = text, unified = setting.unified }, found) then
    return not_recoverable(path, ("%q was written, and the kernel says %q"):format(text, (found:gsub("\n$", ""))),
      NOT_RUN)
  end
  if ALLOWED[setting.file] then return expect_cpuset(group, setting, text, pid) end
  return true
end

--- The settings and controllers that an option needs.
---@param options table  as M.rule returns it
---@return cella.cgroup.setting[] settings, string[] controllers
function M.needs(options)
  local settings = description.settings(options)
  return settings, description.controllers(settings)
end

--- Makes the cgroup of one container. It is without limits as yet.
---@param options table  as M.rule returns it
---@param new_plan function  cella.plan's
---@return cella.cgroup?, cella.error?
function M.create(options, new_plan)
  local settings, controllers = M.needs(options)
  local where, err = place.find(M.facts(), options.parent, controllers)
  if not where then return nil, err end
  local above
  above, err = base.get(new_plan, where.directory, controllers)
  if not above then return nil, err end
  local name = options.name or base.next_name(above)
  local handle, message, errno = core.cgroup(above.group:number(), name)
  if not handle then
    local code = core.errno_name(errno)
    return failed("mkdir", above.path .. "/" .. name, message, errno,
      code == "EEXIST" and "cgroup.name: another container of this process has that name and runs still"
      or base.why_not_made(errno))
  end
  local group = setmetatable({ path = above.path .. "/" .. name, handle = handle, base = above, settings = settings,
    where = where }, Group)
  group.leaf, message, errno = core.cgroup(handle:number(), "box")
  if not group.leaf then
    group:remove()
    return failed("mkdir", group.path .. "/box", message, errno, base.why_not_made(errno))
  end
  -- Nobody inside can make more of them, which would be for us to remove.
  local ok
  ok, message, errno = handle:write("cgroup.max.descendants", "1")
  if not ok then
    group:remove()
    return failed("write_file", group.path .. "/cgroup.max.descendants", message, errno)
  end
  -- Until it has executed the runner, the child shares this process's memory. If its cgroup ran out of memory before
  -- that, the kernel would kill with it all that share it.
  local bounded = options.memory or options.memory_high or options.swap
    or options.parent and handle:read "memory.max"
  for file in pairs(options.unified or {}) do bounded = bounded or file:find "^memory%." end
  group.bounded = bounded and true or false
  return group
end

--- Writes one of its settings.
---@param setting cella.cgroup.setting
---@param pid integer?  of the process in there: a cpuset needs one
---@return boolean?, cella.error?
function Group:apply(setting, pid)
  return apply(self, setting, pid)
end

--- The descriptor of the leaf, for clone3.
---@return integer?
function Group:number()
  return self.leaf:number()
end

--- Why clone3 refused to let a child be born in here.
---@param errno integer
---@return string?
function Group:explain_birth(errno)
  local code = core.errno_name(errno)
  local shared = ("a process in %s starts one in %s"):format(((read_file "/proc/self/cgroup" or "")
    :match "0::([^\n]*)" or "?"), self.path)
  if code == "EACCES" then
    return shared .. ": it has to be allowed to write to cgroup.procs of both, and of the cgroup that both are below "
      .. "(cgroups(7), Delegation). Start the Lua program inside of the delegated cgroup"
  elseif code == "EBUSY" then
    return shared .. ": that one hands controllers down, and so can have no processes"
  elseif code == "EOPNOTSUPP" then
    return shared .. ": that one is threaded, or below a threaded one (cgroup.type is "
      .. ((self.leaf:read "cgroup.type" or "?"):gsub("%s+$", "")) .. ")"
  elseif code == "EAGAIN" then
    return "the limit of processes is reached, that of a cgroup (pids.max) or RLIMIT_NPROC"
  elseif code == "ENODEV" or code == "ENOENT" then
    return self.path .. " is gone: somebody else has removed it"
  elseif code == "EINVAL" or code == "E2BIG" then
    return "CLONE_INTO_CGROUP needs Linux 5.7"
  end
  return nil
end

local function reader(self)
  return function(file) return (self.handle:read(file)) end
end

--- What was used in there up to now; after `remove`, up to then.
---@return cella.cgroup.usage
function Group:usage()
  return self.last_usage or statistics.read(reader(self))
end

--- CPU seconds of everything in there, of user and system together.
---@return number?
function Group:cpu_seconds()
  return statistics.cpu_seconds(reader(self))
end

--- Whether the kernel has killed something in there for want of memory.
---@return boolean
function Group:oom()
  if self.last_usage then return (self.last_usage.oom_kills or 0) > 0 end
  return statistics.oom_kills(reader(self)) > 0
end

--- SIGKILL for everything in there, frozen or not.
---@return boolean?, cella.error?
function Group:kill()
  local ok, message, errno = self.handle:kill()
  if not ok then return failed("cgroup.kill", self.path, message, errno) end
  return true
end

-- Waits for a word of cgroup.events. (A poll for it cannot tell it from the next.) Returns whether it came.
local function wait_for(self, key, wanted, seconds)
  local till, pause = core.now() + seconds, 0.0005
  while statistics.event(reader(self), key) ~= wanted do
    if core.now() > till then return false end
    core.poll({}, pause)
    pause = math.min(pause * 2, 0.02)
  end
  return true
end

local PATIENCE = 10 -- seconds, for a process that sleeps where nothing can wake it

local function set_frozen(self, frozen)
  local ok, message, errno = self.handle:write("cgroup.freeze", frozen and "1" or "0")
  if not ok then return failed("write_file", self.path .. "/cgroup.freeze", message, errno) end
  if wait_for(self, "frozen", frozen, PATIENCE) then return true end
  return nil, Error.new { op = "cgroup.freeze", path = self.path, code = "ETIMEDOUT",
    message = ("not %s after %d seconds"):format(frozen and "frozen" or "thawed", PATIENCE),
    why = "a process in there is inside of the kernel and cannot be stopped; the kernel goes on trying" }
end

--- Stops everything in there, and returns once it stands still. A frozen process can be killed.
---@return boolean?, cella.error?
function Group:freeze()
  return set_frozen(self, true)
end

--- Lets it go on.
---@return boolean?, cella.error?
function Group:thaw()
  return set_frozen(self, false)
end

--- Kills what is left in there and removes it. May be called again.
---@return boolean?, cella.error?
function Group:remove()
  if not self.handle:number() then return true end
  self.handle:kill()
  wait_for(self, "populated", false, 1) -- what they have used is known when they have ended
  self.last_usage = statistics.read(reader(self))
  local ok, message, errno = self.handle:remove()
  if self.leaf then self.leaf:remove() end -- went with it
  if not ok then
    return failed("rmdir", self.path, message, errno, "a process in it cannot be killed as yet; the janitor removes it "
      .. "after the end of this Lua process")
  end
  return true
end

function Group:__tostring()
  local parts = { self.path }
  for _, setting in ipairs(self.settings or {}) do
    parts[#parts + 1] = ("%s = %s"):format(setting.file, setting.text)
  end
  return printable.line(("%s (%s)"):format(Group.__name, table.concat(parts, "; ")))
end

--- Makes this process's own cgroup one below which containers can have theirs: moves this process into a new leaf,
--- `cella.self`, and hands all controllers down.
--
-- For a program that has a delegated cgroup to itself: `systemd-run --user --scope -p Delegate=yes lua5.4 FILE`. It
-- changes where this process is, so it happens only on demand. It is refused where other processes are in the cgroup.
---@return string[]? controllers, cella.error?
function M.delegate()
  local sys = core.sys
  local where, err = place.find(M.facts(), nil, {})
  if not where then return nil, err end
  local directory = where.directory
  if home then return M.controllers() end
  local own = ("%d"):format(sys.getpid())
  if not read_file(directory .. "/cgroup.events") then
    return nil, Error.new { op = "delegate", path = directory, code = "EBUSY", message = "is the root of all cgroups",
      why = "handing its controllers down changes the whole host: root does that, with cgroup.subtree_control" }
  end
  for pid in (read_file(directory .. "/cgroup.procs") or ""):gmatch "%d+" do
    if pid ~= own then
      return nil, Error.new { op = "delegate", path = directory, code = "EBUSY",
        message = ("process %s is in this cgroup too"):format(pid),
        why = "only the cgroup of this process alone can be rearranged: start the program in one of its own, as with "
          .. "`systemd-run --user --scope -p Delegate=yes COMMAND`" }
    end
  end
  local leaf = directory .. "/cella.self"
  local ok, message, errno = sys.mkdir(leaf, 493) -- 0755
  if not ok and core.errno_name(errno) ~= "EEXIST" then
    return failed("mkdir", leaf, message, errno, base.why_not_made(errno))
  end
  ok, message, errno = sys.write_file(leaf .. "/cgroup.procs", own)
  if not ok then
    os.remove(leaf)
    return failed("write_file", leaf .. "/cgroup.procs", message, errno, base.why_not_made(errno))
  end
  home = directory
  for controller in (read_file(directory .. "/cgroup.controllers") or ""):gmatch "%S+" do
    -- One that cannot be handed down is missed by whoever asks for it, with the reason.
    sys.write_file(directory .. "/cgroup.subtree_control", "+" .. controller)
  end
  return M.controllers()
end

--- The controllers that containers of this process can have limits of.
---@param parent string?  as the key `cgroup.parent`
---@return string[]? controllers, cella.error?
function M.controllers(parent)
  if parent ~= nil then validate.check(description.parent_rule, parent, "parent") end
  local where, err = place.find(M.facts(), parent, {})
  if not where then return nil, err end
  local list = {}
  for name in (read_file(place.join(where.directory, "cgroup.subtree_control")) or ""):gmatch "%S+" do
    list[#list + 1] = name
  end
  return list
end

return M
