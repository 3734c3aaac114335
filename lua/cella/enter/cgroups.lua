--- Moving a process to the cgroups of another, by this process and with its rights: what enters never has a descriptor
--- of a cgroup, which would carry them inside (CVE-2024-21626).

local core = require "cella.core"
local Error = require "cella.error"
local mountinfo = require "cella.mountinfo"

local M = {}

local EACCES = 13

-- /proc/PID/cgroup as { id, controllers, path }.
local function parse(text)
  local list = {}
  for id, controllers, path in text:gmatch("(%d+):([^:\n]*):([^\n]*)") do
    list[#list + 1] = { id = id, controllers = controllers, path = path }
  end
  return list
end

-- The hierarchies, as they are mounted here.
local function hierarchies()
  local list = {}
  for _, mount in ipairs(mountinfo.own()) do
    if mount.kind == "cgroup" or mount.kind == "cgroup2" then list[#list + 1] = mount end
  end
  return list
end

local function directory_of(cgroup, mounted)
  for _, hierarchy in ipairs(mounted) do
    local fits = hierarchy.kind == "cgroup2"
    if cgroup.id ~= "0" then
      fits = hierarchy.kind == "cgroup"
      for name in cgroup.controllers:gmatch("[^,]+") do
        fits = fits and ("," .. hierarchy.options .. ","):find("," .. name .. ",", 1, true) ~= nil
      end
    end
    local root = hierarchy.root == "/" and "" or hierarchy.root
    if fits and (cgroup.path .. "/"):sub(1, #root + 1) == root .. "/" then
      return hierarchy.point .. cgroup.path:sub(#root + 1)
    end
  end
  return nil
end

--- The cgroups of a process in which this one is not: a list of directories, with what names them.
---@param theirs string  /proc/PID/cgroup
---@param ours string    /proc/self/cgroup
---@return { name: string, directory: string }[]?, cella.error?
function M.differing(theirs, ours)
  local own, list, mounted = {}, {}, nil
  for _, cgroup in ipairs(parse(ours)) do own[cgroup.id .. ":" .. cgroup.controllers] = cgroup.path end
  for _, cgroup in ipairs(parse(theirs)) do
    if own[cgroup.id .. ":" .. cgroup.controllers] ~= cgroup.path then
      mounted = mounted or hierarchies()
      local directory = directory_of(cgroup, mounted)
      if not directory or (cgroup.path .. "/"):find("/%.%./") then
        return nil, Error.new { op = "enter",
          message = ("the process is in the cgroup %s, which cannot be reached here"):format(cgroup.path),
          why = "its hierarchy is not mounted, or it lies outside of this process's cgroup "
            .. 'namespace; exceed = { "cgroup" } leaves what enters in the cgroup of the caller' }
      end
      list[#list + 1] = { name = cgroup.path, directory = directory }
    end
  end
  return list
end

-- Who is moved into what is frozen stands still too, and nobody would ever hear of it.
local function is_frozen(directory)
  for name, word in pairs { ["cgroup.events"] = "frozen 1", ["freezer.state"] = "^FROZEN" } do
    local file = io.open(directory .. "/" .. name)
    local text = file and file:read("*a")
    if file then file:close() end
    if text and text:find(word) then return true end
  end
  return false
end

--- Moves a process.
---@param pid integer  a child that cannot have been reaped
---@param list table   of M.differing
---@return true?, string?
function M.move(pid, list)
  for _, cgroup in ipairs(list) do
    if is_frozen(cgroup.directory) then
      return nil, ("%s is frozen: what enters would stand still before it is the program; thaw it"):format(
        cgroup.directory)
    end
    local directory, message, errno = core.open(cgroup.directory, { "path", "directory" })
    local ok = false
    if directory then
      ok, message, errno = core.sys.write_file("cgroup.procs", ("%d"):format(pid), nil, nil, directory:number())
      directory:close()
    end
    if not ok then
      local text = ("%s/cgroup.procs: %s"):format(cgroup.directory, errno and core.strerror(errno) or message)
      if errno == EACCES then
        text = text .. "; a process is moved by who may write to the cgroup.procs of its new cgroup and of the nearest "
          .. "that is above both (cgroups(7))"
      end
      return nil, text
    end
  end
  return true
end

return M
