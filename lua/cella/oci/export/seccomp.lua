--- A policy of cella.seccomp as the `linux.seccomp` of a config.json.
--
-- What a runtime makes of that (by libseccomp) has no order: of two rules that both hold it is not said which counts.
-- So each rule here holds of calls of which none holds that answers otherwise. A condition is then always "masked with
-- M it is V" of each argument, of which all others can be made: of an argument of 32 bits the upper half is not looked
-- at, as the kernel does not, and none of libseccomp's other comparisons can be told so. "It is not V" takes a rule for
-- each of its bits.
--
-- The default is ENOSYS, as of a filter of cella's for what it does not know; all that it knows is named.

local action = require "cella.seccomp.action"
local calls = require "cella.seccomp.calls"
local core = require "cella.core"
local json = require "cella.oci.json"
local lists = require "cella.list"
local rules_of = require "cella.seccomp.rules"
local seccomp = require "cella.seccomp"
local word = require "cella.seccomp.word"

local M = {}

-- The kernel takes 4,096 instructions, and a rule is about six of them. How many steps it takes to find the rules is
-- bounded too: those of many conditions on several arguments have very many parts.
local MOST, MOST_STEPS = 640, 20000

local ZERO = word.ZERO

local ONES = {} -- the words with one bit, the lowest first
for i = 0, 63 do
  local digits = ("0"):rep(15 - math.floor(i / 4)) .. ("%x"):format(2 ^ (i % 4)) .. ("0"):rep(math.floor(i / 4))
  ONES[i + 1] = digits
end

-- The same few words come again and again.
local function kept(operation)
  local results = {}
  return function(one, other)
    local of_one = results[one]
    if not of_one then
      of_one = {}
      results[one] = of_one
    end
    local result = of_one[other]
    if not result then
      result = operation(one, other)
      of_one[other] = result
    end
    return result
  end
end

local both_words, either, without

-- What has been kept is forgotten with each policy.
local function forget()
  both_words, either, without = kept(word.both), kept(word.either), kept(word.without)
end

local function has(bits, one) return both_words(bits, one) ~= ZERO end

local function lowest_ones(bits) return word.lowest(("f"):rep(16), bits) end

