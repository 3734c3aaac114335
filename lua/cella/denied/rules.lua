--- What the container's rules of Landlock refuse. The kernel tells nobody: it is computed from the rules, by the files
--- that they are about and those that a call names, as it is about to find them.

local core = require "cella.core"
local mountinfo = require "cella.mountinfo"
local rights_of = require "cella.landlock.rights"

local M = {}

local AT_REMOVEDIR = 0x200
local HIGHEST = 256 -- directories above one another

-- Kinds of files in a mode, and the right to make one.
local MADE = { [1] = "make_fifo", [2] = "make_char", [4] = "make_dir", [6] = "make_block", [0] = "make_reg",
  [8] = "make_reg", [10] = "make_sym", [12] = "make_sock" }
local OF_TYPE = { directory = "make_dir", file = "make_reg", link = "make_sym", socket = "make_sock",
  fifo = "make_fifo", char = "make_char", block = "make_block" }

local function identity(status) return status and ("%.0f:%.0f"):format(status.device, status.inode) or nil end

local function parent_of(path)
  local parent = path:match "^(.*)/+[^/]+/*$"
  return parent and (parent == "" and "/" or parent)
end

-- The directories from this one up, by what they are; `number` is closed.
local function add_above(chain, number)
  local last
  for _ = 1, HIGHEST do
    local is = identity(core.file_status(number))
    if not is or is == last then break end
    chain[is], last = true, is
    local up = core.sys.openat2("..", { "path", "directory" }, {}, number)
    core.sys.close(number)
    number = up
    if not number then return end
  end
  core.sys.close(number)
end

---@class cella.denied.spot
---@field path string  as the container has it
---@field type string
---@field chain table<string, true>  itself and what it lies in
---@field is string
---@field mount string?  of cella.mountinfo.id_at

-- What is at a path: false where there is nothing, nil where that is not known.
local function spot_at(who, path, unfollowed, looks)
  local number = path and who:find(path, unfollowed, looks)
  if not number then return number end
  local status = core.file_status(number)
  local real = who:inside(core.readlink(("/proc/self/fd/%d"):format(number)))
  if not status or not real then
    core.sys.close(number)
    return nil
  end
  local spot = { path = real, type = status.type, chain = {}, is = identity(status),
    mount = mountinfo.id_at(number) }
  if status.type == "directory" then
    add_above(spot.chain, number)
    return spot
  end
  core.sys.close(number)
  spot.chain[spot.is] = true
  local above = who:find(parent_of(real) or "/", false, looks)
  if not above then return nil end
  add_above(spot.chain, above)
  return spot
end

-- What the rules of a layer are about, looked at once.
local function targets_of(layer, who, looks)
  looks.rules = looks.rules or {}
  if looks.rules[layer] then return looks.rules[layer] end
  local targets = {}
  for _, rule in ipairs(layer.paths) do
    local number = who:find(rule.path, false, looks)
    if number == nil then return nil end
    local status = number and core.file_status(number)
    if number then core.sys.close(number) end
    if status then
      local rights = targets[identity(status)] or {}
      for _, name in ipairs(status.type == "directory" and rule.access or rule.of_file) do rights[name] = true end
      targets[identity(status)] = rights
    end
  end
  looks.rules[layer] = targets
  return targets
end

local function contains(list, wanted)
  for _, name in ipairs(list) do
    if name == wanted then return true end
  end
  return false
end

-- Whether a layer refuses it wherever no rule allows it. (`refer` each does that refuses anything, says landlock(7).)
local function restricts(layer, right)
  return contains(layer.fs, right) or right == "refer" and #layer.fs > 0
end

-- Whether a layer allows it in what such a chain has.
local function allows(layer, targets, chain, right)
  if not restricts(layer, right) then return true end
  for is in pairs(chain) do
    if targets[is] and targets[is][right] then return true end
  end
  return false
end

