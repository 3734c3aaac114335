--- What is to be expected of a call on a file: whether the container has it, and as what.

local caller = require "cella.denied.caller"
local core = require "cella.core"
local kernels = require "cella.host.kernel"
local open = require "cella.open"
local rules = require "cella.denied.rules"

local M = {}

-- The same on all machines (asm-generic/fcntl.h).
local CREAT, EXCL, TRUNC, O_PATH = 0x40, 0x80, 0x200, 0x200000

local READ, WRITE, EXECUTE = 4, 2, 1
local UNKNOWN = 65534 -- who has no ID here is called so, and so is somebody else

local function has(number, bit) return math.floor(number / bit) % 2 == 1 end

-- What lies there is of another process's choosing, and /proc has what belongs to whoever looks.
local function is_of_nobody(path)
  return path:find "^/+proc%f[/%z]" or path:find "^/+dev/+fd%f[/%z]" or path:find "^/+dev/+std" or path:find "%z"
end

local MOST_REMEMBERED = 4096
local PATIENCE = 1 -- seconds, for a look at the host: behind one that takes longer there is no other

local function look_at_host(path, looks)
  local fd
  if caller.waits_for_nobody(looks) then
    fd = core.open(path, { "path" })
  else
    fd = open.bounded(path)
  end
  if not fd then return nil end
  local place = core.readlink(("/proc/self/fd/%d"):format(fd:number())) or ""
  local status = not is_of_nobody(place) and core.file_status(fd:number()) or nil
  if status then status.real = place end
  fd:close()
  return status
end

--- What the host has at a path, as core.file_status, with `real`: the path to which links lead. Nil where that is
--- nothing.
---@param path string
---@param looks table
---@return table?
function M.of_host(path, looks)
  if not looks.host or looks.count >= MOST_REMEMBERED then looks.host, looks.count = {}, 0 end
  if looks.host[path] == nil and not looks.is_slow then
    local began = core.now()
    looks.host[path], looks.count = look_at_host(path, looks) or false, looks.count + 1
    -- A program that names one such path after another would keep the caller from everything else.
    looks.is_slow = core.now() - began > PATIENCE
  end
  return looks.host[path] or nil
end

local function parent_of(path)
  local parent = path:match "^(.*)/+[^/]+/*$"
  return parent and (parent == "" and "/" or parent)
end

local function lacks(bits, want)
  for _, bit in ipairs { READ, WRITE, EXECUTE } do
    if has(want, bit) and not has(bits, bit) then return true end
  end
  return false
end

