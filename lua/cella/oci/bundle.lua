--- A container as a bundle (the OCI's runtime specification): a directory with config.json, and the root where that is
--- put together of parts.
---
---     local bundle = require "cella.oci.bundle"
---     local notes = assert(bundle.write(box, "moon", { "sh" }))
---     os.execute "runc run --bundle moon moon"

local blame = require "cella.blame"
local containers = require "cella.container"
local Error = require "cella.error"
local Plan = require "cella.plan"
local config = require "cella.oci.export.config"
local core = require "cella.core"
local files = require "cella.oci.export.files"
local host = require "cella.host"
local json = require "cella.oci.json"
local printable = require "cella.printable"
local rootfs = require "cella.oci.export.rootfs"
local validate = require "cella.validate"

local M = {}

-- The files that are nowhere else, as the container would make them.
local function write_files(state, directory)
  if #state.files == 0 then return true end
  local ok, err = files.make_directory(directory .. "/files")
  for i, file in ipairs(ok and state.files or {}) do
    local path = ("%s/files/%d"):format(directory, i)
    local fd, message, errno = core.open(path, { "wronly", "creat", "excl", "nofollow" }, 384) -- 0600
    if not fd then return files.failed("open", path, message, errno) end
    ok, err = files.write(path, file.content)
    if ok then ok, err = rootfs.give(state, fd:number(), path) end
    if ok then core.sys.fchmod(fd:number(), file.mode or 384) end
    fd:close()
    if not ok then return nil, err end
  end
  return ok, err
end

-- Whoever is root in the container has to be able to go there.
local function note_way(made, directory)
  local state = made.state
  if not state.maps or state.maps.uid:inside(state.host.uid) then return end
  local path = directory:sub(1, 1) == "/" and directory or core.readlink "/proc/self/cwd" .. "/" .. directory
  for slash in path:gmatch "()/" do
    local above = path:sub(1, math.max(slash - 1, 1))
    local mode = state.host.files[above].mode
    if mode and mode % 2 == 0 then
      state.note(("%s: the container's IDs may not pass it (mode %o), and runtimes have to"):format(
        printable.line(above), mode))
    end
  end
end

--- Writes the bundle of a container to a directory that is not there yet. Raises where a config.json cannot say all of
--- it, naming the keys. Returns what is otherwise than in cella of what nobody has asked for, in sentences.
---@param box cella.container
---@param directory string
---@param command cella.command.keys?  the container's own, if not given
---@return string[]? notes, cella.error? err
function M.write(box, directory, command)
  if not containers.is(box) then blame "box: a container expected, as cella.container makes it" end
  directory = validate.check(validate.rule.path, directory, "directory")
  command = containers.checked_command(box, command)
  local available, message = json.available()
  if not available then return nil, Error.new { op = "oci", message = message } end
  local made, err = config.of(box.description, command, host.facts())
  if not made then return nil, err end
  local ok
  ok, err = files.make_directory(directory, true)
  if not ok then return nil, err end
  ok, err = files.write(directory .. "/config.json", json.encode(made.config, true) .. "\n")
  if ok then ok, err = write_files(made.state, directory) end
  if ok and made.state.parts then ok, err = rootfs.make(made.state, directory .. "/rootfs") end
  if not ok then
    -- It was not there before, and half of it is of use to nobody.
    Plan.new({}):exec({ "rm", "-rf", "--one-file-system", "--", directory, stdin = "null", stderr = "null" }):run()
    return nil, err
  end
  note_way(made, directory)
  return made.notes
end

return M
