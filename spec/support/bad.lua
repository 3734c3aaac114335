--- Arguments that no parameter of a kind takes, each with the words by which a failing spec names it.

local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

local M = {}

local function none() end

local function with(list, ...)
  for _, case in ipairs { ... } do list[#list + 1] = case end
  return list
end

-- Wrong for whatever wants an integer. A float that happens to be whole is refused too, where it is another thing.
local function not_integers()
  local list = {
    { "a string of digits", "8" }, { "an empty string", "" }, { "a boolean", true }, { "a table", {} },
    { "a function", none }, { "-1", -1 }, { "a fraction", 1.5 },
    { "2^63", 2 ^ 63 }, { "infinity", math.huge }, { "not a number", 0 / 0 }, { "2^64 + 1", 2 ^ 64 + 1 },
  }
  if not portable.integers then return list end
  return with(list, { "a whole float", 8.0 }, { "2^32 as a float", 2 ^ 32 }, { "the largest integer", math.maxinteger },
    { "the smallest integer", math.mininteger })
end

-- Wrong for whatever wants a list; `item` is a right one.
local function not_lists(item)
  local holes = { item, nil, item }
  return {
    { "a list with a hole", holes }, { "names as keys", { [tostring(item)] = true } },
    { "a key beside the items", { item, x = item } }, { "a list that starts at 0", { [0] = item } },
    { "a list with a table in it", { { item } } }, { "a list with a boolean in it", { true } },
    { "a list in which only the first is right", { item, none } }, { "a function", none },
  }
end

local function numbers(right, beyond)
  return with(not_lists(right), { "a number", right }, { "a string", "0" }, { "a boolean", true },
    { "-1 in the list", { -1 } }, { "a fraction in the list", { 1.5 } }, { "digits in the list", { "8" } },
    { "one beyond the last in the list", { beyond } }, { "2^32 in the list", { 4294967296 } },
    { "2^63 in the list", { 2 ^ 63 } })
end

local strings = {
  { "a number", 5 }, { "a boolean", true }, { "a table", {} }, { "a function", none },
}

local nul = { "a NUL byte", "a\0b" }

-- By kind: function(parameter) -> list of { words, argument }.
local kinds = {}

function kinds.int() return with(not_integers(), { "2^31", 2147483648 }, { "2^32", 4294967296 }) end
function kinds.u32() return with(not_integers(), { "2^32", 4294967296 }) end
function kinds.port() return with(not_integers(), { "2^16", 65536 }, { "2^32", 4294967296 }) end
function kinds.id() return with(not_integers(), { "2^32 - 1", 4294967295 }, { "2^32", 4294967296 }) end
function kinds.mode() return with(not_integers(), { "4096", 4096 }, { "2^32", 4294967296 }) end
-- A device number has 32 bits, of which the kernel would take the lower ones of a larger one.
function kinds.major() return with(not_integers(), { "2^12", 4096 }, { "2^12 + 1", 4097 }, { "2^32", 4294967296 }) end
function kinds.minor() return with(not_integers(), { "2^20", 1048576 }, { "2^32", 4294967296 }) end

function kinds.fd()
  return with(not_integers(), { "2^31", 2147483648 }, { "2^32", 4294967296 }, { "a file", io.stdout })
end

function kinds.limit()
  local list = {}
  for _, case in ipairs(not_integers()) do
    if case[1] ~= "the largest integer" then list[#list + 1] = case end
  end
  return with(list, { "another word", "infinity" }, { "the word and a NUL byte", "unlimited\0" })
end

function kinds.boolean()
  return { { "0", 0 }, { "1", 1 }, { "a string", "true" }, { "a table", {} }, { "a function", none } }
end

function kinds.text() return with({ nul }, unpack(strings)) end
function kinds.data() return strings end

function kinds.path()
  return with({ nul, { "an empty string", "" }, { "4096 bytes", ("x"):rep(4096) } }, unpack(strings))
end

local function words(right)
  return {
    { "an unknown name", "nonsense" }, { "an empty string", "" }, { "a number", 1 }, { "a boolean", true },
    { "a NUL byte after the name", right .. "\0" }, { "the name in upper case", right:upper() },
    { "the name and a blank", right .. " " }, { "a function", none },
  }
end

function kinds.name(parameter)
  return with(words(parameter.right), { "a list", { parameter.right } }, { "a table", {} })
end

function kinds.flags(parameter)
  return with(words(parameter.right), { "an unknown name in the list", { parameter.right, "nonsense" } },
    { "a number in the list", { 1 } }, { "a NUL byte in the list", { parameter.right .. "\0" } },
    unpack(not_lists(parameter.right)))
end

function kinds.capabilities(parameter)
  local right = parameter.right
  return with({ { "an unknown name", "nonsense" }, { "a boolean", true },
    { "an unknown name and another", "nonsense " .. right },
    { "a NUL byte after the name", right .. "\0" }, { "a name and more", right .. " or so" },
    { "a name in libcap's text form", right .. "=ep" }, { "an empty name", right .. ",," .. right },
    { "an empty name behind the prefix", "cap_" }, { "-1", -1 }, { "a fraction", 1.5 }, { "63", 63 }, { "64", 64 },
    { "2^32", 4294967296 }, { "2^63", 2 ^ 63 }, { "digits in the list", { "8" } },
    { "what is taken away from nothing", "-" .. right },
    { "an unknown name taken away", "-nonsense" },
    { "everything taken away", "-all" }, { "a long name", ("x"):rep(200) }, { "-1 in the list", { -1 } },
    { "an unknown name in the list", { right, "nonsense" } }, { "a digit string in the list", { "8" } } },
    unpack(not_lists(right)))
end

function kinds.ids()
  local many = {}
  for i = 1, 65537 do many[i] = 0 end
  return with(numbers(0, 4294967295), { "65537 groups", many })
end

function kinds.cpus() return numbers(0, 8192) end

function kinds.nice()
  local list = { { "-21", -21 }, { "20", 20 } }
  for _, case in ipairs(not_integers()) do
    if case[2] ~= -1 then list[#list + 1] = case end
  end
  return list
end

function kinds.descriptors() return numbers(0, 2147483648) end

function kinds.signals()
  return with(not_lists("usr1"), { "a name that is in no list", "usr1" }, { "a number", 1 }, { "a boolean", true },
    { "all and a NUL byte", "all\0" }, { "an unknown name in the list", { "nonsense" } }, { "0 in the list", { 0 } },
    { "65 in the list", { 65 } }, { "-1 in the list", { -1 } }, { "a fraction in the list", { 1.5 } },
    { "digits in the list", { "8" } }, { "a NUL byte in the list", { "usr1\0" } })
end

function kinds.strings()
  return with(not_lists("x"), nul, { "a number", 5 }, { "a boolean", true }, { "a number in the list", { 5 } },
    { "a NUL byte in the list", { "a\0b" } })
end

--- The bad arguments for a parameter of spec/support/operations.lua.
---@return { [1]: string, [2]: any }[]
function M.arguments(parameter)
  return kinds[parameter.kind](parameter)
end

return M
