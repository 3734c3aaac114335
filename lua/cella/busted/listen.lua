--- busted's events, heard before whoever has subscribed to them, also later and at the same place: a subscriber may end
--- an event there, and none that it would pass over may be what puts a test into its box, or tells that one has failed.

local blame = require "cella.blame"

local listeners = setmetatable({}, { __mode = "k" }) -- what busted publishes by -> a list of channels and functions

-- What busted's interface publishes by, which only its functions know.
local function mediator_of(busted)
  for _, name in ipairs { "publish", "subscribe" } do
    local index = 1
    while type(busted[name]) == "function" do
      local upvalue, value = debug.getupvalue(busted[name], index)
      if not upvalue then break end
      if type(value) == "table" and type(value.getChannel) == "function" and type(value.publish) == "function" then
        return value
      end
      index = index + 1
    end
  end
  return nil
end

-- A channel is heard with all that begin as it does.
local function is_of(event, channel)
  if type(event) ~= "table" then return false end
  for i = 1, #channel do
    if event[i] ~= channel[i] then return false end
  end
  return true
end

local function put_before(mediator)
  local list, publish = {}, mediator.publish
  listeners[mediator] = list
  mediator.publish = function(self, event, ...)
    for i = 1, #list do
      if is_of(event, list[i].channel) and list[i].handle(...) then return {} end
    end
    return publish(self, event, ...)
  end
  return list
end

--- Has a function hear of an event first. Where it returns true, nobody else does. Of several functions the one whose
--- channel has more words comes first, and then the one that came last.
---@param busted table     its interface
---@param channel string[]
---@param handle function
return function(busted, channel, handle)
  local mediator = mediator_of(busted)
  if not mediator then blame "cella.busted: this busted publishes its events otherwise than those that are known" end
  local list = listeners[mediator] or put_before(mediator)
  local at = 1
  while list[at] and #list[at].channel > #channel do at = at + 1 end
  table.insert(list, at, { channel = channel, handle = handle })
end
