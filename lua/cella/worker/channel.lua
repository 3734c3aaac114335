--- What goes to a worker's interpreter, and what comes back: messages of csrc/lib/message.h, each behind its length as
--- ten digits. What comes back may be anything: it is bounded, has to answer the one request that there is, and to
--- name it by a number that nobody could guess.

local capture = require "cella.process.capture"
local core = require "cella.core"
local Error = require "cella.error"

local M = {}

local HEADER, ID = 10, 8

-- The arguments of a call are the caller's own affair.
local MOST = 1073741824

--- Names for requests, eight bytes each.
---@return fun(): string?, cella.error?
function M.ids()
  local bytes, at = "", 1
  return function()
    if at > #bytes then
      local file, message = io.open("/dev/urandom", "rb")
      bytes, at = file and file:read(64 * ID) or "", 1
      if file then file:close() end
      if #bytes ~= 64 * ID then
        return nil, Error.new { op = "open", path = "/dev/urandom", message = message or "ends too early" }
      end
    end
    at = at + ID
    return bytes:sub(at - ID, at - 1)
  end
end

--- A request as bytes; nil and what is wrong with its values.
---@param kind "h"|"l"|"c"
---@param values table  the first is the request's name
---@param count integer
---@return string?, string?
function M.request(kind, values, count)
  local data, problem = core.serialize.encode(kind, values, count, MOST)
  if not data then return nil, problem end
  return ("%010d"):format(#data) .. data
end

local Inbox = {}
Inbox.__index = Inbox

--- What takes the interpreter's answers, as a sink of cella.process.output. `most`: bytes of an answer.
---@param most integer
function M.inbox(most)
  return setmetatable({ most = most, head = "" }, Inbox)
end

--- From now on there may be an answer.
function Inbox:expect()
  self.waits = true
end

--- Nothing more would be taken: see `problem`.
function Inbox:is_full()
  return self.problem ~= nil
end

--- There is what it waits for.
function Inbox:is_done()
  return self.store ~= nil and self.store:is_full()
end

function Inbox:put(data)
  if not self.waits or self.store and self.store:is_full() then
    self.problem = "it wrote what was not asked for"
    return
  end
  if not self.store then
    self.head = self.head .. data
    if #self.head < HEADER then return end
    local digits = self.head:match "^[0-9]+"
    local size = digits and #digits >= HEADER and tonumber(digits:sub(1, HEADER))
    if not size then
      self.problem = "what it wrote is no answer"
    elseif size > self.most then
      self.problem = "it wrote more than result_limit allows"
    end
    if self.problem then return end
    self.store, data, self.head = capture.new(size), self.head:sub(HEADER + 1), ""
  end
  if self.store.size + #data > self.store.limit then self.problem = "it wrote what was not asked for" end
  self.store:put(data)
end

--- The answer, once it is there in one piece.
---@return string?
function Inbox:take()
  if self.problem or not self:is_done() then return nil end
  local data = self.store:finish()
  self.store, self.waits = nil, false
  return data
end

-- Of an output: what is not taken by now is nobody's.
function Inbox.finish() end

--- What an answer says: its kind, "v" or "e", and its values without the request's name. Nil where it is none of this
--- request.
---@param data string
---@param id string
---@param most integer
---@return string?, table|string, integer?
function M.answer(data, id, most)
  local kind, values, count = core.serialize.decode(data, most)
  if not kind then return nil, "what it wrote is no answer: " .. values end
  if kind ~= "v" and kind ~= "e" then return nil, "what it wrote is no answer" end
  if count < 1 or values[1] ~= id then return nil, "it wrote an answer to what was not asked" end
  local rest = {}
  for i = 2, count do rest[i - 1] = values[i] end
  return kind, rest, count - 1
end

return M
