-- cella.show and `cella show`, cella.same and `cella same`, and over what `cella caps show` says that a set holds.

local caps = require "cella.caps"
local cella = require "cella"
local core = require "cella.core"
local kinds = require "cella.kinds"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

local has_json, json = pcall(require, "dkjson")
local FIRST = 4026531837

local function link(pid, kind)
  return tonumber(core.readlink(("/proc/%s/ns/%s"):format(pid, kinds.link(kind))):match "%[(%d+)%]")
end

local function over(page, why)
  for _, one in ipairs(page.over) do
    for _, word in ipairs(one.why) do
      if word == why then return one end
    end
  end
  return nil
end

describe("a page about a process", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local tops = {}
  trial.around(before_each, after_each, nil, function()
    for _, pid in ipairs(tops) do trial.kill_tree(pid) end
    tops = {}
  end)

  local function start(words)
    words.stdin, words.stdout, words.stderr = "null", "null", "null"
    local process = trial.hold(cella.plan():exec(words):spawn())
    tops[#tops + 1] = process.pid
    return process.pid
  end

  local function in_namespace(...)
    local words = { "unshare", ... }
    words[#words + 1], words[#words + 2] = "sleep", "1000"
    local pid = start(words)
    return trial.program(pid, "sleep")
  end

  it("has its IDs in every user namespace between it and who looks", function()
    local pid = start { "unshare", "-U", "--map-user=7", "--map-group=8", "sh", "-c",
      "unshare -U --map-user=9 --map-group=10 sleep 1000; true" }
    local lower = trial.program(pid, "sleep")
    local page = assert(cella.show(lower))
    local _, uid = sys.getresuid()
    local _, gid = sys.getresgid()
    assert.equal(3, #page.ids)
    assert.same({ link("self", "user"), link(pid, "user"), link(lower, "user") },
      { page.ids[1].user, page.ids[2].user, page.ids[3].user })
    assert.same({ uid, uid, uid, uid }, page.ids[1].uid)
    assert.same({ 7, 7, 7, 7 }, page.ids[2].uid)
    assert.same({ 9, 9, 9, 9 }, page.ids[3].uid)
    assert.same({ gid, 8, 10 }, { page.ids[1].gid[1], page.ids[2].gid[1], page.ids[3].gid[1] })
    local text = tostring(page)
    assert.truthy(text:find(("in user %d: uid 9; gid 10"):format(link(lower, "user"))), text)
    assert.truthy(text:find(("uids: 9 is 7 of the one above, %d here"):format(uid), 1, true), text)
  end)

  it("says over what a set holds: the kernel agrees", function()
    local own = in_namespace "-Ur"
    local page = assert(cella.show(own))
    assert.equal(caps.all(), page.capabilities.effective)
    assert.equal(link(own, "user"), over(page, "own").user)
    assert.equal(caps.all(), over(page, "own").holds)
    -- The host's network is not its to change.
    assert.equal(link("self", "user"), over(page, "net").user)
    assert.is_true(over(page, "net").holds:empty())
    assert.is_true(over(page, "host").holds:empty())
    assert.is_true(over(page, "own").idle:has "sys_time")
    assert.is_false(over(page, "own").idle:has "net_admin")
    local set_up = "ip link set lo up"
    if trial.host({ "sh", "-c", "command -v ip" }).status ~= 0 then set_up = "hostname x" end
    local kind = set_up:find "^ip" and "-n" or "-u"
    assert.not_equal(0, trial.host({ "unshare", "-Ur", "sh", "-c", set_up }).status)
    assert.equal(0, trial.host({ "unshare", "-Ur", kind, "sh", "-c", set_up }).status)
    -- With a network of its own it is.
    local with = in_namespace "-Urn"
    page = assert(cella.show(with))
    assert.equal(link(with, "user"), over(page, "net").user)
    assert.equal(caps.all(), over(page, "net").holds)
    assert.is_true(over(page, "host").holds:empty())
  end)

  it("says over what one holds that is nowhere but where all are", function()
    local page = assert(cella.show(sys.getpid()))
    local mine = caps.state().effective
    assert.equal(link("self", "user"), page.over[1].user)
    assert.equal(mine, page.over[1].holds)
    if link("self", "user") == FIRST then
      assert.same({ "own", "net", "host" }, page.over[1].why)
      assert.is_nil(page.over[1].idle)
    end
    -- Who made a user namespace has all over it, without any capability.
    local below = in_namespace "-Ur"
    local found
    for _, one in ipairs(assert(cella.show(sys.getpid())).over) do
      if one.user == link(below, "user") then found = one end
    end
    assert.equal("made", found.why[1])
    assert.equal(caps.all(), found.holds)
  end)

  it("has its namespaces beside the viewer's, and who governs them", function()
    local pid = in_namespace "-Urn"
    for _, one in ipairs(assert(cella.show(pid)).namespaces) do
      assert.equal(link(pid, one.kind), one.inode)
      assert.equal(link("self", one.kind), one.yours)
      local is_own = one.kind == "user" or one.kind == "net"
      assert.equal(is_own, one.held, one.kind)
      assert.equal(one.kind == "net" and link(pid, "user") or link("self", "user"), one.owner)
    end
  end)

  it("has what confines it, its files and its limits", function()
    local directory = trial.directory()
    local process = trial.hold(cella.container { hostname = "moon", capabilities = { "chown" },
      rlimits = { nofile = 77 } }:spawn { "sh", "-c", "cd /tmp; sleep 1000; true", stdin = "null" })
    local pid = trial.program(process.pid, "sleep")
    local page = assert(cella.show(pid))
    assert.same({ "chown" }, page.capabilities.bounding:names())
    assert.is_true(page.no_new_privs)
    assert.equal(2, page.seccomp.mode)
    assert.same({ soft = 77, hard = 77 }, page.limits.nofile)
    assert.equal("/tmp", page.cwd)
    assert.equal("/", page.root)
    assert.equal("tmpfs", page.mounts.root)
    assert.equal(select(2, trial.read(("/proc/%d/mountinfo"):format(pid)):gsub("\n", "")), page.mounts.count)
    assert.same({ "sleep", "1000" }, page.command)
    assert.equal("sh", page.parent.name)
    local control = assert(cella.show(sys.getpid()))
    assert.is_table(control.capabilities.securebits)
    assert.is_nil(page.capabilities.securebits)
    assert.not_equal(77, control.limits.nofile.soft)
    trial.remove_directory(directory)
  end)

  it("prints nothing raw that others choose, and JSON that can be read back", function()
    local directory = trial.directory()
    local name = "\27[31m\n\"<&\194\155\155"
    trial.sh(("cp \"$(command -v sleep)\" %s; mkdir %s"):format(trial.quote(directory .. "/" .. name),
      trial.quote(directory .. "/d\27c")))
    local pid = start { "sh", "-c", ("cd %s; exec %s 1000"):format(trial.quote(directory .. "/d\27c"),
      trial.quote(directory .. "/" .. name)) }
    trial.wait_for(function() return trial.read(("/proc/%d/comm"):format(pid)) == name .. "\n" end, "its name")
    local page = assert(cella.show(pid))
    local text, data = page:text(), has_json and json.encode(page:data())
    trial.remove_directory(directory)
    assert.is_nil(text:find("[%z\1-\8\11-\31\127\155]"), text)
    assert.truthy(text:find("\\x1b[31m\\n\"<&\\xc2\\x9b\\x9b", 1, true), text)
    assert.truthy(text:find(directory .. "/d\\x1bc", 1, true), text)
    if not data then return end
    local read = json.decode(data)
    assert.equal(directory .. "/d\27c", read.cwd)
    assert.equal(directory .. "/\27[31m\n\"<&\\xc2\\x9b\\x9b", read.command[1])
    assert.is_nil(data:find "[%z\1-\31\127-\159]")
  end)

  it("is refused with the rule where the kernel shows nothing, and of what has ended", function()
    for _, bad in ipairs { 0, -1, 1.5, "1", {} } do
      assert.truthy(trial.raised(cella.show, bad):find("pid", 1, true))
    end
    local none, err = cella.show(2147483646)
    assert.is_nil(none)
    assert.same({ "show", "ESRCH" }, { err.op, err.code })
    for _, bad in ipairs { "x", "0", "1.5", "2147483646" } do
      assert.equal(125, trial.cella({ "show", bad }).status)
    end
    assert.equal(125, trial.cella({ "show" }).status)
    if trial.lacks_root() then return end
    local result = trial.host { "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "sh", "-c",
      trial.cli_text { "show", tostring(sys.getpid()) } }
    assert.equal(125, result.status)
    assert.truthy(result.stderr:find("could trace the process", 1, true), result.stderr)
  end)

  it("is printed by the command", function()
    local pid = in_namespace "-Ur"
    local result = trial.cella { "show", tostring(pid) }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find(("over user %d (its own; made by uid "):format(link(pid, "user")), 1, true))
    if not has_json then return end
    local read = json.decode(trial.cella({ "show", "--json", tostring(pid) }).stdout)
    assert.equal(link(pid, "user"), read.over[1].user)
    assert.equal(#caps.all(), #read.over[1].holds)
    assert.same({}, read.over[2].holds)
  end)

  it("says of a process of which the first thread has ended that this is so, and not that it has ended", function()
    if trial.sh "python3 -c 'print(1)' 2>/dev/null" ~= "1\n" then return pending "needs python3" end
    local said = trial.host { "sh", "-c", [[
      python3 -c '
import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(1000)).start()
ctypes.PyDLL(None).pthread_exit(None)' &
      p=$!
      until grep -q "^State:.Z" /proc/$p/status; do sleep 0.1; done
      ]] .. trial.cli_text { "show" } .. [[ $p; echo "status $?"; kill -9 $p]] }
    assert.truthy(said.stderr:find("the first thread of process %d+ has ended, and the others are not looked at"),
      said.stderr)
    assert.truthy(said.stdout:find("status 125", 1, true), said.stdout)
  end)

  describe("cella caps show", function()
    it("names nobody as the owner who has no ID here", function()
      local said = trial.host { "unshare", "-U", "sh", "-c", trial.cli_text { "caps", "show" } }
      assert.equal(0, said.status, said.stderr)
      assert.truthy(said.stdout:find("(owned by somebody who has no ID here)", 1, true), said.stdout)
      local control = trial.host { "unshare", "-Ur", "sh", "-c", trial.cli_text { "caps", "show" } }
      assert.truthy(control.stdout:find("(owned by uid 0)", 1, true), control.stdout)
    end)

    it("says over what", function()
      local pid = in_namespace "-Ur"
      local _, uid = sys.getresuid()
      local result = trial.cella { "caps", "show", tostring(pid) }
      assert.truthy(result.stdout:find "effective    all\n", result.stdout)
      assert.truthy(result.stdout:find(("over         user namespace %d (owned by uid %d) and those below it only; "
        .. "nothing over the host's\n"):format(link(pid, "user"), uid), 1, true), result.stdout)
      local control = trial.cella({ "caps", "show", tostring(sys.getpid()) }).stdout
      if link("self", "user") == FIRST then
        assert.truthy(control:find("over         the machine's first user namespace", 1, true), control)
      end
      assert.is_nil(control:find(("user namespace %d "):format(link(pid, "user")), 1, true))
      if not has_json then return end
      local read = json.decode(trial.cella({ "caps", "show", "--json", tostring(pid) }).stdout)
      assert.same({ user = link(pid, "user"), owner_uid = uid, first = false }, read.over)
    end)
  end)

  describe("the same namespaces", function()
    it("are those with the same numbers", function()
      local pid = in_namespace "-Urn"
      local same = assert(cella.same(sys.getpid(), pid))
      assert.is_false(same.all)
      for _, kind in ipairs(kinds.list) do
        assert.equal(link("self", kind) == link(pid, kind), same[kind].same)
        assert.equal(link(pid, kind), same[kind].second)
      end
      assert.is_true(same.uts.same)
      assert.is_false(same.net.same)
      assert.is_true(assert(cella.same(sys.getpid(), sys.getpid())).all)
      assert.is_true(assert(cella.same(sys.getpid(), pid, { "uts", "ipc" })).all)
    end)

    it("are told to scripts", function()
      local pid, own = tostring(in_namespace "-Urn"), tostring(sys.getpid())
      local result = trial.cella { "same", own, pid }
      assert.equal(1, result.status)
      assert.truthy(result.stdout:find("net     different  " .. link("self", "net") .. "  " .. link(pid, "net"), 1,
        true), result.stdout)
      assert.truthy(result.stdout:find("uts     the same   " .. link("self", "uts") .. "\n", 1, true), result.stdout)
      result = trial.cella { "same", "-q", own, own }
      assert.same({ 0, "", "" }, { result.status, result.stdout, result.stderr })
      assert.equal(0, trial.cella({ "same", "-n", "uts,ipc", own, pid }).status)
      assert.equal(1, trial.cella({ "same", "-q", "-n", "uts,net", own, pid }).status)
      if not has_json then return end
      local read = json.decode(trial.cella({ "same", "--json", own, pid }).stdout)
      assert.same({ same = false, first = link("self", "net"), second = link(pid, "net") }, read.net)
    end)

    it("are not told of what is no process, or no namespace", function()
      local own = tostring(sys.getpid())
      for _, words in ipairs { { "same", own, "2147483646" }, { "same", "2147483646", own }, { "same", own, "x" },
        { "same", own }, { "same", "-n", "nut", own, own }, { "same", "-n", ",", own, own } } do
        local result = trial.cella(words)
        assert.equal(125, result.status)
        assert.not_equal("", result.stderr)
        assert.equal("", result.stdout)
      end
      assert.truthy(trial.raised(cella.same, 1, "x"):find("other", 1, true))
      assert.truthy(trial.raised(cella.same, 1, 1, { "nut" }):find("net", 1, true))
      local none, err = cella.same(sys.getpid(), 2147483646)
      assert.is_nil(none)
      assert.same({ "same", "ESRCH" }, { err.op, err.code })
    end)
  end)
end)
