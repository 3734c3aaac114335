-- The user-mode network of a container: pasta(1) as its helper, tried from inside; its ports; and that nothing of it is
-- left, however the container or its caller ends.

local able = require "spec.support.able"
local cella = require "cella"
local outer = require "spec.support.outer"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)

local SCRIPT = [[
local core = require "cella.core"
local servers = assert(io.open "spec/support/servers.pl"):read "*a"
local function section(name) print("-- " .. name) end
local function says(network, text) io.write(outer.says({ network = network }, text)) end

section "default"
says("user", "tcp 203.0.113.7 80, udp 203.0.113.7 80, tcp 2001:db8:7::7 80, udp 2001:db8:7::7 80, name some.example, "
  .. "tcp 127.0.0.1 80, udp 127.0.0.1 80, tcp 198.51.100.1 80 1")
section "inside"
local box = cella.container { network = "user" }
local text = "cat /etc/resolv.conf; ls /sys/class/net 2>/dev/null; ps -e -o comm=; id -u; grep Cap /proc/self/status"
io.write(assert(box:run { "sh", "-c", text, stdout = "capture" }).stdout)
section "keys"
local keys = { type = "user", nameservers = { "192.0.2.53", "2001:db8::53" }, ipv6 = false, mtu = 1400,
  addresses = { "10.9.8.7/24" }, gateways = { "10.9.8.1" } }
text = "cat /etc/resolv.conf; PATH=$PATH:/usr/sbin:/sbin; ip -o -4 addr show scope global; ip -o link; ip route; "
  .. "ip -6 route show default"
io.write(assert(cella.container { network = keys }:run { "sh", "-c", text, stdout = "capture" }).stdout)
says(keys, "tcp 203.0.113.7 80, tcp 2001:db8:7::7 80")
section "resolver left"
keys = { type = "user", nameservers = false }
io.write(assert(cella.container { network = keys }:run { "cat", "/etc/resolv.conf", stdout = "capture" }).stdout)
section "ports"
local ports = { 8080, { outside = 8081, inside = 8080, address = "127.0.0.2" },
  { inside = 8053, protocol = "udp" }, { inside = 8054, protocol = "udp", address = "203.0.113.8" } }
local host_ports = { 80, { inside = 8082, outside = 80 }, { inside = 80, protocol = "udp" } }
box = cella.container { network = { type = "user", ports = ports, host_ports = host_ports } }
local lines = {}
local process = assert(box:spawn { "perl", "-e", servers, "--", "tcp 0.0.0.0 8080", "udp 0.0.0.0 8053",
  "udp 0.0.0.0 8054",
  stdout = function(line) lines[#lines + 1] = line end })
while #lines == 0 and not process:step() do core.poll({ process:pollfd() }, 1) end
io.write(outer.out_here("tcp 127.0.0.1 8080, tcp 127.0.0.2 8081, udp 127.0.0.1 8053, udp 203.0.113.8 8054, "
  .. "tcp 203.0.113.7 8080, tcp 127.0.0.1 8081"))
section "host ports"
local joined = cella.container { network = { pid = process.pid }, namespaces = { user = { pid = process.pid } } }
local result = joined:run(outer.client "tcp 127.0.0.1 80, tcp 127.0.0.1 8082, udp 127.0.0.1 80, tcp 127.0.0.1 81")
io.write(assert(result).stdout)
section "taken"
print(select(2, cella.container { network = { type = "user", ports = { 8080 } } }:run { "true" }))
process:close()
section "let go"
print(cella.container { network = { type = "user", ports = { 8080 } } }:run { "true" })
section "slirp4netns"
says({ type = "user", program = "slirp4netns" }, "tcp 203.0.113.7 80, udp 203.0.113.7 80, name some.example, "
  .. "tcp 127.0.0.1 80")
print "-- end"
]]

local said = {}

local function section(name, as_user, body)
  return needs("user_namespaces", function()
    local reason = outer.lacks("pasta", name == "slirp4netns" and name or "pasta") or outer.lacks_rules()
      or outer.lacks_tun()
      or as_user and trial.lacks_root()
    if reason then return pending(reason) end
    said[as_user] = said[as_user] or outer.run(SCRIPT, as_user)
    local text = (said[as_user] .. "-- "):match("%-%- " .. name .. "\n(.-)%-%- ")
    body(assert(text, said[as_user]))
  end)
end

local function specify(as_user)
  it("reaches what the caller reaches, by each protocol, but the caller's loopback", section("default", as_user,
    function(text)
      assert.equal(table.concat({
        "tcp 203.0.113.7 80 from 203.0.113.7", "udp 203.0.113.7 80 from 203.0.113.7",
        "tcp 2001:db8:7::7 80 from 2001:db8:7::7", "udp 2001:db8:7::7 80 from 2001:db8:7::7", "203.0.113.9",
        "error: Connection refused", "error: Connection refused", "no answer\n", -- nor by the gateway
      }, "\n"), text)
    end))

  it("shows the program a resolver, and no process of the helper's", section("inside", as_user, function(text)
    assert.truthy(text:find "^nameserver 169.254.1.1\n", text)
    assert.is_nil(text:find "pasta", text)
    assert.truthy(text:find("CapBnd:\t0000000000000000", 1, true), text)
  end))

  it("is what its keys say", section("keys", as_user, function(text)
    assert.truthy(text:find "^nameserver 192.0.2.53\nnameserver 2001:db8::53\n", text)
    for _, expected in ipairs { "inet 10.9.8.7/24 ", "mtu 1400 ", "default via 10.9.8.1 ",
      "tcp 203.0.113.7 80 from 203.0.113.7\nerror: " } do
      assert.truthy(text:find(expected, 1, true), text)
    end
    assert.is_nil(text:find("2001:db8:5::1", 1, true), text)
  end))

  it("leaves resolv.conf as it is with nameservers = false", section("resolver left", as_user, function(text)
    assert.equal("nameserver 127.0.0.1\n", text)
  end))

  it("has ports of the host's that lead in, where they are said", section("ports", as_user, function(text)
    local from = " from [%d.]+\n"
    assert.truthy(text:find("^tcp 0.0.0.0 8080" .. from .. "tcp 0.0.0.0 8080" .. from .. "udp 0.0.0.0 8053" .. from
      .. "udp 0.0.0.0 8054" .. from .. ("error: Connection refused\n"):rep(2) .. "$"), text)
  end))

  it("has ports of the host's loopback that it reaches by its own", section("host ports", as_user, function(text)
    assert.equal("tcp 127.0.0.1 80 from 127.0.0.1\ntcp 127.0.0.1 80 from 127.0.0.1\nudp 127.0.0.1 80 from 127.0.0.1\n"
      .. "error: Connection refused\n", text)
  end))

  it("is refused where a port is somebody's, and lets go of it at its end", section("taken", as_user, function(text)
    assert.truthy(text:find("Failed to bind", 1, true) or text:find("Listen failed", 1, true), text) -- passt's words
    assert.truthy(text:find("no program runs without its network", 1, true), text)
    assert.truthy(said[as_user]:find "%-%- let go\nexited 0", said[as_user])
  end))

  it("is slirp4netns's, too", section("slirp4netns", as_user, function(text)
    assert.equal("tcp 203.0.113.7 80 from 203.0.113.7\nudp 203.0.113.7 80 from 203.0.113.7\n203.0.113.9\n"
      .. "error: Connection refused\n", text)
  end))
end

describe("a user-mode network", function() specify(false) end)
describe("a user-mode network of an ordinary user, in root's specs #slow", function() specify(true) end)

describe("the helper of a user-mode network", function()
  -- A script that a helper stands for, found by its path.
  local function with_helper(script, body)
    return needs("user_namespaces", function()
      if outer.lacks_rules() then return pending(outer.lacks_rules()) end
      local directory = trial.directory()
      trial.write(directory .. "/pasta", "#!/bin/sh\n" .. script .. "\n")
      trial.sh("chmod 755 " .. directory .. "/pasta")
      local ok, message = pcall(body, cella.container { network = { type = "user", program = directory .. "/pasta" } },
        directory)
      trial.remove_directory(directory)
      assert(ok, message)
    end)
  end

  local READY = "echo $$ > /proc/self/fd/1; exec sleep 1000"

  local function pid_of(process) return process.network.pid end

  it("is killed with its container, however that ends", with_helper(READY, function(box)
    for _, stop in ipairs { "wait", "close", "kill" } do
      local process = assert(box:spawn { "sleep", stop == "wait" and "0.01" or "1000" })
      local pid = pid_of(process)
      assert.is_true(trial.runs(pid))
      if not trial.lacks_root() then
        local status = trial.read(("/proc/%d/status"):format(pid))
        assert.is_nil(status:find "Uid:\t0\t", status)
        assert.truthy(status:find "Groups:\t%s*\n", status)
      end
      if stop == "wait" then process:wait() elseif stop == "kill" then process:kill "kill" process:wait() end
      process:close()
      assert.is_false(trial.runs(pid), stop)
      assert.is_nil(trial.read(("/proc/%d/stat"):format(pid)), "a zombie of it is left")
    end
  end))

  it("has the rights over the container's network, and not those of the caller", with_helper(
    "{ grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|NSpid)' /proc/self/status; readlink /proc/self/ns/net "
      .. "/proc/self/ns/user /proc/self/ns/pid; ls /proc/self/fd; } >&2; exit 3", function(box)
      local text = tostring(select(2, box:run { "true" })):gsub("\\x09", "\t")
      local keep = "0000000000201400" -- sys_admin, net_admin, net_bind_service
      for _, set in ipairs { "Inh", "Prm", "Eff", "Bnd", "Amb" } do
        assert.truthy(text:find("Cap" .. set .. ":\t" .. keep, 1, true), text)
      end
      assert.truthy(text:find("NoNewPrivs:\t1", 1, true), text)
      assert.truthy(text:find(trial.sh "readlink /proc/self/ns/net":gsub("\n", ""), 1, true), text)
      assert.is_nil(text:find(trial.sh "readlink /proc/self/ns/user":gsub("\n", ""), 1, true), text)
      assert.is_nil(text:find(trial.sh "readlink /proc/self/ns/pid":gsub("\n", ""), 1, true), text)
    end))

  it("that fails is why no program runs", with_helper("echo it cannot >&2; exit 1", function(box, directory)
    local result, err = box:run { "touch", directory .. "/ran" }
    assert.is_nil(result)
    assert.same({ "pasta", "parent", "it cannot" }, { err.op, err.side, err.message })
    assert.is_nil(io.open(directory .. "/ran"))
  end))

  it("that never says that it is ready is given up in time", with_helper("exec sleep 1000", function(box)
    local err
    local seconds = 0.5 -- where that does not suffice for nft, which comes before, more of it
    repeat
      err = select(2, box:run { "true", setup_timeout = seconds })
      seconds = seconds * 2
    until err.op ~= "nft" or seconds > 60
    assert.same({ "pasta", "ETIMEDOUT" }, { err.op, err.code })
    err = select(2, box:run { "true", timeout = 0.5 })
    assert.equal("ETIMEDOUT", err.code)
  end))

  it("that ends before the program is told of", with_helper(
    "echo $$ > /proc/self/fd/1; until [ -e ${0%/*}/go ]; do sleep 0.05; done; exit 4", function(box, directory)
      local process = trial.hold(box:spawn { "sh", "-c", "read line; exit 5", stdin = "pipe", stdout = "null" })
      trial.write(directory .. "/go", "")
      trial.wait_for(function() return not trial.runs(pid_of(process)) end, "the end of the helper")
      assert(process:feed "go\n")
      local result = assert(process:wait())
      assert.same({ "exited", 5 }, { result.reason, result.code })
      assert.truthy(tostring(result.network_lost):find("exited", 1, true), tostring(result.network_lost))
    end))

  it("goes with a caller that is killed", with_helper(READY, function(_, directory)
    local caller = trial.hold(cella.plan():exec({ "/bin/sh", "-c", ("exec %s -e '%s'"):format(trial.interpreter(), ([[
      local box = require("cella").container { network = { type = "user", program = "%s/pasta" } }
      local process = assert(box:spawn { "sleep", "1000" })
      local file = io.open("%s/pid", "w")
      file:write(process.network.pid, " ", process.pid, "\n")
      file:close()
      process:wait()]]):format(directory, directory)), stdin = "null" }):spawn())
    local line = trial.wait_for(function()
      local text = trial.read(directory .. "/pid")
      return text and text:find "\n" and text
    end, "the container")
    local helper, program = line:match "(%d+) (%d+)"
    assert.is_true(trial.runs(tonumber(helper)))
    caller:kill "kill"
    trial.wait_for(function() return not trial.runs(tonumber(helper)) and not trial.runs(tonumber(program)) end,
      "the end of both")
  end))

  it("goes with a start that fails behind it, for which nobody waits", with_helper(
    "echo $$ > /proc/self/fd/1; sleep 1000; :", function(box, directory)
      local function helpers() return trial.sh(("pgrep -f '^/bin/sh %s/pasta' || true"):format(directory)) end
      local control = trial.hold(box:spawn { "sleep", "1000" })
      assert.matches("^%d+\n$", helpers())
      control:close()
      box:run { "true" } -- what is opened once is open
      collectgarbage()
      collectgarbage "stop"
      local before = trial.sh "ls /proc/$PPID/fd | wc -l"
      local process = assert(box:spawn { "/nowhere/program", wait = false, denied = function() end })
      local result, err = process:wait()
      local left, after = helpers(), trial.sh "ls /proc/$PPID/fd | wc -l"
      process:close()
      collectgarbage "restart"
      assert.is_nil(result)
      assert.same({ "execve", "ENOENT" }, { err.op, err.code })
      assert.same({ "", before }, { left, after })
    end))

  it("serves who does not wait, and is in a pool #slow", with_helper(READY, function(box)
    local process = trial.hold(box:spawn { "sleep", "0.01", wait = false })
    assert.equal(0, assert(process:wait()).code)
    process = box:spawn { "sleep", "1000", wait = false } -- given up while it starts
    process:step()
    process:close()
    local pool = trial.hold(cella.pool { box, size = 2 })
    for _ = 1, 3 do assert.equal(0, assert(pool:run { "true" }).code) end
  end))

  it("that may not open /dev/net/tun is refused, with who has tried", needs("user_namespaces", function()
    if outer.lacks "pasta" then return pending(outer.lacks "pasta") end
    if outer.lacks_rules() then return pending(outer.lacks_rules()) end
    local others = tonumber(trial.sh "stat -c %a /dev/net/tun":match "(%d)\n$") or 0
    if others == 6 then return pending "needs a /dev/net/tun that is not for everybody" end
    local err = select(2, cella.container { network = "user" }:run { "true" })
    assert.same({ "pasta", "EACCES", "/dev/net/tun", "chmod 666 /dev/net/tun" },
      { err.op, err.code, err.path, err.remedy })
    assert.truthy(err.why:find("has the rights of the ID [1-9]%d+ outside"), err.why)
  end))

  it("that is missing is named", needs("user_namespaces", function()
    local text = trial.sh(([[%s -e '
      package.loaded["cella.subid.program"] = { find = function() end }
      print(select(2, require("cella").container { network = "user" }:run { "true" }))']]):format(trial.interpreter()))
    assert.truthy(text:find("pasta: is not installed (ENOENT)", 1, true), text)
    assert.truthy(text:find("Debian: passt", 1, true), text)
    local box = cella.container { network = { type = "user", program = "/nowhere/pasta" } }
    assert.truthy(tostring(select(2, box:run { "true" })):find("/nowhere/pasta", 1, true))
  end))

  it("is not started without rules: nft is looked for as it is", with_helper(READY, function(_, directory)
    local path = trial.sh "echo $PATH":gsub("\n", "")
    local function try(found)
      return trial.sh(([[PATH=%s:%s %s -e '
        local program = require "cella.subid.program"
        local find = program.find
        program.find = function(name) if name ~= "nft" or %s then return find(name) end end
        local box = require("cella").container { network = { type = "user", program = "%s/pasta" } }
        print(box:run { "true" })']]):format(directory, path, trial.interpreter(), found, directory))
    end
    assert.truthy(try("true"):find("exited 0", 1, true)) -- the control
    local text = try "false"
    assert.truthy(text:find("nft: is not installed (ENOENT)", 1, true), text)
    assert.truthy(text:find("that keep a user-mode network from its caller's loopback", 1, true), text)
    trial.write(directory .. "/nft", "#!/bin/sh\nexit 0\n")
    trial.sh("chmod 755 " .. directory .. "/nft")
    text = try "true"
    local without = "nft -f - -- keep loopback addresses inside: has ended well, and the rules are not there"
    assert.truthy(text:find(without, 1, true), text)
  end))

  it("is one for each of many, and none is left #slow", with_helper(READY, function(box)
    local processes = {}
    for i = 1, 50 do processes[i] = assert(box:spawn { "sleep", "1000", wait = false }) end
    for _, process in ipairs(processes) do
      trial.wait_for(function() process:step() return process.pid or process.failure end, "a start")
      assert.is_nil(process.failure)
    end
    local pids = {}
    for i, process in ipairs(processes) do pids[i] = pid_of(process) end
    for _, process in ipairs(processes) do process:close() end
    for _, pid in ipairs(pids) do assert.is_false(trial.runs(pid)) end
  end))
end)
