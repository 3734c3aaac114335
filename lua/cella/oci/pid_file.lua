--- The file that an engine finds a process's number in.

local core = require "cella.core"
local failed = require "cella.oci.failed"

local sys = core.sys

--- Writes it, as a whole.
---@param path string
---@param pid integer
---@return true?, cella.error?
return function(path, pid)
  local new = ("%s/.%s"):format(path:match "^(.*)/[^/]*$" or ".", path:match "[^/]*$")
  -- Where others may write, what is there of that name leads to wherever they like.
  os.remove(new)
  local ok, message, errno = sys.write_file(new, ("%d"):format(pid), { "wronly", "creat", "excl" }, 420) -- 0644
  if not ok then return failed("write_file", new, message, errno) end
  ok, message, errno = os.rename(new, path)
  if not ok then return failed("rename", path, message, errno) end
  return true
end
