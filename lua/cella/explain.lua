--- Why a step failed: from what failed, and from what this host says when it is asked. Nothing is guessed: a cause that
--- could not be seen is not named as one.

local core = require "cella.core"
local everywhere = require "cella.explain.everywhere"

local M = {}

-- Calls that filters of container engines answer with EPERM themselves.
local filtered = {}
for _, name in ipairs { "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "mount_setattr", "open_tree",
  "move_mount", "fsopen", "fsmount", "fsconfig", "setgroups", "setresuid", "setresgid", "capset", "sethostname",
  "chroot" } do
  filtered[name] = true
end

-- Asked by an operation's own name.
local function filtered_by(fields, plan)
  local loaded, obstacles = pcall(require, "cella.explain.obstacles")
  if not loaded then return nil end
  local asked, seen = pcall(obstacles.filter, fields.op, fields.op == "clone3" and plan and plan.namespaces
    or fields.args and fields.args.namespaces)
  return asked and seen or nil
end

--- The rule that was broken, in a sentence, or nil where none is known; and what removes it, where that is known.
---@param fields table  of an error: op, errno or code, text, message, map
---@param plan cella.plan
---@return string? why, cella.obstacle? obstacle
function M.why(fields, plan)
  local code = fields.code or fields.errno and core.errno_name(fields.errno)
  -- Where a filter answers a call the kernel has not been asked, and what it would say is no cause. Without a code the
  -- child was killed in that step.
  if (code == "EPERM" or code == "EACCES" or not code) and core.sys.get_seccomp() == 2 then
    local refused = filtered_by(fields, plan)
    if refused then return refused.says, refused end
  end
  -- Loaded when something fails. Without a free descriptor it cannot be; `everywhere` knows the cause then.
  local loaded, causes = pcall(require, "cella.explain.causes")
  local found = loaded and causes.of(fields.op, code) or everywhere[code]
  if type(found) == "function" then
    -- What it looks at may be a hostile program's, and its own modules may be out of reach by now.
    local ended, said = pcall(found, fields, plan)
    found = ended and said or nil
  end
  if type(found) == "table" then return found.says, found end
  if code == "EPERM" and found and filtered[fields.op] and core.sys.get_seccomp() == 2 then
    found = found
      .. "; or a seccomp filter that this process is under (Seccomp: 2 in /proc/self/status) refuses the call"
  end
  return found or nil
end

return M
