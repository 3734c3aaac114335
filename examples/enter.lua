--- A container, and a second program that enters it: the same namespaces, IDs and capabilities, and nothing more.
---
---   lua5.4 examples/enter.lua
local cella = require "cella"

local box = cella.container {
  hostname = "moon",
  mounts = { { type = "proc", destination = "/proc" } },
  capabilities = { "net_bind_service" },
  rlimits = { nofile = 64 },
}
local program = assert(box:spawn { "sleep", "1000", stdin = "null" })

-- Held from here on: its number can come to mean nobody else.
local entrance = assert(program:enter())

local look = [[
echo "I am $(id -u) on $(hostname), process $$, and may open $(ulimit -n) files"
grep -E '^(CapEff|NoNewPrivs)' /proc/self/status
echo "with me: $(cat /proc/[0-9]*/comm | sort -u | tr '\n' ' ')"
]]
local result = assert(entrance:run { "sh", "-c", look, stdout = "capture" })
io.write(result.stdout)

-- More than the program has is refused, unless that is said.
local _, err = assert(program:enter { capabilities = { "sys_admin" } }):run { "true" }
print(err)

-- Who is in there when the container ends, ends with it.
local guest = assert(entrance:spawn { "sleep", "1000", stdin = "null" })
program:kill "kill"
program:wait()
print("the guest was ended by " .. guest:wait().signal)
