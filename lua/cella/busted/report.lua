--- The output handler of busted in a container of `cella busted`: all that busted tells of one file it tells, as plain
--- data through a descriptor, and prints nothing. The other files are left out.

local core = require "cella.core"
local coverage = require "cella.busted.coverage"
local listen = require "cella.busted.listen"
local pristine = require "cella.busted.pristine"

local M = {
  NUMBER = 9,                      -- the descriptor
  FILE = "CELLA_BUSTED_FILE",      -- the variable that names the file, as busted does
  LIMIT = 64 * 1024 * 1024,        -- bytes of one message
  HEADER = 10,                     -- digits of its length before it
  MOST = 250000,                   -- messages
  DEEPEST = 190,                   -- blocks in one another; in Lua's own bounds for calls busted comes no further
}

local stdout = io.stdout
local flush, seek = stdout.flush, stdout.seek

local function text(value) return type(value) == "string" and value or nil end

local FIELDS = { "source", "short_src", "what", "currentline", "linedefined", "lastlinedefined", "traceback" }

-- A message has to come whole, and its words are what may be long in it.
local LONGEST = 4 * 1024 * 1024

local function words(message)
  message = tostring(message)
  return #message > LONGEST and message:sub(1, LONGEST) .. "..." or message
end

local function plain(trace)
  local copy = {}
  for _, field in ipairs(FIELDS) do
    local value = type(trace) == "table" and trace[field]
    if type(value) == "string" or type(value) == "number" then copy[field] = value end
  end
  return copy
end

local function send(message)
  local stubs = pristine.put()
  local data = assert(core.serialize.encode("v", { message }, 1, M.LIMIT))
  assert(core.sys.write(M.NUMBER, ("%010d"):format(#data) .. data))
  pristine.undo(stubs)
end

-- How much has been printed: the standard output is a file.
local function printed()
  flush(stdout)
  return seek(stdout, "end") or 0
end

-- In how many blocks of its file an element is.
local function depth_of(busted, element)
  local depth = 0
  local parent = busted.parent(element)
  while parent and parent.descriptor ~= "file" do
    if parent.descriptor == "describe" then depth = depth + 1 end
    parent = busted.parent(parent)
  end
  return depth
end

local events = {}

-- Where names are listed busted passes over this, and nothing but errors is told.
local has_begun = false

local function begin()
  if has_begun then return end
  has_begun = true
  send { event = "run" }
end

-- Of each run that is repeated.
function events.suite_start() send { event = "run" } end

function events.file_end(_, file)
  send { event = "tail", randomseed = tonumber(file.randomseed), printed = printed() }
end

function events.describe_start(_, block)
  send { event = "block", name = text(block.name), trace = plain(block.trace) }
end

function events.describe_end(_, block) send { event = "end", randomseed = tonumber(block.randomseed) } end

function events.test_start(_, test)
  send { event = "test", descriptor = test.descriptor, name = text(test.name), trace = plain(test.trace),
    printed = printed() }
end

function events.test_end(_, test, _, status)
  send { event = "over", status = tostring(status), duration = test.duration, printed = printed() }
end

local function telling(kind)
  return function(busted, element, _, message, trace)
    send { event = "told", kind = kind, descriptor = text(element.descriptor), name = text(element.name),
      message = words(message), trace = plain(trace), depth = depth_of(busted, element) }
  end
end

for _, kind in ipairs { "failure", "error", "pending" } do events[kind] = telling(kind) end

function events.exit() send { event = "exit", lines = coverage.counted() } end

-- Also before a run, or where there is none.
local ALWAYS = {}
for _, name in ipairs { "failure", "error", "pending", "exit" } do ALWAYS[name] = true end

local function subscribe()
  local busted = require "busted"
  require "busted.languages.en" -- the words of its own errors, which a handler loads
  local wanted, seen = os.getenv(M.FILE), false
  -- One of a file that is there twice: what the other does is told by its own container.
  listen(busted, { "register", "file" }, function(name)
    local is_it = not seen and name == wanted
    seen = seen or is_it
    if is_it then send { event = "file" } end
    return not is_it
  end)
  coverage.begin()
  busted.subscribe({ "suite", "start" }, function()
    begin()
    return nil, true
  end, { priority = 1 })
  for name, tell in pairs(events) do
    local channel = {}
    for word in name:gmatch "[^_]+" do channel[#channel + 1] = word end
    listen(busted, channel, function(...)
      if has_begun or ALWAYS[name] then tell(busted, ...) end
      return false
    end)
  end
end

return setmetatable(M, { __call = function() return { subscribe = subscribe } end })
