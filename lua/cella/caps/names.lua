--- The capabilities that there are: those of the running kernel, by libcap's names.

local ascii = require "cella.ascii"
local core = require "cella.core"
local validate = require "cella.validate"

local M = {}

--- The number of the running kernel's highest capability, asked at run time.
M.last = core.sys.last_capability()

local label, number_of, known = {}, {}, {}
for number = 0, M.last do
  label[number] = core.caps.name(number) or number
  if type(label[number]) == "string" then
    number_of[label[number]] = number
    known[#known + 1] = label[number]
  end
end

local fail = validate.fail

--- What there is in place of an unknown name: the nearest one, or all.
function M.instead_of(name)
  local near = validate.nearest((ascii.lower(name):gsub("^cap_", "")), known)
  return near and ("; did you mean '%s'?"):format(near) or "; there are " .. table.concat(known, ", ")
end

--- The number of a name or number of a capability; refuses what this kernel does not have, naming what is near.
--- For use inside rules of cella.validate.
function M.number(value, path)
  if type(value) ~= "number" and type(value) ~= "string" then
    fail(path, "the name or number of a capability expected, got %s", validate.show(value))
  end
  local number, problem, is_unknown = core.caps.number(value)
  if number then return number end
  if is_unknown then fail(path, "unknown capability %s%s", validate.show(value), M.instead_of(value)) end
  fail(path, "%s", problem)
end

--- By number: the name, or the number itself where libcap has none.
M.label = label
M.number_of = number_of
--- Every name that there is, in the order of the numbers.
M.known = known

return M
