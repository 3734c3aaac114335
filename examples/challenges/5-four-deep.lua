-- Challenge 5: four namespaces, one in the other: container-user's, app-user's, java-user's and db-user's. Each prints
-- how the others' users look from where it stands, and tries to write to their files. From outside all four are drawn
-- as the tree that they are.
--
-- Each namespace hands most of its IDs down to the next and keeps its root's, and its user's, for itself. So whoever is
-- below has numbers above, and nobody above has a number below: he looks like 65534 there. Rights go the same way.
--
-- The maps are scrambled on purpose: blocks of ten IDs in reverse order, twelve at the top and six at the bottom.
local cella = require "cella"
local facts = require("cella.host").facts()
local idmap = require "cella.idmap"
local policy = require "cella.policy"

local NAMES = { "container-user", "app-user", "java-user", "db-user" }
local BLOCKS = { 12, 10, 8, 6 } -- of ten IDs, in each namespace

-- Each user is in the highest block of his namespace, which is not handed down; nor is the lowest, with root in it.
local function user_of(level) return BLOCKS[level] * 10 - 5 end

local function scrambled(level, first)
  local extents = {}
  for block = 0, BLOCKS[level] - 1 do
    extents[#extents + 1] = { inside = block * 10, outside = first + (BLOCKS[level] - 1 - block) * 10, count = 10 }
  end
  return idmap.new(extents)
end

-- What is inside level `level`, seen from inside level `from`, which is above it.
local function seen_from(from, level)
  local map = scrambled(level, 10)
  for above = level - 1, from + 1, -1 do map = map:compose(scrambled(above, 10)) end
  return map
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- `meanwhile` is called while it runs.
local function start(level, directory, ids, meanwhile)
  local plan = cella.plan { namespaces = { "user" }, ids = ids }
  plan:setresgid(0, 0, 0)
  plan:setresuid(0, 0, 0)
  plan:exec { arg[-1], arg[0], tostring(level), directory, environment = "inherit" }
  local process, err = plan:spawn()
  if not process then error(tostring(err), 0) end
  if meanwhile then meanwhile(process) end
  if assert(process:wait()).code ~= 0 then os.exit(1) end
end

local function is_there(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- When the innermost is there so are all, and nobody goes on before they are drawn.
local function draw(directory, process)
  while not is_there(directory .. "/ready") do
    if process:wait(0.02) then return end -- it has failed, and said why
  end
  print("From outside:\n" .. tostring(assert(cella.tree(process.pid))) .. "\n")
  io.stdout:flush()
  assert(io.open(directory .. "/drawn", "w")):close()
end

local function report(level, directory)
  print(("From the namespace of %s:"):format(NAMES[level]))
  for other, name in ipairs(NAMES) do
    local path = directory .. "/" .. name
    local owner = tonumber(lines_of(("stat -c %%u %s"):format(path))[1])
    local written = io.open(path, "a")
    if written then written:close() end
    -- The kernel and the algebra have to agree.
    local expected = idmap.overflow
    if other == level then expected = user_of(other) end
    if other > level then expected = seen_from(level, other):outside(user_of(other)) end
    assert(owner == expected, ("%s: %d, and not %s"):format(name, owner, tostring(expected)))
    assert((written ~= nil) == (other >= level), "rights do not go down only")
    print(("  %-15s is uid %-6d and his file is %s"):format(name, owner, written and "mine to write" or "closed to me"))
  end
end

-- Inside: makes its user's file, starts the next, and looks around when all files are there.
local level, directory = tonumber(arg[1] or ""), arg[2]
if level then
  local comm = assert(io.open("/proc/self/comm", "w"))
  comm:write(NAMES[level])
  comm:close()
  local path = directory .. "/" .. NAMES[level]
  assert(os.execute(("umask 077; : > %s && chown %d:%d %s"):format(path, user_of(level), user_of(level), path)))
  if NAMES[level + 1] then
    local map = scrambled(level + 1, 10)
    start(level + 1, directory, { uid = map, gid = map, via = "parent" })
  else
    assert(io.open(directory .. "/ready", "w")):close()
    while not is_there(directory .. "/drawn") do assert(os.execute "sleep 0.02") end
  end
  report(level, directory)
  return
end

-- Outside: a hundred and twenty IDs are needed.
local first = 100000
if not facts.capabilities.setuid then first = facts.subuid[1] and facts.subuid[1].first or first end
local group = first
if not facts.capabilities.setgid then group = facts.subgid[1] and facts.subgid[1].first or first end
local ids, err = policy.range { uid = scrambled(1, first), gid = scrambled(1, group) }(facts)
if not ids then
  print("There are not enough IDs here: " .. tostring(err))
  os.exit(77)
end
directory = lines_of("d=$(mktemp -d) && chmod 777 $d && echo $d")[1]
local ok, message = pcall(start, 1, directory, {
  uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups, helper = ids.helper,
}, function(process) draw(directory, process) end)
os.execute("rm -r " .. directory)
if not ok then error(message, 0) end
