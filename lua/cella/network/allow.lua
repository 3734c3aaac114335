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

local by_name = rule.record({ host = function(value, path) return names.rule(value, path) end, port = address.port,
  protocol = rule.one_of { "tcp", "udp" } }, { "host" })
local by_address = rule.record({ address = address.rule, port = address.port, protocol = rule.one_of { "tcp", "udp" } },
  { "address" })

local function item(value, path)
  if type(value) == "string" then
    local one = address.rule(value, path)
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

-- What holds besides. Answers to what has come in, and to what was allowed to go out, belong to a connection that there
-- is; neighbours have to be found before anything can be sent over IPv6. Nothing is handed on to another interface:
-- what is sent to `lo` with an address of elsewhere would come out again. A connection is reset, because of another
-- answer to its first packet, which comes before that is on its way, a program hears a second later.
local SCRIPT = [[
table inet cella {
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 hoplimit 255 accept
%s    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
]]

--- What nft is to do to list what the kernel has then.
M.LIST = "list table inet cella\n"

--- What nft is to read.
---@param rules string[]  of M.rules
---@return string
function M.script(rules)
  local lines = {}
  for i, text in ipairs(rules) do lines[i] = "    " .. text .. "\n" end
  return SCRIPT:format(table.concat(lines))
end

--- Whether what the kernel has, as nft lists it, is what was asked for: the chains with their policies, as many rules
--- that accept, and those that reject.
---@param listed string
---@param rules string[]
---@return boolean
function M.is_there(listed, rules)
  local accepting, dropping, rejecting = 0, 0, 0
  for line in listed:gmatch "[^\n]+" do
    if line:find " accept$" then accepting = accepting + 1 end
    if line:find "^%s*type filter hook output priority .*policy drop;%s*$" then dropping = dropping + 1 end
    if line:find "^%s*type filter hook forward priority .*policy drop;%s*$" then dropping = dropping + 1 end
    if line:find "^%s*reject with icmpx" or line:find "^%s*meta l4proto tcp reject with tcp reset$"
      or line:find "^%s*meta l4proto 6 reject with tcp reset$" then
      rejecting = rejecting + 1
    end
  end
  return accepting == #rules + 3 and dropping == 2 and rejecting == 2
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
