-- cella.plan: what is recorded, what is printed, and that they are the same. What performing it does is in
-- spec/plan/executor_spec.lua.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local leaks = require "spec.support.leaks"
local operations = require "spec.support.operations"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local program = require "spec.support.program"
local unpack = table.unpack or unpack

local raises = program.raises
local me = core.sys.getpid()

local needs = able.needs(function(reason) pending(reason) end)

local function texts(plan, side)
  local list = {}
  for _, step in ipairs(plan:steps()) do
    if not side or step.side == side then list[#list + 1] = step.text end
  end
  return list
end

-- Records what a printed plan says, as Lua that somebody could have written.
local function record_again(plan)
  local again, slots = cella.plan(), {}
  local environment = setmetatable({}, {
    __index = function(_, name)
      if slots[name] then return slots[name] end
      if name == "open" or name == "dup" or name == "pipe" or name == "memfd" then
        return function() return again:input(name .. "()", function() end) end
      end
      assert(operations[name], "unknown name in a printed plan: " .. name)
      return function(...)
        local _, slot = again.recorder:record(name, ...)
        return slot
      end
    end,
    __newindex = function(_, name, slot) slots[name] = slot end,
  })
  for _, step in ipairs(plan:steps()) do
    if step.op ~= "clone3" and not (step.side == "parent" and not step.text:find "^slot") then
      local chunk, message = portable.load(step.text, "=printed", environment)
      assert(chunk, ("%s: %s"):format(step.text, tostring(message)))
      chunk()
    end
  end
  return again
end

-- Every operation that takes no part in starting the process, with right arguments; execve comes last.
local function record_everything(plan)
  local names = {}
  for name in pairs(operations) do
    if name ~= "await" and name ~= "await_plan" and name ~= "execve" and name ~= "call" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  names[#names + 1] = "execve"
  for _, name in ipairs(names) do
    local arguments = {}
    for i, parameter in ipairs(operations[name]) do arguments[i] = parameter.right end
    plan.recorder:record(name, unpack(arguments))
  end
  return plan
end

describe("a plan", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  describe("printed", function()
    it("has a line for each step: its number, the side that takes it, and what it is", function()
      local plan = cella.plan { namespaces = { "uts" } }
      plan:sethostname "moon"
      local lines = {}
      for line in (tostring(plan) .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
      assert.equal('  1 parent  clone3({"uts"})', lines[1])
      assert.truthy(lines[2]:find('^  2 child   expect_namespace%("/proc/self/ns/uts", %d+, false%)$'), lines[2])
      assert.equal('  3 child   sethostname("moon")', lines[3])
      assert.equal(3, #lines)
    end)

    it("is visited in part with the numbers that its steps have", function()
      local plan = assert(cella.container { capabilities = { "net_raw" }, hooks = { created = function() end,
        mapped = function() end } }:plan { "true" })
      local wanted, whole, part = {}, {}, {}
      for _, name in ipairs { "await", "capset", "execve" } do wanted[core.operations[name]] = true end
      for _, step in ipairs(plan:steps()) do
        if step.side == "parent" or wanted[core.operations[step.op]] then
          whole[#whole + 1] = { step.number, step.side, step.op }
        end
      end
      plan:visit(function(number, side, op, args)
        part[#part + 1] = { number, side, op }
        if op == "capset" then assert.same({ "net_raw" }, args.permitted:names()) end
      end, wanted)
      assert.is_true(#whole < #plan:steps() and #whole > 6)
      assert.same(whole, part)
      part = {}
      plan:visit(function(number) part[#part + 1] = number return number == 3 end)
      assert.same({ 1, 2, 3 }, part)
    end)

    it("is what steps() lists", function()
      local plan = record_everything(cella.plan())
      local lines = {}
      for _, step in ipairs(plan:steps()) do
        lines[#lines + 1] = ("%3d %-6s  %s"):format(step.number, step.side, step.text)
      end
      assert.equal(table.concat(lines, "\n"), tostring(plan))
    end)

    it("is Lua that records the same steps again, for every operation", function()
      local plan = record_everything(cella.plan())
      assert.equal(tostring(plan), tostring(record_again(plan)))
    end)

    it("is Lua that records the same steps again, with slots and streams", function()
      local plan = cella.plan()
      local tree = plan:open_tree("/", { "clone", "recursive" })
      local context = plan:fsopen "tmpfs"
      plan:fsconfig(context, "create")
      local mount = plan:fsmount(context, { "nosuid", "nodev" })
      plan:move_mount(mount, tree, "/tmp"):close(mount):close(context)
      plan:exec { "/bin/true", stdin = "null", stdout = "capture", stderr = "stdout", fds = { [7] = 1 } }
      -- What the parent opens is recorded first this time: the slots have other numbers.
      local function renumbered(list)
        local numbers, count = {}, 0
        return (table.concat(list, "\n"):gsub("slot%d+", function(name)
          if not numbers[name] then
            numbers[name] = "slot" .. count
            count = count + 1
          end
          return numbers[name]
        end))
      end
      assert.equal(renumbered(texts(plan, "child")), renumbered(texts(record_again(plan), "child")))
    end)

    it("leaves nothing out of lists of names", function()
      -- The names that there are, from the message about one that is not.
      local seen = 0
      for name, parameters in pairs(operations) do
        for i, parameter in ipairs(parameters) do
          if parameter.kind == "flags" or parameter.kind == "name" then
            local arguments = {}
            for j, other in ipairs(parameters) do arguments[j] = other.right end
            arguments[i] = "nonsense"
            local list = raises("there are ", function()
              cella.plan().recorder:record(name, unpack(arguments))
            end):match("there are (.*)%)$")
            for word in list:gmatch("[%w_]+") do
              arguments[i] = word
              local recorder = cella.plan().recorder
              recorder:record(name, unpack(arguments))
              local text = recorder:describe(1)
              -- O_RDONLY is 0: where nothing else is said, reading is meant.
              if not (word == "rdonly" and list:find "wronly") then
                assert.truthy(text:find('"' .. word .. '"', 1, true), text .. " does not say " .. word)
              end
              seen = seen + 1
            end
          end
        end
      end
      assert.is_true(seen > 100)
    end)

    it("shows any bytes as Lua would read them", function()
      local everything = {}
      for byte = 0, 255 do everything[#everything + 1] = string.char(byte) end
      everything = table.concat(everything)
      for first = 1, 256, 64 do
        local data = everything:sub(first, first + 63)
        local plan = cella.plan():write_file("/x", data)
        local seen
        local environment = { write_file = function(_, text) seen = text end }
        assert(portable.load(texts(plan, "child")[1], "=printed", environment))()
        assert.equal(data, seen)
      end
      for _, data in ipairs { "1\0002", "\\n", '"', "\r\n", "]]", "--", "\27[2J" } do
        local plan = cella.plan():write_file("/x", data)
        assert.same(texts(plan, "child"), texts(record_again(plan), "child"))
      end
    end)

    it("has one line for a step, and nothing that would move a terminal's cursor", function()
      local nasty = "a\nb\r\27[31m\8\127"
      local plan = cella.plan { namespaces = { "uts" } }
      plan:mkdir(nasty, 448):write_file("/" .. nasty, nasty):symlink(nasty, nasty)
      plan:exec { "/bin/echo", nasty, environment = { A = nasty }, stdout = { path = "/tmp/x" } }
      local text = tostring(plan)
      assert.equal(#plan:steps() - 1, select(2, text:gsub("\n", "")))
      assert.is_nil(text:find("[%z\1-\9\11-\31\127]"))
    end)

    it("shows long data by its beginning, and says how long it is", function()
      local text = texts(cella.plan():write_file("/x", ("y"):rep(5000)), "child")[1]
      assert.is_true(#text < 4200)
      assert.truthy(text:find("5000 bytes", 1, true))
      local whole = texts(cella.plan():write_file("/x", ("y"):rep(4096)), "child")[1]
      assert.truthy(whole:find(("y"):rep(4096), 1, true))
      assert.is_nil(whole:find("bytes", 1, true))
    end)

    it("shows numbers as they were given, to the last", function()
      assert.equal("setresuid(0, 4294967294)", texts(cella.plan():setresuid(0, 4294967294), "child")[1])
      assert.equal("close_range(0, 4294967295)", texts(cella.plan():close_range(0, 4294967295), "child")[1])
      assert.equal('setrlimit("fsize", 9007199254740991, "unlimited")',
        texts(cella.plan():setrlimit("fsize", portable.power(53) - 1, "unlimited"), "child")[1])
      if not portable.integers then return end
      assert.equal('setrlimit("fsize", 9223372036854775807, "unlimited")',
        texts(cella.plan():setrlimit("fsize", math.maxinteger, "unlimited"), "child")[1])
    end)

    it("distinguishes an argument that was left away from one that was not", function()
      assert.equal("setresuid(nil, 5)", texts(cella.plan():setresuid(nil, 5), "child")[1])
      assert.equal("setresuid(nil, nil, 5)", texts(cella.plan():setresuid(nil, nil, 5), "child")[1])
    end)

    it("names capabilities by whichever list is shorter", function()
      assert.equal('capbset_drop({"chown", "net_raw"})', texts(cella.plan():capbset_drop { 0, "net_raw" }, "child")[1])
      assert.equal('capbset_drop({"all", "-chown"})', texts(cella.plan():capbset_drop { "all", "-chown" }, "child")[1])
      assert.equal('capset("none", "all", "none")', texts(cella.plan():capset({}, "all", "none"), "child")[1])
    end)
  end)

  describe("recorded", function()
    it("does nothing, but hold what it is to join", function()
      assert.same({}, (outside.lua [[
        local before = snapshot()
        cella.plan { namespaces = { "user", "pid" }, join = { { type = "net", fd = 0 } } }
          :umask(63):chdir("/tmp"):setrlimit("nofile", 5, 5):setsid():close(0)
          :exec { "true", stdout = "capture", stdin = { path = "/nonexistent" } }
        portable.collect() -- it is let go of with the plan
        return changes(before, snapshot())
      ]]))
    end)

    it("returns itself from each operation, and a slot from those that open something", function()
      local plan = cella.plan()
      local slots = {}
      for name, parameters in pairs(operations) do
        local ends = name == "execve" or name == "call" or name == "await_plan"
        if name ~= "await" and name ~= "init" and not ends then
          local arguments = {}
          for i, parameter in ipairs(parameters) do arguments[i] = parameter.right end
          local result = plan[name](plan, unpack(arguments))
          if result ~= plan then slots[#slots + 1] = name .. " " .. type(result) end
        end
      end
      table.sort(slots)
      assert.same({ "fsmount userdata", "fsopen userdata", "landlock_create_ruleset userdata",
        "open_tree userdata", "open_tree_of userdata", "openat2 userdata", "openpt userdata",
        "pidfd_open userdata", "ptpeer userdata" }, slots)
    end)

    it("gives each slot a name of its own, by which its step and those that use it are printed", function()
      local plan = cella.plan()
      local first, second = plan:openat2("/a", "path"), plan:openat2("/b", "path")
      plan:fchdir(second):fchdir(first)
      assert.equal("slot0", tostring(first))
      assert.equal("slot1", tostring(second))
      assert.same({ 'slot0 = openat2("/a", {"path"})', 'slot1 = openat2("/b", {"path"})', "fchdir(slot1)",
        "fchdir(slot0)" }, texts(plan, "child"))
    end)

    it("refuses a slot of another plan, and a slot now", function()
      local strange = cella.plan():openat2("/", "path")
      local plan = cella.plan()
      plan:openat2("/", "path")
      raises("the slot belongs to another plan", function() plan:fchdir(strange) end)
      raises("(fd: ", function() core.sys.fchdir(strange) end)
      assert.equal(1, plan.recorder:size())
    end)

    it("refuses the slot of a plan that is gone, wherever the memory goes", function()
      local strange = cella.plan():openat2("/", "path")
      for _ = 1, 100 do
        collectgarbage()
        local plan = cella.plan()
        plan:openat2("/", "path")
        raises("the slot belongs to another plan", function() plan:fchdir(strange) end)
      end
    end)

    it("has at most 4096 slots, and is whole after the attempt", function()
      local plan = cella.plan()
      for _ = 1, 4096 do plan:openat2("/", "path") end
      local text = tostring(plan)
      raises("at most 4096 slots", function() plan:openat2("/", "path") end)
      raises("at most 4096 slots", function() plan:input("open", function() end) end)
      assert.equal(4096, plan.recorder:size())
      assert.equal(text, tostring(plan))
      plan:umask(0)
      assert.equal(4097, plan.recorder:size())
    end)

    it("takes nothing after exec, in either form", function()
      for _, finish in ipairs {
        function(plan) plan:exec { "/bin/true" } end,
        function(plan) plan:execve("/bin/true", { "true" }) end,
      } do
        local plan = cella.plan()
        finish(plan)
        local text = tostring(plan)
        for name, parameters in pairs(operations) do
          local arguments = {}
          for i, parameter in ipairs(parameters) do arguments[i] = parameter.right end
          if plan[name] and name ~= "init" and name ~= "await" and name ~= "call" then
            raises("nothing comes after", function() plan[name](plan, unpack(arguments)) end)
          end
        end
        assert.equal(text, tostring(plan))
      end
    end)

    for name, argument in pairs { exec = { "/bin/true", stdin = "null" }, init = false, await = function() end } do
      it(("is as it was where plan:%s comes after exec"):format(name), function()
        local plan = cella.plan():exec { "/bin/true" }
        local text = tostring(plan)
        raises("nothing comes after", function() plan[name](plan, argument) end)
        assert.equal(text, tostring(plan))
      end)
    end

    it("runs as it is printed also where recording failed in between", function()
      local plan = cella.plan():umask(63)
      for name, parameters in pairs(operations) do
        local arguments = {}
        for i, parameter in ipairs(parameters) do arguments[i] = parameter.right end
        arguments[#parameters + 1] = "one too many"
        assert.is_false((pcall(plan.recorder.record, plan.recorder, name, unpack(arguments))))
        if parameters[1] and not parameters[1].optional then
          assert.is_false((pcall(plan.recorder.record, plan.recorder, name, print)))
        end
      end
      assert.is_false((pcall(plan.execve, plan, "/bin/sh", { "sh", "-c", "exit 9" }, { "A=1", 5 })))
      plan:exec { "sh", "-c", "umask", stdout = "capture" }
      assert.equal(0, select(2, tostring(plan):gsub("setns", "")))
      assert.equal("0077\n", assert(plan:run()).stdout)
    end)

    it("forks before its init begins", function()
      local plan = cella.plan { namespaces = { "pid" } }:fork():fork():init()
      raises("the end of its program", function() plan:fork() end)
    end)

    it("does not wait by hand for a parent that will not answer", function()
      raises("a function expected", function() cella.plan():await() end)
    end)

    it("blames the line that called", function()
      local err = raises("bad argument #1 to 'umask'", function() cella.plan():umask "x" end)
      assert.truthy(err:find("^[^\n]*plan_spec.lua:%d+: "), err)
      err = raises("unknown key", function() cella.plan { namespace = {} } end)
      assert.truthy(err:find("^[^\n]*plan_spec.lua:%d+: "), err)
      err = raises("the argument vector is empty", function() cella.plan():exec {} end)
      assert.truthy(err:find("^[^\n]*plan_spec.lua:%d+: "), err)
    end)

    it("grows to many steps and to large data", function()
      local plan = cella.plan()
      for _ = 1, 20000 do plan:umask(18) end
      plan:write_file("/dev/null", ("x"):rep(1048576))
      plan:exec { "true" }
      assert.equal(0, assert(plan:run()).code)
    end)
  end)

  describe("is refused before anything is recorded:", function()
    local BAD = {
      { "an unknown key", { namespace = { "user" } }, "namespace: unknown key; did you mean 'namespaces'?" },
      { "a namespace that is none", { namespaces = { "users" } }, "namespaces[1]" },
      { "a name in place of a list", { namespaces = "user" }, "namespaces: a list expected" },
      { "names as keys", { namespaces = { user = true } }, "namespaces.user" },
      { "a join without a type", { join = { { pid = 1 } } }, "join[1].type: missing" },
      { "a join of nothing", { join = { { type = "net" } } }, "join[1]: exactly one of path, pid, fd and" },
      { "a join of two", { join = { { type = "net", pid = 1, fd = 0 } } }, "join[1]: exactly one of path, pid, fd" },
      { "a join of pid 0", { join = { { type = "net", pid = 0 } } }, "join[1].pid" },
      { "a join of pid -1", { join = { { type = "net", pid = -1 } } }, "join[1].pid" },
      { "a join of pid 2^32 + 1", { join = { { type = "net", pid = 4294967297 } } }, "join[1].pid" },
      { "a join of a text", { join = { { type = "net", pid = "1" } } }, "join[1].pid" },
      { "a join of an empty path", { join = { { type = "net", path = "" } } }, "join[1].path" },
      { "a join of a path with a NUL byte", { join = { { type = "net", path = "/a\0" } } }, "join[1].path" },
      { "an unknown key of a join", { join = { { type = "net", pid = 1, name = "x" } } }, "join[1].name" },
      { "ID maps without a user namespace", { ids = { uid = "0 0 1", gid = "0 0 1", via = "self" } }, "ids: " },
      { "ID maps that overlap", { namespaces = { "user" },
        ids = { uid = "0 0 2\n1 5 1", gid = "0 0 1", via = "self" } }, "ids.uid" },
      { "an empty ID map", { namespaces = { "user" }, ids = { uid = "", gid = "0 0 1", via = "self" } }, "ids.uid" },
      { "ID maps that nobody writes", { namespaces = { "user" }, ids = { uid = "0 0 1", gid = "0 0 1" } }, "ids.via" },
      { "an own gid_map without setgroups denied", { namespaces = { "user" },
        ids = { uid = "0 0 1", gid = "0 0 1", via = "self", setgroups = "allow" } }, "ids.setgroups" },
      { "options that are none", "user", "a table expected" },
    }
    for _, case in ipairs(BAD) do
      it(case[1], function()
        raises(case[3], cella.plan, case[2])
      end)
    end

    it("341 extents", function()
      local lines = {}
      for i = 0, 340 do lines[#lines + 1] = ("%d %d 1"):format(i * 2, i * 2) end
      local map = table.concat(lines, "\n")
      raises("ids.uid", cella.plan, { namespaces = { "user" }, ids = { uid = map, gid = "0 0 1", via = "parent" } })
    end)

    it("a cyclic table", function()
      local cycle = {}
      cycle.namespaces = cycle
      raises("namespaces", cella.plan, cycle)
      local list = { "user" }
      list[2] = list
      raises("namespaces[2]", cella.plan, { namespaces = list })
    end)
  end)

  describe("numbers its steps", function()
    local function sides(plan)
      local list = {}
      for i, step in ipairs(plan:steps()) do
        assert.equal(i, step.number)
        list[#list + 1] = step.side:sub(1, 1) .. " " .. step.op
      end
      return table.concat(list, "\n")
    end

    it("with what the parent opens first, then clone3, then what the child does", function()
      local plan = cella.plan():umask(18):exec { "/bin/true", stdin = "null", stdout = "capture", stderr = 2 }
      assert.equal("p open\np pipe\np dup\np clone3\nc umask\nc dup2\nc dup2\nc dup2\nc close_others\nc sigdefault\n"
        .. "c sigunblock\nc execve", sides(plan))
    end)

    it("with the ID maps that the parent writes where the child waits for them", function()
      local plan = cella.plan { namespaces = { "user" },
        ids = { uid = "0 0 1", gid = "0 0 1", via = "parent", setgroups = "deny" } }
      plan:umask(18)
      assert.equal("p clone3\nc await\np write_file\np write_file\np write_file\nc expect_namespace\nc umask",
        sides(plan))
    end)

    it("with the ID maps that the child writes itself, setgroups first, and reads back", function()
      local plan = cella.plan { namespaces = { "user" }, ids = { uid = "0 0 1", gid = "0 0 1", via = "self" } }
      assert.equal("p clone3\nc write_file\nc write_file\nc write_file\nc expect_map\nc expect_map\n"
        .. "c expect_namespace", sides(plan))
      assert.truthy(texts(plan, "child")[1]:find("/proc/self/setgroups", 1, true))
    end)

    it("with what joins namespaces: the user namespace before all others, and new ones by a fork after", function()
      local user = assert(core.open("/proc/self/ns/user", "rdonly"))
      local plan = cella.plan { namespaces = { "uts" }, join = { { type = "net", pid = me },
        { type = "user", fd = user:number() } } }
      assert.equal("p dup\np open\np open\np clone3\nc dumpable\nc setns\nc close\nc setns\nc close\nc fork\n"
        .. "c expect_namespace\nc expect_namespace\nc close\nc expect_namespace", sides(plan))
      local text = tostring(plan)
      assert.truthy(text:find(('slot0 = dup(%d)'):format(user:number()), 1, true))
      assert.truthy(text:find(('slot1 = open("/proc/%d/ns/net"'):format(me), 1, true))
      user:close()
      assert.truthy(text:find('setns(slot0, {"user"})', 1, true))
      assert.truthy(text:find('fork({"uts"})', 1, true))
      assert.truthy(text:find('clone3({})', 1, true))
    end)

    it("with a fork after joining a pid namespace, which holds children only", function()
      assert.equal("p open\np open\np clone3\nc dumpable\nc setns\nc close\nc fork\nc expect_namespace\nc close",
        sides(cella.plan { join = { { type = "pid", pid = me } } }))
      assert.equal("p open\np open\np clone3\nc setns\nc close\nc expect_namespace\nc close",
        sides(cella.plan { join = { { type = "net", pid = me } } }))
    end)

    it("with nothing to read back where what is joined could not be opened, which is an error then", function()
      local plan = cella.plan { join = { { type = "net", path = "/nonexistent" } } }:exec { "true" }
      assert.falsy(tostring(plan):find("expect_namespace", 1, true))
      for _ = 1, 2 do
        local result, err = plan:run()
        assert.is_nil(result)
        assert.equal("1 open ENOENT /nonexistent", ("%d %s %s %s"):format(err.step, err.op, err.code, err.path))
      end
    end)
  end)

  describe("looks for the program", function()
    local function paths(command)
      local list = texts(cella.plan():exec(command), "child")
      return list[#list]:match("^execve(%b{})") or list[#list]:match("^execve%(({.-})")
    end

    it("where the name says, if it has a slash", function()
      assert.equal('{"./true"}', paths { "./true", environment = { PATH = "/bin" } })
    end)

    it("in the PATH that the program gets, else in the usual one", function()
      assert.equal('{"/a/true", "/b c/true"}', paths { "true", environment = { PATH = "/a:/b c" } })
      assert.equal('{"/usr/local/sbin/true", "/usr/local/bin/true", "/usr/sbin/true", "/usr/bin/true", "/sbin/true", '
        .. '"/bin/true"}', paths { "true", environment = {} })
    end)

    it("never in the working directory, which an empty entry would mean", function()
      assert.equal('{"/a/true", "/b/true"}', paths { "true", environment = { PATH = ":/a::/b:" } })
    end)
  end)

  describe("hands on the environment", function()
    local function environment(options, prefix)
      return outside.lua([[
        local environment = ...
        local result = assert(cella.plan():exec({ "/usr/bin/env", stdout = "capture",
          environment = portable.load("return " .. environment)() }):run())
        return result.stdout
      ]], { arguments = { options }, prefix = prefix })
    end

    it("that is given, and nothing else", function()
      assert.equal("A=1\nB=x y\nEMPTY=\n", environment '{ B = "x y", A = "1", EMPTY = "" }')
      assert.equal("", environment "{}")
      assert.equal("PORT=80\n", environment '{ PORT = 80, UNWANTED = false }')
    end)

    it("of the caller, where nothing is said", function()
      assert.truthy(environment("nil", "env CELLA_SPEC=1"):find("CELLA_SPEC=1\n", 1, true))
      assert.truthy(environment('"inherit"', "env CELLA_SPEC=1"):find("CELLA_SPEC=1\n", 1, true))
    end)

    it("but not with names that are none, or bytes that C would cut at", function()
      for _, bad in ipairs { { ["A=B"] = "x" }, { [""] = "x" }, { A = "x\0y" }, { ["A\0"] = "x" }, { A = 1 / 0 },
        { [1] = "x" }, { A = true }, "none", 5 } do
        raises("environment", function() cella.plan():exec { "true", environment = bad } end)
      end
    end)
  end)

  describe("is a value:", function()
    it("it can be performed twice, with results of their own", function()
      local plan = cella.plan():exec { "sh", "-c", "echo $$", stdout = "capture" }
      local text = tostring(plan)
      local first, second = assert(plan:spawn()), assert(plan:spawn())
      local one, two = assert(first:wait()), assert(second:wait())
      assert.equal(first.pid .. "\n", one.stdout)
      assert.equal(second.pid .. "\n", two.stdout)
      assert.not_equal(one.stdout, two.stdout)
      assert.equal(text, tostring(plan))
    end)

    it("it can be performed again after it failed", function()
      local path = os.tmpname()
      local plan = cella.plan():exec { "true", stdin = { path = path } }
      os.remove(path)
      local process, err = plan:run()
      assert.is_nil(process)
      assert.equal("ENOENT", err.code)
      assert(io.open(path, "w")):close()
      assert.equal(0, assert(plan:run()).code)
      os.remove(path)
    end)

    it("it can be performed with others in between, and longer", function()
      local plan = cella.plan():umask(63)
      assert.equal(0, assert(plan:run()).code)
      plan:exec { "sh", "-c", "umask", stdout = "capture" }
      assert.equal("0077\n", assert(plan:run()).stdout)
    end)

    it("with new namespaces too", needs("user_namespaces", function()
      local uid, gid = core.sys.getresuid(), core.sys.getresgid()
      local plan = cella.plan { namespaces = { "user", "pid" }, ids = { via = "self",
        uid = { inside = 0, outside = uid, count = 1 }, gid = { inside = 0, outside = gid, count = 1 } } }
      plan:exec { "sh", "-c", "echo $$ $(id -u)", stdout = "capture" }
      for _ = 1, 3 do assert.equal("1 0\n", assert(plan:run()).stdout) end
    end))
  end)

  describe("refuses a command", function()
    local BAD = {
      { "without a program", {}, "command: the argument vector is empty" },
      { "with an empty name", { "" }, "command[1]: the program's name is empty" },
      { "that is a text", "true", "command: a table of the program and its arguments expected" },
      { "with a boolean as argument", { "true", true }, "command[2]: a string or a number expected, got true" },
      { "with infinity as argument", { "true", 1 / 0 }, "command[2]: a string or a finite number expected, got inf" },
      { "with a hole in its arguments", { "true", nil, "x" }, "command" },
      { "with a NUL byte in an argument", { "true", "a\0b" }, "command[2]: the string has a NUL byte in it" },
      { "with an unknown key", { "true", stdOut = "null" }, "command.stdOut: unknown key; did you mean 'stdout'?" },
      { "with an unknown stream", { "true", stdin = "capture" }, "command.stdin" },
      { "with a stream of a wrong kind", { "true", stdout = true }, "command.stdout" },
      { "with a negative descriptor", { "true", stdout = -1 }, "command.stdout" },
      { "with a fraction as descriptor", { "true", stdout = 1.5 }, "command.stdout" },
      { "with 2^32 as descriptor", { "true", stdout = 4294967296 }, "command.stdout" },
      { "that appends to its input", { "true", stdin = { path = "/x", append = true } }, "command.stdin" },
      { "with an empty path", { "true", stdout = { path = "" } }, "command.stdout.path" },
      { "with a NUL byte in a path", { "true", stdout = { path = "a\0" } }, "command.stdout.path" },
      { "with a newline in a path", { "true", stdout = { path = "a\nb" } }, "command.stdout.path" },
      { "with no path", { "true", stdout = {} }, "command.stdout.path: missing" },
      { "with descriptors under 3", { "true", fds = { [2] = 0 } }, "command.fds" },
      { "with descriptors that are texts", { "true", fds = { ["5"] = 0 } }, "command.fds" },
      { "with descriptors that are no numbers", { "true", fds = { [5] = "0" } }, "command.fds[5]" },
      { "with a descriptor of 65536", { "true", fds = { [65536] = 0 } }, "command.fds" },
    }
    for _, case in ipairs(BAD) do
      it(case[1], function()
        local plan = cella.plan():umask(18)
        raises(case[3], function() plan:exec(case[2]) end)
        assert.same({ "umask(18)" }, texts(plan, "child"))
      end)
    end

    it("with a closed file", function()
      local file = assert(io.tmpfile())
      file:close()
      raises("command.stdout", function() cella.plan():exec { "true", stdout = file } end)
    end)
  end)
end)
