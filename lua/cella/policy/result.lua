--- What a policy returns, completed; and what those of cella are made with.

local blame = require "cella.blame"
local errors = require "cella.error"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local printable = require "cella.printable"
local validate = require "cella.validate"
local via = require "cella.policy.via"
local words = require "cella.words"

local M = {}

local rule = validate.rule
local KINDS = { "uid", "gid" }

---@class cella.policy.Result
---@field uid cella.IdMap
---@field gid cella.IdMap
---@field setgroups "allow"|"deny"|nil
---@field via "parent"|"self"|"helper"
---@field text { uid: string, gid: string }  what to write, which may have more lines than the map: the kernel wants
---  each extent to lie in one extent of the parent's
---@field helper? { uid: string[], gid: string[] }  via "helper": the arguments after the pid, in decimal
---@field name string?      which policy it is
---@field notes string[]?   what a person should know about it
---@field tried? { name: string, err: any }[]  by `first`: what did not work before
---@field keep_groups boolean?  the supplementary groups are to stay: setgroups(2) is not to be called

local Result = { __name = "cella.policy.result" }

local MOST_SHOWN = 6

--- A map as "0 is 1000 outside, 1 to 65536 are 100000 to 165535 outside".
---@param map cella.IdMap
---@return string
function M.in_words(map)
  local parts = {}
  for i, extent in ipairs(map:extents()) do
    if i > MOST_SHOWN then
      parts[i] = ("and %d ranges more"):format(#map:extents() - MOST_SHOWN)
      break
    end
    parts[i] = extent.count == 1 and ("%.0f is %.0f outside"):format(extent.inside, extent.outside)
      or ("%.0f to %.0f are %.0f to %.0f outside"):format(extent.inside, extent.inside + extent.count - 1,
        extent.outside, extent.outside + extent.count - 1)
  end
  return #parts == 0 and "none" or table.concat(parts, ", ")
end

local WRITERS = { parent = "this process", self = "the new process itself", helper = "newuidmap and newgidmap" }

function Result:__tostring()
  local lines = { self.name and "policy " .. self.name or "a policy of one's own" }
  for _, kind in ipairs(KINDS) do lines[#lines + 1] = kind .. " " .. M.in_words(self[kind]) end
  if self.setgroups then lines[#lines + 1] = "setgroups: " .. self.setgroups end
  lines[#lines + 1] = "written by " .. WRITERS[self.via]
  for _, note in ipairs(self.notes or {}) do lines[#lines + 1] = note end
  return printable.text(table.concat(lines, "\n  "))
end

local check_result = rule.record({
  uid = function(value) return value end,
  gid = function(value) return value end,
  setgroups = rule.one_of { "allow", "deny" },
  via = rule.one_of { "parent", "self", "helper" },
  text = function(value) return value end,
  helper = function(value) return value end,
  name = rule.string,
  notes = rule.list(rule.string),
  tried = function(value) return value end,
  keep_groups = rule.boolean,
}, { "uid", "gid" })

--- `policy.resolve`.
---@param policy cella.Policy
---@param host cella.Host
---@return cella.policy.Result? result
---@return cella.error? err
function M.resolve(policy, host)
  if type(policy) ~= "function" then
    blame("policy: a function(host) expected, got " .. validate.show(policy))
  end
  host = facts.complete(host)
  local result, err = policy(host)
  if result == nil then
    if err == nil then blame("the policy returned nothing: neither maps nor an error") end
    return nil, errors.is(err) and err or errors.new { op = "policy", message = words.of(err) }
  end
  if getmetatable(result) == Result then -- of another policy, perhaps with something changed
    local copy = {}
    for key, value in pairs(result) do copy[key] = value end
    result = copy
  end
  result = validate.check(check_result, result, "policy")
  for _, kind in ipairs(KINDS) do
    local map, message = idmap.try(result[kind])
    if not map then blame("policy." .. kind .. ": " .. message) end
    result[kind] = map
  end
  local decision
  decision, err = via.decide(result, host)
  if not decision then
    err.policy = result.name
    return nil, err
  end
  result.via, result.setgroups = decision.via, decision.setgroups
  result.text, result.helper = decision.text, decision.helper
  return setmetatable(result, Result)
end

-- Those that decide by nothing but the host that they are given, and may be asked again instead of that.
local of_facts = setmetatable({}, { __mode = "k" })

--- `policy.rests_on_facts`.
---@param value any
---@return boolean
function M.rests_on_facts(value)
  return of_facts[value] == true
end

--- A policy of cella's. It completes its result itself, so that calling it directly shows everything.
---@param name string
---@param decide fun(host: cella.Host): table?, cella.error?
---@param remembers boolean?  whether it decides by what is written elsewhere too
---@return cella.Policy
function M.policy(name, decide, remembers)
  local function call(host)
    host = facts.complete(host)
    local result, err = decide(host)
    if not result then
      err.policy = name
      return nil, err
    end
    result.name = result.name or name
    local notes = result.notes
    result, err = M.resolve(function() return result end, host)
    if result then result.notes = notes end
    return result, err
  end
  if not remembers then of_facts[call] = true end
  return call
end

--- What a policy returns where there is no such map.
---@param message string
---@param why string?
---@return nil
---@return cella.error
function M.impossible(message, why)
  return nil, errors.new { op = "policy", message = message, why = why }
end

--- The map of one ID.
---@param inside integer
---@param outside integer
---@return cella.IdMap
function M.one(inside, outside)
  return idmap.new { inside = inside, outside = outside, count = 1 }
end

--- Who asks, for a text.
---@param host cella.Host
---@return string
function M.me(host)
  return host.user or ("uid %.0f"):format(host.uid)
end

return M
