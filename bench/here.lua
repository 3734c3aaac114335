--- Where things are: the checkout, what was compiled for the bench, and a directory for what it leaves lying.

local core = require "cella.core"

local M = {}

local function output_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "l"
  pipe:close()
  return line
end

--- The checkout: absolute, as a worker or a system may be anywhere. A worker starts nothing but what it is to start.
M.top = debug.getinfo(1, "S").source:match "^@(.*)bench/[^/]*$" or "./"
if M.top:sub(1, 1) == "/" then M.top = M.top:sub(1, -2) else M.top = output_of(("cd './%s' && pwd"):format(M.top)) end
M.programs = M.top .. "/build/bench"
M.floor = M.programs .. "/floor"
M.init = M.programs .. "/init"
M.bare = "/bench/bare" -- where M.programs is /bench
M.lua = "lua5.4"

local _, uid = core.sys.getresuid()
local _, gid = core.sys.getresgid()
M.uid, M.gid = uid, gid

--- The path of a program, nil where there is none.
---@param name string
---@return string?
function M.find(name)
  if name:find "/" then return name end
  for directory in (os.getenv "PATH" .. ":/usr/sbin:/sbin"):gmatch "[^:]+" do
    local file = io.open(directory .. "/" .. name)
    if file then
      file:close()
      return directory .. "/" .. name
    end
  end
  return nil
end

local scratch

--- A new directory in the bench's own.
---@return string
function M.directory()
  scratch = scratch or output_of "mktemp -d /tmp/cella-bench.XXXXXX"
  return output_of("mktemp -d " .. scratch .. "/XXXXXX")
end

local filter_file

--- A file with the filter of system calls that every container's program is under by default, for the floor.
---@return string
function M.filter()
  if filter_file then return filter_file end
  filter_file = M.directory() .. "/filter"
  local file = assert(io.open(filter_file, "wb"))
  assert(file:write(require("cella.filter").of("default", require("cella.caps.set").none).program))
  assert(file:close())
  return filter_file
end

function M.remove_directories()
  if scratch then os.execute("rm -rf --one-file-system " .. scratch) end
  scratch, filter_file = nil, nil
end

--- The range of subordinate IDs that is the caller's, of the kind "uid" or "gid", as newuidmap takes it: inside,
--- outside, count. Nil where there is none.
---@param kind string
---@return string?
function M.subordinate(kind)
  local name
  for line in io.lines "/etc/passwd" do
    local user, number = line:match "^(.-):[^:]*:(%d+):"
    if number == tostring(uid) then name = name or user end
  end
  local file = io.open("/etc/sub" .. kind)
  for line in file and file:lines() or function() end do
    local owner, first, count = line:match "^(.-):(%d+):(%d+)"
    if owner == name or owner == tostring(uid) then return ("0 %s %s"):format(first, count) end
  end
end

return M
