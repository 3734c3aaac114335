--- Who a container is, as `process.user` and the ID maps of a config.json.

local json = require "cella.oci.json"

local M = {}

--- A map as a list of mappings.
---@param map cella.IdMap
---@return table
function M.mapping(map)
  local list = {}
  for i, extent in ipairs(map:extents()) do
    list[i] = { containerID = extent.inside, hostID = extent.outside, size = extent.count }
  end
  return json.array(list)
end

--- `process.user`, without the umask.
---@param state table  with the `identity` that the container has here
---@return table
function M.of(state)
  local identity, box = state.identity, state.box
  local user, decided = identity.user, identity.policy
  if decided and decided.keep_groups then
    state.refuse("ids", "a runtime does not keep the groups of who starts it")
  end
  local ids = identity.ids
  if ids and ids.setgroups == "deny" and ids.via ~= "self" and type(box.ids) == "function" then
    state.refuse("ids", "its setgroups is \"deny\", and a runtime denies it only to who cannot help it")
  end
  if user.unmapped then state.refuse("ids", "a runtime needs a map of a user namespace: false is none at all") end
  local others = 0
  for _, gid in ipairs(state.host.groups) do others = others + (gid ~= state.host.gid and 1 or 0) end
  if user.groups == nil and others > 0 then
    state.note "user.groups: those of who starts it stay, as far as the runtime does not give them up"
  end
  return { uid = user.uid, gid = user.gid,
    additionalGids = user.groups and #user.groups > 0 and json.array(user.groups) or nil }
end

return M