-- The bits of a mode that count for who is not the owner.
local function bits_of_groups(who, status, gid)
  local groups = who:numbers "Groups"
  groups[#groups + 1] = gid
  for _, group in ipairs(groups) do
    if group == status.gid then return math.floor(status.mode / 8) % 8 end
  end
  return status.mode % 8
end

-- Whether the mode of a file denies something to the program that the caller himself may do.
local function denies(who, status, want)
  local uid, gid = who:numbers "Uid"[4], who:numbers "Gid"[4]
  local _, me = core.sys.getresuid()
  if not uid or status.uid == UNKNOWN or uid == UNKNOWN or status.uid == uid then return false end
  if me ~= 0 and me ~= status.uid then return false end
  if who:has(1) or who:has(2) and want == READ then return false end
  return lacks(bits_of_groups(who, status, gid), want)
end

-- Whether it is the mode that the program meets first, whatever the mount is like. What is only for some (access
-- control lists) is not asked.
local function refuses(who, status, want)
  local uid, gid = who:numbers "Uid"[4], who:numbers "Gid"[4]
  if not uid or uid == UNKNOWN then return false end
  local is_mapped = who:maps(status.uid) and who:maps(status.gid, "gid_map")
  if is_mapped and (who:has(1) or who:has(2) and (want == READ or status.type == "directory")) then return false end
  local bits = status.mode % 8
  if uid == status.uid then
    bits = math.floor(status.mode / 64) % 8
  elseif status.gid ~= UNKNOWN then
    bits = bits_of_groups(who, status, gid)
  end
  return lacks(bits, want)
end

local HIGHEST = 256 -- directories above one another

-- Whether the program comes to a file at all, through the directories above it.
local function is_reached(who, path, looks)
  local number = who:find(parent_of(path) or "/", false, looks)
  local last
  for _ = 1, number and HIGHEST or 0 do
    local status = core.file_status(number)
    local is = status and ("%.0f:%.0f"):format(status.device, status.inode)
    if not is or is == last or refuses(who, status, EXECUTE) then
      core.sys.close(number)
      return is == nil or is == last
    end
    last = is
    local up = who:above(number, looks)
    core.sys.close(number)
    number = up
    if not number then return true end
  end
  if number then core.sys.close(number) end
  return true
end

-- What a call wants of a file, by its arguments.
local function wish_of(who, use)
  local wish = { does = use.does, want = 0 }
  if use.does == "create" then
    wish.creates, wish.writes, wish.want = true, true, WRITE
    wish.puts, wish.truncates = true, true
  elseif use.does == "read" then
    local flags = use.flags and who:int(use.flags)
    if use.how then
      local bytes = who:bytes(use.how, 8) or ""
      if #bytes < 8 then return nil end
      local a, b, c, d = bytes:byte(1, 4)
      flags = a + b * 256 + c * 65536 + d * 16777216
    end
    if has(flags, O_PATH) then return wish end
    local mode = flags % 4
    wish.creates, wish.alone = has(flags, CREAT), has(flags, CREAT) and has(flags, EXCL)
    wish.writes = mode ~= 0 or has(flags, TRUNC)
    wish.want = (mode ~= 1 and READ or 0) + (wish.writes and WRITE or 0)
    wish.reads, wish.puts, wish.truncates = mode ~= 1, mode ~= 0, has(flags, TRUNC)
  elseif use.does == "make" or use.does == "put" then
    wish.creates, wish.alone = true, use.does == "make"
    local from = use.from and who:text(use.from.path)
    wish.from = from and from ~= "" and who:absolute(from, use.from.at) or nil -- "": ENOENT
  elseif use.does == "write" or use.does == "change" then
    wish.writes, wish.want = true, use.does == "write" and WRITE or 0
  elseif use.does == "look" then
    wish.writes = use.mode and has(who:int(use.mode), WRITE)
  elseif use.does == "enter" or use.does == "execute" then
    wish.want = EXECUTE
  elseif use.does == "connect" then
    wish.want = WRITE
  end
  return wish
end

local PERMISSION = "its owner and mode do not let the program do that"

local function found(cause, errno, path, object, writes, status)
  return { cause = cause, errno = errno, path = path, place = path, object = object, writes = writes, status = status,
    why = cause == "permission" and PERMISSION or nil }
end

-- The same of what the container has. No key is about a file of the host's that is another one at that path; in what is
-- the container's own there is a place for one of its own.
local function found_there(cause, errno, path, object, writes, status, looks, is_own)
  local of_host = object and M.of_host(object, looks)
  local is_same = of_host and of_host.inode == status.inode and of_host.device == status.device
  if not is_same and not (cause == "read-only" and (is_own or not of_host)) then object = nil end
  return found(cause, errno, path, object, writes, is_same and of_host or nil)
end

-- Of a directory in which the call makes or removes something.
local function in_directory(who, path, looks)
  local directory = parent_of(path)
  if not directory then return nil end
  local number, code = who:find(directory, false, looks)
  if number == nil then return nil end
  if number == false then
    local status = M.of_host(directory, looks)
    return status and found("file", code, path, directory, true, status)
  end
  local status, result = core.file_status(number), nil
  if status and status.type == "directory" then
    if who:is_readonly(number, looks) then
      local reached = is_reached(who, path, looks)
      result = found_there(reached and "read-only" or "permission", reached and "EROFS" or "EACCES", path,
        reached and directory or nil, true, status, looks, who:is_on_tmpfs(number))
    elseif denies(who, status, WRITE + EXECUTE) then
      result = found_there("permission", "EACCES", path, directory, true, status, looks)
    end
  end
  core.sys.close(number)
  return result
end

-- Of a call that would change what the container has read-only. The kernel asks first whether the mount can be written
-- to, or first whether the mode lets the program, by what the call does.
local function of_readonly(who, path, status, wish, looks)
  local is_changed = wish.does == "change" or wish.truncates and status.type == "file"
    or wish.does == "write" and kernels.is_older(kernels.version(), "6.14")
  if status.type == "directory" and wish.does ~= "change" and wish.does ~= "look" then return nil end -- EISDIR
  if not is_reached(who, path, looks) then
    return found_there("permission", "EACCES", path, nil, true, status, looks)
  end
  if not is_changed and refuses(who, status, wish.does == "look" and WRITE or wish.want) then
    return found_there("permission", "EACCES", path, path, true, status, looks)
  end
  return found_there("read-only", "EROFS", path, path, true, status, looks)
end

local function of_present(who, path, number, wish, looks)
  local status = core.file_status(number)
  if not status then return nil end
  if wish.does == "remove" or wish.does == "put" then return in_directory(who, path, looks) end
  local is_data = status.type == "file" or status.type == "directory"
  if wish.writes and is_data and who:is_readonly(number, looks) then
    return of_readonly(who, path, status, wish, looks)
  elseif denies(who, status, wish.want) then
    return found_there("permission", "EACCES", path, path, wish.writes, status, looks)
  end
  return nil
end

-- Of what the container has not. Where something is to be removed, the kernel asks first whether the mount can be
-- written to.
local function of_missing(who, path, wish, code, looks)
  local status = M.of_host(path, looks)
  if not status then return nil end
  local removes = wish.does == "remove"
  local number = removes and code == "ENOENT" and who:find(parent_of(path) or "/", false, looks)
  if number then
    if who:is_readonly(number, looks) then code = "EROFS" end
    core.sys.close(number)
  end
  return found("file", code, path, path, wish.writes or removes, status)
end

--- What is to be told of a call on a file; nil where it is nothing.
---@param who cella.denied.caller
---@param use cella.denied.use
---@param looks table
---@param path string?  where it is not in an argument
---@param name string   of the call
---@param layers cella.landlock.held[]?  the container's rules
---@return table?
function M.of(who, use, looks, path, name, layers)
  path = path or who:text(use.path)
  if not path or path == "" then return nil end
  path = who:absolute(path, use.at)
  if not path or is_of_nobody(path) then return nil end
  local wish = wish_of(who, use)
  local number, code
  if wish then number, code = who:find(path, use.unfollowed, looks) end
  if number == nil then return nil end
  local result
  if number then
    -- That something is there already is nothing that the container is the cause of.
    if not wish.alone then result = of_present(who, path, number, wish, looks) end
    core.sys.close(number)
  elseif wish.creates then
    result = in_directory(who, path, looks)
  else
    result = of_missing(who, path, wish, code, looks)
  end
  if not result and layers then return rules.of_file(who, name, use, wish, path, looks, layers) end
  if result then result.does = wish.does end
  return result
end

return M
