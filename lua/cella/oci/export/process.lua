--- The process of a config.json.

local ascii = require "cella.ascii"
local capabilities = require "cella.caps.set"
local command_module = require "cella.command"
local json = require "cella.oci.json"
local lists = require "cella.list"
local users = require "cella.oci.export.user"
local wording = require "cella.oci.export.words"

local UNLIMITED = "18446744073709551615" -- RLIM_INFINITY, of 64 bits

local FIRST_MASK = 18 -- 022

local SETS = { "bounding", "effective", "inheritable", "permitted", "ambient" }

-- "CAP_NET_BIND_SERVICE", ...
local function names_of(set)
  local list = {}
  for i, name in ipairs((capabilities.is(set) and capabilities.mask(set) or set):names()) do
    list[i] = type(name) == "string" and "CAP_" .. ascii.upper(name) or tostring(name)
  end
  return json.array(list)
end

local function capabilities_of(box)
  local given, result = box.capabilities, {}
  for _, set in ipairs(SETS) do
    result[set] = names_of(capabilities.is(given) and given or given[set] or capabilities.none)
  end
  return result
end

local function limit_of(value)
  return json.integer(value == "unlimited" and UNLIMITED or ("%.0f"):format(value))
end

local function rlimits_of(box)
  local list = {}
  for _, name in ipairs(lists.sorted_keys(box.rlimits or {})) do
    local limit = box.rlimits[name]
    list[#list + 1] = { type = "RLIMIT_" .. ascii.upper(name), soft = limit_of(limit.soft),
      hard = limit_of(limit.hard) }
  end
  return #list > 0 and json.array(list) or nil
end

local function environment_of(state, box, command)
  local given = command.environment or box.environment
  if wording.is_inherited(state, given) then return json.array {} end
  if given and given.HOME == false then
    state.refuse("environment.HOME", "a runtime sets it where nobody does: give it a value")
  end
  local list = command_module.environment_list(command_module.with_defaults(given, "/tmp"))
  for _, item in ipairs(list) do wording.json(state, item, "environment." .. (item:match "^[^=]*")) end
  return json.array(list)
end

---@param state table
---@param box table
---@param command table  checked
---@return table
return function(state, box, command)
  local args = {}
  for i, word in ipairs(command) do args[i] = wording.json(state, word, ("command[%d]"):format(i)) end
  local user = users.of(state)
  user.umask = box.umask or FIRST_MASK
  local terminal = command.terminal
  local process = {
    args = json.array(args), env = environment_of(state, box, command), cwd = command.cwd or box.cwd or "/",
    user = user, terminal = terminal and true or false, capabilities = capabilities_of(box),
    noNewPrivileges = box.no_new_privs ~= false, rlimits = rlimits_of(box), oomScoreAdj = box.oom_score_adj,
  }
  wording.json(state, process.cwd, "cwd")
  if terminal and (terminal.rows or terminal.columns) then
    process.consoleSize = { height = terminal.rows or 24, width = terminal.columns or 80 }
  end
  if box.nice then
    state.needs "1.1.0"
    process.scheduler = { policy = "SCHED_OTHER", nice = box.nice }
  end
  return process
end
