--- What the fuzzers share: chance that can be repeated, mutation of bytes, and what counts as a finding.

local M = {}

local SECONDS = tonumber(os.getenv "FUZZ_SECONDS") or 600
local SEED = tonumber(os.getenv "FUZZ_SEED") or os.time()

-- No input takes as long, on a slow machine with sanitizers too.
local SLOW = 20

local random = math.random
M.random = random

function M.pick(list) return list[random(#list)] end

-- Numbers at which something changes.
local EDGES = { 0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 99, 100, 101, 127, 128, 255, 256, 4095, 4096, 65535,
  65536, 2147483647, 2147483648, 4294967294, 4294967295, 4294967296, 9007199254740992, math.maxinteger,
  math.mininteger, -1, -2 }
function M.edge() return M.pick(EDGES) end

local function edit(text, others, words)
  local at, length = random(0, #text), random(0, 8)
  local before, after = text:sub(1, at), text:sub(at + 1)
  local kind = random(8)
  if kind == 1 then return before .. string.char(random(0, 255)) .. after:sub(2) end
  if kind == 2 then return before .. after:sub(length + 1) end
  if kind == 3 then return before .. after:sub(1, length):rep(random(1, 20)) .. after end
  if kind == 4 then return before .. ("I" .. M.pick { 1, 4, 8 }):pack(random(0, 255)) .. after end
  if kind == 5 then return before .. ("%d"):format(M.edge()) .. after:gsub("^%d+", "") end
  if kind == 6 then return before .. M.pick(words) .. after end
  local other = M.pick(others)
  local from = random(0, #other)
  if kind == 7 then return before .. other:sub(from + 1) end
  return before .. other:sub(from + 1, from + length) .. after
end

--- One of the texts, changed in some places. `words` have a meaning to who reads them.
function M.mutate(texts, words)
  local text = M.pick(texts)
  for _ = 1, random(0, 6) do text = edit(text, texts, words) end
  return #text > 65536 and text:sub(1, 65536) or text
end

--- The files of spec/fuzz/corpus whose name begins so.
function M.corpus(name)
  local lfs, list = require "lfs", {}
  for file in lfs.dir "spec/fuzz/corpus" do
    if file:sub(1, #name) == name then
      local handle = assert(io.open("spec/fuzz/corpus/" .. file, "rb"))
      list[#list + 1] = handle:read "*a"
      handle:close()
    end
  end
  assert(#list > 0, "no corpus of " .. name)
  return list
end

-- What Lua itself says where a program is wrong. What cella refuses it refuses in its own words.
local OWN_FAULTS = { "attempt to ", "stack overflow", "not enough memory", "invalid value %(", "value out of range",
  "number has no integer representation", "C stack", "too many results to unpack", "invalid option",
  "malformed pattern", "unfinished ", "string slice too long", "%(%l+ expected, got ", "invalid key to 'next'",
  "wrong number of arguments" }

--- Whether an error is a fault of cella's.
function M.is_fault(err)
  if type(err) ~= "string" and not (type(err) == "table" and getmetatable(err)) then return true end
  local text = tostring(err)
  -- Quoted text is the input's.
  local bare = text:gsub('"[^"]*"', ""):gsub("'[^']*'", "''")
  for _, words in ipairs(OWN_FAULTS) do
    if bare:find(words) then return true end
  end
  return false
end

-- A crash says nothing of its input: it is in a file, which tools/fuzz then shows. Its first line has the number of
-- bytes that follow; behind them there may be some of an earlier one.
local notes = os.getenv "FUZZ_INPUT" and assert(io.open(os.getenv "FUZZ_INPUT", "wb"))

local function note(text)
  if not notes then return end
  notes:seek "set"
  notes:write(#text, "\n", text)
  notes:flush()
end

--- Runs `try(make())` until the time is over. `make` returns an input, `show` makes text of it. An error of `try`
--- is a finding if it is no refusal; so is what takes too long.
function M.run(name, make, try, show)
  show = show or tostring
  math.randomseed(SEED)
  io.write(("%s: %d s, FUZZ_SEED=%d\n"):format(name, SECONDS, SEED))
  io.flush()
  local till, count, refused = os.time() + SECONDS, 0, 0
  while os.time() < till do
    local input = make()
    note(show(input))
    count = count + 1
    local start = os.clock()
    local ok, err = pcall(try, input)
    local took = os.clock() - start
    if not ok then refused = refused + 1 end
    local fault = not ok and M.is_fault(err) and tostring(err)
    if took > SLOW then fault = ("it took %.1f s"):format(took) end
    if fault then
      io.write(("%s: FINDING at input %d: %s\n"):format(name, count, fault))
      os.exit(1)
    end
  end
  io.write(("%s: %d inputs, %d refused, no finding\n"):format(name, count, refused))
  assert(refused > 0 and refused < count, "all inputs were refused, or none: they reach nothing")
end

return M
