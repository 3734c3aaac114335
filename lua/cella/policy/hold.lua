--- Who has which IDs at the moment: a file in which each range of IDs that was given to a container is locked as long
--- as that container's value lives, and noted for as long as processes may have its IDs.
--
-- The lock ends with the process that holds it. What it has started may live on (die_with_parent = false), so a range
-- that was ever given is noted, and given again only after a look at all processes has found none with its IDs. The
-- note is the pid namespace in which it was given: only there, and from the initial one, are its processes seen.

local core = require "cella.core"
local errors = require "cella.error"

local M = {}

-- Where there is a note of a range; ranges begin at multiples of this.
M.UNIT = 1024
M.MOST = 65536 -- IDs of a range

-- The note of a range that a kept namespace may have, with or without processes: nobody else is given it.
local KEPT = "kept...."

local INITIAL_PID = "effffffc" -- of every kernel since 3.8 (PROC_PID_INIT_INO), in hexadecimal
local EACCES, ENOENT, EROFS, EPERM, EEXIST = 13, 2, 30, 1, 17
-- Nothing can be noted there; what else fails is to be mended.
local NOWHERE = { [EACCES] = true, [ENOENT] = true, [EROFS] = true, [EPERM] = true }

local EFBIG = 27

local function failed(path, message, errno, why)
  if errno == EFBIG then why = "the hard RLIMIT_FSIZE of this process (ulimit -f) is smaller than that file" end
  return nil, errors.new { op = "ids", path = path, message = message, errno = errno, why = why }
end

local function others_may_write(status, uid)
  return status.uid ~= uid or status.mode % 32 >= 16 or status.mode % 4 >= 2
end

local UNTRUSTED = "whoever may write there decides which containers share their IDs: give it to its user alone (chown, "
  .. "chmod go-w), or remove it"

-- The file, opened by way of a directory that nobody else may write to.
local function open(directory, uid)
  local parent, message, errno = core.open(directory, { "rdonly", "directory", "nofollow" })
  if not parent and errno == ENOENT then
    local made
    made, message, errno = core.sys.mkdir(directory, 448) -- 0700
    if not made and errno ~= EEXIST then return failed(directory, message, errno) end
    parent, message, errno = core.open(directory, { "rdonly", "directory", "nofollow" })
  end
  if not parent then return failed(directory, message, errno) end
  local path = ("/proc/self/fd/%d/ids"):format(parent:number())
  local status = core.file_status(parent:number())
  if not status or others_may_write(status, uid) then
    parent:close()
    return failed(directory, "others may write to this directory", nil, UNTRUSTED)
  end
  local file
  file, message, errno = core.open(path, { "rdwr", "creat", "nofollow", "nonblock" }, 384) -- 0600
  parent:close()
  path = directory .. "/ids"
  if not file then return failed(path, message, errno) end
  status = core.file_status(file:number())
  if not status or status.type ~= "file" or status.links ~= 1 or others_may_write(status, uid) then
    file:close()
    return failed(path, "this is not a file that its user alone may write to", nil, UNTRUSTED)
  end
  local registry
  registry, message, errno = core.id_registry(file:number())
  file:close()
  if not registry then return failed(path, message, errno) end
  return registry
end

-- Each is there as long as anything is held by it.
local registries = setmetatable({}, { __mode = "v" })

local function registry_of(directory, uid)
  local registry = registries[directory]
  if registry and registry:is_current() then return registry end
  local err
  registry, err = open(directory, uid)
  registries[directory] = registry
  return registry, err
end

-- The pid namespace, as a note has it; nil where it is not known.
local function own_note()
  local inode = core.inode "/proc/self/ns/pid"
  return inode and ("%08x"):format(inode) or nil
end

local function place_of(range)
  return math.floor(range.first / M.UNIT)
end

-- Of ranges that were given before: the first that no process has anything of any more. All such lose their notes.
local function reclaim(registry, used, note)
  if not note then return nil end
  local locked = {}
  for _, range in ipairs(used) do
    local hold = registry:lock(range.first, range.count)
    if hold then
      local there = registry:note(place_of(range))
      if there ~= KEPT and (there == nil or there == note or note == INITIAL_PID) then
        locked[#locked + 1] = { range = range, hold = hold }
      else
        hold:release()
      end
    end
  end
  -- Only now: what a process had before it was locked is not of interest.
  local ids = #locked > 0 and core.same_file("/proc/self", ("/proc/%d"):format(core.sys.getpid()))
    and core.ids_of_processes()
  local busy = {}
  for id in pairs(ids or {}) do
    for _, one in ipairs(locked) do
      if id >= one.range.first and id < one.range.first + one.range.count then busy[one] = true end
    end
  end
  local found
  for _, one in ipairs(locked) do
    if ids and not busy[one] then
      registry:note(place_of(one.range), found and "" or note)
      found = found or one
    end
    if found ~= one then one.hold:release() end
  end
  if found then return found.range, found.hold end
end

--- Notes that a namespace with these IDs is kept: they are not given to anybody else before the directory is gone, at
--- the next boot. Of IDs that were not given here there is nothing to note.
---@param directory string
---@param first integer  the first of the IDs
---@param count integer  how many; of more than were ever given at once nothing is noted
---@param uid integer  to whom directory and file have to belong
---@return true?, cella.error?
function M.keep(directory, first, count, uid)
  local registry, err = registry_of(directory, uid)
  if not registry then
    if NOWHERE[err.errno] then return true end
    return nil, err
  end
  if count > M.MOST then return true end
  -- A range is noted where it begins, and these may lie anywhere in it. Another that ends before them is kept as well.
  local from = math.max(0, place_of { first = first } - math.floor(M.MOST / M.UNIT) + 1)
  for place = from, place_of { first = first + count - 1 } do
    if registry:note(place) then
      local ok, message, errno = registry:note(place, KEPT)
      if not ok then return failed(directory .. "/ids", message, errno) end
    end
  end
  return true
end

--- Takes the first range that nobody has. Returns it and what holds it: as long as that value is kept, nobody else gets
--- one of these IDs. Nil alone where all are taken; nil, an error and true where nothing can be held here.
---@param directory string  made if it is not there
---@param candidate fun(number: integer): { first: integer, count: integer }?  the first, second, ...; each begins at
---  a multiple of UNIT
---@param uid integer  to whom directory and file have to belong
---@return { first: integer, count: integer }? range
---@return any hold
---@return boolean? nowhere
function M.take(directory, candidate, uid)
  local registry, err = registry_of(directory, uid)
  if not registry then return nil, err, NOWHERE[err.errno] or false end
  local note, used = own_note(), {}
  local number = 1
  while true do
    local range = candidate(number)
    if not range then break end
    number = number + 1
    local place = place_of(range)
    local hold, message, errno = registry:lock(range.first, range.count)
    if hold == nil then return failed(directory .. "/ids", message, errno) end
    if hold and registry:note(place) then
      used[#used + 1] = range
      hold:release()
    elseif hold then
      local ok
      ok, message, errno = registry:note(place, note or "unknown.")
      if not ok then
        hold:release()
        return failed(directory .. "/ids", message, errno)
      end
      return range, hold
    end
  end
  return reclaim(registry, used, note)
end

return M
