--- What a config.json says of its process, and of one that is executed in the container.

local ascii = require "cella.ascii"
local json = require "cella.oci.json"
local lists = require "cella.list"
local schema = require "cella.oci.read.schema"
local validate = require "cella.validate"

local fail, required, within = schema.fail, schema.required, schema.within
local M = {}

-- Numbers of 64 bits, of which all bits set is no limit.
local UNLIMITED = { ["18446744073709551615"] = true }

local function limit(value, path)
  required(value, path)
  if json.is_integer(value) then
    if UNLIMITED[tostring(value)] then return "unlimited" end
    if tostring(value):find "^-" then fail(path, "less than 0") end
    fail(path, "not supported: %s is more than 2^53, and not 2^64-1, which is no limit", tostring(value))
  end
  return within(value, path, 0, schema.MOST)
end

local RESOURCES = { AS = true, CORE = true, CPU = true, DATA = true, FSIZE = true, LOCKS = true, MEMLOCK = true,
  MSGQUEUE = true, NICE = true, NOFILE = true, NPROC = true, RSS = true, RTPRIO = true, RTTIME = true,
  SIGPENDING = true, STACK = true }

local function rlimits_of(list)
  local result = {}
  for i, one in ipairs(list) do
    local path = ("process.rlimits[%d]"):format(i - 1)
    local kind = required(one.type, path .. ".type")
    local name = kind:match "^RLIMIT_([A-Z]+)$"
    if not name or not RESOURCES[name] then fail(path .. ".type", "%q is no limit", kind:sub(1, 80)) end
    name = ascii.lower(name)
    if result[name] then fail(path .. ".type", "%s is there twice", kind) end
    result[name] = { soft = limit(one.soft, path .. ".soft"), hard = limit(one.hard, path .. ".hard") }
  end
  return result
end

local ID = 4294967294

-- Who a process is: the keys of `user`, and its umask. For exec too.
local function user_of(user)
  local groups = {}
  for i, gid in ipairs(user.additionalGids or {}) do
    groups[i] = within(gid, ("process.user.additionalGids[%d]"):format(i - 1), 0, ID)
  end
  local umask = user.umask and within(user.umask, "process.user.umask", 0, 511)
  return { uid = within(user.uid or 0, "process.user.uid", 0, ID),
    gid = within(user.gid or 0, "process.user.gid", 0, ID),
    groups = #groups > 0 and groups or nil }, umask and ("%03o"):format(umask)
end

--- NAME=VALUE as a table. Of what cella would put in by itself nothing is left. Raises { refused = message }.
---@param list string[]?
---@param at string  the field
---@return table<string, string|false>
function M.environment(list, at)
  local result = { PATH = false, HOME = false, TERM = false }
  local seen = {}
  for i, entry in ipairs(list or {}) do
    local path = ("%s[%d]"):format(at, i - 1)
    local name, value = entry:match "^([^=]+)=(.*)$"
    if not name then fail(path, "NAME=VALUE expected, got %q", entry:sub(1, 80)) end
    if seen[name] then fail(path, "%s is there twice", name:sub(1, 80)) end
    seen[name] = true
    result[name] = value
  end
  return result
end

local SETS = { "bounding", "effective", "permitted", "inheritable", "ambient" }

local function both(one, other)
  local result = {}
  for _, name in ipairs(one) do
    if lists.contains(other, name) then result[#result + 1] = name end
  end
  return result
end

-- As exec leaves them (capabilities(7)): user 0 gets what is in bounding, unless no_new_privs is set, and everybody
-- else what is ambient.
local function after_exec(sets, uid, no_new_privs)
  if uid ~= 0 then
    sets.permitted = both(sets.permitted, sets.ambient)
    sets.effective = sets.permitted
    return sets
  end
  if not no_new_privs then sets.permitted = sets.bounding end
  sets.effective = sets.permitted
  return sets
end

-- The five sets, as names; what is no capability is refused, and one that the kernel does not know too.
local function sets_of(described)
  local sets = {}
  for _, set in ipairs(SETS) do
    sets[set] = {}
    local seen = {}
    for i, name in ipairs(described[set] or {}) do
      local at = ("process.capabilities.%s[%d]"):format(set, i - 1)
      local bare = name:match "^CAP_([A-Z_]+)$"
      if not bare then fail(at, "%q is no capability", name:sub(1, 80)) end
      if not seen[bare] then table.insert(sets[set], (ascii.lower(bare))) end
      seen[bare] = true
    end
  end
  -- What is ambient is inheritable, or the kernel refuses it (capabilities(7)); `runc spec` does not say so.
  for _, name in ipairs(sets.ambient) do
    if not lists.contains(sets.inheritable, name) then table.insert(sets.inheritable, name) end
  end
  return sets
end

-- Of the policies that all have who ask for none.
local function nice_of(scheduler)
  local policy = scheduler.policy
  if policy and policy ~= "" and policy ~= "SCHED_OTHER" then
    fail("process.scheduler.policy", "%q is not supported: SCHED_OTHER is", policy:sub(1, 80))
  end
  return scheduler.nice and within(scheduler.nice, "process.scheduler.nice", -20, 19)
end

--- What of a process goes into a container's or an entrance's table, and what into its command. Raises
--- { refused = message }.
---@param process table  checked by schema
---@return { user: table, umask: string?, capabilities: table, no_new_privs: boolean, command: table }
function M.of(process)
  local args = required(process.args, "process.args")
  if #args == 0 then fail("process.args", "the list is empty") end
  if args[1] == "" then fail("process.args[0]", "the program's name is empty") end
  local command = { environment = M.environment(process.env, "process.env") }
  for i, word in ipairs(args) do command[i] = word end
  if process.terminal then
    local console = process.consoleSize or {}
    local function side(value, path) return value and value ~= 0 and within(value, path, 1, 65535) or nil end
    command.terminal = { rows = side(console.height, "process.consoleSize.height"),
      columns = side(console.width, "process.consoleSize.width") }
  end
  local cwd = required(process.cwd, "process.cwd")
  if cwd:sub(1, 1) ~= "/" then fail("process.cwd", "an absolute path expected, got %q", cwd:sub(1, 80)) end
  schema.by(validate.rule.absolute, cwd, "process.cwd")
  local user, umask = user_of(process.user or {})
  return { user = user, umask = umask, cwd = cwd, command = command,
    capabilities = after_exec(sets_of(process.capabilities or {}), user.uid, process.noNewPrivileges == true),
    no_new_privs = process.noNewPrivileges == true,
    rlimits = rlimits_of(process.rlimits or {}), nice = nice_of(process.scheduler or {}),
    oom_score_adj = process.oomScoreAdj and within(process.oomScoreAdj, "process.oomScoreAdj", -1000, 1000) }
end

return M
