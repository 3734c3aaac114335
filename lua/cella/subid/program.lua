--- Runs a program and collects what it says, by the same machinery that starts containers: no shell is
--- involved, and nothing of this process is inherited but the environment.

local core = require "cella.core"

local M = {}

local SECONDS = 30 -- a directory service may be slow, or gone

-- The absolute directories of PATH, then where distributions keep privileged programs.
local FALLBACK = { "/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/run/privileged/bin",
  "/usr/sbin", "/sbin" }

--- Whether a path is of a directory where distributions keep programs, and so no user's choice.
---@param path string
---@return boolean
function M.is_of_system(path)
  local directory = path:match "^(/.*)/[^/]*$"
  for _, known in ipairs(FALLBACK) do
    if directory == known then return true end
  end
  return false
end

-- Why a file that is there is no program for this process; nil where there is none, or none to be seen.
local function obstructed(path)
  local file = core.open(path, "path")
  local facts = file and core.caps.file_facts(file:number())
  if file then file:close() end
  if not facts or not facts.regular then return nil end
  return path .. (facts.noexec and " lies on a noexec mount" or " is not executable for this process")
end

--- Where a program is.
---@param name string
---@return string? path, string? problem  where there is a file of the name that cannot be executed
function M.find(name)
  local problem
  local function usable(path)
    if core.is_executable(path) then return true end
    problem = problem or obstructed(path)
    return false
  end
  for directory in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    local path = directory .. "/" .. name
    if directory:sub(1, 1) == "/" and usable(path) then return path end
  end
  for _, directory in ipairs(FALLBACK) do
    if usable(directory .. "/" .. name) then return directory .. "/" .. name end
  end
  return nil, problem
end

local function collect(outputs, deadline)
  local open = #outputs
  while open > 0 do
    local left = deadline - core.now()
    if left <= 0 then return nil, "no answer within " .. SECONDS .. " seconds" end
    local numbers = {}
    for _, output in ipairs(outputs) do
      if output.fd:number() then numbers[#numbers + 1] = output.fd:number() end
    end
    core.poll(numbers, left) -- EINTR and the end of time are seen by the next round
    for _, output in ipairs(outputs) do
      local ended = not output.fd:number()
      local data = not ended and output.fd:read()
      if not ended and (data == nil or data == "") then
        output.fd:close()
        open = open - 1
      elseif data then
        output.text = output.text .. data
      end
    end
  end
  return true
end

--- Runs `argv`, of which the first is an absolute path, without any input.
---@param argv string[]
---@return { code: integer?, signal: integer?, stdout: string, stderr: string }? result
---@return string? message
function M.run(argv)
  local null, message = core.open("/dev/null", { "rdonly" })
  if not null then return nil, message end
  local out, out_end = core.pipe()
  local err, err_end = core.pipe()
  if not out or not err then return nil, "pipe: too many open files" end

  local recorder, filled = core.recorder(), {}
  for number, fd in pairs { [0] = null, out_end, err_end } do
    local slot = recorder:input()
    filled[slot:number()] = fd:number()
    recorder:record("dup2", slot, number)
  end
  recorder:record("close_others", { 0, 1, 2 })
  recorder:record("setsid") -- all that it starts is of its group
  recorder:record("sigdefault", "all")
  recorder:record("sigunblock")
  recorder:record("execve", { argv[1] }, argv)

  local process
  process, message = core.launch(recorder, {}, filled)
  null:close()
  out_end:close()
  err_end:close()
  if not process then return nil, message end
  local outputs = { { fd = out, text = "" }, { fd = err, text = "" } }
  local ok
  ok, message = collect(outputs, core.now() + SECONDS)
  if not ok then
    process:kill_group "kill"
    process:close()
    return nil, message
  end
  local step, errno
  ok, step, errno = process:wait_for_exec()
  if not ok then
    process:close()
    return nil, type(step) == "string" and step or errno == 0 and "killed before it began" or core.strerror(errno)
  end
  local code, signal = process:reap(true)
  process:close()
  return { code = code or nil, signal = signal, stdout = outputs[1].text, stderr = outputs[2].text }
end

return M
