-- cella.doctor: each cause that can be brought about here is, in a process of its own, and both the error of a start
-- and the doctor name it; and what fails for another reason is given none of them.

local able = require "spec.support.able"
local cella = require "cella"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

-- What every process here begins with: `ask(feature)` returns what the doctor finds; `filter(number, action)` puts it
-- under a filter that gives one system call that answer.
local PRELUDE = [[
  local function ask(feature)
    for _, finding in ipairs(cella.doctor(feature).features) do
      if finding.name == feature then return finding end
    end
  end
  local function filter(call, action)
    local on_arm = io.popen("uname -m"):read "*l" ~= "x86_64"
    local numbers = { clone3 = { 435, 435 }, unshare = { 272, 97 }, fsopen = { 430, 430 }, pivot_root = { 155, 41 },
      mount_setattr = { 442, 442 }, memfd_create = { 319, 279 }, getpid = { 39, 172 } }
    local line = portable.instruction
    cella.load_everything()
    assert(sys.no_new_privs())
    assert(sys.seccomp(line(0x20, 0, 0, 0) .. line(0x15, 0, 1, numbers[call][on_arm and 2 or 1])
      .. line(0x06, 0, 0, action) .. line(0x06, 0, 0, 0x7fff0000)))
  end
  local ENOSYS, EPERM, KILL = 0x50026, 0x50001, 0x80000000
  local function start(namespaces, record)
    local plan = cella.plan { namespaces = namespaces }
    if record then record(plan) end
    local process, err = plan:exec({ "true" }):spawn()
    if process then process:wait() end
    return err
  end
  local function box(keys)
    keys = keys or {}
    return select(2, cella.container(keys):run { "true", stdout = "null", stderr = "null" })
  end
]]

local function there(prefix, source)
  return outside.lua(PRELUDE .. source, { prefix = prefix })
end

-- That both name a cause with these words, and how it is removed.
local function both_say(prefix, words, remedy, source)
  local finding, err_remedy, text = there(prefix, source .. [[
    return finding, err and err.remedy, tostring(err)
  ]])
  assert.equal(false, finding.works, tostring(finding.says))
  assert.matches(words, ("%s\n%s"):format(finding.error, finding.why), 1, true)
  assert.matches(words, text, 1, true)
  if remedy then
    assert.matches(remedy, finding.remedy or "", 1, true)
    assert.matches(remedy, err_remedy or "", 1, true)
  end
end

local ROOT_OF_ITS_OWN = "unshare --user --map-root-user "
local function with(script) return ("sh -c %s - "):format(trial.quote(script .. ' && exec "$@"')) end

