--- Policies of Landlock as values: which files, ports and other processes a program has to do with, by rules that it
--- cannot take back (landlock(7)).
---
---     local landlock = require "cella.landlock"
---     local policy = landlock.policy {
---       files = {
---         { path = { "/usr", "/etc" }, allow = { "read", "execute" } },
---         { path = "/tmp", allow = { "read", "write" } },
---       },
---       tcp = { connect = { 443 } },
---       scopes = { "abstract_unix_socket", "signal" },
---     }
---     cella.container { landlock = policy }
--
-- Each of `files`, `tcp`, `udp` and `scopes` that is there is about all of its kind: what it does not list is refused.
-- One that is not there restricts nothing.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local grammar = require "cella.landlock.grammar"
local rights = require "cella.landlock.rights"
local text = require "cella.landlock.text"
local validate = require "cella.validate"

---@class cella.landlock.module
local M = {}

--- What a program may do, and which Landlock that takes: what `landlock.policy` makes.
---@class cella.landlock.policy
local Policy = { __name = "cella.landlock.policy" }
local methods = {}
Policy.__index = methods

-- What a policy means is nobody's to change.
local inside = setmetatable({}, { __mode = "k" })

local function of_meaning(meaning)
  local self = setmetatable({}, Policy)
  inside[self] = meaning
  return self
end

local function own(self)
  return inside[self] or blame("a policy expected, as cella.landlock.policy makes them: policy:METHOD() has a colon")
end

--- Makes a policy of a table (see above). Raises at what is no right, path or port, with the nearest that there is.
---@param description cella.landlock.keys
---@return cella.landlock.policy
function M.policy(description) return of_meaning(validate.check(grammar.rule, description, "")) end

--- True for policies.
---@param value any
---@return boolean
function M.is(value) return type(value) == "table" and getmetatable(value) == Policy end

--- A rule of cella.validate, of the key `landlock`: a policy or its table; false is none.
---@param value any
---@param path string
---@return cella.landlock.policy|false
function M.rule(value, path)
  if value == false or M.is(value) then return value end
  if type(value) ~= "table" then
    validate.fail(path, "a policy, its table or false expected, got %s", validate.show(value))
  end
  return of_meaning(grammar.rule(value, path))
end

-- Why there is none, as far as the kernel says so.
local REASONS = {
  EOPNOTSUPP = "the kernel has it, and it is not among its security modules: `lsm=landlock,...` on its command line",
  ENOSYS = "this kernel does not have it (Linux 5.13, CONFIG_SECURITY_LANDLOCK), or a seccomp filter hides it",
}

--- Which Landlock this host has: its ABI, which counts what has been added to it. nil and why there is none.
---@return integer?, cella.error?
function M.abi()
  local level, errno
  if core.sys.get_seccomp() == 0 then
    local _
    level, _, errno = core.sys.landlock_abi()
  else
    level = core.answer "landlock_create_ruleset" -- a filter may kill who asks
    if level and level <= 0 then level, errno = nil, -level end
  end
  if level then return level end
  return nil, Error.new { op = "landlock_create_ruleset", errno = errno, message = not errno and "there was no answer"
    or nil, why = errno and REASONS[core.errno_name(errno)] or nil }
end

--- The names of what an ABI can refuse, in order: rights to files and to ports, and scopes.
---@param abi integer?  that of this host
---@return string[]?, cella.error?
function M.rights(abi)
  local err
  if abi ~= nil then validate.check(validate.rule.integer(0, 1000), abi, "abi") else abi, err = M.abi() end
  if not abi then return nil, err end
  return rights.up_to(abi)
end

--- The Linux that was the first with an ABI, "6.10"; nil of one that is not known here.
---@param abi integer
---@return string?
function M.kernel(abi)
  return rights.kernel(validate.check(validate.rule.integer(1, 1000), abi, "abi"))
end

--- The ABI that has all of what the policy asks for.
---@return integer
function methods:needs() return own(self).needs end

