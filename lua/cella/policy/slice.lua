--- Slices of subordinate IDs, each for a name: the policy, and the registry of those that are taken.

local blame = require "cella.blame"
local facts = require "cella.host"
local idmap = require "cella.idmap.value"
local ranges = require "cella.policy.ranges"
local registry = require "cella.policy.registry"
local results = require "cella.policy.result"
local subordinate = require "cella.policy.subordinate"
local validate = require "cella.validate"

local M = {}

local rule = validate.rule
local KINDS = { "uid", "gid" }

local check_slice = rule.record { registry = rule.path, within = rule.record({
  first = rule.id, count = rule.integer(1, 4294967295) }, { "first", "count" }) }

local function directory_of(options, host)
  if options.registry then return options.registry end
  if not host.state then
    return results.impossible("there is nowhere to note which slices are taken",
      "neither XDG_STATE_HOME nor HOME is set to an absolute path: set one, or give `registry`")
  end
  return host.state .. "/slices"
end

local function check_name(name)
  validate.check(rule.line, name, "name")
  if name == "" then blame("name: is empty") end
end

--- `policy.slice`.
function M.slice(name, count, options)
  check_name(name)
  validate.check(rule.integer(1, 4294967295), count, "count")
  options = validate.check(check_slice, options or {}, "slice")
  return results.policy("slice", function(host)
    local pools, err
    if options.within then
      pools = { uid = { options.within }, gid = { options.within } }
    else
      pools, err = subordinate.given(host, nil, { uid = host.uid, gid = host.gid })
      if not pools then return nil, err end
      for _, kind in ipairs(KINDS) do pools[kind] = ranges.joined(pools[kind]) end
    end
    local directory
    directory, err = directory_of(options, host)
    if not directory then return nil, err end
    local slice
    slice, err = registry.claim(directory, name, count, pools)
    if not slice then return nil, err end
    return {
      uid = idmap.new { inside = 0, outside = slice.uid.first, count = count },
      gid = idmap.new { inside = 0, outside = slice.gid.first, count = count },
    }
  end, true)
end

local check_registry = rule.record { registry = rule.path }

--- `policy.release`.
function M.release(name, options, host)
  check_name(name)
  options = validate.check(check_registry, options or {}, "release")
  local directory, err = directory_of(options, facts.complete(host or facts.facts()))
  if not directory then return nil, err end
  return registry.release(directory, name)
end

--- `policy.slices`.
function M.slices(options, host)
  options = validate.check(check_registry, options or {}, "slices")
  local directory, err = directory_of(options, facts.complete(host or facts.facts()))
  if not directory then return nil, err end
  return registry.list(directory)
end

return M
