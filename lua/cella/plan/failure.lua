--- A step that has failed, as the error that the caller gets.

local core = require "cella.core"
local Error = require "cella.error"
local explain = require "cella.explain"

local M = {}

--- The number in steps() of a step of the child.
---@param plan cella.plan
---@param index integer
---@return integer
function M.number_of_child_step(plan, index)
  local number = #plan.before + 1 + index
  for _, sync_point in ipairs(plan.sync_points) do
    if index > sync_point.index then number = number + #sync_point.steps end
  end
  return number
end

-- What a step is about, where that is a path on the host or in the container.
local function path_of(plan, step)
  local args = step.args
  local path = args.path or args.to_path or args.new_root or args.target or args.source
  if type(path) ~= "string" then return nil end
  local directory = args.dirfd or args.to_fd
  local place = path:sub(1, 1) ~= "/" and type(directory) == "table" and plan.places[directory.slot]
  return place and (place == "/" and "" or place) .. "/" .. path or path
end

---@param plan cella.plan
---@param number integer  in steps()
---@param fields table    of the error
---@return cella.error
function M.of(plan, number, fields)
  local step = plan:steps()[number]
  fields.step, fields.side, fields.op, fields.text = number, step.side, fields.op or step.op, step.text
  local kind = plan.ids and step.op == "write_file" and step.side == "child"
    and step.args.path:match "^/proc/self/([ug]id)_map$"
  if kind then fields.map = { kind = kind, ids = plan.ids } end
  fields.args, fields.slot = step.args, step.slot
  if not fields.why then
    local obstacle
    fields.why, obstacle = explain.why(fields, plan)
    fields.remedy = fields.remedy or obstacle and obstacle.remedy
  end
  fields.map, fields.args, fields.slot = nil, nil, nil
  if step.op == "call" then
    fields.text = ("call(%q)"):format(plan.program)
  elseif step.op == "execve" then
    fields.path = plan.program
    fields.text = ("execve(%q)"):format(plan.program)
    if core.errno_name(fields.errno or 0) == "ELIBACC" then
      fields.code, fields.errno, fields.message = "ENOENT", 2, core.strerror(2)
    end
  else
    fields.path = fields.path or path_of(plan, step)
  end
  return Error.new(fields)
end

--- What a step of the parent's has returned with nil, as the fields of an error: those of one, or what the core says.
---@return table
function M.fields_of(kept, errno)
  if type(kept) == "string" then return { errno = errno, message = not errno and kept or nil } end
  if not Error.is(kept) then return kept end
  return { errno = kept.errno, code = kept.code, message = kept.message, why = kept.why, op = kept.op,
    path = kept.path, remedy = kept.remedy }
end

return M
