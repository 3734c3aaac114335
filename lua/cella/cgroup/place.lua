--- Where a process may make cgroups, and whether the controllers that it needs are there: from the texts of a few
--- files, and nothing is changed. Where it cannot be done the answer says what stands in the way, and the remedy.

local Error = require "cella.error"
local mountinfo = require "cella.mountinfo"

local M = {}

---@class cella.cgroup.Facts
---@field read fun(path: string): string?  the text of a file; nil where it cannot be read
---@field home string?  where this process was before it moved into a leaf (cella.cgroup.delegate)

local function contains_word(text, word)
  return (" " .. (text or ""):gsub("%s+", " ") .. " "):find(" " .. word .. " ", 1, true) ~= nil
end

-- The mount of cgroup v2: its place, and what of the hierarchy it shows. The last one covers others.
local function find_mount(facts)
  local found
  for _, mount in ipairs(mountinfo.parse(facts.read "/proc/self/mountinfo" or "")) do
    if mount.kind == "cgroup2" then found = mount end
  end
  return found
end

-- The controllers that v1 hierarchies have taken: name -> number of the hierarchy.
local function version_1(facts)
  local taken, disabled = {}, {}
  for old_name, hierarchy, enabled in (facts.read "/proc/cgroups" or ""):gmatch "(%S+)\t(%d+)\t%d+\t(%d+)" do
    local name = old_name == "blkio" and "io" or old_name
    if enabled == "0" then
      disabled[name] = true
    elseif hierarchy ~= "0" then
      taken[name] = hierarchy
    end
  end
  return taken, disabled
end

local function fail(fields)
  fields.op = "cgroup"
  return nil, Error.new(fields)
end

local V2 = "boot with systemd.unified_cgroup_hierarchy=1"

