--- process:enter, which is above the processes themselves.

local lazy = require "cella.lazy"
---@module "cella.enter"
local enter = lazy "cella.enter"
local blame = require "cella.blame"
local Process = require "cella.process"
local validate = require "cella.validate"

--- Another program where a process of ours is, confined as it is: `process:enter(options)`, with the options of
--- cella.enter.
---@param options cella.enter.keys?
---@return cella.entrance?, cella.error?
function Process.methods:enter(options)
  if options ~= nil and type(options) ~= "table" then blame("a table expected, got " .. validate.show(options)) end
  local copy = {}
  for key, value in pairs(options or {}) do copy[key] = value end
  copy.process = self
  return enter.new(copy)
end
