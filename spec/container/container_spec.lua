-- cella.container: everything that a table can say, looked at from inside.

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local rootfs = require "spec.support.rootfs"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

local inside, word, succeeds, refused, raised = trial.inside, trial.word, trial.succeeds, trial.refused, trial.raised

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()

local PROC = { type = "proc", destination = "/proc" }
local ALL = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" }
local SETS = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" }

-- Blanks as one: the kernel pads its maps.
local function squeezed(text)
  return (text:gsub("[ \t]+", " "):gsub("^ ", ""):gsub("\n ", "\n"):gsub("\n$", ""))
end

local function with(description, more)
  local copy = {}
  for key, value in pairs(description) do copy[key] = value end
  for key, value in pairs(more or {}) do copy[key] = value end
  return copy
end

describe("a container", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local several, no_several = trial.several_ids()
  local first = several and no_several

  local root, directory
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each, function(own) directory = own end)

  -- A spec that needs more than one ID.
  local function with_ids(name, body)
    it(name, function()
      if not several then
        pending(no_several)
        return
      end
      body()
    end)
  end

  -- A directory of programs that make whoever starts them the caller: behind a door that is closed to all others.
  local function set_user_id_programs()
    trial.sh(("cd %s; mkdir -m 700 closed; mkdir -m 755 closed/bin; cp %s/usr/bin/id %s/usr/bin/grep closed/bin; "
      .. "chmod 4755 closed/bin/*"):format(directory, root.path, root.path))
    return directory .. "/closed/bin"
  end

  describe("`ids` #vm", function()
    it("may be root inside for the caller outside", function()
      local box = { ids = policy.root() }
      assert.equal(("0 %d 1"):format(uid), squeezed(inside(box, "cat /proc/self/uid_map")))
      assert.equal(("0 %d 1"):format(gid), squeezed(inside(box, "cat /proc/self/gid_map")))
      assert.equal("0 0", word(box, "echo $(id -u) $(id -g)"))
    end)

    it("may be two maps as text", function()
      local ids = { uid = ("%d %d 1"):format(uid + 5, uid), gid = ("%d %d 1"):format(gid + 7, gid) }
      assert.equal(ids.uid, squeezed(inside({ ids = ids }, "cat /proc/self/uid_map")))
      assert.equal(ids.gid, squeezed(inside({ ids = ids }, "cat /proc/self/gid_map")))
      assert.equal(("%d %d"):format(uid + 5, gid + 7), word({ ids = ids }, "echo $(id -u) $(id -g)"))
    end)

    it("may be a function of the host's facts", function()
      local seen
      local ids = function(facts)
        seen = facts
        return { uid = ("3 %d 1"):format(facts.uid), gid = ("4 %d 1"):format(facts.gid) }
      end
      assert.equal("3 4", word({ ids = ids }, "echo $(id -u) $(id -g)"))
      assert.equal(uid, seen.uid)
      assert.equal(gid, seen.gid)
    end)

    it("may be what a function cannot find: then nothing runs, and its reason is the error", function()
      local err = refused { ids = function() return nil, "there is no moon tonight" end }
      assert.truthy(tostring(err):find("there is no moon tonight", 1, true))
    end)

    with_ids("may be two thousand, and be what the kernel says in the end", function()
      assert.equal(("0 %d 2000"):format(first), squeezed(inside({ ids = several }, "cat /proc/self/uid_map")))
      assert.equal(("0 %d 2000"):format(first), squeezed(inside({ ids = several }, "cat /proc/self/gid_map")))
    end)

    with_ids("may be more ranges than the kernel keeps in one cache line", function()
      local lines = {}
      for i = 0, 11 do lines[#lines + 1] = ("%d %d 10"):format(i * 100, first + i * 20) end
      local map = table.concat(lines, "\n")
      local ids = { uid = map, gid = map }
      local description = { ids = ids, user = { uid = 1105, gid = 1105 } }
      assert.equal(map, squeezed(inside(description, "cat /proc/self/uid_map")))
      assert.equal("1105 1105", word(description, "echo $(id -u) $(id -g)"))
    end)

    with_ids("decide who owns, outside, what is made inside", function()
      trial.sh("chmod 777 " .. directory)
      local bind = { type = "bind", source = directory, destination = "/mnt" }
      inside({ ids = several, user = { uid = 7, gid = 8 }, mounts = { bind } }, "touch /mnt/made")
      assert.equal(("%d %d\n"):format(first + 7, first + 8), trial.sh("stat -c '%u %g' " .. directory .. "/made"))
    end)

    it("deny setgroups where one's own group is mapped without privilege", function()
      local expected = trial.lacks_root() and "deny" or "allow"
      assert.equal(expected, word({}, "cat /proc/self/setgroups"))
    end)
  end)

  describe("`user`", function()
    with_ids("is the caller where the map has the caller", function()
      local ids = assert(trial.me_and_others())
      assert.equal("0 0", word({ ids = ids }, "echo $(id -u) $(id -g)"))
      local map = ("9 %d 1\n10 %d 100"):format(uid, first)
      ids = { uid = map, gid = map:gsub("^9 %d+", "9 " .. gid) }
      assert.equal("9 9", word({ ids = ids }, "echo $(id -u) $(id -g)"))
    end)

    with_ids("is root where the map has not the caller", function()
      assert.equal("0 0", word({ ids = several }, "echo $(id -u) $(id -g)"))
    end)

    with_ids("has to be said where the map has neither", function()
      local map = ("5 %d 10"):format(first)
      assert.truthy(raised(function() return refused { ids = { uid = map, gid = map } } end):find(
        "user.uid: missing, and the map has neither you", 1, true))
    end)

    with_ids("is who it says, real, effective, saved and for files", function()
      local status = inside({ ids = several, user = { uid = 33, gid = 44 } }, "grep -E '^([UG]id)' /proc/self/status")
      assert.equal("Uid:\t33\t33\t33\t33\nGid:\t44\t44\t44\t44\n", status)
    end)

    with_ids("has the supplementary groups that it says", function()
      local groups = inside({ ids = several, user = { uid = 33, gid = 44, groups = { 5, 6, 44 } } }, "id -G")
      assert.equal("44 5 6\n", groups)
    end)

    with_ids("has none of the caller's supplementary groups", function()
      local groups = inside({ ids = several }, "grep Groups /proc/self/status")
      assert.truthy(groups:find "^Groups:%s*$", groups)
    end)

    with_ids("cannot switch to another: nothing of root is left to do it with", function()
      local ok, message = succeeds({ ids = several, user = { uid = 33, gid = 33 } }, "setpriv --reuid 34 true")
      assert.is_false(ok)
      assert.truthy(message:find("setresuid failed", 1, true) or message:find("not permitted", 1, true), message)
      local kept = { ids = several, user = { uid = 33, gid = 33 }, capabilities = { "setuid" } }
      assert.is_true((succeeds(kept, "setpriv --reuid 34 true")))
    end)

    it("that the map does not have is refused, with the map", function()
      local message = raised(function() return refused { user = { uid = 4000000000 } } end)
      assert.truthy(message:find("user.uid: 4000000000 is not in the map", 1, true), message)
      assert.matches("is not in the map\n0 %d+ %d+", message)
      message = raised(function() return refused { user = { gid = 4000000000 } } end)
      assert.truthy(message:find("user.gid: 4000000000 is not in the map", 1, true), message)
    end)

    with_ids("with a group that the map does not have is refused, with its place in the list", function()
      local message = raised(function() return refused { ids = several, user = { groups = { 5, 2000 } } } end)
      assert.truthy(message:find("user.groups[2]: 2000 is not in the map", 1, true), message)
    end)

    it("with groups that cannot be given up is refused where setgroups is denied", function()
      if not trial.lacks_root() then return pending "root gives them up before (groups_spec.lua)" end
      local ids = { uid = ("0 %d 1"):format(uid), gid = ("0 %d 1"):format(gid), setgroups = "deny" }
      if #core.sys.getgroups() == 0 then return pending "this user has no groups" end
      local message = raised(function() return refused { ids = ids, user = { groups = {} } } end)
      assert.truthy(message:find("user.groups: they cannot be given up: setgroups is denied", 1, true), message)
    end)
  end)

  describe("`capabilities`", function()
    local function sets(description)
      local found = {}
      for name, mask in inside(description, "grep Cap /proc/self/status"):gmatch "(Cap%a+):%s*(%x+)" do
        found[name] = tonumber(mask, 16)
      end
      return found
    end

    local function all_five(mask)
      local expected = {}
      for _, name in ipairs(SETS) do expected[name] = mask end
      return expected
    end

    it("are none, without a word: all five sets are empty, also for root", function()
      assert.same(all_five(0), sets {})
      assert.equal("0", word({}, "id -u"))
    end)

    it("are in all five sets if named, and no others are", function()
      -- CAP_NET_BIND_SERVICE is number 10, CAP_NET_RAW 13.
      assert.same(all_five(2 ^ 10 + 2 ^ 13), sets { capabilities = { "net_bind_service", "net_raw" } })
    end)

    with_ids("that a user is to keep who is not root survive exec, and the next exec", function()
      local description = { ids = several, user = { uid = 33, gid = 33 }, capabilities = { "chown" } }
      assert.same(all_five(1), sets(description))
      assert.equal("33", word(description, "id -u"))
    end)

    it("are kept for the one ID that there is as well, if that is not root", function()
      local ids = { uid = ("33 %d 1"):format(uid), gid = ("33 %d 1"):format(gid) }
      assert.same(all_five(2 ^ 10), sets { ids = ids, capabilities = { "net_bind_service" } })
      assert.same(all_five(0), sets { ids = ids })
      assert.equal("33", word({ ids = ids, capabilities = { "net_bind_service" } }, "id -u"))
    end)

    with_ids("that a user is to keep who is not root have their effect", function()
      local description = { ids = several, user = { uid = 33, gid = 33 },
        mounts = { { type = "tmpfs", destination = "/tmp" } } }
      local give_away = "touch /tmp/gift && chown 34 /tmp/gift && stat -c %u /tmp/gift"
      assert.is_false((succeeds(description, give_away)))
      assert.equal("34", word(with(description, { capabilities = { "chown" } }), give_away))
    end)

    it("may be named as capabilities(7) does, with and without the prefix", function()
      assert.same(all_five(2 ^ 13), sets { capabilities = { "CAP_NET_RAW" } })
      assert.same(all_five(2 ^ 13), sets { capabilities = { "cap_net_raw" } })
    end)

    it("may be named by number, for one that is newer than its name", function()
      assert.same(all_five(2 ^ 13), sets { capabilities = { 13 } })
    end)

    it("may be all that the running kernel has", function()
      assert.same(all_five(2 ^ (sys.last_capability() + 1) - 1), sets { capabilities = "all" })
    end)

    it("go with no securebits", function()
      local description = { root = root.path, capabilities = { "net_raw" } }
      if root:shell "find . -name capsh" == "" then
        pending "needs capsh (libcap2-bin)"
        return
      end
      assert.truthy(inside(description, "capsh --print"):find("Securebits: 00/0x0/1'b0", 1, true))
    end)

    it("are over the container alone: with all of them the host's name cannot be changed", function()
      local rename = "hostname " .. sys.gethostname()
      assert.is_false((succeeds({ capabilities = "all", namespaces = { uts = "host" } }, rename)))
      assert.is_true((succeeds({ capabilities = "all" }, rename)))
    end)
  end)

  describe("`no_new_privs`", function()
    it("is set, without a word, and not if it is to be false", function()
      assert.equal("1", word({}, "grep NoNewPrivs /proc/self/status | tr -d -c 01"))
      assert.equal("0", word({ no_new_privs = false }, "grep NoNewPrivs /proc/self/status | tr -d -c 01"))
    end)

    -- As 33, with the host's directory of set-user-ID programs on /mnt.
    local function with_programs(more)
      local bind = { type = "bind", source = set_user_id_programs(), destination = "/mnt", nosuid = false }
      return with({ root = root.path, ids = assert(trial.me_and_others()), user = { uid = 33, gid = 33 },
        mounts = { PROC, bind } }, more)
    end

    with_ids("keeps a set-user-ID program from making its user root", function()
      assert.equal("33", word(with_programs(), "/mnt/id -u"))
      assert.equal("0", word(with_programs { no_new_privs = false }, "/mnt/id -u"))
    end)

    with_ids("or not: what is not in the bounding set cannot come back by a set-user-ID program", function()
      local text = inside(with_programs { no_new_privs = false, capabilities = { "chown" } },
        "/mnt/grep -E '^(Uid|CapPrm|CapEff)' /proc/self/status")
      assert.equal("Uid:\t33\t0\t0\t0\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\n", text)
    end)
  end)

  describe("`rlimits`", function()
    it("set both limits to a number", function()
      assert.equal("64 64", word({ rlimits = { nofile = 64 } }, "echo $(ulimit -Sn) $(ulimit -Hn)"))
    end)

    it("set a soft and a hard one", function()
      local limits = { nofile = { soft = 32, hard = 64 }, core = { soft = 0, hard = 0 } }
      assert.equal("32 64 0", word({ rlimits = limits }, "echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)"))
    end)

    it("leave the others as they are", function()
      local soft = sys.getrlimit "stack"
      local expected = soft == "unlimited" and soft or ("%d"):format(math.floor(soft / 1024))
      assert.equal(expected, word({ rlimits = { nofile = 64 } }, "ulimit -s"))
    end)

    it("may be unlimited where the caller's are", function()
      local _, hard = sys.getrlimit "fsize"
      if hard ~= "unlimited" then
        pending "needs a caller without a limit on the size of files"
        return
      end
      assert.equal("unlimited", word({ rlimits = { fsize = "unlimited" } }, "ulimit -f"))
    end)

    it("have their effect", function()
      local description = { mounts = { { type = "tmpfs", destination = "/tmp" } } }
      local write = "head -c 20000 /dev/zero > /tmp/file"
      assert.is_true((succeeds(description, write)))
      assert.is_false((succeeds(with(description, { rlimits = { fsize = 10000 } }), write)))
    end)

    it("are not the caller's afterwards", function()
      local soft, hard = sys.getrlimit "nofile"
      inside({ rlimits = { nofile = 64 } }, "true")
      assert.same({ soft, hard }, { sys.getrlimit "nofile" })
    end)

    it("are the program's alone: the set-up may need more", function()
      local open = {}
      for i = 1, 100 do open[i] = assert(io.open "/dev/null") end
      local ok, said = pcall(word, { rlimits = { nofile = 20, nproc = 3, fsize = 0, as = portable.power(30) },
        mounts = { { type = "tmpfs", destination = "/tmp" } } }, "echo $(ulimit -n) $(ulimit -f)")
      for _, file in ipairs(open) do file:close() end
      assert.is_true(ok, said)
      assert.equal("20 0", said)
    end)

    it("above the caller's hard one are refused, with that", function()
      local _, hard = sys.getrlimit "nofile"
      local err = refused { rlimits = { nofile = hard + 1 } }
      assert.equal("EPERM", err.code)
      assert.equal("setrlimit", err.op)
      assert.truthy(err.why:find(("%d"):format(hard), 1, true), err.why)
    end)
  end)

  describe("`environment`", function()
    local function environment(description, more)
      local command = { "/usr/bin/env", stdout = "capture" }
      for key, value in pairs(more or {}) do command[key] = value end
      return assert(cella.container(description):run(command)).stdout
    end

    local NONE = { PATH = false, HOME = false, TERM = false }

    it("is all that there is, where PATH, HOME and TERM are taken away", function()
      assert.equal("A=1\nB=two words\nC=\n",
        environment { environment = { A = "1", B = "two words", C = "", PATH = false, HOME = false, TERM = false } })
      assert.equal("", environment { environment = NONE })
      assert.equal("", environment({ environment = { A = "1" } }, { environment = NONE }))
    end)

    it("leaves PATH, HOME and TERM where it names others, and takes another value for each of them", function()
      local plain = environment {}
      assert.equal(plain, environment { environment = {} })
      assert.equal("A=1\n" .. plain, environment { environment = { A = "1" } })
      assert.equal("A=1\n" .. plain, environment({}, { environment = { A = "1" } }))
      local home = environment { environment = { HOME = "/home/me", TERM = false } }
      assert.equal("HOME=/home/me\n" .. plain:match "PATH=[^\n]*\n", home)
    end)

    it("takes numbers, as a person writes them", function()
      assert.equal("HALF=0.5\nPORT=80\nTINY=1e-09\nWHOLE=80\n", environment { environment = { PORT = 80, WHOLE = 80.0,
        HALF = 0.5, TINY = 1e-9, PATH = false, HOME = false, TERM = false } })
    end)

    it("is, without a word, PATH, a HOME that is the container's own, and TERM if the caller has one", function()
      local names = {}
      for name in environment({}):gmatch "([^\n=]+)=" do names[#names + 1] = name end
      assert.same(os.getenv "TERM" and { "HOME", "PATH", "TERM" } or { "HOME", "PATH" }, names)
      assert.truthy(environment({}):find "^HOME=/tmp\n")
    end)

    it("is the caller's if it is to be inherited", function()
      assert.truthy(environment({ environment = "inherit" }):find("\nPATH=" .. os.getenv "PATH", 1, true)
        or environment({ environment = "inherit" }):find("^PATH="))
    end)

    it("is the command's, where that has one", function()
      assert.equal("A=2\n" .. environment {},
        environment({ environment = { A = "1", B = "1" } }, { environment = { A = "2" } }))
    end)

    it("has the PATH in which the program is looked for", function()
      root:write("work/tool", "#!/bin/sh\necho found\n", "755")
      local box = cella.container { root = root.path, environment = { PATH = "/nowhere:/work" } }
      assert.equal("found\n", assert(box:run { "tool", stdout = "capture" }).stdout)
      local _, err = cella.container({ root = root.path, environment = { PATH = "/nowhere" } }):run { "tool" }
      assert.equal("ENOENT", err.code)
      root:shell "rm -f work/tool"
    end)

    it("with an empty entry in PATH does not mean the working directory", function()
      root:write("work/tool", "#!/bin/sh\necho found\n", "755")
      local _, err = cella.container({ root = root.path, cwd = "/work", environment = { PATH = ":/nowhere:" } }):run {
        "tool" }
      assert.equal("ENOENT", err and err.code)
      root:shell "rm -f work/tool"
    end)
  end)

  describe("`cwd`", function()
    it("is the root, without a word, wherever the caller is", function()
      assert.equal("/", word({}, "pwd"))
    end)

    it("is where the program starts", function()
      assert.equal("/usr", word({ cwd = "/usr" }, "pwd"))
    end)

    it("is the command's, where that has one", function()
      local command = trial.script "pwd"
      command.cwd = "/etc"
      assert.equal("/etc\n", assert(cella.container({ cwd = "/usr" }):run(command)).stdout)
    end)

    it("is looked for in the container's root", function()
      root:shell "mkdir work/only-here"
      assert.equal("/work/only-here", word({ root = root.path, cwd = "/work/only-here" }, "pwd"))
      assert.equal("chdir", refused({ cwd = "/work/only-here" }).op)
      root:shell "rmdir work/only-here"
    end)

    with_ids("is one that the program could enter itself", function()
      local description = { ids = several, mounts = { { type = "tmpfs", destination = "/tmp", mode = 448 } },
        cwd = "/tmp" }
      assert.equal("/tmp", word(description, "pwd"))
      description.user = { uid = 7, gid = 7 }
      local err = refused(description)
      assert.equal("chdir EACCES child", ("%s %s %s"):format(err.op, err.code, err.side))
      assert.truthy(err.why:find("may not search", 1, true), err.why)
      -- Who keeps the right to, does.
      description.capabilities = { "dac_override" }
      assert.equal("/tmp", word(description, "pwd"))
    end)

    it("that is not there is refused", function()
      local err = refused { cwd = "/no/such/directory" }
      assert.equal("ENOENT", err.code)
      assert.equal("chdir", err.op)
    end)
  end)

  describe("`hostname`", function()
    it("is the container's, and the host keeps its own", function()
      local name = sys.gethostname()
      assert.equal("moon", word({ hostname = "moon" }, "hostname"))
      assert.equal(name, sys.gethostname())
    end)

    it("is a copy of the host's, without a word", function()
      assert.equal(sys.gethostname(), word({}, "hostname"))
    end)

    it("may be 64 bytes long", function()
      local long = ("x"):rep(64)
      assert.equal(long, word({ hostname = long }, "hostname"))
    end)

    it("goes with a domain name", function()
      assert.equal("example.org", word({ domainname = "example.org" }, "cat /proc/sys/kernel/domainname"))
    end)

    it("needs a uts namespace", function()
      for _, key in ipairs { "hostname", "domainname" } do
        local message = raised(cella.container, { [key] = "moon", namespaces = { uts = "host" } })
        assert.truthy(message:find(key .. ": needs a uts namespace of its own", 1, true), message)
      end
    end)
  end)

  describe("`namespaces`", function()
    local LINK = { mount = "mnt" }

    -- The identities of its namespaces, by name.
    local function namespaces(description)
      local found = {}
      for name, inode in inside(description, "readlink /proc/self/ns/*"):gmatch "(%l+):%[(%d+)%]" do
        found[name] = tonumber(inode)
      end
      return found
    end

    local function own(name)
      return (assert(sys.namespace(name)))
    end

    it("are seven new ones, without a word; time is the host's", function()
      local found = namespaces {}
      for _, name in ipairs(ALL) do
        assert.is_number(found[LINK[name] or name])
        assert.not_equal(own(name), found[LINK[name] or name], name)
      end
      assert.equal(own "time", found.time)
    end)

    for _, name in ipairs { "mount", "pid", "ipc", "uts", "net", "cgroup" } do
      it(("may be the host's: %s"):format(name), function()
        -- A system root has no /proc to look at without a pid namespace of its own.
        local found = namespaces { namespaces = { [name] = "host" }, root = name == "pid" and "/" or nil }
        for _, other in ipairs(ALL) do
          assert.equal(other == name, own(other) == found[LINK[other] or other], other)
        end
      end)
    end

    it("may be a new time namespace, with the same clock", function()
      local found = namespaces { namespaces = { time = "new" } }
      assert.not_equal(own "time", found.time)
    end)

    it("may be a time namespace with its clocks set forward", function()
      local up = "read seconds rest < /proc/uptime; echo ${seconds%.*}"
      local here = tonumber((trial.read("/proc/uptime"):match "^(%d+)"))
      local there = tonumber(word({ namespaces = { time = { boottime = 864000 } } }, up))
      -- A day more or less in between: no timing decides.
      assert.is_true(there > here + 777600, ("%d is not ten days after %d"):format(there, here))
      assert.is_true(tonumber(word({}, up)) < here + 777600)
      local offsets = squeezed(inside({ namespaces = { time = { monotonic = 5, boottime = -1 } } },
        "cat /proc/self/timens_offsets"))
      assert.equal("monotonic 5 0\nboottime -1 0", offsets)
      offsets = squeezed(inside({ namespaces = { time = { monotonic = -0.25, boottime = 1.9999999999 } } },
        "cat /proc/self/timens_offsets"))
      assert.equal("monotonic -1 750000000\nboottime 2 0", offsets)
    end)

    it("may not be set before the beginning of time", function()
      local err = refused { namespaces = { time = { monotonic = -1000000000 } } }
      assert.equal("write_file", err.op)
      assert.truthy(err.why and err.why:find("time_namespaces(7)", 1, true), tostring(err))
    end)

    it("have a loopback device that is up, if the network is new", function()
      local up = "grep -q 0x9 /sys/class/net/lo/flags"
      assert.is_true((succeeds({ mounts = { { type = "sysfs", destination = "/sys" } } }, up)))
      assert.equal("lo", word({ mounts = { { type = "sysfs", destination = "/sys" } } }, "ls /sys/class/net"))
    end)

    describe("that are joined", function()
      local other

      before_each(function()
        other = trial.hold(cella.container({ user_namespaces = true,
          hostname = "other", mounts = { PROC, { type = "tmpfs", destination = "/tmp" } },
        }):spawn { "sleep", "1000" })
      end)

      local function of_other(name)
        return (assert(sys.namespace(name, other.pid)))
      end

      local function assert_joined(names, found)
        for _, name in ipairs(ALL) do
          local joined = names[name] ~= nil
          assert.equal(joined, of_other(name) == found[LINK[name] or name], name)
        end
      end

      it("may be named by a pid: user, network and host name of another container of one's own", function()
        local target = { pid = other.pid }
        local names = { user = target, net = target, uts = target }
        assert_joined(names, namespaces { namespaces = names })
        assert.equal("other", word({ namespaces = names }, "hostname"))
      end)

      it("may be named by a path", function()
        local names = {}
        for _, name in ipairs { "user", "net", "ipc" } do names[name] = ("/proc/%d/ns/%s"):format(other.pid, name) end
        assert_joined(names, namespaces { namespaces = names })
      end)

      it("may be named by a descriptor", function()
        local files, names = {}, {}
        for _, name in ipairs { "user", "uts" } do
          files[name] = assert(core.open(("/proc/%d/ns/%s"):format(other.pid, name), "rdonly"))
          names[name] = { fd = files[name]:number() }
        end
        local ok, err = pcall(function() assert_joined(names, namespaces { namespaces = names }) end)
        for _, file in pairs(files) do file:close() end
        if not ok then error(err, 0) end
      end)

      it("may be the processes: then it is one more in there", function()
        local target = { pid = other.pid }
        local names = { user = target, pid = target }
        assert_joined(names, namespaces { namespaces = names })
        local found = word({ namespaces = names, mounts = { PROC } },
          "for comm in /proc/[0-9]*/comm; do read name < $comm; [ $name = sleep ] && echo $name; done; true")
        assert.equal("sleep", found)
      end)

      it("may be all of them", function()
        local names = {}
        for _, name in ipairs(ALL) do names[name] = { pid = other.pid } end
        assert_joined(names, namespaces { namespaces = names })
        -- And it is in its root: what is in the other's /tmp is nowhere else.
        inside({ namespaces = names }, "echo hello > /tmp/here")
        assert.equal("hello", word({ namespaces = names }, "cat /tmp/here"))
        assert.is_nil(trial.read "/tmp/here")
      end)

      it("go with the user that the other one's map has for the caller", function()
        assert.equal("0 0", word({ namespaces = { user = { pid = other.pid } } }, "echo $(id -u) $(id -g)"))
      end)

      it("go with no privilege, without a word", function()
        local target = { pid = other.pid }
        local names = { user = target, net = target, pid = target }
        local text = inside({ namespaces = names }, "grep -E '^(Cap...|NoNewPrivs)' /proc/self/status")
        assert.equal(("0"):rep(80) .. "1", (text:gsub("[^\n]*:%s*", ""):gsub("\n", "")))
      end)

      it("go with the privileges that are kept, which count there", function()
        local target = { pid = other.pid }
        local description = { namespaces = { user = target, uts = target } }
        assert.is_false((succeeds(description, "hostname changed")))
        assert.is_true((succeeds(with(description, { capabilities = { "sys_admin" } }), "hostname changed")))
        assert.equal("changed", word(description, "hostname"))
      end)

      it("cannot be traced by who lives there while the program is not there yet", function()
        local target = { pid = other.pid }
        local plan = cella.container({ namespaces = { user = target, pid = target } }):plan { "true" }
        local shown = tostring(plan)
        local hidden, entered = shown:find("dumpable(false)", 1, true), shown:find("setns(", 1, true)
        assert.is_true(hidden ~= nil and hidden < entered, shown)
      end)

      it("cannot be one of the wrong kind", function()
        local file = assert(core.open(("/proc/%d/ns/net"):format(other.pid), "rdonly"))
        local err = refused { namespaces = { uts = { fd = file:number() }, user = { pid = other.pid } } }
        file:close()
        assert.equal("setns", err.op)
        assert.equal("EINVAL", err.code)
      end)

      if trial.lacks_root() then
        it("without their user namespace are refused: the right to join comes from there", function()
          local err = refused { namespaces = { net = { pid = other.pid } } }
          assert.equal("setns", err.op)
          assert.equal("EPERM", err.code)
          assert.truthy(err.why:find("user namespace", 1, true), err.why)
        end)
      end
    end)

    it("that are joined have to be there", function()
      local err = refused { namespaces = { net = { pid = 2147483647 } } }
      assert.equal("ESRCH", err.code)
      assert.equal("parent", err.side)
      err = refused { namespaces = { net = "/no/such/namespace" } }
      assert.equal("ENOENT", err.code)
      err = refused { namespaces = { net = { fd = 1000 } } }
      assert.equal("EBADF", err.code)
      err = refused { namespaces = { net = "/etc/passwd" } }
      assert.equal("EINVAL", err.code)
    end)
  end)

  describe("`mounts`", function()
    -- The line of /proc/self/mountinfo for a place: options of the mount, type, options of the file system.
    local function mounted(description, place)
      local text = inside(description, "cat /proc/self/mountinfo")
      local found
      for line in text:gmatch "[^\n]+" do
        local point, options, fstype, super = line:match "^%S+ %S+ %S+ %S+ (%S+) (%S+) .-%- (%S+) %S+ (%S+)$"
        if point == place then
          found = { options = "," .. options .. ",", type = fstype, super = "," .. super .. "," }
        end
      end
      return assert(found, place .. " is not a mount")
    end

    local function has(list, option)
      return list:find("," .. option .. ",", 1, true) ~= nil
    end

    describe("of the type bind", function()
      local function bound(more)
        return { root = root.path, ids = policy.root(),
          mounts = { PROC, with({ type = "bind", source = directory, destination = "/mnt" }, more) } }
      end

      it("show a directory of the host, which is written to", function()
        trial.write(directory .. "/file", "hello\n")
        assert.equal("hello\n", inside(bound(), "cat /mnt/file"))
        inside(bound(), "echo written > /mnt/file")
        assert.equal("written\n", trial.read(directory .. "/file"))
      end)

      it("show a file on a file", function()
        local source = trial.write(directory .. "/file", "hello\n")
        root:write("work/file", "covered\n")
        local mounts = { { type = "bind", source = source, destination = "/work/file", readonly = true } }
        assert.equal("hello\n", inside({ root = root.path, mounts = mounts }, "cat /work/file"))
        assert.is_false((succeeds({ root = root.path, mounts = mounts }, "echo x > /work/file")))
        assert.equal("covered\n", root:shell "cat work/file; rm -f work/file")
        assert.equal("hello\n", trial.read(source))
      end)

      it("may be read-only", function()
        local ok, message = succeeds(bound { readonly = true }, "touch /mnt/file")
        assert.is_false(ok)
        assert.truthy(message:find("Read-only file system", 1, true), message)
        assert.is_nil(trial.read(directory .. "/file"))
        assert.is_true(has(mounted(bound { readonly = true }, "/mnt").options, "ro"))
        assert.is_true(has(mounted(bound(), "/mnt").options, "rw"))
      end)

      it("have nosuid and nodev, without a word", function()
        local options = mounted(bound(), "/mnt").options
        assert.is_true(has(options, "nosuid") and has(options, "nodev"), options)
      end)

      it("have not nosuid if that is to be false", function()
        if trial.sh("findmnt -n -o OPTIONS -T " .. directory):find "nosuid" then
          pending "needs a /tmp without nosuid: the host's own flag is locked"
          return
        end
        assert.is_false(has(mounted(bound { nosuid = false }, "/mnt").options, "nosuid"))
      end)

      it("may be without programs", function()
        trial.write(directory .. "/script", "#!/bin/sh\necho ran\n")
        trial.sh("chmod 755 " .. directory .. "/script")
        assert.equal("ran", word(bound(), "/mnt/script"))
        local ok, message = succeeds(bound { noexec = true }, "/mnt/script")
        assert.is_false(ok)
        assert.truthy(message:find("Permission denied", 1, true), message)
        assert.is_true(has(mounted(bound { noexec = true }, "/mnt").options, "noexec"))
      end)

      it("may be without symbolic links", function()
        trial.write(directory .. "/file", "hello\n")
        trial.sh(("ln -s file %s/link"):format(directory))
        assert.equal("hello", word(bound(), "cat /mnt/link"))
        assert.is_false((succeeds(bound { nosymfollow = true }, "cat /mnt/link")))
        assert.equal("hello", word(bound { nosymfollow = true }, "cat /mnt/file"))
      end)

      with_ids("keep set-user-ID programs on them from being it", function()
        local function description(more)
          return with(bound(with({ source = set_user_id_programs() }, more)), {
            ids = assert(trial.me_and_others()), user = { uid = 33, gid = 33 }, no_new_privs = false })
        end
        assert.equal("33", word(description {}, "/mnt/id -u"))
        assert.equal("0", word(description { nosuid = false }, "/mnt/id -u"))
      end)

      it("refuse a source that is not there", function()
        local err = refused(bound { source = "/no/such/source" })
        assert.equal("open_tree", err.op)
        assert.equal("/no/such/source", err.path)
        assert.equal("ENOENT", err.code)
      end)

      it("refuse a file for a directory, and a directory for a file", function()
        local err = refused(bound { source = "/etc/passwd" })
        assert.equal("move_mount", err.op)
        assert.truthy(err.why:find("a file on a file", 1, true), err.why)
        err = refused(bound { destination = "/bin/sh" })
        assert.equal("move_mount", err.op)
      end)

      it("may be left away where the source is not there", function()
        assert.equal("", word(bound { source = "/no/such/source", optional = true }, "ls /mnt"))
        trial.write(directory .. "/file", "hello\n")
        assert.equal("file", word(bound { optional = true }, "ls /mnt"))
        -- That alone: everything else that fails is a failure.
        assert.equal("move_mount", refused(bound { source = "/etc/passwd", optional = true }).op)
      end)

      it("show what a descriptor of the caller's stands for, wherever that is by now", function()
        trial.sh(("mkdir %s/old && echo hello > %s/old/file"):format(directory, directory))
        local file = assert(core.open(directory .. "/old", { "path", "directory" }))
        trial.sh(("mv %s/old %s/new"):format(directory, directory))
        local text = word(bound { source = { fd = file:number() } }, "cat /mnt/file")
        file:close()
        assert.equal("hello", text)
      end)

      it("take a source by the caller's way to it, relative or over a link", function()
        trial.write(directory .. "/file", "hello\n")
        trial.sh(("ln -s %s %s.link"):format(directory, directory))
        assert.equal("hello", word(bound { source = directory .. ".link" }, "cat /mnt/file"))
        trial.sh(("rm %s.link"):format(directory))
        assert.is_true((succeeds(bound { source = "spec" }, "test -f /mnt/container/container_spec.lua")))
      end)
    end)

    describe("of the type tmpfs", function()
      local function empty(more)
        return { root = root.path, mounts = { PROC, with({ type = "tmpfs", destination = "/tmp" }, more) } }
      end

      it("are empty, can be written to, and are gone with the container", function()
        assert.equal("", word(empty(), "ls -A /tmp"))
        assert.equal("hello", word(empty(), "echo hello > /tmp/file; cat /tmp/file"))
        assert.equal("", word(empty(), "ls -A /tmp"))
        assert.equal("", root:shell "ls -A tmp")
      end)

      it("have a size that cannot be exceeded", function()
        local fill = "head -c 200000 /dev/zero > /tmp/file"
        for _, size in ipairs { "64k", 65536 } do
          local description = empty { size = size }
          description.mounts[3] = { type = "dev", destination = "/dev" }
          local ok, message = succeeds(description, fill)
          assert.is_false(ok)
          assert.truthy(message:find("No space left", 1, true), message)
        end
        local description = empty { size = "1M" }
        description.mounts[3] = { type = "dev", destination = "/dev" }
        assert.is_true((succeeds(description, fill)))
      end)

      it("have a mode", function()
        assert.equal("1777", word(empty(), "stat -c %a /tmp"))
        assert.equal("700", word(empty { mode = 448 }, "stat -c %a /tmp"))
      end)

      it("have a number of files that cannot be exceeded", function()
        local make = "for i in 1 2 3 4 5 6 7 8 9 10; do touch /tmp/$i || exit 1; done"
        assert.is_true((succeeds(empty(), make)))
        assert.is_false((succeeds(empty { inodes = 5 }, make)))
      end)

      it("have nosuid and nodev, without a word, and the other flags if they are to", function()
        local options = mounted(empty(), "/tmp").options
        assert.is_true(has(options, "nosuid") and has(options, "nodev"), options)
        assert.is_false(has(options, "noexec") or has(options, "noatime"), options)
        options = mounted(empty { noexec = true, noatime = true, nosymfollow = true }, "/tmp").options
        assert.is_true(has(options, "noexec") and has(options, "noatime") and has(options, "nosymfollow"), options)
        assert.is_false(has(mounted(empty { nosuid = false }, "/tmp").options, "nosuid"))
      end)

      it("may be read-only", function()
        assert.is_false((succeeds(empty { readonly = true }, "touch /tmp/file")))
      end)

      it("are where the mount points of later mounts are made, as directory or as file", function()
        local description = empty()
        description.mounts[3] = { type = "tmpfs", destination = "/tmp/a/b" }
        description.mounts[4] = { type = "bind", source = "/etc/passwd", destination = "/tmp/c/passwd",
          readonly = true }
        assert.equal("directory\nregular file\n", inside(description, "stat -c %F /tmp/a/b /tmp/c/passwd"))
        assert.equal("", root:shell "ls -A tmp")
      end)

      with_ids("belong to the container's root", function()
        assert.equal("0 0", word(with(empty(), { ids = several, user = { uid = 7, gid = 7 } }), "stat -c '%u %g' /tmp"))
      end)
    end)

    it("of the type proc show the container's processes, with nosuid, nodev and noexec #vm", function()
      local description = { root = root.path, mounts = { PROC } }
      assert.equal("sh", word(description, "cat /proc/$$/comm"))
      local mount = mounted(description, "/proc")
      assert.equal("proc", mount.type)
      assert.is_true(has(mount.options, "nosuid") and has(mount.options, "nodev") and has(mount.options, "noexec"))
      assert.is_true(has(mounted({ root = root.path, mounts = { with(PROC, { readonly = true }) } }, "/proc").options,
        "ro"))
    end)

    it("of the type proc may be without what is not about processes", function()
      local function description(more) return { root = root.path, mounts = { with(PROC, more) } } end
      assert.is_true((succeeds(description(), "test -e /proc/uptime")))
      assert.is_false((succeeds(description { subset = "pid" }, "test -e /proc/uptime")))
      assert.is_true((succeeds(description { subset = "pid" }, "test -e /proc/self/status")))
    end)

    it("of the type proc may hide the processes of others", function()
      local function options(more)
        return mounted({ root = root.path, mounts = { with(PROC, more) } }, "/proc").super
      end
      assert.truthy(options({ hidepid = "invisible" }):find("hidepid=invisible", 1, true))
      assert.is_nil(options({}):find("hidepid", 1, true))
    end)

    describe("of the type overlay", function()
      local lower, upper, work

      before_each(function()
        lower, upper, work = directory .. "/lower", directory .. "/upper", directory .. "/work"
        trial.sh(("mkdir %s %s %s; cd %s; echo lower > file; echo stays > other"):format(lower, upper, work, lower))
      end)

      local function overlay(more)
        return { root = root.path, ids = policy.root(),
          mounts = { PROC, with({ type = "overlay", destination = "/mnt", lower = lower }, more) } }
      end

      local CHANGE = "echo changed > /mnt/file; echo new > /mnt/new; rm /mnt/other; ls /mnt; cat /mnt/file"

      -- Kernels before 5.11 have none for users.
      local function overlays(name, body)
        it(name, function()
          local result, err = cella.container(overlay { lower = { lower, upper } }):run { "true" }
          if not result and err.op == "fsconfig" then
            assert.matches("an overlay in a user namespace needs Linux 5.11, and this is 5.", err.why, 1, true)
            pending(err.why)
            return
          end
          body()
        end)
      end

      overlays("keep what is written as long as the container, in a tmpfs", function()
        local description = overlay { upper = "tmpfs" }
        assert.equal("file\nnew\nchanged\n", inside(description, CHANGE))
        assert.equal("file\nother\nlower\n", inside(description, "ls /mnt; cat /mnt/file"))
        assert.equal("file\nother\nlower\n", trial.sh(("cd %s; ls; cat file"):format(lower)))
        assert.equal("", trial.sh(("find %s %s -type f"):format(upper, work)))
      end)

      overlays("keep what is written in a directory, if that is asked for", function()
        local description = overlay { upper = upper, work = work }
        assert.equal("file\nnew\nchanged\n", inside(description, CHANGE))
        assert.equal("file\nnew\nchanged\n", inside(description, "ls /mnt; cat /mnt/file"))
        assert.equal("file\nother\nlower\n", trial.sh(("cd %s; ls; cat file"):format(lower)))
        assert.equal("changed\n", trial.read(upper .. "/file"))
      end)

      overlays("are read-only without a place to write to", function()
        local description = overlay { lower = { lower, upper } }
        assert.is_false((succeeds(description, "touch /mnt/new")))
        assert.equal("lower", word(description, "cat /mnt/file"))
      end)

      overlays("have the first of several layers on top", function()
        trial.write(upper .. "/file", "upper\n")
        assert.equal("upper", word(overlay { lower = { upper, lower } }, "cat /mnt/file"))
        assert.equal("lower", word(overlay { lower = { lower, upper } }, "cat /mnt/file"))
        assert.equal("stays", word(overlay { lower = { upper, lower } }, "cat /mnt/other"))
      end)

      local function odd_name(name)
        local odd = directory .. "/" .. name
        trial.sh(("mkdir %s; echo odd > %s/file"):format(trial.quote(odd), trial.quote(odd)))
        return overlay { lower = { odd, lower } }
      end

      overlays("take a name with a colon in it for a name", function()
        assert.equal("odd", word(odd_name "a:b\\c", "cat /mnt/file"))
      end)

      overlays("take a name with a comma in it for a name, or refuse it", function()
        local description = odd_name "a,upperdir=b"
        local result, err = cella.container(description):run(trial.script "cat /mnt/file")
        if not result then
          assert.matches("a comma in a path of an overlay needs Linux 6.5, and this is ", err.why, 1, true)
          pending(err.why)
          return
        end
        assert.equal("odd\n", result.stdout)
      end)
    end)

    describe("that are made and not mounted", function()
      local function made(entry, mode)
        return { root = root.path, mounts = { { type = "tmpfs", destination = "/tmp" }, entry, mode } }
      end

      it("may be a file with its content, any bytes", function()
        local content = "line\nNUL \0 here\n" .. ("x"):rep(100000)
        local description = made { type = "file", destination = "/tmp/a/b/file", content = content }
        assert.equal(content, inside(description, "cat /tmp/a/b/file"))
        assert.equal("644", word(description, "stat -c %a /tmp/a/b/file"))
        assert.equal("", root:shell "ls -A tmp")
      end)

      it("may be a file with a mode, whatever the umask", function()
        local description = made { type = "file", destination = "/tmp/file", content = "", mode = 511 }
        assert.equal("777", word(description, "stat -c %a /tmp/file"))
      end)

      it("may be a link, whatever it leads to", function()
        local description = made { type = "symlink", destination = "/tmp/link", target = "../no/such" }
        assert.equal("../no/such", word(description, "readlink /tmp/link"))
      end)

      it("may be a directory, with a mode", function()
        assert.equal("755", word(made { type = "directory", destination = "/tmp/a" }, "stat -c %a /tmp/a"))
        local description = made { type = "directory", destination = "/tmp/b", mode = 1023 }
        assert.equal("1777", word(description, "stat -c %a /tmp/b"))
      end)
    end)

    it("of the type sysfs show the container's network, read-only #vm", function()
      local description = { root = root.path, mounts = { PROC, { type = "sysfs", destination = "/mnt" } } }
      assert.equal("lo", word(description, "ls /mnt/class/net"))
      local mount = mounted(description, "/mnt")
      assert.equal("sysfs", mount.type)
      assert.is_true(has(mount.options, "ro"))
    end)

    it("of the type mqueue are the container's message queues #vm", function()
      local description = { root = root.path, mounts = { PROC, { type = "mqueue", destination = "/mnt" } } }
      assert.equal("mqueue", mounted(description, "/mnt").type)
      assert.equal("", word(description, "ls /mnt"))
    end)

    it("of the type devpts are terminals of the container's own #vm", function()
      local description = { root = root.path, mounts = { PROC, { type = "devpts", destination = "/mnt" } } }
      local mount = mounted(description, "/mnt")
      assert.equal("devpts", mount.type)
      assert.is_true(has(mount.options, "nosuid") and has(mount.options, "noexec"))
      assert.is_true(has(mount.super, "ptmxmode=666"), mount.super)
      assert.equal("ptmx", word(description, "ls /mnt"))
    end)

    describe("of the type dev #vm", function()
      local description

      before_each(function()
        description = { root = root.path, mounts = { PROC, { type = "dev", destination = "/dev" } } }
      end)

      it("are six devices, five links, terminals and shared memory, and no more", function()
        assert.equal("fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n",
          inside(description, "ls /dev"))
      end)

      it("are the devices that their names say", function()
        local text = inside(description, "cd /dev; stat -c '%n %t:%T' full null random tty urandom zero")
        assert.equal("full 1:7\nnull 1:3\nrandom 1:8\ntty 5:0\nurandom 1:9\nzero 1:5\n", text)
      end)

      it("work", function()
        assert.equal("3", word(description, "head -c 3 /dev/zero | grep -c -z ''; echo lost > /dev/null"))
        assert.is_false((succeeds(description, "echo x > /dev/full")))
        assert.equal("hello", word(description, "echo hello > /dev/shm/file; cat /dev/shm/file"))
        assert.equal("hello", word(description, "echo hello > /dev/stdout"))
      end)

      it("cannot be changed for the host, not even by a container of its root", function()
        if trial.lacks_root() then
          pending(trial.lacks_root())
          return
        end
        -- On nodes of its own: a failure would be the whole machine's.
        local script = trial.write(directory .. "/container.lua", ([[return {
          mounts = { { type = "proc", destination = "/proc" }, { type = "dev", destination = "/dev" } },
          command = { "sh", "-c", "chmod 600 /dev/null; chown 7 /dev/zero; echo works > /dev/null && echo works" } }]]))
        local nodes = "for node in null:3 zero:5 full:7 random:8 urandom:9; do "
          .. "mknod -m 666 /dev/${node%:*} c 1 ${node#*:}; done; mknod -m 666 /dev/tty c 5 0; "
        local look = "; stat -c '%n %a %u' /dev/null /dev/zero"
        local text = trial.sh("unshare --mount sh -c " .. trial.quote("mount -t tmpfs none /dev && { " .. nodes
          .. "mkdir /dev/pts /dev/shm; } && " .. trial.cli_text { "run", script } .. " 2>/dev/full" .. look))
        assert.equal("works\n/dev/null 666 0\n/dev/zero 666 0\n", text)
      end)

      with_ids("have terminals that belong to the group tty, where that is mapped", function()
        description.ids = several
        assert.is_true(has(mounted(description, "/dev/pts").super, "gid=" .. first + 5)
          or has(mounted(description, "/dev/pts").super, "gid=5"))
      end)

      it("cannot be made into others: no device can be made", function()
        description.capabilities = "all"
        assert.is_false((succeeds(description, "mknod /dev/shm/memory c 1 1 || touch /dev/shm/ok && false")))
      end)
    end)

    it("are made in their order: a later one covers an earlier one", function()
      trial.write(directory .. "/file", "hello\n")
      local bind = { type = "bind", source = directory, destination = "/mnt", readonly = true }
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      assert.equal("", word({ root = root.path, mounts = { bind, tmpfs } }, "ls /mnt"))
      assert.equal("file", word({ root = root.path, mounts = { tmpfs, bind } }, "ls /mnt"))
    end)

    it("on a place that is not there are refused: nothing is made in the root", function()
      local was = root:fingerprint()
      local err = refused { root = root.path, mounts = { { type = "tmpfs", destination = "/no/such/place" } } }
      assert.equal("ENOENT", err.code)
      assert.truthy(err.why:find("nothing is created on the host", 1, true), err.why)
      assert.equal(was, root:fingerprint())
    end)

    it("on the root itself are refused: that is what `root` is for", function()
      for _, destination in ipairs { "/", "//", "/." } do
        local ok, message = pcall(cella.container, {
          root = root.path, mounts = { { type = "tmpfs", destination = destination } } })
        assert.is_false(ok, destination .. " was taken")
        assert.truthy(message:find("mounts[1].destination", 1, true), message)
      end
    end)

    it("need a mount namespace", function()
      local message = raised(cella.container, { namespaces = { mount = "host" }, mounts = { PROC } })
      assert.truthy(message:find("mounts: needs a new mount namespace", 1, true), message)
    end)
  end)

  describe("`root`", function()
    it("that is the host's has nothing that can be written, wherever something is mounted, but its own", function()
      local text = inside({ root = "/" }, "cat /proc/self/mountinfo")
      local count = 0
      local own = {}
      for _, place in ipairs { "/dev", "/dev/pts", "/dev/shm", "/proc", "/run", "/tmp", "/var/tmp" } do
        own[place] = true
      end
      local last = {} -- of those that lie at one place the last is what is seen
      for line in text:gmatch "[^\n]+" do
        local point, options = line:match "^%S+ %S+ %S+ %S+ (%S+) (%S+) "
        last[point] = options
        count = count + 1
      end
      for point, options in pairs(last) do
        assert.truthy((options .. ","):find "^ro," or own[point], point .. " is writable: " .. options)
      end
      assert.is_true(count > 1)
    end)

    it("that is the host's cannot be written to where the caller can", function()
      -- Below a directory of the host's that everybody may write to, shown where it is not the container's own.
      local place = { type = "bind", source = directory, destination = "/mnt" }
      local function writes(readonly)
        place.readonly = readonly
        return succeeds({ root = "/", ids = policy.root(), mounts = { place } }, "touch /mnt/file && rm /mnt/file")
      end
      assert.is_true((writes(false)))
      local ok, message = writes(true)
      assert.is_false(ok)
      assert.truthy(message:find("Read-only file system", 1, true), message)
      ok, message = succeeds({ root = "/" }, "touch /cella-spec /usr/cella-spec")
      assert.is_false(ok)
      assert.truthy(message:find("Read-only file system", 1, true), message)
      -- What it writes where the host has its own places stays with it.
      inside({ root = "/" }, ("touch /tmp/%s /dev/shm/cella-spec"):format(directory:match "[^/]+$"))
      assert.is_nil(io.open "/dev/shm/cella-spec")
    end)

    it("that is the host's cannot be made writable again, not in a user namespace of one's own either", function()
      -- Not as 0: to map that once more takes a capability, setfcap.
      local ids = { uid = ("1000 %d 1"):format(uid), gid = ("1000 %d 1"):format(gid) }
      local description = { root = "/", ids = ids, mounts = { PROC }, nesting = true }
      local as_root = "unshare --user --map-root-user --mount "
      assert.is_false((succeeds(description, "mount -o remount,bind,rw /")))
      assert.is_false((succeeds(description, as_root .. "mount -o remount,bind,rw /")))
      -- In there it may mount: the probe works.
      assert.is_true((succeeds(description, as_root .. "mount -t tmpfs none /mnt")))
    end)

    it("that is the host's cannot be asked for writable", function()
      local message = raised(cella.container, { root = { path = "/", readonly = false } })
      assert.truthy(message:find("root.readonly: the host's root is read-only", 1, true), message)
      message = raised(cella.container, { root = { path = "//", readonly = false } })
      assert.truthy(message:find("root.readonly", 1, true), message)
    end)

    it("is the host's by whatever path, and read-only", function()
      for _, path in ipairs { "/.", "/./", "/usr/..", "/proc/self/root" } do
        local ok, message = succeeds({ root = path }, "touch /cella-spec")
        assert.is_false(ok, path .. " is writable")
        assert.truthy(message:find("Read-only file system", 1, true), message)
      end
    end)

    it("is a directory, and nothing above it", function()
      assert.equal(root:shell "ls -A", inside({ root = root.path }, "cd / && cd ../.. && ls -A"))
      assert.is_false((succeeds({ root = root.path }, "cat /etc/passwd")))
    end)

    it("that is a directory can be written to, if that allows it", function()
      inside({ root = root.path, ids = policy.root() }, "echo hello > /work/file")
      assert.equal("hello\n", root:shell "cat work/file; rm -f work/file")
    end)

    it("that is a directory may be read-only", function()
      local ok, message = succeeds({ root = { path = root.path, readonly = true } }, "echo hello > /work/file")
      assert.is_false(ok)
      assert.truthy(message:find("Read-only file system", 1, true), message)
      assert.equal("", root:shell "ls work")
    end)

    it("has mounts of the container's own below it that are not read-only with it", function()
      local description = { root = { path = root.path, readonly = true },
        mounts = { { type = "tmpfs", destination = "/tmp" } } }
      assert.is_true((succeeds(description, "touch /tmp/file")))
      assert.is_false((succeeds(description, "touch /work/file")))
    end)

    it("is the only mount there is, if it has none: the old root is gone", function()
      local box = cella.container { root = root.path, namespaces = { pid = "host" } }
      local process = assert(box:spawn { "sleep", "1000" })
      local points = {}
      for line in io.lines(("/proc/%d/mountinfo"):format(trial.program(process.pid, "sleep"))) do
        points[#points + 1] = line:match "^%S+ %S+ %S+ %S+ (%S+)"
      end
      process:close()
      assert.same({ "/" }, points)
    end)

    it("may be named relative to where the caller is", function()
      local name = root.path:match "[^/]+$"
      local text = trial.sh(("cd /tmp && %s -e %s"):format(trial.interpreter(), trial.quote(
        ('io.write(require("cella").container({ root = %q }):run({ "ls", "-A", "/", stdout = "capture" }).stdout)')
        :format("./" .. name))))
      assert.equal(root:shell "ls -A", text)
    end)

    it("that is not there, or no directory, is refused", function()
      local err = refused { root = "/no/such/root" }
      assert.equal("ENOENT", err.code)
      assert.equal("/no/such/root", err.path)
      err = refused { root = "/etc/passwd" }
      assert.is_string(err.why)
    end)
  end)

  describe("`root` of parts #vm", function()
    -- What a shell needs, from the small root.
    local function parts(more)
      local list = { { type = "tmpfs", destination = "/tmp" } }
      for name in root:shell("ls -d bin lib* sbin usr 2>/dev/null || true"):gmatch "%S+" do
        list[#list + 1] = { type = "bind", source = root.path .. "/" .. name, destination = "/" .. name,
          readonly = true }
      end
      return with(list, more)
    end

    it("has what is named, and nothing else", function()
      local list = parts()
      list[#list + 1] = { type = "file", destination = "/etc/motd", content = "hello\n" }
      list[#list + 1] = { type = "symlink", destination = "/var/tmp", target = "../tmp" }
      list[#list + 1] = { type = "directory", destination = "/srv" }
      local expected = {}
      for _, part in ipairs(list) do expected[#expected + 1] = part.destination:match "^/[^/]+" end
      expected[#expected + 1] = "/proc"
      table.sort(expected)
      assert.equal(table.concat(expected, "\n") .. "\n", inside({ root = list }, "ls -d /*"))
      assert.equal("hello", word({ root = list }, "cat /etc/motd"))
    end)

    it("can be written to, and keeps nothing", function()
      assert.equal("x", word({ root = parts() }, "echo x > /new; cat /new"))
      assert.is_false((succeeds({ root = parts() }, "test -e /new")))
    end)

    it("may be read-only, above what is mounted in it", function()
      local description = { root = parts { readonly = true } }
      assert.is_false((succeeds(description, "echo x > /new")))
      assert.is_true((succeeds(description, "echo x > /tmp/new")))
    end)

    it("has a mode, a size and a number of files", function()
      assert.equal("755", word({ root = parts() }, "stat -c %a /"))
      assert.equal("700", word({ root = parts { mode = 448 } }, "stat -c %a /"))
      local fill = "head -c 300000 /dev/zero > /new"
      local dev = { type = "dev", destination = "/dev" }
      assert.is_true((succeeds({ root = parts(), mounts = { dev } }, fill)))
      assert.is_false((succeeds({ root = parts { size = "128k" }, mounts = { dev } }, fill)))
      assert.is_false((succeeds({ root = parts { inodes = 30 } },
        "i=0; while [ $i -lt 40 ]; do i=$((i + 1)); : > /new$i || exit 1; done")))
    end)

    it("takes the container's mounts on top", function()
      assert.equal("proc", word({ root = parts(), mounts = { PROC } }, "stat -f -c %T /proc"))
    end)
  end)

  describe("`masked_paths` #vm", function()
    it("cover files with nothing, and directories with an empty one", function()
      root:shell "mkdir work/secrets; echo secret > work/secrets/file; echo secret > work/secret"
      local description = { root = root.path, masked_paths = { "/work/secrets", "/work/secret", "/no/such/path" } }
      assert.equal("", inside(description, "ls -A /work/secrets; cat /work/secret"))
      assert.is_false((succeeds(description, "touch /work/secrets/new")))
      assert.equal("secret\nsecret\n", inside({ root = root.path }, "cat /work/secrets/file /work/secret"))
      root:shell "rm -r work/secrets work/secret"
    end)

    it("may be those that tell about the host", function()
      local description = { mounts = { PROC }, masked_paths = "default" }
      assert.equal("character special file", word(description, "stat -c %F /proc/timer_list /proc/kcore | head -n 1"))
      assert.equal("", word(description, "cat /proc/keys"))
    end)
  end)

  describe("`readonly_paths` #vm", function()
    it("can be read, and not written to", function()
      root:shell "mkdir -m 777 work/area"
      local description = { root = root.path, ids = policy.root(),
        readonly_paths = { "/work/area", "/no/such/path" } }
      local ok, message = succeeds(description, "touch /work/area/new")
      assert.is_false(ok)
      assert.truthy(message:find("Read-only file system", 1, true), message)
      assert.is_true((succeeds(description, "touch /work/new && rm /work/new && ls /work/area")))
      assert.is_true((succeeds({ root = root.path }, "touch /work/area/new")))
      root:shell "rm -r work/area"
    end)

    it("may be the switches that act beyond the container", function()
      -- A switch of the network, which is the container's own.
      local write = "echo 0 > /proc/sys/net/ipv4/ip_forward"
      local description = { mounts = { PROC }, capabilities = "all" }
      assert.is_true((succeeds(description, write)))
      assert.is_false((succeeds(with(description, { readonly_paths = "default" }), write)))
    end)
  end)

  describe("`new_session`", function()
    it("is one, without a word: no terminal of the caller's is the program's", function()
      assert.equal("own", word({ mounts = { PROC } },
        "read a b c d e session rest < /proc/$$/stat; [ $session = $$ ] && echo own || echo $session"))
    end)

    it("may be false", function()
      -- The caller's session is of another pid namespace, and has no number here.
      assert.equal("0", word({ mounts = { PROC }, new_session = false },
        "read a b c d e session rest < /proc/$$/stat; echo $session"))
    end)
  end)

  describe("`init`", function()
    local PIDS = "for comm in /proc/[0-9]*/comm; do read name < $comm; echo $name; done; echo $$"

    it("is, without a word, the first process; the program is the second, with no other in sight #vm", function()
      assert.equal("cella-init\nsh\n2\n", inside({ mounts = { PROC } }, PIDS))
    end)

    it("may be false: then the program is the first", function()
      assert.equal("sh\n1\n", inside({ mounts = { PROC }, init = false }, PIDS))
    end)

    it("cannot be looked into or written to from inside", function()
      local description = { mounts = { PROC } }
      for _, file in ipairs { "cat /proc/%s/environ", "readlink /proc/%s/exe", ": >> /proc/%s/mem" } do
        assert.is_false((succeeds(description, file:format "1")), file)
        assert.is_true((succeeds(description, file:format "$$")), file)
      end
    end)

    it("cannot be ended or stopped from inside", function()
      assert.equal("on", word({ mounts = { PROC } }, "kill -KILL 1; kill -STOP 1; echo on"))
    end)

    it("has no more privileges than the program", function()
      local status = "grep -E '^(Uid|Gid|Cap...|NoNewPrivs)' /proc/%s/status"
      for _, capabilities in ipairs { {}, { "chown" } } do
        local description = { mounts = { PROC }, capabilities = capabilities }
        assert.equal(inside(description, status:format "self"), inside(description, status:format "1"))
      end
    end)

    it("reaps what the program leaves to it #vm", function()
      -- The shell's child leaves a grandchild that ends: nobody but the init is there to wait for it.
      local text = "(sh -c 'exit 0' & echo $! > /tmp/pid); read pid < /tmp/pid; "
        .. "n=0; while [ -e /proc/$pid ] && [ $n -lt 3000 ]; do n=$((n + 1)); sleep 0.01; done; [ ! -e /proc/$pid ]"
      assert.is_true((succeeds({ mounts = { PROC, { type = "tmpfs", destination = "/tmp" } } }, text)))
    end)

    it("tells how the program ended #vm", function()
      assert.equal(7, assert(cella.container({}):run { "sh", "-c", "exit 7" }).code)
      assert.equal("segv", assert(cella.container({}):run { "sh", "-c", "kill -SEGV $$" }).signal)
    end)

    it("needs a pid namespace of the container's own", function()
      local message = raised(cella.container, { init = true, namespaces = { pid = "host" } })
      assert.truthy(message:find("init: needs a new pid namespace", 1, true), message)
    end)
  end)

  describe("`die_with_parent`", function()
    -- Kills, the hard way, a program that has started a container. Returns the pid of what runs in it.
    local function orphan(keys)
      local source = ([[
        local process = assert(require("cella").container { %s }:spawn { "/bin/sleep", "1000" })
        local file = io.open(%q, "w")
        file:write(process.pid, "\n")
        file:close()
        require("cella.core").poll({}, 1000)
      ]]):format(keys, directory .. "/pid")
      local words = { "/bin/sh", "-c", ("exec %s -e %s"):format(trial.interpreter(), trial.quote(source)) }
      local process = assert(cella.plan():exec(words):spawn())
      local pid = trial.wait_for(function()
        return tonumber((trial.read(directory .. "/pid") or ""):match "^(%d+)\n")
      end, "the container")
      process:kill "kill"
      process:wait()
      return pid
    end

    local function ends(keys)
      local pid = orphan(keys)
      trial.wait_for(function() return not trial.runs(pid) end, "its end")
    end

    it("is so without a word: an init ends the container with the caller", function()
      ends ""
      ends "die_with_parent = true"
    end)

    it("ends a program without an init too", function() ends "init = false" end)

    with_ids("also after a switch of IDs, which erases the wish", function()
      ends(("init = false, ids = { uid = %q, gid = %q }, user = { uid = 7, gid = 7 }"):format(several.uid, several.gid))
    end)

    for _, init in ipairs { "true", "false" } do
      it(("may be false: the program runs on, with init = %s"):format(init), function()
        local pid = orphan("die_with_parent = false, init = " .. init)
        -- Long enough for one that does not stay to go.
        local result = assert(cella.plan():exec({ "sleep", "0.2" }):run())
        local ran = trial.runs(pid)
        trial.sh("kill -9 " .. pid)
        trial.wait_for(function() return not trial.runs(pid) end, "its end")
        assert.equal(0, result.code)
        assert.is_true(ran)
      end)
    end
  end)

  describe("`command`", function()
    it("is run if no other is given", function()
      local box = cella.container { command = { "echo", "mine", stdout = "capture" } }
      assert.equal("mine\n", assert(box:run()).stdout)
      assert.equal("other\n", assert(box:run { "echo", "other", stdout = "capture" }).stdout)
    end)

    it("has to be somewhere", function()
      local box = cella.container {}
      for _, method in ipairs { "run", "spawn", "plan" } do
        assert.truthy(raised(box[method], box):find("command: missing", 1, true))
      end
    end)

    it("may be run as often as one likes, in a new container each time", function()
      local box = cella.container { mounts = { { type = "tmpfs", destination = "/tmp" } } }
      for _ = 1, 3 do
        assert.equal("0\n", assert(box:run(trial.script "ls /tmp | grep -c x; touch /tmp/x")).stdout)
      end
    end)

    it("may run at the same time as others", function()
      local box = cella.container {}
      local processes = {}
      for i = 1, 10 do processes[i] = assert(box:spawn { "sh", "-c", "exit " .. i }) end
      for i = 10, 1, -1 do assert.equal(i, assert(processes[i]:wait()).code) end
    end)

    it("has a time, after which it is killed with all that it started", function()
      local result = assert(cella.container({}):run { "sh", "-c", "sleep 1000 & sleep 1000", timeout = 1 })
      assert.equal("timeout", result.reason)
      assert.equal("kill", result.signal)
    end)
  end)

  it("is printed as what it is", function()
    assert.equal("cella.container (system; new: user mount pid ipc uts net cgroup)", tostring(cella.container {}))
    assert.equal("cella.container (/srv; new: user mount pid ipc uts cgroup)",
      tostring(cella.container { root = "/srv", namespaces = { net = "host" } }))
  end)

  it("does not change when the table that described it does", function()
    local description = { hostname = "moon", environment = { A = "1" } }
    local box = cella.container(description)
    description.hostname, description.environment.A = "sun", "2"
    assert.equal("moon 1\n", assert(box:run(trial.script "echo $(/bin/hostname) $A")).stdout)
  end)

  it("leaves the caller's user, groups, limits, directory and namespaces as they were", function()
    local function state()
      local list = { table.concat({ sys.getresuid() }, " "), sys.gethostname(), tostring(sys.get_dumpable()),
        tostring(sys.get_no_new_privs()), sys.capabilities_text(), trial.status("self", "SigBlk"),
        trial.status("self", "SigIgn"), trial.status("self", "Groups"), trial.read "/proc/self/limits",
        trial.read "/proc/self/mountinfo", tostring(sys.umask(sys.umask(18))) }
      for _, name in ipairs(ALL) do list[#list + 1] = tostring(sys.namespace(name)) end
      list[#list + 1] = tostring(sys.namespace "time_for_children") .. tostring(sys.namespace "pid_for_children")
      return list
    end
    local was = state()
    inside({ hostname = "moon", rlimits = { nofile = 64 }, namespaces = { time = { boottime = 5 } }, ids = several,
      mounts = { PROC, { type = "tmpfs", destination = "/tmp" } }, cwd = "/usr" }, "true")
    refused { cwd = "/no/such/directory" }
    assert.same(was, state())
  end)
end)

describe("a container table", function()
  local function is_refused(description, message)
    local ok, said = pcall(cella.container, description)
    assert.is_false(ok, "it was taken")
    assert.equal("string", type(said))
    assert.truthy(said:find(message, 1, true), ("%q is not in %q"):format(message, said))
  end

  local cyclic = {}
  cyclic.namespaces = cyclic

  local deep = { mounts = { { type = "tmpfs", destination = "/tmp" } } }
  deep.mounts[1].size = deep

  local cases = {
    ["an unknown key, with the nearest one"] =
      { { hostnam = "moon" }, "hostnam: unknown key; did you mean 'hostname'?" },
    ["an unknown key that is like none, with those that there are"] =
      { { zzzzzz = 1 }, "zzzzzz: unknown key; there are capabilities, cgroup, command, " },
    ["an unknown key deeper down"] =
      { { user = { uid = 0, group = 0 } }, "user.group: unknown key; did you mean 'groups'?" },
    ["an unknown key in a list"] =
      { { mounts = { { type = "proc", destination = "/proc" }, { type = "bind", sorce = "/a", destination = "/b" } } },
        "mounts[2].sorce: unknown key; did you mean 'source'?" },
    ["an unknown namespace"] =
      { { namespaces = { nett = "new" } }, "namespaces.nett: unknown key; did you mean 'net'?" },
    ["an unknown limit"] =
      { { rlimits = { nofiles = 1 } }, "rlimits.nofiles: the string \"nofiles\" is not one of" },
    ["an unknown capability"] =
      { { capabilities = { "chown", "net_rwa" } }, "did you mean 'net_raw'?" },
    ["a capability that this kernel does not have"] = { { capabilities = { 63 } }, "capabilities[1]" },
    ["a key of the wrong type"] = { { hostname = 7 }, "hostname: a string expected, got 7" },
    ["a number that is text"] = { { user = { uid = "8" } }, "user.uid: an integer from 0 to 4294967294" },
    ["an ID of -1"] = { { user = { uid = -1 } }, "user.uid: an integer from 0 to 4294967294 expected, got -1" },
    ["an ID of 2^32 - 1, which means \"unchanged\""] =
      { { user = { gid = 4294967295 } }, "user.gid: an integer from 0 to 4294967294 expected, got 4294967295" },
    ["an ID of 2^32, which a cast makes root"] =
      { { user = { uid = 4294967296 } }, "user.uid: an integer from 0 to 4294967294 expected, got 4294967296" },
    ["an ID of 2^63 - 1"] = { { user = { uid = math.maxinteger or 2 ^ 62 } }, "user.uid: an integer" },
    ["an ID of 2^63"] = { { user = { uid = 2 ^ 63 } }, "user.uid: an integer" },
    ["an ID of 1.5"] = { { user = { uid = 1.5 } }, "user.uid: an integer from 0 to 4294967294 expected, got 1.5" },
    ["an ID that is not a number"] = { { user = { uid = 0 / 0 } }, "user.uid: an integer" },
    ["a group of -1"] = { { user = { groups = { 0, -1 } } }, "user.groups[2]: an integer" },
    ["groups with a hole"] =
      { { user = { groups = { [1] = 0, [3] = 1 } } }, "user.groups[2]: missing" },
    ["groups with a hole that is written"] = { { user = { groups = { 0, nil, 1 } } }, "user.groups[2]: missing" },
    ["a NUL in a name"] = { { hostname = "mo\0on" }, "hostname: the string has a NUL byte in it" },
    ["a newline in a name"] = { { hostname = "mo\non" }, "hostname: the string has a newline in it" },
    ["a name that is too long"] = { { hostname = ("x"):rep(65) }, "hostname: longer than 64 bytes" },
    ["a NUL in the environment"] = { { environment = { A = "x\0y" } }, "environment.A: the string has a NUL byte" },
    ["a NUL in a variable's name"] = { { environment = { ["A\0B"] = "x" } }, "the string has a NUL byte in it" },
    ["a variable with ="] = { { environment = { ["A=B"] = "x" } }, "not the name of a variable" },
    ["a variable that is true"] =
      { { environment = { A = true } }, "environment.A: a string, a number or false expected, got true" },
    ["a variable that is not a number"] =
      { { environment = { A = 0 / 0 } }, "environment.A: a string or a finite number expected" },
    ["a variable that is infinite"] =
      { { environment = { A = -math.huge } }, "environment.A: a string or a finite number expected" },
    ["an environment that is a list"] = { { environment = { "A=1" } },
      'environment[1]: the names of variables are keys, { A = "1" }, got the string "A=1"' },
    ["a relative working directory"] = { { cwd = "usr" }, "cwd: an absolute path expected" },
    ["an empty working directory"] = { { cwd = "" }, "cwd: the path is empty" },
    ["a working directory with .."] = { { cwd = "/usr/../etc" }, "cwd: '..' in" },
    ["a path that is too long"] = { { cwd = "/" .. ("x"):rep(4096) }, "cwd: the path is longer than 4095 bytes" },
    ["capabilities by what is not to stay"] =
      { { capabilities = { "-chown" } }, "capabilities[1]: '-chown' takes one away, and there is nothing" },
    ["a text of what is not to stay"] =
      { { capabilities = "-chown" }, "capabilities: '-chown' takes one away, and there is nothing" },
    ["a number in place of capabilities"] =
      { { capabilities = 13 }, "capabilities: a set of capabilities, a list or a text" },
    ["a root that is no path"] =
      { { root = 7 }, "root: \"system\", a directory, { path = ... } or a list of parts expected, got 7" },
    ["an unknown key of a root"] =
      { { root = { path = "/srv", readnly = true } }, "root.readnly: unknown key; did you mean 'readonly'?" },
    ["an empty root"] = { { root = "" }, "root: the path is empty" },
    ["a NUL in the root"] = { { root = "/srv\0/../.." }, "root: the string has a NUL byte in it" },
    ["an unknown type of mount"] =
      { { mounts = { { type = "tmpf", destination = "/tmp" } } }, "mounts[1].type: the string \"tmpf\" is not one of" },
    ["a mount without a type"] = { { mounts = { { destination = "/tmp" } } }, "mounts[1].type: missing" },
    ["a mount without a destination"] = { { mounts = { { type = "tmpfs" } } }, "mounts[1].destination: missing" },
    ["a bind without a source"] =
      { { mounts = { { type = "bind", destination = "/tmp" } } }, "mounts[1].source: missing" },
    ["a mount on a relative path"] =
      { { mounts = { { type = "tmpfs", destination = "tmp" } } }, "mounts[1].destination: an absolute path expected" },
    ["a mount on a path with .."] =
      { { mounts = { { type = "tmpfs", destination = "/tmp/../etc" } } }, "mounts[1].destination: '..' in" },
    ["a mount on an empty path"] =
      { { mounts = { { type = "tmpfs", destination = "" } } }, "mounts[1].destination: the path is empty" },
    ["a newline in a source"] = { { mounts = { { type = "bind", source = "/a\nb", destination = "/b" } } },
      "mounts[1].source: the string has a newline in it" },
    ["a size that is none"] = { { mounts = { { type = "tmpfs", destination = "/tmp", size = "64X" } } },
      "mounts[1].size: bytes, or a string such as" },
    ["a size of nothing, which means no limit"] =
      { { mounts = { { type = "tmpfs", destination = "/tmp", size = "0" } } }, "mounts[1].size" },
    ["another option smuggled in by a size"] =
      { { mounts = { { type = "tmpfs", destination = "/tmp", size = "1M,mode=777" } } }, "mounts[1].size" },
    ["a mode that is none"] =
      { { mounts = { { type = "tmpfs", destination = "/tmp", mode = 4096 } } }, "mounts[1].mode: octal digits" },
    ["a flag that is not true or false"] = { { mounts = { { type = "tmpfs", destination = "/tmp", readonly = 1 } } },
      "mounts[1].readonly: true or false expected, got 1" },
    ["mounts that are one mount"] =
      { { mounts = { type = "tmpfs", destination = "/tmp" } }, "mounts: a list of mounts expected, { { type =" },
    ["a limit below zero"] = { { rlimits = { nofile = -1 } }, "rlimits.nofile: an integer from 0 to 2^53" },
    ["a limit of 1.5"] = { { rlimits = { nofile = 1.5 } }, "rlimits.nofile" },
    ["a limit that is a word"] = { { rlimits = { nofile = "unlimted" } }, "rlimits.nofile" },
    ["a soft limit above the hard one"] =
      { { rlimits = { nofile = { soft = 2, hard = 1 } } }, "rlimits.nofile.soft: above the hard limit" },
    ["a soft limit alone"] = { { rlimits = { nofile = { soft = 2 } } }, "rlimits.nofile.hard: missing" },
    ["a namespace by a word that is none"] =
      { { namespaces = { net = "hots" } }, "namespaces.net: \"new\", \"host\", a path" },
    ["a namespace by a relative path"] = { { namespaces = { net = "./ns" } }, "namespaces.net" },
    ["a namespace by two names"] =
      { { namespaces = { net = { pid = 1, fd = 3 } } }, "namespaces.net: exactly one of pid, fd and path" },
    ["a namespace by none"] = { { namespaces = { net = {} } }, "namespaces.net: exactly one of pid, fd and path" },
    ["a namespace of the process 0"] = { { namespaces = { net = { pid = 0 } } }, "namespaces.net.pid: an integer" },
    ["a clock that is none"] =
      { { namespaces = { time = { realtime = 5 } } }, "namespaces.time.realtime: unknown key" },
    ["a clock set by no number"] = { { namespaces = { time = { monotonic = 0 / 0 } } }, "namespaces.time.monotonic" },
    ["a clock set by what is beyond"] = { { namespaces = { time = { monotonic = 2 ^ 60 } } },
      "namespaces.time.monotonic" },
    ["ids that are no map"] =
      { { ids = "0 0 1" }, "ids: a policy such as policy.available(), { uid =, gid = } or false expected" },
    ["an empty command"] = { { command = {} }, "command: the argument vector is empty" },
    ["a command with an empty name"] = { { command = { "" } }, "command[1]: the program's name is empty" },
    ["a command with a boolean"] =
      { { command = { "sleep", true } }, "command[2]: a string or a number expected, got true" },
    ["a NUL in an argument"] = { { command = { "echo", "a\0b" } }, "command[2]: the string has a NUL byte in it" },
    ["an unknown key of a command"] =
      { { command = { "true", stdou = "null" } }, "command.stdou: unknown key; did you mean 'stdout'?" },
    ["a word that is no stream"] =
      { { command = { "true", stdin = "capture" } }, "command.stdin: the string \"capture\"" },
    ["a time that is none"] = { { command = { "true", timeout = -1 } }, "command.timeout: seconds from 0" },
    ["an endless time"] = { { command = { "true", timeout = math.huge } }, "command.timeout: seconds from 0" },
    ["yes for true"] = { { no_new_privs = "yes" }, "no_new_privs: true or false expected" },
    ["a table in itself"] = { cyclic, "namespaces" },
    ["a table in itself, deeper down"] = { deep, "mounts[1].size" },
    ["a table with a metatable"] = { setmetatable({}, {}), "a plain table expected, got one with a metatable" },
    ["ids where the user namespace is the host's"] =
      { { ids = function() end, namespaces = { user = "host" } }, "ids: needs a new user namespace" },
    ["a root where the mounts are the host's"] =
      { { root = "/srv", namespaces = { mount = "host" } }, "root: needs a new mount namespace" },
  }

  for name, case in pairs(cases) do
    it("is refused for " .. name, function() is_refused(case[1], case[2]) end)
  end

  for what, value in pairs { ["no table"] = 7, ["nothing"] = "nil", ["text"] = "moon" } do
    it("is refused if it is " .. what, function()
      if value == "nil" then value = nil end
      assert.is_false((pcall(cella.container, value)))
    end)
  end

  it("is refused where it is given, not somewhere in the library", function()
    local _, message = pcall(function()
      local box = cella.container { hostnam = "moon" } -- no tail call, which would have no position
      return box
    end)
    assert.truthy(message:find "container_spec%.lua:%d+: hostnam", message)
  end)

  -- Maps are for the policy to decide, so that they are looked at when the plan is made; nothing has happened then.
  local id_cases = {
    ["an ID of -1"] = { "0 -1 1" }, ["an ID of 2^32"] = { "0 4294967296 1" }, ["an ID of 1.5"] = { "0 1.5 1" },
    ["an ID of 2^63"] = { "0 9223372036854775808 1" }, ["no IDs"] = { "0 1000 0" },
    ["a hexadecimal ID"] = { "0 0x10 1" },
    ["ranges that overlap inside"] = { "0 1000 10\n5 3000 10" },
    ["ranges that overlap outside"] = { "0 1000 10\n50 1005 10" },
    ["a NUL"] = { "0 1000 1\0" }, ["nonsense"] = { "root" },
    ["an extent with text"] = { { inside = "8", outside = 1000, count = 1 } },
    ["an extent with -1"] = { { inside = 0, outside = -1, count = 1 } },
    ["an extent with 2^32"] = { { inside = 0, outside = 4294967296, count = 1 } },
    ["an extent with 1.5"] = { { inside = 0, outside = 1.5, count = 1 } },
    ["an extent that wraps"] = { { inside = 0, outside = 4294967290, count = 10 } },
    ["an extent with an unknown key"] = { { inside = 0, outside = 0, count = 1, size = 1 } },
  }
  local extents = {}
  for i = 0, 340 do extents[#extents + 1] = { inside = i * 2, outside = i * 2, count = 1 } end
  id_cases["341 ranges"] = { extents }

  for name, case in pairs(id_cases) do
    it("with a map of " .. name .. " is refused", function()
      for _, kind in ipairs { "uid", "gid" } do
        local ids = { uid = "0 0 1", gid = "0 0 1" }
        ids[kind] = case[1]
        local ok, message = pcall(function()
          local box = cella.container { ids = ids }
          local result, err = box:run { "/bin/echo", "it ran" }
          return result or error(tostring(err), 0)
        end)
        assert.is_false(ok)
        assert.truthy(message:find(kind, 1, true), message)
        assert.is_nil(message:find("clone3", 1, true), message)
      end
    end)
  end

  it("with a map that is none is refused with the key's full path, where it is given", function()
    for _, kind in ipairs { "uid", "gid" } do
      local ids = { uid = "0 0 1", gid = "0 0 1" }
      ids[kind] = "0 -1 1"
      local _, message = pcall(function()
        local result = cella.container({ ids = ids }):run { "true" }
        return result
      end)
      assert.truthy(tostring(message):find("container_spec%.lua:%d+: ids%." .. kind .. ": "), tostring(message))
    end
  end)

  it("is refused before the first system call", function()
    if not trial.sh("strace -o /dev/null true && echo yes"):find "yes" then
      pending "needs strace, and leave to use it"
      return
    end
    local directory = trial.directory()
    -- A few of the cases above: values of each kind.
    local script = trial.write(directory .. "/bad.lua", [[
      local cella = require "cella"
      local sys = require "cella.sys"
      local cyclic = {}
      cyclic.namespaces = cyclic
      local bad = {
        { hostnam = "moon" }, { hostname = "a\0b" }, { user = { uid = -1 } }, { user = { uid = 4294967296 } },
        { mounts = { { type = "bind", sorce = "/a", destination = "/b" } } }, { command = {} }, cyclic,
        { rlimits = { nofile = { soft = 2, hard = 1 } } }, { namespaces = { net = { pid = 1, fd = 3 } } },
        { root = "" }, { environment = { A = true } }, { cwd = "relative" },
      }
      pcall(cella.container, { capabilities = { "chown" } }) -- what is asked once for all has been asked
      collectgarbage()
      collectgarbage()
      sys.umask(18)
      for _, description in ipairs(bad) do assert(not pcall(cella.container, description)) end
      assert(not pcall(cella.container, { capabilities = { "net_rwa" } }))
      sys.umask(18)
    ]])
    local said = trial.sh(("strace -f -o %s/calls %s %s"):format(directory, trial.interpreter(), script))
    local calls = trial.read(directory .. "/calls")
    trial.remove_directory(directory)
    assert.equal("", said)
    local between = calls:match "umask%(022%)%s+= %d+\n(.-)%d+ +umask%(022%)"
    assert.is_string(between, calls:sub(-2000))
    -- A compiler makes what it has written executable.
    local memory = "brk mmap munmap mremap madvise sigaltstack" .. (portable.jit and " mprotect" or "")
    for call in between:gmatch "(%w+)%(" do assert.truthy(memory:find(call, 1, true), call .. " in\n" .. between) end
  end)

end)
