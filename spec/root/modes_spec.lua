-- Permission bits: octal digits as text, or numbers; and numbers that look like octal digits, which somebody meant.

local able = require "spec.support.able"
local cella = require "cella"
local modes = require "cella.mode"
local portable = require "spec.support.portable"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local function refusal(call, ...)
  local ok, err = pcall(call, ...)
  assert.is_false(ok, "was taken: " .. tostring(err))
  return type(err) == "table" and err.validation or tostring(err)
end

-- What `umask` shows of a mode, as a step.
local function recorded(mode) return tostring(cella.plan():umask(mode)):match "umask%((%d+)%)$" end

describe("a mode", function()
  it("is octal digits as text, or a number", function()
    for text, number in pairs { ["0"] = 0, ["755"] = 493, ["0755"] = 493, ["0o755"] = 493, ["1777"] = 1023,
      ["01777"] = 1023, ["620"] = 400, ["7777"] = 4095 } do
      assert.equal(("%o"):format(number), modes.rule(text, "mode"))
      assert.equal(number, modes.any(text, "mode"))
      assert.equal(tostring(number), recorded(text))
    end
    for _, number in ipairs { 0, 64, 73, 256, 292, 320, 365, 384, 416, 420, 432, 436, 438, 448, 457, 488, 493, 504, 509,
      511, 1016, 1023, 1517, 1533, 2541, 4095 } do
      assert.equal(("%o"):format(number), modes.rule(number, "mode"))
      assert.equal(tostring(number), recorded(number))
    end
  end)

  it("is nothing else", function()
    local float = portable.integers and 493.0 or 493.5
    for _, bad in ipairs { "", "8", "798", "rwxr-xr-x", "u+x", "-1", "0x1f", "o755", "10000", "000755", " 755", -1,
      4096, 1.5, float, 0 / 0, true, {} } do
      local words = 'mode: octal digits as text, "755", or an integer from 0 to 4095 expected'
      assert.matches(words, refusal(modes.rule, bad, "mode"), 1, true)
      assert.matches(words, refusal(modes.any, bad, "mode"), 1, true)
      assert.matches("an integer from 0 to 4095 expected", refusal(sys.umask, bad), 1, true)
      assert.matches("an integer from 0 to 4095 expected", refusal(recorded, bad), 1, true)
    end
  end)

  it("is no number that octal digits make which are read as decimal: what was meant is said", function()
    for _, digits in ipairs { "440", "444", "550", "555", "600", "640", "644", "660", "664", "666", "700", "711", "744",
      "750", "751", "755", "770", "775", "777", "1755", "1770", "1777", "2750", "2755", "2775", "3777", "4755", "6755",
      "7777" } do
      local number = tonumber(digits)
      local words = ('%s is not the mode 0%s, because Lua has no octal numbers: write "%s", or %d'):format(digits,
        digits, digits, tonumber(digits, 8))
      assert.equal("mode: " .. words, refusal(modes.rule, number, "mode"))
      assert.matches(words, refusal(recorded, number), 1, true)
    end
  end)

  it("of an operation is also a number that is a usual mode itself, whatever it looks like", function()
    for number, meant in pairs { [400] = 256, [500] = 320 } do
      assert.matches(('write "%d", or %d'):format(number, meant), refusal(modes.rule, number, "mode"), 1, true)
      assert.equal(tostring(number), recorded(number))
    end
  end)

  it("of a file that is there is any number", function()
    for _, number in ipairs { 400, 755, 644, 1777 } do assert.equal(number, modes.any(number, "mode")) end
  end)

  it("is what a file has in a container", needs("user_namespaces", function()
    local mounts = {
      { type = "tmpfs", destination = "/x", mode = "1770" },
      { type = "directory", destination = "/x/directory", mode = "0620" },
      { type = "file", destination = "/x/file", content = "", mode = "400" },
      { type = "bind", source = { content = "", mode = "640" }, destination = "/x/data" },
      { type = "tmpfs", destination = "/x/above/mount", mode = 493, parents = "711" },
      { type = "file", destination = "/x/changed", content = "" },
      { type = "chmod", destination = "/x/changed", mode = "4711" },
    }
    local result = assert(cella.container({ mounts = mounts }):run { "sh", "-c",
      "cd /x && stat -c '%a %n' . directory file data above above/mount changed", stdout = "capture",
      stderr = "stdout" })
    assert.equal("1770 .\n620 directory\n400 file\n640 data\n711 above\n755 above/mount\n4711 changed\n",
      result.stdout)
    result = assert(cella.container({ root = {
      { type = "bind", source = "/usr", destination = "/usr", readonly = true },
      { type = "symlink", target = "usr/lib", destination = "/lib" },
      { type = "symlink", target = "usr/lib64", destination = "/lib64" }, mode = "751" } }):run { "/usr/bin/stat", "-c",
      "%a", "/", stdout = "capture" })
    assert.equal("751\n", result.stdout)
  end))

  it("is refused wherever a table takes one, with its path", function()
    local function words(description)
      return (refusal(cella.container, description):gsub("^[^:]*:%d+: ", ""):match "^(.-): 755 is not")
    end
    local entries = {
      { "mounts[1].mode", { type = "tmpfs", destination = "/x", mode = 755 } },
      { "mounts[1].parents", { type = "tmpfs", destination = "/x", parents = 755 } },
      { "mounts[1].mode", { type = "file", destination = "/x", content = "", mode = 755 } },
      { "mounts[1].mode", { type = "directory", destination = "/x", mode = 755 } },
      { "mounts[1].mode", { type = "chmod", destination = "/x", mode = 755 } },
      { "mounts[1].source.mode", { type = "bind", destination = "/x", source = { content = "", mode = 755 } } },
    }
    for _, entry in ipairs(entries) do assert.equal(entry[1], words { mounts = { entry[2] } }) end
    assert.equal("root.mode", words { root = { { type = "tmpfs", destination = "/x" }, mode = 755 } })
  end)

  it("of a file that is made now is text too", function()
    local directory = trial.directory()
    assert(sys.mkdir(directory .. "/made", "750"))
    local seen = trial.sh("stat -c %a " .. directory .. "/made")
    trial.remove_directory(directory)
    assert.equal("750\n", seen)
  end)
end)
