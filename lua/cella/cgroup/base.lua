--- The cgroup that this process has for all of its containers, `cella.PID.RANDOM` below the parent, and the janitor
--- that removes it when this process is gone, killed or not.

local core = require "cella.core"
local Error = require "cella.error"
local runner = require "cella.runner"

local M = {}

local sys = core.sys

local function failed(message, errno, fields)
  fields = fields or {}
  fields.op = fields.op or message:match "^[A-Za-z0-9_]+"
  fields.errno, fields.message = errno, message:match ": (.*)$" or message
  return nil, Error.new(fields)
end

local function random_name()
  local file, message = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(4)
  if file then file:close() end
  if not bytes then return nil, Error.new { op = "open", path = "/dev/urandom", message = message } end
  return ("cella.%d.%02x%02x%02x%02x"):format(sys.getpid(), bytes:byte(1, 4))
end

-- It runs before there is anything to remove. What it gets are a pipe's end, the parent and the name; it is not in the
-- cgroup, and nobody's child.
local function start_janitor(new_plan, directory, name)
  local reading, writing, errno = core.pipe()
  if not reading then return failed(writing, errno, { op = "pipe" }) end
  local program, message
  program, message, errno = runner.open()
  if not program then return failed(message, errno) end
  local plan = new_plan()
  plan:chdir "/"
  plan:setsid()
  plan:exec { ("/proc/self/fd/%d"):format(5), "janitor", name, ("%d"):format(sys.getpid()), environment = {},
    stdin = "null", stdout = "null", stderr = "null",
    fds = { [3] = reading:number(), [4] = directory:number(), [5] = program:number() } }
  local result, err = plan:run()
  reading:close()
  program:close()
  if result and result.code == 0 then return writing end
  writing:close()
  if err then return nil, err end
  return nil, Error.new { op = "janitor", message = ("%s %s"):format(result.reason, tostring(result.code
    or result.signal)), why = "the process that would remove the cgroups could not begin" }
end

-- By parent, and then by the controllers that are there for the containers.
local bases = {}

local WHY_NOT_MADE = {
  EACCES = "the caller may not write to this directory: the cgroup is not delegated to it (cgroups(7), Delegation); "
    .. "`systemd-run --user --scope -p Delegate=yes COMMAND` starts a program in one that is, or root gives one away "
    .. "with `chown USER DIR DIR/cgroup.procs DIR/cgroup.threads DIR/cgroup.subtree_control`",
  EROFS = "cgroup v2 is mounted read-only here: in a container, its manager has to delegate a cgroup",
  EAGAIN = "cgroup.max.descendants or cgroup.max.depth of a cgroup above is reached",
  ENOENT = "the directory is gone",
  ENODEV = "the directory is gone",
  EPERM = "the cgroup is not delegated to the caller",
  ENOSPC = "the kernel has no more numbers for cgroups of this controller",
}

--- Why a cgroup could not be made.
function M.why_not_made(errno)
  return WHY_NOT_MADE[core.errno_name(errno or 0) or ""]
end

local function make(new_plan, path)
  local directory, message, errno = core.open(path, { "path", "directory" })
  if not directory then return failed(message, errno, { op = "open", path = path }) end
  local name, err = random_name()
  if not name then return nil, err end
  local lifeline
  lifeline, err = start_janitor(new_plan, directory, name)
  if not lifeline then return nil, err end
  local group
  group, message, errno = core.cgroup(directory:number(), name)
  directory:close()
  if not group then
    lifeline:close()
    return failed(message, errno, { path = path, why = M.why_not_made(errno) })
  end
  return { group = group, lifeline = lifeline, path = path .. "/" .. name, count = 0, enabled = {} }
end

--- The base below a directory, with the controllers for those below it. Made at the first use.
---@param new_plan function  cella.plan's, by which the janitor is started
---@param path string
---@param controllers string[]
---@return table?, cella.error?
function M.get(new_plan, path, controllers)
  local base = bases[path]
  -- Somebody else may have removed it: it is empty most of the time.
  if base and not base.group:read "cgroup.controllers" then
    base.group:remove()
    base.lifeline:close()
    base = nil
  end
  local err
  if not base then
    base, err = make(new_plan, path)
    if not base then return nil, err end
    bases[path] = base
  end
  for _, controller in ipairs(controllers) do
    if not base.enabled[controller] then
      local ok, message, errno = base.group:write("cgroup.subtree_control", "+" .. controller)
      if not ok then
        return failed(message, errno, { op = "write_file", path = base.path .. "/cgroup.subtree_control",
          why = ("enabling the controller %s was refused"):format(controller) })
      end
      base.enabled[controller] = true
    end
  end
  return base
end

--- The name of the next container's cgroup.
function M.next_name(base)
  base.count = base.count + 1
  return ("%d"):format(base.count)
end

return M
