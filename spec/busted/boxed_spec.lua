-- cella.busted: bodies of tests in containers, and a report of busted's that tells of no difference.

local suite = require "spec.support.suite"
local trial = require "spec.support.trial"

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local has, has_not = suite.has, suite.has_not

-- With `it` and `describe` of busted's, or, where BOXED is set, of cella's.
local CHOICE = [[
local it = BOXED and require "cella.busted".it or it
]]

local ENDINGS = CHOICE .. [[
describe("a suite", function()
  local calls, up = 0, "up"
  before_each(function() calls = calls + 1 end)
  after_each(function() calls = calls + 1 end)
  it("passes", function()
    assert.equal("up", up)
    assert.equal(1, calls % 2)
  end)
  it("fails", function()
    local one = { 1, { 2 } }
    assert.same({ 1, { 3 } }, one)
  end)
  it("fails deep", function()
    local function inner() assert.equal(1, 2) end
    inner()
  end)
  it("fails with words", function() assert(false, "words") end)
  it("fails by name", function() require "busted".fail("told", 1) end)
  it("fails with a table", function() require "busted".fail { code = 1 } end)
  it("errs", function() error "bad luck" end)
  it("errs with a table", function() error { code = 2 } end)
  it("errs with an object", function() error(setmetatable({}, { __tostring = function() return "spoken" end })) end)
  it("errs without a place", function() error("no place", 0) end)
  it("errs in Lua", function() local nothing; return nothing.field end)
  it("is pending", function() pending "not yet" end)
  it("ends", function()
    finally(function() print "at last" end)
    assert.is_true(false)
  end)
  it("ends badly", function() finally(function() error "late" end) end)
  it("ends badly twice", function()
    finally(function() error "late" end)
    error "early"
  end)
  it("waits at its end", function() finally(function() pending "no" end) end)
  it("spies", function()
    local s = spy.new(function() end)
    s(1)
    assert.spy(s).was.called_with(2)
  end)
  it("nests", function() it("in a test", function() end) end)
  pending "is to be written"
end)
]]

