-- Step 7: mounts that nobody else sees.
local sys = require "cella.sys"

-- /proc/self/mountinfo has a line for each mount that this process sees; proc(5) says what is in it.
local function mounts_on(path)
  local count = 0
  for line in io.lines "/proc/self/mountinfo" do
    if line:match("^%S+ %S+ %S+ %S+ (%S+)") == path then count = count + 1 end
  end
  return count
end

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()
local before = mounts_on "/tmp"

assert(sys.unshare { "user", "mount" })
assert(sys.write_file("/proc/self/setgroups", "deny"))
assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))

-- A new mount namespace is a copy, and where the host's mounts are "shared" (as systemd makes them) the copies hear of
-- each other's changes. Private ends that in both directions; "rec" is for all mounts below / too.
assert(sys.mount("none", "/", nil, { "rec", "private" }))
assert(sys.mount("tmpfs", "/tmp", "tmpfs", { "nosuid", "nodev" }, "size=1M,mode=0700"))

print(("mounts on /tmp: %d before, %d now"):format(before, mounts_on "/tmp"))
local file = assert(io.open("/tmp/hello", "w"))
file:write "nobody else can read this\n"
file:close()
print("in it: " .. io.open("/tmp/hello"):read())
-- The file is gone with this process: no other is in the namespace, and the kernel unmounts what nobody can see.
