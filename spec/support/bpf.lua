--- The kernel's machine for filters (classic BPF), as far as cella's programs use it: what a program answers, without a
--- kernel.

local M = {}
local Program = {}
Program.__index = Program

--- A program of its bytes.
function M.new(bytes)
  assert(#bytes % 8 == 0 and #bytes <= 8 * 4096)
  local self = setmetatable({}, Program)
  for at = 1, #bytes, 8 do
    local code, high, yes, no, a, b, c, d = bytes:byte(at, at + 7)
    self[#self + 1] = { code = code + 256 * high, yes = yes, no = no, k = a + 256 * (b + 256 * (c + 256 * d)) }
  end
  return self
end

-- The words of struct seccomp_data, by their offsets.
local function data_of(architecture, number, arguments)
  local data = { [0] = number, [4] = architecture }
  for i = 1, 6 do
    local digits = (arguments[i] or "0x0"):sub(3)
    digits = ("0"):rep(16 - #digits) .. digits
    data[8 + 8 * i], data[12 + 8 * i] = tonumber(digits:sub(9), 16), tonumber(digits:sub(1, 8), 16)
  end
  return data
end

local function both(a, b)
  local result, bit = 0, 1
  while a > 0 and b > 0 do
    if a % 2 == 1 and b % 2 == 1 then result = result + bit end
    a, b, bit = math.floor(a / 2), math.floor(b / 2), bit * 2
  end
  return result
end

local TESTS = {
  [0x15] = function(a, k) return a == k end,
  [0x25] = function(a, k) return a > k end,
  [0x35] = function(a, k) return a >= k end,
  [0x45] = function(a, k) return both(a, k) ~= 0 end,
}

--- What it answers: SECCOMP_RET_ and its data. Arguments are hexadecimal texts.
function Program:run(architecture, number, arguments)
  local data, at, accumulator = data_of(architecture, number, arguments), 1, nil
  while true do
    local step = assert(self[at], "a jump past the end")
    at = at + 1
    if step.code == 0x06 then
      return step.k
    elseif step.code == 0x20 then
      accumulator = assert(data[step.k], "no such word")
    elseif step.code == 0x54 then
      accumulator = both(accumulator, step.k)
    elseif step.code == 0x05 then
      at = at + step.k
    else
      at = at + (assert(TESTS[step.code], "no such instruction")(accumulator, step.k) and step.yes or step.no)
    end
  end
end

return M
