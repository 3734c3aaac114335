--- What is opened of what a program was denied, as mounts: as little as will do, and where that would be a long list of
--- one directory's files, the directory.

local core = require "cella.core"
local description = require "cella.root.description"
local keys = require "cella.denied.key"

---@class cella.learn.opening : cella.denied.mount
---@field by table<string, true>   who asked: "cc1: openat"

---@class cella.learn.openings
---@field opened table<string, cella.learn.opening>  by path
---@field left table<string, cella.denied.event>     what was denied and is not opened, by what is to be told of it
local Openings = {}
Openings.__index = Openings

local M = {}

-- From so many on the directory stands for its files.
local MANY = 4

local function parent_of(path) return path:match "^(.+)/[^/]+$" or "/" end

local function is_below(path, directory)
  return directory == "/" or path == directory or path:sub(1, #directory + 1) == directory .. "/"
end

local clean = description.clean

--- The entry of `mounts`.
---@param mount cella.denied.mount
---@return table
function M.entry(mount)
  local entry = { type = mount.type, destination = mount.path }
  if mount.type == "bind" then
    entry.source, entry.readonly, entry.nodev, entry.idmap = mount.path, mount.readonly, mount.nodev, mount.idmap
  elseif mount.type == "overlay" then
    entry.lower, entry.upper = mount.path, "tmpfs"
  elseif mount.type == "directory" then
    entry.existing = true
  end
  return entry
end

--- The same as Lua.
---@param mount cella.denied.mount
---@return string
function M.text(mount)
  if mount.type ~= "directory" then return keys.mount_text(mount) end
  return ('{ type = "directory", destination = %s, existing = true }'):format(keys.quote(mount.path))
end

---@param cwd string?  where the program is started
---@return cella.learn.openings
function M.new(cwd)
  local self = setmetatable({ opened = {}, left = {}, noted = {}, cwd = cwd and clean(cwd) }, Openings)
  -- It is where the program is started; whether it may write there is yet to be seen.
  if self.cwd and self.cwd ~= "/" and not self.cwd:find "^/usr%f[/%z]" and not self.cwd:find "^/etc%f[/%z]" then
    self.opened[self.cwd] = { type = "bind", path = self.cwd, readonly = true,
      by = { ["where it was started"] = true } }
  end
  return self
end

--- Another run begins.
function Openings:begin() self.noted, self.left = {}, {} end

--- Keeps in mind what was denied.
---@param event cella.denied.event
function Openings:note(event) self.noted[#self.noted + 1] = event end

-- What others live in, or much that is none of the program's business: a home, and what such lie in.
local function is_wide(path)
  local depth = select(2, path:gsub("/", ""))
  if path == "/" or depth == 1 then return true end
  return path:find "^/home/[^/]+$" ~= nil or path == os.getenv "HOME" or is_below(os.getenv "HOME" or "/", path)
end

local function is_of_kernel(path) return path:find "^/sys%f[/%z]" ~= nil or path:find "^/proc%f[/%z]" ~= nil end

-- The mount for what is written: below the working directory the host's, else the container's own.
local function for_writing(self, mount, place)
  local path = mount.path
  if mount.type ~= "bind" then return mount end
  if self.cwd and is_below(path, self.cwd) and not is_wide(self.cwd) then return mount end
  local status = core.file_status(path)
  if not status or status.type ~= "directory" then return nil end -- a file of the host's, which is to stay as it is
  if is_wide(path) then path = place end
  return { type = "tmpfs", path = path }
end

local function for_reading(part, mount)
  if part.status and part.status.type == "directory" then
    local lists = part.does == "read" and not is_wide(mount.path)
    if not lists then return { type = "directory", path = mount.path } end
  end
  return mount
end

local function mount_for(self, part)
  local path = clean(part.mount.path)
  if is_of_kernel(path) or path:find "/%.%.%f[/%z]" or path:find "%z" then return nil end
  local mount = {}
  for key, value in pairs(part.mount) do mount[key] = value end
  mount.path = path
  if part.writes then return for_writing(self, mount, clean(part.path or path)) end
  return for_reading(part, mount)
end

local STRENGTH = { directory = 1, bind = 2, overlay = 3, tmpfs = 4 }

-- Whether a mount gives more than what is there.
local function is_more(mount, there)
  if not there then return true end
  if mount.type ~= there.type then return STRENGTH[mount.type] > STRENGTH[there.type] end
  return there.readonly and not mount.readonly or mount.idmap and not there.idmap or false
end

local function add_by(to, by)
  for who in pairs(by) do to[who] = true end
end

local function put(self, mount, event)
  local there = self.opened[mount.path]
  local by = { [("%s: %s"):format(event.comm, event.call)] = true }
  if not is_more(mount, there) then
    add_by(there.by, by)
    return false
  end
  if there then add_by(by, there.by) end
  if there and there.idmap and mount.type == "bind" then mount.idmap = true end
  mount.by = by
  self.opened[mount.path] = mount
  return true
end

--- Opens what was noted, as far as that is to be. Returns what is new.
---@return cella.learn.opening[]
function Openings:open()
  local new = {}
  for _, event in ipairs(self.noted) do
    local part = keys.part(event)
    local mount = part and part.mount and mount_for(self, part)
    if mount and put(self, mount, event) then
      new[#new + 1] = mount
    elseif not mount or event.cause ~= "file" then
      self.left[(event.key or event.why) .. (event.path or event.address or "")] = event
    end
  end
  self.noted = {}
  return new
end

-- Files that are bound read-only, by their directory.
local function by_directory(list)
  local found = {}
  for path, mount in pairs(list) do
    if mount.type == "bind" and mount.readonly then
      local parent = parent_of(path)
      found[parent] = found[parent] or { count = 0 }
      found[parent].count = found[parent].count + 1
      found[parent].idmap = found[parent].idmap or mount.idmap
    end
  end
  return found
end

-- Those in one directory, where they are many, are its own: from the deepest up.
local function gathered(opened)
  local list = {}
  for path, mount in pairs(opened) do list[path] = mount end
  local again
  repeat
    again = false
    for directory, of in pairs(by_directory(list)) do
      local there = list[directory]
      if of.count >= MANY and not is_wide(directory) and not (there and there.type ~= "directory") then
        local by = {}
        for path, mount in pairs(list) do
          if parent_of(path) == directory and mount.type == "bind" and mount.readonly then
            add_by(by, mount.by)
            list[path] = nil
          end
        end
        list[directory] = { type = "bind", path = directory, readonly = true, idmap = of.idmap, by = by }
        again = true
        break
      end
    end
  until not again
  return list
end

-- What a directory that is bound has anyhow.
local function is_in_another(list, mount)
  local parent = mount.path
  while parent ~= "/" do
    parent = parent_of(parent)
    local above = list[parent]
    if above and above.type == "bind" then
      if mount.type == "directory" then return true end
      return mount.type == "bind" and (not above.readonly or mount.readonly) and (above.idmap or not mount.idmap)
        and mount.nodev ~= false
    elseif above and above.type ~= "directory" then
      return false
    end
  end
  return false
end

--- All that is opened, a directory before what lies in it.
---@return cella.learn.opening[]
function Openings:mounts()
  local list, result = gathered(self.opened), {}
  for _, mount in pairs(list) do
    if not is_in_another(list, mount) then result[#result + 1] = mount end
  end
  table.sort(result, function(a, b) return a.path < b.path end)
  return result
end

--- What was denied in the last run and is not opened, in order.
---@return cella.denied.event[]
function Openings:denied()
  local names, list = {}, {}
  for name in pairs(self.left) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = self.left[name] end
  return list
end

return M
