-- box:worker against sources that mean harm: each ends its own call at most, it is said why, and the next call is
-- answered. `tame` does nearly the same and succeeds: what is refused is the harm.

local cella = require "cella"
local core = require "cella.core"
local trial = require "spec.support.trial"

local ALL = { "base", "coroutine", "debug", "io", "math", "os", "package", "string", "table" }
-- The interpreter of the specs with sanitizers takes more of the address space than any limit of memory allows.
local INTERPRETER = (os.getenv "CELLA_BUILD" or ""):find "sanitized" and "/usr/bin/lua5.4" or nil

local PATIENT = 60 -- seconds, where it is not about the time

local HOSTILE = {
  { name = "an endless loop", reason = "timeout", timeout = 0.2,
    bad = "while true do end", tame = "for i = 1, 1000 do end" },
  { name = "a loop that catches what is raised in it", reason = "timeout", timeout = 0.2,
    bad = "while true do pcall(function() while true do end end) end", tame = "pcall(error)" },
  { name = "a loop of coroutines", reason = "timeout", timeout = 0.2,
    bad = "while true do coroutine.wrap(function() coroutine.yield() end)() end",
    tame = "coroutine.wrap(function() coroutine.yield() end)()" },
  { name = "coroutines in coroutines", reason = "error memory signaled",
    bad = "local function f() return coroutine.wrap(f)() end f()",
    tame = "local function f(n) return n > 0 and coroutine.wrap(f)(n - 1) end f(10)" },
  { name = "one that yields to whoever called it", reason = "error",
    bad = "coroutine.yield(1)", tame = "coroutine.wrap(function() coroutine.yield(1) end)()" },
  { name = "a table without end #slow", reason = "memory",
    bad = "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    tame = "local t = {} for i = 1, 99 do t[i] = i end" },
  { name = "string.rep", reason = "memory", bad = "local s = ('x'):rep(1e9)", tame = "local s = ('x'):rep(1e4)" },
  { name = "a string that doubles", reason = "memory",
    bad = "local s = 'x' while true do s = s .. s end", tame = "local s = 'x' for i = 1, 10 do s = s .. s end" },
  { name = "a pattern", reason = "timeout", timeout = 0.2,
    bad = "string.find(('a'):rep(30), ('a-'):rep(30) .. 'b')", tame = "string.find(('a'):rep(10), 'a-b')" },
  { name = "a recursion", reason = "error memory",
    bad = "local function f() return 1 + f() end f()",
    tame = "local function f(n) return n > 0 and 1 + f(n - 1) or 1 end f(100)" },
  { name = "an error that is an endless loop to print", reason = "timeout", timeout = 0.2,
    bad = "error(setmetatable({}, { __tostring = function() while true do end end }))",
    tame = "pcall(error, setmetatable({}, { __tostring = function() return 'x' end }))" },
  { name = "a finalizer that never ends", reason = "timeout", timeout = 0.2,
    bad = [[
      local function never() while true do end end
      if newproxy then getmetatable(newproxy(true)).__gc = never end
      setmetatable({}, { __gc = never })
      collectgarbage()
      collectgarbage()
    ]], tame = "setmetatable({}, { __gc = print }) collectgarbage()" },
  { name = "os.exit", reason = "exited", code = 3, bad = "os.exit(3)", tame = "os.time()" },
  { name = "os.exit that succeeds", reason = "exited", code = 0, bad = "os.exit(0)", tame = "os.time()" },
  { name = "a crash", reason = "signaled", signal = "abrt",
    bad = "package.loadlib('libc.so.6', 'abort')()", tame = "package.loadlib('libc.so.6', 'abort')" },
  { name = "one that ends all processes", reason = "exited signaled timeout", timeout = 0.5,
    bad = "os.execute 'kill -9 -1' while true do end", tame = "os.getenv 'HOME'" },
  { name = "a flood of output", reason = "output",
    bad = "while true do print(('x'):rep(1000)) end", tame = "print 'x'" },
  { name = "a flood of output by io", reason = "output",
    bad = "while true do io.write(('x'):rep(1000)) io.stderr:write 'x' end",
    tame = "io.write 'x' io.stdout:write 'x'" },
  { name = "a hook that never ends", reason = "timeout", timeout = 0.2,
    bad = "debug.sethook(function() while true do end end, '', 1) local x = 1",
    tame = "debug.sethook(function() end, '', 1000000) debug.sethook()" },
  { name = "a hook that ends it where it returns", reason = "exited", code = 9,
    bad = "debug.sethook(function() os.exit(9) end, 'r')", tame = "debug.sethook()" },
  { name = "a forged answer", reason = "answer",
    bad = "local f = io.open('/proc/self/fd/1', 'w') f:write('0000000005hello') f:close() while true do end",
    tame = "local f = io.open('/dev/null', 'w') f:write('x') f:close()" },
  { name = "a forged answer in good form", reason = "answer",
    bad = [[
      local answer = "cella 1 vs\8\0\0\0" .. ("x"):rep(8) .. "tz"
      local f = io.open("/proc/self/fd/1", "w")
      f:write(("%010d"):format(#answer), answer)
      f:close()
      while true do end
    ]], tame = "local f = io.open('/dev/null', 'w') f:write('x') f:close()" },
  { name = "an answer that is larger than all", reason = "answer",
    bad = "local f = io.open('/proc/self/fd/1', 'w') f:write('9999999999') f:close() while true do end",
    tame = "return" },
  { name = "a flood of answers", reason = "answer",
    bad = "local f = io.open('/proc/self/fd/1', 'w') while true do f:write(('0'):rep(100)) end", tame = "return" },
  { name = "an answer that does not end", reason = "timeout", timeout = 0.3,
    bad = "local f = io.open('/proc/self/fd/1', 'w') f:write('0000100000') f:flush() while true do end",
    tame = "return" },
  { name = "one that reads what is the interpreter's", reason = "timeout", timeout = 0.3,
    bad = "return io.open('/proc/self/fd/0'):read('*a')", tame = "return io.read(1)" },
}

-- These succeed, and leave something behind for the next call.
local LATER = {
  { name = "a hook that raises later", bad = "debug.sethook(function() error 'later' end, '', 100)" },
  { name = "libraries that are taken away",
    bad = [[
      local pairs = pairs
      for _, t in pairs { string, table, math, os, io, coroutine, debug } do for k in pairs(t) do t[k] = nil end end
    ]] },
  { name = "methods of files that are taken away",
    bad = "local t = getmetatable(io.stderr).__index for k in pairs(t) do t[k] = nil end" },
  { name = "globals that are taken away", bad = "local all, next = _G, next for k in next, all do all[k] = nil end" },
  { name = "a metatable for strings", bad = "getmetatable('').__index = function() while true do end end" },
  { name = "streams that are closed", bad = "io.stderr:close() pcall(io.close) io.output():close()" },
  { name = "answers to what is asked later", breaks = true,
    bad = "local f = io.open('/proc/self/fd/1', 'w') f:setvbuf 'full' f:write('0000000005hello') kept = f" },
}

local FFI = {
  { name = "writes to where nothing is", reason = "signaled", signal = "segv", bad = "ffi.cast('int *', 8)[0] = 1" },
  { name = "closes the descriptor of answers", reason = "exited", bad = "ffi.cdef 'int close(int);' ffi.C.close(1)" },
  { name = "closes the descriptor of requests", bad = "ffi.cdef 'int close(int);' ffi.C.close(0)" },
  { name = "writes to the descriptor of answers", reason = "answer",
    bad = "ffi.cdef 'int write(int, const char *, size_t);' ffi.C.write(1, '0000000005hello', 15) while true do end" },
  { name = "makes a process", bad = "ffi.cdef 'int fork(void);' if ffi.C.fork() >= 0 then while true do end end" },
}

describe("of a hostile source a worker", function()
  local lacks = trial.lacks_user_namespaces()
  if lacks then return pending(lacks) end

  trial.around(before_each, after_each)

  local function worker(one, keys)
    keys.interpreter = keys.interpreter or INTERPRETER
    keys.timeout, keys.memory = one.timeout or PATIENT, keys.memory or "48M"
    local made = trial.hold(cella.container({}):worker(keys))
    assert(made:load("hostile", ("function bad() %s end function tame() %s end local n = 0 function count() n = n + 1 "
      .. "return n end"):format(one.bad, one.tame or "")))
    return made
  end

  local function check(one, made)
    local ok, err = made:pcall("hostile", "tame")
    assert.is_true(ok, tostring(err))
    assert.equal(1, (made:call("hostile", "count")))
    ok, err = made:pcall("hostile", "bad")
    if not one.reason then
      assert.is_true(ok, tostring(err))
    else
      assert.is_false(ok)
      local is_one = (" " .. one.reason .. " "):find(" " .. err.reason .. " ", 1, true)
      assert.is_truthy(is_one, err.reason .. ": " .. tostring(err))
      if one.code then assert.equal(one.code, err.result.code) end
      if one.signal then assert.equal(one.signal, err.result.signal) end
      -- And it is said which call.
      if err.reason ~= "error" then assert.matches("^hostile%.bad: ", err.message) end
    end
    local again = made:call("hostile", "count")
    local is_same = not one.reason or err and err.reason == "error"
    assert.is_true(again == 1 or is_same and again == 2, "it is neither new nor the same")
    assert.equal(again + 1, (made:call("hostile", "count")))
  end

  for _, one in ipairs(HOSTILE) do
    it("survives " .. one.name, function() check(one, worker(one, { libraries = ALL })) end)
  end

  for _, one in ipairs(LATER) do
    it("survives " .. one.name, function()
      local made = worker(one, { libraries = ALL })
      assert.is_true(made:load("other", "function f() return 5 end"))
      local ok, err = made:pcall("hostile", "bad")
      assert.is_true(ok, tostring(err))
      local five = made:pcall("other", "f")
      assert.is_true(five or one.breaks, "the next call is disturbed")
      assert.equal(5, (made:call("other", "f")))
    end)
  end

  describe("with ffi", function()
    if not core.inode "/usr/bin/luajit" then return pending "needs luajit" end
    for _, one in ipairs(FFI) do
      it("survives one that " .. one.name, function()
        check(one, worker(one, { interpreter = "/usr/bin/luajit", libraries = { "base", "ffi" } }))
      end)
    end
  end)

  it("takes no forged answer for that of a later call", function()
    local made = worker({ bad = [[
      local answer = "cella 1 vs\8\0\0\0" .. ("x"):rep(8) .. "i" .. ("\0"):rep(8) .. "z"
      local f = io.open("/proc/self/fd/1", "w")
      f:setvbuf "no"
      for i = 1, 50 do f:write(("%010d"):format(#answer) .. answer) end
    ]] }, { libraries = ALL })
    assert.is_true(made:load("other", "function f() return 'honest' end"))
    for _ = 1, 5 do
      assert.equal("answer", select(2, made:call("hostile", "bad")).reason)
      assert.equal("honest", (made:call("other", "f")))
    end
  end)

  it("refuses what would take too long to read", function()
    -- Numbers that all meet in one place of a table: each costs more than the one before, on both sides.
    local made = worker({ bad = [[
      local t = {}
      for i = 1, 40000 do t[i * 2 ^ 40] = true end
      return t
    ]] }, { libraries = ALL })
    local began = os.clock()
    local value, err = made:call("hostile", "bad")
    assert.is_nil(value)
    assert.matches("more than result_limit allows", err.message)
    assert.is_true(os.clock() - began < 5)
    assert.equal(1, (made:call("hostile", "count")))
  end)

  it("ends with its interpreter, whatever that starts", function()
    local made = worker({ bad = "os.execute 'sleep 1000 & sleep 1000 & exit 0'" }, { libraries = ALL })
    made:call("hostile", "bad")
    local pid = made.pid
    made:close()
    trial.wait_for(function() return not trial.runs(pid) end, "the interpreter to end")
  end)
end)
