-- cella.namespace: names that keep namespaces alive. Everything here happens in mount namespaces of its own.

local able = require "spec.support.able"
local cella = require "cella"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local needs = able.needs(function(reason) pending(reason) end)

-- What the sources find: a directory that is a file system of its own, private, and a container that sleeps.
local BEFORE = [[
  local namespace = require "cella.namespace"
  require "cella.caps.walk" -- while the checkout is to be seen, should it lie in /tmp
  local tmp = scratch()
  assert(sys.mkdir(tmp .. "/kept", 448))
  local kept = tmp .. "/kept"
  local function sleeper(keys)
    keys = keys or {}
    -- There is one ID, that of whoever runs the specs.
    if not (keys.namespaces and keys.namespaces.user) then keys.ids = require "cella.policy".root() end
    return assert(cella.container(keys):spawn { "sleep", "1000", stdin = "null" })
  end
  local function said(result, err)
    assert(not result, "it was not refused")
    return tostring(err), err.code, err.why
  end
]]

-- On one CPU: by their own numbers the kernel tells which of two mount namespaces is older.
local CPU = trial.read("/proc/self/status"):match "Cpus_allowed_list:%s*(%d+)"

local function inside(source)
  return outside.as_namespace_root(BEFORE .. source, { prefix = "taskset -c " .. CPU })
end

