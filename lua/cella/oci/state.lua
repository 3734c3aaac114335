--- What a runtime knows of its containers: a directory for each, below a root that nobody else may write to.
--
-- state.json is replaced as a whole. Who changes anything holds the lock of the container; it ends with the process,
-- however that ends. Whether a container lives is never written down: the kernel is asked for its process, by number,
-- start time and boot.

local core = require "cella.core"
local Error = require "cella.error"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"
local identity = require "cella.process.identity"
local json = require "cella.oci.json"
local lazy = require "cella.lazy"
local lock = require "cella.oci.lock"
local trusted = require "cella.oci.trusted"

local sys = core.sys
local M = {}

local EEXIST, ENOENT, ENXIO = 17, 2, 6
local MOST_BYTES = 4 * 1024 * 1024

--- Whether a name can be one of a container's: it becomes one of a directory.
---@param id any
---@return true?, cella.error?
function M.check_id(id)
  if type(id) == "string" and id:find "^[A-Za-z0-9_+.-]+$" and id ~= "." and id ~= ".." and #id <= 200
    and id:sub(1, 1) ~= "-" then
    return true
  end
  return nil, Error.new { op = "id",
    message = "no name of a container: letters, digits and _ + . - expected, up to 200, and no - at the beginning" }
end

local function make_directories(path)
  local ok, message, errno = sys.mkdir(path, 448) -- 0700
  if ok or errno == EEXIST then return true end
  local above = path:match "^(.+)/[^/]+/*$"
  if errno ~= ENOENT or not above then return failed("mkdir", path, message, errno) end
  local made, err = make_directories(above)
  if not made then return nil, err end
  ok, message, errno = sys.mkdir(path, 448)
  if ok or errno == EEXIST then return true end
  return failed("mkdir", path, message, errno)
end

--- Where containers are kept, if nobody says so: a directory of the system's, or of the user's session.
---@return string?, cella.error?
function M.default_root()
  local _, uid = sys.getresuid()
  local runtime = os.getenv "XDG_RUNTIME_DIR" or ""
  if uid == 0 and runtime == "" then return "/run/cella-oci" end
  if runtime:sub(1, 1) == "/" then return runtime .. "/cella-oci" end
  return nil, Error.new { op = "root", message = "nowhere to keep what containers there are",
    why = "XDG_RUNTIME_DIR is not set: say --root DIR, a directory of your own" }
end

--- The directory of all containers, made where it is missing.
---@param root string
---@return true?, cella.error?
function M.prepare(root)
  local ok, err = make_directories(root)
  if not ok then return nil, err end
  return trusted.check_way_to(root)
end

--- A process's start, which nobody else of its number has, in this boot or another, by whichever time namespace's clock
--- it is read; nil where there is none.
---@param pid integer
---@return string?
function M.start_time(pid)
  local stat = file.read(("/proc/%d/stat"):format(pid))
  if not stat then return nil end
  local start, boot = identity.start(stat), identity.boot()
  return start and boot and start .. "-" .. boot or nil
end

---@class cella.oci.state
---@field root string
---@field id string
---@field path string   of its directory
---@field lock table?   held while somebody changes it
---@field data table?   what state.json says
---@field broken string?  what is wrong with that, where it is read all the same
local State = {}
State.__index = State

local function new(root, id) return setmetatable({ root = root, id = id, path = root .. "/" .. id }, State) end

local CONFIG = "config.json"

local function sweep(path)
  for _, name in ipairs { "start", "executed", "new", "doomed", CONFIG, "state.json", "lock" } do
    os.remove(path .. "/" .. name)
  end
  os.remove(path)
end

local function gone(self)
  return nil, Error.new { op = "state", path = self.path, code = "ENOENT", message = "container does not exist" }
end

local function take_lock(self)
  local err
  self.lock, err = lock.take(self.path .. "/lock")
  if self.lock then return true end
  if err.code == "ENOENT" then return gone(self) end
  return nil, err
end

--- Makes the directory of a new container, and holds its lock.
---@param root string
---@param id string
---@return cella.oci.state?, cella.error?
function M.create(root, id)
  local ok, err = M.check_id(id)
  if ok then ok, err = M.prepare(root) end
  if not ok then return nil, err end
  local self = new(root, id)
  local message, errno
  ok, message, errno = sys.mkdir(self.path, 448)
  if not ok then
    return failed("mkdir", self.path, errno == EEXIST and "there is a container with that ID" or message,
      errno ~= EEXIST and errno or nil)
  end
  ok, err = take_lock(self)
  if ok then return self end
  -- Where the kernel has refused the lock there is nothing else in there yet.
  if err.errno then sweep(self.path) end
  return nil, err
