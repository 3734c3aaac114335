--- What the program of a container is confined by, from its description.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local capabilities = require "cella.caps.set"
local confinement = require "cella.confinement"
local description = require "cella.container.description"
local filter = require "cella.filter"
---@module "cella.landlock"
local landlock = lazy "cella.landlock"
local lists = require "cella.list"

local M = {}

-- 022: the caller's is the caller's business, and must not decide what is made in the root.
local UMASK = 18

-- Whether the program could trace others of its user namespace.
local function may_trace(sets, no_new_privs)
  return sets.permitted:has "sys_ptrace" or sets.inheritable:has "sys_ptrace"
    or not no_new_privs and sets.bounding:has "sys_ptrace"
end

local function filter_of(said, sets, no_new_privs, layers)
  local closes_tcp = false
  for _, layer in ipairs(layers) do closes_tcp = closes_tcp or landlock.is_about_tcp(layer) end
  -- With it nothing is gained that is only in the bounding set.
  return filter.of(said, no_new_privs and sets.permitted or sets.permitted + sets.bounding, closes_tcp)
end

-- An ordinary user in his own user namespace may change less of himself: his bounding set and securebits stay, of which
-- nothing can be gained under no_new_privs.
local function is_plain(box, host)
  return box.namespaces.user == "host" and box.no_new_privs ~= false and not host.capabilities.setpcap
end

--- The rules of Landlock's, as far as this host has them and they say that this is enough.
---@param box table  a container's description
---@return table[]? layers, cella.error? err
function M.landlock(box)
  if not box.landlock then return {} end
  local layer, err = landlock.held(box.landlock)
  if layer and not description.policy_of(box) and landlock.is_about_tcp(layer) then
    layer, err = landlock.without_filter(layer)
  end
  return layer and { layer }, err
end

--- All of it.
---@param box table     a container's description
---@param user table    who the program is: cella.container.identity
---@param host cella.Host
---@param layers table[]  of M.landlock
---@return table<string, any>  cella.confinement.complete
function M.of(box, user, host, layers)
  local is_set = capabilities.is(box.capabilities)
  local sets, plain = is_set and capabilities.in_all(box.capabilities) or box.capabilities, is_plain(box, host)
  if plain and is_set then
    sets.bounding, sets.keeps_bounding = capabilities.mask(lists.sorted_keys(host.bounding)), true
  end
  local no_new_privs, said = box.no_new_privs ~= false, description.policy_of(box)
  local is_traced, when = box.init and may_trace(sets, no_new_privs), "program"
  if is_traced then
    when = no_new_privs and "init" or "privileged"
    if said and not filter.may_be_first(said) then
      blame("seccomp: by sys_ptrace the program can have its init do what it may not, and an init cannot be under this "
        .. "policy: see `init = false`")
    end
  elseif not no_new_privs and not sets.effective:has "sys_admin" then
    when = "privileged"
  end
  local keyrings = box.keyrings or "none"
  return confinement.complete {
    cgroups = { limits = box.cgroup },
    umask = { first = UMASK, program = box.umask },
    oom_score_adj = box.oom_score_adj,
    nice = box.nice,
    cpus = box.cpus,
    limits = { wanted = box.rlimits or {}, ours = host.limits },
    groups = { list = user.groups, sets = user.sets_groups },
    ids = user,
    undumpable = box.awaited == true,
    capabilities = sets,
    securebits = not plain and {},
    no_new_privs = no_new_privs,
    keys = { which = keyrings, when = when },
    init = { when = is_traced and not said and keyrings ~= "none" and when },
    tie = box.die_with_parent ~= false and not box.init and "before exec",
    memory = { are_default = host.memory_defaults },
    landlock = layers,
    seccomp = { filter = filter_of(said, sets, no_new_privs, layers),
      when = (not said or filter.may_be_first(said)) and when or "program" },
  }
end

return M
