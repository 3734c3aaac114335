--- The keys of a boxed test: those of a container and of a command, a few of its own, and how those of a suite, a file,
--- a block and a test come together.

local blame = require "cella.blame"
local command = require "cella.command"
local description = require "cella.container.description"
local lists = require "cella.list"
local validate = require "cella.validate"

local rule = validate.rule

--- The keys of a boxed test: all of a container and of a command (but `command`, `wait` and `n`), and these.
---@class cella.busted.keys : cella.container.keys
---@field directory ("overlay"|"readonly"|"writable"|false)?  the working directory: "overlay", if not given: to be
---  written to, and forgotten
---@field timeout (number|false)?  seconds that the test may take: 60, if not given
---@field unavailable ("pending"|"failure")?  what a test is where the host has no containers: "pending", if not said

local M = {}

--- Seconds that a test may take where nothing is said.
M.TIMEOUT = 60

-- Its own: the working directory, and what a host without containers means.
local own = {
  directory = rule.any('"overlay", "readonly", "writable" or false',
    rule.one_of { "overlay", "readonly", "writable" }, function(value, path)
      if value ~= false then validate.fail(path, "false expected") end
      return value
    end),
  unavailable = rule.one_of { "pending", "failure" },
}

-- `command` is the body, and what concerns `spawn` alone has no meaning: a test is waited for.
local REFUSED = {
  command = "the body of the test is what runs",
  wait = "a test is always waited for",
  n = "a body has no arguments",
}

local containers = {}
for _, key in ipairs(description.keys()) do containers[key] = true end

local commands = { stdin = true, stdout = true, stderr = true, terminal = true, fds = true }
for key in pairs(command.spawn_fields) do commands[key] = true end

local known
local function names()
  if known then return known end
  known = {}
  for _, set in ipairs { containers, commands, own } do
    for key in pairs(set) do
      if not REFUSED[key] then known[key] = true end
    end
  end
  return known
end

--- Refuses a table that holds what is no key, at the line of who gave it. What the keys mean is checked by whom they
--- are for, once all are together.
---@param keys any
---@param whose string   "boxed.it"
---@return table  a copy
function M.check(keys, whose)
  if type(keys) ~= "table" or getmetatable(keys) ~= nil then
    blame(("%s: a table of keys of a container and of a command expected, got %s"):format(whose, validate.show(keys)))
  end
  local copy = {}
  for key, value in pairs(keys) do
    if REFUSED[key] then blame(("%s: %s: %s"):format(whose, key, REFUSED[key])) end
    if not names()[key] then
      local near = type(key) == "string" and validate.nearest(key, lists.sorted_keys(names()))
      blame(("%s: %s: unknown key%s"):format(whose, validate.join("", key), near and "; did you mean '" .. near .. "'?"
        or ""))
    end
    if own[key] then value = validate.check(own[key], value, key) end
    copy[key] = value
  end
  if copy.timeout == false then copy.timeout = math.huge end
  M.split(M.merge({}, copy)) -- raises here what a container or a command would refuse later
  return copy
end

local function both(outer, inner)
  if type(outer) ~= "table" or type(inner) ~= "table" then return inner end
  local whole = {}
  for name, value in pairs(outer) do whole[name] = value end
  for name, value in pairs(inner) do whole[name] = value end
  return whole
end

local function appended(outer, inner)
  if type(outer) ~= "table" or type(inner) ~= "table" then return inner end
  local whole = {}
  for _, mount in ipairs(outer) do whole[#whole + 1] = mount end
  for _, mount in ipairs(inner) do whole[#whole + 1] = mount end
  return whole
end

-- What of the outer stays beside what is said inside; of all other keys the inner one counts.
local TOGETHER = { environment = both, namespaces = both, rlimits = both, cgroup = both, mounts = appended }

--- Keys of a block and of what is inside it.
---@param outer table
---@param inner table
---@return table
function M.merge(outer, inner)
  local whole = {}
  for key, value in pairs(outer) do whole[key] = value end
  for key, value in pairs(inner) do
    local together = TOGETHER[key]
    if together and whole[key] ~= nil then value = together(whole[key], value) end
    whole[key] = value
  end
  return whole
end

--- What is the container's, the command's, and the test's own of these keys.
---@param keys table
---@return table container, table command, table own
function M.split(keys)
  local box, run, mine = {}, {}, {}
  for key, value in pairs(keys) do
    if own[key] then mine[key] = value elseif commands[key] then run[key] = value else box[key] = value end
  end
  if run.timeout == math.huge then run.timeout = nil elseif run.timeout == nil then run.timeout = M.TIMEOUT end
  if run.stdin == "pipe" then blame 'stdin: "pipe" has nobody who writes to it here' end
  description.check(box)
  local trial = { function() end }
  for key, value in pairs(run) do trial[key] = value end
  command.check(trial)
  return box, run, mine
end

return M
