-- bin/cella as a program: found by links, before anything is built, asked for its help, completed by shells.

local portable = require "spec.support.portable"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

describe("bin/cella", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- What a shell command writes, in an environment that says nothing about Lua's paths.
  local function plain(command)
    return trial.sh("unset LUA_PATH LUA_CPATH; " .. command)
  end

  -- The same where what bin/cella is performed by, lua5.4, is the Lua of this run.
  local function by_this(command)
    trial.sh(("mkdir -p %s/programs && ln -sf $(command -v %s) %s/programs/lua5.4"):format(directory, portable.program,
      directory))
    return plain(("PATH=%s/programs:$PATH; %s"):format(directory, command))
  end

  -- A copy of the checkout as git has it: nothing is built there.
  local function copy(where)
    trial.sh(("mkdir -p %s/bin && cp %s/bin/cella %s/bin/ && cp -r %s/lua %s/"):format(where, trial.top, where,
      trial.top, where))
    return where
  end

  it("says its version", function()
    for _, words in ipairs { { "--version" }, { "run", "--version" }, { "caps", "show", "--version" } } do
      local result = trial.cella(words)
      assert.equal(0, result.status, result.stderr)
      assert.equal(("%s (%s)\n"):format(require("cella")._VERSION,
        portable.jit and rawget(_G, "jit").version or _VERSION), result.stdout)
    end
  end)

  it("hands on what follows a name, also where nothing does", function()
    assert.matches("^uid_map\n *0 +%d+ +1\n", trial.cella({ "idmap", "policy", "root" }).stdout)
    assert.matches("OWNER", trial.cella({ "idmap", "policy", "subids", "x", "y" }).stderr)
  end)

  it("finds its library behind symbolic links", function()
    local program = trial.top .. "/bin/cella"
    trial.sh(("cd %s && mkdir a b && ln -s %s a/one && ln -s ../a/one b/cella && ln -s %s/bin c"):format(directory,
      program, trial.top))
    -- A relative one, all the way.
    trial.sh(("ln -s $(realpath -m --relative-to=%s/b %s) %s/b/relative"):format(directory, program, directory))
    local version = by_this(program .. " --version")
    assert.matches("^cella ", version)
    for _, command in ipairs { "a/one", "b/cella", "b/relative", "c/cella", "cd b && ./cella", "cd a && ../b/cella",
      "PATH=$PWD/b:$PATH cella", "lua5.4 b/cella" } do
      command = command:find "^PATH" and "PATH=$PWD/b:$PATH; cella" or command
      assert.equal(version, by_this(("cd %s && %s --version"):format(directory, command)), command)
    end
  end)

  it("follows links also where no Lua module can read them", function()
    trial.sh(("ln -s %s/bin/cella %s/cella"):format(trial.top, directory))
    trial.write(directory .. "/lfs.lua", "error 'there is none'")
    assert.matches("^cella ", by_this(("lua5.4 -e \"package.cpath = '' package.path = '%s/?.lua;' .. package.path\" "
      .. "%s/cella --version"):format(directory, directory)))
  end)

  it("does not go round in circles", function()
    trial.sh(("cd %s && ln -s cella other && ln -s other cella"):format(directory))
    assert.matches("cannot open", plain(("%s %s/cella --version"):format(trial.lua, directory)))
  end)

  it("says what to do before `make`", function()
    local top = copy(directory .. "/checkout")
    local said = plain(top .. "/bin/cella run -- true; echo $?")
    assert.matches("^cella: the C module is not built for Lua 5.4. In /tmp/", said)
    assert.matches("\n  apt install gcc ", said, 1, true)
    assert.matches("\n  make build LUA=5.4\n125\n$", said)
    assert.is_nil(said:find("traceback", 1, true))
    assert.matches("^cella: the C module is not built for Lua 5.4. Here:", plain("cd " .. top .. " && bin/cella run"))
  end)

  it("says what to do without argparse", function()
    trial.write(directory .. "/without.lua", [[
      local searchers = package.searchers or package.loaders
      table.insert(searchers, 2, function(name)
        if name == "argparse" then error("module 'argparse' not found:\n\tno field", 0) end
      end)]])
    local said = by_this(("LUA_INIT=@%s/without.lua %s/bin/cella run --no-terminal -- true; echo $?"):format(directory,
      trial.top))
    assert.matches("^cella: the Lua module argparse is missing", said)
    assert.matches("\n  apt install lua-argparse\n", said, 1, true)
    assert.matches("\n  luarocks %-%-lua%-version " .. _VERSION:match "5.%d" .. " install argparse\n125\n$", said)
  end)

  -- The commands, as the help of the program has them, and theirs.
  local function commands(...)
    local words = { ... }
    words[#words + 1] = "--help"
    local list, help = {}, trial.cella(words).stdout
    for line in (help:match "\nCommands:\n(.-)\n\n" or help:match "\nCommands:\n(.*)" or ""):gmatch "[^\n]+" do
      list[#list + 1] = line:match "^   ([%w-]+)"
    end
    return list, help
  end

  local function each(visit, ...)
    local list, help = commands(...)
    visit({ ... }, help, #list > 0)
    for _, name in ipairs(list) do
      local words = { ... }
      words[#words + 1] = name
      each(visit, unpack(words))
    end
  end

  it("has its commands in one order, however often it is asked", function()
    local list, help = commands()
    assert.equal("run plan", table.concat(list, " ", 1, 2))
    for _ = 1, 5 do assert.equal(help, select(2, commands())) end
  end)

  it("has a usage and an example for every command", function()
    local count = 0
    each(function(words, help)
      count = count + 1
      local name = table.concat({ "cella", unpack(words) }, " ")
      assert.equal("Usage: " .. name, help:sub(1, #name + 7))
      assert.truthy(help:find("\n  " .. name:gsub("%p", "%%%0") .. "[ \n]"), name .. " has no example:\n" .. help)
      for line in help:gmatch "[^\n]+" do assert.is_true(#line <= 100, name .. ": " .. line) end
    end)
    assert.is_true(count > 15)
  end)

  it("shows the usage of the command that something was wrong with", function()
    for _, words in ipairs { { "run" }, { "idmap", "check" }, { "caps", "show" }, { "enter" } } do
      local usage = "Usage: cella " .. table.concat(words, " ")
      words[#words + 1] = "--no-such-option"
      local result = trial.cella(words)
      assert.equal(125, result.status)
      assert.truthy(result.stderr:find("\n" .. usage .. " [", 1, true), result.stderr)
    end
  end)

  describe("completion", function()
    -- What bash completes for words, the last of which is unfinished.
    local function completed(words)
      local script = trial.write(directory .. "/completion", trial.cella { "completion", "bash" }.stdout)
      local list = trial.sh(([[bash --norc --noprofile -c '. %s
        complete -p cella | grep -q -- "-F _cella" || exit
        COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        _cella; printf "%%s\n" "${COMPREPLY[@]}"']]):format(script, words))
      return " " .. list:gsub("\n", " ")
    end

    it("by bash knows commands, those below them, and options", function()
      assert.equal(" run ", completed 'cella ru')
      assert.matches(" plan ", completed 'cella ""', 1, true)
      assert.equal(" check ", completed 'cella idmap ch')
      assert.equal(" --no-terminal ", completed 'cella run --no-')
      assert.equal(" parent ", completed 'cella idmap check --writer par')
      assert.equal("  ", completed 'cella nothing-of-this-name --no-')
    end)

    it("by bash is bash's own, in a terminal", function()
      local script = trial.write(directory .. "/rc", trial.cella { "completion", "bash" }.stdout .. "\nPS1='at$ '\n"
        .. "cella() { echo \"called with $*.\"; }\nbind 'set enable-bracketed-paste off'\n")
      local screen = trial.terminal("bash --noprofile --rcfile " .. script .. " -i",
        { { "at", "cella idm\tche\t--own\t\n" }, { "called", "exit\n" } })
      assert.matches("called with idmap check --owner.", screen, 1, true)
    end)

    it("for the others is what they can read", function()
      for _, shell in ipairs { "zsh", "fish" } do
        local result = trial.cella { "completion", shell }
        assert.equal(0, result.status)
        assert.matches("run", result.stdout)
        if trial.sh("command -v " .. shell) ~= "" then
          local path = trial.write(directory .. "/completion", result.stdout)
          assert.equal("", trial.sh(("%s -n %s"):format(shell, path)))
        end
      end
      assert.equal(125, trial.cella { "completion", "tcsh" }.status)
    end)

    it("is installed with a manual page for each program, which has what its --help says", function()
      for name in trial.sh "ls bin":gmatch "%S+" do
        local page = trial.read(("share/man/man1/%s.1"):format(name)):gsub("\\%-", "-")
        assert.matches(".SH NAME\n" .. name .. " - ", page, 1, true)
        local help = trial.sh(("%s bin/%s --help"):format(trial.interpreter(), name))
        assert.matches("Usage: " .. name, help, 1, true)
        for option in help:gmatch "%-%-[a-z]+" do assert.matches(option, page, 1, true) end
      end
    end)

    it("is installed as the command line gives it", function()
      assert.equal("", trial.sh(trial.lua .. " tools/share.lua --check"))
      trial.sh(("cp -r share %s/ && mkdir %s/tools && cp tools/share.lua tools/man.lua %s/tools/"):format(directory,
        directory, directory))
      trial.sh(("ln -s %s/lua %s/build %s/doc %s/"):format(trial.top, trial.top, trial.top, directory))
      trial.sh(("echo >> %s/share/zsh/site-functions/_cella"):format(directory))
      assert.matches("share/zsh/site-functions/_cella is not what",
        trial.sh(("%s %s/tools/share.lua --check"):format(trial.lua, directory)), 1, true)
    end)
  end)
end)
