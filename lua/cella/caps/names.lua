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

local function check_number(number, path)
  local whole = number == math.floor(number) and (not math.type
    or math.type(number) == "integer") -- luacheck: ignore 143
  if not whole or number < 0 or number > M.last then
    fail(path, "%s is no capability: this kernel has 0 (%s) to %d (%s)", tostring(number), label[0], M.last,
      tostring(label[M.last]))
  end
  return number
end

--- What there is in place of an unknown name: the nearest one, or all.
function M.instead_of(name)
  local near = validate.nearest((ascii.lower(name):gsub("^cap_", "")), known)
  return near and ("; did you mean '%s'?"):format(near) or "; there are " .. table.concat(known, ", ")
end

-- "net_raw", "CAP_NET_RAW", "13"
local function check_name(text, path)
  local name = ascii.lower(text):gsub("^cap_", "")
  if number_of[name] then return number_of[name] end
  if text:find("^%d+$") and #text <= 9 then return check_number(tonumber(text), path) end
  if text:find("^%-%d+$") then
    fail(path, "%s is no capability: this kernel has 0 (%s) to %d (%s)", text, label[0], M.last,
      tostring(label[M.last]))
  end
  fail(path, "unknown capability %s%s", validate.show(text), M.instead_of(text))
end

--- The number of a name or number of a capability; refuses what this kernel does not have, naming what is near.
--- For use inside rules of cella.validate.
function M.number(value, path)
  if type(value) == "number" then return check_number(value, path) end
  if type(value) ~= "string" then
    fail(path, "the name or number of a capability expected, got %s", validate.show(value))
  end
  return check_name(value, path)
end

--- The members of a mask of hexadecimal digits, whatever kernel it comes from: a table number -> true.
---@param digits string
---@return table<integer, boolean>
function M.mask_members(digits)
  local members, position = {}, 0
  for i = #digits, 1, -1 do
    local nibble = tonumber(digits:sub(i, i), 16)
    for bit = 0, 3 do
      if nibble % 2 == 1 then members[position + bit] = true end
      nibble = math.floor(nibble / 2)
    end
    position = position + 4
  end
  return members
end

--- By number: the name, or the number itself where libcap has none.
M.label = label
M.number_of = number_of
--- Every name that there is, in the order of the numbers.
M.known = known

return M
