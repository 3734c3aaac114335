-- Installs a rock that is not trusted: `luarocks install`, whose build runs a stranger's code, in a container. The tree
-- is the one place that it can change. Of the host it reads /usr and /etc, and what is named; there is no network,
-- unless it is asked for (then it is the host's, all of it: cella has none that is limited to a server). What it writes
-- elsewhere lands in a directory that is thrown away, and is said; so is what it was refused.
--
--   lua5.4 examples/luarocks.lua TREE [--network] [--read DIRECTORY]... [--timeout SECONDS] -- ARGUMENTS
--
--   lua5.4 examples/luarocks.lua ./tree --network -- inspect
--   lua5.4 examples/luarocks.lua ./tree --read ./rocks -- --only-server=$PWD/rocks inspect
--   lua5.4 examples/luarocks.lua ./tree --read . -- $PWD/inspect-3.1.3-0.src.rock
--
-- What is installed is the stranger's as before: to run it somewhere else than in a container is to trust it. But to
-- install something else into the tree is not: no link there leads out of it, and no file is run as who owns it.
--
-- Exit status: 0 if it is installed and did nothing else that is seen, 3 if it is and did, 1 if it is not, 2 if there
-- was no container for it.

local argparse = require "argparse"
local cella = require "cella"
local facts = require("cella.host").facts()

local parser = argparse("luarocks", "Installs a rock that is not trusted.")
parser:argument("tree", "the directory that it is installed in: made, if there is none")
parser:argument("arguments", "of luarocks install"):args "+"
parser:flag("--network", "the host's network")
parser:option("--read", "a directory that it may read", {}):count "*":action "append"
parser:option("--timeout", "seconds", "600"):convert(tonumber)
parser:option("--luarocks", "the program", "luarocks-5.4")
local request = parser:parse()

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function ask(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- With links resolved: what is mounted there has to be at the same place inside, for the scripts that luarocks writes.
local function real(path)
  local text = ask("realpath -- " .. quote(path))
  return #text > 1 and text:sub(1, -2) or error(path .. " is not there", 0)
end

-- What a stranger has chosen, in a form that no terminal obeys.
local function show(text)
  return (text:gsub("[%c\127-\255]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

assert(os.execute("mkdir -p -- " .. quote(request.tree)))
local tree = real(request.tree)
local work = ask("mktemp -d"):sub(1, -2)
assert(work ~= "", "no temporary directory")
local scrap = work .. "/root"
assert(os.execute(("mkdir -p %s/tmp %s/var/tmp %s/home/rock"):format(scrap, scrap, scrap)))

-- A stranger may have made directories that cannot be looked into.
local function leave(status)
  os.execute(("chmod -R u+rwx %s; rm -rf --one-file-system %s"):format(quote(work), quote(work)))
  os.exit(status)
end

-- Root's container has IDs that are nobody's: what it writes is to be root's all the same.
local mapped = facts.uid == 0 or nil

-- The root is that directory, and in it, read-only, what programs need of the host's files.
local root = { { type = "bind", source = scrap, destination = "/", create = true, idmap = mapped } }
for _, piece in ipairs(facts.system) do
  root[#root + 1] = piece.link
    and { type = "symlink", target = piece.link, destination = piece.path, existing = true }
    or { type = "bind", source = piece.path, destination = piece.path, readonly = true }
end
root[#root + 1] = { type = "dev", destination = "/dev" }
root[#root + 1] = { type = "proc", destination = "/proc" }
for _, path in ipairs(request.read) do
  root[#root + 1] = { type = "bind", source = real(path), destination = real(path), readonly = true }
end
root[#root + 1] = { type = "bind", source = tree, destination = tree, idmap = mapped }

local box = cella.container {
  root = root,
  namespaces = { net = request.network and "host" or "new" },
  environment = { HOME = "/home/rock", LUAROCKS_CONFIG = os.getenv "LUAROCKS_CONFIG" },
  rlimits = { core = 0, nproc = 512 },
  cwd = "/tmp",
}

-- Directories that nobody could look into, which are opened: in order. What is in them may be anything.
local function unlock(directory)
  local list = {}
  local text = ask(("find %s -mindepth 1 -xdev -type d ! -perm -700 -printf '%%P/\\0' -exec chmod u+rwx {} \\; "
    .. "2>/dev/null"):format(quote(directory)))
  for path in text:gmatch "([^%z]+)%z" do list[#list + 1] = path end
  table.sort(list)
  return list
end

-- All that is below a directory: its path, its type, and what changes where it does. Names may have any byte but one.
local function look(directory)
  local found = {}
  local text = ask(("find %s -mindepth 1 -xdev ! -type d -printf '%%P\\t%%y %%s %%C@ %%i\\0' -o -mindepth 1 "
    .. "-printf '%%P/\\t\\0' 2>/dev/null"):format(quote(directory)))
  for path, state in text:gmatch "([^%z]-)\t([^\t%z]*)%z" do found[path] = state end
  return found
end

-- What is new or another now, in order.
local function difference(before, after, only_old)
  local list = {}
  for path, state in pairs(after) do
    if before[path] ~= state and (before[path] or not only_old) then list[#list + 1] = path end
  end
  for path in pairs(before) do
    if not after[path] and only_old then list[#list + 1] = path end
  end
  table.sort(list)
  return list
end

-- Whether a link in the tree may lead out of it. What goes up behind a name goes up from where that leads, if it is a
-- link itself: so it counts as out.
local function leads_out(path, target)
  local rest = target
  if rest:sub(1, 1) == "/" then
    if (rest .. "/"):sub(1, #tree + 1) ~= tree .. "/" then return true end
    rest = rest:sub(#tree + 2)
  else
    local _, depth = path:gsub("/", "")
    while (rest .. "/"):find "^%.%.?/+" do
      local name = rest:match "^%.+"
      if name == ".." then depth = depth - 1 end
      rest = rest:sub(#name + 1):gsub("^/+", "")
    end
    if depth < 0 then return true end
  end
  return ("/" .. rest .. "/"):find("/../", 1, true) ~= nil
end

-- Takes away what is new in the tree, and is a link that leads out, a FIFO, a socket or a device: in order.
local function take_away(before, after)
  local list, targets = {}, {}
  local text = ask(("find %s -xdev -type l -printf '%%P\\0%%l\\0' 2>/dev/null"):format(quote(tree)))
  for path, target in text:gmatch "([^%z]+)%z([^%z]+)%z" do targets[path] = target end
  for path, state in pairs(after) do
    local kind = state:sub(1, 1)
    local is_link = kind == "l"
    if before[path] ~= state and kind ~= "f" and kind ~= ""
      and not (is_link and targets[path] and not leads_out(path, targets[path])) then
      assert(os.remove(tree .. "/" .. path))
      list[#list + 1] = path .. (targets[path] and " -> " .. targets[path] or "")
    end
  end
  table.sort(list)
  return list
end

local MOST = 40

local function tell(title, list, prefix)
  if #list == 0 then return false end
  print(title)
  for i = 1, math.min(#list, MOST) do print("  " .. (prefix or "") .. show(list[i])) end
  if #list > MOST then print(("  and %d more"):format(#list - MOST)) end
  return true
end

-- The first start makes the mount points.
local ready, err = box:run { "true", timeout = 60 }
if not ready then
  io.stderr:write(tostring(err), "\n")
  leave(2)
end
local scrap_before, tree_before = look(scrap), look(tree)

local refused = {}
local function line(text)
  print(show(text))
  for _, words in ipairs { "Read%-only file system", "Permission denied", "Operation not permitted",
    "Network is unreachable", "Temporary failure in name resolution", "Could not resolve host" } do
    if #refused <= MOST and text:find(words) then
      refused[#refused + 1] = text:sub(1, 200)
      return
    end
  end
end

local command = { request.luarocks, "install", "--tree", tree, stdout = line, stderr = line, timeout = request.timeout,
  output_limit = 16 * 1024 * 1024 }
for _, word in ipairs(request.arguments) do command[#command + 1] = word end
local result
result, err = box:run(command)
if not result then
  io.stderr:write(tostring(err), "\n")
  leave(2)
end

-- What luarocks itself keeps at home, and a file that it always rewrites, is no news.
local function others(list)
  local rest = {}
  for _, path in ipairs(list) do
    local own = path:find "^home/rock/%.cache/" or path:find "^lib/luarocks/rocks%-[%d.]+/manifest"
    if not own then rest[#rest + 1] = path end
  end
  return rest
end

local installed = result.reason == "exited" and result.code == 0
print(installed and "installed in " .. show(tree) or "not installed: " .. tostring(result))
local noticed = tell("it was refused:", refused)
unlock(scrap)
local elsewhere = others(difference(scrap_before, look(scrap)))
noticed = tell("it wrote elsewhere, which is thrown away:", elsewhere, "/") or noticed
noticed = tell("directories in the tree that nobody could look into, which are opened:", unlock(tree)) or noticed
local tree_after = look(tree)
noticed = tell("links that lead out of the tree, FIFOs and sockets, which are taken away:",
  take_away(tree_before, tree_after)) or noticed
local changed = others(difference(tree_before, tree_after, true))
noticed = tell("it changed or removed what was in the tree:", changed) or noticed
-- The container has no use for these bits, but outside the file would be run as who owns it, by whomever.
local marked = {}
local found = ask(("find %s -xdev -type f -perm /6000 -printf '%%P\\0' -exec chmod ug-s -- {} + 2>/dev/null")
  :format(quote(tree)))
for path in found:gmatch "([^%z]+)%z" do marked[#marked + 1] = path end
table.sort(marked)
noticed = tell("set-user-ID or set-group-ID in the tree, which these files are no more:", marked) or noticed
leave(not installed and 1 or noticed and 3 or 0)
