--- What a file's container has told (report.lua), as a tree: runs of the suite, each of blocks and tests.
--
-- The file that is run there can write to the same descriptor: each message is checked, and with the first that busted
-- would not have told the telling ends.

local core = require "cella.core"
local report = require "cella.busted.report"

local M = {}

---@class cella.busted.node
---@field name string?
---@field trace table
---@field children cella.busted.node[]?  of a block, and of a run
---@field told table[]         what was raised in it, in order: kind, message, trace
---@field due table[]?         of a block: what was raised in hooks of its, beside their descriptor
---@field randomseed number?   of a block, and of a run: by which its children were shuffled
---@field descriptor string?   of a test: "it" or "pending"
---@field duration number?     of a test
---@field printed integer[]?  of a test: how much had been printed when the one before it ended, when it began, and when
---  it ended; of a run: when its last test ended, and when its file did

local function block(message)
  return { name = message.name, trace = message.trace, children = {}, told = {}, due = {} }
end

local rule = {}

function rule.text(value) return type(value) == "string" and value or nil, "a string" end

function rule.whole(value)
  local good = type(value) == "number" and value == math.floor(value) and math.abs(value) <= 2 ^ 53
  return good and value or nil, "a whole number"
end

function rule.count(value)
  return rule.whole(value) and value >= 0 and value or nil, "a number of something"
end

function rule.seconds(value)
  return type(value) == "number" and math.abs(value) < math.huge and value or nil, "a number of seconds"
end

function rule.kind(value)
  return (value == "failure" or value == "error" or value == "pending") and value or nil, "a kind of end"
end

function rule.status(value)
  return (value == "success" or rule.kind(value)) and value or nil, "how a test has ended"
end

function rule.map(value) return type(value) == "table" and value or nil, "a table" end

--- Where something is, as far as it is what debug.getinfo tells: as busted has it. Nil of anything else.
---@param value any
---@return table?, string expected
function rule.spot(value)
  local expected = "a place"
  if type(value) ~= "table" then return nil, expected end
  local spot = {}
  for _, field in ipairs { "source", "short_src", "what", "traceback", "message" } do
    local text = value[field]
    if text ~= nil and type(text) ~= "string" then return nil, expected end
    spot[field] = text
  end
  for _, field in ipairs { "currentline", "linedefined", "lastlinedefined" } do
    local line = value[field]
    if line ~= nil and not (rule.whole(line) and math.abs(line) < 2 ^ 31) then return nil, expected end
    spot[field] = line
  end
  if next(spot) then
    spot.source, spot.short_src = spot.source or "?", spot.short_src or "?"
    spot.currentline = spot.currentline or 0
  end
  return spot, expected
end

M.spot = rule.spot

-- The same of what busted always knows the place of.
function rule.place(value)
  local spot, expected = rule.spot(value)
  if spot and not next(spot) then spot = { source = "?", short_src = "?", currentline = 0 } end
  return spot, expected
end

-- What each message has; "?": or has not.
local FIELDS = {
  run = {},
  file = {},
  block = { name = "text?", trace = "place" },
  ["end"] = { randomseed = "whole?" },
  test = { name = "text?", trace = "place", descriptor = "text", printed = "count" },
  over = { status = "status", duration = "seconds?", printed = "count" },
  told = { kind = "kind", descriptor = "text?", name = "text?", message = "text", trace = "spot", depth = "count" },
  tail = { randomseed = "whole?", printed = "count" },
  exit = { lines = "map?" },
}

-- A message as it was agreed on; or nil, and what is wrong with it.
local function checked(value)
  local fields = type(value) == "table" and type(value.event) == "string" and FIELDS[value.event]
  if not fields then return nil, "there is no such message" end
  local message = { event = value.event }
  for name, check in pairs(fields) do
    local its, optional = check:match "^([a-z]+)(%??)$"
    local given = value[name]
    if given ~= nil or optional == "" then
      local good, expected = rule[its](given)
      if good == nil then
        return nil, ("%s of %q: %s expected, got a %s"):format(name, value.event, expected, type(given))
      end
      message[name] = good
    end
  end
  return message
end

