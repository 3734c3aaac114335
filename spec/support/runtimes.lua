--- Runtimes of others, which start bundles: runc and crun.

local trial = require "spec.support.trial"
local core = require "cella.core"

local M = {}

M.NAMES = { "runc", "crun" }

--- Why a runtime cannot be tried, or nil.
---@param name string
---@return string?
function M.lacks(name)
  if trial.sh("command -v " .. name) == "" then return "there is no " .. name end
  if name == "crun" and trial.lacks_root() then
    -- Debian's crun refuses the cgroups of a host that has those of version 1 too, unless it is shown others.
    if trial.sh "stat -fc %T /sys/fs/cgroup" ~= "cgroup2fs\n" then return "crun refuses this host's cgroups" end
  end
  return nil
end

local COMMANDS = {
  runc = "runc --root %s run --bundle %s %s",
  crun = "crun --cgroup-manager=disabled --root %s run --bundle %s %s",
}

-- Mounts of its own, of which nothing is left: crun looks at the cgroups that are mounted.
local PRIVATE = "unshare --mount sh -c %s"
local WITH_CGROUPS = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "

--- Starts a bundle, and returns what its program writes, to both streams.
---@param name string
---@param directory string  of the bundle
---@return string
function M.run(name, directory)
  local state = trial.directory()
  local command = COMMANDS[name]:format(state .. "/root", trial.quote(directory),
    ("cella-%d-%s"):format(core.sys.getpid(), state:match "%x+$"))
  if not trial.lacks_root() then
    command = PRIVATE:format(trial.quote((name == "crun" and WITH_CGROUPS or "exec ") .. command))
  else
    command = ("XDG_RUNTIME_DIR=%s %s"):format(state, command)
  end
  local output = trial.sh(command)
  trial.remove_directory(state)
  return output
end

return M
