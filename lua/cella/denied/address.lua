--- Addresses of connections (connect(2), bind(2)), and whether a container that has a network of its own reaches them.

local file = require "cella.host.file"

local M = {}

local UNIX, INET, INET6 = 1, 2, 10
local MOST = 128 -- struct sockaddr_storage

local function text_of_6(bytes)
  local groups = {}
  for i = 9, 23, 2 do groups[#groups + 1] = ("%x"):format(bytes:byte(i) * 256 + bytes:byte(i + 1)) end
  return table.concat(groups, ":")
end

---@class cella.denied.address
---@field text string
---@field path string?      of a socket that has one
---@field abstract string?  the name of one without
---@field port integer?
---@field is_loopback boolean?

--- What lies where argument 1 of a call points; nil where it is no address that is known here.
---@param who cella.denied.caller
---@return cella.denied.address?
function M.read(who)
  local size = math.min(who:int(2), MOST)
  local bytes = size > 2 and who:bytes(1, size)
  if not bytes or #bytes < 3 then return nil end
  local family = bytes:byte(1) + bytes:byte(2) * 256
  if family == UNIX then
    local name = bytes:sub(3)
    if name:byte(1) == 0 then return { abstract = name:sub(2), text = "@" .. name:sub(2) } end
    name = name:match "^[^%z]*"
    return { path = name, text = name }
  elseif family == INET and #bytes >= 8 then
    local port, a, b, c, d = bytes:byte(3) * 256 + bytes:byte(4), bytes:byte(5, 8)
    return { port = port, text = ("%d.%d.%d.%d:%d"):format(a, b, c, d, port),
      is_loopback = a == 127 or a + b + c + d == 0 }
  elseif family == INET6 and #bytes >= 24 then
    local port, text = bytes:byte(3) * 256 + bytes:byte(4), text_of_6(bytes)
    return { port = port, text = ("[%s]:%d"):format(text, port),
      is_loopback = text == "0:0:0:0:0:0:0:1" or text == "0:0:0:0:0:0:0:0" }
  end
  return nil
end

-- Whether a network has a route to anywhere but itself.
local function has_routes(who)
  for line in (who:file "net/route" or ""):gmatch "[^\n]+" do
    if not line:find "^Iface" then return true end
  end
  for line in (who:file "net/ipv6_route" or ""):gmatch "[^\n]+" do
    if line:match "(%S+)%s*$" ~= "lo" then return true end
  end
  return false
end

-- Whether somebody listens at a port, in the text of /proc/net/tcp and tcp6.
local function listens(texts, port)
  local wanted = (":%04X$"):format(port)
  for _, text in ipairs(texts) do
    for place, state in text:gmatch "\n%s*%d+: (%S+) %S+ (%x%x)" do
      if state == "0A" and place:find(wanted) then return true end
    end
  end
  return false
end

local function has_name(text, name)
  for line in text:gmatch "[^\n]+" do
    if line:sub(-#name - 2) == " @" .. name then return true end
  end
  return false
end

local function own(name) return file.read("/proc/self/" .. name) or "" end

--- What is to be expected of a connection to an address that has no path; nil where it is nothing that the container is
--- the cause of.
---@param who cella.denied.caller
---@param to cella.denied.address
---@return table?
function M.unreachable(who, to)
  if not who:is_elsewhere "net" then return nil end
  if to.abstract then
    if has_name(who:file "net/unix" or "", to.abstract) or not has_name(own "net/unix", to.abstract) then return nil end
    return { cause = "network", errno = "ECONNREFUSED",
      why = "the container has a network of its own, and this socket is in the host's" }
  elseif to.is_loopback then
    local inside = { who:file "net/tcp" or "", who:file "net/tcp6" or "" }
    if listens(inside, to.port) or not listens({ own "net/tcp", own "net/tcp6" }, to.port) then return nil end
    return { cause = "network", errno = "ECONNREFUSED",
      why = "the container has a loopback of its own, and who listens there is on the host's" }
  elseif not has_routes(who) then
    return { cause = "network", errno = "ENETUNREACH", why = "the container's own network leads nowhere" }
  end
  return nil
end

return M
