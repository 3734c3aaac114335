-- Mounts of a container where there is no mount_setattr(2), as before Linux 5.12: a seccomp filter hides it on newer
-- ones, so that this is tried everywhere. What it does is the same with it and without.

local cella = require "cella"
local portable = require "spec.support.portable"
local sys = require "cella.sys"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()

-- mount_setattr(2) has one number on all machines. A filter is a list of struct sock_filter (seccomp(2)).
local MOUNT_SETATTR, ENOSYS = 442, 38
local LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
local HIDDEN = portable.encode("2114211421142114", LOAD, 0, 0, 0, EQUALS, 0, 1, MOUNT_SETATTR,
  RETURN, 0, 0, 0x00050000 + ENOSYS, RETURN, 0, 0, 0x7fff0000)

-- Mounts below a directory: one with a name that mountinfo escapes, one below that, one with flags, one that is
-- covered, and one beside them all.
local PRELUDE = [[
local cella, sys = require "cella", require "cella.sys"
local function inside(description, text)
  if not description.namespaces then description.ids = require "cella.policy".root() end
  local box = cella.container(description)
  local result, err = box:run { "/bin/sh", "-c", text, stdout = "capture", stderr = "capture" }
  if not result then return tostring(err) end
  return result.stdout
end
local function tmpfs(path, flags)
  assert(sys.mkdir(path, 493))
  assert(sys.mount("none", path, "tmpfs", flags))
end
assert(sys.mount("none", "/", nil, { "rec", "private" }))
assert(sys.mount("none", "/mnt", "tmpfs"))
tmpfs "/mnt/top"
tmpfs "/mnt/top/a \\q"
tmpfs "/mnt/top/a \\q/c"
tmpfs("/mnt/top/flags", { "nosuid", "noexec", "nodev" })
tmpfs "/mnt/top/covered"
tmpfs "/mnt/top/covered/below"
assert(sys.mount("none", "/mnt/top/covered", "tmpfs"))
tmpfs "/mnt/beside"
local BINDS = { { type = "bind", source = "/mnt", destination = "/mnt", readonly = true } }
local WRITE = "cd /mnt; for d in top 'top/a \\q' 'top/a \\q/c' top/flags top/covered beside; do "
  .. "touch \"$d/x\" 2>/dev/null && echo \"$d\"; done; true"
]]

local major, minor = trial.read("/proc/sys/kernel/osrelease"):match "^(%d+)%.(%d+)"
local is_old = major * 1000 + minor < 5012

