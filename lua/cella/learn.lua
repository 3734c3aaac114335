--- A container's table of what a program needed: it is run, again and again, and each time the container has what the
--- program lacked the time before.
--
-- What is read is opened as the program asks for it. Written is below the directory that it is started in, and nowhere
-- else of the host: elsewhere it gets a place of the container's own. The filter, capabilities and the network stay
-- what they are: what that keeps from the program is told, for whoever reads the table.

local description = require "cella.root.description"
local openings = require "cella.learn.openings"
local validate = require "cella.validate"

local M = {}

---@class cella.learn.request
---@field make fun(): cella.container?, string?  a fresh one, as it is before anything has been learnt
---@field command table    of the program
---@field cwd string?      where it is started, if the container does not say
---@field rounds integer   at most
---@field tell fun(text: string)  what happens

---@class cella.learnt
---@field cwd string?        that it was started in, if the container did not say
---@field openings cella.learn.openings
---@field rounds integer
---@field result cella.result?  of the last run
---@field err cella.error|string|nil  why there is none
---@field is_settled boolean    the last run lacked nothing that could have been opened

local function put_mounts(box, mounts)
  local keys = box.description
  local list = {}
  for _, mount in ipairs(keys.mounts or {}) do list[#list + 1] = mount end
  for _, mount in ipairs(mounts) do
    list[#list + 1] = validate.check(description.mount_rule, openings.entry(mount), "mounts")
  end
  keys.mounts = list
end

local function run(request, learnt, call)
  local box, err = request.make()
  if not box then return nil, err end
  if not box.description.cwd then
    learnt.cwd = request.cwd
    box.description.cwd = request.cwd
  end
  put_mounts(box, learnt.openings:mounts())
  local command = {}
  for key, value in pairs(request.command) do command[key] = value end
  command.denied = call
  return box:run(command)
end

--- Runs a program until it lacks nothing any more that can be opened.
---@param request cella.learn.request
---@return cella.learnt
function M.run(request)
  local learnt = { openings = openings.new(request.cwd), rounds = 0, is_settled = false }
  repeat
    learnt.rounds = learnt.rounds + 1
    learnt.openings:begin()
    request.tell(("run %d"):format(learnt.rounds))
    learnt.result, learnt.err = run(request, learnt, function(event) learnt.openings:note(event) end)
    local opened = learnt.openings:open()
    for _, mount in ipairs(opened) do request.tell("opened: " .. openings.text(mount)) end
    learnt.is_settled = #opened == 0
  until learnt.is_settled or learnt.rounds >= request.rounds
  return learnt
end

return M
