-- What a program is denied, told to its caller: each thing that is told happened to the program, and the key that is
-- named with it opens it.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local kernel = require "cella.host.kernel"
local keys_of_denied = require "cella.denied.key"
local mountinfo = require "cella.mountinfo"
local lists = require "cella.list"
local outside = require "spec.support.outside"
local seccomp = require "cella.seccomp"
local trial = require "spec.support.trial"

local load_text = loadstring or load -- luacheck: ignore 143

local no_idmap = able.lacks "own_files"
local no_overlay = kernel.is_older(kernel.version(), "5.11") -- in a user namespace

describe("what a program is denied", function()
  local directory

  trial.around(before_each, after_each)

  setup(function()
    directory = trial.directory()
    trial.sh(("cc -O1 -static -o %s/denied spec/support/denied.c; chmod 755 %s %s/denied; echo told > %s/file"):format(
      directory, directory, directory, directory))
    trial.sh(("chmod 644 %s/file"):format(directory))
  end)

  teardown(function() trial.remove_directory(directory) end)

  -- Runs a shell script; returns what was told, and the result.
  local function told(keys, script, more)
    local events = {}
    local command = trial.script(script)
    function command.denied(event) events[#events + 1] = event end
    for key, value in pairs(more or {}) do command[key] = value end
    local result, err = cella.container(keys):run(command)
    if not result then error(tostring(err), 2) end
    return events, result
  end

  local function only(events, wanted)
    local found
    for _, event in ipairs(events) do
      local fits = true
      for key, value in pairs(wanted) do fits = fits and event[key] == value end
      if fits then
        assert.is_nil(found, "told twice: " .. tostring(event))
        found = event
      end
    end
    if found then return found end
    local lines = {}
    for i, event in ipairs(events) do lines[i] = tostring(event) end
    error("not told; what was:\n" .. table.concat(lines, "\n"), 2)
  end

  -- The container's keys with that of an event.
  local function opened(keys, event)
    local made = assert(load_text("local seccomp = ... return { " .. event.key .. " }"))(seccomp)
    for key, value in pairs(keys) do made[key] = made[key] or value end
    return made
  end

  it("is what the filter refuses, for certain, with its error and the key", function()
    local keys = {}
    local script = "unshare --user true || echo refused"
    local events, result = told(keys, script)
    assert.equal("refused\n", result.stdout)
    local event = only(events, { call = "unshare" })
    assert.same({ "filter", true, "EPERM", "unshare", "nesting = true" },
      { event.cause, event.certain, event.errno, event.comm, event.key })
    assert.is_number(event.arguments[1])
    assert.equal("", trial.inside(opened(keys, event), script))
  end)

  -- Of the probe, in place of a script.
  local function probed(keys, ...)
    keys.mounts = { { type = "bind", source = directory .. "/denied", destination = "/denied", readonly = true } }
    local words = { "/denied", ... }
    return told(keys, "exec " .. table.concat(words, " "))
  end

  it("and a call that depends on an argument, with that alone", function()
    local keys = { seccomp = "default" }
    local events, result = probed(keys, "socket", "vsock")
    assert.equal("97\n", result.stdout) -- EAFNOSUPPORT
    local event = only(events, { call = "socket", certain = true })
    assert.equal('seccomp = seccomp.named "default" + { socket = { { 0, "==", "vsock" } } }', event.key)
    assert.equal("allow", opened(keys, event).seccomp:answer("socket", 40))
    assert.equal("EAFNOSUPPORT", opened(keys, event).seccomp:answer("socket", 38))
  end)

  it("is a file that the container has not and the host has, to be expected", function()
    local script = ("cat %s/file || true"):format(directory)
    local event = only(told({}, script), { call = "openat" })
    assert.same({ "file", false, "ENOENT", directory .. "/file", "cat" },
      { event.cause, event.certain, event.errno, event.path, event.comm })
    assert.equal("told\n", trial.inside(opened({}, event), script))
    -- What the host has not either is nobody's denial.
    local events, result = told({}, ("cat %s/other"):format(directory))
    assert.equal(1, result.code)
    for _, one in ipairs(events) do assert.is_nil((one.path or ""):find("other", 1, true)) end
  end)

  describe("by rules of Landlock:", function()
    local FIRST = { path = "/", allow = { "execute", "read_file", "read_dir" } }

    local function under(script, policy)
      local keys = { landlock = policy or { files = { FIRST } }, mounts = { { type = "tmpfs", destination = "/tmp" } } }
      return told(keys, script), keys
    end

    -- What is told is the line that is missing: with it the script does what it could not do.
    local function opens(event, keys, script, errno)
      assert.same({ "landlock", false, errno or "EACCES" }, { event.cause, event.certain, event.errno })
      local line = assert(load_text("return { " .. event.key .. " }"))().landlock
      local files = {}
      for i, one in ipairs(line.files or {}) do files[i] = one end
      for _, one in ipairs(keys.landlock.files or {}) do files[#files + 1] = one end
      return trial.inside({ landlock = { files = line.files and files, tcp = line.tcp }, mounts = keys.mounts }, script)
    end

    local function needs(abi)
      local have = require("cella.landlock").abi() or 0
      return have < abi and ("needs Landlock with ABI %d"):format(abi) or nil
    end

    it("what is moved or linked into another directory", function()
      if needs(3) then return pending(needs(3)) end
      local mounts = { { type = "tmpfs", destination = "/tmp" }, { type = "directory", destination = "/tmp/two" },
        { type = "file", destination = "/tmp/one/file", content = "moved" } }
      local function rules(...) return { files = { FIRST, ... } } end
      local ALL = { path = "/tmp", allow = { "make", "remove" } }
      local both = '{ path = "/tmp/one", allow = { "refer" } }, { path = "/tmp/two", allow = { "refer" } }'
      local moves = "perl -e 'rename \"/tmp/one/file\", \"/tmp/two/file\" and exec \"cat\", \"/tmp/two/file\"'"
      for _, case in ipairs {
        { "ln /tmp/one/file /tmp/two/file && cat /tmp/two/file", "linkat", rules(ALL), both },
        { moves, "rename", rules(ALL), both },
        { moves, "rename", rules(ALL, { path = "/tmp/one", allow = { "refer" } }),
          '{ path = "/tmp/two", allow = { "refer" } }' },
        -- It could be written to there, and cannot be here.
        { moves, "rename", rules(ALL, { path = "/tmp", allow = { "refer" } },
          { path = "/tmp/two", allow = { "write_file" } }), '{ path = "/tmp/one", allow = { "write_file" } }' },
      } do
        local script, keys = case[1], { landlock = case[3], mounts = mounts }
        local events = told(keys, script .. " || true")
        local event = only(events, { cause = "landlock" })
        assert.same({ case[2], "/tmp/two/file" }, { event.call, event.path })
        assert.equal("landlock = { files = { " .. case[4] .. " } }", event.key)
        assert.equal("", trial.inside(keys, script .. " || true"))
        assert.equal("moved", opens(event, keys, script, "EXDEV"))
      end
      -- Within a directory it takes none of it; from one mount into another it is not Landlock's.
      table.insert(mounts, { type = "tmpfs", destination = "/tmp/three" })
      local events = told({ landlock = rules(ALL), mounts = mounts }, [[perl -e '
        rename "/tmp/one/file", "/tmp/one/other" or die; link "/tmp/one/other", "/tmp/three/file"']])
      for _, one in ipairs(events) do assert.not_equal("landlock", one.cause) end
      -- What is not there is neither moved nor linked.
      events = told({ landlock = rules(), mounts = mounts }, [[perl -e '
        link "/tmp/one/none", "/tmp/two/file"; rename "/tmp/one/none", "/tmp/two/file"; rename "", "/tmp/two/file"']])
      for _, one in ipairs(events) do assert.not_equal("landlock", one.cause) end
    end)

    it("a file that is made, read, changed, removed", function()
      if needs(3) then return pending(needs(3)) end
      for script, key in pairs {
        ["echo x > /tmp/new && cat /tmp/new"] = '{ path = "/tmp", allow = { "make_reg", "write_file" } }',
        ["mkdir /tmp/d; ls /tmp"] = '{ path = "/tmp", allow = { "make_dir" } }',
        ["ln -s x /tmp/d; ls /tmp"] = '{ path = "/tmp", allow = { "make_sym" } }',
        ["mkfifo /tmp/d; ls /tmp"] = '{ path = "/tmp", allow = { "make_fifo" } }',
        ["exec 3>/dev/null; echo yes"] = '{ path = "/dev/null", allow = { "write_file" } }',
      } do
        local events, keys = under(script .. " || true")
        local event
        for _, one in ipairs(events) do event = one.cause == "landlock" and not event and one or event end
        assert.is_not_nil(event, script)
        assert.equal("landlock = { files = { " .. key .. " } }", event.key)
        assert.is_true(#opens(event, keys, script) > 0, script)
      end
      -- The control: what is allowed is not told.
      for _, one in ipairs((under "cat /etc/hostname; ls /tmp; true")) do assert.not_equal("landlock", one.cause) end
    end)

    it("a file that is read, by whichever link and bind it is come to", function()
      if needs(3) then return pending(needs(3)) end
      local policy = { files = { { path = { "/usr", "/etc", "/lib", "/lib64", "/bin", "/dev" }, optional = true,
        allow = { "execute", "read" } }, { path = "/here", allow = "read" } } }
      local keys = { landlock = policy, mounts = {
        { type = "bind", source = directory, destination = "/here", readonly = true },
        { type = "file", destination = "/there/one", content = "one" },
        { type = "symlink", destination = "/way", target = "there" } } }
      local events = told(keys, "cat /way/one; true")
      local event = only(events, { cause = "landlock", path = "/way/one" })
      assert.equal('landlock = { files = { { path = "/there/one", allow = { "read_file" } } } }', event.key)
      assert.equal("one", opens(event, keys, "cat /way/one"))
      for _, one in ipairs((told(keys, "cat /here/file; true"))) do assert.not_equal("landlock", one.cause) end
    end)

    it("a port, of the protocol that the socket is of", function()
      if needs(4) then return pending(needs(4)) end
      local policy = { tcp = { connect = { 7 } } }
      local bash = trial.quote "exec 3<>/dev/tcp/127.0.0.1/9"
      local events = told({ landlock = policy }, ("bash -c %s; bash -c %s; bash -c %s; true"):format(bash,
        trial.quote "exec 3<>/dev/udp/127.0.0.1/9", trial.quote "exec 3<>/dev/tcp/127.0.0.1/7"))
      local event = only(events, { cause = "landlock" })
      assert.same({ "127.0.0.1:9", "EACCES", "landlock = { tcp = { connect = { 9 } } }" },
        { event.address, event.errno, event.key })
    end)
  end)

  it("is one descriptor more than the container allows", function()
    local script = [=[exec perl -e 'for (1 .. 30) { open($f[$_], "<", "/dev/null") or print("$!\n"), last }']=]
    local events, result = told({ rlimits = { nofile = 16 } }, script)
    assert.equal("Too many open files\n", result.stdout)
    local event = only(events, { cause = "limit" })
    assert.same({ "openat", "EMFILE", "/dev/null", "rlimits = { nofile = 32 }" },
      { event.call, event.errno, event.path, event.key })
    -- More of them, and nothing is told.
    events, result = told({ rlimits = { nofile = 64 } }, script)
    assert.equal("", result.stdout)
    for _, one in ipairs(events) do assert.not_equal("limit", one.cause) end
  end)

  it("is a device, by the key for such", function()
    if trial.sh "test -c /dev/kmsg && echo there" ~= "there\n" then return pending "needs /dev/kmsg" end
    local event = only(told({}, "cat /dev/kmsg"), { call = "openat", path = "/dev/kmsg" })
    assert.same({ "file", 'devices = { "/dev/kmsg" }' }, { event.cause, event.key })
  end)

  it("is a file by a relative path, from the working directory and from a descriptor's", function()
    local keys = { mounts = { { type = "directory", destination = directory } } }
    only(told(keys, ("cd %s; cat file"):format(directory)), { call = "openat", path = directory .. "/file" })
  end)

  it("is what the container has read-only", function()
    if no_idmap then return pending(no_idmap) end
    trial.sh(("mkdir -p %s/own; chmod 777 %s/own; : > %s/own/old; chmod 666 %s/own/old"):format(directory, directory,
      directory, directory))
    local keys = { mounts = { { type = "bind", source = directory, destination = directory, readonly = true } } }
    local script = ("echo new > %s/own/new"):format(directory)
    local event = only(told(keys, script), { call = "openat", cause = "read-only" })
    assert.same({ "EROFS", directory .. "/own/new", false }, { event.errno, event.path, event.certain })
    local more = opened({}, event).mounts[1]
    table.insert(keys.mounts, more)
    assert.equal("", trial.inside(keys, script .. "; rm " .. directory .. "/own/new"))
    event = only(told({ mounts = { keys.mounts[1] } }, ("rm -f %s/own/old"):format(directory)), { call = "unlinkat" })
    assert.equal("EROFS", event.errno)
  end)

  it("is opened by no ID-mapped mount where the kernel has none of that file system", function()
    if trial.lacks_root() then return pending "needs root, whose containers have IDs of their own" end
    local release, on = kernel.release, mountinfo.on
    finally(function() kernel.release, mountinfo.on = release, on end)
    local status = { type = "file", uid = 4242, real = "/srv/x" }
    local function key(kind, minor, does)
      function kernel.release() return "6." .. minor end
      function mountinfo.on() return { kind = kind } end
      return keys_of_denied.mount({ object = "/srv/x", status = status, writes = true, does = does },
        { maps = function() return false end })
    end
    assert.is_true(key("ext4", 1).idmap)
    assert.is_true(key("tmpfs", 3).idmap)
    for _, kind in ipairs { "tmpfs", "squashfs", "overlay" } do
      local mount, why = key(kind, 1)
      assert.is_nil(mount)
      assert.matches(kind, why)
    end
  end)

  -- What is to be told of what a script does to a file, against what it gets.
  local WORDS = { EACCES = "Permission denied", EROFS = "Read-only file system", ENOENT = "No such file or directory" }

  it("is what belongs to the system, by the overlay on the directory above, and never the host's own", function()
    trial.sh(("ln -s /usr/bin %s/out; ln -s /usr/bin/env %s/link"):format(directory, directory))
    local before = trial.sh "ls -l --full-time /usr/bin/env; ls /usr/bin | wc -l"
    local keys = { mounts = { { type = "bind", source = directory, destination = directory, readonly = true } } }
    local append = 'open(my $f, ">>", "%s")'
    for what, errno in pairs {
      [append] = "EACCES",
      ['open(my $f, "+<", "%s")'] = "EACCES",
      ['POSIX::access("%s", 2)'] = "EACCES",
      ['open(my $f, ">", "%s")'] = "EROFS",
      ['chmod(0700, "%s")'] = "EROFS",
      ['truncate("%s", 0)'] = kernel.is_older(kernel.version(), "6.14") and "EROFS" or "EACCES",
    } do
      for i, path in ipairs { "/usr/bin/env", directory .. "/out/env", directory .. "/link" } do
        if i > 1 and what ~= append then break end
        local script = ("exec perl -MPOSIX -e '%s or print $!'"):format(what:format(path))
        local events, result = told(keys, script)
        assert.equal(WORDS[errno], result.stdout, script)
        local event = only(events, { path = path, errno = errno })
        if trial.lacks_root() then
          assert.is_nil(event.key, script) -- it is root's in the overlay too
        elseif no_overlay then
          assert.is_nil(event.key, script)
        elseif not no_idmap and mountinfo.on("/usr/bin").kind ~= "overlay" then
          assert.truthy(event.key:find('type = "overlay"', 1, true), script)
          assert.truthy(event.key:find("idmap = true", 1, true), script)
          local more = opened({}, event).mounts
          table.insert(more, 1, keys.mounts[1])
          assert.equal("", trial.inside({ mounts = more }, script), script)
        end
      end
    end
    -- In a directory of its.
    for _, path in ipairs { "/usr/bin", directory .. "/out" } do
      local event = only(told(keys, ("mkdir %s/new || true"):format(path)), { path = path .. "/new", errno = "EROFS" })
      if no_overlay then
        assert.is_nil(event.key)
        assert.matches("in a user namespace needs Linux 5.11", event.why, 1, true)
      else
        assert.truthy(event.key:find('type = "overlay", lower = "' .. path .. '"', 1, true), event.key)
        local more = opened({}, event).mounts
        table.insert(more, 1, keys.mounts[1])
        assert.equal("", trial.inside({ mounts = more }, ("mkdir %s/new"):format(path)))
      end
    end
    assert.equal(before, trial.sh "ls -l --full-time /usr/bin/env; ls /usr/bin | wc -l")
    -- A directory cannot be opened for writing at all; and what is no file of the host's has no key that is about one.
    for _, event in ipairs((told({}, "( : > /usr/bin ) || true"))) do assert.not_equal("/usr/bin", event.path) end
    local event = only(told({}, "mkdir /var/new || true"), { path = "/var/new", errno = "EROFS" })
    assert.equal('mounts = { { type = "tmpfs", destination = "/var" } }', event.key)
    assert.equal("", trial.inside(opened({}, event), "mkdir /var/new"))
  end)

  it("is a file that is not there as what the call gets that removes it", function()
    trial.sh(("mkdir -p %s/empty"):format(directory))
    local keys = { mounts = { { type = "bind", source = directory .. "/empty", destination = directory,
      readonly = true } } }
    local script = ("exec perl -e 'rmdir(\"%s/file\") or print $!'"):format(directory)
    local events, result = told(keys, script)
    assert.same({ WORDS.EROFS, "EROFS" }, { result.stdout, only(events, { path = directory .. "/file" }).errno })
    keys.mounts[1] = { type = "tmpfs", destination = directory }
    events, result = told(keys, script)
    assert.same({ WORDS.ENOENT, "ENOENT" }, { result.stdout, only(events, { path = directory .. "/file" }).errno })
  end)

  it("is a socket or FIFO of the host's as what cannot be changed", function()
    if no_idmap then return pending(no_idmap) end
    trial.sh(("mkfifo -m 666 %s/fifo"):format(directory))
    local event = only(told({},
      ([[perl -e 'open(my $f, "+<", "%s/fifo")'; true]]):format(directory)), { path = directory .. "/fifo" })
    assert.truthy(event.key:find("readonly = true", 1, true), event.key)
    assert.equal("", trial.inside(opened({}, event), ([[perl -e 'open(my $f, "+<", "%s/fifo") or print $!']]):format(
      directory)))
  end)

  it("is a socket of the host's, and a way that the network has not", function()
    local server = ("%s/server"):format(directory)
    trial.sh(("%s/denied socket listen %s; chmod 777 %s"):format(directory, server, server))
    local events, result = probed({}, "socket", "unix", server)
    local event = only(events, { call = "connect" })
    assert.same({ "2\n", "file", "ENOENT", server }, { result.stdout, event.cause, event.errno, event.address })
    assert.truthy(event.key:find(server, 1, true))
    -- 192.0.2.0/24 is nobody's (RFC 5737), and the container has no way to it.
    events, result = probed({}, "socket", "there")
    event = only(events, { call = "connect" })
    assert.same({ "101\n", "network", "ENETUNREACH", "192.0.2.7:443" },
      { result.stdout, event.cause, event.errno, event.address })
  end)

  it("is a capability that a call takes", function()
    local events, result = probed({}, "socket", "low")
    local event = only(events, { call = "bind" })
    assert.same({ "13\n", "EACCES", 'capabilities = { "net_bind_service" }' },
      { result.stdout, event.errno, event.key })
    events, result = probed(opened({}, event), "socket", "low")
    assert.same({ "0\n", 0 }, { result.stdout, #events })
  end)

  it("is nothing where nothing is denied", function()
    local events, result = told({ seccomp = "default" }, "echo $(cat /etc/passwd | wc -l); exec 3>/dev/null; sleep 0")
    assert.equal(0, result.code)
    for _, event in ipairs(events) do assert.equal("ENOSYS", event.errno, tostring(event)) end
  end)

  it("is told while the caller has a loop of his own, and waits for nobody", function()
    local events = {}
    local command = trial.script(("cat %s/file; exit 7"):format(directory))
    command.wait, command.denied = false, function(event) events[#events + 1] = event end
    local process = assert(cella.container {}:spawn(command))
    while not process:step() do core.poll({ process:pollfd() }, process:timeout()) end
    assert.equal(7, process:wait().code)
    only(events, { call = "openat", path = directory .. "/file" })
    process:close()
  end)

  it("is told from execve on: a program that only the host has", function()
    trial.sh(("printf '#!/bin/sh\\n' > %s/program; chmod 755 %s/program"):format(directory, directory))
    local events = {}
    local result, err = cella.container {}:run { directory .. "/program", denied = function(event)
      events[#events + 1] = event
    end }
    assert.is_nil(result)
    assert.equal("ENOENT", err.code)
    only(events, { call = "execve", path = directory .. "/program" })
  end)

  it("raises what the function raises, and ends the program", function()
    local command = trial.script(("cat %s/file; sleep 60"):format(directory))
    function command.denied() error "of the caller" end
    local ok, message = pcall(function() return cella.container {}:run(command) end)
    assert.is_false(ok)
    assert.truthy(tostring(message):find("of the caller", 1, true))
    command = { directory .. "/nothing/denied", denied = function() error "of the caller" end }
    trial.sh(("mkdir -p %s/nothing; cp %s/denied %s/nothing"):format(directory, directory, directory))
    local result, err = cella.container {}:run(command)
    assert.is_nil(result)
    assert.truthy(tostring(err):find("of the caller", 1, true))
  end)

  it("is not for functions, nor for who enters, nor detached", function()
    local function said(call)
      local ok, message = pcall(call)
      assert.is_false(ok)
      return tostring(message)
    end
    local nothing = function() end
    local box = cella.container {}
    assert.truthy(said(function() box:run { nothing, denied = nothing } end):find("a program expected", 1, true))
    assert.truthy(said(function() box:run { "true", denied = 5 } end):find("command.denied", 1, true))
    local process = assert(cella.container { die_with_parent = false }:spawn { "sleep", "60", denied = nothing })
    assert.truthy(said(function() process:detach() end):find("denied", 1, true))
    local entrance = assert(cella.enter { process = process })
    assert.truthy(said(function() entrance:run { "true", denied = nothing } end):find("command.denied", 1, true))
    entrance:close()
    process:close()
  end)

  it("says why it cannot be heard of", function()
    local function why(keys)
      local result, err = cella.container(keys):run { "true", denied = function() end }
      assert.is_nil(result)
      return err.code .. " " .. err.why
    end
    local said = why { rlimits = { nproc = 1 } }
    assert.truthy(said:find("^EAGAIN .*rlimits.nproc"), said)
  end)

  it("leaves no listener with the program", function()
    local _, result = told({}, "ls -l /proc/self/fd /proc/1/fd 2>/dev/null; cat /proc/self/status")
    assert.is_nil(result.stdout:find("seccomp]", 1, true))
    assert.truthy(result.stdout:find "Seccomp:%s+2") -- the control: it is there
  end)

  it("fails with ENOSYS once nobody answers any more", function()
    trial.sh(("mkdir %s/open; chmod 777 %s/open; : > %s/open/out; chmod 666 %s/open/out"):format(directory,
      directory, directory, directory))
    local place = directory .. "/open"
    local text = ([[
      local cella = require "cella"
      local box = cella.container { die_with_parent = false, mounts = {
        { type = "bind", source = "%s", destination = "/out" } } }
      local process = assert(box:spawn { "sh", "-c", "exec 3>/out/out; cd /tmp && echo answered >&3;"
        .. " while cd /tmp 2>/dev/null; do :; done; (: < /tmp) 2>&3; echo end >&3", stderr = "null",
        stdout = "null", denied = function() end })
      local till = os.time() + 20
      local function said()
        local file = io.open "%s/out"
        local text = file:read "*a"
        file:close()
        return text
      end
      while said() == "" and os.time() < till do process:wait(0.01) end
      print(process.pid)
      io.stdout:flush()
      os.execute("kill -9 $PPID")
    ]]):format(place, place)
    trial.write(directory .. "/caller.lua", text)
    trial.sh(("%s %s/caller.lua"):format(trial.interpreter(), directory))
    local till, said = core.now() + 20, ""
    while core.now() < till and not said:find "end\n" do
      said = trial.read(place .. "/out")
      core.poll({}, 0.02)
    end
    assert.equal("answered\n", said:match "^answered\n")
    assert.truthy(said:find("Function not implemented", 1, true), said)
  end)

  describe("under a policy with `notify`", function()
    local policy = seccomp.policy { default = "allow", notify = { "uname" }, errno = { EPERM = { "sethostname" } } }

    it("has those calls performed, and told", function()
      local events, result = told({ seccomp = policy }, "uname -s")
      assert.equal("Linux\n", result.stdout)
      local event = only(events, { call = "uname" })
      assert.same({ "notify", false }, { event.cause, event.certain })
      assert.is_nil(event.errno)
    end)

    it("needs somebody who is told", function()
      local ok, message = pcall(function() return cella.container { seccomp = policy }:run { "true" } end)
      assert.is_false(ok)
      assert.truthy(tostring(message):find("`notify`", 1, true))
      assert.is_true(cella.container { seccomp = policy }:prepare())
    end)

    it("prints, compares and explains it", function()
      assert.truthy(tostring(policy):find('notify = { "uname" }', 1, true))
      assert.equal("notify", policy:answer "uname")
      local refuses = seccomp.policy { default = "allow", errno = { EPERM = { "uname" } } }
      assert.equal("EPERM", (policy * refuses):answer "uname")
      assert.equal("notify", (policy * seccomp.policy { default = "log" }):answer "uname")
      assert.truthy(policy:explain "uname":find("heard", 1, true))
      assert.is_true(lists.contains({ "allow", "notify" }, seccomp.policy { default = "notify" }:answer "read"))
    end)

    it("can have it for all calls", function()
      local events, result = told({ seccomp = { default = "notify" } }, "echo all")
      assert.equal("all\n", result.stdout)
      only(events, { call = "exit_group", cause = "notify" })
    end)
  end)

  describe("by a program that wants to confuse", function()
    local function attack(keys, ...)
      keys.mounts = { { type = "bind", source = directory, destination = "/probe", readonly = true } }
      local events, command = {}, { "/probe/denied", ... }
      command.stdout, command.timeout, command.denied = "capture", 60, function(event) events[#events + 1] = event end
      local result, err = cella.container(keys):run(command)
      if not result then error(tostring(err), 2) end
      return result, events
    end

    it("with pointers to nothing", function()
      local result, events = attack({}, "pointers")
      -- ENAMETOOLONG, EFAULT
      assert.equal("whole 36\ncut 14\nnull 14\nkernel 14\nlow 14\n", result.stdout)
      for _, event in ipairs(events) do assert.is_nil(event.call == "openat" and event.path) end
    end)

    -- A program that is a file system (FUSE): what it writes, how it has ended, and what is told of its file.
    local function lies_in_wait(how)
      if trial.lacks_root() then return pending "needs root, for /dev/fuse" end
      if not (trial.read "/proc/filesystems"):find "\tfuse\n" or not io.open "/dev/fuse" then
        return pending "needs FUSE"
      end
      trial.sh(("cc -O1 -static -o %s/waits spec/support/waits.c && chmod 755 %s/waits"):format(directory, directory))
      -- In a process that is ended if it waits for ever.
      local said, told_of = outside.lua([[
        local directory, how = ...
        local told = 0
        local result = assert(cella.container { ids = require("cella.policy").root(), seccomp = false,
          capabilities = { "sys_admin", "kill" }, mounts = {
            { type = "bind", source = "/dev/fuse", destination = "/dev/fuse", nodev = false },
            { type = "bind", source = directory .. "/waits", destination = "/waits", readonly = true },
            { type = "bind", source = directory, destination = directory, readonly = true } },
        }:run { "/waits", directory .. "/file", how ~= "" and how or nil, stdout = "capture", stderr = "capture",
          timeout = 60, denied = function(event)
            if event.call == "openat" and event.cause == "read-only" and event.path == directory .. "/file" then
              told = told + 1
            end
          end })
        return table.concat({ result.reason, tostring(result.code), result.stdout, result.stderr }, " "), told
      ]], { arguments = { directory, how or "" } })
      assert.equal("exited 0 over\n ", said)
      -- What is asked for behind it is told, by another reader, if the kernel can be asked for what it remembers
      -- (RESOLVE_CACHED: Linux 5.12, and late ones of 5.10).
      local number, message = cella.sys.openat2("/", { "path" }, { "cached" })
      if number then core.sys.close(number) else assert.matches("Invalid argument", message, 1, true) end
      assert.equal(number and 1 or 0, told_of)
    end

    it("with memory that nobody sends to who reads it: the caller does not wait for it", function()
      lies_in_wait()
      trial.wait_for(function() return trial.sh "pgrep -x cella-reader || true" == "" end, "the end of the readers")
    end)

    it("with files that nobody tells of who looks at them: the caller does not wait for it", function()
      lies_in_wait "mute"
    end)

    it("with calls that are killed while they wait", function()
      local result = attack({}, "killed", "30")
      assert.equal(0, result.code)
    end)

    it("with memory that changes: what is refused is refused", function()
      local result, events = attack({ seccomp = { default = "allow", errno = { EDOM = { "chdir" } } } },
        "changing", "100")
      assert.equal("wrong 0\n", result.stdout)
      assert.is_true(#events >= 1)
      for _, event in ipairs(events) do
        if event.call == "chdir" then assert.same({ true, "EDOM" }, { event.certain, event.errno }) end
      end
    end)

    it("with more than anybody can remember #slow", function()
      -- The host has each of them.
      trial.sh(("mkdir %s/many; cd %s/many; seq 0 4199 | xargs touch"):format(directory, directory))
      local box = cella.container { mounts = {
        { type = "bind", source = directory .. "/denied", destination = "/denied", readonly = true } } }
      local function flood(count)
        local told_of, first = 0, 0
        local result = assert(box:run { "/denied", "flood", count, directory .. "/many/", timeout = 60,
          denied = function(event)
            told_of = told_of + 1
            if event.path == directory .. "/many/0" then first = first + 1 end
          end })
        assert.equal(0, result.code)
        return told_of, first
      end
      assert.same({ 10, 1 }, { flood(10) })
      -- What has been forgotten is told again.
      assert.same({ 4201, 2 }, { flood(4200) })
    end)
  end)
end)
