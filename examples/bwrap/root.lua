-- The file system: what each option is as a part of a root of cella's (`root` of a container, a list of parts), in the
-- order of the command line.
local cella = require "cella"
local core = require "cella.core"
local description = require "cella.root.description"

local M = {}

-- A mode as text: of a number it would be asked whether its digits were meant.
local function octal(mode) return mode and ("%o"):format(mode) end

-- Parent directories are made with 0755, less what --perms takes from group and others altogether.
local function parents(perms)
  local mode = 493
  if perms and math.floor(perms / 8) % 8 == 0 then mode = mode - 40 end
  if perms and perms % 8 == 0 then mode = mode - 5 end
  return octal(mode)
end

-- Whether what the sandbox will write to is a terminal, and has a name here.
local function is_terminal()
  local result = cella.plan():exec({ "tty", stdin = 1, stdout = "capture" }):run { timeout = 10 }
  return result ~= nil and result.code == 0
end

local make = {}

-- Later options may make their mount points in what was bound, also on the host: bwrap's users name a directory as
-- writable for that. Where it is read-only the kernel refuses.
function make.bind(add, part)
  local optional = part.optional
  -- What is not there is no root, and whether it is has to be known now.
  if optional and description.clean(part.destination) == "/" then
    local _, _, errno = core.open(part.source, "path")
    if errno and core.errno_name(errno) == "ENOENT" then return end
    optional = nil
  end
  add {
    type = "bind", source = part.fd and { fd = part.fd } or part.source, destination = part.destination,
    readonly = part.readonly, nodev = not part.devices, optional = optional, create = true,
  }
end

function make.remount(add, part)
  add { type = "remount", destination = part.destination, readonly = true }
end

function make.overlay(add, part)
  add {
    type = "overlay", lower = part.lower, upper = part.upper, work = part.work, destination = part.destination,
    readonly = part.upper == nil, create = true,
  }
end

-- Without a pid namespace of its own the sandbox shares the host's processes, and so its /proc.
function make.proc(add, part, facts)
  if facts.own_pids then
    add { type = "proc", destination = part.destination, protect = true }
    return
  end
  add { type = "bind", source = "/proc", destination = part.destination, noexec = true }
  for _, name in ipairs { "sys", "sysrq-trigger", "irq", "bus" } do
    add {
      type = "bind", source = "/proc/" .. name, destination = part.destination .. "/" .. name, readonly = true,
      optional = true,
    }
  end
end

function make.dev(add, part)
  add { type = "dev", destination = part.destination }
  add { type = "symlink", target = "/proc/kcore", destination = part.destination .. "/core" }
  if is_terminal() then
    add { type = "bind", source = { fd = 1 }, destination = part.destination .. "/console", nodev = false }
  end
end

function make.mqueue(add, part)
  add { type = "mqueue", destination = part.destination }
end

function make.tmpfs(add, part)
  add {
    type = "tmpfs", destination = part.destination, mode = octal(part.perms) or "755", size = part.size,
    parents = parents(part.perms),
  }
end

function make.directory(add, part)
  if description.clean(part.destination) == "/" then return end -- which there is
  add {
    type = "directory", destination = part.destination, mode = octal(part.perms) or "755", existing = true,
    parents = parents(part.perms),
  }
end

function make.file(add, part)
  add {
    type = "file", destination = part.destination, content = part.content, mode = octal(part.perms), existing = true,
    parents = parents(part.perms),
  }
end

function make.data(add, part)
  add {
    type = "bind", source = { content = part.content, mode = octal(part.perms) or "600" },
    destination = part.destination,
    readonly = part.readonly, parents = parents(part.perms),
  }
end

function make.symlink(add, part)
  add { type = "symlink", target = part.target, destination = part.destination, existing = true }
end

function make.chmod(add, part)
  add { type = "chmod", destination = part.destination, mode = octal(part.mode) }
end

-- What bwrap says where a part fails.
local WORDS = {
  remount = "Can't remount readonly on /newroot%s",
  overlay = "Can't make overlay mount on /newroot%s",
  proc = "Can't mount proc on /newroot%s",
  dev = "Can't mount dev on /newroot%s",
  mqueue = "Can't mount mqueue on /newroot%s",
  tmpfs = "Can't mount tmpfs on /newroot%s",
  directory = "Can't mkdir %s",
  file = "Can't create file %s",
  data = "Can't create file at %s",
  symlink = "Can't make symlink at %s",
}

-- Where a link leads that an option before this one has made at the same place.
local function link_before(part, request)
  local target
  for _, other in ipairs(request.parts) do
    if other == part then break end
    if other.kind == "symlink" and other.destination == part.destination then target = other.target end
  end
  return target
end

local function words(part)
  return function(err, request)
    if part.kind == "chmod" then
      return ("Can't chmod %#o %s"):format(part.mode, part.destination)
    elseif part.kind == "remount" then
      return WORDS.remount:format(part.destination)
    elseif part.source and err.op == "open_tree" then
      return "Can't find source path " .. part.source
    elseif err.op == "make_target" or part.kind ~= "symlink" and part.kind ~= "file" and err.op == "openat2" then
      return "Can't mkdir " .. part.destination
    elseif err.op == "make_symlink" and err.code == "EINVAL" then
      return ("Can't make symlink at %s: destination exists and is not a symlink"):format(part.destination), true
    elseif err.op == "make_symlink" and err.code == "EEXIST" and link_before(part, request) then
      return ("Can't make symlink at %s: existing destination is %s"):format(part.destination,
        link_before(part, request)), true
    elseif err.op == "move_mount" and err.code == "ENOTDIR" then
      return "Can't mkdir " .. part.destination
    elseif err.op == "move_mount" and err.code == "EISDIR" then
      return "Can't create file at " .. part.destination
    elseif part.kind == "bind" then
      return ("Can't bind mount /oldroot%s on /newroot%s"):format(part.source or "", part.destination)
    end
    return WORDS[part.kind]:format(part.destination)
  end
end

-- bwrap takes "tmp" for "/tmp".
local function absolute(path)
  return path:sub(1, 1) == "/" and path or "/" .. path
end

--- The parts of a root, and for each what to say where it fails.
---@param request table
---@param facts { own_pids: boolean }
---@return table[] parts, function[] words, table[] of  which part of the request each is of
function M.parts(request, facts)
  local parts, all_words, of = {}, {}, {}
  for _, part in ipairs(request.parts) do
    part.destination = absolute(part.destination)
    make[part.kind](function(entry)
      parts[#parts + 1] = entry
      all_words[#all_words + 1] = words(part)
      of[#of + 1] = part
    end, part, facts)
  end
  return parts, all_words, of
end

return M
