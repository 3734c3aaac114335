--- Who is to write a pair of maps: the one place that decides it (user_namespaces(7), newuidmap(1)).
--
-- "parent": this process, from outside, with CAP_SETUID and CAP_SETGID.
-- "self":   the new process: it may map one ID to that of its creator, without any privilege.
-- "helper": newuidmap(1) and newgidmap(1), within the subordinate IDs.

local lazy = require "cella.lazy"
local core = require "cella.core"
local errors = require "cella.error"
local facts = require "cella.host"
---@module "cella.policy.ranges"
local ranges = lazy "cella.policy.ranges"

local M = {}

local KINDS = { "uid", "gid" }

local function own(map, id)
  local extents = map:extents()
  return #extents == 1 and extents[1].count == 1 and extents[1].outside == id
end

local function span(extent)
  if extent.count == 1 then return ("%.0f"):format(extent.inside) end
  return ("%.0f to %.0f"):format(extent.inside, extent.inside + extent.count - 1)
end

local function first_of(map)
  return span(map:extents()[1])
end

local function spans(set)
  local words = {}
  for i, extent in ipairs(set:extents()) do words[i] = span(extent) end
  return #words == 0 and "none" or table.concat(words, ", ")
end

local function text(map)
  local lines = tostring(map):gsub("\n", ", ")
  return #map:extents() == 0 and "empty" or "'" .. lines .. "'"
end

--- The IDs of `map` that are neither subordinate nor the user's own, as a set; empty if the helpers take it.
local function not_given(map, list, own_id)
  local outside = map:invert():compose(map) -- each outside ID to itself
  local left = outside:subtract(ranges.set(list))
  return left:subtract(ranges.set { { first = own_id, count = 1 } })
end

