-- The IDs of a container that says nothing about them, and what the host's root is kept from where somebody asks for
-- it.

local cella = require "cella"
local core = require "cella.core"
local host = require "cella.host"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local inside, refused = trial.inside, trial.refused
local FIRST, LAST, SIZE = 1879048192, 2147352575, 65536
local PROC = { type = "proc", destination = "/proc" }

local facts = host.facts()

-- A host's facts where nothing is held.
local function given(more)
  local table_of_facts = { uid = 0, gid = 0, capabilities = { setuid = true, setgid = true, setfcap = true } }
  for key, value in pairs(more or {}) do table_of_facts[key] = value end
  return table_of_facts
end

local function first_of(result)
  return result.uid:extents()[1].outside
end

describe("the default of `ids`", function()
  it("is, for who may map any, one of the ranges that no convention uses", function()
    for _ = 1, 50 do
      local result = assert(policy.default()(given()))
      local extent = result.uid:extents()[1]
      assert.equal(0, extent.inside)
      assert.equal(SIZE, extent.count)
      assert.is_true(extent.outside >= FIRST and extent.outside + SIZE - 1 <= LAST)
      assert.equal(0, (extent.outside - FIRST) % SIZE)
      assert.is_true(result.uid == result.gid)
    end
  end)

  it("leaves out every range that a file gives to somebody, and says so where none is left", function()
    local free = FIRST + 7 * SIZE
    local taken = { { first = FIRST, count = 7 * SIZE }, { first = free + SIZE, count = LAST - free - SIZE + 1 } }
    for _ = 1, 5 do assert.equal(free, first_of(assert(policy.default()(given { taken = taken })))) end
    -- One ID is enough.
    table.insert(taken, 2, { first = free + SIZE - 1, count = 1 })
    local none, err = policy.default()(given { taken = taken })
    assert.is_nil(none)
    assert.matches("accounts have some of each range", err.message)
  end)

  it("stays one range as long as the policy's value is the same", function()
    local one = policy.default()
    local range = first_of(assert(one(given())))
    for _ = 1, 20 do assert.equal(range, first_of(assert(one(given())))) end
  end)

  it("is of the upper end of a map that has none of those: 65,536 IDs, or 1,024", function()
    local map = "0 100000 1000000"
    local extent = assert(policy.default()(given { uid_map = map, gid_map = map })).uid:extents()[1]
    assert.equal(SIZE, extent.count)
    assert.is_true(extent.outside + SIZE > 1000000 - SIZE - 1024)
    map = "0 100000 65536"
    extent = assert(policy.default()(given { uid_map = map, gid_map = map })).uid:extents()[1]
    assert.equal(1024, extent.count)
    assert.is_true(extent.outside >= 60000 and extent.outside + 1024 <= 65534)
  end)

  it("is the caller's one ID where he has no privilege, or one ID: but never the host's root", function()
    local result = assert(policy.default() { uid = 1000, gid = 100 })
    assert.equal("0 1000 1", tostring(result.uid):gsub(" +", " "):match "^ ?(.-)$")
    local one = { uid_map = "0 1000 1", gid_map = "0 1000 1" }
    assert.equal(0, first_of(assert(policy.default()(given(one)))))
    for _, more in ipairs { { capabilities = {} }, { uid_map = "0 0 1", gid_map = "0 0 1" } } do
      local none, err = policy.default()(given(more))
      assert.is_nil(none)
      assert.matches("host's root", err.message)
      assert.matches("policy.root()", err.why, 1, true)
    end
  end)

  it("says where it is not held", function()
    local result = assert(policy.default()(given()))
    assert.matches("not held", result.notes[1])
  end)

  if trial.lacks_user_namespaces() then return end

  it("#vm is what the kernel says it is, and another for every container of root's", function()
    local seen = {}
    for _ = 1, 3 do
      local box = cella.container { mounts = { PROC } }
      seen[#seen + 1] = box
      local first, count = inside({ ids = box.description.ids, mounts = { PROC } }, "cat /proc/self/uid_map")
        :match "^ *0 +(%d+) +(%d+)\n$"
      assert.equal("0\n", inside({ mounts = { PROC } }, "id -u"))
      if trial.lacks_root() then
        assert.equal(facts.uid, tonumber(first))
        assert.equal("1", count)
      else
        assert.equal(tostring(SIZE), count)
        assert.is_nil(seen[first])
        seen[first] = true
      end
    end
  end)
end)

describe("`ids = policy.available()`", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  -- What a container with it says of itself, is inside, and prints; for a Lua that may be anywhere.
  local PROGRAM = [[
    local cella, policy = require "cella", require "cella.policy"
    local box = cella.container { ids = policy.available() }
    local result = assert(box:run { "cat", "/proc/self/uid_map", stdout = "capture" })
    local first, outside, count = result.stdout:match "^ *(%d+) +(%d+) +(%d+)\n"
    print(first, outside, count, select(2, result.stdout:gsub("\n", "")))
    print(tostring(box:plan { "true" }):match "^[^\n]*")
    print(tostring(box))
  ]]

  local function said_by(text)
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    local first, there, count, extents = lines[1]:match "^(%d+)\t(%d+)\t(%d+)\t(%d+)$"
    local note = lines[2]:match "^%-%- ids: (.*)$"
    assert.equal("cella.container (system; new: user mount pid ipc uts net cgroup; ids: " .. note .. ")", lines[3])
    return note, { tonumber(first), tonumber(there), tonumber(count), tonumber(extents) }
  end

  local function run(box)
    local words = { "sh", "-c", ("%s -e %s"):format(trial.interpreter(), trial.quote(PROGRAM)),
      stdout = "capture", stderr = "stdout" }
    local result = box and assert(box:run(words)) or trial.host(words)
    assert.equal(0, result.code, result.stdout)
    return said_by(result.stdout)
  end

  it("#vm is what the kernel says it is, and what the plan and the container print", function()
    local note, map = run()
    if not trial.lacks_root() then
      assert.same({ 0, SIZE, 1 }, { map[1], map[3], map[4] })
      assert.equal(("a range that nobody else has: 0 to 65535 are %d to %d outside"):format(map[2], map[2] + SIZE - 1),
        note)
    elseif trial.several_ids() then
      assert.same({ 0, facts.uid, 1 }, { map[1], map[2], map[3] })
      assert.is_true(map[4] > 1)
      assert.matches("the subordinate IDs of ", note, 1, true)
    else
      assert.same({ 0, facts.uid, 1, 1 }, map)
    end
  end)

  it("#vm is one ID in a container that has neither privileges nor subordinate IDs", function()
    -- Of root's container the program is somebody who is not its root; of a user's it is himself.
    local outer = { root = "system", nesting = true, mounts = { { type = "bind", source = trial.top,
      destination = trial.top, readonly = true } } }
    local uid = facts.uid
    if trial.lacks_root() then
      outer.ids = policy.me()
    else
      outer.ids, outer.user, uid = policy.default(), { uid = 4321, gid = 4321 }, 4321
    end
    local note, map = run(cella.container(outer))
    assert.same({ 0, uid, 1, 1 }, map)
    assert.equal(("one ID: 0 is %d outside"):format(uid), note)
  end)
end)

describe("IDs that are held", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- Where only one range is left, and the notes are in a directory of ours.
  local function narrow(count)
    return given { uid = facts.uid, gid = facts.gid, runtime = directory .. "/run", root_uid = 0, root_gid = 0,
      taken = { { first = FIRST + (count or 1) * SIZE, count = LAST - FIRST - (count or 1) * SIZE + 1 } } }
  end

  it("are nobody else's as long as the policy's value lives", function()
    local one, other = policy.default(), policy.default()
    assert.equal(FIRST, first_of(assert(one(narrow()))))
    local none, err = other(narrow())
    assert.is_nil(none)
    assert.matches("in use", err.message)
    -- Of another process neither.
    local said = outside.lua(([[
      local host = %s
      local result, err = require "cella.policy".default()(host)
      return result and "given" or err.message
    ]]):format(("{ uid = %d, gid = %d, root_uid = 0, root_gid = 0, runtime = %q, capabilities = { setuid = true, "
      .. "setgid = true, setfcap = true }, taken = { { first = %d, count = %d } } }"):format(facts.uid, facts.gid,
      directory .. "/run", FIRST + SIZE, LAST - FIRST - SIZE + 1)))
    assert.matches("in use", said)
    one, none = nil, nil -- luacheck: ignore
    portable.collect()
    assert.equal(FIRST, first_of(assert(other(narrow()))))
  end)

  it("are given again only where no process has any of them", function()
    if trial.lacks_root() then return pending "needs root" end
    local one = policy.default()
    assert(one(narrow(2)))
    local result = one(narrow(2))
    local process = assert(cella.container { ids = one, mounts = { PROC } }:spawn { "sleep", "100", stdin = "null" })
    local range = first_of(result)
    one = nil -- luacheck: ignore
    portable.collect()
    local two, three = policy.default(), policy.default()
    assert.equal(FIRST + (range == FIRST and SIZE or 0), first_of(assert(two(narrow(2)))))
    assert.is_nil((three(narrow(2))))
    process:close()
    process = nil -- luacheck: ignore
    trial.wait_for(function()
      collectgarbage()
      return three(narrow(2)) ~= nil
    end, "the range that nobody has")
    assert.equal(range, first_of(three(narrow(2))))
  end)

  it("are given to nobody else while a namespace that has them is kept without a process #slow", function()
    if trial.lacks_root() then return pending "needs root" end
    local source = [[
      local cella, hold, host = require "cella", require "cella.policy.hold", require("cella.host").facts()
      local own = select(2, ...)
      local box = cella.container { user = { uid = 5000, gid = 5000 }, init = false, nesting = true }
      local process = assert(box:spawn { "sh", "-c", "exec " .. (own or "") .. " sleep 1000", stdin = "null" })
      local first = box:plan({ "true" }).ids.uid:outside(0)
      local function name() return io.open(("/proc/%d/comm"):format(process.pid)):read() end
      while name() ~= "sleep" do end
      if ... then assert(cella.namespace.keep(process, "user", ...)) end
      process:close()
      box, process = nil, nil
      require("spec.support.portable").collect()
      local range = hold.take(host.runtime, function(number)
        return number == 1 and { first = first, count = 65536 } or nil
      end, host.uid)
      io.write(range and "given" or "kept", "\n")
    ]]
    local function after(path, own)
      return trial.sh(("unshare --mount --propagation private sh -c %s 2>&1"):format(trial.quote((
        "mkdir -p /run/cella; mount -t tmpfs -o mode=700 cella /run/cella; mount -t tmpfs -o mode=700 cella %s; "
        .. "LUA_PATH=%s LUA_CPATH=%s exec %s - %s %s << 'END'\n%s\nEND\n"):format(directory,
        trial.quote(package.path), trial.quote(package.cpath), trial.lua, path or "", own and trial.quote(own) or "",
        source))))
    end
    assert.equal("given\n", after())
    assert.equal("kept\n", after(directory .. "/user"))
    -- One that the program has made for itself has few of the IDs, or none.
    assert.equal("kept\n", after(directory .. "/user", "unshare --user --map-root-user"))
    assert.equal("kept\n", after(directory .. "/user", "unshare --user"))
  end)

  it("are of a thousand containers at once in one descriptor #slow", function()
    local list, seen = {}, {}
    local before = trial.sh(("ls /proc/%d/fd | wc -l"):format(core.sys.getpid()))
    for i = 1, 1000 do
      list[i] = policy.default()
      local first = first_of(assert(list[i](narrow(1100))))
      assert.is_nil(seen[first])
      seen[first] = true
    end
    assert.is_true(tonumber(trial.sh(("ls /proc/%d/fd | wc -l"):format(core.sys.getpid()))) <= tonumber(before) + 1)
  end)

  it("are given no more where the caller has closed the descriptor, be its number another file's by now", function()
    local said, size = outside.lua(([[
      local path = os.tmpname()
      local host = %s
      local first = require "cella.policy".default()
      assert(first(host))
      -- As a program does that closes what it does not know.
      for number = 3, 200 do
        if number ~= 900 and (core.file_status(number) or {}).size then sys.close(number) end
      end
      local files = {}
      for i = 1, 40 do files[i] = assert(io.open(path, "w+")) end
      local result, err = require "cella.policy".default()(host)
      local size = files[1]:seek "end"
      os.remove(path)
      return result and "given" or err.code, size
    ]]):format(("{ uid = %d, gid = %d, root_uid = 0, root_gid = 0, runtime = %q, capabilities = { setuid = true, "
      .. "setgid = true, setfcap = true } }"):format(facts.uid, facts.gid, directory .. "/run")))
    assert.equal("EBADF", said)
    assert.equal(0, size)
  end)

  it("are noted in no file or directory that others may write to, and by no link", function()
    local run = directory .. "/run"
    for _, prepare in ipairs { "mkdir -m 777 %s", "mkdir -m 700 %s; : > %s/ids; chmod 666 %s/ids",
      "mkdir -m 700 %s; ln -s /nonexistent %s/ids", "mkdir -m 700 %s; mkfifo -m 600 %s/ids",
      "mkdir -m 700 %s; : > %s/ids; chmod 600 %s/ids; ln %s/ids %s/other" } do
      trial.sh("rm -rf " .. run .. "; " .. prepare:gsub("%%s", run))
      local result, err = policy.default()(narrow())
      assert.is_nil(result, prepare)
      assert.equal("ids", err.op)
    end
    trial.sh(("rm -rf %s; mkdir -m 700 %s"):format(run, run))
    assert(policy.default()(narrow()))
  end)
end)

describe("a container with the host's root", function()
  if trial.lacks_root() then
    pending "needs root"
    return
  end

  local SWITCHES = "for f in sys/kernel/core_pattern sysrq-trigger irq/default_smp_affinity; do "
    .. "(exec 3<>/proc/$f) 2>&- && echo $f; done; true"
  local TELLS = "for f in kcore timer_list kallsyms kmsg interrupts; do "
    .. "[ -e /proc/$f ] && stat -c %F /proc/$f; done | sort -u"

  for name, keys in pairs {
    ["policy.root()"] = { ids = policy.root() }, ["no user namespace"] = { namespaces = { user = "host" } },
    ["a range with 0 in it"] = { ids = policy.range(0, 0, 100) },
  } do
    it("has no switch of the host's to write to, and sees nothing that tells of it: " .. name, function()
      keys.mounts = { PROC }
      assert.equal("", inside(keys, SWITCHES))
      assert.equal("character special file\n", inside(keys, TELLS))
      assert.equal("Read-only file system\n", (inside(keys, "(exec 3<>/proc/sys/kernel/core_pattern) 2>&1 | "
        .. "grep -o 'Read-only file system'")))
      -- The control: opened by its key.
      keys.mounts = { { type = "proc", destination = "/proc", protect = false } }
      assert.matches("sys/kernel/core_pattern", inside(keys, SWITCHES))
      assert.matches("regular", inside(keys, TELLS))
    end)
  end

  it("has no /sys to write to", function()
    local sysfs = { type = "sysfs", destination = "/sys", readonly = false }
    local ok, message = pcall(refused, { ids = policy.root(), mounts = { sysfs } })
    assert.is_false(ok)
    assert.matches("mounts[1].readonly", message, 1, true)
    assert.equal("", inside({ mounts = { PROC, sysfs } }, "true"))
  end)

  it("not by default: there the switches belong to nobody", function()
    assert.equal("", inside({ mounts = { PROC } }, SWITCHES))
    assert.equal("65534\n", inside({ mounts = { PROC } }, "stat -c %u /proc/sys/kernel/core_pattern"))
  end)
end)

describe("what nobody in the container can use", function()
  if trial.lacks_root() then
    pending "needs root"
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function bound(more)
    local mount = { type = "bind", source = directory, destination = "/mnt" }
    for key, value in pairs(more or {}) do mount[key] = value end
    return { mounts = { PROC, mount } }
  end

  it("is refused before the start, with its owner and what to write", function()
    local err = refused(bound())
    assert.equal("mounts[2]", err.op)
    assert.matches("uid 0 outside", err.message)
    for _, words in ipairs { "idmap = true", "readonly = true", "policy.root()" } do
      assert.matches(words, err.why, 1, true)
    end
    trial.sh("chmod 700 " .. directory)
    err = refused { root = directory }
    assert.equal("root", err.op)
    assert.matches("lets nobody else in", err.message)
  end)

  it("is refused where it is the upper directory of an overlay", function()
    trial.sh(("cd %s; mkdir lower upper work"):format(directory))
    local keys = { mounts = { PROC, { type = "overlay", destination = "/mnt", lower = directory .. "/lower",
      upper = directory .. "/upper", work = directory .. "/work" } } }
    local err = refused(keys)
    assert.equal("mounts[2].upper", err.op)
    assert.matches('upper = "tmpfs"', err.why, 1, true)
    keys.ids = policy.root()
    inside(keys, "echo x > /mnt/file")
    assert.equal("x\n", trial.read(directory .. "/upper/file"))
  end)

  it("is not, by each of what it says to write", function()
    local script = "echo written > /mnt/file"
    trial.sh("chmod 755 " .. directory)
    inside(bound { readonly = true }, "ls /mnt")
    local keys = bound()
    keys.ids = policy.root()
    inside(keys, script)
    assert.equal("written\n", trial.read(directory .. "/file"))
    trial.sh(("rm %s/file; chmod 777 %s"):format(directory, directory))
    inside(bound(), script)
    assert.equal("written\n", trial.read(directory .. "/file"))
  end)
end)

describe("/dev/stdout of a container", function()
  it("can be opened where it is a pipe of the caller's", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local keys = { mounts = { PROC, { type = "dev", destination = "/dev" } } }
    assert.equal("again\n", inside(keys, "echo again > /dev/stdout; echo x > /dev/stderr"))
  end)
end)
