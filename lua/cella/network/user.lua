--- A user-mode network: a program outside, pasta(1) or slirp4netns(1), is the only way from a container's network
--- to that of its caller, and sends for it what any program of the caller's could send. Its keys, and the command line
--- that they make.

local address = require "cella.network.address"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

--- Where the container asks for names, where nobody names others: a link-local address, which the helper answers for.
M.RESOLVER = "169.254.1.1"

local PROTOCOLS = { "tcp", "udp" }

local function port_fields(more)
  local fields = { inside = address.port, outside = address.port, protocol = rule.one_of(PROTOCOLS) }
  for key, check in pairs(more) do fields[key] = check end
  return rule.record(fields)
end

-- A number stands for both.
local function port_item(record)
  return function(value, path)
    if type(value) == "number" then
      local port = address.port(value, path)
      return { inside = port, outside = port }
    elseif type(value) ~= "table" then
      validate.fail(path, "a port, or { inside =, outside =, protocol = } expected, got %s", validate.show(value))
    end
    local copy = record(value, path)
    if not copy.inside and not copy.outside then validate.fail(path, "inside or outside is missing") end
    copy.inside, copy.outside = copy.inside or copy.outside, copy.outside or copy.inside
    return copy
  end
end

-- Who listens where cannot be two: pasta wants each port once, also at another address. Without a protocol it is TCP.
local function distinct(items, where)
  return function(value, path)
    local list, seen = items(value, path), {}
    for i, one in ipairs(list) do
      one.protocol = one.protocol or "tcp"
      if one.protocol == "udp" and one.inside ~= one.outside then
        validate.fail(validate.join(path, i), "of UDP the port is the same inside and outside: not each pasta brings "
          .. "back the answers of another")
      end
      local at = ("%s %d"):format(one.protocol, one[where])
      if seen[at] then
        validate.fail(validate.join(path, i), "port %d %s is that of %s already", one[where], where,
          validate.join(path, seen[at]))
      end
      seen[at] = i
    end
    return list
  end
end

local ports = rule.list(port_item(port_fields { address = address.single_rule }))
local host_ports = rule.list(port_item(port_fields {}))

local function program(value, path)
  if value == "pasta" or value == "slirp4netns" then return value end
  if type(value) == "string" and value:sub(1, 1) == "/" then
    rule.absolute(value, path)
    local name = value:match "[^/]*$"
    if name == "pasta" or name == "slirp4netns" then return value end
  end
  validate.fail(path, '"pasta", "slirp4netns" or the absolute path of one of them expected, got %s',
    validate.show(value))
end

-- One with the bits of its network behind it, or not: "10.0.2.100/24".
local function own_address(value, path)
  local text, digits
  if type(value) == "string" and #value <= 64 then text, digits = value:match "^([^/]*)/([0-9]+)$" end
  local one, bits = address.single_rule(text or value, path), digits and tonumber(digits)
  if bits and (one.version == 6 or bits < 1 or bits > 31) then
    validate.fail(path, one.version == 6 and "an IPv6 address has no prefix here, got %s"
      or "a prefix from 1 to 31 expected, got %s", validate.show(value))
  end
  return { address = one, prefix = bits }
end

-- At most one of each version.
local function one_of_each(item)
  local list = rule.list(item)
  return function(value, path)
    local copy, seen = list(value, path), {}
    for i, one in ipairs(copy) do
      local version = (one.address or one).version
      if seen[version] then
        validate.fail(validate.join(path, i), "there is one of IPv%d already", version)
      end
      seen[version] = true
    end
    return copy
  end
end

local MOST_NAMESERVERS = 3 -- that resolvers read (resolv.conf(5))

local function nameservers(value, path)
  if value == false then return false end
  local list = rule.list(address.single_rule)(value, path)
  if #list == 0 or #list > MOST_NAMESERVERS then
    validate.fail(path, "one to %d addresses, or false expected", MOST_NAMESERVERS)
  end
  return list
end

local function interface(value, path)
  if type(value) ~= "string" or #value > 15 or not value:find "^[A-Za-z0-9][A-Za-z0-9_.@-]*$" then
    validate.fail(path, "the name of a network interface expected, got %s", validate.show(value))
  end
  return value
end

--- The keys of a network that are those of a user-mode network alone.
M.fields = {
  program = program,
  ports = distinct(ports, "outside"),
  host_ports = distinct(host_ports, "inside"),
  nameservers = nameservers,
  addresses = one_of_each(own_address),
  gateways = one_of_each(address.single_rule),
  interface = interface,
  mtu = rule.integer(1280, 65520),
  ipv4 = rule.boolean,
  ipv6 = rule.boolean,
}

