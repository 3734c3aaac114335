--- What a worker is asked for: a call, or a source to load, as a request that is ready to be written.

local blame = require "cella.blame"
local channel = require "cella.worker.channel"
local failed = require "cella.worker.failed"
local printable = require "cella.printable"
local validate = require "cella.validate"

local M = {}

local function check_name(value, path)
  validate.rule.line(value, path)
  if value == "" or #value > 200 then validate.fail(path, "1 to 200 bytes expected, got %d", #value) end
  return value
end

local function source_rule(value, path)
  if type(value) ~= "string" then validate.fail(path, "a string expected, got %s", validate.show(value)) end
  return value
end

-- A job whose request is ready. What cannot be handed over is the caller's mistake.
local function new_job(self, kind, job, values, count)
  local id, err = self.ids()
  if not id then return nil, err end
  values[1] = id
  local request, problem = channel.request(kind, values, count)
  if not request then
    local number, rest = problem:match "^value (%d+)(.*)$"
    blame(number and ("argument %d%s"):format(tonumber(number) - 3, rest) or problem)
  end
  job.id, job.request = id, request
  return job
end

--- Loads a source. The caller's mistakes are raised.
---@param self cella.worker
---@param name string
---@param source string
---@return table?, cella.error?
function M.load(self, name, source)
  validate.check(check_name, name, "name")
  validate.check(source_rule, source, "source")
  if source:byte(1) == 27 then
    return nil, failed(self, "source", ("%s is bytecode, and a worker takes text alone"):format(printable.line(name)))
  end
  return new_job(self, "l", { name = name, source = source }, { false, name, source }, 3)
end

--- Calls a function of a source. The caller's mistakes are raised.
---@param self cella.worker
---@param name string
---@param func string
---@param ... any
---@return table?, cella.error?
function M.call(self, name, func, ...)
  validate.check(check_name, name, "name")
  validate.check(check_name, func, "function")
  if not self.sources[name] then
    local names = {}
    for known in pairs(self.sources) do names[#names + 1] = known end
    local near = validate.nearest(name, names)
    return nil, failed(self, "missing", ("nothing is loaded as %q%s"):format(name,
      near and ("; did you mean %q?"):format(near) or ": worker:load(name, source) does it"))
  end
  local values = { false, name, func, ... }
  return new_job(self, "c", { name = name, call = func }, values, select("#", ...) + 3)
end

return M
