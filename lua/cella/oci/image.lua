--- A container as an image (the OCI's image specification): its root as a layer, and who its program is. Everything
--- else is said where the image is started.
---
---     local image = require "cella.oci.image"
---     assert(image.write(box, "web-image"))
---     os.execute "skopeo inspect oci:web-image"

local bind = require "cella.root.bind"
local blame = require "cella.blame"
local call = require "cella.call"
local command_module = require "cella.command"
local config = require "cella.oci.export.config"
local containers = require "cella.container"
local core = require "cella.core"
local description = require "cella.root.description"
local Error = require "cella.error"
local files = require "cella.oci.export.files"
local host = require "cella.host"
local json = require "cella.oci.json"
local lists = require "cella.list"
local mapping = require "cella.mapping"
local mounts = require "cella.oci.export.mounts"
local Plan = require "cella.plan"
local rootfs = require "cella.oci.export.rootfs"
local validate = require "cella.validate"
local wording = require "cella.oci.export.words"

local clean = description.clean
local M = {}

local MACHINES = { x86_64 = "amd64", aarch64 = "arm64", riscv64 = "riscv64" }

local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIG = "application/vnd.oci.image.config.v1+json"
local LAYER = "application/vnd.oci.image.layer.v1.tar"

-- Runs a program of the host's.
local function result_of(words)
  words.stdin, words.stdout, words.stderr = "null", "capture", "capture"
  words.environment = { PATH = command_module.PATH, LC_ALL = "C" }
  return Plan.new({}):exec(words):run()
end

-- The same, and returns what it writes.
local function run(words)
  local result, err = result_of(words)
  if not result then return nil, err end
  if result.code ~= 0 then
    local first = result.stderr:match "^[^\n]*" or ""
    return nil, Error.new { op = words[1], message = first ~= "" and first or ("%s has failed"):format(words[1]) }
  end
  return result.stdout
end

-- What of some mounts a destination is below; the last counts.
local function cover_of(list, destination)
  for i = #list, 1, -1 do
    local above = list[i].destination
    if destination:sub(1, #above + 1) == above .. "/" then return list[i] end
  end
  return nil
end

-- What a part of a root is in a layer: something that is made in it, a place for what is mounted there, or a tree of
-- the host's that is copied.
local function sort_parts(state, root)
  local copies, mounted = {}, {}
  for i, part in ipairs(root) do
    local at = ("root[%d]"):format(i)
    local kind = part.type
    local above = cover_of(mounted, clean(part.destination))
    local is_copied = kind == "bind" and type(part.source) == "string"
    if above and not is_copied and not mounts.is_mount(part) then
      state.refuse(at, ("a layer has it in its root alone, and over %s lies a %s"):format(above.destination,
        above.type))
    end
    if mounts.is_mount(part) and not (kind == "bind" and not is_copied) then
      mounted[#mounted + 1] = { destination = clean(part.destination), type = kind }
    end
    if clean(part.destination) == "/" then
      state.refuse(at, "what lies over the whole root is no part of a layer: let `root` be that")
    elseif kind == "overlay" or kind == "remount" or kind == "filesystem" then
      state.refuse(at .. ".type", ("what a part of the type %s is an image does not say"):format(kind))
    elseif kind == "bind" and type(part.source) == "table" then
      if part.source.fd then
        state.refuse(at .. ".source.fd", "is a descriptor of this process, which others have not")
      else
        table.insert(state.made, { at = at, entry = { type = "file", destination = part.destination,
          content = part.source.content, mode = part.source.mode or 384, parents = part.parents } })
      end
    elseif kind == "bind" then
      local source = files.absolute(part.source)
      if core.inode(source) then
        copies[#copies + 1] = { source = source, destination = clean(part.destination), at = at }
        if not above then state.made[#state.made + 1] = { entry = part, at = at } end
      elseif not part.optional then
        state.refuse(at .. ".source", ("there is no %s here"):format(source))
      end
      if bind.of_host_root({ source = source }, state.host) then
        state.refuse(at .. ".source", "the whole host is no part of an image")
      end
    elseif not above then
      state.made[#state.made + 1] = { entry = part, at = at }
    end
  end
  return copies
end

-- In the replacement of tar's --transform.
local function escaped(path) return (path:gsub("[\\&,]", "\\%0")) end

-- As pax(1) without the times of access, which are others each time.
local TAR = { "tar", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--numeric-owner", "--sort=name" }

local function tar(state, more)
  local words = {}
  for i, word in ipairs(TAR) do words[i] = word end
  -- Whoever is not root owns what is root's inside.
  if state.owner_map then
    words[#words + 1] = "--owner-map=" .. state.owner_map
    words[#words + 1] = "--group-map=" .. state.group_map
  end
  for _, word in ipairs(more) do
    for _, one in ipairs(type(word) == "table" and word or { word }) do words[#words + 1] = one end
  end
  return run(words)
end

-- Nothing is in a layer twice: what comes later is left out of what it comes into.
local function excluding(copies, first, above)
  local words = { "--anchored", "--no-wildcards" }
  for i = first, #copies do
    local destination = copies[i].destination
    if destination:sub(1, #above + 1) == above .. "/" then
      words[#words + 1] = "--exclude=." .. destination:sub(#above + 1)
    end
  end
  return words
end

local function pack_parts(state, root, directory, archive)
  local copies = state.copies
  state.parts = root
  local at = directory .. "/root"
  local ok, err = rootfs.make(state, at)
  if ok then ok, err = tar(state, { "-cf", archive, "-C", at, excluding(copies, 1, ""), "." }) end
  for i, copy in ipairs(ok and copies or {}) do
    if not ok then break end
    if state.host.files[copy.source].type == "directory" then
      ok, err = tar(state, { "-rf", archive, "--transform=flags=rhS;s,^\\.," .. escaped("." .. copy.destination) .. ",",
        "-C", copy.source, excluding(copies, i + 1, copy.destination), "." })
    else
      local above, name = copy.source:match "^(.*/)([^/]+)/*$"
      -- Of a link what it leads to, as a bind has it.
      ok, err = tar(state, { "-rf", archive, "--dereference", "--transform=flags=rhS;s,^.*$,"
        .. escaped("." .. copy.destination) .. ",", "-C", above, "--", name })
    end
  end
  run { "rm", "-rf", "--one-file-system", "--", at }
  return ok, err
end

-- What has such a name says that another is not there, to whoever unpacks the layer.
local function check_names(archive)
  local result, err = result_of { "tar", "-tf", archive, "--wildcards", "--wildcards-match-slash", "*/.wh.*" }
  if not result then return nil, err end
  local name = result.stdout:match "^%.(/[^\n]*)" -- tar has quoted what is none of ASCII's, a newline too
  if not name then return true end
  return nil, Error.new { op = "oci", path = name, message = "a layer cannot have a file of this name",
    why = "a name that begins with .wh. is a whiteout there: it takes away another file, or what is below a directory" }
end

-- Puts a file among the blobs, under the name that its content has.
local function add_blob(directory, path)
  local said, err = run { "sha256sum", "--", path }
  if not said then return nil, err end
  local digest = said:match "^\\?([0-9a-f]+)"
  if not digest or #digest ~= 64 then
    return nil, Error.new { op = "sha256sum", message = "it says no digest" }
  end
  local file = assert(io.open(path, "rb"))
  local size = file:seek "end"
  file:close()
  local ok, message, errno = os.rename(path, ("%s/blobs/sha256/%s"):format(directory, digest))
  if not ok then return files.failed("rename", path, message, errno) end
  return { digest = "sha256:" .. digest, size = size }
end

local function add_json(directory, value, media_type)
  local path = directory .. "/blob"
  local ok, err = files.write(path, json.encode(value))
  if not ok then return nil, err end
  local blob
  blob, err = add_blob(directory, path)
  if blob then blob.mediaType = media_type end
  return blob, err
end

local function text(state, value, at) return wording.text(state, value, at, "JSON") end

local function environment_of(state, given)
  if wording.is_inherited(state, given) then return {} end
  local all = { PATH = command_module.PATH, HOME = "/tmp" }
  for name, value in pairs(given or {}) do all[name] = value end
  local list = command_module.environment_list(all)
  for _, item in ipairs(list) do text(state, item, "environment." .. item:match "^[^=]*") end
  return list
end

-- What an image says beside its files.
local function config_of(state, box, command)
  local user = box.user
  local said = { WorkingDir = text(state, command and command.cwd or box.cwd or "/", "cwd"),
    Env = json.array(environment_of(state, command and command.environment or box.environment)) }
  if user and (user.uid or user.gid) then said.User = ("%.0f:%.0f"):format(user.uid or 0, user.gid or 0) end
  if command then
    local words = {}
    for i, word in ipairs(command) do words[i] = text(state, word, ("command[%d]"):format(i)) end
    if command.argv0 then state.refuse("command.argv0", "there a program is told the name that it is found by") end
    said.Cmd = json.array(words)
  end
  return said
end

local CARRIED = { root = true, user = true, environment = true, cwd = true, command = true }

local function note_rest(state, box)
  local rest = {}
  for _, key in ipairs(lists.sorted_keys(box.said or {})) do
    if not CARRIED[key] then rest[#rest + 1] = key end
  end
  local names = table.concat(rest, ", ")
  if #rest > 0 then state.note("not in an image, but said where it is started: " .. names) end
  if box.user and box.user.groups and #box.user.groups > 0 then
    state.note "user.groups: not in an image, but said where it is started"
  end
end

-- By whom what is in the root is made: root as the IDs that it is inside; everybody else as root of a user namespace,
-- who owns all of it outside.
local function take_ids(state, directory)
  local own = state.host
  if own.uid == 0 and own.capabilities.chown then
    state.identity = {}
    return true
  end
  local ids = mapping.rule({ uid = ("0 %.0f 1"):format(own.uid), gid = ("0 %.0f 1"):format(own.gid), via = "self",
    setgroups = "deny" }, "ids")
  state.identity, state.maps = { ids = ids, maps = ids }, ids
  state.owner_map, state.group_map = directory .. "/owners", directory .. "/groups"
  local ok, err = files.write(state.owner_map, ("+%.0f +0\n"):format(own.uid))
  if ok then ok, err = files.write(state.group_map, ("+%.0f +0\n"):format(own.gid)) end
  return ok, err
end

local function write_layout(state, box, directory, said)
  local ok, err = files.make_directory(directory .. "/blobs")
  if ok then ok, err = files.make_directory(directory .. "/blobs/sha256") end
  if ok then ok, err = take_ids(state, directory) end
  if not ok then return nil, err end
  local archive = directory .. "/layer"
  if state.root_path then
    ok, err = tar(state, { "-cf", archive, "-C", state.root_path, "." })
  else
    ok, err = pack_parts(state, box.root, directory, archive)
  end
  if ok then ok, err = check_names(archive) end
  if state.owner_map then
    os.remove(state.owner_map)
    os.remove(state.group_map)
  end
  if not ok then return nil, err end
  local layer, settings, manifest
  layer, err = add_blob(directory, archive)
  if not layer then return nil, err end
  layer.mediaType = LAYER
  settings, err = add_json(directory, { architecture = MACHINES[core.machine], os = "linux", config = said,
    rootfs = { type = "layers", diff_ids = json.array { layer.digest } },
    history = json.array { { created_by = "cella oci image" } } }, CONFIG)
  if not settings then return nil, err end
  manifest, err = add_json(directory, { schemaVersion = 2, mediaType = MANIFEST, config = settings,
    layers = json.array { layer } }, MANIFEST)
  if not manifest then return nil, err end
  manifest.annotations = { ["org.opencontainers.image.ref.name"] = "latest" }
  local index = { schemaVersion = 2, manifests = json.array { manifest } }
  ok, err = files.write(directory .. "/index.json", json.encode(index, true) .. "\n")
  if not ok then return nil, err end
  return files.write(directory .. "/oci-layout", '{"imageLayoutVersion": "1.0.0"}\n')
end

-- A layer would have half of itself in it.
local function check_outside(directory, copies)
  for _, copy in ipairs(copies) do
    if files.is_below(directory, copy.source) then
      return files.failed("oci", directory, ("it lies in %s, which the image is a copy of"):format(copy.source))
    end
  end
  return true
end

--- Writes an image layout to a directory that is not there yet: the root as a layer, with what is bound in a root of
--- parts copied, and of the other keys `user`, `environment`, `cwd` and `command`. Needs tar(1) and sha256sum(1).
--- Raises where an image cannot say it, naming the keys. Returns what it does not carry, in sentences.
---@param box cella.container
---@param directory string
---@param command cella.command.keys?  the container's own, if not given; an image needs none
---@return string[]? notes, cella.error? err
function M.write(box, directory, command)
  if not containers.is(box) then blame "box: a container expected, as cella.container makes it" end
  directory = validate.check(validate.rule.path, directory, "directory")
  local about = box.description
  command = (command or about.command) and containers.checked_command(box, command) or nil
  local available, message = json.available()
  if not available then return nil, Error.new { op = "oci", message = message } end
  local found = {}
  local state = config.new_state(about, host.facts(), found)
  local root = about.root
  if call.is(command) then
    state.refuse("command", "a Lua function is in this process alone: only a program can be started elsewhere")
    command = nil
  end
  if not root or root.system then
    state.refuse("root", "the host's files are no content of an image, and /etc is full of its secrets: give a "
      .. "directory, or parts")
  elseif root.source then
    if type(root.source) == "table" then
      state.refuse("root.fd", "is a descriptor of this process, which others have not")
    elseif bind.of_host_root({ source = root.source }, state.host) then
      state.refuse("root", "the whole host is no content of an image")
    else
      state.root_path = files.absolute(root.source)
    end
  else
    state.copies = sort_parts(state, root)
  end
  local said = config_of(state, about, command)
  config.stop(found, "an image")
  local ok, err = check_outside(directory, state.root_path and { { source = state.root_path } } or state.copies)
  if not ok then return nil, err end
  ok, err = files.make_directory(directory, true)
  if not ok then return nil, err end
  ok, err = write_layout(state, about, directory, said)
  if not ok then
    -- It was not there before, and half of it is of use to nobody.
    run { "rm", "-rf", "--one-file-system", "--", directory }
    return nil, err
  end
  note_rest(state, about)
  return state.notes
end

return M
