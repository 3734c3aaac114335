-- caps.file, caps.set_file, caps.remove_file and caps.program: file capabilities by descriptor.

local core = require "cella.core"
local Plan = require "cella.plan"
local caps = require "cella.caps"
local idmap = require "cella.idmap"
local leaks = require "spec.support.leaks"
local portable = require "spec.support.portable"

local directory

local function path_of(name) return directory .. "/" .. name end

local function make(name, text)
  local file = assert(io.open(path_of(name), "w"))
  file:write(text or "text\n")
  file:close()
  return path_of(name)
end

-- Whether this process may give files capabilities, where it keeps its temporary ones.
local function unable()
  if not caps.state().effective:has "setfcap" then return "needs CAP_SETFCAP" end
  local ok, err = caps.set_file(make "probe", "cap_net_raw=p")
  if not ok then return "needs a file system with capabilities: " .. tostring(err) end
  return nil
end

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

describe("the capabilities of a file", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(portable.execute("mkdir " .. directory))
  end)

  teardown(function() portable.execute("rm -rf " .. directory) end)

  it("are false where there are none", function()
    assert.is_false(caps.file(make "plain"))
  end)

  it("are set, read back, and removed", function()
    if unable() then return pending(unable()) end
    local path = make "set"
    assert(caps.set_file(path, "cap_net_raw,cap_chown=ep"))
    local value = assert(caps.file(path))
    assert.equal(caps.set "net_raw,chown", value.permitted)
    assert.equal(caps.none, value.inheritable)
    assert.is_true(value.effective)
    assert.equal(0, value.rootid)
    assert.equal(2, value.revision)
    assert.equal("cap_chown,cap_net_raw=ep", tostring(value))
    assert.is_true(caps.remove_file(path))
    assert.is_false(caps.file(path))
    assert.is_false(caps.remove_file(path))
  end)

  it("are what getcap(8) sees", function()
    if unable() then return pending(unable()) end
    if not portable.execute "command -v getcap >/dev/null" then return pending "needs getcap" end
    local path = make "seen"
    for _, text in ipairs { "cap_net_raw=ep", "cap_net_raw=p", "cap_net_raw=i", "cap_kill=i cap_chown+p",
      "cap_chown,cap_kill=eip" } do
      assert(caps.set_file(path, text))
      assert.equal(path .. " " .. text .. "\n", output("getcap " .. path))
      assert.equal(text, tostring(caps.file(path)))
    end
  end)

  it("have a name-space owner, in whose user namespaces they count", function()
    if unable() then return pending(unable()) end
    local map = idmap.of("self", "uid")
    if not map:outside(100000) then return pending "needs uid 100000 to have a mapping" end
    local path = make "owned"
    assert(caps.set_file(path, { permitted = "net_raw", effective = true, rootid = 100000 }))
    local value = assert(caps.file(path))
    assert.equal(100000, value.rootid)
    assert.equal(3, value.revision)
    assert.equal("cap_net_raw=ep [rootid=100000]", tostring(value))
    assert(caps.set_file(path, tostring(value)))
    assert.equal(value, caps.file(path))
  end)

  it("are a value that its text makes again", function()
    if unable() then return pending(unable()) end
    local path, other = make "one", make "two"
    assert(caps.set_file(path, { permitted = "net_raw", inheritable = "chown", effective = false }))
    assert(caps.set_file(other, caps.file(path)))
    assert.equal(caps.file(path), caps.file(other))
    assert(caps.set_file(other, tostring(caps.file(path))))
    assert.equal(caps.file(path), caps.file(other))
  end)

  it("keep their effective bit in sight where both sets are empty, which libcap's own value does not", function()
    if unable() then return pending(unable()) end
    local path = make "bit"
    local raw = "0100000200000000000000000000000000000000"
    if not portable.execute(("{ setfattr -n security.capability -v 0x%s %s || python3 -c "
      .. "'import os; os.setxattr(\"%s\", \"security.capability\", bytes.fromhex(\"%s\"))'; } 2>/dev/null")
      :format(raw, path, path, raw)) then return pending "needs setfattr or python3" end
    local value = assert(caps.file(path))
    assert.is_true(value.effective)
    assert.equal(caps.none, value.permitted)
    -- And so it cannot write it.
    assert.has_error(function() caps.set_file(path, value) end)
  end)

  it("are those of an open descriptor, whatever its name leads to by now", function()
    if unable() then return pending(unable()) end
    local path = make "held"
    local fd = assert(core.open(path, "rdonly"))
    assert(os.rename(path, path .. ".moved"))
    make "held"
    assert(caps.set_file(fd:number(), "cap_kill=p"))
    assert.equal("cap_kill=p", tostring(caps.file(fd:number())))
    assert.equal("cap_kill=p", tostring(caps.file(path .. ".moved")))
    assert.is_false(caps.file(path))
    assert.is_true(caps.remove_file(fd:number()))
    assert.is_false(caps.file(path .. ".moved"))
    fd:close()
  end)

  it("are read of a file that may not be opened for reading", function()
    if unable() then return pending(unable()) end
    local path = make "execute_only"
    assert(caps.set_file(path, "cap_kill=p"))
    assert(portable.execute("chmod 111 " .. path))
    local plan = Plan.new():setgroups({}):setresgid(54321, 54321, 54321):setresuid(54321, 54321, 54321)
    local result = assert(plan:exec({ portable.program, "-e", ('print(require("cella.caps").file(%q))'):format(path),
      stdout = "capture" }):run { timeout = 20 })
    if not portable.execute("chmod 755 " .. directory) then error "chmod" end
    if result.stdout == "" then return pending "the checkout is not for everybody to read" end
    assert.truthy(result.stdout:find "cap_kill=p" or result.stdout:find "EACCES")
  end)

  it("are never looked for behind a symbolic link, nor in what is no regular file", function()
    local path = make "target"
    assert(portable.execute(("ln -s %s %s"):format(path, path_of "link")))
    assert(portable.execute("mkfifo " .. path_of "fifo"))
    for _, name in ipairs { "link", "fifo", "." } do
      for _, call in ipairs { caps.file, caps.remove_file, function(p) return caps.set_file(p, "cap_kill=p") end } do
        local result, err = call(path_of(name))
        assert.is_nil(result)
        assert.equal("EINVAL", err.code)
        assert.truthy(err.why:find "regular")
      end
    end
  end)

  it("say what failed, of which file, and why", function()
    local value, err = caps.file(path_of "nothing")
    assert.is_nil(value)
    assert.equal("ENOENT", err.code)
    assert.equal(path_of "nothing", err.path)
    value, err = caps.file(9999)
    assert.is_nil(value)
    assert.equal("EBADF", err.code)
    assert.is_nil((caps.program(path_of "nothing")))
  end)

  it("need CAP_SETFCAP, and the error says so", function()
    local path = make "refused"
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(([[
      local caps = require "cella.caps"
      assert(caps.state():with { effective = caps.none }:apply())
      local ok, err = caps.set_file(%q, "cap_kill=p")
      assert(not ok and err.code == "EPERM", tostring(err))
      io.write(err.why)
      assert(caps.file(%q) == false)]]):format(path, path))
    file:close()
    local result = assert(Plan.new():exec({ portable.program, name, stdout = "capture", stderr = "capture" })
      :run { timeout = 20 })
    os.remove(name)
    assert.equal("", result.stderr)
    assert.truthy(result.stdout:find "CAP_SETFCAP")
  end)

  it("refuse what no file can have", function()
    local path = make "bad"
    for value, said in pairs {
      ["cap_net_rwa=ep"] = "did you mean 'net_raw'?", ["cap_net_raw=p cap_kill=ep"] = "one bit for the whole file",
      ["41=ep"] = "41 is no capability", ["cap_kill=p [rootid=-1]"] = "unknown capability",
      ["cap_kill=p [rootid=4294967295]"] = "0 to 4294967294",
    } do
      local ok, message = pcall(caps.set_file, path, value)
      assert.is_false(ok, value)
      assert.truthy(message:find(said, 1, true), message)
    end
    for _, value in ipairs { {}, { permited = "all" }, { permitted = "all", rootid = -1 }, 5, true, false } do
      assert.is_false((pcall(caps.set_file, path, value)))
    end
    assert.is_false((pcall(caps.set_file, path)))
    assert.is_false((pcall(caps.file)))
    assert.is_false((pcall(caps.file, -1)))
    assert.is_false((pcall(caps.file, "a\0b")))
    assert.is_false((pcall(caps.file, "")))
    assert.is_false(caps.file(path))
  end)

  it("leave no descriptor open", function()
    local path = make "fds"
    collectgarbage() -- which would close what we forget
    collectgarbage "stop"
    local before = leaks.descriptors()
    for _ = 1, 20 do
      caps.file(path)
      caps.file(path_of "none")
      caps.program(path)
      caps.program "/proc/self/nothing"
      caps.remove_file(path)
      caps.set_file(path, "cap_kill=p")
    end
    local after = leaks.descriptors()
    collectgarbage "restart"
    assert.equal(before, after)
  end)
