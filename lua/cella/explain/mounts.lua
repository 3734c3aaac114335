--- Why a step failed that puts a file system together.

local core = require "cella.core"
local lists = require "cella.list"
local mountinfo = require "cella.mountinfo"
local obstacles = require "cella.explain.obstacles"

local function points_below(path)
  local points = {}
  for i, mount in ipairs(mountinfo.below(path)) do points[i] = mount.point end
  return points
end

-- The slot that a step's descriptor is.
local function slot_of(args)
  return type(args.fd) == "table" and args.fd.slot or nil
end

-- The step that has filled a slot; nil where it was the parent, or nobody.
local function maker_of(slot, plan)
  for _, step in ipairs(slot and plan:steps() or {}) do
    if step.slot == slot and step.side == "child" then return step end
  end
  return nil
end

-- The steps of a plan that gave options to the file system of a failing one: { name =, value =, at = }; `value` is nil
-- where it is what a descriptor stands for, `at` says which slot that is.
local function options_of(fields, plan)
  local slot = slot_of(fields.args)
  local list = {}
  for _, step in ipairs(slot and plan:steps() or {}) do
    if step.number > fields.step then break end
    local args = step.args
    if step.side == "child" and slot_of(args) == slot then
      if step.op == "fsconfig" and args.command == "string" then
        list[#list + 1] = { name = args.key, value = args.value }
      elseif step.op == "fsconfig_at" then
        list[#list + 1] = { name = args.key, value = args.path }
      end
    end
  end
  return list
end

-- The file system that a step is about: what it opens, or what was opened as the context that it is given.
local function filesystem_of(fields, plan)
  if fields.op == "fsopen" then return fields.args.fstype end
  local maker = maker_of(slot_of(fields.args), plan)
  return maker and maker.op == "fsopen" and maker.args.fstype or nil
end

local function proc_refused()
  local seen = obstacles.proc()
  if seen then
    return { name = seen.name, remedy = seen.remedy, says = seen.says .. "; `proc = false` starts without one" }
  end
  return "a fresh /proc needs a pid namespace of the same user namespace, and an old /proc to be seen; "
    .. "`proc = false` starts without one"
end

local not_permitted = {
  proc = proc_refused,
  sysfs = function() return "sysfs needs a network namespace of the same user namespace, and an old /sys in sight" end,
  mqueue = function() return "mqueue needs an ipc namespace of the same user namespace" end,
  cgroup2 = function() return "cgroup2 needs a cgroup namespace of the same user namespace" end,
  overlay = function(with)
    return with.older_than "5.11" and with.needs_linux("an overlay in a user namespace", "5.11") or nil
  end,
}

-- Which of the three calls refuses depends on the file system.
local function filesystem_refused(fields, plan, with)
  local explain = not_permitted[filesystem_of(fields, plan)]
  return explain and explain(with) or obstacles.apparmor_restriction() or obstacles.security_module()
    or "this file system may not be mounted in a user namespace"
end

local function is_new(plan, namespace)
  for _, name in ipairs(plan.new_namespaces or {}) do
    if name == namespace then return true end
  end
  return false
end

-- Whose a device is, and how somebody in the container could be let in.
local function device_denied(destination, plan)
  local source
  for _, device in ipairs(plan.box and plan.box.devices or {}) do
    if device.destination == destination then source = device.path end
  end
  local status = source and core.file_status(source)
  if not status then return "its mode lets the program neither read nor write" end
  return ("%s belongs to uid %.0f and gid %.0f on the host, with mode %04o: the program is neither of them there, and "
    .. "others may not. The group comes along where `ids` map it and `user.groups` names it, or with those of the "
    .. "caller that stay (`policy.keep_groups`)"):format(source, status.uid, status.gid, status.mode)
end

local MOST_LOWER = 500 -- OVL_MAX_STACK

local function overlay_invalid(fields, plan)
  local lower, upper = {}, false
  for _, option in ipairs(options_of(fields, plan)) do
    if option.name == "lowerdir+" then lower[#lower + 1] = option.value or "a descriptor" end
    if option.name == "lowerdir" and option.value then
      for path in option.value:gmatch "[^:]+" do lower[#lower + 1] = path end
    end
    upper = upper or option.name == "upperdir"
  end
  if fields.args.command ~= "create" then
    -- One of them is refused as it is named.
    if #lower > MOST_LOWER then return ("an overlay takes at most %d lower directories"):format(MOST_LOWER) end
    local path = fields.args.value or fields.args.path
    local status = path and path:sub(1, 1) == "/" and core.file_status(path)
    if status and status.type ~= "directory" then return path .. " is no directory: the layers of an overlay are" end
    return nil
  end
  if #lower < 2 and not upper then return "an overlay takes at least two lower directories, or an upper one" end
  for _, path in ipairs(is_new(plan, "user") and lower or {}) do
    local below = points_below(path)
    if #below > 0 then
      return ("%s came from a more privileged mount namespace, with mounts on it (%s): it cannot be had without them, "
        .. "as an overlay would"):format(path, below[1] .. (#below > 1 and ", ..." or ""))
    end
  end
  if upper then
    return "upper and work have to be on one mount, of a file system that is no overlay itself and has what an overlay "
      .. "needs of one (Documentation/filesystems/overlayfs.rst)"
  end
  return nil
end

local function has_comma(fields, plan)
  for _, option in ipairs(options_of(fields, plan)) do
    if option.name:find "dir" and option.value and option.value:find(",", 1, true) then return true end
  end
  return false
end

local function invalid_option(fields, plan, with)
  local name = filesystem_of(fields, plan)
  if name == "overlay" then
    local said = has_comma(fields, plan) and with.older_than "6.5"
      and with.needs_linux("a comma in a path of an overlay", "6.5") or overlay_invalid(fields, plan)
    if said then return said end
  elseif name == "devpts" then
    return "devpts gives its files to uid 0 and gid 0, which have to be in the ID maps"
  end
  return "the file system does not know the option, or not the value"
end

local function of_overlay(said)
  return function(fields, plan) return filesystem_of(fields, plan) == "overlay" and said or nil end
end

-- What the kernel says of the source of any other file system: it does not say which that is.
local function of_source(said)
  return function(fields, plan)
    if filesystem_of(fields, plan) == "overlay" then return nil end
    for _, option in ipairs(options_of(fields, plan)) do
      if option.name == "source" and option.value then return ("its source is %s: %s"):format(option.value, said) end
    end
    return nil
  end
end

local function either(one, other) return function(...) return one(...) or other(...) end end

local function mount_limit()
  local file = io.open("/proc/sys/fs/mount-max", "r")
  local most = file and file:read("*l") or "unknown"
  if file then file:close() end
  return ("too many mounts in this mount namespace: fs.mount-max is %s, and %d are there on the host"):format(most,
    #mountinfo.own())
end

local function denied_path(_, plan)
  if plan.id_maps and plan.host and not plan.id_maps.uid:inside(plan.host.uid) then
    return ("the container is built as uid %s of the host, which has to be able to search every directory of the path: "
      .. "the map has no place for you (%d)"):format(tostring(plan.id_maps.uid:outside(0) or "?"), plan.host.uid)
  end
  return "a directory of the path may not be searched"
end

local SHARED = "; nor can what is unbindable lie on what is shared (mount_namespaces(7))"

-- Whether a step is about a place in the new root, or about something on the host.
local function on_host(fields)
  local resolve = fields.args and fields.args.resolve or {}
  return fields.op == "openat2" and not lists.contains(resolve, "in_root") and not lists.contains(resolve, "beneath")
end

local NO_PLACE = "there is no such path in the new root. Mount points are made only where the container's own file "
  .. "systems (a tmpfs above) are: nothing is created on the host. Make the directory in the root, or mount a tmpfs "
  .. "over its parent"

local places = {
  ENOENT = function(fields)
    return on_host(fields) and "there is no such file or directory on the host" or NO_PLACE
  end,
  ENOTDIR = function(fields)
    return on_host(fields) and "part of the path is not a directory"
      or "part of the path is not a directory in the new root"
  end,
  ELOOP = "too many symbolic links in the path, or one that leaves the root by magic (proc(5))",
  EXDEV = "a link has led to a mount that is not the container's own: nothing is created on the host",
  EEXIST = "something is there already: with `existing = true` it may be",
  ENAMETOOLONG = "the file system takes no name that long, mostly 255 bytes",
  ENXIO = "a pipe is there, or a socket, and no file",
  EROFS = "it lies on a read-only mount",
  ENOSPC = "the file system is full: see `size` and `inodes` of a tmpfs",
  EACCES = denied_path,
  EAGAIN = "the tree was being renamed all the time",
}

-- What is there already is no error to it.
local DANGLING = "a symbolic link is there that leads to nothing in the new root: no mount point is made through one"

--- Adds the rules of mounts.
---@param why table<string, table>  by operation and code
---@param with { needs: function, older_than: (fun(version: string): boolean), needs_linux: function }
return function(why, with)
  local needs, older_than, needs_linux = with.needs, with.older_than, with.needs_linux
  local function refused(fields, plan) return filesystem_refused(fields, plan, with) end

  why.open_tree = {
    ENOENT = "there is no such file or directory on the host",
    ENOTDIR = "part of the path is not a directory",
    ELOOP = "too many symbolic links in the path",
    EACCES = denied_path,
    EINVAL = "part of it is a mount that came from a more privileged mount namespace and cannot be taken without what "
      .. "is mounted below it: bind recursively; or it is unbindable (mount_namespaces(7))",
    EPERM = function() return needs("sys_admin", "mounting") end,
  }
  why.idmapped_tree = why.open_tree
  why.open_tree_of = {
    ESTALE = "the descriptor stands for nothing that has a path (as a pipe or a socket), or its path leads to "
      .. "something else by now",
    ENOENT = "what the descriptor stands for has no path any more",
    EACCES = denied_path,
    EINVAL = why.open_tree.EINVAL,
    EPERM = why.open_tree.EPERM,
  }
  why.mount = {
    EPERM = function(_, plan) return needs("sys_admin", "mounting", plan, "mount") end,
    EINVAL = function(fields)
      return fields.args.target == "/" and fields.args.source == "none"
        and "the caller's root directory is none that is mounted (it is chrooted): bind it on itself before" or nil
    end,
  }
  why.openat2, why.mkdir = places, places
  why.make_target = setmetatable({ EEXIST = DANGLING }, { __index = places })
  why.symlink, why.expect_same_filesystem = places, places
  why.make_symlink = setmetatable({ EEXIST = "there is a link already, and it leads elsewhere",
    EINVAL = "what is there already is no symbolic link" }, { __index = places })
  why.write = { ENOSPC = places.ENOSPC }
  why.fchmod = { EROFS = places.EROFS }

  why.fsopen = { ENODEV = "this kernel does not know the file system", EPERM = refused }
  why.fsmount = {
    EPERM = refused,
    EINVAL = function(fields)
      return lists.contains(fields.args.attributes or {}, "nosymfollow") and older_than "5.14"
        and needs_linux("nosymfollow of a new file system", "5.14") or nil
    end,
  }
  why.fsconfig = {
    EPERM = refused,
    EINVAL = function(fields, plan) return invalid_option(fields, plan, with) end,
    ELOOP = of_overlay "one of the lower directories lies in another",
    EBUSY = of_overlay "the upper or the work directory belongs to an overlay already",
    ENOENT = either(of_overlay "there is no such directory on the host", of_source "there is no such device here"),
    ENOTDIR = either(of_overlay "the layers of an overlay are directories", of_source "in no directory"),
    ENOTBLK = of_source "this is no block device",
    EROFS = of_overlay "the upper directory is on a read-only mount",
    EACCES = denied_path,
  }
  why.fsconfig_at = why.fsconfig

  why.move_mount = {
    ENOTDIR = "what is mounted is a directory, and the destination is none: a directory can be mounted on a directory "
      .. "only, and a file on a file",
    EISDIR = "what is mounted is a file, and the destination is a directory: a directory can be mounted on a directory "
      .. "only, and a file on a file",
    EINVAL = "nothing can be attached below itself" .. SHARED,
    ENOSPC = mount_limit,
    ELOOP = "the mount would lie below itself",
  }
  why.mask = { ENOSPC = mount_limit }
  why.mount_setattr = {
    EPERM = "a flag that a more privileged mount namespace has set cannot be cleared, nor can its way of keeping "
      .. "access times be changed (mount_namespaces(7))",
    EBUSY = "a file on it is open for writing: it cannot become read-only",
    EINVAL = function(fields, plan)
      local maker = maker_of(slot_of(fields.args), plan)
      return maker and maker.op == "openat2"
        and "nothing is mounted right there, and flags are those of a mount: bind it on itself first" or nil
    end,
    -- Without mount_setattr(2) each mount is looked for in /proc and remounted (csrc/sys/remount.c).
    EACCES = function()
      return older_than "5.12" and needs_linux("changing a mount in a directory that the caller may not search", "5.12")
        or nil
    end,
    E2BIG = function() return needs_linux("changing more than 1024 mounts at once", "5.12") end,
  }
  why.pivot_root = { EINVAL = "the new root is not a mount, or shares its mounts with others" }
  why.expect_root = {
    ENOTRECOVERABLE = "something lies over the new root, where nothing can get past it: a link in it has led a mount "
      .. "or a path to be covered to /",
  }
  why.expect_not_root = {
    ENOTRECOVERABLE = "what was another directory when the plan was made is the host's root now, of which a container "
      .. "has no more than a read-only view: somebody has exchanged it",
  }
  why.expect_node = { ENOTRECOVERABLE = "what the host has there is not the device of that name" }
  why.expect_device = {
    EACCES = function(fields, plan) return device_denied(fields.args.path, plan) end,
    EPERM = "its mount on the host has nodev: nothing that is a device opens there, and a user namespace keeps it so",
    ENOTRECOVERABLE = "what is there now is no device",
  }
  why.dup = { EBADF = "the caller has no such descriptor" }
end
