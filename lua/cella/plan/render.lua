--- Steps of the parent's side as data and as text. (Those of the child's are rendered from the operation table,
--- csrc/plan/describe.c.)

local M = {}

local function literal(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" or getmetatable(value) then return tostring(value) end
  local items = {}
  for i, item in ipairs(value) do items[i] = literal(item) end
  return "{" .. table.concat(items, ", ") .. "}"
end

local Name = {}
function Name:__tostring() return self[1] end

--- A value that has a name only when the plan is performed: printed without quotes.
---@param name string
function M.name(name) return setmetatable({ name }, Name) end

---@class cella.plan.call  what a step of the parent's does
---@field op string    the function
---@field args table   its arguments by name
---@field text string  for print

local Call = { __name = "cella.plan.call" }

--- A call with its arguments, each { name, value }: `render.call("open", { "path", "/dev/null" })`.
---@param op string
---@param ... { [1]: string, [2]: any }
---@return cella.plan.call
function M.call(op, ...)
  local args, words = {}, {}
  for i, argument in ipairs { ... } do
    args[argument[1]] = argument[2]
    words[i] = literal(argument[2])
  end
  return setmetatable({ op = op, args = args, text = ("%s(%s)"):format(op, table.concat(words, ", ")) }, Call)
end

--- Whether a value is a call.
---@param value any
---@return boolean
function M.is(value) return getmetatable(value) == Call end

return M
