-- Keys of the kernel. What is tried runs below `hostile with-keys`, which makes a key in a session keyring and in the
-- user keyring, and takes it away again.

local escape = require "spec.support.escape"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

teardown(escape.remove)

local NAME = "cella-hostile"

-- Runs the attempts in a container below it: the table of answers. `how` is a method of escape.
local function with_keys(how, description, attempts)
  return outside.lua([[
    local escape = require "spec.support.escape"
    escape.use_program(...)
    local policy = require "cella.policy"
    local attempts = {}
    for _, attempt in ipairs { select(4, ...) } do
      attempts[#attempts + 1] = attempt:gsub("SESSION", os.getenv "HOSTILE_SESSION")
        :gsub("USER", os.getenv "HOSTILE_USER"):gsub("KEY", os.getenv "HOSTILE_KEY")
    end
    local how, description = select(2, ...)
    local said
    if how == "outside" then said = escape.outside(attempts)
    else said = escape[how](portable.load("local policy = ... return " .. description)(policy), attempts) end
    -- As they were asked for.
    local result = {}
    for i, attempt in ipairs(attempts) do result[i] = said[attempt] end
    return result
  ]], { prefix = ("%s with-keys %s"):format(escape.program(), NAME),
    arguments = { escape.program(), how, description, unpack(attempts) } })
end

local STEALING = {
  "key_search=" .. NAME, "key_search=SESSION:" .. NAME, "key_search=user:" .. NAME,
  "key_search=user-session:" .. NAME, "key_read=KEY", "key_describe=KEY", "key_steal=user:" .. NAME,
  "key_steal=USER:" .. NAME, "key_steal=SESSION:" .. NAME, "key_add=other", "key_add=user:other",
  "key_add=SESSION:other", "key_request=" .. NAME, "key_join", "key_clear=SESSION",
}
-- Of other ABIs, where the kernel has them.
local ABIS = { "keyctl_i386", "add_key_i386", "request_key_i386", "keyctl_x32" }

local function holds(how, description)
  local attempts = { unpack(STEALING) }
  for _, attempt in ipairs(ABIS) do attempts[#attempts + 1] = attempt end
  local wrong = {}
  for i, answer in ipairs(with_keys(how, description, attempts)) do
    -- A kernel that has no such ABI ends who uses it.
    local other = attempts[i]:find "i386$" and (answer == "no such ABI" or answer == "killed 11")
      or attempts[i]:find "x32$" and answer == "no EPERM"
    if answer ~= "no ENOSYS" and not other then
      wrong[#wrong + 1] = attempts[i] .. ": " .. answer
    end
  end
  assert.equal("", escape.some(wrong))
end

describe("keys #slow", function()
  it("are there for a program outside", function()
    local said = with_keys("outside", "nil", { "key_search=" .. NAME, "key_read=KEY", "key_steal=USER:" .. NAME,
      "key_add=user:other", "key_join" })
    assert.same({ "yes", "secret", "secret", "yes", "yes" }, said)
  end)

  it("are out of reach in a default container", function() holds("inside", "{}") end)
  it("are out of reach in a container with the host's tree", function() holds("inside", "{ root = '/' }") end)
  it("are out of reach with the caller's own IDs", function() holds("inside", "{ ids = policy.root() }") end)
  it("are out of reach after enter", function() holds("entered", "{}") end)
  it("are out of reach after enter with the caller's own IDs", function()
    holds("entered", "{ ids = policy.root() }")
  end)
  it("are out of reach without a user namespace", function()
    if trial.lacks_root() then return pending "needs root" end
    holds("inside", "{ namespaces = { user = 'host' } }")
  end)

  it("of the host are reached with keyrings = \"host\"", function()
    local said = with_keys("inside", "{ keyrings = 'host', ids = policy.root() }", { "key_search=" .. NAME,
      "key_read=KEY" })
    assert.same({ "yes", "secret" }, said)
  end)

  it("have a session keyring of their own with keyrings = \"own\", and the user keyring is the same", function()
    local said = with_keys("inside", "{ keyrings = 'own', ids = policy.root() }", { "key_search=" .. NAME,
      "key_steal=USER:" .. NAME, "key_add=other" })
    assert.equal("no ENOKEY", said[1])
    assert.equal("secret", said[2])
    assert.equal("yes", said[3])
  end)
end)
