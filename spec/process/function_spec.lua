-- A Lua function as the program: what it is in there, what comes back, and what it leaves alone.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local helper = require "spec.support.helper"
local facts = require "cella.host"
local interpreter = require "cella.interpreter"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local sys = require "cella.sys"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local needs = able.needs(function(reason) pending(reason) end)

local _, uid = sys.getresuid()

local PROC = { type = "proc", destination = "/proc" }

local function status(field)
  for line in io.lines "/proc/self/status" do
    local value = line:match("^" .. field .. ":%s*(.-)%s*$")
    if value then return value end
  end
end

local function run(description, ...)
  local result, err = cella.container(description):run(...)
  if not result then error(tostring(err), 2) end
  return result
end

-- What a function returns, in a container; it has to return.
local function values(description, ...)
  local result = run(description, ...)
  if not result.values then error(tostring(result.error or result.lost), 2) end
  return unpack(result.values, 1, result.values.n)
end

local function failure(...)
  local result = run({}, ...)
  assert.is_nil(result.values)
  assert.is_nil(result.lost)
  return assert(result.error)
end

describe("a function as the program", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  setup(function() directory = trial.directory() end)
  teardown(function()
    trial.remove_directory(directory)
    helper.remove()
  end)
  trial.around(before_each, after_each)

  describe("and its modules", function()
    local path
    before_each(function() path = package.path end)
    after_each(function() package.path = path end)

    it("has all of cella's, whose files the root need not have", function()
      local names = {}
      for name in trial.sh "cd lua && find cella -name '*.lua'":gmatch "([^\n]+)%.lua" do
        if not name:find "^cella/cli" and not name:find "^cella/meta" then names[#names + 1] = name:gsub("/", ".") end
      end
      assert.is_true(#names > 90)
      -- A process that has loaded no more than `cella` itself.
      trial.write(directory .. "/modules.lua", [[
        local result = assert(require("cella").container {}:run(function(...)
          package.path, package.cpath = "/nowhere/?.lua", "/nowhere/?.so"
          local missing = {}
          for _, name in ipairs { ... } do
            if not pcall(require, name) then missing[#missing + 1] = name end
          end
          return #missing, table.concat(missing, " ")
        end, (table.unpack or unpack)(arg)))
        print(result.values and result.values[1], result.values and result.values[2], result.error)
      ]])
      assert.equal("0\t\tnil\n", trial.sh(trial.lua .. " " .. directory .. "/modules.lua " .. table.concat(names, " ")))
      -- That is told from one that is not there.
      assert.equal("1\tcella.cli.run\tnil\n", trial.sh(trial.lua .. " " .. directory .. "/modules.lua cella.cli.run"))
    end)

    it("is told where one lies that the root does not have", function()
      local modules = directory .. "/modules"
      trial.sh("mkdir -p " .. modules .. "/deep")
      trial.write(modules .. "/mine.lua", "return 41")
      trial.write(modules .. "/deep/mine.lua", "return require 'mine' + 1")
      trial.write(modules .. "/broken.lua", "return return")
      package.path = modules .. "/?.lua;" .. package.path
      local own = require
      for name, load in pairs { mine = function() return require "mine" end,
        ["deep.mine"] = function() return own "deep.mine" end } do
        local err = failure(load)
        local file = modules .. "/" .. name:gsub("%.", "/") .. ".lua"
        assert.truthy(err.why and err.why:find(file, 1, true), err.why)
        assert.truthy(err.why:find("readonly", 1, true), err.why)
        assert.truthy(tostring(err):find(err.why, 1, true))
      end
      -- As it says.
      local bound = { mounts = { { type = "bind", source = modules, destination = modules, create = true,
        readonly = true } } }
      assert.equal(42, (values(bound, function() return require "deep.mine" end)))
    end)

    it("is told nothing where that is not what went wrong", function()
      trial.write(directory .. "/mine.lua", "return 41")
      package.path = directory .. "/?.lua;" .. package.path
      assert.truthy(failure(function() return require "mine" end).why)
      assert.is_nil(failure(function() return require "no.such.module" end).why)
      assert.is_nil(failure(function()
        pcall(require, "mine")
        error "another"
      end).why)
      assert.is_nil(failure(function() error("module 'mine' not found:") end).why)
      for _, name in ipairs { "../mine", "/mine", "..mine", ("m"):rep(300) } do
        assert.is_nil(failure(function() return require(name) end).why)
      end
    end)
  end)

  local function path(name) return directory .. "/" .. name end

  describe("in its container", function()
    local function who()
      local real, effective, saved = sys.getresuid()
      return { sys.getpid(), sys.gethostname(), real, effective, saved, status "Groups", status "CapEff",
        status "CapPrm", status "CapInh", status "CapBnd", status "CapAmb", status "NoNewPrivs" }
    end

    it("is who the table says, and may do what the table says", function()
      local none = "0000000000000000"
      local said = values({ hostname = "moon", mounts = { PROC } }, who)
      said[6] = nil
      assert.same({ 2, "moon", 0, 0, 0, nil, none, none, none, none, none, "1" }, said)
      said = values({ capabilities = { "kill" }, no_new_privs = false, init = false, mounts = { PROC } }, who)
      local kill = "0000000000000020"
      assert.equal(1, said[1])
      assert.same({ kill, kill, kill, kill, kill, "0" }, { unpack(said, 7, 12) })
    end)

    it("is one of several IDs where there are such", function()
      local ids, outer = trial.several_ids()
      if not ids then return pending(outer) end
      local said = values({ ids = ids, user = { uid = 33, gid = 44, groups = { 55, 66 } }, mounts = { PROC },
        capabilities = { "net_raw" } }, who)
      assert.same({ 33, 33, 33, "55 66", "0000000000002000" }, { said[3], said[4], said[5], said[6], said[7] })
    end)

    it("sees its mounts, its limits and its working directory", function()
      local said = values({ mounts = { { type = "tmpfs", destination = "/tmp" } }, cwd = "/tmp",
        rlimits = { nofile = { soft = 50, hard = 60 } } }, function()
        assert(io.open("here", "w")):close()
        return { io.open "/tmp/here" ~= nil, io.open("/etc/new", "w") ~= nil, { sys.getrlimit "nofile" } }
      end)
      assert.same({ true, false, { 50, 60 } }, said)
      assert.is_nil(io.open "/tmp/here")
    end)

    it("has the environment of the container or the command, for its own children too", function()
      local function variables() return os.getenv "A", os.getenv "HOME", io.popen("echo $A$PATH"):read "*a" end
      local path_there = "/usr/bin:/bin"
      local a, home, said = values({ environment = { A = "one", PATH = path_there } }, variables)
      assert.same({ "one", "/tmp", "one" .. path_there .. "\n" }, { a, home, said })
      assert.is_nil(select(2, values({ environment = { HOME = false } }, variables)))
      a = values({ environment = { A = "one" } }, { variables, environment = { A = "two" } })
      assert.equal("two", a)
      assert.is_nil(os.getenv "A")
      assert.equal(os.getenv "PATH", values({ environment = "inherit" }, function() return os.getenv "PATH" end))
    end)

    it("gets its arguments as they are, with what they close over", function()
      local upvalue = { deep = { value = 5 } }
      local function f(...)
        upvalue.deep.value = upvalue.deep.value + 1
        return select("#", ...), upvalue.deep.value, (...)(), (select(2, ...)) == nil
      end
      assert.same({ 4, 6, "called", true }, { values({}, f, function() return "called" end, nil, print, nil) })
      assert.same({ 2, 6, "called", true }, { values({}, { f, function() return "called" end, n = 3 }) })
      assert.equal(5, upvalue.deep.value) -- of the copy's changes nothing is seen here
    end)

    it("may be a function in C", function()
      assert.same({ "X" }, { values({}, string.upper, "x") })
    end)

    it("writes to its streams, once, and nothing that was there before", function()
      io.write "" -- the runner's own buffer is not ours to fill
      local result = run({}, { function()
        print "printed"
        io.write "written"
        io.stderr:write "to stderr"
        return io.read "*a"
      end, stdin = { path = "/etc/hostname" }, stdout = "capture", stderr = "capture" })
      assert.equal("printed\nwritten", result.stdout)
      assert.equal("to stderr", result.stderr)
      assert.equal(trial.read "/etc/hostname", result.values[1])
    end)

    it("has a descriptor that was asked for, and no other", function()
      local held = trial.hold(io.open("/etc/passwd"))
      local nothing = "/proc/self/fd/" .. core.fileno(held)
      local result = run({ mounts = { PROC } }, { function()
        local list = {}
        for number = 0, 255 do
          local link = "/proc/self/fd/" .. number
          -- The caller's numbers are taken by nothing: an empty set of epoll(7).
          if core.is_open(number) and not (number > 2 and core.same_file(link, nothing)) then
            list[#list + 1] = number
          end
        end
        local files = io.popen("ls /proc/self/fd"):read "*a"
        return table.concat(list, " "), files, held:read "*a", (sys.fchdir(core.fileno(held)))
      end, fds = { [9] = 1 }, stdin = "null", stdout = "capture" })
      assert.truthy(result.values, tostring(result.error))
      -- The one above 9 is that of the results.
      assert.truthy(result.values[1]:find "^0 1 2 9 %d%d+$", result.values[1])
      assert.equal("0\n1\n2\n3\n9\n", result.values[2])
      assert.is_nil(result.values[3]) -- reading fails
      assert.is_nil(result.values[4]) -- it leads nowhere
    end)

    it("has one whose number is that of the runner's file in the caller", function()
      local number = assert(core.runner_file())
      local result = run({}, { function() return core.is_open(number) end, fds = { [number] = 1 }, stdin = "null",
        stdout = "capture" })
      assert.is_true(result.values and result.values[1], tostring(result.error))
    end)

    it("has signals as a program has them: nothing handled, ignored or blocked", function()
      local masks = outside.lua([[
        local result = assert(cella.container({ mounts = { { type = "proc", destination = "/proc" } } }):run(function()
          return status "SigBlk" .. status "SigIgn" .. status "SigCgt"
        end))
        return result.values[1]
      ]], { prefix = "env --block-signal=USR1 --ignore-signal=USR2" })
      assert.equal(("0"):rep(48), masks)
    end)

    it("cannot be looked into by others in there", function()
      local said = { values({ mounts = { PROC }, capabilities = "all" }, function()
        local look = io.popen "cat /proc/$PPID/environ /proc/$PPID/mem 2>&1 | head -c 200"
        return sys.get_dumpable(), look:read "*a"
      end) }
      assert.is_false(said[1])
      if uid ~= 0 then assert.truthy(said[2]:find "Permission denied", said[2]) end
    end)

    it("starts programs: os.execute, io.popen", function()
      -- (Where the program fails, Lua 5.4.7 tells of an errno that glibc 2.41 has left: that of clone3, which the
      -- filter has not, and which is asked for first. What `close` tells of io.popen is true in each.)
      local function try()
        local pipe = io.popen "hostname >/dev/null; echo $((6 * 7)); exit 3"
        local said = pipe:read "*n"
        local a, b, c = pipe:close()
        return said, tostring(a), tostring(b), tostring(c), tostring((os.execute "exit 0")), not os.execute "exit 3"
      end
      assert.same({ try() }, { values({}, try) })
    end)

    it("starts containers of its own", function()
      -- A root in a root: its creator needs that capability (Linux 5.12).
      local host = values({ mounts = { PROC }, nesting = true }, function()
        assert(sys.dumpable(true)) -- or its maps are root's to write
        local result = assert(cella.container({ hostname = "inner" }):run(function() return sys.gethostname() end))
        local program = assert(cella.container({ hostname = "more" }):run { "hostname", stdout = "capture" })
        return result.values[1] .. program.stdout
      end)
      assert.equal("innermore\n", host)
    end)

    it("has a number of its own for its only thread: it can abort itself", function()
      local result = run({}, function() os.execute "kill -ABRT $PPID" end)
      assert.equal("abrt", result.signal)
    end)
  end)

  describe("gives back", function()
    it("what it returns, exactly: see spec/plan/serialize_spec", function()
      local result = run({}, function() return 1, nil, { x = { -0.0 } }, "a\0b", nil end)
      assert.equal(5, result.values.n)
      assert.same({ n = 5, 1, nil, { x = { -0.0 } }, "a\0b", nil }, result.values)
      assert.same({ "exited", 0 }, { result.reason, result.code })
      assert.same({ n = 0 }, run({}, function() end).values)
    end)

    it("a large result", function()
      local text = ("0123456789abcdef"):rep(65536 * 2)
      assert.equal(text, (values({}, function() return text end)))
      local list = values({}, function()
        local t = {}
        for i = 1, 100000 do t[i] = i end
        return t
      end)
      assert.equal(100000, #list)
      assert.equal(77777, list[77777])
    end)

    it("many values, and says what it cannot hand over", function()
      local most = pcall(unpack, {}, 1, 200000) and 200000 or 7000 -- the stack of 5.1 and of LuaJIT is small
      local result = run({}, function() return unpack({}, 1, most) end)
      assert.equal(most, result.values.n)
      result = run({}, function() return unpack({ [1] = "first", [most - 1] = "last" }, 1, most) end)
      assert.same({ "first", nil, "last", nil }, { result.values[1], result.values[2], result.values[most - 1],
        result.values[most] })
    end)

    it("what it could not hand over, where that fits on no stack #slow", function()
      if _VERSION == "Lua 5.1" then return end -- no function can return so many
      local result = run({}, { function()
        local list = {}
        for i = 1, 999000 do list[i] = true end
        return unpack(list, 1, 999000)
      end, result_limit = 64 * 1024 * 1024 })
      assert.is_nil(result.lost)
      assert.matches("^the function has returned too many values: ", result.error.message)
    end)

    it("no more arguments than there may be", function()
      if not portable.counts_varargs then return end
      local box, most = cella.container {}, _VERSION == "Lua 5.1" and 7000 or 200000
      local list = {}
      for i = 1, portable.jit and most + 900 or 900000 do list[i] = true end
      assert.equal(most, box:run(function(...) return select("#", ...) end, unpack(list, 1, most)).values[1])
      for _, method in ipairs { "run", "spawn", "plan" } do
        assert.matches(("function_spec.lua:%%d+: more than %d arguments"):format(most), trial.raised(function()
          box[method](box, function() end, unpack(list))
        end))
      end
    end)

    it("no more than result_limit, and says so", function()
      local function large() return ("x"):rep(100000) end
      assert.equal(100000, #values({}, { large, result_limit = 101000 }))
      local result = run({}, { large, result_limit = 100000 })
      assert.is_nil(result.values)
      assert.truthy(result.error.message:find("return value 1: there is more than result_limit allows", 1, true))
      assert.equal(1, result.code)
    end)

    it("nothing that has no meaning here, and names it", function()
      assert.truthy(failure(function() return 1, { key = { print } } end).message
        :find("^return value 2%.key%[1%]: a function has no meaning outside"))
    end)

    it("its error, with a traceback that ends where it was called", function()
      local function inner() error "bad luck" end
      local result = run({}, { function() inner() end, stderr = "capture" })
      assert.same({ "exited", 1, "" }, { result.reason, result.code, result.stderr })
      local err = result.error
      assert.truthy(err.message:find "^[^\n]*function_spec.lua:%d+: bad luck$", err.message)
      assert.equal(1, err.traceback:find(err.message, 1, true))
      assert.truthy(err.traceback:find "in %l+ 'inner'", err.traceback)
      assert.is_nil(err.traceback:find "xpcall", err.traceback)
      assert.is_nil(err.traceback:find "call.lua", err.traceback)
      assert.equal(err.traceback, tostring(err))
      assert.equal(err.message, err.value)
    end)

    it("errors that are no strings", function()
      assert.same({ code = 5, list = { 1 } }, failure(error, { code = 5, list = { 1 } }).value)
      assert.equal("(error object is a table value)", failure(error, {}).message)
      assert.equal("(error object is a nil value)", failure(error).message)
      local speaking = failure(error, setmetatable({}, { __tostring = function() return "I am" end }))
      assert.equal("I am", speaking.message)
      assert.is_nil(speaking.value)
      local silent = failure(error, setmetatable({}, { __tostring = function() error "no" end }))
      assert.equal("(error object is a table value)", silent.message)
      assert.equal("42", failure(error, 42, 0).message)
      assert.equal(42, failure(error, 42, 0).value)
    end)

    it("errors that are long, or deep #slow", function()
      local long = failure(error, ("x"):rep(1000000), 0)
      assert.equal(65539, #long.message)
      assert.equal(1000000, #long.value)
      local function deep(n) return deep(n + 1) + 1 end
      assert.truthy(failure(deep, 1).message:find "stack overflow")
      if not portable.integers then return end -- 2 to the power of 62 is no number of times there
      assert.truthy(failure(string.rep, "xx", portable.power(62)).message:find "too large")
    end)

    it("an error where it would yield to the caller's coroutine", function()
      local co = coroutine.wrap(function() return failure(coroutine.yield, 1).message end)
      assert.truthy(co():find "attempt to yield", nil)
      assert.same({ 1, 2 }, values({}, function()
        local inner = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end)
        return { inner(), inner() }
      end))
    end)

    it("the status with which it leaves, by whatever way #slow", function()
      local exit = os.exit
      for argument, code in pairs { [0] = 0, [7] = 7, [255] = 255, [-1] = 255, [256] = 0, [true] = 0, [false] = 1 } do
        for _, leave in ipairs { exit, function(status_there) os.exit(status_there, true) end } do
          local result = run({}, { function()
            io.write "written"
            leave(argument)
          end, stdout = "capture" })
          assert.same({ "exited", code, "written" }, { result.reason, result.code, result.stdout })
          assert.is_nil(result.values)
          assert.equal(("the function has not returned: it left with the status %d"):format(code), result.lost)
        end
      end
    end)

    it("the signal that ended it, and its time-out #slow", function()
      local result = run({}, function() os.execute "kill -9 $PPID" end)
      assert.same({ "signaled", "kill" }, { result.reason, result.signal })
      assert.equal("the function has not returned: it was ended (kill)", result.lost)
      result = run({}, { function() while true do end end, timeout = 2 })
      assert.equal("timeout", result.reason)
      assert.equal("the function has not returned: it was ended (timeout)", result.lost)
    end)

    -- Whoever is in there may write anything into the pipe.
    local function forged(text)
      return run({ mounts = { PROC } }, function()
        for number = 255, 3, -1 do
          if core.sys.write(number, text) then os.exit(0) end
        end
      end)
    end

    it("nothing where it has closed what its results would go through, and no status as if it had left", function()
      local result = run({ mounts = { PROC } }, function()
        for number = 255, 3, -1 do core.sys.close(number) end
        return "values"
      end)
      assert.same({ "exited", 125 }, { result.reason, result.code })
      assert.is_nil(result.values)
      assert.equal("the function has not returned, or could not say so: it left with the status 125", result.lost)
    end)

    it("nothing where what comes is no whole result", function()
      for _, text in ipairs { "x", "cella 1 v", "cella 1 vTTTT", "cella 1 xz", "cella 1 ez", "cella 1 ennnz",
        "cella 1 vs\255\255\255\255z", ("x"):rep(60000) } do
        local result = forged(text)
        assert.is_nil(result.values)
        assert.is_nil(result.error)
        assert.truthy(result.lost:find "^what came is not a whole result: ", result.lost)
      end
    end)

    it("nothing that is executed, or has a metatable", function()
      local result = forged "cella 1 vThs\7\0\0\0__indexTeez"
      assert.is_nil(getmetatable(result.values[1]))
      assert.same({ __index = {} }, result.values[1])
    end)

    it("a handle that can be waited for, killed and closed", function()
      local process = trial.hold(cella.container({}):spawn(function() while true do end end))
      local none, err = process:wait(0)
      assert.is_nil(none)
      assert.equal("ETIMEDOUT", err.code)
      assert(process:kill "kill")
      assert.equal("kill", process:wait().signal)
      local other = trial.hold(cella.container({}):spawn(function(...) return ... end, 5))
      assert.same({ n = 1, 5 }, other:wait().values)
      assert.equal(other:wait(), other:wait())
    end)
  end)

  describe("does nothing of the caller's a second time:", function()
    it("buffers are written once", function()
      local name = path "buffered"
      local output, code = outside.lua([[
        local name = ...
        local file = assert(io.open(name, "w"))
        file:setvbuf("full", 65536)
        file:write "from the caller\n"
        io.stdout:setvbuf("full", 65536)
        io.write "standard\n"
        local box = cella.container {}
        for _, f in ipairs { function() end, function() os.exit(0) end, function() error "x" end,
          function() collectgarbage() end } do
          assert(box:run(f))
          file:write "again\n"
          io.write "again\n"
        end
        file:close()
      ]], { arguments = { name }, output = true })
      assert.equal("standard\n" .. ("again\n"):rep(4), output)
      assert.equal(0, code)
      assert.equal("from the caller\n" .. ("again\n"):rep(4), trial.read(name))
    end)

    it("what the caller wrote before comes before what the function writes", function()
      local output = outside.lua([[
        io.stdout:setvbuf("full", 65536)
        io.write "before "
        assert(cella.container({}):run(function() io.write "inside " end))
        io.write "after"
      ]], { output = true })
      assert.equal("before inside after", output)
    end)

    it("where the caller's io.write and io.read had been turned elsewhere, the function's are not", function()
      local name = trial.write(path "elsewhere", "")
      local output = outside.lua([[
        io.output(assert(io.open(..., "w")))
        io.input(assert(io.open "/etc/passwd"))
        io.write "caller"
        local result = assert(cella.container({}):run(function() io.write "function" return io.read(1) end))
        assert(result.values[1] == nil)
        assert(io.read(1))
        io.write " again"
        io.output():close()
      ]], { arguments = { name }, output = true })
      assert.equal("function", output)
      assert.equal("caller again", trial.read(name))
    end)

    it("what the function writes into a file of the caller's goes nowhere, and what it opens is its own", function()
      local name, own = path "callers", path "functions"
      trial.write(own, "")
      outside.lua([[
        local name, own = ...
        local file = assert(io.open(name, "w"))
        local box = cella.container { ids = require "cella.policy".root(),
          mounts = { { type = "bind", source = own, destination = own } } }
        local result = assert(box:run(function()
          local mine = {}
          for i = 1, 20 do mine[i] = assert(io.open(own, "a")) end
          file:write "lost"
          assert(not file:flush())
          file:close()
          for i = 1, 20 do assert(mine[i]:write(i, " ")) assert(mine[i]:close()) end
          return true
        end))
        assert(result.values, tostring(result.error or result.lost))
        file:close()
      ]], { arguments = { name, own } })
      assert.equal("", trial.read(name))
      assert.equal("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 ", trial.read(own))
    end)

    it("a file position of the caller's is where it was", function()
      local name = trial.write(path "lines", ("line\n"):rep(100))
      outside.lua([[
        local name = ...
        local file = assert(io.open(name))
        file:read(10)
        local position = file:seek()
        local fifty = io.read(50)
        local result = assert(cella.container({}):run(function() return io.read(5), file:close() end))
        assert(result.values[1] == nil, "what was read ahead is the caller's")
        assert(file:seek() == position)
        assert(fifty .. io.read "*a" == ("line\n"):rep(100))
      ]], { arguments = { name }, redirect = "< " .. name })
    end)

    it("finalizers run in the process in which the object was made", function()
      local name = path "finalized"
      local source = [[
        local name = ...
        local directory = name:match "^(.*)/"
        local function note(what)
          local file = assert(io.open(name, "a"))
          file:write(what, " ", sys.getpid() == PID and "caller" or "copy", "\n")
          file:close()
        end
        PID = sys.getpid()
        local box = cella.container { namespaces = { pid = "host" }, mounts = {
          { type = "bind", source = directory, destination = directory } } }
        local function object(what) return portable.finalized(function() note(what) end) end
        local kept = object "kept"
        local exit = os.exit
        object "garbage"
        object "more garbage"
        for _, f in ipairs {
          function() for _ = 1, 3 do collectgarbage() end return true end,
          function() os.exit(0, true) end,
          function() exit(0, true) end,
          function() exit(0) end,
          function() error { kept } end,
          function() object "of the copy" collectgarbage() end,
        } do
          %s
          object "garbage of a round"
          assert(box:run(f))
        end
        assert(kept)
      ]]
      source = source:gsub("%%s", portable.closes
        and "local closed <close> = setmetatable({}, { __close = function() note 'closed' end })" or "")
      trial.write(name, "")
      trial.sh("chmod 777 " .. directory .. "; chmod 666 " .. name)
      outside.lua(source, { arguments = { name } })
      local count = {}
      for line in trial.read(name):gmatch "[^\n]+" do count[line] = (count[line] or 0) + 1 end
      assert.same({ ["kept caller"] = 1, ["garbage caller"] = 1, ["more garbage caller"] = 1,
        ["closed caller"] = portable.closes and 6 or nil, ["garbage of a round caller"] = 6,
        ["of the copy copy"] = 1 }, count)
    end)

    it("what libraries want done at the end of the process is done at its end", function()
      local library, problem = helper.library()
      if not library then return pending(problem) end
      local output = outside.lua([[
        host(..., "at_exit")
        local exit = os.exit
        local box = cella.container {}
        for _, f in ipairs { function() end, function() os.exit(0) end, function() exit(0) end,
          function() exit(0, true) end } do
          assert(box:run(f))
        end
        io.stderr:write "and now "
      ]], { arguments = { library }, output = true })
      assert.equal("and now handler\n", output)
    end)

    it("children and descriptors of the caller's are left alone by their handles", function()
      local sleeper = trial.hold(cella.plan():exec({ "sleep", "60", stdin = "null" }):spawn())
      local fd = trial.hold(core.open("/etc/passwd", "rdonly"))
      local said = values({ namespaces = { pid = "host" } }, function()
        local killed, err = sleeper:kill "kill"
        local waited, problem = sleeper:wait()
        sleeper:close()
        sleeper:signal_group "kill"
        local number = fd:number()
        fd:close()
        return { killed == nil, tostring(err), waited == nil, tostring(problem), number == nil }
      end)
      assert.same({ true, "pidfd_send_signal: No such process (ESRCH)", true,
        "wait: no child of this process (ECHILD)", true }, said)
      assert.is_nil((sleeper:wait(0)))
      assert.truthy(fd:number())
    end)

    it("the process afterwards is as it was", function()
      assert.same({}, outside.lua [[
        local box = cella.container {}
        box:run { "true" } -- the module keeps its init
        local before = snapshot()
        assert(box:run(function() os.setlocale "C" io.output(io.stderr) os.exit(3) end))
        assert(box:run(function() error "x" end))
        assert(select(2, pcall(box.run, box, { function() end, cwd = "/nonexistent" })) == nil)
        return changes(before, snapshot())
      ]])
    end)

    it("a step that fails means that the function never ran", function()
      local name = path "ran"
      local mount = { type = "bind", source = directory, destination = directory }
      local result, err = cella.container({ mounts = { mount } })
        :run { function() assert(io.open(name, "w")):close() end, cwd = "/nonexistent" }
      assert.is_nil(result)
      assert.same({ "chdir", "ENOENT", "child" }, { err.op, err.code, err.side })
      assert.is_nil(io.open(name))
    end)
  end)

  describe("works", function()
    local WHO = [[
      local box = cella.container { hostname = "moon" }
      local function who(...) return sys.gethostname(), sys.getpid(), ... end
      local function check(box, pid)
        local result, err = box:run(who, { "argument" })
        assert(result, tostring(err))
        assert(result.values, tostring(result.error or result.lost))
        local host, number, list = unpack(result.values)
        assert(host == "moon" and number == pid and list[1] == "argument")
      end
    ]]

    it("with an init, as process 1, in the caller's pid namespace and behind a fork", function()
      outside.lua(WHO .. [[
        check(box, 2)
        check(cella.container { hostname = "moon", init = false }, 1)
        local target = assert(box:spawn { "sleep", "60", stdin = "null", stdout = "null", stderr = "null" })
        local function of(name) return { path = ("/proc/%d/ns/%s"):format(target.pid, name) } end
        local ok, err = pcall(check, cella.container { namespaces = { user = of "user", mount = of "mnt",
          pid = of "pid", uts = of "uts", ipc = of "ipc", net = of "net", cgroup = of "cgroup" } }, 3)
        target:close()
        assert(ok, err)
        assert(#children() == 0)
      ]])
    end)

    for words, prefix in pairs { ["SIGCHLD is ignored"] = "env --ignore-signal=CHLD",
      ["every signal is blocked and ignored"] = "env --block-signal --ignore-signal" } do
      it("where " .. words .. " #slow", function()
        outside.lua(WHO .. [[
          check(box, 2)
          check(cella.container { hostname = "moon", init = false }, 1)
          assert(box:run(function() os.exit(3) end).code == 3)
          assert(box:run(function() os.execute "kill -9 $PPID" end).signal == "kill")
          assert(box:run { function() while true do end end, timeout = 2 }.reason == "timeout")
          local result, err = box:run { who, cwd = "/nonexistent" }
          assert(result == nil and err.code == "ENOENT")
          local target = assert(box:spawn { "sleep", "60", stdin = "null", stdout = "null", stderr = "null" })
          local function of(name) return { path = ("/proc/%d/ns/%s"):format(target.pid, name) } end
          local ok, problem = pcall(check, cella.container { namespaces = { user = of "user", mount = of "mnt",
            pid = of "pid", uts = of "uts", ipc = of "ipc", net = of "net", cgroup = of "cgroup" } }, 3)
          target:close()
          assert(ok, problem)
          collectgarbage()
          assert(wait_for(function() return #children() == 0 end))
        ]], { prefix = prefix })
      end)
    end

    it("from a coroutine, from a finalizer and from a callback in C", function()
      outside.lua(WHO .. [[
        coroutine.wrap(function()
          check(box, 2)
          coroutine.yield()
        end)()
        local done
        -- LuaJIT makes no traces while a finalizer runs, and for ever leaves and enters those of a loop over pairs that
        -- need another: 2.1.0-beta3 of March 2022 does, in five lines of Lua.
        if portable.jit then
          require("jit").off()
          require("jit").flush()
        end
        do portable.finalized(function() check(box, 2) done = true end) end
        collectgarbage()
        assert(done)
        if portable.jit then require("jit").on() end
        table.sort({ 2, 1 }, function(a, b) check(box, 2) return a < b end);
        ("x"):gsub(".", function() check(box, 2) end)
      ]])
    end)

    it("from a hook, while a child that shares the caller's memory waits", function()
      local inner
      local outer = cella.container { hooks = { created = function()
        inner = run({ mounts = { PROC }, nesting = true }, function()
          sys.dumpable(true)
          return cella.container({}):run({ "true" }).code, sys.get_dumpable()
        end)
        return true
      end } }
      assert.equal(0, outer:run({ "true" }).code)
      assert.is_nil(inner.error)
      assert.same({ n = 2, 0, true }, inner.values)
    end)

    it("in a container that is entered, and with the hooks and limits of a program", function()
      local box = cella.container { hostname = "moon" }
      local target = trial.hold(box:spawn { "sleep", "60", stdin = "null" })
      -- Where the interpreter may belong to somebody in there it is not brought in.
      local hidden = assert(target:enter { copy = true })
      local _, err = hidden:run(function() return 1 end)
      assert.equal(interpreter.is_exposed(hidden.description.target:maps(), facts.facts()), err ~= nil)
      if err then assert.equal("call", err.op) end
      hidden:close()
      local entrance = assert(target:enter { exceed = { "interpreter" }, copy = true })
      assert.same({ n = 2, "moon", 5 }, assert(entrance:run(function(x) return sys.gethostname(), x end, 5)).values)
      entrance:close()
      -- Nor is a copy of the caller's memory, unless that is said.
      entrance = assert(target:enter { exceed = { "interpreter" } })
      local result
      result, err = entrance:run(function() return 1 end)
      assert.is_nil(result)
      assert.equal("call", err.op)
      assert.truthy(err.why:find("`copy = true`", 1, true), err.why)
      entrance:close()
      result = run({}, { function() while true do print(("x"):rep(1000)) end end, stdout = "capture",
        output_limit = 5000 })
      assert.equal("output", result.reason)
      -- What is returned is no output.
      assert.equal(10000, #run({}, { function() return ("x"):rep(10000) end, output_limit = 100 }).values[1])
      local told
      run({ hooks = { exited = function(ended) told = ended.values[1] end } }, function() return "told" end)
      assert.equal("told", told)
    end)

    it("from a large heap, and leaves it as it is #slow", function()
      outside.lua(WHO .. [[
        local heap = {}
        for i = 1, 200 do heap[i] = ("x"):rep(1048576) .. i end
        check(box, 2)
        local result = assert(box:run(function()
          heap = nil
          collectgarbage()
          return collectgarbage "count" < 50000
        end))
        assert(result.values[1] == true)
        assert(#heap == 200 and #heap[200] == 1048576 + 3)
      ]])
    end)

    it("many times at once #slow", function()
      local box, processes = cella.container {}, {}
      for i = 1, 16 do processes[i] = assert(box:spawn(function(n) return n * n end, i)) end
      for i = 16, 1, -1 do assert.equal(i * i, processes[i]:wait().values[1]) end
    end)

    it("where descriptors are scarce, and where there are many", function()
      outside.lua([[
        local files = {}
        for i = 1, 300 do files[i] = assert(io.open "/etc/passwd") end
        local box = cella.container { rlimits = { nofile = 64 }, init = false }
        local result = assert(box:run(function() return io.open "/etc/passwd" ~= nil end))
        assert(result.values, tostring(result.lost))
        box = cella.container { rlimits = { nofile = 3 }, init = false }
        result = assert(box:run(function() return io.open "/etc/passwd" == nil end))
        assert(result.values[1], tostring(result.error or result.lost))
      ]])
    end)

    it("where libc knows its thread by a number, which is that of the copy", function()
      local library, problem = helper.library()
      if not library then return pending(problem) end
      outside.lua([[
        local library = ...
        local end_if_known = assert(package.loadlib(library, "end_if_known"))
        local result = assert(cella.container({}):run(function() end_if_known() end))
        assert(result.reason == "signaled" and result.signal == "term", tostring(result))
      ]], { arguments = { library } })
    end)

    it("not with other threads: it is refused before anything is done", needs("plain_memory", function()
      local library, problem = helper.library()
      if not library then return pending(problem) end
      local name = path "not-opened"
      local message = outside.lua([[
        local library, name = ...
        local box = cella.container {}
        assert(box:run(function() end).values) -- the control
        host(library, "start_thread")
        local result, err = box:run { function() end, stdout = { path = name } }
        assert(result == nil and err.op == "call")
        assert(box:run { "true" }.code == 0) -- a program may still be run
        return tostring(err)
      ]], { arguments = { library, name } })
      assert.truthy(message:find("call: this process has other threads", 1, true), message)
      assert.is_nil(io.open(name))
    end))
  end)

  describe("in examples/function.lua", function()
    -- What AddressSanitizer has mapped is more than any limit.
    local function example(text, chunk, code, output, problem)
      it(text .. " #slow", needs("plain_memory", function()
        local result = trial.host { "/bin/sh", "-c",
          ("%s examples/function.lua %s"):format(trial.interpreter(), trial.quote(chunk)) }
        assert.equal(code, result.status, result.stderr)
        assert.equal(output, result.stdout)
        if problem then assert.truthy(result.stderr:find(problem), result.stderr) end
      end))
    end

    example("a chunk's values are shown", "return 6 * 7, { 'a', x = true }, nil", 0,
      '42\n{ ["x"] = true, [1] = "a" }\nnil\n')
    example("a chunk has a file system of its own", "local f = io.open('/tmp/x', 'w') f:write('kept') f:close() "
      .. "for line in io.lines '/tmp/x' do print(line) end", 0, "kept\n")
    example("a chunk finds no file of the host's", "return io.open '/etc/passwd'", 0,
      'nil\n"/etc/passwd: No such file or directory"\n2\n')
    example("a chunk has nothing of the caller's", "return box, require, debug, os.exit, package", 0,
      ("nil\n"):rep(5))
    example("a chunk that fails is told why", "error 'x'", 1, "", "^chunk:1: x\nstack traceback:")
    example("a chunk has a bound for memory", "return ('x'):rep(1e9)", 1, "", "^not enough memory")
    example("a chunk has a bound for its results", "return ('x'):rep(2^21)", 1, "", "more than result_limit")
    example("a chunk has a bound for time", "while true do end", 1, "", "ended %(timeout%)")
    it("a chunk's tables are shown to an end, which some have not #slow", needs("plain_memory", function()
      for _, chunk in ipairs { "local t = {} t[1] = t return t",
        "local t = {} for i = 1, 60 do t = { t, t } end return t",
        "local s, t = ('x'):rep(9e5), {} t.a = { s } for i = 1, 500 do t[i] = t.a end return t" } do
        local result = trial.host { "/bin/sh", "-c",
          ("%s examples/function.lua %s"):format(trial.interpreter(), trial.quote(chunk)) }
        assert.equal(0, result.status, result.stderr)
        assert.is_true(#result.stdout < 4e6)
        assert.matches("...", result.stdout, 1, true)
      end
    end))
    example("a chunk that is none is told so", "x =", 1, "", "unexpected symbol")
  end)

  describe("is said", function()
    it("on the command line, where its error is shown", function()
      local name = path "box.lua"
      trial.write(name, "return cella.container { command = function() error 'bad luck' end }")
      trial.write(name, "local cella = require 'cella'\n" .. trial.read(name))
      local result = trial.cella { "run", name }
      assert.equal(1, result.status)
      assert.truthy(result.stderr:find("^cella: [^\n]*box.lua:2: bad luck\nstack traceback:"), result.stderr)
      trial.write(name, "return { command = function() print 'said' os.exit(9) end }")
      result = trial.cella { "run", name }
      assert.same({ 9, "said\n", "" }, { result.status, result.stdout, result.stderr })
    end)

    it("as the container's command, with its arguments", function()
      local function f(...) return select("#", ...), ... end
      assert.same({ n = 1, 0 }, assert(cella.container({ command = f }):run()).values)
      assert.same({ n = 3, 2, "a", "b" }, assert(cella.container({ command = { f, "a", "b" } }):run()).values)
    end)

    it("in the printed plan, as the last step", function()
      local function f() end
      local plan = cella.container({ environment = { A = "b" } }):plan(f)
      local steps = plan:steps()
      assert.truthy(steps[#steps].text:find(
        '^call%("function at [^"]*function_spec.lua:%d+", {"A=b", .*"PATH=[^"]*".*}%)$'))
      assert.equal("call", steps[#steps].op)
      assert.truthy(tostring(cella.plan():call(print)):find('call("function in C"', 1, true))
    end)

    it("in a plan of one's own, which can be run again", function()
      local n = 0
      local plan = cella.plan():call(function(...) return n, ... end, "x")
      assert.same({ n = 2, 0, "x" }, assert(plan:run()).values)
      n = 1
      assert.same({ n = 2, 1, "x" }, assert(plan:run()).values)
      assert.is_false((pcall(plan.umask, plan, 0)))
      assert.is_false((pcall(plan.call, plan, print)))
      assert.is_false((pcall(plan.exec, plan, { "true" })))
    end)

    it("without mistakes, which are named", function()
      local box = cella.container {}
      local function f() end
      local function says(message, ...)
        assert.truthy(trial.raised(...):find(message, 1, true), trial.raised(...))
      end
      says("command.stdou: unknown key; did you mean 'stdout'?", box.run, box, { f, stdou = "capture" })
      says("command.timeout: seconds", box.run, box, { f, timeout = "5" })
      says("command.result_limit: an integer from 0 to 1073741824", box.run, box, { f, result_limit = -1 })
      says("command[2]: missing; if it is to be nil, give `n`", box.run, box, { f, nil, 3 })
      says("command.n: 2, and there is an item 3", box.run, box, { f, nil, 3, n = 2 })
      says("command[1.5]: unknown key", box.run, box, { f, [1.5] = 1 })
      says("command[inf]: unknown key", box.run, box, { f, [math.huge] = 1 })
      says("command[0]: unknown key", box.run, box, { f, [0] = 1 })
      says("command[1]: a string or a number expected, got a table", box.run, box, { {} })
      says("command[2]: a string or a number expected, got a function", box.run, box, { "true", f })
      says("command: a plain table expected", cella.container, { command = setmetatable({ f }, {}) })
      says("command.cwd: an absolute path expected", cella.container, { command = { f, cwd = "tmp" } })
      says("command: a function, or a list of one and its arguments expected", cella.plan().call, cella.plan(), "true")
    end)

    it("to the core in full: a plan with a call is launched with a function", function()
      local recorder = core.recorder()
      recorder:record("call", "nothing")
      assert.is_false((pcall(core.launch, recorder, {}, {})))
      assert.is_false((pcall(core.copy.leave, 0)))
      assert.is_false((pcall(core.copy.guard)))
      assert.is_false((pcall(core.copy.deliver, 1, "")))
    end)
  end)
end)
