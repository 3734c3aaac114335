-- The names of the kernel's errors.
local core = require "cella.core"

describe("an error", function()
  -- What libc says of a number that is no error's.
  local function unknown(number) return (core.strerror(number):gsub("%d+", "")) end

  it("has a name wherever libc has words for it", function()
    local none = unknown(4095)
    local named = 0
    for number = 1, 4095 do
      local name = core.errno_name(number)
      if unknown(number) ~= none then assert.is_string(name, number) end
      if name then
        assert.truthy(name:find "^E[A-Z0-9]+$")
        named = named + 1
      end
    end
    assert.is_true(named > 120)
  end)

  it("has its own", function()
    assert.same({ "EPERM", "EAGAIN", "EDEADLK", "ENOSYS", "EOPNOTSUPP", "EHWPOISON", "EFTYPE" }, {
      core.errno_name(1), core.errno_name(11), core.errno_name(35), core.errno_name(38), core.errno_name(95),
      core.errno_name(133), core.errno_name(134) })
    for _, number in ipairs { 0, 41, 58, 135 } do assert.is_nil(core.errno_name(number), number) end
  end)
end)
