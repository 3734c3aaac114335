--- A policy's rules as a program for the kernel (seccomp(2), "filters"): classic BPF.
--
-- It asks for the architecture first, then finds the call's number in a binary tree. Its own and not libseccomp's,
-- because that one compares 64 bits alone with < and >, takes no two conditions on one argument, knows no number above
-- which all is new, and has no place for the mark; and because policies are to work where it is not installed.
--
-- The program is written from its end: the kernel has jumps forward only, and where each leads is known then.

local action = require "cella.seccomp.action"
local calls = require "cella.seccomp.calls"
local rules_of = require "cella.seccomp.rules"
local word = require "cella.seccomp.word"

local M = {}

-- AUDIT_ARCH_ of each (linux/audit.h). All three have the lower half of an argument first.
local ARCHITECTURES = { x86_64 = 0xc000003e, aarch64 = 0xc00000b7, riscv64 = 0xc00000f3 }

-- linux/bpf_common.h
local LOAD, AND, RETURN, JUMP = 0x20, 0x54, 0x06, 0x05
local EQUAL, ABOVE, AT_LEAST, ANY_BIT = 0x15, 0x25, 0x35, 0x45

-- struct seccomp_data
local NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

local ALLOW, LOG, NOTIFY, ERRNO, KILL = 0x7fff0000, 0x7ffc0000, 0x7fc00000, 0x00050000, 0x80000000

local PR_GET_SECCOMP = 21

--- What prctl(PR_GET_SECCOMP, mark) answers under the program with that mark, and nothing else does.
M.THERE = "EALREADY"

--- The upper half of the mark: "cell".
M.MARK_HIGH = 0x63656c6c

-- A jump on a condition goes over 255 instructions at most.
local FAR = 250

local Program = {}
Program.__index = Program

