-- Challenge 1: map a range of users into a new namespace.
--
-- One ID is yours to map. A range belongs to others, so somebody with privileges has to vouch for it: root writes any
-- map, and for everyone else newuidmap(1) writes those that /etc/subuid grants. A policy finds out which it is here.
local cella = require "cella"
local host = require("cella.host").facts()
local policy = require "cella.policy"

local choose = policy.first {
  policy.subids(),               -- me as root, and my subordinate IDs behind it
  policy.range(0, 100000, 1000), -- for who may map anything: IDs that nobody has
}
local ids, err = choose(host)
if not ids then
  print("There is no range to map here: " .. tostring(err))
  os.exit(77) -- "skipped", as test programs have it
end
print(("The policy is %s, and the %s writes its map (inside, outside, count):"):format(ids.name, ids.via))
print(ids.uid)

-- A directory that both sides see. It is open to all, because root inside is not always you outside.
local directory = io.popen("d=$(mktemp -d) && chmod 777 $d && echo $d"):read("*l")

local box = cella.container {
  ids = choose,
  user = { uid = 0, gid = 0 },
  capabilities = { "chown" },
  mounts = {
    { type = "tmpfs", destination = "/tmp" },
    { type = "bind", source = directory, destination = "/tmp/both" },
  },
}
assert(box:run { "/bin/sh", "-c", [[
  cd /tmp/both
  for id in 0 1 33 999; do
    echo "by user $id" > $id
    chown $id:$id $id
    stat -c 'inside:  the file %n belongs to %u' $id
  done
]] })

for line in io.popen(("cd %s && stat -c '%%n %%u' 0 1 33 999"):format(directory)):lines() do
  local name, owner = line:match("(%d+) (%d+)")
  print(("outside: the file %s belongs to %s"):format(name, owner))
  assert(ids.uid:outside(tonumber(name)) == tonumber(owner), "the map is not what it says")
end
os.execute("rm -r " .. directory)
