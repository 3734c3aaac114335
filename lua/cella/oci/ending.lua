--- The end of a container: signals, and what is deleted after it.

local cgroups = require "cella.oci.cgroup"
local core = require "cella.core"
local failed = require "cella.oci.failed"
local hooks = require "cella.oci.hooks"
local kept = require "cella.oci.kept"
local lazy = require "cella.lazy"
---@module "cella.oci.salvage"
local salvage = lazy "cella.oci.salvage"

local M = {}

local PATIENCE = 10 -- seconds, for what has been killed

--- SIGKILL for a container's process, where there is one.
---@param state cella.oci.state
function M.kill_process(state)
  local pidfd = state:hold()
  if not pidfd then return end
  pidfd:signal "kill"
  pidfd:close()
end

--- SIGKILL for all of a container that can be told, whoever holds its lock: who waits for a hook of it goes on then.
---@param state cella.oci.state
function M.kill(state)
  M.kill_process(state)
  if state.data.cgroup then cgroups.kill(state.data.cgroup) end
end

-- Whether all end with its process: that is the first of a pid namespace, and not one that has joined another's.
local function ends_all(state)
  local pidfd = state:hold()
  if not pidfd then return true end
  pidfd:close()
  return state:describe_inside().pid == 1
end

--- Sends a signal to the process of a container; with `to_all`, to all that are in its cgroup. Without one it is told
--- which they are by nobody: refused, but where the kernel kills all of a pid namespace with its first.
---@param state cella.oci.state
---@param signal string|integer
---@param to_all boolean?
---@return true?, cella.error?
function M.signal(state, signal, to_all)
  local is_kill = signal == "kill" or signal == 9
  if to_all and state.data.cgroup then
    if is_kill then return cgroups.kill(state.data.cgroup) end
    if state:status() == "stopped" then return failed("kill", nil, "container not running") end
    return cgroups.signal(state.data.cgroup, signal)
  elseif to_all and not (is_kill and ends_all(state)) then
    return failed("kill", nil, "--all: the container has no cgroup that tells which processes are its own", nil,
      is_kill and "nor has it a pid namespace of its own, all of which would end with its first process"
        or "without one only KILL is for all: of a container that has a pid namespace of its own")
  end
  local pidfd = state:hold()
  if not pidfd then return failed("kill", nil, "container not running") end
  local ok, message, errno = pidfd:signal(signal)
  pidfd:close()
  if not ok then return failed("kill", nil, message, errno) end
  return true
end

local function await_end(state)
  local till = core.now() + PATIENCE
  while core.now() < till do
    local pidfd = state:hold()
    if not pidfd then return true end
    core.poll({ pidfd:number() }, 0.1)
    pidfd:close()
  end
  return failed("delete", nil, ("the process is still there %d seconds after it was killed"):format(PATIENCE))
end

--- Deletes what there is of a container that has stopped; with `force`, of any: it is killed. Returns true, and what a
--- hook has failed with, or what is left alone of one whose state is broken.
---@param state cella.oci.state
---@param force boolean?
---@return true?, cella.error?
function M.delete(state, force)
  local notes = state.broken and salvage.settle(state)
  local status = state:status()
  local ok, err
  if status ~= "stopped" then
    if not force and status ~= "created" then
      return failed("delete", nil,
        ("cannot delete a container that is %s: it has to be stopped, or --force"):format(status))
    end
    M.kill(state)
    ok, err = await_end(state)
    if not ok then return nil, err end
  end
  ok, err = cgroups.remove(state.data.cgroup)
  if not ok then return nil, err end
  local poststop, hook_error = kept.hooks(state, "poststop")
  if notes and not state.data.bundle and (hook_error or #poststop > 0) then
    notes[#notes + 1] = "its poststop hooks, if it has some, are not run: which bundle they are of is not known"
    poststop, hook_error = {}, nil
  end
  local described = state:describe "stopped"
  ok, err = state:remove()
  if not ok then return nil, err end
  -- After that, as the specification has it: one that does not end holds its own command alone, and no name. All of
  -- them are run, and what fails is said.
  for i, hook in ipairs(poststop or {}) do
    local _, problem = hooks.run("poststop", { hook }, described, { first = i })
    hook_error = hook_error or problem
  end
  return true, notes and salvage.told(state, notes, hook_error) or hook_error
end

return M
