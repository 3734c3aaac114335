--- A boxed test as busted sees it: its body is replaced by one that has it run in a copy, in a container, and then does
--- as the copy did: returns, or raises the same, with busted's own objects.

local ascii = require "cella.ascii"
local blame = require "cella.blame"
local body = require "cella.busted.body"
local boxes = require "cella.busted.box"
local coverage = require "cella.busted.coverage"
local lists = require "cella.list"
local pristine = require "cella.busted.pristine"
local record = require "cella.busted.record"

local M = {}

---@class cella.busted.state
---@field busted table    busted's interface
---@field inside table<function, function>  what busted has of a hook that belongs into the box -> the hook
---@field after table<function, table>      the same of after_each -> what became of it in the copy
---@field spot table?     where what is raised next was raised

-- How something ended that has not come to an end itself.
local ENDS = {
  exited = function(result)
    -- So a copy ends that cannot go on, and does not come to say why.
    if result.code == 125 then
      return "ended with the status 125, and could not say how: by os.exit, or as it had broken what it needs for that "
        .. "(emptied its globals, left a hook that raises, closed Lua's state or descriptors that are not its own)"
    end
    return ("left by os.exit, with the status %d"):format(result.code)
  end,
  signaled = function(result)
    local number = tostring(result.signal_number)
    if result.signal == number then return "was killed by the signal " .. number end
    return ("was killed by SIG%s (%s)"):format(ascii.upper(result.signal), number)
  end,
  timeout = function(result) return ("was killed: it took longer than %g s"):format(result.limit) end,
  cpu = function(result) return ("was killed: it took more than %g s of processor time"):format(result.limit) end,
  output = function(result) return ("was killed: it wrote more than %.0f bytes"):format(result.limit) end,
  oom = function(result)
    return "was killed: it needed more memory than " .. (result.limit and ("%.0f bytes"):format(result.limit)
      or "there is")
  end,
}

--- The same, of what is named, in a sentence.
---@param result cella.result
---@param what string
---@return string
function M.ended(result, what)
  return what .. " " .. ENDS[result.reason](result)
end

-- Where the test begins, for what has no line of its own.
local function place_of(element)
  local trace = element.trace or {}
  return { source = trace.source or "?", short_src = trace.short_src or "?", what = trace.what or "Lua",
    currentline = trace.currentline or 0, traceback = "" }
end

local function with_place(place, words)
  return ("%s:%d: %s"):format(place.short_src, place.currentline, words)
end

--- Raises what was raised in a copy. busted tells its failures and pendings by their metatables; both come from what it
--- offers.
---@param state cella.busted.state
---@param element table
---@param kind "failure"|"pending"|"error"
---@param message string
---@param spot table   where
function M.raise(state, element, kind, message, spot)
  state.spot = spot
  spot.message = message
  if kind == "pending" then return element.env.pending(message) end
  if kind == "failure" then return state.busted.fail(message, 0) end
  error(message, 0)
end

local raise = M.raise

local function metatable_of(f, ...)
  local _, err = pcall(f, ...)
  return debug.getmetatable(err)
end

-- What in the copy tells what was raised.
local function kinds_of(state, element)
  local kinds = {}
  for _, message in ipairs { "text", {} } do
    local meta = metatable_of(state.busted.fail, message)
    if meta then kinds[meta] = "failure" end
  end
  local meta = metatable_of(element.env.pending, "text")
  if meta then kinds[meta] = "pending" end
  return kinds
end

local function subject_of(state, element, run, place)
  local blocks, file, name = {}, nil, nil
  local block = state.busted.parent(element)
  while block do
    table.insert(blocks, 1, block)
    if block.descriptor == "file" and type(block.run) == "table" then file, name = block.run, block.name end
    block = state.busted.parent(block)
  end
  if file and not file.getTrace then file = nil end
  local publish = debug.getinfo(state.busted.publish, "S").source
  return { element = element, body = run, blocks = blocks, file = file, file_name = name, place = place,
    inside = state.inside, kinds = kinds_of(state, element),
    busted_directory = publish:match "^@(.*)[/\\][^/\\]*$" }
end

local KINDS = { "failure", "pending", "error" }
local PLACES = { "before_each", "it", "finally", "after_each" }

local function is_number_or_none(value) return value == nil or type(value) == "number" end

