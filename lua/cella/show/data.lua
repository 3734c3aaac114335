--- A page about a process as plain data: what a library for JSON takes.

local plain = require "cella.plain"
local printable = require "cella.printable"

local M = {}

local SETS = { "effective", "permitted", "inheritable", "bounding", "ambient" }

local function names(set) return plain.list(set:names()) end

---@param page cella.show
---@return table
function M.of(page)
  local sets, limits = {}, {}
  for _, name in ipairs(SETS) do sets[name] = names(page.capabilities[name]) end
  for resource, limit in pairs(page.limits) do limits[resource] = { soft = limit.soft, hard = limit.hard } end
  return {
    pid = page.pid, name = printable.utf8(page.name), command = plain.each(page.command, printable.utf8),
    parent = { pid = page.parent.pid, name = page.parent.name and printable.utf8(page.parent.name) },
    state = page.state, threads = page.threads,
    ids = plain.each(page.ids, function(one)
      return { user = one.user, here = one.here, unknown = one.unknown, uid = plain.copy(one.uid),
        gid = plain.copy(one.gid), groups = plain.copy(one.groups) }
    end),
    setgroups = page.setgroups, sets = sets, text = page.capabilities:text(), iab = page.capabilities:iab(),
    over = plain.each(page.over, function(one)
      return { user = one.user, why = plain.copy(one.why), holds = names(one.holds),
        idle = one.idle and names(one.idle) or nil }
    end),
    securebits = page.capabilities.securebits and plain.copy(page.capabilities.securebits) or nil,
    no_new_privs = page.no_new_privs, seccomp = { mode = page.seccomp.mode, filters = page.seccomp.filters },
    namespaces = plain.each(page.namespaces, function(one)
      return { kind = one.kind, inode = one.inode, yours = one.yours, owner = one.owner, held = one.held }
    end),
    root = page.root and printable.utf8(page.root), cwd = page.cwd and printable.utf8(page.cwd),
    executable = page.executable and printable.utf8(page.executable),
    mounts = page.mounts and { count = page.mounts.count, root = page.mounts.root },
    cgroups = plain.each(page.cgroups, function(one)
      return { hierarchy = one.hierarchy, controllers = printable.utf8(one.controllers),
        path = printable.utf8(one.path) }
    end),
    limits = limits, umask = page.umask,
  }
end

--- In which order a person reads the keys.
M.ORDER = { "pid", "name", "command", "parent", "state", "threads", "ids", "user", "here", "uid", "gid", "groups",
  "setgroups", "sets", "text", "iab", "over", "why", "holds", "idle", "effective", "permitted", "inheritable",
  "bounding", "ambient", "securebits", "no_new_privs", "seccomp", "namespaces", "kind", "inode", "yours", "owner",
  "held", "root", "cwd", "executable", "mounts", "cgroups", "limits", "soft", "hard", "umask" }

return M