--- What an ABI lacks of it: names of rights and scopes.
---@param abi integer?  that of this host, 0 where there is none
---@return string[]
function methods:lacks(abi)
  local meaning = own(self)
  if abi ~= nil then validate.check(validate.rule.integer(0, 1000), abi, "abi") else abi = M.abi() or 0 end
  local list = {}
  for _, names in ipairs { meaning.fs, meaning.net, meaning.scoped } do
    for _, name in ipairs(names) do
      if rights.since(name) > abi then list[#list + 1] = name end
    end
  end
  return list
end

--- Whether two policies say the same.
function Policy.__eq(one, other) return text.of(own(one).said) == text.of(own(other).said) end

--- The policy as Lua that makes it.
function Policy:__tostring() return "landlock.policy " .. text.of(own(self).said) end

--- Why no program can be started under it, or nil.
---@param is_function boolean?  the program is a Lua function
---@return string?
function methods:refuses_start(is_function)
  local meaning = own(self)
  local governed, allowed = false, false
  for _, name in ipairs(meaning.fs) do governed = governed or name == "execute" end
  for _, one in ipairs(meaning.paths) do
    for _, name in ipairs(one.access) do allowed = allowed or name == "execute" end
  end
  if is_function or not governed or allowed then return nil end
  return "no rule of `files` allows `execute`, and no program can be started"
end

---@class cella.landlock.held
---@field fs string[]
---@field net string[]
---@field scoped string[]
---@field paths table[]
---@field ports table[]
---@field needs integer   the ABI that has all that was asked for
---@field abi integer     that of the host
---@field lacks string[]  what is not held: where the policy says `at_least`

local function without(list, abi)
  local kept = {}
  for _, name in ipairs(list) do
    if rights.since(name) <= abi then kept[#kept + 1] = name end
  end
  return kept
end

-- "truncate (ABI 3, Linux 6.2), ioctl_dev (...)"
local function with_versions(names)
  local words = {}
  for i, name in ipairs(names) do
    words[i] = ("%s (ABI %d, Linux %s)"):format(name, rights.since(name), rights.kernel(rights.since(name)))
  end
  return table.concat(words, ", ")
end

local function refusal(policy, meaning, abi, err)
  local lacks = policy:lacks(abi)
  local least = meaning.said.at_least
  local why = err and err.why or nil
  if not err and least then
    why = ("`at_least` is %d"):format(least)
  elseif not err then
    why = ("`at_least = %d` in the policy does without them, and the result says so"):format(abi)
  end
  return Error.new { op = "landlock", code = err and err.code or "ENOSYS", why = why,
    message = abi == 0 and ("there is none here, and %s are asked for"):format(with_versions(lacks))
      or ("this host has ABI %d, which lacks %s"):format(abi, with_versions(lacks)) }
end

--- Whether rules are about TCP, past which a program comes by other ways (cella.seccomp.closing_tcp).
---@param held cella.landlock.held
---@return boolean
function M.is_about_tcp(held)
  for _, name in ipairs(held.net) do
    if name:find "_tcp$" then return true end
  end
  return false
end

--- The same rules where a program is not kept from these ways: an error, or what is lacking, where the policy says
--- `at_least`.
---@param held cella.landlock.held
---@return cella.landlock.held?, cella.error?
function M.without_filter(held)
  if not own(held.policy).said.at_least then
    return nil, Error.new { op = "landlock", message = "tcp: without a filter that refuses MPTCP and TCP Fast Open a "
      .. "program comes past these rules", why = "`seccomp` of a container is one; `at_least` does without it" }
  end
  held.lacks[#held.lacks + 1] = "other ways to TCP"
  return held
end

--- What a start takes of a policy: cella.confinement. nil and an error where the host cannot hold it.
---@param policy cella.landlock.policy
---@return cella.landlock.held?, cella.error?
function M.held(policy)
  local meaning = own(policy)
  local abi, err = M.abi()
  local level = abi or 0
  if level < (meaning.said.at_least or meaning.needs) then return nil, refusal(policy, meaning, level, err) end
  local held = { fs = without(meaning.fs, level), net = without(meaning.net, level),
    scoped = without(meaning.scoped, level), paths = {}, ports = {}, needs = meaning.needs, abi = level,
    lacks = policy:lacks(level), policy = policy }
  for _, one in ipairs(meaning.paths) do
    local access = without(one.access, level)
    if #access > 0 then
      held.paths[#held.paths + 1] = { path = one.path, access = access, of_file = without(one.of_file, level),
        optional = one.optional, links_in = one.links_in }
    end
  end
  for _, one in ipairs(meaning.ports) do
    local access = without(one.access, level)
    if #access > 0 then held.ports[#held.ports + 1] = { port = one.port, access = access } end
  end
  return held
end

return M
