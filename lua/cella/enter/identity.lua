--- Who enters: what a process is, said in the IDs of where one goes, and never more than it has.

local lazy = require "cella.lazy"
local Error = require "cella.error"
local caps = require "cella.caps.set"
---@module "cella.caps.five"
local five = lazy "cella.caps.five"
local filter = require "cella.filter"
local groups = require "cella.groups"
local lists = require "cella.list"

local M = {}

local function refuse(message, why)
  return Error.new { op = "enter", message = message, why = why }
end

local SAY = '; say `user = { uid =, gid = }`'

-- Real, effective, saved and that of files are mostly one.
local function only(ids, kind, pid)
  for i = 2, 4 do
    if ids[i] ~= ids[1] then
      return nil, refuse(("process %d has several %ss: real %d, effective %d, saved %d, for files %d"):format(pid, kind,
        ids[1], ids[2], ids[3], ids[4]), "it is about to change who it is, and what enters is one" .. SAY)
    end
  end
  return ids[1]
end

-- An ID where one goes: the user's word, or that of the process.
local function choose(kind, facts, wanted, where, own)
  local map = where.maps and where.maps[kind]
  if wanted then
    if map and not map:outside(wanted) then
      return nil, refuse(("user.%s: %d is not in the map of the process"):format(kind, wanted), tostring(map))
    end
    return wanted
  end
  if own then return own end
  local shown, err = only(facts[kind], kind, where.pid)
  if not shown then return nil, err end
  if not map then return shown end
  local inside = map:inside(shown)
  if inside then return inside end
  return nil, refuse(("process %d has the %s %d, which its own user namespace does not map"):format(where.pid, kind,
    shown), #map:extents() == 0 and "there is no ID at all" or "no one there can become that" .. SAY)
end

-- Those that are said, or of another user none; else those of the process: set inside, where the namespace allows it
-- and has them all, or before one goes, or they are the caller's anyhow.
local function choose_groups(facts, wanted, where, host)
  local map = where.maps and where.maps.gid
  local crossing = { crosses = map ~= nil, joined = true, map = map, setgroups = facts.setgroups }
  if wanted.groups or wanted.uid or wanted.namespace then
    local choice, why = groups.choose(wanted.groups, crossing, host)
    if not choice then return nil, refuse("user.groups" .. why) end
    -- Who may not give them up keeps them, if nobody says otherwise.
    if not map and not wanted.groups and not host.capabilities.setgid then choice = { inside = false } end
    return choice
  end
  local may = host.capabilities.setgid and host.setgroups == "allow"
  local inside, all = {}, true
  for _, gid in ipairs(facts.groups) do
    if map then gid = map:inside(gid) end
    inside[#inside + 1] = gid
    all = all and gid ~= nil
  end
  if map and facts.setgroups == "allow" and all then return groups.choose(inside, crossing, host) end
  if lists.same_members(facts.groups, host.groups) then return { groups = all and inside or nil, inside = false } end
  if not map then return { groups = inside, inside = true } end
  if may then return { groups = all and inside or nil, before = facts.groups, inside = false } end
  return nil, refuse(("the groups of process %d (%s) are not yours (%s), and cannot be taken on"):format(where.pid,
    table.concat(facts.groups, " "), table.concat(host.groups, " ")),
    "its user namespace denies setgroups, or does not map them; from outside it takes CAP_SETGID")
end

-- What the process has, or less: where exec would give root all of its bounding set, that is cut to what there is.
local function sets_of(facts, where, uid, no_new_privs)
  if where.foreign then
    return { effective = caps.NONE, permitted = caps.NONE, inheritable = caps.NONE, bounding = caps.NONE,
      ambient = caps.NONE }
  end
  local theirs = facts.sets
  local bounding = theirs.bounding
  local inheritable = theirs.inheritable * bounding -- exec would bring back what is outside
  if uid == 0 and not no_new_privs then
    bounding, inheritable = bounding * theirs.permitted, inheritable * theirs.permitted
  end
  return {
    effective = theirs.effective, permitted = theirs.permitted, inheritable = inheritable, bounding = bounding,
    ambient = theirs.ambient * inheritable * theirs.permitted,
  }
end

local function consented(options, what)
  return lists.contains(options.exceed, what)
end
M.consented = consented

local CONSENT = '; exceed = { "%s" } allows it'

-- The filter that the process was given: by the handle, or by its mark, of those that cella chooses itself and the one
-- that is said. False: none but that which denies keys; nil: not known.
local function filter_given(given, facts, said)
  if given.policy then return filter.of(given.policy, caps.NONE) end
  if not given.mark then return false end
  if said and said.mark == given.mark then return said end
  return filter.of_mark(given.mark, facts.sets.permitted) or filter.of_mark(given.mark, facts.sets.bounding)
end

-- The filter that is put on what enters: that of the process, where it is known. Where it is not, its filters can be
-- neither read nor put on another.
local function choose_filter(facts, where, options)
  local given, consents = where.filtered, consented(options, "seccomp")
  local said = options.seccomp and filter.of(options.seccomp, facts.sets.permitted)
  local filtered = facts.seccomp.mode ~= 0 and facts.seccomp.filters > where.filters
  local known = filtered and facts.seccomp.mode == 2 and given and facts.seccomp.filters == given.count
  local theirs
  if known then theirs = filter_given(given, facts, said) end
  if known and theirs == nil and not consents then
    return nil, refuse(("seccomp: process %d is under a policy that is not cella's own"):format(where.pid),
      "who enters gets the same where it is said: `seccomp = POLICY`, which is compared" .. CONSENT:format "seccomp")
  end
  if filtered and not known and not consents then
    return nil, refuse(("process %d is under %s, which cannot be put on another"):format(where.pid,
      facts.seccomp.mode == 2 and ("%d seccomp filters"):format(facts.seccomp.filters) or "strict seccomp"),
      "what enters would have system calls that it has not" .. CONSENT:format "seccomp")
  elseif known and given.keys and (options.keyrings or "none") ~= "none" and not consents then
    return nil, refuse(("keyrings: process %d reaches no keys"):format(where.pid),
      "what enters would have system calls that it has not" .. CONSENT:format "seccomp")
  elseif options.seccomp == nil then
    return theirs
  elseif theirs and (not said or said.mark ~= theirs.mark) and not consents then
    return nil, refuse(("seccomp: process %d is under another policy"):format(where.pid),
      "what enters could have system calls that it has not: leave the key away, and it gets the same"
      .. CONSENT:format "seccomp")
  end
  return said
end

---@class cella.enter.who
---@field user { uid: integer, gid: integer, groups: integer[]?, sets_groups: boolean }  groups nil: they stay as they
---  are; sets_groups false: they are those, by what happened before
---@field groups_before integer[]?  to be set before one goes
---@field sets table<string, cella.caps.mask>
---@field no_new_privs boolean
---@field filter cella.filter|false|nil  that is put on it

--- Decides, from what is known of the process and of the host.
---@param facts cella.enter.facts
---@param where { pid: integer, maps: table?, foreign: boolean, filters: integer, filtered: cella.enter.filtered? }
---  `maps`: of the user namespace that is joined; `foreign`: the process is in another, which is not; `filters`: of
---  seccomp, that the caller has itself; `filtered`: those that the process was started with
---@param options table
---@param host cella.Host
---@return cella.enter.who?, cella.error?
function M.resolve(facts, where, options, host)
  local wanted = options.user or {}
  local uid, gid, choice, err
  local is_host = wanted.namespace == "host"
  if where.foreign and not is_host and (wanted.uid or wanted.gid or wanted.groups) then
    return nil, refuse(("user: process %d is in another user namespace, which is not entered: this would be a user of "
      .. "the host"):format(where.pid), 'name "user" in `namespaces` too; or, for an ID of the caller\'s own user '
      .. 'namespace, say `user = { namespace = "host", uid = ... }` (--user host:UID)')
  elseif is_host and where.maps then
    return nil, refuse('user.namespace: "host", and the user namespace of the process is entered',
      "what is said of a user counts there: leave \"user\" away in `namespaces`, or say who it is there")
  end
  uid, err = choose("uid", facts, wanted.uid, where, is_host and host.uid or nil)
  if not uid then return nil, err end
  gid, err = choose("gid", facts, wanted.gid, where, is_host and host.gid or nil)
  if not gid then return nil, err end
  choice, err = choose_groups(facts, wanted, where, host)
  if not choice then return nil, err end

  local given
  given, err = choose_filter(facts, where, options)
  if err then return nil, err end
  local no_new_privs = facts.no_new_privs or host.no_new_privs
  if options.no_new_privs then
    no_new_privs = true
  elseif options.no_new_privs == false then
    if facts.no_new_privs and not consented(options, "no_new_privs") then
      return nil, refuse(("no_new_privs: process %d has it set"):format(where.pid),
        "what enters could gain by exec what it cannot" .. CONSENT:format "no_new_privs")
    elseif host.no_new_privs then
      return nil, refuse("no_new_privs: this process has it set, and it is for ever")
    end
    no_new_privs = false
  end
  local sets = sets_of(facts, where, uid, no_new_privs)
  local keep = options.capabilities and five.masks(options.capabilities)
  if keep then
    local beyond = keep.permitted + keep.inheritable - sets.permitted * sets.bounding + (keep.bounding - sets.bounding)
    if not beyond:empty() and not consented(options, "capabilities") then
      return nil, refuse(("capabilities: %s: process %d %s"):format(tostring(beyond), where.pid,
        where.foreign and "is in another user namespace, where its own count" or "does not have it"),
        "what enters has at most what is there" .. CONSENT:format "capabilities")
    end
    local key, changed
    if five.is(keep) then key, changed = five.exec_changes(keep, uid, no_new_privs) end
    if key then return nil, refuse(("capabilities.%s: %s"):format(key, changed)) end
    sets = { effective = keep.effective, permitted = keep.permitted, inheritable = keep.inheritable,
      bounding = keep.bounding, ambient = keep.ambient }
  end
  return { user = { uid = uid, gid = gid, groups = choice.groups, sets_groups = choice.inside },
    groups_before = choice.before, sets = sets, no_new_privs = no_new_privs, filter = given }
end

return M
