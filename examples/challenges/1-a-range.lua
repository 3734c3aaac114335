-- Challenge 1: map a range of users into a new namespace.
--
-- One ID is yours to map. A range belongs to others, so somebody with privileges has to vouch for it: root writes any
-- map, and for everyone else newuidmap(1) writes those that /etc/subuid grants. A policy finds out which it is here.
local cella = require "cella"
local facts = require("cella.host").facts()
local policy = require "cella.policy"

local choose = policy.first {
  policy.subids(),              -- me as root, and my subordinate IDs behind it
  policy.range(0, 100000, 1000) -- who may map anything: IDs that nobody has
}
local ids, err = choose(facts)
if not ids then
  print("There is no range to map: " .. tostring(err))
  os.exit(77) -- "skipped", as test programs have it
end
print(("policy %s, written by the %s:"):format(ids.name, ids.via))
print(ids.uid)

-- The same file, as each side sees its owner. The directory is open to all because root inside is not always you.
local directory = io.popen("mktemp -d && chmod 777 $(ls -td /tmp/tmp.* | head -n 1)"):read("l")
local plan = cella.plan {
  namespaces = { "user" },
  ids = { uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups, helper = ids.helper },
}
plan:setresgid(0, 0, 0)
plan:setresuid(0, 0, 0) -- until now it was you, whatever it looked like
plan:exec { "/bin/sh", "-c", [[
  cd "$0" && umask 077
  for id in 0 1 33 999; do
    echo "user $id" > $id && chown $id:$id $id
    echo "inside:  file $(stat -c '%n belongs to %u' $id)"
  done]], directory }
assert(plan:run())

for line in io.popen(("cd %s && stat -c '%%n %%u' 0 1 33 999"):format(directory)):lines() do
  local name, owner = line:match("(%d+) (%d+)")
  print(("outside: file %s belongs to %s"):format(name, owner))
  assert(ids.uid:outside(tonumber(name)) == tonumber(owner), "the map is not what it says")
end
os.execute("rm -rf " .. directory)
