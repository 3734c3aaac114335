-- A path on a mount that does not answer: an automount without its daemon. Whoever looks at it sleeps for ever, and
-- that is not the caller.

local core = require "cella.core"
local trial = require "spec.support.trial"

local SCRIPT = [[
local cella = require "cella"
local kind, path = arg[1], arg[2]
local options, command = { root = "/" }, { "/bin/true", timeout = 2 }
if kind == "bind" then options.mounts = { { type = "bind", source = path, destination = "/mnt" } }
elseif kind == "binds" then
  options.mounts = {}
  for i = 1, 8 do
    options.mounts[i] = { type = "bind", source = path .. i, destination = "/mnt", readonly = true }
  end
elseif kind == "root" then options.root = { path = path }
elseif kind == "net" then options.namespaces = { net = path }
elseif kind == "program" then command[1] = path
elseif kind == "cgroup" then options.cgroup = { parent = path } end
local ok, result, err = pcall(function()
  if kind == "bundle" then return cella.oci.read(path) end
  return cella.container(options):run(command)
end)
io.write("came back: ", tostring(ok and result and (result.reason or result.code) or nil), " ",
  tostring(not ok and result or err))
]]

describe("a mount that does not answer #slow", function()
  if core.sys.geteuid and core.sys.geteuid() ~= 0 or trial.sh "id -u" ~= "0\n" then
    pending "needs root: to mount an automount"
    return
  end
  if trial.sh "python3 -c 'print(1)' 2>/dev/null" ~= "1\n" then
    pending "needs python3: its support program mounts the automount"
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function run(command)
    trial.sh(("mkdir -p %s/dead"):format(directory))
    return trial.sh(("python3 spec/support/dead_mount.py %s/dead timeout -s KILL 40 %s 2>&1; echo status $?"):format(
      directory, command))
  end

  it("makes wait for ever who looks at it by himself", function()
    local said = run(("timeout -s KILL 2 stat %s/dead/x"):format(directory))
    if said:find("no autofs", 1, true) then pending(said) return end
    local killed = said:match "status (%d+)"
    assert.truthy(killed == "137" or killed == "247", said)
  end)

  -- Looked at one after the other, the eight would take the caller 40 seconds.
  for _, kind in ipairs { "none", "bind", "binds", "root", "net", "program", "cgroup", "bundle" } do
    it("lets the caller come back: " .. kind, function()
      local file = assert(io.open(directory .. "/script.lua", "w"))
      file:write(SCRIPT)
      file:close()
      local said = run(("%s %s/script.lua %s %s/dead/x"):format(trial.lua, directory, kind, directory))
      if said:find("no autofs", 1, true) then pending(said) return end
      assert.truthy(said:find("came back: " .. (kind == "none" and "0 " or ""), 1, true)
        or kind == "none" and said:find("came back: exit", 1, true), said)
    end)
  end
end)
