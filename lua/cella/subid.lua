--- Subordinate IDs: the ranges of user and group IDs that an administrator gave to a user, for use in user
--- namespaces (subuid(5), subgid(5)).
---
---     local subid = require "cella.subid"
---     for _, range in ipairs(assert(subid.ranges("alice", "uid"))) do
---       print(range.first, range.count)
---     end
---
--- All ranges of a user, not the first alone. Three sources are tried in this order: libsubid, which also
--- asks directory services; the program getsubids(1), which is linked to it; the files. Which one it was is
--- told, and never is one that failed replaced by the next one: only one that is not there.

local blame = require "cella.blame"
local core = require "cella.core"
local errors = require "cella.error"
local file = require "cella.host.file"
local files = require "cella.subid.files"
local program = require "cella.subid.program"
local validate = require "cella.validate"

local M = {}

local LAST = 4294967294
local rule = validate.rule

---@class cella.subid.Options
---@field source? "libsubid"|"getsubids"|"files"  this one, and no other
---@field subuid? string     path, for /etc/subuid; implies files
---@field subgid? string     path, for /etc/subgid; implies files
---@field passwd? string     path of the file that says who has which uid; default: what the system says
---@field getsubids? string  path of the program

---@class cella.subid.Answer
---@field source "libsubid"|"getsubids"|"files"
---@field problems string[]  what was skipped, and why

local check_options = rule.record {
  source = rule.one_of { "libsubid", "getsubids", "files" },
  subuid = rule.path, subgid = rule.path, passwd = rule.path, getsubids = rule.absolute,
}

--- The users of a passwd(5) file.
---@param path? string  default "/etc/passwd"
---@return { name: string, uid: integer, gid: integer }[]? users
---@return cella.error? err
function M.users(path)
  if path ~= nil then validate.check(rule.path, path, "path") end
  path = path or "/etc/passwd"
  local text, message, errno = file.read(path)
  if not text then
    return nil, errors.new { op = "passwd", path = path, message = message, errno = errno }
  end
  return files.users(text)
end

-- Name and uid of whom the caller means. One of them may be unknown: ranges can be kept for a name that has
-- no account ("containers"), and for a number that has no name.
local function identify(owner, passwd)
  local name, uid
  local by_number = type(owner) == "number"
  if by_number then uid = owner else name = owner end
  if passwd then
    local users, err = M.users(passwd)
    if not users then return nil, nil, err end
    for _, user in ipairs(users) do
      if by_number and user.uid == uid and not name then
        name = user.name
      elseif not by_number and user.name == name and not uid then
        uid = user.uid
      end
    end
    return name, uid
  end
  local found, message, errno
  if by_number then
    found, message, errno = core.user_name(uid)
    name = found
  else
    found, message, errno = core.user_id(name)
    uid = found
  end
  -- "No such entry" comes in several errnos (getpwnam(3)); only a lookup that broke is an error.
  if not found and message and (errno == 5 or errno == 12 or errno == 23 or errno == 24) then
    return nil, nil, errors.new { op = by_number and "getpwuid" or "getpwnam", errno = errno, message = message }
  end
  return name, uid
end

-- A source that can be asked about one owner, as text: function(owner, kind) -> list | nil, err
local function from_library(owner, kind)
  local list, message, absent = core.subid_ranges(owner, kind)
  if not list then
    return nil, not absent and errors.new { op = "libsubid", message = message } or nil
  end
  return list
end

