-- The executor: from plan:spawn() to exec, what fails on the way, and what all that leaves of the caller.
--
-- Guards, among others: bubblewrap #705 (SIGCHLD ignored), runc CVE-2024-21626 (descriptors that cross),
-- the dumpable flag that a child in shared memory resets, runc CVE-2016-9962, nsjail #341.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"
local outside = require "spec.support.outside"

local needs = able.needs(function(reason) pending(reason) end)

local MAYBE_USER = able.lacks "user_namespaces" and "false" or "true"

-- A file that the program would make.
local marker

local function read(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local function run_marker(plan, extra)
  local command = { "sh", "-c", "echo ran >> " .. marker, stderr = "null" }
  for key, value in pairs(extra or {}) do command[key] = value end
  return plan:exec(command)
end

local function own_ids(via)
  local _, uid = core.sys.getresuid()
  local _, gid = core.sys.getresgid()
  return { uid = { inside = 0, outside = uid, count = 1 }, gid = { inside = 0, outside = gid, count = 1 },
    via = via or "self", setgroups = "deny" }
end

describe("a step that fails", function()
  before_each(function()
    marker = os.tmpname()
    os.remove(marker)
    leaks.watch()
  end)
  after_each(function()
    leaks.check()
    os.remove(marker)
  end)

  -- Performs the plan, of which the step with the given text has to be what fails.
  local function fails(plan, text, code)
    local number
    for _, step in ipairs(plan:steps()) do
      if step.text:find(text, 1, true) then
        number = step
        break
      end
    end
    assert(number, "no such step in\n" .. tostring(plan))
    local process, err = plan:spawn()
    assert.is_nil(process, "it did not fail")
    assert.equal(code, err.code, tostring(err))
    assert.equal(number.number, err.step, tostring(err))
    assert.equal(number.side, err.side, tostring(err))
    assert.equal(number.op, err.op, tostring(err))
    assert.is_nil(read(marker), "the program has run")
    assert.truthy(tostring(err):find(("step %d (%s)"):format(number.number, number.side), 1, true), tostring(err))
    return err
  end

  it("is a control: without it the program runs", function()
    assert.equal(0, assert(run_marker(cella.plan()):run()).code)
    assert.equal("ran\n", read(marker))
  end)

  describe("in the child", function()
    local CASES = {
      { 'chdir("/nonexistent/cella")', "ENOENT", function(plan) plan:chdir "/nonexistent/cella" end },
      { 'mkdir("/dev/null/x"', "ENOTDIR", function(plan) plan:mkdir("/dev/null/x", 448) end },
      { 'symlink("x", "/dev/null")', "EEXIST", function(plan) plan:symlink("x", "/dev/null") end },
      { 'openat2("/nonexistent', "ENOENT", function(plan) plan:openat2("/nonexistent", "rdonly") end },
      { 'write_file("/nonexistent', "ENOENT", function(plan) plan:write_file("/nonexistent", "x") end },
      { "close(99999)", "EBADF", function(plan) plan:close(99999) end },
      { "dup2(99999, 5)", "EBADF", function(plan) plan:dup2(99999, 5) end },
      { "close_range(9, 8)", "EINVAL", function(plan) plan:close_range(9, 8) end },
      { 'setrlimit("nofile", 9, 8)', "EINVAL", function(plan) plan:setrlimit("nofile", 9, 8) end },
      { 'umount2("/nonexistent', "ENOENT", function(plan) plan:umount2 "/nonexistent" end },
      { "setns(slot", "EINVAL", function(plan) plan:setns((plan:openat2("/dev/null", "rdonly"))) end },
      { 'setns(slot0, {"net"})', "EINVAL",
        function(plan) plan:setns((plan:openat2("/dev/null", "rdonly")), "net") end },
      { "expect_no_new_privs(true)", "ENOTRECOVERABLE", function(plan) plan:expect_no_new_privs(true) end },
      { 'expect_namespace("/proc/self/ns/uts", 1, true)', "ENOTRECOVERABLE",
        function(plan) plan:expect_namespace("/proc/self/ns/uts", 1, true) end },
    }
    for _, case in ipairs(CASES) do
      it(("is named, and the program does not run: %s"):format(case[1]), function()
        local plan = cella.plan():umask(18)
        case[3](plan)
        plan:umask(18)
        run_marker(plan)
        fails(plan, case[1], case[2])
      end)
    end

    it("is found at any place of a plan, in shared memory and in its own", function()
      for _, own_memory in ipairs { false, true } do
        for place = 1, 12 do
          local plan = cella.plan()
          for i = 1, 12 do
            if i == place then
              plan:chdir("/nonexistent/" .. i)
              -- Not reached: where it comes last, there is no way to tell memory apart, and none is needed.
              if own_memory then plan:unshare "user" end
            else
              plan:umask(18)
            end
          end
          run_marker(plan, { stdin = "null", stdout = "capture" })
          local err = fails(plan, "/nonexistent/", "ENOENT")
          assert.equal("/nonexistent/" .. place, err.path)
        end
      end
    end)

    it("is found behind a fork", function()
      fails(run_marker(cella.plan():umask(18):fork():chdir "/nonexistent"), "chdir", "ENOENT")
    end)

    it("is found where new namespaces were entered", needs("user_namespaces", function()
      local plan = cella.plan { namespaces = { "user", "uts", "pid" }, ids = own_ids() }
      fails(run_marker(plan:sethostname("x"):sethostname(("x"):rep(65))), 'sethostname("xx', "EINVAL")
    end))

    it("is found where the parent wrote the maps", needs("user_namespaces", function()
      local plan = cella.plan { namespaces = { "user" }, ids = own_ids "parent" }
      fails(run_marker(plan:setresuid(5, 5, 5)), "setresuid", "EINVAL")
    end))

    it("is a map that the child may not write", needs("user_namespaces", function()
      local ids = own_ids()
      ids.uid = { inside = 0, outside = 4294967290, count = 2 }
      fails(run_marker(cella.plan { namespaces = { "user" }, ids = ids }), 'write_file("/proc/self/uid_map"', "EPERM")
    end))
  end)

  describe("at the end is an exec that", function()
    local path
    before_each(function() path = os.tmpname() end)
    after_each(function() os.remove(path) end)

    local function program(text, mode)
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
      assert(portable.execute(("chmod %s %s"):format(mode, path)))
      return cella.plan():exec { path }
    end

    it("finds no program", function()
      local err = fails(cella.plan():exec { "/nonexistent/cella" }, "execve", "ENOENT")
      assert.equal("/nonexistent/cella", err.path)
      err = fails(cella.plan():exec { "no-such-program-of-cella" }, "execve", "ENOENT")
      assert.equal("no-such-program-of-cella", err.path)
    end)

    it("finds a program without its interpreter, and says so", function()
      local err = fails(program("#!/nonexistent/interpreter\n", "700"), "execve", "ENOENT")
      assert.truthy(err.why:find("interpreter", 1, true), err.why)
      assert.is_nil(fails(cella.plan():exec { "/nonexistent" }, "execve", "ENOENT").why:find("interpreter", 1, true))
    end)

    it("finds what may not be executed", function()
      fails(program("#!/bin/sh\n", "600"), "execve", "EACCES")
      fails(cella.plan():exec { "/" }, "execve", "EACCES")
      -- Also where later directories of the PATH do not have it: it was found.
      local directory, name = path:match("^(.*)/([^/]*)$")
      local environment = { PATH = directory .. ":/nonexistent" }
      fails(cella.plan():exec { name, environment = environment }, "execve", "EACCES")
    end)

    it("finds what is no program; no shell is asked to try", function()
      fails(program("echo ran > " .. marker .. "\n", "700"), "execve", "ENOEXEC")
    end)

    it("is given too much", function()
      fails(cella.plan():exec { "/bin/true", ("x"):rep(131072) }, "execve", "E2BIG")
      assert.equal(0, assert(cella.plan():exec({ "/bin/true", ("x"):rep(131071) }):run()).code)
    end)

    it("passes over what may not be executed to what may", function()
      program("#!/bin/sh\n", "600")
      local directory, name = path:match("^(.*)/([^/]*)$")
      local result = cella.plan():exec({ name, environment = { PATH = directory } }):run()
      assert.is_nil(result)
      os.execute("mkdir " .. path .. ".d && printf '#!/bin/sh\\nexit 3\\n' > " .. path .. ".d/" .. name
        .. " && chmod 755 " .. path .. ".d/" .. name)
      local search = directory .. ":" .. path .. ".d"
      local code = assert(cella.plan():exec({ name, environment = { PATH = search } }):run()).code
      os.execute("rm -r " .. path .. ".d")
      assert.equal(3, code)
    end)
  end)

  describe("in the parent", function()
    it("is a file that cannot be opened: there is no child then", function()
      local plan = run_marker(cella.plan(), { stdin = { path = "/nonexistent/x" } })
      local err = fails(plan, 'open("/nonexistent/x"', "ENOENT")
      assert.equal("/nonexistent/x", err.path)
      fails(run_marker(cella.plan(), { stdout = { path = "/dev" } }), 'open("/dev"', "EISDIR")
    end)

    it("is a descriptor that is not open", function()
      fails(run_marker(cella.plan(), { stdout = 999 }), "dup(999)", "EBADF")
      fails(run_marker(cella.plan(), { stdin = "null", fds = { [5] = 0, [6] = 999 } }), "dup(999)", "EBADF")
    end)

    it("is a namespace that is not there to join", function()
      fails(run_marker(cella.plan { join = { { type = "net", pid = 2147483647 } } }), "open(", "ESRCH")
      fails(run_marker(cella.plan { join = { { type = "net", path = "/nonexistent" } } }), "open(", "ENOENT")
      fails(run_marker(cella.plan { join = { { type = "net", fd = 999 } } }), "dup(999)", "EBADF")
    end)

    it("is a clone3 that the kernel refuses", function()
      if not able.lacks "root" then return pending("needs an ordinary user") end
      local err = fails(run_marker(cella.plan { namespaces = { "uts" } }), "clone3", "EPERM")
      assert.truthy(err.why and err.why:find("CAP_SYS_ADMIN", 1, true), tostring(err))
    end)

    it("is a clone3 for which there are too many descriptors", function()
      local code, after = outside.lua [[
        local plan = cella.plan():exec { "true" }
        assert(plan:run())
        local limit = #open_descriptors()
        local before = snapshot()
        local soft, hard = sys.getrlimit "nofile"
        local codes, worked = {}, 0
        -- From no room at all to enough of it.
        for more = 0, 12 do
          assert(sys.setrlimit("nofile", limit + more, hard))
          local result, err = plan:run()
          if result then worked = worked + 1 else codes[err.code] = true end
        end
        assert(sys.setrlimit("nofile", soft, hard))
        local list = {}
        for code in pairs(codes) do list[#list + 1] = code end
        table.sort(list)
        return table.concat(list, " ") .. (worked > 0 and " and success" or ""), changes(before, snapshot())
      ]]
      assert.equal("EMFILE and success", code)
      assert.same({}, after)
    end)

    it("is a helper that fails: both are ended", needs("user_namespaces", function()
      local ids = own_ids "helper"
      ids.newuidmap, ids.newgidmap = "/bin/false", "/bin/true"
      local plan = run_marker(cella.plan { namespaces = { "user" }, ids = ids })
      local process, err = plan:spawn()
      assert.is_nil(process)
      assert.equal("newuidmap", err.op)
      assert.equal("parent", err.side)
      assert.equal("newuidmap", plan:steps()[err.step].op)
      assert.is_nil(read(marker))
    end))

    it("is a helper that does nothing, and says that it did", needs("user_namespaces", function()
      local ids = own_ids "helper"
      ids.newuidmap, ids.newgidmap = "/bin/true", "/bin/true"
      local process, err = run_marker(cella.plan { namespaces = { "user" }, ids = ids }):spawn()
      assert.is_nil(process)
      assert.equal("newuidmap", err.op)
      assert.truthy(tostring(err):find("reads back as", 1, true), tostring(err))
      assert.is_nil(read(marker))
    end))

    it("is a helper that is not installed", needs("user_namespaces", function()
      local ids = own_ids "helper"
      ids.newuidmap, ids.newgidmap = "/nonexistent/newuidmap", "/nonexistent/newgidmap"
      local process, err = run_marker(cella.plan { namespaces = { "user" }, ids = ids }):spawn()
      assert.is_nil(process)
      assert.equal("newuidmap", err.op)
      assert.is_nil(read(marker))
    end))

    it("is a map that the parent may not write", needs("user_namespaces", function()
      if not able.lacks "root" then return pending("needs an ordinary user") end
      local ids = own_ids "parent"
      ids.uid = { inside = 0, outside = 4294967290, count = 2 }
      fails(run_marker(cella.plan { namespaces = { "user" }, ids = ids }), 'uid_map"', "EPERM")
    end))
  end)

  describe("is a set-up that does not come to its end:", function()
    -- Opening a fifo to write sleeps until there is a reader.
    local fifo
    before_each(function()
      fifo = os.tmpname()
      os.remove(fifo)
      assert(core.sys.mknod(fifo, "fifo", 384))
    end)
    after_each(function() os.remove(fifo) end)

    for forks = 0, 2 do
      it(("its time is up, and nothing runs: behind %d forks"):format(forks), function()
        local plan = cella.plan()
        for _ = 1, forks do plan:fork() end
        local process, err = run_marker(plan:write_file(fifo, "x")):spawn { timeout = 0.05 }
        assert.is_nil(process)
        assert.equal("ETIMEDOUT", err.code)
        assert.is_nil(read(marker))
      end)
    end

    it("the child is killed from elsewhere", function()
      local message, step, left = outside.lua([[
        local fifo, marker = ...
        local plan = cella.plan():umask(18):write_file(fifo, "x"):exec { "touch", marker }
        -- Another process finds it where it sleeps.
        local killer = io.popen(("while sleep 0.01; do for pid in $(cat /proc/%d/task/%d/children); do"
          .. " case $(cat /proc/$pid/wchan) in *wait_for_partner*|fifo_open*) kill -9 $pid; exit;; esac; done; done")
          :format(sys.getpid(), sys.getpid()))
        local process, err = plan:spawn { timeout = 20 }
        killer:close()
        return err and err.message, err and err.step, children()
      ]], { arguments = { fifo, marker } })
      if message and message:find("longer than", 1, true) then return pending("needs /proc/PID/wchan") end
      assert.equal("the child was killed in this step", message)
      assert.equal(3, step)
      assert.same({}, left)
      assert.is_nil(read(marker))
    end)

    -- Starts a caller that is killed as soon as its child is held; returns the child's pid. Nothing of theirs is a pipe
    -- of ours: who stays would keep it open.
    local function killed_caller(source)
      local path = os.tmpname()
      outside.lua([[
        local fifo, marker, path = ...
        local function say(pid)
          local file = assert(io.open(path, "w"))
          file:write(pid)
          file:close()
        end
        ]] .. source .. [[

        os.execute("kill -9 " .. sys.getpid())
      ]], { output = true, redirect = ">/dev/null 2>&1", arguments = { fifo, marker, path } })
      local pid = assert(tonumber(read(path)), "nobody has said its pid")
      os.remove(path)
      return pid
    end

    local function ends(pid)
      return outside.sh(("for i in $(seq 300); do case $(cat /proc/%d/stat 2>/dev/null) in ''|*') Z '*)"
        .. " echo gone; exit ;; esac; sleep 0.01; done; kill -9 %d"):format(pid, pid)) == "gone\n"
    end

    it("the caller is killed: a child that waits for it ends", function()
      local pid = killed_caller [[
        -- Held where the parent of a user namespace would write the maps.
        local recorder = core.recorder()
        recorder:record "await"
        recorder:record("execve", { "/bin/touch", "/usr/bin/touch" }, { "touch", marker })
        local child = assert(core.launch(recorder, {}))
        assert(child:ready())
        say(child:pid())
      ]]
      assert.is_true(ends(pid))
      assert.is_nil(read(marker))
    end)

    it("the caller is killed before the child could tie itself to it: expect_parent sees that", function()
      for _, expected in ipairs { false, true } do
        local pid = killed_caller(([[
          local recorder = core.recorder()
          recorder:record("write_file", fifo, "x")
          recorder:record("pdeathsig", "kill")
          if %s then recorder:record "expect_parent" end
          recorder:record("execve", { "/bin/touch", "/usr/bin/touch" }, { "touch", marker })
          local child = assert(core.launch(recorder, {}))
          say(child:pid())
        ]]):format(tostring(expected)))
        -- Now it may go on.
        assert.equal("x", (outside.sh("cat " .. fifo)))
        assert.is_true(ends(pid))
        assert.equal(not expected and "" or nil, read(marker))
        os.remove(marker)
      end
    end)

    it("a signal arrives: it has its own effect, and reaches no handler of the caller's #slow", function()
      local library, problem = helper.library()
      if not library then return pending(problem) end
      for _, name in ipairs { "usr1", "none" } do
        local ok, step, errno = outside.lua([[
          local library, fifo, marker, name = ...
          host(library, "install_handlers")
          local recorder = core.recorder()
          recorder:record("write_file", fifo, "x")
          recorder:record "sigunblock"
          recorder:record("execve", { "/bin/touch", "/usr/bin/touch" }, { "touch", marker })
          local child = assert(core.launch(recorder, {}))
          if name ~= "none" then assert(child:kill(name)) end
          local text = read(fifo) -- now it may go on
          local ok, step, errno = child:wait_for_exec()
          child:reap(true)
          return ok, step, errno
        ]], { arguments = { library, fifo, marker, name } })
        if name == "none" then
          assert.is_true(ok)
          assert.equal("", read(marker))
        else
          assert.same({ false, 2, 0 }, { ok, step, errno })
          assert.is_nil(read(marker))
        end
      end
      helper.remove()
    end)

    it("a control: the caller lets it go on", function()
      outside.lua([[
        local recorder = core.recorder()
        recorder:record "await"
        recorder:record("execve", { "/bin/touch", "/usr/bin/touch" }, { "touch", ... })
        local child = assert(core.launch(recorder, {}))
        assert(child:ready())
        assert(child:release())
        assert(child:wait_for_exec())
        assert(child:reap(true))
      ]], { arguments = { marker } })
      assert.equal("", read(marker))
    end)

    it("the caller gives up: a child that is held is killed and reaped", function()
      assert.same({ 1, 0 }, { outside.lua([[
        local recorder = core.recorder()
        recorder:record "await"
        recorder:record("execve", { "/bin/touch", "/usr/bin/touch" }, { "touch", ... })
        local child = assert(core.launch(recorder, {}))
        assert(child:ready())
        local before = #children()
        child = nil
        portable.collect()
        return before, #children()
      ]], { arguments = { marker } }) })
      assert.is_nil(read(marker))
    end)
  end)

  it("leaves nothing to the collector", function()
    local before, after = outside.lua [[
      local plans = {
        cella.plan():chdir("/nonexistent"):exec { "true", stdin = "null", stdout = "capture", stderr = "capture" },
        cella.plan():exec { "true", stdout = "capture", stderr = { path = "/nonexistent/x" } },
        cella.plan():exec { "/nonexistent", stdout = "capture" },
      }
      for _, plan in ipairs(plans) do plan:run() end
      collectgarbage()
      collectgarbage "stop"
      local before = #open_descriptors()
      for _, plan in ipairs(plans) do assert(not plan:run()) end
      return before, #open_descriptors()
    ]]
    assert.equal(before, after)
  end)

  it("leaves no memory behind #slow", needs("plain_memory", function()
    local maps, kilobytes = outside.lua [[
      local plans = {
        cella.plan():chdir("/nonexistent"):exec { "true", stdin = "null", stdout = "capture" },
        cella.plan():exec { "true", stdin = { path = "/nonexistent" }, stdout = "capture" },
        cella.plan():exec { "/nonexistent" },
        cella.plan():fork():chdir("/nonexistent"):exec { "true" },
      }
      plans[5] = cella.plan()
      plans[5]:setns((plans[5]:openat2("/dev/null", "rdonly"))):exec { "true" }
      local function round(count)
        for _ = 1, count do
          for _, plan in ipairs(plans) do assert(not plan:run()) end
        end
        portable.collect()
        return select(2, read "/proc/self/maps":gsub("\n", "")), tonumber(status "VmSize":match "%d+")
      end
      local maps, size = {}, {}
      for i, count in ipairs { 40, 80, 80 } do maps[i], size[i] = round(count) end
      -- A leak is there each time. The heap has its size some time: where collections come late it grows once more.
      return math.min(maps[2] - maps[1], maps[3] - maps[2]), math.min(size[2] - size[1], size[3] - size[2])
    ]]
    assert.is_true(maps <= 2, maps .. " mappings more")
    assert.is_true(kilobytes < 1024, kilobytes .. " kB more")
  end))
end)

describe("a step that closes descriptors", function()
  before_each(function()
    marker = os.tmpname()
    os.remove(marker)
    leaks.watch()
  end)
  after_each(function()
    leaks.check()
    os.remove(marker)
  end)

  local plans = {
    ["in shared memory"] = function() return cella.plan() end,
    ["behind a fork"] = function() return cella.plan():fork() end,
    ["behind three"] = function() return cella.plan():fork():fork():fork() end,
  }
  if not able.lacks "user_namespaces" then
    plans["in memory of its own"] = function() return cella.plan():unshare "user" end
  end

  for where, new in pairs(plans) do
    it("does not cut the child off from its parent, " .. where, function()
      local result, err = new():close_range(3, 4294967295):close_range(3, 4294967295, "cloexec")
        :exec({ "sh", "-c", "exit 3" }):run()
      assert.equal(3, result and result.code, tostring(err))
    end)

    it("does not keep a failure from its parent, " .. where, function()
      local process, err = run_marker(new():close_range(3, 4294967295):chdir "/nonexistent"):spawn()
      assert.is_nil(process)
      assert.equal("chdir", err.op)
      assert.equal("ENOENT", err.code)
      assert.is_nil(read(marker))
    end)
  end

  it("cannot close or replace what ties the child to its parent, whatever its number #slow", function()
    local refused = 0
    for number = 3, 40 do
      for _, change in ipairs { "close", "from", "onto" } do
        local plan = cella.plan()
        if change == "close" then plan:close(number) end
        if change == "from" then plan:dup2(number, 1000) end
        if change == "onto" then plan:dup2(0, number):close(number) end
        local process, err = run_marker(plan, { stdin = "null" }):run()
        if process then
          assert.equal(0, process.code)
          assert.equal("ran\n", read(marker))
          os.remove(marker)
        else
          assert.equal("EBADF", err.code, tostring(err))
          assert.is_nil(read(marker))
          refused = refused + 1
        end
      end
    end
    assert.is_true(refused > 0)
  end)

  it("and no other step reaches it either", function()
    assert.equal("EBADF", (outside.lua [[
      local codes = {}
      -- Of this process's own there is none from 3 on, so that each number is free or the channel's.
      for number = 3, 40 do
        if not core.is_open(number) then
          local process, err = cella.plan():write(number, "x"):exec({ "true" }):run { timeout = 10 }
          codes[process and "none" or err.code] = true
        end
      end
      local list = {}
      for code in pairs(codes) do list[#list + 1] = code end
      table.sort(list)
      return table.concat(list, " ")
    ]]))
  end)

  it("nor what else is cella's, where the plan is performed in a copy of the caller", function()
    if trial.lacks_root() then return pending "needs root, who may have IDs that differ" end
    assert.equal("EBADF", (outside.lua [[
      core.runner_file()
      assert(core.sys.setresuid(1, nil, nil))
      assert(core.copied(core.recorder(), {}))
      local codes = {}
      for number = 3, 40 do
        if not core.is_open(number) then
          local recorder = core.recorder()
          recorder:record("dup2", number, 50)
          recorder:record("execve", { "/bin/true" }, { "true" })
          local child = assert(core.launch(recorder, {}, {}))
          local ok, _, errno = child:wait_for_exec(10)
          codes[ok and "none" or core.errno_name(errno)] = true
          child:close()
        end
      end
      local list = {}
      for code in pairs(codes) do list[#list + 1] = code end
      return table.concat(list, " ")
    ]]))
  end)
end)

describe("an optional step", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  -- Enters a directory if it is there.
  local function plan_for(path)
    local plan = cella.plan():chdir "/"
    local slot = plan:openat2(path, { "path", "directory" })
    plan:optional()
    plan:fchdir(slot)
    plan:umask(63):only_with(slot)
    plan:close(slot)
    return plan:exec { "sh", "-c", "pwd; umask", stdout = "capture" }
  end

  it("that finds what it opens is a step as any other", function()
    assert.equal("/usr\n0077\n", assert(plan_for("/usr"):run()).stdout)
  end)

  it("that finds nothing leaves out those that need it, and no others", function()
    local umask = outside.sh "umask"
    assert.equal("/\n" .. umask, assert(plan_for("/nonexistent/cella"):run()).stdout)
  end)

  it("fails as any other where something else is wrong", function()
    local process, err = plan_for("/dev/null/x"):run()
    assert.is_nil(process)
    assert.equal("ENOTDIR", err.code)
    assert.equal("openat2", err.op)
  end)

  it("is printed as one, and so is what is left out with it", function()
    local text = tostring(plan_for "/nonexistent/cella")
    assert.truthy(text:find('openat2("/nonexistent/cella", {"path", "directory"}) -- if it is there\n', 1, true), text)
    assert.truthy(text:find("umask(63) -- if there is slot0\n", 1, true), text)
  end)

  it("does not make others optional", function()
    local plan = cella.plan()
    plan:openat2("/nonexistent/one", "path")
    plan:openat2("/nonexistent/two", "path")
    plan:optional()
    local _, err = plan:exec({ "true" }):run()
    assert.equal("ENOENT", err.code)
    assert.equal("/nonexistent/one", err.path)
  end)

  it("is one that opens something", function()
    assert.is_false((pcall(function() cella.plan():optional() end)))
    assert.is_false((pcall(function() cella.plan():umask(0):optional() end)))
    local strange = cella.plan():openat2("/", "path")
    assert.is_false((pcall(function() cella.plan():umask(0):only_with(strange) end)))
    assert.is_false((pcall(function() cella.plan():umask(0):only_with(0) end)))
  end)
end)

describe("the caller, afterwards, is as it was", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  local function unchanged(source, options)
    options = options or {}
    options.arguments = { MAYBE_USER }
    assert.same({}, ((options.run or outside.lua)([[
      local user_namespaces = ... == "true"
      sys.umask(27)
      assert(sys.chdir "/usr")
      local own = {
        namespaces = { "user" },
        ids = { uid = { inside = 0, outside = select(2, sys.getresuid()), count = 1 },
          gid = { inside = 0, outside = select(2, sys.getresgid()), count = 1 }, via = "self", setgroups = "deny" },
      }
      local function working_directory()
        local pipe = io.popen "readlink /proc/self/cwd"
        return pipe:read "*l", pipe:close()
      end
      assert(working_directory() == "/usr")
      local before = snapshot()
      ]] .. source .. [[

      portable.collect()
      local list = changes(before, snapshot())
      if working_directory() ~= "/usr" then list[#list + 1] = "the working directory" end
      return list
    ]], options)))
  end

  it("a control: what a process does to itself is seen", function()
    assert.same({}, outside.lua [[
      local before = snapshot()
      sys.umask(63)
      assert(sys.thp_disable(true) and sys.personality(0x40000) and sys.timer_slack(7))
      assert(sys.dumpable(false))
      assert(sys.no_new_privs())
      assert(sys.setrlimit("core", 0, 0))
      assert(sys.dup2(1, 77))
      assert(sys.sigdefault { "pipe", "int" })
      local sleeper = cella.plan():exec({ "sleep", "60", stdout = "null", stderr = "null" }):spawn()
      local list = changes(before, snapshot())
      sleeper:close()
      local text, missing = "\n" .. table.concat(list, "\n"), {}
      for _, name in ipairs { "children.1", "descriptors.77", "limits", "dumpable", "NoNewPrivs", "Umask",
        "personality", "timerslack_ns", before.THP_enabled and "THP_enabled" or "Umask" } do
        if not text:find("\n" .. name .. ":", 1, true) then missing[#missing + 1] = name end
      end
      return missing
    ]])
  end)

  it("a program that ran", function()
    unchanged [[assert(cella.plan():exec({ "true" }):run())]]
  end)

  it("a plan without a program", function()
    unchanged [[assert(cella.plan():umask(0):chdir("/"):no_new_privs():setsid():run().code == 0)]]
  end)

  it("a child that changes whatever can be changed", function()
    unchanged [[
      local plan = cella.plan():umask(0):chdir("/"):no_new_privs():setsid():dumpable(false):pdeathsig "term"
      plan:setrlimit("core", 0, 0):setrlimit("nofile", 200, 200):close_range(50, 4294967295):dup2(1, 15)
      plan:sigdefault("all"):sigunblock():exec { "sh", "-c", "umask 0; ulimit -c 0; kill -STOP $$", stdout = "null" }
      local process = assert(plan:spawn())
      process:kill "kill"
      assert(process:wait())
    ]]
  end)

  -- Each in a child of its own, with arguments that change something where there are such; none is skipped.
  local EVERY_OPERATION = [==[
    local operations = dofile((arg[0]:gsub("inside.lua$", "operations.lua")))
    local arguments = {
      sethostname = { "spec" }, setdomainname = { "spec" }, link_up = { "lo" }, mount = { "none", "/tmp", "tmpfs" },
      umount2 = { "/tmp", "detach" }, open_tree = { "/tmp", "clone" }, fsopen = { "tmpfs" }, chroot = { "/usr" },
      chdir = { "/" }, chdir_first = { { "/" } }, mkdir = { "/tmp/d", 448 }, symlink = { "x", "/tmp/l" },
      make_symlink = { "x", "/tmp/l" }, mknod = { "/tmp/n", "fifo", 384 }, openat2 = { "/tmp", "rdonly" },
      make_target = function(fd) return { "a/b", fd } end, write_file = { "/tmp/f", "x", "creat" },
      fchmod = function(fd) return { fd, 448 } end, umask = { 0 }, dup2 = function(fd) return { fd, 88 } end,
      close_range = { 3, 4294967295 }, close_others = { {} }, setresuid = { 0, 0, 0 },
      setresgid = { 0, 0, 0 },
      capset = { "none", "none", "none" }, capbset_drop = { "all" }, pdeathsig = { "kill" }, dumpable = { false },
      setrlimit = { "nofile", 100, 100 }, sigdefault = { "all" }, personality = { 0x40000 }, timer_slack = { 3 },
      thp_disable = { true }, openpt = { "/dev/ptmx" }, await = { function() return true end },
      init = {}, unshare = { { "uts", "ipc", "net", "mount", "pid" } }, fork = { { "uts" } },
      securebits = { { "noroot", "noroot_locked" } }, expect_ids = { 0, 0 },
      seccomp = { "\6\0\0\0\0\0\255\127" }, -- allows everything
      landlock_create_ruleset = (sys.landlock_abi() or 0) > 0 and { { "execute" } } or nil,
      tcsetwinsize = function(_, plan) return { plan:openpt "/dev/ptmx", 20, 80 } end,
      ptpeer = function(_, plan) return { plan:openpt "/dev/ptmx" } end,
    }
    local refused = {}
    for name, parameters in pairs(operations) do
      own.namespaces = { "user", "mount", "net", "ipc", "uts", name == "init" and "pid" or nil }
      local plan = cella.plan(own)
      plan:mount("none", "/", nil, { "rec", "private" }):mount("none", "/tmp", "tmpfs")
      local fd = plan:openat2("/tmp", { "rdonly", "directory" })
      local list = arguments[name]
      if type(list) == "function" then list = list(fd, plan) end
      if not list then
        list = {}
        for i, parameter in ipairs(parameters) do
          if not parameter.optional then list[i] = parameter.kind == "fd" and fd or parameter.right end
        end
      end
      local result, err
      if name == "call" then
        result, err = plan:call(function() return true end):run { timeout = 20 }
      elseif name == "execve" then
        result, err = plan:exec({ "true", stdout = "null", stderr = "null" }):run { timeout = 20 }
      else
        plan[name](plan, unpack(list, 1, math.max(#list, #parameters)))
        result, err = plan:run { timeout = 20 }
      end
      if not result and arguments[name] then refused[#refused + 1] = name .. ": " .. tostring(err) end
    end
    assert(#refused == 0, table.concat(refused, "\n"))
  ]==]

  it("a child that performs an operation, whichever #slow", needs("user_namespaces", function()
    unchanged(EVERY_OPERATION)
  end))

  it("a child that switches IDs, for which the kernel made our memory not dumpable", needs("several_ids", function()
    unchanged([[
      assert(cella.plan():setgroups({}):setresgid(5, 5, 5):setresuid(6, 6, 6):exec({ "true" }):run().code == 0)
    ]], { run = outside.with_several_ids })
  end))

  it("a child that switches IDs and fails then", needs("several_ids", function()
    unchanged([[
      local ok, err = cella.plan():setresgid(5, 5, 5):setresuid(6, 6, 6):chdir("/nonexistent"):exec({ "true" }):run()
      assert(not ok and err.op == "chdir")
      ok, err = cella.plan():setresuid(6, 6, 6):exec({ "/nonexistent" }):run()
      assert(not ok and err.op == "execve")
    ]], { run = outside.with_several_ids })
  end))

  it("a caller that is not dumpable stays so, and starts programs", function()
    unchanged [[
      assert(sys.dumpable(false))
      before = snapshot()
      assert(not before.dumpable)
      assert(cella.plan():exec({ "true" }):run().code == 0)
      assert(cella.plan():dumpable(true):exec({ "true" }):run().code == 0)
    ]]
  end)

  it("new namespaces of every kind", needs("user_namespaces", function()
    unchanged [[
      own.namespaces = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" }
      local plan = cella.plan(own):sethostname("x"):mount("none", "/", nil, { "rec", "private" })
      plan:mount("none", "/tmp", "tmpfs"):chroot("/usr"):chdir "/"
      assert(plan:capset("none", "none", "none"):exec({ "/bin/true" }):run().code == 0)
    ]]
  end))

  it("maps that the parent writes", needs("user_namespaces", function()
    unchanged [[
      own.ids.via = "parent"
      assert(cella.plan(own):exec({ "true" }):run().code == 0)
    ]]
  end))

  it("maps that helpers write", needs("subordinate_ids", function()
    unchanged [[
      local host = require("cella.host").facts()
      local function map(id, range)
        return { { inside = 0, outside = id, count = 1 }, { inside = 1, outside = range.first, count = 100 } }
      end
      own.ids = { via = "helper", uid = map(host.uid, host.subuid[1]), gid = map(host.gid, host.subgid[1]) }
      before = snapshot()
      local result = assert(cella.plan(own):setresuid(7, 7, 7):exec({ "id", "-u", stdout = "capture" }):run())
      assert(result.stdout == "7\n", result.stdout)
    ]]
  end))

  it("a user namespace that a plan enters by unshare, in memory of its own", needs("user_namespaces", function()
    unchanged [[
      local result = assert(cella.plan():unshare({ "user", "uts" }):sethostname("x")
        :exec({ "sh", "-c", "id -u; hostname || uname -n", stdout = "capture", stderr = "null" }):run())
      assert(result.stdout == "65534\nx\n", result.stdout)
    ]]
  end))

  it("a time namespace that a plan makes, sets and enters", needs("user_namespaces", function()
    if not read "/proc/self/timens_offsets" then return pending("needs time namespaces (Linux 5.6)") end
    unchanged [[
      own.namespaces = { "user" }
      local plan = cella.plan(own):unshare "time"
      plan:write_file("/proc/self/timens_offsets", "boottime 864000 0")
      local slot = plan:openat2("/proc/self/ns/time_for_children", "rdonly")
      plan:setns(slot, "time"):close(slot)
      local result = assert(plan:exec({ "cat", "/proc/uptime", stdout = "capture" }):run())
      local inside, outside = tonumber(result.stdout:match "%S+"), tonumber(read "/proc/uptime":match "%S+")
      assert(inside - outside > 863000, result.stdout)
    ]]
  end))

  it("namespaces that are joined", needs("user_namespaces", function()
    unchanged [[
      own.namespaces = { "user", "uts", "pid", "mount" }
      local target = assert(cella.plan(own):sethostname("there"):exec({ "sleep", "60", stdout = "null" }):spawn())
      local join = {}
      for i, kind in ipairs { "uts", "pid", "mount", "user" } do join[i] = { type = kind, pid = target.pid } end
      local result = assert(cella.plan { join = join }:exec({ "uname", "-n", stdout = "capture" }):run())
      assert(result.stdout == "there\n", result.stdout)
      target:close()
    ]]
  end))

  it("steps that fail on either side", function()
    unchanged [[
      assert(not cella.plan():chdir("/nonexistent"):exec({ "true" }):run())
      assert(not cella.plan():exec({ "/nonexistent" }):run())
      assert(not cella.plan():exec({ "true", stdin = { path = "/nonexistent" }, stdout = "capture" }):run())
      assert(not cella.plan { join = { { type = "net", pid = 2147483647 } } }:exec({ "true" }):run())
      if user_namespaces then
        own.ids.uid = { inside = 0, outside = 4294967290, count = 3 }
        assert(not cella.plan(own):exec({ "true" }):run())
        own.ids.via, own.ids.newuidmap, own.ids.newgidmap = "helper", "/bin/false", "/bin/false"
        assert(not cella.plan(own):exec({ "true" }):run())
      end
    ]]
  end)

  it("handles that were dropped, closed and left to the collector #slow", function()
    unchanged [[
      for _ = 1, 20 do
        local a = assert(cella.plan():exec({ "sleep", "60", stdout = "capture", stderr = "capture" }):spawn())
        local b = assert(cella.plan():fork():exec({ "sleep", "60", stdout = "capture" }):spawn())
        b:close()
        assert(not cella.plan():fork():fork():chdir("/nonexistent"):exec({ "true" }):spawn())
      end
    ]]
  end)
end)

describe("the program", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  -- A program that lists its open descriptors.
  local LIST = [[
    function listing(plan, extra)
      local command = { portable.program, "-e", "local core = require 'cella.core' for n = 0, 20100 do"
        .. " if core.is_open(n) then io.write(n, ' ') end end", stdout = "capture" }
      for key, value in pairs(extra or {}) do command[key] = value end
      local result = assert((plan or cella.plan()):exec(command):run())
      assert(result.code == 0)
      return result.stdout
    end
  ]]

  it("gets no descriptor but 0, 1 and 2, whatever the caller leaks", function()
    local program, control = outside.lua(LIST .. [[
      for number = 50, 80 do assert(sys.dup2(1, number)) end -- not closed on exec
      local file = io.open "/dev/null" -- nor is this
      local control = io.popen "ls /proc/self/fd"
      local text = control:read "*a"
      control:close()
      return listing(), text:find("\n77\n", 1, true) ~= nil, file:close()
    ]])
    assert.equal("0 1 2 ", program)
    assert.is_true(control)
  end)

  it("gets none of the descriptors that its own plan opens", needs("user_namespaces", function()
    local shared, own, forked = outside.lua(LIST .. [[
      local function opened(plan)
        for _ = 1, 10 do plan:openat2("/", "path") end
        plan:dup2(1, 99)
        return plan
      end
      return listing(opened(cella.plan())), listing(opened(cella.plan():unshare "user")),
        listing(opened(cella.plan():fork()))
    ]])
    assert.same({ "0 1 2 ", "0 1 2 ", "0 1 2 " }, { shared, own, forked })
  end))

  it("gets those that were asked for", function()
    assert.equal("0 1 2 3 7 70 ", (outside.lua(LIST .. [[
      for number = 50, 80 do assert(sys.dup2(1, number)) end
      return listing(nil, { fds = { [3] = 55, [7] = 1, [70] = 56 } })
    ]])))
  end)

  it("gets none of 10,000 #slow", function()
    local program, opened, problems = outside.lua(LIST .. [[
      local _, hard = sys.getrlimit "nofile"
      if hard == "unlimited" then hard = 1000000 end
      if hard < 11100 then return "skip" end
      assert(sys.setrlimit("nofile", hard, hard))
      for number = 1000, 10999 do assert(sys.dup2(1, number)) end
      local program = listing(nil, { stdin = "null" })
      return program, #open_descriptors(11000) >= 10000, require "spec.support.battery".try(... == "true")
    ]], { arguments = { MAYBE_USER } })
    if program == "skip" then return pending("needs a limit of more than 11,000 descriptors") end
    assert.equal("0 1 2 ", program)
    assert.is_true(opened)
    assert.same({}, problems)
  end)

  it("gets descriptors for numbers that are beyond the caller's own", function()
    assert.equal("0 1 2 1000 ", (outside.lua(LIST .. [[
      return listing(nil, { fds = { [1000] = 1 } })
    ]])))
  end)

  it("is told of a number beyond the limit, and does not run", function()
    local code, step = outside.lua [[
      local _, hard = sys.getrlimit "nofile"
      assert(sys.setrlimit("nofile", 950, hard))
      local ok, err = cella.plan():exec({ "true", fds = { [1000] = 1 } }):run()
      return not ok and err.code, err.step
    ]]
    assert.equal("EINVAL", code)
    assert.equal(1, step)
  end)

  it("has its signals as after a login, whatever the caller blocks and ignores", needs("block_signal", function()
    local plans = { "cella.plan()", "cella.plan():fork()" }
    if not able.lacks "user_namespaces" then plans[3] = 'cella.plan():unshare "user"' end
    for _, plan in ipairs(plans) do
      local masks, after, control = outside.lua(([[
        local before = snapshot()
        local plan = %s
        local result = assert(plan:exec({ portable.program, "-e",
          "for line in io.lines '/proc/self/status' do if line:find '^Sig[BI]' then print(line) end end",
          stdout = "capture" }):run())
        return result.stdout, changes(before, snapshot()), status "SigBlk" .. status "SigIgn"
      ]]):format(plan), { prefix = "env --block-signal --ignore-signal" })
      assert.equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", masks)
      assert.same({}, after)
      -- All that can be blocked and ignored was.
      assert.is_nil(control:find("^0000"))
      assert.is_nil(control:find("0000$"))
    end
  end))
end)

describe("starting programs works", function()
  before_each(leaks.watch)
  after_each(leaks.check)
  teardown(helper.remove)

  local library, problem
  setup(function() library, problem = helper.library() end)

  local function battery(source, prefix, redirect)
    local problems, after, left = outside.lua(([[
      local library, user_namespaces = ...
      %s
      local before = snapshot()
      local problems = require "spec.support.battery".try(user_namespaces == "true")
      return problems, changes(before, snapshot()), children()
    ]]):format(source), { arguments = { library or "", MAYBE_USER }, prefix = prefix, redirect = redirect })
    assert.same({}, problems)
    assert.same({}, after)
    assert.same({}, left)
  end

  it("in an ordinary process", function()
    battery ""
  end)

  it("where SIGCHLD is ignored #slow", needs("block_signal", function()
    battery([[
      assert(portable.has_bit(status "SigIgn", 16), "SIGCHLD is not ignored")
    ]], "env --ignore-signal=CHLD")
  end))

  it("where SA_NOCLDWAIT is set #slow", function()
    if not library then return pending(problem) end
    battery [[host(library, "set_nocldwait")]]
  end)

  it("where there are other threads #slow", function()
    if not library then return pending(problem) end
    battery [[
      for _ = 1, 4 do host(library, "start_thread") end
      assert(status "Threads" == "5")
    ]]
  end)

  it("where there are other threads and SIGCHLD is ignored #slow", needs("block_signal", function()
    if not library then return pending(problem) end
    battery([[host(library, "start_thread")]], "env --ignore-signal=CHLD")
  end))

  it("where signals with handlers arrive all the time #slow", function()
    if not library then return pending(problem) end
    battery [[
      host(library, "install_handlers")
      host(library, "start_timer")
    ]]
  end)

  it("where every signal is blocked #slow", needs("block_signal", function()
    battery("", "env --block-signal")
  end))

  it("where few descriptors are left #slow", function()
    battery [[
      local soft, hard = sys.getrlimit "nofile"
      assert(sys.setrlimit("nofile", 920, hard))
      for number = 3, 890 do if not core.is_open(number) then assert(sys.dup2(1, number)) end end
    ]]
  end)

  for closed = 1, 7 do
    local redirect, names = "", {}
    for number, how in pairs { [0] = "<&-", ">&-", "2>&-" } do
      if math.floor(closed / 2 ^ number) % 2 == 1 then
        redirect = redirect .. " " .. how
        names[#names + 1] = number
      end
    end
    table.sort(names)

    it(("where %s %s closed%s #slow"):format(table.concat(names, " and "), #names == 1 and "is" or "are",
      closed < 7 and " #slow" or ""), function()
      battery("", nil, redirect)
    end)

    it(("where %s %s closed, and two programs at once have 0, 1 and 2 each"):format(table.concat(names, " and "),
      #names == 1 and "is" or "are"), function()
      local open, first, second, own = outside.lua([[
        local path = os.tmpname()
        local open = open_descriptors(2)
        local function listing()
          return assert(cella.plan():exec({ portable.program, "-e", "local core = require 'cella.core'"
            .. " local file = io.open('" .. path .. "', 'w') local list = {}"
            .. " for n = 0, 100 do if core.is_open(n) then list[#list + 1] = n end end"
            .. " file:write(table.concat(list, ' '))" }):run()).code == 0 and read(path)
        end
        local first = listing()
        local sleeper = assert(cella.plan():exec({ "sleep", "60" }):spawn())
        local second = listing()
        local own = open_descriptors(2)
        sleeper:close()
        os.remove(path)
        return open, first, second, own
      ]], { redirect = redirect })
      assert.equal(3 - #names, #open)
      -- The program's own file is its fourth.
      assert.equal("0 1 2 3", first)
      assert.equal("0 1 2 3", second)
      assert.same(open, own, "a descriptor of the library has become a standard stream")
    end)
  end

  it("after the caller has unshared its pid namespace, which its first child then leads", needs("user_namespaces",
    function()
      local stdout, again = outside.as_namespace_root [[
        assert(sys.unshare "pid")
        local init = assert(cella.plan():exec({ "sleep", "60", stdout = "null" }):spawn())
        local result = assert(cella.plan():exec({ "sh", "-c", "echo $$", stdout = "capture" }):run())
        init:close()
        local ok, err = cella.plan():exec({ "true" }):run()
        return result.stdout, not ok and err.code
      ]]
      assert.equal("2\n", stdout)
      assert.equal("ENOMEM", again) -- the namespace is dead
    end))
end)

describe("a helper that fails", function()
  it("by taking too long has the time of the set-up, and no more", needs("user_namespaces", function()
    local op, message, seconds, left = outside.lua [[
      local helper = os.tmpname()
      local file = io.open(helper, "w")
      file:write("#!/bin/sh\nexec sleep 60\n")
      file:close()
      os.execute("chmod 755 " .. helper)
      local began = core.now()
      local ok, err = cella.plan({ namespaces = { "user" }, ids = { uid = "0 0 1", gid = "0 0 1", via = "helper",
        newuidmap = helper, newgidmap = helper } }):exec { "true" } :run { timeout = 0.5 }
      os.remove(helper)
      return err and err.op, err and err.message, core.now() - began, #children()
    ]]
    assert.equal("newuidmap", op)
    assert.is_string(message)
    assert.is_true(seconds < 5, seconds)
    assert.equal(0, left)
  end))

  it("leaves nothing of the other, though the plan is kept", needs("user_namespaces", function()
    local code, left, grown = outside.lua [[
      local helper = os.tmpname()
      local file = io.open(helper, "w")
      file:write("#!/bin/sh\n[ $# = 0 ] || exec sleep 60\n")
      file:close()
      os.execute("chmod 755 " .. helper)
      local plan = cella.plan({ namespaces = { "user" }, ids = { uid = "0 0 1", gid = "0 0 1", via = "helper",
        newuidmap = "/bin/false", newgidmap = helper } }):exec { "true" }
      local before = #open_descriptors()
      local ok, err = plan:spawn { timeout = 20 }
      os.remove(helper)
      return err and err.op, #children(), #open_descriptors() - before
    ]]
    assert.equal("newuidmap", code)
    assert.equal(0, left)
    assert.equal(0, grown)
  end))
end)

describe("a caller that has no room to hold on to its child", function()
  it("lets go of no memory in which another runs, behind a fork", needs("strace", "plain_memory", function()
    local log = os.tmpname()
    local said = outside.sh(("timeout 60 strace -f -o %s -e inject=pidfd_open:error=EMFILE:delay_enter=100000:when=2 "
      .. "-e inject=read:delay_exit=100000:when=1 %s -e %s")
      :format(log, outside.interpreter(),
        outside.quote [[print(require("cella").plan():fork():exec({ "true" }):spawn())]]))
    local file = assert(io.open(log))
    local text = file:read "*a"
    file:close()
    os.remove(log)
    assert.matches("EMFILE", said)
    assert.matches("CLONE_PARENT", text) -- that there was another
    assert.is_nil(text:match "%-%-%- SIGSEGV [^\n]*")
  end))
end)

describe("a program that is to end with its caller", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  local function is_left(pid)
    local ended = outside.sh(("for i in $(seq 100); do case $(cat /proc/%s/stat 2>/dev/null) in ''|*') Z '*) "
      .. "echo gone; exit ;; esac; sleep 0.01; done; kill -9 %s"):format(pid, pid))
    return ended ~= "gone\n"
  end

  local function survives(prefix, plan)
    local output = outside.lua(([[
      local process = assert(%s:exec({ "sleep", "60", stdin = "null", stdout = "null", stderr = "null" }):spawn())
      io.write("pid ", process.pid, "\n")
      io.flush()
      assert(runs(process.pid))
      os.execute("kill -9 " .. sys.getpid())
    ]]):format(plan), { output = true, prefix = prefix })
    return is_left(assert(output:match "pid (%d+)", output))
  end

  it("does", function()
    assert.is_false(survives("", [[cella.plan():pdeathsig("kill"):expect_parent()]]))
  end)

  it("does behind a fork", function()
    assert.is_false(survives("", [[cella.plan():fork():pdeathsig("kill"):expect_parent()]]))
  end)

  it("does where SIGCHLD is ignored", needs("block_signal", function()
    assert.is_false(survives("env --ignore-signal=CHLD", [[cella.plan():pdeathsig("kill"):expect_parent()]]))
  end))

  -- Who waits in the caller's place is a process too.
  for words, prefix in pairs { ["behind a fork"] = "", ["where SIGCHLD is ignored"] = "env --ignore-signal=CHLD" } do
    for how, ending in pairs { killed = '"exec"', ["copied, and killed"] = '"call"' } do
      it(("leaves nobody where the caller is %s in the midst of the set-up, %s"):format(how, words),
        needs("block_signal", function()
          local output = outside.lua(([[
            local plan = cella.plan()
            if %q == "" then plan:fork() end
            plan:await(function(process)
              io.write("pid ", process.pid, "\n")
              for _, pid in ipairs(children()) do io.write("pid ", pid, "\n") end
              io.flush()
              os.execute("kill -9 " .. sys.getpid())
            end)
            if %s == "call" then plan:call(function() end) else plan:exec { "true" } end
            plan:spawn()
          ]]):format(prefix, ending), { output = true, prefix = prefix })
          local pids, left = 0, {}
          for pid in output:gmatch "pid (%d+)" do
            pids = pids + 1
            if is_left(pid) then left[#left + 1] = pid end
          end
          assert.equal(2, pids, output)
          assert.same({}, left)
        end))
    end
  end

  it("a control: without that it stays #slow", function()
    assert.is_true(survives("", "cella.plan()"))
  end)

  it("a control: where SIGCHLD is ignored too #slow", needs("block_signal", function()
    assert.is_true(survives("env --ignore-signal=CHLD", "cella.plan()"))
  end))
end)

describe("joining the pid namespace of another process #vm", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  for _, prefix in ipairs { "", "env --ignore-signal=CHLD" } do
    local where = prefix == "" and "" or ", where SIGCHLD is ignored"

    it("puts the program into it, with its status #slow" .. where, needs("user_namespaces", "block_signal", function()
      local inside_pid, same, codes, seen, below, left = outside.lua([[
        local _, uid = sys.getresuid()
        local _, gid = sys.getresgid()
        local target = assert(cella.plan { namespaces = { "user", "pid" }, ids = { via = "self", setgroups = "deny",
          uid = { inside = 0, outside = uid, count = 1 }, gid = { inside = 0, outside = gid, count = 1 } } }
          :exec({ "sleep", "60", stdin = "null", stdout = "null", stderr = "null" }):spawn())
        local join = { { type = "pid", pid = target.pid }, { type = "user", pid = target.pid } }
        local function run(script, namespaces)
          return cella.plan { join = join, namespaces = namespaces }
            :exec({ "sh", "-c", script, stdin = "null", stdout = "capture" })
        end
        local process = assert(run "echo $$; read x < /proc/self/stat; exec sleep 60":spawn())
        wait_for(function() return runs(process.pid) end)
        local same = sys.namespace("pid", process.pid) == sys.namespace("pid", target.pid)
          and sys.namespace("pid", process.pid) ~= sys.namespace "pid"
        local seen = status("NSpid", process.pid)
        process:kill "kill"
        local result = assert(process:wait())
        local codes = { assert(run "exit 9":run()).code, assert(run "kill -9 $$":run()).signal, result.signal,
          assert(run "sleep 60":run { timeout = 3 }).reason }
        -- A new one below that: there the program is process 1.
        local new = { "pid" }
        local lower = assert(run("exec sleep 60", new):spawn())
        wait_for(function() return runs(lower.pid) end)
        local below = { status("NSpid", lower.pid), tonumber(assert(run("echo $$", new):run()).stdout),
          assert(run("exit 9", new):run()).code }
        lower:kill "kill"
        below[4] = assert(lower:wait()).signal
        -- It goes with the one above.
        lower = assert(run("exec sleep 60", new):spawn())
        target:close()
        below[5] = assert(lower:wait(10)).signal
        return tonumber(result.stdout), same, codes, seen, below, children()
      ]], { prefix = prefix })
      assert.is_true(same)
      assert.is_true(inside_pid == nil or inside_pid > 1)
      assert.truthy(seen:find("^%d+%s+%d+$"), seen)
      assert.same({ 9, "kill", "kill", "timeout" }, codes)
      assert.truthy(table.remove(below, 1):find("^%d+%s+%d+%s+1$"))
      assert.same({ 1, 9, "kill", "kill" }, below)
      assert.same({}, left)
    end))
  end
end)

describe("many containers", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  local MEASURE = [[
    local sequential, concurrent = ...
    local _, uid = sys.getresuid()
    local _, gid = sys.getresgid()
    local options = { namespaces = { "user", "mount", "pid" }, ids = { via = "self", setgroups = "deny",
      uid = { inside = 0, outside = uid, count = 1 }, gid = { inside = 0, outside = gid, count = 1 } } }
    local function new(...) return cella.plan(options):exec { ... } end
    local function resident()
      portable.collect()
      return tonumber(status "VmRSS":match "%d+")
    end
    for _ = 1, 50 do assert(new "true":run()) end
    local before, size = snapshot(), resident()
    local codes = 0
    for _ = 1, sequential do codes = codes + assert(new("sh", "-c", "exit 3"):run()).code end
    local after = changes(before, snapshot())
    local grown = resident() - size
    local processes = {}
    for i = 1, concurrent do
      local command = { "sh", "-c", "read x; exit 3", stdin = "null", stdout = "capture" }
      processes[i] = assert(cella.plan(options):exec(command):spawn())
    end
    local at_once = #children()
    for i = 1, concurrent do codes = codes + assert(processes[i]:wait()).code end
    processes = nil
    return codes, after, grown, at_once, changes(before, snapshot()), resident() - size
  ]]

  it("1000 one after the other and 200 at once leave the same descriptors, children, mounts and memory #slow",
    needs("user_namespaces", function()
      local sequential, concurrent = 1000, 200
      if able.lacks "plain_memory" then sequential, concurrent = 50, 20 end
      local codes, after, grown, at_once, at_last, grown_at_last = outside.lua((MEASURE:gsub("= %.%.%.",
        ("= %d, %d"):format(sequential, concurrent))))
      assert.equal(3 * (sequential + concurrent), codes)
      assert.same({}, after)
      assert.equal(concurrent, at_once)
      assert.same({}, at_last)
      if not able.lacks "plain_memory" then
        assert.is_true(grown < 5120, grown .. " kB more after 1000")
        assert.is_true(grown_at_last < 5120, grown_at_last .. " kB more at last")
      end
    end))
end)
