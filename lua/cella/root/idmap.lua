--- ID-mapped mounts: files of the disk's IDs appear as those of others. The kernel asks for CAP_SYS_ADMIN in the user
--- namespace that owns the file system, which for a disk is the initial one: so it is the parent that makes these
--- mounts, detached, before there is a child. The child attaches them.

local blame = require "cella.blame"
local core = require "cella.core"
local kernels = require "cella.host.kernel"
local mappable = require "cella.host.mappable"
local mountinfo = require "cella.mountinfo"
local render = require "cella.plan.render"
local taken = require "cella.root.taken"

local sys = core.sys
local M = {}

-- A user namespace with these maps, of which nothing is wanted but its descriptor: a child has it while it waits.
local function open_user_namespace(new_plan, maps, text)
  local namespace, message
  local plan = new_plan {
    namespaces = { "user" }, ids = { uid = maps.uid, gid = maps.gid, text = text, via = "parent" },
  }
  plan:await(function(process)
    namespace, message = core.open(("/proc/%d/ns/user"):format(process.pid), "rdonly")
    return namespace ~= nil, message
  end, render.call("open", { "path", "/proc/PID/ns/user" }))
  local process, err = plan:spawn()
  if not process then
    if namespace then namespace:close() end
    return nil, { op = err.op, errno = err.errno, message = err.message, why = err.why }
  end
  process:close()
  return namespace
end

--- The map of a mount: from the IDs on disk to those that the host sees, for one that says what the container is to see
--- of which ID on disk. `inside` are the maps of the container, nil where it has none of its own.
local function mount_map(wanted, state, kind, path)
  local inside = state.maps
  if state.unknown_maps then
    blame(path .. ": the maps of the user namespace that is joined are not known: name a process in it")
  elseif wanted == true then
    return inside[kind]
  end
  local map = wanted[kind]
  for _, extent in ipairs(inside and map:extents() or {}) do
    if not inside[kind]:covers(extent.inside, extent.count) then
      blame(("%s.%s: %d to %d are not all in the container's map\n%s"):format(path, kind, extent.inside,
        extent.inside + extent.count - 1, tostring(inside[kind])))
    end
  end
  map = map:invert()
  return inside and map:compose(inside[kind]) or map
end

local ASKED = {
  EPERM = "an ID-mapped mount needs CAP_SYS_ADMIN in the user namespace that owns the file system, for a disk the "
    .. "initial one, and nothing is mapped twice (mount_setattr(2))",
  EINVAL = "not every file system can be ID-mapped: proc, sysfs and devtmpfs never, others from some kernel version on "
    .. "(mount_setattr(2))",
}

-- What the kernel says to a file system that is newer than its maps, or has none.
local function too_old(kind)
  local needs = mappable.needs(kind)
  if not needs then return nil end
  return ("%s can be ID-mapped from Linux %s on, and this is %s"):format(kind, needs, kernels.release())
end

-- The type of the file system on which a path lies, whichever links lead to it; nil where that is not to be seen.
local function kind_on(path)
  local file = core.open(path, "path")
  local straight = file and core.readlink(("/proc/self/fd/%d"):format(file:number()))
  if file then file:close() end
  local mount = straight and mountinfo.on(straight)
  return mount and mount.kind or nil
end

-- Each mount is asked for itself: which is it that refuses?
local function refusal(path, namespace, errno)
  local code = core.errno_name(errno)
  local asked = path and mountinfo.below(path) or {}
  table.insert(asked, 1, { point = path, kind = path and kind_on(path) })
  for _, mount in ipairs(asked) do
    local tree = mount.point and taken.own("open_tree", sys.open_tree(mount.point, "clone"))
    if tree then
      local ok, _, said = sys.mount_setattr(tree:number(), false, {}, nil, nil, namespace:number())
      tree:close()
      if not ok and said == errno and ASKED[code] then
        return ("%s%s refuses: %s"):format(mount.point, mount.kind and " (" .. mount.kind .. ")" or "",
          code == "EINVAL" and too_old(mount.kind) or ASKED[code])
      end
    end
  end
  return ASKED[code]
end

local function mapped_tree(source, flags, mount, namespace)
  local tree, err = taken.tree(source, flags, mount, namespace:number())
  if tree == nil and err.op == "mount_setattr" then
    err.why = refusal(source.path, namespace, err.errno)
  elseif tree == nil and core.errno_name(err.errno) == "EPERM" then
    err.why = ASKED.EPERM
  end
  return tree, err
end

--- Records the steps of the parent by which a source becomes an ID-mapped mount. Returns its slot.
---@param plan cella.plan
---@param state table
---@param mount table  source, idmap, recursive, optional, propagation
---@param path string  of the key, for what is wrong with it
---@return cella.slot
function M.open(plan, state, mount, path)
  local maps, text = {}, {}
  for _, kind in ipairs { "uid", "gid" } do
    maps[kind] = mount_map(mount.idmap, state, kind, path)
    local message
    text[kind], message = maps[kind]:text(state.host[kind .. "_map"])
    if not text[kind] then blame(("%s.%s: %s"):format(path, kind, message)) end
  end
  local key = ("%q, %q"):format(text.uid, text.gid):gsub("\\\n", "\\n")
  local shared = state.user_namespaces[key]
  if not shared then
    shared = {}
    state.user_namespaces[key] = shared
    shared.slot = plan:input(render.call("user_namespace", { "uid_map", text.uid }, { "gid_map", text.gid }), function()
      if not state.host.capabilities.sys_admin then
        return nil, { errno = 1, message = core.strerror(1), why = ASKED.EPERM }
      end
      local namespace, err = open_user_namespace(plan.new, maps, text)
      shared.descriptor = namespace
      return namespace, err
    end)
  end
  local source, flags = taken.source(mount)
  local call = render.call("idmapped_tree", { source.path and "path" or "fd", source.path or source.fd },
    { "flags", flags }, { "user_namespace", shared.slot })
  return plan:input(call, function() return mapped_tree(source, flags, mount, shared.descriptor) end,
    nil, source.fd)
end

return M
