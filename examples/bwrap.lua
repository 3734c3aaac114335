-- bubblewrap's command line as a program on cella: who has a bwrap line can run it, and read here how each of its
-- options is done.
--
--   lua5.4 examples/bwrap.lua --ro-bind / / --tmpfs /tmp --dev /dev --unshare-all sh
--
-- bwrap/options.lua   the words: what may be said, and what is refused
-- bwrap/root.lua      the file system: which words are which parts of a root
-- bwrap/sandbox.lua   the rest of the sandbox as a plan, from the namespaces to exec
-- bwrap/messages.lua  what is said to people and to --info-fd
--
-- Three things are not as bwrap has them, because there they are wrong:
--
-- - A symbolic link in the new root leads to where it leads for who is inside, never to the host.
-- - A caller that ignores SIGCHLD is no reason to hang.
-- - The program gets 0, 1, 2 and what --sync-fd names. bwrap hands on whatever happened to be open.
--
-- Missing: SELinux labels, which are refused.
--
-- Further: when the program ends, everything in its pid namespace ends, where bwrap lets the rest run on; what
-- --lock-file and --sync-fd name is kept by the program, not by a pid 1; a file in no known format is no shell script;
-- signals that the caller ignores are not ignored inside; what the host mounts later does not appear inside; of a
-- capability that root drops nothing stays, not even in the bounding set; /dev/shm is a tmpfs of its own; 0, 1 and 2
-- are open in any case; --args takes options only; --userns-block-fd insists on ID maps; a destination has no ".." in
-- it; an empty entry of PATH is not the working directory; --perms holds also for a file that --file finds there; what
-- --info-fd and the like name has to be open, or nothing runs.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path

require("cella").use_huge_page() -- what follows starts one container, and is the faster for it

local core = require "cella.core"
local messages = require "bwrap.messages"
local options = require "bwrap.options"
local sandbox = require "bwrap.sandbox"
local sys = require("cella.core").sys

local FAILED = 1

-- Lua has a handler of its own; this process ends as any other would.
sys.sigdefault { "int" }

local request, problem, warnings = options.parse(arg)
messages.level_prefix = request and request.level_prefix
for _, warning in ipairs(warnings) do messages.say("bwrap: " .. warning, 4) end
if not request then
  messages.refuse(problem)
  os.exit(FAILED)
elseif request.print then
  io.stdout:write(request.print)
  os.exit(0)
end

-- Nothing that was open by chance stays open here, nor gets any further.
local kept = {}
for _, fd in ipairs(request.descriptors) do kept[#kept + 1] = fd end
table.sort(kept)
local next_fd = 3
for _, fd in ipairs(kept) do
  if fd > next_fd then sys.close_range(next_fd, fd - 1) end
  next_fd = math.max(next_fd, fd + 1)
end
sys.close_range(next_fd, 4294967295)

local function run()
  if request.die_with_parent then
    -- This process too: pdeathsig of the program is about this one.
    local parent = sys.getppid()
    assert(sys.pdeathsig "kill")
    if sys.getppid() ~= parent then os.exit(FAILED) end
  end
  local plan = sandbox.plan(request)
  local process, err = plan:spawn()
  if not process then error({ plan = plan, err = err }) end
  local result
  result, err = process:wait()
  if not result then error(tostring(err), 0) end
  local status = result.code or 128 + result.signal_number
  if request.json_status_fd then core.sys.write(request.json_status_fd, ('{ "exit-code": %d }\n'):format(status)) end
  return status
end

local ok, result = xpcall(run, function(err)
  if type(err) == "table" then return err end
  return err:find "%.lua:%d+: " and debug.traceback(err) or err
end)
if not ok then
  messages.failed(result, request)
  result = FAILED
end
os.exit(result, true)