end

-- Whether a table is one of names to values of a type.
local function is_map(value, kind)
  if type(value) ~= "table" then return false end
  for name, one in pairs(value) do
    if type(name) ~= "string" or type(one) ~= kind then return false end
  end
  return true
end

local function is_text(value) return type(value) == "string" end

-- What there may be, each alone or not at all.
local FIELDS = {
  pid = function(value)
    return type(value) == "number" and value >= 1 and value < 2147483648 and value == math.floor(value)
  end,
  start = is_text, cgroup = is_text, bundle = is_text, rootfs = is_text, created = is_text, owner = is_text,
  annotations = function(value) return is_map(value, "string") end,
  hooks = function(value) return is_map(value, "boolean") end,
  creating = function(value) return type(value) == "boolean" end,
}

-- What cella itself has written there, as long as nothing has happened to the file: else nil, what is wrong, and the
-- text.
local function read(self)
  local text, message, errno = file.read(self.path .. "/state.json")
  if not text then
    if errno == ENOENT then return {} end
    return nil, message, ""
  end
  local value, problem = json.decode(text, MOST_BYTES)
  if type(value) ~= "table" or value[1] ~= nil then
    return nil, text == "" and "it is empty" or problem or "no object", text
  end
  for name, holds in pairs(FIELDS) do
    if value[name] ~= nil and not holds(value[name]) then return nil, name, text end
  end
  return value
end

--- That of a container that there is: locked, where somebody is going to change it. One that cannot be read is refused;
--- with `salvages` it has what is whole of it, and what is wrong in `broken`.
---@param root string
---@param id string
---@param locks boolean?
---@param salvages boolean?
---@return cella.oci.state?, cella.error?
function M.open(root, id, locks, salvages)
  local ok, err = M.check_id(id)
  if not ok then return nil, err end
  local self = new(root, id)
  local status = core.file_status(self.path)
  if not status or status.type ~= "directory" then return gone(self) end
  ok, err = trusted.check_way_to(root)
  if ok then ok, err = trusted.check(self.path) end
  if not ok and err.code == "ENOENT" then return gone(self) end -- in this moment
  if ok and locks then ok, err = take_lock(self) end
  if not ok then return nil, err end
  local wrong, text
  self.data, wrong, text = read(self)
  if self.data then return self end
  if salvages then
    self.broken, self.data = wrong, lazy.load "cella.oci.salvage".data(text, FIELDS, MOST_BYTES)
    return self
  end
  self:unlock()
  return failed("read", self.path .. "/state.json", "what is written there is no state of a container: " .. wrong, nil,
    "delete --force deletes it as far as is known of it")
end

local function replace(self, name, text)
  local path, new_path = self.path .. "/" .. name, self.path .. "/new"
  local ok, message, errno = sys.write_file(new_path, text, { "wronly", "creat", "trunc" }, 384) -- 0600
  if not ok then return failed("write_file", new_path, message, errno) end
  ok, message, errno = os.rename(new_path, path)
  if not ok then return failed("rename", path, message, errno) end
  return true
end

--- Replaces what is written.
---@param data table
---@return true?, cella.error?
function State:write(data)
  local ok, err = replace(self, "state.json", assert(json.encode(data)))
  if not ok then return nil, err end
  self.data = data
  return true
end

--- Keeps the config.json that the container is made of: that of the bundle may change while it runs, or go.
---@param text string
---@return true?, cella.error?
function State:keep_config(text) return replace(self, CONFIG, text) end

--- Where it is kept; nil where the container has not come to that.
---@return string?
function State:config_path()
  local path = self.path .. "/" .. CONFIG
  return core.file_status(path) and path or nil
end

-- Of whichever time namespaces the commands are that have written it and that ask.
local function is_same_start(one, other)
  local tick, boot = (one or ""):match "^(%d+)%-(%x+)$"
  local its_tick, its_boot = (type(other) == "string" and other or ""):match "^(%d+)%-(%x+)$"
  return tick ~= nil and its_tick ~= nil and boot == its_boot and identity.is_same(tick, its_tick)
end

