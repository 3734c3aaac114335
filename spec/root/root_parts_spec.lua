-- The parts of a root that change what is there or lie over it, and the steps that serve them.

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local rootfs = require "spec.support.rootfs"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

local lacks = trial.lacks_user_namespaces()

local function when_able(name, body)
  it(name, function()
    if lacks then pending(lacks) end
    body()
  end)
end

-- What a script says in a root of these parts, with the host's programs.
local function inside(parts, script)
  local all = {
    { type = "bind", source = "/usr", destination = "/usr", readonly = true },
    { type = "symlink", target = "usr/bin", destination = "/bin" },
    { type = "symlink", target = "usr/lib", destination = "/lib" },
    { type = "symlink", target = "usr/lib64", destination = "/lib64" },
  }
  for _, part in ipairs(parts) do all[#all + 1] = part end
  -- What is made on the host is the caller's.
  return trial.word({ root = all, ids = policy.root() }, script)
end

describe("a part of a root #vm", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  when_able("may lie over those before it", function()
    local parts = {
      { type = "file", destination = "/first", content = "x" },
      { type = "tmpfs", destination = "/" },
      { type = "file", destination = "/second", content = "x" },
      { type = "bind", source = "/", destination = "/", readonly = true },
      { type = "tmpfs", destination = "/tmp" },
    }
    assert.equal("tmpfs", trial.word({ root = parts },
      "! [ -e /first ] && ! [ -e /second ] && [ -e /usr/bin/env ] && ! [ -e /../first ] && stat -f -c %T /tmp"))
  end)

  when_able("that binds the host's root has no trace of the new one in it", function()
    local parts = { { type = "bind", source = "/", destination = "/host", readonly = true } }
    assert.equal("host's", inside(parts, "[ -e /host/etc/passwd ] && echo \"host's\""))
  end)

  when_able("makes one mount read-only afterwards", function()
    local parts = { { type = "tmpfs", destination = "/a" }, { type = "file", destination = "/a/f", content = "x" },
      { type = "tmpfs", destination = "/a/b" }, { type = "remount", destination = "/a", readonly = true } }
    assert.equal("readonly", inside(parts, ">/a/b/g && [ -e /a/b/g ] && { >/a/g; } 2>/dev/null || echo readonly"))
  end)

  when_able("changes the mode of what is there, and only there", function()
    local parts = { { type = "directory", destination = "/d" }, { type = "directory", destination = "/e" },
      { type = "chmod", destination = "/d", mode = 449 } }
    assert.equal("701\n755", inside(parts, "stat -c %a /d /e"))
  end)

  when_able("may be a file that is nowhere else", function()
    local parts = { { type = "tmpfs", destination = "/t" },
      { type = "bind", source = { content = "said", mode = 292 }, destination = "/t/f", readonly = true } }
    assert.equal("said 444", inside(parts, "cat /t/f; stat -c ' %a' /t/f"))
    assert.equal("", trial.sh("grep cella /proc/self/mountinfo"))
  end)

  when_able("makes its mount point on the host only where the bind says so", function()
    local function parts(create)
      return { { type = "bind", source = directory, destination = "/d", create = create },
        { type = "tmpfs", destination = "/d/under" } }
    end
    local all = { { type = "bind", source = "/usr", destination = "/usr", readonly = true } }
    for _, part in ipairs(parts(nil)) do all[#all + 1] = part end
    assert.equal("openat2", trial.refused({ root = all, ids = policy.root() }).op)
    assert.equal("", trial.sh("ls -A " .. directory))
    assert.equal("tmpfs", inside(parts(true), "stat -f -c %T /d/under"))
    assert.equal("under\n", trial.sh("ls -A " .. directory))
  end)

  when_able("takes what is there already for as good, where it may", function()
    local parts = { { type = "directory", destination = "/d", mode = 448 },
      { type = "directory", destination = "/d", mode = 493, existing = true },
      { type = "file", destination = "/f", content = "old and long" },
      { type = "file", destination = "/f", content = "new", existing = true },
      { type = "symlink", target = "f", destination = "/l" },
      { type = "symlink", target = "f", destination = "/l", existing = true } }
    assert.equal("700 new f", inside(parts, "stat -c %a /d | tr '\\n' ' '; cat /f; echo \" $(readlink /l)\""))
    table.insert(parts, { type = "symlink", target = "other", destination = "/l", existing = true })
    assert.equal("EEXIST", trial.refused({ root = parts }).code)
  end)

  when_able("makes mount points on the host that nobody writes to", function()
    local bind = { type = "bind", source = directory, destination = "/d", create = true }
    inside({ bind, { type = "bind", source = "/etc/passwd", destination = "/d/new/point",
      readonly = true } }, "cat /d/new/point")
    assert.equal("755 new\n444 new/point\n", trial.sh(("cd %s; stat -c '%%a %%n' new new/point"):format(directory)))
  end)

  when_able("leaves a file that is there its mode, unless it has one", function()
    trial.sh(("cd %s; echo secret >f; chmod 600 f; umask 0; echo public >g; mkfifo pipe"):format(directory))
    local bind = { type = "bind", source = directory, destination = "/d", create = true }
    local function file(name, mode)
      return { type = "file", destination = "/d/" .. name, content = "said", existing = true, mode = mode }
    end
    assert.equal("600 f\n640 g\n644 new\n4755 suid",
      inside({ bind, file "f", file("g", 416), file "new", file("suid", 2541) }, "cd /d; stat -c '%a %n' f g new suid"))
    assert.equal("saidsaid", trial.sh(("cd %s; cat f g"):format(directory)))
    -- And waits for nobody at the other end of a pipe.
    local err = trial.refused { root = { bind, file "pipe" }, ids = policy.root() }
    assert.equal("openat2 ENXIO", err.op .. " " .. err.code)
    assert.matches("a pipe is there", err.why)
  end)

  when_able("makes directories of the modes that it is told", function()
    local parts = { { type = "tmpfs", destination = "/a/b", parents = 511 },
      { type = "directory", destination = "/c/d", parents = 1023, mode = 511, existing = true },
      { type = "directory", destination = "/e/f", parents = 192 } }
    assert.equal("777 1777 777 300 755", inside(parts, "echo $(stat -c %a /a /c /c/d /e /e/f)"))
  end)

  when_able("may be a /dev in which nothing can be made", function()
    local parts = { { type = "proc", destination = "/proc" }, { type = "dev", destination = "/dev", readonly = true } }
    assert.equal("ro,nosuid,nodev,noexec readonly", inside(parts, [[
      echo x >/dev/null; >/dev/shm/x; test -e /dev/shm/x || exit
      while read -r _ _ _ _ at flags _; do [ $at != /dev ] || printf '%s ' "${flags%,relatime}"
      done </proc/self/mountinfo
      { >/dev/new; } 2>/dev/null || echo readonly]]))
  end)

  it("that changes flags says which", function()
    local function raised(keys)
      keys.type, keys.destination = "remount", "/mnt"
      return trial.raised(cella.container, { mounts = { keys } })
    end
    assert.matches("mounts%[1%]: a remount sets flags, readonly for one, and there is none", raised {})
    assert.matches("mounts%[1%]%.readonly: a remount takes no flag away", raised { readonly = false, nosuid = true })
  end)

  when_able("that changes flags of what is no mount says so", function()
    local err = trial.refused { root = { { type = "directory", destination = "/d" },
      { type = "remount", destination = "/d", readonly = true } } }
    assert.equal("mount_setattr EINVAL", err.op .. " " .. err.code)
    assert.matches("nothing is mounted right there", err.why)
  end)

  it("that may be missing cannot be a root: what would be one in its place?", function()
    local function raised(key, ...) return trial.raised(cella.container, { [key] = { ... } }) end
    for _, destination in ipairs { "/", "//.", "/./" } do
      assert.matches("root%[1%]%.optional: there has to be a root", raised("root",
        { type = "bind", source = "/no/such", destination = destination, optional = true }))
    end
    for _, source in ipairs { { fd = 0 }, { content = "x" } } do
      assert.matches("mounts%[1%]%.optional: only a path may lead to nothing", raised("mounts",
        { type = "bind", source = source, destination = "/mnt", optional = true }))
    end
    -- Which is what these say anyway.
    cella.container { root = { { type = "bind", source = { fd = 0 }, destination = "/", optional = false } } }
  end)

  it("that makes nothing cannot be a root", function()
    for _, kind in ipairs { "proc", "directory", "dev" } do
      local message = trial.raised(cella.container, { root = { { type = kind, destination = "/" } } })
      assert.matches("root%[1%]%.destination: a " .. kind .. " cannot be a root", message)
    end
  end)
end)

describe("the size of a tmpfs #vm", function()
  local function tmpfs(size) return { type = "tmpfs", destination = "/t", size = size } end

  it("is what the kernel takes for the same number", function()
    for _, size in ipairs { "17179869184G", "18446744073709551617", "18014398509481985k", "9007199254740992",
      "1001%" } do
      assert.matches("mounts%[1%]%.size: .* is more than there can be",
        trial.raised(cella.container, { mounts = { tmpfs(size) } }))
    end
    for _, size in ipairs { "010M", "08", "00", "0%", "", "M", "1MM", "-1", " 1", "1.5M", "1P" } do
      assert.matches("mounts%[1%]%.size: bytes, or a string such as",
        trial.raised(cella.container, { mounts = { tmpfs(size) } }))
    end
  end)

  when_able("may be as large as numbers go", function()
    for _, size in ipairs { 9007199254740991, "8388607g", "1000%" } do
      assert.equal("tmpfs", inside({ tmpfs(size) }, "stat -f -c %T /t"))
    end
  end)
end)

describe("a root #vm", function()
  when_able("may be what a descriptor stands for", function()
    local root = rootfs.new()
    root:write("work/here", "here")
    local fd = assert(core.open(root.path, { "path", "directory" }))
    for _, readonly in ipairs { false, true } do
      local box = { root = { fd = fd:number(), readonly = readonly }, ids = policy.root() }
      assert.equal("here" .. (readonly and "readonly" or ""),
        trial.word(box, "cat /work/here; { >/tmp/new; } 2>/dev/null || echo readonly"))
    end
    assert.matches("descriptor " .. fd:number(), tostring(cella.container { root = { fd = fd:number() } }))
    fd:close()
    root:remove()
  end)

  when_able("that is the host's is read-only by any name", function()
    local fd = assert(core.open("/", { "path", "directory" }))
    for _, root in ipairs { { path = "/" }, { path = "/usr/.." }, { fd = fd:number() } } do
      assert.equal("readonly", trial.word({ root = root, ids = policy.root() },
        "{ >/cella-new; } 2>/dev/null || echo readonly"))
    end
    fd:close()
  end)

  when_able("has no devices of its own, unless that is said", function()
    if trial.lacks_root() then pending(trial.lacks_root()) end
    local root = rootfs.new()
    root:shell "mknod -m 666 zero c 1 5"
    for _, user in ipairs { "new", "host" } do
      local function reads(keys, from)
        keys.path = root.path
        local box = { namespaces = { user = user }, root = keys, mounts = { { type = "dev", destination = "/dev" } } }
        return trial.word(box, ("head -c 1 %s >/dev/null 2>&1 && echo read || echo refused"):format(from))
      end
      assert.equal("refused", reads({}, "/zero"))
      assert.equal("refused", reads({ readonly = true }, "/zero"))
      assert.equal("read", reads({ nodev = false }, "/zero"))
      assert.equal("read", reads({}, "/dev/zero"))
    end
    root:remove()
  end)

  it("cannot be covered", function()
    for _, path in ipairs { "/", "//", "/." } do
      assert.matches("masked_paths%[1%]: the root cannot be covered$",
        trial.raised(cella.container, { masked_paths = { path } }))
      assert.matches("readonly_paths%[1%]: the root cannot be covered: `readonly` of the key `root`",
        trial.raised(cella.container, { readonly_paths = { path } }))
    end
  end)

  it("is one of these", function()
    assert.matches("root: path and fd exclude each other",
      trial.raised(cella.container, { root = { path = "/srv", fd = 3 } }))
    assert.matches("root%.fd: an integer", trial.raised(cella.container, { root = { fd = "3" } }))
    assert.matches("mounts%[1%]: noatime and strictatime exclude each other", trial.raised(cella.container,
      { mounts = { { type = "tmpfs", destination = "/tmp", noatime = true, strictatime = true } } }))
  end)
end)

describe("the step #vm", function()
  local directory, fd
  trial.around(before_each, after_each, function(own)
    directory = own
    fd = trial.hold(core.open(directory, { "path", "directory" }))
  end)

  local function modes(...)
    local text = trial.sh(("cd %s; stat -c %%a %s"):format(directory, table.concat({ ... }, " ")))
    return (text:gsub("\n", " "))
  end

  it("make_target makes directories of the modes that it is told, none outside the root", function()
    assert(sys.make_target("/a/b", fd:number(), nil, nil, 448, 493))
    assert(sys.make_target("/c/d", fd:number()))
    assert.equal("700 755 755 755 ", modes("a", "a/b", "c", "c/d"))
    assert(sys.symlink("/tmp", directory .. "/out"))
    local ok, _, errno = sys.make_target("/out/x", fd:number())
    assert.is_nil(ok)
    assert.equal("EEXIST", core.errno_name(errno))
  end)

  it("make_symlink takes the same link for as good, and no other", function()
    assert(sys.make_symlink("a", "l", fd:number()))
    assert(sys.make_symlink("a", "l", fd:number()))
    for _, other in ipairs { "b", "ab", "/a" } do assert.is_nil((sys.make_symlink(other, "l", fd:number()))) end
  end)

  it("fchmod changes what was opened as a path only", function()
    assert(sys.fchmod(fd:number(), 448))
    assert.equal("700 ", modes ".")
  end)

  it("lock keeps writers out", function()
    local file = trial.write(directory .. "/f", "x")
    local one = assert(core.open(file, "rdonly"))
    assert(sys.lock(one:number()))
    local inode = trial.sh("stat -c %i " .. file):gsub("\n", "")
    assert.matches(":" .. inode .. " ", trial.read "/proc/locks")
    one:close()
    assert.is_nil(trial.read("/proc/locks"):find(":" .. inode .. " ", 1, true))
  end)

  it("wait_for_byte waits for a byte, or for the end", function()
    local script = "io.write(tostring(require('cella.sys').wait_for_byte(0)))"
    for _, input in ipairs { "echo x", "true" } do
      assert.equal("true", trial.sh(("%s | %s -e %s"):format(input, trial.interpreter(), trial.quote(script))))
    end
  end)

  it("chdir_first goes to the first that there is, and execve tells where it is", function()
    local function where(paths)
      local plan = cella.plan()
      plan:chdir_first(paths)
      -- A shell would mend it.
      plan:execve("/usr/bin/env", { "env", "sh", "-c", "grep -qz ^PWD=" .. directory .. "$ /proc/self/environ" },
        { "PATH=/usr/bin:/bin", "PWD=/wrong" }, true)
      return assert(plan:run()).code
    end
    assert.equal(0, where { "/nonexistent", "/etc/passwd", directory })
    assert.equal(0, where { directory, "/" })
    assert.equal(1, where { "/", directory })
    local _, err = cella.plan():chdir_first({ "/nonexistent" }):exec({ "true" }):run()
    assert.equal("ENOENT", err.code)
  end)

  it("seccomp refuses what is no filter, before anything runs", function()
    for _, filter in ipairs { "", "x", ("x"):rep(8 * 4097), ("\255"):rep(8) } do
      local plan = cella.plan()
      plan:no_new_privs()
      plan:seccomp(filter)
      local result, err = plan:exec({ "true" }):run()
      assert.is_nil(result)
      assert.equal("seccomp EINVAL", err.op .. " " .. err.code)
    end
  end)

  it("expect_no_user_namespaces fails where one can be made", function()
    if lacks then pending(lacks) end
    local plan = cella.plan()
    plan:expect_no_user_namespaces()
    local _, err = plan:exec({ "true" }):run()
    assert.equal("ENOTRECOVERABLE", err.code)
  end)
end)
