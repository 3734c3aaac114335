--- Policies made of policies.

local blame = require "cella.blame"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local results = require "cella.policy.result"
local validate = require "cella.validate"

local M = {}

local rule = validate.rule

--- `policy.keep_groups`.
function M.keep_groups(inner)
  if type(inner) ~= "function" then
    blame("keep_groups: a policy expected, got " .. validate.show(inner))
  end
  return function(host)
    host = facts.complete(host)
    local result, err = results.resolve(inner, host)
    if not result then return nil, err end
    local gid, notes = result.gid, {}
    for _, note in ipairs(result.notes or {}) do notes[#notes + 1] = note end
    local may_map = host.capabilities.setgid and result.via == "parent"

    local function keep(group, what)
      local inside = gid:inside(group)
      if not inside and may_map and host.gid_map:covers(group) and not gid:outside(group) then
        gid = assert(gid:union(results.one(group, group)))
        inside = group
      end
      notes[#notes + 1] = inside and ("%s %.0f stays, as %.0f"):format(what, group, inside)
        or ("%s %.0f stays in force, and looks like %.0f"):format(what, group, idmap.overflow)
    end
    keep(host.gid, "the own group")
    for _, group in ipairs(host.groups) do
      if group ~= host.gid then keep(group, "the group") end
    end
    return results.resolve(function()
      return {
        uid = result.uid, gid = gid, setgroups = "deny", via = result.via, keep_groups = true, notes = notes,
        name = result.name and ("keep_groups(%s)"):format(result.name) or "keep_groups",
      }
    end, host)
  end
end

local policies_rule = rule.list(function(value, path)
  if type(value) ~= "function" then validate.fail(path, "a policy expected, got %s", validate.show(value)) end
  return value
end)

--- `policy.first`.
function M.first(policies)
  if type(policies) ~= "table" or rawget(policies, 1) == nil then
    blame("first: a list of policies expected, got " .. validate.show(policies))
  end
  policies = validate.check(policies_rule, policies, "first")
  return function(host)
    host = facts.complete(host)
    local tried, reasons = {}, {}
    for i, candidate in ipairs(policies) do
      local result, err = results.resolve(candidate, host)
      if result then
        result.name = result.name or ("number %d"):format(i)
        result.tried = tried
        return result
      end
      local name = err.policy or ("number %d"):format(i)
      tried[i] = { name = name, err = err }
      reasons[i] = name .. ": " .. tostring(err)
    end
    local _, err = results.impossible("none of these policies works here", table.concat(reasons, "\n  "))
    err.tried = tried
    return nil, err
  end
end

return M
