--- Mapping policies: which IDs a container gets, as functions of the host.
---
---     local policy = require "cella.policy"
---     cella.container { ids = policy.subids(), ... }
---
--- A policy is a function that takes the host's facts (`cella.host`) and returns a table with
---
--- - `uid`, `gid`: the maps, `cella.idmap` values (or what `idmap.new` takes);
--- - `setgroups`: "deny" or "allow", or nil to leave it as it is;
--- - `via`: who writes them ("parent", "self" or "helper"), or nil for whoever can;
---
--- or nil and an error that says why there is no such map on this host. It is written in five lines:
---
---     local function web(host)
---       local result, err = policy.subids()(host)
---       if not result then return nil, err end
---       return { uid = result.uid:set(33, host.uid), gid = result.gid:set(33, host.gid) }
---     end
---
--- The policies below take what they need as arguments and return such a function; `policy.resolve` calls any of
--- them and completes what it returned.

local lazy = require "cella.lazy"
---@module "cella.policy.allot"
local allot = lazy "cella.policy.allot"
local blame = require "cella.blame"
---@module "cella.policy.combine"
local combine = lazy "cella.policy.combine"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local results = require "cella.policy.result"
---@module "cella.policy.slice"
local slice = lazy "cella.policy.slice"
---@module "cella.policy.subordinate"
local subordinate = lazy "cella.policy.subordinate"
local validate = require "cella.validate"
local via = require "cella.policy.via"

---@class cella.policy.module
local M = {}

local rule = validate.rule
local KINDS = { "uid", "gid" }
local impossible, me, one = results.impossible, results.me, results.one

---@alias cella.Policy fun(host: cella.Host): cella.policy.Result?, cella.error?

local function check_map(value, path)
  local class = type(value) == "table" and getmetatable(value)
  if type(class) ~= "table" or rawget(class, "__name") ~= "cella.idmap" then
    validate.fail(path, "an ID map expected, got %s", validate.show(value))
  end
  return value
end

-- Of what else a policy returns nothing is asked here.
local function check_pair(value, path)
  if type(value) ~= "table" then validate.fail(path, "{ uid =, gid = } expected, got %s", validate.show(value)) end
  for _, kind in ipairs(KINDS) do check_map(value[kind], validate.join(path, kind)) end
  return value
end

--- Who is to write a pair of maps, which is decided here and nowhere else. "parent": this process, where it has
--- CAP_SETUID and CAP_SETGID (and CAP_SETFCAP if uid 0 is among the outside IDs); "self": the new process, for one
--- ID that is one's own; "helper": newuidmap(1) and newgidmap(1).
---@param pair { uid: cella.IdMap, gid: cella.IdMap, setgroups?: string, via?: string }
---@param host cella.Host
---@return "parent"|"self"|"helper"|nil via
---@return string|cella.error|nil setgroups  what has to be written to setgroups before; or why nobody can
---@return { uid: string[], gid: string[] }? helper  the helpers' arguments
---@return { uid: string, gid: string }? text  what anyone else writes
function M.via(pair, host)
  validate.check(check_pair, pair, "")
  host = facts.complete(host)
  local decision, err = via.decide(pair, host)
  if not decision then return nil, err end
  return decision.via, decision.setgroups, decision.helper, decision.text
end

--- Calls a policy and completes its result: the maps are maps, `via` is there and can be done.
---@param policy cella.Policy
---@param host cella.Host
---@return cella.policy.Result? result
---@return cella.error? err
function M.resolve(policy, host) return results.resolve(policy, host) end

--- Whether a policy decides by the facts of the host alone: where these are the same, so is what it returns.
---@param value any
---@return boolean
function M.rests_on_facts(value) return results.rests_on_facts(value) end

