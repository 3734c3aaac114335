--- What is to be expected of a call that the filter lets pass, because the container has not what the host has: found
--- by looking where the kernel is about to look. Nothing is decided by it, and the kernel may find something else.

local address = require "cella.denied.address"
local files = require "cella.denied.files"
local keys = require "cella.denied.key"
local rules = require "cella.denied.rules"
local named = require "cella.seccomp.named"
local watched = require "cella.denied.calls"

local M = {}

local NET_BIND_SERVICE, NET_RAW, SETGID, SYS_ADMIN = 10, 13, 6, 21
local RAW, INET, INET6 = 3, 2, 10

local function lacks(who, number, name, errno)
  if who:has(number) then return nil end
  return { cause = "capability", errno = errno, capability = name }
end

local CAPABILITIES = {
  socket = function(who)
    local family, kind = who:int(0), who:int(1) % 16
    if kind == RAW and (family == INET or family == INET6) then return lacks(who, NET_RAW, "net_raw", "EPERM") end
  end,
  sethostname = function(who) return lacks(who, SYS_ADMIN, "sys_admin", "EPERM") end,
  setdomainname = function(who) return lacks(who, SYS_ADMIN, "sys_admin", "EPERM") end,
  setgroups = function(who) return lacks(who, SETGID, "setgid", "EPERM") end,
}

local function of_address(who, name, looks, layers)
  local to = address.read(who)
  if not to then return nil end
  local found
  if to.path then
    local use = { does = name == "bind" and "make" or "connect", unfollowed = name == "bind" }
    found = files.of(who, use, looks, to.path, name, layers)
    if found then found.path = nil end
  elseif to.port and layers then
    found = rules.of_port(who, name, to, layers)
  end
  if not found and not to.path and name == "connect" then
    found = address.unreachable(who, to)
  elseif not found and name == "bind" and to.port and to.port > 0 and to.port < 1024 then
    found = lacks(who, NET_BIND_SERVICE, "net_bind_service", "EACCES")
  end
  if found then found.address = to.text end
  return found
end

---@class cella.denied.bounds
---@field layers cella.landlock.held[]?  the container's rules of Landlock
---@field nofile integer?                how many descriptors the container lets a process have

--- What is to be told of a call; nil where it is nothing.
---@param who cella.denied.caller
---@param name string
---@param looks table  what is remembered from one call to the next
---@param bounds cella.denied.bounds
---@return table?
function M.of(who, name, looks, bounds)
  local found
  if bounds.nofile and watched.DESCRIPTORS[name] and (who:descriptors(bounds.nofile) or 0) >= bounds.nofile then
    found = { cause = "limit", errno = "EMFILE", nofile = bounds.nofile,
      why = ("the container lets a process have %d descriptors, and it has them"):format(bounds.nofile) }
  end
  for _, use in ipairs(watched.PATHS[name] or {}) do
    found = found or files.of(who, use, looks, nil, name, bounds.layers)
  end
  if not found and watched.ADDRESSES[name] then found = of_address(who, name, looks, bounds.layers) end
  if not found and CAPABILITIES[name] then found = CAPABILITIES[name](who) end
  if found then found.certain = false end
  return found
end

local WHY = {
  file = "the container has no such file, and the host has",
  ["read-only"] = "the container has it read-only",
  notify = "the policy has it under `notify`",
}

local function why(found, name, policy)
  if found.cause == "filter" then
    local its = policy and policy:name()
    local reason = (its == "default" or its == "nesting") and named.reason(name)
    return ("refused by the filter%s%s"):format(its and (" (%q)"):format(its) or "", reason and ": " .. reason or "")
  elseif found.cause == "capability" then
    return ("the program has not the capability %s"):format(found.capability)
  end
  return found.why or WHY[found.cause]
end

--- Adds to what is told a sentence, the key of the container that opens it, and what the call is about.
---@param found table
---@param who cella.denied.caller
---@param name string
---@param policy cella.seccomp.policy|false
function M.describe(found, who, name, policy)
  local use = (watched.PATHS[name] or {})[1]
  if use and not found.path then found.path = who:text(use.path) end
  if watched.ADDRESSES[name] and not found.address then
    local to = address.read(who)
    found.address = to and to.text
  end
  found.why = why(found, name, policy)
  found.key = keys.of(found, who, name, policy)
  -- What is for the keys alone.
  for _, field in ipairs { "capability", "place", "object", "status", "does", "writes", "rules", "ports",
    "nofile" } do found[field] = nil end
end

return M
