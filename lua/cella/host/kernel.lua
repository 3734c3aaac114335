--- The version of the running kernel (uname(2)).

local file = require "cella.host.file"

local M = {}

local release

--- As it calls itself, "6.18.1-amd64"; nil where there is no /proc.
---@return string?
function M.release()
  release = release or (file.read "/proc/sys/kernel/osrelease" or ""):match "^%d+%.%d+[^\n]*"
  return release
end

--- "6.18.1-amd64", or that of the running one, as numbers.
---@param text string?
---@return { major: integer, minor: integer }?
function M.version(text)
  local major, minor = (text or M.release() or ""):match "^(%d+)%.(%d+)"
  return major and { major = tonumber(major), minor = tonumber(minor) } or nil
end

--- Whether it is older than "5.12". One of which nothing is known is not.
---@param version { major: integer, minor: integer }?
---@param than string
---@return boolean
function M.is_older(version, than)
  local wanted = M.version(than)
  return version ~= nil and (version.major < wanted.major
    or version.major == wanted.major and version.minor < wanted.minor)
end

return M
