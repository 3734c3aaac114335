-- Bundles and images that try to get out, or to have something made outside: pitfalls that other runtimes had.
local bundles = require "spec.support.bundle"
local core = require "cella.core"
local trial = require "spec.support.trial"

describe("a hostile bundle", function()
  local directory, path
  trial.around(before_each, after_each, function(own) directory = own end)

  if trial.lacks_user_namespaces() then
    pending("needs user namespaces, which this host refuses")
    return
  end

  before_each(function()
    path = bundles.make(directory, { "true" })
    trial.sh(("mkdir -m 777 %s/outside; echo secret >%s/outside/secret"):format(directory, directory))
  end)

  -- Runs a shell script in a bundle whose root `prepare` (of a shell, in rootfs) has changed.
  local function run(script, change, prepare)
    if prepare then trial.sh(("cd %s/rootfs; OUT=%s/outside; "):format(path, directory) .. prepare) end
    bundles.write(path, { "/bin/busybox", "sh", "-c", script }, change)
    local result = bundles.runtime(directory, { "run", "--bundle", path, "one" })
    assert.equal("secret\n", trial.sh(("cd %s/outside && ls"):format(directory)), "something was made outside")
    return result
  end

  it("has nothing made outside by links in its root: /dev, /proc, places of mounts, the working directory", function()
    local result = run("true", nil, "ln -s $OUT dev; ln -s $OUT proc") -- which lead to nothing in there
    assert.matches("no mount point is made through one", result.stderr, 1, true)
    result = run("pwd -P; cat /link/secret /up/secret 2>/dev/null; ls /dev/null /dev/pts/ptmx /link/tmpfs -d",
      function(config)
        bundles.writable(config)
        config.process.cwd = "/link/new/directory"
        table.insert(config.mounts, { destination = "/link/tmpfs", type = "tmpfs", source = "tmpfs" })
        table.insert(config.mounts, { destination = "/up/file", type = "bind", source = "/etc/passwd",
          options = { "bind", "ro" } })
      end, "mkdir -p .$OUT own; rm dev proc; ln -s /own dev; ln -s $OUT link; ln -s ../../../../../../..$OUT up")
    -- What the links lead to is made in the root, as a process in there sees it.
    assert.equal(directory .. "/outside/new/directory\n/dev/null\n/dev/pts/ptmx\n/link/tmpfs\n", result.stdout,
      result.stderr)
    assert.equal(0, result.status)
    assert.truthy(trial.sh(("ls %s/rootfs%s/outside"):format(path, directory)):find("new", 1, true))
  end)

  it("finds no descriptor of the runtime's: not as its directory (CVE-2024-21626), and not open #slow", function()
    for number = 3, 9 do
      local result = run("pwd -P", function(config)
        bundles.writable(config)
        config.process.cwd = "/proc/self/fd/" .. number
      end)
      assert.are_not.equal(0, result.status, "descriptor " .. number .. " is a working directory")
      assert.equal("", result.stdout)
    end
    assert.equal("0 1 2 3\n", run("echo $(ls /proc/self/fd)").stdout) -- 3 is that of ls
  end)

  it("has no root that is the host's, by whatever name", function()
    trial.sh(("ln -s / %s/host"):format(path))
    for _, root in ipairs { "/", "host", "host/." , "/proc/self/root" } do
      local result = run("echo in; touch /" .. directory .. "/outside/more", function(config)
        bundles.writable(config)
        config.root.path = root
      end)
      assert.are_not.equal(0, result.status, root)
      assert.equal("", result.stdout)
    end
  end)

  it("writes no parameter of the kernel where its root has another /proc (CVE-2019-16884)", function()
    local result = run("cat /proc/sys/net/ipv4/ip_default_ttl", function(config)
      config.linux.sysctl = { ["net.ipv4.ip_default_ttl"] = "33" }
    end, "mkdir -p proc/sys/net/ipv4; echo 1 >proc/sys/net/ipv4/ip_default_ttl")
    assert.equal("33\n", result.stdout, result.stderr)
    assert.equal("1\n", trial.read(path .. "/rootfs/proc/sys/net/ipv4/ip_default_ttl"))
    -- What is no namespace's own is refused.
    result = run("true", function(config) config.linux.sysctl = { ["kernel.core_pattern"] = "|/bin/x" } end)
    assert.matches("kernel.core_pattern", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("covers what is to be covered, whatever its root calls /dev/null (CVE-2025-31133) #slow", function()
    local result = run("wc -c </proc/timer_list; echo x >/proc/sys/net/ipv4/ip_default_ttl; mount | grep -c timer_list",
      nil, "ln -s busybox bin/wc; mkdir dev; ln -s /proc/sys/kernel/core_pattern dev/null")
    assert.matches("^0\n1\n", result.stdout, result.stderr)
    assert.matches("Read-only file system", result.stderr, 1, true)
  end)

  it("gets no device by making one: a rule that denies all holds #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local function config_with(rules)
      return function(config)
        bundles.writable(config)
        config.linux.resources = { devices = rules }
        for _, set in pairs(config.process.capabilities) do table.insert(set, "CAP_MKNOD") end
      end
    end
    local script = "mknod /x c 1 5; head -c 1 /x | wc -c; head -c 1 /dev/zero | wc -c"
    local result = run(script, config_with { { allow = false, access = "rwm" } },
      "for name in mknod head wc; do ln -s busybox bin/$name; done")
    assert.equal("0\n1\n", result.stdout, result.stderr)
    assert.matches("/x: Permission denied", result.stderr, 1, true)
    local status = core.file_status "/dev/fuse"
    if not status or status.type ~= "char" then return end
    -- One that it names is there, and what is made of its number still is none.
    local rules = { { allow = false, access = "rwm" }, { allow = true, type = "c", major = 10, minor = 229 } }
    local change = config_with(rules)
    result = run("mknod /y c 10 229; true </y; true </dev/fuse && echo opened", function(config)
      change(config)
      config.linux.devices = { { path = "/dev/fuse", type = "c", major = 10, minor = 229 } }
    end)
    assert.matches("/y: Permission denied", result.stderr, 1, true)
    assert.equal("opened\n", result.stdout, result.stderr)
  end)

  it("is entered by who cannot be traced or written over from inside #slow", function()
    bundles.write(path, { "/bin/busybox", "sleep", "1000" }, bundles.writable)
    bundles.said(directory, { "create", "--bundle", path, "one" })
    bundles.said(directory, { "start", "one" })
    -- What a program in there sees of its own executable is what was executed, and nothing of the host's.
    local seen = bundles.said(directory, { "exec", "one", "sh", "-c",
      "readlink /proc/self/exe /proc/1/exe; ls /proc/self/fd" })
    assert.equal("0\n1\n2\n3\n", seen:match "\n?([0-9\n]+)$" or seen)
    local file = trial.sh("readlink /proc/self/exe")
    assert.is_nil(seen:find("lua", 1, true), file)
    bundles.said(directory, { "delete", "--force", "one" })
  end)
end)