local function no_mount(facts)
  local names = {}
  for name in pairs((version_1(facts))) do names[#names + 1] = name end
  table.sort(names)
  if #names > 0 then
    return fail { code = "ENOENT", message = "cgroup v2 is not mounted here",
      why = ("this host has cgroup v1 (%s): %s"):format(table.concat(names, ", "), V2) }
  end
  return fail { code = "ENOENT", message = "cgroup v2 is not mounted here",
    why = "`mount -t cgroup2 none /sys/fs/cgroup` as root, or in a container a mount of it, makes it seen" }
end

local function join(point, path)
  local joined = (point .. "/" .. path):gsub("/+", "/"):gsub("(.)/$", "%1")
  return joined
end

-- The directory of this process's own cgroup.
local function own_directory(facts, mount)
  local text = facts.read "/proc/self/cgroup" or ""
  local path = ("\n" .. text):match "\n0::([^\n]*)"
  if not path then
    return fail { code = "ENOENT", message = "this process is in no cgroup of version 2", path = "/proc/self/cgroup" }
  end
  path = path:gsub(" %(deleted%)$", "")
  if mount.root ~= "/" then
    -- A part of the hierarchy is mounted: a bind, or a mount from outside this cgroup namespace.
    if (path .. "/"):sub(1, #mount.root + 1) ~= mount.root .. "/" then
      return fail { code = "ENOENT", path = mount.point,
        message = ("the cgroup of this process (%s) is not below what is mounted (%s)"):format(path, mount.root),
        why = "mount cgroup2 anew in this cgroup namespace, or name a `parent`" }
    end
    path = path:sub(#mount.root + 1)
  end
  if ("/" .. path .. "/"):find("/../", 1, true) then
    return fail { code = "ENOENT", path = mount.point,
      message = ("the cgroup of this process (%s) is outside of its cgroup namespace"):format(path),
      why = "the process has been moved, or has joined the namespace, from elsewhere: name a `parent`" }
  end
  return join(mount.point, path)
end

-- Why a controller is not to be had in a directory at all.
local function explain_absent(facts, mount, directory, controller)
  local taken, disabled = version_1(facts)
  if taken[controller] then
    return ("cgroup v1 has it (hierarchy %s in /proc/cgroups): %s"):format(taken[controller], V2)
  elseif disabled[controller] then
    return ("it is switched off (/proc/cgroups): boot with cgroup_enable=%s"):format(controller)
  end
  -- The topmost ancestor that does not hand it down.
  local at, rest = mount.point, directory:sub(#mount.point + 1)
  if not contains_word(facts.read(join(at, "cgroup.controllers")), controller) then
    if mount.root ~= "/" then return "what is mounted here has it not handed down from above" end
    return "this kernel does not have it, or it is not handed down to this cgroup namespace"
  end
  while true do
    local handed = facts.read(join(at, "cgroup.subtree_control"))
    if handed and not contains_word(handed, controller) then
      local why = ("%s is %q: it is not handed down"):format(join(at, "cgroup.subtree_control"),
        (handed:gsub("\n$", "")))
      if directory:find "/user@%d+%.service" then
        return why .. ("; `systemctl edit user@.service` with [Service] Delegate=pids memory %s gives it to users")
          :format(controller)
      end
      return why .. "; who owns that cgroup writes +" .. controller .. " there"
    end
    local name
    name, rest = rest:match "^/([^/]+)(.*)$"
    if not name then return nil end
    at = join(at, name)
  end
end

local SCOPE = "`systemd-run --user --scope -p Delegate=yes COMMAND` (as root without --user) starts a program in a "
  .. "cgroup of its own, in which cella.cgroup.delegate() does it"

-- Why a controller that a directory has is not there for its children.
local function explain_not_enabled(facts, directory, controller, own)
  local file = join(directory, "cgroup.subtree_control")
  local why = ("%s is %q"):format(file, ((facts.read(file) or ""):gsub("\n$", "")))
  local processes = 0
  for _ in (facts.read(join(directory, "cgroup.procs")) or ""):gmatch "%d+" do processes = processes + 1 end
  if facts.is_hierarchy_root(directory) then
    return why .. (": `echo +%s > %s` as root changes that for the whole host; or name a `parent`"):format(controller,
      file)
  elseif processes > 0 then
    return why .. (", and with %d process%s in it that cannot be changed: a cgroup has processes, or controllers for "
      .. "those below it, not both (cgroups(7)); %s"):format(processes, processes == 1 and "" or "es",
      processes == 1 and own and "call cella.cgroup.delegate() first, which moves this process into a leaf" or SCOPE)
  end
  return why .. (": `echo +%s > %s` as its owner"):format(controller, file)
end

--- Finds the directory below which cgroups are to be made, and checks that each of `controllers` is there for them.
---@param facts cella.cgroup.Facts
---@param parent string?  an absolute directory, or a path from the mount of cgroup v2 on; nil: the process's own
---@param controllers string[]
---@return { directory: string, mount: string, own: boolean }?, cella.error?
function M.find(facts, parent, controllers)
  local mount = find_mount(facts)
  if not mount then return no_mount(facts) end
  facts = setmetatable({ is_hierarchy_root = function(directory)
    -- The root of the hierarchy has no cgroup.events.
    return facts.read(join(directory, "cgroup.events")) == nil
  end }, { __index = facts })
  local directory, err
  if parent and parent:sub(1, 1) == "/" then
    directory = join(parent, "")
  elseif parent then
    directory = join(mount.point, parent)
  else
    directory = facts.home
    if not directory then directory, err = own_directory(facts, mount) end
    if not directory then return nil, err end
  end
  local available = facts.read(join(directory, "cgroup.controllers"))
  if not available then
    return fail { code = "ENOENT", path = directory, message = "is no cgroup of version 2 that can be read",
      why = parent and ("`parent` has to be a directory below %s that exists"):format(mount.point)
        or "this process's own cgroup is not to be seen from here" }
  end
  if (directory .. "/"):sub(1, #mount.point + 1) ~= mount.point .. "/" then
    return fail { code = "EINVAL", path = directory, message = "is not below the mount of cgroup v2",
      why = ("that is %s; a path without a slash at its beginning is taken from there"):format(mount.point) }
  end
  local enabled = facts.read(join(directory, "cgroup.subtree_control"))
  for _, controller in ipairs(controllers) do
    if not contains_word(available, controller) then
      return fail { code = "ENOENT", path = directory,
        message = ("the controller %s is not available"):format(controller),
        why = explain_absent(facts, mount, directory, controller) }
    elseif not contains_word(enabled, controller) then
      return fail { code = "ENOENT", path = directory,
        message = ("the controller %s is not there for cgroups below this one"):format(controller),
        why = explain_not_enabled(facts, directory, controller, not parent) }
    end
  end
  return { directory = directory, mount = mount.point, own = not parent }
end

M.contains_word = contains_word
M.join = join

return M
