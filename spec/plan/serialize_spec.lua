-- csrc/lib/message.h: plain data as bytes and back. What is read may come from anybody.

local collide = require "spec.support.collide"
local core = require "cella.core"
local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

local plain = core.serialize
local LIMIT = 16 * 1024 * 1024

local function encode(...)
  local data, message = plain.encode("v", { ... }, select("#", ...), LIMIT)
  return assert(data, message)
end

local function refused(...)
  local data, message = plain.encode("v", { ... }, select("#", ...), LIMIT)
  assert.is_nil(data)
  return message
end

local function round(...)
  local kind, values, count = plain.decode(encode(...), LIMIT)
  assert.equal("v", kind, values)
  assert.equal(select("#", ...), count)
  return unpack(values, 1, count)
end

local MAGIC = "cella 1 "
local NAN = "\0\0\0\0\0\0\248\127" -- as a double

local function damaged(body, limit)
  local kind, message = plain.decode(MAGIC .. body, limit or LIMIT)
  assert.is_nil(kind, "it was taken")
  return message
end

-- A generator of its own: a failure can be repeated.
local function dice(seed)
  local state = seed
  return function(n)
    state = (state * 1664525 + 1013904223) % 4294967296
    return math.floor(state / 4294967296 * n) + 1
  end
end

