--- Runtimes that start bundles: runc, crun, and cella's own.

local trial = require "spec.support.trial"
local core = require "cella.core"

local M = {}

M.NAMES = { "runc", "crun", "cella-oci" }

-- Cella's own is the checkout's.
local function path_of(name) return name == "cella-oci" and trial.top .. "/bin/cella-oci" or name end

--- Why a runtime cannot be tried, or nil.
---@param name string
---@return string?
function M.lacks(name)
  if trial.sh("command -v " .. trial.quote(path_of(name))) == "" then return "there is no " .. name end
  if name == "crun" and trial.lacks_root() then
    -- Debian's crun refuses the cgroups of a host that has those of version 1 too, unless it is shown others.
    if trial.sh "stat -fc %T /sys/fs/cgroup" ~= "cgroup2fs\n" then return "crun refuses this host's cgroups" end
  end
  return nil
end

-- Some give their streams to the container's root, the host's /dev/null too.
local COMMAND = "true | %s --root %s run --bundle %s %s"
local OPTIONS = { crun = " --cgroup-manager=disabled" }

-- Mounts of its own, of which nothing is left: crun looks at the cgroups that are mounted.
local PRIVATE = "unshare --mount sh -c %s"
local WITH_CGROUPS = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; "

--- Starts a bundle, and returns what its program writes, to both streams.
---@param name string
---@param directory string  of the bundle
---@return string
function M.run(name, directory)
  local state = trial.directory()
  local program = trial.quote(path_of(name)) .. (OPTIONS[name] or "")
  local command = COMMAND:format(program, state .. "/root", trial.quote(directory),
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