end)

describe("the facts of a program", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(portable.execute("mkdir " .. directory))
  end)

  teardown(function() portable.execute("rm -rf " .. directory) end)

  it("are its mode, owner and capabilities, and whether its mount has nosuid", function()
    local path = make "program"
    assert(portable.execute("chmod 4711 " .. path))
    local facts = assert(caps.program(path))
    assert.equal(2505, facts.mode)
    local _, euid = core.sys.getresuid()
    assert.equal(euid, facts.uid)
    assert.is_false(facts.capabilities)
    assert.is_boolean(facts.nosuid)
    assert.equal(path, facts.path)
    assert.is_true(assert(caps.program "/proc/self/exe").mode > 0)
  end)

  it("say whether the mount has nosuid", function()
    local _, uid = core.sys.getresuid()
    local _, gid = core.sys.getresgid()
    for _, flag in ipairs { "nosuid", "nodev" } do
      local plan = Plan.new { namespaces = { "user", "mount" }, ids = { uid = ("0 %d 1"):format(uid),
        gid = ("0 %d 1"):format(gid), via = "self", setgroups = "deny" } }
      plan:mount("none", directory, "tmpfs", { flag })
      plan:exec { portable.program, "-e", ([[
        local path = %q .. "/program"
        assert(io.open(path, "w")):close()
        io.write(tostring(require("cella.caps").program(path).nosuid))]]):format(directory), stdout = "capture",
        stderr = "capture" }
      local result = plan:run { timeout = 20 }
      if not result then return pending "needs user namespaces" end
      assert.equal("", result.stderr)
      assert.equal(tostring(flag == "nosuid"), result.stdout)
    end
  end)

  it("are those of the interpreter where it is a script", function()
    local script = make("script", "#! /bin/true\n")
    assert(portable.execute("chmod 4755 " .. script))
    local facts = assert(caps.program(script))
    assert.equal("/bin/true", facts.interpreter)
    assert.equal(script, facts.path)
    assert.equal(assert(caps.program "/bin/true").mode, facts.mode)
    local inner = make("inner", "#!" .. script .. " -x\n")
    assert.equal("/bin/true", assert(caps.program(inner)).interpreter)
    local loop = make("loop", "#!" .. path_of "loop" .. "\n")
    local result, err = caps.program(loop)
    assert.is_nil(result)
    assert.equal("ELOOP", err.code)
  end)

  it("predict what it will hold", function()
    if unable() then return pending(unable()) end
    local path = make "ping"
    assert(caps.set_file(path, "cap_net_raw=ep"))
    local facts = assert(caps.program(path))
    local state = assert(caps.state():after_setresuid(1000, 1000, 1000))
    local after = assert(state:after_exec { file = facts })
    assert.equal(facts.nosuid and "none" or "net_raw", tostring(after.effective))
  end)
end)
