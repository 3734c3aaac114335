--- Addresses, networks and ports as people write them: "192.0.2.7:443", "10.0.0.0/8", "[2001:db8::1]:443". They are
--- read to numbers and written anew from those, so that nothing else gets into what is made of them.

local validate = require "cella.validate"

local M = {}

---@class cella.network.address
---@field version 4|6
---@field bytes integer[]   4 or 16
---@field prefix integer    bits of the network; all of them for one address
---@field ports { [1]: integer, [2]: integer }?  first and last

local MOST_PORT = 65535

-- Four numbers, as inet_pton(3) takes them: no leading zeros, which others take for octal.
local function bytes_of_four(text)
  local bytes = {}
  for part in (text .. "."):gmatch "([^.]*)%." do
    local number = part:find "^[0-9]+$" and #part <= 3 and tonumber(part)
    if not number or number > 255 or #part > 1 and part:sub(1, 1) == "0" then return nil end
    bytes[#bytes + 1] = number
  end
  return #bytes == 4 and bytes or nil
end

-- The words of a part of an IPv6 address, as bytes; the last may be an IPv4 address.
local function add_words(bytes, text, last)
  if text == "" then return true end
  for word, colon in (text .. ":"):gmatch "([^:]*)(:)" do
    local four = word:find(".", 1, true) and bytes_of_four(word)
    if four then
      if not last or text:sub(-#word - 1) ~= ":" .. word and text ~= word then return false end
      for _, byte in ipairs(four) do bytes[#bytes + 1] = byte end
    elseif colon and word:find "^[0-9a-fA-F]+$" and #word <= 4 then
      local number = tonumber(word, 16)
      bytes[#bytes + 1] = math.floor(number / 256)
      bytes[#bytes + 1] = number % 256
    else
      return false
    end
  end
  return true
end

local function bytes_of_sixteen(text)
  local head, tail = text:match "^(.-)::(.*)$"
  local bytes, behind = {}, {}
  if not head then
    if not add_words(bytes, text, true) or #bytes ~= 16 then return nil end
    return bytes
  end
  if tail:find("::", 1, true) or tail:sub(1, 1) == ":" then return nil end
  if not add_words(bytes, head, false) or not add_words(behind, tail, true) then return nil end
  if #bytes + #behind > 14 then return nil end -- "::" stands for a word at least
  for _ = 1, 16 - #bytes - #behind do bytes[#bytes + 1] = 0 end
  for _, byte in ipairs(behind) do bytes[#bytes + 1] = byte end
  return bytes
end

--- An address alone, without a network or a port.
---@param text string
---@return cella.network.address?
function M.parse(text)
  local bytes = bytes_of_four(text)
  if bytes then return { version = 4, bytes = bytes, prefix = 32 } end
  bytes = text:find(":", 1, true) and bytes_of_sixteen(text)
  if bytes then return { version = 6, bytes = bytes, prefix = 128 } end
  return nil
end

-- An IPv4 address in the dress of IPv6: what is sent to it goes out as IPv4.
local function is_mapped(address)
  if address.version ~= 6 then return false end
  for i = 1, 10 do
    if address.bytes[i] ~= 0 then return false end
  end
  return address.bytes[11] == 255 and address.bytes[12] == 255
end

-- The address with all bits behind the prefix 0.
local function network_of(address)
  local copy = { version = address.version, bytes = {}, prefix = address.prefix, ports = address.ports }
  for i, byte in ipairs(address.bytes) do
    local bits = math.max(0, math.min(8, address.prefix - (i - 1) * 8))
    local unit = 2 ^ (8 - bits)
    copy.bytes[i] = math.floor(math.floor(byte / unit) * unit)
  end
  return copy
end

local function show_six(bytes)
  local words = {}
  for i = 1, 16, 2 do words[#words + 1] = bytes[i] * 256 + bytes[i + 1] end
  -- The longest run of zeros, of two words at least (RFC 5952).
  local from, length = 0, 1
  local i = 1
  while i <= 8 do
    local till = i
    while till <= 8 and words[till] == 0 do till = till + 1 end
    if till - i > length then from, length = i, till - i end
    i = math.max(till, i + 1)
  end
  local text = {}
  for n, word in ipairs(words) do text[n] = ("%x"):format(word) end
  if from == 0 then return table.concat(text, ":") end
  return table.concat(text, ":", 1, from - 1) .. "::" .. table.concat(text, ":", from + length, 8)
end

--- As the kernel and its tools read it: without its port, and with the prefix where it is a network.
---@param address cella.network.address
---@return string
function M.show(address)
  local text = address.version == 4 and ("%d.%d.%d.%d"):format(address.bytes[1], address.bytes[2], address.bytes[3],
    address.bytes[4]) or show_six(address.bytes)
  if address.prefix < #address.bytes * 8 then return ("%s/%d"):format(text, address.prefix) end
  return text
end

local function is_port(value)
  return type(value) == "number" and value == math.floor(value) and value >= 1 and value <= MOST_PORT
end

--- A port, 1 to 65535.
function M.port(value, path)
  if not is_port(value) then
    validate.fail(path, "a port from 1 to %d expected, got %s", MOST_PORT, validate.show(value))
  end
  return math.floor(value)
end

-- "443", "8000-8010"
local function ports_of(text, path, whole)
  local first, last = text:match "^([0-9]+)%-([0-9]+)$"
  if not first then first = text:match "^[0-9]+$" end
  local from, to = tonumber(first), tonumber(last or first)
  if not first or #text > 11 or not is_port(from) or not is_port(to) then
    validate.fail(path, "a port is a number from 1 to %d, or two, 8000-8010, got %q in %s", MOST_PORT, text,
      validate.show(whole))
  elseif from > to then
    validate.fail(path, "the ports %d-%d end before they begin", from, to)
  end
  return { from, to }
end

local EXPECTED = 'an address expected, such as "192.0.2.7:443", "10.0.0.0/8" or "[2001:db8::1]:443", got %s'

local function looks_like_name(text)
  return text:find "[A-Za-z]" and text:find "^[A-Za-z0-9._:-]+$" and not text:find "::"
    and (text:find "%.[A-Za-z]" or not text:find "^[0-9a-fA-F:.]+$")
end

local function not_an_address(text, path)
  local host, port = text:match "^([^:]*):?([0-9]*)$"
  if looks_like_name(text) and host then
    validate.fail(path, "a name is said as { host = %q%s }, got %s", host, port ~= "" and ", port = " .. port or "",
      validate.show(text))
  end
  validate.fail(path, EXPECTED, validate.show(text))
end

-- A word for the address, the prefix and the ports of a text, which need not be there.
local function take_apart(text)
  local inside, rest = text:match "^%[([^%[%]]*)%](.*)$"
  if inside then
    local prefix, ports = rest:match "^/([0-9]*):(.*)$"
    if not prefix then prefix = rest:match "^/([0-9]*)$" end
    if not prefix then ports = rest:match "^:(.*)$" end
    if rest ~= "" and not prefix and not ports then return nil end
    local within = inside:match "^.*/([0-9]*)$"
    if within then
      if prefix then return nil end
      return inside:match "^(.*)/", within, ports, true
    end
    return inside, prefix, ports, true
  end
  if text:find ":.*:" then -- IPv6, and all that follows a colon is the address
    local address, prefix = text:match "^(.*)/([0-9]*)$"
    return address or text, prefix
  end
  local address, ports = text:match "^([^:]*):(.*)$"
  address = address or text
  local alone, prefix = address:match "^(.*)/([0-9]*)$"
  return alone or address, prefix, ports
end

local function check_network(address, path, text)
  local bits = #address.bytes * 8
  if address.prefix > bits then
    validate.fail(path, "the prefix of %s is more than %d bits", validate.show(text), bits)
  end
  local network = network_of(address)
  for i, byte in ipairs(network.bytes) do
    if byte ~= address.bytes[i] then
      validate.fail(path, "%s has bits behind its prefix: the network is %s, one address has no prefix",
        validate.show(text), M.show(network))
    end
  end
end

local function starts_with(bytes, bits, ...)
  for i, byte in ipairs { ... } do
    local unit = 2 ^ (8 - math.max(0, math.min(8, bits - (i - 1) * 8)))
    if math.floor(bytes[i] / unit) ~= math.floor(byte / unit) then return false end
  end
  return true
end

local function zeros(bytes, count)
  for i = 1, count do
    if bytes[i] ~= 0 then return false end
  end
  return true
end

local function kind_of_four(bytes, prefix)
  if prefix >= 8 and bytes[1] == 127 then return "a loopback address" end
  if prefix >= 8 and bytes[1] == 0 then return "an unspecified address" end
  if prefix >= 16 and starts_with(bytes, 16, 169, 254) then return "a link-local address" end
  if prefix >= 4 and bytes[1] >= 224 and bytes[1] < 240 then return "a multicast address" end
  if prefix == 32 and starts_with(bytes, 32, 255, 255, 255, 255) then return "the broadcast address" end
  return nil
end

--- What an address is that is no host's of its own: "a loopback address", "an unspecified address", "a link-local
--- address", ...; of a network, what all of it is. Nil for any other.
---@param one cella.network.address
---@return string?
function M.special(one)
  local bytes, prefix = one.bytes, one.prefix
  if one.version == 4 then return kind_of_four(bytes, prefix) end
  if prefix >= 96 and (is_mapped(one) or zeros(bytes, 12)) then
    if prefix == 128 and zeros(bytes, 15) and bytes[16] <= 1 then
      return bytes[16] == 1 and "a loopback address" or "an unspecified address"
    end
    return kind_of_four({ bytes[13], bytes[14], bytes[15], bytes[16] }, prefix - 96) or "an IPv4 address in IPv6"
  end
  if prefix >= 10 and starts_with(bytes, 10, 0xfe, 0x80) then return "a link-local address" end
  if prefix >= 8 and bytes[1] == 255 then return "a multicast address" end
  return nil
end

--- "192.0.2.7", "192.0.2.7:443", "192.0.2.7:8000-8010", "10.0.0.0/8", "2001:db8::1", "[2001:db8::1]:443",
--- "2001:db8::/32", "[2001:db8::]/32:443".
---@return cella.network.address
function M.rule(value, path)
  if type(value) ~= "string" then validate.fail(path, EXPECTED, validate.show(value)) end
  if #value > 128 or value:find "[^!-~]" then validate.fail(path, EXPECTED, validate.show(value)) end
  if value:find("%", 1, true) then
    validate.fail(path, "an address has no interface behind it here, got %s", validate.show(value))
  end
  local text, prefix, ports, bracketed = take_apart(value)
  local address = text and M.parse(text)
  if not address or bracketed and address.version ~= 6 then return not_an_address(value, path) end
  if is_mapped(address) then
    validate.fail(path, "%s is an IPv4 address: write it as one", validate.show(value))
  end
  if prefix then
    if not prefix:find "^[0-9]+$" or #prefix > 3 or #prefix > 1 and prefix:sub(1, 1) == "0" then
      validate.fail(path, "the prefix of %s is not a number of bits", validate.show(value))
    end
    address.prefix = tonumber(prefix)
    check_network(address, path, value)
  end
  if ports then address.ports = ports_of(ports, path, value) end
  return address
end

--- One address, of which there is neither a network nor a port to be said.
function M.single_rule(value, path)
  if type(value) == "string" and #value <= 64 then
    local address = M.parse(value)
    if address and not is_mapped(address) then return address end
  end
  validate.fail(path, 'one address expected, such as "192.0.2.53", got %s', validate.show(value))
end

return M
