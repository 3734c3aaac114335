--- Which addresses a container may send to: the key `allow`, and the rules that nft(8) makes of it.

local address = require "cella.network.address"
local lists = require "cella.list"
---@module "cella.network.names"
local names = require("cella.lazy") "cella.network.names"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

---@class cella.network.allowed
---@field address cella.network.address?  or
---@field host string?                    a name, of which the addresses are asked for at the start
---@field ports { [1]: integer, [2]: integer }?  first and last; all, if not given
---@field protocol ("tcp"|"udp")?         both, if not given

-- No rule lets one of these out: what would say otherwise is refused.
local STAYS = { ["a loopback address"] = true, ["an unspecified address"] = true, ["an IPv4 address in IPv6"] = true }

local function own_address(value, path)
  local one = address.rule(value, path)
  local kind = address.special(one)
  if STAYS[kind] then
    validate.fail(path, "%s is %s, which never leaves the container: its own loopback is always in reach, that of the "
      .. "caller by host_ports alone", validate.show(value), kind)
  end
  return one
end

local by_name = rule.record({ host = function(value, path) return names.rule(value, path) end, port = address.port,
  protocol = rule.one_of { "tcp", "udp" } }, { "host" })
local by_address = rule.record({ address = own_address, port = address.port, protocol = rule.one_of { "tcp", "udp" } },
  { "address" })

local function item(value, path)
  if type(value) == "string" then
    local one = own_address(value, path)
    return { address = one, ports = one.ports }
  elseif type(value) ~= "table" then
    validate.fail(path, '"192.0.2.7:443", "10.0.0.0/8", { host =, port = } or { address =, port =, protocol = } '
      .. "expected, got %s", validate.show(value))
  end
  local is_address = rawget(value, "address") ~= nil and rawget(value, "host") == nil
  local copy = (is_address and by_address or by_name)(value, path)
  local ports = copy.port and { copy.port, copy.port }
  if is_address and copy.address.ports then
    if ports then validate.fail(validate.join(path, "port"), "the address has one already") end
    ports = copy.address.ports
  end
  return { address = copy.address, host = copy.host, ports = ports, protocol = copy.protocol }
end

--- A list of { "192.0.2.7:443", "10.0.0.0/8", { host = "example.org", port = 443 } }.
---@return cella.network.allowed[]
M.rule = rule.list(item)

--- The names in a list, each once.
---@param allowed cella.network.allowed[]
---@return string[]
function M.names(allowed)
  local set = {}
  for _, one in ipairs(allowed) do
    if one.host then set[one.host] = true end
  end
  return lists.sorted_keys(set)
end

local FAMILY = { [4] = "ip", [6] = "ip6" }

local function ports_text(ports)
  return ports[1] == ports[2] and ("%d"):format(ports[1]) or ("%d-%d"):format(ports[1], ports[2])
end

-- Of numbers and words that are known here: no text of anybody's gets into it.
local function rules_for(list, to, one)
  local head = ("%s daddr %s "):format(FAMILY[to.version], address.show(to))
  for _, protocol in ipairs(one.protocol and { one.protocol } or { "tcp", "udp" }) do
    list[#list + 1] = head .. (one.ports and ("%s dport %s accept"):format(protocol, ports_text(one.ports))
      or ("meta l4proto %s accept"):format(protocol))
  end
  if not one.ports and not one.protocol then
    list[#list + 1] = head .. (to.version == 4 and "icmp type echo-request accept" or "icmpv6 type echo-request accept")
  end
end

--- Each thing that is allowed, as a rule of nft's.
---@param allowed cella.network.allowed[]
---@param found table<string, cella.network.address[]>  of the names
---@return string[]
function M.rules(allowed, found)
  local list, seen, once = {}, {}, {}
  for _, one in ipairs(allowed) do
    for _, to in ipairs(one.host and found[one.host] or { one.address }) do rules_for(list, to, one) end
  end
  for _, text in ipairs(list) do
    if not seen[text] then once[#once + 1] = text end
    seen[text] = true
  end
  return once
end

--- One of them as a person writes it.
---@param one cella.network.allowed
---@return string
function M.show(one)
  local shown = one.host or address.show(one.address)
  if one.ports then
    shown = (one.address and one.address.version == 6 and "[%s]:%s" or "%s:%s"):format(shown, ports_text(one.ports))
  end
  return one.protocol and shown .. "/" .. one.protocol or shown
end

return M