-- The message that begins at a byte: itself, and where the next begins. Nil where there is none that is whole, and
-- what is wrong with one.
local function message_at(data, at)
  local head = data:sub(at, at + report.HEADER - 1)
  if #head < report.HEADER then return nil, at <= #data and "it is not whole" or nil end
  local size = head:find "^[0-9]+$" and tonumber(head)
  if not size or size > report.LIMIT then return nil, "it has no length" end
  local from = at + report.HEADER
  if #data < from + size - 1 then return nil, "it is not whole" end
  local kind, values = core.serialize.decode(data:sub(from, from + size - 1), report.LIMIT)
  if kind ~= "v" then return nil, type(values) == "string" and values or "it is of another kind" end
  local message, wrong = checked(values[1])
  if not message then return nil, wrong end
  return message, from + size
end

local take = {}

function take.run(state)
  state.run = block { trace = {} }
  state.runs[#state.runs + 1], state.open, state.test = state.run, { state.run }, nil
end

function take.file(state) state.has_file = true end

function take.block(state, message)
  if #state.open > report.DEEPEST then return ("more than %d blocks are in one another"):format(report.DEEPEST) end
  local node = block(message)
  table.insert(state.open[#state.open].children, node)
  table.insert(state.open, node)
end

take["end"] = function(state, message)
  if #state.open > 1 then table.remove(state.open).randomseed = message.randomseed end
end

function take.test(state, message)
  state.test = { name = message.name, trace = message.trace, descriptor = message.descriptor, told = {},
    printed = { state.printed, message.printed, message.printed } }
  table.insert(state.open[#state.open].children, state.test)
end

-- busted counts a test by its status, whatever it has told of it: of what was kept from being told there is that.
local function tell_untold(test, status)
  if status == "success" or test.descriptor ~= "it" then return end
  for _, message in ipairs(test.told) do
    if message.kind == status then return end
  end
  local place = rule.place(test.trace)
  local kind = status == "error" and "an error" or status == "failure" and "a failure" or "pending"
  table.insert(test.told, { kind = status, trace = place, message = ("%s:%d: the test has ended as %s, and in its "
    .. "process busted was kept from telling of it"):format(place.short_src, place.currentline, kind) })
end

function take.over(state, message)
  local test = state.test
  if not test then return end
  tell_untold(test, message.status)
  test.duration, test.printed[3] = message.duration, message.printed
  state.printed, state.test = message.printed, nil
end

function take.told(state, message)
  if not state.run then
    if state.has_file then table.insert(state.early, message) end
    return
  end
  if message.descriptor == "it" and state.test then
    table.insert(state.test.told, message)
  elseif message.descriptor == "describe" or message.descriptor == "file" then
    table.insert(state.open[#state.open].told, message)
  elseif message.descriptor == "it" and message.kind ~= "error" then
    return "what became of a test is told outside of one"
  else
    table.insert(state.open[math.min(message.depth + 1, #state.open)].due, message)
  end
end

function take.tail(state, message)
  state.run.randomseed = message.randomseed
  state.run.printed, state.printed = { state.printed, message.printed }, message.printed
end

function take.exit(state, message)
  state.is_whole, state.lines = true, message.lines
end

-- What may come while there is no run.
local EARLY = { run = true, exit = true, file = true, told = true }

---@class cella.busted.record
---@field runs cella.busted.node[]
---@field test cella.busted.node?  that was at work when it ended before its time
---@field is_whole boolean?        busted has come to its end
---@field has_failed boolean?
---@field has_file boolean?
---@field lines table?
---@field early table[]            what was told of the file where there is no run: names are listed
---@field printed integer
---@field problem string?          why what follows is left out: busted would not have told it
---@field is_cut boolean?          the last message is not whole: as of a process that was killed

--- Reads it.
---@param data string
---@return cella.busted.record
function M.read(data)
  local state, at, count = { runs = {}, early = {}, printed = 0 }, 1, 0
  while true do
    local message, next_at = message_at(data, at)
    local wrong = not message and next_at or nil
    count = count + 1
    if message and count > report.MOST then wrong = ("there are more than %d"):format(report.MOST) end
    if message and not wrong then
      -- A file that busted does not find is told of before the run.
      if message.event == "told" and message.kind ~= "pending" then state.has_failed = true end
      if state.run or EARLY[message.event] then wrong = take[message.event](state, message) end
      at = next_at
    end
    if wrong == "it is not whole" then
      state.is_cut = true
      return state
    elseif wrong then
      state.problem, state.is_whole = ("message %d: %s"):format(count, wrong), nil
      return state
    elseif not message then
      return state
    end
  end
end

return M
