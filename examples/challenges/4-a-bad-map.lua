-- Challenge 4: what does a bad map expose?
--
-- A map is a promise about the files of others. From root the kernel takes any, so this shows what a careless one gives
-- away, and a policy of one's own that refuses it. Without privileges the kernel refuses it first, and the error says
-- by which rule.
local cella = require "cella"
local host = require("cella.host").facts()
local idmap = require "cella.idmap"
local policy = require "cella.policy"

-- "65536 IDs, as everyone does": but from 0 on, outside.
local careless = policy.range(0, 0, 65536)

local ids, err = careless(host)
if not ids then
  print("The kernel would not take it:")
  print(err)
else
  local secret = io.popen("f=$(mktemp) && chmod 600 $f && echo only root may read this > $f && echo $f"):read("*l")
  local command = { "/bin/cat", secret, stdout = "capture", stderr = "null" }
  local mounts = { { type = "bind", source = secret, destination = secret, readonly = true } }
  -- No capabilities, no_new_privs, a read-only mount: none of it helps, because the program *is* the file's owner.
  local result = assert(cella.container({ ids = careless, user = { uid = 0, gid = 0 }, mounts = mounts }):run(command))
  print("A careless map: root in the container reads: " .. result.stdout:gsub("\n", ""))
  local careful = policy.range(0, 100000, 65536)
  result = assert(cella.container({ ids = careful, user = { uid = 0, gid = 0 }, mounts = mounts }):run(command))
  print("A careful one:  root in the container reads: " .. (result.stdout == "" and "nothing" or result.stdout))
  os.remove(secret)
end

-- A policy is a function, so a stricter one is a function around it.
local function strict(inner)
  return function(facts)
    local result, why = inner(facts)
    if not result then return nil, why end
    for _, kind in ipairs { "uid", "gid" } do
      for _, warning in ipairs(idmap.check(result[kind], facts, { kind = kind, writer = result.via }).warnings) do
        if warning.code == "initial-root" or warning.code == "other-user" then
          return nil, ("refused (%s): %s"):format(warning.code, warning.message)
        end
      end
    end
    return result
  end
end

print("\nThe same map under a policy that looks first:")
print(select(2, cella.container({ ids = strict(careless) }):run { "/bin/true" }))
