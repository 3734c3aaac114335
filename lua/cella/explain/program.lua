--- Why there is no program to execute: what the container's root was made of, and what the host has.

local core = require "cella.core"
local description = require "cella.root.description"
local open = require "cella.open"

local clean = description.clean
local M = {}

local REGULAR, FORMAT = 8, 4096 -- S_IFREG and the bits below the format (inode(7))

local function path_of(fd) return ("/proc/self/fd/%d"):format(fd:number()) end

-- By a look that ends: what is to be explained may be the silence of a file system.
local function mode_of(path)
  local fd = open.bounded(path)
  if not fd then return nil end
  local _, _, mode = core.inode(path_of(fd))
  fd:close()
  return mode
end

local function is_regular(mode) return mode ~= nil and math.floor(mode / FORMAT) == REGULAR end
local function is_file(path) return is_regular(mode_of(path)) end

-- A regular file for reading. The one that was looked at is opened: a program may put a FIFO in its place meanwhile.
local function open_file(path)
  local fd = open.bounded(path)
  if not fd then return nil end
  local _, _, mode = core.inode(path_of(fd))
  local file = is_regular(mode) and io.open(path_of(fd), "rb") or nil
  fd:close()
  return file
end

local function is_program(path)
  local mode = mode_of(path)
  return is_file(path) and (mode % 2 == 1 or math.floor(mode / 8) % 2 == 1 or math.floor(mode / 64) % 2 == 1)
end

-- Where a path inside comes from, if that is something of the host's.
local function origin(box, path, depth)
  local found = box.root.path and clean(box.root.path .. path)
  for _, list in ipairs { box.root, box.own or {}, box.mounts } do
    for _, mount in ipairs(list) do
      local at = clean(mount.destination)
      local rest = at == "/" and path or path == at and "" or path:sub(1, #at + 1) == at .. "/" and path:sub(#at + 1)
      if rest and mount.type == "bind" then
        found = type(mount.source) == "string" and clean(mount.source .. rest)
      elseif rest and mount.type == "symlink" then
        local target = mount.target:sub(1, 1) == "/" and mount.target or at:match "^(.*/)" .. mount.target
        found = depth < 40 and origin(box, clean(target .. rest), depth + 1)
      elseif rest and mount.type ~= "remount" and mount.type ~= "chmod" then
        found = nil
      end
    end
  end
  return found
end

-- What to write, so that a path of the host is seen inside.
local function remedy(box, path)
  local bind = ('{ type = "bind", source = %q, destination = %q, readonly = true } in `mounts` puts it there')
    :format(path, path)
  -- What lies where every container has something of its own is in no root by itself.
  for _, own in ipairs(box.root.system and { "/dev", "/proc", "/run", "/tmp", "/var/tmp" } or {}) do
    if path:sub(1, #own + 1) == own .. "/" then return bind end
  end
  return bind .. (box.root.system and ', and `root = "/"` shows all of the host\'s files' or "")
end

-- Where the host has what somebody has looked for inside, among some paths.
local function elsewhere(box, paths)
  for _, path in ipairs(paths) do
    if path:sub(1, 1) == "/" and is_program(path) then
      return ("; the host has %s, which is not in this root: %s"):format(path, remedy(box, path))
    end
  end
  return ""
end

--- More about a program that is not there: whether the host has it, and how to have it inside.
---@param plan cella.plan
---@return string  "" where nothing is known
function M.missing(plan)
  if not plan.box or not plan.candidates then return "" end
  local paths = {}
  for _, path in ipairs(plan.candidates) do paths[#paths + 1] = path end
  if not plan.program:find("/", 1, true) then
    for directory in (os.getenv "PATH" or ""):gmatch "[^:]+" do paths[#paths + 1] = directory .. "/" .. plan.program end
  end
  return elsewhere(plan.box, paths)
end

-- A number of a file for machines that write the lowest byte first.
local function number(text, at, size)
  local value = 0
  for i = size, 1, -1 do value = value * 256 + (text:byte(at + i) or 0) end
  return value
end

-- Offsets in the headers of elf(5), by class.
local LAYOUT = {
  { word = 4, headers = 28, size = 42, count = 44, offset = 4, length = 16 },
  { word = 8, headers = 32, size = 54, count = 56, offset = 8, length = 32 },
}
local LITTLE_ENDIAN, PT_INTERP, LONGEST, MOST_HEADERS = 1, 3, 4096, 128

local function dynamic_linker(file, head)
  local layout = LAYOUT[head:byte(5)]
  if not layout or head:byte(6) ~= LITTLE_ENDIAN then return nil end
  local at, size, count = number(head, layout.headers, layout.word), number(head, layout.size, 2),
    number(head, layout.count, 2)
  for i = 0, math.min(count, MOST_HEADERS) - 1 do
    if not file:seek("set", at + i * size) then return nil end
    local header = file:read(size) or ""
    if number(header, 0, 4) == PT_INTERP then
      local length = number(header, layout.length, layout.word)
      -- Above 2^63 a number of eight bytes is negative here.
      if length < 0 or length > LONGEST then return nil end
      if not file:seek("set", number(header, layout.offset, layout.word)) then return nil end
      return (file:read(length) or ""):match "^[^%z]+"
    end
  end
  return nil
end

local function interpreter_of(path)
  local file = path and open_file(path)
  if not file then return nil end
  local head = file:read(256) or ""
  local script, found = head:match "^#![ \t]*([^%s%z]+)", nil
  if head:sub(1, 4) == "\127ELF" then found = dynamic_linker(file, head) end
  file:close()
  return script or found, script and "its first line names" or "its header names the dynamic linker"
end

--- What is missing of a program that is there itself.
---@param plan cella.plan
---@return string?
function M.interpreter(plan)
  for _, path in ipairs(plan.box and plan.candidates or {}) do
    local found, where = interpreter_of(origin(plan.box, clean(path), 0))
    if found then
      return ("%s is there, but not its interpreter: %s %s, which is missing in the container%s"):format(path,
        where, found, elsewhere(plan.box, { found }))
    end
  end
  return nil
end

return M
