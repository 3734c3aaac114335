--- The container that a command line means: that of a file, one whose keys it says, or the default one.

local chunks = require "cella.cli.chunk"
local common = require "cella.cli.common"
local container = require "cella.container"
local validate = require "cella.validate"

local M = {}

local KEYS = "-e" -- what stands for a file's name in messages

-- A table that describes a container, as one.
local function described(box, place)
  if getmetatable(box) == nil and type(box) == "table" then
    local ok
    ok, box = common.try(container.new, box)
    if not ok then return nil, place .. ": " .. tostring(box) end
  end
  return box
end

-- A word that was not found as a file may have been meant as a program.
local function unread(path, message)
  if path:find("%.lua$") or path:find("/", 1, true) then return message end
  return ("%s\n  (a program in the default container stands behind `--`: cella run -- %s)"):format(message, path)
end

local function of_file(path, arguments)
  local chunk, message = loadfile(path)
  if not chunk then
    local file = io.open(path)
    if file then file:close() else message = unread(path, message) end
    return nil, message
  end
  local unpack = table.unpack or unpack
  local ok, box = xpcall(function() return chunk(unpack(arguments)) end, function(err)
    -- error(message, 0) is how a file speaks to its user: without a position there is nothing to trace.
    return type(err) == "string" and err:find("^[^\n]-:%d+: ") and debug.traceback(err, 2) or tostring(err)
  end)
  if not ok then return nil, box end
  local err
  box, err = described(box, path)
  if err then return nil, err end
  if type(box) ~= "table" or type(box.plan) ~= "function" then
    return nil, path .. ": returns no container: the last line has to be `return cella.container { ... }`"
  end
  return box
end

-- A name that means nothing would be nil, and the key whose value it is would not be there: that is refused.
local names = setmetatable({}, { __index = function(_, name)
  local value = chunks.value(name)
  if value == nil then value = _G[name] end
  if value == nil then
    local near = validate.nearest(name, chunks.NAMES)
    local hint = near and ("did you mean '%s'?"):format(near) or ("a text has quotes: %q"):format(name)
    error(("%s: there is nothing of the name %s; %s"):format(KEYS, name, hint), 0)
  end
  return value
end })

local function of_keys(keys)
  local chunk, message = chunks.compile("return {" .. keys .. "}", "=" .. KEYS, names)
  -- The keys may end with a comment.
  chunk = chunk or chunks.compile("return {" .. keys .. "\n}", "=" .. KEYS, names)
  if not chunk then return nil, message end
  local returned = (table.pack or function(...) return { n = select("#", ...), ... } end)(pcall(chunk))
  if not returned[1] then return nil, tostring(returned[2]) end
  if returned.n ~= 2 then return nil, KEYS .. ": more than the inside of one table: " .. keys end
  return described(returned[2], KEYS)
end

--- What is to be started: a container, or nil and why there is none.
---@param request { file: string?, keys: string?, arguments: string[]? }
---@return cella.container?, string?
function M.load(request)
  if request.file then return of_file(request.file, request.arguments or {}) end
  return of_keys(request.keys or "")
end

return M
