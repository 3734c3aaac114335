-- Judges one of many programs of strangers: the one whose number is in JOB_COMPLETION_INDEX. Here, with `cella run`; or
-- all of them on a cluster, as a Job of one pod for each (README.md).
--
--   JOB_COMPLETION_INDEX=7 cella run examples/fleet/fleet.lua PROGRAMS TESTS
--
-- PROGRAMS has one for each number, 0, 1, ...: they need no libraries. TESTS has 1.in, 1.out, 2.in, ...
--
-- Nothing in here is refused by a manifest of Kubernetes: the limits are those of a cgroup, and there is no network.
local cella = require "cella"

local programs, tests = ...
if not programs or not tests then error("two directories are missing: PROGRAMS TESTS", 0) end

local JUDGE = [[
number=${JOB_COMPLETION_INDEX:?is missing}
for input in /tests/*.in; do
  test=${input##*/} right=${input%.in}.out
  if ! timeout -s KILL 2 "/programs/$number" < "$input" > /tmp/written 2>/dev/null; then
    echo "$number: ${test%.in}: failed"; exit 1
  elif ! cmp -s /tmp/written "$right"; then
    echo "$number: ${test%.in}: wrong answer"; exit 1
  fi
done
echo "$number: accepted"
]]

-- The root: a static busybox and the judge; what a pod has as its image, and a bundle as its rootfs.
local root = {
  readonly = true,
  { type = "bind", source = "/bin/busybox", destination = "/bin/busybox", readonly = true },
  { type = "file", destination = "/judge", content = JUDGE },
  { type = "bind", source = programs, destination = "/programs", readonly = true },
  { type = "bind", source = tests, destination = "/tests", readonly = true },
  { type = "tmpfs", destination = "/tmp", size = "4M" },
  { type = "dev", destination = "/dev" },
}
for _, name in ipairs { "sh", "timeout", "cmp" } do
  root[#root + 1] = { type = "symlink", destination = "/bin/" .. name, target = "busybox" }
end

return cella.container {
  root = root,
  user = { uid = 1000, gid = 1000 }, -- not who owns what is in the root
  -- A cluster gives each pod its number; here it is ours.
  environment = { JOB_COMPLETION_INDEX = os.getenv "JOB_COMPLETION_INDEX" },
  command = { "/bin/sh", "/judge" },
}
