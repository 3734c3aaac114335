--- How an administrator gives somebody subordinate IDs: usermod(8), with a range that nobody has.

local M = {}

local SIZE, FIRST, LAST = 65536, 100000, 4294967294

-- `taken`: merged ranges in ascending order.
local function free(taken)
  local first = FIRST
  for _, range in ipairs(taken or {}) do
    if range.first >= first + SIZE then break end
    first = math.max(first, range.first + range.count)
  end
  return first + SIZE - 1 <= LAST and first or nil
end

--- The caller's name, where a shell takes it as one word.
---@param host cella.Host
---@return string?
function M.name(host)
  return host.user and host.user:match "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
end

--- The command, as root, that gives the caller 65,536 user and group IDs; nil where none are left.
---@param host cella.Host
---@return string?
function M.command(host)
  local first = free(host.taken)
  if not first then return nil end
  local name = M.name(host)
  if name then
    return ("usermod --add-subuids %.0f-%.0f --add-subgids %.0f-%.0f %s    # as root"):format(first, first + SIZE - 1,
      first, first + SIZE - 1, name)
  end
  return ("echo %.0f:%.0f:%d | tee -a /etc/subuid /etc/subgid    # as root"):format(host.uid, first, SIZE)
end

return M
