--- How each fact about this process is found out, when it is asked for.

local lazy = require "cella.lazy"
local ascii = require "cella.ascii"
---@module "cella.host.accounts"
local accounts = lazy "cella.host.accounts"
local core = require "cella.core"
local Error = require "cella.error"
local idmap = require "cella.idmap.value"
local kernel = require "cella.host.kernel"
local kinds = require "cella.kinds"
local open = require "cella.open"
---@module "cella.subid.program"
local program = lazy "cella.subid.program"
---@module "cella.subid"
local subid = lazy "cella.subid"
local system = require "cella.root.system"

local M = {}

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
M.SETS, M.EFFECTIVE = SETS, EFFECTIVE

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

--- The effective set alone: a start needs no other, and the bounding set takes a question for each capability.
---@param host cella.Host
---@return cella.caps.mask?
function M.effective(host)
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
  capabilities = function(host) return names_of(M.effective(host)) end,
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

--- What is told of a file, of all that its status says.
M.STATUS = { "type", "mode", "uid", "gid", "inode", "device", "number" }

--- Looks at a path, by which "/" answers without asking anybody.
---@param path string
---@return table? status, integer? errno, string? message
function M.look(path)
  local ask = path == "/" and core.file_status or open.status
  local status, message, errno = ask(path)
  if status then return status end
  return nil, errno, message
end

function find.files()
  return answers(function(path)
    local status, errno, message = M.look(path)
    local answer = { errno = errno, message = message }
    for _, field in ipairs(M.STATUS) do answer[field] = status and status[field] end
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

--- Each a function(host) -> value, by the name of the fact.
M.of = find

return M
