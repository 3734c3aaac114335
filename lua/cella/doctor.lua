--- What this host allows, what not, why, and what to do about it.
---
---     print(cella.doctor())
---     local result = cella.doctor { "overlay", "cgroup.memory" }
---     if not result.works then ... end
---
--- Each feature is tried, in processes and namespaces of its own; a cause is named only where it was seen, by the same
--- rules as that of a failed start.

local blame = require "cella.blame"
local Error = require "cella.error"
local features = require "cella.doctor.features"
local held = require "cella.doctor.held"
local host_facts = require "cella.host"
local kernel = require "cella.host.kernel"
local landlock = require "cella.landlock"
local report = require "cella.doctor.report"
local validate = require "cella.validate"

local M = {}

---@class cella.doctor.Finding
---@field name string      "overlay"
---@field group string     "file systems"
---@field about string     what it is
---@field works boolean?   nil where the caller has no use for it
---@field says string?     what there is to say of it
---@field because string?  the feature that it needs and that does not work; then it was not tried
---@field error string?    what was said: "mount: Operation not permitted (EPERM)"
---@field code string?     "EPERM"
---@field why string?      the cause, where it was seen
---@field remedy string?   commands, or a text to paste, where there are any

---@class cella.doctor.Result
---@field works boolean     whether all that was asked for does; the default container, where nothing was
---@field asked string[]
---@field uid integer
---@field user string?
---@field kernel string?    as it calls itself
---@field features cella.doctor.Finding[]  what was asked for, each behind what it needs and has not got
---@field held cella.doctor.Held[]?  what holds each line of the table of doc/security.md, where nothing was asked for
local Result = { __name = "cella.doctor", __tostring = report.text }

local by_name, names = {}, {}
for i, feature in ipairs(features) do
  by_name[feature.name] = feature
  names[i] = feature.name
end

--- The names of all features, in the order of the report.
---@return string[]
function M.names()
  local list = {}
  for i, name in ipairs(names) do list[i] = name end
  return list
end

local function check_names(wanted)
  if type(wanted) == "string" then wanted = { wanted } end
  wanted = validate.check(validate.rule.list(validate.rule.string), wanted or {}, "features")
  for _, name in ipairs(wanted) do
    if not by_name[name] then
      local near = validate.nearest(name, names)
      blame(("there is no feature %s%s"):format(validate.show(name), near and "; did you mean '" .. near .. "'?" or ""))
    end
  end
  return wanted
end

local function text_of(err)
  local message = err.message or ""
  if err.code and not message:find(err.code, 1, true) then message = ("%s (%s)"):format(message, err.code) end
  return ("%s: %s%s"):format(err.op, message, err.path and ", " .. err.path or "")
end

local function find(name, found, context)
  if found[name] then return found[name] end
  local feature = by_name[name]
  local finding = { name = name, group = feature.group, about = feature.about }
  found[name] = finding
  if feature.needs and find(feature.needs, found, context).works == false then
    finding.works, finding.because = false, feature.needs
    return finding
  end
  local works, said, remedy = feature.try(context)
  finding.works = works
  if Error.is(said) then
    finding.error, finding.code, finding.why = text_of(said), said.code, said.why
    finding.remedy = said.remedy or remedy
  else
    finding.says = said
  end
  return finding
end

--- Tries what this host allows: all, or the features of these names.
---@param wanted string|string[]|nil
---@return cella.doctor.Result
function M.ask(wanted)
  wanted = check_names(wanted)
  local host = host_facts.facts()
  local found, context = {}, { host = host }
  local result = setmetatable({ works = true, asked = wanted, uid = host.uid, user = host.user,
    kernel = kernel.release(), features = {} }, Result)
  local listed = {}
  local function list(finding)
    if listed[finding] then return end
    listed[finding] = true
    if finding.because then list(found[finding.because]) end -- which tells why
    result.features[#result.features + 1] = finding
  end
  for _, name in ipairs(#wanted > 0 and wanted or names) do list(find(name, found, context)) end
  for _, name in ipairs(#wanted > 0 and wanted or { "container" }) do
    if found[name].works == false then result.works = false end
  end
  if #wanted == 0 then result.held = held.of(found, landlock.abi() or 0, host) end
  return result
end

return M
