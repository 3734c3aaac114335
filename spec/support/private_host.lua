--- A host of a spec's own: root of a mount namespace in which mounts are shared, as systemd has them everywhere, so
--- that what a container lets out arrives there. From there nothing gets out: it is private first.

local trial = require "spec.support.trial"

local M = {}

local function prefix(several)
  if not trial.lacks_root() then return "unshare --mount --propagation private" end
  return "unshare --user --map-root-user " .. (several and "--map-auto " or "") .. "--mount --propagation private"
end

--- Runs a shell script there; what it says. With `several` an unprivileged caller has its subordinate IDs there.
---@param script string
---@param several boolean?
function M.sh(script, several)
  return trial.sh(("timeout -k 5 60 %s sh -c %s"):format(prefix(several),
    trial.quote("mount --make-rshared / || exit\n" .. script)))
end

--- Why there are no several IDs there, or nil.
function M.lacks_several()
  if M.sh("echo ready", true) == "ready\n" then return nil end
  return "needs subordinate IDs (/etc/subuid) and newuidmap"
end

local files = {}

-- What is mounted there belongs to the caller, whom the container is to have.
local AS_CALLER = [[
local box = %s
if not (box.namespaces and box.namespaces.user == "host") then box.ids = box.ids or require "cella.policy".root() end
return box
]]

--- The shell's words that run a script in a container with this description, in Lua.
---@param description string
---@param script string
function M.run(description, script)
  local path = trial.sh("mktemp /tmp/cella-trial-file.XXXXXX"):gsub("\n$", "")
  files[#files + 1] = trial.write(path, AS_CALLER:format(description))
  return trial.cli_text { "run", path, "--", "sh", "-c", script }
end

--- For after_each.
function M.clean()
  for _, path in ipairs(files) do os.remove(path) end
  files = {}
end

return M
