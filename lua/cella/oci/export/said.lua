--- What of a container's table a config.json, or a Pod, cannot say: by the name of the key.

local call = require "cella.call"
local capabilities = require "cella.caps.set"
local description = require "cella.container.description"
local keys = require "cella.oci.export.keys"
local lists = require "cella.list"
local root_module = require "cella.oci.export.root"

--- Names what of a container's table cannot be said. `found` gets a line for each.
---@param found string[]
---@param target "oci"|"kube"
---@param box table      the description
---@param command table  checked
return function(found, target, box, command)
  local said = {}
  for _, key in ipairs(description.keys()) do
    -- What is chosen where nobody says anything, an init for one, is no wish for it; but who keeps sys_admin is not to
    -- lose the locks on mounts without a word.
    if box.said[key] or key == "lock_mounts" then said[key] = box[key] end
  end
  said.command = command
  keys.check(found, target, "cella.container.keys", said, "")
  keys.check(found, target, "cella.namespaces.keys", box.namespaces, "namespaces")
  for _, kind in ipairs(lists.sorted_keys(box.namespaces)) do
    local value = box.namespaces[kind]
    if type(value) == "table" then
      local at = "namespaces." .. kind
      if value.offsets then
        keys.check(found, target, "cella.namespaces.offsets", value.offsets, at)
      else
        keys.check(found, target, "cella.namespaces.target", value, at)
      end
    end
  end
  if target == "kube" and box.network then
    keys.check(found, target, "cella.network.keys", box.network, "network")
  end
  if type(box.ids) == "table" then keys.check(found, target, "cella.ids.keys", box.ids, "ids") end
  if not capabilities.is(box.capabilities) then
    keys.check(found, target, "cella.capabilities.keys", box.capabilities, "capabilities")
  end
  keys.check(found, target, "cella.user.keys", box.user or {}, "user")
  keys.check(found, target, "cella.hooks.keys", box.hooks or {}, "hooks")
  keys.check(found, target, "cella.rlimits.keys", box.rlimits or {}, "rlimits")
  if box.cgroup then
    keys.check(found, target, "cella.cgroup.keys", box.cgroup, "cgroup")
    for i, one in ipairs(box.cgroup.io or {}) do
      keys.check(found, target, "cella.cgroup.io.keys", one, ("cgroup.io[%d]"):format(i))
    end
  end
  local root = box.root
  if root and not root.system then
    local own_keys = {}
    for key, value in pairs(root) do
      if type(key) == "string" and key ~= "source" then own_keys[key] = value end
    end
    keys.check(found, target, root.source and "cella.root.directory" or "cella.root.parts", own_keys, "root")
    if root.owner then keys.check(found, target, "cella.mount.owner.keys", root.owner, "root.owner") end
    if not root_module.directory_of(root) then keys.check_mounts(found, target, root, "root") end
  end
  keys.check_mounts(found, target, box.mounts or {}, "mounts")
  for i, one in ipairs(box.devices or {}) do
    local given = { path = one.path, destination = one.destination, optional = one.optional }
    keys.check(found, target, "cella.device.keys", given, ("devices[%d]"):format(i))
  end
  if call.is(command) then
    found[#found + 1] = "command: a Lua function is in this process alone: only a program can be started elsewhere"
    return
  end
  keys.check(found, target, { "cella.command.keys", "cella.command.shared" }, command, "command")
  if type(command.terminal) == "table" then
    keys.check(found, target, "cella.terminal.keys", command.terminal, "command.terminal")
  end
end
