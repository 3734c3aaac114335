-- `make install`, as who packages a distribution has it: in a container where all is read-only but DESTDIR.
local trial = require "spec.support.trial"

local BUILD = os.getenv "CELLA_BUILD" or "build/lua5.4"
local LUA = BUILD:match "^build/lua([%w.]+)$"
local ABI = LUA == "jit" and "5.1" or LUA

describe("make install #slow", function()
  if not LUA then
    it("is that of a build of every day", function() pending "its build is the one that is tested here" end)
    return
  end

  -- The module is there; a copy of the checkout may lack what it was linked from. Nobody's CFLAGS are known in here.
  local built
  local MAKE = "env -i PATH=/usr/bin:/bin make -s -o BUILT/cella/core.so BUILD=BUILT LUA=NAME"

  setup(function()
    built = trial.directory()
    MAKE = MAKE:gsub("%u%u%u%u%u?", { BUILT = built, NAME = LUA })
    local said = trial.sh(("mkdir -p %s/cella && cp %s/cella/core.so %s/cella/ && %s installable"):format(built, BUILD,
      built, MAKE))
    assert(trial.read(built .. "/bytecode/bytecode.so"), said)
  end)
  teardown(function() trial.remove_directory(built) end)

  -- What a shell script says where the checkout is read-only, and what is built too. `make` and `files` are commands
  -- in it.
  local function says(script, more)
    local mounts = { { type = "tmpfs", destination = "/stage" }, more }
    for _, path in ipairs { trial.top, built } do
      mounts[#mounts + 1] = { type = "bind", source = path, destination = path, readonly = true }
    end
    return trial.inside({ mounts = mounts }, ([[
      cd %s || exit
      make() { %s "$@"; }
      files() { find /stage /tmp /var/tmp /run /dev/shm -xdev -type f -printf '%%m %%p\n' | LC_ALL=C sort -k 2; }
      exec 2>&1
    ]]):format(trial.quote(trial.top), MAKE) .. script)
  end

  -- Of this checkout, each with the place that it belongs in.
  local function expected(stage, prefix)
    local list = {}
    local function add(mode, path) list[#list + 1] = ("%s %s%s%s"):format(mode, stage, prefix, path) end
    add(755, "/bin/cella")
    add(755, "/bin/cella-oci")
    add(755, ("/lib/lua/%s/cella/bytecode.so"):format(ABI))
    add(755, ("/lib/lua/%s/cella/core.so"):format(ABI))
    for path in trial.sh "cd lua && find * -name '*.lua'":gmatch "[^\n]+" do
      add(644, ("/share/lua/%s/%s"):format(ABI, path))
    end
    for path in trial.sh "cd share && find * -type f":gmatch "[^\n]+" do add(644, "/share/" .. path) end
    for path in trial.sh "find README.md CHANGELOG.md LICENSE doc examples -type f":gmatch "[^\n]+" do
      add(644, "/share/doc/cella/" .. path)
    end
    table.sort(list, function(one, other) return one:sub(5) < other:sub(5) end)
    return table.concat(list, "\n") .. "\n"
  end

  it("writes below DESTDIR only, with the modes of files that all may read", function()
    local stage = "/stage/it's a place"
    local said = says([[umask 077; make install DESTDIR="/stage/it's a place" && files
      echo directories: $(find /stage/* -type d ! -perm 755)]])
    assert.equal(expected(stage, "/usr/local") .. "directories:\n", said)
    -- It is seen where it writes elsewhere.
    said = says "make install DESTDIR=/tmp PREFIX=/opt && files; make install; echo $?"
    assert.equal(expected("/tmp", "/opt"), said:sub(1, #expected("/tmp", "/opt")))
    assert.matches("Read%-only file system.*\n2\n$", said)
  end)

  it("has each place as a variable, and refuses one that would not be below DESTDIR", function()
    local script = [[make install DESTDIR=/stage PREFIX=/usr INST_BINDIR=/b INST_LUADIR=/l INST_LIBDIR=/c \
      INST_DATADIR=/d INST_DOCDIR=/e && find /stage -name cella && find /stage/* -maxdepth 0; mkdir /stage/again
    ]]
    local refused = { ["install DESTDIR=/stage/again PREFIX=usr"] = "INST_BINDIR is not an absolute path: 'usr/bin'",
      ["uninstall INST_DOCDIR=/a/.."] = [[INST_DOCDIR goes up by "..": '/a/..']] }
    for words in pairs(refused) do script = script .. ("make %s && echo done\n"):format(words) end
    local said = says(script .. "find /stage/again /stageusr /tmp -xdev -type f; ls /stage/again")
    for _, path in ipairs { "b/cella", "l/cella", "c/cella", "d/bash-completion/completions/cella" } do
      assert.matches("/stage/" .. path .. "\n", said, 1, true)
    end
    assert.matches("\n/stage/b\n/stage/c\n/stage/d\n/stage/e\n/stage/l\n", said, 1, true)
    for _, why in pairs(refused) do assert.truthy(said:find("make install: " .. why, 1, true), said) end
    assert.is_nil(said:find("done", 1, true))
    assert.matches("\nfind: [^\n]*/stageusr[^\n]*\n$", said)
  end)

  it("is undone by make uninstall, which leaves what others have put there", function()
    local said = says(([[make install DESTDIR=/stage PREFIX=/usr && touch /stage/usr/bin/theirs \
      /stage/usr/share/lua/%s/cella/idmap/theirs.lua && make uninstall DESTDIR=/stage PREFIX=/usr && files
      find /stage -type d -path '*cella*' | LC_ALL=C sort
      rm -r /stage/usr; make uninstall DESTDIR=/stage; files]]):format(ABI))
    assert.equal((([[
644 /stage/usr/bin/theirs
644 MODULES/idmap/theirs.lua
MODULES
MODULES/idmap
]]):gsub("MODULES", ("/stage/usr/share/lua/%s/cella"):format(ABI))), said)
  end)

  it("makes a program that finds its Lua and its library, where Lua looks and wherever PREFIX is", function()
    local version = require("cella")._VERSION .. " (" .. (rawget(_G, "jit") and rawget(_G, "jit").version or _VERSION)
      .. ")\n"
    local said = says([[make install && env -i /usr/local/bin/cella --version && cat >/tmp/program.lua <<'END'
        local cella = require "cella"
        print(debug.getinfo(cella.container).source, type(cella.sys.unshare))
END
      env -i $(head -n 1 /usr/local/bin/cella | sed 's/^#!//') /tmp/program.lua

      make install PREFIX=/stage/there && make uninstall && ln -s /stage/there/bin/cella /stage/cella
      for program in /stage/there/bin/cella /stage/cella ../stage/cella; do (cd /usr && env -i $program --version); done
      mv /stage/there /stage/elsewhere; env -i /stage/elsewhere/bin/cella --version
      # Half of it is not for it, and where somebody has set paths it has no own.
      env -i LUA_PATH='/nonexistent/?.lua;;' /stage/elsewhere/bin/cella --version 2>&1 | head -n 1
      rm /stage/elsewhere/lib/lua/*/cella/core.so; env -i /stage/elsewhere/bin/cella --version 2>&1 | head -n 1

      make install INTERPRETER=/nonexistent/lua; find /usr/local -name bytecode.so; head -n 1 /usr/local/bin/cella]],
      { type = "tmpfs", destination = "/usr/local" })
    local lost = "cella: module 'cella' not found:\n"
    assert.equal(version .. "=cella.container\tfunction\n" .. version:rep(4) .. lost .. lost
      .. "make install: there is no /nonexistent/lua to make bytecode with: the modules are installed as source\n"
      .. "#!/usr/bin/env lua\n", said)
  end)
end)
