-- What a root, a source or the host itself can be made to look like so that a container's mounts go astray. Each was a
-- vulnerability of some container runtime. In all cases: nothing of the host is changed, not a byte, not a mount.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local private_host = require "spec.support.private_host"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

local own_host = private_host.sh

local PROC = { type = "proc", destination = "/proc" }

describe("the mounts of a container #slow", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local root, victim, victim_was, root_was
  local user -- "new", or "host": whether the container has a user namespace of its own

  local function with_user(description)
    description.namespaces = { user = user }
    return description
  end

  local function inside(description, script) return trial.inside(with_user(description), script) end
  local function succeeds(description, script) return trial.succeeds(with_user(description), script) end
  local function refused(description, command) return trial.refused(with_user(description), command) end

  -- The same with a user namespace and without; that takes root, of which `of_own_host` has one of its own.
  local function for_each_user(of_own_host, name, body)
    for _, one in ipairs { "new", "host" } do
      describe(name .. (one == "new" and ", with a user namespace," or ", without a user namespace,"), function()
        if one == "host" and not of_own_host and trial.lacks_root() then
          pending(trial.lacks_root())
          return
        end
        before_each(function() user = one end)
        body()
      end)
    end
  end

  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)

  local function fingerprint(path)
    local files = "find . -printf '%p %y %m %U %G %s %l %C@\\n' | sort; find . -type f -exec cksum {} +"
    return trial.sh(("cd %s && { %s; }"):format(path, files))
  end

  trial.around(before_each, after_each, function(own)
    -- Part of the host: everybody may write there, so that only the container's care keeps it as it is.
    victim = own
    trial.sh(("chmod 777 %s && mkdir -m 777 %s/sub && echo secret > %s/sub/file && chmod 666 %s/sub/file"):format(
      victim, victim, victim, victim))
    victim_was = fingerprint(victim)
  end, function()
    local victim_is = fingerprint(victim)
    private_host.clean()
    root:shell "rm -rf trap trapdir dev proc; mkdir -p -m 755 dev proc"
    assert.equal(victim_was, victim_is)
  end)

  -- A trap in the root, made by a shell command there. From then on the root has to stay as it is, too.
  local function trap(command)
    root:shell(command:gsub("VICTIM", victim))
    root_was = root:fingerprint()
  end

  local function root_is_untouched()
    assert.equal(root_was, root:fingerprint())
  end

  -- Refused, and if it had not been: the program would have written there.
  local function is_refused(mounts)
    local description = { root = root.path, mounts = mounts }
    local err = refused(description, trial.script "for place in /trap /trap/sub /dev /proc; do echo x > $place/x; done")
    root_is_untouched()
    return err
  end

  for_each_user(false, "in a root that is a trap", function()
    it("do not follow a link to the host: it means a place in the root", function()
      trap "ln -s VICTIM trap"
      for _, mount in ipairs {
        { type = "tmpfs", destination = "/trap" },
        { type = "bind", source = "/usr", destination = "/trap", readonly = true },
        { type = "proc", destination = "/trap" },
        { type = "dev", destination = "/trap" },
        { type = "devpts", destination = "/trap" },
        { type = "mqueue", destination = "/trap" },
      } do
        assert.equal("ENOENT", is_refused({ mount }).code, mount.type)
      end
    end)

    it("land in the root where the link's target is there as well", function()
      trap "ln -s /mnt trap"
      local description = { root = root.path, mounts = { PROC, { type = "tmpfs", destination = "/trap" } } }
      assert.truthy(inside(description, "cat /proc/self/mountinfo"):find(" / /mnt rw", 1, true))
      inside(description, "echo hello > /mnt/file")
      root_is_untouched()
    end)

    it("do not climb out of the root by a link with many ..", function()
      trap "ln -s ../../../../../../../../../..VICTIM trap"
      assert.equal("ENOENT", is_refused({ { type = "tmpfs", destination = "/trap" } }).code)
    end)

    it("do not follow a link above the place, either", function()
      trap "ln -s VICTIM trap"
      assert.equal("ENOENT", is_refused({ { type = "tmpfs", destination = "/trap/sub" } }).code)
      local bind = { type = "bind", source = "/etc/passwd", destination = "/trap/sub/file", readonly = true }
      assert.equal("ENOENT", is_refused({ bind }).code)
    end)

    it("do not go up", function()
      for _, destination in ipairs { "/../trap", "/mnt/../..", "/mnt/..", "/..", "/mnt/../trap" } do
        local ok, message = pcall(cella.container, {
          root = root.path, mounts = { { type = "tmpfs", destination = destination } } })
        assert.is_false(ok)
        assert.truthy(message:find("mounts[1].destination: '..' in", 1, true), message)
      end
      -- A name that only looks like it is one.
      assert.equal("ENOENT", refused({ root = root.path, mounts = { { type = "tmpfs", destination = "/..." } } }).code)
    end)

    it("make no devices where /dev is a link to the host", function()
      trap "rmdir dev; ln -s VICTIM dev"
      assert.equal("ENOENT", is_refused({ { type = "dev", destination = "/dev" } }).code)
      trap "rm dev; ln -s ../..VICTIM dev"
      assert.equal("ENOENT", is_refused({ { type = "dev", destination = "/dev" } }).code)
    end)

    it("make no devices where something below /dev is a link to the host: that is covered", function()
      trap "ln -s VICTIM/sub/file dev/null; ln -s VICTIM dev/pts; ln -s VICTIM/sub/new dev/full; ln -s VICTIM/fd dev/fd"
      local description = { root = root.path, mounts = { PROC, { type = "dev", destination = "/dev" } } }
      assert.equal("character special file\n", inside(description, "echo x > /dev/null; stat -c %F /dev/null"))
      root_is_untouched()
    end)

    it("mount no /proc where that is a link to the host", function()
      trap "rmdir proc; ln -s VICTIM proc"
      assert.equal("ENOENT", is_refused({ PROC }).code)
    end)

    it("do not use the links by which /proc leads out of it", function()
      trap "mkdir trapdir; ln -s /proc/self/root trap; ln -s /proc/1/cwd trapdir/cwd"
      for _, destination in ipairs { "/trap", "/trap" .. victim, "/proc/self/root" .. victim, "/proc/self/cwd",
        "/trapdir/cwd", "/proc/self/exe" } do
        local err = is_refused { PROC, { type = "tmpfs", destination = destination } }
        assert.truthy(err.code == "ELOOP" or err.code == "ENOENT" or err.code == "EACCES", tostring(err))
      end
    end)

    it("do not follow a link in what is bound", function()
      trial.sh(("ln -s %s %s/link"):format(victim .. "/sub", victim))
      victim_was = fingerprint(victim)
      root_was = root:fingerprint()
      local err = is_refused { { type = "bind", source = victim, destination = "/mnt" },
        { type = "tmpfs", destination = "/mnt/link" } }
      assert.equal("ENOENT", err.code)
    end)
  end)

  for_each_user(false, "make nothing on the host", function()
    local made

    -- A directory of the host that is bound; what is made in it would be seen.
    before_each(function()
      made = trial.directory()
      trial.sh("chmod 777 " .. made)
    end)
    after_each(function()
      local there = trial.sh("ls -A " .. made)
      trial.remove_directory(made)
      assert.equal("", there)
    end)

    it("where a place is not there", function()
      trap "true"
      assert.equal("ENOENT", is_refused({ { type = "tmpfs", destination = "/trap" } }).code)
      local bind = { type = "bind", source = "/etc/passwd", destination = "/work/new", readonly = true }
      assert.equal("ENOENT", is_refused({ bind }).code)
    end)

    it("where a tmpfs of the container's own is covered by a bind", function()
      trap "true"
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      local bind = { type = "bind", source = made, destination = "/mnt" }
      is_refused { tmpfs, bind, { type = "tmpfs", destination = "/mnt/new" } }
      -- Without the bind it is made, in the tmpfs.
      assert.is_true((succeeds({ root = root.path, mounts = { tmpfs, { type = "tmpfs", destination = "/mnt/new" } } },
        "test -d /mnt/new")))
    end)

    it("where a bind lies in a tmpfs of the container's own", function()
      trap "true"
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      local bind = { type = "bind", source = made, destination = "/mnt/bound" }
      is_refused { tmpfs, bind, { type = "tmpfs", destination = "/mnt/bound/new" } }
      is_refused { tmpfs, bind,
        { type = "bind", source = "/etc/passwd", destination = "/mnt/bound/new", readonly = true } }
    end)

    it("where a link leads from the name of a tmpfs to a bind", function()
      -- /trap is /mnt: the tmpfs lies there, and is covered there under its other name.
      trap "ln -s mnt trap"
      local tmpfs = { type = "tmpfs", destination = "/trap" }
      local bind = { type = "bind", source = made, destination = "/mnt" }
      is_refused { tmpfs, bind, { type = "tmpfs", destination = "/trap/new" } }
    end)

    it("where a link in a bind has led another over a tmpfs of the container's own", function()
      trap "true"
      trial.sh(("ln -s /own %s/link"):format(victim))
      victim_was = fingerprint(victim)
      local own = { type = "tmpfs", destination = "/own" }
      local bound = { type = "bind", source = victim, destination = "/d" }
      local over = { type = "bind", source = made, destination = "/d/link" }
      local hides = { type = "tmpfs", destination = "/own/new" }
      -- What is to hide something must not lie where nobody sees it.
      for _, parts in ipairs { { own, bound, over, hides }, { bound, own, over, hides } } do
        local err = refused { root = parts }
        assert.same({ "make_target", "EXDEV" }, { err.op, err.code })
      end
      local control = { root = "system", mounts = { own, bound, hides } }
      assert.is_true((succeeds(control, "grep -q ' /own/new ' /proc/mounts")))
    end)

    it("where a link in a bind has led to what is made, which is there from then on", function()
      trap "true"
      trial.sh(("ln -s /own %s/link"):format(made))
      local parts = { { type = "tmpfs", destination = "/own" },
        { type = "bind", source = made, destination = "/d", create = true },
        { type = "directory", destination = "/d/link/sub" }, { type = "tmpfs", destination = "/own/sub" } }
      local process, err = cella.container(with_user { root = parts }):run { "no-such-program" }
      trial.sh(("rm %s/link"):format(made))
      assert.is_nil(process)
      assert.equal("execve", err.op, tostring(err)) -- all is mounted
    end)

    it("where a link in a bind leads to elsewhere in the root", function()
      trap "true"
      trial.sh(("ln -s /work %s/link; ln -s .. %s/up"):format(victim, victim))
      victim_was = fingerprint(victim)
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      local bind = { type = "bind", source = victim, destination = "/mnt/bound" }
      is_refused { tmpfs, bind, { type = "tmpfs", destination = "/mnt/bound/link/new" } }
      -- By /mnt/bound/up/new it is in the tmpfs, but not by the way that was named: either is right, the host is safe.
      cella.container(with_user {
        root = root.path, mounts = { tmpfs, bind, { type = "tmpfs", destination = "/mnt/bound/up/new" } },
      }):run { "true" }
      root_is_untouched()
    end)

    for name, entry in pairs {
      file = { type = "file", content = "made" }, symlink = { type = "symlink", target = "/etc" },
      directory = { type = "directory" },
    } do
      it(("by an entry of the type %s"):format(name), function()
        local function at(destination)
          local copy = { destination = destination }
          for key, value in pairs(entry) do copy[key] = value end
          return copy
        end
        -- In the root itself, in a bind, in a bind in a tmpfs, and over a link in the root.
        trap "ln -s VICTIM trap"
        local function is_not_made(mounts)
          -- It is an error, or is raised already: some of it can be known before.
          assert.is_false((pcall(function()
            assert(cella.container(with_user { root = root.path, mounts = mounts }):run { "true" })
          end)))
        end
        is_not_made { at "/work/new" }
        is_not_made { at "/trap/new" }
        is_not_made { { type = "bind", source = made, destination = "/mnt" }, at "/mnt/new" }
        local tmpfs = { type = "tmpfs", destination = "/mnt" }
        is_not_made { tmpfs, { type = "bind", source = made, destination = "/mnt/a" }, at "/mnt/a/new" }
        is_not_made { tmpfs, { type = "bind", source = made, destination = "/mnt" }, at "/mnt/new" }
        root_is_untouched()
        -- In a tmpfs it is.
        assert.is_true((succeeds({ root = root.path, mounts = { tmpfs, at "/mnt/new" } }, "ls -d /mnt/new")))
      end)
    end

    it("by an entry over a link that an earlier entry has made", function()
      local parts = { { type = "tmpfs", destination = "/mnt" }, { type = "bind", source = made, destination = "/work" },
        { type = "symlink", destination = "/mnt/link", target = "/work" },
        { type = "file", destination = "/mnt/link/new", content = "made" } }
      trap "true"
      is_refused(parts)
    end)
  end)

  for_each_user(false, "that need a place to be made in", function()
    -- All that needs one: an overlay on a tmpfs, one of many directories, files from data, a /dev, what is covered.
    local SOURCE = [[
      local host = require "cella.host"
      local facts = host.facts
      host.facts = function() return facts { kernel = { major = 6, minor = 1 } } end
      local mounts = {
        { type = "tmpfs", destination = "/mnt" }, { type = "dev", destination = "/dev" },
        { type = "bind", source = { content = "x" }, destination = "/mnt/data" },
        { type = "overlay", destination = "/work", lower = { %q .. ("/."):rep(200), "/usr/bin" }, upper = "tmpfs" },
        { type = "symlink", destination = "/mnt/link", target = "/etc" },
        { type = "directory", destination = "/mnt/directory" },
      }
      local namespaces = { user = %q }
      local box = require "cella".container { root = %q, mounts = mounts, namespaces = namespaces,
        ids = namespaces.user == "new" and require "cella.policy".root() or nil, masked_paths = { "/usr/bin" } }
      local result, err = box:run { "/bin/true" }
      assert(result or err.code == "EPERM" and err.text:find "fsconfig", tostring(err))
    ]]

    it("have one that nobody else can get to: by a name nothing is made", function()
      local refusal = able.lacks "strace" or able.lacks "plain_memory"
      if refusal then pending(refusal) end
      root_was = root:fingerprint()
      local file, log = victim:gsub("trial", "file"), victim:gsub("trial", "log")
      trial.write(file, SOURCE:format(victim, user, root.path))
      local said = trial.sh(("strace -f -qq -o %s %s %s"):format(log, trial.interpreter(), file))
      local made = {}
      for line in io.lines(log) do
        local call, arguments = line:match "^%d+ +(%w+)%((.*)"
        if call and (call:find "^mkdir" or call:find "^mknod" or call:find "^symlink" or call:find "^rename"
          or call == "creat" or call:find "^open" and arguments:find "O_CREAT") then
          local descriptor = arguments:match(call == "symlinkat" and '^"[^"]*", (%w+)' or "^(%w+)")
          assert.is_truthy(tonumber(descriptor), line)
          made[call] = true
        end
      end
      os.remove(file)
      os.remove(log)
      assert.equal("", said)
      assert.is_truthy(made.mkdirat and made.symlinkat and made.mknodat and made.openat2)
      root_is_untouched()
    end)
  end)

  for_each_user(false, "that is killed", function()
    local file

    -- All that is made anew: files from data, overlays, a /dev, what is covered.
    before_each(function()
      file = trial.write(victim:gsub("trial", "file"), ([[return { root = %q, namespaces = { user = %q }, mounts = {
        { type = "proc", destination = "/proc" }, { type = "dev", destination = "/dev" },
        { type = "tmpfs", destination = "/mnt" }, { type = "bind", source = %q, destination = "/work" },
        { type = "bind", source = { content = "x" }, destination = "/mnt/data" },
        { type = "overlay", destination = "/tmp", lower = { "/usr/bin", "/usr/lib" } } },
        masked_paths = "default", readonly_paths = "default" } ]]):format(root.path, user, victim))
      root_was = root:fingerprint()
    end)
    after_each(function()
      os.remove(file)
      root_is_untouched()
    end)

    local function start()
      local words = trial.cli { "run", file, "--", "sh", "-c", "sleep 1000; : " .. file }
      words.stdin, words.stdout, words.stderr = "null", "null", "null"
      return assert(cella.plan():exec(words):spawn())
    end

    -- Whoever has the name of the file among its arguments: also a child that was made meanwhile. An init ends with its
    -- program.
    local function kill_all(process)
      local found
      repeat
        found = false
        for pid in trial.sh "ls /proc":gmatch "%d+" do
          if trial.runs(pid) and (trial.read(("/proc/%s/cmdline"):format(pid)) or ""):find(file, 1, true) then
            trial.sh("kill -9 " .. pid)
            found = true
          end
        end
      until not found
      process:wait()
    end

    it("with all its processes leave nothing behind", function()
      local process = start()
      local program = trial.program(process.pid, "sleep")
      kill_all(process)
      trial.wait_for(function() return not trial.runs(program) end, "the program to end")
    end)

    it("while they are made leave nothing behind #slow", function()
      for milliseconds = 1, 60, 6 do
        local process = start()
        core.poll({}, milliseconds / 1000)
        kill_all(process)
      end
    end)
  end)

  for_each_user(false, "that are to be covered or read-only", function()
    it("are found in the root, whatever links there are #vm", function()
      trap "ln -s VICTIM/sub trap; echo here > work/file"
      local description = { root = root.path, masked_paths = { "/trap/file", "/work/file", "/no/such/file" },
        readonly_paths = { "/trap", "/no/such" } }
      assert.equal("", inside(description, "cat /work/file"))
      root_is_untouched()
      assert.equal("here\n", root:shell "cat work/file; rm work/file")
      assert.equal("secret\n", trial.read(victim .. "/sub/file"))
    end)
  end)

  -- A container file with this description, in Lua; the shell's words that run it.
  local function run(description, script)
    return private_host.run(("(function(box) box.namespaces = { user = %q }; return box end)(%s)"):format(user,
      description), script)
  end

  for_each_user(true, "and the host's", function()
    it("do not mix #slow", function()
      local description = '{ mounts = { { type = "tmpfs", destination = "/mnt" } } }'
      local wait = "n=0; until [ -s %s/%s ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done\n"
      local look = wait:format(victim, "mounted") .. "grep -c ' /srv ' /proc/self/mountinfo"
      local lines = own_host(([[
        before=$(cat /proc/self/mountinfo)
        %s > %s/out &
        %s
        [ "$before" = "$(cat /proc/self/mountinfo)" ] && echo nothing came out
        mount -t tmpfs later /srv && echo yes > %s/mounted
        wait
        cat %s/out
      ]]):format(run(description, "echo ready; " .. look), victim, wait:format(victim, "out"), victim,
        victim))
      trial.sh(("rm -f %s/out %s/mounted"):format(victim, victim))
      victim_was = fingerprint(victim)
      assert.equal("nothing came out\nready\n0\n", lines)
    end)

    it("would mix: mounts of that host do come out of another namespace with shared mounts", function()
      local lines = own_host [[
        unshare --mount --propagation unchanged mount -t tmpfs out /srv
        grep -c ' /srv ' /proc/self/mountinfo
      ]]
      assert.equal("1\n", lines)
    end)
  end)

  for_each_user(true, "of the host that are below what is bound", function()
    local function below(readonly, script)
      return own_host(([[
        cd %s/sub && mount -t tmpfs source . && cd %s/sub
        mkdir below && mount -t tmpfs below below && touch below/file
        %s 2>&1
      ]]):format(victim, victim, run(([[{ root = %q, mounts = {
        { type = "bind", source = %q, destination = "/mnt", readonly = %s } } }]]):format(root.path, victim, readonly),
        script)))
    end

    it("are read-only with it #vm", function()
      local write = "touch /mnt/sub/below/new && echo wrote || echo did not"
      assert.truthy(below("true", write):find("Read%-only file system\ndid not\n"))
      assert.equal("wrote\n", below("false", write))
    end)

    it("come along", function()
      assert.equal("file\n", below("true", "ls /mnt/sub/below"))
    end)

    it("cannot be left away, where something would come to light that they cover and who asks is not root", function()
      if user == "host" then return end
      local said = own_host(([[
        mount -t tmpfs cover %s/sub
        %s
      ]]):format(victim, run(([[{ root = %q, mounts = {
        { type = "bind", source = %q, destination = "/mnt", recursive = false } } }]]):format(root.path, victim),
        "cat /mnt/sub/file")))
      assert.is_nil(said:find("secret", 1, true), said)
      assert.truthy(said:find("EINVAL", 1, true) and said:find("bind recursively", 1, true), said)
    end)

    it("are read-only in a root that is", function()
      local said = own_host(([[
        mount -t tmpfs below %s/mnt
        %s 2>&1
        %s
      ]]):format(root.path, run(("{ root = { path = %q, readonly = true } }"):format(root.path),
        "touch /mnt/new && echo wrote || echo did not"), run(("{ root = %q }"):format(root.path),
        "touch /mnt/new && echo wrote || echo did not")))
      assert.truthy(said:find("Read%-only file system\ndid not\nwrote\n"), said)
    end)

    it("are read-only in the host's root #vm", function()
      local said = own_host(([[
        mount -t tmpfs below /srv && touch /srv/file && echo host wrote
        %s 2>&1
      ]]):format(run('{ root = "/" }', "touch /srv/new && echo wrote || echo did not")))
      assert.truthy(said:find("^host wrote\n.*Read%-only file system\ndid not\n"), said)
    end)

    it("keep the flags that the host has given them #vm", function()
      local description = ([[{ root = %q, mounts = { { type = "proc", destination = "/proc" }, { type = "bind",
        source = %q, destination = "/mnt", readonly = false, nosuid = false, nodev = false, noexec = false } } }]])
        :format(root.path, victim .. "/sub")
      local said = own_host(([[
        mount -t tmpfs -o ro,nosuid,nodev,noexec source %s/sub
        %s 2>&1
      ]]):format(victim, run(description, "touch /mnt/new || grep ' /mnt ' /proc/self/mountinfo")))
      assert.truthy(said:find("Read-only file system", 1, true), said)
      assert.truthy(said:find(" /mnt ro,nosuid,nodev,noexec", 1, true), said)
    end)
  end)

  for_each_user(true, "of the type dev, where the host's devices are not what they seem", function()
    -- Devices of its own, from which one is then exchanged for something else.
    local function with_devices(exchange, script)
      local devices = {}
      for _, name in ipairs { "null", "zero", "full", "random", "urandom", "tty" } do
        devices[#devices + 1] = ("touch /devices/%s && mount --bind /dev/%s /devices/%s"):format(name, name, name)
      end
      local text = ("mkdir %s/sub/devices && mount -t tmpfs devices %s/sub/devices && %s && %s && "
        .. "mount --rbind %s/sub/devices /dev && %s"):format(victim, victim,
        table.concat(devices, " && "):gsub("/devices/", victim .. "/sub/devices/"),
        exchange:gsub("DEV", victim .. "/sub/devices"), victim,
        run(([[{ root = %q, mounts = { { type = "dev", destination = "/dev" } } }]]):format(root.path), script))
      local said = own_host(text)
      trial.sh(("rmdir %s/sub/devices"):format(victim))
      victim_was = fingerprint(victim)
      return said
    end

    it("are refused for a file", function()
      local said = with_devices("umount DEV/null && echo file > DEV/null", "echo ran")
      assert.is_nil(said:find("ran\n", 1, true), said)
      assert.truthy(said:find("expect_node", 1, true), said)
    end)

    it("are refused for a link to another device", function()
      local said = with_devices("umount DEV/null && rm DEV/null && ln -s zero DEV/null", "echo ran")
      assert.is_nil(said:find("ran\n", 1, true), said)
      assert.truthy(said:find("expect_node", 1, true) or said:find("open_tree", 1, true), said)
    end)

    it("are refused for another device", function()
      local said = with_devices("umount DEV/null && mount --bind DEV/zero DEV/null", "echo ran")
      assert.is_nil(said:find("ran\n", 1, true), said)
      assert.truthy(said:find("expect_node", 1, true), said)
    end)

    it("are refused if one is missing", function()
      local said = with_devices("umount DEV/full && rm DEV/full", "echo ran")
      assert.is_nil(said:find("ran\n", 1, true), said)
    end)

    it("are taken if they are what they seem", function()
      assert.equal("ran\n", with_devices("true", "echo ran"))
    end)
  end)

  for_each_user(true, "and /proc", function()
    it("are refused if that is no procfs: a lie about ID maps would be believed", function()
      local said = own_host(([[
        mkdir -p %s/sub/self && touch %s/sub/self/setgroups %s/sub/self/uid_map %s/sub/self/gid_map
        mount --rbind %s/sub /proc
        %s
      ]]):format(victim, victim, victim, victim, victim, run("{}", "echo ran")))
      trial.sh(("rm -r %s/sub/self"):format(victim))
      victim_was = fingerprint(victim)
      assert.is_nil(said:find("ran\n", 1, true), said)
    end)
  end)
end)
