--- The rules that nft(8) sets in a container's network: what never leaves it, and, with `allow`, that nothing leaves it
--- but what is allowed.

local M = {}

-- Loopback addresses belong to whose loopback they are, and no host sends them: but anybody may bind a socket to an
-- interface (SO_BINDTODEVICE, IP_UNICAST_IF, IP_PKTINFO), what is sent to them then leaves by that, and the helper of a
-- user-mode network, who makes connections of what it sees, would connect to its caller's loopback. No route stops
-- that: IPv4 takes an address that has none on the interface for a neighbour. The same are: 0.0.0.0 and ::, to which
-- connect(2) connects to itself; IPv4 addresses within IPv6 ones, old and new; the multicast groups of one node. A
-- connection is reset, because of another answer to its first packet, which comes before that is on its way, a program
-- hears a second later.
local LOOPBACK = [[
table inet cella {
  chain refused {
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain loopback {
    ip daddr { 0.0.0.0/8, 127.0.0.0/8 } goto refused
    ip saddr 127.0.0.0/8 goto refused
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96, ff00::/15 } goto refused
    ip6 saddr ::1 goto refused
  }
]]

-- Without `allow`. Who may may hand packets on, from a network within this one.
local OPEN = LOOPBACK .. [[
  chain output {
    type filter hook output priority 0; policy accept;
    oifname != "lo" jump loopback
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    oifname != "lo" jump loopback
  }
}
]]

-- With `allow`. Each packet of what a program began itself goes by the rules, the last as the first. What passes
-- without them are answers, and what they answer has to have come in by another interface than `lo`: programs choose
-- the addresses of both ends (IPV6_FREEBIND is anybody's), and could otherwise begin what is an "answer" to a forbidden
-- address, over `lo`, which is why nothing there is kept in mind, or from that address to an allowed one. So the mark
-- of a connection says who began it: 1 elsewhere, 2 here (also where a multicast of one's own comes back). Neighbours
-- have to be found before anything can be sent over IPv6. Nothing is handed on to another interface: what is sent to
-- `lo` with an address of elsewhere would come out again.
local CLOSED = LOOPBACK .. [[
  chain untracked_output {
    type filter hook output priority -300; policy accept;
    oifname "lo" notrack
  }
  chain untracked_prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname "lo" notrack
  }
  chain input {
    type filter hook input priority 0; policy %s;
    iifname "lo" accept
%s  }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    jump loopback
    ct state new ct mark set 2
    ct state established,related ct direction reply ct mark 1 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 hoplimit 255 accept
%s    goto refused
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
]]

-- A helper brings back whatever is sent to a port of the host's that it has opened for an allowed datagram, from
-- wherever. Only answers come in, and what comes to a port that leads in.
local ANSWERS = {
  "ct state established,related accept",
  "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept",
}

local FROM_ELSEWHERE = "ct state new ct mark 0 ct mark set 1"

local function lines(list)
  local text = {}
  for i, line in ipairs(list) do text[i] = "    " .. line .. "\n" end
  return table.concat(text)
end

local function input(ports)
  if not ports then return "accept", { FROM_ELSEWHERE } end
  local list = { ANSWERS[1], ANSWERS[2] }
  for _, one in ipairs(ports) do
    list[#list + 1] = ("%s dport %d %s accept"):format(one.protocol, one.inside, FROM_ELSEWHERE)
  end
  return "drop", list
end

--- What nft is to read.
---@param allowed string[]?  of cella.network.allow's; nil lets out all but loopback addresses
---@param ports { protocol: string, inside: integer }[]?  to which others may come; nil: to all
---@return string
function M.script(allowed, ports)
  if not allowed then return OPEN end
  local policy, list = input(ports)
  return CLOSED:format(policy, lines(list), lines(allowed))
end

--- What nft is to do to list what the kernel has then.
M.LIST = "list table inet cella\n"

local ENDS = { "accept", "notrack", "goto refused", "jump loopback" }

-- What a rule does in the end: what it looks at is written otherwise by each version of nft.
local function verdict(line)
  for _, word in ipairs(ENDS) do
    if line:sub(-#word) == word then return (line:find("ct mark set", 1, true) and "mark " or "") .. word end
  end
  if line:find("reject with icmpx", 1, true) then return "reject" end
  if line:find "reject with tcp reset$" then return "reset" end
  local number = line:match "ct mark set ([0-9a-fx]+)$"
  return number and ("mark %d"):format(tonumber(number)) or line
end

-- The chains of a table, each with where it stands, its policy and what its rules do, as one text.
local function outline(text)
  local chains, at = {}, nil
  for indented in text:gmatch "[^\n]+" do
    local line = indented:gsub("^[ \t]+", ""):gsub("[ \t]+$", "")
    local name = line:match "^chain ([a-z_]+) {$"
    local hook, policy = line:match "^type filter hook ([a-z]+) priority .*policy ([a-z]+);$"
    if name then
      at = {}
      chains[#chains + 1] = name
      chains[name] = at
    elseif hook then
      at[#at + 1] = hook .. " " .. policy
    elseif at and line ~= "}" and line ~= "" then
      at[#at + 1] = verdict(line)
    end
  end
  table.sort(chains)
  for i, name in ipairs(chains) do chains[i] = name .. ": " .. table.concat(chains[name], ", ") end
  return table.concat(chains, "\n")
end

--- Whether what the kernel has, as nft lists it, is what was asked for: the same chains at the same places, with the
--- same policies, and rules that do the same in the same order.
---@param listed string
---@param script string
---@return boolean
function M.is_there(listed, script) return outline(listed) == outline(script) end

return M
