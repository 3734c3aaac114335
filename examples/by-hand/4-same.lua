-- Step 4: do two processes share a namespace?
--
-- A namespace has no name. Its identity is that of the file behind /proc/PID/ns/user: an inode number on a device.
-- Where both are equal, it is the same namespace (namespaces(7)). From a shell: `readlink /proc/PID/ns/user`.
local cella = require "cella"
local sys = require "cella.sys"

-- Lua cannot fork, so the library starts the two others: one as it is, one into a user namespace of its own.
local neighbour = assert(cella.plan():exec({ "sleep", "60" }):spawn())
local stranger = assert(cella.plan({ namespaces = { "user" } }):exec({ "sleep", "60" }):spawn())

local function compare(who, pid)
  local inode, device = sys.namespace("user", pid)
  local own_inode, own_device = sys.namespace "user"
  local same = inode == own_inode and device == own_device
  print(("%-12s user:[%d] %s"):format(who, inode, same and "the same as mine" or "another than mine"))
end

compare("me:", sys.getpid())
compare("neighbour:", neighbour.pid)
compare("stranger:", stranger.pid)

neighbour:close() -- ends it
stranger:close()
