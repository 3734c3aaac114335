--- The first of several containers that this host can start: what somebody would have, and what is enough where that
--- cannot be. Which it is, is told by what is returned, and by each result.
---
---     local box, refused = cella.first {
---       cella.container { landlock = policy },
---       cella.container { namespaces = "host", landlock = policy },
---     }

local blame = require "cella.blame"
local container = require "cella.container"
local Error = require "cella.error"
local printable = require "cella.printable"
local validate = require "cella.validate"

local M = {}

-- Nobody has a program there, whatever the root is: exec is the last that is done.
local NO_PROGRAM = "/dev/null/cella"

-- How exec says that there is no such program: all before it has worked.
local NOT_THERE = { ENOENT = true, ENOTDIR = true, EACCES = true }

local boxes = validate.rule.list(function(value, path)
  if not container.is(value) then
    validate.fail(path, "a container, as cella.container makes them, expected, got %s", validate.show(value))
  end
  return value
end)

-- Starts it up to its exec. True, or nil and why it cannot be started.
local function try(box)
  local process, err = container.trial(box, { NO_PROGRAM, stdin = "null", stdout = "null", stderr = "null" })
  if process then
    process:close()
    return true
  end
  if err.op == "execve" and NOT_THERE[err.code] then return true end
  return nil, err
end

--- Tries each, in its order, up to its exec: no program runs, and no hook. Returns the first that can be started, as a
--- container that says in each result which it is (result.confinement.choice), and why those before it cannot be; nil
--- and an error where none can, which has them as `tried`.
---@param list cella.container[]
---@return cella.container?, cella.error[]|cella.error
function M.of(list)
  list = validate.check(boxes, list, "containers")
  if #list == 0 then blame "containers: at least one expected" end
  local refused, reasons = {}, {}
  for number, box in ipairs(list) do
    local ok, err = try(box)
    if ok then return container.chosen(box, { number = number, refused = refused }), refused end
    refused[number] = err
    reasons[number] = ("%d: %s"):format(number, printable.text(tostring(err)))
  end
  local err = Error.new { op = "first", code = refused[#refused].code,
    message = ("none of the %d containers can be started here"):format(#list), why = table.concat(reasons, "\n") }
  err.tried = {}
  for number, one in ipairs(refused) do err.tried[number] = { name = ("%d"):format(number), err = one } end
  return nil, err
end

return M
