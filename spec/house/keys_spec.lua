-- lua/cella/meta/keys.lua, from which editors complete, has the keys that the rules have, and no other.

local annotations = require "tools.doc.annotations"
local cella = require "cella"
local kinds = require "cella.kinds"

local NONE = ("no such key "):rep(3)

-- The keys that a call would take in place of one that there is not, as it says itself.
local function keys_of(call)
  local ok, message = pcall(call, { [NONE] = 1 })
  assert(not ok, "nothing is refused")
  local list = {}
  message = tostring(message)
  local said = message:match "unknown key; there are ([^\n]*)" or message:match "is not one of ([^\n;]*)"
  for key in assert(said, message):gmatch "[%w_]+" do list[#list + 1] = key end
  table.sort(list)
  return list
end

local function with(table_of_keys, more)
  for key, value in pairs(more) do table_of_keys[key] = value end
  return table_of_keys
end

local function in_key(key)
  return function(keys) cella.container { [key] = keys } end
end

local function in_mount(key)
  return function(keys) cella.container { mounts = { { type = "bind", [key] = keys } } } end
end

local function in_network(key, more)
  return function(keys) cella.container { network = { type = "user", [key] = { with(keys, more) } } } end
end

local function in_command(key)
  return function(keys) cella.container { command = { "true", [key] = keys } } end
end

local TABLES = {
  ["cella.container.keys"] = function(keys) cella.container(keys) end,
  ["cella.capabilities.keys"] = in_key "capabilities",
  ["cella.device.keys"] = function(keys) cella.container { devices = { keys } } end,
  ["cella.namespaces.keys"] = in_key "namespaces",
  ["cella.namespaces.target"] = function(keys) cella.container { namespaces = { net = keys } } end,
  ["cella.namespaces.offsets"] = function(keys)
    cella.container { namespaces = { time = with(keys, { monotonic = 1 }) } }
  end,
  ["cella.network.keys"] = in_key "network",
  ["cella.network.allow.host"] = in_network("allow", {}),
  ["cella.network.allow.address"] = in_network("allow", { address = "192.0.2.7" }),
  ["cella.network.port.keys"] = in_network("ports", {}),
  ["cella.network.host_port.keys"] = in_network("host_ports", {}),
  ["cella.ids.keys"] = in_key "ids",
  ["cella.user.keys"] = in_key "user",
  ["cella.hooks.keys"] = in_key "hooks",
  ["cella.rlimits.keys"] = in_key "rlimits",
  ["cella.rlimits.pair"] = function(keys) cella.container { rlimits = { cpu = keys } } end,
  ["cella.cgroup.keys"] = in_key "cgroup",
  ["cella.cgroup.bandwidth.keys"] = function(keys) cella.container { cgroup = { cpu = keys } } end,
  ["cella.cgroup.io.keys"] = function(keys) cella.container { cgroup = { io = { keys } } } end,
  ["cella.root.directory"] = function(keys) cella.container { root = with(keys, { path = "/" }) } end,
  ["cella.root.parts"] = in_key "root",
  ["cella.mount.source.fd"] = in_mount "source",
  ["cella.mount.source.content"] = function(keys)
    cella.container { mounts = { { type = "bind", source = with(keys, { content = "" }) } } }
  end,
  ["cella.mount.ids.keys"] = in_mount "idmap",
  ["cella.mount.owner.keys"] = function(keys)
    cella.container { mounts = { { type = "tmpfs", destination = "/mnt", owner = keys } } }
  end,
  ["cella.exec.keys"] = function(keys) cella.plan():exec(with(keys, { "true" })) end,
  ["cella.command.keys"] = function(keys) cella.container { command = with(keys, { "true" }) } end,
  ["cella.call.keys"] = function(keys) cella.container { command = with(keys, { print }) } end,
  ["cella.terminal.keys"] = in_command "terminal",
  ["cella.streams.input_file"] = in_command "stdin",
  ["cella.streams.content"] = function(keys)
    cella.container { command = { "true", stdin = with(keys, { content = "" }) } }
  end,
  ["cella.streams.output_file"] = in_command "stdout",
  ["cella.enter.keys"] = function(keys) cella.enter(keys) end,
  ["cella.enter.user.keys"] = function(keys) cella.enter { pid = 1, user = keys } end,
  ["cella.plan.keys"] = function(keys) cella.plan(keys) end,
  ["cella.plan.ids.keys"] = function(keys) cella.plan { ids = keys } end,
  ["cella.plan.join.keys"] = function(keys) cella.plan { join = { keys } } end,
  ["cella.seccomp.keys"] = function(keys)
    cella.seccomp.policy(with(keys, { default = "allow" }))
  end,
  ["cella.landlock.keys"] = function(keys) cella.landlock.policy(with(keys, { tcp = {} })) end,
  ["cella.landlock.rule.keys"] = function(keys)
    cella.landlock.policy { files = { with(keys, { path = "/", allow = "read" }) } }
  end,
  ["cella.landlock.ports.keys"] = function(keys) cella.landlock.policy { tcp = keys } end,
  ["cella.spawn.keys"] = function(keys) cella.plan():spawn(keys) end,
  ["cella.worker.keys"] = function(keys) cella.container({}):worker(keys) end,
  ["cella.slice.keys"] = function(keys) cella.policy.slice("name", 1, keys) end,
}

for _, name in ipairs { "bind", "tmpfs", "overlay", "proc", "sysfs", "cgroup2", "mqueue", "devpts", "dev",
  "filesystem", "file", "symlink", "directory", "remount", "chmod" } do
  TABLES["cella.mount." .. name] = function(keys)
    cella.container { mounts = { with(keys, { type = name }) } }
  end
end

-- What others inherit.
local BASES = { ["cella.command.shared"] = true, ["cella.mount.place"] = true, ["cella.mount.flags"] = true,
  ["cella.mount.shared"] = true }

describe("the annotations of keys", function()
  local classes = annotations.of("lua/cella/meta/keys.lua").classes
  local by_name = {}
  for _, class in ipairs(classes) do by_name[class.name] = class end

  -- With those of the classes that it goes on from.
  local function fields_of(class, list)
    list = list or {}
    for _, field in ipairs(class.fields) do
      if not field.name:find "^%[" then list[#list + 1] = field.name end
    end
    if class.parent then fields_of(by_name[class.parent], list) end
    table.sort(list)
    return list
  end

  for name, call in pairs(TABLES) do
    it("are those of the rules: " .. name, function()
      local class = assert(by_name[name], "there is no class of this name")
      assert.same(keys_of(call), fields_of(class))
    end)
  end

  it("are all held together with rules", function()
    for _, class in ipairs(classes) do assert.truthy(TABLES[class.name] or BASES[class.name], class.name) end
  end)

  it("say something of each", function()
    for _, class in ipairs(classes) do
      assert.truthy(class.text ~= "", class.name)
    end
  end)

  it("have every type of namespace and of mount", function()
    for _, kind in ipairs(kinds.list) do assert.truthy(pcall(cella.plan, { namespaces = { kind } }), kind) end
    local _, message = pcall(cella.container, { mounts = { { type = "none" } } })
    for name in tostring(message):match "is not one of ([^\n;]*)":gmatch "[%w_]+" do
      assert.truthy(by_name["cella.mount." .. name], name)
    end
  end)
end)
