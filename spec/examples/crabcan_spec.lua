-- examples/crabcan.lua: what it promises, looked at from inside its program and, by the kernel's word, from the host.

local cella = require "cella"
local host = require "cella.host"
local portable = require "spec.support.portable"
local rootfs = require "spec.support.rootfs"
local sys = require "cella.sys"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

-- Numbers from <linux/capability.h>: the example knows names.
local REMOVED = {
  audit_control = 30, audit_read = 37, audit_write = 29, block_suspend = 36, dac_read_search = 2, dac_override = 1,
  fsetid = 4, ipc_lock = 14, mac_admin = 33, mac_override = 32, mknod = 27, setfcap = 31, syslog = 34, sys_admin = 21,
  sys_boot = 22, sys_module = 16, sys_nice = 23, sys_rawio = 17, sys_resource = 24, sys_time = 25, wake_alarm = 35,
}
local KEPT = {
  chown = 0, fowner = 3, kill = 5, setgid = 6, setuid = 7, setpcap = 8, linux_immutable = 9, net_bind_service = 10,
  net_broadcast = 11, net_admin = 12, net_raw = 13, ipc_owner = 15, sys_chroot = 18, sys_ptrace = 19, sys_pacct = 20,
  sys_tty_config = 26, lease = 28,
}
local SETS = { "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb" }

local has = portable.has_bit

local function set_of(list)
  local set = {}
  for name in list:gmatch "[%w_]+" do set[name:gsub("^cap_", "")] = true end
  return set
end