local function from_program(path)
  return function(owner, kind)
    local argv = { path, owner }
    if kind == "gid" then argv = { path, "-g", owner } end
    local result, message = program.run(argv)
    local function fail(text)
      return nil, errors.new { op = "getsubids", path = path, message = text }
    end
    if not result then return fail(message) end
    -- It says the same of a user without ranges and of a source that failed; libsubid, which can tell them
    -- apart, was not there to ask.
    if result.code == 1 and result.stderr:find("^Error fetching ranges") then return {} end
    if result.code ~= 0 then
      return fail(("%s (exit status %s)"):format(result.stderr:gsub("%s+$", ""), tostring(result.code)))
    end
    local list = {}
    for line in result.stdout:gmatch("([^\n]+)") do
      -- "0: alice 100000 65536"
      local first, count = line:match("^%d+: %S+ (%d+) (%d+)$")
      if not first then return fail("unexpected line: " .. line) end
      list[#list + 1] = { first = tonumber(first), count = tonumber(count) }
    end
    return list
  end
end

local function key(range)
  return ("%.0f:%.0f"):format(range.first, range.count)
end

-- A list without what another has too, each range once for each time that it is there.
local function without(list, others)
  local gone, result = {}, {}
  for _, range in ipairs(others) do gone[key(range)] = (gone[key(range)] or 0) + 1 end
  for _, range in ipairs(list) do
    local times = gone[key(range)] or 0
    if times > 0 then gone[key(range)] = times - 1 else result[#result + 1] = range end
  end
  return result
end

-- libsubid compares numeric owners of groups' ranges with the ID of the *group* that has the user's name, where
-- newgidmap(1), and subgid(5), have the user's: take out what it found in that way, and put in what it missed. (Later
-- ones, of shadow 4.20 for one, have the user's, and miss nothing.)
-- Asked about a number it finds the lines with that number, and nothing else.
local function by_user(ask, name, uid, kind)
  local ranges, err = ask(name, kind)
  if not ranges or kind == "uid" or not uid then return ranges, err end
  local numbered
  numbered, err = ask(("%.0f"):format(uid), kind)
  if not numbered then return nil, err end
  local group = core.group_id(name)
  if group == uid then return ranges end
  local wrong = {}
  if group then
    wrong, err = ask(("%.0f"):format(group), kind)
    if not wrong then return nil, err end
  end
  local result = without(ranges, wrong)
  for _, range in ipairs(without(numbered, result)) do result[#result + 1] = range end
  return result
end

-- What a source says is not yet a range of IDs.
local function sound(list, problems)
  local result = {}
  for _, range in ipairs(list) do
    local first, count = range.first, range.count
    if first >= 0 and count >= 1 and first <= LAST and count <= LAST + 1 and first + count - 1 <= LAST then
      result[#result + 1] = { first = first, count = count }
    else
      problems[#problems + 1] = ("the range of %.0f IDs from %.0f on is empty or goes beyond %.0f"):format(
        count, first, LAST)
    end
  end
  return result
end

local function check_owner(owner)
  if type(owner) == "number" then
    return validate.check(rule.id, owner, "owner")
  end
  validate.check(rule.line, owner, "owner")
  if owner:find("^%d+$") then
    blame(("owner: %q is text; a user's number is given as a number, and a name has other characters too")
      :format(owner))
  elseif owner == "" or owner:find("[:/]") or owner:sub(1, 1) == "-" then
    blame(("owner: %q is not a user name"):format(owner))
  end
  return owner
end

--- All subordinate ranges of a user. Ranges of groups' IDs are looked up by user as well.
---@param owner string|integer  user name, or uid
---@param kind "uid"|"gid"
---@param options? cella.subid.Options
---@return { first: integer, count: integer }[]? ranges  in the order of the source; empty if there are none
---@return cella.subid.Answer|cella.error answer  where they are from; the error
function M.ranges(owner, kind, options)
  owner = check_owner(owner)
  validate.check(rule.one_of { "uid", "gid" }, kind, "kind")
  options = validate.check(check_options, options or {}, "")
  local source = options.source or (options.subuid or options.subgid) and "files" or nil
  local name, uid, err = identify(owner, options.passwd)
  if err then return nil, err end
  local asked = name or ("%.0f"):format(uid)
  local answer = { source = source, problems = {} }
  local list

  if not source or source == "libsubid" then
    list, err = by_user(from_library, asked, name and uid, kind)
    if err then return nil, err end
    if list then answer.source = "libsubid" end
  end
  if not list and (not source or source == "getsubids") then
    local path = options.getsubids or program.find("getsubids")
    if path then
      list, err = by_user(from_program(path), asked, name and uid, kind)
      if err then return nil, err end
      answer.source = "getsubids"
    end
  end
  if not list and (not source or source == "files") then
    local path = kind == "uid" and (options.subuid or "/etc/subuid") or kind == "gid" and
      (options.subgid or "/etc/subgid")
    local text, message, errno = file.read(path)
    if text then
      list, answer.problems = files.ranges(text, name, uid)
      for i, problem in ipairs(answer.problems) do answer.problems[i] = path .. ": " .. problem end
    elseif errno == 2 then
      list = {} -- no file, no ranges
    else
      return nil, errors.new { op = "subid", path = path, message = message, errno = errno }
    end
    answer.source = "files"
  end
  if not list then
    return nil, errors.new { op = source, message = source .. " is not installed" }
  end
  return sound(list, answer.problems), answer
end

return M
