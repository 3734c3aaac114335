--- Policies of subordinate IDs (subuid(5), subgid(5)): all of them, or just some.

local blame = require "cella.blame"
local idmap = require "cella.idmap.value"
local ranges = require "cella.policy.ranges"
local results = require "cella.policy.result"
local validate = require "cella.validate"

local M = {}

local rule = validate.rule
local KINDS = { "uid", "gid" }
local impossible, me, policy = results.impossible, results.me, results.policy

-- As usermod(8) takes it.
local function login(host, owner)
  return type(owner) == "string" and owner or owner == nil and host.user or "USER"
end

local function who_lacks(host, owner)
  return owner and (type(owner) == "number" and ("uid %.0f"):format(owner) or owner) or me(host)
end

--- The ranges of whoever is meant, each without an ID twice.
---@param host cella.Host
---@param owner string|integer|nil
---@param except { uid: integer, gid: integer }?  IDs that are to be left out
---@return { uid: { first: integer, count: integer }[], gid: { first: integer, count: integer }[] }?
---@return cella.error?
function M.given(host, owner, except)
  local from = host
  if owner ~= nil and owner ~= host.user and owner ~= host.uid then
    from = host.owners[owner]
    if not from then
      return impossible(("nothing is known of subordinate IDs of %s"):format(who_lacks(host, owner)))
    elseif from.problem and #from.subuid == 0 then
      return impossible(from.problem)
    end
  end
  local pools = {}
  for _, kind in ipairs(KINDS) do
    pools[kind] = ranges.distinct(from["sub" .. kind] or {}, except and except[kind])
    local problem = from == host and #pools[kind] == 0 and rawget(host, "subid_problem")
    if problem then
      return impossible(("the subordinate %ss of %s cannot be found out"):format(kind, who_lacks(host, owner)), problem)
    elseif #pools[kind] == 0 then
      local name = who_lacks(host, owner)
      return impossible(("%s has no subordinate %ss (source: %s)"):format(name, kind,
        tostring(from.source or from.subid_source)),
        ("an administrator gives some: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST %s"):format(
          login(host, owner)))
    end
  end
  return pools
end

local function check_owner(owner)
  if owner == nil then return end
  if type(owner) == "string" and not owner:find("^%d+$") and owner ~= "" then
    validate.check(rule.line, owner, "owner")
    return
  end
  validate.check(rule.id, owner, "owner")
end

--- `policy.subids`.
function M.subids(owner)
  check_owner(owner)
  return policy("subids", function(host)
    local other = owner ~= nil and owner ~= host.user and owner ~= host.uid
    local pools, err = M.given(host, owner, not other and { uid = host.uid, gid = host.gid } or nil)
    if not pools then return nil, err end
    local result = {}
    for _, kind in ipairs(KINDS) do
      local extents = ranges.row(pools[kind], other and 0 or 1)
      if not other then table.insert(extents, 1, { inside = 0, outside = host[kind], count = 1 }) end
      -- All of a range that ends with the last ID, and one more, would be one too many.
      local map, message = idmap.try(extents)
      if not map then return impossible("the subordinate IDs do not fit behind one another", message) end
      result[kind] = map
    end
    return result
  end)
end

local check_ids = rule.record({ own = rule.id }, nil, rule.id)

-- { 0, 33, own = 0 } as a sorted list without the own one, and that one.
local function wanted_ids(list, path)
  list = validate.check(check_ids, list, path)
  local ids, own, seen = {}, list.own, {}
  for _, id in ipairs(list) do
    if seen[id] then blame(("%s: %.0f is there twice"):format(path, id)) end
    seen[id] = true
    if id ~= own then ids[#ids + 1] = id end
  end
  if own and not seen[own] then
    blame(("%s.own: %.0f is not in the list"):format(path, own))
  elseif not own and #ids == 0 then
    blame(path .. ": the list is empty")
  end
  table.sort(ids)
  return { ids = ids, own = own }
end

--- `policy.exactly`.
function M.exactly(ids)
  local wanted = {}
  if type(ids) == "table" and (ids.uid ~= nil or ids.gid ~= nil) then
    ids = validate.check(rule.record({ uid = check_ids, gid = check_ids }, { "uid", "gid" }), ids, "exactly")
    wanted.uid, wanted.gid = wanted_ids(ids.uid, "exactly.uid"), wanted_ids(ids.gid, "exactly.gid")
  else
    wanted.uid = wanted_ids(ids, "exactly")
    wanted.gid = wanted.uid
  end
  return policy("exactly", function(host)
    local result = {}
    for _, kind in ipairs(KINDS) do
      local want = wanted[kind]
      local pool = ranges.distinct(host["sub" .. kind], host[kind])
      local extents = ranges.place(want.ids, pool)
      if not extents and rawget(host, "subid_problem") then
        return impossible(("the subordinate %ss of %s cannot be found out"):format(kind, me(host)), host.subid_problem)
      elseif not extents then
        return impossible(("%d %ss are wanted, and %s has %.0f subordinate ones (source: %s)"):format(#want.ids, kind,
          me(host), ranges.total(pool), tostring(host.subid_source)),
          ("an administrator gives some: usermod --add-sub%ss FIRST-LAST %s%s"):format(kind, login(host),
            want.own and "" or "; one more is the user's own, which `own = ID` puts to use"))
      end
      if want.own then
        extents[#extents + 1] = { inside = want.own, outside = host[kind], count = 1 }
      end
      result[kind] = idmap.new(extents)
    end
    return result
  end)
end

return M
