-- cella run -- CMD and -e KEYS: a container without a file.

local trial = require "spec.support.trial"

describe("without a file", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- The same container from a file.
  local function from_file(keys, ...)
    local path = trial.write(directory .. "/box.lua", ([[
      local cella, policy = require "cella", require "cella.policy"
      local idmap, caps, sys = require "cella.idmap", require "cella.caps", require "cella.sys"
      return cella.container { %s }, idmap, caps, sys, policy]]):format(keys))
    return trial.cella { "run", path, "--", ... }
  end

  local SHOW = "hostname; id -u; grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; ls /; cat /proc/mounts | wc -l"

  describe("`run`", function()
    it("starts the default container", function()
      local result = trial.cella { "run", "--", "sh", "-c", SHOW }
      assert.equal(0, result.status, result.stderr)
      assert.equal(from_file("", "sh", "-c", SHOW).stdout, result.stdout)
      -- It is one: what it has of its own the caller does not have.
      assert.not_equal(trial.sh("readlink /proc/self/ns/mnt"),
        trial.cella { "run", "--", "readlink", "/proc/self/ns/mnt" }.stdout)
    end)

    it("has the program's status, and what is told to it", function()
      assert.equal(7, trial.cella { "run", "--", "sh", "-c", "exit $1", "sh", "7" }.status)
      assert.equal("<--><-e><a b>", trial.cella { "run", "--", "printf", "<%s>", "--", "-e", "a b" }.stdout)
      assert.equal(127, trial.cella { "run", "--", "no-such-program" }.status)
    end)

    it("starts the container whose keys the line says", function()
      local keys = 'hostname = "moon", ids = policy.root(), capabilities = { "chown" }, init = false -- and no more'
      local result = trial.cella { "run", "-e", keys, "--", "sh", "-c", SHOW }
      assert.equal(0, result.status, result.stderr)
      assert.matches("^moon\n0\n", result.stdout)
      assert.matches("CapEff:\t0000000000000001\n", result.stdout)
      assert.equal(from_file(keys .. "\n", "sh", "-c", SHOW).stdout, result.stdout)
    end)

    it("takes the option in every way that options are written", function()
      local keys = 'hostname = "moon"'
      for _, words in ipairs { { "-e", keys }, { "-e" .. keys }, { "--eval", keys }, { "--eval=" .. keys } } do
        local command = { "run" }
        for _, word in ipairs(words) do command[#command + 1] = word end
        for _, word in ipairs { "--no-terminal", "--", "hostname" } do command[#command + 1] = word end
        local result = trial.cella(command)
        assert.equal("moon\n", result.stdout, words[1] .. result.stderr)
      end
    end)

    it("has the modules of cella at hand", function()
      local keys = [[
        hostname = type(cella.container),
        domainname = table.concat({ type(idmap.new), type(caps.set), type(policy.subids), type(sys.unshare) }, "-"),
        init = require("cella.policy") == policy]]
      local result = trial.cella { "run", "-e", keys, "--", "sh", "-c", "hostname; cat /proc/sys/kernel/domainname" }
      assert.equal("function\nfunction-function-function-function\n", result.stdout, result.stderr)
    end)

    it("runs the program that the keys name", function()
      assert.equal("mine\n", trial.cella { "run", "-e", 'command = { "echo", "mine" }' }.stdout)
      assert.equal("yours\n", trial.cella { "run", "-e", 'command = { "echo", "mine" }', "--", "echo", "yours" }.stdout)
    end)

    for name, case in pairs {
      ["an unknown key"] = { 'hostnam = "moon"', "cella: -e: hostnam: unknown key; did you mean 'hostname'?\n" },
      ["a wrong value"] = { "hostname = 5", "cella: -e: hostname: " },
      ["what is no Lua"] = { "hostname = ", "cella: -e:1: unexpected symbol near '}'" },
      ["a name that nothing has"] = { "hostname = moon",
        "cella: -e: there is nothing of the name moon; a text has quotes: \"moon\"\n" },
      ["a name that is misspelt"] = { "ids = polcy.root()",
        "cella: -e: there is nothing of the name polcy; did you mean 'policy'?\n" },
      ["more than a table"] = { "}, {", "cella: -e: more than the inside of one table" },
      ["what raises"] = { "hostname = error('boom', 0)", "cella: boom\n" },
    } do
      it("refuses " .. name .. ", and runs nothing", function()
        local result = trial.cella { "run", "-e", case[1], "--", "echo", "ran" }
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
        assert.equal(case[2], result.stderr:sub(1, #case[2]))
      end)
    end

    it("refuses keys and a file, neither, and an option without its word", function()
      local result = trial.cella { "run", "-e", "", "box.lua", "--", "echo", "ran" }
      assert.equal(125, result.status)
      assert.matches("there is no file", result.stderr)
      result = trial.cella { "run", "-t" }
      assert.equal(125, result.status)
      assert.matches("cella run -- sh", result.stderr, 1, true)
      result = trial.cella { "run", "-e" }
      assert.equal(125, result.status)
      assert.matches("option '-e' requires an argument", result.stderr, 1, true)
      result = trial.cella { "run", "-e", 'hostname = "moon"' }
      assert.equal(125, result.status)
      assert.matches("command: missing", result.stderr, 1, true)
    end)

    it("takes no word for nothing", function()
      -- Each option with a word of its own leaves those behind it what they are.
      for _, words in ipairs { { "--diff", "/no/such/file" }, { "--colour", "never" }, { "--color", "never" },
        { "--eval", "" }, { "-e", "" } } do
        local result = trial.cella { "plan", words[1], words[2], "--no-such-option", "--", "true" }
        assert.equal(125, result.status)
        assert.matches("unknown option '--no-such-option'", result.stderr, 1, true)
      end
      local request = { command = "run", file_arguments = { "-e", "hostname = 'moon'" }, words = { "true" } }
      local said = {}
      local status = require("cella.cli.container").with(request, { err = { write = function(_, ...)
        said[#said + 1] = table.concat { ... }
      end } }, error)
      assert.equal(125, status)
      assert.matches("there is no file whose argument it could be", said[1])
    end)

    it("says where a program belongs that was taken for a file", function()
      local result = trial.cella { "run", "echo", "hi" }
      assert.equal(125, result.status)
      assert.matches("cella run -- echo", result.stderr, 1, true)
      -- What looks like a file is one.
      assert.is_nil(trial.cella({ "run", "/no/such/file" }).stderr:find("cella run --", 1, true))
    end)
  end)

  it("`plan` prints the same as for a file", function()
    local keys = 'hostname = "moon", ids = require("cella.policy").root()'
    local path = trial.write(directory .. "/box.lua", ("return { %s }"):format(keys))
    local wanted = trial.cella { "plan", path, "--", "true" }.stdout
    assert.matches('sethostname("moon")', wanted, 1, true)
    assert.equal(wanted, trial.cella { "plan", "-e", keys, "--", "true" }.stdout)
    assert.matches("execve", trial.cella { "plan", "--", "true" }.stdout)
    assert.is_nil(trial.cella({ "plan", "--", "true" }).stdout:find("sethostname", 1, true))
  end)
end)
