--- Tests of busted's whose bodies run in containers: in a forked copy that sees their upvalues, and of which nothing
--- stays. See doc/busted.md.
---
---     local boxed = require "cella.busted"
---     boxed.it("cleans up", { timeout = 5 }, function()
---       assert(os.execute "rm -rf *")
---     end)

-- busted forgets between files what one has loaded, but not who has subscribed to its events: there is one of this.
local registry = debug.getregistry()
local ONE = "cella.busted"
if registry[ONE] then return registry[ONE] end

local blame = require "cella.blame"
local lazy = require "cella.lazy"
local load_everything = require "cella.everything"
---@module "cella.busted.keys"
local keys_module = lazy "cella.busted.keys"
local listen = require "cella.busted.listen"
local pristine = require "cella.busted.pristine"
---@module "cella.busted.replay"
local replay = lazy "cella.busted.replay"
local validate = require "cella.validate"

local M = {}

local state = {
  inside = setmetatable({}, { __mode = "k" }),
  after = setmetatable({}, { __mode = "k" }),
  marks = setmetatable({}, { __mode = "k" }),  -- attributes of a test or block that was boxed by name -> its keys
  bodies = setmetatable({}, { __mode = "k" }), -- a test that is running -> its body
  merged = setmetatable({}, { __mode = "k" }), -- attributes of a test -> all keys, put together
  blocks = {},                                 -- the file and the blocks that are being performed
}

