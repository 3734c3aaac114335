-- Bundles under runc, crun and cella-oci: inside, attribute by attribute, what the same container has that cella
-- starts.

local bundle = require "cella.oci.bundle"
local calls = require "cella.seccomp.calls"
local cella = require "cella"
local core = require "cella.core"
local json = require "cella.oci.json"
local policy = require "cella.policy"
local runtimes = require "spec.support.runtimes"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

-- Each line is an attribute: its name, and what it is. In what every Debian has: sh and perl-base.
local LOOK = [=[
for link in cgroup ipc mnt net pid user uts; do
  eval "theirs=\$HOST_$link"
  [ "$(readlink /proc/self/ns/$link)" = "$theirs" ] && echo "ns $link host" || echo "ns $link own"
done
sed -n 's/^\(Uid\|Gid\|Groups\|Umask\|Cap...\|NoNewPrivs\|Seccomp\):[[:space:]]*/status \1 /p' /proc/self/status
sed 's/  */ /g; s/^/limit /' /proc/self/limits
sed 's/  */ /g; s/^/uid_map /' /proc/self/uid_map
sed 's/  */ /g; s/^/gid_map /' /proc/self/gid_map
echo "hostname $(cat /proc/sys/kernel/hostname)"
echo "oom $(cat /proc/self/oom_score_adj)"
echo "cwd $(pwd)"
echo "args $0 $*"
env | sed '/^HOST_/d; /^_=/d; s/^/env /'
while read -r _ _ _ _ at flags rest; do
  case $at in /dev/[a-z]*) case $at in /dev/pts|/dev/shm|/dev/mqueue) ;; *) continue ;; esac ;; esac
  case $at in /|/proc/?*) continue ;; esac
  for flag in ro nosuid nodev noexec; do
    case ,$flags, in *,$flag,*) echo "mount $at $flag" ;; esac
  done
  case $rest in *shared:*) echo "mount $at shared" ;; *master:*) echo "mount $at slave" ;; esac
  rest=${rest#*- }
  [ $at = /data ] || echo "mount $at of ${rest%% *}"
done < /proc/self/mountinfo
touch /new-file 2>/dev/null && echo "root rw" || echo "root ro"
touch /proc/sys/net/ipv4/ip_forward 2>/dev/null && echo "sys rw" || echo "sys ro"
(echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null && echo "switch rw" || echo "switch ro"
[ -s /proc/kcore ] && echo "kcore there" || echo "kcore none"
for file in /tmp /dev/null /dev/pts /dev/shm /etc/passwd /bin /hello /link /usr/bin/sh; do
  stat -c 'file %n %F %a %u:%g' $file 2>/dev/null || echo "file $file none"
done
cat /hello 2>/dev/null
sed -n 's/^ *\([a-z0-9]*\):.*/net \1/p' /proc/net/dev
perl -e 'for (@ARGV) { my ($name, $number, @args) = split /,/; @args = map { 0 + $_ } @args;
  my $result = syscall($number, @args); printf "call %s %s\n", $name, $result < 0 ? $! + 0 : "done"; }' $CALLS
]=]

-- Calls that a policy may refuse, with arguments with which the kernel does nothing.
local CALLS = { { "mount", 0, 0, 0, 0, 0 }, { "unshare", 0x10000000 }, { "unshare", 0x40000000 }, { "clone3", 0, 0 },
  { "ptrace", 9999, 0, 0, 0 }, { "personality", 0x40000 }, { "personality", 0xffffffff }, { "socket", 40, 1, 0 },
  { "socket", 16, 3, 0 }, { "socket", 16, 3, 9 }, { "socket", 2, 2, 0 }, { "ioctl", 9, 0x5412, 0 },
  { "ioctl", 9, 0x5413, 0 }, { "bpf", 99, 0, 0 }, { "io_uring_setup", 0, 0 }, { "keyctl", 0, -3, 0, 0, 0 },
  { "add_key", 0, 0, 0, 0, 0 }, { "getpid" }, { "setns", -1, 0 }, { "kexec_load", 0, 0, 0, 0 },
  -- Also with something in the halves of registers that the kernel does not read.
  { "socket", 2, 1, 262 }, { "socket", 10, 1, 0x100000106 }, { "socket", 2, 1, 0x100000006 }, { "socket", 2, 10, 3 },
  { "socket", 2, 0x8000a, 768 }, { "socket", 0x100000028, 1, 0 }, { "socket", 16, 3, 15 }, { "socket", 16, 3, 4 },
  { "socketpair", 2, 1, 0, 0 }, { "socketpair", 17, 1, 0, 0 }, { "prlimit64", 1, 99, 0, 0 },
  { "prlimit64", 0x100000001, 99, 0, 0 }, { "prlimit64", 0x100000000, 99, 0, 0 }, { "personality", 0x20009 },
  { "personality", 0x1ffffffff }, { "ioctl", 9, 0x100005412, 0 }, { "ioctl", 9, 0x541c, 0 }, { "ioctl", 9, 0x5423, 0 },
  { "unshare", 0x80 } }

