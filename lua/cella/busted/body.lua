--- What happens in the copy: the hooks that belong into the box, the body, its `finally`, in the order that busted has
--- for them; and what became of each, as plain data. busted itself does not run there: nothing is reported twice.

local coverage = require "cella.busted.coverage"

local M = {}

local getinfo = debug.getinfo
local OWN = getinfo(1, "S").source

local function has_text(value)
  return type(value) == "string" or (debug.getmetatable(value) or {}).__tostring ~= nil
end

-- A value that is no text, as busted shows it.
local function pretty(value)
  local there, module = pcall(require, "pl.pretty")
  return there and module.write(value) or tostring(value)
end

---@class cella.busted.spot  where something was raised, as busted has it
---@field source string
---@field short_src string
---@field what string
---@field currentline integer
---@field linedefined integer
---@field lastlinedefined integer
---@field traceback string
---@field message string

-- Whether a frame is busted's own, or luassert's: what the user wrote is further up.
local function is_between(frame, busted_directory)
  return frame.what == "C" or frame.short_src:find "luassert[/\\].*%.lua$" ~= nil
    or frame.source == OWN or frame.source:match "^@(.*)[/\\][^/\\]*$" == busted_directory
end

-- From inside a handler of xpcall.
local function spot_of(subject, err)
  local level = 3
  local frame = getinfo(level, "Sl")
  while frame and is_between(frame, subject.busted_directory) do
    level = level + 1
    frame = getinfo(level, "Sl")
  end
  if not frame then return nil end
  frame.traceback = debug.traceback("", level)
  frame.message = err
  if subject.file then return subject.file.getTrace(subject.file_name, frame) end
  frame.traceback = frame.traceback:sub(1, frame.traceback:find "\n%s*%[C]")
  return frame
end

-- The text of what was raised, as busted makes it; and whether its own __tostring has raised instead. Up to Lua 5.2
-- that may also return what is no text.
local function text_of(err)
  if err == nil then return "Nil error", false end
  if not has_text(err) then return pretty(err), false end
  local fine, text = pcall(tostring, err)
  if type(text) == "string" then return text, not fine end
  return text == nil and pretty(err) or ("__tostring: a string expected, got a %s value"):format(type(text)), not fine
end

-- The words of what was raised, with the line where it was, and whether they are another error's.
local function words_of(subject, err, spot)
  local words, is_other = text_of(err)
  local rewrite = subject.file and subject.file.rewriteMessage
  if rewrite then words = rewrite(subject.file_name, words) end
  if not words:find "^[^\n]-:%d+: .*" and spot then
    words = ("%s:%d: %s"):format(spot.short_src, spot.currentline, words)
  end
  return words, is_other
end

-- The words come home whatever result_limit is, and with them where they begin.
local LONGEST = 65536

local function cut(words)
  return #words > LONGEST and words:sub(1, LONGEST) .. "..." or words
end

-- "failure", "pending" or "error".
local function kind_of(subject, err)
  local meta = debug.getmetatable(err)
  return meta ~= nil and subject.kinds[meta] or "error"
end

local FIELDS = { "source", "short_src", "what", "currentline", "linedefined", "lastlinedefined", "traceback" }

local function plain(spot)
  local copy = {}
  for _, field in ipairs(FIELDS) do
    local value = spot and spot[field]
    if type(value) == "string" or type(value) == "number" then copy[field] = value end
  end
  return copy
end

--- Calls a function; nil where it returns, else what became of it.
---@return { kind: string, message: string, spot: table }?
local function outcome(subject, f)
  local kind, spot, message
  local ok, err = xpcall(f, function(err)
    local is_other
    kind = kind_of(subject, err)
    spot = spot_of(subject, err)
    message, is_other = words_of(subject, err, spot)
    if is_other then kind = "error" end
  end)
  if ok then return nil end
  if not message then
    -- No handler is called where memory runs out, and its own errors end it.
    kind, spot = "error", subject.place
    message = words_of(subject, err, spot)
  end
  return { kind = kind, message = cut(message), spot = plain(spot) }
end

-- The hooks of one kind, block by block from the outermost; those that belong into the box alone.
local function each_level(subject, name, from, step)
  for i = from, name == "before_each" and #subject.blocks or 1, name == "before_each" and 1 or -1 do
    local going_on = true
    for number, hook in ipairs(subject.blocks[i][name] or {}) do
      local f = subject.inside[hook.run]
      if f then going_on = step(f, i, number) and going_on end
    end
    if not going_on and name == "before_each" then return i end
  end
  return nil
end

-- In `finally` and in hooks, as in busted's.
local function refuse_pending()
  local at = getinfo(2, "Sl")
  error(("%s:%d: 'pending' not supported inside current context block"):format(at.short_src, at.currentline), 0)
end

-- What a hook has in place of the test's: all that a test refuses is refused, and what is for tests alone with it,
-- `finally` and `pending`. Globals that it sets are the block's, as busted has it.
local function environment_of_hooks(refused, block)
  local environment = {}
  for name, value in pairs(refused) do environment[name] = value end
  environment.finally, environment.pending = nil, refuse_pending
  return setmetatable(environment, { __newindex = function(_, name, value)
    block.env = block.env or {}
    block.env[name] = value
  end })
end

--- Runs the test. `subject` is what replay.lua has made of the element.
---@param subject table
---@return table[] outcomes  in order; each with `at`, and of a hook with the number of its block and in that
---@return table? lines       what luacov has counted here
function M.run(subject)
  coverage.begin()
  local outcomes = {}
  local function note(at, result, block, number)
    if not result then return true end
    result.at, result.block, result.number = at, block, number
    -- What is no test cannot fail, it is in error.
    if at ~= "it" and result.kind == "failure" then result.kind = "error" end
    outcomes[#outcomes + 1] = result
    return false
  end
  local element, finally = subject.element, nil
  local refused = {}
  for name, value in pairs(element.env) do refused[name] = value end
  local function perform_hook(at, hook, block, number)
    local own = element.env
    element.env = environment_of_hooks(refused, subject.blocks[block])
    local result = outcome(subject, hook)
    element.env = own
    return note(at, result, block, number)
  end
  element.env.finally = function(f) finally = f end
  local stopped = each_level(subject, "before_each", 1, function(f, block, number)
    return perform_hook("before_each", f, block, number)
  end)
  if not stopped then
    note("it", outcome(subject, subject.body))
    if finally then
      element.env.pending = refuse_pending
      note("finally", outcome(subject, finally))
    end
  end
  each_level(subject, "after_each", stopped or #subject.blocks, function(f, block, number)
    perform_hook("after_each", f, block, number)
    return true
  end)
  return outcomes, coverage.counted()
end

return M
