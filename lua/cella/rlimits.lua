--- What a program may use at most: getrlimit(2).

local lists = require "cella.list"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local resources = { "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
  "rss", "rtprio", "rttime", "sigpending", "stack" }
local amount = rule.any('an integer from 0 to 2^53 or "unlimited"', rule.one_of { "unlimited" },
  rule.integer(0, 9007199254740992))
local soft_hard = rule.record({ soft = amount, hard = amount }, { "soft", "hard" })

local function as_number(limit)
  return limit == "unlimited" and math.huge or limit
end

local function higher(one, other)
  return as_number(one) > as_number(other) and one or other
end

local function lower(one, other)
  return as_number(one) < as_number(other) and one or other
end

-- A number for both, or { soft =, hard = }.
local function limit(value, path)
  if type(value) ~= "table" then
    local both = amount(value, path)
    return { soft = both, hard = both }
  end
  local copy = soft_hard(value, path)
  if as_number(copy.soft) > as_number(copy.hard) then
    validate.fail(validate.join(path, "soft"), "above the hard limit")
  end
  return copy
end

--- `rlimits`: { nofile = 256, cpu = { soft = 1, hard = 2 }, core = "unlimited" }
local name = rule.one_of(resources)

M.rule = rule.map(function(value, path)
  if type(value) == "number" then validate.fail(path, "the limits are keys, { nofile = 256 }") end
  return name(value, path)
end, limit)

local function each(limits)
  local names, i = lists.sorted_keys(limits), 0
  return function()
    i = i + 1
    return names[i], limits[names[i]]
  end
end

--- Raises what is too low, for which a privilege may be needed. What is high stays so: a limit meant for the program
--- must not be in the way of what is done before it.
---@param plan cella.plan
---@param limits table  checked by M.rule
---@param ours table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>
function M.record_raised(plan, limits, ours)
  for resource, wanted in each(limits) do
    local own = ours[resource]
    if higher(own.hard, wanted.hard) ~= own.hard then
      plan:setrlimit(resource, higher(own.soft, wanted.soft), wanted.hard)
    end
  end
end

--- Sets those of somebody else, where they differ from ours; above our own hard one there is none.
---@param plan cella.plan
---@param theirs table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>
---@param ours table  the same
function M.record_others(plan, theirs, ours)
  for resource, wanted in each(theirs) do
    local own = ours[resource]
    local hard = lower(wanted.hard, own.hard)
    local soft = lower(wanted.soft, hard)
    if hard ~= own.hard or soft ~= own.soft then plan:setrlimit(resource, soft, hard) end
  end
end

--- Sets the limits as they were asked for.
---@param plan cella.plan
---@param limits table
function M.record(plan, limits)
  for resource, wanted in each(limits) do plan:setrlimit(resource, wanted.soft, wanted.hard) end
end

return M
