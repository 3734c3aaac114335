-- OCI bundles for specs: a root of busybox, and a config.json that whoever runs the specs may start.

local features = require "cella.oci.features"
local json = require "cella.oci.json"
local trial = require "spec.support.trial"

local M = {}

M.root_of_busybox = [[mkdir -p %s/bin && cp "$(command -v busybox)" %s/bin/busybox && cd %s/bin
  for name in sh cat echo env grep id kill ls mount ps sleep stat touch true umask; do ln -s busybox $name; done]]

--- Writes a config.json into a directory. `change` gets it as a table before that.
---@param path string
---@param args string[]
---@param change fun(config: table)?
function M.write(path, args, change)
  local config = features.config(trial.lacks_root() ~= nil)
  config.process.terminal = false
  config.process.args = args
  if change then change(config) end
  trial.write(path .. "/config.json", assert(json.encode(config)))
end

--- A bundle below a directory.
---@param directory string
---@param args string[]
---@param change fun(config: table)?
---@return string path
function M.make(directory, args, change)
  local path = directory .. "/bundle"
  if not trial.read(path .. "/rootfs/bin/busybox") then
    trial.sh(("mkdir -p %s/rootfs; "):format(path) .. M.root_of_busybox:gsub("%%s", path .. "/rootfs"))
  end
  M.write(path, args, change)
  return path
end

--- A change that has the program's root alone written over.
function M.writable(config) config.root.readonly = false end

--- Runs cella-oci, with its states below a directory; see trial.host.
---@param directory string
---@param words table
function M.runtime(directory, words)
  local command = { trial.lua, trial.top .. "/bin/cella-oci", "--root", directory .. "/states" }
  for key, value in pairs(words) do command[type(key) == "number" and key + 4 or key] = value end
  return trial.host(command)
end

--- The same, which has to succeed: what it says.
function M.said(directory, words)
  local result = M.runtime(directory, words)
  if result.status ~= 0 then error(("%s: status %d\n%s"):format(words[1], result.status, result.stderr), 2) end
  return result.stdout
end

return M
