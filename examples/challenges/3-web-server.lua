-- Challenge 3: become the web server's user in an unprivileged namespace: uid 33 (Debian) or 48 (Fedora).
--
-- Which user a process is inside is a matter of the map. There are two ways, and they differ in who the process is
-- outside: you, under another number; or one of your subordinate IDs, to whom nothing of yours belongs.
local cella = require "cella"
local host = require("cella.host").facts()
local policy = require "cella.policy"

local web = 33
for _, user in ipairs(host.users) do
  if user.name == "www-data" or user.name == "apache" then web = user.uid end
end

local function become(title, choose)
  print(title)
  local ids, err = choose(host)
  if not ids then
    print("  not here: " .. tostring(err))
    return
  end
  local box = cella.container { ids = choose, user = { uid = web, gid = web } }
  local result = assert(box:run { "/usr/bin/id", "-u", stdout = "capture" })
  print("  inside it is uid " .. result.stdout:match("%d+"))

  -- From outside, the kernel's own word.
  local process = assert(box:spawn { "/bin/sleep", "60", stdin = "null", stdout = "null" })
  local status = io.open(("/proc/%d/status"):format(process.pid)):read("*a")
  process:kill("kill")
  process:wait()
  local outside = tonumber(status:match("\nUid:%s+(%d+)"))
  print(("  outside it is uid %d%s"):format(outside, outside == host.uid and ", which is you" or ""))
  assert(outside == ids.uid:outside(web))
end

become("The web server is me:", policy.range {
  uid = { inside = web, outside = host.uid, count = 1 },
  gid = { inside = web, outside = host.gid, count = 1 },
})
become("I am root, and the web server is one of my subordinate IDs:", policy.exactly { 0, web, own = 0 })
