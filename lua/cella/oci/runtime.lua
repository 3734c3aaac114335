--- What a runtime does for a container engine: the operations of the OCI runtime specification (runtime.md), for who
--- names a container and goes away again.

local cgroups = require "cella.oci.cgroup"
local failed = require "cella.oci.failed"
local hooks = require "cella.oci.hooks"
local kept = require "cella.oci.kept"
local lazy = require "cella.lazy"
---@module "cella.oci.ending"
local ending = lazy "cella.oci.ending"
---@module "cella.oci.exec"
local exec = lazy "cella.oci.exec"
local states = require "cella.oci.state"
---@module "cella.oci.waiting"
local waiting = lazy "cella.oci.waiting"

local M = {}

--- Makes a container of a bundle: its process has all that it is to have, and waits for `start`. It does not need its
--- caller any more. Returns its state, and the process, for who stays.
---@param options cella.oci.create.options
---@return cella.oci.state?, cella.error|cella.process|nil
function M.create(options) return lazy.load "cella.oci.create"(options) end

-- Calls what changes a container, with its lock; with `salvages` one that is broken, too.
local function locked(options, salvages, call, ...)
  local state, err = states.open(options.root, options.id, true, salvages)
  if not state then return nil, err end
  local ok, result, problem = pcall(call, state, ...)
  state:unlock()
  if not ok then error(result, 0) end
  return result, problem
end

local function start_in(state)
  local status = state:status()
  if status ~= "created" then
    return failed("start", nil, ("cannot start a container that is %s"):format(status))
  end
  local poststart, err = kept.hooks(state, "poststart")
  if not poststart then return nil, err end
  local first
  first, err = kept.hooks(state, "startContainer")
  if not first then return nil, err end
  local ok = #first == 0
  if not ok then ok, err = exec.run_hooks(state, first) end
  if ok then ok, err = waiting.finish(state) end
  if ok then ok, err = hooks.run("poststart", poststart, state:describe(), { doomed = state:dooms() }) end
  if ok then return true end
  -- A container whose start fails ends (runtime.md).
  ending.kill_process(state)
  return nil, err
end

--- Starts the program of a container that is created.
---@param options { root: string, id: string }
---@return true?, cella.error?
function M.start(options) return locked(options, false, start_in) end

--- What the specification calls the state of a container.
---@param options { root: string, id: string }
---@return table?, cella.error?
function M.state(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  return state:describe()
end

--- Sends a signal to the process of a container; with `all`, to all that are in its cgroup.
---@param options { root: string, id: string, signal: string|integer, all: boolean? }
---@return true?, cella.error?
function M.kill(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  return ending.signal(state, options.signal, options.all)
end

--- Deletes what there is of a container that has stopped; with `force`, of any: it is killed. `force` of one that there
--- is not is no error.
---@param options { root: string, id: string, force: boolean? }
---@return true?, cella.error?
function M.delete(options)
  -- Who holds the lock may wait for a hook that never ends.
  local busy = options.force and states.open(options.root, options.id, false, true)
  if busy then
    busy:doom()
    if not busy.broken then ending.kill(busy) end
  end
  local ok, err = locked(options, options.force or false, ending.delete, options.force)
  if not ok and options.force and err.code == "ENOENT" and err.op == "state" then
    states.sweep(options.root) -- a deletion that has not come to its end has been that of this one, too
    return true
  end
  return ok, err
end

--- Stops all of a container's processes, or lets them go on.
---@param options { root: string, id: string }
---@param frozen boolean
---@return true?, cella.error?
function M.freeze(options, frozen)
  return locked(options, false, function(state)
    local status = state:status()
    if status ~= (frozen and "running" or "paused") then
      return failed(frozen and "pause" or "resume", nil, ("the container is %s"):format(status))
    elseif not state.data.cgroup then
      return failed("pause", nil, "the container has no cgroup of its own", nil,
        "linux.cgroupsPath was not given, or there is no cgroup v2 here")
    end
    return cgroups.freeze(state.data.cgroup, frozen)
  end)
end

-- As a shell has it.
local function status_of(process)
  local result, err = process:wait()
  if not result then return nil, err end
  return result.code or 128 + result.signal_number
end

--- Starts another program in a container. Returns its exit status; 0 with `detach`, as soon as it runs.
---@param options table
---@return integer?, cella.error?
function M.exec(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  local process
  process, err = exec.start(state, options)
  if not process then
    if err.op == "execve" then err.status = err.code == "ENOENT" and 127 or 126 end
    return nil, err
  end
  if options.detach then
    exec.detach(process)
    return 0
  end
  return status_of(process)
end

--- Creates, starts, and waits for the end, after which nothing is left but with `keep`. Returns the exit status; 0 with
--- `detach`, as soon as it runs.
---@param options cella.oci.create.options
---@param detach boolean?
---@param keep boolean?
---@return integer?, cella.error?
function M.run(options, detach, keep)
  local state, process = M.create(options)
  if not state then return nil, process end
  local ok, err = M.start(options)
  local status
  if ok and detach then return 0 end
  if ok then status, err = status_of(process) end
  if keep and ok then return status, err end
  local deleted, problem = M.delete { root = options.root, id = options.id, force = true }
  if not ok or not status then return nil, err end
  if not deleted then return nil, problem end
  return status
end

--- The processes of a container.
---@param options { root: string, id: string }
---@return { pid: integer, parent: string, uid: string, command: string }[]?, cella.error?
function M.processes(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  return lazy.load "cella.oci.processes"(state)
end

--- All containers, as `state` tells them, and what is wrong with those of which nothing can be told.
---@param root string
---@return table[]?, cella.error[]|cella.error
function M.list(root)
  local result, broken = {}, {}
  local ids, problem = states.list(root)
  if not ids then return nil, problem end
  for _, id in ipairs(ids) do
    local state, err = states.open(root, id)
    if state then
      result[#result + 1] = state:describe()
    elseif err.code ~= "ENOENT" then -- deleted in this moment
      broken[#broken + 1] = err
    end
  end
  return result, broken
end

return M
