--- A hostile program (spec/support/hostile) in containers of several kinds, and outside of them, for controls.

local cella = require "cella"
local made = require "spec.support.made"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

local M = {}

local SECONDS = 60 * (tonumber(os.getenv "CELLA_PATIENCE") or 1)
-- The program is handed in as a descriptor, so that the container is the one that is tried, without a mount for it.
local PROGRAM = 9

local directory

--- The directory of the program and of what specs make, which only its owner may search; compiled once.
function M.directory()
  if not directory then
    local compiled = assert(made.once("hostile", function(path)
      local said = trial.sh(("cc -std=c11 -D_GNU_SOURCE -DPATIENCE=%d -Wall -Wextra -O1 -static -o %s "
        .. "spec/support/hostile/*.c"):format(math.ceil(tonumber(os.getenv "CELLA_PATIENCE") or 1), path))
      return said ~= "" and said or nil
    end))
    directory = trial.directory()
    trial.sh(("cp %s %s/hostile"):format(compiled, directory))
    made.done(compiled)
  end
  return directory
end

local program

function M.program()
  return program or M.directory() .. "/hostile"
end

--- For a process outside the runner: the one that is compiled already.
function M.use_program(path)
  program = path
end

--- For teardown.
function M.remove()
  if directory then trial.remove_directory(directory) end
  directory = nil
end

local function is_root()
  return not trial.lacks_root()
end
M.is_root = is_root

-- The lines "ATTEMPT TAB RESULT", as a list of results for each attempt.
local function parse(text)
  local said = {}
  for line in text:gmatch "[^\n]+" do
    local attempt, result = line:match "^([^\t]*)\t(.*)$"
    if attempt then
      said[attempt] = said[attempt] or {}
      table.insert(said[attempt], result)
    end
  end
  return said
end

-- What is answered for an attempt: its lines, or "" for none.
local function answers(result, attempts)
  if result.reason ~= "exited" or result.code ~= 0 then
    error(("the hostile program: %s %s\n%s%s"):format(result.reason, tostring(result.code or result.signal),
      result.stdout or "", result.stderr or ""), 3)
  end
  local said, list = parse(result.stdout), {}
  for _, attempt in ipairs(attempts) do list[attempt] = table.concat(said[attempt] or {}, "\n") end
  return list
end

