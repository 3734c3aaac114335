-- cella.printable: names of others on a terminal.

local printable = require "cella.printable"
local trial = require "spec.support.trial"

describe("printable text", function()
  it("has the control characters of both sets as numbers", function()
    for byte = 0, 31 do
      local c = string.char(byte)
      local shown = ("a\\x%02xb"):format(byte)
      assert.equal(shown, printable.line("a" .. c .. "b"))
      assert.equal((c == "\n" or c == "\t") and "a" .. c .. "b" or shown, printable.text("a" .. c .. "b"))
    end
    for byte = 127, 255 do
      assert.equal(("a\\x%02xb"):format(byte), printable.line("a" .. string.char(byte) .. "b"))
    end
    for byte = 128, 159 do
      assert.equal(("\\xc2\\x%02x"):format(byte), printable.text("\194" .. string.char(byte)))
    end
  end)

  it("keeps what is UTF-8", function()
    for _, text in ipairs { "", "plain ~ \\x1b", "\195\164\226\130\172\240\159\152\128", "\194\160",
      "\237\159\191\238\128\128", "\244\143\191\191" } do
      assert.equal(text, printable.line(text))
      assert.equal(text .. text, printable.text(text .. text))
    end
  end)

  it("has characters as numbers that turn what is beside them, or end a line, and keeps their neighbours", function()
    for _, range in ipairs { { "\226\128", 168, 174 }, { "\226\129", 166, 169 } } do
      for last = 128, 191 do
        local text = range[1] .. string.char(last)
        local turns = last >= range[2] and last <= range[3]
        local shown = turns and text:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end) or text
        assert.equal("a" .. shown .. "b", printable.line("a" .. text .. "b"))
        assert.equal("\195\164" .. shown .. "\195\164", printable.text("\195\164" .. text .. "\195\164"))
        -- JSON has escapes of its own.
        assert.equal(text, printable.utf8(text))
      end
    end
  end)

  it("has what is no UTF-8 as numbers", function()
    for _, text in ipairs { "\192\155", "\193\191", "\224\130\155", "\237\160\128", "\240\130\130\155",
      "\244\144\128\128", "\245\128\128\128", "\226\130", "\195", "\155" } do
      local numbers = text:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
      assert.equal(numbers, printable.line(text))
      assert.equal("\195\164" .. numbers .. "\195\164", printable.text("\195\164" .. text .. "\195\164"))
    end
  end)
end)

describe("the command line", function()
  it("writes no escape sequences that are in names of files", function()
    local directory = trial.directory()
    local name = directory .. "/\27[31m\155.lua"
    for _, words in ipairs { { "run", name }, { "plan", name }, { "enter", "\27[31m\155" }, { "\27[31m\155" },
      { "caps", "show", "\27[31m\155" }, { "idmap", "translate", "\27[31m\155" } } do
      for _ = 1, 2 do
        local result = trial.cella(words)
        assert.not_equal(0, result.status)
        assert.truthy(result.stderr:find "[^%s]", table.concat(words, " "))
        assert.is_nil(result.stderr:find "[\27\155]", table.concat(words, " "))
        trial.write(name, "error 'no'") -- the second time it is there, and says no
      end
    end
    trial.remove_directory(directory)
  end)

  it("hands on what a program writes as it is", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local directory = trial.directory()
    local path = trial.write(directory .. "/box.lua", 'return require("cella").container {}')
    local result = trial.cella { "run", path, "--", "printf", "\\033[31m\\233" }
    trial.remove_directory(directory)
    assert.equal("\27[31m\155", result.stdout)
  end)
end)
