--- Letters as ASCII has them. What is ASCII by definition (names of capabilities, words of files in /proc) must read
--- the same in every locale: in a Turkish one `lower` makes no "i" of an "I", and %a and %w take letters that the
--- kernel does not. %d and %x are the same in every locale (C11, 7.4.1.5 and 7.4.1.12), and the C libraries of Linux
--- have no %s beyond ASCII in a locale of one byte a character: those three stay in use.

local M = {}

local LOWER, UPPER = {}, {}
for byte = ("A"):byte(), ("Z"):byte() do
  local upper, lower = string.char(byte), string.char(byte + 32)
  LOWER[upper], UPPER[lower] = lower, upper
end

--- The text with a to z in place of A to Z.
---@param text string
---@return string
function M.lower(text)
  return (text:gsub("[A-Z]", LOWER))
end

--- The text with A to Z in place of a to z.
---@param text string
---@return string
function M.upper(text)
  return (text:gsub("[a-z]", UPPER))
end

return M
