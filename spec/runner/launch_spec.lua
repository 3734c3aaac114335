-- The runner, given a launch by somebody else: what is not sound is refused before anything of it is used. A fuzzer
-- tries many more: spec/fuzz/runner.lua.

local portable = require "spec.support.portable"
local trial = require "spec.support.trial"
local cella = require "cella"
local core = require "cella.core"
local sys = require "cella.sys"

local SIZE = 1024
local SETUP_FAILED = 125
-- Of struct launch (csrc/executor/launch.h): where the numbers at its beginning are.
local HEAD = { size = 0, first = 4, ["end"] = 8, steps = 12, slot_count = 16, kept_count = 20, channel = 24 }
local BOOT_EXEC, EINVAL = 3, 22

local function put(bytes, at, size, value)
  local new = portable.encode(size, value)
  return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1)
end

-- A launch without a step: who performs it ends at once, with success.
local function launch(head, steps)
  local bytes = ("\0"):rep(SIZE) .. (steps or "")
  for _, name in ipairs { "size", "end" } do bytes = put(bytes, HEAD[name], "4", #bytes) end
  bytes = put(bytes, HEAD.first, "4", SIZE)
  for name, value in pairs(head or {}) do bytes = put(bytes, HEAD[name], "4", value) end
  return bytes
end

-- The first operation, unshare(namespaces), which without any does nothing (struct step in csrc/ops/step.h).
local STEP_SIZE, GIVEN, SLOT = 216, 1, 2
local function step(changes)
  local is = { op = 0, size = STEP_SIZE, slot = -1, optional = 0, guard = -1, n = 0, offset = 0, state = GIVEN }
  for name, value in pairs(changes or {}) do is[name] = value end
  return portable.encode("4444448844", is.op, is.size, is.slot, is.optional, is.guard, 0, is.n, is.offset, is.state, 0)
    .. ("\0"):rep(STEP_SIZE - 48)
end

describe("the runner", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- Its exit status, and the numbers that it has written into the launch: those at every four bytes that have changed.
  local function perform(bytes)
    local path = directory .. "/launch"
    trial.write(path, bytes)
    local fd = assert(core.open(path, "rdwr"))
    local runner = ("/proc/%d/fd/%d"):format(sys.getpid(), assert(core.runner_file()))
    local result = assert(cella.plan():exec({ runner, "plan", "5", "0", stdin = "null", stdout = "null",
      stderr = "null", fds = { [5] = fd:number() } }):run { timeout = 30 })
    fd:close()
    local after, changed = trial.read(path), {}
    for at = 1, #bytes - 3, 4 do
      local is = portable.decode(after, at)
      if is ~= portable.decode(bytes, at) then changed[#changed + 1] = is end
    end
    return result.code, changed
  end

  it("performs one that is sound", function()
    assert.equal(0, (perform(launch())))
    assert.equal(0, (perform(launch { slot_count = 10, kept_count = 10 })))
    assert.equal(0, (perform(launch({ steps = 1 }, step()))))
    assert.equal(0, (perform(launch({ steps = 2, slot_count = 1 }, step { guard = 0 } .. step()))))
  end)

  local function refuses(bytes)
    local code, changed = perform(bytes)
    assert.equal(SETUP_FAILED, code)
    assert.same({ BOOT_EXEC, EINVAL }, changed)
  end

  for name, values in pairs {
    size = { 0, SIZE - 8, SIZE + 8, 0xffffffff },
    first = { SIZE - 1, SIZE + 8, 0, 0xfffffff8 },
    ["end"] = { 0, SIZE - 8, SIZE + 8, 0xffffffff },
    steps = { 1, 0xffffffff },
    slot_count = { 250, 4097, 0xffffffff },
    kept_count = { 250, 0xffffffff, 0x40000000 },
    channel = { 0xffffffff },
  } do
    it("refuses one in which this is wrong: " .. name, function()
      for _, value in ipairs(values) do refuses(launch { [name] = value }) end
    end)
  end

  for name, changes in pairs {
    ["an operation that there is not"] = { op = 100000 },
    ["no size"] = { size = 0 },
    ["a size beyond the end"] = { size = STEP_SIZE + 8 },
    ["a size that is no multiple of 8"] = { size = STEP_SIZE - 4 },
    ["a slot that there is not, for its result"] = { slot = 1 },
    ["a slot that there is not, as its condition"] = { guard = 1 },
    ["a slot for what is no descriptor"] = { state = SLOT },
    ["an argument in no known state"] = { state = 3 },
    ["no argument, where one is needed"] = { state = 0 },
    ["a flag that its parameter does not have"] = { n = 1 },
    ["neither true nor false"] = { optional = 2 },
  } do
    it("refuses one with a step with " .. name, function()
      refuses(launch({ steps = 1, slot_count = 1 }, step(changes)))
    end)
  end

  it("refuses a file that is shorter than any launch, and writes nothing to it", function()
    for _, size in ipairs { 0, 1, 64 } do
      local code, changed = perform(("\0"):rep(size))
      assert.equal(SETUP_FAILED, code)
      assert.same({}, changed)
    end
  end)
end)
