-- What a command line, and who asks for it, does to the memory of its process before it loads the library.

local trial = require "spec.support.trial"

-- A program in this Lua that has its memory in a huge page, and what is behind it: its standard output.
local function program(code)
  return trial.sh(("%s -e %s"):format(trial.lua, trial.quote(
    'local cella = require "cella" local used = cella.use_huge_page() ' .. code)))
end

-- What smaps(5) says of the heap; nil where it is not what this libc has.
local HEAP = [[
local text, found = {}, false
for line in io.lines "/proc/self/smaps" do
  if line:find "^%x+%-%x+ " then found = line:find("[heap]", 1, true) ~= nil end
  if found then text[#text + 1] = line end
end
text = table.concat(text, "\n")
]]

describe("the memory of a program for one container", function()
  it("lies in a huge page, where the kernel has them for who asks", function()
    local said = program(HEAP .. "io.write(tostring(used), '\\n', text)")
    local used, heap = said:match "^(%a+)\n(.*)$"
    if used == "false" then
      pending "this libc or this kernel has no heap that could be in one"
      return
    end
    assert.equal("true", used)
    -- "hg": the kernel was asked for it. The rest of the heap is as ever.
    assert.matches("VmFlags:[^\n]* hg", heap)
    local plain = trial.sh(("%s -e %s"):format(trial.lua, trial.quote(HEAP .. "io.write(text)")))
    assert.is_nil(plain:find "VmFlags:[^\n]* hg")
  end)

  it("is asked for once, and serves what is large, too", function()
    assert.equal("same 3000000\n", program [[
      local again = cella.use_huge_page()
      local list = {}
      for i = 1, 30 do list[i] = ("x"):rep(100000) end
      for i = 1, 100000 do list[i] = list[i] or { i } end
      io.write(again == used and "same " or "another ", #table.concat(list, "", 1, 30), "\n")
    ]])
  end)

  it("does for containers, functions in them and the end of the process what any other does", function()
    assert.equal("true 7 exited\n", program [[
      local box = cella.container {}
      local first = assert(box:run { "/bin/true" })
      local second = assert(box:run(function() local t = {} for i = 1, 1000 do t[i] = ("y"):rep(i) end return 7 end))
      io.write(tostring(first.code == 0), " ", second.values[1], " ",
        second.reason, "\n")
    ]])
  end)

  it("is had also where there may be no more than a little", function()
    -- KiB of all that is mapped: too few for what malloc(3) is to have in store.
    assert.equal("false\n", trial.sh(("ulimit -d 2000 && %s -e %s"):format(trial.lua, trial.quote(
      'print(require("cella").use_huge_page())'))))
  end)
end)
