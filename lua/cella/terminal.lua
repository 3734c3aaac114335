--- A terminal of a program's own: a pseudo-terminal (pty(7)) of which the program has one end and the caller the other.
--
-- It is made inside, with the program's own rights, where the program finds it by its name; and it is the controlling
-- terminal of the program's session, so that Ctrl-C, job control and changes of the size are the kernel's business.
-- What a program types into it (TIOCSTI) is typed into its own, whatever it may do.

local blame = require "cella.blame"
local core = require "cella.core"
local render = require "cella.plan.render"
local validate = require "cella.validate"

local rule = validate.rule
local sys = core.sys
local M = {}

local MULTIPLEXER = "/dev/ptmx"
local ROWS, COLUMNS = 24, 80

local size = rule.integer(1, 65535)
local record_rule = rule.record {
  rows = size,
  columns = size,
  -- A descriptor of a terminal whose modes and size it gets.
  like = rule.integer(0, 2147483647),
  -- In whose /dev/pts it is made.
  from = rule.one_of { "container", "host" },
}

--- The key `terminal` of a command: true or false, or a table.
function M.rule(value, path)
  if type(value) == "boolean" then return value and {} end
  if type(value) ~= "table" then
    validate.fail(path, "true, false or { rows =, columns = } expected, got %s", validate.show(value))
  end
  return record_rule(value, path)
end

--- For those who wait for the end and hold no handle: raises where nobody would read what the program writes.
---@param plan cella.plan
function M.check_read(plan)
  if plan.has_terminal and not plan.has_terminal.captured then
    blame('command.stdout: nobody reads what comes out of the terminal, so the program would wait: "capture" it, or '
      .. "use `spawn` and read from process.terminal")
  end
end

--- What `resize` takes.
M.size_rule = size

local function failed(message, errno)
  return nil, { message = message, errno = errno }
end

-- A descriptor as a value that closes it.
local function owned(number, min_fd)
  local fd, message, errno = core.dup(number, min_fd)
  sys.close(number)
  if not fd then return failed(message, errno) end
  return fd
end

-- The slave for the program and the master for the caller, made on this side.
local function open_here(min_fd)
  local number, message, errno = sys.openpt(MULTIPLEXER)
  if not number then return failed(message, errno) end
  local master, err = owned(number)
  if not master then return nil, err end
  local slave
  number, message, errno = sys.ptpeer(master:number())
  if number then
    slave, err = owned(number, min_fd)
  else
    slave, err = failed(message, errno)
  end
  if not slave then
    master:close()
    return nil, err
  end
  return slave, master
end

--- Records the making of a terminal; what is left is to copy the slave to the program's streams.
---@param plan cella.plan
---@param terminal table   as validated
---@param min_fd integer   above all descriptors of the program
---@return cella.slot slave
function M.record(plan, terminal, min_fd)
  local master, slave
  if terminal.from == "host" then
    local call = render.call("openpt", { "path", MULTIPLEXER })
    slave = plan:input(call, function() return open_here(min_fd) end, "terminal")
  else
    master = plan:openpt(MULTIPLEXER, min_fd)
    slave = plan:ptpeer(master, min_fd)
  end
  if terminal.like then plan:copy_tty(slave, plan:input_descriptor(terminal.like, min_fd)) end
  if terminal.rows or terminal.columns or not terminal.like then
    plan:tcsetwinsize(slave, terminal.rows or ROWS, terminal.columns or COLUMNS)
  end
  if not plan.finish then plan:setctty(slave) end
  if master then plan:send_fd(master) end
  return slave
end

---@class cella.terminal
---@field master table  what the caller reads from and writes to; does not block
local Terminal = { __name = "cella.terminal" }
Terminal.__index = Terminal

--- The caller's side of the terminal of a program that has been started.
---@param master table  a descriptor
---@return cella.terminal?, table?  nil, { message =, errno = }
function M.adopt(master)
  -- While somebody holds a slave the master does not come to an end, though the program closes all that it has and
  -- opens /dev/tty later.
  local number, message, errno = sys.ptpeer(master:number())
  if not number then return failed(message, errno) end
  local held, err = owned(number)
  if not held then return nil, err end
  -- A copy to write to: a set of descriptors takes each once.
  local typed
  typed, message, errno = core.dup(master:number())
  if typed then return setmetatable({ master = master, held = held, typed = typed }, Terminal) end
  held:close()
  return failed(message, errno)
end

--- Gives it another size, of which the program learns by SIGWINCH.
---@return boolean?, string?, integer?  as sys.tcsetwinsize
function Terminal:resize(rows, columns)
  return sys.tcsetwinsize(self.master:number(), rows, columns)
end

--- The program has ended: from here on the master comes to an end.
function Terminal:release()
  self.held:close()
end

--- Hangs up: what still runs in the session gets SIGHUP.
function Terminal:close()
  self.held:close()
  self.typed:close()
  self.master:close()
end

return M