--- Raises where keys do not go together.
---@param network table
function M.check(network, path)
  if network.ipv4 == false and network.ipv6 == false then
    validate.fail(validate.join(path, "ipv6"), "ipv4 is false too: then there is nothing left")
  end
  if network.ipv4 == false and network.nameservers == nil then
    validate.fail(validate.join(path, "ipv4"), "the helper is asked for names by IPv4: give nameservers, or say "
      .. "nameservers = false")
  end
  if network.program and network.program:find "slirp4netns$" then
    for _, key in ipairs { "ports", "host_ports", "interface", "gateways", "addresses" } do
      if network[key] then validate.fail(validate.join(path, key), "slirp4netns has no such thing: it needs pasta") end
    end
    if network.ipv4 == false then validate.fail(validate.join(path, "ipv4"), "slirp4netns always has IPv4") end
  end
end

-- "127.0.0.1/8080:80": from where to where.
local function forwarded(list, protocol, from, to)
  local specs = {}
  for _, one in ipairs(list or {}) do
    if one.protocol == protocol then
      local at = from == "outside" and (one.address and address.show(one.address) or "127.0.0.1") .. "/" or ""
      specs[#specs + 1] = ("%s%d:%d"):format(at, one[from], one[to])
    end
  end
  return specs
end

local function add_forwarded(argv, option, specs)
  for _, spec in ipairs(#specs > 0 and specs or { "none" }) do
    argv[#argv + 1] = option
    argv[#argv + 1] = spec
  end
end

-- Nothing by default of what pasta has by default: no way to the caller's loopback, no port in either direction.
local function pasta(network, path)
  local argv = { path, "--foreground", "--quiet", "--config-net", "--netns-only", "--no-netns-quit", "--no-map-gw",
    "--netns", "/proc/self/fd/0", "--pid", "/proc/self/fd/1" }
  local function add(...)
    for _, word in ipairs { ... } do argv[#argv + 1] = word end
  end
  add_forwarded(argv, "--tcp-ports", forwarded(network.ports, "tcp", "outside", "inside"))
  add_forwarded(argv, "--udp-ports", forwarded(network.ports, "udp", "outside", "inside"))
  add_forwarded(argv, "--tcp-ns", forwarded(network.host_ports, "tcp", "inside", "outside"))
  add_forwarded(argv, "--udp-ns", forwarded(network.host_ports, "udp", "inside", "outside"))
  if network.nameservers == nil then add("--dns-forward", M.RESOLVER) end
  for _, one in ipairs(network.addresses or {}) do
    add("--address", address.show(one.address))
    if one.prefix then add("--netmask", tostring(one.prefix)) end
  end
  for _, one in ipairs(network.gateways or {}) do add("--gateway", address.show(one)) end
  if network.interface then add("--interface", network.interface) end
  if network.mtu then add("--mtu", tostring(network.mtu)) end
  if network.ipv6 == false then add "--ipv4-only" end
  if network.ipv4 == false then add "--ipv6-only" end
  return argv
end

-- Its own resolver is at the third address of its network.
local function slirp4netns(network, path)
  local argv = { path, "--configure", "--disable-host-loopback", "--ready-fd=3", "--netns-type=path" }
  if network.mtu then argv[#argv + 1] = ("--mtu=%d"):format(network.mtu) end
  if network.ipv6 ~= false then argv[#argv + 1] = "--enable-ipv6" end
  -- It asks the host's, which may be one of the host's loopback.
  if network.nameservers ~= nil then argv[#argv + 1] = "--disable-dns" end
  argv[#argv + 1] = "/proc/self/fd/0"
  argv[#argv + 1] = "tap0"
  return argv
end

--- Which descriptor the helper writes to once it is ready. pasta closes those from 3 on; what slirp4netns prints says
--- nothing of that.
---@param path string  of the program
---@return integer
function M.ready_descriptor(path) return path:find "slirp4netns$" and 3 or 1 end

--- The command line. Descriptor 0 is the network namespace.
---@param network table
---@param path string  of the program
---@return string[]
function M.argv(network, path)
  return (path:find "slirp4netns$" and slirp4netns or pasta)(network, path)
end

local SLIRP_RESOLVER = "10.0.2.3"

--- The text of the container's /etc/resolv.conf; nil where it is left as it is.
---@param network table
---@param path string  of the program
---@return string?
function M.resolv_conf(network, path)
  if network.nameservers == false then return nil end
  local lines = {}
  for i, one in ipairs(network.nameservers or {}) do lines[i] = ("nameserver %s\n"):format(address.show(one)) end
  if #lines == 0 then
    lines[1] = ("nameserver %s\n"):format(path:find "slirp4netns$" and SLIRP_RESOLVER or M.RESOLVER)
  end
  return table.concat(lines)
end

return M
