--- What the programs of a distribution need of the host's files: /usr and what belongs to it, /etc, and the stores of
--- nix and guix, without what lies beside them: the sockets of their daemons.

local core = require "cella.core"

local M = {}

-- /lib and its like are links into /usr on most hosts; elsewhere /bin/sh and the dynamic linker are in there.
local BELONGING = { "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32", "/libn32", "/libilp32" }
local TREES = { "/usr", "/etc", "/nix/store", "/gnu/store" }

local DIRECTORY, FORMAT = 4, 4096 -- S_IFDIR and the bits below the format (inode(7))

local function is_directory(path)
  local _, _, mode = core.inode(path)
  return mode ~= nil and math.floor(mode / FORMAT) == DIRECTORY
end

---@class cella.root.Piece
---@field path string
---@field link string?  where it leads, if it is a symbolic link, as it says

local function ask()
  local pieces = {}
  for _, path in ipairs(TREES) do
    if is_directory(path) then pieces[#pieces + 1] = { path = path } end
  end
  for _, path in ipairs(BELONGING) do
    local link = core.readlink(path)
    if link or is_directory(path) then pieces[#pieces + 1] = { path = path, link = link } end
  end
  return pieces
end

-- What was found, and the state that "/" was in: whose entries all but the stores are.
local found

-- Entries that come and go change the time of the directory; but not twice within a tick of the clock. A directory that
-- was changed just now is not trusted to tell.
local SETTLED = 2 -- seconds

local function is_same(root)
  for _, field in ipairs { "device", "inode", "changed" } do
    if root[field] ~= found.root[field] then return false end
  end
  for path, was in pairs(found.stores) do
    if is_directory(path) ~= was then return false end
  end
  return true
end

--- What the host has of them. The same table, until it has others.
---@return cella.root.Piece[]
function M.pieces()
  local root = core.file_status "/"
  if found and root and is_same(root) then return found.pieces end
  local now, pieces = os.time(), ask()
  found = nil
  if root and math.abs(now - tonumber(root.changed)) > SETTLED then
    found = { root = root, pieces = pieces, stores = {} }
    for _, path in ipairs(TREES) do
      local above = path:match "^(/[^/]+)/"
      if above and is_directory(above) then found.stores[path] = is_directory(path) end
    end
  end
  return pieces
end

-- A path without "." and "..", as its text says.
local function plain(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

local function is_inside(path)
  for _, tree in ipairs(TREES) do
    if path:sub(1, #tree + 1) == tree .. "/" then return true end
  end
  return false
end

local LONGEST = 40 -- chain of links (path_resolution(7))

--- Where /etc/resolv.conf leads to by its links, if it leaves what a system root has: into /run, mostly.
---@return string?
function M.resolver()
  local path = "/etc/resolv.conf"
  for _ = 1, LONGEST do
    local link = core.readlink(path)
    if not link then return nil end
    path = plain(link:sub(1, 1) == "/" and link or path:match "^(.*)/" .. "/" .. link)
    if not is_inside(path) then return core.inode(path) and path or nil end
  end
  return nil
end

--- The root of these pieces, as a description has it: parts on an empty tmpfs.
---@param pieces cella.root.Piece[]
---@return table[]
function M.parts(pieces)
  local parts = { system = true, readonly = true }
  for i, piece in ipairs(pieces) do
    if piece.link then
      parts[i] = { type = "symlink", target = piece.link, destination = piece.path, system = true }
    else
      parts[i] = { type = "bind", source = piece.path, destination = piece.path, readonly = true, nosuid = true,
        nodev = true }
    end
  end
  return parts
end

return M
