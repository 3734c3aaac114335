--- What a container mounts, as the `mounts` of a config.json.

local bind = require "cella.root.bind"
local core = require "cella.core"
local description = require "cella.root.description"
local files = require "cella.oci.export.files"
local filesystem = require "cella.root.filesystem"
local json = require "cella.oci.json"

local clean = description.clean
local M = {}

local FLAGS = { "nosuid", "nodev", "noexec", "noatime", "strictatime", "nodiratime" }

local function add(list, ...)
  for i = 1, select("#", ...) do list[#list + 1] = (select(i, ...)) end
  return list
end

local function add_flags(options, mount, prefix)
  if mount.readonly then add(options, prefix .. "ro") end
  for _, name in ipairs(FLAGS) do
    if mount[name] then add(options, prefix .. name) end
  end
  return options
end

-- Flags of all that is mounted below are other words, which not every runtime takes for a file.
local function options_of_bind(mount, is_directory)
  local recursive = is_directory and mount.recursive ~= false
  local options = { recursive and "rbind" or "bind" }
  add_flags(options, mount, "")
  if recursive then add_flags(options, mount, "r") end
  return add(options, (recursive and "r" or "") .. (mount.propagation or "private"))
end

local function entry(destination, fstype, source, options)
  return { destination = clean(destination), type = fstype, source = source, options = json.array(options) }
end

-- Of a file system that is mounted anew.
local function new_filesystem(mount, fstype, more)
  local options = add_flags({}, mount, "")
  if mount.propagation then add(options, mount.propagation) end
  for _, option in ipairs(more or {}) do
    add(options, option[2] and ("%s=%s"):format(option[1], option[2]) or option[1])
  end
  return entry(mount.destination, fstype, fstype, options)
end

local make = {}

function make.bind(state, mount, at)
  local source = mount.source
  if type(source) == "table" then
    if source.fd then return end -- has been refused
    local name = ("files/%d"):format(#state.files + 1)
    state.files[#state.files + 1] = { content = source.content, mode = source.mode }
    if not mount.readonly then
      state.note(at .. ".source: what is written to it stays in the bundle")
    end
    return add(state.mounts, entry(mount.destination, "bind", name, options_of_bind(mount, false)))
  end
  source = files.absolute(source)
  if not core.inode(source) then
    if mount.optional then return end
    return state.refuse(at .. ".source", ("there is no %s here"):format(source))
  end
  if bind.of_host_root({ source = source }, state.host) and not mount.readonly then
    state.refuse(at .. ".readonly", "the host's root is read-only in a container")
  end
  local is_directory = state.host.files[source].type == "directory"
  local made = entry(mount.destination, "bind", source, options_of_bind(mount, is_directory))
  if mount.idmap then
    state.needs "1.1.0"
    local maps = mount.idmap == true and state.maps or mount.idmap
    made.uidMappings, made.gidMappings = state.mapping(maps.uid), state.mapping(maps.gid)
    add(made.options, mount.recursive ~= false and "ridmap" or "idmap")
  end
  add(state.mounts, made)
end

function make.tmpfs(state, mount)
  add(state.mounts, new_filesystem(mount, "tmpfs", filesystem.tmpfs_options(mount)))
end

-- What such a string has to mean nothing in.
local function is_sayable(path) return not path:find '[\\:,"]' end

function make.overlay(state, mount, at)
  local lower, options = {}, {}
  for i, path in ipairs(mount.lower) do
    if type(path) == "table" then
      return state.refuse(("%s.lower[%d].fd"):format(at, i), "is a descriptor of this process, which others have not")
    end
    lower[i] = files.absolute(path)
  end
  local paths = {}
  for _, path in ipairs(lower) do paths[#paths + 1] = path end
  add(options, { "lowerdir", table.concat(lower, ":") })
  for _, key in ipairs { "upper", "work" } do
    if mount[key] then
      paths[#paths + 1] = files.absolute(mount[key])
      add(options, { key .. "dir", paths[#paths] })
    end
  end
  for _, path in ipairs(paths) do
    if not is_sayable(path) then
      return state.refuse(at, ("the path %s has a character that means something to overlay"):format(path))
    end
  end
  if state.unprivileged then add(options, { "userxattr" }) end
  add(state.mounts, new_filesystem(mount, "overlay", options))
end

function make.proc(state, mount, at)
  local options = {}
  if mount.subset then add(options, { "subset", mount.subset }) end
  if mount.hidepid then add(options, { "hidepid", mount.hidepid }) end
  add(state.mounts, new_filesystem(mount, "proc", options))
  if not filesystem.is_protected(state, mount) then return end
  local where = clean(mount.destination)
  if where ~= "/proc" then
    return state.refuse(at .. ".destination", "only of /proc itself does a runtime make parts read-only")
  end
  for _, name in ipairs(filesystem.SWITCHES) do add(state.readonly_paths, where .. "/" .. name) end
  for _, name in ipairs(filesystem.TELLTALES) do add(state.masked_paths, where .. "/" .. name) end
end

function make.sysfs(state, mount, at)
  if state.obeyed and not mount.readonly then
    return state.refuse(at .. ".readonly", "the container has an ID of the host's root, whose writing to /sys the host "
      .. "obeys")
  end
  add(state.mounts, new_filesystem(mount, "sysfs"))
end

function make.filesystem(state, mount)
  local options = {}
  for i, option in ipairs(mount.options or {}) do options[i] = { option } end
  local made = new_filesystem(mount, mount.fstype, options)
  made.source = mount.source or mount.fstype
  add(state.mounts, made)
end

function make.mqueue(state, mount) add(state.mounts, new_filesystem(mount, "mqueue")) end
function make.cgroup2(state, mount) add(state.mounts, new_filesystem(mount, "cgroup2")) end

local function devpts(state, mount)
  local options = filesystem.own_devpts_options(state, mount)
  add(options, { "newinstance" })
  return new_filesystem(mount, "devpts", options)
end

function make.devpts(state, mount) add(state.mounts, devpts(state, mount)) end

-- The devices in it, and the links to them, every runtime makes by itself.
function make.dev(state, mount, at)
  local where = clean(mount.destination)
  if where ~= "/dev" then
    return state.refuse(at .. ".destination", "a runtime makes devices in /dev alone")
  end
  local options = filesystem.tmpfs_options { size = mount.size, inodes = mount.inodes, mode = mount.mode or "0755",
    owner = mount.owner }
  -- A runtime makes the devices there by their numbers.
  local own = {}
  for key, value in pairs(mount) do own[key] = value end
  own.nodev = nil
  add(state.mounts, new_filesystem(own, "tmpfs", options))
  -- What a later mount is all of is not said twice.
  if not state.is_mounted["/dev/pts"] then
    add(state.mounts, devpts(state, { destination = "/dev/pts", nosuid = true, noexec = true }))
  end
  if not state.is_mounted["/dev/shm"] then
    add(state.mounts, new_filesystem({ destination = "/dev/shm", nosuid = true, noexec = true, nodev = true }, "tmpfs",
      { { "mode", "1777" } }))
  end
end

local LETTERS = { char = "c", block = "b" }

-- A device of the host's: the node is bound, and the rules that a runtime has for devices allow it.
function make.device(state, device, at)
  local found = state.host.files[device.path]
  if not found.type and device.optional then return end
  local letter = LETTERS[found.type]
  if not letter then
    return state.refuse(at .. ".path", ("%s is no device here: of a directory of them name each"):format(device.path))
  end
  local major, minor = found.number:match "^(%d+):(%d+)$"
  add(state.mounts, entry(device.destination, "bind", device.path, { "bind", "ro", "nosuid", "noexec", "private" }))
  add(state.devices, { allow = true, type = letter, major = tonumber(major), minor = tonumber(minor), access = "rwm" })
end

--- Adds what a mount or part is. Entries, which mount nothing, are made in the root (cella.oci.export.rootfs).
---@param state table
---@param mount table
---@param at string  its key
function M.add(state, mount, at) make[mount.type](state, mount, at) end

--- Whether it mounts something.
---@param mount table
---@return boolean
function M.is_mount(mount) return make[mount.type] ~= nil end

return M
