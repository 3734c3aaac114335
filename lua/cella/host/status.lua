--- /proc/PID/status (proc_pid_status(5)), from its text: so that what is read of it is of one moment.

local M = {}

--- A field; nil where there is none of that name.
---@param text string
---@param name string  "Uid"
---@return string?
function M.field(text, name)
  return ("\n" .. text):match("\n" .. name .. ":[ \t]*([^\n]*)")
end

--- The numbers of a field; none where there is none of that name.
---@param text string
---@param name string
---@return integer[]
function M.numbers(text, name)
  local list = {}
  for number in (M.field(text, name) or ""):gmatch "%d+" do list[#list + 1] = tonumber(number) end
  return list
end

return M
