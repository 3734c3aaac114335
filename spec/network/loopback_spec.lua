-- What a program without any capability tries against a user-mode network: to send to its caller's loopback by the
-- interface of that, chosen for a socket or a datagram, and past the rules of `allow`, by what it makes the kernel
-- take for an answer. Whoever has come to one of the servers is asked of the servers.

local able = require "spec.support.able"
local made = require "spec.support.made"
local outer = require "spec.support.outer"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)

local HEAD = [[
local core = require "cella.core"
local portable = require "spec.support.portable"
local place = os.getenv "CELLA_OUTER"

-- The servers to whom somebody came since this was asked.
local seen = 0
local function came()
  local count, list = 0, {}
  for line in assert(io.open(place .. "/ready")):lines() do
    count = count + 1
    if count > seen and line:find "^came" and not list[line] then
      list[line] = true
      list[#list + 1] = line:sub(6)
    end
  end
  seen = count
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "nobody"
end

local function without_rules(process)
  local pid, kept = process.pid, { "net_admin" }
  local plan = cella.plan { join = { { type = "user", pid = pid }, { type = "net", pid = pid } } }
  plan:securebits { "noroot", "no_setuid_fixup" }
  plan:capset(kept, kept, kept):ambient_raise(kept)
  assert(assert(plan:exec({ NFT, "delete", "table", "inet", "cella" }):run()).code == 0)
end

-- What the attempts say in a container with that network. `meanwhile` is called before they begin; or, where one says
-- itself that it waits, then.
local function reach(network, attempts, meanwhile, word)
  local process, lines, go = nil, {}, place .. "/open/go"
  local box = cella.container { network = network, mounts = {
    { type = "bind", source = REACH, destination = "/tmp/reach", readonly = true },
    { type = "bind", source = place .. "/open", destination = "/tmp/open", readonly = true } } }
  local command = { "sh", "-c", 'echo begun; [ "$0" = open ] || until [ -e /tmp/open/go ]; do sleep 0.02; done; '
    .. 'exec /tmp/reach "$@"', word or "begun", stdout = function(line) lines[#lines + 1] = line end, timeout = 60 }
  for _, attempt in ipairs(attempts) do command[#command + 1] = attempt end
  process = assert(box:spawn(command))
  while not process:step() and lines[#lines] ~= (word or "begun") do core.poll({ process:pollfd() }, 0.05) end
  if meanwhile then meanwhile(process) end
  assert(io.open(go, "w")):close()
  local result = assert(process:wait())
  process:close()
  os.remove(go)
  for _, line in ipairs(lines) do
    if line ~= "begun" then print(line) end
  end
  if result.reason ~= "exited" then print(result) end
end

local function section(name) print("-- " .. name) end

-- Between two that a server answers by each version of IP, so that what they have sent is there.
local function between(attempts)
  local list = { "last udp 203.0.113.7 80", "last udp 2001:db8:7::7 80" }
  for _, attempt in ipairs(attempts) do table.insert(list, attempt) end
  for i = 1, 2 do table.insert(list, list[i]) end
  return list
end

]]

local LOOPBACK = [[
local function loopbacks(interface, own)
  local list = {}
  local function add(...) list[#list + 1] = ("out %s %s %s %s " .. interface .. " %s"):format(...) end
  for _, way in ipairs { "device", "index", "unicast", "multicast", "pktinfo", "scope" } do
    for _, address in ipairs { "127.0.0.1", "127.9.8.7", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1" } do
      if way ~= "scope" or address:find ":" then add(way, "udp", address, 80, "") end
    end
  end
  for _, way in ipairs { "device", "index" } do
    for _, address in ipairs { "127.0.0.1", "::1" } do add(way, "tcp", address, 80, "") end
  end
  add("device", "udp", "127.0.0.1", 80, own[4])
  add("device", "tcp", "127.0.0.1", 80, own[4])
  add("device", "udp", "::1", 80, own[6])
  add("device", "udp", "::1", 80, "2001:db8:99::1")
  add("device", "udp", "203.0.113.7", 80, "127.0.0.1")
  add("device", "udp", "2001:db8:7::7", 80, "::1")
  for _, helpers in ipairs(own) do
    add("device", "udp", helpers, 80, "")
    add("device", "tcp", helpers, 80, "")
  end
  return list
end

local PASTA = { [4] = "198.51.100.2", [6] = "2001:db8:5::2", "198.51.100.1", "2001:db8:5::1",
  "169.254.1.1" }
local SLIRP = { [4] = "10.0.2.100", [6] = "fd00::1", "10.0.2.2", "fd00::2", "10.0.2.3", "fd00::3" }
local OPENED = { "out device udp 127.0.0.1 80 %s", "out device udp ::1 80 %s", "out pktinfo udp 127.9.8.7 80 %s" }
local function opened(interface)
  local list = {}
  for i, text in ipairs(OPENED) do list[i] = text:format(interface) end
  return between(list)
end

local program, interface, own = "pasta", "ext", PASTA
if PROGRAM == "slirp4netns" then program, interface, own = PROGRAM, "tap0", SLIRP end
section "open"
came()
reach({ type = "user", program = program }, between(loopbacks(interface, own)))
section "open, who came"
print(came())
section "without rules"
reach({ type = "user", program = program }, opened(interface), without_rules)
section "without rules, who came"
print(came())
section "nothing"
reach({ type = "user", program = program, allow = {} }, between(loopbacks(interface, own)))
section "nothing, who came"
print(came())
section "all"
reach({ type = "user", program = program, allow = { "0.0.0.0/0:80", "[::]/0:80" } },
  between(loopbacks(interface, own)))
section "all, who came"
print(came())
local asked = { ("out device udp %s 53 %s"):format(program == "pasta" and "169.254.1.1" or "10.0.2.3", interface) }
section "resolver"
reach({ type = "user", program = program }, between(asked))
section "resolver, who came"
print(came())
section "no resolver"
reach({ type = "user", program = program, nameservers = false }, between(asked))
section "no resolver, who came"
print(came())
print "-- end"
]]

local ANSWERS = [[
local function answers()
  return { "own udp 2001:db8:7::7 8091 2001:db8:5::2 ext", "own tcp 2001:db8:7::7 8091 2001:db8:5::2 ext",
    "own udp 127.0.0.1 8091 198.51.100.2 ext", "own tcp 127.0.0.1 8091 198.51.100.2 ext",
    "spoofed 2001:db8:7::7 8092 2001:db8:7::7 8080 ext",
    "out device udp 2001:db8:7::7 8091 ext", "out device tcp 2001:db8:7::7 8091 ext" }
end
local ALLOWED = { "203.0.113.7:80", "[2001:db8:7::7]:80", "[2001:db8:7::7]:8080" }
section "answers"
came()
reach({ type = "user", allow = ALLOWED }, between(answers()))
section "answers, who came"
print(came())
section "answers, without rules"
reach({ type = "user", allow = ALLOWED }, between(answers()), without_rules)
section "answers, without rules, who came"
print(came())

-- A helper opens a port of the host's for a datagram, and somebody else sends to it.
local function called()
  print(outer.out_here("udp 198.51.100.2 9000 1"))
end
local HEARD = { "heard 203.0.113.7 80 9000" }
section "heard"
reach({ type = "user", allow = { "203.0.113.7:80" } }, HEARD, called, "open")
section "heard, all"
reach({ type = "user" }, HEARD, called, "open")

-- One that is given by another, with root's leave.
local function device()
  local lines = {}
  local process = assert(cella.container { network = { type = "none", allow = {} } }:spawn { "perl", "-e",
    assert(io.open "spec/support/servers.pl"):read "*a", "--", "udp 0.0.0.0 9001", "tcp 0.0.0.0 9001",
    stdout = function(line) lines[#lines + 1] = line end })
  local pid, kept = process.pid, { "net_admin" }
  assert(portable.execute("PATH=$PATH:/usr/sbin:/sbin; ip link add given0 type veth peer name given1 && "
    .. "ip link set given1 netns " .. pid .. " && ip addr add 198.18.0.1/24 dev given0 && ip link set given0 up"))
  local joins = { { type = "user", pid = pid }, { type = "net", pid = pid } }
  local plan = cella.plan { join = joins }
  plan:securebits { "noroot", "no_setuid_fixup" }
  plan:capset(kept, kept, kept):ambient_raise(kept)
  assert(assert(plan:exec({ "/bin/sh", "-c",
    "PATH=$PATH:/usr/sbin:/sbin; ip addr add 198.18.0.2/24 dev given1 && ip link set given1 up" }):run()).code == 0)
  while #lines == 0 and not process:step() do core.poll({ process:pollfd() }, 1) end
  io.write(outer.out_here "udp 198.18.0.2 9001, tcp 198.18.0.2 9001")
  local entrance = assert(process:enter())
  io.write(assert(entrance:run(outer.client "udp 198.18.0.1 80, tcp 198.18.0.1 80")).stdout)
  process:close()
end
section "device"
if AS_ROOT then device() end

section "ports"
local ports = { 8080, { inside = 8054, protocol = "udp", address = "203.0.113.8" } }
local lines = {}
local process = assert(cella.container { network = { type = "user", allow = {}, ports = ports } }:spawn { "perl", "-e",
  assert(io.open "spec/support/servers.pl"):read "*a", "--", "tcp 0.0.0.0 8080", "udp 0.0.0.0 8054",
  stdout = function(line) lines[#lines + 1] = line end })
while #lines == 0 and not process:step() do core.poll({ process:pollfd() }, 1) end
io.write(outer.out_here "tcp 127.0.0.1 8080, udp 203.0.113.8 8054")
process:close()
print "-- end"
]]

local reach

teardown(function()
  if reach then made.done(reach) end
end)

-- Anybody's to read: a container of another's binds it.
local function compiled()
  reach = reach or assert(made.once("reach", function(path)
    local said = trial.sh("cc -std=c11 -Wall -Wextra -O1 -static -o " .. path .. " spec/support/reach.c")
    return said ~= "" and said or nil
  end))
  return reach
end

local said = {}

-- What a script says, by its sections. Root can be an ordinary user in there too.
local function with(script, program, as_user, body)
  return needs("user_namespaces", function()
    local reason = outer.lacks("nft", program) or outer.lacks_tun() or outer.lacks_rules()
      or as_user and trial.lacks_root()
    if reason then return pending(reason) end
    local key = script .. program .. tostring(as_user)
    if not said[key] then
      local directory = trial.directory(493)
      trial.sh(("cp %s %s/reach && chmod 755 %s/reach"):format(compiled(), directory, directory))
      local nft = trial.sh "PATH=$PATH:/usr/sbin:/sbin command -v nft":gsub("\n", "")
      said[key] = outer.run(("local REACH, PROGRAM, AS_ROOT, NFT = %q, %q, %s, %q\n"):format(directory .. "/reach",
        program, tostring(not as_user), nft) .. HEAD .. script, as_user)
      trial.remove_directory(directory)
    end
    local sections = {}
    for name, text in (said[key]:gsub("%-%- ", "\1") .. "\1"):gmatch "([^\n\1]+)\n([^\1]*)" do
      sections[name] = text
    end
    body(sections, said[key])
  end)
end

local SERVED = "udp 2001:db8:7::7 80, udp 203.0.113.7 80\n"

-- Since the pasta that has this option, who sends to loopback addresses or for an answer that is none is turned away by
-- pasta itself, and who comes by the caller's loopback comes from the container's address: a control then shows that
-- the server is there, and that of slirp4netns that nothing but the rules turns anybody away.
local guarded
local function guards(program)
  if guarded == nil then guarded = trial.sh("pasta --help 2>&1"):find("--map-host-loopback", 1, true) ~= nil end
  return program == "pasta" and guarded
end

-- Whom none but the four that begin and end has answered.
local function assert_unanswered(text, whole)
  local _, count = text:gsub("ANSWER", "")
  local _, served = text:gsub("last udp [^\n]+: ANSWER udp", "")
  assert.same({ 4, 4 }, { count, served }, whole)
end

local function specify(as_user)
  for _, program in ipairs { "pasta", "slirp4netns" } do
    local slow = program == "slirp4netns" and " #slow" or ""
    it("brings nobody to the caller's loopback: " .. program .. slow, with(LOOPBACK, program, as_user,
      function(text, whole)
        assert_unanswered(text.open, whole)
        assert.equal(SERVED, text["open, who came"], whole)
        if guards(program) then return assert.equal(SERVED, text["without rules, who came"], whole) end
        for _, server in ipairs { "udp 127.0.0.1 80", "udp 127.9.8.7 80", "udp ::1 80" } do -- the control
          assert.truthy(text["without rules, who came"]:find(server, 1, true), whole)
        end
      end))

    it("does not with `allow`, of nothing and of all: " .. program .. slow, with(LOOPBACK, program, as_user,
      function(text, whole)
        assert.is_nil(text.nothing:find("ANSWER", 1, true), whole)
        assert.equal("nobody\n", text["nothing, who came"], whole)
        assert_unanswered(text.all, whole)
        assert.equal(SERVED, text["all, who came"], whole)
      end))
  end

  it("brings nobody to the resolver of the caller's where it is not the container's #slow", needs("user_namespaces",
    function()
      for _, program in ipairs { "pasta", "slirp4netns" } do
        with(LOOPBACK, program, as_user, function(text, whole)
          assert.equal("dns 127.0.0.1 53, " .. SERVED, text["resolver, who came"], whole) -- the control
          assert.equal(SERVED, text["no resolver, who came"], whole)
        end)()
      end
    end))

  it("with `allow` takes nothing for an answer that is none", with(ANSWERS, "pasta", as_user, function(text, whole)
    assert_unanswered(text.answers, whole)
    assert.equal(SERVED, text["answers, who came"], whole)
    assert.truthy(text.answers:find("spoofed[^\n]+: Operation not permitted"), whole)
    assert.equal(guards "pasta" and "tcp 2001:db8:7::7 8091, udp 2001:db8:7::7 80, udp 2001:db8:7::7 8091, "
      .. "udp 203.0.113.7 80\n"
      or "tcp 127.0.0.1 8091, tcp 2001:db8:7::7 8091, udp 127.0.0.1 8091, udp 2001:db8:7::7 80, "
      .. "udp 2001:db8:7::7 8091, udp 2001:db8:7::7 8092, udp 203.0.113.7 80\n", -- the control
      text["answers, without rules, who came"], whole)
  end))

  it("with `allow` brings in nobody who is not asked", with(ANSWERS, "pasta", as_user, function(text, whole)
    assert.truthy(text.heard:find("heard[^\n]+: ANSWER udp 203.0.113.7 80 from"), whole)
    assert.equal(not guards "pasta", text["heard, all"]:find("heard[^\n]+: ANSWER hello") ~= nil, whole) -- the control
  end))

  if not as_user then
    it("with `allow` answers who comes by a device of another's, and sends nothing by it", with(ANSWERS, "pasta",
      as_user, function(text, whole)
        assert.equal("udp 0.0.0.0 9001 from 198.18.0.1\ntcp 0.0.0.0 9001 from 198.18.0.1\n"
          .. "error: Operation not permitted\nerror: Connection refused\n", text.device, whole)
      end))
  end

  it("with `allow` answers who comes to a port that leads in", with(ANSWERS, "pasta", as_user, function(text, whole)
    assert.equal(("tcp 0.0.0.0 8080 from %s\nudp 0.0.0.0 8054 from 203.0.113.8\n")
      :format(guards "pasta" and "198.51.100.2" or "127.0.0.1"), text.ports, whole)
  end))
end

describe("a user-mode network", function() specify(false) end)
describe("a user-mode network of an ordinary user, in root's specs #slow", function() specify(true) end)