-- The keys of all that an element is in, and its own; nil where nothing of it is boxed.
local function keys_of(element)
  local levels = {}
  local at = element
  while at do
    levels[#levels + 1] = at.attributes and state.marks[at.attributes] or nil
    at = state.busted.parent(at)
  end
  if state.file then levels[#levels + 1] = state.file end
  if state.suite then levels[#levels + 1] = state.suite end
  if #levels == 0 then return nil end
  local keys = {}
  for i = #levels, 1, -1 do keys = keys_module.merge(keys, levels[i]) end
  return keys
end

-- Whether what is registered now will be in a box with all tests that it is for.
local function in_box()
  if state.suite or state.file then return true end
  local at = state.blocks[#state.blocks]
  while at do
    if at.attributes and state.marks[at.attributes] then return true end
    at = state.busted.parent(at)
  end
  return false
end

local events = {}

function events.file_start(file) state.blocks, state.file = { file }, nil end
function events.file_end() state.blocks, state.file = {}, nil end
function events.describe_start(block) table.insert(state.blocks, block) end
function events.describe_end() table.remove(state.blocks) end

function events.test_start(element)
  if element.descriptor ~= "it" or state.bodies[element] or state.is_inert then return end
  local keys = keys_of(element)
  if not keys then return end
  local run = element.run
  state.bodies[element] = run
  element.run = function() return replay.run(state, element, run, keys) end
end

function events.test_end(element)
  if not state.bodies[element] then return end
  element.run, state.bodies[element] = state.bodies[element], nil
end

local OWN = debug.getinfo(1, "S").source

-- Keys that are refused are told where they were written: busted takes the first frame that is none of its own for the
-- place, and that is one of this file.
local function placed(_, _, message, trace)
  local refused = state.refused
  state.refused = nil
  if refused and type(trace) == "table" and trace.source == OWN and message == refused.message then
    state.spot = refused
  end
  replay.put_spot(state, trace)
end
for _, kind in ipairs { "failure_it", "error_it", "pending_it", "error_after_each", "error_describe",
  "error_file" } do events[kind] = placed end

-- A hook that belongs into the box: busted gets one in its place, which tells what the hook did in there.
local function register(descriptor)
  return function(name, f, trace, attributes)
    if state.passing or state.is_inert or type(f) ~= "function" or not in_box() then return false end
    state.passing = true
    state.busted.publish({ "register", descriptor }, name, replay.hook(state, f), trace, attributes)
    state.passing = false
    return true
  end
end

-- Each copy has all of cella; and all that a box takes is of one loading, that of the first file which has boxes.
local function load_all()
  if state.has_all then return end
  state.has_all = true
  load_everything()
  local _, _ = keys_module.TIMEOUT, replay.run -- no longer lazy
  for _, one in ipairs { pristine, require "cella.busted.pristine" } do one.keep_modules() end
end

local function attach(whose)
  if state.busted then return end
  load_all()
  local busted = replay.interface(whose)
  state.busted = busted
  for name, handle in pairs(events) do
    local first, second = name:match "^([a-z]+)_([a-z_]+)$"
    listen(busted, { first, second }, function(...)
      handle(...)
      return false
    end)
  end
  for _, descriptor in ipairs { "before_each", "after_each" } do
    listen(busted, { "register", descriptor }, register(descriptor))
  end
end

-- The first frame of the user's, as busted describes one.
local function caller()
  local level = 2
  local frame = debug.getinfo(level, "Sl")
  while frame and (frame.what == "C" or frame.what == "tail" or frame.source == OWN) do
    level = level + 1
    frame = debug.getinfo(level, "Sl")
  end
  if not frame then return nil end
  frame.traceback = debug.traceback("", level)
  frame.traceback = frame.traceback:sub(1, (frame.traceback:find "\n%s*%[C]"))
  return frame
end

-- Raises what blame would, and keeps where that is. `is_placed`: the message has its line already.
local function refuse(message, is_placed)
  local place = caller()
  if not is_placed then message = select(2, pcall(blame, message)) end
  if place then place.message = message end
  state.refused = place
  error(message, 0)
end

local function checked(keys, whose)
  local stubs = pristine.put()
  local ok, result = pcall(keys_module.check, keys or {}, whose)
  pristine.undo(stubs)
  if not ok then refuse(result, true) end
  return result
end

local function declare(whose, descriptor, attributes, name, keys, body, trace)
  attach(whose)
  if type(name) ~= "string" then refuse(("%s: a name expected, got %s"):format(whose, validate.show(name))) end
  if body == nil and type(keys) == "function" then keys, body = nil, keys end
  if type(body) ~= "function" then
    refuse(("%s: a function expected as its body, got %s"):format(whose, validate.show(body)))
  end
  keys = checked(keys, whose)
  state.marks[attributes] = keys
  if trace then trace.message = name end
  state.busted.publish({ "register", descriptor }, name, body, trace, attributes)
end

--- busted's `it`, whose body runs in a container.
---@param name string
---@param keys cella.busted.keys|function  keys of a container and of a command; may be left out
---@param body function?
function M.it(name, keys, body)
  local trace = caller()
  declare("boxed.it", "it", {}, name, keys, body, trace)
end

--- busted's `describe`: each `it` inside is boxed, and with it each before_each and after_each inside.
---@param name string
---@param keys cella.busted.keys|function  may be left out
---@param body function?
function M.describe(name, keys, body)
  local trace = caller()
  declare("boxed.describe", "describe", {}, name, keys, body, trace)
end

--- The same with busted's `insulate`: what the block changes in globals and loaded modules ends with it.
---@param name string
---@param keys cella.busted.keys|function  may be left out
---@param body function?
function M.insulate(name, keys, body)
  local trace = caller()
  declare("boxed.insulate", "describe", { envmode = "insulate" }, name, keys, body, trace)
end

-- Whether busted is loading its helper: the last frame of busted's that there is says so.
local function in_helper()
  local level = 2
  while true do
    local frame = debug.getinfo(level, "S")
    if not frame then return false end
    if frame.source:find "busted[/\\]modules[/\\]helper_loader%.lua$" then return true end
    level = level + 1
  end
end

--- Boxes each `it` of this file, or, from a helper, of the whole suite, with these keys.
---@param keys cella.busted.keys?
function M.setup(keys)
  attach "boxed.setup"
  keys = checked(keys, "boxed.setup")
  local scope = in_helper() and "suite" or "file"
  state[scope] = keys_module.merge(state[scope] or {}, keys)
end

--- For cella.busted.files, whose tests have run elsewhere: nothing is boxed any more.
---@return cella.busted.state
function M.give_way()
  attach "cella busted"
  state.is_inert = true
  return state
end

-- Who requires this: the function that has called `require`.
local function required_by()
  local level = 3
  while true do
    local frame = debug.getinfo(level, "S")
    if not frame or frame.what ~= "C" and frame.what ~= "tail" then return frame and frame.source or "" end
    level = level + 1
  end
end

-- The words after -Xhelper, which busted takes apart at commas, are the inside of a table.
local function helper_keys()
  local words = {}
  for i, word in ipairs(type(arg) == "table" and arg or {}) do words[i] = word end
  local source = "return {" .. table.concat(words, ",") .. "}"
  local load_text = loadstring or load -- luacheck: ignore 143 113
  local chunk, message = load_text(source, "=-Xhelper")
  if not chunk then blame(("cella.busted: -Xhelper: %s"):format(message)) end
  return chunk()
end

registry[ONE] = M

-- busted forgets what is loaded later than its helper. (This is there for who asks meanwhile.)
package.loaded["cella.busted"] = M
if not required_by():find "cella[./\\]everything" then load_all() end

-- As --helper=cella.busted: the whole suite.
if required_by():find "busted[/\\]modules[/\\]helper_loader%.lua$" then M.setup(helper_keys()) end

return M
