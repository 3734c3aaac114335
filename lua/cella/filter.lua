--- The filter of system calls that a start takes. Most take "default" or "nesting", whose programs are there
--- (cella.seccomp.made, of tools/seccomp.lua), so that they need none of the policies and of their compiler.

local lazy = require "cella.lazy"
local core = require "cella.core"
---@module "cella.seccomp"
local seccomp = lazy "cella.seccomp"
local opened = require "cella.seccomp.opened"

local M = {}

---@class cella.filter
---@field program string  as sys.seccomp takes it
---@field mark integer    by which it is read back: sys.expect_seccomp
---@field name string     in the text of a plan
---@field policy cella.seccomp.policy|string|nil  that decides; or its name
---@field unheard boolean?  it has "notify", and nobody hears of that
---@field supervise (fun(listener: cella.fd): cella.denied.supervisor)?  who does: cella.denied

local MADE = { default = true, nesting = true }
local OPENERS = {}
for name in pairs(opened) do OPENERS[#OPENERS + 1] = name end
table.sort(OPENERS)

--- A rule of cella.validate, of the key `seccomp`: a policy, its table or name; false is none.
---@param value any
---@param path string
---@return cella.seccomp.policy|"default"|"nesting"|false
function M.rule(value, path)
  if value == false or MADE[value] then return value end
  return seccomp.rule(value, path)
end

-- The capabilities for which there are calls that the named policies refuse.
local function openers_of(keep)
  local list = {}
  if keep:empty() then return list end
  for _, name in ipairs(OPENERS) do
    if keep:has(name) then list[#list + 1] = name end
  end
  return list
end

---@type table<string, table<string, { mark: integer, program: string }>>
local machines = { aarch64 = lazy "cella.seccomp.made.aarch64", riscv64 = lazy "cella.seccomp.made.riscv64",
  x86_64 = lazy "cella.seccomp.made.x86_64" }

local function made(name)
  local programs = machines[core.machine]
  return { program = programs[name].program, mark = programs[name].mark, name = name, policy = name }
end

--- The filter of a policy. A capability that is kept opens the calls that it is for, where the policy is one of cella's
--- own choice: "default" or "nesting".
---@param said cella.seccomp.policy|"default"|"nesting"|false
---@param keep cella.caps.mask  capabilities that are kept
---@param closes_tcp boolean?  for Landlock's rules about it: cella.seccomp.closing_tcp
---@return cella.filter|false
function M.of(said, keep, closes_tcp)
  if not said then return false end
  local policy = said
  if MADE[said] then
    local openers = openers_of(keep)
    if #openers == 0 and not closes_tcp then return made(said) end
    policy = #openers > 0 and seccomp.opened(said, openers) or seccomp.named(said)
  end
  return seccomp.filter_of(closes_tcp and seccomp.closing_tcp(policy) or policy)
end

--- The policy of a filter.
---@param filter cella.filter|false|nil
---@return cella.seccomp.policy|false
function M.policy(filter)
  if not filter then return false end
  return type(filter.policy) == "string" and seccomp.named(filter.policy) or filter.policy
end

--- The filter of who enters, where it comes before the fork by which that is done.
---@param filter cella.filter
---@return cella.filter
function M.handing_on(filter) return seccomp.filter_of(seccomp.handing_on(M.policy(filter))) end

--- The filter with a mark, of those that cella chooses itself; nil where it is of another policy.
---@param mark integer
---@param keep cella.caps.mask  what who is under it may have
---@return cella.filter?
function M.of_mark(mark, keep)
  for _, name in ipairs { "default", "nesting" } do
    local filter = made(name)
    if filter.mark == mark then return filter end
    for _, closes_tcp in ipairs { false, true } do
      filter = M.of(name, keep, closes_tcp)
      if filter.mark == mark then return filter end
    end
  end
  local strict = seccomp.filter_of(seccomp.named "strict")
  return strict.mark == mark and strict or nil
end

--- What an init says of the filters that its program has and it has not: the mark of one, and whether another denies
--- keys. M.labelled reads it, for cella.enter.target.
---@param plan cella.plan
---@param denies_keys boolean
---@return string?
function M.label(plan, denies_keys)
  local words = {}
  if plan.filter then words[1] = ("seccomp=%d"):format(plan.filter.mark) end
  if denies_keys then words[#words + 1] = "keys" end
  return #words > 0 and table.concat(words, ",") or nil
end

--- What a label says.
---@param text string  which has it
---@return integer? mark, boolean denies_keys
function M.labelled(text)
  local mark = tonumber(text:match "seccomp=(%d+)")
  return mark and math.floor(mark), text:find "keys" ~= nil
end

--- Why no program can be started under a policy, or nil.
---@param said cella.seccomp.policy|"default"|"nesting"|false|nil
---@param is_function boolean?
---@return string?
function M.refuses_start(said, is_function)
  if not said or MADE[said] then return nil end
  return said:refuses_start(is_function)
end

--- Whether all steps of a start may be done under it, so that it may come before them: where it needs a privilege that
--- the program is not to have.
---@param said cella.seccomp.policy|"default"|"nesting"|false|nil
---@return boolean
function M.may_be_first(said) return MADE[said] or said and said:may_be_first() or false end

return M
