-- The runner: what the child is between clone and its program. Nothing that it does to itself is done to the caller, it
-- has what the caller has and no more, and it begins under every limit under which the caller does.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local escape = require "spec.support.escape"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)
local PATIENCE = tonumber(os.getenv "CELLA_PATIENCE") or 1

teardown(escape.remove)

describe("a step in the child", function()
  it("that changes memory changes the program's, and not the caller's", function()
    local before, inside, after = outside.lua [[
      local before = status "THP_enabled"
      local result = assert(cella.plan():thp_disable(true):exec({ "grep", "^THP_enabled", "/proc/self/status",
        stdout = "capture" }):run())
      return before, result.stdout, status "THP_enabled"
    ]]
    assert.equal("1", before)
    assert.equal("THP_enabled:\t0\n", inside)
    assert.equal("1", after)
  end)

  it("that switches IDs leaves the caller dumpable at that time", needs("root", function()
    assert.is_true(outside.lua [[
      local dumpable
      local plan = cella.plan():setresuid(33, 33, 33)
      plan:await(function() dumpable = sys.get_dumpable() end)
      assert(plan:exec({ "true" }):run())
      return dumpable
    ]])
  end))

  it("has the runner for its executable, which nobody can write to", function()
    local exe, err = outside.lua [[
      local exe, err
      local plan = cella.plan():await(function(process)
        local pipe = io.popen(("readlink /proc/%d/exe"):format(process.pid))
        exe = pipe:read "*l"
        pipe:close()
        local file
        file, err = io.open(("/proc/%d/exe"):format(process.pid), "r+")
      end)
      assert(plan:exec({ "true" }):run())
      return exe, err
    ]]
    assert.equal("/memfd:cella-runner (deleted)", exe)
    assert.truthy(err:find("Text file busy", 1, true) or err:find("not permitted", 1, true), err)
  end)
end)

describe("the credentials of the caller", function()
  -- The source puts the process in a state; then a plan reads back the same in the child, and which form it took.
  local function same_in_child(source)
    local form, err, changed = outside.lua(source .. "\n" .. [[
      local all = sys.capabilities()
      local plan = cella.plan()
      local bits = sys.get_securebits and sys.get_securebits()
      plan:expect_capabilities(all.effective, all.permitted, all.inheritable, all.bounding, all.ambient)
      if bits then plan:expect_securebits(bits) end
      local r, e, s = sys.getresuid()
      plan:exec { "true" }
      local form = plan:steps()[1].text
      local ok, err = plan:run()
      -- The control: the same plan tells of a set that is not so.
      local other = cella.plan()
      local list = {}
      for i = 2, #all.permitted do list[#list + 1] = all.permitted[i] end
      other:expect_capabilities(all.effective, #all.permitted > 0 and list or { "chown" }, all.inheritable,
        all.bounding, all.ambient):exec { "true" }
      local wrong = select(2, other:run())
      return form, not ok and tostring(err) or nil, wrong and wrong.op
    ]])
    assert.is_nil(err)
    assert.equal("expect_capabilities", changed)
    return form
  end

  it("are the child's, where root has given up some", needs("root", function()
    assert.equal("clone3({})", same_in_child [[
      assert(sys.capset({ "chown", "kill" }, { "chown", "kill", "fowner" }, { "net_raw" }))
    ]])
    assert.equal("clone3({})", same_in_child 'assert(sys.capset("none", "none", "none"))')
    assert.equal("clone3({})", same_in_child 'assert(sys.keep_caps(true))')
  end))

  it("are the child's, where another than root has some", needs("root", function()
    for _, more in ipairs { "", 'assert(sys.capset({ "chown" }, { "chown", "kill" }, { "kill" }))',
      'assert(sys.capset({ "chown" }, { "chown", "kill" }, { "kill" })) assert(sys.ambient_raise { "kill" })' } do
      local switch = "assert(sys.keep_caps(true)) assert(sys.setresuid(33, 33, 33)) "
      assert.equal("clone3({})", same_in_child(switch .. more))
    end
  end))

  it("that exec would take from the child make it a copy: the same in there", needs("root", function()
    for _, state in ipairs {
      'assert(sys.capbset_drop { "chown" })', -- and keeps it permitted
      'assert(sys.setresuid(33, 0, 0))', 'assert(sys.setresuid(0, 0, 33))', 'assert(sys.setresgid(33, 0, 0))',
      'assert(sys.securebits { "noroot", "noroot_locked", "no_cap_ambient_raise", "no_cap_ambient_raise_locked" })',
      'assert(sys.securebits { "keep_caps", "keep_caps_locked" })',
    } do
      assert.equal("clone3({}, copy)", same_in_child(state), state)
    end
  end))

  it("do not matter to a child with a user namespace of its own, whose are full", needs("root", function()
    local form, full = outside.lua [[
      assert(sys.securebits { "noroot", "noroot_locked", "no_cap_ambient_raise", "no_cap_ambient_raise_locked" })
      assert(sys.capset("none", "none", "none"))
      local plan = cella.plan { namespaces = { "user" } }
      plan:expect_capabilities("all", "all", "none", "all", "none"):expect_securebits {}
      plan:exec { "true" }
      return plan:steps()[1].text, not not assert(plan:run())
    ]]
    assert.equal('clone3({"user"})', form)
    assert.is_true(full)
  end))

  it("give a child no more than the caller has, though exec would give root all", needs("root", function()
    local refused, control = outside.lua [[
      local function mounts()
        local plan = cella.plan { namespaces = { "mount" } }
        return select(2, cella.plan():unshare("mount"):exec({ "true" }):run())
      end
      local control = mounts()
      assert(sys.capset({ "chown" }, { "chown" }, "none"))
      return mounts().code, control and control.code or "none"
    ]]
    assert.equal("EPERM", refused)
    assert.equal("none", control)
  end))

  it("that take a copy keep a program from a container that could get hold of the interpreter", needs("root", function()
    local message, why, control = outside.lua [[
      local box = cella.container { namespaces = { user = "host" } }
      local control = box:run { "true" }
      assert(sys.setresgid(33, 0, 0))
      local _, err = box:run { "true" }
      return err.message, err.why, control and control.code
    ]]
    assert.matches("copy of this process", message, 1, true)
    assert.matches("IDs of this process are not all the same", why, 1, true)
    assert.equal(0, control)
  end))
end)

