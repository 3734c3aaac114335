--- What a program reads from and writes to: its descriptors, and the parent's ends of them.
--
-- Everything is opened in the parent with the caller's rights, before there is a child, on numbers above all
-- that the program will have, so that no copy can overwrite another.

local core = require "cella.core"
local open = require "cella.open"
local render = require "cella.plan.render"
local terminal = require "cella.terminal"
local validate = require "cella.validate"

local sys = core.sys

local rule = validate.rule
local M = {}

local NAMES = { [0] = "stdin", [1] = "stdout", [2] = "stderr" }

local words = {
  stdin = rule.one_of { "inherit", "null", "pipe" },
  stdout = rule.one_of { "inherit", "null", "capture" },
  stderr = rule.one_of { "inherit", "null", "capture", "stdout" },
}

local EBADF = 9

local file = rule.record({ path = rule.path, append = rule.boolean }, { "path" })
local number = rule.integer(0, 2147483647)

local function bytes(value, path)
  if type(value) ~= "string" then validate.fail(path, "a string expected, got %s", validate.show(value)) end
  return value
end

local content = rule.record({ content = bytes }, { "content" })

-- What a number of the program's may be: a descriptor, one of Lua's own files, { content = ... }.
local function descriptor(value, path, others)
  if type(value) == "number" then
    return number(value, path)
  elseif io.type(value) == "file" then
    return value
  elseif type(value) == "table" and rawget(value, "content") ~= nil then
    return content(value, path)
  end
  validate.fail(path, "%sa descriptor, a file or { content = ... } expected, got %s", others or "",
    validate.show(value))
end

local input_file = rule.record({ path = rule.path }, { "path" })

local function stdin(value, path)
  if type(value) == "string" then
    return words.stdin(value, path, "text is { content = \"...\" }, a file { path = \"...\" }")
  end
  if type(value) == "table" and rawget(value, "content") == nil then return input_file(value, path) end
  return descriptor(value, path, '"inherit", "null", "pipe", { path = ... }, ')
end

-- A word, a descriptor, { path = ... }, one of Lua's own files, or a function that gets the lines.
local function output(name)
  return function(value, path)
    if type(value) == "string" then
      return words[name](value, path, "a file is { path = \"...\" }")
    elseif type(value) == "number" then
      return number(value, path)
    elseif io.type(value) == "file" then
      return value
    elseif type(value) == "table" then
      return file(value, path)
    elseif type(value) == "function" then
      return value
    end
    validate.fail(path, '"inherit", "null", "capture"%s, a descriptor, a file, { path = ... } or a function expected, '
      .. "got %s", name == "stderr" and ', "stdout"' or "", validate.show(value))
  end
end

--- The keys of a command table that this module understands.
M.fields = {
  stdin = stdin,
  stdout = output "stdout",
  stderr = output "stderr",
  fds = rule.map(rule.integer(3, 65535), descriptor),
  terminal = terminal.rule,
}

local function highest(command)
  local result = 2
  for target in pairs(command.fds or {}) do result = math.max(result, target) end
  return result
end

-- Each opener returns the text of a step and a function that performs it: a descriptor to pass on, and the
-- end that the parent keeps; and the number of a descriptor that has to be there already.
local opener = {}

-- By way of a mount of its own that is read-only: what is opened can be read and written, but its mode, owner and
-- times, which are the host's, cannot be changed. False where this process cannot make one: it takes Linux 5.12, and
-- CAP_SYS_ADMIN over the mount namespace.
local function open_guarded_null(min_fd)
  local tree = sys.open_tree("/dev/null", { "clone" })
  if not tree then return false end
  local fd, message, errno = false, nil, nil
  if sys.mount_setattr(tree, false, { "rdonly" }) then
    fd, message, errno = core.open(("/proc/self/fd/%d"):format(tree), "rdwr", nil, min_fd)
  end
  sys.close(tree)
  return fd, message, errno
end

function opener.null(_, min_fd, _, plan)
  local call = render.call("open", { "path", "/dev/null" }, { "flags", { "rdwr" } })
  if plan.guards_null then call.text = call.text .. " -- by a read-only mount, where one can be made" end
  return call, function()
    local fd, message, errno = false, nil, nil
    if plan.guards_null then fd, message, errno = open_guarded_null(min_fd) end
    if fd == false then return core.open("/dev/null", "rdwr", nil, min_fd) end
    return fd, message, errno
  end
