--- /etc/subuid and /etc/subgid, strictly read (subuid(5)). They are the last source: where there is neither
--- libsubid nor getsubids(1).

local M = {}

local LAST = 4294967294

-- Decimal, as newuidmap(1) would not read it: it takes 0100000 for octal and 0x186a0 for hexadecimal.
local function number(text)
  if text == "0" or text:find("^[1-9]%d*$") and #text <= 10 then return tonumber(text) end
end

local function parse(line)
  local owner, first, count = line:match("^([^:]+):([^:]*):([^:]*)$")
  if not owner then return nil, "not of the form owner:first:count" end
  first, count = number(first), number(count)
  if not first or not count then return nil, "a number is not decimal, or too long" end
  if count == 0 then return nil, "the range is empty" end
  if first + count - 1 > LAST then return nil, ("the range goes beyond %.0f"):format(LAST) end
  return owner, { first = first, count = count }
end

--- The ranges of one user in the text of such a file: the lines that have the user's name, and those that have
--- the user's number. A name is never taken for a number: a line that begins with a name is nobody's but that
--- name's.
---@param text string
---@param name string?  of the user
---@param uid integer?  of the user, also for groups' ranges: both files are keyed by user
---@return { first: integer, count: integer }[] ranges  in the order of the file
---@return string[] problems  lines that were skipped, and why
function M.ranges(text, name, uid)
  local ranges, problems, line_number = {}, {}, 0
  local digits = uid and ("%.0f"):format(uid)
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("([^\n]*)\n") do
    line_number = line_number + 1
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local owner, range = parse(line)
      if not owner then
        problems[#problems + 1] = ("line %d: %s"):format(line_number, range)
      elseif owner:find("^%d+$") and owner == digits or not owner:find("^%d+$") and owner == name then
        ranges[#ranges + 1] = range
      end
    end
  end
  return ranges, problems
end

--- The users of a passwd(5) file, in its order. Lines that are not of its form are left out.
---@param text string
---@return { name: string, uid: integer, gid: integer }[]
function M.users(text)
  local users = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    local name, uid, gid = line:match("^([^:+%-#][^:]*):[^:]*:(%d+):(%d+):[^:]*:[^:]*:[^:]*$")
    uid, gid = uid and number(uid), gid and number(gid)
    if uid and gid and uid <= LAST and gid <= LAST then
      users[#users + 1] = { name = name, uid = uid, gid = gid }
    end
  end
  return users
end

return M
