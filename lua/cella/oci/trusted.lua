--- Whether a directory is this user's, or root's, alone: who else may write there decides what the next command does.

local core = require "cella.core"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"

local sys = core.sys
local M = {}

local NOBODY = 65534

-- Whether it may be that a user namespace has no ID for this owner, as for the host's root where an engine has made the
-- namespace: who that is nobody in there can tell, though one of the engine's own may be called so, too.
local function is_unmapped(uid)
  return uid == NOBODY and not (file.read "/proc/self/uid_map" or ""):find "^ *0 +0 +4294967295"
end

-- Whether who owns something on the way is somebody else.
local function is_other(owner)
  local _, uid = sys.getresuid()
  return owner ~= uid and owner ~= 0 and not is_unmapped(owner)
end

--- Whether a directory is one that nobody else may write to.
---@param path string
---@return true?, cella.error?
function M.check(path)
  local status, message, errno = core.file_status(path)
  if not status then return failed("stat", path, message, errno) end
  local _, uid = sys.getresuid()
  if status.type ~= "directory" then return failed("stat", path, "no directory") end
  if status.uid ~= uid and status.uid ~= 0 then
    return failed("stat", path, ("belongs to uid %.0f, who is neither this user nor root"):format(status.uid))
  elseif math.floor(status.mode / 16) % 2 == 1 or math.floor(status.mode / 2) % 2 == 1 then
    return failed("stat", path, "others may write to this directory", nil, "chmod go-w")
  end
  return true
end

local MOST_LINKS = 40

-- Whether somebody else may put another directory in the place of this one: on the way to it, which links may lead
-- elsewhere. A group that may is its owner's business; a directory as /tmp lets each have what is his.
local function check_passed(directory)
  local path = directory == "" and "/" or directory
  local status, message, errno = core.file_status(path)
  if not status then return failed("stat", path, message, errno) end
  if is_other(status.uid) then
    return failed("stat", path, ("the way belongs to uid %.0f, who is neither this user nor root, and may put "
      .. "something else there"):format(status.uid))
  elseif math.floor(status.mode / 2) % 2 == 1 and math.floor(status.mode / 512) % 2 == 0 then
    return failed("stat", path, "others may write to this directory, which is on the way", nil, "chmod o-w")
  end
  return true
end

-- Looks at each directory on the way to one; a way that ends is no error here.
local function check_way(path)
  local at, rest, links = "", path, 0
  if path:sub(1, 1) ~= "/" then rest = (core.readlink "/proc/self/cwd" or "") .. "/" .. path end
  while true do
    local name, behind = rest:match "^/*([^/]+)(.*)$"
    if not name then return true end
    rest = behind
    if name == ".." then
      at = at:match "^(.*)/[^/]*$" or ""
    elseif name ~= "." then
      local ok, err = check_passed(at)
      if not ok then
        if err.code == "ENOENT" then return true end
        return nil, err
      end
      local here = at .. "/" .. name
      local target = core.readlink(here)
      if not target then
        at = here
      else
        links = links + 1
        local link = core.open(here, { "path", "nofollow" })
        local status = link and core.file_status(link:number())
        if link then link:close() end
        if links > MOST_LINKS or not status or is_other(status.uid) then
          return failed("stat", here, "a link of somebody who is neither this user nor root is on the way")
        end
        if target:sub(1, 1) == "/" then at = "" end
        rest = "/" .. target .. rest
      end
    end
  end
end

--- The same, and whether nobody else may put another directory in its place.
---@param path string
---@return true?, cella.error?
function M.check_way_to(path)
  local ok, err = M.check(path)
  if ok then return check_way(path) end
  return nil, err
end

return M
