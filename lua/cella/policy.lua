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
local allot = require "cella.policy.allot"
local blame = require "cella.blame"
local errors = require "cella.error"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local printable = require "cella.printable"
---@module "cella.policy.ranges"
local ranges = lazy "cella.policy.ranges"
---@module "cella.policy.slices"
local slices = lazy "cella.policy.slices"
local validate = require "cella.validate"
local words = require "cella.words"
local via = require "cella.policy.via"

---@class cella.policy.module
local M = {}

local rule = validate.rule
local KINDS = { "uid", "gid" }

---@class cella.policy.Result
---@field uid cella.IdMap
---@field gid cella.IdMap
---@field setgroups "allow"|"deny"|nil
---@field via "parent"|"self"|"helper"
---@field text { uid: string, gid: string }  what to write, which may have more lines than the map: the kernel wants
---  each extent to lie in one extent of the parent's
---@field helper? { uid: string[], gid: string[] }  via "helper": the arguments after the pid, in decimal
---@field name string?      which policy it is
---@field notes string[]?   what a person should know about it
---@field tried? { name: string, err: any }[]  by `first`: what did not work before
---@field keep_groups boolean?  the supplementary groups are to stay: setgroups(2) is not to be called

local Result = { __name = "cella.policy.result" }

local MOST_SHOWN = 6

