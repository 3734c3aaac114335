-- cella repl: Lua at a prompt.

local complete = require "cella.cli.repl.complete"
local help = require "cella.cli.repl.help"
local sys = require "cella.sys"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

describe("`cella repl`", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- What it writes where these lines are typed.
  local function typed(...)
    local words = trial.cli { "repl" }
    words.stdin = { content = table.concat({ ... }, "\n") .. "\n" }
    local result = trial.host(words)
    assert.equal(0, result.status)
    return result.stdout, result.stderr
  end

  it("shows what expressions are, and nothing of statements", function()
    assert.equal('2\n1  "a\\n\\"" \n{ 1, 2, { a = 3 } }\nnil\n{}\n{ ["a b"] = true }\n',
      (typed("1 + 1", "1, 'a\\n\"'", "{ 1, 2, { a = 3 } }", "nil", "{}", '{ ["a b"] = true }', "x = 5", "do end", "",
        "-- a comment", "print()"):gsub('" *\n{ 1', '" \n{ 1'):gsub("\n\n$", "\n")))
    assert.equal("0 100000 65536\n", typed 'idmap.new "0 100000 65536"')
    assert.equal("{ the one above }\n", (typed("t = {}", "t[1] = t", "t"):gsub("^{ (.*) }\n$", "%1\n")))
  end)

  it("has cella's modules at hand", function()
    for _, name in ipairs { "sys", "idmap", "caps", "policy", "namespace", "cgroup" } do
      assert.equal("true\n", typed(("%s == require 'cella'.%s"):format(name, name)))
    end
    assert.equal("true\n", typed "cella == require 'cella'")
  end)

  it("shows what a system call says that fails", function()
    assert.equal("nil: umount2: No such file or directory (errno 2)\n", typed 'sys.umount2 "/no/such/place"')
  end)

  it("survives errors, and says them in a line", function()
    local out, err = typed("error 'boom'", "x y", "local t = nil; t.x = 1", 'cella.container { hostnam = "moon" }', "1",
      "error(setmetatable({}, { __tostring = function() error 'again' end }))", "2")
    assert.equal("1\n2\n", out)
    assert.matches("^error: [^\n]*boom\nerror: line:1: [^\n]+ near 'y'\nerror: line:1: attempt to index", err)
    assert.matches("\nerror: hostnam: unknown key; did you mean 'hostname'?\n", err, 1, true)
    assert.is_nil(err:find("traceback", 1, true))
  end)

  it("keeps the locals of a line for the next one", function()
    assert.equal("1  2  3\n", typed("local a = 1", "local b, _, c = 2, 0, 3", "a, b, c"))
    assert.equal("7\n", typed("local function f() return 7 end", "f()"))
    assert.equal("5\n", typed("local a <const> = 5", "a"))
    assert.equal("nil\n", typed("do local inner = 1 end", "inner"))
    assert.equal("2\n1\n", typed("local n = 1", "n = n + 1", "n", "local n = 1", "n"))
  end)

  it("goes on reading where something is not finished", function()
    assert.equal("1\n2\n3\n", typed("for i = 1, 3 do", "  print(i)", "end"))
    assert.equal("7\n", typed("local x =", "  7", "x"))
    assert.equal("{ a = 1 }\n", typed("{", "a = 1", "}"))
    local out, err = typed("for i = 1, 3 do")
    assert.equal("", out)
    assert.matches("not finished", err)
  end)

  it("can be left, with a status", function()
    local words = trial.cli { "repl" }
    words.stdin = { content = "os.exit(7)\n1\n" }
    local result = trial.host(words)
    assert.equal(7, result.status)
    assert.equal("", result.stdout)
  end)

  it("acts on its own process", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    assert.equal("true\n65534  65534  65534\n", typed('sys.unshare "user"', "sys.getresuid()"))
    -- What it needs it has, where its files are no longer.
    local out = typed('sys.unshare { "user", "mount" }', 'sys.chroot "/proc/self/fdinfo"', 'help "nothing"',
      "cella.pool ~= nil and cella.tree ~= nil", '{ hostname = idmap.new "0 0 1" }')
    assert.matches("^true\ntrue\nnothing is known of nothing\ntrue\n", out)
  end)

  describe("help", function()
    it("is what the annotation says, of a value and of its name", function()
      local out = typed("help(sys.unshare)", 'help "sys.unshare"')
      local text = "sys.unshare(namespaces)\nMoves this process into new namespaces: unshare(2)."
      assert.equal(2, select(2, out:gsub(text:gsub("%p", "%%%0"), "")))
      assert.matches("policy.subids(owner)\nRoot inside is me", typed "help(policy.subids)", 1, true)
      assert.matches("plan:exec(command)\nEnds the plan:", typed 'help "plan.exec"', 1, true)
      assert.matches("plan:mount(", typed 'help "plan:mount"', 1, true)
      assert.matches("cella.container(", typed "help(cella.container)", 1, true)
      assert.equal("nothing is known of sys.nothing\n", typed 'help "sys.nothing"')
      assert.matches("At hand: cella, sys,", typed "help()", 1, true)
    end)

    it("is there for every operation", function()
      local count = 0
      for name in pairs(sys) do
        local text = help.of("sys." .. name, { "sys" }, function() return sys end)
        assert.matches("^sys%.[%w_]+%(.-%)\n..", text)
        count = count + 1
      end
      assert.is_true(count > 80)
    end)
  end)

  it("completes names, fields and methods", function()
    local class = setmetatable({ method = print }, { __index = { deep = print } })
    local environment = { sys = sys, alpha = { beta = { gamma = 1, _hidden = 2 } },
      object = setmetatable({ own = 1 }, { __index = class }) }
    assert.same({ "sys.unshare" }, complete.of("sys.unsh", environment, {}))
    assert.same({ "alpha.beta.gamma" }, complete.of("alpha.beta.", environment, {}))
    assert.same({ "alpha.beta._hidden" }, complete.of("alpha.beta._", environment, {}))
    assert.same({ "object:deep", "object:method", "object:own" }, complete.of("object:", environment, {}))
    assert.same({ "alpha", "also" }, complete.of("al", environment, { [environment] = { "also", "other" } }))
    assert.same({}, complete.of("nothing.at", environment, {}))
  end)

  -- A module of this name that keeps what it is told in a file, and says a line of it at a time.
  local function with_module(name, text)
    trial.write(("%s/%s.lua"):format(directory, name), text)
    local other = name == "readline" and "linenoise" or "readline"
    trial.write(("%s/%s.lua"):format(directory, other), "error 'it is not there'")
    return trial.terminal(("HOME=%s XDG_STATE_HOME= LUA_PATH='%s/?.lua;%s' %s"):format(directory, directory,
      package.path, trial.cli_text { "repl" }))
  end

  it("reads by way of readline where that is", function()
    local screen = with_module("readline", [[
      local lines, complete = { "local x = 6", "x + 1" }, nil
      return { set_readline_name = print,
        set_options = function(options) print(options.histfile, options.keeplines) end,
        set_complete_function = function(f) complete = f end,
        set_completion_append_character = function() end, save_history = function() print "saved" end,
        readline = function(prompt)
          if #lines == 1 then print(table.concat(complete("y = sys.unsh", 5, 12), " ")) end
          print(prompt .. "|")
          return table.remove(lines, 1)
        end }]])
    assert.matches("/.cella_history\t1000\n> |\nsys.unshare\n> |\n7\n> |\nsaved\n", screen, 1, true)
  end)

  it("reads by way of linenoise where that is", function()
    local screen = with_module("linenoise", [[
      local lines, complete = { "local x = 6", "x + 1" }, nil
      return { historyload = function(path) print("load", path) end, historysave = function() print "saved" end,
        historyadd = function(line) print("add", line) end, setcompletion = function(f) complete = f end,
        addcompletion = function(_, whole) print("complete", whole) end,
        linenoise = function()
          if #lines == 1 then complete({}, "y = sys.unsh") end
          return table.remove(lines, 1)
        end }]])
    assert.matches("complete\ty = sys.unshare\nadd\tx + 1\n7\nsaved\n", screen, 1, true)
  end)

  it("has a prompt at a terminal, and none elsewhere", function()
    trial.write(directory .. "/readline.lua", "error 'it is not there'")
    trial.write(directory .. "/linenoise.lua", "error 'it is not there'")
    local screen = trial.terminal(("LUA_PATH='%s/?.lua;%s' %s"):format(directory, package.path,
      trial.cli_text { "repl" }), { { "> ", "for i = 1, 1 do\n" }, { ">> ", "print 'seen' end\n" }, { "seen", "\4" } })
    assert.matches("> for i = 1, 1 do\n>> print 'seen' end\nseen\n> \n", screen, 1, true)
    assert.equal("1\n", typed "1")
  end)

  describe("takes the steps by hand, typed line by line:", function()
    if trial.lacks_user_namespaces() then return end
    for _, name in ipairs { "1-nobody", "2-root", "3-nested", "4-same", "5-capabilities" } do
      it(name, function()
        local path = ("examples/by-hand/%s.lua"):format(name)
        local lines = {}
        for line in io.lines(path) do lines[#lines + 1] = line end
        local out, err = typed(unpack(lines))
        assert.equal("", err)
        local wanted = trial.host { "/bin/sh", "-c", ("%s %s"):format(trial.interpreter(), path) }
        assert.equal(0, wanted.status)
        -- Among the values of expressions is all that the program prints. What is another each time is a number.
        local at = 1
        local function plain(text) return (text:gsub("%d%d%d+", "N")) end
        out = plain(out)
        for line in plain(wanted.stdout):gmatch "[^\n]+" do
          local found, last = out:find(line, at, true)
          assert.is_number(found, line .. "\n is not in\n" .. out)
          at = last
        end
        assert.is_true(at > 10)
      end)
    end
  end)
end)
