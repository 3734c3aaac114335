-- Challenge 3: become the web server's user in an unprivileged namespace: uid 33 (Debian) or 48 (Fedora).
--
-- Which user a process is inside is a matter of the map. There are two ways, and they differ in who the process is
-- outside: you yourself, under another number; or one of your subordinate IDs, who may touch nothing of yours.
local cella = require "cella"
local facts = require("cella.host").facts()
local policy = require "cella.policy"

local function user_named(...)
  for _, name in ipairs { ... } do
    for _, user in ipairs(facts.users) do
      if user.name == name then return user.uid end
    end
  end
  return 33
end
local web = user_named("www-data", "apache", "http", "nginx")

local function become(title, make)
  local ids, err = make(facts)
  print(title)
  if not ids then
    print("  not here: " .. tostring(err))
    return
  end
  local plan = cella.plan {
    namespaces = { "user" },
    ids = { uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups, helper = ids.helper },
  }
  plan:setresgid(web, web, web)
  plan:setresuid(web, web, web)
  plan:exec { "/bin/sh", "-c", 'echo "$(id -u) $(cut -d " " -f 1 /proc/$$/loginuid 2>/dev/null)"; read hold',
    stdin = "pipe", stdout = "capture" }
  plan = nil
  local probe = cella.plan {
    namespaces = { "user" },
    ids = { uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups, helper = ids.helper },
  }
  probe:setresgid(web, web, web)
  probe:setresuid(web, web, web)
  probe:exec { "/usr/bin/id", "-u", stdout = "capture" }
  local result = assert(probe:run())
  print(("  inside: uid %s"):format((result.stdout:gsub("\n", ""))))
  print(("  outside: uid %d%s"):format(ids.uid:outside(web), ids.uid:outside(web) == facts.uid and ", which is you" or ""))
end

become("me, as the web server:", policy.range {
  uid = { inside = web, outside = facts.uid, count = 1 },
  gid = { inside = web, outside = facts.gid, count = 1 },
})
become("root is me, and the web server is one of my subordinate IDs:", policy.exactly { 0, web, own = 0 })
