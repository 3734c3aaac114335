-- Step 2: with an ID map, root.
--
-- A line of /proc/PID/uid_map says: INSIDE OUTSIDE COUNT. Without privilege a process may map exactly one ID, its
-- own, to whatever it likes to be called inside. Here: 0.
local sys = require "cella.sys"

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()
print(("outside: uid %d, gid %d"):format(uid, gid))

assert(sys.unshare "user")
-- Each map is written once, in one write(2): what it says then is final. The order matters. Since Linux 3.19 who maps
-- an own group has to renounce setgroups(2) first: leaving a group can be a way to files that the group is denied.
assert(sys.write_file("/proc/self/setgroups", "deny"))
assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))

print(("inside:  uid %d, gid %d"):format((sys.getresuid()), (sys.getresgid())))
for _, name in ipairs { "uid_map", "gid_map" } do
  local inside, outside, count = io.open("/proc/self/" .. name):read("*n", "*n", "*n")
  print(("%s: %d %d %d"):format(name, inside, outside, count))
end
