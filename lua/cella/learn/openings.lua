--- What is opened of what a program was denied, as mounts: as little as will do, and where that would be a long list of
--- one directory's files, the directory.
--
-- What a path leads to is decided by, not the path: a link may lead anywhere. Where it leads is asked again before each
-- run, as the program has links of its own making where it may write.

local core = require "cella.core"
local description = require "cella.root.description"
local file = require "cella.host.file"
local files = require "cella.denied.files"
local keys = require "cella.denied.key"

---@class cella.learn.opening : cella.denied.mount
---@field by table<string, true>   who asked: "cc1: openat"
---@field real string?             where its path led, of what is the host's

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
    entry.lower, entry.upper, entry.idmap = mount.path, "tmpfs", mount.idmap
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

-- What the host has at a path; `real` is where it leads.
local function look(self, path) return files.of_host(path, self.looks) end

-- Where a path leads; of what is not there, where it would be.
local function real_of(self, path)
  local status = path ~= "/" and look(self, path)
  if status then return status.real end
  local parent = parent_of(path)
  if path == "/" or parent == path then return path end
  local above = real_of(self, parent)
  return (above == "/" and "" or above) .. path:sub(parent == "/" and 1 or #parent + 1)
end

-- What is the home of somebody, or has such in it.
local function is_home(self, path)
  for _, home in ipairs(self.homes) do
    if is_below(home, path) then return true end
  end
  for _, homes in ipairs(self.of_homes) do
    if parent_of(path) == homes then return true end
  end
  return path == "/root"
end

-- What others live in, or much that is none of the program's business: a home, and what such lie in.
local function is_wide(self, path)
  for _, one in ipairs { path, real_of(self, path) } do
    if select(2, one:gsub("/", "")) == 1 or is_home(self, one) then return true end
  end
  return false
end

-- What the container has of the host's system.
local function is_shown(path)
  for _, top in ipairs { "usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32" } do
    if is_below(path, "/" .. top) then return true end
  end
  return false
end

local function is_of_kernel(path) return path:find "^/sys%f[/%z]" ~= nil or path:find "^/proc%f[/%z]" ~= nil end

local FIRST_PERSON, NOBODY = 1000, 65534 -- as login.defs(5) has it where nobody has changed it

-- As passwd(5) has them.
local function homes_of_people()
  local list = {}
  local _, me = core.sys.getresuid()
  for line in (file.read "/etc/passwd" or ""):gmatch "[^\n]+" do
    local uid, home = line:match "^[^:]*:[^:]*:(%d+):[^:]*:[^:]*:(/[^:]*)"
    uid = tonumber(uid)
    if uid and (uid == me or uid >= FIRST_PERSON and uid ~= NOBODY) then list[#list + 1] = home end
  end
  return list
end

---@param cwd string?  where the program is started
---@return cella.learn.openings
function M.new(cwd)
  local self = setmetatable({ opened = {}, left = {}, noted = {}, looks = {}, cwd = cwd and clean(cwd),
    homes = {}, of_homes = { "/home" } }, Openings)
  local homes = homes_of_people()
  homes[#homes + 1] = os.getenv "HOME"
  for _, home in ipairs(homes) do
    if home:sub(1, 1) == "/" then
      local path = clean(home)
      self.homes[#self.homes + 1] = path
      self.homes[#self.homes + 1] = real_of(self, path)
    end
  end
  self.of_homes[2] = real_of(self, "/home")
  -- It is where the program is started; whether it may write there is yet to be seen.
  if self.cwd and self.cwd ~= "/" and not is_shown(self.cwd) then
    self.opened[self.cwd] = { type = "bind", path = self.cwd, real = self.cwd, readonly = true,
      by = { ["where it was started"] = true } }
    if is_home(self, self.cwd) then
      self.opened[self.cwd].type, self.opened[self.cwd].real = "directory", nil
    end
  end
  return self
end

--- Another run begins.
function Openings:begin() self.noted, self.left = {}, {} end

--- Keeps in mind what was denied.
---@param event cella.denied.event
function Openings:note(event) self.noted[#self.noted + 1] = event end

-- Whether what is there may be written to on the host: it lies below the working directory, by its path and by where
-- that leads.
local function is_in_place(self, path, real)
  return self.cwd and not is_wide(self, self.cwd) and not is_shown(self.cwd) and is_below(path, self.cwd)
    and is_below(real, self.cwd)
end

-- The mount for what is written: below the working directory the host's, else the container's own.
local function for_writing(self, mount, part)
  local status, path = part.status, mount.path
  if status and is_in_place(self, clean(part.object), status.real) then
    -- By the path to which links lead: the container has these links too, as it has the working directory.
    return { type = "bind", path = status.real, real = status.real, idmap = part.is_foreign or nil }
  end
  if mount.type == "overlay" and is_shown(path) and is_shown(real_of(self, path)) then
    mount.real = real_of(self, path)
    return mount
  end
  if status and status.type ~= "directory" then return nil end -- a file of the host's, which is to stay as it is
  if is_wide(self, path) then path = clean(part.path or path) end
  return { type = "tmpfs", path = path, real = real_of(self, path) }
end

-- The mount for what is read. What leads into the working directory from elsewhere may lead elsewhere next time.
local function for_reading(self, part, mount)
  local status = part.status
  if not status or self.cwd and is_below(status.real, self.cwd) and not is_below(mount.path, self.cwd) then
    return nil
  elseif status.type == "directory" then
    local lists = part.does == "read" and not is_wide(self, mount.path)
    if not lists then return { type = "directory", path = mount.path, real = status.real } end
  elseif status.type ~= "file" then
    return nil -- what is written there goes to whoever has the other end
  end
  mount.real = status.real
  return mount
end

local function mount_for(self, part)
  local path = clean(part.mount.path)
  local real = part.status and part.status.real or path
  if is_of_kernel(path) or is_of_kernel(real) or path:find "/%.%.%f[/%z]" or path:find "%z" then return nil end
  local mount = {}
  for key, value in pairs(part.mount) do mount[key] = value end
  mount.path = path
  local found
  if part.writes then found = for_writing(self, mount, part) else found = for_reading(self, part, mount) end
  -- No container's table has a path with a newline.
  if not found or (found.path .. (found.real or "")):find("\n", 1, true) then return nil end
  return found
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
  if there and there.idmap and mount.type == there.type then mount.idmap = true end
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

-- Whether the container has what lies there in a path as the host has it, links too.
local function is_of_host(list, path)
  if is_shown(path) then return true end
  while path ~= "/" do
    path = parent_of(path)
    if list[path] and (list[path].type == "bind" or list[path].type == "overlay") then return true end
  end
  return false
end

local MOST_LINKS = 40 -- in a path, as the kernel has it

-- The path at which the container comes out that looks for one: it follows what links of the host's it has.
local function landing(list, path)
  local left, done, links = path, "/", 0
  while left:find "[^/]" do
    local name, rest = left:match "^/*([^/]+)(.*)$"
    local next_path = (done == "/" and "" or done) .. "/" .. name
    local target = name ~= ".." and is_of_host(list, next_path) and core.readlink(next_path)
    left = rest
    if target then
      links = links + 1
      if links > MOST_LINKS then return path end
      left = target .. "/" .. rest
      if target:sub(1, 1) == "/" then done = "/" end
    elseif name == ".." then
      done = parent_of(done)
    elseif name ~= "." then
      done = next_path
    end
  end
  return done
end

local function moved(mount, path)
  local copy = {}
  for key, value in pairs(mount) do copy[key] = value end
  copy.path = path
  return copy
end

-- The same mounts, each where the container comes out.
local function led(list)
  local result = {}
  for path, mount in pairs(list) do
    local place = mount.real and mount.real ~= path and landing(list, path) or path
    if place ~= path then mount = moved(mount, place) end
    local there = result[mount.path]
    if not there or is_more(mount, there) then
      if there then add_by(mount.by, there.by) end
      result[mount.path] = mount
    else
      add_by(there.by, mount.by)
    end
  end
  return result
end

-- Those in one directory, where they are many, are its own: from the deepest up.
local function gathered(self)
  local list = led(self.opened)
  local again
  repeat
    again = false
    for directory, of in pairs(by_directory(list)) do
      local there = list[directory]
      if of.count >= MANY and not is_wide(self, directory) and not (there and there.type ~= "directory") then
        local by = {}
        for path, mount in pairs(list) do
          if parent_of(path) == directory and mount.type == "bind" and mount.readonly then
            add_by(by, mount.by)
            list[path] = nil
          end
        end
        list[directory] = { type = "bind", path = directory, readonly = true, idmap = of.idmap, by = by,
          real = real_of(self, directory) }
        again = true
        break
      end
    end
  until not again
  return led(list)
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

-- Takes away what leads elsewhere by now: what the program asks for there it asks for again.
local function check_all(self)
  self.looks = {}
  for path, mount in pairs(self.opened) do
    if mount.real and real_of(self, path) ~= mount.real then self.opened[path] = nil end
  end
end

--- All that is opened, a directory before what lies in it.
---@return cella.learn.opening[]
function Openings:mounts()
  check_all(self)
  local list, result = gathered(self), {}
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
