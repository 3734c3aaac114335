-- Twenty sandboxes at once, each with a coroutine of its own in the loop of cqueues, beside whatever else is in there.
--
--   lua5.4 examples/twenty-cqueues.lua
local cella = require "cella"
local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local COUNT = 20

local box = cella.container { hostname = "one-of-many", mounts = { { type = "proc", destination = "/proc" } } }

-- A process is something that cqueues can poll. Its descriptor is taken out of the loop before it is closed.
local function wait(process)
  local fd = process:pollfd()
  while not process:step() do cqueues.poll(process) end
  cqueues.cancel(fd)
  local result, err = process:wait(0)
  process:close()
  return result, err
end

local loop = cqueues.new()
local all_here, here, sum = condition.new(), 0, 0

for number = 1, COUNT do
  loop:wrap(function()
    local process = assert(box:spawn { "/bin/sh", "-c", [[
      echo here
      read -r number && echo "$number squared is $((number * number))"
      exit "$number"]], stdin = "pipe", wait = false, timeout = 60, stdout = function(line)
      if line ~= "here" then return print(line) end
      here = here + 1
      all_here:signal()
    end })
    loop:wrap(function()
      while here < COUNT do all_here:wait() end
      process:feed(number .. "\n")
    end)
    local result = assert(wait(process))
    sum = sum + result.code
  end)
end

assert(loop:loop())
print("the sum of the numbers is " .. sum)
