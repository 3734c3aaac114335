-- `cella busted`: spec files in containers of their own, and one report of busted's.

local cella = require "cella"
local json = require "dkjson"
local suite = require "spec.support.suite"
local trial = require "spec.support.trial"

local has, has_not = suite.has, suite.has_not

local FILES = {
  ["a_spec.lua"] = [[
    print "loading"
    describe("block", function()
      local calls = 0
      setup(function() print "setup" end)
      before_each(function() calls = calls + 1 end)
      after_each(function() print("after " .. calls) end)
      it("passes", function() assert.equal(1, calls) end)
      it("fails", function()
        print "failing"
        assert.same({ 1, { 2 } }, { 1, { 3 } })
      end)
      describe("inner", function()
        it("errs", function() error { code = 2 } end)
        it("ends badly", function() finally(function() error "late" end) end)
        it("is pending", function() pending "not yet" end)
        pending "is to be written"
      end)
      describe("bad before", function()
        before_each(function() error "too early" end)
        it("is not reached", function() end)
      end)
      insulate("bad after", function()
        after_each(function() error "too late" end)
        it("is good", function() end)
      end)
    end)
  ]],
  ["b_spec.lua"] = [[
    describe("bad setup", function()
      setup(function() error "in setup" end)
      it("is not reached", function() end)
    end)
    describe("bad teardown", function()
      teardown(function() error "in teardown" end)
      it("is good", function() end)
    end)
    describe("bad block", function()
      it("is not reached", function() end)
      error "in the block"
    end)
  ]],
  ["c_spec.lua"] = "it('is not reached', function() end)\nerror 'in the file'",
  ["d_spec.lua"] = "it('is no Lua' function() end)",
}

