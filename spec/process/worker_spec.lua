-- box:worker: what is called in there, what comes back, and how many are called at once.

local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local CQUEUES = (pcall(require, "cqueues"))
local LUV = (pcall(require, "luv"))

-- The interpreter of the specs with sanitizers takes more of the address space than any limit of memory allows.
local INTERPRETER = (os.getenv "CELLA_BUILD" or ""):find "sanitized" and "/usr/bin/lua5.4" or nil

local MINUS_ZERO = tonumber "-0.0" -- Lua 5.1 has one constant for both

local PLUGIN = [[
  local count = 0
  local M = {}
  function M.add(a, b) return a + b end
  function M.echo(...) return ... end
  function M.count() count = count + 1 return count end
  function M.boom() error("boom") end
  function M.value() error({ code = 5 }) end
  function M.silent() error(setmetatable({}, { __tostring = function() return "as it says" end })) end
  function M.nothing() end
  function M.unfit() return 1, { key = { "a", print } } end
  function M.cycle() local t = {} t.self = t return t, t end
  function M.large(size) return ("x"):rep(size) end
  function M.wait(seconds) local till = os.clock() + seconds while os.clock() < till do end return seconds end
  function M.endless() while true do end end
  function M.say(...) print(...) end
  function M.globals() local t = {} for name in pairs(_G) do t[name] = type(_G[name]) end return t end
  function M.fields(name) local t = {} for key in pairs(_G[name]) do t[key] = true end return t end
  function of_globals() return "global" end
  return M
]]

