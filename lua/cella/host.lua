--- What policies know of the host: facts about this process, as plain data.
---
---     local host = require("cella.host").facts()
---     print(host.uid, host.capabilities.setuid, #host.subuid)
---
--- A policy reads its host and nothing else, so that a spec can hand it any host as a plain table. In such a
--- table everything may be absent that an ordinary process in the initial namespace does not have: no
--- capabilities, no groups, no subordinate IDs, no helpers; absent maps are those of the initial namespace.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local find = require "cella.host.find"
local idmap = require "cella.idmap.value"
local lists = require "cella.list"
local validate = require "cella.validate"

local M = {}

---@class cella.Host
---@field uid integer       effective
---@field gid integer       effective
---@field real_uid integer  newuidmap(1) goes by this one
---@field real_gid integer
---@field groups integer[]  supplementary
---@field user string?      name of the effective uid
---@field login_gid integer? group that the user has after a login: newuidmap(1) wants it to be the present one
---@field grants_other_groups boolean  unless login.defs(5) says otherwise (GRANT_AUX_GROUP_SUBIDS)
---@field capabilities table<string, true>  the effective ones: { setuid = true, ... }
---@field bounding table<string, true>      what a program that is started can still get
---@field ambient table<string, true>       what a program that is started has without being privileged itself
---@field uid_map cella.IdMap  of the process's own user namespace; its inside IDs are those there are
---@field gid_map cella.IdMap
---@field projid_map cella.IdMap
---@field setgroups "allow"|"deny"  of the process's own user namespace
---@field initial boolean   whether that is the initial one
---@field no_new_privs boolean
---@field subuid { first: integer, count: integer }[]  all ranges of the user, in the order of their source
---@field subgid { first: integer, count: integer }[]  looked up by user as well
---@field subid_source "libsubid"|"getsubids"|"files"|"none"  "none" where asking failed
---@field subid_problem string?  why there is no answer
---@field newuidmap string?  path of the helper
---@field newgidmap string?
---@field newuidmap_problem string?  why there is none, where there is a file of that name
---@field newgidmap_problem string?
---@field owners table<string|integer, cella.host.Owner>  subordinate ranges of others, by user name or uid
---@field users { name: string, uid: integer, gid: integer }[]  of /etc/passwd
---@field kernel { major: integer, minor: integer }?  the version of the running one, where it could be read
---@field system cella.root.Piece[]  what programs need of its files, as it has it (cella.root.system)
---@field resolver string?  where /etc/resolv.conf leads to, if that is not part of it
---@field namespaces table<string, integer>  the numbers of those that it is in, as sys.namespace has them
---@field files table<string, cella.host.File>  what is at a path
---@field limits table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>  by resource
---@field interpreter integer?  the uid, here, of who owns the file that this process executes
---@field memory_defaults boolean  whether attributes of memory that exec hands on are what they are by default
---@field securebits string[]?
---@field saved_uid integer
---@field saved_gid integer
---@field state string?     directory for what has to outlive a process
---@field runtime string?   directory for what is to be forgotten at the next boot, of root alone
---@field taken { first: integer, count: integer }[]?  the IDs that passwd, group, subuid and subgid files name, merged
---  and in ascending order
---@field root_uid integer?  the uid, here, that the host's /proc obeys; nil where it has none in this user namespace
---@field root_gid integer?
---@field problems string[] what went wrong in finding out, or was skipped

---@class cella.host.Owner
---@field subuid { first: integer, count: integer }[]
---@field subgid { first: integer, count: integer }[]
---@field source string
---@field problem string?  why there is no answer

---@class cella.host.File
---@field type string?      "directory"; nil where nothing is known of it, and `errno` says why
---@field mode integer?     the permission bits
---@field uid integer?
---@field gid integer?
---@field inode integer?
---@field device string?
---@field errno integer?
---@field message string?

local names = {
  "uid", "gid", "real_uid", "real_gid", "saved_uid", "saved_gid", "groups", "no_new_privs", "problems",
}
for name in pairs(find.of) do names[#names + 1] = name end
table.sort(names)

local NOTHING = {}
local absent_from = setmetatable({}, { __mode = "k" })

M.sets = find.sets

--- The names of facts that were asked for and that this host has not.
---@param host cella.Host  of M.facts
---@return table<string, true>
function M.absent(host) return absent_from[host] end

--- The facts of this process. `overrides` replaces some of them.
---@param overrides? table
---@return cella.Host
function M.facts(overrides)
  if overrides ~= nil and type(overrides) ~= "table" then
    blame("overrides: a table of facts expected, got " .. validate.show(overrides))
  end
  local host = { problems = {} }
  host.real_uid, host.uid, host.saved_uid = Error.must("getresuid", core.sys.getresuid())
  host.real_gid, host.gid, host.saved_gid = Error.must("getresgid", core.sys.getresgid())
  host.groups = Error.must("getgroups", core.sys.getgroups())
  host.no_new_privs = Error.must("prctl", core.sys.get_no_new_privs())
  for name, value in pairs(overrides or {}) do
    if not lists.contains(names, name) then
      local near = validate.nearest(name, names)
      blame(("there is no fact %s%s"):format(validate.show(name), near and "; did you mean '" .. near .. "'?" or ""))
    end
    host[name] = value
  end
  local absent = {}
  absent_from[host] = absent
  return setmetatable(host, {
    __name = "cella.host",
    __index = function(self, name)
      local fact = find.of[name]
      if not fact or absent[name] then return nil end
      local value = fact(self)
      if value == nil then
        absent[name] = true -- asked once, as the others
      elseif rawget(self, name) == nil then
        rawset(self, name, value)
      end
      return value
    end,
  })
end

--- A host's facts with what a plain table left out: for policies, and for who writes one.
---@param host table
---@return cella.Host
function M.complete(host)
  if type(host) ~= "table" then
    blame("host: a table of facts expected, got " .. validate.show(host))
  elseif getmetatable(host) and getmetatable(host).__name == "cella.host" then
    return host
  end
  for _, name in ipairs { "uid", "gid" } do
    validate.check(validate.rule.id, host[name], "host." .. name)
  end
  local whole = {
    real_uid = host.uid, real_gid = host.gid, groups = NOTHING, capabilities = NOTHING, subuid = NOTHING,
    subgid = NOTHING, subid_source = "none", login_gid = host.gid, grants_other_groups = false,
    setgroups = "allow", no_new_privs = false, users = NOTHING,
    owners = NOTHING, problems = {}, taken = NOTHING, system = NOTHING,
  }
  for name, value in pairs(host) do whole[name] = value end
  for _, name in ipairs { "uid_map", "gid_map", "projid_map" } do
    whole[name] = idmap.new(whole[name] or "0 0 4294967295")
  end
  if whole.initial == nil then
    whole.initial = whole.uid_map == idmap.new "0 0 4294967295"
  end
  for _, kind in ipairs { "uid", "gid" } do
    local field = "root_" .. kind
    if whole[field] == nil then whole[field] = whole[kind .. "_map"]:inside(0) end
  end
  return setmetatable(whole, { __name = "cella.host" })
end

return M
