--- Text in the colours of a terminal (console_codes(4)), or in none.

local M = {}

local function sequence(code)
  return function(text) return ("\27[%sm%s\27[0m"):format(code, text) end
end

local function plain(text) return text end

local COLOURED = { user = sequence "1;34", kind = sequence "36", dim = sequence "2", here = sequence "1;32" }
local PLAIN = { user = plain, kind = plain, dim = plain, here = plain }

---@class cella.paint
---@field user fun(text: string): string  a user namespace, a heading
---@field kind fun(text: string): string  the type of another namespace
---@field dim fun(text: string): string   what is less important
---@field here fun(text: string): string  where the reader is

--- How to write words, by what they are.
---@param coloured boolean?
---@return cella.paint
function M.of(coloured) return coloured and COLOURED or PLAIN end

return M
