--- What policies know of the host: facts about this process, as plain data.
---
---     local host = require("cella.host").facts()
---     print(host.uid, host.capabilities.setuid, #host.subuid)
---
--- A policy reads its host and nothing else, so that a spec can hand it any host as a plain table. In such a
--- table everything may be absent that an ordinary process in the initial namespace does not have: no
--- capabilities, no groups, no subordinate IDs, no helpers; absent maps are those of the initial namespace.

local lazy = require "cella.lazy"
local ascii = require "cella.ascii"
local accounts = require "cella.host.accounts"
local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local idmap = require "cella.idmap.value"
local kernel = require "cella.host.kernel"
local kinds = require "cella.kinds"
local open = require "cella.open"
local program = require "cella.subid.program"
---@module "cella.subid"
local subid = lazy "cella.subid"
local system = require "cella.root.system"
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

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

local function note(host, what)
  local problems = host.problems
  problems[#problems + 1] = tostring(what)
end

local function ranges_of(owner)
  local result = { subuid = {}, subgid = {}, source = "none" }
  local problems = {}
  for field, kind in pairs { subuid = "uid", subgid = "gid" } do
    local list, answer = subid.ranges(owner, kind)
    if not list then
      return { subuid = {}, subgid = {}, source = "none", problem = tostring(answer) }, { tostring(answer) }
    end
    result[field], result.source = list, answer.source
    for _, problem in ipairs(answer.problems) do problems[#problems + 1] = problem end
  end
  return result, problems
end

-- By the number of the user namespace: its maps are written once (user_namespaces(7)), and a process comes to no other
-- namespace but to one below, which keeps the number from being given again.
local written = { uid = {}, gid = {}, projid = {}, setgroups = {} }

local function own_map(kind)
  return function(host)
    local namespace = host.namespaces.user
    local known = namespace and written[kind][namespace]
    if known then return known end
    local map, err = idmap.of("self", kind)
    if not map then
      note(host, err)
      rawset(host, "failure", err) -- what follows from an empty map would be a guess
      return idmap.new ""
    end
    if namespace and #map:extents() > 0 then written[kind] = { [namespace] = map } end
    return map
  end
end

-- Keys under which masks are kept, which no user can spell.
local SETS, EFFECTIVE = {}, {}

--- The five sets of this process as masks (cella.caps.set), read once for these facts; nil where that failed.
---@param host cella.Host
---@return table<string, cella.caps.mask>?
function M.sets(host)
  if rawget(host, SETS) == nil then
    local sets, message = core.caps.sets()
    if not sets then note(host, message) end
    rawset(host, SETS, sets or false)
  end
  return rawget(host, SETS) or nil
end

-- A start needs no other, and the bounding set takes a question for each capability.
local function effective(host)
  if rawget(host, EFFECTIVE) == nil then
    local mask, message = core.caps.effective()
    if not mask then note(host, message) end
    rawset(host, EFFECTIVE, mask or false)
  end
  return rawget(host, EFFECTIVE) or nil
end

local function names_of(mask) return set_of(mask and mask:names() or {}) end

local function limits(field)
  return function(host)
    local sets = M.sets(host)
    return names_of(sets and sets[field])
  end
end

-- Facts that cost something are found out when they are asked for. Each is a function(host) -> value.
local find = {
  user = function(host) return (core.user_name(host.uid)) end,
  capabilities = function(host) return names_of(effective(host)) end,
  bounding = limits "bounding",
  ambient = limits "ambient",
  uid_map = own_map "uid",
  gid_map = own_map "gid",
  projid_map = own_map "projid",
  newuidmap = function() return (program.find "newuidmap") end,
  newgidmap = function() return (program.find "newgidmap") end,
  newuidmap_problem = function() return select(2, program.find "newuidmap") end,
  newgidmap_problem = function() return select(2, program.find "newgidmap") end,
}

function find.setgroups(host)
  local namespace = host.namespaces.user
  local answer = namespace and written.setgroups[namespace]
  if answer then return answer end
  local file, message = io.open("/proc/self/setgroups")
  local text = file and file:read("*l")
  if file then file:close() end
  if text ~= "allow" and text ~= "deny" then
    note(host, "/proc/self/setgroups: " .. tostring(text or message))
    return "deny" -- the stricter one
  end
  -- Nobody can change it once gid_map is written.
  if namespace and written.gid[namespace] then written.setgroups = { [namespace] = text } end
  return text
end

function find.login_gid(host)
  return host.user and select(2, core.user_id(host.user)) or nil
end

function find.grants_other_groups()
  local file = io.open("/etc/login.defs")
  if not file then return false end
  local word
  for line in file:lines() do word = line:match("^%s*GRANT_AUX_GROUP_SUBIDS%s+(%S+)") or word end
  file:close()
  return word ~= nil and ascii.lower(word) == "yes"
end

function find.initial(host)
  return host.namespaces.user == kinds.FIRST_USER -- the map does not tell: a child's may be the identity
end

-- A table whose fields are asked for one by one, and once: `ask` returns the answer; nil is none, and asked again.
local function answers(ask)
  return setmetatable({}, { __index = function(list, key)
    local answer = ask(key)
    if answer ~= nil then rawset(list, key, answer) end
    return answer
  end })
end

function find.namespaces()
  return answers(function(kind) return (core.sys.namespace(kind)) end)
end

local STATUS = { "type", "mode", "uid", "gid", "inode", "device", "number" }

-- "/" answers without asking anybody. Returns a status; or nil, an errno and a message.
local function look(path)
  local ask = path == "/" and core.file_status or open.status
  local status, message, errno = ask(path)
  if status then return status end
  return nil, errno, message
end

function find.files()
  return answers(function(path)
    local status, errno, message = look(path)
    local answer = { errno = errno, message = message }
    for _, field in ipairs(STATUS) do answer[field] = status and status[field] end
    return answer
  end)
end

function find.limits()
  return answers(function(resource)
    local soft, hard = Error.must("getrlimit", core.sys.getrlimit(resource))
    return { soft = soft, hard = hard }
  end)
end

function find.interpreter()
  local _, _, _, owner = core.inode "/proc/self/exe"
  return owner or nil
end

function find.memory_defaults() return core.sys.expect_memory_defaults() == true end

function find.securebits() return (core.sys.get_securebits()) end

-- One question answers three facts, as well as which problems there were.
local function subordinate(field)
  return function(host)
    local own, problems = ranges_of(host.uid)
    for _, problem in ipairs(problems) do note(host, problem) end
    rawset(host, "subid_problem", own.problem)
    for name, value in pairs { subuid = own.subuid, subgid = own.subgid, subid_source = own.source } do
      if rawget(host, name) == nil then rawset(host, name, value) end
    end
    return rawget(host, field)
  end
end
find.subuid = subordinate "subuid"
find.subgid = subordinate "subgid"
find.subid_source = subordinate "subid_source"

function find.owners()
  return setmetatable({}, {
    __index = function(owners, owner)
      local found, problems = ranges_of(owner)
      found.problem = found.problem or problems[1]
      rawset(owners, owner, found)
      return found
    end,
  })
end

function find.kernel() return kernel.version() end

function find.system() return system.pieces() end

function find.resolver() return system.resolver() end

function find.users(host)
  local users, err = subid.users()
  if not users then note(host, err) end
  return users or {}
end

function find.state(host)
  -- Root's is root's, whatever HOME says: sudo leaves that of the caller.
  if host.uid == 0 then return "/var/lib/cella" end
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  -- The specification has relative paths ignored.
  if state and state:sub(1, 1) == "/" then return state .. "/cella" end
  return home and home:sub(1, 1) == "/" and home .. "/.local/state/cella" or nil
end

function find.runtime(host)
  return host.uid == 0 and "/run/cella" or nil
end

function find.taken(host)
  local ranges, failure = accounts.taken()
  if not ranges then
    note(host, ("%s: %s"):format(failure.path, failure.message))
    rawset(host, "taken_failure", failure) -- who asks for IDs that nobody has is told; all else goes on
  end
  return ranges
end

-- What owns the kernel's switches is the root of the initial user namespace, shown as whatever ID that is here: or as
-- 65534, where it has none. (An ID 65534 may be there as well; then whose it is says the map, whose outside IDs are
-- those of a namespace that may not be the initial one.)
local function obeyed(kind)
  return function(host)
    if host.initial then return 0 end
    local status = core.file_status "/proc/sys"
    local map = host[kind .. "_map"]
    local id = status and status[kind]
    if not id then return map:inside(0) end
    if not map:covers(id) or id == idmap.overflow and map:outside(id) ~= 0 then return nil end
    return id
  end
end
find.root_uid = obeyed "uid"
find.root_gid = obeyed "gid"

local names = {
  "uid", "gid", "real_uid", "real_gid", "saved_uid", "saved_gid", "groups", "no_new_privs", "problems",
}
for name in pairs(find) do names[#names + 1] = name end
table.sort(names)

local NOTHING = {}
local absent_from = setmetatable({}, { __mode = "k" })

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
    if not set_of(names)[name] then
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
      local fact = find[name]
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

local function is_same(mine, theirs)
  if mine == theirs then return true end -- ID maps and masks as values
  if type(mine) ~= "table" or type(theirs) ~= "table" then return false end
  for key, value in pairs(mine) do
    if not is_same(theirs[key], value) then return false end -- which asks, where it is asked for one by one
  end
  for key in pairs(theirs) do
    if rawget(mine, key) == nil then return false end
  end
  return true
end

-- What follows from another fact alone, or says nothing about the host.
local DERIVED = { capabilities = true, bounding = true, ambient = true, problems = true }

--- Whether every fact that was asked for is still so: each is asked for again, once. No where there were problems.
---@param host cella.Host  of M.facts
---@param now cella.Host   of M.facts
---@return boolean
function M.are_still(host, now)
  if #host.problems > 0 then return false end
  if rawget(host, EFFECTIVE) ~= nil and effective(now) ~= rawget(host, EFFECTIVE) then return false end
  if rawget(host, SETS) ~= nil and not is_same(rawget(host, SETS), M.sets(now)) then return false end
  for name, value in pairs(host) do
    if type(name) == "string" and not DERIVED[name] and not is_same(value, now[name]) then return false end
  end
  for name in pairs(absent_from[host]) do
    if now[name] ~= nil then return false end
  end
  return #now.problems == 0
end

-- Whether both lists have the same members, in the same order.
local function is_same_list(mine, theirs)
  if not theirs or #mine ~= #theirs then return false end
  for i, value in ipairs(mine) do
    if theirs[i] ~= value then return false end
  end
  return true
end

local function is_file_still(path, known)
  local status, errno = look(path)
  if known.errno ~= errno then return false end
  for _, field in ipairs(STATUS) do
    if known[field] ~= (status and status[field]) then return false end
  end
  return true
end

-- What follows from others: asked of the facts themselves, of which all are compared.
local function follows(name)
  return function(host, value) return is_same(value, find[name](host)) end
end

-- Compared where another is.
local function is_with_another() return true end

-- How facts on which most containers rest are asked for again, each a function(host, value) -> boolean: without making
-- a table of facts anew, which takes longer than to ask for them.
local still = {
  uid = function(host)
    local real, effective_id, saved = core.sys.getresuid()
    return real == host.real_uid and effective_id == host.uid and saved == host.saved_uid
  end,
  gid = function(host)
    local real, effective_id, saved = core.sys.getresgid()
    return real == host.real_gid and effective_id == host.gid and saved == host.saved_gid
  end,
  real_uid = is_with_another, saved_uid = is_with_another, real_gid = is_with_another, saved_gid = is_with_another,
  groups = function(_, value) return is_same_list(value, (core.sys.getgroups())) end,
  securebits = function(_, value) return is_same_list(value, find.securebits()) end,
  no_new_privs = function(_, value) return core.sys.get_no_new_privs() == value end,
  memory_defaults = function(_, value) return find.memory_defaults() == value end,
  interpreter = function(_, value) return find.interpreter() == value end,
  namespaces = function(_, value)
    for kind, number in pairs(value) do
      if core.sys.namespace(kind) ~= number then return false end
    end
    return true
  end,
  files = function(_, value)
    for path, known in pairs(value) do
      if not is_file_still(path, known) then return false end
    end
    return true
  end,
  limits = function(_, value)
    for resource, known in pairs(value) do
      local soft, hard = core.sys.getrlimit(resource)
      if soft ~= known.soft or hard ~= known.hard then return false end
    end
    return true
  end,
  initial = follows "initial", uid_map = follows "uid_map", gid_map = follows "gid_map",
  setgroups = follows "setgroups", root_uid = follows "root_uid", root_gid = follows "root_gid",
  system = follows "system",
}

--- Whether facts are known to be still so, by the same questions as `are_still` with those of now. No where that is not
--- known so quickly either: then it is for the other to say.
---@param host cella.Host  of M.facts
---@return boolean
function M.are_unchanged(host)
  if #host.problems > 0 or next(absent_from[host]) ~= nil then return false end
  if rawget(host, EFFECTIVE) ~= nil and core.caps.effective() ~= rawget(host, EFFECTIVE) then return false end
  if rawget(host, SETS) ~= nil and not is_same(rawget(host, SETS), core.caps.sets()) then return false end
  for name in pairs(host) do
    if type(name) == "string" and not DERIVED[name] and not still[name] then return false end
  end
  for name, ask in pairs(still) do
    local value = rawget(host, name)
    if value ~= nil and not ask(host, value) then return false end
  end
  return #host.problems == 0
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
