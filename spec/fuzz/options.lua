-- Tables for cella.container and box:plan, and arguments of operations, some of them nearly right: they make a plan
-- that can be printed, or are refused in words.

local fuzz = require "spec.fuzz.fuzz"
local caps = require "cella.caps"
local cella = require "cella"
local core = require "cella.core"
local idmap = require "cella.idmap"
local lists = require "cella.list"
local policy = require "cella.policy"

local random, pick = fuzz.random, fuzz.pick

local function nothing() end

-- Whatever somebody may write; never what is right but by chance.
local function anything(depth)
  local kind = random(depth > 0 and 14 or 10)
  if kind == 1 then return random(0, 1) == 1 end
  if kind == 2 then return fuzz.edge() end
  if kind == 3 then return pick { 0.5, 1 / 0, 0 / 0, -0.0, 1e300, 3.0 } end
  if kind == 4 then return pick { "", "/", "/a", "a\0b", "a\nb", "..", "/../a", ("x"):rep(5000), "all", "none", "host",
    "new", "inherit", "64M", "10%", "0-3", "unlimited", "system", "\255\254" } end
  if kind == 5 then return pick { nothing, io.stdout, coroutine.create(nothing) } end
  if kind == 6 then return pick { caps.set "kill", idmap.new "0 0 1", cella.plan(), policy.subids() } end
  if kind == 7 then return setmetatable({}, { __len = function() return 3 end, __index = function() return 1 end }) end
  if kind == 8 then return setmetatable({}, { __metatable = pick { false, "no", 1 } }) end
  if kind <= 10 then return random(0, 70000) end
  local t = {}
  for _ = 1, random(0, 4) do t[#t + 1] = anything(depth - 1) end
  for _ = 1, random(0, 3) do t[pick { "path", "type", "source", "destination", "uid", "fd", "x y", 0, -1, 7, true }] =
    anything(depth - 1) end
  return t
end

local make -- by the name of a key

local function list_of(of, most)
  return function()
    local t = {}
    for i = 1, random(0, most) do t[i] = of() end
    return t
  end
end

local function number(most) return function() return random(0, most) end end
local function one(...) local words = { ... } return function() return pick(words) end end
local function path()
  if random(30) == 1 then return pick { "/", "a", "", "/../a", "/proc/self/ns/net", "/a\nb" } end
  return pick { "/usr", "/tmp", "/srv/a", "/a/b", "/proc", "/dev", "/etc/passwd", "/a//b/." }
end

local function record(keys)
  local names = lists.sorted_keys(keys)
  return function()
    local t = {}
    for _, key in ipairs(names) do
      local of = keys[key]
      if random(3) == 1 then t[key] = random(60) == 1 and anything(2) or of() end
    end
    if random(150) == 1 then t[pick { "sorce", "Type", 1, 2, {}, ("k"):rep(200) }] = anything(1) end
    return t
  end
end

local boolean = one(true, false)
local id = one(0, 1, 33, 1000, 65534)
local limit = one(0, 1, 256, "unlimited")
local namespace = one("new", "host", "/proc/self/ns/net")
local capabilities = one("none", "all", "kill", { "kill" }, { "all", "-kill" }, "all,-net_raw", { 13 }, caps.set "kill")
local environment = one("inherit", {}, { A = "b" }, { PATH = "/bin", B = "" })
local extent = record { inside = id, outside = id, count = one(1, 2, 65536) }
local size = one("64M", "10%", 4096, "1T", 0)

-- Those of each type, and what it cannot do without.
local flags = { readonly = boolean, nodev = boolean, noexec = boolean, nosuid = boolean, noatime = boolean }
local types = {
  bind = { { recursive = boolean, optional = boolean, create = boolean, idmap = boolean,
    propagation = one("private", "slave", "shared") }, { source = one("/usr", "/etc", "/a", { content = "x" },
    { fd = 0 }) } },
  tmpfs = { { size = size, mode = number(4095), inodes = number(10000) } },
  overlay = { { upper = one("/tmp", "tmpfs"), work = one "/tmp", create = boolean },
    { lower = one("/usr", { "/usr", "/etc" }) } },
  proc = { { subset = one "pid", hidepid = one("off", "invisible"), protect = boolean } },
  sysfs = { {} }, mqueue = { {} }, devpts = { {} }, dev = { {} }, cgroup2 = { {} },
  remount = { {}, { readonly = boolean } },
  file = { { mode = number(4095), existing = boolean }, { content = one("", "text") }, bare = true },
  symlink = { { existing = boolean }, { target = path }, bare = true },
  directory = { { mode = number(4095), existing = boolean }, bare = true },
  chmod = { {}, { mode = number(4095) }, bare = true },
}
local type_names = {}
for name in pairs(types) do type_names[#type_names + 1] = name end
table.sort(type_names)

local function mount()
  local name = pick(type_names)
  local kind = types[name]
  local t = record(kind[1])()
  if not kind.bare then
    for key, value in pairs(record(flags)()) do t[key] = value end
  end
  for key, of in pairs(kind[2] or {}) do t[key] = of() end
  t.type, t.destination = name, path()
  if random(60) == 1 then t[pick { "type", "destination", "source", "mode" }] = anything(2) end
  return t
end

local streams = {
  stdin = one("inherit", "null", "pipe", { content = "x" }, { path = "/dev/null" }, 0),
  stdout = one("inherit", "null", "capture", { path = "/dev/null", append = true }, nothing, 1),
  stderr = one("inherit", "null", "capture", "stdout", 2),
  fds = one({}, { [3] = 0 }, { [9] = 1, [10] = { content = "y" } }),
  terminal = one(true, false, { rows = 24, columns = 80 }),
  cwd = path, environment = environment, timeout = number(10), output_limit = number(100000),
  result_limit = number(100000),
}

local function command()
  local t = record(streams)()
  for i = 1, random(4) do t[i] = pick { "true", "/bin/sh", "-c" } end
  if random(4) == 1 then t[1] = nothing end
  if random(50) == 1 then t[random(5)] = pick { "", "a\0", 5, false } end
  if random(50) == 1 then t.n = random(0, 9) end
  return t
end

make = record {
  hostname = one("moon", "a-b", ("h"):rep(64)), domainname = one("a.b"),
  namespaces = record { user = namespace, mount = namespace, pid = namespace, net = namespace, uts = namespace,
    ipc = namespace, cgroup = namespace, time = one("new", "host", { monotonic = 5 }, { boottime = -1 }) },
  ids = one({ uid = "0 0 1", gid = "0 0 1" }, policy.subids(), policy.root and policy.root() or policy.subids(), false),
  user = record { uid = id, gid = id, groups = list_of(id, 5) },
  root = function() return pick { path(), "system", { path = path(), readonly = true }, list_of(mount, 4)() } end,
  mounts = list_of(mount, 4), masked_paths = list_of(path, 3), readonly_paths = list_of(path, 3),
  capabilities = capabilities, no_new_privs = boolean, new_session = boolean, init = boolean, die_with_parent = boolean,
  rlimits = record { nofile = limit, core = limit, as = limit, cpu = one({ soft = 1, hard = 2 }, 3) },
  environment = environment, cwd = path, command = command,
  hooks = record { created = one(nothing), mapped = one(nothing), before_exec = one(nothing), exited = one(nothing) },
  cgroup = record { memory = one("64M", "1T", 1048576), pids = number(100), cpuset = one("0", "0-3,5"),
    cpu = one(0.5, 1), name = one("a", "b.c"), swap = one(0, "1M") },
}

local function source(value, seen, depth)
  if type(value) ~= "table" or seen[value] or depth > 8 then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  seen[value] = true
  local parts = {}
  for key, item in next, value do
    parts[#parts + 1] = ("[%s] = %s"):format(source(key, seen, depth + 1), source(item, seen, depth + 1))
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- The operations take what they are given into a plan, in C; nothing is done.
local operations = {}
for name in pairs(core.operations) do operations[#operations + 1] = name end
table.sort(operations)

local function argument()
  return pick { "user", "rdonly", "/a", 0, 3, 5, 65536, true, { "rdonly" }, { 0, 1 }, { "user", "pid" }, "all",
    { "kill" }, { "a", "b" }, "nofile", anything(2) }
end

local function steps()
  local list = {}
  for _ = 1, random(6) do
    local arguments = { n = random(0, 6) }
    for i = 1, arguments.n do arguments[i] = argument() end
    list[#list + 1] = { pick(operations), arguments }
  end
  return list
end

local function record_steps(list)
  local plan, problem, slot = cella.plan(), nil, nil
  for _, step in ipairs(list) do
    local arguments = step[2]
    if slot and random(2) == 1 then arguments[1] = slot end
    local ok, result = pcall(plan[step[1]], plan, table.unpack(arguments, 1, arguments.n))
    if ok and type(result) == "userdata" then slot = result end
    if not ok and (not problem or fuzz.is_fault(result)) then problem = result end
  end
  assert(type(tostring(plan)) == "string")
  if problem then error(problem, 0) end
end

fuzz.run("options", function()
  if random(3) == 1 then return { steps = steps() } end
  local description = make()
  return { description, (not description.command or random(2) == 1) and command() or nil, extent() }
end, function(input)
  if input.steps then return record_steps(input.steps) end
  local _, problem = pcall(idmap.new, input[3])
  if type(problem) == "string" and fuzz.is_fault(problem) then error(problem, 0) end
  local box = cella.container(input[1])
  assert(type(tostring(box)) == "string")
  local plan, err = box:plan(input[2])
  if not plan then error(err, 0) end
  assert(#tostring(plan) > 0)
end, function(input) return source(input, {}, 0) end)
