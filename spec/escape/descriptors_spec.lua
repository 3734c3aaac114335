-- What is handed in is the exception: what can, and what cannot be done with it.

local cella = require "cella"
local escape = require "spec.support.escape"
local trial = require "spec.support.trial"

teardown(escape.remove)

-- Before Linux 5.12 no detached mount can be made read-only.
local kernel = require("cella.host").facts().kernel
local OLD = kernel and (kernel.major < 5 or kernel.major == 5 and kernel.minor < 12)

describe("descriptors #slow", function()
  local directory

  setup(function()
    directory = trial.directory()
    trial.write(directory .. "/file", "text\n")
    trial.sh(("chmod 644 %s/file"):format(directory))
  end)
  teardown(function() trial.remove_directory(directory) end)

  for _, container in ipairs(escape.each_container()) do
    it("are 0, 1 and 2 in " .. container.name, function()
      local said = container.try(container.description, { "descriptors" })
      for line in said.descriptors:gmatch "[^\n]+" do
        assert.truthy(line:find "^[012] ", line)
        assert.is_nil(line:find " directory ", line)
      end
      -- By a mount of its own it has no other name than that of the mount's root.
      assert.truthy(said.descriptors:find("0 char /dev/null\n", 1, true)
        or said.descriptors:find("0 char /\n", 1, true), said.descriptors)
    end)

    it("that capture output cannot be read back as anything else in " .. container.name, function()
      escape.refuse(container, { ["reopen=1:b"] = { "yes", "no EACCES" }, ["upwards=1"] = "no ENOTDIR",
        -- /dev/null is root's, and so the host's root's: it is handed in by a read-only mount, where that can be made.
        ["fchmod=0"] = container.host_root and OLD and { "yes" } or { "no EPERM", "no EROFS" } })
    end)
  end

  it("of a file of the host's root that is handed in to be read are not written by others", function()
    if trial.lacks_root() then return pending "needs root, whose file it is" end
    local file = assert(io.open(directory .. "/file"))
    local said = escape.inside({}, { "reopen=5:w", "reopen=5:r", "fchmod=5" }, { fds = { [5] = file } })
    file:close()
    assert.same({ ["reopen=5:w"] = "no EACCES", ["reopen=5:r"] = "yes", ["fchmod=5"] = "no EPERM" }, said)
  end)

  it("of one's own file that is handed in to be read are written by one's own container, as the manual says", function()
    local policy = require "cella.policy"
    local file = assert(io.open(directory .. "/file"))
    local said = escape.inside({ ids = policy.root() }, { "reopen=5:w" }, { fds = { [5] = file } })
    file:close()
    assert.equal("yes", said["reopen=5:w"])
  end)

  it("of content cannot be written, changed or executed", function()
    local said = escape.inside({}, { "reopen=0:w", "fchmod=0" }, { stdin = { content = "text" } })
    -- Opening succeeds for its owner; the seals keep writing out.
    local result = trial.inside({}, "true")
    assert.equal("", result)
    local written = assert(cella.container({}):run { "sh", "-c", "echo x > /proc/self/fd/0; cat", stdout = "capture",
      stderr = "null", stdin = { content = "text" } })
    assert.equal("text", written.stdout)
    assert.truthy(said["reopen=0:w"])
  end)

  it("of the program itself cannot be written to", function()
    local said = escape.inside({}, { "write=/proc/self/exe" })
    assert.truthy(said["write=/proc/self/exe"]:find "^no E")
  end)
end)
