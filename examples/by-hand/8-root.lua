-- Step 8: a root of one's own, and the old one gone.
--
-- chroot(2) only moves the point where paths begin; the host's files stay in reach of whoever has a way around it.
-- pivot_root(2) exchanges the root mount itself. Then the old one can be unmounted, and there is nothing to escape to.
local sys = require "cella.sys"

-- A root has nothing above it: its ".." is itself. Unless something is mounted on it; then ".." is that.
local function show(when)
  for _, path in ipairs { "/etc/passwd", "/../etc/passwd" } do
    local file = io.open(path)
    print(("%-8s %s is %s"):format(when, path, file and "there" or "not there"))
    if file then file:close() end
  end
end

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()
assert(sys.unshare { "user", "mount" })
assert(sys.write_file("/proc/self/setgroups", "deny"))
assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))
assert(sys.mount("none", "/", nil, { "rec", "private" }))

show "before:"
-- The new root has to be a mount. An empty tmpfs will do; a container has a directory with a whole system in it, bound
-- to itself: sys.mount(directory, directory, nil, { "bind", "rec" }).
assert(sys.mount("tmpfs", "/tmp", "tmpfs", { "nosuid", "nodev" }, "size=1M,mode=0755"))
assert(sys.chdir "/tmp")
-- With "." for both, the old root lands on top of the new one, where umount2 finds it: no directory is needed to put
-- it in, and none stays behind. Until it is unmounted there is a way back: try without that line.
assert(sys.pivot_root(".", "."))
assert(sys.umount2(".", "detach"))
assert(sys.chdir "/")
show "after:"
