--- What a container's network takes beside its namespace: names are asked for when it is planned; while its child
--- waits, nft(8) sets the rules in the namespace, and then the helper of a user-mode network is started. Both are
--- programs of the host's, outside of the container's root; neither has more than the capabilities that it needs, over
--- the container's user namespace.

local address = require "cella.network.address"
local allow = require "cella.network.allow"
local core = require "cella.core"
local Error = require "cella.error"
local helper = require "cella.plan.helper"
local lists = require "cella.list"
local mapping = require "cella.mapping"
---@module "cella.network.names"
local names = require("cella.lazy") "cella.network.names"
local sets = require "cella.caps.set"
local printable = require "cella.printable"
local program = require "cella.subid.program"
local ruleset = require "cella.network.rules"
local user = require "cella.network.user"

local M = {}

local ESRCH = 3
local SECONDS = 30 -- for a helper's answer, against a hang
local LONGEST = 600 -- bytes of what it says that are told
local MOST_LISTED, MOST_SAID = 16777216, 65536 -- bytes of rules, and of what a helper says

local TUN = "/dev/net/tun"
local NO_TUN = { EACCES = "chmod 666 /dev/net/tun", ENOENT = "modprobe tun" } -- as distributions have it

local ENVIRONMENT = { PATH = "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL = "C" }

local NFT = {
  allow = "the rules of `network.allow` are set by nft(8) (Debian: nftables)",
  user = "the rules that keep a user-mode network from its caller's loopback are set by nft(8) (Debian: nftables)",
}
local NO_RULES = "nft(8) sets them in the kernel's nf_tables (CONFIG_NF_TABLES_INET, NFT_CT, NFT_REJECT_INET, "
  .. "NF_CONNTRACK_MARK); no program runs without its rules"
local NO_NETWORK = "it said this itself; no program runs without its network"
local PASTA = "a user-mode network takes pasta(1) (Debian: passt), or else slirp4netns(1)"

-- Where a program is that may be missing.
local function find(name, why)
  local path, problem = program.find(name)
  if path then return path end
  return nil, Error.new { op = name, code = not problem and "ENOENT" or nil, why = why,
    message = problem or "is not installed" }
end

local function find_helper(network)
  local wanted = network.program
  if wanted and wanted:find "/" then
    if core.is_executable(wanted) then return wanted end
    return nil, Error.new { op = wanted:match "[^/]*$", path = wanted, code = "ENOENT", why = PASTA,
      message = "is not there, or not executable for this process" }
  elseif wanted then
    return find(wanted, PASTA)
  end
  local path, err = find("pasta", PASTA)
  if not path and err.code == "ENOENT" then path = program.find "slirp4netns" end
  if not path then return nil, err end
  local ok, message = pcall(user.check, { program = path, ports = network.ports, host_ports = network.host_ports,
    interface = network.interface, gateways = network.gateways, addresses = network.addresses, ipv4 = network.ipv4,
    nameservers = network.nameservers },
    "network")
  if ok then return path end
  return nil, Error.new { op = "pasta", code = "ENOENT", message = "is not installed",
    why = type(message) == "table" and message.validation or PASTA }
end

-- The first ID inside that is not the host's root outside.
local function first_id(map, root)
  local first
  for _, extent in ipairs(map:extents()) do
    if extent.outside ~= root then return extent.inside end
    if extent.count > 1 then return extent.inside + 1 end
    first = first or extent.inside
  end
  return first
end

-- Who a helper is, as an ID inside: the caller, unless that is root; else somebody whom nobody outside takes for root.
local function own_id(map, caller, root)
  local inside = caller ~= root and map:inside(caller)
  return inside or first_id(map, root)
end

---@class cella.network.situation
---@field new_plan fun(options: table): cella.plan
---@field maps table?        of the container's user namespace, where that is new
---@field host cella.Host

-- A plan for a program outside of the container, with these capabilities over its user namespace, in its namespaces of
-- these kinds, and new ones. The caller's own privileges go before anything of the container's is entered.
local function helper_plan(situation, pidfd, kinds, kept)
  local joins, maps, host = {}, situation.maps, situation.host
  if maps then joins[1] = { type = "user", pidfd = pidfd } end
  for _, kind in ipairs(kinds.join or {}) do joins[#joins + 1] = { type = kind, pidfd = pidfd } end
  local plan = situation.new_plan { join = joins, namespaces = kinds.new,
    groups = host.capabilities.setgid and host.setgroups == "allow" and {} or nil }
  plan.hides_interpreter = true -- no copy of this process performs it
  plan:setsid() -- whatever it starts is of its group, and dies with it
  plan:securebits { "noroot", "no_setuid_fixup" }
  if maps then
    local uid, gid = own_id(maps.uid, host.uid, host.root_uid), own_id(maps.gid, host.gid, host.root_gid)
    plan:setresgid(gid, gid, gid)
    plan:setresuid(uid, uid, uid)
    local outside = { uid = maps.uid:outside(uid), gid = maps.gid:outside(gid) }
    situation.outside = outside.uid
    if host.capabilities.chown and (outside.uid ~= host.uid or outside.gid ~= host.gid) then
      plan.pipe_owner = outside
    end
  end
  local keep = sets.mask(sets.rule(kept, "capabilities"))
  plan:ambient_clear()
  plan:capbset_drop(-keep)
  plan:capset(keep, keep, keep)
  plan:ambient_raise(keep)
  plan:no_new_privs()
  plan:expect_capabilities(keep, keep, keep, keep, keep)
  return plan
end

-- Calls a function with a descriptor of the child, and its directory in /proc, while it is the child of this process
-- that nobody has reaped.
local function with_child(child, call)
  return mapping.with_child(child, function(directory)
    local pidfd, message, errno = core.pidfd(child:pid())
    if not pidfd then return nil, { message = message, errno = errno } end
    local ok, err = child:kill(0), { errno = ESRCH }
    if ok then ok, err = call(pidfd, directory) end
    pidfd:close()
    return ok, err
  end)
end

-- What a program has said, as one line; without what pasta says of a host that has no system logger.
local function said(text)
  text = text:gsub("Failed to send %d+ bytes to syslog\n", ""):gsub("%s+$", ""):gsub("%s*\n%s*", "; ")
  local line = printable.line(text)
  return #line > LONGEST and line:sub(1, LONGEST) .. "..." or line
end

local function fields_of(err)
  return { message = err.message, errno = err.errno, code = err.code, path = err.path, why = err.why }
end

-- Starts a helper, without waiting. `heard_by`: a descriptor that goes with it.
local function spawn(plan, context, options, heard_by)
  options.wait = false
  local process, err = plan:spawn(options)
  if not process then return nil, fields_of(err) end
  helper.note(process, context, heard_by)
  return process
end

local function failed(result, why)
  local message = said(result.stderr)
  return nil, { why = why, message = message ~= "" and message
    or ("ended with %s"):format(tostring(result.code or result.signal)) }
end

local ETIMEDOUT = 110

local function late() return { errno = ETIMEDOUT, message = "has not answered in time" } end

-- Has nft do what a script says, in the child's network. Returns what it has printed; or nil and the fields of an
-- error.
local function nft(situation, path, script, child, context, till)
  local process
  local ok, err = with_child(child, function(pidfd)
    local plan = helper_plan(situation, pidfd, { join = { "net" } }, { "net_admin" })
    plan:exec { path, "-f", "-", stdin = { content = script }, stdout = "capture", stderr = "capture",
      environment = ENVIRONMENT }
    local problem
    process, problem = spawn(plan, context, { capture_limit = MOST_LISTED })
    return process ~= nil, problem
  end)
  if not ok then return nil, err end
  local result
  result, err = helper.wait_for(process, math.max(0, till - core.now()), context)
  if not result then
    helper.finish(process)
    return nil, err.code == "ETIMEDOUT" and late() or fields_of(err)
  elseif result.code ~= 0 then
    return failed(result, NO_RULES)
  end
  return result.stdout
end

-- The parent's step that sets rules. (What is listed in the script that sets them is what there was before.)
local function rules_step(situation, path, network, script)
  local shown = {}
  for i, one in ipairs(network.allow or {}) do shown[i] = allow.show(one) end
  local function perform(child, context)
    local till = core.now() + math.min(SECONDS, context.left or SECONDS)
    local ok, err = nft(situation, path, script, child, context, till)
    local listed
    if ok then listed, err = nft(situation, path, ruleset.LIST, child, context, till) end
    if not listed then return nil, err end
    if ruleset.is_there(listed, script) then return true end
    return nil, { message = "has ended well, and the rules are not there", why = NO_RULES }
  end
  local what = not network.allow and "keep loopback addresses inside"
    or "allow " .. (#shown > 0 and table.concat(shown, ", ") or "nothing")
  return { op = "nft", args = { rules = script }, perform = perform, text = ("%s -f - -- %s"):format(path, what) }
end

-- Starts the helper of a user-mode network. Returns the process, and a function that says whether it is ready.
local function start_helper(situation, path, network, child, context)
  local argv, is_ready, process = user.argv(network, path), false, nil
  local command = { stdout = function() is_ready = true end, stderr = "capture", environment = ENVIRONMENT }
  for i, word in ipairs(argv) do command[i] = word end
  local reading, writing
  if user.ready_descriptor(path) == 3 then
    local errno
    reading, writing, errno = core.pipe()
    if not reading then return nil, { message = writing, errno = errno } end
    command.stdout, command.fds = "null", { [3] = writing:number() }
  end
  local ok, err = with_child(child, function(pidfd, directory)
    local net, message, errno = core.open(("/proc/self/fd/%d/ns/net"):format(directory:number()), "rdonly")
    if not net then return nil, { message = message, errno = errno } end
    local plan = helper_plan(situation, pidfd, { new = { "pid" } }, { "sys_admin", "net_admin", "net_bind_service" })
    -- Where it may not, the helper says little of it, or hangs. (One that somebody names by its path may be a wrapper,
    -- which has it from elsewhere.)
    if not (network.program or ""):find "/" then plan:close(plan:openat2(TUN, "rdwr")) end
    plan:init() -- which ends all of it when nobody is left who could hear of it
    command.stdin = net:number()
    plan:exec(command)
    local problem
    process, problem = spawn(plan, context, { capture_limit = MOST_SAID }, reading)
    net:close()
    return process ~= nil, problem
  end)
  if writing then writing:close() end
  if ok and reading then
    local problem
    ok, problem = process:watch(reading:number(), function()
      is_ready = reading:read() ~= ""
      process:watch(reading:number())
      reading:close()
    end)
    if not ok then
      helper.finish(process)
      err = fields_of(problem)
    end
  end
  if not ok and reading then reading:close() end
  if not ok then return nil, err end
  return process, function() return is_ready and process.pid ~= nil end -- and its own start is over
end

-- The parent's step that starts the helper of a user-mode network.
local function user_step(situation, path, network)
  local argv, words = user.argv(network, path), {}
  for i, word in ipairs(argv) do words[i] = printable.line(word) end
  local function perform(child, context)
    local till = core.now() + math.min(SECONDS, context.left or SECONDS)
    local process, is_ready = start_helper(situation, path, network, child, context)
    if not process then return nil, is_ready end
    local over = helper.go_on(process, till, context, is_ready)
    if is_ready() and not process.result and not process.failure then
      context.network = process
      return true
    elseif not over then
      helper.finish(process)
      return nil, late()
    end
    local result, err = process:wait(0)
    process:close()
    if result then return failed(result, NO_NETWORK) end
    local fields = fields_of(err)
    if err.path == TUN then
      fields.why = ("the helper makes the container's interface by it, and has the rights of the ID %.0f outside, and "
        .. "no privilege"):format(situation.outside)
      fields.remedy = NO_TUN[err.code]
    end
    return nil, fields
  end
  return { op = path:match "[^/]*$", args = { argv = argv }, text = table.concat(words, " "), perform = perform }
end

local function file_mount(destination, text)
  return { type = "bind", destination = destination, readonly = true, source = { content = text, mode = "0444" } }
end

-- The container's /etc/hosts: its own name, and those that it may send to.
local function hosts_file(box, found)
  local lines = { "127.0.0.1 localhost\n", "::1 localhost ip6-localhost ip6-loopback\n" }
  if box.hostname and box.hostname:find "^[A-Za-z0-9_.-]+$" then
    lines[#lines + 1] = ("127.0.1.1 %s\n"):format(box.hostname)
  end
  for _, name in ipairs(lists.sorted_keys(found)) do
    for _, one in ipairs(found[name]) do lines[#lines + 1] = ("%s %s\n"):format(address.show(one), name) end
  end
  return table.concat(lines)
end

-- What /etc/resolv.conf leads to where that is the host's.
local function resolver_place(box, host)
  local root, leads = box.root, host.resolver
  if leads and (root.system or root.source and leads:find "^/run/") then return leads end
  return "/etc/resolv.conf"
end

---@class cella.network.prepared
---@field script string   what nft reads
---@field nft string      where it is
---@field helper string?  where it is
---@field mounts table[]  files of the root: resolv.conf, hosts

--- Finds the programs, and asks for the names. Nothing is started but what asks.
---@param box table
---@param host cella.Host
---@return cella.network.prepared?, cella.error?
function M.prepare(box, host)
  local network, prepared = box.network, { mounts = {} }
  local err
  if network.type == "user" then
    prepared.helper, err = find_helper(network)
    if not prepared.helper then return nil, err end
    local text = user.resolv_conf(network, prepared.helper)
    if text and box.root then
      prepared.mounts[1] = file_mount(resolver_place(box, host), text)
    end
  end
  prepared.nft, err = find("nft", network.allow and NFT.allow or NFT.user)
  if not prepared.nft then return nil, err end
  if not network.allow then
    prepared.script = ruleset.script()
    return prepared
  end
  local list, found = allow.names(network.allow), {}
  if #list > 0 then
    found, err = names.resolve(list)
    if not found then return nil, err end
    if box.root then table.insert(prepared.mounts, file_mount("/etc/hosts", hosts_file(box, found))) end
  end
  -- What a device brings that is from elsewhere is not known here.
  local ports = network.type == "user" and (network.ports or {}) or nil
  prepared.script = ruleset.script(allow.rules(network.allow, found), ports)
  return prepared
end

--- Records what the parent does while the child waits: rules before there is a way out.
---@param plan cella.plan
---@param box table
---@param prepared cella.network.prepared
---@param maps table?  of the container's own user namespace
---@param host cella.Host
function M.record(plan, box, prepared, maps, host)
  local situation, steps = { new_plan = plan.new, maps = maps, host = host }, {}
  steps[1] = rules_step(situation, prepared.nft, box.network, prepared.script)
  if prepared.helper then steps[#steps + 1] = user_step(situation, prepared.helper, box.network) end
  plan:await_steps(steps)
end

return M
