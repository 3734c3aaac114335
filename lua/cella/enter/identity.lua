--- Who enters: what a process is, said in the IDs of where one goes, and never more than it has.

local Error = require "cella.error"
local caps = require "cella.caps.set"
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
local function choose(kind, facts, wanted, where)
  local map = where.maps and where.maps[kind]
  if wanted then
    if map and not map:outside(wanted) then
      return nil, refuse(("user.%s: %d is not in the map of the process"):format(kind, wanted), tostring(map))
    end
    return wanted
  end
  local shown, err = only(facts[kind], kind, where.pid)
  if not shown then return nil, err end
  if not map then return shown end
  local inside = map:inside(shown)
  if inside then return inside end
  return nil, refuse(("process %d has the %s %d, which its own user namespace does not map"):format(where.pid, kind,
    shown), "no one there can become that" .. SAY)
end

local function same_members(a, b)
  local function covers(list, other)
    local set = {}
    for _, item in ipairs(list) do set[item] = true end
    for _, item in ipairs(other) do
      if not set[item] then return false end
    end
    return true
  end
  return covers(a, b) and covers(b, a)
end

-- Supplementary groups can be set inside, where the namespace allows it and has them all; or before one goes; or they
-- are those of the caller anyhow.
local function choose_groups(facts, wanted, where, host)
  local map = where.maps and where.maps.gid
  if wanted then
    for i, gid in ipairs(wanted) do
      if map and not map:outside(gid) then
        return nil, nil, refuse(("user.groups[%d]: %d is not in the map of the process"):format(i, gid), tostring(map))
      end
    end
    if (map and facts or host).setgroups == "allow" then return wanted end
    if #wanted == 0 then return nil end -- as in a container: they cannot be given up here, and are the caller's
    return nil, nil, refuse("user.groups: setgroups is denied in that user namespace")
  end
  local inside = {}
  for i, gid in ipairs(facts.groups) do
    if not map then inside[i] = gid else inside[i] = map:inside(gid) end
  end
  if map and facts.setgroups == "allow" and #inside == #facts.groups then return inside end
  if same_members(facts.groups, host.groups) then return nil end
  if not map then return inside end
  if host.capabilities.setgid and host.setgroups == "allow" then return nil, facts.groups end
  return nil, nil, refuse(("the groups of process %d (%s) are not yours (%s), and cannot be taken on"):format(where.pid,
    table.concat(facts.groups, " "), table.concat(host.groups, " ")),
    "its user namespace denies setgroups, or does not map them; from outside it takes CAP_SETGID")
end

-- What the process has, or less: where exec would give root all of its bounding set, that is cut to what there is.
local function sets_of(facts, where, uid, no_new_privs)
  if where.foreign then
    return { effective = caps.none, permitted = caps.none, inheritable = caps.none, bounding = caps.none,
      ambient = caps.none }
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

---@class cella.enter.who
---@field user { uid: integer, gid: integer, groups: integer[]? }  groups nil: they stay as they are
---@field groups_before integer[]?  to be set before one goes
---@field sets table<string, cella.caps.set>
---@field no_new_privs boolean

--- Decides, from what is known of the process and of the host.
---@param facts cella.enter.facts
---@param where { pid: integer, maps: table?, foreign: boolean, filters: integer, keys_filter: integer? }
---  `maps`: of the user namespace that is joined; `foreign`: the process is in another, which is not; `filters`: of
---  seccomp, that the caller has itself; `keys_filter`: how many the process has if they are those that it was started
---  with and the one that denies keys
---@param options table
---@param host cella.Host
---@return cella.enter.who?, cella.error?
function M.resolve(facts, where, options, host)
  local wanted = options.user or {}
  local uid, gid, groups, before, err
  uid, err = choose("uid", facts, wanted.uid, where)
  if not uid then return nil, err end
  gid, err = choose("gid", facts, wanted.gid, where)
  if not gid then return nil, err end
  -- Who becomes another has that one's groups: none, unless they are said.
  groups, before, err = choose_groups(facts, wanted.groups or wanted.uid and {} or nil, where, host)
  if err then return nil, err end

  local filtered = facts.seccomp.mode ~= 0 and facts.seccomp.filters > where.filters
  local keys_only = filtered and facts.seccomp.mode == 2 and facts.seccomp.filters == where.keys_filter
  if keys_only and (options.keyrings or "none") ~= "none" and not consented(options, "seccomp") then
    return nil, refuse(("keyrings: process %d reaches no keys"):format(where.pid),
      "what enters would have system calls that it has not" .. CONSENT:format "seccomp")
  end
  if filtered and not keys_only and not consented(options, "seccomp") then
    return nil, refuse(("process %d is under %s, which cannot be put on another"):format(where.pid,
      facts.seccomp.mode == 2 and ("%d seccomp filters"):format(facts.seccomp.filters) or "strict seccomp"),
      "what enters would have system calls that it has not" .. CONSENT:format "seccomp")
  end
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
  local keep = options.capabilities
  if keep then
    local beyond = keep - sets.permitted * sets.bounding
    if not beyond:empty() and not consented(options, "capabilities") then
      return nil, refuse(("capabilities: %s: process %d %s"):format(tostring(beyond), where.pid,
        where.foreign and "is in another user namespace, where its own count" or "does not have it"),
        "what enters has at most what is there" .. CONSENT:format "capabilities")
    end
    sets = { effective = keep, permitted = keep, inheritable = keep, bounding = keep, ambient = keep }
  end
  return { user = { uid = uid, gid = gid, groups = groups }, groups_before = before, sets = sets,
    no_new_privs = no_new_privs }
end

return M
