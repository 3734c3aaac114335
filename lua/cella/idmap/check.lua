--- What the kernel would say to a map, before it says EPERM: the verdict, the rule behind it, the remedy, and what is
--- dangerous though it is accepted (user_namespaces(7), newuidmap(1)).
---
---     local host = require("cella.host").facts()
---     print(idmap.check("0 0 65536", host, { kind = "uid", writer = "parent" }))
---
--- Nothing is written and nobody is asked: it is computed from the host's facts and the situation that is described.

local ascii = require "cella.ascii"
local blame = require "cella.blame"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local parse = require "cella.idmap.check.parse"
local ranges = require "cella.policy.ranges"
local setgroups = require "cella.idmap.check.setgroups"
local validate = require "cella.validate"
local warnings = require "cella.idmap.check.warnings"

local M = {}

local rule = validate.rule

---@class cella.idmap.Report
---@field verdict string  "accepted"; the name of an errno; or "refused": newuidmap(1) does not even try
---@field rule string     why, in a sentence
---@field remedy string?  what to do about it
---@field warnings { code: string, message: string, remedy: string }[]
---@field kind "uid"|"gid"|"projid"
---@field map cella.IdMap?  what the kernel understands, where it accepts
local Report = { __name = "cella.idmap.report" }

function Report:__tostring()
  local lines = { ("%s_map: %s: %s"):format(self.kind, self.verdict, self.rule) }
  if self.remedy then lines[#lines + 1] = "  remedy: " .. self.remedy end
  for _, warning in ipairs(self.warnings) do
    lines[#lines + 1] = ("  warning (%s): %s"):format(warning.code, warning.message)
    lines[#lines + 1] = "    remedy: " .. warning.remedy
  end
  return table.concat(lines, "\n")
end

---@class cella.idmap.Situation
---@field kind? "uid"|"gid"|"projid"  default "uid"
---@field writer? "self"|"parent"|"helper"  the process in the new namespace, its creator, newuidmap; default "parent"
---@field setgroups? "allow"|"deny"  in the new namespace, when the map is written; default: as in the host's
---@field relation? "child"|"grandchild"|"unrelated"|"same"|"initial"  of the target's namespace to the writer's
---@field owner? integer       effective uid with which the namespace was made; default: the host's
---@field creator_setfcap? boolean  whether its creator had CAP_SETFCAP; default: whether the host has
---@field admin? boolean       writer "self": whether it has CAP_SYS_ADMIN in the namespace still; default true
---@field opener? { uid: integer, gid: integer, capabilities: table<string, true> }  who opened the file, if another
---@field target? "running"|"zombie"|"gone"  default "running"
---@field dumpable? boolean    of the target (PR_SET_DUMPABLE); default true
---@field written? boolean     the map is there already
---@field offset? integer      at which it is written, by pwrite(2)
---@field writes? integer      over how many write(2) calls the text is spread
---@field executed? boolean    the target has executed a program already
---@field others? table[]      maps of other containers, or { name =, map = }
---@field ranges? { first: integer, count: integer }[]  what the user has whom the map is for

local function any(value) return value end

local check_options = rule.record {
  kind = rule.one_of { "uid", "gid", "projid" },
  writer = rule.one_of { "self", "parent", "helper" },
  setgroups = rule.one_of { "allow", "deny" },
  relation = rule.one_of { "child", "grandchild", "unrelated", "same", "initial" },
  owner = rule.id, creator_setfcap = rule.boolean, admin = rule.boolean,
  opener = rule.record({ uid = rule.id, gid = rule.id, capabilities = any }, { "uid", "gid", "capabilities" }),
  target = rule.one_of { "running", "zombie", "gone" },
  dumpable = rule.boolean, written = rule.boolean, executed = rule.boolean,
  offset = rule.integer(0, 4294967295), writes = rule.integer(1, 4095),
  others = any,
  ranges = rule.list(rule.record({ first = rule.id, count = rule.integer(1, 4294967295) }, { "first", "count" })),
}

local RELATION = {
  grandchild = "the target is in a grandchild of the writer's namespace: only its parent may write its maps",
  unrelated = "the target is not in a child of the writer's namespace",
  same = "the target is in the writer's own namespace, whose maps are written already",
  initial = "the target is in the initial namespace, whose maps are fixed",
}

local ZOMBIE = "the target is a zombie, and the files of one are root's"
local NOT_DUMPABLE = "the target is not dumpable (it executed a set-user-ID program, or switched IDs), so its files in "
  .. "/proc are root's"

local function privileged(who, capability) return who.capabilities[capability] == true end

-- Who owns /proc/PID/uid_map, as an ID of the writer's namespace; nil for someone who has none there. A zombie's files
-- are the initial namespace's root's (which this namespace may not have), those of a process that is not dumpable its
-- creator's root's: proc(5).
local function file_owner(situation)
  local host = situation.host
  if situation.target == "zombie" then
    return host.uid_map:inside(0), ZOMBIE
  elseif not situation.dumpable then
    return host.uid_map:covers(0) and 0 or nil, NOT_DUMPABLE
  end
  return situation.owner
end

-- Opening the file for writing: its mode is 0644.
local function opening(situation, opener)
  if situation.target == "gone" then
    return "ENOENT", "the process is gone", "hold it in place while its maps are written"
  end
  local owner, why = file_owner(situation)
  if owner and (opener.uid == owner or privileged(opener, "dac_override")) then return nil end
  if why then return "EACCES", why, "write the maps before, or as root" end
  return "EACCES", ("the namespace belongs to uid %.0f, and the writer is uid %.0f"):format(owner, opener.uid),
    "write the maps as the user who made the namespace"
end

-- Whether the capabilities over the *parent* namespace reach so far: who is inside has none there.
local function over_parent(situation, capability)
  local host = situation.host
  return situation.writer ~= "self" and privileged(host, capability)
    and (not situation.opener or privileged(situation.opener, capability))
end

local function maps_root(extents)
  for _, extent in ipairs(extents) do
    if extent.outside == 0 then return true end
  end
  return false
end

-- new_idmap_permitted() of the kernel. Of several reasons the one is given that is the harder to overcome.
local function permitted(extents, situation, opener)
  local kind, host = situation.kind, situation.host
  if kind == "projid" then return true end
  local capability = "set" .. kind
  local single = #extents == 1 and extents[1].count == 1 and opener.uid == situation.owner
    and extents[1].outside == opener[kind]
  local capable = over_parent(situation, capability)
  if single and kind == "gid" and not capable and situation.setgroups ~= "deny" then
    return false, "without CAP_SETGID a gid map needs setgroups denied first (since Linux 3.19), because dropping a "
      .. "group may open files", "write \"deny\" to /proc/PID/setgroups before"
  elseif not single and not capable then
    local name = "CAP_" .. ascii.upper(capability)
    if situation.writer == "self" and privileged(host, capability) then
      return false, "a process inside has no capability over the parent namespace: " .. name .. " was lost by unshare",
        "have the maps written by a process in the parent namespace"
    elseif situation.opener and privileged(host, capability) ~= privileged(situation.opener, capability) then
      return false, "both who opened the file and who writes it need " .. name .. " over the parent namespace",
        "open and write with the same credentials"
    end
    return false, ("mapping IDs other than your own (%s %.0f, one of them) needs %s over the parent namespace"):format(
      kind, opener[kind], name),
      ("use new%smap(1) with subordinate IDs (sub%s(5)), or map your own ID alone"):format(kind, kind)
  end
  if kind == "uid" and maps_root(extents) then
    local inside = situation.writer == "self"
    local allowed = inside and situation.creator_setfcap or not inside and privileged(opener, "setfcap")
    if not allowed then
      return false, ("mapping the parent's uid 0 needs CAP_SETFCAP since Linux 5.12, and %s does not have it"):format(
        inside and "the creator of the namespace" or "the writer"), inside
        and "make the namespace with CAP_SETFCAP effective, or map another ID"
        or "keep CAP_SETFCAP until the map is written, or map another ID"
    end
  end
  return true
end

-- Every extent has to lie in one extent of the parent's map (map_id_range_down).
local function exists(extents, situation)
  local there = situation.host[situation.kind .. "_map"]
  for number, extent in ipairs(extents) do
    local one = idmap.new { extent }
    local ids = one:invert():compose(one)
    local missing = ids:subtract(ids:within(there)):extents()[1]
    if missing then
      return false, ("%s %.0f does not exist in the parent namespace, whose map is '%s'"):format(situation.kind,
        missing.inside, (tostring(there):gsub("\n", ", "))), "map IDs that the parent namespace has"
    elseif one:text(there) ~= tostring(one) then
      return false, ("range %d lies in several ranges of the parent's map, and has to lie in one"):format(number),
        "cut it where those end: map:text(parent) does that"
    end
  end
  return true
end

local function direct(text, situation)
  local host = situation.host
  local opener = situation.opener or host
  local code, why, remedy = opening(situation, opener)
  if code then return code, why, remedy end
  if situation.relation ~= "child" then
    return "EPERM", RELATION[situation.relation],
      "write the maps from the namespace in which the target's was made, or from inside"
  elseif (situation.offset or 0) > 0 then
    return "ESPIPE", "the file takes no offset", "write the whole text at once, from the start"
  end
  local ok
  ok, code, why, remedy = parse.size(text)
  if not ok then return code, why, remedy end
  if situation.written then
    return "EPERM", "the map of this namespace is already set; it can be written once", "make another namespace"
  end
  if situation.kind ~= "projid" then
    if situation.writer == "self" and not situation.admin then
      return "EPERM", "the process has given up CAP_SYS_ADMIN in its namespace", "write the maps before that"
    elseif situation.writer == "parent" and opener.uid ~= situation.owner and not privileged(opener, "sys_admin") then
      return "EPERM", ("the namespace belongs to uid %.0f; the writer is uid %.0f, without CAP_SYS_ADMIN over it")
        :format(situation.owner, opener.uid), "write the maps as the user who made the namespace"
    end
  end
  local extents, noticed
  extents, noticed, why, remedy = parse.kernel(text)
  if not extents then return noticed, why, remedy end
  situation.noticed = noticed
  ok, why, remedy = permitted(extents, situation, opener)
  if ok then ok, why, remedy = exists(extents, situation) end
  if not ok then return "EPERM", why, remedy end
  situation.extents = extents
  if (situation.writes or 1) > 1 then
    return "EINVAL", "the first write is the whole map, for good; the second one fails",
      "write the text in one write(2)"
  end
  return "accepted", situation.writer == "self" and "the process maps the ID of its creator"
    or over_parent(situation, "set" .. situation.kind) and "the writer has the capability over the parent namespace"
    or situation.kind == "projid" and "project IDs need no privilege" or "the writer maps its own ID"
end

-- newuidmap(1), newgidmap(1)
local function helper(text, situation)
  local host, kind = situation.host, situation.kind
  local program = "new" .. kind .. "map"
  if not host[program] then
    if host[program .. "_problem"] then return "EACCES", host[program .. "_problem"] end
    return "ENOENT", program .. " is not installed", "install uidmap (Debian) or shadow-utils (Fedora)"
  elseif situation.target == "gone" then
    return "refused", "the process is gone (\"Could not open proc directory\")",
      "hold it in place while its maps are written"
  elseif situation.owner ~= host.real_uid or host.real_gid ~= host.gid then
    return "refused", ("the target belongs to uid %.0f, and %s goes by the real uid of its caller, which is %.0f "
      .. "(\"owned by a different user\")"):format(situation.owner, program, host.real_uid),
      "call it as the user who made the namespace"
  end
  if host.login_gid and host.login_gid ~= host.gid and not host.grants_other_groups then
    return "refused", ("%s wants the group to be the one after a login, %.0f, and it is %.0f (\"owned by a different "
      .. "user\")"):format(program, host.login_gid, host.gid),
      "leave newgrp(1), or set GRANT_AUX_GROUP_SUBIDS in login.defs(5)"
  end
  local extents, noticed, why, remedy = parse.helper(text)
  if not extents then return noticed, why, remedy end
  situation.noticed = noticed
  local given, all_own, own = ranges.set(host["sub" .. kind]), true, host["real_" .. kind]
  for number, extent in ipairs(extents) do
    local mine = extent.count == 1 and extent.outside == own
    all_own = all_own and mine and not given:covers(own)
    if extent.count == 0 or not mine and not given:covers(extent.outside, extent.count) then
      return "refused", ("range %d: %s %.0f and %.0f IDs are not among the subordinate IDs of %s (\"%s range ... not "
        .. "allowed\"; source: %s)"):format(number, kind, extent.outside, extent.count, host.user or "this user", kind,
        tostring(host.subid_source)), ("an administrator adds some: usermod --add-sub%ss FIRST-LAST %s"):format(kind,
        host.user or "USER")
    end
  end
  -- It opens the file before it gives its own privileges up. Root's programs have root's without the set-user-ID
  -- bit, and ambient capabilities need no bit either.
  local bare = host.no_new_privs and host.real_uid ~= 0 and not (host.ambient and host.ambient["set" .. kind])
  local why_bare = "this process has no_new_privs, with which the helper gets no privileges"
  if not bare and host.bounding and not host.bounding["set" .. kind] then
    bare = true
    why_bare = ("CAP_SET%s is not in the bounding set, so the helper cannot get it"):format(ascii.upper(kind))
  end
  if host.no_new_privs and host.real_uid ~= 0 and (situation.target == "zombie" or not situation.dumpable) then
    return "EACCES", situation.target == "zombie" and ZOMBIE or NOT_DUMPABLE, "write the maps before"
  elseif situation.written then
    return "EPERM", "the map of this namespace is already set; it can be written once", "make another namespace"
  end
  local ok, code
  ok, code, why, remedy = parse.written(extents)
  if not ok then return code, why, remedy end
  if kind == "uid" and maps_root(extents) and host.bounding and not host.bounding.setfcap then
    return "EPERM", "mapping the parent's uid 0 needs CAP_SETFCAP, which is not in the bounding set",
      "call it from a process that may gain privileges, or map another ID"
  elseif bare and not (all_own and #extents == 1) then
    return "EPERM", why_bare, "call it from a process that may gain privileges, or map your own ID alone"
  end
  ok, why, remedy = exists(extents, situation)
  if not ok then return "EPERM", why, remedy end
  if kind == "gid" and all_own then situation.setgroups = "deny" end -- it writes that itself
  situation.extents = extents
  return "accepted", "all of it is among the user's subordinate IDs, or the user's own ID"
end

local function describe(source, host, options)
  local situation = {}
  for key, value in pairs(options) do situation[key] = value end
  situation.host = host
  situation.kind = options.kind or "uid"
  situation.writer = options.writer or "parent"
  situation.relation = options.relation or "child"
  situation.owner = options.owner or host.uid
  situation.setgroups = options.setgroups or host.setgroups
  if host.setgroups == "deny" then situation.setgroups = "deny" end -- inherited
  if options.creator_setfcap == nil then situation.creator_setfcap = privileged(host, "setfcap") end
  if options.admin == nil then situation.admin = true end
  if options.dumpable == nil then situation.dumpable = true end
  if options.ranges then
    situation.ranges = ranges.set(options.ranges):union(idmap.new { inside = host[situation.kind] or 0,
      outside = host[situation.kind] or 0, count = 1 })
  end
  local text = source
  if type(source) ~= "string" then
    local map = idmap.new(source)
    text = map:text(host[situation.kind .. "_map"]) or tostring(map)
  end
  return situation, text
end

--- What is wrong with a map, and what is unwise about it. A map that is a value is taken as `map:text(parent)` would
--- write it; text is taken as it is.
---@param source string|cella.IdMap|cella.idmap.Extent|cella.idmap.Extent[]
---@param host cella.Host
---@param options? cella.idmap.Situation
---@return cella.idmap.Report
function M.check(source, host, options)
  host = facts.complete(host)
  options = validate.check(check_options, options or {}, "")
  if type(source) ~= "string" and type(source) ~= "table" then
    blame("map: text or an ID map expected, got " .. validate.show(source))
  end
  local situation, text = describe(source, host, options)
  if situation.kind == "projid" and situation.writer == "helper" then
    blame("writer: there is no helper for project IDs")
  end
  local run = situation.writer == "helper" and helper or direct
  local verdict, why, remedy = run(text, situation)
  local report = { verdict = verdict, rule = why, remedy = remedy, kind = situation.kind, warnings = {} }
  for _, warning in ipairs(situation.noticed or {}) do report.warnings[#report.warnings + 1] = warning end
  if situation.extents then
    report.map = idmap.new(situation.extents)
    for _, warning in ipairs(warnings.of(report.map, situation)) do
      report.warnings[#report.warnings + 1] = warning
    end
    if (situation.writes or 1) > 1 then
      table.insert(report.warnings, { code = "partial",
        message = "the part of the text that the first write had stays the map of this namespace",
        remedy = "write the text in one write(2)" })
    end
    if situation.executed then
      table.insert(report.warnings, { code = "executed",
        message = "the target executed a program before it was mapped, and lost all capabilities by that",
        remedy = "have it wait for its maps before it executes anything" })
    end
  end
  return setmetatable(report, Report)
end

--- What the kernel says to a write to the file setgroups of a new namespace.
---@param text string
---@param host cella.Host
---@param options? { setgroups?: "allow"|"deny", gid_written?: boolean, admin?: boolean }
---@return { verdict: string, rule: string, remedy: string? }
function M.setgroups(text, host, options)
  host = facts.complete(host)
  options = validate.check(rule.record {
    setgroups = rule.one_of { "allow", "deny" }, gid_written = rule.boolean, admin = rule.boolean,
  }, options or {}, "")
  return setgroups.file(text, {
    setgroups = host.setgroups == "deny" and "deny" or options.setgroups or "allow",
    gid_written = options.gid_written, admin = options.admin ~= false,
  })
end

--- What the kernel says to setgroups(2) in a new namespace.
---@param groups integer[]
---@param host cella.Host
---@param options? { setgroups?: "allow"|"deny", map?: cella.IdMap, setgid?: boolean }
---@return { verdict: string, rule: string, remedy: string? }
function M.call_setgroups(groups, host, options)
  host = facts.complete(host)
  options = validate.check(rule.record {
    setgroups = rule.one_of { "allow", "deny" }, map = any, setgid = rule.boolean,
  }, options or {}, "")
  return setgroups.call(groups, {
    setgroups = host.setgroups == "deny" and "deny" or options.setgroups or "allow",
    map = options.map and idmap.new(options.map), setgid = options.setgid ~= false,
  })
end

--- Why a write of `map` was refused, for an error: the rule and the remedy; nil where nothing is found to be wrong.
---@param map cella.IdMap
---@param kind "uid"|"gid"
---@param ids { via: string, setgroups?: string, text?: table }
---@param host? cella.Host
---@return string?
function M.explain(map, kind, ids, host)
  host = host or facts.facts()
  local report = M.check(ids.text and ids.text[kind] or tostring(map), host, {
    kind = kind, writer = ids.via, setgroups = ids.setgroups,
  })
  if report.verdict == "accepted" then return nil end
  return report.rule .. (report.remedy and "; " .. report.remedy or "")
end

return M
