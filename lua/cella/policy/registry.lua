--- Which container has which slice of the subordinate IDs: a small file, changed under a lock and replaced as a
--- whole. It outlives containers on purpose: files on disk stay owned by a slice's IDs.

local core = require "cella.core"
local errors = require "cella.error"
local file_of = require "cella.host.file"
local ranges = require "cella.policy.ranges"

local M = {}

local PATIENCE = 10 -- seconds; the lock is held for a few milliseconds
local ENOENT, EEXIST = 2, 17

local function failed(path, message, errno, why)
  return nil, errors.new { op = "slices", path = path, message = message, errno = errno, why = why }
end

local function make_directory(path)
  local ok, message, errno = core.sys.mkdir(path, 448) -- 0700
  if ok or errno == EEXIST then return true end
  local parent = path:match("^(.+)/[^/]+/*$")
  if errno ~= ENOENT or not parent then return nil, message, errno end
  ok, message, errno = make_directory(parent)
  if not ok then return nil, message, errno end
  ok, message, errno = core.sys.mkdir(path, 448)
  return ok or errno == EEXIST, message, errno
end

-- Whoever may write there hands out the IDs of others. Root may in any case.
local function check_trusted(path, status, type)
  local _, uid = core.sys.getresuid()
  if status.type ~= type then
    return failed(path, ("a %s expected, and this is a %s"):format(type, status.type))
  elseif status.uid ~= uid and status.uid ~= 0 then
    return failed(path, ("belongs to uid %.0f, who is neither this user (%.0f) nor root"):format(status.uid, uid))
  elseif math.floor(status.mode / 16) % 2 == 1 or math.floor(status.mode / 2) % 2 == 1 then
    return failed(path, ("others may write to this %s (mode %04o)"):format(type, status.mode), nil,
      "whoever may write there decides which containers share their IDs: chmod go-w")
  end
  return true
end

local function check_file(path, file)
  local status, message, errno = core.file_status(file:number())
  if not status then return failed(path, message, errno) end
  return check_trusted(path, status, "file")
end

-- The lock, and the directory held open by it: nil, nil where there is no directory and none is to be made.
local function lock(directory, may_make)
  local status, message, errno = core.file_status(directory)
  local ok, err
  if not status and errno == ENOENT then
    if not may_make then return nil end
    ok, message, errno = make_directory(directory)
    if ok then status, message, errno = core.file_status(directory) end
  end
  if not status then return failed(directory, message, errno) end
  ok, err = check_trusted(directory, status, "directory")
  if not ok then return nil, err end
  local path = directory .. "/lock"
  local file
  file, message, errno = core.open(path, { "rdwr", "creat", "nofollow", "nonblock" }, 384) -- 0600
  if not file then return failed(path, message, errno) end
  ok, err = check_file(path, file)
  if not ok then
    file:close()
    return nil, err
  end
  local deadline = core.now() + PATIENCE
  while true do
    ok, message, errno = core.flock(file:number())
    if ok then return file end
    if ok == nil then
      file:close()
      return failed(path, message, errno)
    elseif core.now() > deadline then
      file:close()
      return failed(path, ("another process holds the lock for more than %d seconds"):format(PATIENCE))
    end
    core.poll({}, 0.005)
  end
end

-- "100000 65536 100000 65536 name", a line for each slice.
local LINE = "^(%d+) (%d+) (%d+) (%d+) (.+)$"

local function load(directory)
  local path = directory .. "/slices"
  local status, message, errno = core.file_status(path)
  if not status then
    if errno == ENOENT then return {} end
    return failed(path, message, errno)
  end
  local ok, err = check_trusted(path, status, "file")
  if not ok then return nil, err end
  local text
  text, message, errno = file_of.read(path)
  if not text then return failed(path, message, errno) end
  local list, number = {}, 0
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch "([^\n]*)\n" do
    if text == "" then break end
    number = number + 1
    local uid_first, uid_count, gid_first, gid_count, name = line:match(LINE)
    if not name then
      return failed(path, ("line %d is not of the form of a slice"):format(number), nil,
        "a slice that is not understood could be given away twice: repair or remove the file")
    end
    list[#list + 1] = {
      name = name,
      uid = { first = tonumber(uid_first), count = tonumber(uid_count) },
      gid = { first = tonumber(gid_first), count = tonumber(gid_count) },
    }
  end
  return list
end

local function save(directory, list)
  local lines = {}
  for i, slice in ipairs(list) do
    lines[i] = ("%.0f %.0f %.0f %.0f %s\n"):format(
      slice.uid.first, slice.uid.count, slice.gid.first, slice.gid.count, slice.name)
  end
  local path, fresh = directory .. "/slices", directory .. "/slices.new"
  local ok, message, errno =
    core.sys.write_file(fresh, table.concat(lines), { "creat", "trunc", "nofollow" }, 384)
  if not ok then return failed(fresh, message, errno) end
  ok, message, errno = os.rename(fresh, path)
  if not ok then return failed(path, message, errno) end
  return true