describe("the runner begins", function()
  local RUN = [[
    local result, err = cella.container({ rlimits = before and { [limit] = before } or nil }):run { "sh", "-c",
      "echo ran; ls /proc/self/fd | wc -l", stdout = "capture" }
    if before then assert(sys.setrlimit(limit, before.soft, before.hard)) end
    return result and result.stdout or tostring(err), err and err.op, err and err.code, err and err.why
  ]]
  local RAN = "ran\n4\n" -- 0 to 2, and ls's own

  -- The same with a soft limit of the caller's; the program has another.
  local function limited(limit, value)
    return outside.lua(("limit, value = %q, %d\n"):format(limit, value) .. [[
      before = {}
      before.soft, before.hard = sys.getrlimit(limit)
      assert(sys.setrlimit(limit, value, before.hard))
    ]] .. RUN)
  end

  it("where the caller's files may be of no size", needs("user_namespaces", function()
    assert.equal(RAN, (limited("fsize", 0)))
  end))

  it("where the stack may be small", needs("user_namespaces", function()
    assert.equal(RAN, (limited("stack", 65536)))
  end))

  it("where the caller has thousands of descriptors, of which none is handed on", needs("user_namespaces", function()
    local soft, hard = core.sys.getrlimit "nofile"
    if hard ~= "unlimited" and hard < 12000 then return pending "needs a higher RLIMIT_NOFILE" end
    assert.equal(RAN, (outside.lua(("assert(sys.setrlimit('nofile', 12000, %s))\n"):format(
      hard == "unlimited" and "'unlimited'" or hard) .. [[
      local files = {}
      for i = 1, 10000 do files[i] = assert(core.dup(0)) end
    ]] .. RUN)), soft)
  end))

  it("where somebody has closed all of the caller's descriptors, and opened others", needs("user_namespaces", function()
    assert.equal(RAN, (outside.lua([[
      assert(cella.plan():exec({ "true" }):run())
      for number = 3, 60 do sys.close(number) end
      local files = {}
      for i = 1, 40 do files[i] = assert(io.open "/bin/true") end
    ]] .. RUN)))
  end))

  it("not behind a filter that refuses its exec, and says so", function()
    -- BPF: the system call's number is execveat's (322 of x86-64, 281 of aarch64): EPERM; else go on.
    local text, op, code, why = outside.lua([[
      local number = io.popen("uname -m"):read "*l" == "x86_64" and 322 or 281
      assert(sys.no_new_privs())
      local line = portable.instruction
      assert(sys.seccomp(line(0x20, 0, 0, 0) .. line(0x15, 0, 1, number) .. line(0x06, 0, 0, 0x50001)
        .. line(0x06, 0, 0, 0x7fff0000)))
      local result, err = cella.plan():exec({ "true" }):run()
      return tostring(err), err.op, err.code, err.why
    ]])
    assert.equal("execveat EPERM", ("%s %s"):format(op, code), text)
    assert.matches("seccomp filter", why, 1, true)
  end)

  it("not where files in memory may not be executed, and says so", needs("root", function()
    if not trial.read "/proc/sys/vm/memfd_noexec" then return pending "needs Linux 6.3 (vm.memfd_noexec)" end
    -- The switch is one of a pid namespace.
    local text, op, code, why = outside.lua(RUN, {
      prefix = "unshare --pid --fork --mount-proc sh -c 'echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"' sh" })
    assert.equal("memfd_create EACCES", ("%s %s"):format(op, code), text)
    assert.matches("vm.memfd_noexec is 2", why, 1, true)
  end))
end)

describe("four threads of a process that start containers at the same time", function()
  it("disturb neither each other nor the process #slow", needs("user_namespaces", function()
    local directory = trial.directory()
    local made = trial.sh(("cc -O1 -o %s/threads spec/support/threads.c %s -lpthread"):format(directory,
      portable.flags()))
    if made ~= "" then return pending("needs a C compiler and Lua's library: " .. made) end
      local said = trial.sh(("env LUA_PATH=%s LUA_CPATH=%s %s/threads %s 4"):format(trial.quote(package.path),
      trial.quote(package.cpath), directory, trial.quote(([[
        local cella, policy = require "cella", require "cella.policy"
        local several = %s
        local boxes = { cella.container {}, cella.container { init = false }, cella.container { hostname = "moon" } }
        if several then
          boxes[#boxes + 1] = cella.container { ids = policy.subids(), user = { uid = 33, gid = 33 } }
        end
        for i = 1, 250 do
          local what = (thread + i) %% (#boxes + 1)
          local result, err
          if what == 0 then
            result, err = cella.plan():fork():exec({ "true" }):run()
          else
            result, err = boxes[what]:run { "true", timeout = 100 }
          end
          if not result or result.code ~= 0 then
            error(("start %%d of %%d: %%s"):format(i, thread, tostring(err or result.reason)))
          end
        end
      ]]):format(tostring(not able.lacks "subordinate_ids")))))
    trial.remove_directory(directory)
    assert.equal("4 threads, dumpable throughout\n", said)
  end))
end)

describe("a program of a container that is entered", function()
  local needle = "the_secret_of_the_caller" -- whose memory has it

  local function robbed(description, keys, times)
    local file = assert(io.open(escape.program(), "rb"))
    local marked = trial.directory()
    local mark = assert(core.open(marked, { "rdonly", "directory" }))
    local place = trial.sh("stat -c %d:%i " .. marked):gsub("\n$", "")
    description.mounts = { { type = "proc", destination = "/proc" } }
    local process = assert(cella.container(description):spawn { "/proc/self/fd/9", ("rob=%d:%s:%s"):format(
      4 * PATIENCE, place, needle), fds = { [9] = file }, stdin = "null", stdout = "capture" })
    file:close()
    local entrance = assert(cella.enter { process = process })
    local command = { "sleep", "0.01", stdin = "null", timeout = 1 }
    for key, value in pairs(keys(mark)) do command[key] = value end
    for _ = 1, times do
      local ok, err = entrance:run(command)
      -- It may have been stopped, or ended: but nobody waits for it for ever.
      assert.truthy(ok or err)
      if not process:step() then break end
    end
    entrance:close()
    local result = assert(process:wait())
    process:close()
    mark:close()
    trial.remove_directory(marked)
    local seen = {}
    for line in result.stdout:gmatch "\t([^\n]*)" do seen[line] = true end
    return seen
  end

  local function nothing() return {} end

  local KINDS = { { "default", function() return {} end } }
  if not trial.lacks_root() then
    KINDS[2] = { "with all capabilities", function() return { capabilities = "all" } end }
    KINDS[3] = { "with sys_ptrace and no user namespace of its own", function()
      return { namespaces = { user = "host" }, capabilities = { "sys_ptrace", "kill" } }
    end }
  end

  for _, kind in ipairs(KINDS) do
    it("gets nothing of the caller's #slow, " .. kind[1], function()
      if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
      local seen = robbed(kind[2](), nothing, 500)
      assert.is_nil(seen["the secret"])
      assert.is_nil(seen["the file"])
      assert.is_true(seen["reached others"] or seen["reached nobody"])
    end)
  end

  it("gets what the program that comes in is given #slow", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local seen = robbed({ capabilities = { "sys_ptrace" } }, function(mark)
      -- Who is looked at before it executes the program shows nothing, and is not looked at again: its children are,
      -- which have its memory and descriptors for as long as they live.
      return { "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (sleep 0.05; : " .. needle .. ") & done; wait",
        fds = { [5] = mark:number() } }
    end, 500)
    assert.is_true(seen["the secret"])
    assert.is_true(seen["the file"])
  end)
end)
