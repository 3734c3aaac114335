--- What is measured: groups of rows. The rows of a group take turns, and are compared with its row `base`, within a
--- round.
---
--- A group has a name, a title, the command of its rows, and `base`. Beside these: `metric`, what is compared
--- ("wall"; "cpu", "blocked"), `at_once` starts in flight, `calls` where system calls are counted, `host_network`,
--- `files`, the directory that is /bench in there, `private`, mounts of its own (bench/systems.lua); `idle` is measured
--- in a way of its own (bench/idle.lua).
---
--- A row has a name, `start` (bench/systems.lua), and what is checked before it is timed (bench/effects.lua):
--- `effects`, by default those of shape S, of which it `lacks` some and has `more`, or false where there is no sandbox
--- to look into; `init` is whether a process 1 is before the program. `floor` is the row of the floor that has the same
--- options, `base` another row than the group's to compare with. `heap` MiB and `descriptors` the caller has while it
--- is timed. `own` rows are cella's and the floor's: where one fails, the bench does. These have the filter of system
--- calls that is cella's default, but for those with `filter = false`.

local here = require "bench.here"
local systems = require "bench.systems"

local floor, line, lua, bwrap = systems.floor, systems.line, systems.lua, systems.bwrap

-- In a worker alone: what compares systems need not load cella's containers.
local function container(description) return require("cella").container(description) end

local function shape(files, changes)
  local description = assert(loadfile(here.top .. "/bench/shape.lua"))(files)
  for key, value in pairs(changes or {}) do description[key] = value end
  return description
end

-- box:spawn, with the shape changed, and keys of the command.
local function spawn(changes, keys)
  return lua(function(command, case)
    local box = container(shape(case.files, changes))
    for key, value in pairs(keys or {}) do command[key] = value end
    return function() return assert(box:spawn(command)) end
  end)
end

-- plan:spawn, of a plan that is made once.
local function spawn_plan(changes)
  return lua(function(command, case)
    local plan = assert(container(shape(case.files, changes)):plan(command))
    return function() return assert(plan:spawn()) end
  end)
end

-- Waits for the first byte of what the program writes. How long that takes is how long the caller was kept.
local function until_it_writes(spawn_it, command)
  local written = false
  command.stdout = function() written = true end
  local process = assert(spawn_it(command))
  while not written and not process:step() do assert(process.set:sleep(process:timeout())) end
  return process
end

-- A command that is started in a box, or with `pooled` in a parked one of a pool that is full before.
local function first_byte(pooled)
  return lua(function(command)
    local box = container(shape())
    assert(box:prepare())
    if not pooled then return function() return until_it_writes(function(c) return box:spawn(c) end, command) end end
    local pool = assert(require("cella").pool { box, size = 2 })
    local function fill()
      while pool:step() < 2 do assert(pool.set:sleep(pool:timeout())) end
    end
    fill()
    return function() return until_it_writes(function(c) return pool:spawn(c) end, command) end, fill
  end)
end

-- box:spawn of a container that is described from nothing.
local function spawn_default(description)
  return lua(function(command, case)
    if case.files then
      description.mounts = { { type = "bind", source = case.files, destination = "/bench", readonly = true } }
    end
    local box = container(description)
    return function() return assert(box:spawn(command)) end
  end)
end

local with_init = floor("--init", here.init)
local plain = line("true", function(command) return command end)
local DEFAULT = { "hostname" } -- what a default container has not of shape S: the host's name is none of its own

local SHAPE = {
  { name = "floor", start = floor(), init = false, own = true },
  { name = "floor, with init", start = with_init, init = true, own = true },
  { name = "cella, box:run", start = spawn(), init = true, floor = "floor, with init", own = true },
  { name = "cella, program as process 1", start = spawn { init = false }, init = false, floor = "floor", own = true },
  { name = "cella, a plan made once", start = spawn_plan(), init = true, floor = "floor, with init", own = true },
  { name = "cella, a plan made once, process 1", start = spawn_plan { init = false }, init = false, floor = "floor",
    own = true },
  { name = "cella, default container", start = spawn_default {}, lacks = DEFAULT, init = true,
    floor = "floor, with init", own = true },
  { name = "bubblewrap", start = bwrap(), init = true },
  { name = "bubblewrap, program as process 1", start = bwrap "--as-pid-1", init = false },
  { name = "crun", start = systems.runtime "crun", init = false },
  { name = "unshare (namespaces, /proc)", start = systems.unshare, effects = { "namespaces", "processes" } },
  { name = "nsjail", start = systems.nsjail },
  { name = "minijail", start = systems.minijail },
  { name = "cella, one-shot script", start = systems.script, init = true, own = true },
  { name = "cella, the same in a huge page", start = systems.script_in_huge_page, init = true, own = true },
  { name = "cella run", start = systems.cella_run, init = true, own = true },
  { name = "bwrap.lua", start = systems.bwrap_lua, init = true, filter = false, own = true },
  { name = "no sandbox (vfork, exec)", start = plain, effects = {}, own = true },
}

