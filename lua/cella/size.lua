--- Sizes in bytes, as a table of a user's says them: a number, or a text such as "64M".

local M = {}

--- 2^53 - 1: every Lua has it exactly.
M.MOST = 9007199254740991

local UNIT = { [""] = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3, t = 1024 ^ 4 }

--- The bytes that a text stands for: digits and perhaps one of k, m, g, t, in either case, each 1,024 times the one
--- before. They may be more than M.MOST, which is not exact then.
---@param text string
---@return number?  nil where it is no such text
function M.bytes(text)
  local digits, unit = text:match "^(%d+)([kKmMgGtT]?)$"
  -- string.lower goes by the locale.
  unit = unit and ({ K = "k", M = "m", G = "g", T = "t" })[unit] or unit
  return digits and (tonumber(digits) + 0.0) * UNIT[unit] or nil -- an integer would come round
end

return M
