-- What does it cost to plan a container that keeps a capability, beside one that keeps none? Whether the program will
-- hold it is predicted. The two are planned in turn; what counts is the ratio of the medians.
--
--   lua5.4 bench/capabilities.lua [ROUNDS]
local cella = require "cella"

local rounds, each = tonumber(arg[1] or 100), 40
local without, with = cella.container {}, cella.container { capabilities = { "net_raw" } }

local function microseconds(box)
  local before = os.clock() -- of the processor: others may use it too
  for _ = 1, each do assert(box:plan { "/bin/true" }) end
  return (os.clock() - before) / each * 1e6
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local times, ratios = { {}, {} }, {}
for i = 1, rounds do
  local a, b
  if i % 2 == 0 then a, b = microseconds(without), microseconds(with) end
  if not a then b, a = microseconds(with), microseconds(without) end
  times[1][i], times[2][i], ratios[i] = a, b, b / a
end
print(("a plan without capabilities %.0f us, with one %.0f us, ratio %.3f"):format(median(times[1]), median(times[2]),
  median(ratios)))
