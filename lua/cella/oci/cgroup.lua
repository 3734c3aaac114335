--- The cgroup of a container of a runtime's: made before its process, which is born in there, and removed by another
--- command later. cgroups(7), version 2.

local core = require "cella.core"
local lazy = require "cella.lazy"
---@module "cella.cgroup.description"
local description = lazy "cella.cgroup.description"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"
---@module "cella.mountinfo"
local mountinfo = lazy "cella.mountinfo"

local sys = core.sys
local M = {}

local EEXIST, ENOENT, ENODEV, EOPNOTSUPP = 17, 2, 19, 95
local PATIENCE = 10 -- seconds

-- Where version 2 is mounted: the last one covers others.
local function find_mount()
  local found
  for _, mount in ipairs(mountinfo.own()) do
    if mount.kind == "cgroup2" then found = mount end
  end
  return found
end

local function own_cgroup()
  return ("\n" .. (file.read "/proc/self/cgroup" or "")):match "\n0::([^\n]*)"
end

local function write(path, text)
  local ok, message, errno = sys.write_file(path, text)
  if not ok then return failed("write_file", path, message, errno) end
  return true
end

-- Hands the controllers down that the files below need.
local function enable(directory, files)
  for _, one in ipairs(files) do
    local controller = one[1]:match "^([a-z]+)%."
    local control = directory .. "/cgroup.subtree_control"
    if not (" " .. (file.read(control) or ""):gsub("%s", " ") .. " "):find(" " .. controller .. " ", 1, true) then
      local ok, err = write(control, "+" .. controller)
      if not ok then
        err.why = ("%s needs the controller %s, which is not to be had here (cgroups(7))"):format(one[1], controller)
        return nil, err
      end
    end
  end
  return true
end

local function make(directory)
  local ok, message, errno = sys.mkdir(directory, 493) -- 0755
  if not ok and errno ~= EEXIST then return failed("mkdir", directory, message, errno) end
  return true, nil, ok
end

-- Whether nobody is in there, or below: all of it is killed with the container. The kernel counts both (cgroups(7)).
local function is_empty(directory)
  return ("\n" .. (file.read(directory .. "/cgroup.events") or "")):find("\npopulated 0\n", 1, true) ~= nil
end

-- Writes a limit, and reads back what the kernel has made of it.
local function apply(directory, one)
  local name, text = one[1], one[2]
  local path = directory .. "/" .. name
  local ok, err = write(path, text)
  if not ok then return nil, err end
  local found = file.read_trimmed(path) or ""
  if name:find "^memory%." or name:find "%.max$" or name:find "%.weight$" or name:find "^cpuset" then
    if not description.holds({ file = name, text = text, unified = one.unified }, found) then
      return failed("write_file", path, ("%q was written, and the kernel says %q"):format(text, found))
    end
  end
  return true
end

local function check_free(directory)
  if not core.file_status(directory) or is_empty(directory) then return true end
  return failed("mkdir", directory, "there are processes in this cgroup already", nil,
    "it has to be the container's own: all that is in there, or below, is killed when that is deleted")
end

-- Makes each directory of a path below the mount, and enables what the last one needs. `made` gets those that were not
-- there.
local function make_path(mount, parts, files, made, taken)
  local directory = mount.point
  for i, part in ipairs(parts) do
    local ok, err = enable(directory, files)
    if not ok then return nil, err end
    directory = directory .. "/" .. part
    if i == #parts then
      ok, err = check_free(directory)
      if ok then ok, err = taken(directory) end
      if not ok then return nil, err end
    end
    local is_new
    ok, err, is_new = make(directory)
    if not ok then return nil, err end
    if is_new then
      table.insert(made, 1, directory)
    elseif i == #parts then
      ok, err = check_free(directory)
      if not ok then return nil, err end
    end
  end
  for _, one in ipairs(files) do
    local ok, err = apply(directory, one)
    if not ok then return nil, err end
  end
  return directory
end

