--- What a config.json says of namespaces, and of the IDs in them.

local mounts = require "cella.oci.read.mounts"
local schema = require "cella.oci.read.schema"

local fail, required, within = schema.fail, schema.required, schema.within
local M = {}

local NAMESPACES = { pid = "pid", network = "net", mount = "mount", ipc = "ipc", uts = "uts", user = "user",
  cgroup = "cgroup", time = "time" }

local function seconds_of(offset, path)
  local secs = offset.secs and within(offset.secs, path .. ".secs", -4294967295, 4294967295) or 0
  local nanosecs = offset.nanosecs and within(offset.nanosecs, path .. ".nanosecs", 0, 999999999) or 0
  local result = secs + nanosecs / 1e9
  local whole = math.floor(result)
  if whole ~= secs or math.floor((result - whole) * 1e9 + 0.5) ~= nanosecs then
    fail(path .. ".nanosecs", "not supported: so far from now cella has not all nanoseconds")
  end
  return result
end

--- The key `namespaces` of a container. Raises { refused = message }.
---@param linux table  checked by schema
---@return table<string, any>
function M.of(linux)
  local kinds = {}
  for _, name in pairs(NAMESPACES) do
    if name ~= "time" then kinds[name] = "host" end
  end
  local seen = {}
  for i, one in ipairs(linux.namespaces or {}) do
    local path = ("linux.namespaces[%d]"):format(i - 1)
    local kind = required(one.type, path .. ".type")
    local name = NAMESPACES[kind] or fail(path .. ".type", "%q is no namespace", kind:sub(1, 80))
    if seen[name] then fail(path .. ".type", "%s is there twice", kind) end
    seen[name] = true
    kinds[name] = "new"
    if one.path and one.path ~= "" then
      if one.path:sub(1, 1) ~= "/" then fail(path .. ".path", "an absolute path expected") end
      kinds[name] = one.path
    end
  end
  if kinds.mount ~= "new" then
    fail("linux.namespaces", "not supported without a new mount namespace: the mounts would be made in another's")
  end
  local offsets = linux.timeOffsets
  if offsets and next(offsets) ~= nil then
    if kinds.time ~= "new" then fail("linux.timeOffsets", "needs a new time namespace") end
    kinds.time = { monotonic = seconds_of(offsets.monotonic or {}, "linux.timeOffsets.monotonic"),
      boottime = seconds_of(offsets.boottime or {}, "linux.timeOffsets.boottime") }
  end
  return kinds
end

--- The maps that are written, or those that a namespace which is joined has to have. Raises { refused = message }.
---@param linux table  checked by schema
---@param kinds table<string, any>  as `of` returns them
---@return { uid: table[], gid: table[] }? written, { uid: table[], gid: table[] }? joined
function M.ids(linux, kinds)
  local uid, gid = linux.uidMappings or {}, linux.gidMappings or {}
  if #uid == 0 and #gid == 0 and kinds.user ~= "new" then return nil end
  if kinds.user == "host" then
    fail("linux.uidMappings", "needs a user namespace, and there is none among namespaces")
  elseif #uid == 0 or #gid == 0 then
    fail("linux.uidMappings", "missing, or gidMappings: a user namespace has both")
  end
  local ids = { uid = mounts.mappings(uid, "linux.uidMappings"), gid = mounts.mappings(gid, "linux.gidMappings") }
  if kinds.user == "new" then return ids end
  return nil, ids
end

return M
