--- What busted here is given in place of a spec file, which has run elsewhere: blocks and tests that do as those did.

local replay = require "cella.busted.replay"

local M = {}

local state    -- of cella.busted
local current  -- the element of the test that is being replayed
local opened   -- the element of the block or file that is being replayed

--- Prints a part of what a file has printed.
---@param file table
---@param from integer  bytes, behind which it begins
---@param till integer
function M.print_part(file, from, till)
  if till > from then
    io.stdout:write(file.output:sub(from + 1, till))
    io.stdout:flush()
  end
end

--- What no test has printed, and what went to the standard error.
---@param file table
function M.print_rest(file)
  if file.is_printed or not file.record then return end
  file.is_printed = true
  M.print_part(file, file.record.printed, #file.output)
  io.stderr:write(file.errors)
end

-- busted puts the place before words whose first line has none, as of a file with a newline in its name: again.
local function without_place(message, trace)
  local place = ("%s:%d: "):format(trace.short_src or "", trace.currentline or 0)
  local is_there = place:find("\n", 1, true) and message:sub(1, #place) == place
  return is_there and message:sub(#place + 1) or message
end

local function raise(element, message)
  replay.raise(state, element, message.kind, without_place(message.message, message.trace), message.trace)
end

local function perform(file, node, element)
  M.print_part(file, node.printed[2], node.printed[3])
  local first, second = node.told[1], node.told[2]
  if second then element.env.finally(function() raise(element, second) end) end
  if first then raise(element, first) end
end

local function declare_test(file, node)
  local function body() return perform(file, node, current) end
  file.nodes[body] = node
  local descriptor = node.descriptor == "pending" and "pending" or "it"
  state.busted.publish({ "register", descriptor }, node.name, body, node.trace, {})
end

--- What was raised in hooks is told where their block ends, by elements of their kinds in it.
---@param element table  busted's, of the block
---@param due table[]
function M.tell_due(element, due)
  for _, message in ipairs(due) do
    local hook = { descriptor = message.descriptor, name = message.name, attributes = {}, trace = message.trace }
    for _, child in ipairs(state.busted.children(element)) do
      if child.descriptor == message.descriptor and child.attributes.cella_hook then hook = child end
    end
    message.trace.message = message.message
    state.busted.publish({ message.kind, message.descriptor }, hook, element, message.message, message.trace)
  end
end

local HOOKS = { before_each = true, after_each = true, strict_setup = true, strict_teardown = true, lazy_setup = true,
  lazy_teardown = true }

-- In the container it was shuffled, by a seed that failures are told with.
local function keep_order(node)
  local randomize = opened.env and opened.env.randomize
  if randomize then randomize(false) end
  opened.randomseed = node.randomseed
end

--- Declares what a block, or a file, has: it is what its body does here.
---@param file table
---@param node table  of cella.busted.record
function M.declare(file, node)
  keep_order(node)
  for _, message in ipairs(node.due) do
    if HOOKS[message.descriptor] then
      state.busted.publish({ "register", message.descriptor }, message.name, function() end, message.trace,
        { envmode = "unwrap", cella_hook = true })
    end
  end
  for _, child in ipairs(node.children) do
    if child.children then
      local function body() M.declare(file, child) end
      file.nodes[body] = child
      state.busted.publish({ "register", "describe" }, child.name, body, child.trace, {})
    else
      declare_test(file, child)
    end
  end
  local told = node.told[1]
  if told then
    state.spot, told.trace.message = told.trace, told.message
    error(told.message, 0)
  end
end

--- Before the first.
---@param whose table  state of cella.busted
function M.attach(whose) state = whose end

--- busted has begun a file or a block.
---@param element table
function M.open(element) opened = element end

--- busted has begun a test.
---@param element table
function M.begin_test(element) current = element end

return M