-- What comes from the copy, as far as it is what was agreed on.
local function checked(outcomes)
  if type(outcomes) ~= "table" then return nil end
  for _, outcome in ipairs(outcomes) do
    if type(outcome) ~= "table" or not lists.contains(KINDS, outcome.kind) or not lists.contains(PLACES, outcome.at)
      or type(outcome.message) ~= "string" or not is_number_or_none(outcome.block)
      or not is_number_or_none(outcome.number) then
      return nil
    end
    outcome.spot = record.spot(outcome.spot)
    if not outcome.spot then return nil end
  end
  return outcomes
end

-- One outcome is the test's own end; that of `finally` is raised where busted runs such; those of after_each, and of
-- a second before_each, where busted would have.
local function replay(state, element, subject, outcomes)
  local own
  for _, outcome in ipairs(outcomes) do
    local block = subject.blocks[outcome.block]
    local hook = block and block[outcome.at] and block[outcome.at][outcome.number]
    if outcome.at == "after_each" and hook then
      state.after[hook.run] = outcome
    elseif outcome.at == "finally" then
      element.env.finally(function() raise(state, element, outcome.kind, outcome.message, outcome.spot) end)
    elseif not own then
      own = outcome
    elseif hook then
      outcome.spot.message = outcome.message
      state.busted.publish({ outcome.kind, outcome.at }, hook, block, outcome.message, outcome.spot)
    end
  end
  if own then raise(state, element, own.kind, own.message, own.spot) end
end

-- The doctor asks for a default container: where this box was refused for another reason, that is said as well.
local function and_here(reason, err)
  if type(err) == "table" and err.why and reason:find(err.why, 1, true) then return reason end
  return reason .. "; this box: " .. tostring(err):gsub("%s*\n%s*", " ")
end

-- Has the body run in its box; what is wrong with that is nil, "error" and words, or, where the host has no such
-- containers, what the keys want then.
local function perform(subject, keys, stubs)
  local made, box, command, own = pcall(boxes.of, keys)
  if not made then return nil, "error", "the box of this test cannot be made: " .. tostring(box) end
  local whole = { function()
    pristine.undo(stubs)
    return body.run(subject)
  end }
  for key, value in pairs(command) do whole[key] = value end
  local started, result, err = pcall(box.run, box, whole)
  if started and result then return result end
  local reason = started and boxes.unavailable(keys)
  if reason then return nil, own.unavailable or "pending", and_here(reason, err) end
  return nil, "error", "the box of this test cannot be started: " .. tostring(started and err or result)
end

-- What is to be raised of a result: nil where the outcomes are good to be replayed.
local function judge(result)
  if result.reason ~= "exited" or result.lost then return "failure", M.ended(result, "the test") end
  if result.error then return "error", tostring(result.error) end
  if not checked(result.values[1]) then return "error", "what came out of the box is not what was put into it" end
  return nil
end

--- Runs an element's body in its box. Called by busted in place of the body; returns or raises as that did.
---@param state cella.busted.state
---@param element table
---@param run function   the body
---@param keys table
function M.run(state, element, run, keys)
  local place = place_of(element)
  local finally = element.env.finally
  local subject = subject_of(state, element, run, place)
  local stubs = pristine.put()
  local result, kind, words = perform(subject, keys, stubs)
  if result then
    if result.values then coverage.add(result.values[2]) end
    kind, words = judge(result)
  end
  pristine.undo(stubs)
  element.env.finally = finally
  if kind then return raise(state, element, kind, with_place(place, words), place) end
  replay(state, element, subject, result.values[1])
end

--- What busted has in place of a hook that belongs into the box.
---@param state cella.busted.state
---@param hook function
---@return function
function M.hook(state, hook)
  local inert
  inert = function()
    local outcome = state.after[inert]
    if not outcome then return end
    state.after[inert], state.spot = nil, outcome.spot
    outcome.spot.message = outcome.message
    error(outcome.message, 0)
  end
  state.inside[inert] = hook
  return inert
end

--- Puts the place in the copy into what busted found out about the line here.
---@param state cella.busted.state
---@param trace table?
function M.put_spot(state, trace)
  local spot = state.spot
  state.spot = nil
  if not spot or type(trace) ~= "table" then return end
  for field in pairs(trace) do trace[field] = nil end
  for field, value in pairs(spot) do trace[field] = value end
end

--- busted's interface, or an error at the line of who calls where no busted is at work.
---@param whose string
---@return table
function M.interface(whose)
  local there, busted = pcall(require, "busted")
  if not there then blame(("%s: busted is not installed for this Lua: %s"):format(whose, tostring(busted))) end
  if type(busted) ~= "table" or type(busted.subscribe) ~= "function" then
    blame(("%s: no busted is running: this is for a spec file or a helper of busted's"):format(whose))
  end
  return busted
end

return M
