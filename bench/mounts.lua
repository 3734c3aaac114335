-- What does a mount cost when there are many? Starts with 0, 250, 500 and 1000 bind mounts take turns, so that whatever
-- else the machine does hits all of them; what counts is the ratio: a thousand cost twice as much as five hundred.
--
--   lua5.4 bench/mounts.lua [ROUNDS]
local cella = require "cella"
local core = require "cella.core"

local rounds = tonumber(arg[1] or 20)
local sizes = { 0, 250, 500, 1000 }

local function container(count)
  local mounts = { { type = "tmpfs", destination = "/mnt" } }
  for i = 1, count do
    mounts[#mounts + 1] = { type = "bind", source = "/usr/bin/env", destination = "/mnt/" .. i, readonly = i % 2 == 0 }
  end
  return cella.container { mounts = mounts }
end

local boxes, plans, starts = {}, {}, {}
for _, size in ipairs(sizes) do boxes[size], plans[size], starts[size] = container(size), {}, {} end

for _ = 1, rounds do
  for _, size in ipairs(sizes) do
    local before = core.now()
    local plan = assert(boxes[size]:plan { "/usr/bin/true", stdin = "null" })
    local planned = core.now()
    local process = assert(plan:spawn())
    local started = core.now()
    process:wait()
    table.insert(plans[size], planned - before)
    table.insert(starts[size], started - planned)
  end
end

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

for _, size in ipairs(sizes) do
  print(("%4d mounts: plan %7.0f us, start %7.0f us (medians of %d)"):format(size, median(plans[size]) * 1e6,
    median(starts[size]) * 1e6, rounds))
end
local function above(list, size) return median(list[size]) - median(list[0]) end
print(("ratio 1000/500, without what 0 cost: plan %.2f, start %.2f"):format(above(plans, 1000) / above(plans, 500),
  above(starts, 1000) / above(starts, 500)))
