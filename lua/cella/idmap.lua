--- ID maps as values (see cella.idmap.value for what they can do), and what the kernel would say to one.

local lazy = require "cella.lazy"
---@module "cella.idmap.check"
local check = lazy "cella.idmap.check"
local value = require "cella.idmap.value"

---@class cella.idmap.module : cella.idmap.values
local M = {}
for name, member in pairs(value) do M[name] = member end
M.try = nil -- among ourselves

--- What the kernel would say to a map, why, and what is dangerous though it says nothing: see `cella.idmap.check`.
---@param source string|cella.IdMap  text is checked as the kernel reads it, which is not always as it is meant
---@param host cella.Host
---@param options? cella.idmap.Situation
---@return cella.idmap.Report
function M.check(source, host, options) return check.check(source, host, options) end

return M