local function any_value(roll, depth)
  local kind = roll(depth > 0 and 8 or 6)
  if kind == 1 then return roll(2) == 1 end
  if kind == 2 then return roll(1000) - 500 end
  if kind == 3 then return (roll(1000) - 500) / 7 end
  if kind == 4 then return ("."):rep(roll(8)):gsub(".", function() return string.char(roll(256) - 1) end) end
  if kind == 5 then return (math.mininteger or -2 ^ 53) + roll(9) end
  if kind == 6 then return ("x"):rep(roll(300)) end
  local t = {}
  for _ = 1, roll(6) do
    if roll(2) == 1 then
      t[#t + 1] = any_value(roll, depth - 1)
    else
      t[({ "key", "a b", 3.5, -1, true, 100 })[roll(6)]] = any_value(roll, depth - 1)
    end
  end
  return t
end

describe("plain data", function()
  it("comes back as it was: nil, booleans, strings of any bytes", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all)
    local a, b, c, d, e, f = round(nil, true, false, "", all, nil)
    assert.same({ nil, true, false, "", all, nil }, { a, b, c, d, e, f })
  end)

  it("comes back as it was: integers and floats, to the last bit and of the same kind", function()
    local kind = math.type or type
    local function same(number)
      local back = round(number)
      assert.equal(number, back)
      assert.equal(kind(number), kind(back))
    end
    for _, number in ipairs { 0, 1, -1, portable.power(53), portable.power(53) - 1, 0.0, 0.1, 1 / 3, math.huge,
      -math.huge, math.pi, 5e-324, 1.7976931348623157e308, 2.0 ^ 53, 3.0 } do
      same(number)
    end
    if portable.integers then
      for _, number in ipairs { math.maxinteger, math.mininteger, portable.power(53) + 1 } do same(number) end
    end
    assert.equal(-math.huge, 1 / round(-1 / math.huge))
    local nan = round(0 / 0)
    assert.not_equal(nan, nan)
    assert.equal(kind(0.5), kind(nan))
  end)

  it("comes back as it was: tables in tables, with keys of each kind", function()
    local value = { 1, 2, { 3, x = { y = { z = "deep" } } }, [true] = 1, [false] = 2, [0.5] = 3, [-7] = 4, ["a\0b"] = 5,
      [""] = 6, [1e300] = 7, [math.mininteger or -2 ^ 53] = 8, [math.huge] = 9, n = {} }
    assert.same(value, round(value))
  end)

  it("comes back as it was: lists with holes", function()
    local back = round { 1, nil, 3, nil, nil, 6 }
    assert.same({ [1] = 1, [3] = 3, [6] = 6 }, back)
  end)

  it("counts the nils at the end", function()
    for count = 0, 5 do
      local _, values, back = plain.decode(assert(plain.encode("v", {}, count, LIMIT)), LIMIT)
      assert.equal(count, back)
      assert.same({}, values)
    end
  end)

  it("keeps what is shared shared, and cycles cycles", function()
    local shared = { "shared" }
    local value = { shared, shared, { shared } }
    value.self = value
    local back, again = round(value, shared)
    assert.equal(back[1], back[2])
    assert.equal(back[1], back[3][1])
    assert.equal(back[1], again)
    assert.equal(back, back.self)
    assert.not_equal(back[1], shared)
  end)

  it("is refused where it is none, with the path", function()
    local co = coroutine.create(function() end)
    assert.equal("value 1: a function has no meaning outside of the process that it is in", refused(print))
    assert.truthy(refused(1, 2, co):find("value 3: a thread", 1, true))
    assert.truthy(refused { key = io.stdout }:find("value 1.key: a userdata", 1, true))
    assert.truthy(refused(nil, { key = { [3] = { ["a b"] = { [true] = print } } } })
      :find('value 2.key[3]["a b"][true]: a function', 1, true))
    assert.truthy(refused { 1, 2, { print } }:find("value 1[3][1]: a function", 1, true))
    assert.truthy(refused { x = { [{}] = 1 } }:find("value 1.x: a table as a key", 1, true))
    assert.truthy(refused { [print] = 1 }:find("value 1: a function as a key", 1, true))
    assert.truthy(refused { x = setmetatable({}, {}) }:find("value 1.x: a table with a metatable", 1, true))
  end)

  it("has a bound for depth, on both sides", function()
    local function nested(depth)
      local value = {}
      for _ = 2, depth do value = { value } end
      return value
    end
    assert.same(nested(100), round(nested(100)))
    assert.truthy(refused(nested(101)):find "nested more than 100 deep")
    assert.truthy(refused(nested(100000)):find "nested more than 100 deep")
    assert.truthy(damaged("v" .. ("T"):rep(101) .. ("e"):rep(101) .. "z"):find "nested too deep")
    assert.truthy(damaged("v" .. ("T"):rep(1000000)):find "nested too deep")
    -- As keys too.
    assert.truthy(damaged("v" .. ("Th"):rep(1000000)):find "nested too deep")
  end)

  it("has a bound for memory, of which the sender learns first", function()
    local text = ("x"):rep(1000)
    local data = assert(plain.encode("v", { text }, 1, 1100))
    assert.equal("v", (plain.decode(data, 1100)))
    local none, message = plain.encode("v", { { key = text } }, 1, 1000)
    assert.is_nil(none)
    assert.truthy(message:find("value 1.key: there is more than result_limit allows", 1, true), message)
    none, message = plain.decode(data, 1000)
    assert.is_nil(none)
    assert.truthy(message:find("result_limit", 1, true))
    local roll = dice(7)
    for _ = 1, 100 do
      local value = any_value(roll, 4)
      local low, high = 0, LIMIT
      while low < high do
        local middle = math.floor((low + high) / 2)
        if plain.encode("v", { value }, 1, middle) then high = middle else low = middle + 1 end
      end
      data = assert(plain.encode("v", { value }, 1, low))
      assert.is_true(#data <= low + 10, "a message is not larger than what it stands for")
      assert.equal("v", (plain.decode(data, low)))
      assert.is_nil((plain.decode(data, low - 1)))
    end
  end)

  it("charges keys that can be made to collide for what they can cost", function()
    local keys = { MAGIC, "vTh" }
    for i = 1, 200000 do keys[#keys + 1] = "i" .. portable.encode("8", i * 524287) .. "t" end
    keys[#keys + 1] = "ez"
    local before = os.clock()
    local kind, message = plain.decode(table.concat(keys), LIMIT)
    assert.is_nil(kind)
    assert.truthy(message:find("result_limit", 1, true))
    assert.is_true(os.clock() - before < 20) -- against a hang: without the charge it takes minutes
  end)

  it("refuses arguments that are none", function()
    for _, limit in ipairs { -1, portable.power(31), 1.5, "5" } do
      assert.is_false((pcall(plain.encode, "v", {}, 0, limit)))
      assert.is_false((pcall(plain.decode, "", limit)))
    end
    assert.is_false((pcall(plain.encode, "vv", {}, 0, 1)))
    assert.is_false((pcall(plain.encode, "", {}, 0, 1)))
    assert.is_false((pcall(plain.encode, "v", {}, -1, 1)))
    assert.is_false((pcall(plain.decode, nil, 1)))
  end)
end)

describe("bytes that are no plain data", function()
  it("are refused: cut off anywhere", function()
    local data = encode(1, { "two", x = { 3.5, { y = true } } }, "four", nil)
    for length = 0, #data - 1 do
      local kind, message = plain.decode(data:sub(1, length), LIMIT)
      assert.is_nil(kind)
      assert.truthy(message:find "it ends too early", message)
    end
    assert.truthy(plain.decode(data, LIMIT))
  end)

  it("are refused: more of them than there should be", function()
    assert.truthy(select(2, plain.decode(encode(1) .. "z", LIMIT)):find "goes on after its end")
  end)

  it("are refused: of another kind", function()
    assert.truthy(select(2, plain.decode("\27Lua" .. ("x"):rep(100), LIMIT)):find "does not begin as one")
    assert.truthy(select(2, plain.decode("cella 2 vz", LIMIT)):find "does not begin as one")
    for byte = 0, 255 do
      local tag = string.char(byte)
      if not ("nftz"):find(tag, 1, true) then
        assert.is_string(damaged("v" .. tag .. (tag == "T" and "" or "z")))
      end
    end
  end)

  it("are refused: lengths beyond the end, and tables that did not come", function()
    assert.truthy(damaged("vs\255\255\255\255abcz"):find "ends too early")
    assert.truthy(damaged("vs\4\0\0\0abc"):find "ends too early")
    assert.truthy(damaged "vr\0\0\0\0z":find "did not come")
    assert.truthy(damaged "vr\1\0\0\0z":find "did not come")
    assert.truthy(damaged "vTer\2\0\0\0z":find "did not come")
    assert.truthy(damaged "vTer\255\255\255\255z":find "did not come")
    assert.truthy(plain.decode(MAGIC .. "vTer\1\0\0\0z", LIMIT))
  end)

  it("are refused: keys that a table cannot have", function()
    assert.truthy(damaged("vThd" .. NAN .. "tez"):find "not a number")
    assert.truthy(damaged "vThntez":find "a key is of a kind that is none")
    assert.truthy(damaged "vThTetez":find "a key is of a kind that is none")
    assert.truthy(damaged "vThtnez":find "a key has no value")
    assert.truthy(damaged "vTnez":find "an item has no value")
    assert.truthy(damaged "vThhez")
    assert.truthy(damaged "vThtez")
  end)

  it("that are not a number are one and the same", function()
    local _, values = plain.decode(MAGIC .. "vd\188\154\120\86\52\18\248\255z", LIMIT)
    assert.equal("number", type(values[1]))
    assert.not_equal(values[1], values[1])
    if not string.pack then return end -- its bytes cannot be seen there
    local bytes = string.pack("<d", values[1])
    assert.equal("\0\0\0\0\0\0\248", bytes:sub(1, 7))
    assert.truthy(bytes:byte(8) == 127 or bytes:byte(8) == 255)
  end)

  it("do no harm, whatever was changed in them #slow", function()
    local roll = dice(42)
    local taken, memory = 0, collectgarbage "count"
    for _ = 1, 10000 do
      local data = encode(any_value(roll, 3), any_value(roll, 3))
      local bytes = { data:byte(1, -1) }
      for _ = 1, roll(4) do
        local at = roll(#bytes - 8) + 8
        local how = roll(4)
        if how == 1 then bytes[at] = roll(256) - 1
        elseif how == 2 then table.remove(bytes, at)
        elseif how == 3 then table.insert(bytes, at, ("nftidsrThez"):byte(roll(11)))
        else bytes[at] = ("nftidsrThez"):byte(roll(11)) end
        if #bytes < 10 then break end
      end
      local changed = {}
      for i, byte in ipairs(bytes) do changed[i] = string.char(byte) end
      local kind, message = plain.decode(table.concat(changed), 65536)
      if kind then taken = taken + 1 else assert.is_string(message) end
    end
    -- Some changes are such that a message remains one.
    assert.is_true(taken > 0 and taken < 10000)
    collectgarbage()
    collectgarbage()
    assert.is_true(collectgarbage "count" - memory < 4096)
  end)

  it("need no more memory than is granted", function()
    for _, body in ipairs { "Te", "Tttttttttttttttte", "ThfttfTee" } do
      local data = MAGIC .. "v" .. body:rep(math.floor(1000000 / #body)) .. "z"
      collectgarbage()
      collectgarbage "stop"
      local before = collectgarbage "count"
      local kind = plain.decode(data, 1024 * 1024)
      local grown = collectgarbage "count" - before
      collectgarbage "restart"
      assert.is_nil(kind)
      assert.is_true(grown < 4096, grown .. " KiB")
    end
  end)

  it("is refused with the whole path, however deep down what cannot be handed over lies", function()
    for _, depth in ipairs { 1, 5, 20, 21, 60, 99 } do
      local items, keys, path = print, print, ""
      for _ = 1, depth do items, keys, path = { items }, { 1, 2, key = keys }, path .. ".key" end
      assert.equal("value 1" .. ("[1]"):rep(depth)
        .. ": a function has no meaning outside of the process that it is in", refused(items))
      assert.truthy(refused(keys):find("value 1" .. path .. ": a function", 1, true))
    end
  end)

  it("is taken apart in bounded time, whatever strings somebody has chosen #slow", function()
    local items, lacks = collide.items(59000)
    if not items then pending(lacks) end
    local start = os.clock()
    local kind, message = plain.decode(MAGIC .. "vT" .. items .. "ez", LIMIT * 100)
    -- Some five seconds, on a machine that does nothing else, for who goes on to the end.
    assert.is_nil(kind)
    assert.truthy(message:find("takes too long", 1, true), message)
    assert.is_true(os.clock() - start < 60)
    assert.equal("v", (plain.decode(MAGIC .. "vT" .. items:sub(1, 17 * 500) .. "ez", LIMIT))) -- a few are no harm
  end)
end)
