-- Does starting a container cost more from a process with a large heap? The child shares the caller's memory until it
-- has executed the runner, so it should not. Starts are interleaved between two processes, one with a small heap and
-- one with a big one, so that whatever else the machine does hits both; what counts is the ratio of the medians.
--
--   lua5.4 bench/heap.lua [MiB] [ROUNDS]
local core = require "cella.core"
local Plan = require "cella.plan"

local mib, rounds = tonumber(arg[1] or 1024), tonumber(arg[2] or 300)

-- A worker is this file again: it reads a line, starts a container, and says how long that took.
if arg[1] == "worker" then
  local cella = require "cella"
  local ballast = {}
  for i = 1, tonumber(arg[2]) * 4 do ballast[i] = ("x"):rep(262144 - 64) .. i end
  collectgarbage()
  collectgarbage "stop"
  local plan = assert(cella.container { mounts = { { type = "proc", destination = "/proc" } } }
    :plan { "/bin/true", stdin = "null" })
  io.stdout:setvbuf "line"
  print(collectgarbage "count" / 1024)
  for _ in io.lines() do
    local before = core.now()
    local process = assert(plan:spawn())
    local started = core.now()
    process:wait()
    print(("%.9f %.9f"):format(started - before, core.now() - before))
    collectgarbage "step"
  end
  os.exit(#ballast >= 0)
end

local function worker(size)
  local to_child, from_child = os.tmpname(), os.tmpname()
  os.remove(to_child)
  os.remove(from_child)
  assert(os.execute(("mkfifo -m 600 %s %s"):format(to_child, from_child)))
  local plan = Plan.new():exec { arg[-1] or "lua5.4", arg[0], "worker", tostring(size),
    stdin = { path = to_child }, stdout = { path = from_child } }
  -- Opening a fifo waits for the other side: ours are opened for both directions first.
  local requests, answers = assert(io.open(to_child, "r+")), assert(io.open(from_child, "r+"))
  local process = assert(plan:spawn())
  requests:setvbuf "no"
  os.remove(to_child)
  os.remove(from_child)
  return { process = process, requests = requests, answers = answers, heap = tonumber(answers:read()), starts = {},
    totals = {} }
end

local function measure(one)
  one.requests:write "go\n"
  local start, total = one.answers:read():match("(%S+) (%S+)")
  one.starts[#one.starts + 1], one.totals[#one.totals + 1] = tonumber(start), tonumber(total)
end

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local small, big = worker(0), worker(mib)
for round = 1, rounds do
  -- Whoever comes second must not always be the same.
  local first, second = small, big
  if round % 2 == 0 then first, second = big, small end
  measure(first)
  measure(second)
end
for _, one in ipairs { small, big } do
  print(("heap %7.0f MiB: start %6.0f us, start and wait %6.0f us (medians of %d)")
    :format(one.heap, median(one.starts) * 1e6, median(one.totals) * 1e6, rounds))
end
print(("ratio big/small: start %.3f, start and wait %.3f"):format(median(big.starts) / median(small.starts),
  median(big.totals) / median(small.totals)))
small.process:close()
big.process:close()
