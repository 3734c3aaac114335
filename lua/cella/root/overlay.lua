--- Overlays (Documentation/filesystems/overlayfs.rst). fsconfig(2) takes strings of 255 bytes, and some characters mean
--- something to overlay: what such a string cannot say is said by a descriptor.

local blame = require "cella.blame"
local kernels = require "cella.host.kernel"
local filesystem = require "cella.root.filesystem"
local lazy = require "cella.lazy"
---@module "cella.root.idmap"
local idmap = lazy "cella.root.idmap"
local place = require "cella.root.place"

local M = { make = {} }

local LONGEST = 255
local MEANS_SOMETHING = "[\\:,]"

-- A relative one is for another working directory.
local function sayable(path)
  return type(path) == "string" and path:sub(1, 1) == "/" and #path <= LONGEST and not path:find(MEANS_SOMETHING)
end

-- Each lower directory is a parameter of its own.
local function adds_one_by_one(state)
  return state.host.kernel ~= nil and not kernels.is_older(state.host.kernel, "6.8")
end

local function sayable_at_once(lower)
  for _, path in ipairs(lower) do
    if not sayable(path) then return false end
  end
  return #table.concat(lower, ":") <= LONGEST
end

--- Whether an overlay needs a place that nobody sees while it is made.
function M.needs_staging(state, mount)
  return mount.upper == "tmpfs" or mount.idmap ~= nil or not adds_one_by_one(state) and not sayable_at_once(mount.lower)
end

--- Opens what has a relative name: it may go up to the host's root, over which the new one is about to lie.
function M.open_relative(plan, state, mount)
  local paths = {}
  -- Of those that are ID-mapped the parent takes hold.
  for i, path in ipairs(mount.idmap and {} or mount.lower) do paths[i] = path end
  if mount.work then
    paths[#paths + 1] = mount.upper
    paths[#paths + 1] = mount.work
  end
  for _, path in ipairs(paths) do
    if type(path) == "string" and path:sub(1, 1) ~= "/" and not state.early[path] then
      state.early[path] = plan:openat2(path, { "path", "directory" })
    end
  end
end

-- What a descriptor of the caller's stands for, in this mount namespace.
local function opened(plan, source, flags)
  local input = plan:input_descriptor(source.fd)
  local slot = plan:open_tree_of(input, flags)
  plan:close(input)
  return slot
end

-- Older kernels look at a path when the file system is created: until then the descriptor stays open.
local function set_path(plan, state, context, key, path, open)
  if sayable(path) then return plan:fsconfig(context, "string", key, path) end
  local slot = state.early[path] or type(path) == "table" and opened(plan, path)
    or plan:openat2(path, { "path", "directory" })
  plan:fsconfig_at(context, key, slot)
  if not state.early[path] then open[#open + 1] = slot end
end

local ONE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

-- a, b, ... 9, aa, ab, ...
local function short_name(number)
  local above = math.floor((number - 1) / #ONE)
  local last = ONE:sub((number - 1) % #ONE + 1, (number - 1) % #ONE + 1)
  return above > 0 and short_name(above) .. last or last
end

-- A lower directory as a mount that is nowhere yet.
local function take(plan, state, mount, path)
  if mount.idmap then
    return idmap.open(plan, state, { source = path, idmap = mount.idmap, recursive = false }, state.keys[mount]
      .. ".idmap")
  end
  local early = state.early[path]
  return early and plan:open_tree("", "clone", early) or type(path) == "table" and opened(plan, path, "clone")
    or plan:open_tree(path, "clone")
end

-- The directories are bound where their names are short. Returns a slot of that place, and the names.
local function bind_lower(plan, state, mount)
  state.staged = state.staged + 1
  local at, names = ("lower%d"):format(state.staged), {}
  plan:mkdir(at, 448, state.staging)
  local directory = plan:openat2(at, { "path", "directory" }, { "beneath" }, state.staging)
  for i, path in ipairs(mount.lower) do
    names[i] = short_name(i)
    local tree = take(plan, state, mount, path)
    plan:mkdir(names[i], 448, directory)
    plan:move_mount(tree, directory, names[i])
    plan:close(tree)
  end
  return directory, names
end

-- All in one string before Linux 6.8.
local function set_lower(plan, state, context, mount, open)
  local lower = mount.lower
  if adds_one_by_one(state) and not mount.idmap then
    for _, path in ipairs(lower) do set_path(plan, state, context, "lowerdir+", path, open) end
    return nil
  elseif not mount.idmap and sayable_at_once(lower) then
    plan:fsconfig(context, "string", "lowerdir", table.concat(lower, ":"))
    return nil
  end
  local directory, names = bind_lower(plan, state, mount)
  if adds_one_by_one(state) then
    for _, name in ipairs(names) do plan:fsconfig_at(context, "lowerdir+", directory, name) end
    open[#open + 1] = directory
    return nil
  end
  local text = table.concat(names, ":")
  if #text > LONGEST then
    blame(("%s.lower: %d directories are too many before Linux 6.8"):format(state.keys[mount], #lower))
  end
  local before = plan:openat2(".", { "path", "directory" })
  plan:fchdir(directory)
  plan:close(directory)
  plan:fsconfig(context, "string", "lowerdir", text)
  return before
end

-- `upper = "tmpfs"` keeps what is written as long as the container.
local function set_upper(plan, state, context, mount, open)
  if mount.upper == "tmpfs" then
    state.staged = state.staged + 1
    for _, kind in ipairs { "upper", "work" } do
      local name = kind .. state.staged
      plan:mkdir(name, 493, state.staging)
      plan:fsconfig_at(context, kind .. "dir", state.staging, name)
    end
  elseif mount.upper then
    set_path(plan, state, context, "upperdir", mount.upper, open)
    set_path(plan, state, context, "workdir", mount.work, open)
  end
end

--- Lower directories are given from the top to the bottom, as overlay(5) has them.
function M.make.overlay(plan, state, mount)
  -- In a user namespace overlay keeps its notes in attributes that are allowed there.
  local options = state.unprivileged and { { "userxattr" } } or {}
  local open, before = {}, nil
  if mount.idmap and state.host.kernel and kernels.is_older(state.host.kernel, "5.19") then
    blame(("%s.idmap: an overlay of ID-mapped directories needs Linux 5.19"):format(state.keys[mount]))
  end
  local slot = filesystem.new(plan, "overlay", options, mount, function(context)
    set_upper(plan, state, context, mount, open)
    before = set_lower(plan, state, context, mount, open) -- last: it may go to another directory
  end)
  if before then
    plan:fchdir(before)
    plan:close(before)
  end
  for _, descriptor in ipairs(open) do plan:close(descriptor) end
  place.attach(plan, state, mount, slot, "directory")
end

return M
