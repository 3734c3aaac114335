-- cella.enter: who enters is what the process there is, as the kernel says of both.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local enter = require "cella.enter"
local host = require "cella.host"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local kinds = require "cella.kinds"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local PROC = { type = "proc", destination = "/proc" }
local SLEEP = { "sleep", "1000", stdin = "null" }

-- A filter that allows everything: ret ALLOW.
local ALLOW = "\6\0\0\0\0\0\255\127"

describe("a process that is entered", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local _, no_several = trial.several_ids()
  if type(no_several) ~= "string" then no_several = nil end

  trial.around(before_each, after_each)

  local hold = trial.hold

  -- A container whose program sleeps.
  local function sleeper(keys)
    keys.mounts = keys.mounts or { PROC }
    return hold(cella.container(keys):spawn(SLEEP))
  end

  local function entering(process, options)
    return hold(process:enter(options))
  end

  local function refused(process, options, command)
    local result, err = entering(process, options):run(command or { "true" })
    if result then error("it was not refused", 2) end
    return err
  end

  local function word(entrance, script)
    local result, err = entrance:run { "sh", "-c", script, stdin = "null", stdout = "capture", stderr = "capture" }
    if not result then error(tostring(err), 2) end
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    return (result.stdout:gsub("\n$", ""))
  end

  local CONFINED = { "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
    "Umask" }

  local function mount_of(path)
    local fd = assert(core.open(path, { "path", "directory" }))
    local text = trial.read("/proc/self/fdinfo/" .. fd:number())
    fd:close()
    return text:match "mnt_id:%s*(%d+)"
  end

  -- What the kernel says of the confinement of a process.
  local function confinement(pid)
    local status = assert(trial.read(("/proc/%d/status"):format(pid)))
    local found = {
      cgroup = trial.read(("/proc/%d/cgroup"):format(pid)), limits = trial.read(("/proc/%d/limits"):format(pid)),
      root = { core.inode(("/proc/%d/root"):format(pid)) }, cwd = { core.inode(("/proc/%d/cwd"):format(pid)) },
      mounts = mount_of(("/proc/%d/root"):format(pid)) .. " " .. mount_of(("/proc/%d/cwd"):format(pid)),
    }
    for _, field in ipairs(CONFINED) do found[field] = status:match("\n" .. field .. ":[ \t]*([^\n]*)") end
    for _, kind in ipairs(kinds.list) do
      found["namespace " .. kind] = assert(core.inode(("/proc/%d/ns/%s"):format(pid, kinds.link(kind))))
    end
    return found
  end

  -- That a program that enters is confined as the one that is there.
  local function assert_same(process, options)
    local guest = hold(entering(process, options):spawn(SLEEP))
    assert.same(confinement(process.pid), confinement(guest.pid))
    return guest
  end

  describe("has company that is as it is", function()
    it("in an ordinary container", function()
      local process = sleeper {}
      assert_same(process)
      -- This process is not: the comparison can tell.
      local mine, theirs = confinement(require("cella.sys").getpid()), confinement(process.pid)
      for _, what in ipairs { "CapBnd", "NoNewPrivs", "namespace user", "namespace pid", "namespace net", "mounts" } do
        assert.not_same(mine[what], theirs[what], what)
      end
    end)

    it("with capabilities, limits and a working directory", function()
      assert_same(sleeper { capabilities = { "chown", "net_bind_service" }, cwd = "/usr",
        rlimits = { nofile = { soft = 50, hard = 99 }, core = 0 } })
    end)

    it("with a limit beyond what Lua counts, which a program may give itself", function()
      local begun = false
      local process = assert(cella.container({}):spawn { "sh", "-c", "prlimit --pid $$ --stack=18446744073709551614; "
        .. "ulimit -s; echo begun; exec sleep 60", stdin = "null", stdout = function() begun = true end })
      trial.wait_for(function() return process:step() or begun end, "the program")
      local hard = assert(process:enter()):run { "sh", "-c", "grep stack /proc/self/limits", stdout = "capture" }
      process:close()
      assert.matches("^Max stack size +9007199254740992 ", hard.stdout)
    end)

    it("whose init is a large file of that name, which is not read whole", needs("plain_memory", function()
      local said = outside.lua([[
        local process = assert(cella.container({ init = false }):spawn { "sh", "-c",
          "cp /usr/bin/sleep /tmp/cella-init; truncate -s 8G /tmp/cella-init; exec /tmp/cella-init 60" })
        wait_for(function() return status("Name", process.pid) == "cella-init" end)
        local result, err = assert(cella.enter { pid = process.pid }):run { "true", timeout = 10 }
        process:close()
        return result and "entered" or tostring(err)
      ]], { prefix = "prlimit --as=1000000000" })
      assert.matches("seccomp", said)
    end))

    -- What says who enters a program that is process 1 and executes a copy of the runner, as an init with this label.
    local function entering_pretender(keys, label)
      local directory = trial.directory()
      trial.write(directory .. "/cella-init", trial.read("/proc/self/fd/" .. core.runner_file()))
      trial.sh("chmod 755 " .. directory .. "/cella-init")
      keys.init = false
      keys.mounts = { PROC, { type = "bind", source = directory, destination = "/mnt", readonly = true } }
      local process = hold(cella.container(keys):spawn { "bash", "-c",
        'mkfifo /tmp/f; exec 3<>/tmp/f 4>/dev/null; sleep 1000 & exec -a "$0" /mnt/cella-init init $!',
        "cella-init " .. label, stdin = "null" })
      trial.wait_for(function()
        return process:step() or trial.read(("/proc/%d/comm"):format(process.pid)) == "cella-init\n"
      end, "the runner")
      local result, err = hold(cella.enter { pid = process.pid }):run { "true" }
      trial.remove_directory(directory)
      return result and "entered" or tostring(err)
    end

    for what, keys in pairs { ["the default"] = {}, ["keys of its own"] = { keyrings = "own" },
      ["no_new_privs = false"] = { no_new_privs = false },
      ["no_new_privs and a session of others"] = { new_session = false },
      ["keys of its own and a session of others"] = { keyrings = "own", new_session = false },
      ["no_new_privs = false and a session of others"] = { no_new_privs = false, new_session = false },
      ["all of that"] = { keyrings = "own", no_new_privs = false, new_session = false } } do
      it("whose program is process 1, and pretends to be an init with a milder policy: " .. what, function()
        local milder = require("cella.filter").of("nesting", require("cella.caps.set").NONE)
        for _, label in ipairs { ("seccomp=%d"):format(milder.mark), ("seccomp=%d,keys"):format(milder.mark), "keys",
          "" } do
          assert.matches("is under [12] seccomp filters, which cannot be put on another",
            entering_pretender(keys, label))
        end
      end)
    end

    it("whose program makes a pid namespace in there, with a process 1 that pretends to be an init", function()
      local other = require("cella.filter").of("default", require("cella.caps.set").NONE)
      local directory = trial.directory()
      trial.write(directory .. "/cella-init", trial.read("/proc/self/fd/" .. core.runner_file()))
      trial.sh("chmod 755 " .. directory .. "/cella-init")
      local outer = hold(cella.container { nesting = true, keyrings = "own", mounts = { PROC,
        { type = "bind", source = directory, destination = "/mnt", readonly = true } } }:spawn { "unshare", "-Urpf",
        "setpriv", "--bounding-set=-sys_ptrace", "bash", "-c",
        'mkfifo /tmp/f; exec 3<>/tmp/f 4>/dev/null; exec -a "$0" /mnt/cella-init init 2',
        ("cella-init seccomp=%d"):format(other.mark), stdin = "null" })
      local pretender
      trial.wait_for(function()
        pretender = trial.read(("/proc/%d/task/%d/children"):format(outer.pid, outer.pid)):match "%d+"
        return outer:step() or pretender and trial.read("/proc/" .. pretender .. "/comm") == "cella-init\n"
      end, "the runner")
      local _, err = hold(cella.enter { pid = tonumber(pretender) }):run { "true" }
      trial.remove_directory(directory)
      assert.matches("is under 1 seccomp filters, which cannot be put on another", tostring(err))
    end)

    for what, sets in pairs { ["sys_ptrace"] = { "sys_ptrace" },
      ["sys_ptrace and setpcap"] = { "sys_ptrace", "setpcap" } } do
      it("with " .. what .. ", by which the label of an init is rewritten", function()
        local milder, said = require("cella.filter").of("nesting", require("cella.caps.set").NONE), ""
        local process = hold(cella.container { mounts = { PROC }, capabilities = sets }:spawn {
          "perl", "-e", [[
            $| = 1;
            sub label { open(F, "</proc/1/cmdline"); return <F> }
            select(undef, undef, undef, 0.01) until label() =~ /(seccomp=\d+)/;
            my $own = $1;
            open(MAPS, "</proc/1/maps");
            my ($from, $to) = map { /^(\w+)-(\w+).*\[stack\]/ ? (hex $1, hex $2) : () } <MAPS>;
            open(MEMORY, "+<", "/proc/1/mem") or die "mem: $!";
            sysseek(MEMORY, $from, 0);
            sysread(MEMORY, my $stack, $to - $from);
            # To where the other ends: were the NUL behind it written over, the kernel would take all for a title, and
            # end it where its first word does.
            sysseek(MEMORY, $from + index($stack, $own) + length($own) - length($ARGV[0]), 0);
            syswrite(MEMORY, $ARGV[0]);
            print STDOUT (label() =~ /^cella-init.*\Q$ARGV[0]\E/s ? "rewritten\n" : "as it was\n");
            sleep 1000]], ("seccomp=%d"):format(milder.mark), stdin = "null", stderr = "inherit",
          stdout = function(text) said = said .. text end })
        trial.wait_for(function() return process:step() or said ~= "" end, "the program")
        assert.matches("^rewritten", said)
        local result, err = hold(cella.enter { pid = process.pid }):run { "true" }
        assert.is_nil(result)
        assert.matches("is under 2 seccomp filters, which cannot be put on another", tostring(err))
        -- The handle does not ask.
        assert_same(process)
      end)
    end

    it("by its number, where its init tells of its filters", function()
      for _, keys in ipairs { {}, { keyrings = "own" }, { seccomp = false }, { new_session = false },
        { no_new_privs = false, capabilities = { "sys_admin" } } } do
        local process = sleeper(keys)
        local filters = "grep Seccomp_filters /proc/self/status"
        local result = assert(hold(cella.enter { pid = process.pid }):run { "sh", "-c", filters, stdout = "capture" })
        assert.equal(word(entering(process), filters), (result.stdout:gsub("\n$", "")))
      end
    end)

    it("by its number, where its filters came before its init: not, but by its handle", function()
      local process = sleeper { no_new_privs = false }
      local result, err = hold(cella.enter { pid = process.pid }):run { "true" }
      assert.is_nil(result)
      assert.matches("is under 2 seccomp filters, which cannot be put on another", tostring(err))
      assert_same(process)
    end)

    it("as another user with groups", function()
      if no_several then return pending(no_several) end
      local process = sleeper { ids = (trial.several_ids()), user = { uid = 33, gid = 34, groups = { 5, 6 } },
        capabilities = { "kill" } }
      assert_same(process)
      assert.equal("33 34 34 5 6", word(entering(process), "echo $(id -u) $(id -g) $(id -G)"))
    end)

    it("where the map has the caller alone, and setgroups is denied", function()
      assert_same(sleeper { ids = policy.root() })
      assert_same(sleeper { ids = policy.me() })
    end)

    it("without no_new_privs", function() assert_same(sleeper { no_new_privs = false }) end)

    it("in a time namespace", function()
      local process = sleeper { namespaces = { time = { monotonic = 86400 } } }
      assert_same(process)
    end)

    it("where the program is process 1", function() assert_same(sleeper { init = false }) end)

    it("in some new namespaces only", function()
      assert_same(sleeper { namespaces = { net = "host", ipc = "host", pid = "host" }, mounts = {} })
    end)

    it("where there is no /proc", function()
      assert_same(sleeper { root = { parts = nil, path = "/" }, mounts = {
        { type = "tmpfs", destination = "/proc" } } })
    end)

    it("of root's, without a user namespace", needs("root", function()
      assert_same(sleeper { namespaces = { user = "host" }, capabilities = { "chown", "kill" } })
      assert_same(sleeper { namespaces = { user = "host" }, user = { uid = 1, gid = 2, groups = { 3 } } })
    end))

    it("of an ordinary user's, which has no namespaces of its own", function()
      if not trial.lacks_root() then return pending "needs an ordinary user" end
      assert_same(hold(cella.container { namespaces = "host" }:spawn(SLEEP)))
      -- Whose bounding set is the smaller one, and counts.
      local options = { namespaces = {}, user = "host", keyrings = "own", exceed = { "no_new_privs" } }
      local process = sleeper { no_new_privs = false, keyrings = "own", seccomp = false }
      local err = refused(process, options)
      assert.matches("the bounding set of process %d+ cannot be taken on", err.message)
      assert.is_nil(err.step)
      options.no_new_privs = true
      assert.equal("1", word(entering(process, options), "grep NoNewPrivs /proc/self/status | cut -f 2"))
    end)

    it("in a container in a container", function()
      -- Its program is in a user namespace below that of the one that is ours.
      local process = hold(cella.container { mounts = { PROC }, no_new_privs = false,
        capabilities = { "sys_admin", "setfcap", "setuid", "setgid" } }:spawn {
          "unshare", "--user", "--map-root-user", "--uts", "sleep", "1000", stdin = "null" })
      trial.wait_for(function()
        return (trial.read(("/proc/%d/comm"):format(process.pid)) or ""):find "sleep"
      end, "unshare")
      assert_same(process)
    end)
  end)

  it("keeps less than a plain join would give", function()
    local process = sleeper { ids = policy.root() }
    local show = "while read name value; do case $name in CapEff:|CapBnd:|NoNewPrivs:) echo $value;; esac; done "
      .. "</proc/self/status"
    local pidfd, join = hold(core.pidfd(process.pid)), {}
    for i, kind in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } do
      join[i] = { type = kind, pidfd = pidfd:number() }
    end
    local plain = cella.plan { join = join }:exec { "sh", "-c", show, stdin = "null", stdout = "capture" }
    plain = assert(plain:run())
    local all = require("cella.caps").set("all"):mask()
    assert.equal(("%s\n%s\n0\n"):format(all, all), plain.stdout)
    assert.equal(("%s\n%s\n1"):format(("0"):rep(16), ("0"):rep(16)), word(entering(process), show))
  end)

  it("is seen by who enters, and sees it", function()
    local process = sleeper { hostname = "moon" }
    assert.equal("moon sleep", word(entering(process),
      "echo $(hostname) $(for p in /proc/[0-9]*; do read c < $p/comm; [ $c = sleep ] && echo $c; done)"))
  end)

  describe("is where one is", function()
    it("in its root directory, and in its own working directory", function()
      local process = sleeper { cwd = "/usr/bin" }
      assert.equal("/usr/bin", word(entering(process), "pwd"))
    end)

    it("unless another directory is wanted, for all or for one", function()
      local entrance = entering(sleeper { cwd = "/usr" }, { cwd = "/usr/bin" })
      assert.equal("/usr/bin", word(entrance, "pwd"))
      local result = assert(entrance:run { "pwd", cwd = "/", stdout = "capture" })
      assert.equal("/\n", result.stdout)
    end)

    it("behind its chroot, be that the same directory by another mount", needs("user_namespaces", function()
      local theirs, guests, ours = outside.as_namespace_root [[
        local function mount_of(pid)
          local fd = assert(core.open(("/proc/%s/root"):format(pid), { "path", "directory" }))
          return (read("/proc/self/fdinfo/" .. fd:number()):match "mnt_id:%s*(%d+)")
        end
        own_mounts()
        assert(sys.mount("none", "/tmp", "tmpfs"))
        assert(sys.mkdir("/tmp/root", 493))
        assert(sys.mount("/", "/tmp/root", nil, { "bind", "rec" }))
        local process = assert(cella.plan():chroot("/tmp/root"):chdir("/"):exec({ "sleep", "1000" }):spawn())
        local guest = assert(assert(process:enter()):spawn { "sleep", "1000" })
        local found = { mount_of(process.pid), mount_of(guest.pid), mount_of "self" }
        guest:close()
        process:close()
        return unpack(found)
      ]]
      assert.equal(theirs, guests)
      assert.not_equal(ours, guests)
    end))
  end)

  describe("lends nothing of the caller's:", function()
    it("no descriptor, no variable, no ignored signal", function()
      local process = sleeper {}
      local file = hold(core.open("/proc", { "path", "directory" }))
      assert(require("cella.sys").dup2(file:number(), 700)) -- not close-on-exec
      local ok, seen = pcall(word, entering(process), "echo /proc/self/fd/*; env | cut -d= -f1 | sort")
      require("cella.sys").close(700)
      assert(ok, seen)
      -- The shell has the directory itself on 3 while it looks.
      assert.equal("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2", (seen:match "^[^\n]*":gsub(" %S+/3$", "")))
      for name in seen:gmatch "\n([^\n]+)" do
        assert.truthy(({ PATH = true, PWD = true, TERM = true })[name], name)
      end
    end)

    it("no working directory", function()
      local process = sleeper { root = "/", namespaces = {} }
      local err = refused(process, { cwd = "/proc/self/fd/700" })
      assert.equal("chdir", err.op)
    end)

    it("no directory that it could not enter itself", function()
      local ids = trial.several_ids()
      if not ids then return pending "needs several IDs" end
      local process = sleeper { ids = ids, mounts = { { type = "tmpfs", destination = "/tmp", mode = 448 } } }
      assert.equal("/tmp", word(entering(process, { cwd = "/tmp" }), "pwd"))
      local err = refused(process, { cwd = "/tmp", user = { uid = 7, gid = 7 } })
      assert.equal("chdir EACCES", ("%s %s"):format(err.op, err.code))
      process = sleeper { ids = ids, mounts = { { type = "tmpfs", destination = "/tmp", mode = 448 } }, cwd = "/tmp" }
      assert.equal("/tmp", word(entering(process), "pwd"))
      err = refused(process, { user = { uid = 7, gid = 7 } })
      assert.equal("fchdir EACCES", ("%s %s"):format(err.op, err.code))
      assert.truthy(err.why:find("give another, `cwd`", 1, true), err.why)
    end)

    it("no session", function()
      local guest = hold(entering(sleeper {}):spawn(SLEEP))
      local session = trial.read(("/proc/%d/stat"):format(guest.pid)):match "%) %a %d+ %d+ (%d+)"
      assert.equal(guest.pid, tonumber(session))
    end)
  end)

  -- Somebody with every capability in the container looks for a runner that is no program of the container's, and
  -- lets it go on when he has looked.
  local LOOKER = [[
    until [ "$found" ]; do
      for comm in /proc/[0-9]*/comm; do
        read name <$comm || continue
        case $name in cella-runner) found=${comm%/comm} ;; esac
      done 2>/dev/null
    done
    seen=nothing
    # Some may be closed between the two looks.
    [ "$(readlink $found/fd/* 2>/dev/null)" ] && seen=descriptors
    readlink $found/exe >/dev/null 2>&1 && seen="$seen exe"
    ls $found/root/ >/dev/null 2>&1 && seen="$seen root"
    [ "$(cat $found/environ 2>/dev/null | wc -c)" -gt 0 ] && seen="$seen environment"
    echo $seen
    echo go >&3
  ]]

  -- What is seen of the child of a plan that waits. `make` gets what the looker has joined, and returns the plan.
  local function look_at(process, make)
    local pidfd, join = hold(core.pidfd(process.pid)), {}
    for i, kind in ipairs { "user", "mount", "pid" } do join[i] = { type = kind, pidfd = pidfd:number() } end
    local directory = trial.directory()
    trial.host { "mkfifo", directory .. "/gate" }
    local gate = hold(core.open(directory .. "/gate", "rdwr"))
    trial.remove_directory(directory)
    local looker = hold(cella.plan { join = join }:exec({ "sh", "-c", LOOKER, stdin = "null", stdout = "capture",
      fds = { [3] = gate:number() } }):spawn { timeout = 30 })
    local plan = make(join)
    local finish = plan.finish
    function plan.finish(slave)
      if finish then finish(slave) end
      plan:wait_for_byte(3)
    end
    assert(plan:exec { "true", stdin = "null", fds = { [3] = gate:number() } }:run { timeout = 30 })
    return (assert(looker:wait()).stdout:gsub("\n$", ""))
  end

  describe("cannot look at who is about to enter", function()
    it("when that is all of it already, but for the program", function()
      local process = sleeper {}
      local entrance = entering(process)
      assert.equal("nothing", look_at(process, function()
        return assert(enter.prepare(entrance.description, nil, host.facts()))
      end))
    end)

    it("when it has just come", function()
      local process = sleeper {}
      assert.equal("nothing", look_at(process, function(join) return cella.plan { join = join } end))
    end)

    it("as it could if that were dumpable", function()
      local process = sleeper { ids = policy.root() }
      local seen = look_at(process, function(join)
        local plan = cella.plan()
        plan:setns(plan:input_descriptor(join[1].pidfd), { "user", "mount", "pid" })
        return plan:fork()
      end)
      assert.equal("descriptors exe root", seen)
    end)
  end)

  describe("may be entered in part:", function()
    local function kinds_shared(process, guest)
      local shared = {}
      for _, kind in ipairs(kinds.list) do
        if confinement(process.pid)["namespace " .. kind] == confinement(guest.pid)["namespace " .. kind] then
          shared[#shared + 1] = kind
        end
      end
      return table.concat(shared, " ")
    end

    it("the namespaces that are named", function()
      local process = sleeper { namespaces = { time = { monotonic = 5 } } }
      for _, list in ipairs { { "user", "net" }, { "user", "uts", "ipc" }, { "user", "pid" }, { "user", "mount" },
        { "user", "time" } } do
        local entrance = entering(process, { namespaces = list })
        local wanted = {}
        for _, kind in ipairs(list) do wanted[kind] = true end
        local names = {}
        for _, kind in ipairs(kinds.list) do
          if wanted[kind] then names[#names + 1] = kind end
        end
        assert.equal(table.concat(names, " "), kinds_shared(process, hold(entrance:spawn(SLEEP))))
      end
    end)

    it("without the mounts, in the caller's root and directory", function()
      local guest = hold(entering(sleeper {}, { namespaces = { "user", "net" } }):spawn(SLEEP))
      local mine, theirs = confinement(require("cella.sys").getpid()), confinement(guest.pid)
      assert.equal(mine.mounts, theirs.mounts)
    end)

    it("without its user namespace, in which alone its capabilities count: none are left", needs("root", function()
      local process = sleeper { capabilities = { "net_admin" } }
      local guest = hold(entering(process, { namespaces = { "net" } }):spawn(SLEEP))
      local theirs = confinement(guest.pid)
      for _, field in ipairs { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" } do
        assert.equal(("0"):rep(16), theirs[field])
      end
      assert.equal("net", kinds_shared(process, guest):match "net")
      -- It has them in there.
      assert.equal("0000000000001000", confinement(process.pid).CapEff)
    end))

    it("as a user of the caller's own user namespace, which is said", needs("root", function()
      local process = sleeper {}
      local part = { "net" }
      for _, user in ipairs { { uid = 0 }, { gid = 0 }, { groups = {} } } do
        local err = refused(process, { namespaces = part, user = user })
        assert.truthy(err.message:find("this would be a user of the host", 1, true), err.message)
        assert.truthy(err.why:find("--user host:UID", 1, true), err.why)
      end
      local show = "echo $(id -u) $(id -g); grep '^Groups' /proc/self/status | tr -d '\t '"
      local function as(user) return word(entering(process, { namespaces = part, user = user }), show) end
      assert.equal("0 0\nGroups:", as "host")
      assert.equal("7 0\nGroups:", as { namespace = "host", uid = 7 })
      assert.equal("7 8\nGroups:9", as { namespace = "host", uid = 7, gid = 8, groups = { 9 } })
      local err = refused(process, { user = "host" })
      assert.truthy(err.message:find("the user namespace of the process is entered", 1, true), err.message)
    end))

    it("which takes rights that an ordinary user has in the user namespace only", function()
      if not trial.lacks_root() then return pending "needs an ordinary user" end
      local err = refused(sleeper {}, { namespaces = { "net" } })
      assert.equal("setns EPERM", err.op .. " " .. err.code)
      assert.truthy(err.why:find "join that user namespace too")
    end)
  end)

  describe("may have company that is something else:", function()
    local function status_word(field)
      return ("while read name value; do [ $name = %s: ] && echo $value; done </proc/self/status; true"):format(field)
    end

    it("another user, without its groups", function()
      if no_several then return pending(no_several) end
      local process = sleeper { ids = (trial.several_ids()), user = { uid = 33, gid = 33, groups = { 5 } } }
      local show = "echo $(id -u) $(id -g) $(id -G)"
      assert.equal("0 33 33", word(entering(process, { user = { uid = 0 } }), show))
      assert.equal("0 1 1 7", word(entering(process, { user = { uid = 0, gid = 1, groups = { 7 } } }), show))
      assert.equal("33 1 1 5", word(entering(process, { user = { gid = 1 } }), show))
      local err = refused(process, { user = { uid = 5000 } })
      assert.truthy(err.message:find("user.uid: 5000 is not in the map", 1, true))
      err = refused(process, { user = { uid = 0, groups = { 5000 } } })
      assert.truthy(err.message:find("user.groups[1]: 5000 is not in the map", 1, true))
    end)

    it("fewer capabilities, and more where that is allowed", function()
      local process = sleeper { capabilities = { "chown", "kill" } }
      local show = status_word "CapEff"
      assert.equal("0000000000000001", word(entering(process, { capabilities = "chown" }), show))
      assert.equal("0000000000000000", word(entering(process, { capabilities = "none" }), show))
      local err = refused(process, { capabilities = "chown,net_raw" })
      assert.truthy(err.message:find("net_raw: process " .. process.pid .. " does not have it", 1, true), err.message)
      local more = entering(process, { capabilities = "net_raw", exceed = { "capabilities" } })
      assert.equal("0000000000002000", word(more, show))
    end)

    it("no_new_privs, and its absence where that is allowed", function()
      local show = status_word "NoNewPrivs"
      local free, bound = sleeper { no_new_privs = false }, sleeper {}
      assert.equal("0", word(entering(free), show))
      assert.equal("1", word(entering(free, { no_new_privs = true }), show))
      assert.equal("1", word(entering(bound), show))
      assert.truthy(refused(bound, { no_new_privs = false }).message:find("has it set", 1, true))
      assert.equal("0", word(entering(bound, { no_new_privs = false, exceed = { "no_new_privs" } }), show))
    end)

    it("no seccomp filter, which cannot be copied: only where that is allowed", function()
      local process = hold(cella.plan():no_new_privs():seccomp(ALLOW):exec(SLEEP):spawn())
      local err = refused(process)
      assert.truthy(err.message:find("1 seccomp filters", 1, true), err.message)
      assert.truthy(err.why:find('exceed = { "seccomp" }', 1, true))
      if trial.lacks_root() then return end -- others may not switch to what they are already
      assert(entering(process, { exceed = { "seccomp" } }):run { "true" })
    end)
  end)

  describe("gives root back nothing that it has given up:", function()
    it("the bounding set is cut to what it holds", needs("several_ids", function()
      local theirs, after, wide = outside.with_several_ids [[
        local function effective(pid) return status("CapEff", pid) .. " " .. status("CapPrm", pid) end
        -- Root with one capability left, whose exec would give it all of its bounding set again, were it not for this.
        local reading, writing = core.pipe()
        local target = assert(cella.plan():exec({ portable.program, "-e", [=[
          local core = require "cella.core"
          core.sys.capset("chown", "chown", {})
          io.write "x"
          io.flush()
          while true do core.poll({}, 100) end
        ]=], stdout = writing:number() }):spawn())
        wait_for(function() return reading:read() end)
        local entrance = assert(cella.enter { process = target })
        local show = "while read n v; do case $n in CapPrm:|CapBnd:) echo $v;; esac; done </proc/self/status"
        local result = assert(entrance:run { "sh", "-c", show, stdout = "capture" })
        local found = { effective(target.pid), result.stdout, status("CapBnd", target.pid) }
        target:close()
        return unpack(found)
      ]]
      assert.equal("0000000000000001 0000000000000001", theirs)
      assert.equal("0000000000000001\n0000000000000001\n", after)
      assert.not_equal("0000000000000001", wide)
    end))
  end)

  it("is held by a plan, whose entrance nobody has any more", function()
    local plan = assert(sleeper({}):enter()):plan { "sh", "-c", "exit 3", stdin = "null" }
    collectgarbage()
    collectgarbage()
    local others = { core.open("/", "path"), core.open("/", "path"), core.open("/", "path") }
    local result, err = plan:run()
    for _, one in ipairs(others) do one:close() end
    assert.equal(3, result and result.code, tostring(err))
  end)

  it("is not held by an entrance that is closed, whatever has its numbers now", function()
    local entrance = assert(sleeper({}):enter())
    local plan = assert(entrance:plan { "true" })
    entrance:close()
    local others = { core.open("/", "path"), core.open("/", "path"), core.open("/", "path") }
    local result, err = plan:run()
    for _, one in ipairs(others) do one:close() end
    assert.is_nil(result)
    assert.matches("let go of before it was joined", err.message)
  end)

  it("is in a cgroup, to which who enters is moved by the caller", needs("root", function()
    local theirs, guests, strangers, ours = outside.lua [[
      local function cgroup(pid) return (read(("/proc/%s/cgroup"):format(pid)):match "0::([^\n]*)") end
      local tmp = scratch()
      assert(sys.mkdir(tmp .. "/cgroup", 493))
      assert(sys.mount("none", tmp .. "/cgroup", "cgroup2"))
      local directory = ("%s/cgroup/cella-spec-%d"):format(tmp, sys.getpid())
      assert(sys.mkdir(directory, 493))
      local process = assert(cella.container {}:spawn { "sleep", "1000" })
      assert(sys.write_file(directory .. "/cgroup.procs", tostring(process.pid)))
      local guest = assert(assert(process:enter()):spawn { "sleep", "1000" })
      local stranger = assert(assert(process:enter { exceed = { "cgroup" } }):spawn { "sleep", "1000" })
      local found = { cgroup(process.pid), cgroup(guest.pid), cgroup(stranger.pid), cgroup "self" }
      for _, one in ipairs { stranger, guest, process } do one:close() end
      wait_for(function() return os.remove(directory) end)
      return unpack(found)
    ]]
    assert.truthy(theirs:find "/cella%-spec%-")
    assert.equal(theirs, guests)
    assert.equal(ours, strangers)
    assert.not_equal(ours, guests)
  end))

  it("is in a cgroup that cannot be reached: nobody enters, but where that is allowed", needs("root", function()
    local message, why, allowed = outside.lua [[
      local tmp = scratch()
      assert(sys.mkdir(tmp .. "/cgroup", 493))
      assert(sys.mount("none", tmp .. "/cgroup", "cgroup2"))
      local directory = ("%s/cgroup/cella-spec-%d"):format(tmp, sys.getpid())
      assert(sys.mkdir(directory, 493))
      local process = assert(cella.container {}:spawn { "sleep", "1000" })
      assert(sys.write_file(directory .. "/cgroup.procs", tostring(process.pid)))
      for line in io.lines "/proc/self/mountinfo" do
        local point = line:match "^%d+ %d+ %S+ %S+ (%S+) .* %- cgroup2 "
        if point and point:sub(1, #tmp) ~= tmp then assert(sys.umount2(point, "detach")) end
      end
      assert(sys.umount2(tmp .. "/cgroup", "detach"))
      local result, err = assert(process:enter()):run { "true" }
      assert(not result)
      local other = assert(process:enter { exceed = { "cgroup" } }):run { "true" }
      process:close()
      assert(sys.mount("none", tmp .. "/cgroup", "cgroup2"))
      wait_for(function() return os.remove(directory) end)
      return err.message, err.why, other.code
    ]]
    assert.truthy(message:find("cannot be reached here", 1, true), message)
    assert.truthy(why:find('exceed = { "cgroup" }', 1, true), why)
    assert.equal(0, allowed)
  end))

  -- Its option is for Lua; whatever else runs this says something else, or nothing.
  local LINK = "#!/proc/self/exe -v\n"

  it("does not get hold of the interpreter by a program that is a link to it", needs("root", function()
    local directory = trial.directory()
    trial.write(directory .. "/program", LINK)
    trial.host { "chmod", "755", directory .. "/program" }
    for _, keys in ipairs { { ids = policy.root() }, { namespaces = { user = "host" } } } do
      keys.mounts = { PROC, { type = "bind", source = directory, destination = "/mnt" } }
      local process = sleeper(keys)
      local command = { "/mnt/program", stdin = "null", stdout = "capture", stderr = "capture" }
      local result = assert(entering(process):run(command))
      assert.equal("125 ", result.code .. " " .. result.stdout .. result.stderr)
    end
    trial.remove_directory(directory)
  end))

  it("nor of one that is its own, where it is an ordinary user's", function()
    local directory = trial.directory()
    trial.write(directory .. "/program", LINK)
    trial.sh(("cp $(command -v %s) %s/lua; chmod 755 %s/*"):format(trial.lua, directory, directory))
    local process = sleeper { ids = policy.root(),
      mounts = { PROC, { type = "bind", source = directory, destination = "/mnt" } } }
    local script = ([[
      local cella = require "cella"
      local result = assert(assert(cella.enter { pid = %d }):run { "/mnt/program", stdin = "null", stdout = "capture",
        stderr = "capture" })
      print(result.code, (result.stdout .. result.stderr):match "^Lua 5")
    ]]):format(process.pid)
    local words = trial.interpreter():gsub("%S+$", directory .. "/lua")
    local text = trial.sh(words .. " -e " .. trial.quote(script))
    trial.remove_directory(directory)
    assert.equal("125\tnil\n", text)
  end)

  describe("that has several user IDs", function()
    it("is refused, unless one is said", needs("several_ids", function()
      local err, id = outside.with_several_ids [[
        local target = assert(cella.plan():setresuid(1, 0, 0):exec({ "sleep", "1000" }):spawn())
        local entrance = assert(cella.enter { process = target })
        local result, err = entrance:run { "true" }
        assert(not result)
        local said = assert(assert(cella.enter { process = target, user = { uid = 1, gid = 0 } }):run {
          "id", "-u", stdout = "capture" })
        target:close()
        return err.message, said.stdout
      ]]
      assert.truthy(err:find "has several uids: real 1, effective 0", err)
      assert.equal("1\n", id)
    end))
  end)

  describe("has a life of its own:", function()
    it("who has entered ends with the container", function()
      local process = sleeper {}
      local guest = hold(entering(process):spawn(SLEEP))
      process:kill "kill"
      process:wait()
      local result = assert(guest:wait())
      assert.equal("signaled kill", result.reason .. " " .. result.signal)
    end)

    it("whichever of the two is waited for first", function()
      local process = sleeper {}
      local guest = hold(entering(process):spawn(SLEEP))
      process:close()
      assert.equal("signaled", assert(guest:wait()).reason)
      process = sleeper {}
      hold(entering(process):spawn(SLEEP))
      process:kill "kill"
      assert.equal("signaled", assert(process:wait()).reason)
    end)

    it("and not the container with who has entered", function()
      local process = sleeper {}
      assert.equal(7, assert(entering(process):run { "sh", "-c", "exit 7" }).code)
      assert.equal("signaled", assert(entering(process):run { "sh", "-c", "kill -9 $$" }).reason)
      assert.equal("ETIMEDOUT", select(2, process:wait(0)).code)
    end)

    it("once it has ended nobody enters", function()
      local process = sleeper {}
      local entrance = entering(process)
      local marker = trial.directory()
      local plan = assert(entrance:plan { "touch", marker .. "/ran" })
      process:kill "kill"
      process:wait()
      local result, err = entrance:run { "true" }
      assert.is_nil(result)
      assert.equal("ESRCH", err.code)
      -- What was planned while it ran fails in the kernel.
      result, err = plan:run()
      assert.is_nil(result)
      assert.truthy(err.op == "setns" and err.code == "ESRCH" or err.op == "open", tostring(err))
      assert.is_nil(trial.read(marker .. "/ran"))
      trial.remove_directory(marker)
      result, err = process:enter()
      assert.is_nil(result)
      assert.equal("ESRCH", err.code)
      result, err = cella.enter { pid = process.pid }
      assert.is_nil(result)
      assert.equal("ESRCH", err.code)
    end)

    it("its number in other hands is somebody else, whom nobody enters", function()
      local held_code, reused, others = outside.lua([[
        local first = assert(cella.plan():exec({ "sleep", "1000" }):spawn())
        local pid = first.pid
        local entrance = assert(cella.enter { pid = pid })
        local plan = assert(entrance:plan { "true" })
        first:close()
        -- In a pid namespace of its own, whose numbers nobody else uses.
        assert(sys.write_file("/proc/sys/kernel/ns_last_pid", tostring(pid - 1)))
        local second = assert(cella.plan():exec({ "sleep", "1000" }):spawn())
        local result, err = entrance:run { "true" }
        assert(not result)
        local planned = plan:run()
        local other = assert(cella.enter { pid = pid }):run { "true" }
        local found = { err.code, second.pid == pid and planned == nil, other.code }
        second:close()
        return unpack(found)
      ]], { prefix = "unshare --user --map-root-user --pid --fork --mount-proc" })
      assert.equal("ESRCH", held_code)
      assert.is_true(reused)
      assert.equal(0, others)
    end)

    it("also where that happens while one takes hold of it", function()
      local code, reused = outside.lua([[
        local first, second = assert(cella.plan():exec({ "sleep", "1000" }):spawn())
        local pid, open = first.pid, core.open
        core.open = function(path, ...)
          if path == "/proc/" .. pid and not second then
            first:close()
            assert(sys.write_file("/proc/sys/kernel/ns_last_pid", tostring(pid - 1)))
            second = assert(cella.plan():exec({ "sleep", "1000" }):spawn())
          end
          return open(path, ...)
        end
        local entrance, err = cella.enter { pid = pid }
        core.open = open
        local reused = second.pid == pid
        second:close()
        return not entrance and err.code, reused
      ]], { prefix = "unshare --user --map-root-user --pid --fork --mount-proc" })
      assert.is_true(reused)
      assert.equal("ESRCH", code)
    end)
  end)

  it("is not entered by who may not", function()
    if not trial.lacks_root() then return pending "needs an ordinary user" end
    local entrance = hold(cella.enter { pid = 1 })
    local result, err = entrance:run { "true" }
    assert.is_nil(result)
    assert.equal("EACCES", err.code)
    assert.truthy(err.why:find("CAP_SYS_PTRACE", 1, true), tostring(err))
  end)

  it("leaves the caller as it was", function()
    local differences = outside.lua [[
      local box = cella.container { mounts = { { type = "proc", destination = "/proc" } } }
      local process = assert(box:spawn { "sleep", "1000", stdin = "null" })
      local entrance = assert(process:enter())
      assert(entrance:run { "true" })
      portable.collect()
      local before = snapshot()
      for _ = 1, 3 do
        assert(entrance:run { "true" })
        assert(not entrance:run { "/nonexistent" })
        assert(not assert(process:enter { namespaces = { "user" }, cwd = "/nonexistent" }):run { "true" })
      end
      portable.collect()
      local list = changes(before, snapshot())
      process:close()
      return list, tostring(box) -- which holds its IDs as long as it is there
    ]]
    assert.same({}, differences)
  end)

  describe("is described by a table, which is refused", function()
    local function raises(pattern, options)
      local message = trial.raised(function() local _ = cella.enter(options) end)
      assert.truthy(message:find(pattern, 1, true), message)
      assert.truthy(message:find("enter_spec.lua", 1, true), message)
    end

    for name, case in pairs {
      ["without a process"] = { {}, "exactly one of pid and process" },
      ["with two"] = { { pid = 1, process = setmetatable({}, { __name = "cella.process" }) },
        "exactly one of pid and process" },
      ["with a pid of 0"] = { { pid = 0 }, "pid: " },
      ["with a pid that is text"] = { { pid = "1" }, "pid: " },
      ["with a pid of 2^32 + 1"] = { { pid = 4294967297 }, "pid: " },
      ["with a process that is none"] = { { process = {} }, "process: a process that cella has started" },
      ["with an unknown key"] = { { pid = 1, namespace = {} }, "did you mean 'namespaces'" },
      ["with an unknown namespace"] = { { pid = 1, namespaces = { "nett" } }, "namespaces[1]" },
      ["with an unknown capability"] = { { pid = 1, capabilities = { "chwon" } }, "capabilities[1]" },
      ["with a user of 2^32"] = { { pid = 1, user = { uid = 4294967296 } }, "user.uid" },
      ["with a user of -1"] = { { pid = 1, user = { uid = -1 } }, "user.uid" },
      ["with a name for a user"] = { { pid = 1, user = { uid = "root" } }, "user.uid" },
      ["with a user of another namespace"] = { { pid = 1, user = { namespace = "guest" } }, "user.namespace" },
      ["with a user that is a word"] = { { pid = 1, user = "guest" }, 'or "host" expected' },
      ["with a relative directory"] = { { pid = 1, cwd = "tmp" }, "cwd" },
      ["with an excess that there is not"] = { { pid = 1, exceed = { "everything" } }, "exceed[1]" },
      ["with an empty command"] = { { pid = 1, command = {} }, "command" },
    } do
      it(name, function() raises(case[2], case[1]) end)
    end

    it("and a command as a container's", function()
      local entrance = entering(sleeper {})
      assert.truthy(trial.raised(entrance.run, entrance):find("command: missing", 1, true))
      assert.truthy(trial.raised(entrance.run, entrance, { "x", stdinn = "null" }):find("stdinn", 1, true))
    end)
  end)

  it("is printed", function()
    local process = sleeper {}
    assert.equal(("cella.entrance (pid %d; all its namespaces)"):format(process.pid), tostring(entering(process)))
    assert.equal(("cella.entrance (pid %d; user net)"):format(process.pid),
      tostring(entering(process, { namespaces = { "user", "net" } })))
    assert.equal(0, assert(entering(process, { command = { "true" } }):run()).code)
  end)
end)
