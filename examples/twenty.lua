-- Twenty sandboxes at once in one Lua process, with nothing but cella: each squares a number when all are there.
--
--   lua5.4 examples/twenty.lua
local cella = require "cella"

local COUNT = 20

local box = cella.container { hostname = "one-of-many", mounts = { { type = "proc", destination = "/proc" } } }

local SCRIPT = [[
read -r number
echo here
read -r go && echo "$number squared is $((number * number)), says process $$ of $(hostname)"
exit "$number"
]]

local running, here = {}, 0

-- Called by whoever waits, for each line that one of them writes.
local function heard(line)
  if line ~= "here" then return print(line) end
  here = here + 1
  if here < COUNT then return end
  print(("all %d are here"):format(here))
  for _, process in ipairs(running) do process:feed "go\n" end
end

for number = 1, COUNT do
  local process = assert(box:spawn { "/bin/sh", "-c", SCRIPT, stdin = "pipe", stdout = heard, wait = false,
    timeout = 60, cpu_limit = 5, output_limit = 10000 })
  process:feed(number .. "\n")
  running[#running + 1] = process
end

-- One thread serves them all; here is who has ended meanwhile.
local sum = 0
while #running > 0 do
  local ended = {}
  for _, process in ipairs(assert(cella.wait(running))) do
    ended[process] = true
    local result = assert(process:wait())
    if result.reason == "exited" then sum = sum + result.code else print("sandbox ended by " .. result.reason) end
  end
  local left = {}
  for _, process in ipairs(running) do
    if not ended[process] then left[#left + 1] = process end
  end
  running = left
end
print("the sum of the numbers is " .. sum)
