--- Names of hosts: what one may be, and the addresses that it has now, as the caller's system says (getaddrinfo(3)).

local address = require "cella.network.address"
local core = require "cella.core"
local Error = require "cella.error"
local lists = require "cella.list"
local Plan = require "cella.plan"
local program = require "cella.subid.program"
local validate = require "cella.validate"

local M = {}

local LONGEST, LONGEST_LABEL = 253, 63

--- The name of a host: letters, digits, hyphens and points, as in DNS. An address is none.
---@return string
function M.rule(value, path)
  if type(value) ~= "string" then validate.fail(path, "the name of a host expected, got %s", validate.show(value)) end
  local good = #value <= LONGEST and value:find "^[A-Za-z0-9_.-]+$" ~= nil
  for label in (value .. "."):gmatch "([^.]*)%." do
    good = good and #label >= 1 and #label <= LONGEST_LABEL and label:sub(1, 1) ~= "-" and label:sub(-1) ~= "-"
  end
  -- "192.0.2" is an address to getaddrinfo(3), and no name ends so.
  if good and value:match "[^.]*$":find "^[0-9xX]*[0-9a-fA-F]*$" and value:match "[^.]*$":find "^[0-9]" then
    validate.fail(path, "an address, and not the name of a host, got %s", validate.show(value))
  end
  if not good then validate.fail(path, "not the name of a host: %s", validate.show(value)) end
  return value
end

local SECONDS = 10 -- for all of them together
local MOST = 64    -- addresses of one name

local function failure(name, message, why)
  return Error.new { op = "getaddrinfo", message = ("%s: %s"):format(name, message), why = why }
end

-- Lines that begin with an address, of a link's with the link behind it (fe80::1%eth0); each is there for every type
-- of socket.
local function addresses_of(text)
  local list, seen = {}, {}
  for word in text:gmatch "([^\n]+)" do
    local one = address.parse(word:match "^[^ \t%%]+" or "")
    local shown = one and address.show(one)
    if one and not seen[shown] and #list < MOST then
      seen[shown] = true
      list[#list + 1] = one
    end
  end
  return list
end

local function start(path, name)
  local plan = Plan.new()
  plan:setsid() -- all that it starts is of its group
  return plan:exec({ path, "ahosts", name, stdin = "null", stdout = "capture", stderr = "null",
    environment = { PATH = "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL = "C" } }):spawn { capture_limit = 65536 }
end

local function finish(process, name, till)
  local result, err = process:wait(math.max(0, till - core.now()))
  if not result then
    process:signal_group "kill"
    process:close()
    if err.code ~= "ETIMEDOUT" then return nil, err end
    return nil, failure(name, ("no answer within %d seconds"):format(SECONDS),
      "who is asked for names (/etc/nsswitch.conf, /etc/resolv.conf) does not answer")
  end
  process:close()
  local list = result.code == 0 and addresses_of(result.stdout) or {}
  for _, one in ipairs(list) do
    local kind = address.special(one)
    if kind then
      return nil, failure(name, ("is %s, %s"):format(address.show(one), kind), "who answers for a name may not give "
        .. "leave to send to the loopback, or to the neighbours, of whoever asks: what is meant can be said as an "
        .. "address")
    end
  end
  if #list > 0 then return list end
  return nil, failure(name, "no address is known", "the caller's system is asked when the container is planned: "
    .. "`getent ahosts NAME` says the same")
end

--- The addresses of each name. All are asked for at once.
---@param names string[]
---@return table<string, cella.network.address[]>?, cella.error?
function M.resolve(names)
  if #names == 0 then return {} end
  local path, problem = program.find "getent"
  if not path then
    return nil, Error.new { op = "getent", code = "ENOENT", message = problem or "is not installed",
      why = "names of hosts are resolved by getent(1), of the C library" }
  end
  local till, started, found = core.now() + SECONDS, {}, {}
  local err
  for _, name in ipairs(names) do
    local process
    if not err and not started[name] then
      process, err = start(path, name)
      started[name] = process
    end
  end
  for _, name in ipairs(lists.sorted_keys(started)) do
    if err then
      started[name]:signal_group "kill"
      started[name]:close()
    else
      found[name], err = finish(started[name], name, till)
    end
  end
  if err then return nil, err end
  return found
end

return M
