-- Challenge 2: map the entire range of users, and see what that means.
--
-- It takes root: only who has CAP_SETUID in the initial namespace may map IDs that are not his own. Such a namespace
-- keeps nobody out: every ID inside is the same ID outside. What is left of the wall is what takes a capability over
-- the *initial* namespace, instead of the rights of a file's owner.
local cella = require "cella"
local host = require("cella.host").facts()
local idmap = require "cella.idmap"
local policy = require "cella.policy"

local ids, err = policy.identity()(host)
if not ids then
  print("Not for you: " .. tostring(err))
  os.exit(77)
end
print("The map: " .. tostring(ids.uid))

-- A file that only root may read.
local secret = io.popen("f=$(mktemp) && echo a secret > $f && echo $f"):read("*l")

local function inside(which, script)
  local result, why = cella.container {
    ids = which,
    user = { uid = 0, gid = 0 },
    capabilities = "all",
    namespaces = { uts = "host" },
    mounts = {
      { type = "tmpfs", destination = "/mnt" },
      { type = "bind", source = secret, destination = secret, readonly = true },
    },
  }:run { "/bin/sh", "-c", script .. " 2>&1", secret, stdout = "capture" }
  return result and (result.stdout:gsub("\n$", "")) or tostring(why)
end

local READ = 'cat "$0"'
print("Root inside reads root's file: " .. inside(policy.identity(), READ))
print("... and with IDs that nobody has outside: " .. inside(policy.range(0, 100000, 1000), READ))

-- Root inside has all capabilities. What they are good for is another matter.
print("Root inside mounts a tmpfs, makes a file there: " .. inside(policy.identity(), "echo > /mnt/file && ls /mnt"))
print("... and a device node: " .. inside(policy.identity(), "mknod /mnt/node c 1 3"))
print("Root inside renames the host: " .. inside(policy.identity(), "hostname moon"))

print("\nThe library says of that map, before anything is started:")
print(idmap.check(ids.uid, host))
os.remove(secret)