describe("the report of the doctor", function()
  -- The lines of the first table of doc/security.md.
  local function promised()
    local list = {}
    local section = trial.read "doc/security.md":match "## What is promised\n(.-)\n## "
    for line in section:gmatch "\n| ([^|]-) |[^\n]*" do list[#list + 1] = line:gsub("`", "") end
    assert.is_true(#list > 12)
    table.remove(list, 1) -- the head
    return list
  end

  local function names_of(held)
    local list = {}
    for i, one in ipairs(held) do list[i] = one.of end
    return list
  end

  it("tells what holds each line of what is promised", needs("user_namespaces", function()
    local held = outside.lua "return require('cella').doctor().held"
    assert.same(promised(), names_of(held))
    for _, one in ipairs(held) do assert.is_string(one.by, one.of) end
  end))

  it("tells what is left where there are no containers", needs("user_namespaces", function()
    local held, text = there("", [[
      filter("clone3", EPERM)
      local result = cella.doctor()
      return result.held, tostring(result)
    ]])
    local by_name = {}
    for _, one in ipairs(held) do by_name[one.of] = one end
    assert.is_false(by_name.files.by)
    assert.is_false(by_name.processes.by)
    assert.is_string(by_name.privileges.by)
    assert.is_false(by_name.IDs.without)
    local abi = cella.landlock.abi()
    assert.equal(abi and "Landlock (files)" or false, by_name.files.without)
    assert.truthy(text:find("no  files", 1, true), text)
  end))

  it("tells what Landlock lacks here of what newer kernels have", function()
    local abi = cella.landlock.abi()
    if not abi then return pending "needs Landlock" end
    local says = cella.doctor("landlock").features[1].says
    assert.equal(("ABI %d"):format(abi), (says:match "^ABI %d+"))
    assert.equal(abi < 9, says:find("resolve_unix (Linux 7.1)", 1, true) ~= nil)
    assert.is_nil(says:find("execute", 1, true))
    assert.is_nil(cella.doctor("landlock").held)
  end)
end)

describe("the doctor and the error of a start", function()
  if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end

  describe("both name", function()
    it("a filter that hides clone3, whatever it answers", function()
      for answer, code in pairs { ENOSYS = "ENOSYS", EPERM = "EPERM" } do
        both_say("", "answers " .. code .. " in the kernel's place to clone3(2)", "seccomp=unconfined", ([[
          filter("clone3", %s)
          local finding, err = ask "start", start {}
        ]]):format(answer))
      end
    end)

    it("a filter that refuses unshare, a mount call or the change of the root", function()
      for _, call in ipairs { "unshare", "fsopen", "pivot_root", "mount_setattr" } do
        both_say("", ("answers EPERM in the kernel's place to %s(2)"):format(call), "seccomp=unconfined", ([[
          filter(%q, EPERM)
          local finding, err = ask "container", box()
        ]]):format(call))
      end
    end)

    it("a filter that kills the child", function()
      both_say("", "kills whoever calls fsopen(2)", "seccomp=unconfined", [[
        filter("fsopen", KILL)
        local finding, err = ask "container", box()
      ]])
    end)

    it("a limit of namespaces that is 0", function()
      local zero = "echo 0 > /proc/sys/user/max_%s_namespaces"
      both_say(ROOT_OF_ITS_OWN .. with(zero:format "user"), "user.max_user_namespaces is 0",
        "sysctl -w user.max_user_namespaces=", [[local finding, err = ask "user", start { "user" }]])
      both_say(ROOT_OF_ITS_OWN .. with(zero:format "mnt"), "user.max_mnt_namespaces is 0",
        "sysctl -w user.max_mnt_namespaces=", [[
          -- The limit of who has made the namespace counts too, and holds for those below.
          local finding, err = ask "mount", start { "user", "mount" }
        ]])
    end)

    it("that they are nested too deep #slow", function()
      both_say(("unshare --user --map-root-user "):rep(33), "33 deep", nil,
        [[local finding, err = ask "user", start { "user" }]])
      local nested = there(("unshare --user --map-root-user "):rep(32), [[return ask "nested"]])
      assert.matches("33 deep", nested.why or "", 1, true)
    end)

    it("IDs without a mapping", function()
      both_say("unshare --user ", "has no mapping in its user namespace", nil,
        [[local finding, err = ask "user", start { "user" }]])
    end)

    it("that files in memory may not be executed", needs("root", function()
      if not trial.read "/proc/sys/vm/memfd_noexec" then return pending "needs Linux 6.3 (vm.memfd_noexec)" end
      both_say("unshare --pid --fork --mount-proc " .. with "echo 2 >/proc/sys/vm/memfd_noexec", "vm.memfd_noexec is 2",
        "sysctl -w vm.memfd_noexec=1", [[local finding, err = ask "start", start {}]])
    end))

    it("a chroot", function()
      local directory = trial.directory()
      local chrooted = ROOT_OF_ITS_OWN .. "--mount " .. ("sh -c %s - "):format(trial.quote(
        ([[mount --rbind / %s && PATH=$PATH:/usr/sbin:/sbin exec chroot %s sh -c 'cd %s && exec "$@"' - "$@"]])
          :format(directory, directory, trial.top)))
      both_say(chrooted, "is chrooted", "pivot_root", [[local finding, err = ask "user", start { "user" }]])
      trial.remove_directory(directory)
    end)

    local PROC = [[
      local finding = ask "proc"
      local err = box { ids = require "cella.policy".root() }
    ]]

    it("parts of /proc that are covered, and none that nothing shows through", function()
      both_say(ROOT_OF_ITS_OWN .. "--mount " .. with "mount --bind /dev/null /proc/cpuinfo",
        "parts of it are covered: /proc/cpuinfo", "systempaths=unconfined", PROC)
      -- Nothing would be seen in a directory that is there to be mounted on.
      local unshared = ROOT_OF_ITS_OWN .. "--mount --pid --fork --mount-proc "
      local empty = "mount -t tmpfs none /proc/sys/fs/binfmt_misc"
      local finding = there(unshared .. with(empty), [[return ask "proc"]])
      assert.is_true(finding.works, finding.why)
      finding = there(unshared .. with(empty .. " && mount --bind /dev/null /proc/cpuinfo"), [[return ask "proc"]])
      assert.matches("covered: /proc/cpuinfo;", finding.why, 1, true)
    end)

    it("a filter, and not what the kernel would have refused had it been asked", function()
      both_say(ROOT_OF_ITS_OWN .. "--mount " .. with "mount --bind /dev/null /proc/cpuinfo",
        "in the kernel's place to fsopen(2)", "seccomp=unconfined", 'filter("fsopen", EPERM)\n' .. PROC)
    end)

    it("a /proc that is read-only", function()
      both_say(ROOT_OF_ITS_OWN .. "--mount " .. with "mount --bind /proc /proc && mount -o remount,bind,ro /proc",
        "/proc is mounted read-only here", "mount -o remount,bind,rw /proc", PROC:gsub('"proc"', '"map"'))
    end)

    it("no /proc", function()
      both_say(ROOT_OF_ITS_OWN .. "--mount --pid --fork --mount-proc " .. with "mount -t tmpfs none /proc",
        "there is no /proc mounted here", nil, [[local finding, err = ask "user", box()]])
    end)
  end)

  -- As a user of its own with ranges, or none, behind mounts that nobody else sees.
  local function as_user(script, ranges)
    return ("unshare --mount --propagation private sh -c %s - setpriv --reuid=54321 --regid=54321 --clear-groups "
      .. "--inh-caps=-all "):format(trial.quote(([[
        d=$(mktemp -d) && mount -t tmpfs none $d && echo '%s' > $d/ranges && chmod 644 $d/ranges &&
        mount --bind $d/ranges /etc/subuid && mount --bind $d/ranges /etc/subgid &&
        { cat /etc/passwd && echo 'somebody:x:54321:54321::/:/bin/sh'; } > $d/passwd && chmod 644 $d/passwd &&
        mount --bind $d/passwd /etc/passwd && umount -l $d && rmdir $d &&
        H=$(command -v newuidmap) && %s && exec "$@"]]):format(ranges and "54321:700000:1000" or "", script)))
  end

  local SUBIDS = [[
    local policy = require "cella.policy"
    local err = box { ids = policy.subids() }
  ]]

  it("both name a range that is missing, and the doctor has the command with one that is free", needs("root", function()
    local prefix = as_user "true"
    both_say(prefix, "has no subordinate uids", nil, SUBIDS .. [[local finding = ask "ranges"]])
    local ids, ranges = there(prefix, [[return ask "ids", ask "ranges"]])
    assert.matches("has no subordinate uids", ids.error, 1, true)
    assert.matches("^usermod %-%-add%-subuids (%d+)%-%d+ %-%-add%-subgids %1%-%d+ somebody ", ranges.remedy)
    local control = there(as_user("true", true), [[return ask "ids"]])
    assert.is_true(control.works, control.error)
  end))

  it("both name a helper's mount that gives no privileges, or runs nothing", needs("root", function()
    local remount = "mount --bind $H $H && mount -o remount,bind,%s $H"
    both_say(as_user(remount:format "nosuid", true), "lies on a nosuid mount", "mount -o remount,suid",
      SUBIDS .. [[local finding = ask "newuidmap"]])
    both_say(as_user(remount:format "noexec", true), "lies on a noexec mount", nil,
      SUBIDS .. [[local finding = ask "newuidmap"]])
    both_say(as_user("mount --bind /dev/null $H", true), "newuidmap", nil,
      SUBIDS .. [[local finding = ask "newuidmap"]])
  end))

  it("advise nobody to give privileges to a program that is not the system's", needs("root", function()
    -- A file of somebody's, and root's own in a directory of somebody's, which may be another's tomorrow.
    for _, owner in ipairs { "54321", "0" } do
      local before = ("mount -t tmpfs none /mnt && cp /bin/true /mnt/newuidmap && chown %s /mnt/newuidmap && "
        .. "export PATH=/mnt:$PATH"):format(owner)
      local finding = there(as_user(before, true), [[return ask "newuidmap"]])
      assert.matches("/mnt/newuidmap is not set-user-ID root", finding.why, 1, true)
      assert.is_nil(finding.remedy:find("u+s", 1, true), finding.remedy)
      assert.matches("take its directory out of PATH", finding.remedy, 1, true)
      finding = there(as_user(before .. " && mount -o remount,nosuid /mnt", true), [[return ask "newuidmap"]])
      assert.matches("nosuid", finding.why, 1, true)
      assert.is_nil(finding.remedy:find("remount", 1, true), finding.remedy)
    end
  end))

  it("name a helper whose owner has no ID here, and do not take it for one without privileges", needs("root", function()
    local finding = there(as_user("true", true) .. "unshare -Ur ", [[return ask "newuidmap"]])
    assert.is_false(finding.works)
    assert.matches("is set-user-ID, of somebody who has no ID in this user namespace", finding.why, 1, true)
    assert.is_nil(finding.remedy)
    assert.is_true(there(as_user("true", true), [[return ask "newuidmap"]]).works)
  end))

  it("have no subordinate IDs for who needs none, whatever else is wrong", needs("root", function()
    local finding = there("unshare --mount --propagation private sh -c " .. trial.quote(
      [[mount --bind /dev/null /etc/subuid && exec "$@"]])
      .. " - ", [[return ask "ids"]])
    assert.is_false(finding.works)
    assert.matches("whose IDs are in use cannot be known", finding.why, 1, true)
    assert.is_nil(finding.remedy)
    -- The error of a start is that one too, and who takes other IDs is kept from nothing.
    local text, result = there("unshare --mount --propagation private sh -c " .. trial.quote(
      [[mount --bind /dev/null /etc/subuid && exec "$@"]]) .. " - ", [[
      local policy = require "cella.policy"
      local first = policy.first { policy.default(), policy.range(0, 1879048192, 10) }
      return tostring(box {}), tostring(first(require "cella.host".facts()))
    ]])
    assert.matches("^policy: /etc/subuid: .*\n  whose IDs are in use cannot be known", text)
    assert.matches("0 to 9 are 1879048192", result, 1, true)
  end))

  it("both name a helper that has lost its privileges", needs("root", function()
    both_say(as_user("cp $H /run/cella-helper && chmod 755 /run/cella-helper && mount --bind /run/cella-helper $H "
      .. "&& rm /run/cella-helper", true), "is not set-user-ID root", "chmod u+s",
      SUBIDS .. [[local finding = ask "newuidmap"]])
  end))

  it("wait for no helper that hangs #slow", needs("root", function()
    local finding, seconds = there(as_user("printf '#!/bin/sh\\nexec sleep 100\\n' > /run/cella-helper && "
      .. "chmod 4755 /run/cella-helper && mount --bind /run/cella-helper $H && rm /run/cella-helper", true), [[
      local now = require "cella.core".now
      local began = now()
      return ask "ids", now() - began
    ]])
    assert.is_false(finding.works)
    assert.is_true(seconds < 60, tostring(seconds))
  end))
end)

-- What this kernel does not have is shown to it by what reads its files.
describe("a switch of another kernel's", function()
  if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end

  local PRETEND = [[
    local files = require "cella.host.file"
    local read = files.read
    local shown = { ["/proc/sys/kernel/%s"] = "%s\n", ["/proc/self/attr/apparmor/current"] = "%s\n" }
    files.read = function(path) return shown[path] or read(path) end
    local obstacle = require "cella.explain.obstacles".user_namespace "EPERM"
    return obstacle and obstacle.name, obstacle and obstacle.remedy or ""
  ]]
  local function named(...) return there("", PRETEND:format(...)) end

  it("is named where it forbids user namespaces to others than root, and not to root", function()
    for switch, case in pairs {
      unprivileged_userns_clone = { "0", "1", "sysctl -w kernel.unprivileged_userns_clone=1" },
      apparmor_restrict_unprivileged_userns = { "1", "0", "\n  userns,\n}\nEND\napparmor_parser -r " },
    } do
      local name, remedy = named(switch, case[1], "unconfined")
      if trial.lacks_root() then
        assert.equal(switch, name)
        assert.matches(case[3], remedy, 1, true)
      else
        assert.is_nil(name)
      end
      assert.is_nil((named(switch, case[2], "unconfined")))
    end
  end)

  it("is not named where the program has a profile that allows them", function()
    assert.is_nil((named("apparmor_restrict_unprivileged_userns", "1", "lua (unconfined)")))
  end)
end)

describe("the doctor", function()
  it("waits for no file system that hangs #slow", needs("root", function()
    local directory = trial.directory()
    trial.sh("mkdir " .. directory .. "/dead")
    local said = trial.sh(("python3 spec/support/dead_mount.py %s/dead timeout -s KILL 60 env PATH=$PATH:%s/dead/x %s"
      .. " 2>&1; echo status $?"):format(directory, directory, trial.cli_text { "doctor", "newuidmap", "container" }))
    local before = trial.sh(("python3 spec/support/dead_mount.py %s/dead timeout -s KILL 60 $(command -v env) "
      .. "PATH=%s/dead/x:$PATH $(command -v %s) %s/bin/cella doctor newuidmap container 2>&1; echo status $?")
      :format(directory, directory, trial.lua, trial.top))
    trial.remove_directory(directory)
    if said:find("no autofs", 1, true) then return pending(said) end
    for _, text in ipairs { said, before } do
      assert.matches("yes container", text, 1, true)
      assert.matches("this directory of PATH does not answer", text, 1, true)
      assert.matches("status 1\n", text, 1, true)
    end
  end))

  if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end

  it("asks for nothing that would kill the caller", function()
    for _, call in ipairs { "clone3", "memfd_create" } do
      local finding = there("", ([[filter(%q, KILL) return ask "start"]]):format(call))
      assert.matches(("kills whoever calls %s(2)"):format(call), finding.why or "", 1, true)
    end
  end)

  it("finds that the default container works where it does, and what is asked for", function()
    local result = cella.doctor()
    assert.equal(not cella.container({}):run { "true" }, not result.works)
    assert.matches("The default container works.", tostring(result), 1, true)
    local one = cella.doctor { "net", "pid" }
    assert.equal("net pid", one.features[1].name .. " " .. one.features[2].name)
    assert.is_true(one.works)
  end)

  it("tells before each feature what it lacks for it", function()
    local names, text = there("unshare --user ", [[
      local result, names = cella.doctor "net", {}
      for i, finding in ipairs(result.features) do names[i] = finding.name .. "<" .. tostring(finding.because) end
      return table.concat(names, " "), tostring(result)
    ]])
    assert.equal("user<nil net<user", names)
    assert.matches("not tried, it takes `user`", text, 1, true)
  end)

  it("refuses names that it does not know", function()
    assert.matches("did you mean 'overlay'", trial.raised(cella.doctor, "overlai"), 1, true)
    assert.matches("features", trial.raised(cella.doctor, { 5 }), 1, true)
  end)

  it("leaves no process, mount or cgroup behind", function()
    local before = trial.read "/proc/self/mountinfo"
    local left = there("", [[
      cella.doctor()
      local children = io.open "/proc/thread-self/children"
      return children and children:read "*a" or ""
    ]])
    assert.equal("", left)
    assert.equal(before, trial.read "/proc/self/mountinfo")
  end)

  describe("on the command line", function()
    it("ends with 0 where it works, 1 where not, 125 where it cannot be asked", function()
      assert.equal(0, trial.cella({ "doctor", "user" }).status)
      local refused = trial.sh(("unshare --user %s; echo $?"):format(trial.cli_text { "doctor" }))
      assert.matches("The default container does not work here.\n1\n$", refused)
      local result = trial.cella { "doctor", "overlai" }
      assert.equal(125, result.status)
      assert.matches("did you mean 'overlay'", result.stderr, 1, true)
    end)

    it("prints JSON", function()
      local ok, json = pcall(require, "dkjson")
      if not ok then return pending "needs dkjson" end
      local result = trial.cella { "doctor", "--json", "user" }
      local value = assert(json.decode(result.stdout))
      assert.is_true(value.works)
      assert.equal("user", value.features[1].name)
    end)
  end)
end)

-- What any cause of the doctor's would say.
local OBSTACLES = { "seccomp", "sysctl", "AppArmor", "apparmor", "security module", "chrooted", "subordinate",
  "covered", "limit on namespaces", "namespaces is 0", "newuidmap", "no mapping in" }

local UNRELATED = [[
  local function say(err) return { why = err and err.why or "", remedy = err and err.remedy, text = tostring(err) } end
  local function of(keys, command)
    keys.ids = keys.ids or require "cella.policy".root()
    return say(select(2, cella.container(keys):run(command or { "true" })))
  end
  return {
    of({ root = "/no/such/root" }),
    of({}, { "no-such-program" }),
    of({}, { "true", cwd = "/no/such/directory" }),
    of({}, { "true", stdin = { path = "/no/such/file" } }),
    of({ mounts = { { type = "bind", source = "/no/such/file", destination = "/tmp/x" } } }),
    of({ mounts = { { type = "bind", source = "/etc/passwd", destination = "/tmp/x/y/passwd/z" },
      { type = "bind", source = "/etc", destination = "/tmp/x/y/passwd/z/w" } } }),
    of({ root = { { type = "overlay", destination = "/", lower = { "/no/such" } } } }),
    of({ namespaces = { net = { pid = 2147483647 } } }),
    of({ namespaces = { net = "/proc/self/ns/uts" } }),
    of({ namespaces = { time = { monotonic = -1000000000 } } }),
    of({}, { "/etc/passwd" }),
    of({}, { "true", setup_timeout = 0.00001 }),
  }
]]

describe("a failure for another reason is given none of these causes", function()
  if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end

  for where, before in pairs { ["as it is"] = "", ["under a filter that concerns nothing of it"] =
    'filter("getpid", ENOSYS)\n' } do
    it(where, function()
      local failures = there("", before .. UNRELATED)
      assert.equal(12, #failures)
      for i, failure in ipairs(failures) do
        assert.not_equal("nil", failure.text, i .. " did not fail")
        assert.is_nil(failure.remedy, failure.text)
        for _, words in ipairs(OBSTACLES) do
          assert.is_nil(failure.why:find(words, 1, true), failure.text)
        end
      end
    end)
  end
end)
