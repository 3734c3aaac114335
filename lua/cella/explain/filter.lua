--- Whether a seccomp filter of this process answers a system call in the kernel's place: found by making the call, in
--- another process, with arguments at which the kernel's answer is known (csrc/lib/answer.c).

local core = require "cella.core"

local M = {}

-- Operations that are another system call than their name says.
local CALL = {
  close_others = "close_range", fsconfig_at = "fsconfig", make_target = "openat2", open_tree_of = "open_tree",
  idmapped_tree = "open_tree", deny_keys = "seccomp",
}

-- Of these a filter can see no argument but numbers that are the same in the question; of others it may refuse some.
local WHOLE = { clone3 = true, unshare = true, openat2 = true, fsopen = true, pivot_root = true, chroot = true }

--- Whether this process is under filters.
---@return boolean
function M.is_there() return core.sys.get_seccomp() == 2 end

--- "refuses" where a filter answers the call, and what it answers: the name of an errno, or "killed"; "passes" where
--- the kernel does, whatever the arguments are; nil where that is not known.
---@param op string  an operation
---@param namespaces string[]?  of unshare
---@return "refuses"|"passes"|nil, string? answer, string? call
function M.of(op, namespaces)
  if not M.is_there() then return "passes" end
  local call = CALL[op] or op
  local result, expected = core.answer(call, namespaces)
  if not result then
    if expected == "killed" then return "refuses", expected, call end
    return nil
  end
  if result == expected then return WHOLE[call] and "passes" or nil end
  return "refuses", result < 0 and core.errno_name(-result) or "0", call
end

--- Whether a filter kills whoever makes the call.
---@param op string
---@return boolean
function M.kills(op)
  local verdict, answer = M.of(op)
  return verdict == "refuses" and answer == "killed"
end

return M
