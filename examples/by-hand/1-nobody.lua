-- Step 1: a new user namespace, and nobody in it.
--
-- IDs in a user namespace mean nothing until somebody says which IDs outside they stand for. Until then the kernel
-- shows every ID as the overflow ID, 65534, which distributions call "nobody" (user_namespaces(7)).
local sys = require "cella.sys"

local function show(when)
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  print(("%-8s uid %d, gid %d"):format(when, uid, gid))
end

show "before:"
assert(sys.unshare "user") -- no privilege is needed for this one
show "after:"

-- It is a matter of names only. To the host this process is who it was: it may read and write the same files.
local map = io.open("/proc/self/uid_map"):read("*a")
print("uid_map: " .. (map == "" and "empty" or map))