-- What should not be there, by other ways than its name.
local SEARCH = [[
  function look()
    local found = {}
    for _, t in ipairs { getfenv and getfenv(0) or {}, getmetatable("").__index, getfenv and getfenv(1) or {} } do
      for _, name in ipairs { "io", "debug", "package", "require", "dump", "execute" } do
        if t[name] then found[#found + 1] = name end
      end
    end
    return found
  end
]]

describe("a worker", function()
  local lacks = trial.lacks_user_namespaces()
  if lacks then return pending(lacks) end

  trial.around(before_each, after_each)

  local function worker(keys, description)
    keys = keys or {}
    keys.interpreter = keys.interpreter or INTERPRETER
    local one = trial.hold(cella.container(description or {}):worker(keys))
    assert.is_true(one:load("plugin", PLUGIN))
    return one
  end

  it("calls functions of what was loaded, of the table that it returns or else its globals", function()
    local one = worker()
    assert.equal(3, (one:call("plugin", "add", 1, 2)))
    assert.equal("global", (one:call("plugin", "of_globals")))
    assert.equal(0, select("#", one:call("plugin", "nothing")))
    assert.is_true(one:load("second", "function add(a, b) return a - b end"))
    assert.equal(-1, (one:call("second", "add", 1, 2)))
    assert.equal(3, (one:call("plugin", "add", 1, 2)))
    assert.is_true(one:load("second", "function add() return 'new' end"))
    assert.equal("new", (one:call("second", "add")))
  end)

  it("hands values over exactly, there and back", function()
    local one = worker()
    local count = select("#", one:call("plugin", "echo", nil, 1, nil))
    assert.equal(3, count)
    for _, value in ipairs { 0, 0.1, -1e308, 5e-324, 2.2250738585072014e-308, 1e-310, 1 / 3, 2 ^ 53, -3, 1 / 0, -1 / 0,
      true, false, "", "a\0\255\n", { 1, 2, { x = "y", [1.5] = false, [true] = {} }, n = 0 } } do
      assert.same(value, (one:call("plugin", "echo", value)))
    end
    assert.equal(-1 / 0, 1 / (one:call("plugin", "echo", MINUS_ZERO)))
    local nan = one:call("plugin", "echo", 0 / 0)
    assert.is_true(nan ~= nan)
    if math.type then
      assert.equal("integer", math.type((one:call("plugin", "echo", math.mininteger))))
      assert.equal(math.mininteger, (one:call("plugin", "echo", math.mininteger)))
      assert.equal("float", math.type((one:call("plugin", "echo", 1.0))))
    end
    local cycle, same = one:call("plugin", "cycle")
    assert.equal(cycle, cycle.self)
    assert.equal(cycle, same)
    local large = ("y"):rep(500000)
    assert.equal(large, (one:call("plugin", "echo", large)))
  end)

  it("tells of an error with its traceback, which ends where its caller is", function()
    local one = worker()
    local before = one:call("plugin", "count")
    local _, err = one:call("plugin", "boom")
    assert.equal("error", err.reason)
    assert.equal("plugin:6: boom", err.message)
    assert.matches("^plugin:6: boom\nstack traceback:\n", err.traceback)
    assert.matches("plugin:6:", err.traceback:match "traceback:(.*)")
    assert.is_nil(err.traceback:find "command line")
    _, err = one:call("plugin", "value")
    assert.same({ code = 5 }, err.value)
    _, err = one:call("plugin", "silent")
    assert.equal("as it says", err.message)
    -- The interpreter is the same.
    assert.equal(before + 1, (one:call("plugin", "count")))
    local ok
    ok, err = one:pcall("plugin", "boom")
    assert.is_false(ok)
    assert.equal("plugin:6: boom", err.message)
    assert.same({ true, 3 }, { one:pcall("plugin", "add", 1, 2) })
    assert.same({ true }, { one:pcall("plugin", "nothing") })
  end)

  it("names what is missing, and what is no Lua", function()
    local one = worker()
    local _, err = one:call("plugim", "add")
    assert.equal("missing", err.reason)
    assert.matches('nothing is loaded as "plugim"; did you mean "plugin"?', err.message, 1, true)
    _, err = one:call("plugin", "sub")
    assert.equal("missing", err.reason)
    assert.matches('there is no function "sub"', err.message, 1, true)
    assert.is_true(one:load("values", "return { number = 1, text = 'x', list = {}, no = false, "
      .. "like = setmetatable({}, { __call = function(_, one) return one + 1 end }) }"))
    for _, name in ipairs { "number", "text", "list", "no" } do
      err = select(2, one:call("values", name))
      assert.equal("missing", err.reason)
      assert.matches('there is no function "' .. name .. '"', err.message, 1, true)
    end
    assert.equal(2, one:call("values", "like", 1))
    local ok
    ok, err = one:load("broken", "x = = 1")
    assert.is_nil(ok)
    assert.equal("source", err.reason)
    assert.matches("^load broken: broken:1: ", err.message)
    ok, err = one:load("broken", "error 'at once'")
    assert.is_nil(ok)
    assert.equal("error", err.reason)
    _, err = one:call("broken", "add")
    assert.equal("missing", err.reason)
    -- What cannot be printed is not.
    assert.is_true(one:load("\27[31mred", "function f() error '\27[2J' end"))
    _, err = one:call("\27[31mred", "f")
    assert.is_nil(tostring(err):find "\27")
    assert.matches("\\x1b[2J", tostring(err), 1, true)
  end)

  it("takes text, and no bytecode, from the caller and inside", function()
    local one = worker()
    local bytecode = string.dump(function() return 1 end)
    local ok, err = one:load("bytes", bytecode)
    assert.is_nil(ok)
    assert.matches("bytecode", err.message)
    assert.is_true(one:load("inner", [[
      function with(text)
        local f, err = load(function() local t = text text = nil return t end)
        return f and f(), err
      end
      function string_too(text) local f, err = (loadstring or load)(text, "x", "b") return f and f(), err end
    ]]))
    for _, name in ipairs { "with", "string_too" } do
      local value, message = one:call("inner", name, bytecode)
      assert.is_nil(value)
      assert.matches("bytecode", message)
    end
    assert.equal(6, (one:call("inner", "with", "return 6")))
  end)

  it("says which argument is nothing that can be handed over", function()
    local one = worker()
    assert.matches("argument 2: a function has no meaning", trial.raised(function()
      one:call("plugin", "add", 1, print)
    end))
    local _, err = one:call("plugin", "unfit")
    assert.equal("return value 2.key[2]: a function has no meaning outside of the process that it is in", err.message)
    assert.equal(3, (one:call("plugin", "add", 1, 2)))
  end)

  it("bounds what is returned by result_limit", function()
    local one = worker { result_limit = 10000 }
    assert.equal(9000, #one:call("plugin", "large", 9000))
    local value, err = one:call("plugin", "large", 10000)
    assert.is_nil(value)
    assert.matches("more than result_limit allows", err.message)
    assert.equal(9000, #one:call("plugin", "large", 9000))
  end)

  describe("where there are many values", function()
    local MOST = _VERSION == "Lua 5.1" and 7000 or 200000

    local function many(count)
      local list = {}
      for i = 1, count do list[i] = true end
      return portable.unpack(list, 1, count)
    end

    local function ready()
      local one = worker { result_limit = 67108864, memory = "unlimited", timeout = 60 }
      assert.is_true(one:load("many", [[
        function give(count)
          local list = {}
          for i = 1, count do list[i] = true end
          return (table.unpack or unpack)(list, 1, count)
        end
        function count(...) return select("#", ...) end
      ]]))
      return one
    end

    it("hands over as many as fit on the stack of who calls, and says so of more", function()
      local one = ready()
      assert.equal(MOST, select("#", one:call("many", "give", MOST)))
      assert.equal(MOST + 1, select("#", one:pcall("many", "give", MOST)))
      local pid = one.pid
      for _, count in ipairs { MOST + 1, MOST + 900 } do
        local value, err = one:call("many", "give", count)
        assert.is_nil(value)
        assert.equal("error", err.reason)
        assert.matches(("^many.give: it returned %d values, and a call hands over %d at most"):format(count, MOST),
          err.message)
        assert.is_false((one:pcall("many", "give", count)))
        assert.is_true(one:start("many", "give", count))
        assert.equal("error", select(2, one:wait()).reason)
      end
      assert.equal(pid, one.pid)
    end)

    it("says so of what fits on no stack #slow", function()
      local one = ready()
      for _, count in ipairs { 999000, 5000000 } do
        local ok, err = one:pcall("many", "give", count)
        assert.is_false(ok)
        assert.equal("error", err.reason)
      end
    end)

    it("refuses more arguments than there may be", function()
      local one = ready()
      assert.equal(MOST, (one:call("many", "count", many(MOST))))
      if not portable.counts_varargs then return end
      for _, method in ipairs { "call", "pcall", "start" } do
        for _, count in ipairs { MOST + 1, portable.jit and MOST + 900 or 900000 } do
          assert.matches(("worker_spec.lua:%%d+: more than %d arguments"):format(MOST), trial.raised(function()
            one[method](one, "many", "count", many(count))
          end))
        end
      end
    end)
  end)

  it("has the libraries that compute, and no other", function()
    local one = worker()
    local globals = one:call("plugin", "globals")
    for _, name in ipairs { "string", "table", "math", "coroutine", "os" } do
      assert.equal("table", globals[name], name)
    end
    for _, name in ipairs { "pairs", "pcall", "load", "print" } do assert.equal("function", globals[name], name) end
    for _, name in ipairs { "io", "debug", "package", "require", "dofile", "loadfile", "ffi", "jit", "arg" } do
      assert.is_nil(globals[name], name)
    end
    assert.same({ clock = true, date = true, difftime = true, time = true }, one:call("plugin", "fields", "os"))
    assert.is_nil(one:call("plugin", "fields", "string").dump)
    -- Nor by another way.
    assert.is_true(one:load("search", SEARCH))
    assert.same({}, (one:call("search", "look")))
  end)

  it("has those that are named", function()
    local one = worker { libraries = { "base", "os", "io", "debug", "package", "string", "table" } }
    local globals = one:call("plugin", "globals")
    for _, name in ipairs { "os", "io", "debug", "package" } do assert.equal("table", globals[name], name) end
    assert.equal("function", globals.require)
    assert.is_nil(globals.math)
    assert.is_true(one:call("plugin", "fields", "os").execute)
    local few = worker { libraries = { "base.pairs", "base.type", "base.error" } }
    local names = {}
    for name in pairs(few:call("plugin", "globals") or {}) do names[#names + 1] = name end
    assert.same({}, names) -- there is no _G to be looked at
    local none, err = cella.container({}):worker { interpreter = INTERPRETER, libraries = { "base", "os.nothing" } }
    assert.is_nil(none)
    assert.equal("start", err.reason)
    assert.matches("has no os.nothing", err.message, 1, true)
  end)

  it("is another interpreter where one is named, with values alike", function()
    for _, name in ipairs { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "lua5.5", "luajit" } do
      local path = "/usr/bin/" .. name
      if core.inode(path) then
        local one = worker { interpreter = path }
        for _, value in ipairs { 0, 0.1, -1e308, 5e-324, 2.2250738585072014e-308, 1e-310, 2 ^ 53, -3, 1 / 0, -1 / 0,
          2 ^ -1022 } do
          assert.is_true(value == one:call("plugin", "echo", value), path .. ": " .. value)
        end
        assert.equal(-1 / 0, 1 / (one:call("plugin", "echo", MINUS_ZERO)))
        local nan = one:call("plugin", "echo", 0 / 0)
        assert.is_true(nan ~= nan)
        assert.same({ "a", x = { y = "\0" } }, (one:call("plugin", "echo", { "a", x = { y = "\0" } })))
        local _, err = one:call("plugin", "boom")
        assert.equal("plugin:6: boom", err.message)
        assert.is_nil(err.traceback:find "command line")
        assert.is_nil(one:load("bytes", "\27LJ"))
        assert.is_true(one:load("search", SEARCH))
        assert.same({}, (one:call("search", "look")))
      end
    end
    local none, err = cella.container({}):worker { interpreter = "/nowhere/lua" }
    assert.is_nil(none)
    assert.equal("start", err.reason)
    assert.equal("ENOENT", err.code)
    none, err = cella.container({}):worker { interpreter = "/bin/cat" }
    assert.is_nil(none)
    assert.equal("start", err.reason)
    assert.matches("exited with the status 1", err.message)
  end)

  it("is not a copy of the caller's memory, nor has its environment", function()
    _G.cella_worker_spec = "secret"
    local one = worker { libraries = { "base", "os", "io", "string" } }
    assert.is_nil((one:call("plugin", "globals").cella_worker_spec))
    assert.is_true(one:load("look", [[
      function environment(name) return os.getenv(name) end
      function status(field)
        for line in io.lines "/proc/self/status" do
          local value = line:match("^" .. field .. ":%s*(.-)%s*$")
          if value then return value end
        end
      end
      function readable(path) local file = io.open(path) if file then file:close() end return file ~= nil end
      function writable(path) local file = io.open(path .. "/cella-worker-spec", "w") return file ~= nil end
      function executes() local ok = os.execute "exit 0" return ok == true or ok == 0 end
      function routes() local n = 0 for _ in io.lines "/proc/net/dev" do n = n + 1 end return n - 2 end
    ]]))
    _G.cella_worker_spec = nil
    assert.is_nil((one:call("look", "environment", "LUA_CPATH")))
    assert.is_string(os.getenv "LUA_CPATH")
    assert.equal("1", (one:call("look", "status", "NoNewPrivs")))
    assert.matches("^0+$", (one:call("look", "status", "CapEff")))
    assert.is_true((one:call("look", "readable", "/usr/bin/env")))
    assert.is_false((one:call("look", "readable", "spec/process/worker_spec.lua")))
    assert.is_false((one:call("look", "writable", "/usr")))
    assert.equal(1, (one:call("look", "routes"))) -- lo
    -- One process: where that can be counted.
    if not one.description.rlimits.nproc then return end
    assert.is_false((one:call("look", "executes")))
    local free = trial.hold(cella.container({ rlimits = { nproc = 50 } }):worker { interpreter = INTERPRETER,
      libraries = { "os" } })
    assert.is_true(free:load("look",
      "function executes() local ok = os.execute 'exit 0' return ok == true or ok == 0 end"))
    assert.is_true((free:call("look", "executes")))
  end)

  it("is not made without a function that it was to have", function()
    for _, name in ipairs { "base.dofile", "base.loadfile", "base.require", "base.io", "base.nothing" } do
      local one, err = cella.container({}):worker { interpreter = INTERPRETER, libraries = { "base", name } }
      assert.is_nil(one, name)
      assert.equal("start", err.reason)
      assert.matches("has no " .. name .. ":", err.message, 1, true)
    end
    local one = worker { libraries = { "base.print", "base.load", "base.pairs" } }
    assert.is_true(one:load("look", "function kinds() return (print and load and pairs) ~= nil, tostring == nil end"))
    assert.same({ true, true }, { one:call("look", "kinds") })
  end)

  it("has one process also where its user has no limit: of the host's root nobody counts any", function()
    local source = [[
      function executes() local ok = os.execute "exit 0" return ok == true or ok == 0 end
      function opens() local pipe = io.popen "echo 1" return pipe and pipe:read "*l" end
    ]]
    local keys = { libraries = { "io", "os" } }
    local one = worker(keys, { ids = cella.policy.root() })
    assert.is_true(one:load("start", source))
    assert.is_false((one:call("start", "executes")))
    assert.is_nil((one:call("start", "opens")))
    local free = worker(keys, { ids = cella.policy.root(), rlimits = { nproc = 50 } })
    assert.is_true(free:load("start", source))
    assert.is_true((free:call("start", "executes")))
    assert.equal("1", (free:call("start", "opens")))
  end)

  it("has a filter of system calls, which leaves what its libraries need", function()
    local function filters(one) return tonumber((trial.status(one.pid, "Seccomp_filters"))) end
    local computing, free = worker(), worker(nil, { seccomp = false })
    assert.equal(filters(free) + 1, filters(computing))
    assert.equal("strict", computing.description.seccomp:name())
    local one = worker { libraries = { "base", "io" } }
    local policy = one.description.seccomp
    assert.same({ "EPERM", "EPERM", "allow", "EPERM", "allow" }, { policy:answer "mount", policy:answer("clone", 17),
      policy:answer("clone", 65536), policy:answer "vfork", policy:answer "openat" })
    local many = worker({ libraries = { "base", "io" } }, { rlimits = { nproc = 50 } })
    assert.equal("default", many.description.seccomp:name())
    assert.is_true(one:load("write", [[
      function write()
        local file, message = io.open("/tmp/file", "w")
        if file then file:close() end
        return file ~= nil, message
      end
    ]]))
    assert.is_true((one:call("write", "write")))
    -- What computes is not in the way of who would write.
    one = worker({ libraries = { "base", "io" } }, { seccomp = "strict" })
    assert.is_true(one:load("write", "function write() return (io.open('/tmp/file', 'w')) ~= nil end"))
    assert.is_false((one:call("write", "write")))
  end)

  it("has its output where that is to go", function()
    local lines = {}
    local one = worker { output = function(line) lines[#lines + 1] = line end }
    one:call("plugin", "say", "a line", 5)
    one:call("plugin", "add", 1, 2)
    for _ = 1, 100 do
      if #lines > 0 then break end
      one:call("plugin", "add", 1, 2)
    end
    assert.same({ "a line\t5" }, lines)
    -- The bound is that of each call.
    local bounded = worker { output_limit = 1000 }
    local pid = bounded.pid
    for _ = 1, 5 do assert.is_true((bounded:pcall("plugin", "say", ("x"):rep(700)))) end
    assert.equal(pid, bounded.pid)
    assert.is_true(bounded:load("loud", "function f() while true do print 'x' end end"))
    assert.equal("output", select(2, bounded:call("loud", "f")).reason)
    local closing
    closing = worker { output = function() closing:close() end }
    assert.is_true(closing:load("plugin", PLUGIN))
    local nothing, ended = closing:call("plugin", "say", "x")
    assert.is_nil(nothing)
    assert.equal("ended", ended.reason)
    assert.matches("the worker was closed", ended.message, 1, true)
    local raising = worker { output = function() error("not mine", 0) end }
    assert.equal("not mine", select(2, pcall(function()
      for _ = 1, 100 do raising:call("plugin", "say", "x") end
    end)))
    assert.equal(3, (raising:call("plugin", "add", 1, 2)))
  end)

  it("is begun again after what has ended it, with what was loaded, unless it is not to be", function()
    local one = worker { timeout = 0.2 }
    assert.equal(1, (one:call("plugin", "count")))
    assert.equal(2, (one:call("plugin", "count")))
    local first = one.pid
    assert.equal("timeout", select(2, one:call("plugin", "endless")).reason)
    assert.equal(1, (one:call("plugin", "count")))
    assert.is_true(one.pid ~= first)
    local never = worker { timeout = 0.2, restart = false }
    assert.equal(1, (never:call("plugin", "count")))
    assert.equal("timeout", select(2, never:call("plugin", "endless")).reason)
    local value, err = never:call("plugin", "count")
    assert.is_nil(value)
    assert.equal("ended", err.reason)
    assert.equal("timeout", err.cause.reason)
    -- One that somebody else has killed in between.
    first = one.pid
    trial.sh("kill -9 " .. first)
    trial.wait_for(function() return not trial.runs(first) end, "the interpreter to end")
    assert.equal(1, (one:call("plugin", "count")))
  end)

  it("refuses what makes no sense, with words", function()
    local box = cella.container {}
    for message, keys in pairs {
      ["worker.timout: unknown key; did you mean 'timeout'?"] = { timout = 1 },
      ["worker.timeout: more than 0 seconds expected"] = { timeout = 0 },
      ["worker.memory: an integer from 1048576"] = { memory = 5 },
      ["worker.libraries[1]: the string \"strin\" is not one of"] = { libraries = { "strin" } },
      ["worker.interpreter: an absolute path expected"] = { interpreter = "lua" },
      ["worker.output: \"null\", \"inherit\", a descriptor"] = { output = "capture" },
    } do
      assert.is_truthy(trial.raised(function() box:worker(keys) end):find(message, 1, true), message)
    end
    assert.matches("box:worker { ... } has a colon", trial.raised(function() box.worker {} end), 1, true)
    local one = worker()
    assert.matches("worker:call%(...%) has a colon", trial.raised(function() one.call("plugin", "add") end))
    assert.matches("nothing to wait for", trial.raised(function() box:worker({ interpreter = INTERPRETER }):wait() end))
    assert.is_true(one:start("plugin", "add", 1, 2))
    assert.matches("a call is under way", trial.raised(function() one:call("plugin", "add", 1, 2) end))
    assert.equal(3, (one:wait()))
    assert.equal(3, (one:wait()))
    one:close()
    one:close()
    assert.matches("the worker is closed", trial.raised(function() one:call("plugin", "add", 1, 2) end))
  end)

  it("is waited for with others, and with processes", function()
    local slow, quick = worker { timeout = 30 }, worker { timeout = 30 }
    assert.is_true(slow:start("plugin", "endless"))
    assert.is_true(quick:start("plugin", "add", 1, 2))
    local value, err = slow:wait(0)
    assert.is_nil(value)
    assert.equal("ETIMEDOUT", err.code)
    assert.same({ quick }, cella.wait { slow, quick })
    assert.equal(3, (quick:wait()))
    local process = trial.hold(cella.container({}):spawn { "true" })
    assert.same({ process }, cella.wait { slow, process })
    local none
    none, err = cella.wait({ slow }, 0)
    assert.is_nil(none)
    assert.equal("ETIMEDOUT", err.code)
    slow:close()
    assert.is_truthy(trial.raised(function() cella.wait { 5 } end):find "a process expected")
  end)

  it("has one descriptor for a loop of the caller's, across interpreters", function()
    local one = worker { timeout = 0.3 }
    local fd = one:pollfd()
    local function finish()
      while not one:step() do
        assert.equal(fd, one:pollfd())
        assert.is_true(#core.poll({ fd }, 20) > 0, "it is never readable")
      end
      assert.same({ fd }, core.poll({ fd }, 0))
      return one:wait(0)
    end
    assert.is_true(one:start("plugin", "count"))
    assert.equal(1, (finish()))
    assert.is_true(one:start("plugin", "endless"))
    assert.equal("timeout", select(2, finish()).reason)
    assert.is_true(one:start("plugin", "count"))
    assert.equal(1, (finish()))
    one:close()
    assert.is_nil(one:pollfd())
  end)

  it("ends with its handle, and with its process", function()
    local one = assert(cella.container({}):worker { interpreter = INTERPRETER })
    local pid = one.pid
    assert.is_true(trial.runs(pid))
    one = nil -- luacheck: ignore 311
    portable.collect()
    trial.wait_for(function() return not trial.runs(pid) end, "the interpreter to end")
  end)

  it("is no worker in a copy of the process that has it", function()
    local one = worker()
    local result = assert(cella.container({}):run { function()
      local _, err = one:call("plugin", "add", 1, 2)
      return err.code
    end })
    assert.equal("ECHILD", result.values and result.values[1] or tostring(result.error or result.lost))
    assert.equal(3, (one:call("plugin", "add", 1, 2)))
  end)

  it("leaves nothing after 10,000 calls and 30 interpreters #slow", function()
    local one = worker { timeout = 20, libraries = { "base", "os.exit", "os.clock", "string" } }
    assert.is_true(one:load("leave", "function leave() os.exit(3) end"))
    local function resident() return tonumber((trial.status(one.pid, "VmRSS"):match "%d+")) end
    local function descriptors()
      local count = 0
      for number = 0, 1023 do
        if core.is_open(number) then count = count + 1 end
      end
      return count
    end
    for _ = 1, 500 do one:call("plugin", "echo", { "some", values = { 1, 2 } }) end
    portable.collect()
    local memory, theirs, open = collectgarbage "count", resident(), descriptors()
    for i = 1, 10000 do
      local value = one:call("plugin", "echo", { "some", values = { 1, i } })
      if value.values[2] ~= i then error(("call %d got the answer of another"):format(i)) end
    end
    portable.collect()
    assert.is_true(collectgarbage "count" < memory + 100, "the caller has grown (KiB)")
    assert.is_true(resident() < theirs + 2048, "the interpreter has grown (KiB)")
    assert.equal(open, descriptors())
    for _ = 1, 30 do assert.equal("exited", select(2, one:call("leave", "leave")).reason) end
    assert.equal(3, (one:call("plugin", "add", 1, 2)))
    portable.collect()
    assert.equal(open, descriptors())
    assert.is_true(collectgarbage "count" < memory + 300, "the caller has grown (KiB)")
  end)
end)

describe("many workers in one loop", function()
  local lacks = trial.lacks_user_namespaces()
  if lacks then return pending(lacks) end

  trial.around(before_each, after_each)

  local PREPARED = [[
    local function workers(count)
      local list, box = {}, cella.container {}
      for i = 1, count do
        list[i] = assert(box:worker { timeout = i == 1 and 0.3 or 30 })
        assert(list[i]:load("source", "function hang() while true do end end "
          .. "function work(n) local s = 0 for i = 1, n do s = s + i end return s end"))
      end
      return list
    end
  ]]

  it("of cqueues, where one hangs", function()
    if not CQUEUES then return pending "needs cqueues (Debian: lua-cqueues)" end
    local sums, reason = outside.lua(PREPARED .. [[
      local cqueues = require "cqueues"
      local list, sums, reason = workers(4), {}, nil
      local loop = cqueues.new()
      local function call(one, ...)
        assert(one:start(...))
        while not one:step() do cqueues.poll(one) end
        return one:wait(0)
      end
      loop:wrap(function() reason = select(2, call(list[1], "source", "hang")).reason end)
      for i = 2, 4 do
        loop:wrap(function()
          for n = 1, 20 do sums[i - 1] = (sums[i - 1] or 0) + call(list[i], "source", "work", n) end
        end)
      end
      assert(loop:loop())
      return sums, reason
    ]])
    assert.equal("timeout", reason)
    assert.same({ 1540, 1540, 1540 }, sums)
  end)

  it("of luv, where one hangs", function()
    if not LUV then return pending "needs luv (Debian: lua-luv)" end
    local sums, reason = outside.lua(PREPARED .. [[
      local uv = require "luv"
      local list, sums, reason = workers(3), {}, nil
      local function call(one, name, argument, done)
        assert(one:start("source", name, argument))
        local poll = uv.new_poll(one:pollfd())
        poll:start("r", function()
          if not one:step() then return end
          poll:stop()
          poll:close(function() done(one:wait(0)) end)
        end)
      end
      call(list[1], "hang", nil, function(_, err) reason = err.reason end)
      for i = 2, 3 do
        local function again(n, sum)
          sums[i - 1] = sum
          if n <= 10 then call(list[i], "work", n, function(result) again(n + 1, sum + result) end) end
        end
        again(1, 0)
      end
      uv.run()
      return sums, reason
    ]])
    assert.equal("timeout", reason)
    assert.same({ 220, 220 }, sums)
  end)
end)
