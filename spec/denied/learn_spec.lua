-- cella learn: what it prints is a container in which the program works that did not before, and that has no more of
-- the host than it needs.

local able = require "spec.support.able"
local trial = require "spec.support.trial"

local no_idmap = able.lacks "own_files"
local SECONDS = 1 * (tonumber(os.getenv "CELLA_PATIENCE") or 1)

describe("cella learn", function()
  local directory, home

  trial.around(before_each, after_each)

  before_each(function()
    directory = trial.directory()
    home = directory .. "/home"
    trial.sh(("mkdir -p %s/project %s/.config/tool && chmod -R a+rX %s"):format(home, home, directory))
  end)

  after_each(function() trial.remove_directory(directory) end)

  local function sh(text)
    return trial.sh(("export HOME=%s; cd %s/project\n%s"):format(home, home, text))
  end

  -- Where the working directory of the command line is the project.
  local CELLA = ("%s %s/bin/cella"):format(trial.interpreter(), trial.top)

  -- Learns, and runs what was learnt. Returns the table's text, and what its program writes.
  local function learn(words, before)
    sh(before or "true")
    local path = home .. "/learnt.lua"
    local said = sh(("%s learn %s >%s; echo learnt $?"):format(CELLA, words, path))
    return trial.read(path), said, function() return sh(("%s run %s; echo run $?"):format(CELLA, path)) end
  end

  local function write(name, text) trial.write(home .. "/" .. name, text) end

  it("lets be read what is asked for, and nothing else", function()
    write(".config/tool/one", "1\n")
    write(".config/tool/two", "2\n")
    local text, said, again = learn("-- sh -c 'cat ~/.config/tool/one || cat " .. home .. "/.config/tool/one'")
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.equal("cat: /tmp/.config/tool/one: No such file or directory\n1\nrun 0\n", again())
    assert.truthy(text:find(('{ type = "bind", source = "%s/.config/tool/one", destination = "%s/.config/tool/one", '
      .. "readonly = true },"):format(home, home), 1, true), text)
    assert.is_nil(text:find("two", 1, true))
    -- The control: without it there is none.
    assert.truthy(sh(CELLA .. " run -- cat " .. home .. "/.config/tool/one"):find("No such file", 1, true))
  end)

  it("lets be written below the working directory, and elsewhere in the container alone", function()
    if no_idmap then return pending(no_idmap) end
    local text, said, again = learn(("-- sh -c 'echo kept > kept; echo lost > %s/.cache/lost'"):format(home),
      "mkdir ~/.cache")
    assert.truthy(said:find("learnt 0\n", 1, true), said .. text)
    assert.equal("run 0\n", again())
    assert.equal("kept\n", trial.read(home .. "/project/kept"))
    assert.is_nil(trial.read(home .. "/.cache/lost"))
    assert.truthy(text:find(('{ type = "tmpfs", destination = "%s/.cache" }'):format(home), 1, true), text)
  end)

  it("does not let a file of the host's be written that is elsewhere", function()
    write(".config/tool/one", "1\n")
    local text, said = learn(("-- sh -c 'cd %s/.config/tool; cat one; echo changed > one'"):format(home))
    assert.truthy(said:find("learnt 2\n", 1, true), said)
    assert.equal("1\n", trial.read(home .. "/.config/tool/one"))
    assert.truthy(text:find("Denied, and not opened", 1, true), text)
  end)

  it("lets nothing be written that a link of the working directory's leads to", function()
    write(".config/tool/one", "1\n")
    sh "ln -s ../.config/tool out; ln -s ../.config/tool/one one; mkdir real; ln -s real in"
    for _, before in ipairs { "true", "test -d ../.config/tool", "cat one" } do
      local text, said, again = learn(
        ("-- sh -c '%s; echo changed >> out/one; echo changed >> one; echo new > out/new'"):format(before))
      -- Without ID-mapped mounts the first run has shown nothing to open, unless it has read.
      assert.truthy(said:find("cella learn: run 2", 1, true) or no_idmap and before == "true", said)
      assert.is_nil(said:find("could not be started", 1, true), said)
      assert.truthy(again():find("run %d"), text)
      assert.equal("1\n", trial.read(home .. "/.config/tool/one"), before)
      assert.equal("one\n", trial.sh(("ls %s/.config/tool"):format(home)), before)
      for line in text:gmatch "[^\n]*type = \"bind\"[^\n]*" do
        assert.truthy(line:find("readonly = true", 1, true) or line:find(home .. "/project", 1, true), line)
      end
    end
    if no_idmap then return end
    -- The control: by a link that leads to what is below it, it is written.
    local text, said, again = learn "-- sh -c 'echo kept >> in/kept'"
    assert.truthy(said:find("learnt 0\n", 1, true), said .. text)
    assert.equal("run 0\n", again())
    assert.equal("kept\nkept\n", trial.read(home .. "/project/real/kept"))
  end)

  it("lets be written in a working directory that lies in what is the system's", function()
    if no_idmap or trial.lacks_root() then return pending(no_idmap or trial.lacks_root()) end
    local said = sh("unshare --mount sh -c " .. trial.quote(([[
      mount -t tmpfs none /opt && mkdir /opt/project && cd /opt/project && echo old > old
      %s learn -- sh -c "echo kept > kept; echo more >> old" 2>&1
      cat kept old]]):format(CELLA)))
    assert.truthy(said:find("kept\nold\nmore\n$"), said)
  end)

  it("lets nothing be written by a link that the program makes meanwhile", function()
    if no_idmap then return pending(no_idmap) end
    write(".config/tool/one", "1\n")
    sh "mkdir sub"
    local text = learn("-- sh -c 'test -d ../.config/tool; echo x > sub/x; mv sub old; ln -s ../.config/tool sub; "
      .. "echo changed >> sub/one; echo new > sub/new; rm -rf old; exit 1'")
    assert.equal("1\n", trial.read(home .. "/.config/tool/one"), text)
    assert.equal("one\n", trial.sh(("ls %s/.config/tool"):format(home)), text)
    assert.equal("../.config/tool\n", sh "readlink sub") -- it has done that
  end)

  it("gives no home by a link to it, nor as the working directory", function()
    -- One that the container has no directory at, as one of another disk is; and by a link itself.
    local real, own = directory .. "/disk/me", directory .. "/me"
    trial.sh(("mkdir -p %s && ln -s disk/me %s && chmod -R a+rX %s"):format(real, own, directory))
    for i = 1, 5 do trial.write(("%s/at-home-%d"):format(real, i), i .. "\n") end
    sh(("ln -s %s up; ln -s %s above"):format(own, directory .. "/disk"))
    local path = home .. "/learnt.lua"
    local function text_of(where, script)
      sh(("export HOME=%s; cd %s; %s learn -- sh -c '%s' > %s 2> %s.log"):format(own, where, CELLA, script, path, path))
      return trial.read(path)
    end
    local text = text_of(".", 'perl -e "opendir D, \\$_ for qw(up above)"; '
      .. 'cat up/at-home-1 up/at-home-2 up/at-home-3 up/at-home-4')
    assert.truthy(text:find("last exited 0", 1, true), text)
    local again = sh(("%s run %s"):format(CELLA, path)) -- by a link that leads on over another
    assert.truthy(again:find("1\n2\n3\n4\n", 1, true), again)
    assert.is_nil(again:find("at-home-5", 1, true), again)
    assert.truthy(text:find("at-home-4", 1, true), text)
    for _, wide in ipairs { real, own, directory .. "/disk", home .. "/project/up", home .. "/project/above" } do
      assert.is_nil(text:find(('source = "%s"'):format(wide), 1, true), text)
    end
    text = text_of(own, "cat at-home-2; ls; true")
    assert.truthy(text:find(('source = "%s/at-home-2"'):format(real), 1, true), text)
    assert.is_nil(text:find(('source = "%s"'):format(real), 1, true), text)
    assert.is_nil(trial.read(path .. ".log"):find("at-home-3", 1, true))
  end)

  it("opens no socket, FIFO or device", function()
    sh "mkfifo ../.config/tool/fifo"
    local text = learn(("-- sh -c 'test -p %s/.config/tool/fifo && echo x <> %s/.config/tool/fifo'"):format(home, home))
    assert.is_nil(text:find "\n    {[^\n]*fifo", text)
    assert.truthy(text:find('--   mounts = [^\n]*fifo"'), text)
  end)

  it("gives a directory for its files where they are many, and no home", function()
    for i = 1, 5 do
      write(".config/tool/" .. i, i .. "\n")
      write("at-home-" .. i, i .. "\n")
    end
    local names = {}
    for i = 1, 5 do names[i] = ("%s/.config/tool/%d %s/at-home-%d"):format(home, i, home, i) end
    local text, _, again = learn("-- cat " .. table.concat(names, " "))
    assert.equal("1\n1\n2\n2\n3\n3\n4\n4\n5\n5\nrun 0\n", again())
    assert.truthy(text:find(('source = "%s/.config/tool", '):format(home), 1, true), text)
    assert.is_nil(text:find(('source = "%s", '):format(home), 1, true))
    assert.truthy(text:find("at-home-3", 1, true))
  end)

  it("does not open the filter, capabilities, or the network, and says that they were asked for", function()
    local text, said = learn("--seccomp default -- sh -c 'unshare --user true'")
    assert.truthy(said:find("learnt 1\n", 1, true), said)
    assert.truthy(text:find("--   nesting = true", 1, true), text)
  end)

  it("is of a file's container, or of keys, what they are to have beside", function()
    write("box.lua", 'return require("cella").container { hostname = "moon", command = { "cat", "../note" } }')
    write("note", "remember\n")
    local text, said = learn("../box.lua")
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.truthy(text:find("return {\n", 1, true), text)
    assert.truthy(text:find(('source = "%s/note"'):format(home), 1, true), text)
    text, said = learn("-e 'hostname = \"moon\"' -- sh -c 'hostname; cat ../note'")
    assert.truthy(said:find("moon\nremember\nlearnt 0\n", 1, true), said)
    assert.truthy(text:find("../note", 1, true) == nil, text)
  end)

  it("refuses what it cannot run, and says why", function()
    local function said(words) return (sh(("%s learn %s 2>&1 >%s/out; echo learnt $?"):format(CELLA, words, home))) end
    assert.truthy(said "-- nosuchprogram":find("learnt 127", 1, true))
    assert.truthy(said "":find("missing", 1, true))
    assert.truthy(said "--timeout x -- true":find("no number of seconds", 1, true))
    assert.truthy(said "-e 'command = { print }'":find("function", 1, true))
    -- On a busy machine the set-up alone may take longer, which is another answer.
    local seconds, text = SECONDS
    repeat
      text = said("--timeout " .. seconds .. " -- sleep 1000")
      seconds = seconds * 3
    until seconds > 100 or not text:find("the set-up took longer than", 1, true)
    assert.truthy(text:find("learnt 124", 1, true), text)
  end)

  it("is told what it prints without its escape sequences", function()
    local text = learn(("-- sh -c 'cat \"%s/$(printf \"\\033[2J\")\"'"):format(home),
      ("echo x > \"%s/$(printf '\\033[2J')\""):format(home))
    assert.is_nil(text:find("\27", 1, true))
    assert.truthy(text:find("\\027[2J", 1, true), text)
  end)

  it("leaves what no table can name, and tells of it", function()
    write("project/old", "x")
    trial.sh(("cd %s && mkdir 'a\nb' && echo in >'a\nb/file' && ln -s 'a\nb' link && echo out >plain"):format(home))
    local text, said, again = learn(("-- sh -c 'cat \"$0/a\nb/file\" $0/link/file; echo >\"$0/\nx\"; cat $0/plain' %s")
      :format(home))
    assert.truthy(said:find("learnt 0", 1, true), said)
    assert.matches("\nout\nrun 0\n$", (again()))
    assert.truthy(text:find("a\\x0ab/file: ENOENT, the container has no such file, and the host has; no key names",
      1, true), text)
    sh "mkdir 'new\nline'"
    for _, command in ipairs { "learn -- true", "busted spec" } do
      local words = sh(("cd 'new\nline' && %s %s 2>&1; echo $?"):format(CELLA, command))
      assert.truthy(words:find("there is a newline in its path", 1, true), words)
      assert.is_nil(words:find("traceback", 1, true))
      assert.truthy(words:find("\n125\n$"), words)
    end
  end)

  it("is of a compiler that finds its files below a home #slow", function()
    if trial.sh "command -v gcc" == "" then return pending "needs gcc" end
    write("project/hello.c", '#include <stdio.h>\n#include "word.h"\nint main(void) { return puts(WORD) < 0; }\n')
    sh "mkdir ../include"
    write("include/word.h", '#define WORD "compiled"\n')
    local text, said, again = learn(("-- gcc -I%s/include -o hello hello.c"):format(home))
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.equal("run 0\n", sh "rm hello" .. again())
    assert.equal("compiled\n", sh "./hello")
    assert.truthy(text:find("word.h", 1, true), text)
  end)

  it("is of a suite of busted's #slow", function()
    if trial.sh "command -v busted" == "" then return pending "needs busted" end
    sh "mkdir spec"
    write("note", "remember\n")
    write("project/spec/one_spec.lua", ([[
      it("reads and writes", function()
        assert.equal("remember", assert(io.open "%s/note"):read "*l")
        assert(io.open("report", "w")):write "written":close()
      end)]]):format(home))
    local _, said, again = learn "-- busted"
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.truthy(again():find("1 success", 1, true))
    assert.equal("written", trial.read(home .. "/project/report"))
  end)

  it("is of pip, from a local directory #slow", function()
    if trial.sh "/usr/bin/python3 -c 'import setuptools, pip' 2>/dev/null && echo there" ~= "there\n" then
      return pending "needs python3 with pip and setuptools"
    end
    sh "mkdir thing"
    write("project/thing/__init__.py", "")
    write("project/setup.py", 'from setuptools import setup\nsetup(name="thing", version="1", packages=["thing"])\n')
    local _, said, again = learn("-- /usr/bin/python3 -m pip install --no-index --no-build-isolation "
      .. "--disable-pip-version-check --target out .")
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.truthy(again():find("Successfully installed", 1, true))
    assert.equal("", trial.read(home .. "/project/out/thing/__init__.py"))
  end)

  it("is of npm, from a local directory #slow", function()
    if trial.sh "command -v npm" == "" then return pending "needs npm" end
    sh "mkdir dep"
    write("project/package.json", '{ "name": "main", "version": "1.0.0" }')
    write("project/dep/package.json", '{ "name": "dep", "version": "1.0.0" }')
    local _, said, again = learn "-- npm install --offline --no-audit --no-fund ./dep"
    assert.truthy(said:find("learnt 0\n", 1, true), said)
    assert.truthy(again():find("run 0\n", 1, true))
    assert.equal("../dep\n", sh "readlink node_modules/dep")
  end)
end)