describe("crabcan #slow", function()
  local ids, first_or_reason = trial.several_ids()
  if not ids then
    it("runs nothing for who has no IDs to give it, and says so with 125", function()
      for _, option in ipairs { "--debug", "--subids" } do
        local result = trial.cella { "run", "examples/crabcan.lua", "--mount-dir", "/", "--uid", "0", option, "--",
          "sh", "-c", "echo ran" }
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
        assert.truthy(result.stderr:find("subordinate", 1, true) or result.stderr:find("newuidmap", 1, true),
          result.stderr)
      end
    end)
    pending(first_or_reason)
    return
  end
  local is_root = not trial.lacks_root()

  local root
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each)

  local function has_capsh()
    return root:shell "find . -name capsh" ~= ""
  end

  local function words(uid, command, more)
    local list = { "run", "examples/crabcan.lua", "--mount-dir", root.path, "--uid", tostring(uid) }
    if not is_root then list[#list + 1] = "--subids" end
    for _, word in ipairs(more or {}) do list[#list + 1] = word end
    list[#list + 1] = "--"
    for _, word in ipairs(command) do list[#list + 1] = word end
    return list
  end

  local function script(uid, text, more)
    return trial.cella(words(uid, { "sh", "-c", text }, more))
  end

  -- What a script in it writes; it has to succeed.
  local function inside(uid, text)
    local result = script(uid, text)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    return result.stdout
  end

  -- Calls `look` with the pid of a program that has been executed in it, and a second time at that.
  local function from_outside(uid, look)
    local command = trial.cli(words(uid, { "sh", "-c", "exec sleep 1000" }))
    command.stdin, command.stdout = "null", "null"
    local process = assert(cella.plan():exec(command):spawn())
    local ok, err = pcall(function()
      local pid = trial.program(process.pid, "sleep")
      look(pid)
      process:kill "term"
      assert.equal(143, process:wait().code)
    end)
    if not ok then trial.kill_tree(process.pid) end
    process:close()
    if not ok then error(err, 0) end
  end

  it("is run with what its program's exit status is", function()
    assert.equal(0, script(0, "true").status)
    assert.equal(7, script(0, "exit 7").status)
  end)

  for _, uid in ipairs { 0, 7 } do
    describe(("as %d"):format(uid), function()
      it("has none of the 21 capabilities in any of the five sets, by the kernel's word", function()
        from_outside(uid, function(pid)
          for _, set in ipairs(SETS) do
            local mask = trial.status(pid, set)
            for name, number in pairs(REMOVED) do
              assert.is_false(has(mask, number), ("%s is in %s: %s"):format(name, set, mask))
            end
          end
        end)
      end)

      it("has all the others of the 38 that the 21 were chosen from, in all five sets", function()
        from_outside(uid, function(pid)
          for _, set in ipairs(SETS) do
            local mask = trial.status(pid, set)
            for name, number in pairs(KEPT) do
              assert.is_true(has(mask, number), ("%s is not in %s: %s"):format(name, set, mask))
            end
          end
        end)
      end)

      it("has none of the capabilities that came later", function()
        from_outside(uid, function(pid)
          for _, set in ipairs(SETS) do
            local mask = trial.status(pid, set)
            for number = 38, sys.last_capability() do
              assert.is_false(has(mask, number), ("%d is in %s: %s"):format(number, set, mask))
            end
          end
        end)
      end)

      it("finds itself without the 21, asked from inside by another program", function()
        if not has_capsh() then
          pending "needs capsh (libcap2-bin)"
          return
        end
        local result = script(uid, "capsh --print")
        local current, flags = result.stdout:match "Current: ([%w_,]+)=(%l+)\n"
        assert.equal("eip", flags)
        local expected = {}
        for name in pairs(KEPT) do expected[name] = true end
        assert.same(expected, set_of(current))
        assert.same(expected, set_of(result.stdout:match "Bounding set =(%C*)"))
        assert.same(expected, set_of(result.stdout:match "Ambient set =(%C*)"))
        assert.truthy(result.stdout:find("Securebits: 00/0x0/1'b0 (no-new-privs=1)", 1, true))
      end)

      it("cannot give its own program what it has not: a further exec gets nothing back", function()
        if not has_capsh() then
          pending "needs capsh (libcap2-bin)"
          return
        end
        local names = { "chown" }
        for name in pairs(REMOVED) do names[#names + 1] = name end
        local try = 'for name in %s; do sh -c "capsh --has-p=cap_$name" >&- 2>&- && echo $name; done; true'
        assert.equal("chown\n", inside(uid, try:format(table.concat(names, " "))))
      end)

      it("is that user and that group, real, effective, saved and for files, with no other group", function()
        assert.equal(("%d\n%d\n%d\n"):format(uid, uid, uid), inside(uid, "id -u; id -g; id -G"))
        from_outside(uid, function(pid)
          local base = tonumber(trial.read(("/proc/%d/uid_map"):format(pid)):match "^%s*%d+%s+(%d+)")
          local four = ("%d\t%d\t%d\t%d"):format(base + uid, base + uid, base + uid, base + uid)
          assert.equal(four, trial.status(pid, "Uid"))
          assert.equal(four, trial.status(pid, "Gid"))
          assert.equal(("%d "):format(base + uid), trial.status(pid, "Groups"))
        end)
      end)
    end)
  end

  it("is without the removed ones in effect: its root cannot read what the file's mode forbids", function()
    root:shell "chmod 1777 work"
    local hidden = "cd /work && rm -f hidden && echo secret > hidden && chmod 0 hidden && cat hidden; rm -f hidden"
    local result = script(0, hidden)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find("Permission denied", 1, true))
    -- With dac_override it can: the probe works.
    local all = { root = root.path, ids = ids, user = { uid = 0, gid = 0 }, capabilities = "all" }
    assert.equal("secret\n", trial.inside(all, hidden))
  end)

  it("has the kept ones in effect, also as another user than root: 7 gives a file away", function()
    root:shell "chmod 1777 work"
    assert.equal("8:7\n", inside(7, "cd /work && touch gift && chown 8 gift && stat -c %u:%g gift && rm gift"))
    local none = { root = root.path, ids = ids, user = { uid = 7, gid = 7 } }
    assert.is_false((trial.succeeds(none, "cd /work && touch gift && chown 8 gift")))
    root:shell "rm -f work/gift"
  end)

  it("maps 0 to 1999, and nothing else", function()
    from_outside(0, function(pid)
      local facts = host.facts()
      for _, kind in ipairs { "uid", "gid" } do
        local map = trial.read(("/proc/%d/%s_map"):format(pid, kind))
        local inner, outer, count = map:match "^%s*(%d+)%s+(%d+)%s+(%d+)\n$"
        assert.equal("0", inner)
        assert.equal("2000", count)
        outer = tonumber(outer)
        if is_root then
          assert.equal(10000, outer)
        else
          local given = false
          for _, range in ipairs(facts["sub" .. kind]) do
            given = given or outer >= range.first and outer + 2000 <= range.first + range.count
          end
          assert.is_true(given, outer .. " is not a subordinate ID")
        end
      end
    end)
  end)

  it("switches groups, gid and uid in this order, after the root and before the capabilities", function()
    local list = words(7, { "true" })
    list[1] = "plan"
    local plan = trial.cella(list).stdout
    local at = 0
    for _, step in ipairs { "pivot_root(", "umount2(", "setgroups({7})", "setresgid(7, 7, 7)", "setresuid(7, 7, 7)",
      "capbset_drop(", "capset(", "expect_ids(7, 7)", "expect_capabilities(", "execve(" } do
      local found = plan:find(step, at + 1, true)
      assert.is_truthy(found, step .. " is missing, or too early, in\n" .. plan)
      at = found
    end
  end)

  it("has a made-up host name, and leaves the host its own", function()
    local name = sys.gethostname()
    local inner = inside(0, "hostname")
    assert.truthy(inner:find "^%l+%-%l+%-%d%d?\n$", inner)
    assert.not_equal(name .. "\n", inner)
    assert.equal(name, sys.gethostname())
  end)

  it("is in seven namespaces of its own", function()
    from_outside(0, function(pid)
      for _, name in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } do
        assert.not_equal((sys.namespace(name)), (assert(sys.namespace(name, pid))), name)
      end
    end)
  end)

  it("has the directory as its root, and no way above it", function()
    local expected = root:shell "ls -A"
    assert.equal(expected, inside(0, "ls -A /"))
    assert.equal(expected, inside(0, "cd / && cd .. && cd ../../.. && ls -A"))
    root:shell "chmod 1777 work"
    inside(0, "echo hello > /work/from-inside")
    assert.equal("hello\n", root:shell "cat work/from-inside; rm -f work/from-inside")
  end)

  it("takes a directory by a relative path, as the tutorial does", function()
    local list = words(0, { "sh", "-c", "ls -A /" })
    list[4] = "." .. list[4]:gsub("^/tmp", "")
    list[2] = trial.top .. "/examples/crabcan.lua"
    local result = trial.host { "/bin/sh", "-c", "cd /tmp && " .. trial.cli_text(list) }
    assert.equal(root:shell "ls -A", result.stdout)
  end)

  it("has no mount but its root: the old root is gone, with all that was mounted below it", function()
    from_outside(0, function(pid)
      local mounts = {}
      for line in io.lines(("/proc/%d/mountinfo"):format(pid)) do mounts[#mounts + 1] = line end
      -- And a /proc of its own.
      assert.equal(2, #mounts, table.concat(mounts, "\n"))
      assert.truthy(mounts[2]:find(" / /proc rw,nosuid,nodev,noexec,", 1, true), mounts[2])
      local directory, point, tags = mounts[1]:match "^%d+ %d+ %d+:%d+ (%S+) (%S+) %S+ (.-)%- "
      assert.equal("/", point)
      assert.truthy((root.path):find(directory, 1, true), directory)
      assert.equal("", tags, "the mount is not private")
    end)
    assert.is_false(script(0, "cat /etc/passwd").status == 0)
    assert.is_string(trial.read "/etc/passwd")
  end)

  it("leaves no file, no mount and no process behind, also where the program did not wait for its own", function()
    local temporary = root:shell "mkdir -m 755 tmpdir; echo $PWD/tmpdir":gsub("\n", "")
    local result = trial.host { "/usr/bin/env", "TMPDIR=" .. temporary, unpack(trial.cli(words(0,
      { "sh", "-c", "sleep 271828 & sleep 271828 & exit 3" }))) }
    assert.equal(3, result.status)
    assert.equal("", root:shell "ls -A tmpdir; rmdir tmpdir")
    assert.is_nil(trial.sh("LD_PRELOAD= ps -e -o args="):find "sleep 271828")
  end)

  it("leaves nothing behind when it is killed, either", function()
    local process = assert(cella.plan():exec(trial.cli(words(0, { "sleep", "314159" }))):spawn())
    local pid = trial.program(process.pid, "sleep")
    process:kill "kill"
    process:wait()
    trial.wait_for(function() return not trial.runs(pid) end, "the end of its program")
  end)

  -- A root with IDs enough for another container in it: { ids } of a user namespace, or nil.
  local function roomy()
    if is_root then return { uid = "0 0 65536", gid = "0 0 65536", via = "parent" } end
    local facts = host.facts()
    local user, group = facts.subuid[1], facts.subgid[1]
    if user.count < 12000 or group.count < 12000 then return nil end
    local lines = "0 %d 1\n1 %d 11999"
    return { uid = lines:format(facts.uid, user.first), gid = lines:format(facts.gid, group.first), via = "helper" }
  end

  it("needs no place to write to on the host: it runs where everything is read-only", function()
    local room = roomy()
    if not room then
      pending "needs 12000 subordinate IDs"
      return
    end
    local box = cella.container {
      ids = room, user = { uid = 0, gid = 0 }, capabilities = "all", no_new_privs = false, environment = "inherit",
      root = "/",
      mounts = {
        -- Whole, or the kernel would give none to the container in there.
        { type = "proc", destination = "/proc", protect = false },
        { type = "bind", source = trial.top, destination = trial.top, readonly = true },
        { type = "bind", source = root.path, destination = root.path, readonly = true },
      },
    }
    local command = trial.cli { "run", "examples/crabcan.lua", "--mount-dir", root.path, "--uid", "7", "--",
      "sh", "-c", "id -u" }
    command.stdout, command.stderr, command.cwd = "capture", "capture", trial.top
    local result = assert(box:run(command))
    assert.equal("", result.stderr)
    assert.equal("7\n", result.stdout)
  end)

  -- A host without user namespaces: one in which their number is limited to none. Inside it the caller is root, as
  -- the tutorial's is.
  local function without_user_namespaces(limit)
    local room = roomy()
    if not room then return nil end
    root:shell "chmod 1777 work"
    local crabcan = trial.cli_text { "run", "examples/crabcan.lua", "--mount-dir", root.path, "--uid", "0", "--",
      "sh", "-c", "echo ran; echo ran > /work/ran; id -u" }
    local plan = cella.plan { namespaces = { "user" }, ids = room }
    plan:exec { "/bin/sh", "-c", ("%s; %s"):format(limit, crabcan),
      stdin = "null", stdout = "capture", stderr = "capture" }
    return assert(plan:run { timeout = 60 })
  end

  it("runs nothing where there are no user namespaces, and says so with 125", function()
    local result = without_user_namespaces "echo 0 > /proc/sys/user/max_user_namespaces"
    if not result then
      pending "needs 12000 subordinate IDs"
      return
    end
    assert.equal(125, result.code)
    assert.equal("", result.stdout)
    assert.equal("", root:shell "ls work")
    assert.truthy(result.stderr:find("clone3", 1, true), result.stderr)
    assert.truthy(result.stderr:find("user.max_user_namespaces is 0", 1, true), result.stderr)
    -- The same where they are allowed: it was their absence.
    result = without_user_namespaces "true"
    assert.equal("ran\n0\n", result.stdout)
    assert.equal(0, result.code)
    root:shell "rm -f work/ran"
  end)

  if not is_root then
    it("does not take another map than the tutorial's unless it is asked to", function()
      local list = words(0, { "sh", "-c", "echo ran" })
      table.remove(list, 7)
      assert.equal("--", list[7])
      local result = trial.cella(list)
      assert.equal(125, result.status)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find("10000 to 11999", 1, true), result.stderr)
    end)
  end

  describe("given nonsense", function()
    for _, uid in ipairs { "-1", "2000", "4294967296", "1.5", "0x10", "1e3", " 8", "8 ", "", "root",
      "99999999999999999999" } do
      it(("refuses %q as an ID, and runs nothing"):format(uid), function()
        local result = script(uid, "echo ran")
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
        assert.truthy(result.stderr:find "^cella: ", result.stderr)
      end)
    end

    it("says what is missing", function()
      local result = trial.cella { "run", "examples/crabcan.lua", "--mount-dir", root.path }
      assert.equal(125, result.status)
      assert.truthy(result.stderr:find("missing option '--uid'", 1, true), result.stderr)
      result = trial.cella { "run", "examples/crabcan.lua", "--uid", "0" }
      assert.equal(125, result.status)
      assert.truthy(result.stderr:find("missing option '--mount-dir'", 1, true), result.stderr)
    end)

    it("refuses an option that it does not know", function()
      assert.equal(125, script(0, "echo ran", { "--privileged" }).status)
    end)

    for what, path in pairs { ["is not there"] = "/nonexistent", ["is a file"] = "/etc/passwd", ["is empty"] = "" } do
      it(("refuses a directory that %s"):format(what), function()
        local list = words(0, { "sh", "-c", "echo ran" })
        list[4] = path
        local result = trial.cella(list)
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
      end)
    end

    it("says 127 for a program that is not in the directory, whatever the host has", function()
      local result = trial.cella(words(0, { "/usr/bin/awk" }))
      assert.equal(127, result.status)
    end)
  end)

  it("explains its options", function()
    local result = trial.cella { "run", "examples/crabcan.lua", "--help" }
    assert.equal(0, result.status)
    for _, option in ipairs { "--mount-dir", "--uid", "--debug", "--subids" } do
      assert.truthy(result.stdout:find(option, 1, true))
    end
  end)

  it("shows with --debug every step before it is taken, on the standard error", function()
    local result = script(0, "echo out", { "--debug" })
    assert.equal(0, result.status)
    assert.equal("out\n", result.stdout)
    local shown = result.stderr:match "\n(  1 parent .*)$"
    -- The very steps that `cella plan` prints, between its headings; but the name is made up anew.
    local list = words(0, { "sh", "-c", "echo out" })
    list[1] = "plan"
    local function nameless(text) return (text:gsub('sethostname%b()', "sethostname()")) end
    local steps = {}
    for line in trial.cella(list).stdout:gmatch "[^\n]+" do
      if line:find "^ *%d+ %l+ " then steps[#steps + 1] = line:gsub("^ *", "") end
    end
    assert.is_true(#steps > 50)
    assert.equal(nameless(table.concat(steps, "\n") .. "\n"), nameless(shown:gsub("\n *", "\n"):gsub("^ *", "")))
  end)

  it("talks to the terminal that it is run from", function()
    local command = trial.cli_text(words(7, { "sh", "-c", 'echo ready; read line; echo "got $line"; exit 5' }))
    local screen, status = trial.terminal("exec " .. command, { { "ready", "hello\n" } })
    assert.truthy(screen:find("got hello\n", 1, true), screen)
    assert.equal(5, status)
  end)

  it("is a filter in a pipe", function()
    local text = trial.sh("echo hello | " .. trial.cli_text(words(7, { "cat" })) .. " | cat")
    assert.equal("hello\n", text)
  end)
end)
