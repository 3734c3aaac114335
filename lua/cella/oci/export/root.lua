--- The root of a container in a config.json: its directory, what is mounted there, and what is missing in it; what
--- runtimes would do otherwise is refused.

local bind = require "cella.root.bind"
local core = require "cella.core"
local lists = require "cella.list"
local mountinfo = require "cella.mountinfo"
local mounts = require "cella.oci.export.mounts"
local own = require "cella.root.own"
local parts = require "cella.root.description"
local wording = require "cella.oci.export.words"

local clean = parts.clean
local M = {}

--- The directory that all of a root is, with what is missing in it made, as runtimes have it: a root of one part. nil
--- of any other.
---@param root table
---@return string?
function M.directory_of(root)
  local part = root[1]
  if root.source or not part or root[2] or part.type ~= "bind" or clean(part.destination) ~= "/" then return nil end
  local is_whole = part.create and type(part.source) == "string" and part.recursive ~= false and part.nodev
  for _, key in ipairs { "idmap", "optional", "propagation", "readonly", "nosuid", "noexec", "noatime", "strictatime",
    "nodiratime", "nosymfollow" } do
    is_whole = is_whole and not part[key]
  end
  for _, key in ipairs { "size", "mode", "inodes", "owner" } do is_whole = is_whole and not root[key] end
  return is_whole and part.source or nil
end