end

--- Calls `change(list)` under the lock. It returns true to have the list written, then what is returned.
-- Where there is no directory, and none is to be made, the list is empty.
local function with_registry(directory, change, may_make)
  local held, err = lock(directory, may_make)
  if err then return nil, err end
  if not held then return select(2, change {}) end
  local list
  list, err = load(directory)
  if not list then
    held:close()
    return nil, err
  end
  local ran, write, a, b = pcall(change, list)
  if ran and write then
    local ok
    ok, err = save(directory, list)
    if not ok then a, b = nil, err end
  end
  held:close()
  if not ran then error(write, 0) end
  return a, b
end

-- The same name tends to get the same slice, also where the registry was lost.
local function hash(name)
  local h = 5381
  for i = 1, #name do h = (h * 33 + name:byte(i)) % 4294967296 end
  return h
end

local function clear(first, count, taken)
  for _, range in ipairs(taken) do
    if first < range.first + range.count and range.first < first + count then return false end
  end
  return true
end

-- A free slice in `pool` (joined ranges): at `wanted` if that will do, else in the row of slots that begins with
-- the one the name points at, else wherever something fits between slices of other sizes.
local function find(pool, count, name, taken, wanted)
  local slots = 0
  for _, range in ipairs(pool) do
    if wanted and wanted >= range.first and wanted + count <= range.first + range.count
      and clear(wanted, count, taken) then
      return wanted
    end
    slots = slots + math.floor(range.count / count)
  end
  local start = slots > 0 and hash(name) % slots or 0
  for i = 0, slots - 1 do
    local slot = (start + i) % slots
    for _, range in ipairs(pool) do
      local here = math.floor(range.count / count)
      if slot < here then
        local first = range.first + slot * count
        if clear(first, count, taken) then return first end
        break
      end
      slot = slot - here
    end
  end
  for _, range in ipairs(pool) do
    for _, other in ipairs(taken) do
      local first = other.first + other.count
      if first >= range.first and first + count <= range.first + range.count and clear(first, count, taken) then
        return first
      end
    end
    if range.count >= count and clear(range.first, count, taken) then return range.first end
  end
end

local function taken_of(list, kind)
  local taken = {}
  for i, slice in ipairs(list) do taken[i] = slice[kind] end
  return taken
end

local function inside(range, pool)
  for _, whole in ipairs(pool) do
    if range.first >= whole.first and range.first + range.count <= whole.first + whole.count then return true end
  end
  return false
end

local function full(kind, count, pool, taken, directory)
  return failed(directory, ("no %ss are free for a slice of %.0f"):format(kind, count), nil,
    ("the subordinate %ss are %.0f in %d ranges, of which %d slices have %.0f; release one, or ask for a smaller "
      .. "slice"):format(kind, ranges.total(pool), #pool, #taken, ranges.total(taken)))
end

--- The slice of that name; made if there is none.
---@param directory string
---@param name string
---@param count integer
---@param pools { uid: table, gid: table }  joined ranges
---@return { uid: { first: integer, count: integer }, gid: { first: integer, count: integer } }? slice
---@return cella.error? err
function M.claim(directory, name, count, pools)
  return with_registry(directory, function(list)
    for _, slice in ipairs(list) do
      if slice.name == name then
        for _, kind in ipairs { "uid", "gid" } do
          if slice[kind].count ~= count then
            return false, failed(directory, ("the slice %q has %.0f %ss, not %.0f"):format(
              name, slice[kind].count, kind, count), nil, "release it first: its files are owned by these IDs")
          elseif not inside(slice[kind], pools[kind]) then
            return false, failed(directory, ("the slice %q has the %ss from %.0f on, which are no longer yours")
              :format(name, kind, slice[kind].first), nil, "release it, and give its files to other IDs")
          end
        end
        return false, slice
      end
    end
    local slice = { name = name }
    for _, kind in ipairs { "uid", "gid" } do
      local taken = taken_of(list, kind)
      -- The same numbers for users and groups, where that can be.
      local first = find(pools[kind], count, name, taken, slice.uid and slice.uid.first)
      if not first then return false, full(kind, count, pools[kind], taken, directory) end
      slice[kind] = { first = first, count = count }
    end
    list[#list + 1] = slice
    return true, slice
  end, true)
end

--- Gives a slice back. False if there is none of that name.
---@return boolean? released
---@return cella.error? err
function M.release(directory, name)
  return with_registry(directory, function(list)
    for i, slice in ipairs(list) do
      if slice.name == name then
        table.remove(list, i)
        return true, true
      end
    end
    return false, false
  end)
end

--- All slices, in the order in which they were made.
---@return { name: string, uid: table, gid: table }[]? slices
---@return cella.error? err
function M.list(directory)
  return with_registry(directory, function(list) return false, list end)
end

return M