--- A pidfd of its process; nil where that has ended.
---@return cella.fd?
function State:hold()
  local pid, start = self.data.pid, self.data.start
  if not pid or not start then return nil end
  local pidfd = core.pidfd(pid)
  -- Whose it is cannot change any more: the number is this process's until the pidfd sees its end. That is the end of
  -- all of its threads: a hostile program ends the first, which /proc then shows as a zombie, and runs on in another.
  if pidfd and is_same_start(M.start_time(pid), start) then
    local ready = core.poll({ pidfd:number() }, 0)
    if not ready or #ready == 0 then return pidfd end
  end
  if pidfd then pidfd:close() end
  return nil
end

local DOOMED = "/doomed"

--- Has it known that it is going to be deleted, to who holds its lock.
function State:doom() sys.write_file(self.path .. DOOMED, "", { "wronly", "creat" }, 384) end

--- A function that tells whether that is so.
---@return fun(): boolean
function State:dooms()
  return function() return core.file_status(self.path .. DOOMED) ~= nil end
end

-- Whether the process waits for `start`. Who may trace it, as CAP_SYS_PTRACE allows, could have let it go.
local function is_waiting(self)
  local start, _, errno = core.open(self.path .. "/start", { "wronly", "nonblock", "nofollow" })
  if start then start:close() end
  return start ~= nil or errno ~= ENOENT and errno ~= ENXIO
end

--- "creating", "created", "running", "paused" or "stopped" (runtime.md).
---@return string
function State:status()
  local pidfd = self:hold()
  if not pidfd then
    return not self.data.pid and self:is_busy() and "creating" or "stopped"
  end
  pidfd:close()
  if self.data.creating then return "creating" end
  local events = self.data.cgroup and file.read(self.data.cgroup .. "/cgroup.events")
  if events and events:find "frozen 1" then return "paused" end
  return is_waiting(self) and "created" or "running"
end

--- Whether another command has its lock now.
---@return boolean
function State:is_busy() return not self.lock and lock.is_held(self.path .. "/lock") end

--- What `state` prints, and hooks get.
---@param status string?
---@return table
function State:describe(status)
  local data = self.data
  status = status or self:status()
  return { ociVersion = "1.0.2", id = self.id, status = status, pid = status ~= "stopped" and data.pid or 0,
    bundle = data.bundle or "", annotations = data.annotations and next(data.annotations) and data.annotations or nil,
    created = data.created, rootfs = data.rootfs, owner = data.owner }
end

--- The same for who runs in the container, where its process has another number.
---@param status string?
---@param pid integer?  its number here, where that is not written down yet
---@return table
function State:describe_inside(status, pid)
  local described = self:describe(status)
  local path = ("/proc/%d/status"):format(pid or self.data.pid)
  local numbers = (file.read(path) or ""):match "\nNSpid:([^\n]*)"
  described.pid = tonumber((numbers or ""):match "([0-9]+)$") or 0
  return described
end

function State:unlock()
  if self.lock then self.lock:close() end
  self.lock = nil
end

-- How what is being removed is called: no container's name begins so.
local REMOVED = "-removed."

--- Removes what who was killed while removing a container has left.
---@param root string
function M.sweep(root)
  if not trusted.check_way_to(root) then return end -- what is called so there could lead elsewhere
  for _, name in ipairs(core.list_directory(root) or {}) do
    if name:sub(1, #REMOVED) == REMOVED then sweep(root .. "/" .. name) end
  end
end

--- Removes all that there is of it: at once, to others.
---@return true?, cella.error?
function State:remove()
  local path = ("%s/%s%d.%s"):format(self.root, REMOVED, sys.getpid(), self.id)
  local ok, message, errno = os.rename(self.path, path)
  if not ok then return failed("rename", self.path, message, errno) end
  M.sweep(self.root)
  self:unlock()
  if core.file_status(path) then return failed("rmdir", path, "somebody has put something into it") end
  return true
end

--- The IDs of all containers; none where there is no such directory yet.
---@param root string
---@return string[]?, cella.error?
function M.list(root)
  local result = {}
  local ok, err = trusted.check_way_to(root)
  if not ok then
    if err.code == "ENOENT" then return {} end
    return nil, err
  end
  for _, name in ipairs(core.list_directory(root) or {}) do
    local status = M.check_id(name) and core.file_status(root .. "/" .. name)
    if status and status.type == "directory" then result[#result + 1] = name end
  end
  table.sort(result)
  return result
end

return M