describe("without mount_setattr(2) #vm", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  -- What a Lua program prints in a user and a mount namespace of its own, with the call and without it.
  local function each(program)
    local said = {}
    for i, filter in ipairs { HIDDEN, false } do
      local plan = cella.plan { namespaces = { "user", "mount" }, ids = { uid = ("0 %d 1"):format(uid),
        gid = ("0 %d 1"):format(gid), setgroups = "deny", via = "self" } }
      plan:no_new_privs()
      if filter then plan:seccomp(filter) end
      local environment = { LUA_PATH = os.getenv "LUA_PATH", LUA_CPATH = os.getenv "LUA_CPATH",
        LD_PRELOAD = os.getenv "LD_PRELOAD", ASAN_OPTIONS = os.getenv "ASAN_OPTIONS", PATH = "/usr/bin:/bin" }
      local result, err = plan:exec({ trial.lua, "-e", PRELUDE .. program, stdout = "capture", stderr = "capture",
        environment = environment }):run()
      assert(result, tostring(err))
      assert.equal(0, result.code, result.stderr)
      said[i] = result.stdout
    end
    return unpack(said)
  end

  it("a bind is read-only with all that is mounted below it", function()
    local without, with = each [[
      io.write(inside({ mounts = BINDS }, WRITE), "--\n")
      BINDS[1].readonly = nil
      io.write(inside({ mounts = BINDS }, WRITE))]]
    assert.equal("--\ntop\ntop/a \\q\ntop/a \\q/c\ntop/flags\ntop/covered\nbeside\n", with)
    assert.equal(with, without)
  end)

  it("a bind that is not recursive is read-only alone", function()
    local without, with = each [[
      assert(sys.mkdir("/mnt/own", 493))
      BINDS[1].recursive, BINDS[1].source, BINDS[1].destination = false, "/mnt/own", "/mnt"
      io.write(inside({ namespaces = { user = "host" }, mounts = BINDS },
        "touch /mnt/x 2>/dev/null || echo read-only; grep -c ' /mnt' /proc/self/mountinfo"))]]
    assert.matches("^read%-only\n", with)
    assert.equal(with, without)
  end)

  it("a remount changes one mount, and none below it", function()
    local without, with = each [[
      BINDS[1].readonly = nil
      BINDS[2] = { type = "remount", destination = "/mnt/top", readonly = true }
      io.write(inside({ mounts = BINDS }, WRITE))]]
    assert.equal("top/a \\q\ntop/a \\q/c\ntop/flags\ntop/covered\nbeside\n", with)
    assert.equal(with, without)
  end)

  it("a root that lies over its parts is read-only with all that is mounted below it", function()
    local program = [[
      for _, name in ipairs { "usr", "proc", "tmp" } do assert(sys.mkdir("/mnt/" .. name, 493)) end
      for _, name in ipairs { "bin", "lib", "lib64" } do assert(sys.symlink("usr/" .. name, "/mnt/" .. name)) end
      local text = "cd /; for d in . top 'top/a \\q' 'top/a \\q/c' top/flags top/covered beside tmp made; do "
        .. "touch \"$d/x\" && echo \"$d\"; done; true"
      for _, readonly in ipairs { true, false } do
        io.write(inside({ root = { { type = "bind", source = "/mnt", destination = "/", create = true },
          readonly = readonly }, mounts = { { type = "bind", source = "/usr", destination = "/usr", readonly = true },
          { type = "tmpfs", destination = "/tmp" }, { type = "tmpfs", destination = "/made" } } }, text), "--\n")
      end]]
    local without, with = each(program)
    assert.matches("mount_setattr.*ENOSYS", without)
    if is_old then return assert.equal(without, with) end
    assert.equal("tmp\nmade\n--\n.\ntop\ntop/a \\q\ntop/a \\q/c\ntop/flags\ntop/covered\nbeside\ntmp\nmade\n--\n", with)
    -- Of a mount that is read-only itself nothing has to be taken back.
    without, with = each('assert(sys.mkdir("/mnt/made", 493))' .. program:gsub("for _, readonly",
      'assert(sys.mount("none", "/mnt", nil, { "remount", "bind", "rdonly" }))\n%0', 1))
    assert.equal("tmp\nmade\n--\ntop\ntop/a \\q\ntop/a \\q/c\ntop/flags\ntop/covered\nbeside\ntmp\nmade\n--\n", with)
    assert.equal(with, without)
  end)

  it("the host's root is read-only with all that is mounted below it", function()
    local without, with = each [[io.write(inside({}, WRITE .. "; touch /x 2>/dev/null || echo root"))]]
    assert.equal("root\n", with)
    assert.equal(with, without)
  end)

  it("mounts keep the flags that they have", function()
    local flags = [[while read -r _ _ _ _ point options _; do case $point in /mnt/*) echo "$point $options";; esac
      done </proc/self/mountinfo | sort]]
    local without, with = each(([[
      BINDS[1].noexec = true
      io.write(inside({ mounts = BINDS }, %q))]]):format(flags))
    assert.matches("/mnt/top/flags ro,nosuid,nodev,noexec", with)
    -- What is covered keeps its own, and is not seen.
    local function seen(text)
      local covered
      return (text:gsub("/mnt/top/covered[^\n]*\n", function()
        if covered then return "" end
        covered = true
      end):gsub("/mnt/top/covered[^\n]*\n", ""))
    end
    assert.equal(seen(with), seen(without))
  end)

  it("devices, parts of /proc and covered paths are read-only", function()
    local without, with = each [[
      io.write(inside({ root = { { type = "bind", source = "/usr", destination = "/usr", readonly = true },
          { type = "symlink", target = "usr/bin", destination = "/bin" },
          { type = "symlink", target = "usr/lib", destination = "/lib" },
          { type = "symlink", target = "usr/lib64", destination = "/lib64" },
          { type = "dev", destination = "/dev" }, { type = "proc", destination = "/proc", protect = true },
          { type = "directory", destination = "/hidden" }, { type = "file", destination = "/secret", content = "x" },
          { type = "directory", destination = "/fixed" } },
        masked_paths = { "/hidden", "/secret" }, readonly_paths = { "/fixed" } },
        "chmod 777 /dev/null 2>/dev/null || echo null; cat /secret; touch /hidden/x 2>/dev/null || echo hidden; "
        .. "touch /fixed/x 2>/dev/null || echo fixed; touch /x && echo root; echo x >/dev/null && echo written; "
        .. "grep -c '^[^ ]* [^ ]* [^ ]* [^ ]* /proc/sys ro' /proc/self/mountinfo"))]]
    assert.equal("null\nhidden\nfixed\nroot\nwritten\n1\n", with)
    assert.equal(with, without)
  end)

  it("what cannot be done another way is refused, with the version that can", function()
    local without = each [[
      local plan = cella.plan { namespaces = { "mount" } }
      local tree = plan:open_tree("/mnt/top", "clone")
      plan:mount_setattr(tree, false, "noatime")
      local _, err = plan:exec({ "true" }):run()
      print(err and err.op, err and err.code, err and err.why)]]
    assert.matches("^mount_setattr\tENOSYS\t", without)
    assert.matches("Linux has this since 5.12, and this is [%d.]+", (without:gsub("this needs Linux 5.12, and this is",
      "Linux has this since 5.12, and this is")))
  end)

  it("more mounts than can be held are refused", function()
    local without, with = each [[
      for i = 1, 1100 do tmpfs("/mnt/beside/" .. i) end
      print((inside({ mounts = BINDS }, "echo ran"):gsub("\n.*", "")))]]
    assert.matches("mount_setattr.*E2BIG", without)
    assert.equal(is_old and without or "ran\n", with)
  end)
end)
