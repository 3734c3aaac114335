-- Step 10: all of it from outside.
--
-- container-user makes a user namespace for app-user, who makes one for java-user, who makes one for db-user. From
-- inside, each of the three is root and sees nothing of those above. From outside it is a tree, and all are one user.
--
--     lua5.4 10-hierarchy.lua              draws it as text
--     lua5.4 10-hierarchy.lua picture.svg  and as a picture
local cella = require "cella"
local sys = require "cella.sys"

local NAMES = { "container-user", "app-user", "java-user", "db-user" }
local level = tonumber(arg[1] or "") or 1

local function is_called(name)
  local file = assert(io.open("/proc/self/comm", "w"))
  file:write(name)
  file:close()
end

-- Steps 1 and 2 again, for all but the first.
if level > 1 then
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  assert(sys.unshare "user")
  assert(sys.write_file("/proc/self/setgroups", "deny"))
  assert(sys.write_file("/proc/self/uid_map", ("0 %d 1"):format(uid)))
  assert(sys.write_file("/proc/self/gid_map", ("0 %d 1"):format(gid)))
end
-- The last one has a host name and a network of its own as well: its user namespace governs these.
if level == #NAMES then assert(sys.unshare { "uts", "net" }) end
is_called(NAMES[level])

-- Each starts the next, and says nothing; the last one says its number, and all wait until the first has seen it.
local innermost
local command = { arg[-1], arg[0], tostring(level + 1), stdin = "inherit" }
if level == 1 then
  command.stdin, command.stdout = "pipe", function(line) innermost = tonumber(line) end
end
local below = NAMES[level + 1] and assert(cella.plan():exec(command):spawn())
if level > 1 then
  if not below then print(sys.getpid()) end
  io.stdout:flush()
  io.read()
  if below then assert(below:wait()) end
  return
end

while not innermost do assert(not below:wait(0.05), "it has ended before the time") end
local tree = assert(cella.tree(innermost))
print(tree)
if arg[1] then
  local file = assert(io.open(arg[1], "w"))
  file:write(tree:svg())
  file:close()
end
below:close_stdin()
assert(below:wait())