-- What a condition leaves an argument to be, as { mask, value } of which one has to hold.
local function above(value, bits, set)
  local list, higher = {}, ZERO
  for i = bits, 1, -1 do
    local one = ONES[i]
    -- Like the value in all higher bits, and unlike in this one.
    if has(value, one) ~= set then
      local mask = either(higher, one)
      list[#list + 1] = { mask, set and either(both_words(value, higher), one) or both_words(value, higher) }
    end
    higher = either(higher, one)
  end
  return list
end

local function equal(value, bits) return { lowest_ones(bits), value } end

local function with(list, one)
  list[#list + 1] = one
  return list
end

local ALTERNATIVES = {
  ["=="] = function(values, bits) return { equal(values[1], bits) } end,
  ["in"] = function(values, bits)
    local list = {}
    for i, value in ipairs(values) do list[i] = equal(value, bits) end
    return list
  end,
  ["~="] = function(values, bits)
    local list = {}
    for i = 1, bits do list[i] = { ONES[i], without(ONES[i], values[1]) } end
    return list
  end,
  ["<"] = function(values, bits) return above(values[1], bits, false) end,
  [">"] = function(values, bits) return above(values[1], bits, true) end,
  ["<="] = function(values, bits) return with(above(values[1], bits, false), equal(values[1], bits)) end,
  [">="] = function(values, bits) return with(above(values[1], bits, true), equal(values[1], bits)) end,
  ["&"] = function(values, bits)
    local list = {}
    for i = 1, bits do
      if has(values[1], ONES[i]) then list[#list + 1] = { ONES[i], ONES[i] } end
    end
    return list
  end,
  ["&=="] = function(values)
    -- A bit that the mask does not have cannot be there.
    if without(values[2], values[1]) ~= ZERO then return {} end
    return { { values[1], values[2] } }
  end,
}

-- Arguments that are both: { [index] = { mask, value } }; nil where none can be.
local function both(one, other)
  local result = {}
  for index, item in pairs(one) do result[index] = item end
  for index, item in pairs(other) do
    local own = result[index]
    if own then
      local common = both_words(own[1], item[1])
      if both_words(own[2], common) ~= both_words(item[2], common) then return nil end
      result[index] = { either(own[1], item[1]), either(own[2], item[2]) }
    else
      result[index] = item
    end
  end
  return result
end

-- The arguments of a clause: a list of which one has to hold.
local function arguments_of(clause)
  local list = { {} }
  for _, condition in ipairs(clause.conditions) do
    local longer = {}
    for _, before in ipairs(list) do
      for _, item in ipairs(ALTERNATIVES[condition.op](condition.values, condition.bits)) do
        longer[#longer + 1] = both(before, { [condition.index] = item })
      end
    end
    list = longer
  end
  return list
end

-- Those of `one` that are not of `other`, in parts of which no two have any in common.
local function subtract(one, other, parts)
  if not both(one, other) then return with(parts, one) end
  local rest = {}
  for index, item in pairs(one) do rest[index] = item end
  for _, index in ipairs(lists.sorted_keys(other)) do
    local mask, value = other[index][1], other[index][2]
    for i = 64, 1, -1 do
      local bit = ONES[i]
      local own = rest[index] or { ZERO, ZERO }
      if has(mask, bit) and not has(own[1], bit) then
        local part = {}
        for at, item in pairs(rest) do part[at] = item end
        local set = has(value, bit)
        part[index] = { either(own[1], bit), set and own[2] or either(own[2], bit) }
        parts[#parts + 1] = part
        rest[index] = { either(own[1], bit), set and either(own[2], bit) or own[2] }
      end
    end
  end
  return parts
end

local TOO_MANY = {}

local function without_all(one, others, count)
  local parts = { one }
  for _, other in ipairs(others) do
    local left = {}
    count.steps = count.steps + #parts
    if count.steps > MOST_STEPS then error(TOO_MANY, 0) end
    for _, part in ipairs(parts) do subtract(part, other, left) end
    parts = left
  end
  count.rules = count.rules + #parts
  if count.rules > MOST then error(TOO_MANY, 0) end
  return parts
end

-- A word in decimal digits: it may be more than a number of Lua's holds.
local function decimal(bits)
  local digits = { 0 } -- the lowest first
  for hex in bits:gmatch "." do
    local carry = tonumber(hex, 16)
    for i = 1, #digits do
      local sum = digits[i] * 16 + carry
      digits[i], carry = sum % 10, math.floor(sum / 10)
    end
    while carry > 0 do
      digits[#digits + 1], carry = carry % 10, math.floor(carry / 10)
    end
  end
  local text = {}
  for i = #digits, 1, -1 do text[#text + 1] = ("%d"):format(digits[i]) end
  return json.integer(table.concat(text))
end

local ACTIONS = { allow = "SCMP_ACT_ALLOW", log = "SCMP_ACT_LOG", kill = "SCMP_ACT_KILL_PROCESS" }
local MACHINES = { x86_64 = "SCMP_ARCH_X86_64", aarch64 = "SCMP_ARCH_AARCH64", riscv64 = "SCMP_ARCH_RISCV64" }
local DEFAULT = "ENOSYS"

local function rule_of(names, given, arguments)
  local rule = { names = json.array(names), action = ACTIONS[given] or "SCMP_ACT_ERRNO" }
  if not ACTIONS[given] then rule.errnoRet = action.errno(given) end
  local args = {}
  for _, index in ipairs(lists.sorted_keys(arguments or {})) do
    local item = arguments[index]
    args[#args + 1] = { index = index, op = "SCMP_CMP_MASKED_EQ", value = decimal(item[1]),
      valueTwo = decimal(item[2]) }
  end
  if #args > 0 then rule.args = json.array(args) end
  return rule
end

-- Whether a word has one bit.
local function is_one(bits)
  return bits ~= ZERO and bits:find "^0*[1248]0*$" ~= nil
end

-- Two that are the same but for one bit, as one that does not look at it; nil of others.
local function joined(one, other)
  local result, changed = {}, nil
  for index, item in pairs(one) do
    local its = other[index]
    if not its or its[1] ~= item[1] then return nil end
    if its[2] ~= item[2] then
      local bit = either(without(item[2], its[2]), without(its[2], item[2]))
      if changed or not is_one(bit) then return nil end
      changed = true
      local mask = without(item[1], bit)
      if mask ~= ZERO then result[index] = { mask, without(item[2], bit) } end
    else
      result[index] = item
    end
  end
  for index in pairs(other) do
    if not one[index] then return nil end
  end
  return result
end

-- The same with as few parts as joining them leaves.
local function fewer(list)
  local at = 1
  while at <= #list do
    local found
    for i = 1, at - 1 do
      found = joined(list[i], list[at])
      if found then
        table.remove(list, at)
        table.remove(list, i)
        -- It may go together with one that has been tried.
        table.insert(list, found)
        at = math.max(at - 1, 1)
        break
      end
    end
    if not found then at = at + 1 end
  end
  return list
end

-- The rules of a call that is answered on conditions. Those of one answer may hold together, and none with another's.
local function add_answer(found, name, answer, count)
  local lists_of, order = {}, {}
  local asked = {} -- by action: what has been answered before
  local function add(arguments, given)
    local others = {}
    for _, its in ipairs(lists.sorted_keys(asked)) do
      for _, one in ipairs(its ~= given and asked[its] or {}) do others[#others + 1] = one end
    end
    if given ~= DEFAULT then
      if not lists_of[given] then
        lists_of[given] = {}
        order[#order + 1] = given
      end
      for _, part in ipairs(without_all(arguments, fewer(others), count)) do table.insert(lists_of[given], part) end
    end
  end
  for _, clause in ipairs(answer.clauses) do
    local given = clause.action
    local list = fewer(arguments_of(clause))
    for _, arguments in ipairs(list) do add(arguments, given) end
    asked[given] = asked[given] or {}
    for _, arguments in ipairs(list) do table.insert(asked[given], arguments) end
  end
  add({}, answer.final)
  for _, given in ipairs(order) do
    for _, part in ipairs(fewer(lists_of[given])) do found[#found + 1] = rule_of({ name }, given, part) end
  end
end

--- A policy as `linux.seccomp`.
---@param policy cella.seccomp.policy
---@return table? config, string? problem
function M.of(policy)
  if policy:notifies() then return nil, "nobody would be there to hear of calls (`notify`)" end
  forget()
  local rules = seccomp.rules(policy)
  local by_answer, found, count = {}, {}, { rules = 0, steps = 0 }
  local ok, err = pcall(function()
    for _, name in ipairs(calls.names()) do
      if calls.of(name).numbers[core.machine] then
        local answer = rules_of.of(rules, name)
        if #answer.clauses > 0 then
          add_answer(found, name, answer, count)
        elseif answer.final ~= DEFAULT then
          by_answer[answer.final] = with(by_answer[answer.final] or {}, name)
        end
      end
    end
  end)
  if not ok then
    if err ~= TOO_MANY then error(err, 0) end
    return nil, "its conditions are too many for rules without an order, which a runtime takes"
  end
  local list = {}
  for _, given in ipairs(lists.sorted_keys(by_answer)) do list[#list + 1] = rule_of(by_answer[given], given) end
  for _, rule in ipairs(found) do list[#list + 1] = rule end
  return { defaultAction = "SCMP_ACT_ERRNO", defaultErrnoRet = action.errno(DEFAULT),
    architectures = json.array { MACHINES[core.machine] }, syscalls = json.array(list) }
end

return M
