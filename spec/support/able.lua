--- What whoever runs the specs may do here. Each is true, or false and the reason for a `pending`. Asked once.

local portable = require "spec.support.portable"

local M = {}

local function says(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null", "r"))
  local text = pipe:read("*l")
  pipe:close()
  return text
end

local function succeeds(command)
  return portable.execute("{ " .. command .. "; } >/dev/null 2>&1 </dev/null") == true
end

local questions = {}

function questions.root()
  if says "id -u" ~= "0" then return false, "needs root" end
  if not succeeds "unshare --mount true" then return false, "needs root with all its capabilities" end
  return true
end

function questions.user_namespaces()
  if not succeeds "unshare --user --map-root-user true" then
    return false, "needs user namespaces, which this host refuses"
  end
  return true
end

-- Several IDs to switch between: in the initial namespace, or from /etc/subuid.
function questions.several_ids()
  if questions.root() then return true end
  if not succeeds "unshare --user --map-root-user --map-auto true" then
    return false, "needs subordinate IDs (/etc/subuid) and newuidmap"
  end
  return true
end

function questions.subordinate_ids()
  if says "id -u" == "0" then return false, "needs a user with subordinate IDs, and is run by root" end
  return questions.several_ids()
end

function questions.strace()
  if not succeeds "strace -f -o /dev/null true" then return false, "needs strace, and leave to use it" end
  return true
end

-- CAP_SYS_RESOURCE over the initial user namespace.
function questions.raise_limits()
  if not succeeds "sh -c 'ulimit -f 1; ulimit -H -f unlimited'" then
    return false, "needs to be allowed to raise hard limits"
  end
  return true
end

function questions.block_signal()
  if not succeeds "env --block-signal=USR1 --ignore-signal=USR2 true" then
    return false, "needs an env(1) that blocks signals (coreutils 8.31)"
  end
  return true
end

-- What it takes its place with on an older kernel sets flags of mounts that are attached, and does no more.
function questions.mount_setattr()
  local core = require "cella.core"
  local _, _, errno = core.sys.mount_setattr(1000000, false, {}, nil, "private")
  if core.errno_name(errno) == "ENOSYS" then return false, "needs mount_setattr (Linux 5.12)" end
  return true
end

-- What root's containers, who have IDs of their own, write below /tmp belongs to them by an ID-mapped mount alone.
function questions.own_files()
  if not questions.root() then return true end
  local kind = require("cella.mountinfo").on("/tmp").kind
  local needs = require("cella.host.mappable").needs(kind)
  if needs == nil then return true end
  return false, ("needs a %s that can be ID-mapped%s"):format(kind, needs and (" (Linux %s)"):format(needs) or "")
end

-- AddressSanitizer keeps freed memory for a while, and makes every program that is started slower and larger.
function questions.plain_memory()
  if (os.getenv "LD_PRELOAD" or ""):find("asan", 1, true) then
    return false, "AddressSanitizer has memory, and makes system calls, of its own"
  end
  return true
end

local answers = {}

--- Nil where it is possible, or why it is not.
---@param what string
---@return string?
function M.lacks(what)
  if not answers[what] then
    local able, reason = assert(questions[what], what)()
    answers[what] = { able = able, reason = reason }
  end
  if answers[what].able then return nil end
  return answers[what].reason
end

--- A function `needs` for a spec file: it("...", needs("root", function() ... end)) is skipped, with the reason,
--- where it cannot be tried. What is needed may be several things.
---@param skip fun(reason: string)  calls `pending`, which exists in spec files alone
function M.needs(skip)
  -- Called with a need at once it would make a specification that does nothing.
  assert(type(skip) == "function", "needs: a function that skips expected")
  return function(...)
    local arguments = { ... }
    local body = table.remove(arguments)
    return function()
      for _, what in ipairs(arguments) do
        local reason = M.lacks(what)
        if reason then return skip(reason) end
      end
      return body()
    end
  end
end

return M
