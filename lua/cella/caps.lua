--- Capabilities as values: sets, states of processes, what files have, and what a program will hold after exec,
--- before it runs (capabilities(7), libcap).
---
---     local caps = require "cella.caps"
---     local web  = caps.set "net_bind_service" + "chown"
---     local after = caps.state():after_setresuid(33, 33, 33):after_exec { file = caps.program "/usr/bin/id" }
---     print(after.permitted)                        --> none
---     assert(caps.state():with { bounding = web }:apply())
---
--- A set is also the list of its names: cella.sys, plans and containers take it wherever they take capabilities.

local apply = require "cella.caps.apply"
local file = require "cella.caps.file"
local named = require "cella.caps.named"
local names = require "cella.caps.names"
local read = require "cella.caps.read"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local text = require "cella.caps.text"
local validate = require "cella.validate"
require "cella.caps.prctl" -- these two extend the methods of states
require "cella.caps.rules"

---@class cella.caps.module
local M = {}

--- The number of the running kernel's highest capability.
M.last = set.last

--- A set from text, a list or a mask: see cella.caps.set. Raises at what this kernel does not have, naming what is
--- near.
---@param value string|table|number|cella.caps.set
---@return cella.caps.set
function M.set(value)
  return set.new(value)
end

--- Every capability of the running kernel.
---@return cella.caps.set
function M.all() return set.all() end

--- No capability.
---@type cella.caps.set
M.none = set.none

--- Docker's and Podman's defaults, and the 21 that crabcan drops: see cella.caps.named for their sources.
M.docker, M.podman, M.crabcan21 = named.docker, named.podman, named.crabcan21

--- The state of a process, as the kernel shows it now: of this one, or of a pid (or thread). Of another process the
--- securebits cannot be known; the field is nil.
---@param pid integer?
---@return cella.caps.state?, cella.error?
function M.state(pid)
  if pid == nil then return read.own() end
  validate.check(validate.rule.integer(1, 2147483647), pid, "pid")
  return read.of(pid)
end

--- A state that says what the table says, and nothing else: `{ effective =, permitted =, inheritable =, bounding =,
--- ambient =, securebits =, no_new_privs =, uid =, gid =, groups =, ids = }`.
---@param fields table
---@return cella.caps.state
function M.new_state(fields)
  return state.new(fields)
end

local function state_text(value, path)
  validate.rule.string(value, path)
  -- "=" and "+" are of cap_from_text(3) only; the other form has names, commas and marks.
  if value:find("[=+]") then
    local effective, permitted, inheritable = text.masks(value, path)
    return { effective = effective, permitted = permitted, inheritable = inheritable }
  end
  local inheritable, ambient, bounding = text.vectors(value, path)
  return { inheritable = inheritable, ambient = ambient, bounding = bounding, bounding_at_most = true }
end

--- A state from text: in the form of cap_to_text(3), "cap_net_raw=ep cap_chown+i", it says effective, permitted and
--- inheritable; in that of cap_iab(3), "!cap_chown,^cap_net_raw", inheritable, ambient and what is not in bounding
--- (apply drops that, and nothing else). Raises at junk.
---@param value string
---@return cella.caps.state
function M.parse(value)
  local fields = validate.check(state_text, value, "text")
  return state.wrap(fields, "not applied")
end

--- Whether this process keeps its permitted set when all of its user IDs leave 0: PR_SET_KEEPCAPS, which needs no
--- capability. exec clears it (capabilities(7)).
---@type fun(on: boolean): true?, cella.error?
M.keep_caps = apply.keep_caps

--- The capabilities of a file, by path or descriptor (cap_get_file(3)): false where it has none, nil and an error where
--- they cannot be read. A path is not followed where it is a symbolic link.
---@type fun(target: string|integer): cella.caps.fileset|false|nil, cella.error?
M.file = file.get

--- Gives a file capabilities, in place of those it had, and reads them back: a value of caps.file, "cap_net_raw=ep", or
--- { permitted =, inheritable =, effective =, rootid = }. Needs CAP_SETFCAP over its owner.
---@type fun(target: string|integer, value: cella.caps.fileset|string|table): true?, cella.error?
M.set_file = file.set

--- Takes a file's capabilities away. False where it had none.
---@type fun(target: string|integer): boolean?, cella.error?
M.remove_file = file.remove

--- What state:after_exec wants to know of a program: its path, mode, owner and capabilities, whether its mount is
--- nosuid, and of a script its interpreter. Links are followed, as by exec.
---@type fun(path: string): table?, cella.error?
M.program = file.program

--- The state of a plan's child at each step, predicted: see cella.caps.walk.
---@param plan cella.plan
---@param options table?
function M.walk(plan, options)
  return require("cella.caps.walk").walk(plan, options)
end

--- Whether the plan's child will hold what the plan asks for: see cella.caps.walk.
---@param plan cella.plan
---@param options table?
---@return true?, cella.error?
function M.check_plan(plan, options)
  return require("cella.caps.walk").check(plan, options)
end

--- What a capability allows and why a container would keep it or not, in sentences: see cella.caps.explain.
---@param name string|integer
---@return table
function M.explain(name)
  local number = validate.check(names.number, name, "capability")
  return require("cella.caps.explain").of(number)
end

return M