describe("cella.busted", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function() directory = trial.directory() end,
    function() trial.remove_directory(directory) end)

  local function run(files, arguments, prefix)
    suite.write(directory, files)
    return suite.run(directory, arguments or "x_spec.lua", prefix)
  end

  it("gives the report that there is without it, however the tests are boxed", function()
    local plain, status = run({ ["x_spec.lua"] = ENDINGS }, "-v x_spec.lua")
    has(plain, "2 successes / 7 failures / 9 errors / 2 pending", "x_spec.lua:12: Expected objects to be the same.",
      "x_spec.lua:15: Expected objects to be equal.", "late", "early", "at last", "spoken")
    assert.equal(1, status)
    for _, how in ipairs { "-e 'BOXED = true'", "--helper=cella.busted" } do
      local boxed, boxed_status = suite.run(directory, how .. " -v x_spec.lua")
      assert.same(lines(plain), lines(boxed))
      assert.equal(1, boxed_status)
    end
  end)

  it("says how a test ended that did not return", function()
    local report, status = run { ["x_spec.lua"] = [[
      local boxed = require "cella.busted"
      boxed.it("leaves", function() os.exit(3) end)
      boxed.it("leaves as if all were well", function() os.exit(true) end)
      boxed.it("crashes", function() os.execute "kill -SEGV $PPID" end)
      boxed.it("hangs", { timeout = 3 }, function() while true do end end)
      boxed.it("writes", { output_limit = 1000, stdout = "capture" }, function() print(("x"):rep(2000)) end)
      boxed.it("goes on", function() end)
    ]] }
    has(report, "1 success / 5 failures / 0 errors / 0 pending",
      "x_spec.lua:2: the test left by os.exit, with the status 3\n",
      "x_spec.lua:3: the test left by os.exit, with the status 0\n",
      "x_spec.lua:4: the test was killed by SIGSEGV (11)\n",
      "x_spec.lua:5: the test was killed: it took longer than 3 s\n",
      "x_spec.lua:6: the test was killed: it wrote more than 1000 bytes\n")
    assert.equal(1, status)
  end)

  it("does not say that a test has left which could not come to its end", function()
    local report = run({ ["x_spec.lua"] = [[
      local boxed, exit = require "cella.busted", os.exit
      boxed.it("empties", function() local all = _G for name in next, all do all[name] = nil end end)
      boxed.it("is hooked", function() debug.sethook(function() error "hooked" end, "l") end)
      boxed.it("closes", function() exit(0, true) end)
      boxed.it("leaves", function() os.exit(7) end)
      boxed.it("closes descriptors", function()
        for number = 3, 255 do require("cella.sys").close(number) end
      end)
    ]] })
    has_not(report, "left by os.exit, with the status 125")
    has_not(report, "left by os.exit, with the status 1\n")
    has(report, "0 successes / 5 failures", "x_spec.lua:2: the test ended with the status 125, and could not say how",
      "x_spec.lua:5: the test left by os.exit, with the status 7",
      "x_spec.lua:6: the test ended with the status 125, and could not say how")
  end)

  it("has the beginning of words that are very long, and their place", function()
    local report = run({ ["x_spec.lua"] = [[
      local boxed = require "cella.busted"
      boxed.it("errs", { result_limit = 1048576 }, function() error("begin" .. ("x"):rep(30000000)) end)
      boxed.it("fails", { result_limit = 1048576 }, function() assert(false, "end" .. ("x"):rep(30000000)) end)
    ]] })
    has(report, "0 successes / 1 failure / 1 error", "x_spec.lua:2: beginxxxxx", "x_spec.lua:3: endxxxxx")
    has_not(report, "result_limit")
    assert.is_true(#report < 200000)
  end)

  it("leaves nothing behind", function()
    local text = "local outside = it\n" .. CHOICE .. [[
      it("works", function()
        local file = assert(io.open("made", "w"))
        file:close()
        assert(os.remove "there")
        assert(os.execute "mkdir -p deep/er && rm -r old && touch inner/new")
        assert.is_nil(io.open "there")
        table.insert(package.loaded, "left")
      end)
      outside("is alone", function() assert.is_nil(package.loaded[1]) end)
    ]]
    local files = { ["x_spec.lua"] = text, there = "there" }
    local function look() return trial.sh("cd " .. directory .. " && find . | sort") end
    trial.sh(("mkdir %s/old %s/inner"):format(directory, directory))
    suite.write(directory, files)
    local before = look()
    has((suite.run(directory, "-e 'BOXED = true' x_spec.lua")), "2 successes / 0 failures / 0 errors / 0 pending")
    assert.equal(before, look())
    -- The control.
    has((suite.run(directory, "x_spec.lua")), "1 success / 1 failure / 0 errors / 0 pending")
    assert.is_true(before ~= look())
  end)

  it("has of the host what is said, and no network", function()
    local outer = trial.directory()
    trial.write(outer .. "/secret", "x")
    local text = [[
      local boxed = require "cella.busted"
      local function look(command) return (io.popen(command):read "*a":gsub("%s+$", "")) end
      local secret = OUTER .. "/secret"
      describe("in a box", function()
        boxed.it("is root, with a home of its own", function()
          assert.equal("0", look "id -u")
          assert.equal("/tmp", os.getenv "HOME")
          assert.is_nil(os.getenv "TMPDIR")
          assert.equal("kept", os.getenv "OF_THE_CALLER")
          assert.equal("lo", look "sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev")
          assert.is_nil(io.open(secret))
        end)
        boxed.it("has what is mounted", { mounts = { { type = "bind", source = OUTER, destination = OUTER } },
          environment = { HOME = "/", OTHER = "o" } }, function()
          assert.truthy(io.open(secret))
          assert.equal("/ o kept", os.getenv "HOME" .. " " .. os.getenv "OTHER" .. " " .. os.getenv "OF_THE_CALLER")
        end)
        boxed.it("reads only", { directory = "readonly" }, function()
          assert.truthy(io.open "x_spec.lua")
          assert.is_nil(io.open("written", "w"))
        end)
        boxed.it("has no directory", { directory = false }, function() assert.is_nil(io.open "x_spec.lua") end)
        boxed.it("writes", { directory = "writable" }, function() assert(io.open("stays", "w")):close() end)
        boxed.it("loads", function() assert.equal("loaded", require "lib.later") end)
      end)
      it("is not in a box", function() assert.truthy(io.open(secret)) end)
    ]]
    trial.sh("mkdir " .. directory .. "/lib")
    trial.write(directory .. "/lib/later.lua", "return 'loaded'")
    local report = run({ ["x_spec.lua"] = text }, ("-e 'OUTER = %q' x_spec.lua"):format(outer),
      "env OF_THE_CALLER=kept TMPDIR=/nowhere")
    local stays = io.open(directory .. "/stays")
    trial.remove_directory(outer)
    has(report, "7 successes / 0 failures / 0 errors / 0 pending")
    assert(stays):close()
  end)

  local HOOKS = [[
    local boxed = require "cella.busted"
    SETUP
    BLOCK("hooks", function()
      local log = {}
      local function note(word) log[#log + 1] = word end
      setup(function() note "setup" end)
      teardown(function() print("left: " .. table.concat(log, " ")) end)
      before_each(function()
        note "before"
        global = "global"
        assert(io.open("made", "w")):close()
      end)
      after_each(function() print("after: " .. table.concat(log, " ")) end)
      it("sees them", function()
        note "test"
        assert.equal("global", global)
        assert(io.open "made")
      end)
      describe("inner", function()
        before_each(function() note "inner" end)
        it("sees both", function() assert.equal("setup before inner", table.concat(log, " ")) end)
      end)
      describe("bad before", function()
        before_each(function() error "too early" end)
        it("comes too late", function() print "reached" end)
      end)
      describe("bad after", function()
        after_each(function() error "too late" end)
        it("is good", function() end)
      end)
    end)
  ]]

  local function check_hooks(report)
    has(report, "after: setup before test\n", "after: setup before inner\n", "left: setup\n", "x_spec.lua:28: too late",
      "3 successes / 0 failures / 2 errors / 0 pending", "x_spec.lua:24: too early")
    has_not(report, "reached\n")
    assert.is_nil(io.open(directory .. "/made"))
  end

  it("runs before_each and after_each with the body, where they are written in what is boxed", function()
    local function with(setup, block, arguments)
      return (run({ ["x_spec.lua"] = HOOKS:gsub("SETUP", setup):gsub("BLOCK", block) }, arguments))
    end
    check_hooks(with("", "describe", "--helper=cella.busted x_spec.lua"))
    check_hooks(with("boxed.setup {}", "describe"))
    check_hooks(with("", "boxed.describe"))
    local plain = with("", "describe") -- the control
    has(plain, "2 successes / 1 failure / 2 errors / 0 pending", "left: setup before test before inner")
    assert(io.open(directory .. "/made")):close()
  end)

  it("refuses in hooks what busted refuses there", function()
    local text = [[
      describe("a", function()
        before_each(function() pending "later" end)
        it("is not reached", function() print "here" end)
      end)
      describe("b", function()
        after_each(function() pending "later" end)
        it("is good", function() end)
      end)
      describe("c", function()
        before_each(function() finally(function() print "here" end) end)
        it("is not reached", function() print "here" end)
      end)
      describe("d", function()
        before_each(function() value = 1 end)
        after_each(function() print("after: " .. tostring(value)) end)
        it("is good", function()
          assert.equal(1, value)
          value = 2
          finally(function() print("finally: " .. value) end)
        end)
        it("may wait", function() pending "later" end)
      end)
    ]]
    for _, arguments in ipairs { "x_spec.lua", "--helper=cella.busted x_spec.lua" } do
      local report, status = run({ ["x_spec.lua"] = text }, arguments)
      has(report, "2 successes / 0 failures / 3 errors / 1 pending", "finally: 2\n", "after: 1\n",
        "x_spec.lua:2: 'pending' not supported", "x_spec.lua:6: 'pending' not supported",
        "x_spec.lua:10: attempt to call")
      has_not(report, "here\n")
      has_not(report, "after: 2")
      assert.equal(1, status)
    end
  end)

  it("leaves hooks outside that are written outside, and shows the body what they did", function()
    local report = run { ["x_spec.lua"] = [[
      local boxed = require "cella.busted"
      local value = 0
      before_each(function() value = value + 1 end)
      after_each(function() print("outside: " .. value) end)
      boxed.it("is boxed", function()
        assert.equal(1, value)
        value = 10
      end)
      it("is not", function() assert.equal(2, value) end)
      boxed.describe("block", function()
        before_each(function() value = value * 100 end)
        it("is boxed", function() assert.equal(300, value) end)
      end)
    ]] }
    has(report, "outside: 1\n", "outside: 2\n", "outside: 3\n", "3 successes / 0 failures / 0 errors / 0 pending")
  end)

  it("takes keys of a suite, a file, a block and a test, the inner before the outer", function()
    local text = [[
      local boxed = require "cella.busted"
      boxed.setup { hostname = "file", environment = { A = "file", B = "file" } }
      local function name() return io.popen "hostname":read "*l" .. " " .. os.getenv "A" .. " " .. os.getenv "B" end
      it("has the file's", function() assert.equal("file file file", name()) end)
      boxed.describe("block", { hostname = "block", environment = { B = "block" } }, function()
        it("has the block's", function() assert.equal("block file block", name()) end)
        boxed.it("has its own", { hostname = "own" }, function() assert.equal("own file block", name()) end)
      end)
    ]]
    local report = run({ ["x_spec.lua"] = text, ["y_spec.lua"] = [[
      it("has the suite's", function() assert.equal("suite", io.popen "hostname":read "*l") end)
    ]] }, "--helper=cella.busted -Xhelper 'hostname = \"suite\", unavailable = \"failure\"' x_spec.lua y_spec.lua")
    has(report, "4 successes / 0 failures / 0 errors / 0 pending")
    suite.write(directory, { ["z_spec.lua"] = "it('hangs', function() while true do end end)" })
    report = suite.run(directory, "--helper=cella.busted -Xhelper 'timeout = 3' z_spec.lua")
    has(report, "0 successes / 1 failure / 0 errors / 0 pending", "it took longer than 3 s")
    -- A helper of one's own, and a file that has nothing of another's.
    suite.write(directory, { ["helper.lua"] = 'require "cella.busted".setup { hostname = "suite" }' })
    report = suite.run(directory, "--helper=helper.lua y_spec.lua")
    has(report, "1 success / 0 failures / 0 errors / 0 pending")
    report = suite.run(directory, "x_spec.lua y_spec.lua")
    has(report, "3 successes / 1 failure / 0 errors / 0 pending")
    -- In .busted, which is asked for names alone, too.
    suite.write(directory, { [".busted"] = [[return { default = { helper = "cella.busted",
      Xhelper = 'hostname = "suite"' } }]] })
    has((suite.run(directory, "y_spec.lua")), "1 success / 0 failures / 0 errors / 0 pending")
    has((suite.run(directory, "--list y_spec.lua")), "has the suite's\n")
  end)

  it("is not disturbed by stubs, and lets the body have them", function()
    local report = run { ["x_spec.lua"] = [[
      local boxed = require "cella.busted"
      local time = stub(os, "time")
      local open = stub(io, "open")
      local concat = stub(table, "concat")
      boxed.it("calls them", function()
        os.time()
        assert.is_nil(io.open "x_spec.lua")
        assert.stub(time).was.called(1)
        assert.stub(open).was.called(1)
        table.concat {}
      end)
      it("has them still", function() assert.stub(time).was_not.called() assert.is_nil(io.open "x_spec.lua") end)
      teardown(function()
        time:revert()
        open:revert()
        concat:revert()
      end)
    ]] }
    has(report, "2 successes / 0 failures / 0 errors / 0 pending")
  end)

  it("does nothing of the runner's twice", function()
    local report = run({ ["x_spec.lua"] = [[
      local guard = setmetatable({}, { __gc = function() print "finalized" end })
      io.write "buffered "
      it("prints", function() print("in the box " .. tostring(guard ~= nil)) end)
      it("leaves", function() os.exit(0) end)
    ]] }, "--helper=cella.busted x_spec.lua")
    for text, times in pairs { ["buffered "] = 1, ["in the box true\n"] = 1, ["0 errors"] = 1, ["Failure"] = 1 } do
      local _, count = report:gsub(text, "")
      assert.equal(times, count, text)
    end
    local _, count = report:gsub("finalized", "")
    assert.is_true(count <= 1, report)
  end)

  it("is pending where the host has no containers, or a failure, as asked", function()
    local text = [[
      local boxed = require "cella.busted"
      boxed.it("waits", function() print "UNBOXED" end)
      boxed.it("fails", { unavailable = "failure" }, function() print "UNBOXED" end)
      it("goes on", function() end)
    ]]
    local none = "unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"' sh"
    local report, status = run({ ["x_spec.lua"] = text }, "x_spec.lua", none)
    has(report, "1 success / 1 failure / 0 errors / 1 pending", "this host allows no such containers: ",
      "max_user_namespaces")
    has(report, "; what allows them: sysctl -w user.max_user_namespaces=")
    has_not(report, "; this box: ") -- which was refused for the same
    has_not(report, "UNBOXED")
    assert.equal(1, status)
    has((suite.run(directory, "x_spec.lua")), "3 successes / 0 failures") -- the control
  end)

  it("is an error where a box cannot be made as it is described", function()
    local report = run { ["x_spec.lua"] = [[
      require("cella.busted").it("is mistaken", { mounts = {
        { type = "bind", source = "/no/such/file", destination = "/mnt" } } }, function() print "UNBOXED" end)
    ]] }
    has(report, "0 successes / 0 failures / 1 error / 0 pending",
      "x_spec.lua:1: the box of this test cannot be started: ", "there is no such file or directory on the host")
    has_not(report, "UNBOXED")
  end)

  it("refuses what is no key and no test, where that is written", function()
    local statements = {
      { 'boxed.it("x", { timeut = 5 }, f)', "boxed.it: timeut: unknown key; did you mean 'timeout'?" },
      { 'boxed.it("x", { timeout = "5" }, f)', "command.timeout: seconds" },
      { 'boxed.describe("x", { hostname = 5 }, f)', "hostname: " },
      { 'boxed.setup { command = { "true" } }', "boxed.setup: command: the body of the test is what runs" },
      { 'boxed.it("x", { directory = true }, f)', 'directory: "overlay", "readonly", "writable"' },
      { 'boxed.it("x", { unavailable = "skip" }, f)', "unavailable: " },
      { 'boxed.it("x", 5, f)', "boxed.it: a table of keys of a container and of a command expected" },
      { "boxed.it(f)", "boxed.it: a name expected" },
      { 'boxed.it "x"', "boxed.it: a function expected as its body" },
    }
    local text, expected = 'local boxed = require "cella.busted"; local function f() end\n', {}
    for i, one in ipairs(statements) do
      text = ("%sprint(select(2, pcall(function() %s; end)))\n"):format(text, one[1])
      expected[i] = ("x_spec.lua:%d: %s"):format(i + 1, one[2])
    end
    local report = run { ["x_spec.lua"] = text }
    has(report, "0 successes / 0 failures / 0 errors / 0 pending")
    for _, words in ipairs(expected) do has(report, words) end
  end)

  it("has its boxes in a later file than the first that asks for it", function()
    local text = [[
      local boxed = require "cella.busted"
      local cella = require "cella"
      boxed.it("%s", { hostname = "moon" }, function() assert.equal("moon", io.popen "hostname":read()) end)
      it("sees its own cella in %s", function() assert.equal(cella, require "cella") end)
    ]]
    local files = {}
    for _, name in ipairs { "x", "y", "z" } do files[name .. "_spec.lua"] = text:format(name, name) end
    local all = "x_spec.lua y_spec.lua z_spec.lua"
    has(run(files, all), "6 successes / 0 failures / 0 errors")
    for _, filter in ipairs { "y", "z", "own" } do
      has(run(files, "--filter=" .. filter .. " " .. all), filter == "own" and "3 successes / 0 failures / 0 errors"
        or "2 successes / 0 failures / 0 errors")
    end
    -- Who has loaded all of it before anybody asks.
    files["x_spec.lua"] = "assert(require('cella').container {}:run(function() end)) it('x', function() end)"
    has(run(files, "--filter=z " .. all), "2 successes / 0 failures / 0 errors")
  end)

  it("tells busted that place too, where nobody catches it", function()
    for _, statement in ipairs { 'boxed.it("x", { timeut = 5 }, f)', "boxed.it(f)", "boxed.setup { command = 1 }",
      'boxed.describe("x", 5, f)' } do
      local report = run { ["x_spec.lua"] = ('local boxed = require "cella.busted"; local function f() end\n\n%s;\n')
        :format(statement) }
      has(report, "0 successes / 0 failures / 1 error / 0 pending", "Error -> x_spec.lua @ 3\n", "x_spec.lua:3: boxed.")
      has_not(report, "busted.lua")
    end
  end)

  it("has words for what is raised whose own __tostring has none", function()
    local report = run { ["x_spec.lua"] = [[
      local boxed = require "cella.busted"
      local function object(f) return setmetatable({ 1 }, { __tostring = f }) end
      boxed.it("raises", function() error(object(function() error "while it was told" end)) end)
      boxed.it("returns nothing", function() error(object(function() end)) end)
      boxed.it("returns a table", function() error(object(function() return {} end)) end)
      boxed.it("is pending without words", function() pending() end)
    ]] }
    -- What returns no text has raised from Lua 5.3 on.
    local raises = not pcall(tostring, setmetatable({}, { __tostring = function() return {} end }))
    has(report, raises and "0 successes / 0 failures / 4 errors / 0 pending"
      or "0 successes / 0 failures / 3 errors / 1 pending", "x_spec.lua:3: while it was told", "x_spec.lua:4: ",
      "x_spec.lua:5: " .. (raises and "'__tostring' must return a string" or "__tostring: a string expected"),
      "x_spec.lua:6: ")
    has_not(report, "body.lua")
    has_not(report, "error in error handling")
  end)

  it("boxes a test and its hooks whatever else is subscribed to busted's events", function()
    local channels = [[
      local busted = require "busted"
      local subscribe = busted.subscribe
      %s
      for _, channel in ipairs { { "test", "start" }, { "test" }, { "file", "start" }, { "describe", "start" },
        { "register", "before_each" } } do
        local is_hook = channel[1] == "register"
        local stop = function() return nil, is_hook end
        subscribe(channel, stop, { priority = 1 })
        busted.subscribe(channel, stop, { priority = 1 })
      end
    ]]
    local block = [[
      local boxed = require "cella.busted"
      local function name() return io.popen "hostname":read "*l" end
      boxed.describe("a block", { hostname = "moon" }, function()
        local before
        before_each(function() before = name() end)
        it("is boxed", function() assert.equal("moon moon", before .. " " .. name()) end)
      end)
      boxed.it("is boxed", { hostname = "moon" }, function() assert.equal("moon", name()) end)
      it("is not", function() assert.not_equal("moon", name()) end)
    ]]
    local function report_of(text) return (run({ ["x_spec.lua"] = text })) end
    has(report_of(channels:format('require("cella.busted").setup { hostname = "moon" }') .. [[
        before_each(function() assert.equal("moon", io.popen "hostname":read "*l") end)
        it("is boxed", function() assert.equal("moon", io.popen "hostname":read "*l") end)
      ]]), "1 success / 0 failures / 0 errors")
    has(report_of(channels:format "" .. block), "3 successes / 0 failures / 0 errors")
    has(report_of(block .. channels:format ""), "3 successes / 0 failures / 0 errors")
  end)

  it("says so where no busted runs", function()
    local result = trial.host { "/bin/sh", "-c", trial.interpreter()
      .. [[ -e 'require("cella.busted").it("x", function() end)' 2>&1]] }
    has(result.stdout, "boxed.it: no busted is running")
    assert.equal(1, result.status)
  end)
end)
