-- Step 3: a user namespace in a user namespace.
--
-- A map's middle column is in terms of the namespace around it. Whoever is root in the first one and root again in the
-- second reads `0 0 1` there; that the outer 0 is itself only a name for, say, 1000 cannot be seen from here.
local sys = require "cella.sys"

local function become_root_inside()
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  assert(sys.unshare "user")
  assert(sys.write_file("/proc/self/setgroups", "deny"))
  assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
  assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))
end

for _, which in ipairs { "first", "second" } do
  become_root_inside()
  local inside, outside, count = io.open("/proc/self/uid_map"):read("*n", "*n", "*n")
  print(("in the %s, uid_map: %d %d %d"):format(which, inside, outside, count))
end

-- Namespaces form a tree. Nobody in the second can do anything to the first, and root of the first nothing to the
-- host: each one's privileges reach its own namespace and those below.