local function rows(...)
  local list = {}
  for i, name in ipairs { ... } do
    for _, row in ipairs(SHAPE) do
      if row.name == name then list[i] = row end
    end
    assert(list[i], name)
  end
  return list
end

-- A row for each size, of the floor and of cella; the same other keys for both.
local function sizes(list, make)
  local result = {}
  for _, size in ipairs(list) do
    for _, row in ipairs(make(size)) do result[#result + 1] = row end
  end
  return result
end

local function heaps(mib)
  return {
    { name = ("floor, %d MiB"):format(mib), start = with_init, init = true, heap = mib, series = "floor", own = true },
    { name = ("cella, %d MiB"):format(mib), start = spawn_plan(), init = true, heap = mib, series = "cella",
      base = "cella, 1 MiB", floor = ("floor, %d MiB"):format(mib), own = true },
  }
end

local function descriptors(count)
  return {
    { name = ("floor, %d"):format(count), start = with_init, init = true, descriptors = count, own = true },
    { name = ("cella, %d"):format(count), start = spawn_plan(), init = true, descriptors = count, base = "cella, 10",
      floor = ("floor, %d"):format(count), own = true },
  }
end

local function with_binds(count)
  local description = shape()
  for i = 0, count - 1 do
    local part = { type = "bind", source = "/usr/bin/env", destination = "/mnt/" .. i, readonly = true }
    table.insert(description.root, part)
  end
  return description
end

local function binds(count)
  return {
    { name = ("floor, %d"):format(count), start = floor("--init", here.init, "--binds", tostring(count)), init = true,
      binds = count, own = true },
    { name = ("cella, %d"):format(count), init = true, binds = count, base = "cella, 0", own = true,
      floor = ("floor, %d"):format(count), start = lua(function(command)
        local box = container(with_binds(count))
        return function() return assert(box:spawn(command)) end
      end) },
  }
end

local uids, gids = here.subordinate "uid", here.subordinate "gid"

-- A map of so many extents: one ID each, of which no two are neighbours. Root takes some that are written with few
-- digits, as the kernel takes no more than a page.
local function scattered(range, count)
  local first = here.uid == 0 and 20000 or math.tointeger(tonumber(range:match "^0 (%d+)"))
  local lines = {}
  for i = 0, count - 1 do lines[#lines + 1] = ("%d %d 1"):format(i, first + 2 * i) end
  return table.concat(lines, "\n")
end

local function extents(count)
  local missing
  if here.uid ~= 0 and not (uids and gids) then
    missing = "needs subordinate IDs"
  elseif #scattered(uids, count) > 4000 then
    missing = "a page does not hold so many of these IDs; root's are shorter"
  end
  return {
    { name = ("cella, %d"):format(count), init = true, extents = count, base = "cella, 1", own = true,
      missing = missing, start = lua(function(command)
        local ids = { uid = scattered(uids, count), gid = scattered(gids, count) }
        local box = container(shape(nil, { ids = ids }))
        return function() return assert(box:spawn(command)) end
      end) },
  }
end

local no_helpers = not (here.find "newuidmap" and uids and gids and here.uid ~= 0)
  and "needs a user with subordinate IDs, and newuidmap" or nil

return {
  { name = "shape", title = "Shape S, /bin/true", command = { "/bin/true" }, base = "bubblewrap", calls = true,
    rows = SHAPE },

  { name = "oci", title = "Shape S as a bundle, /bin/true", command = { "/bin/true" }, private = true, base = "crun",
    rows = {
      { name = "crun", start = systems.runtime "crun", init = false },
      { name = "runc", start = systems.runtime "runc", init = false },
      { name = "cella-oci run", start = systems.cella_oci, init = false, filter = false, own = true },
      { name = "cella, box:run", start = spawn(), init = true, own = true },
      { name = "cella, program as process 1", start = spawn { init = false }, init = false, own = true },
      { name = "bubblewrap", start = bwrap(), init = true },
    } },

  { name = "bare", title = "Shape S, a bare program", command = { here.bare }, files = here.programs,
    base = "bubblewrap", rows = rows("floor", "floor, with init", "cella, box:run", "cella, program as process 1",
      "cella, a plan made once", "cella, default container", "bubblewrap", "bubblewrap, program as process 1",
      "crun") },

  { name = "network", title = "Shape S with the host's network, /bin/true", command = { "/bin/true" },
    host_network = true, base = "bubblewrap", rows = {
      { name = "floor", start = floor(), init = false, own = true },
      { name = "floor, with init", start = with_init, init = true, own = true },
      { name = "cella, box:run", start = spawn { namespaces = { net = "host" } }, init = true,
        floor = "floor, with init", own = true },
      { name = "cella, program as process 1", start = spawn { namespaces = { net = "host" }, init = false },
        init = false, floor = "floor", own = true },
      { name = "bubblewrap", start = bwrap(), init = true },
    } },

  { name = "flight", title = "16 in flight, /bin/true: rate", command = { "/bin/true" }, at_once = 16, inverse = true,
    base = "bubblewrap", rows = {
      { name = "floor, with init", start = with_init, init = true, own = true },
      { name = "cella, box:spawn", start = spawn(), init = true, floor = "floor, with init", own = true },
      { name = "cella, box:spawn, wait = false", start = spawn(nil, { wait = false }), init = true,
        floor = "floor, with init", own = true },
      { name = "bubblewrap", start = bwrap(), init = true },
    } },

  { name = "heap", title = "From a large heap", command = { "/bin/true" }, base = "floor, 1 MiB",
    rows = sizes({ 1, 256, 1024 }, heaps) },

  { name = "descriptors", title = "With open descriptors", command = { "/bin/true" }, base = "floor, 10",
    rows = sizes({ 10, 10000 }, descriptors) },

  { name = "binds", title = "Bind mounts more", command = { "/bin/true" }, base = "floor, 0",
    rows = sizes({ 0, 10, 100, 1000 }, binds) },

  { name = "extents", title = "Extents of the ID map", command = { "/bin/true" }, base = "cella, 1",
    rows = sizes({ 1, 5, 340 }, extents) },

  { name = "helpers", title = "Subordinate ranges: newuidmap and newgidmap, a user namespace alone",
    command = { "/bin/true" }, base = "floor, one helper after the other", rows = {
      { name = "floor, one helper after the other", start = floor("--helpers", uids or "", gids or ""),
        effects = { "range" }, missing = no_helpers, own = true },
      { name = "cella", effects = { "range" }, missing = no_helpers, own = true, start = lua(function(command)
        local cella = require "cella"
        local plan = cella.plan { namespaces = { "user" }, ids = { uid = uids, gid = gids, via = "helper" } }
        plan:setresgid(0, 0, 0):setresuid(0, 0, 0):exec { table.unpack(command) }
        return function() return assert(plan:spawn()) end
      end) },
    } },

  { name = "capability", title = "A capability kept", command = { "/bin/true" }, base = "cella, none", rows = {
    { name = "cella, none", start = spawn(), init = true, own = true },
    { name = "cella, net_raw", start = spawn { capabilities = { "net_raw" } }, lacks = { "no_capabilities" },
      more = { "net_raw" }, init = true, own = true },
  } },

  { name = "filter", title = "The filter of system calls, and no user namespaces", command = { "/bin/true" },
    base = "cella, none", rows = {
      { name = "cella, none", start = spawn { seccomp = false, user_namespaces = true }, init = true, filter = false,
        own = true },
      { name = "cella, the filter", start = spawn { user_namespaces = true }, init = true, own = true },
      { name = "cella, no user namespaces", start = spawn { seccomp = false }, init = true, filter = false,
        own = true },
      { name = "cella, both: the default", start = spawn(), init = true, own = true },
      { name = "floor, with init, none", start = with_init, init = true, filter = false, own = true },
      { name = "floor, with init, the filter", start = with_init, init = true, base = "floor, with init, none",
        own = true },
    } },
  { name = "blocked", title = "How long a start keeps its caller", command = { "/bin/true" }, metric = "blocked",
    base = "vfork, exec and wait", rows = {
      { name = "vfork, exec and wait", start = plain, effects = {}, metric = "wall", own = true },
      { name = "floor, with init", start = with_init, init = true, own = true },
      { name = "cella, box:spawn", start = spawn(), init = true, own = true },
      { name = "cella, box:spawn, wait = false", start = spawn(nil, { wait = false }), init = true, own = true },
    } },

  { name = "pool", title = "First byte of output", command = { "/bin/echo", "x" }, metric = "blocked",
    base = "cella, box:spawn", rows = {
      { name = "cella, box:spawn", start = first_byte(false), effects = false, own = true },
      { name = "cella, pool:spawn", start = first_byte(true), effects = false, own = true },
    } },

  { name = "lua", title = "The Lua side: processor time", command = { "/bin/true" }, metric = "cpu",
    base = "lua5.4, nothing", rows = {
      { name = "lua5.4, nothing", effects = false, own = true,
        start = line(here.lua, function() return { here.lua, "-e", "" } end) },
      { name = 'require "cella"', effects = false, own = true,
        start = line(here.lua, function() return { here.lua, "-e", 'require "cella"' } end) },
      { name = 'require "cella".container', effects = false, own = true,
        start = line(here.lua, function() return { here.lua, "-e", 'local _ = require("cella").container' } end) },
      { name = "cella, table to plan", effects = false, own = true, start = lua(function(command)
        local description = shape()
        return function() assert(container(description):plan(command)) end
      end) },
      { name = "cella, plan of a container", effects = false, own = true, start = lua(function(command)
        local box = container(shape())
        return function() assert(box:plan(command)) end
      end) },
      { name = "floor, with init: shape S", start = with_init, init = true, own = true },
    } },

  { name = "idle", title = "Idle containers", command = { here.bare, "wait" }, files = here.programs, idle = true,
    base = "floor, with init", rows = rows("floor, with init", "cella, box:run", "bubblewrap") },
}