--- The default of containers: IDs of its own, and never the host's root.
---
--- Who has CAP_SETUID and CAP_SETGID gives 65,536 IDs, inside from 0: one of 4,094 ranges that no account, group or
--- subordinate range touches, and no other container has. A value of this policy is one range: chosen when it is first
--- asked, and held as long as the value lives, in a file that only root may write (/run/cella/ids); `notes` says where
--- that cannot be. Where the caller's own map has none of these ranges, it is a range at the upper end of what it has.
--- Who has no privilege gives his one ID.
---@return cella.Policy
function M.default()
  local chosen, held
  return results.policy("default", function(host)
    if not chosen then
      local pair, err = allot.choose(host)
      if not pair then return nil, err end
      chosen, held = pair, err
    end
    local notes = {}
    for i, text in ipairs(chosen.notes or {}) do notes[i] = text end
    return { uid = chosen.uid, gid = chosen.gid, notes = chosen.notes and notes }, held
  end)
end

--- Root inside is me outside, and there is nobody else. Needs no privilege. Where I am the host's root, so is the
--- container's root: the host obeys what it does, as far as nothing else stops it.
---@return cella.Policy
function M.root()
  return results.policy("root", function(host)
    return { uid = one(0, host.uid), gid = one(0, host.gid) }
  end)
end

--- I am myself inside too, and nobody else is there. Needs no privilege.
---@return cella.Policy
function M.me()
  return results.policy("me", function(host)
    return { uid = one(host.uid, host.uid), gid = one(host.gid, host.gid) }
  end)
end

-- Where the host's root comes from that is among somebody's subordinate IDs and his own; nil where it is not.
-- A member of the host's group root who has its number as his own stays one, as he does by `default`.
local function given_root(result, host)
  for _, kind in ipairs(KINDS) do
    local id = host["root_" .. kind]
    local is_own = id and host[kind] == id
    if id and result[kind]:inside(id) and (kind == "uid" or not is_own) then
      return ("its %s %.0f is %s; `ids = policy.subids()` gives it with the others: the host obeys what the "
        .. "container's files and processes do as root"):format(kind, id, is_own and "the caller's own"
        or ("one of the subordinate %ss of %s"):format(kind, me(host)))
    end
  end
  return nil
end

