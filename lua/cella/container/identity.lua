--- Who a container is: its ID maps, and the IDs and groups of its program.

local blame = require "cella.blame"
local Error = require "cella.error"
local explain = require "cella.explain"
local file = require "cella.host.file"
local groups = require "cella.groups"
local idmap = require "cella.idmap.value"
local mapping = require "cella.mapping"
local policy = require "cella.policy"

local M = {}

-- Where this process could not read its own maps, that is what is wrong.
local function unreadable(host)
  local failure = rawget(host, "failure")
  return failure and Error.new { op = failure.op, path = failure.path, errno = failure.errno, message = failure.message,
    why = (explain.why({ op = failure.op, errno = failure.errno })) }
end

-- The ID maps, from a policy or given; nil where there is no new user namespace.
local function resolve_ids(box, host)
  if box.namespaces.user ~= "new" then return nil end
  local ids = box.ids or policy.default()
  local decide = type(ids) == "function" and ids or function()
    local copy = {}
    for key, value in pairs(ids) do copy[key] = value end
    return copy
  end
  local result, err = policy.resolve(decide, host)
  if not result then return nil, unreadable(host) or err end
  -- Denied in a namespace, it is denied in all below it.
  if host.setgroups == "deny" then result.setgroups = "deny" end
  return mapping.rule({
    uid = result.uid, gid = result.gid, setgroups = result.setgroups, via = result.via, helper = result.helper,
    text = result.text,
    newuidmap = result.via == "helper" and host.newuidmap or nil,
    newgidmap = result.via == "helper" and host.newgidmap or nil,
  }, "ids"), nil, result
end

local OTHER_IDS = "  the key `ids` says which there are: ids = policy.available() gives the most that the caller can, "
  .. "ids = policy.exactly { 0, %d } these"

--- What the kernel calls who has no ID (proc(5)).
---@param kind "uid"|"gid"
---@return integer
function M.overflow(kind)
  return tonumber(file.read(("/proc/sys/kernel/overflow%s"):format(kind)) or "") or idmap.overflow
end

-- Who the program is. Without a word about it: the caller, where the map has the caller; else the container's root;
-- else somebody has to say.
local function resolve_user(box, host, ids, keep_groups, unknown_maps)
  local wanted = box.user or {}
  local function choose(kind, own)
    local key = kind .. "id"
    if wanted[key] then
      if ids and not ids[key]:outside(wanted[key]) then
        blame(("user.%s: %d is not in the map\n%s\n%s"):format(key, wanted[key], tostring(ids[key]),
          OTHER_IDS:format(wanted[key])))
      end
      return wanted[key]
    end
    if not ids then return unknown_maps and 0 or own end
    local inside = ids[key]:inside(own)
    if inside then return inside end
    if ids[key]:outside(0) then return 0 end
    blame(("user.%s: missing, and the map has neither you (%d) nor a root\n%s"):format(key, own, tostring(ids[key])))
  end
  local user = { uid = choose("u", host.uid), gid = choose("g", host.gid) }
  if box.unmapped then user.unmapped = { uid = M.overflow "uid", gid = M.overflow "gid" } end
  if keep_groups then
    if wanted.groups then blame("user.groups: the policy of `ids` keeps the caller's") end
    return user
  end
  local kind = box.namespaces.user
  local choice, why = groups.choose(wanted.groups, {
    crosses = kind ~= "host", joined = type(kind) == "table", map = ids and ids.gid,
    setgroups = ids and (ids.via == "self" and "deny" or ids.setgroups or "allow") or nil,
  }, host)
  if not choice then blame("user.groups" .. why) end
  user.groups, user.sets_groups = choice.groups, choice.inside
  return user, choice.before
end

--- The IDs under which the container is built: those of its root, which own what is mounted.
---@param plan cella.plan
---@param host cella.Host
---@param identity cella.identity
function M.record_builder(plan, host, identity)
  local uid, gid, ids = 0, 0, identity.maps
  if ids then
    if ids.uid:inside(host.uid) and ids.gid:inside(host.gid) then return end
    if not ids.uid:outside(0) then uid = ids.uid:extents()[1].inside end
    if not ids.gid:outside(0) then gid = ids.gid:extents()[1].inside end
  elseif not identity.unknown_maps then
    return
  end
  -- Unmapped, a process is still its old self towards the host's files.
  plan:setresgid(gid, gid, gid)
  plan:setresuid(uid, uid, uid)
end

---@class cella.identity
---@field ids table?      maps to be written
---@field maps table?     maps that there will be, written or joined; nil where there is no new user namespace
---@field unknown_maps boolean  joined a user namespace of which nothing is known
---@field user { uid: integer, gid: integer, groups: integer[]?, sets_groups: boolean? }  groups nil: they stay as they
---  are; sets_groups false: they are those, by what happened before
---@field groups_before integer[]?  to be set before the user namespace is crossed, in the caller's IDs
---@field policy table?   what the policy returned

--- Whether one of the container's IDs is one that the host's /proc obeys: its root's. In a user namespace of which
--- nothing is known there may be one.
---@param identity cella.identity
---@param host cella.Host
---@return boolean
function M.is_obeyed(identity, host)
  if not host.root_uid and not host.root_gid then return false end
  local maps = identity.maps
  if not maps then return true end
  return host.root_uid and maps.uid:inside(host.root_uid) ~= nil or host.root_gid
    and maps.gid:inside(host.root_gid) ~= nil or false
end

--- To whom, outside, pipes of the program's are to belong, so that it may open /dev/stdout; nil where they need not be
--- given away, or cannot.
---@param identity cella.identity
---@param host cella.Host
---@return { uid: integer, gid: integer }?
function M.pipe_owner(identity, host)
  local maps, user = identity.maps, identity.user
  if not maps or not host.capabilities.chown then return nil end
  local uid, gid = maps.uid:outside(user.uid), maps.gid:outside(user.gid)
  if not uid or not gid or uid == host.uid and gid == host.gid then return nil end
  return { uid = uid, gid = gid }
end

--- Decides, from the description, the host's facts and the maps of a user namespace that is joined, where a process in
--- it is known.
---@param box table
---@param host cella.Host
---@param joined_maps table?
---@return cella.identity?, cella.error?
function M.resolve(box, host, joined_maps)
  local ids, err, decided = resolve_ids(box, host)
  if err then return nil, err end
  local joined = type(box.namespaces.user) == "table"
  local maps = ids or joined_maps
  local unknown_maps = joined and not maps
  local user, before = resolve_user(box, host, maps, decided and decided.keep_groups, unknown_maps)
  return { ids = ids, maps = maps, unknown_maps = unknown_maps, policy = decided, user = user, groups_before = before }
end

return M