describe("a namespace with a name", function()
  setup(function() cella.container({}):run { "true" } end) -- the init's program is kept for the next
  before_each(leaks.watch)
  after_each(leaks.check)

  local function it_inside(name, body) it(name, needs("user_namespaces", body)) end

  it_inside("lives on when the last process in it has ended, and is joined by the name", function()
    local wanted, found, listed, control = inside [[
      local process = sleeper { hostname = "moon" }
      local wanted, numbers = {}, {}
      for _, kind in ipairs { "user", "net", "uts", "ipc" } do
        wanted[kind] = sys.namespace(kind, process.pid)
        assert(namespace.keep(process, kind, kept .. "/" .. kind))
        numbers[#numbers + 1] = kind .. " " .. wanted[kind]
      end
      local join = {}
      for _, kind in ipairs { "user", "net", "uts", "ipc" } do join[kind] = kept .. "/" .. kind end
      process:close()
      local other = sleeper { namespaces = join }
      local found = {}
      for kind in pairs(wanted) do found[kind] = sys.namespace(kind, other.pid) end
      other:close()
      local listed = {}
      for i, one in ipairs(namespace.list(kept)) do
        assert(one.path == kept .. "/" .. one.kind)
        assert(tostring(one) == ("%s:[%d] kept at %s"):format(one.kind, one.inode, one.path))
        listed[i] = one.kind .. " " .. one.inode
      end
      table.sort(numbers)
      return wanted, found, { listed, numbers }, sys.namespace "net"
    ]]
    assert.same(wanted, found)
    assert.same(listed[2], listed[1])
    assert.not_equal(control, found.net)
  end)

  it_inside("may be kept of a process by its number, and of one that cella has not started", function()
    assert.is_true((inside [[
      assert(namespace.keep(sys.getpid(), "net", kept .. "/mine"))
      return namespace.list(kept)[1].inode == sys.namespace "net"
    ]]))
  end)

  it_inside("is given back, with its file, and then is gone", function()
    local before, after, file, again, kind = inside [[
      local process = sleeper()
      assert(namespace.keep(process, "net", kept .. "/net"))
      local before = #namespace.list(kept)
      assert(namespace.release(kept .. "/net"))
      process:close()
      local text, code = said(namespace.release(kept .. "/net"))
      return before, #namespace.list(kept), read(kept .. "/net"), code, mount_at(kept .. "/net") and "mounted"
    ]]
    assert.equal(1, before)
    assert.equal(0, after)
    assert.is_nil(file)
    assert.equal("ENOENT", again)
    assert.is_nil(kind)
  end)

  it_inside("is given back as itself only: no file that is something else, and nothing else that is mounted", function()
    local file, content, mount, link = inside [[
      local process = sleeper()
      assert(sys.write_file(kept .. "/file", "content", "creat", 384))
      local file = said(namespace.release(kept .. "/file"))
      assert(sys.mkdir(kept .. "/mount", 448))
      assert(sys.mount("none", kept .. "/mount", "tmpfs"))
      local mount = said(namespace.release(kept .. "/mount"))
      assert(namespace.keep(process, "net", kept .. "/net"))
      assert(sys.symlink(kept .. "/net", kept .. "/link"))
      local link = said(namespace.release(kept .. "/link"))
      assert(#namespace.list(kept) == 1)
      process:close()
      return file, read(kept .. "/file"), mount, link
    ]]
    for _, text in ipairs { file, mount, link } do
      assert.truthy(text:find("no namespace is kept there", 1, true), text)
    end
    assert.equal("content", content)
  end)

  it_inside("takes no name that is taken, be it by a link that leads elsewhere", function()
    local taken, why, link, elsewhere = inside [[
      local process = sleeper()
      assert(namespace.keep(process, "net", kept .. "/net"))
      local _, taken, why = said(namespace.keep(process, "uts", kept .. "/net"))
      assert(sys.symlink(tmp .. "/elsewhere", kept .. "/link"))
      local _, link = said(namespace.keep(process, "uts", kept .. "/link"))
      process:close()
      return taken, why, link, read(tmp .. "/elsewhere")
    ]]
    assert.equal("EEXIST", taken)
    assert.truthy(why:find("namespace.release", 1, true), why)
    assert.equal("EEXIST", link)
    assert.is_nil(elsewhere)
  end)

  it_inside("lies in a directory that its owner alone may write to", function()
    local found, left = inside [[
      local process = sleeper()
      local found = {}
      for i, mode in ipairs { 511, 1023, 496, 450 } do
        local directory = tmp .. "/open" .. i
        assert(sys.mkdir(directory, 448))
        local fd = assert(core.open(directory, "rdonly"))
        assert(sys.fchmod(fd:number(), mode))
        fd:close()
        found[i] = said(namespace.keep(process, "net", directory .. "/net"))
        assert(not read(directory .. "/net"))
      end
      process:close()
      return found, #namespace.list(tmp .. "/open1")
    ]]
    for _, text in ipairs(found) do assert.truthy(text:find("others may write to the directory", 1, true), text) end
    assert.equal(4, #found)
    assert.equal(0, left)
  end)

  it_inside("of mounts that share ours needs a private mount, which namespace.private makes", function()
    local code, why, left, there = inside [[
      assert(sys.mount("none", tmp, nil, "shared"))
      local process = assert(cella.plan():exec({ "unshare", "--mount", "--propagation", "unchanged", "sleep", "1000",
        stdin = "null" }):spawn())
      wait_for(function() return status("Name", process.pid) == "sleep" end)
      local text, code, why = said(namespace.keep(process, "mount", kept .. "/mount"))
      local left = read(kept .. "/mount")
      assert(namespace.private(kept))
      assert(namespace.keep(process, "mount", kept .. "/mount"))
      local number = sys.namespace("mount", process.pid)
      process:close()
      local join = { { type = "mount", path = kept .. "/mount" } }
      local other = assert(cella.plan { join = join }:exec({ "sleep", "1000", stdin = "null" }):spawn())
      local there = sys.namespace("mount", other.pid) == number
      other:close()
      return code, why, left, there
    ]]
    assert.equal("EINVAL", code)
    assert.truthy(why:find("namespace.private", 1, true), why)
    assert.is_nil(left)
    assert.is_true(there)
  end)

  it_inside("of mounts cannot be kept in itself", function()
    local code, why = inside [[
      local text, code, why = said(namespace.keep(sys.getpid(), "mount", kept .. "/mount"))
      return code, why
    ]]
    assert.equal("EINVAL", code)
    assert.truthy(why:find("older", 1, true), why)
  end)

  it_inside("of processes is of no use once its first process has ended, and that is said", function()
    local op, code, why = inside [[
      local process = sleeper()
      assert(namespace.keep(process, "pid", kept .. "/pid"))
      assert(namespace.keep(process, "user", kept .. "/user"))
      local join = { { type = "user", path = kept .. "/user" }, { type = "pid", path = kept .. "/pid" } }
      assert(cella.plan { join = join }:exec({ "true" }):run())
      process:close()
      local result, err = cella.plan { join = join }:exec({ "true" }):run()
      assert(not result)
      return err.op, err.code, err.why
    ]]
    assert.equal("fork ENOMEM", op .. " " .. code)
    assert.truthy(why:find("pid namespace is dead", 1, true), why)
  end)

  it_inside("of a process that has ended is not made", function()
    local code, left = inside [[
      local process = sleeper()
      process:kill "kill"
      process:wait()
      local _, code = said(namespace.keep(process, "net", kept .. "/net"))
      local _, again = said(namespace.keep(2147483647, "net", kept .. "/net"))
      return code .. " " .. again, read(kept .. "/net")
    ]]
    assert.equal("ESRCH ESRCH", code)
    assert.is_nil(left)
  end)

  it("takes the right to mount, and who has it not is told of another way", function()
    if not trial.lacks_root() then return pending "needs an ordinary user" end
    local directory = trial.directory()
    local process = assert(cella.container {}:spawn { "sleep", "1000", stdin = "null" })
    local ok, err = cella.namespace.keep(process, "net", directory .. "/net")
    assert.is_nil(ok)
    assert.equal("EPERM", err.code)
    assert.truthy(err.why:find("namespaces = { net = { fd = ... } }", 1, true), err.why)
    assert.is_nil(trial.read(directory .. "/net"))
    process:close()
    trial.remove_directory(directory)
  end)

  it("of root's is one among others, as those of ip-netns(8)", needs("root", function()
    local named, address = outside.lua(BEFORE .. [[
      local process = sleeper { namespaces = { user = "host" } }
      assert(namespace.keep(process, "net", kept .. "/net"))
      local number = sys.namespace("net", process.pid)
      process:close()
      local other = sleeper { namespaces = { net = kept .. "/net", user = "host" } }
      local same = sys.namespace("net", other.pid) == number
      other:close()
      return same, #namespace.list(kept)
    ]])
    assert.is_true(named)
    assert.equal(1, address)
  end))

  describe("is refused, before anything happens,", function()
    local function raises(pattern, call, ...)
      local arguments = { ... }
      local message = trial.raised(function() local _ = call(unpack(arguments)) end)
      assert.truthy(message:find(pattern, 1, true), message)
      assert.truthy(message:find("namespace_spec.lua", 1, true), message)
    end

    it("where the process is none", function()
      raises("process: ", cella.namespace.keep, "1", "net", "/run/x")
      raises("process: ", cella.namespace.keep, {}, "net", "/run/x")
      raises("process: ", cella.namespace.keep, 0, "net", "/run/x")
      raises("process: ", cella.namespace.keep, 4294967297, "net", "/run/x")
    end)

    it("where the kind is none", function()
      raises("did you mean 'net'", cella.namespace.keep, 1, "nett", "/run/x")
      raises("kind: ", cella.namespace.keep, 1, nil, "/run/x")
    end)

    it("where the path is no name", function()
      for _, path in ipairs { "x", "/run/", "/", "", "/run/../x", "/run/a\0b" } do
        raises("path: ", cella.namespace.keep, 1, "net", path)
        raises("path: ", cella.namespace.release, path)
      end
      raises("directory: ", cella.namespace.list, "run")
      raises("directory: ", cella.namespace.private, "run")
    end)
  end)
end)
