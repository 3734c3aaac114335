-- What a runner may find where a launch should be: recorded plans as bytes, some of them changed. Either they are
-- refused, or all that the steps point to is there. No operation is performed: launch.c.

local fuzz = require "spec.fuzz.fuzz"
local core = require "cella.core"
local launch = require "fuzz.launch"

local random, pick = fuzz.random, fuzz.pick

local function text() return ("x"):rep(pick { 0, 1, 2, 6, 7, 8, 9, 15, 16, 100, 4095 }) end

local function list_of(of)
  local list = {}
  for i = 1, random(0, 4) do list[i] = of() end
  return list
end

local function number() return pick { 0, 1, 2, 7, 9, 100 } end

local make = {
  int = number, text = text, caps = function() return pick { "all", {} } end,
  bool = function() return random(2) == 1 end,
  flags = function(names) return random(4) > 1 and { pick(names) } or {} end,
  name = pick,
  ids = function() return list_of(number) end,
  strings = function() return list_of(text) end,
  fd = function(_, slots) return random(3) > 1 and slots[1] and pick(slots) or number() end,
}

local operations = launch.operations()

-- Nearly all are taken; those that are not (an empty path, something behind an exec) are left out.
local function plan()
  local recorder, slots = core.recorder(), {}
  for _ = 1, random(0, 2) do slots[#slots + 1] = recorder:input() end
  for _ = 1, random(0, 8) do
    local operation = pick(operations)
    local arguments = { n = #operation - 1 }
    for i = 1, arguments.n do
      local kind, optional, names = table.unpack(operation[i + 1])
      if not optional or random(2) == 1 then arguments[i] = make[kind](names, slots) end
    end
    local ok, _, slot = pcall(recorder.record, recorder, operation[1], table.unpack(arguments, 1, arguments.n))
    if ok and slot then
      slots[#slots + 1] = slot
      if random(3) == 1 then recorder:optional() end
    elseif ok and slots[1] and random(4) == 1 then
      recorder:only_with(pick(slots))
    end
  end
  return launch.make(recorder, random(0, 4))
end

local seeds = {}
for i = 1, 300 do
  seeds[i] = plan()
  assert(launch.check(seeds[i]), "a launch as it is recorded was refused")
end

local function put(bytes, at, format, value)
  local new = format:pack(value)
  if at + #new > #bytes then return bytes end
  return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1)
end

-- A number that is near one that is there already, or near the end of all.
local function near(bytes)
  local other = ("<I4"):unpack(bytes, random(0, #bytes // 4 - 1) * 4 + 1)
  return pick { other, other + 1, other - 1, other + 4, other - 4, other + 8, other - 8, #bytes, #bytes - 8, #bytes - 1,
    0, 1, 8, 216, 224, 232, 240, 248 }
end

local function edit(bytes)
  local kind = random(11)
  -- Half of the changes are where there is more to check than text.
  local most = random(2) == 1 and math.min(#bytes, 700) or #bytes
  local four, eight = random(0, most // 4 - 1) * 4, random(0, most // 8 - 1) * 8
  if kind <= 2 then return put(bytes, four, "<I4", near(bytes) & 0xffffffff) end
  if kind == 3 then return put(bytes, eight, "<i8", near(bytes)) end
  if kind == 4 then return put(bytes, eight, "<i8", fuzz.edge()) end
  if kind == 5 then return put(bytes, four, "<I4", fuzz.edge() & 0xffffffff) end
  if kind == 6 then return put(bytes, random(0, most - 1), "B", random(0, 255)) end
  if kind == 7 then return put(bytes, 4 * random(0, 5), "<I4", near(bytes) & 0xffffffff) end
  if kind == 8 then return put(bytes, eight, "<i8", ("<i8"):unpack(bytes, random(0, #bytes // 8 - 1) * 8 + 1)) end
  if kind <= 10 then
    local at = random(2) == 1 and four or eight
    return put(bytes, at, "<I4", (("<I4"):unpack(bytes, at + 1) + pick { -8, -4, -1, 1, 4, 8 }) & 0xffffffff)
  end
  -- Another length, of which the head knows, or not.
  local new = random(2) == 1 and bytes:sub(1, 8 * random(0, #bytes // 8)) .. (random(2) == 1 and ("\0"):rep(8) or "")
    or bytes .. pick(seeds):sub(-8 * random(1, 60))
  if random(4) > 1 then new = put(put(new, 0, "<I4", #new), 8, "<I4", #new) end
  return new
end

fuzz.run("runner", function()
  local bytes = pick(seeds)
  for _ = 1, random(0, 4) do
    if #bytes >= 64 then bytes = edit(bytes) end
  end
  return bytes
end, function(bytes)
  if not launch.check(bytes) then error("unsound", 0) end
end)
