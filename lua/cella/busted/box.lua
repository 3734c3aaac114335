--- The container of a boxed test: what it has of the host where nothing else is said.

local lazy = require "cella.lazy"
local container = require "cella.container"
local core = require "cella.core"
---@module "cella.doctor"
local doctor = lazy "cella.doctor"
local host_facts = require "cella.host"
local keys_module = require "cella.busted.keys"
local open = require "cella.open"
local policy = require "cella.policy"

local M = {}

local function is_below(path, directory)
  return path == directory or path:sub(1, #directory + 1) == directory .. "/"
end

-- What root = "system" has anyway.
local SYSTEM = { "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" }

local function is_of_system(path)
  for _, directory in ipairs(SYSTEM) do
    if is_below(path, directory) then return true end
  end
  return false
end

local function is_directory(path)
  local status = open.status(path)
  return status ~= nil and status.type == "directory"
end

--- The directories in which `require` looks, for modules that a test loads.
---@param except string?  what is there already
---@return string[]  none within another
function M.search_directories(except)
  local found, seen = {}, {}
  for template in (package.path .. ";" .. package.cpath):gmatch "[^;]+" do
    local path = template:match "^(/[^?]*)/[^/?]*%?" or template:match "^(/.*)/[^/]*$"
    if path and not seen[path] and not is_of_system(path) and not (except and is_below(path, except))
      and is_directory(path) then
      found[#found + 1] = path
    end
    seen[path or template] = true
  end
  table.sort(found)
  local outermost = {}
  for _, path in ipairs(found) do
    local last = outermost[#outermost]
    if not last or not is_below(path, last) then outermost[#outermost + 1] = path end
  end
  return outermost
end

-- Those of the caller's that say where his own files are: they are not in there.
local ELSEWHERE = { "TMPDIR", "TMP", "TEMP", "TEMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
  "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "OLDPWD" }

local function environment(over)
  if over == "inherit" then return over end
  local whole = {}
  for _, entry in ipairs(core.sys.environment()) do
    local name, value = entry:match "^([^=]+)=(.*)$"
    if name then whole[name] = value end
  end
  for _, name in ipairs(ELSEWHERE) do whole[name] = nil end
  whole.HOME = "/tmp"
  for name, value in pairs(over or {}) do whole[name] = value end
  return whole
end

-- Root's suite: the directory's owner is the container's root, or nothing in it could be written to. Root in another
-- box, which has no right to choose, and anybody else have one ID, and give that.
local function ids_for(directory)
  local facts = host_facts.facts()
  local status = facts.capabilities.setuid and facts.capabilities.setgid and open.status(directory)
  if status then return { uid = ("0 %.0f 1"):format(status.uid), gid = ("0 %.0f 1"):format(status.gid) } end
  return facts.uid == 0 and policy.root() or nil
end

local KINDS = {
  overlay = function(path)
    return { type = "overlay", lower = path, upper = "tmpfs", destination = path, create = true }
  end,
  readonly = function(path) return { type = "bind", source = path, destination = path, readonly = true } end,
  writable = function(path) return { type = "bind", source = path, destination = path } end,
}

--- The whole description of a test's container.
---@param box table   the container's keys
---@param own table   the test's own
---@param cwd string
---@return table
function M.describe(box, own, cwd)
  local whole = {}
  for key, value in pairs(box) do whole[key] = value end
  whole.environment = environment(box.environment)
  -- A root of somebody's own making has nothing of the host's, but what is said.
  local of_host = box.root == nil or box.root == "system" or box.root == "/"
  local kind = own.directory
  if kind == nil then kind = of_host and cwd ~= "/" and "overlay" end
  local mounts = {}
  if of_host then
    for _, path in ipairs(M.search_directories(kind and cwd)) do
      if path ~= "/" then
        mounts[#mounts + 1] = { type = "bind", source = path, destination = path, readonly = true }
      end
    end
    -- The Lua at work, which runs whole files there: not each lies below /usr.
    local interpreter = core.readlink "/proc/self/exe" or ""
    local in_cwd = kind and interpreter:sub(1, #cwd + 1) == cwd .. "/"
    if interpreter:sub(1, 5) ~= "/usr/" and not in_cwd and core.inode(interpreter) then
      mounts[#mounts + 1] = { type = "bind", source = interpreter, destination = interpreter, readonly = true }
    end
  end
  if kind then
    mounts[#mounts + 1] = KINDS[kind](cwd)
    if whole.cwd == nil then whole.cwd = cwd end
  end
  for _, mount in ipairs(box.mounts or {}) do mounts[#mounts + 1] = mount end
  if box.namespaces and box.namespaces.mount and box.namespaces.mount ~= "new" then
    mounts, whole.cwd = nil, box.cwd or cwd
  end
  whole.mounts = mounts
  local user = box.namespaces and box.namespaces.user or "new"
  if box.ids == nil and user == "new" and kind then whole.ids = ids_for(cwd) end
  return whole
end

local made = setmetatable({}, { __mode = "k" }) -- keys -> { container, command, own }, for one working directory

--- The container and the command of these keys.
---@param keys table
---@return cella.container box, table command, table own
function M.of(keys)
  local cwd = core.readlink "/proc/self/cwd" or "/"
  local kept = made[keys]
  if not kept or kept.cwd ~= cwd then
    local box, command, own = keys_module.split(keys)
    kept = { box = container.new(M.describe(box, own, cwd)), command = command, own = own, cwd = cwd }
    made[keys] = kept
  end
  return kept.box, kept.command, kept.own
end

local answers = {}

-- A remedy of the doctor's, in a sentence: the one line that it is, or where it can be read.
local function allowed_by(remedy)
  local lines = {}
  for line in remedy:gmatch "[^\n]+" do
    if not line:find "^#" and not line:find "^%-%-" then lines[#lines + 1] = line end
  end
  if #lines == 1 then return "what allows them: " .. lines[1] end
  return "`cella doctor` says what allows them"
end

--- Why this host allows no such container, as the doctor says it; nil where it does. Asked once.
---@param keys table
---@return string?
function M.unavailable(keys)
  local own = select(3, M.of(keys))
  local wanted = { "container" }
  if own.directory == nil or own.directory == "overlay" then wanted[2] = "overlay" end
  local answer = answers[#wanted]
  if answer == nil then
    answer = false
    local words = {}
    for _, feature in ipairs(doctor.ask(wanted).features) do
      if feature.works == false and not feature.because then
        words[#words + 1] = feature.why or feature.error or feature.says
        if feature.remedy then words[#words + 1] = allowed_by(feature.remedy) end
      end
    end
    if #words > 0 then answer = "this host allows no such containers: " .. table.concat(words, "; ") end
    answers[#wanted] = answer
  end
  return answer or nil
end

return M
