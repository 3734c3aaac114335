--- The capabilities of files, by descriptor: what was looked at is what is changed (setcap(8) by path is a race:
--- CVE-2026-4878).

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local fileset = require "cella.caps.fileset"
local set = require "cella.caps.set"
local validate = require "cella.validate"

local M = {}

local WHY = {
  EPERM = "changing a file's capabilities needs CAP_SETFCAP over the file's owner and group, and a file system that "
    .. "belongs to this user namespace or an ancestor",
  EOVERFLOW = "the file has capabilities for another user namespace, whose root has no ID here",
  ENOTSUP = "this file system keeps no capabilities (no extended attributes of the kind security.*)",
  EROFS = "the file system is mounted read-only",
  ELOOP = "the path is a symbolic link: name what it leads to",
  EINVAL = "what is on the file is nothing that this kernel takes as capabilities, or the rootid has no mapping here",
}

local function fail(op, path, message, errno)
  local code = errno and core.errno_name(errno)
  return nil, Error.new { op = op, path = path, errno = errno, message = errno and core.strerror(errno) or message,
    why = code and WHY[code] }
end

local function target_rule(value, path)
  if type(value) == "number" then return validate.rule.integer(0, 2147483647)(value, path) end
  return validate.rule.path(value, path)
end

-- Runs perform(number) on a descriptor for `target`, which stays the caller's where it was one. A path is opened
-- without following a link at its end, and without the side effects that opening a device has.
local function with_fd(op, target, perform)
  local path = type(target) == "string" and target or nil
  local fd, message, errno
  if path then
    fd, message, errno = core.open(path, { "path", "nofollow" })
    if not fd then return fail(op, path, message, errno) end
  end
  local facts
  facts, message, errno = core.caps.file_facts(fd and fd:number() or target)
  local result, err
  if not facts then
    result, err = fail(op, path, message, errno)
  elseif not facts.regular then
    result, err = nil, Error.new { op = op, path = path, errno = 22,
      why = "only regular files have capabilities; name the "
      .. "file itself, not a link to it" }
  else
    result, err = perform(fd and fd:number() or target, path, facts)
  end
  if fd then fd:close() end
  return result, err
end

local function get(number, path)
  local found, message, errno = core.caps.file_get(number)
  if found == nil then return fail("cap_get_fd", path, message, errno) end
  if not found then return false end
  found.permitted, found.inheritable = set.of(found.permitted), set.of(found.inheritable)
  return fileset.wrap(found)
end

--- The capabilities of a file (cap_get_file(3)): false where it has none, nil and an error where they cannot be read. A
--- path is not followed where it is a symbolic link.
---@param target string|integer  path or descriptor
---@return cella.caps.fileset|false|nil, cella.error?
function M.get(target)
  target = validate.check(target_rule, target, "file")
  return with_fd("open", target, get)
end

-- An O_PATH descriptor is not for changing; its entry in /proc is the way to one that is.
local function writable(number, path, perform)
  local fd, message, errno = core.open(("/proc/self/fd/%d"):format(number), { "rdonly", "nonblock" })
  if not fd then return fail("open", path, message, errno) end
  local result, err = perform(fd:number())
  fd:close()
  return result, err
end

--- Gives a file capabilities, in place of those it had, and reads them back.
---@param target string|integer  path or descriptor
---@param value any  a value of caps.file, "cap_net_raw=ep", or { permitted =, inheritable =, effective =, rootid = }
---@return true?, cella.error?
function M.set(target, value)
  target = validate.check(target_rule, target, "file")
  local wanted = validate.check(fileset.rule, value, "capabilities")
  if not wanted then blame("capabilities: false is for caps.remove_file") end
  if wanted.effective and (wanted.permitted + wanted.inheritable):empty() then
    blame("capabilities: libcap cannot say effective of a file without any")
  end
  return with_fd("open", target, function(number, path)
    return writable(number, path, function(fd)
      local ok, message, errno = core.caps.file_set(fd, set.mask(wanted.permitted), set.mask(wanted.inheritable),
        wanted.effective, wanted.rootid)
      if not ok then return fail("cap_set_fd", path, message, errno) end
      local actual, err = get(fd, path)
      if actual == nil then return nil, err end
      -- To the root of the namespace that they count in, the kernel shows rootid 0.
      if not actual or not (actual.permitted == wanted.permitted and actual.inheritable == wanted.inheritable
        and actual.effective == wanted.effective) or actual.rootid ~= wanted.rootid and actual.rootid ~= 0 then
        return nil, Error.new { op = "cap_set_fd", path = path, errno = 131,
          why = ("the file's capabilities read back as %s "
          .. "and not as %s"):format(tostring(actual), tostring(wanted)) }
      end
      return true
    end)
  end)
end

--- Takes a file's capabilities away. Returns false where it had none.
---@param target string|integer  path or descriptor
---@return boolean?, cella.error?
function M.remove(target)
  target = validate.check(target_rule, target, "file")
  return with_fd("open", target, function(number, path)
    return writable(number, path, function(fd)
      local removed, message, errno = core.caps.file_remove(fd)
      if removed == nil then return fail("cap_set_fd", path, message, errno) end
      return removed
    end)
  end)
end

-- The interpreter that the first line of a script names.
local function interpreter_of(number)
  local file = io.open(("/proc/self/fd/%d"):format(number), "rb")
  if not file then return nil end
  local line = file:read(256)
  file:close()
  return line and line:match("^#![ \t]*([^ \t\n]+)")
end

--- What state:after_exec wants to know of a program: `{ path, mode, uid, gid, nosuid, capabilities, interpreter }`.
--- Of a script it is the interpreter that counts: its own bits and capabilities are ignored by the kernel. Links are
--- followed, as by exec.
---
--- The IDs are as this process sees them: inside a user namespace an owner without a mapping looks like 65534, and
--- where 65534 has a mapping too, nothing tells the two apart. What binfmt_misc would do is not looked at.
---@param path string
---@return table? facts, cella.error?
function M.program(path)
  path = validate.check(validate.rule.path, path, "path")
  local asked = path
  for _ = 1, 5 do
    local fd, message, errno = core.open(path, { "path" })
    if not fd then return fail("open", path, message, errno) end
    local facts, capabilities, err, script
    facts, message, errno = core.caps.file_facts(fd:number())
    if not facts then
      err = select(2, fail("fstat", path, message, errno))
    elseif not facts.regular then
      err = Error.new { op = "execve", path = path, errno = 13, why = "not a regular file" }
    else
      capabilities, err = get(fd:number(), path)
      if capabilities == nil and err.code == "EOVERFLOW" then
        capabilities, err = false, nil -- of namespaces elsewhere: they do not count here
      elseif capabilities == nil and err.code == "ENOTSUP" then
        capabilities, err = false, nil
      end
      script = interpreter_of(fd:number())
    end
    fd:close()
    if err then return nil, err end
    if not script then
      return { path = asked, interpreter = path ~= asked and path or nil, mode = facts.mode, uid = facts.uid,
        gid = facts.gid,
        nosuid = facts.nosuid, capabilities = capabilities }
    end
    path = script
  end
  return nil, Error.new { op = "execve", path = asked, errno = 40,
    why = "interpreters are nested deeper than the kernel goes" }
end

return M
