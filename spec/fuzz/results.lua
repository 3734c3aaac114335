-- What a hostile copy writes in place of its results: whatever the bytes are, they are taken apart or refused, and what
-- was taken apart is what can be written again.

local fuzz = require "spec.fuzz.fuzz"
local serialize = require("cella.core").serialize

local random = fuzz.random
local LIMIT = 1048576

local function value(depth)
  local kind = random(depth > 0 and 8 or 6)
  if kind == 1 then return random(0, 1) == 1 end
  if kind == 2 then return fuzz.edge() end
  if kind == 3 then return fuzz.pick { 0.5, 1 / 0, -1 / 0, 0 / 0, -0.0, 1e300, 2 ^ 53, 3.0 } end
  if kind <= 6 then return ("x"):rep(random(0, 50)) end
  local t = {}
  for _ = 1, random(0, 5) do t[#t + 1] = value(depth - 1) end
  for _ = 1, random(0, 5) do
    local key = value(0)
    if key == key then t[key] = value(depth - 1) end
  end
  if random(4) == 1 then t.self = t end
  return t
end

local function deep(n)
  local t = {}
  for _ = 1, n do t = fuzz.random(2) == 1 and { t } or { a = t } end
  return t
end

local texts = {}
for _ = 1, 200 do
  texts[#texts + 1] = assert(serialize.encode(fuzz.pick { "v", "e" }, { value(4), value(2), n = 2 }, 2, LIMIT))
end
for n = 90, 99 do texts[#texts + 1] = assert(serialize.encode("v", { deep(n) }, 1, LIMIT)) end

local words = { "n", "f", "t", "z", "e", "h", "T", "Te", "Th", "The", "TTTTTTTT", "eeeeeeee", "r\1\0\0\0", "r\0\0\0\0",
  "r\255\255\255\255", "s\0\0\0\0", "s\255\255\255\255", "s\1\0\0\0x", "i" .. ("i8"):pack(-1), "d" .. ("d"):pack(0 / 0),
  ("T"):rep(101), "cella 1 v" }

-- What is nested too deep, or is no plain data, is refused on the way there too: in words with a path.
local function strange()
  local t = fuzz.pick { print, io.stdout, coroutine.create(print), setmetatable({}, {}), { [{}] = 1 },
    { [1.5] = print } }
  for _ = 1, random(0, 150) do
    t = fuzz.pick { { t }, { 1, 2, t }, { a = t }, { ["a b"] = t }, { [true] = t }, { [7] = t } }
  end
  return t
end

fuzz.run("results", function()
  return random(20) == 1 and { strange() } or fuzz.mutate(texts, words)
end, function(input)
  if type(input) == "table" then
    local data, problem = serialize.encode("v", input, 1, LIMIT)
    if data or type(problem) ~= "string" then error(("attempt to hand over what is no data: %s"):format(problem), 0) end
    error(problem, 0)
  end
  local kind, values, count = serialize.decode(input, LIMIT)
  if not kind then error(values, 0) end
  -- The limit is about memory, which the same table may need more of: two keys were one.
  local data, problem = serialize.encode(kind, values, count, 64 * LIMIT)
  if not data then error("attempt to write again what came: " .. problem, 0) end
  local again = serialize.encode(kind, select(2, serialize.decode(data, 64 * LIMIT)), count, 64 * LIMIT)
  if not again or #again ~= #data then error("attempt to read again what was written", 0) end
end)