describe("cella busted", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function() directory = trial.directory() end,
    function() trial.remove_directory(directory) end)

  -- As suite.run, by the command line.
  local function run(arguments)
    return suite.run(directory, arguments, nil, trial.top .. "/bin/cella busted")
  end

  it("gives the report that there is without it", function()
    suite.write(directory, FILES)
    local all = "-v a_spec.lua b_spec.lua c_spec.lua d_spec.lua"
    local plain, status = suite.run(directory, all)
    has(plain, "3 successes / 1 failure / 9 errors / 2 pending", "a_spec.lua:19: too early", "in teardown",
      "c_spec.lua:2: in the file", "d_spec.lua")
    local report, own_status = run("-j 3 " .. all)
    assert.equal(plain, report)
    assert.same({ 1, 1 }, { status, own_status })
    -- Other handlers, and what leaves tests out.
    for _, options in ipairs { "-o TAP --filter=inner", "--list", "--repeat=2 --filter=block", "--no-keep-going",
      "--suppress-pending --filter=pending", "-C . --exclude-tags=x --filter-out=bad",
      "--list --filter=inner" } do
      plain, status = suite.run(directory, options .. " a_spec.lua")
      report, own_status = run(options .. " a_spec.lua")
      assert.equal(plain, report, options)
      assert.equal(status, own_status, options)
    end
  end)

  it("lists names, and fails where a file or a block does", function()
    suite.write(directory, {
      ["a_spec.lua"] = "print 'loading' error 'x'",
      ["b_spec.lua"] = "it('is good', function() end) describe('x', function() error 'y' end)",
      ["c_spec.lua"] = "print 'loading' it('is good', function() end)",
    })
    for _, files in ipairs { "a_spec.lua", "b_spec.lua", "c_spec.lua", "a_spec.lua c_spec.lua" } do
      local plain, status = suite.run(directory, "--list " .. files)
      local report, own_status = run("--list " .. files)
      assert.equal(plain, report, files)
      assert.equal(status, own_status, files)
      assert.equal(files ~= "c_spec.lua" and 1 or 0, math.min(status, 1))
    end
  end)

  it("goes to the directory that is said, by whatever way", function()
    assert(os.execute(("mkdir -p %s/inner/more"):format(trial.quote(directory))))
    suite.write(directory, {
      ["inner/.busted"] = "return { default = { pattern = '_test' } }",
      ["inner/more/a_test.lua"] = "it('is there', function() assert(io.open 'here') end)",
      ["inner/here"] = "", ["inner/more/here"] = "",
    })
    for _, words in ipairs { "-C inner more", "--directory=inner/more .", "-C inner -C more .",
      ("-C %s more"):format(trial.quote(directory .. "/inner")) } do
      local plain, status = suite.run(directory, "--pattern=_test " .. words)
      has(plain, "1 success / 0 failures / 0 errors")
      local report, own_status = run("--pattern=_test " .. words)
      assert.equal(plain, report, words)
      assert.same({ 0, 0 }, { status, own_status }, words)
    end
    has(run "-C inner more", "1 success / 0 failures / 0 errors")
  end)

  it("has handlers tell as much as they did", function()
    suite.write(directory, { ["a_spec.lua"] = [[
      it("is good", function() end)
      it("is bad", function() assert(false, "bad") end)
      it("is pending", function() pending "not yet" end)
    ]] })
    local function told(text)
      local found = assert(json.decode(text), text)
      local list = {}
      for _, kind in ipairs { "successes", "failures", "errors", "pendings" } do
        for _, one in ipairs(found[kind]) do
          list[#list + 1] = ("%s: %s, %s, line %d, %s"):format(kind, one.name, tostring(one.message),
            one.element.trace.currentline, type(one.element.duration))
        end
      end
      return list
    end
    local plain = told((suite.run(directory, "-o json a_spec.lua")))
    assert.equal("successes: is good, nil, line 1, number", plain[1])
    assert.equal("failures: is bad, a_spec.lua:2: bad, line 2, nil", plain[2])
    assert.same(plain, told((run "-o json a_spec.lua")))
  end)

  it("keeps files apart, and leaves nothing", function()
    local text = [[
      it("is alone", function()
        assert.is_nil(io.open "/tmp/left")
        assert.is_nil(io.open "left")
        assert.is_nil(os.getenv "TMPDIR")
        assert(io.open("/tmp/left", "w")):close()
        assert(io.open("left", "w")):close()
      end)
      teardown(function() io.stderr:write "to stderr\n" end)
    ]]
    suite.write(directory, { ["a_spec.lua"] = text, ["b_spec.lua"] = text })
    local report, status = run "-p _spec ."
    has(report, "2 successes / 0 failures / 0 errors / 0 pending", "to stderr\n")
    assert.equal(0, status)
    assert.is_nil(io.open(directory .. "/left"))
    suite.write(directory, { [".busted"] = 'return { default = { ROOT = { "b_spec.lua" } } }' })
    has((run ""), "1 success / 0 failures")
    has((run "--keys='directory = \"writable\"' b_spec.lua"), "1 success / 0 failures")
    assert(io.open(directory .. "/left")):close()
    os.remove(directory .. "/left")
  end)

  it("tells of a file that has crashed or hangs, and goes on with the next", function()
    suite.write(directory, {
      ["a_spec.lua"] = [[
        it("is first", function() print "first" end)
        it("crashes", function()
          print "last words"
          io.stdout:flush() -- print does not, before 5.2
          os.execute "kill -SEGV $PPID"
        end)
        it("is not reached", function() end)
      ]],
      ["b_spec.lua"] = "it('hangs', function() while true do end end)",
      ["c_spec.lua"] = "os.exit(3)",
      ["d_spec.lua"] = "it('is good', function() end)",
    })
    local report, status = run "-j 2 a_spec.lua c_spec.lua d_spec.lua"
    has(report, "2 successes / 1 failure / 1 error / 0 pending", "first\n", "last words\n",
      "a_spec.lua:2: the process of this file was killed by SIGSEGV (11); what follows in it has not run\n",
      "c_spec.lua:1: the process of this file left by os.exit, with the status 3\n")
    assert.equal(1, status)
    report, status = run "--keys='timeout = 3' b_spec.lua"
    has(report, "b_spec.lua:1: the process of this file was killed: it took longer than 3 s", "0 successes")
    assert.equal(1, status)
  end)

  it("tells once of a file that is not there, and runs the others", function()
    suite.write(directory, { ["a_spec.lua"] = "it('is good', function() end)" })
    local plain, status = suite.run(directory, "a_spec.lua missing_spec.lua")
    has(plain, "Cannot find file or directory: missing_spec.lua", "1 success / 0 failures / 1 error")
    local report, own_status = run "a_spec.lua missing_spec.lua"
    assert.equal(plain, report)
    assert.same({ 1, 1 }, { status, own_status })
  end)

  it("does not take a file that is not in its container for one without tests", function()
    suite.write(directory, { ["a_spec.lua"] = "it('is good', function() end)" })
    local elsewhere = trial.directory()
    suite.write(elsewhere, {})
    local own = directory
    directory = elsewhere
    local report, status = run(own .. "/a_spec.lua")
    local given, given_status = run(
      ("--keys='mounts = { { type = \"bind\", source = %q, destination = %q } }' %s/a_spec.lua"):format(own, own, own))
    directory = own
    trial.remove_directory(elsewhere)
    has(report, "0 successes / 0 failures / 1 error", "busted has not found this file in its container")
    assert.equal(1, status)
    has(given, "1 success / 0 failures / 0 errors")
    assert.equal(0, given_status)
  end)

  it("tells of a file that does not end as busted does, and of its tests", function()
    local ends = { exits = "os.exit(0)", fails = "os.exit(7)", crashes = "os.execute 'kill -SEGV $PPID'" }
    local words = { exits = "left by os.exit, with the status 0", fails = "left by os.exit, with the status 7",
      crashes = "was killed by SIGSEGV (11)" }
    local text = [[
      it("is good", function() end)
      it("fails", function() assert(BAD ~= "exits", "bad") end)
      teardown(function() if WHERE == "teardown" then END end end)
      require "busted".subscribe({ "exit" }, function() if WHERE == "exit" then END end return nil, true end)
    ]]
    suite.write(directory, {})
    for how, statement in pairs(ends) do
      for _, where in ipairs { "teardown", "exit" } do
        suite.write(directory, { ["a_spec.lua"] = text:gsub("END end", statement .. " end"):gsub("WHERE",
          ("%q"):format(where)):gsub("BAD", ("%q"):format(how)) })
        local report, status = run "a_spec.lua"
        has(report, how == "exits" and "1 success / 1 failure / 1 error" or "2 successes / 0 failures / 1 error",
          "Error -> a_spec.lua @ 1\n", "a_spec.lua:1: the process of this file"
            .. (where == "exit" and ", done with its tests, " or " ") .. words[how])
        assert.equal(1, status)
      end
    end
  end)

  it("takes from a file what busted tells, and nothing else, and goes on with the next", function()
    -- To be sent from inside, and a word of what is said of it; nil: busted might have told it.
    local place, told = "trace = {}", 'event = "told", message = "m", depth = 0, '
    local forged = {
      ['{ event = "over", status = "success", printed = 0 }'] = "",
      ['{ event = "over", status = "well", printed = 0 }'] = 'status of "over"',
      ['{ event = "over", printed = 0 }'] = 'status of "over"',
      ['{ event = "test", name = {}, descriptor = "it", printed = 0, ' .. place .. " }"] = 'name of "test"',
      ['{ event = "test", name = "x", descriptor = "it", printed = -1, ' .. place .. " }"] = 'printed of "test"',
      ['{ event = "test", name = "x", descriptor = "it", printed = 0 }'] = 'trace of "test"',
      ['{ event = "block", trace = { short_src = 7 } }'] = 'trace of "block"',
      ['{ event = "block", trace = { currentline = 1.5 } }'] = 'trace of "block"',
      ['{ event = "over", status = "success", printed = 0, duration = {} }'] = 'duration of "over"',
      ['{ event = "over", status = "success", printed = 0, duration = 1 / 0 }'] = 'duration of "over"',
      ['{ event = "tail", randomseed = "x", printed = 0 }'] = 'randomseed of "tail"',
      ['{ event = "exit", lines = 7 }'] = 'lines of "exit"',
      ["{ " .. told .. 'kind = "nonsense", descriptor = "it", ' .. place .. " }"] = 'kind of "told"',
      ["{ " .. told .. 'kind = "failure", descriptor = "it" }'] = 'trace of "told"',
      ['{ event = "told", message = {}, depth = 0, kind = "error", ' .. place .. " }"] = 'message of "told"',
      ['{ event = "told", message = "m", depth = "deep", kind = "error", ' .. place .. " }"] = 'depth of "told"',
      ["{ event = 7 }"] = "there is no such message",
      ["7"] = "there is no such message",
    }
    local count, bad = 0, {}
    suite.write(directory, { ["z_spec.lua"] = "it('is good', function() end)" })
    local names = {}
    for message, word in pairs(forged) do
      count = count + 1
      local name = ("m%d_spec.lua"):format(count)
      names[#names + 1] = name
      if word ~= "" then bad[#bad + 1] = word end
      suite.write(directory, { [name] = ([[
        it("forges", function()
          local core = require "cella.core"
          local data = assert(core.serialize.encode("v", { %s }, 1, 1048576))
          core.sys.write(9, ("%%010d"):format(#data) .. data)
        end)]]):format(message) })
    end
    local report, status = run("-j 2 " .. table.concat(names, " ") .. " z_spec.lua")
    has(report, ("2 successes / %d failures / 0 errors"):format(#bad), "to descriptor 9: message ",
      "what follows is left out")
    for _, word in ipairs(bad) do has(report, word) end
    for _, own in ipairs { "record.lua", "replay.lua", "files.lua" } do has_not(report, own) end
    assert.equal(1, status)
  end)

  it("tells of what has failed though the file keeps that from being told", function()
    local body = [[
      local busted = require "busted"
      for _, first in ipairs { "failure", "error", "pending" } do
        for _, second in ipairs { false, "it" } do
          busted.subscribe({ first, second or nil }, function() return nil, false end, { priority = 1 })
        end
      end
      it("fails", function() assert(false, "bad") end)
      it("errs", function() error "worse" end)
      it("is pending", function() pending "later" end)
      it("is good", function() end)
    ]]
    suite.write(directory, { ["a_spec.lua"] = body })
    local report, status = run "a_spec.lua"
    -- Another error is the file's own, whose busted has not counted them and ends as if all were well.
    has(report, "1 success / 1 failure / 2 errors / 1 pending", "a_spec.lua:7: bad", "a_spec.lua:8: worse", "later")
    assert.equal(1, status)
  end)

  it("tells of a test as it has ended, though nothing else was told of it", function()
    suite.write(directory, { ["a_spec.lua"] = [[
      it("forges", function()
        local core = require "cella.core"
        for _, status in ipairs { "failure", "error", "pending" } do
          for _, message in ipairs {
            { event = "over", status = status, printed = 0 },
            { event = "test", name = status, descriptor = "it", trace = {}, printed = 0 },
          } do
            local data = assert(core.serialize.encode("v", { message }, 1, 1048576))
            core.sys.write(9, ("%010d"):format(#data) .. data)
          end
        end
      end)]] })
    local report, status = run "-v a_spec.lua"
    has(report, "1 success / 1 failure / 1 error / 1 pending",
      "a_spec.lua:1: the test has ended as a failure, and in its process busted was kept from telling of it",
      "the test has ended as an error, and in its process")
    assert.equal(1, status)
  end)

  it("reads no more of a file's than is told and printed by one #slow", function()
    local text = "it('is long', function() os.execute %q end)"
    suite.write(directory, { ["z_spec.lua"] = "it('is good', function() end)",
      ["a_spec.lua"] = text:format "truncate -s 1T /proc/self/fd/9",
      ["b_spec.lua"] = text:format "truncate -s 100M /proc/self/fd/2",
      ["c_spec.lua"] = [[it("is deep", function()
        local core = require "cella.core"
        local data = assert(core.serialize.encode("v", { { event = "block", trace = {} } }, 1, 1048576))
        core.sys.write(9, ((("%010d"):format(#data) .. data):rep(20000)))
      end)]] })
    local report = run "a_spec.lua b_spec.lua c_spec.lua z_spec.lua 2>&1 | tr -d '\\0'"
    has(report, "2 successes / 1 failure / 2 errors", "Error -> a_spec.lua @ 1\n", "there are more than 67108864 bytes",
      "more than 190 blocks are in one another",
      "b_spec.lua:1: the process of this file has written more than 67108864")
  end)

  it("runs as many files at once as is said, and tells of them in their order", function()
    -- Each of two waits for the other.
    local function waiting(mine, other)
      return ([[
        it("%s meets %s", function()
          assert(io.open("%s", "w")):close()
          for _ = 1, 40 do
            if io.open "%s" then return end
            os.execute "sleep 0.1"
          end
          error "nobody comes"
        end)
      ]]):format(mine, other, mine, other)
    end
    suite.write(directory, { ["a_spec.lua"] = waiting("a", "b"), ["b_spec.lua"] = waiting("b", "a") })
    local arguments = "--keys='directory = \"writable\"' -o TAP a_spec.lua b_spec.lua"
    local report = run("-j 2 " .. arguments)
    has(report, "ok 1 - a meets b\nok 2 - b meets a\n1..2")
    os.remove(directory .. "/a")
    os.remove(directory .. "/b")
    has((run(arguments)), "not ok 1 - a meets b", "ok 2 - b meets a")
  end)

  it("runs fewer at once where there are not the descriptors, and says so", function()
    local files, limited = {}, "ulimit -n %d && cd %s && exec %s %s/bin/cella busted -j 50 -o plainTerminal . 2>&1"
    for i = 1, 12 do files[("f%d_spec.lua"):format(i)] = "it('is good', function() os.execute 'sleep 0.05' end)" end
    suite.write(directory, files)
    local function limited_to(most)
      return trial.host { "/bin/sh", "-c", limited:format(most, trial.quote(directory), trial.interpreter(),
        trial.top) }
    end
    local result = limited_to(64)
    has(result.stdout, "12 successes / 0 failures / 0 errors",
      "cella busted: 4 files at once, not 50, which take 340 descriptors: there may be 64 (ulimit -n)")
    assert.equal(0, result.status)
    result = limited_to(1000)
    has(result.stdout, "12 successes / 0 failures / 0 errors")
    has_not(result.stdout, "at once")
  end)

  it("tells of a file with a newline in its name as busted does", function()
    suite.write(directory, { ["one\ntwo_spec.lua"] = [[
      it("fails", function() assert(false, "bad") end)
      it("errs", function() error "bad" end)
      it("errs by itself", function() local nothing; return nothing.field end)
    ]] })
    local plain, status = suite.run(directory, ".")
    local report, own_status = run "."
    assert.equal(plain, report)
    assert.same({ 1, 1 }, { status, own_status })
  end)

  it("has tests in the order that busted's seed gives them", function()
    local text = {}
    for i = 1, 9 do
      text[i] = ([[describe("%d", function()
        for _, name in ipairs { "a", "b", "c" } do it(name, function() assert(name ~= "c" or %d ~= 4) end) end
      end)]]):format(i, i)
    end
    suite.write(directory, { ["a_spec.lua"] = table.concat(text, "\n"), ["b_spec.lua"] = [[
      randomize(3)
      for i = 1, 9 do it("is " .. i, function() assert(i ~= 4) end) end
    ]] })
    local arguments = "-o TAP a_spec.lua b_spec.lua "
    local ordered, plain = suite.run(directory, arguments), suite.run(directory, arguments .. "--shuffle --seed=5")
    assert.are_not.equal(ordered, plain)
    assert.equal(ordered, (run(arguments)))
    assert.equal(plain, (run(arguments .. "--shuffle --seed=5")))
    assert.equal((suite.run(directory, "--sort " .. arguments)), (run("--sort " .. arguments)))
    -- The report names the seed that it is to be had by again.
    arguments = "--shuffle -v --output=gtest a_spec.lua"
    local first = run(arguments)
    local seed = assert(first:match "seed[^%d]*(%d+)", first)
    local again = suite.run(directory, arguments .. " --seed=" .. seed)
    assert.equal(first:gsub("%d+%.%d+ ms", "ms"), (again:gsub("%d+%.%d+ ms", "ms")))
  end)

  it("is ended by SIGINT at once, and tells what was done", function()
    suite.write(directory, {
      ["a_spec.lua"] = [[
        it("is good", function() end)
        it("does not end", function() assert(io.open("begun", "w")):close() os.execute "sleep 1000" end)
        it("is not reached", function() end)
      ]],
      ["b_spec.lua"] = "it('is at work', function() assert(io.open('too', 'w')):close() os.execute 'sleep 1000' end)",
      ["c_spec.lua"] = "it('is not begun', function() assert(io.open('third', 'w')):close() end)",
    })
    local said = {}
    local process = trial.hold(cella.plan():exec({ "/bin/sh", "-c", ("cd %s && exec %s %s/bin/cella busted -j 2 "
      .. "--keys='directory = \"writable\"' -o plainTerminal a_spec.lua b_spec.lua c_spec.lua 2>&1"):format(
      trial.quote(directory), trial.interpreter(), trial.top), stdin = "null",
      stdout = function(text) said[#said + 1] = text end }):spawn())
    trial.wait_for(function()
      return (process:step() or io.open(directory .. "/begun")) and io.open(directory .. "/too")
    end, "both tests")
    process:kill "int"
    local result = assert(process:wait(60))
    local report = table.concat(said, "\n") .. "\n"
    has(report, "1 success / 2 failures / 0 errors / 0 pending",
      "a_spec.lua:2: interrupted by SIGINT; what follows in it has not run\n",
      "b_spec.lua:1: interrupted by SIGINT; what follows in it has not run\n",
      "cella busted: interrupted; of 3 files 1 were not begun\n")
    assert.equal(130, result.code)
    assert.is_nil(io.open(directory .. "/third"))
  end)

  it("has boxes in its boxes where containers can be made there, and else says what allows them", function()
    suite.write(directory, { ["a_spec.lua"] = [[
      it("is boxed", function() assert(io.open("made", "w")):close() end)
      it("has nothing of the other", function() assert.is_nil(io.open "made") end)
    ]] })
    -- The box of root's own files would map the host's root, of which less is allowed.
    if cella.sys.getresuid() == 0 then assert(os.execute("chown 4321:4321 " .. trial.quote(directory))) end
    for arguments, words in pairs {
      ["--keys='nesting = true' --helper=cella.busted"] = "2 successes / 0 failures / 0 errors / 0 pending",
      ["--keys='nesting = true'"] = "1 success / 1 failure / 0 errors / 0 pending", -- the control
      ["--helper=cella.busted"] = "0 successes / 0 failures / 0 errors / 2 pending",
    } do
      local report = run(arguments .. " a_spec.lua")
      has(report, words)
      if words:find "2 pending" then has(report, "; what allows them: nesting = true") end
    end
  end)

  it("says what is wrong with its own options", function()
    suite.write(directory, { ["a_spec.lua"] = "it('is good', function() end)" })
    for arguments, words in pairs {
      ["-j"] = "cella busted: -j: a number of files from 1 to 1024 expected, got nothing",
      ["-j 0"] = "got 0", ["-jx"] = "got x", ["--jobs=1.5"] = "got 1.5",
      ["--keys='timeut = 5'"] = "--keys: timeut: unknown key; did you mean 'timeout'?",
      ["--keys='timeout ='"] = "--keys:", ["--keys"] = "the inside of a table of keys expected",
      ["--keys='stdout = \"null\"'"] = "--keys: stdout: not here",
    } do
      local report, status = run(arguments .. " a_spec.lua")
      if arguments == "-j" or arguments == "--keys" then report, status = run(arguments) end
      has(report, words)
      assert.equal(125, status)
      has_not(report, "success")
    end
    local bad = "--keys='mounts = { { type = \"bind\", source = \"/none\", destination = \"/mnt\" } }' "
    local report, status = run(bad .. "a_spec.lua")
    has(report, "a_spec.lua:1: the box of this file cannot be started: ", "0 successes / 0 failures / 1 error")
    assert.equal(1, status)
    report, status = run "--no-such-option a_spec.lua"
    has(report, "busted: error: ")
    assert.equal(1, status)
  end)
end)