--- The most that the caller can give, whoever that is, and never the host's root:
---
--- - who has CAP_SETUID and CAP_SETGID gives a range that nobody else has, as `default` does;
--- - who has subordinate IDs, and helpers that work here, is root inside and gives all of these, as `subids` does;
--- - everyone else is root inside with the one ID that he has.
---
--- The first of `notes` says in a sentence which was taken, `name` in a word ("default", "subids", "root"), and `tried`
--- why it is not the second. What stands in the way of the first is an error, and none of the others is tried: nobody
--- gives fewer IDs than he could by accident. Subordinate IDs with the host's root among them are an error too.
---@return cella.Policy
function M.available()
  local own, subids = M.default(), M.subids()
  return results.policy("available", function(host)
    local privileged = host.capabilities.setuid and host.capabilities.setgid
    local tried = {}
    local result, err, what
    if not privileged then
      result, err = subids(host)
      what = ("the subordinate IDs of %s"):format(me(host))
      if not result then tried[1] = { name = "subids", err = err } end
      local with_root = result and given_root(result, host)
      if with_root then return impossible("the host's root is among the IDs that could be given", with_root) end
    end
    if not result then
      result, err = own(host)
      if not result then
        err.tried = tried
        return nil, err
      end
      what = "a range that nobody else has"
      if result.uid == one(0, host.uid) then result.name, what = "root", "one ID" end
    end
    local notes = { ("%s: %s"):format(what, results.in_words(result.uid)) }
    for _, note in ipairs(result.notes or {}) do notes[#notes + 1] = note end
    return { uid = result.uid, gid = result.gid, name = result.name, notes = notes, tried = tried }
  end)
end

--- Every ID that there is where the container is started, as itself. Needs privilege: it keeps nobody out.
---@return cella.Policy
function M.identity()
  return results.policy("identity", function(host)
    local function all(map) return map:compose(map:invert()) end
    return { uid = all(host.uid_map), gid = all(host.gid_map) }
  end)
end

--- Root inside is me, and behind it are all my subordinate IDs, range after range. Who has the privilege may name
--- another owner, whose ranges are then everything that is mapped: root inside is the first of them.
---@param owner? string|integer  user name, or uid
---@return cella.Policy
function M.subids(owner) return subordinate.subids(owner) end

--- A fixed range, the same for users and groups: `range(inside, outside, count)`. Or two maps, in any form that
--- `idmap.new` takes: `range { uid = "0 100000 65536", gid = "0 200000 65536" }`.
---@param inside integer|{ uid: any, gid: any }
---@param outside? integer
---@param count? integer
---@return cella.Policy
function M.range(inside, outside, count)
  local maps
  if type(inside) == "table" then
    if outside ~= nil or count ~= nil then blame("range: one table, or three numbers expected") end
    maps = validate.check(rule.record({
      uid = function(value) return value end, gid = function(value) return value end,
    }, { "uid", "gid" }), inside, "range")
  else
    if inside == nil then blame("range: three numbers, or one table expected") end
    local extent = { inside = inside, outside = outside, count = count }
    maps = { uid = extent, gid = extent }
  end
  for _, kind in ipairs(KINDS) do
    local map, message = idmap.try(maps[kind])
    if not map then blame("range: " .. kind .. ": " .. message) end
    maps[kind] = map
  end
  return results.policy("range", function()
    return { uid = maps.uid, gid = maps.gid }
  end)
end

--- Exactly these inside IDs, from whatever subordinate ranges there are, in as few extents as possible. `own` is
--- the one that stands for my own ID: `exactly { 0, 33, 1000, own = 0 }`. Groups get the same IDs as users, unless
--- there are two lists: `exactly { uid = { 0, 33 }, gid = { 0, 4, own = 4 } }`.
---@param ids table
---@return cella.Policy
function M.exactly(ids) return subordinate.exactly(ids) end

--- A slice of `count` subordinate IDs that no other name has, the same for the same name until it is released.
--- Which are taken is noted in a directory, under a lock: of this user, and kept, because files stay owned by the
--- IDs of a container that has ended. To call the policy is to claim the slice.
---@param name string     of the container
---@param count integer   how many uids, and gids
---@param options? { registry?: string, within?: { first: integer, count: integer } }  the directory; the IDs to
---  take slices of, for who may map any
---@return cella.Policy
function M.slice(name, count, options) return slice.slice(name, count, options) end

--- Gives the slice of a name back, for others. False if there is none.
---@param name string
---@param options? { registry?: string }
---@param host? cella.Host
---@return boolean? released
---@return cella.error? err
function M.release(name, options, host) return slice.release(name, options, host) end

--- All slices that are taken.
---@param options? { registry?: string }
---@param host? cella.Host
---@return { name: string, uid: table, gid: table }[]? slices
---@return cella.error? err
function M.slices(options, host) return slice.slices(options, host) end

--- The maps of another policy, with my supplementary groups kept: they stay in force for whatever file grants them
--- something, also where they have no number inside, and nobody inside can drop them, because setgroups is
--- denied. (Dropping one is not harmless: a file may be *closed* to a group.) Who has CAP_SETGID gets those mapped
--- whose numbers are free inside; to everyone else they look like 65534. `notes` says which is which.
---@param inner cella.Policy
---@return cella.Policy
function M.keep_groups(inner) return combine.keep_groups(inner) end

--- The first of several policies that works on this host. `name` says which it was, `tried` why none before it.
---@param policies cella.Policy[]
---@return cella.Policy
function M.first(policies) return combine.first(policies) end

local MAKERS = { "default", "available", "root", "me", "identity", "subids", "range", "exactly", "slice", "keep_groups",
  "first" }

--- The name of a function of this module that makes policies; nil of any other value.
---@param value any
---@return string?
function M.maker(value)
  for _, name in ipairs(value and MAKERS or {}) do
    if M[name] == value then return name end
  end
  return nil
end

return M