-- Whether a destination is behind something that is mounted before, and what.
local function cover_of(list, destination)
  for i = #list, 1, -1 do
    local above = list[i].destination
    if above ~= "/" and destination:sub(1, #above + 1) == above .. "/" then return list[i] end
  end
  return nil
end

-- A runtime makes what is missing; cella makes nothing on the host, and fails.
local function check_place(state, mount, at)
  if state.makes_missing then return true end
  local destination = clean(mount.destination)
  local above = cover_of(state.mounts, destination)
  local of_host
  if above and above.type == "bind" and above.source:sub(1, 1) == "/" then
    of_host = above.source .. destination:sub(#above.destination + 1)
  elseif not above and state.root_path then
    of_host = state.root_path .. destination
  end
  if not of_host or core.inode(of_host) then return true end
  for part in of_host:gmatch "()/" do
    -- A link leads somewhere in the container.
    if part > 1 and core.readlink(of_host:sub(1, part - 1)) then return true end
  end
  if core.readlink(of_host) then return true end
  if not mount.reserved and not mount.optional then
    state.refuse(at .. ".destination", ("there is no %s, and a runtime would make it on the host"):format(of_host))
  end
  return false
end

-- What a runtime makes by itself: the working directory, and a name for the terminal.
local function is_made_anyway(state, entry)
  if not entry.existing or not state.makes_missing then return false end
  local destination = clean(entry.destination)
  if entry.type == "directory" then return destination == clean(state.cwd) and not entry.mode end
  return entry.type == "symlink" and destination == "/dev/console" and entry.target == "pts/0" and state.terminal
end

local function add_entry(state, entry, at)
  if is_made_anyway(state, entry) then return end
  local destination = clean(entry.destination)
  if state.root_path then
    return state.refuse(at, ("a %s would be made on the host, in the directory that is the root"):format(entry.type))
  end
  local above = cover_of(state.mounts, destination)
  if above then
    return state.refuse(at, ("a bundle has files in its root alone, and over %s lies a %s"):format(above.destination,
      above.type))
  end
  state.made[#state.made + 1] = { entry = entry, at = at }
end

-- A mount of the host's below a path of the host that is not read-only, whatever becomes of what it is mounted on.
local function writable_below(path)
  local found = core.open(path, { "path" })
  if not found then return nil end
  local real = core.readlink(("/proc/self/fd/%d"):format(found:number()))
  found:close()
  for _, mount in ipairs(real and mountinfo.below(real) or {}) do
    if not ("," .. mount.flags .. ","):find(",ro,", 1, true) then return mount.point end
  end
  return nil
end

-- Runtimes make a root read-only, and a path, but nothing that is mounted below.
local ONE_MOUNT = "a runtime makes that one mount read-only, and leaves %s writable, which is mounted below"

local function check_root(state, root)
  -- The host's own is refused as it is.
  local may_be = root.readonly and state.root_path and not bind.of_host_root({ source = state.root_path .. "/" },
    state.host)
  local below = may_be and writable_below(state.root_path .. "/")
  if below then state.refuse("root.readonly", ONE_MOUNT:format(below)) end
end

local function is_readonly(mount)
  return lists.contains(mount.options, "ro")
end

local function check_readonly_path(state, path, at)
  path = clean(path)
  for _, mount in ipairs(state.mounts) do
    if mount.destination:sub(1, #path + 1) == path .. "/" and not is_readonly(mount) then
      return state.refuse(at, ONE_MOUNT:format(mount.destination))
    end
  end
  local cover = cover_of(state.mounts, path .. "/")
  local of_host
  if cover and lists.contains(cover.options, "rbind") and not is_readonly(cover) and cover.source:sub(1, 1) == "/" then
    of_host = cover.source .. path:sub(#cover.destination + 1)
  elseif not cover and state.root_path then
    of_host = state.root_path .. path
  end
  local below = of_host and writable_below(of_host)
  if below then state.refuse(at, ONE_MOUNT:format(below)) end
end

--- The root of a config.json. What is mounted there goes to `state`.
---@param state table
---@param box table
---@return table
function M.of(state, box)
  local whole = own.complete(box, state.host)
  local root = whole.root
  local config = { path = "rootfs", readonly = root.readonly and true or false }
  local source = root.source or M.directory_of(root)
  state.makes_missing = source and not root.source
  if source then
    if type(source) ~= "string" then return config end
    local path = source:sub(1, 1) == "/" and source or core.readlink "/proc/self/cwd" .. "/" .. source
    config.path = wording.json(state, path, "root.path")
    state.root_path = path:gsub("/+$", "")
    if bind.of_host_root({ source = path }, state.host) then
      state.refuse("root", "a runtime would make the mount points of the container in the host's own root")
    end
  end
  state.hears = root.propagation == "slave"
  local devices = whole.devices or {}
  for key, list in pairs { root = root, own = whole.own, mounts = whole.mounts, devices = devices } do
    for i, mount in ipairs(list) do
      state.at[mount] = ("%s[%d]"):format(key, i)
      state.hears = state.hears or mount.propagation == "slave"
    end
  end
  for _, mount in ipairs(whole.mounts) do
    if mounts.is_mount(mount) then state.is_mounted[clean(mount.destination)] = true end
  end
  for _, list in ipairs { state.makes_missing and {} or root, whole.own, whole.mounts, devices } do
    for _, mount in ipairs(list) do
      local at = state.at[mount]
      wording.json(state, mount.destination, at .. ".destination")
      local is_refused = mount.type == "remount"
      if not is_refused and clean(mount.destination) == "/" then
        state.refuse(at, "what lies over the whole root a config.json does not say: let `root` be that")
      elseif not is_refused and not mounts.is_mount(mount) then
        add_entry(state, mount, at)
      elseif not is_refused and check_place(state, mount, at) then
        local before, covered = #state.mounts, cover_of(state.mounts, clean(mount.destination))
        mounts.add(state, mount, at)
        if #state.mounts > before and not covered then state.made[#state.made + 1] = { entry = mount, at = at } end
      end
    end
  end
  for _, path in ipairs(whole.masked_paths or {}) do
    table.insert(state.masked_paths, wording.json(state, path, "masked_paths"))
  end
  check_root(state, root)
  for i, path in ipairs(box.readonly_paths or {}) do
    check_readonly_path(state, path, ("readonly_paths[%d]"):format(i))
    table.insert(state.readonly_paths, wording.json(state, path, "readonly_paths"))
  end
  state.parts = not state.root_path and root or nil
  if state.parts and not root.readonly then state.note "root: what is written to it stays in the bundle" end
  if state.makes_missing then
    state.note "root[1].nodev: whether a device in it can be opened is up to the runtime's rules for devices"
  elseif state.root_path and root.nodev ~= false then
    if root.nodev then
      state.refuse("root.nodev", "of the root a config.json has no flag: whether a device in it can be opened is up to "
        .. "the runtime's rules for devices")
    end
    state.note "root.nodev: whether a device in it can be opened is up to the runtime's rules for devices"
  end
  return config
end

--- A description as it is exported. Where a runtime makes what is missing, a file system that becomes read-only at last
--- (cella.oci.read.mounts) is one that is read-only: runtimes mount in it before that, too.
---@param box table
---@return table
function M.with_readonly(box)
  if not M.directory_of(box.root or {}) then return box end
  local by_place, list = {}, {}
  for i, mount in ipairs(box.mounts or {}) do
    local at = clean(mount.destination)
    local held = by_place[at]
    local only_readonly = mount.type == "remount" and mount.readonly
    for key in pairs(mount) do
      only_readonly = only_readonly and (key == "type" or key == "destination" or key == "readonly")
    end
    if only_readonly and held and list[held].type ~= "bind" then
      local changed = {}
      for key, value in pairs(list[held]) do changed[key] = value end
      changed.readonly = true
      list[held] = changed
    else
      list[#list + 1], by_place[at] = box.mounts[i], #list + 1
    end
  end
  local copy = {}
  for key, value in pairs(box) do copy[key] = value end
  copy.mounts = list
  return setmetatable(copy, getmetatable(box))
end

return M