-- Each returns where it is: how many instructions there are from it to the end.
function Program:add(code, k, yes, no)
  self[#self + 1] = { code, yes or 0, no or 0, k }
  return #self
end

function Program:jump_to(target)
  if target == #self then return target end
  return self:add(JUMP, #self - target)
end

function Program:near(target)
  if #self - target <= FAR then return target end
  return self:jump_to(target)
end

function Program:test(code, k, yes, no)
  if yes == no then return yes end
  yes, no = self:near(yes), self:near(no)
  return self:add(code, k, #self - yes, #self - no)
end

function Program:load(offset, target)
  self:jump_to(target)
  return self:add(LOAD, offset)
end

local function code_of(given)
  if given == "allow" then return ALLOW end
  if given == "log" then return LOG end
  if given == "notify" then return NOTIFY end
  if given == "kill" then return KILL end
  return ERRNO + action.errno(given)
end

function Program:answer(given)
  local last = self.answers[given]
  if not last or #self - last > FAR then
    last = self:add(RETURN, code_of(given))
    self.answers[given] = last
  end
  return last
end

local function offset_of(condition, high)
  return ARGUMENTS + 8 * condition.index + (high and 4 or 0)
end

-- Behind the load of the lower half, of an argument with fewer bits than that.
local function load_low(program, condition, target)
  if condition.bits < 32 then
    program:jump_to(target)
    target = program:add(AND, 2 ^ condition.bits - 1)
  end
  return program:load(offset_of(condition), target)
end

local function equal(program, condition, value, holds, fails)
  local high, low = word.halves(value)
  local entry = load_low(program, condition, program:test(EQUAL, low, holds, fails))
  if condition.bits <= 32 then return entry end
  return program:load(offset_of(condition, true), program:test(EQUAL, high, entry, fails))
end

-- Above the value, or with AT_LEAST the value itself too.
local function above(program, condition, code, holds, fails)
  local high, low = word.halves(condition.values[1])
  local entry = load_low(program, condition, program:test(code, low, holds, fails))
  if condition.bits <= 32 then return entry end
  local same = program:test(EQUAL, high, entry, fails)
  return program:load(offset_of(condition, true), program:test(ABOVE, high, holds, same))
end

local function any_bit(program, condition, holds, fails)
  local high, low = word.halves(condition.values[1])
  local entry = load_low(program, condition, program:test(ANY_BIT, low, holds, fails))
  if condition.bits <= 32 then return entry end
  return program:load(offset_of(condition, true), program:test(ANY_BIT, high, holds, entry))
end

local function masked(program, condition, holds, fails)
  local mask_high, mask_low = word.halves(condition.values[1])
  local high, low = word.halves(condition.values[2])
  local function half(offset, mask, value, target)
    program:jump_to(program:test(EQUAL, value, target, fails))
    return program:load(offset, program:add(AND, mask))
  end
  local entry = half(offset_of(condition), mask_low, low, holds)
  if condition.bits <= 32 then return entry end
  return half(offset_of(condition, true), mask_high, high, entry)
end

local function one_of(program, condition, holds, fails)
  local entry = fails
  for i = #condition.values, 1, -1 do entry = equal(program, condition, condition.values[i], holds, entry) end
  return entry
end

local TESTS = {
  ["=="] = function(program, condition, holds, fails)
    return equal(program, condition, condition.values[1], holds, fails)
  end,
  ["~="] = function(program, condition, holds, fails)
    return equal(program, condition, condition.values[1], fails, holds)
  end,
  [">"] = function(program, condition, holds, fails) return above(program, condition, ABOVE, holds, fails) end,
  [">="] = function(program, condition, holds, fails) return above(program, condition, AT_LEAST, holds, fails) end,
  ["<"] = function(program, condition, holds, fails) return above(program, condition, AT_LEAST, fails, holds) end,
  ["<="] = function(program, condition, holds, fails) return above(program, condition, ABOVE, fails, holds) end,
  ["&"] = any_bit, ["&=="] = masked, ["in"] = one_of,
}

-- The answer to one call.
local function add_answer(program, answer)
  local entry = program:answer(answer.final)
  for i = #answer.clauses, 1, -1 do
    local clause = answer.clauses[i]
    local holds, fails = program:answer(clause.action), entry
    for j = #clause.conditions, 1, -1 do
      local condition = clause.conditions[j]
      holds = TESTS[condition.op](program, condition, holds, fails)
    end
    entry = holds
  end
  return entry
end

-- The numbers of a machine, in runs that get one answer: { first number, an action, or where the answer stands }. A
-- number that has no name is new.
local function runs_of(program, rules, machine)
  local by_number = {}
  for _, name in ipairs(calls.names()) do
    local number = calls.of(name).numbers[machine]
    if number then by_number[number] = name end
  end
  local runs, before = {}, nil
  for number = 0, calls.NEWEST do
    local name, given = by_number[number], "ENOSYS"
    if name then
      local answer = rules_of.of(rules, name)
      given = #answer.clauses == 0 and answer.final or add_answer(program, answer)
    end
    if given ~= before then runs[#runs + 1] = { number, given } end
    before = given
  end
  return runs
end

local function add_tree(program, runs, first, last)
  if first == last then
    local given = runs[first][2]
    return type(given) == "number" and given or program:answer(given)
  end
  local middle = math.floor((first + last + 1) / 2)
  local right = add_tree(program, runs, middle, last)
  local left = add_tree(program, runs, first, middle - 1)
  return program:test(AT_LEAST, runs[middle][1], right, left)
end

-- Who asks whether this program is there, with its mark, hears so whatever the policy says of prctl(2).
local function add_mark(program, mark, machine, target)
  local otherwise = program:load(NUMBER, target)
  local there = program:answer(M.THERE)
  local entry = program:load(ARGUMENTS + 12, program:test(EQUAL, M.MARK_HIGH, there, otherwise))
  entry = program:load(ARGUMENTS + 8, program:test(EQUAL, mark, entry, otherwise))
  entry = program:load(ARGUMENTS, program:test(EQUAL, PR_GET_SECCOMP, entry, otherwise))
  return program:test(EQUAL, calls.of "prctl".numbers[machine], entry, target)
end

local function half(number) return number % 256, math.floor(number / 256) % 256 end

local function bytes_of(program)
  local bytes = {}
  for i = #program, 1, -1 do
    local code, yes, no, k = program[i][1], program[i][2], program[i][3], program[i][4]
    local a, b = half(k)
    local c, d = half(math.floor(k / 65536))
    bytes[#bytes + 1] = string.char(code, 0, yes, no, a, b, c, d)
  end
  return table.concat(bytes)
end

--- How many instructions the kernel takes at most.
M.MOST = 4096

--- The program, as the kernel takes it; nil where the machine is not known, or it would be too long.
---@param rules cella.seccomp.rules
---@param machine string
---@param mark integer  32 bits
---@return string? program, string? problem
function M.program(rules, machine, mark)
  local architecture = ARCHITECTURES[machine]
  if not architecture then return nil, ("the numbers of system calls of a %s are not known"):format(machine) end
  local program = setmetatable({ answers = {} }, Program)
  local runs = runs_of(program, rules, machine)
  local tree = add_tree(program, runs, 1, #runs)
  -- Those of x32 are far above, too.
  local known = program:test(ABOVE, calls.NEWEST, program:answer "ENOSYS", tree)
  local entry = program:load(NUMBER, add_mark(program, mark, machine, known))
  entry = program:test(EQUAL, architecture, entry, program:answer "kill")
  program:load(ARCHITECTURE, entry)
  if #program > M.MOST then
    return nil, ("the policy takes %d instructions, and the kernel %d at most"):format(#program, M.MOST)
  end
  return bytes_of(program)
end

return M