-- "0 is 1000 outside, 1 to 65536 are 100000 to 165535 outside"
local function in_words(map)
  local parts = {}
  for i, extent in ipairs(map:extents()) do
    if i > MOST_SHOWN then
      parts[i] = ("and %d ranges more"):format(#map:extents() - MOST_SHOWN)
      break
    end
    parts[i] = extent.count == 1 and ("%.0f is %.0f outside"):format(extent.inside, extent.outside)
      or ("%.0f to %.0f are %.0f to %.0f outside"):format(extent.inside, extent.inside + extent.count - 1,
        extent.outside, extent.outside + extent.count - 1)
  end
  return #parts == 0 and "none" or table.concat(parts, ", ")
end

local WRITERS = { parent = "this process", self = "the new process itself", helper = "newuidmap and newgidmap" }

function Result:__tostring()
  local lines = { self.name and "policy " .. self.name or "a policy of one's own" }
  for _, kind in ipairs(KINDS) do lines[#lines + 1] = kind .. " " .. in_words(self[kind]) end
  if self.setgroups then lines[#lines + 1] = "setgroups: " .. self.setgroups end
  lines[#lines + 1] = "written by " .. WRITERS[self.via]
  for _, note in ipairs(self.notes or {}) do lines[#lines + 1] = note end
  return printable.text(table.concat(lines, "\n  "))
end

---@alias cella.Policy fun(host: cella.Host): cella.policy.Result?, cella.error?

local check_result = rule.record({
  uid = function(value) return value end,
  gid = function(value) return value end,
  setgroups = rule.one_of { "allow", "deny" },
  via = rule.one_of { "parent", "self", "helper" },
  text = function(value) return value end,
  helper = function(value) return value end,
  name = rule.string,
  notes = rule.list(rule.string),
  tried = function(value) return value end,
  keep_groups = rule.boolean,
}, { "uid", "gid" })

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
function M.resolve(policy, host)
  if type(policy) ~= "function" then
    blame("policy: a function(host) expected, got " .. validate.show(policy))
  end
  host = facts.complete(host)
  local result, err = policy(host)
  if result == nil then
    if err == nil then blame("the policy returned nothing: neither maps nor an error") end
    return nil, errors.is(err) and err or errors.new { op = "policy", message = words.of(err) }
  end
  if getmetatable(result) == Result then -- of another policy, perhaps with something changed
    local copy = {}
    for key, value in pairs(result) do copy[key] = value end
    result = copy
  end
  result = validate.check(check_result, result, "policy")
  for _, kind in ipairs(KINDS) do
    local map, message = idmap.try(result[kind])
    if not map then blame("policy." .. kind .. ": " .. message) end
    result[kind] = map
  end
  local decision
  decision, err = via.decide(result, host)
  if not decision then
    err.policy = result.name
    return nil, err
  end
  result.via, result.setgroups = decision.via, decision.setgroups
  result.text, result.helper = decision.text, decision.helper
  return setmetatable(result, Result)
end

-- Those that decide by nothing but the host that they are given, and may be asked again instead of that.
local of_facts = setmetatable({}, { __mode = "k" })

--- Whether a policy decides by the facts of the host alone: where these are the same, so is what it returns.
---@param value any
---@return boolean
function M.rests_on_facts(value)
  return of_facts[value] == true
end

-- A built-in policy completes its result itself, so that calling it directly shows everything. `remembers`: it decides
-- by what is written elsewhere too.
local function policy(name, decide, remembers)
  local function call(host)
    host = facts.complete(host)
    local result, err = decide(host)
    if not result then
      err.policy = name
      return nil, err
    end
    result.name = result.name or name
    local notes = result.notes
    result, err = M.resolve(function() return result end, host)
    if result then result.notes = notes end
    return result, err
  end
  if not remembers then of_facts[call] = true end
  return call
end

local function impossible(message, why)
  return nil, errors.new { op = "policy", message = message, why = why }
end

local function one(inside, outside)
  return idmap.new { inside = inside, outside = outside, count = 1 }
end

local function me(host)
  return host.user or ("uid %.0f"):format(host.uid)
end

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
  return policy("default", function(host)
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
  return policy("root", function(host)
    return { uid = one(0, host.uid), gid = one(0, host.gid) }
  end)
end

--- I am myself inside too, and nobody else is there. Needs no privilege.
---@return cella.Policy
function M.me()
  return policy("me", function(host)
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
  return policy("available", function(host)
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
    local notes = { ("%s: %s"):format(what, in_words(result.uid)) }
    for _, note in ipairs(result.notes or {}) do notes[#notes + 1] = note end
    return { uid = result.uid, gid = result.gid, name = result.name, notes = notes, tried = tried }
  end)
end

--- Every ID that there is where the container is started, as itself. Needs privilege: it keeps nobody out.
---@return cella.Policy
function M.identity()
  return policy("identity", function(host)
    local function all(map) return map:compose(map:invert()) end
    return { uid = all(host.uid_map), gid = all(host.gid_map) }
  end)
end

-- As usermod(8) takes it.
local function login(host, owner)
  return type(owner) == "string" and owner or owner == nil and host.user or "USER"
end

local function who_lacks(host, owner)
  return owner and (type(owner) == "number" and ("uid %.0f"):format(owner) or owner) or me(host)
end

-- The ranges of whoever is meant: { uid = ranges, gid = ranges }, each without an ID twice.
local function given(host, owner, except)
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

--- Root inside is me, and behind it are all my subordinate IDs, range after range. Who has the privilege may name
--- another owner, whose ranges are then everything that is mapped: root inside is the first of them.
---@param owner? string|integer  user name, or uid
---@return cella.Policy
function M.subids(owner)
  check_owner(owner)
  return policy("subids", function(host)
    local other = owner ~= nil and owner ~= host.user and owner ~= host.uid
    local pools, err = given(host, owner, not other and { uid = host.uid, gid = host.gid } or nil)
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
  return policy("range", function()
    return { uid = maps.uid, gid = maps.gid }
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

--- Exactly these inside IDs, from whatever subordinate ranges there are, in as few extents as possible. `own` is
--- the one that stands for my own ID: `exactly { 0, 33, 1000, own = 0 }`. Groups get the same IDs as users, unless
--- there are two lists: `exactly { uid = { 0, 33 }, gid = { 0, 4, own = 4 } }`.
---@param ids table
---@return cella.Policy
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

local check_slice = rule.record { registry = rule.path, within = rule.record({
  first = rule.id, count = rule.integer(1, 4294967295) }, { "first", "count" }) }

local function registry(options, host)
  if options.registry then return options.registry end
  if not host.state then
    return impossible("there is nowhere to note which slices are taken",
      "neither XDG_STATE_HOME nor HOME is set to an absolute path: set one, or give `registry`")
  end
  return host.state .. "/slices"
end

local function check_name(name)
  validate.check(rule.line, name, "name")
  if name == "" then blame("name: is empty") end
end

--- A slice of `count` subordinate IDs that no other name has, the same for the same name until it is released.
--- Which are taken is noted in a directory, under a lock: of this user, and kept, because files stay owned by the
--- IDs of a container that has ended. To call the policy is to claim the slice.
---@param name string     of the container
---@param count integer   how many uids, and gids
---@param options? { registry?: string, within?: { first: integer, count: integer } }  the directory; the IDs to
---  take slices of, for who may map any
---@return cella.Policy
function M.slice(name, count, options)
  check_name(name)
  validate.check(rule.integer(1, 4294967295), count, "count")
  options = validate.check(check_slice, options or {}, "slice")
  return policy("slice", function(host)
    local pools, err
    if options.within then
      pools = { uid = { options.within }, gid = { options.within } }
    else
      pools, err = given(host, nil, { uid = host.uid, gid = host.gid })
      if not pools then return nil, err end
      for _, kind in ipairs(KINDS) do pools[kind] = ranges.joined(pools[kind]) end
    end
    local directory
    directory, err = registry(options, host)
    if not directory then return nil, err end
    local slice
    slice, err = slices.claim(directory, name, count, pools)
    if not slice then return nil, err end
    return {
      uid = idmap.new { inside = 0, outside = slice.uid.first, count = count },
      gid = idmap.new { inside = 0, outside = slice.gid.first, count = count },
    }
  end, true)
end

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

local check_registry = rule.record { registry = rule.path }

--- Gives the slice of a name back, for others. False if there is none.
---@param name string
---@param options? { registry?: string }
---@param host? cella.Host
---@return boolean? released
---@return cella.error? err
function M.release(name, options, host)
  check_name(name)
  options = validate.check(check_registry, options or {}, "release")
  local directory, err = registry(options, facts.complete(host or facts.facts()))
  if not directory then return nil, err end
  return slices.release(directory, name)
end

--- All slices that are taken.
---@param options? { registry?: string }
---@param host? cella.Host
---@return { name: string, uid: table, gid: table }[]? slices
---@return cella.error? err
function M.slices(options, host)
  options = validate.check(check_registry, options or {}, "slices")
  local directory, err = registry(options, facts.complete(host or facts.facts()))
  if not directory then return nil, err end
  return slices.list(directory)
end

--- The maps of another policy, with my supplementary groups kept: they stay in force for whatever file grants them
--- something, also where they have no number inside, and nobody inside can drop them, because setgroups is
--- denied. (Dropping one is not harmless: a file may be *closed* to a group.) Who has CAP_SETGID gets those mapped
--- whose numbers are free inside; to everyone else they look like 65534. `notes` says which is which.
---@param inner cella.Policy
---@return cella.Policy
function M.keep_groups(inner)
  if type(inner) ~= "function" then
    blame("keep_groups: a policy expected, got " .. validate.show(inner))
  end
  return function(host)
    host = facts.complete(host)
    local result, err = M.resolve(inner, host)
    if not result then return nil, err end
    local gid, notes = result.gid, {}
    for _, note in ipairs(result.notes or {}) do notes[#notes + 1] = note end
    local may_map = host.capabilities.setgid and result.via == "parent"

    local function keep(group, what)
      local inside = gid:inside(group)
      if not inside and may_map and host.gid_map:covers(group) and not gid:outside(group) then
        gid = assert(gid:union(one(group, group)))
        inside = group
      end
      notes[#notes + 1] = inside and ("%s %.0f stays, as %.0f"):format(what, group, inside)
        or ("%s %.0f stays in force, and looks like %.0f"):format(what, group, idmap.overflow)
    end
    keep(host.gid, "the own group")
    for _, group in ipairs(host.groups) do
      if group ~= host.gid then keep(group, "the group") end
    end
    return M.resolve(function()
      return {
        uid = result.uid, gid = gid, setgroups = "deny", via = result.via, keep_groups = true, notes = notes,
        name = result.name and ("keep_groups(%s)"):format(result.name) or "keep_groups",
      }
    end, host)
  end
end

local policies_rule = rule.list(function(value, path)
  if type(value) ~= "function" then validate.fail(path, "a policy expected, got %s", validate.show(value)) end
  return value
end)

--- The first of several policies that works on this host. `name` says which it was, `tried` why none before it.
---@param policies cella.Policy[]
---@return cella.Policy
function M.first(policies)
  if type(policies) ~= "table" or rawget(policies, 1) == nil then
    blame("first: a list of policies expected, got " .. validate.show(policies))
  end
  policies = validate.check(policies_rule, policies, "first")
  return function(host)
    host = facts.complete(host)
    local tried, reasons = {}, {}
    for i, candidate in ipairs(policies) do
      local result, err = M.resolve(candidate, host)
      if result then
        result.name = result.name or ("number %d"):format(i)
        result.tried = tried
        return result
      end
      local name = err.policy or ("number %d"):format(i)
      tried[i] = { name = name, err = err }
      reasons[i] = name .. ": " .. tostring(err)
    end
    local _, err = impossible("none of these policies works here", table.concat(reasons, "\n  "))
    err.tried = tried
    return nil, err
  end
end

return M
