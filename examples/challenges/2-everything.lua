-- Challenge 2: map the entire range of users, and see what that means.
--
-- It takes root: only CAP_SETUID in the initial namespace may map IDs that are not one's own. Then the namespace keeps
-- nobody out: every ID inside is the same ID outside. What is left of the wall is what needs a capability over the
-- *initial* namespace, rather than over a file.
local cella = require "cella"
local facts = require("cella.host").facts()
local policy = require "cella.policy"

local ids, err = policy.identity()(facts)
if not ids then
  print("Not for you: " .. tostring(err))
  os.exit(77)
end
print("the map: " .. tostring(ids.uid))

-- A file that only root may read, made out here.
local secret = os.tmpname()
local file = assert(io.open(secret, "w"))
file:write("the secret\n")
file:close()

local function inside(maps, script)
  local plan = cella.plan { namespaces = { "user" }, ids = maps }
  plan:setresgid(0, 0, 0)
  plan:setresuid(0, 0, 0)
  plan:exec { "/bin/sh", "-c", script, secret, stdout = "capture", stderr = "null" }
  return (assert(plan:run()).stdout:gsub("\n$", ""))
end

local everything = { uid = ids.uid, gid = ids.gid, via = ids.via }
local nobodies = policy.range(0, 100000, 1000)(facts)
print("root's file, read by root inside:      " .. inside(everything, 'cat "$0" || echo no'))
print("... with a map of IDs that nobody has: "
  .. (nobodies and inside({ uid = nobodies.uid, gid = nobodies.gid, via = nobodies.via }, 'cat "$0" || echo no')
    or "(there are none)"))

-- Root inside has all capabilities, and yet:
print("the host's name, set by root inside:   " .. inside(everything, "hostname moon && echo yes || echo no"))
print("a device node, made by root inside:    " .. inside(everything, 'mknod "$0.null" c 1 3 && echo yes || echo no'))

-- The library says so before it is done.
print()
print(require("cella.idmap").check(ids.uid, facts))
os.remove(secret)
