-- Step 9: process number 1.
--
-- A pid namespace is for children: a process keeps its number for life, so the one that calls unshare(2) stays where
-- it is, and its next child is the first in the new namespace.
local sys = require "cella.sys"

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()
assert(sys.unshare { "user", "pid" })
assert(sys.write_file("/proc/self/setgroups", "deny"))
assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))

local changed = sys.namespace "pid" ~= sys.namespace "pid_for_children"
print("my children go elsewhere: " .. tostring(changed))

local child = assert(io.popen [[echo "the child is number $$, its parent is number $PPID"]])
io.write(child:read("*a"))
child:close()

-- Its parent is outside, and outsiders have no number in there: 0. When number 1 ends, its namespace ends with it, and
-- there is no second first process. The kernel's word for that is "Cannot allocate memory".
local second, message = io.popen "true"
print("one more: " .. (second and "started" or message))
