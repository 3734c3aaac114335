--- Trees of the host that the caller takes, before there is a child, who only attaches them: what the child might not
--- reach, or could not make of them.

local core = require "cella.core"
local render = require "cella.plan.render"

local sys = core.sys
local M = {}

local function failed(op, errno, path)
  return nil, { op = op, errno = errno, path = path }
end

--- A descriptor that nothing else owns, or what a system call said in its place.
---@param op string
---@param fd integer?
---@param _ string?
---@param errno integer?
---@return cella.fd?, table?
function M.own(op, fd, _, errno)
  if not fd then return failed(op, errno) end
  local copy, _, dup_errno = core.dup(fd)
  sys.close(fd)
  if not copy then return failed("dup", dup_errno) end
  return copy
end

--- What is taken, and how.
---@param mount table  source, recursive
---@return { path: string?, fd: integer? }, string[]
function M.source(mount)
  return type(mount.source) == "table" and mount.source or { path = mount.source },
    mount.recursive ~= false and { "clone", "recursive" } or { "clone" }
end

local function open(source, flags)
  if source.fd then return M.own("open_tree", sys.open_tree_of(source.fd, flags)) end
  local tree, err = M.own("open_tree", sys.open_tree(source.path, flags))
  if not tree then err.path = source.path end
  return tree, err
end

--- Takes one: detached, of the IDs of a user namespace where that is given. False where there is none, and need not be.
---@param source { path: string?, fd: integer? }
---@param flags string[]
---@param mount table  recursive, optional, propagation
---@param namespace integer?
---@return cella.fd|false|nil, table?
function M.tree(source, flags, mount, namespace)
  local tree, err = open(source, flags)
  if not tree then
    if core.errno_name(err.errno) == "ENOENT" and mount.optional then return false end
    return nil, err
  end
  -- Private, or what is mounted below it in the container would be mounted on the host.
  local ok, _, errno = sys.mount_setattr(tree:number(), mount.recursive ~= false, {}, nil,
    mount.propagation == "slave" and "slave" or "private", namespace)
  if ok then return tree end
  tree:close()
  return failed("mount_setattr", errno, source.path)
end

--- Whether this process can take trees: that takes CAP_SYS_ADMIN over its mount namespace, and Linux 5.12.
---@param path string  of what is going to be taken first
---@return boolean
function M.can_be(path)
  local tree = M.tree({ path = path }, { "clone", "recursive" }, {})
  if tree then tree:close() end
  return tree and true or false
end

--- Records that the caller takes one. Returns its slot.
---@param plan cella.plan
---@param mount table  source, recursive, optional, propagation
---@return cella.slot
function M.record(plan, mount)
  local source, flags = M.source(mount)
  local call = render.call("open_tree", { source.path and "path" or "fd", source.path or source.fd },
    { "flags", flags })
  return plan:input(call, function() return M.tree(source, flags, mount) end, nil, source.fd)
end

return M