--- Makes the cgroup that a bundle asks for, with its limits. Returns nil alone where it asks for none; where it fails,
--- none stays that it has made. `taken` is told the directory when nobody is in it, and before it is made: who is
--- killed after that has it written down.
---@param wanted { path: string?, files: table }
---@param taken fun(directory: string): true?, cella.error?
---@return { directory: string }?, cella.error?
function M.create(wanted, taken)
  if not wanted.path then return nil end
  local mount = find_mount()
  if not mount then
    return failed("cgroup", nil, "cgroup v2 is not mounted here", nil, "linux.cgroupsPath asks for one: the bundle has "
      .. "to be without, as podman makes it with --cgroups=disabled")
  end
  local parts = {}
  -- What is relative is below where this process is.
  local from = wanted.path:sub(1, 1) == "/" and "" or (own_cgroup() or "")
  for part in (from .. "/" .. wanted.path):gmatch "[^/]+" do parts[#parts + 1] = part end
  local made = {}
  local directory, err = make_path(mount, parts, wanted.files, made, taken)
  if directory then return { directory = directory } end
  for _, path in ipairs(made) do os.remove(path) end
  return nil, err
end

--- Whether a directory is the cgroup that a bundle means by a path: what is relative may lie anywhere.
---@param directory string
---@param path string
---@return boolean
function M.is_named(directory, path)
  local mount = find_mount()
  if not mount or directory:sub(1, #mount.point + 1) ~= mount.point .. "/" then return false end
  local place = directory:sub(#mount.point + 1)
  local wanted = ("/" .. path):gsub("//+", "/"):gsub("(.)/$", "%1")
  if (place .. "/"):find("/../", 1, true) or wanted == "/" then return false end
  local is_that = place == wanted or path:sub(1, 1) ~= "/" and place:sub(-#wanted) == wanted
  return is_that and core.file_status(directory .. "/cgroup.events") ~= nil
end

--- Moves this process there, so that what it starts is born there. Returns the way back, which says whether it was
--- taken: what stays in there is killed with the container.
---@param place { directory: string }?
---@return (fun(): true?, cella.error?)?, cella.error?
function M.enter(place)
  if not place then return function() return true end end
  local events = "\n" .. (file.read(place.directory .. "/cgroup.events") or "")
  if events:find("\nfrozen 1\n", 1, true) then
    return failed("cgroup", place.directory, "it is frozen, or one above it is", nil,
      "this process, and what it starts in there, would stand still: thaw it (cgroup.freeze)")
  end
  local mount, was = find_mount(), own_cgroup()
  local ok, err = write(place.directory .. "/cgroup.procs", "0")
  if not ok then return nil, err end
  return function() return write(mount.point .. was .. "/cgroup.procs", "0") end
end

local function wait_for(directory, word)
  local till = core.now() + PATIENCE
  while not (file.read(directory .. "/cgroup.events") or word):find(word, 1, true) do
    if core.now() > till then
      return failed("cgroup", directory, ("not %q after %d seconds"):format(word, PATIENCE))
    end
    core.poll({}, 0.005)
  end
  return true
end

-- The program may have made cgroups in there, as many and as deep as it likes: no path of them need be short enough for
-- the kernel, so that from time to time one of them is opened.
local LONGEST = 2000

-- Gone meanwhile, or threaded: of these the one above tells (cgroups(7)).
local HAS_NONE = { [ENOENT] = true, [ENODEV] = true, [EOPNOTSUPP] = true }

local function directories_in(at)
  local names, message, errno = core.list_directory(at)
  if not names and not HAS_NONE[errno] then return nil, message, errno end
  local found = {}
  for _, name in ipairs(names or {}) do
    local status = core.file_status(at .. "/" .. name)
    if status and status.type == "directory" then found[#found + 1] = name end
  end
  return found
end

local function add_processes(list, at)
  local text, message, errno = file.read(at .. "/cgroup.procs")
  if not text and not HAS_NONE[errno] then return nil, message, errno end
  for pid in (text or ""):gmatch "%d+" do list[#list + 1] = tonumber(pid) end
  return true
end

-- The cgroup as { descriptor, path from there }; false where it is gone.
local function place_at(path)
  local fd, message, errno = core.open(path, { "path", "directory" })
  if fd then return { fd, "." } end
  if HAS_NONE[errno] then return false end
  return nil, message, errno
end

-- Adds the processes of a place to a list, and returns the places below.
local function look_at(place, result)
  local at = ("/proc/self/fd/%d/%s"):format(place[1]:number(), place[2])
  local ok, message, errno = add_processes(result, at)
  local names
  if ok then names, message, errno = directories_in(at) end
  if not names then return nil, message, errno end
  if #names > 0 and #place[2] > LONGEST then
    place, message, errno = place_at(at)
    if not place then return place == false and {} or nil, message, errno end
  end
  local below = {}
  for i, name in ipairs(names) do below[i] = { place[1], place[2] .. "/" .. name } end
  return below
end

--- The processes in there, and in the cgroups below; nil and an error where not all are told: who has mounted it may
--- have taken the rights away.
---@param directory string
---@return integer[]?, cella.error?
function M.processes(directory)
  local result, left = {}, {}
  local more, message, errno = place_at(directory)
  more = more and { more }
  while more do
    for _, place in ipairs(more) do left[#left + 1] = place end
    if #left == 0 then return result end
    more, message, errno = look_at(table.remove(left), result)
  end
  if more == false then return result end
  return failed("open", directory, message, errno)
end

--- SIGKILL for all in there.
---@param directory string
---@return true?, cella.error?
function M.kill(directory)
  local place, message, errno = core.open(directory, { "path", "directory" })
  if not place then
    if errno == ENOENT then return true end
    return failed("open", directory, message, errno)
  end
  local ok
  ok, message, errno = core.kill_cgroup(place:number())
  place:close()
  if not ok then return failed("write_file", directory .. "/cgroup.kill", message, errno) end
  if core.file_status(directory .. "/cgroup.kill") then return true end
  -- Before Linux 5.14: what stands still makes no new processes.
  sys.write_file(directory .. "/cgroup.freeze", "1")
  local err
  ok, err = M.signal(directory, "kill")
  sys.write_file(directory .. "/cgroup.freeze", "0")
  return ok, err
end

--- A signal for all processes in there, and in the cgroups below.
---@param directory string
---@param signal string|integer
---@return true?, cella.error?
function M.signal(directory, signal)
  local held = {}
  local pids, err = M.processes(directory)
  if not pids then return nil, err end
  for _, pid in ipairs(pids) do held[pid] = core.pidfd(pid) end
  -- Whose number is there still is who was taken hold of, and no other that has got the number meanwhile.
  pids, err = M.processes(directory)
  for _, pid in ipairs(pids or {}) do
    if held[pid] then held[pid]:signal(signal) end
  end
  for _, pidfd in pairs(held) do pidfd:close() end
  if not pids then return nil, err end
  return true
end

--- Stops all in there, or lets it go on; returns once that is so.
---@param directory string
---@param frozen boolean
---@return true?, cella.error?
function M.freeze(directory, frozen)
  local ok, err = write(directory .. "/cgroup.freeze", frozen and "1" or "0")
  if not ok then return nil, err end
  return wait_for(directory, frozen and "frozen 1" or "frozen 0")
end

--- Kills what is left in there and removes it, with those below it. May be called again.
---@param directory string?
---@return true?, cella.error?
function M.remove(directory)
  if not directory then return true end
  local above, name = directory:match "^(.*)/([^/]+)/*$"
  local place, message, errno = core.open(above .. "/", { "path", "directory" })
  local ok = nil
  if place then
    ok, message, errno = core.end_cgroup(place:number(), name, PATIENCE)
    place:close()
  end
  if ok or errno == ENOENT then return true end
  return failed("rmdir", directory, message, errno, core.errno_name(errno) == "EBUSY"
    and ("a process in there has not ended in %d seconds"):format(PATIENCE) or nil)
end

return M
