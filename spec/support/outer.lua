-- A network of the specs' own: a Lua script is run in a network namespace with a default route that leads nowhere, and
-- with servers on addresses of its own (RFC 5737, RFC 3849), so that nothing ever asks another host. As a user, also in
-- a user namespace.

local trial = require "spec.support.trial"

local M = {}

local SETUP = [[
set -e
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
for address in 203.0.113.7/32 203.0.113.8/32 2001:db8:7::7/128; do ip addr add $address dev lo; done
ip link add ext type veth peer name far
ip link set ext up
ip link set far up
ip addr add 198.51.100.2/24 dev ext
ip route add default via 198.51.100.1 dev ext
ip -6 addr add 2001:db8:5::2/64 dev ext nodad
ip -6 route add default via 2001:db8:5::1 dev ext
if ! { true <>/dev/net/tun; } 2>/dev/null || [ "$(stat -c %a /dev/net/tun)" != 666 ]; then
  # One that anybody may open, where who runs this can make it.
  mount -t tmpfs none /mnt 2>/dev/null && mknod /mnt/tun c 10 200 2>/dev/null && chmod 666 /mnt/tun &&
    mount --bind /mnt/tun /dev/net/tun && umount /mnt || true
fi
printf 'nameserver 127.0.0.1\n' > "$CELLA_OUTER/resolv.conf"
mount --bind "$CELLA_OUTER/resolv.conf" "$(readlink -f /etc/resolv.conf)"
perl spec/support/servers.pl "tcp 203.0.113.7 80" "tcp 203.0.113.7 81" "udp 203.0.113.7 80" "udp 203.0.113.7 81" \
  "tcp 203.0.113.8 80" "tcp 127.0.0.1 80" "udp 127.0.0.1 80" "tcp 2001:db8:7::7 80" "udp 2001:db8:7::7 80" \
  "tcp ::1 80" "udp ::1 80" "udp 127.9.8.7 80" "tcp 2001:db8:7::7 8091" "udp 2001:db8:7::7 8091" \
  "tcp 127.0.0.1 8091" "udp 127.0.0.1 8091" "udp 2001:db8:7::7 8092" "dns 127.0.0.1 53" > "$CELLA_OUTER/ready" &
servers=$!
mkdir -m 777 "$CELLA_OUTER/open"
trap 'kill $servers' EXIT
until grep -q ready "$CELLA_OUTER/ready"; do kill -0 $servers; sleep 0.01; done
]]

-- What a script begins with: `outer` is a module of these.
local PRELUDE = [[
local cella = require "cella"
local outer = require "spec.support.inner"
]]

local NAMESPACES = "unshare --mount --net --propagation private"

--- Nil where there is what it takes, or why not.
function M.lacks(...)
  for _, program in ipairs { "perl", "ip", ... } do
    local found = trial.sh(("PATH=$PATH:/usr/sbin:/sbin command -v %s"):format(program))
    if found == "" then return ("needs %s"):format(program) end
  end
  local user = trial.lacks_root() and " --user --map-root-user" or ""
  local make = "PATH=$PATH:/usr/sbin:/sbin; ip link add ext type veth peer name far"
  local said = trial.sh(("%s%s sh -c '%s' && echo made"):format(NAMESPACES, user, make))
  if said == "made\n" then return nil end
  return "needs a network namespace with a veth device of its own: " .. said:gsub("\n.*", "")
end

--- Nil where nft is there, and the kernel has what its rules are made of.
function M.lacks_rules()
  if trial.sh "PATH=$PATH:/usr/sbin:/sbin command -v nft" == "" then return "needs nft" end
  local list = "PATH=$PATH:/usr/sbin:/sbin; unshare --user --map-root-user --net nft list ruleset && echo yes"
  return trial.sh(list) ~= "yes\n" and "needs a kernel with nf_tables" or nil
end

--- Nil where a user-mode network can be tried in there.
function M.lacks_tun()
  if not trial.lacks_root() then return nil end
  local said = trial.sh "{ true <>/dev/net/tun; } && echo can"
  return said ~= "can\n" and "needs a /dev/net/tun that the user may open" or nil
end

--- What a Lua script writes in there.
---@param script string
---@param as_user boolean?  of root: as an ordinary user in there, uid 65533
---@return string
function M.run(script, as_user)
  local directory = trial.directory(493)
  trial.write(directory .. "/script.lua", PRELUDE .. script)
  local user = trial.lacks_root() and " --user --map-root-user" or ""
  local drop = as_user and "setpriv --reuid=65533 --regid=65533 --clear-groups --inh-caps=-all " or ""
  local result = trial.host { "/bin/sh", "-c", ("%s%s sh -c %s"):format(NAMESPACES, user, trial.quote(SETUP .. drop
    .. trial.interpreter() .. " " .. directory .. "/script.lua")),
    environment = { PATH = os.getenv "PATH", CELLA_OUTER = directory, HOME = "/tmp" } }
  trial.remove_directory(directory)
  if result.status ~= 0 then error(("status %d\n%s%s"):format(result.status, result.stdout, result.stderr), 2) end
  return result.stdout
end

return M