end

function opener.capture(_, min_fd)
  return render.call "pipe", function()
    local reading, writing, errno = core.pipe(min_fd)
    if not reading then return nil, writing, errno end
    return writing, reading
  end
end

function opener.pipe(_, min_fd)
  return render.call "pipe", function()
    local reading, writing, errno = core.pipe(min_fd, true)
    if not reading then return nil, writing, errno end
    return reading, writing
  end
end

function opener.content(value, min_fd)
  local call = render.call "memfd_create"
  call.text = ("%s of %d bytes"):format(call.text, #value.content)
  return call, function()
    return core.content(value.content, min_fd)
  end
end

function opener.path(value, min_fd, target)
  local flags = { "rdonly" }
  if target ~= 0 then flags = { "wronly", "creat", value.append and "append" or "trunc" } end
  return render.call("open", { "path", value.path }, { "flags", flags }), function(context)
    return open.within(value.path, flags, target ~= 0 and 438 or nil, min_fd, context.left) -- 0666, less the umask
  end
end

function opener.descriptor(value, min_fd)
  return render.call("dup", { "fd", value }), function()
    return core.dup(value, min_fd)
  end, value
end

-- One of Lua's own files. The plan holds the file, not its number: that would be another's once the file is closed, or
-- collected.
function opener.file(value, min_fd)
  local fd = core.fileno(value)
  return render.call("dup", { "fd", fd }), function()
    if io.type(value) ~= "file" then return nil, "the file is closed", EBADF end
    return core.dup(core.fileno(value), min_fd)
  end, fd
end

--- The child's end of a pipe for what a function returns.
---@return cella.slot
function M.results(plan, min_fd)
  local call, perform = opener.capture(nil, min_fd)
  return plan:input(call, perform, "values")
end

--- Records what a command table asks for: parent steps that open, child steps that put in place.
---@param plan cella.plan
---@param command table  validated
---@param open_more (fun(min_fd: integer): cella.slot)?  opens one descriptor more, on a number from `min_fd` on, which
---  stays open until an exec
---@return cella.slot?  that one's
---@return cella.slot?  of the program's terminal, where that is yet to become the controlling one (plan.finish)
function M.record(plan, command, open_more)
  local min_fd = highest(command) + 1
  local keep = {}

  local function put(target, kind, value)
    keep[#keep + 1] = target
    local call, perform, needs = opener[kind](value, min_fd, target, plan)
    local has_other_end = kind == "capture" or kind == "pipe"
    local slot = plan:input(call, perform, has_other_end and NAMES[target] or nil, needs)
    plan:dup2(slot, target)
  end

  local function put_value(target, value)
    if type(value) == "table" then
      put(target, value.content and "content" or "path", value)
    else
      put(target, type(value) == "number" and "descriptor" or "file", value)
    end
  end

  local slave = command.terminal and terminal.record(plan, command.terminal, min_fd)
  if slave then
    plan.has_terminal = { captured = command.stdout == "capture" or type(command.stdout) == "function" }
  end

  for target = 0, 2 do
    local name = NAMES[target]
    local value = command[name] or slave and "terminal" or "inherit"
    -- What is captured of a program at a terminal is what comes out of the terminal.
    if slave and target == 1 and plan.has_terminal.captured then
      if type(value) == "function" then plan.functions[name] = value end
      value = "terminal"
    end
    if value == "inherit" and not core.is_open(target) then
      value = "null" -- a program finds 0, 1 and 2 open; what it opens next must not land there
    end
    if value == "null" or value == "capture" or value == "pipe" then
      put(target, value)
    elseif value == "terminal" then
      keep[#keep + 1] = target
      plan:dup2(slave, target)
    elseif type(value) == "function" then
      plan.functions[name] = value
      put(target, "capture")
    elseif type(value) ~= "string" then
      put_value(target, value)
    else
      keep[#keep + 1] = target
      if value == "stdout" then plan:dup2(1, 2) end
    end
  end
  local targets = {}
  for target in pairs(command.fds or {}) do targets[#targets + 1] = target end
  table.sort(targets)
  for _, target in ipairs(targets) do
    put_value(target, command.fds[target])
  end
  -- On the number that it has: one that is free in the caller, whose files still go by theirs.
  local more = open_more and open_more(min_fd)
  local slave_later = plan.finish and slave or nil
  plan:close_others(keep, more or slave_later)
  return more, slave_later
end

return M
