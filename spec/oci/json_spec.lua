-- JSON of which nothing is believed.
local json = require "cella.oci.json"
local trial = require "spec.support.trial"

describe("JSON that is read", function()
  local function refused(text)
    local value, err = json.decode(text)
    assert.is_nil(value, text:sub(1, 60))
    return err
  end

  it("is plain tables, strings, numbers and booleans", function()
    assert.same({ a = 1, b = { 1, 2, { c = true } }, d = false, e = 1.5, f = "x/\"\\ \195\164\240\159\152\128" },
      json.decode [[ {"a":1,"b":[1,2,{"c":true}],"d":false,"e":1.5,"f":"x\/\"\\ \u00e4\ud83d\ude00","g":null} ]])
    assert.is_nil(getmetatable(json.decode "[]"))
  end)

  it("keeps integers of 64 bits, and others only where a number can hold them", function()
    local text = '[18446744073709551615,-9223372036854775808,9007199254740993,9007199254740992,0]'
    local list = json.decode(text)
    assert.equal("18446744073709551615", tostring(list[1]))
    assert.is_true(json.is_integer(list[2]))
    assert.is_true(json.is_integer(list[3]))
    assert.is_false(json.is_integer(list[4]))
    assert.equal(text, json.encode(list))
    -- What stands for them meanwhile nobody can write.
    assert.matches("a NUL in a string", refused [[{"\u0000":"5"}]], 1, true)
  end)

  it("is refused, with its place, where it is no JSON that means one thing", function()
    for text, message in pairs {
      ['{"a":1,"\\u0061":2}'] = 'line 1, column 8: the name "a" is there twice',
      ["[1,\n 01]"] = "line 2, column 2: no number as JSON has them",
      ["[1]x"] = "line 1, column 4: there is more behind the value",
      ["[null]"] = "null in a list", ['"\255"'] = "no UTF-8", ['"\237\160\128"'] = "no UTF-8",
      ['"\\udc00"'] = "half a surrogate pair", ['"\\ud800x"'] = "half a surrogate pair", ['"\\x"'] = "no such escape",
      ['"a\nb"'] = "a control character", ['"a'] = "a string without an end", ["[1,]"] = "a value expected",
      ['{"a":1,}'] = "a name in quotes", ["{1:2}"] = "a name in quotes", ['{"a" 1}'] = "a colon expected",
      ["// x\n1"] = "a value expected", ["truex"] = "no value", ["1e999"] = "too large", [""] = "ends too early",
      ["[1,2"] = "ends too early", ["[1}"] = "a comma or ] expected", ["\239\187\1911"] = "a value expected",
      [("9"):rep(65)] = "a number of more than 64 characters",
    } do
      assert.matches(message, refused(text), 1, true)
    end
  end)

  it("has a bound in its length and its depth", function()
    assert.is_table(json.decode(("["):rep(64) .. ("]"):rep(64)))
    assert.matches("more than 64 objects and lists", refused(("["):rep(65) .. ("]"):rep(65)), 1, true)
    assert.is_table(json.decode("[" .. (" "):rep(8) .. "]", 10))
    assert.equal("it is longer than 9 bytes", select(2, json.decode("[" .. (" "):rep(8) .. "]", 9)))
  end)
end)

describe("JSON that is written", function()
  it("has its names in order, and lists that are empty where that is said", function()
    assert.equal('{"a":[],"b":{},"c":[true,false],"d":18446744073709551615,"e":9007199254740992,"z":1.5}', json.encode {
      z = 1.5, a = json.array {}, b = {}, c = { true, false }, d = json.integer "18446744073709551615", e = 2 ^ 53 })
    assert.same({ a = { b = { "\n\"\\" } } }, json.decode(json.encode({ a = { b = { "\n\"\\" } } }, true)))
  end)

  it("is refused where it would say something else", function()
    local circle = {}
    circle[1] = circle
    for message, value in pairs {
      ["a list with a hole"] = { [2] = 1 }, ["neither a list nor a table with names alone"] = { 1, a = 2 },
      ["f: a function is nothing that JSON has"] = { f = print }, ["[1]: the string is no UTF-8"] = { "\255" },
      ["[1]: JSON has no such number"] = { 1 / 0 }, ["NUL byte"] = { ["a\0"] = 1 }, ["in each other"] = circle,
      ["one with a metatable"] = setmetatable({}, {}),
    } do
      assert.matches(message, trial.raised(json.encode, value), 1, true)
    end
  end)

  it("says what is missing where there is no library", function()
    local said = trial.sh(([[%s -e 'package.preload.dkjson = function() error "none" end
      local json = require "cella.oci.json" print(json.decode "1") print(json.encode(1)) print(json.available())']])
      :format(trial.interpreter()))
    local _, count = said:gsub("nil\tJSON needs the Lua module dkjson, which is not there: Debian's package is lua", "")
    assert.equal(3, count)
  end)
end)
