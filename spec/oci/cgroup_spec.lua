-- The cgroup of a runtime's container: all that is in there is killed with it, so it may be nobody else's.
local cgroups = require "cella.oci.cgroup"
local core = require "cella.core"
local mountinfo = require "cella.mountinfo"
local Plan = require "cella.plan"
local trial = require "spec.support.trial"

describe("a runtime's cgroup", function()
  local directory, taken
  trial.around(before_each, after_each, function(own) directory = own end)

  -- Where the file system of the kernel's is: here a directory that looks so.
  local function create(path, files)
    local own = mountinfo.own
    mountinfo.own = function() return { { kind = "cgroup2", point = directory } } end
    local ok, place, err = pcall(cgroups.create, { path = path, files = files or {} }, function(at)
      taken = at
      return true
    end)
    mountinfo.own = own
    assert.is_true(ok, place)
    return place, err
  end

  local function there(name, events)
    trial.sh(("mkdir -p %s/%s/below"):format(directory, name))
    trial.write(("%s/%s/cgroup.procs"):format(directory, name), "")
    trial.write(("%s/%s/cgroup.events"):format(directory, name), events)
  end

  it("has all that are in it signalled, and no others", function()
    local processes = {}
    for i = 1, 2 do processes[i] = assert(Plan.new():exec({ "/bin/sleep", "1000" }):spawn()) end
    trial.write(directory .. "/cgroup.procs", ("%d\n"):format(processes[1].pid))
    cgroups.signal(directory, "usr1")
    assert.equal("usr1", processes[1]:wait(10).signal)
    cgroups.signal(directory, "usr1") -- its number is nobody's now
    assert.is_nil((processes[2]:wait(0)))
    processes[2]:kill "kill"
    processes[2]:wait()
  end)

  -- Makes directories within each other, and returns a path that leads to the last one, and what holds that.
  local function nest(top, depth)
    local name, held = ("d"):rep(250), {}
    for i = 1, depth do
      local at = held[1] and ("/proc/self/fd/%d"):format(held[1]:number()) or top
      assert(core.sys.mkdir(at .. "/" .. name, 493))
      held[1] = assert(core.open(at .. "/" .. name, { "path", "directory" }), i)
    end
    return ("/proc/self/fd/%d"):format(held[1]:number()), held
  end

  it("has those signalled that are in cgroups of its own, however deep they lie", function()
    local process = assert(Plan.new():exec({ "/bin/sleep", "1000" }):spawn())
    local bottom, held = nest(directory, 20)
    trial.write(directory .. "/cgroup.procs", "")
    trial.write(bottom .. "/cgroup.procs", ("%d\n"):format(process.pid))
    assert.same({ process.pid }, cgroups.processes(directory))
    assert.is_true(cgroups.signal(directory, "usr1"))
    assert.equal("usr1", process:wait(10).signal)
    held[1]:close()
  end)

  it("is not told in part", function()
    there("left", "populated 1\n")
    trial.write(directory .. "/left/below/cgroup.procs", "4194304\n") -- nobody's
    assert.same({ 4194304 }, cgroups.processes(directory .. "/left"))
    assert.same({}, cgroups.processes(directory .. "/nowhere"))
    trial.sh(("rm %s/left/below/cgroup.procs && mkdir %s/left/below/cgroup.procs"):format(directory, directory))
    local pids, err = cgroups.processes(directory .. "/left")
    assert.is_nil(pids)
    assert.equal("EISDIR", err.code)
    local ok, why = cgroups.signal(directory .. "/left", "term")
    assert.is_nil(ok)
    assert.equal("EISDIR", why.code)
  end)

  it("is removed with all that its program has made in it, however deep that lies", function()
    local point
    for _, mount in ipairs(mountinfo.own()) do
      if mount.kind == "cgroup2" then point = mount.point end
    end
    local place = ("%s/spec-%d"):format(point or "", math.random(1000000000))
    if not point or not core.sys.mkdir(place, 493) then
      pending "needs root, or a cgroup of version 2 that is delegated"
      return
    end
    assert(core.sys.mkdir(place .. "/side", 493))
    local bottom, held = nest(place, 20)
    for _, ended_by in ipairs { "kill", "remove" } do
      local process = assert(Plan.new():exec({ "/bin/sleep", "1000" }):spawn())
      trial.write(bottom .. "/cgroup.procs", ("%d"):format(process.pid))
      assert.same({ process.pid }, cgroups.processes(place))
      if ended_by == "remove" then held[1]:close() end
      assert.is_true(cgroups[ended_by](place))
      assert.equal("kill", process:wait(10).signal)
    end
    assert.is_nil((core.file_status(place)))
    assert.is_true(cgroups.remove(place)) -- once more
  end)

  it("has what a bundle says in the kernel's own words", function()
    there("left", "populated 0\n")
    trial.write(directory .. "/cgroup.subtree_control", "memory\n")
    trial.write(directory .. "/left/memory.high", "max\n")
    assert(create("/left", { { "memory.high", "64M", unified = true } }))
    assert.equal("64M", trial.read(directory .. "/left/memory.high"):sub(1, 3))
  end)

  it("may be there, if nobody is in it or below it", function()
    there("left", "populated 0\nfrozen 0\n")
    assert.same({ directory = directory .. "/left" }, create "/left")
    assert.equal(directory .. "/left", taken)
    taken = nil
    there("services", "populated 1\nfrozen 0\n") -- they are below: it has no processes itself
    local place, err = create "/services"
    assert.is_nil(place)
    assert.matches("there are processes in this cgroup already", tostring(err), 1, true)
    assert.is_nil(taken) -- nobody deletes it with the container
  end)

  it("is not entered where it is frozen: who did that would stand still", function()
    there("paused", "populated 0\nfrozen 1\n")
    local back, err = cgroups.enter { directory = directory .. "/paused" }
    assert.is_nil(back)
    assert.matches("/paused\n.*thaw it", tostring(err))
    assert.equal("", trial.read(directory .. "/paused/cgroup.procs"))
    there("going", "populated 0\nfrozen 0\n") -- the control
    assert.is_function(cgroups.enter { directory = directory .. "/going" })
    assert.equal("0", trial.read(directory .. "/going/cgroup.procs"))
  end)

  it("is not there, nor what it is in, where making it comes to nothing", function()
    trial.write(directory .. "/cgroup.subtree_control", "memory\n")
    local place, err = create("/a/b", { { "memory.max", "65536" } })
    assert.is_nil(place)
    assert.matches("memory.max needs the controller memory", tostring(err), 1, true)
    assert.is_nil(trial.read(directory .. "/a/."))
    assert.equal("cgroup.subtree_control\n", trial.sh("ls " .. directory))
    trial.sh(("mkdir %s/a"):format(directory))
    assert.is_nil((create("/a/b", { { "memory.max", "65536" } })))
    assert.equal("a\ncgroup.subtree_control\n", trial.sh("ls " .. directory))
  end)

  it("is known by the path that its bundle gives, and by no other", function()
    there("a/one", "populated 0\n")
    there("deep/a/one", "populated 0\n")
    trial.sh(("mkdir -p %s/plain"):format(directory))
    local function named(place, path)
      local own = mountinfo.own
      mountinfo.own = function() return { { kind = "cgroup2", point = directory } } end
      local ok, result = pcall(cgroups.is_named, place:gsub("^@", directory), path)
      mountinfo.own = own
      assert.is_true(ok, result)
      return result
    end
    for _, path in ipairs { "/a/one", "//a//one/", "a/one", "one" } do
      assert.is_true(named("@/a/one", path), path)
    end
    assert.is_true(named("@/deep/a/one", "a/one"))
    assert.is_false(named("@/deep/a/one", "/a/one"))
    assert.is_false(named("@/a/one", "/a/two"))
    assert.is_false(named("@/a/one", "ne"))
    assert.is_false(named("@/a", "/a/one"))
    assert.is_false(named("@", "/"))
    assert.is_false(named("@/deep/../a/one", "one"))
    assert.is_false(named("@/plain", "/plain")) -- no cgroup
    assert.is_false(named("/a/one", "/a/one"))
  end)

  it("is let alone of a container whose state is broken, where its bundle names another", function()
    local salvage = require "cella.oci.salvage"
    there("one", "populated 0\n")
    local place = directory .. "/one"
    local function settled(cgroup, path)
      local kept, own = require "cella.oci.kept", mountinfo.own
      local config = kept.config
      kept.config = function() return path and { linux = { cgroupsPath = path } } or nil end
      mountinfo.own = function() return { { kind = "cgroup2", point = directory } } end
      local state = { data = { pid = 1, start = "1-2", cgroup = cgroup }, broken = "x", path = "/x" }
      local ok, notes = pcall(salvage.settle, state)
      kept.config, mountinfo.own = config, own
      assert.is_true(ok, notes)
      return state.data.cgroup, table.concat(notes, "\n")
    end
    assert.same({ place, "" }, { settled(place, "/one") })
    assert.same({ nil, "" }, { settled(nil, nil) })
    local left, said = settled(place, "/two")
    assert.is_nil(left)
    assert.matches("one: its config.json names none of that name", said, 1, true)
    left, said = settled(nil, "/one")
    assert.is_nil(left)
    assert.matches("the cgroup that its config.json names, /one: it may be another's by now", said, 1, true)
  end)
end)