-- What the helpers are called with: decimal numbers, three for each extent. They refuse an extent that is partly
-- the user's own ID and partly subordinate, and old ones also an extent over two neighbouring lines of subuid:
-- so it is cut where the ranges end.
local function arguments(map, list, own_id, parent)
  local pieces = { { first = own_id, count = 1 } }
  for _, range in ipairs(ranges.distinct(list, own_id)) do pieces[#pieces + 1] = range end
  table.sort(pieces, function(a, b) return a.first < b.first end)
  local words = {}
  for inside, outside, size in assert(map:text(parent)):gmatch("(%d+) (%d+) (%d+)") do
    local extent = { inside = tonumber(inside), outside = tonumber(outside), count = tonumber(size) }
    for _, piece in ipairs(pieces) do
      local from = math.max(extent.outside, piece.first)
      local stop = math.min(extent.outside + extent.count, piece.first + piece.count)
      if from < stop then
        words[#words + 1] = ("%.0f"):format(extent.inside + (from - extent.outside))
        words[#words + 1] = ("%.0f"):format(from)
        words[#words + 1] = ("%.0f"):format(stop - from)
      end
    end
  end
  return words
end

local function list(words)
  return table.concat(words, " and ")
end

local who = { parent = "this process", self = "the new process itself", helper = "newuidmap and newgidmap" }

-- Each returns what the pair becomes, or nil and why not.
local route = {}

function route.parent(pair, host, single)
  local lacking = {}
  local setgroups = pair.setgroups
  if not host.capabilities.setuid and not single.uid then lacking[#lacking + 1] = "CAP_SETUID" end
  if not host.capabilities.setgid then
    if single.gid and pair.setgroups ~= "allow" then
      setgroups = "deny"
    else
      lacking[#lacking + 1] = "CAP_SETGID"
    end
  end
  if pair.uid:inside(0) and not host.capabilities.setfcap then
    -- Since 5.12: a file capability that such a namespace sets would count outside.
    lacking[#lacking + 1] = "CAP_SETFCAP (uid 0 is mapped)"
  end
  if #lacking > 0 then return nil, "it lacks " .. list(lacking) end
  return { setgroups = setgroups }
end

function route.self(pair, host, single)
  for _, kind in ipairs(KINDS) do
    if not single[kind] then
      return nil, ("it may map one ID only, its own %s %.0f"):format(kind, host[kind])
    end
  end
  if pair.setgroups == "allow" then
    return nil, "without privilege a group can be mapped only once setgroups is denied (since Linux 3.19)"
  elseif pair.uid:inside(0) and not host.capabilities.setfcap then
    return nil, "to map uid 0 its creator needs CAP_SETFCAP (since Linux 5.12); any other uid needs nothing"
  end
  return { setgroups = "deny" }
end

function route.helper(pair, host, single)
  for _, name in ipairs { "newuidmap", "newgidmap" } do
    if not host[name] then
      return nil, host[name .. "_problem"] or name .. " is not installed (Debian: uidmap, Fedora: shadow-utils)"
    end
  end
  if host.no_new_privs and host.real_uid ~= 0 then
    return nil, "this process has no_new_privs, with which they get no privileges"
  elseif host.real_uid ~= host.uid or host.real_gid ~= host.gid then
    return nil, ("they go by the real uid %.0f and gid %.0f, which are not the effective ones"):format(
      host.real_uid, host.real_gid)
  elseif host.login_gid and host.login_gid ~= host.gid and not host.grants_other_groups then
    return nil, ("they want the group to be the one after a login, %.0f, and it is %.0f (login.defs(5), "
      .. "GRANT_AUX_GROUP_SUBIDS)"):format(host.login_gid, host.gid)
  elseif host.bounding and not (host.bounding.setuid and host.bounding.setgid) then
    return nil, "CAP_SETUID or CAP_SETGID is not in the bounding set, so they cannot get it"
  elseif host.bounding and pair.uid:inside(0) and not host.bounding.setfcap then
    return nil, "CAP_SETFCAP is not in the bounding set, so newuidmap cannot get it (uid 0 is mapped)"
  elseif pair.setgroups == "allow" and single.gid then
    return nil, "newgidmap denies setgroups where it maps the own group alone"
  end
  for _, kind in ipairs(KINDS) do
    local given = host["sub" .. kind]
    local left = not_given(pair[kind], given, host[kind])
    if #left:extents() > 0 then
      local name = host.user or ("uid %.0f"):format(host.uid)
      return nil, ("%s %s is not among the subordinate IDs of %s, which are %s (source: %s); an administrator adds "
        .. "some with usermod --add-sub%ss FIRST-LAST %s"):format(kind, first_of(left), name, spans(ranges.set(given)),
        tostring(host.subid_source), kind, host.user or "USER")
    end
  end
  return {
    setgroups = single.gid and "deny" or pair.setgroups,
    helper = {
      uid = arguments(pair.uid, host.subuid, host.uid, host.uid_map),
      gid = arguments(pair.gid, host.subgid, host.gid, host.gid_map),
    },
  }
end

local function refuse(message, why, code, remedy)
  return nil, errors.new { op = "id map", message = message, why = why, code = code, remedy = remedy }
end

local SETFCAP = [[
# in the table of a container of cella's, for others inside it: this capability, or another ID than root's
capabilities = { "setfcap" }
user = { uid = 1000, gid = 1000 }
# Docker, Podman
--cap-add=SETFCAP]]

--- Decides who writes both maps. `pair.via`, where given, is the only way that is tried.
---@param pair { uid: cella.IdMap, gid: cella.IdMap, setgroups?: "allow"|"deny", via?: string }
---@param host cella.Host
---@return { via: string, setgroups: string?, text: table, helper: table? }? decision
---@return cella.error? err
function M.decide(pair, host)
  host = facts.complete(host)
  for _, kind in ipairs(KINDS) do
    local map, there = pair[kind], host[kind .. "_map"]
    local failure = rawget(host, "failure")
    if failure then
      return nil, errors.new { op = failure.op, path = failure.path, errno = failure.errno, message = failure.message,
        why = failure.why or not core.inode "/proc/self" and "there is no /proc mounted here" or nil }
    elseif not there:covers(host[kind]) then
      return refuse(("this process's own %s %.0f has no mapping in its user namespace"):format(kind, host[kind]),
        "the kernel lets such a process make no user namespace; write the maps of its own one first", "EPERM")
    end
    local absent = map:subtract(map:within(there)):invert()
    if #absent:extents() > 0 then
      return refuse(("%s %s does not exist in this user namespace, whose map is %s"):format(
        kind, first_of(absent), text(there)), "only IDs that the parent namespace has can be mapped", "EPERM")
    end
    local ok, message = map:writable(there)
    if not ok then
      return refuse(kind .. " map: " .. message,
        "each extent has to lie in one extent of this namespace's own map, so it is cut where those end", "EINVAL")
    end
  end
  if pair.setgroups == "allow" and host.setgroups == "deny" then
    return refuse("setgroups cannot be allowed", "it is denied in this user namespace, and a child inherits that",
      "EPERM")
  end

  local single = { uid = own(pair.uid, host.uid), gid = own(pair.gid, host.gid) }
  local order = { "parent", "self", "helper" }
  if single.uid and single.gid and not (host.capabilities.setuid and host.capabilities.setgid) then
    order = { "self", "parent", "helper" }
  end
  if pair.via then order = { pair.via } end
  local reasons = {}
  for _, name in ipairs(order) do
    local decision, reason = route[name](pair, host, single)
    if decision then
      decision.via = name
      -- Inherited: nobody can call setgroups(2) in the new one either, and who starts a program there has to know.
      if host.setgroups == "deny" then decision.setgroups = "deny" end
      decision.text = { uid = pair.uid:text(host.uid_map), gid = pair.gid:text(host.gid_map) }
      return decision
    end
    reasons[#reasons + 1] = who[name] .. ": " .. reason
  end
  local lacks_setfcap = pair.uid:inside(0) and not host.capabilities.setfcap
  return refuse("these maps cannot be written here", table.concat(reasons, ";\n  "), "EPERM",
    lacks_setfcap and SETFCAP or nil)
end

return M
