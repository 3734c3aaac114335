--- Which IDs the files of this host give to somebody: accounts, groups, and subordinate ranges.

local core = require "cella.core"
local file = require "cella.host.file"

local M = {}

-- Each line's numbers that name IDs: a first, and a count where there is one. What is no number is nobody's.
local FILES = {
  { path = "/etc/passwd", forms = { "^[^:]*:[^:]*:(%d+):", "^[^:]*:[^:]*:[^:]*:(%d+):" } },
  { path = "/etc/group", forms = { "^[^:]*:[^:]*:(%d+):" } },
  { path = "/etc/subuid", forms = { "^[^:]*:(%d+):(%d+)" } },
  { path = "/etc/subgid", forms = { "^[^:]*:(%d+):(%d+)" } },
}

local LAST = 4294967294

local function add(list, text, forms)
  for line in text:gmatch "[^\n]+" do
    for _, form in ipairs(forms) do
      local first, count = line:match(form)
      first, count = tonumber(first), tonumber(count) or 1
      if first and first <= LAST and count >= 1 then
        list[#list + 1] = { first = first, count = math.min(count, LAST + 1 - first) }
      end
    end
  end
end

-- In ascending order, where ranges that touch or overlap are one.
local function merged(list)
  table.sort(list, function(a, b) return a.first < b.first end)
  local result = {}
  for _, range in ipairs(list) do
    local last = result[#result]
    if last and range.first <= last.first + last.count then
      last.count = math.max(last.count, range.first + range.count - last.first)
    else
      result[#result + 1] = { first = range.first, count = range.count }
    end
  end
  return result
end

local known = {} -- what was read, and of which version of the files

local function version()
  local words = {}
  for i, one in ipairs(FILES) do
    local status, _, errno = core.file_status(one.path)
    words[i] = status and ("%.0f:%.0f:%.0f:%s"):format(status.device, status.inode, status.size, status.changed)
      or tostring(errno)
  end
  return table.concat(words, " ")
end

--- The IDs that a passwd, group, subuid or subgid file names, of users and groups together: merged ranges in ascending
--- order. The files are read again only when they have changed.
---@return { first: integer, count: integer }[]? ranges
---@return { path: string, message: string, errno: integer? }? failure
function M.taken()
  local now = version()
  if known.version == now then return known.ranges end
  local list = {}
  for _, one in ipairs(FILES) do
    local text, message, errno = file.read(one.path)
    if text then
      add(list, text, one.forms)
    elseif errno ~= 2 then -- a file that is not there names nobody
      return nil, { path = one.path, message = message, errno = errno }
    end
  end
  known.version, known.ranges = now, merged(list)
  return known.ranges
end

return M
