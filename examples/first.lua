-- A first container: the host's programs, read-only, with a /proc, a /dev and a /tmp of its own; no privileges.
-- It shows what it is.
--
--   cella run examples/first.lua
--   cella run examples/first.lua -- bash
--   cella plan examples/first.lua
local cella = require "cella"

local look = [[
say() { printf '\n== %s\n' "$*"; }

say "who I am, inside:"
id
say "... and what that is outside (inside, outside, count):"
echo "uid_map $(cat /proc/self/uid_map)"
echo "gid_map $(cat /proc/self/gid_map)"
echo "setgroups $(cat /proc/self/setgroups)"

say "what I may do: the five capability sets, and no_new_privs"
grep -E '^(Cap|NoNewPrivs)' /proc/self/status

say "my namespaces beside the host's"
for link in cgroup ipc mnt net pid time user uts; do
  mine=$(readlink /proc/self/ns/$link)
  eval "theirs=\$HOST_$link"
  [ "$mine" = "$theirs" ] && word="the same as" || word="not"
  printf '%-7s %-20s %s %s\n' "$link" "$mine" "$word" "$theirs"
done
echo "host name: $(hostname)"

say "the processes that I see"
for status in /proc/[0-9]*/comm; do
  pid=${status#/proc/}
  echo "${pid%/comm} $(cat "$status" 2>/dev/null)"
done

say "the mounts that are mine (the rest is the host's, read-only)"
awk '$5 ~ "^/(proc|tmp|dev|run|var)" && $6 ~ "^rw" { print $5, $6 }' /proc/self/mountinfo

say "and writing to the host's files?"
touch /etc/hello 2>&1
]]

-- The host's side of the comparison travels in the environment, beside PATH, HOME and TERM, which every container has.
local environment = {}
for link, namespace in pairs { cgroup = "cgroup", ipc = "ipc", mnt = "mount", net = "net", pid = "pid", time = "time",
  user = "user", uts = "uts" } do
  environment["HOST_" .. link] = ("%s:[%d]"):format(link, (require("cella.sys").namespace(namespace)))
end

return cella.container {
  hostname = "moon",
  mounts = { { type = "tmpfs", destination = "/tmp", size = "16M" } },
  environment = environment,
  command = { "/bin/sh", "-c", look .. "true" },
}