-- Which of these rights some layer refuses there; nil where that is not known.
local function refused_at(layers, spot, rights, who, looks)
  local missing = {}
  for _, layer in ipairs(layers) do
    local targets = targets_of(layer, who, looks)
    if not targets then return nil end
    for _, right in ipairs(rights) do
      if not allows(layer, targets, spot.chain, right) and not contains(missing, right) then
        missing[#missing + 1] = right
      end
    end
  end
  return missing
end

local function joined(one, other)
  local both = {}
  for is in pairs(one) do both[is] = true end
  for is in pairs(other) do both[is] = true end
  return both
end

-- What something would be allowed in one place that it is not in another; nil where that is not known.
local function gained(layers, what, from, into, who, looks)
  local here, there, more = joined(from.chain, what.chain), joined(into.chain, { [what.is] = true }), {}
  for _, layer in ipairs(layers) do
    local targets = targets_of(layer, who, looks)
    if not targets then return nil end
    for _, right in ipairs(layer.fs) do
      if (what.type == "directory" or rights_of.is_of_file(right)) and not contains(more, right)
        and allows(layer, targets, there, right) and not allows(layer, targets, here, right) then
        more[#more + 1] = right
      end
    end
  end
  return more
end

-- What opening takes: of what is there, or is made in the directory.
local function rights_to_open(wish, type)
  local rights = {}
  if type == "directory" then return wish.reads and { "read_dir" } or rights end
  if not type then rights[1] = "make_reg" end
  if wish.reads then rights[#rights + 1] = "read_file" end
  if wish.puts then rights[#rights + 1] = "write_file" end
  if wish.truncates and type == "file" then rights[#rights + 1] = "truncate" end
  return rights
end

local function made_by(name, who)
  if name == "mkdir" or name == "mkdirat" then return "make_dir" end
  if name == "symlink" or name == "symlinkat" then return "make_sym" end
  if name == "bind" then return "make_sock" end
  if name == "mknod" or name == "mknodat" then
    return MADE[math.floor(who:int(name == "mknod" and 1 or 2) / 4096) % 16]
  end
  return "make_reg"
end

local function removed_by(name, who, spot)
  if name == "rmdir" or name == "unlinkat" and math.floor(who:int(2) / AT_REMOVEDIR) % 2 == 1 then
    return "remove_dir"
  end
  return spot.type == "directory" and name:find "^rename" and "remove_dir" or "remove_file"
end

-- Where the rights of a call are asked for, and which.
local function needed(who, name, use, wish, path, looks)
  local does = use.does
  local spot = spot_at(who, path, use.unfollowed, looks)
  if spot == nil then return nil end
  if does == "read" or does == "create" then
    if wish.alone and spot then return nil end -- EEXIST
    local rights = rights_to_open(wish, spot and spot.type)
    if spot then return spot, rights end
    return wish.creates and spot_at(who, parent_of(path), false, looks), rights
  elseif does == "execute" or does == "connect" or does == "write" then
    return spot, { does == "execute" and "execute" or does == "connect" and "resolve_unix" or "truncate" }
  elseif does == "make" then
    -- EEXIST; or ENOENT, where there is nothing to be linked.
    if spot or wish.from and spot_at(who, wish.from, true, looks) == false then return nil end
    return spot_at(who, parent_of(path), false, looks), { made_by(name, who) }
  elseif does == "remove" then
    if not spot then return nil end
    return spot_at(who, parent_of(path), false, looks), { removed_by(name, who, spot) }
  elseif does == "put" then
    local from = spot_at(who, wish.from, true, looks)
    if not from then return nil end
    local rights = { OF_TYPE[from.type] }
    if spot then rights[2] = spot.type == "directory" and "remove_dir" or "remove_file" end
    return spot_at(who, parent_of(path), false, looks), rights
  end
  return nil
end

-- Of what is moved, or linked, from one directory into another: it takes `refer` in both, and nothing may be allowed
-- with it there that is not here.
local function of_move(who, name, wish, path, looks, layers)
  if name == "linkat" and who:int(4) ~= 0 then return nil end -- from behind a link, or by its descriptor
  if parent_of(wish.from) == parent_of(path) then return nil end -- as most renames are: nothing has to be looked at
  local from = spot_at(who, parent_of(wish.from) or "/", false, looks)
  local into = from and spot_at(who, parent_of(path) or "/", false, looks)
  -- Within one directory it is no move; from one mount into another the kernel refuses it by itself.
  if not into or from.is == into.is or not from.mount or from.mount ~= into.mount then return nil end
  local what = spot_at(who, wish.from, true, looks)
  if not what then return nil end
  local rules = {}
  for _, spot in ipairs { from, into } do
    local missing = refused_at(layers, spot, { "refer" }, who, looks)
    if not missing then return nil end
    if missing[1] then rules[#rules + 1] = { path = spot.path, rights = missing } end
  end
  local why = "no rule of `landlock.files` allows refer in both directories"
  if #rules == 0 then
    local more = gained(layers, what, from, into, who, looks)
    if not more or #more == 0 then return nil end
    rules[1] = { path = from.path, rights = more }
    why = ("`landlock.files` would allow %s with it there, and does not where it is"):format(table.concat(more, ", "))
  end
  return { cause = "landlock", errno = "EXDEV", path = path, rules = rules, why = why }
end

--- What is to be told of a call on a file; nil where it is nothing.
---@param who cella.denied.caller
---@param name string  of the call
---@param use cella.denied.use
---@param wish table   of cella.denied.files.wish
---@param path string  from the root of who makes the call
---@param looks table
---@param layers cella.landlock.held[]
---@return table?
function M.of_file(who, name, use, wish, path, looks, layers)
  local spot, rights = needed(who, name, use, wish, path, looks)
  if not spot then return nil end
  local missing = refused_at(layers, spot, rights, who, looks)
  if not missing then return nil end
  if #missing == 0 then return wish.from and of_move(who, name, wish, path, looks, layers) or nil end
  return { cause = "landlock", errno = "EACCES", path = path, rules = { { path = spot.path, rights = missing } },
    why = ("no rule of `landlock.files` allows %s there"):format(table.concat(missing, ", ")) }
end

-- The right by the call and the socket's protocol, and where a policy says it.
local PORTS = {
  bind = { tcp = "bind_tcp", udp = "bind_udp" },
  connect = { tcp = "connect_tcp", udp = "connect_send_udp" },
}

--- What is to be told of an address with a port; nil where it is nothing.
---@param who cella.denied.caller
---@param name "bind"|"connect"
---@param to cella.denied.address
---@param layers cella.landlock.held[]
---@return table?
function M.of_port(who, name, to, layers)
  local governed = false
  for _, layer in ipairs(layers) do governed = governed or #layer.net > 0 end
  local protocol = governed and who:protocol(0)
  local right = protocol and PORTS[name][protocol]
  if not right then return nil end
  for _, layer in ipairs(layers) do
    local allowed = not contains(layer.net, right)
    for _, one in ipairs(layer.ports) do allowed = allowed or one.port == to.port and contains(one.access, right) end
    if not allowed then
      return { cause = "landlock", errno = "EACCES", ports = { protocol = protocol, what = name, port = to.port },
        why = ("`landlock.%s` does not let it %s port %d"):format(protocol,
          name == "bind" and "listen at" or "connect to", to.port) }
    end
  end
  return nil
end

return M
