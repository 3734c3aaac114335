-- cella.cgroup: containers in cgroups of their own, looked at from inside and from outside. Each runs in a Lua process
-- of its own, because what a process makes at the first use it has until its end.
--
-- `#vm` stands behind what needs controllers of version 2, which a virtual machine has wherever the host lacks them.

local cella = require "cella"
local helper = require "spec.support.helper"
local outside = require "spec.support.outside"

-- The pids of all Lua processes that a spec has started, a line each: others may run specs on this machine too.
local pids = os.tmpname()
os.execute("chmod 666 " .. pids)

local PRELUDE = ("local PIDS = %q\n"):format(pids) .. [[
  do
    local file = assert(io.open(PIDS, "a"))
    file:write(sys.getpid(), "\n")
    file:close()
  end
  local group = require "cella.cgroup"
  local place = require "cella.cgroup.place"
  local mount = assert(place.find(group.facts(), nil, {})).mount

  local function box(cgroup, more)
    local description = { cgroup = cgroup, mounts = { { type = "proc", destination = "/proc" },
      { type = "cgroup2", destination = "/sys/fs/cgroup" }, { type = "tmpfs", destination = "/tmp" } } }
    for key, value in pairs(more or {}) do description[key] = value end
    return cella.container(description)
  end

  local function script(text)
    return { "/bin/sh", "-c", text, stdin = "null", stdout = "capture", stderr = "stdout", timeout = 100 }
  end

  local function says(cgroup, text, more)
    local result = assert(box(cgroup, more):run(script(text)))
    assert(result.code == 0, tostring(result.reason) .. " " .. tostring(result.code) .. ": " .. result.stdout)
    return (result.stdout:gsub("\n$", ""))
  end

  -- The cgroup of a process, as this one sees it.
  local function cgroup_of(pid) return assert(read(("/proc/%s/cgroup"):format(pid))):match "0::([^\n]*)" end

  local function exists(path) return core.same_file(path, path) == true end

  -- The directories below the one for all of this process's containers.
  local function groups(of)
    local list = {}
    local pipe = io.popen("cd " .. of.base.path .. " && ls -d */ 2>/dev/null")
    for name in pipe:lines() do list[#list + 1] = (name:gsub("/$", "")) end
    pipe:close()
    return table.concat(list, " ")
  end

  -- A program without a container.
  local SLEEP = { "sleep", "300", stdin = "null", stdout = "null", stderr = "null" }

  local function sleeper(cgroup, more) return assert(box(cgroup or {}, more):spawn(script "exec sleep 300")) end

  -- What the kernel holds of limits, from outside: they are above of what a container sees.
  local function limits(cgroup, ...)
    local process, list = sleeper(cgroup), {}
    for i, file in ipairs { ... } do list[i] = assert(process.cgroup.handle:read(file)):gsub("\n$", "") end
    process:close()
    return table.concat(list, ", ")
  end
]]

local function lua(source, options) return outside.lua(PRELUDE .. source, options) end

local lacking = outside.lua [[
  local made, err = require "cella.cgroup".create({}, require("cella.plan").new)
  return made and "" or tostring(err)
]]
local controllers = {}
for _, name in ipairs(cella.cgroup.controllers() or {}) do controllers[name] = true end

-- Directories of a Lua process.
local function left(pid)
  return (outside.sh(("find /sys/fs/cgroup -type d -name 'cella.%s.*' 2>/dev/null"):format(pid)))
end

-- Waits for a shell's condition; the number is a bound against a hang.
local function wait_until(condition)
  outside.sh(("n=0; until %s || [ $n = 600 ]; do n=$((n + 1)); sleep 0.05; done"):format(condition))
end

local function wait_until_gone(pid)
  wait_until(("[ -z \"$(find /sys/fs/cgroup -type d -name 'cella.%s.*' 2>/dev/null)\" ]"):format(pid))
  return left(pid)
end

describe("a container's cgroup #slow", function()
  if lacking ~= "" then
    os.remove(pids)
    it("is made and removed", function()
      pending("needs a cgroup below which this user may make others: " .. lacking:gsub("\n.*", ""))
    end)
    return
  end

  -- After every spec nothing is there of any Lua process that has run.
  before_each(function() assert(io.open(pids, "w")):close() end)
  after_each(function()
    for pid in io.lines(pids) do assert.equal("", left(pid)) end
  end)
  teardown(function()
    helper.remove()
    os.remove(pids)
  end)

  -- A spec that needs controllers.
  local function with(list, name, body)
    it(name .. " #vm", function()
      for controller in list:gmatch "%S+" do
        if not controllers[controller] then
          pending("needs the controller " .. controller .. " of cgroup v2 below the runner's cgroup")
          return
        end
      end
      body()
    end)
  end

  describe("from birth to end", function()
    it("is one of its own, in which the child is before its first step #vm", function()
      local held, caller, program, path, mounted = lua [[
        local held
        local plan = cella.plan { namespaces = { "user", "pid", "mount", "cgroup" }, cgroup = {},
          ids = { uid = { { inside = 0, outside = (select(2, sys.getresuid())), count = 1 } },
            gid = { { inside = 0, outside = (select(2, sys.getresgid())), count = 1 } }, via = "parent",
            setgroups = "deny" },
          created = function(process) held = cgroup_of(process.pid) end }
        local process = assert(plan:exec(SLEEP):spawn())
        return held, cgroup_of "self", cgroup_of(process.pid), process.cgroup.path, mount
      ]]
      assert.truthy(held:find "/cella%.%d+%.%x+/1/box$", held)
      assert.equal(held, program)
      assert.are_not.equal(held, caller)
      assert.equal(mounted .. held, path .. "/box")
    end)

    it("is the root of its cgroup namespace, and of the cgroup2 that is mounted in there #vm", function()
      local inside, without, procs = lua [[
        return says({}, "sed -n s/^0:://p /proc/self/cgroup"),
          says({}, "sed -n s/^0:://p /proc/self/cgroup", { namespaces = { cgroup = "host" }, mounts = {
            { type = "proc", destination = "/proc" } } }),
          says({}, "cat /sys/fs/cgroup/cgroup.procs")
      ]]
      assert.equal("/", inside)
      assert.truthy(without:find "/cella%.%d+%.%x+/2/box$", without)
      assert.truthy(procs:find "^1\n", procs)
    end)

    it("cannot be written to from inside #vm", function()
      assert.truthy(lua([[
        return says({}, "echo 1 2>&1 > /sys/fs/cgroup/cgroup.freeze; mkdir /sys/fs/cgroup/x; true")
      ]]):find "Read%-only file system.*Read%-only file system")
    end)

    it("may have a name; a second of that name has to wait #vm", function()
      local path, err, again = lua [[
        local one = sleeper { name = "judge-1.x" }
        local _, refused = box { name = "judge-1.x" }:run(script "true")
        one:close()
        local second = box { name = "judge-1.x" }:run(script "true")
        return one.cgroup.path, tostring(refused), second and second.code
      ]]
      assert.truthy(path:find "/judge%-1%.x$")
      assert.truthy(err:find("another container of this process has that name", 1, true), err)
      assert.equal(0, again)
    end)

    it("is gone at the end: of the program, of a handle, of a plan that failed #vm", function()
      local lists = lua [[
        local keep = sleeper()
        local lists = {}
        local function add() lists[#lists + 1] = groups(keep.cgroup) end
        add()
        assert(box({}):run(script "exit 3"))
        add()
        sleeper():close()
        add()
        sleeper()
        portable.collect()
        add()
        assert(not box({}):run { "/nonexistent" })
        add()
        assert(not box({}, { cwd = "/nonexistent" }):run { "true" })
        add()
        local other = sleeper()
        other:kill "kill"
        assert(other:wait().signal == "kill")
        add()
        local late = sleeper()
        assert(late:kill "term" and late:wait().signal == "term")
        add()
        return lists
      ]]
      for _, list in ipairs(lists) do assert.equal("1", list) end
    end)

    it("takes with it what outlives the program, also in the caller's pid namespace #vm", function()
      local pid, ended = lua [[
        local result = assert(box({}, { namespaces = { pid = "host" }, init = false, mounts = {} }):run(
          script "setsid sleep 300 >/dev/null 2>&1 & echo $!"))
        local pid = tonumber(result.stdout:match "%d+")
        return pid, not runs(pid)
      ]]
      assert.is_number(pid)
      assert.is_true(ended)
      local survived = lua [[
        local result = assert(cella.container { namespaces = { pid = "host" }, init = false }:run(
          script "setsid sleep 300 >/dev/null 2>&1 & echo $!"))
        local pid = tonumber(result.stdout:match "%d+")
        local there = runs(pid)
        os.execute("kill -9 " .. pid)
        return there
      ]]
      assert.is_true(survived) -- the control
    end)

    it("is made anew where somebody has removed the empty one for all containers #vm", function()
      local code, other = lua [[
        assert(box({}):run(script "true"))
        local process = sleeper()
        local first = process.cgroup.base.path
        process:close()
        assert(os.remove(first))
        process = sleeper()
        return assert(box({}):run(script "exit 6")).code, process.cgroup.base.path ~= first
      ]]
      assert.equal(6, code)
      assert.is_true(other)
    end)

    it("is removed with all that was made below it #vm", function()
      local depth, there = lua [[
        local process = sleeper()
        local path = process.cgroup.path .. "/box"
        assert(process.cgroup.handle:write("cgroup.max.descendants", "max"))
        for i = 1, 30 do
          path = path .. "/d" .. i
          assert(sys.mkdir(path, 493))
          assert(sys.mkdir(path .. "/side", 493))
        end
        local moved = assert(cella.plan():exec(SLEEP):spawn())
        assert(sys.write_file(path .. "/side/cgroup.procs", ("%d"):format(moved.pid)))
        assert(exists(path .. "/side"))
        process:close()
        wait_for(function() return not runs(moved.pid) end)
        return select(2, path:gsub("/d", "")), exists(process.cgroup.path)
      ]]
      assert.equal(30, depth)
      assert.is_false(there)
    end)

    it("has its program alone: one that joins another's namespaces has its own #vm", function()
      local one, other = lua [[
        local process = sleeper()
        local joined = assert(cella.plan { join = { { type = "user", pid = process.pid }, { type = "net",
          pid = process.pid }, { type = "pid", pid = process.pid } }, cgroup = {} }:exec(SLEEP):spawn())
        return cgroup_of(process.pid), cgroup_of(joined.pid)
      ]]
      assert.truthy(one:find "/1/box$")
      assert.truthy(other:find "/2/box$")
    end)

    it("leaves no descriptor in the program #vm", function()
      assert.equal("0 1 2 3", (lua [[return says({}, "exec ls /proc/self/fd")]]):gsub("\n", " "))
    end)

    it("is not ended by a copy of the process that fork has made #vm", function()
      local library = helper.library()
      if not library then
        pending "no C compiler"
        return
      end
      local there, after = lua([[
        local library = ...
        local made = assert(group.create({}, require("cella.plan").new))
        local before = sys.getpid()
        host(library, "fork_now")
        if sys.getpid() ~= before then
          made = nil
          portable.collect()
          os.exit(0, true)
        end
        local there = exists(made.path)
        made:remove()
        return there, exists(made.path)
      ]], { arguments = { library } })
      assert.is_true(there)
      assert.is_false(after)
    end)

    it("works for a caller that ignores SIGCHLD #vm", function()
      assert.equal(7, lua([[return assert(box({}):run(script "exit 7")).code]],
        { prefix = "env --ignore-signal=CHLD" }))
    end)

    it("is said in the plan #vm", function()
      local text = lua [[return tostring(box { cpu_weight = 50, pids = 5 }:plan { "true" })]]
      assert.truthy(text:find 'parent  cgroup%(%)\n  2 parent  write_file%("pids.max", "5"%)\n', text)
      assert.truthy(text:find('clone3({"user", "mount", "pid", "ipc", "uts"}, cgroup)', 1, true), text)
      assert.truthy(text:find('child   unshare({"cgroup"})', 1, true), text)
    end)
  end)

  describe("to be frozen", function()
    it("is not entered meanwhile #vm", function()
      local result, message, code = lua [[
        local process = assert(box({}):spawn(script "sleep 1000"))
        local entrance = assert(process:enter())
        assert(process:freeze())
        local result, err = entrance:run { "true", timeout = 20 }
        assert(process:thaw())
        local code = assert(entrance:run { "true" }).code
        process:close()
        return result, err and err.message, code
      ]]
      assert.is_nil(result)
      assert.matches("is frozen: what enters would stand still", message)
      assert.equal(0, code)
    end)

    it("stands still until it is thawed #vm", function()
      local frozen, thawed = lua [[
        local process = assert(box({}):spawn(script "while :; do :; done"))
        wait_for(function() return process.cgroup:cpu_seconds() > 0 end)
        assert(process:freeze())
        local first
        wait_for(function() -- until what was used before is added up
          local before = first
          first = process.cgroup:cpu_seconds()
          return first == before
        end)
        core.poll({}, 0.1)
        local frozen = process.cgroup:cpu_seconds() - first
        assert(process:freeze()) -- again is as good
        assert(process:thaw())
        wait_for(function() return process.cgroup:cpu_seconds() > first + 0.02 end)
        return frozen, true
      ]]
      assert.equal(0, frozen)
      assert.is_true(thawed)
    end)

    it("can be killed meanwhile, by hand and by a timeout, and takes other signals later #vm", function()
      local killed, late, timed, closed = lua [[
        local one = sleeper()
        assert(one:freeze())
        assert(one:kill "kill")
        local killed = assert(one:wait()).signal
        local two = assert(box({}):spawn(script "trap 'exit 9' TERM; while :; do :; done"))
        assert(two:freeze())
        assert(two:kill "term")
        local running = two:wait(0.05) == nil
        assert(two:thaw())
        local late = running and assert(two:wait()).code
        local three = assert(box({}):spawn { "sleep", "300", stdin = "null", stdout = "null", timeout = 0.5 })
        assert(three:freeze())
        local four = sleeper()
        assert(four:freeze())
        four:close()
        return killed, late, assert(three:wait()).reason, exists(four.cgroup.path)
      ]]
      assert.equal("kill", killed)
      assert.equal("timeout", timed)
      assert.is_false(closed)
      assert.truthy(late == 9 or late == nil) -- the shell may be frozen before its trap
    end)

    it("has to exist, and to have somebody in it #vm", function()
      local message, ended = lua [[
        local plain = assert(cella.plan():exec(SLEEP):spawn())
        local _, message = pcall(plain.freeze, plain)
        local process = sleeper()
        process:kill "kill"
        process:wait()
        local _, err = process:thaw()
        return message, tostring(err)
      ]]
      assert.truthy(message:find("freeze: this program has no cgroup of its own: give the container the key `cgroup`",
        1, true), message)
      assert.truthy(ended:find "the program has ended", ended)
    end)
  end)

  it("counts the CPU time of all processes, also of those that nobody has waited for #vm", function()
    local with_cgroup, without = lua [[
      local text = "mkfifo %s; setsid sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; echo > %s; "
        .. "exec sleep 300' >/dev/null 2>&1 & read line < %s; echo $!"
      local function seconds(cgroup)
        local path = os.tmpname()
        os.remove(path)
        local result = assert(cella.container { cgroup = cgroup, namespaces = { pid = "host", mount = "host" },
          init = false }:run(script(text:format(path, path, path))))
        os.execute("kill -9 " .. result.stdout .. " 2>/dev/null")
        os.remove(path)
        return result.usage.user_seconds + result.usage.system_seconds
      end
      return seconds {}, seconds(nil)
    ]]
    assert.is_true(with_cgroup > 2 * without, with_cgroup .. " and " .. without)
  end)

  describe("and the end of the Lua process", function()
    local function janitor(pid)
      local text = outside.sh(("LD_PRELOAD= ps -eo pid=,ppid=,args= | grep ' janitor cella.%d[.]' | grep -v grep")
        :format(pid))
      return text:match "^%s*(%d+)%s+(%d+)"
    end

    it("has a janitor, which is nobody's child and holds nothing of the caller's #vm", function()
      local output, status, pid, parent, descriptors, session, children_left, own = lua([[
        local process = sleeper()
        local me = sys.getpid()
        local pipe = io.popen(("LD_PRELOAD= ps -eo pid=,ppid=,args= | grep ' janitor cella.%d[.]' | grep -v grep")
          :format(me))
        local pid, parent = pipe:read("*a"):match "^%s*(%d+)%s+(%d+)"
        pipe:close()
        -- Not dumpable: only root may look.
        local list = io.popen("ls /proc/" .. pid .. "/fd 2>/dev/null | tr '\\n' ' '")
        local descriptors = list:read "*a"
        list:close()
        local stat = read("/proc/" .. pid .. "/stat"):gsub("^.*%) ", "")
        local session = tonumber((stat:match "^%S+ %S+ %S+ (%S+)"))
        return pid, parent, descriptors, session, table.concat(children(), " ") == tostring(process.child:pid()), me
      ]], { output = true })
      assert.equal(0, status, output)
      assert.are_not.equal(tostring(own), parent)
      assert.is_true(children_left)
      assert.are_not.equal(own, session)
      if descriptors ~= "" then assert.equal("0 3 4 ", descriptors) end
      wait_until(("! [ -e /proc/%s ] || grep -q '^State:.Z' /proc/%s/status"):format(pid, pid))
      assert.is_nil((janitor(own)))
    end)

    -- Starts containers without end, until it is killed.
    local ENDLESS = PRELUDE .. [[
      local marker = ...
      io.stdout:write(sys.getpid(), "\n")
      io.stdout:flush()
      local function quiet(text)
        return { "/bin/sh", "-c", text, stdin = "null", stdout = "null", stderr = "null" }
      end
      local environment = { MARKER = marker }
      while true do
        local one = assert(box({}, { environment = environment }):spawn(
          quiet "setsid sleep 300 & sleep 300 & exec sleep 300"))
        assert(box({}, { namespaces = { pid = "host" }, init = false, mounts = {}, environment = environment })
          :run(quiet "setsid sleep 300 &"))
        one:close()
      end
    ]]

    local function marked(marker)
      return (outside.sh(("grep -lsz '^MARKER=%s$' /proc/[0-9]*/environ 2>/dev/null"):format(marker)))
    end

    it("does not outlast it where a copy of the process holds on to everything #vm", function()
      local library = helper.library()
      if not library then
        pending "no C compiler"
        return
      end
      local marker = ("cella-%d-%d"):format(os.time(), math.random(1000000000))
      local text, status = outside.lua(PRELUDE .. [[
        local library = ...
        local process = sleeper()
        io.stdout:write("pid ", sys.getpid(), "\n")
        io.stdout:flush()
        host(library, "leave_copy")
        os.execute("kill -9 " .. sys.getpid())
      ]], { output = true, arguments = { library }, prefix = "env MARKER=" .. marker })
      assert.equal(137, status)
      local gone = wait_until_gone(assert(text:match "pid (%d+)\n", text))
      local copies = outside.sh(("for file in $(grep -lsz '^MARKER=%s$' /proc/[0-9]*/environ); do "
        .. "kill -9 $(echo $file | cut -d / -f 3) && echo there; done"):format(marker))
      assert.equal("", gone)
      assert.truthy(copies:find "there", copies) -- the control: it was there all the time
    end)

    it("leaves nothing where it is killed at whatever moment #vm", function()
      local mounts = outside.sh "cat /proc/self/mountinfo"
      local files = outside.sh "ls -A /tmp | grep '^cella[._]'"
      for round = 1, 20 do
        local marker = ("cella-%d-%d"):format(os.time(), math.random(1000000000))
        local wait = math.random() * (round <= 5 and 0.06 or 0.4)
        local text = outside.sh(("%s %s/spec/support/inside.lua /tmp/. %s %s & pid=$!; sleep %.4f; kill -9 $pid; "
          .. "wait $pid 2>/dev/null; echo pid $pid"):format(outside.interpreter(), outside.top, outside.quote(ENDLESS),
          outside.quote(marker), wait))
        local pid = assert(text:match "pid (%d+)\n", text)
        assert.equal("", wait_until_gone(pid))
        wait_until(("! grep -qsz '^MARKER=%s$' /proc/[0-9]*/environ"):format(marker))
        assert.equal("", marked(marker))
        assert.equal(mounts, (outside.sh "cat /proc/self/mountinfo"))
        assert.equal(files, (outside.sh "ls -A /tmp | grep '^cella[._]'"))
      end
    end)
  end)

  describe("with limits", function()
    with("memory", "is killed as a whole where it needs more memory: the reason is oom", function()
      local reason, signal, usage, held, sibling = lua [[
        local result = assert(box { memory = "24M", swap = 0 }:run(script(
          "sleep 300 & head -c 100000000 /dev/zero | tail -c 90000000 | wc -c; "
            .. "sleep 300")))
        local second = assert(box { memory = "256M", swap = 0 }:run(script(
          "head -c 100000000 /dev/zero | tail -c 90000000 | wc -c")))
        return result.reason, result.signal, result.usage, limits({ memory = "24M" }, "memory.max"), second.stdout
      ]]
      assert.equal("oom", reason)
      assert.equal("kill", signal)
      assert.equal("25165824", held)
      assert.is_true(usage.oom_kills >= 1)
      if usage.memory_peak then assert.is_true(usage.memory_peak > 20000000 and usage.memory_peak <= 25165824) end
      assert.equal("90000000\n", sibling) -- the control
    end)

    with("memory", "does not take a SIGKILL of somebody's for want of memory", function()
      assert.equal("signaled", (lua [[return assert(box { memory = "64M" }:run(script "kill -9 $$")).reason]]))
    end)

    with("memory", "too small to be set up in costs the caller nothing but an error", function()
      for _, size in ipairs { "4K", "64K", "200K" } do
        local err, alive = lua([[
          local ballast = {}
          for i = 1, 100000 do ballast[i] = { i } end
          local result, err = box { memory = ..., swap = 0 }:run(script "true")
          return tostring(result and result.reason or err), #ballast
        ]], { arguments = { size } })
        assert.equal(100000, alive)
        assert.truthy(err:find("more memory than cgroup.memory allows", 1, true) or err:find("ENOMEM", 1, true)
          or err == "oom", err)
      end
    end)

    with("memory pids", "has what is written to other files of controllers", function()
      local found, err, refused = lua [[
        local function failure(unified)
          local result, why = box({ unified = unified }):run(script "true")
          return result and "it ran" or tostring(why)
        end
        return limits({ pids = 7, unified = { ["memory.high"] = "16M", ["memory.low"] = 4096 } }, "pids.max",
          "memory.high", "memory.low"), failure { ["memory.nosuch"] = 1 }, failure { ["pids.max"] = "many" }
      ]]
      assert.equal("7, 16777216, 4096", found)
      assert.matches("controller memory has no such file", err, 1, true)
      assert.matches('cgroup.unified["pids.max"] was refused', refused, 1, true)
    end)

    with("pids", "has no more processes than that, the init among them", function()
      local held, output, usage, one = lua [[
        local held = limits({ pids = 5 }, "pids.max")
        local result = assert(box { pids = 5 }:run(script
          "n=0; for i in 1 2 3 4 5 6; do (sleep 300 >/dev/null 2>&1 &) 2>/dev/null && n=$((n + 1)); done; echo $n"))
        local _, err = box { pids = 1 }:run(script "true")
        return held, result.stdout, result.usage, tostring(err)
      ]]
      assert.equal("5", held)
      assert.truthy(tonumber((output:match "^%d*")) == nil or tonumber((output:match "^%d+")) < 6, output)
      assert.is_true(usage.pids_refused >= 1)
      if usage.pids_peak then assert.equal(5, usage.pids_peak) end
      assert.truthy(one:find("cgroup.pids is 1, of which the container's init is one", 1, true), one)
    end)

    it("cannot change them, whatever it mounts in a user namespace of its own #vm", function()
      local most = controllers.pids and 20 or nil
      local said = lua([[
        local pids = ... and tonumber((...))
        local top = io.popen("pwd"):read "*l" -- the checkout, which the program needs
        -- As whoever has made the cgroup: root inside is the caller, who owns its files.
        local process = assert(box({ pids = pids }, { environment = "inherit",
          mounts = { { type = "bind", source = top, destination = top, readonly = true } },
          ids = require "cella.policy".root(), user_namespaces = true }):spawn(script(
          "exec " .. portable.program .. " -e '" .. [=[
            local sys = require "cella.core".sys
            assert(sys.unshare { "user", "mount", "cgroup" })
            assert(sys.mount("none", "/tmp", "cgroup2"))
            local function try(file) return tostring((sys.write_file("/tmp/" .. file, "max"))) end
            -- The control: it owns what it sees.
            print(sys.write_file("/tmp/cgroup.max.depth", "5"))
            print(try "pids.max", try "memory.max", sys.mkdir("/tmp/x", 493))
          ]=] .. "'")))
        local result = assert(process:wait())
        return result.stdout
      ]], { arguments = { most } })
      assert.truthy(said:find "^true\nnil\tnil\tnil\t", said)
    end)

    with("cpu", "gets no more CPU than its quota, and a weight", function()
      local held, throttled, free = lua [[
        local busy = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"
        local held = limits({ cpu = { quota = 0.002, period = 0.01 }, cpu_weight = 77 }, "cpu.max", "cpu.weight")
        return held, assert(box { cpu = 0.1 }:run(script(busy))).usage,
          assert(box { cpu = "unlimited" }:run(script(busy))).usage
      ]]
      assert.equal("2000 10000, 77", held)
      assert.is_true(throttled.throttled_seconds > 0)
      assert.is_true(throttled.user_seconds + throttled.system_seconds < throttled.wall_seconds * 0.5)
      assert.equal(0, free.throttled_seconds)
    end)

    with("cpuset", "runs on the CPUs and the memory of its set", function()
      local allowed, free, absent, outer = lua [[
        local cpus = "grep -E '^(Cpus|Mems)_allowed_list' /proc/self/status"
        local _, absent = box { cpuset = "0,4000" }:run(script "true")
        return says({ cpuset = "0", cpuset_mems = "0" }, cpus), says({}, cpus), tostring(absent),
          status "Cpus_allowed_list"
      ]]
      assert.equal("Cpus_allowed_list:\t0\nMems_allowed_list:\t0", allowed)
      assert.truthy(free:find(outer, 1, true), free)
      assert.truthy(absent:find("there are no such CPUs", 1, true) or absent:find("cannot be had", 1, true), absent)
    end)

    with("io", "reads and writes a disk no faster than that", function()
      local disk = outside.sh "ls -d /dev/vd[a-z] /dev/sd[a-z] /dev/loop0 2>/dev/null | head -1":gsub("\n", "")
      if disk == "" then
        pending "needs a disk"
        return
      end
      local held, number, err = lua([[
        local disk = ...
        local held = limits({ io = { { device = disk, rbps = 1048576, wiops = 50 } } }, "io.max")
        local _, err = box { io = { { device = "/dev/null", rbps = 1 } } }:run(script "true")
        return held, core.block_device(disk), tostring(err)
      ]], { arguments = { disk } })
      assert.equal(number .. " rbps=1048576 wbps=max riops=max wiops=50", held)
      assert.truthy(err:find("cgroup.io[1].device has to be a disk", 1, true), err)
    end)

    it("that are not to be had is not started, and says why #vm", function()
      local err = lua [[
        local _, err = box { memory = "64M", parent = "/proc" }:run(script "true")
        return tostring(err)
      ]]
      assert.truthy(err:find("step 1 (parent), cgroup(): ", 1, true), err)
      if controllers.memory then return end
      err = lua [[
        local _, err = box { memory = "64M" }:run(script "true")
        return tostring(err)
      ]]
      assert.truthy(err:find("the controller memory", 1, true), err)
    end)
  end)

  describe("in a directory that root has made", function()
    if outside.sh "id -u" ~= "0\n" then
      it("may have it as a parent", function() pending "needs root, which makes a cgroup, and gives it away" end)
      return
    end

    local USER = 54321
    local place, top

    before_each(function()
      top = outside.sh "awk '/ - cgroup2 / { print $5 }' /proc/self/mountinfo | tail -1":gsub("\n", "")
      place = top .. "/spec-" .. math.random(1000000000)
      assert.equal("", (outside.sh(("mkdir %s && cd %s; chown %d . cgroup.procs cgroup.threads cgroup.subtree_control")
        :format(place, place, USER))))
    end)
    after_each(function()
      wait_until(("{ find %s -depth -type d -exec rmdir {} + 2>/dev/null; ! [ -e %s ]; }"):format(place, place))
      assert.equal("", (outside.sh(("ls -d %s 2>/dev/null"):format(place))))
    end)

    local function refused(before, prefix)
      return lua([[
        local place, command = ...
        if command ~= "" then os.execute("cd " .. place .. " && " .. command) end
        local _, err = box { parent = place }:run(script "true")
        return tostring(err)
      ]], { arguments = { place, before }, prefix = prefix })
    end

    it("may have it as a parent, by two names #vm", function()
      local one, other = lua([[
        return sleeper({ parent = ... }).cgroup.path, sleeper({ parent = (...):match "[^/]+$" }).cgroup.path
      ]], { arguments = { place } })
      assert.equal(place, (one:match "^(.*)/cella%.[^/]*/1$"))
      assert.equal(place, (other:match "^(.*)/cella%.[^/]*/2$"))
    end)

    it("is refused where that has no room for more #vm", function()
      local err = refused "echo 2 > cgroup.max.descendants"
      assert.truthy(err:find("cgroup.max.descendants or cgroup.max.depth of a cgroup above is reached", 1, true), err)
    end)

    it("is refused where that is threaded #vm", function()
      local err = refused "echo threaded > cgroup.type"
      assert.truthy(err:find("EOPNOTSUPP", 1, true), err)
      assert.truthy(err:find("threaded, or below a threaded one (cgroup.type is domain invalid)", 1, true), err)
    end)

    it("is refused where cgroup v2 is mounted read-only #vm", function()
      local err = refused("", ("unshare --mount sh -c 'mount -o remount,bind,ro %s && exec \"$@\"' sh"):format(top))
      assert.truthy(err:find("cgroup v2 is mounted read-only here", 1, true), err)
    end)

    -- As that user; with `inside` from a process that is in its cgroup.
    local function unprivileged(source, inside)
      local enter = inside and ("sh -c 'echo $$ > %s/cgroup.procs && exec \"$@\"' sh "):format(place) or ""
      return lua(source, { arguments = { place }, prefix = enter
        .. ("setpriv --reuid %d --regid %d --clear-groups --inh-caps=-all"):format(USER, USER) })
    end

    it("is made for an unprivileged user where a cgroup is delegated, and removed again #vm", function()
      local path, code, below = unprivileged([[
        local process = sleeper()
        return process.cgroup.path, assert(box({}):run(script "exit 4")).code, cgroup_of(process.pid)
      ]], true)
      assert.equal(place .. "/cella", path:match "^(.*)%.%d+%.%x+/1$")
      assert.equal(4, code)
      assert.equal(top .. below, path .. "/box")
    end)

    it("is removed where its program has taken all rights from it, and the Lua process is killed #vm", function()
      local text, status = outside.lua(PRELUDE .. [[
        local place = ...
        local top = io.popen("pwd"):read "*l" -- the checkout, which the program needs
        local taken = false
        local process = assert(box({ parent = place }, { environment = "inherit", user_namespaces = true,
          mounts = { { type = "bind", source = top, destination = top, readonly = true } } }):spawn {
            "/bin/sh", "-c", "sleep 300 & sleep 300 & exec " .. portable.program .. " -e '" .. [=[
            local sys = require "cella.core".sys
            assert(sys.unshare { "user", "mount", "cgroup" })
            assert(sys.mount("none", "/tmp", "cgroup2"))
            os.execute "chmod 0 /tmp/cgroup.* /tmp && echo taken && exec sleep 300"
          ]=] .. "'", stdout = function(line) taken = line == "taken" end, stderr = "stdout" })
        while not taken and not process:step() do core.poll({ process:pollfd() }, 0.1) end
        local mode = io.popen("stat -c %a " .. process.cgroup.path .. "/box"):read "*l"
        io.stdout:write("pid ", sys.getpid(), " mode ", mode, "\n")
        io.stdout:flush()
        os.execute("kill -9 " .. sys.getpid())
      ]], { output = true, arguments = { place }, prefix = ("sh -c 'echo $$ > %s/cgroup.procs && exec \"$@\"' sh "
        .. "setpriv --reuid %d --regid %d --clear-groups --inh-caps=-all"):format(place, USER, USER) })
      assert.equal(137, status, text)
      local pid = assert(text:match "pid (%d+) mode 0\n", text) -- the control: nobody but root could look into it
      assert.equal("", wait_until_gone(pid))
    end)

    it("that is frozen holds up a start for no longer than its time-out #vm", function()
      local code, seconds, after = lua([[
        local place = ...
        local command = script "true"
        command.setup_timeout = 1
        os.execute("echo 1 > " .. place .. "/cgroup.freeze")
        local before = core.now()
        local _, err = box { parent = place }:run(command)
        local seconds = core.now() - before
        os.execute("echo 0 > " .. place .. "/cgroup.freeze")
        command.setup_timeout = 60
        return err and err.code, seconds, assert(box { parent = place }:run(command)).code
      ]], { arguments = { place } })
      assert.equal("ETIMEDOUT", code)
      assert.is_true(seconds < 20)
      assert.equal(0, after)
    end)

    it("is refused where nothing is delegated, with the remedy #vm", function()
      local err = unprivileged([[
        local _, err = box({}):run(script "true")
        return tostring(err)
      ]])
      assert.truthy(err:find("the cgroup is not delegated to it", 1, true), err)
      assert.truthy(err:find("EACCES", 1, true), err)
    end)

    it("is refused to a process that is outside of what is delegated #vm", function()
      local err = unprivileged([[
        local _, err = box { parent = ... }:run(script "true")
        return tostring(err)
      ]])
      assert.truthy(err:find("clone3(", 1, true), err)
      assert.truthy(err:find("Start the Lua program inside of the delegated cgroup", 1, true), err)
    end)

    with("memory pids", "can have limits once cella.cgroup.delegate() has moved the caller into a leaf", function()
      local first, list, own, limits, again, elsewhere = unprivileged([[
        local _, first = box { memory = "64M" }:run(script "true")
        local list = assert(group.delegate())
        return tostring(first), table.concat(list, " "), cgroup_of "self",
          limits({ memory = "64M", pids = 9 }, "memory.max", "pids.max"),
          table.concat(assert(group.delegate()), " "), cgroup_of(sleeper().pid)
      ]], true)
      assert.truthy(first:find("call cella.cgroup.delegate() first", 1, true), first)
      assert.truthy(list:find("memory", 1, true), list)
      assert.equal(list, again)
      assert.truthy(own:find "/spec%-%d+/cella%.self$", own)
      assert.equal("67108864, 9", limits)
      assert.truthy(elsewhere:find "/spec%-%d+/cella%.%d+%.%x+/2/box$", elsewhere)
    end)

    it("delegates no cgroup in which there are others #vm", function()
      local err, own = unprivileged([[
        local other = assert(cella.plan():exec(SLEEP):spawn())
        local _, err = group.delegate()
        return tostring(err), cgroup_of "self"
      ]], true)
      assert.truthy(err:find "process %d+ is in this cgroup too", err)
      assert.truthy(own:find "/spec%-%d+$", own)
    end)
  end)
end)
