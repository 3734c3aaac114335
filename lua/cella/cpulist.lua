--- Lists of processors or memory nodes as the kernel writes them: "0-2,5" (cpuset(7), "List format").

local validate = require "cella.validate"

local M = {}

local HIGHEST = 65535
local MOST_CPUS = 8192 -- what a kernel can be built for

--- A list as a set; nil where it is none.
---@param text string
---@return table<integer, true>?
function M.parse(text)
  local set, rest = {}, text .. ","
  if text == "" then return set end
  while rest ~= "" do
    local first, last, after = rest:match "^(%d+)%-(%d+),(.*)$"
    if not first then
      first, after = rest:match "^(%d+),(.*)$"
      last = first
    end
    first, last = tonumber(first), tonumber(last)
    if not first or first > last or last > HIGHEST then return nil end
    for number = first, last do set[number] = true end
    rest = after
  end
  return set
end

--- The text, if it names any.
function M.text_rule(value, path)
  validate.rule.line(value, path)
  if value == "" or not M.parse(value) then
    validate.fail(path, 'numbers and ranges such as "0-2,5" expected, got %s', validate.show(value))
  end
  return value
end

local numbers = validate.rule.list(validate.rule.integer(0, MOST_CPUS - 1))

--- "0-2,5", or { 0, 1, 2, 5 }: a list of numbers in ascending order.
---@return integer[]
function M.rule(value, path)
  local list = {}
  if type(value) == "string" then
    for number in pairs(M.parse(M.text_rule(value, path))) do list[#list + 1] = number end
  elseif type(value) == "table" then
    local seen = {}
    for i, number in ipairs(numbers(value, path)) do
      if seen[number] then validate.fail(validate.join(path, i), "%d is there twice", number) end
      seen[number] = true
      list[i] = number
    end
  else
    validate.fail(path, 'processors as "0-2,5" or { 0, 1, 2, 5 } expected, got %s; how much of their time it gets is '
      .. "cgroup = { cpu = 1.5 }", validate.show(value))
  end
  table.sort(list)
  if #list == 0 then validate.fail(path, "the list is empty") end
  if list[#list] >= MOST_CPUS then validate.fail(path, "%d is above %d", list[#list], MOST_CPUS - 1) end
  return list
end

return M
