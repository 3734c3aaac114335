--- What a container's network is: the key `network`.
---
--- Its namespace is what `namespaces.net` says as well: of the two a table has one.

local allow = require "cella.network.allow"
local blame = require "cella.blame"
local user = require "cella.network.user"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local TYPES = { "none", "host", "user" }

-- What others call it.
local MEANT = { new = "none", own = "none", private = "none", pasta = "user", slirp4netns = "user", slirp = "user",
  bridge = "user", nat = "user" }

local fields = { type = rule.one_of(TYPES), allow = allow.rule }
for key, check in pairs(user.fields) do fields[key] = check end
local record = rule.record(fields, { "type" })

local EXPECTED = '"none", "host", "user", { type = ... }, or one to join: a path, { pid = N } or { fd = N }'

local function word(value, path)
  for _, known in ipairs(TYPES) do
    if value == known then return { type = value } end
  end
  local near = MEANT[value] or validate.nearest(value, TYPES)
  validate.fail(path, "%s expected, got %s%s", EXPECTED, validate.show(value),
    near and "; did you mean '" .. near .. "'?" or "")
end

--- The key. `namespace` is the rule of one to join.
---@param value any
---@param path string
---@param namespace fun(value: any, path: string): any
---@return table  { type = "none"|"host"|"user"|"join", ... }
function M.rule(value, path, namespace)
  if type(value) == "string" then
    if value:sub(1, 1) == "/" then return { type = "join", target = namespace(value, path) } end
    return word(value, path)
  elseif type(value) ~= "table" then
    validate.fail(path, "%s expected, got %s", EXPECTED, validate.show(value))
  end
  if rawget(value, "pid") or rawget(value, "fd") or rawget(value, "path") then
    return { type = "join", target = namespace(value, path) }
  end
  local copy = record(value, path)
  if copy.type ~= "user" then
    for key in pairs(user.fields) do
      if copy[key] ~= nil then
        validate.fail(validate.join(path, key), 'needs a user-mode network, type = "user", and the type is %q',
          copy.type)
      end
    end
  end
  if copy.allow and copy.type == "host" then
    validate.fail(validate.join(path, "allow"), "the rules would be those of the host's whole network")
  end
  user.check(copy, path)
  return copy
end

-- Over its own network nobody inside may have what sets rules, or what sends past them: packet(7) does.
local AGAINST_RULES = { "net_admin", "net_raw" }

local function check_allow(box)
  if box.namespaces.user ~= "new" and box.namespaces.user ~= "host" then
    blame("network.allow: with a user namespace that is joined those who live there have a say over the rules: "
      .. "it takes a new one")
  end
  for _, name in ipairs(AGAINST_RULES) do
    if box.capabilities and box.capabilities:has(name) then
      blame(("network.allow: the capability %s and rules do not go together: %s"):format(name, name == "net_raw"
        and "who sends whole packets (packet(7)) sends past them" or "it could change them"))
    end
  end
end

-- The helper's place is beside the container: outside of its processes, and with what its user namespace gives.
local function check_user(box)
  if box.namespaces.user ~= "new" then
    blame("network: a user-mode network needs a new user namespace: its helper has the rights over the container's "
      .. "network from there, and no others")
  elseif box.namespaces.pid ~= "new" then
    blame("network: a user-mode network needs a new pid namespace: nobody in the container is to see its helper")
  elseif box.die_with_parent == false then
    blame("network: a user-mode network ends with the caller, and die_with_parent is false")
  end
end

--- Puts the namespace where it belongs, and keeps what there is to do besides. Raises where that contradicts another
--- key. (The other namespaces are complete, but for their net.)
---@param box table
function M.settle(box)
  local network = box.network
  if box.namespaces.net ~= nil then
    blame("network: namespaces.net says whose network it is too: leave one of the two away")
  end
  if network.type == "join" then
    box.namespaces.net = network.target
  else
    box.namespaces.net = network.type == "host" and "host" or "new"
  end
  if network.allow then check_allow(box) end
  if network.type == "user" then check_user(box) end
  box.network = (network.allow or network.type == "user") and network or nil
end

return M