local function command(attempts, keys)
  local words = { "/proc/self/fd/" .. PROGRAM, stdin = "null", stdout = "capture", stderr = "capture",
    timeout = SECONDS }
  for key, value in pairs(keys or {}) do words[key] = value end
  for _, attempt in ipairs(attempts) do words[#words + 1] = attempt end
  return words
end

-- Runs it in `start`, which has `run` as a container or an entrance has.
local function try_in(start, attempts, keys)
  local file = assert(io.open(M.program(), "rb"))
  local words = command(attempts, keys)
  words.fds = { [PROGRAM] = file }
  for number, other in pairs(keys and keys.fds or {}) do words.fds[number] = other end
  local result, err = start:run(words)
  file:close()
  if not result then error("no container: " .. tostring(err), 3) end
  return result
end

--- What a hostile program in a container with this description says: for each attempt its answer, "yes" or "no" and
--- an errno, or lines of what it found.
---@param description table
---@param attempts string[]
---@param keys table?  of the command
---@return table<string, string>
function M.inside(description, attempts, keys)
  return answers(try_in(cella.container(description), attempts, keys), attempts)
end

--- The same by who has entered a container in which a program sleeps.
function M.entered(description, attempts, keys)
  local process = assert(cella.container(description):spawn { "sleep", "600", stdin = "null" })
  local entrance, err = process:enter()
  if not entrance then
    process:close()
    error(tostring(err), 2)
  end
  local ok, result = pcall(try_in, entrance, attempts, keys)
  entrance:close()
  process:close()
  if not ok then error(result, 2) end
  return answers(result, attempts)
end

--- The same on the host, in no container: a control.
function M.outside(attempts)
  local words = command(attempts)
  words[1], words.timeout = M.program(), nil
  local result, err = cella.plan():exec(words):run { timeout = SECONDS }
  if not result then error(tostring(err), 2) end
  return answers(result, attempts)
end

--- The containers that hold it, with what a specification is called: by default, with the host's tree, after enter;
--- and by root those that have the host's root.
---@param keys table?  of each of their descriptions, too
function M.each_container(keys)
  local list = {
    { name = "a default container", description = {}, try = M.inside },
    { name = "a container with the host's tree", description = { root = "/", user_namespaces = true },
      try = M.inside, nests = true },
    { name = "a default container, entered", description = {}, try = M.entered },
    { name = "a default container with another user", description = { user = { uid = 33, gid = 33 } }, try = M.inside,
      several = true },
  }
  if is_root() then
    list[#list + 1] = { name = "a container with the host's root", description = { ids = policy.root() },
      try = M.inside, host_root = true }
    list[#list + 1] = { name = "a container with the host's root, entered", description = { ids = policy.root() },
      try = M.entered, host_root = true }
    list[#list + 1] = { name = "a container without a user namespace", description = { namespaces = { user = "host" } },
      try = M.inside, host_root = true }
  end
  local able = {}
  for _, container in ipairs(list) do
    for key, value in pairs(keys or {}) do container.description[key] = value end
    if not container.several or is_root() then able[#able + 1] = container end
  end
  return able
end

--- A list as text: what was found, and not too much of it.
function M.some(list)
  local most = 12
  local text = table.concat(list, "\n", 1, math.min(#list, most))
  return #list > most and ("%s\nand %d more"):format(text, #list - most) or text
end

--- Attempts in one of these containers, each of which has to be answered in one of these ways. A pattern, or several.
---@param attempts table<string, string|string[]>
---@param keys table?
function M.refuse(container, attempts, keys)
  local names = {}
  for name in pairs(attempts) do names[#names + 1] = name end
  table.sort(names)
  local said, wrong = container.try(container.description, names, keys), {}
  for _, name in ipairs(names) do
    local patterns, matches = attempts[name], false
    for _, pattern in ipairs(type(patterns) == "table" and patterns or { patterns }) do
      matches = matches or said[name]:find("^" .. pattern .. "$") ~= nil
    end
    if not matches then wrong[#wrong + 1] = name .. " in " .. container.name .. ": " .. said[name] end
  end
  if #wrong > 0 then error(M.some(wrong), 2) end
  return said
end

--- What belongs to the host while a specification is tried, see hostile.h: `host.socket`, `.fifo`, `.abstract`,
--- `.port`, `.terminal`, `.key`, `.pid`. To be closed.
function M.host(place)
  local path = trial.sh(("mktemp -d %s/cella-trial.XXXXXX"):format(place or "/tmp")):gsub("\n$", "")
  local lines = {}
  local process = assert(cella.plan():exec({ M.program(), "outside", path, stdin = "pipe",
    stdout = function(line) lines[#lines + 1] = line end, stderr = "inherit" }):spawn())
  trial.wait_for(function()
    return process:step() or lines[#lines] == "ready"
  end, "what belongs to the host")
  local self = { path = path, socket = path .. "/socket", fifo = path .. "/fifo", process = process }
  for _, line in ipairs(lines) do
    local key, value = line:match "^(%S+) (.+)$"
    if key then self[key] = value end
  end
  self.close = function()
    process:close_stdin()
    assert(process:wait(SECONDS))
    process:close()
    trial.sh("rm -rf --one-file-system " .. path)
  end
  return self
end

--- The inode of the runner's pid namespace, for attempts that are never to be made there.
function M.pid_namespace()
  return trial.sh "stat -L -c %i /proc/self/ns/pid":gsub("\n$", "")
end

return M