local function calls_text()
  local list = {}
  for _, call in ipairs(CALLS) do
    local number = calls.of(call[1]).numbers[core.machine]
    local words = { call[1], number }
    for i = 2, #call do words[#words + 1] = ("%.0f"):format(call[i]) end
    list[#list + 1] = table.concat(words, ",")
  end
  return table.concat(list, " ")
end

local function environment(more)
  local all = { CALLS = calls_text(), TERM = "dumb" }
  for link, kind in pairs { cgroup = "cgroup", ipc = "ipc", mnt = "mount", net = "net", pid = "pid", user = "user",
    uts = "uts" } do
    all["HOST_" .. link] = ("%s:[%d]"):format(link, (sys.namespace(kind)))
  end
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

-- A mount that another lies over, which is the same, is seen by nobody.
local function without_doubles(text)
  local lines, seen = {}, {}
  for line in text:gmatch "[^\n]+" do
    if not (line:find "^mount " and seen[line]) then lines[#lines + 1] = line end
    seen[line] = true
  end
  return table.concat(lines, "\n") .. "\n"
end

-- The lines that are not the same, and how many attributes there are.
local function compare(ours, theirs)
  ours, theirs = without_doubles(ours), without_doubles(theirs)
  local differ, count, excess = {}, 0, {}
  for line in ours:gmatch "[^\n]+" do count, excess[line] = count + 1, (excess[line] or 0) + 1 end
  for line in theirs:gmatch "[^\n]+" do excess[line] = (excess[line] or 0) - 1 end
  for line, number in pairs(excess) do
    if number ~= 0 then differ[#differ + 1] = (number > 0 and "cella: " or "there: ") .. line end
  end
  table.sort(differ)
  return table.concat(differ, "\n"), count
end

-- Who is root inside: IDs that are nobody's, where that can be; a range that is the same each time.
local function ids()
  if trial.lacks_root() then return policy.root() end
  return policy.range(0, 1879048192, 65536)
end

local HOST = { { type = "bind", source = "/usr", destination = "/usr", readonly = true },
  { type = "bind", source = "/etc", destination = "/etc", readonly = true },
  { type = "symlink", target = "usr/bin", destination = "/bin" },
  { type = "symlink", target = "usr/lib", destination = "/lib" },
  { type = "symlink", target = "usr/lib64", destination = "/lib64" } }

local function parts(more)
  local list = {}
  for i, part in ipairs(HOST) do list[i] = part end
  for key, value in pairs(more) do
    if type(key) == "number" then list[#list + 1] = value else list[key] = value end
  end
  return list
end

local BOXES = {
  ["of nothing but the default"] = {},
  ["with all that a program is confined by"] = {
    hostname = "moon", cwd = "/tmp", umask = "027", oom_score_adj = 900, capabilities = { "net_bind_service", "chown" },
    rlimits = { nofile = { soft = 64, hard = 128 }, core = 0, nproc = 5000 }, no_new_privs = true,
    environment = { EMPTY = "", ODD = "a b\"c'd", LANG = "C" }, user_namespaces = false, seccomp = "default",
    readonly_paths = { "/proc/sys" }, masked_paths = { "/proc/kcore" },
  },
  ["with a root of parts"] = {
    root = parts { readonly = true,
      { type = "file", destination = "/hello", content = "hello\n", mode = "604" },
      { type = "symlink", destination = "/link", target = "hello" }, { type = "dev", destination = "/dev" },
      { type = "tmpfs", destination = "/tmp", size = "1M", mode = "700", noexec = true },
      { type = "bind", source = { content = "data" }, destination = "/data", readonly = true, noexec = true } },
    mounts = { { type = "mqueue", destination = "/dev/mqueue" },
      { type = "bind", source = "/usr/share", destination = "/share/usr", readonly = true, noexec = true,
        recursive = false } },
    seccomp = "nesting", user = { uid = 0, gid = 0 },
  },
  ["of the host's network"] = { namespaces = { net = "host" }, keyrings = "own" },
}

for _, name in ipairs(runtimes.NAMES) do
  describe(("a bundle under %s #slow"):format(name), function()
    local directory, reason

    setup(function()
      reason = not json.available() and "needs dkjson" or runtimes.lacks(name) or trial.lacks_user_namespaces()
      directory = trial.directory()
    end)
    teardown(function() trial.remove_directory(directory) end)

    local count = 0
    for title, keys in pairs(BOXES) do
      it("is what cella starts: " .. title, function()
        if reason then return pending(reason) end
        count = count + 1
        local described = {}
        for key, value in pairs(keys) do described[key] = value end
        described.ids, described.environment = ids(), environment(keys.environment)
        -- What a runtime has none of.
        described.init, described.die_with_parent = false, false
        local command = { "/bin/sh", "-c", LOOK, "zero", "one", "two words" }
        local at = ("%s/%d"):format(directory, count)
        assert(bundle.write(cella.container(described), at, command))
        local theirs = runtimes.run(name, at)
        command.stdout, command.stderr = "capture", "stdout"
        local ours = assert(cella.container(described):run(command)).stdout
        local differ, attributes = compare(ours, theirs)
        -- A runtime may make the devices of /dev by their numbers, which nodev would close.
        assert.equal(name == "cella-oci" and "" or "cella: mount /dev nodev", differ)
        assert.is_true(attributes > 80, ours)
      end)
    end

    it("differs where the container does", function() -- or nothing would be looked at
      if reason then return pending(reason) end
      local at = directory .. "/other"
      local box = cella.container { ids = ids(), environment = environment(), hostname = "mars" }
      assert(bundle.write(box, at, { "/bin/sh", "-c", LOOK }))
      local other = { ids = ids(), environment = environment(), hostname = "moon", umask = "077" }
      local ours = assert(cella.container(other):run { "/bin/sh", "-c", LOOK, stdout = "capture" }).stdout
      local differ = compare(ours, runtimes.run(name, at))
      assert.truthy(differ:find("cella: hostname moon\n", 1, true), differ)
      assert.truthy(differ:find("there: status Umask 0022", 1, true), differ)
    end)
  end)
end
