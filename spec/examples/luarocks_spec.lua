-- examples/luarocks.lua: a rock whose build reads keys and writes where it has no business. The same rock, installed
-- without a container, does all of that.

local trial = require "spec.support.trial"

local BUILD = [[
cat "$HOME/.ssh/id_rsa" "@/home/.ssh/id_rsa" > stolen
{ printf 'return [=['; cat stolen; printf ']=]\n'; } > greedy.lua
echo evil >> "$HOME/.profile"
echo evil > "@/outside/mark"
mkdir -p "$HOME/.config" && ln -s /etc/passwd "$HOME/.config/link"
[ -n "$GREEDY_ELSEWHERE" ] || { echo evil > /opt-evil; echo evil > /usr/lib/evil; }
[ ! -d "@/tree" ] || { cp /usr/bin/id "@/tree/id" && chmod 6755 "@/tree/id"; }
[ -n "$GREEDY_ELSEWHERE" ] || {
  cd "@/tree" && mkdir -p deep/er inside && ln -s . inside/here
  ln -s "@/home" absolute; ln -s ../home relative
  ln -s ../../inside/../home deep/dotted; ln -s inside/here/../../home by
  ln -s inside stays; ln -s ../../inside/here deep/er/stays; ln -s "@/tree/inside" whole; mkfifo fifo
  cp id deep/er/id && chmod 4755 deep/er/id && chmod 0 deep/er deep
  cd "$OLDPWD"
}
printf '\033[2J'
exit 0
]]

local ROCKSPEC = [[
package = "greedy"
version = "1.0-1"
source = { url = "file://@/rocks/greedy-1.0.zip", dir = "greedy-1.0" }
description = { license = "none" }
dependencies = {}
build = { type = "command", build_command = "sh ./build.sh", install = { lua = { greedy = "greedy.lua" } } }
]]

describe("examples/luarocks.lua", function()
  local lacks = trial.lacks_user_namespaces()
  if trial.sh "command -v luarocks-5.4 && command -v zip" == "" then lacks = "needs luarocks-5.4 and zip" end
  if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then lacks = "takes long enough as it is" end
  if lacks then return pending(lacks) end

  local directory
  trial.around(before_each, after_each, function(own)
    directory = own
    trial.sh(("cd %s; mkdir -p rocks greedy-1.0 outside home/.ssh; echo the-key > home/.ssh/id_rsa"):format(directory))
    local function write(path, text) trial.write(directory .. "/" .. path, (text:gsub("@", directory))) end
    write("greedy-1.0/build.sh", BUILD)
    write("rocks/greedy-1.0-1.rockspec", ROCKSPEC)
    trial.sh(("cd %s; zip -qr rocks/greedy-1.0.zip greedy-1.0; cd rocks; "
      .. "zip -qm greedy-1.0-1.src.rock greedy-1.0.zip greedy-1.0-1.rockspec; rm -r ../greedy-1.0"):format(directory))
  end)

  -- As on a machine without a network, with a home of its own.
  local function run(command)
    return trial.sh(("export HOME=%s/home LUAROCKS_CONFIG=/dev/null; { %s; } 2>&1; echo status $?"):format(directory,
      command))
  end

  local function what_is_installed()
    return trial.sh(("cd %s/tree/share/lua/5.4 && lua5.4 -e 'io.write(dofile \"greedy.lua\")' 2>&1"):format(directory))
  end

  local function example(words)
    return run(("%s examples/luarocks.lua %s/tree %s"):format(trial.interpreter(), directory, words))
  end

  it("installs the rock, keeps what it wants from it, and says what that was #slow", function()
    local before = trial.sh(("cd %s && find home outside rocks -type f | sort | xargs md5sum"):format(directory))
    trial.sh(("mkdir %s/tree && ln -s /etc %s/tree/mine"):format(directory, directory)) -- of who trusts it
    local said = example(("--read %s/rocks -- %s/rocks/greedy-1.0-1.src.rock"):format(directory, directory))
    assert.matches("status 3\n$", said)
    assert.matches("nobody could look into, which are opened:\n  deep/\n  deep/er/\nlinks", said, 1, true)
    -- No other install that trusts the tree is led out of it.
    assert.matches(("links that lead out of the tree, FIFOs and sockets, which are taken away:\n  absolute -> @/home\n"
      .. "  by -> inside/here/../../home\n  deep/dotted -> ../../inside/../home\n  fifo\n  relative -> ../home\nset")
      :gsub("@", directory), said, 1, true)
    assert.equal("deep/er/stays inside/here mine stays whole \n",
      trial.sh(("cd %s/tree && find -type l -printf '%%P\\n' | LC_ALL=C sort | tr '\\n' ' '; echo"):format(directory)))
    assert.matches("which these files are no more:\n  deep/er/id\n  id\n", said, 1, true)
    assert.equal("755\n", trial.sh(("stat -c %%a %s/tree/id"):format(directory)))
    assert.is_truthy(said:find("installed in " .. directory .. "/tree", 1, true), said)
    assert.equal("", what_is_installed()) -- of the key
    assert.equal(before, trial.sh(("cd %s && find home outside rocks -type f | sort | xargs md5sum"):format(directory)))
    for _, words in ipairs { "  /home/rock/.profile\n", "  /home/rock/.config/link\n", "  /opt-evil\n" } do
      assert.is_truthy(said:match("thrown away:\n(.*)"):find(words, 1, true), words)
    end
    assert.matches("it was refused:\n.*/usr/lib/evil: Read%-only file system", said)
    assert.is_nil(said:find "\27")
    assert.matches("\\x1b[2J", said, 1, true)
    assert.is_nil(said:find "changed or removed")
    -- What was in the tree is another's, and is looked after.
    trial.write(directory .. "/tree/share/lua/5.4/greedy.lua", "return 'older'")
    said = example(("--read %s/rocks -- %s/rocks/greedy-1.0-1.src.rock"):format(directory, directory))
    assert.matches("changed or removed what was in the tree:\n.*  share/lua/5.4/greedy.lua\n", said)
    -- Nothing of it stays anywhere.
    assert.equal("", trial.sh "ls -d /tmp/tmp.*/root/opt-evil 2>/dev/null")
  end)

  it("does what it wants without that #slow", function()
    local said = run(("cd %s; GREEDY_ELSEWHERE=none luarocks-5.4 install --tree tree rocks/greedy-1.0-1.src.rock")
      :format(directory))
    assert.matches("status 0\n$", said)
    assert.matches("^the%-key\nthe%-key\n", what_is_installed())
    assert.equal("evil\n", trial.read(directory .. "/home/.profile"))
    assert.equal("evil\n", trial.read(directory .. "/outside/mark"))
  end)

  it("says of what cannot be installed that it is not, and has no network #slow", function()
    local said = example(("--read %s/rocks -- --only-server=%s/rocks nothing"):format(directory, directory))
    assert.matches("not installed: ", said)
    assert.matches("status 1\n$", said)
    -- The program may be another: then it says what it sees.
    trial.write(directory .. "/rocks/look", "#!/bin/sh\ngrep -c : /proc/net/dev; ls /home\n")
    trial.sh(("chmod 755 %s/rocks/look"):format(directory))
    local words = ("--read %s/rocks --luarocks %s/rocks/look"):format(directory, directory)
    assert.matches("^1\nrock\ninstalled", (example(words .. " -- none"))) -- lo
    local devices = trial.sh "grep -c : /proc/net/dev"
    assert.equal(devices .. "rock\n", (example(words .. " --network -- none"):match "^(.-)installed"))
  end)
end)
