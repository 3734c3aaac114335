-- cella.tree and `cella tree`: what they say of namespaces, beside what the kernel says.

local cella = require "cella"
local core = require "cella.core"
local headless = require "spec.support.headless"
local kinds = require "cella.kinds"
local lfs = require "lfs"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

local has_json, json = pcall(require, "dkjson")

local function link(pid, kind)
  return tonumber(core.readlink(("/proc/%s/ns/%s"):format(pid, kinds.link(kind))):match "%[(%d+)%]")
end

local function has(list, wanted)
  for _, item in ipairs(list) do
    if item == wanted then return true end
  end
  return false
end

local function has_member(node, pid)
  for _, member in ipairs(node.members) do
    if member.pid == pid then return true end
  end
  return false
end

-- The nodes of a tree that are no user namespaces, or that are.
local function numbers(tree)
  local set = {}
  for _, node in ipairs(tree.namespaces) do set[node.inode] = node.kind end
  return set
end

describe("the tree of namespaces", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local place
  local tops = {} -- processes whose children have to be ended too
  trial.around(before_each, after_each, function(own) place = own end, function()
    for _, pid in ipairs(tops) do trial.kill_tree(pid) end
    tops = {}
  end)

  local function sleeping(options, name)
    local plan = cella.plan(options)
    return trial.hold(plan:exec({ name or "sleep", "1000", stdin = "null", stdout = "null", stderr = "null" }):spawn())
  end

  -- app, and java in a user namespace below it, with a network namespace: the pids of both.
  local function nested()
    local app = trial.hold(cella.plan():exec({ "unshare", "-Ur", "sh", "-c",
      "unshare -Urn sleep 1000; true", stdin = "null", stdout = "null", stderr = "null" }):spawn())
    tops[#tops + 1] = app.pid
    local java = trial.program(app.pid, "sleep")
    return app.pid, java
  end

  it("has parents, owners, makers and maps as the kernel has them #vm", function()
    local app, java = nested()
    local tree = assert(cella.tree())
    local own, upper, lower = link("self", "user"), link(app, "user"), link(java, "user")
    assert.equal(3, (own ~= upper and 1 or 0) + (upper ~= lower and 1 or 0) + (own ~= lower and 1 or 0))
    assert.equal(upper, tree.node[lower].parent)
    assert.equal(own, tree.node[upper].parent)
    assert.is_nil(tree.node[own].parent)
    assert.is_true(has(tree.node[own].children, upper))
    assert.is_false(has(tree.node[own].children, lower))
    assert.same({ lower }, tree.node[upper].children)
    -- (Another may be of a process of somebody else's that has ended before it was asked.)
    assert.same({ true, false, false }, { has(tree.roots, own), has(tree.roots, upper), has(tree.roots, lower) })
    -- Who made them: as the caller numbers IDs.
    local _, uid = sys.getresuid()
    assert.equal(uid, tree.node[upper].owner_uid)
    assert.equal(uid, tree.node[lower].owner_uid)
    -- `0 0 1` in its parent's numbers, and multiplied out.
    assert.equal(("0 %d 1"):format(uid), tostring(tree.node[lower].uid_map))
    assert.equal("0 0 1", tostring(tree.node[lower].parent_uid_map))
    assert.equal(("0 %d 1"):format(uid), tostring(tree.node[upper].parent_uid_map))
    assert.equal("deny", tree.node[lower].setgroups)
    -- The net namespace was made in the lower one, the other namespaces were not.
    local net = link(java, "net")
    assert.equal(lower, tree.node[net].owner)
    assert.same({ net }, tree.node[lower].governs)
    assert.is_true(has(tree.node[lower].uses, link(java, "uts")))
    assert.is_false(has(tree.node[lower].uses, net))
    assert.is_true(has(tree.node[upper].uses, link(app, "net")))
    assert.equal(1, tree.node[lower].processes)
    assert.is_true(has_member(tree.node[lower], java))
    assert.is_false(has_member(tree.node[upper], java))
    assert.is_true(has_member(tree.node[upper], app))
  end)

  it("has the namespaces that /proc has, and no other processes", function()
    local tree = assert(cella.tree(sys.getpid()))
    for _, kind in ipairs(kinds.list) do
      local node = tree.node[link("self", kind)]
      assert.equal(kind, node.kind)
      assert.is_true(has_member(node, sys.getpid()))
    end
  end)

  it("has those of a process whose first thread has ended, and which runs on in another", function()
    headless.at(place .. "/headless")
    local process = trial.hold(cella.plan():exec({ "unshare", "-Urnmui", place .. "/headless",
      stdin = "null", stdout = "null", stderr = "null" }):spawn())
    local pid = process.pid
    headless.await(pid)
    local thread
    for _, name in ipairs(core.list_directory(("/proc/%d/task"):format(pid))) do
      if tonumber(name) ~= pid then thread = ("%d/task/%s"):format(pid, name) end
    end
    for _, tree in ipairs { assert(cella.tree()), assert(cella.tree(pid)) } do
      for _, kind in ipairs { "user", "net", "mount", "uts", "ipc" } do
        assert.not_equal(link("self", kind), link(thread, kind))
        assert.is_true(has_member(tree.node[link(thread, kind)], pid), kind)
      end
      assert.equal(link(thread, "user"), tree.node[link(thread, "net")].owner)
      assert.not_matches("headless %(" .. pid .. ", ended", tostring(tree))
    end
    -- A control: what has ended altogether, and is not waited for, is in none that only threads have.
    local net = link(thread, "net")
    trial.sh(("kill -9 %d"):format(pid))
    trial.wait_for(function() return not trial.runs(pid) end, "the end of all threads")
    assert.is_nil(assert(cella.tree()).node[net])
  end)

  it("has those without a process, that are only above others", function()
    -- What unshare(1) executes takes the place of the only process in the upper one.
    local process = trial.hold(cella.plan():exec({ "unshare", "-Ur", "unshare", "-Ur", "sleep", "1000" }):spawn())
    trial.program(process.pid, "sleep")
    local tree = assert(cella.tree(process.pid))
    local lower = tree.node[link(process.pid, "user")]
    local upper = tree.node[lower.parent]
    assert.equal(0, upper.processes)
    assert.is_nil(upper.uid_map)
    assert.equal(link("self", "user"), upper.parent)
    assert.equal(upper.inode, tree.node[lower.inode].owner)
    local text = tree:text()
    assert.truthy(text:find(("user %d  made by [^\n]*\n[^\n]*maps: not to be seen"):format(upper.inode)), text)
  end)

  it("is about one process: those above, those below, and what they are in", function()
    local app, java = nested()
    local other = sleeping { namespaces = { "user", "uts" } }
    local all, one, lowest = assert(cella.tree()), assert(cella.tree(app)), assert(cella.tree(java))
    assert.equal("user", numbers(all)[link(other.pid, "user")])
    assert.is_nil(numbers(one)[link(other.pid, "user")])
    assert.is_nil(numbers(one)[link(other.pid, "uts")])
    for _, tree in ipairs { one, lowest } do
      assert.equal("user", numbers(tree)[link("self", "user")])
      assert.equal("user", numbers(tree)[link(app, "user")])
      assert.equal("user", numbers(tree)[link(java, "user")])
      assert.equal("net", numbers(tree)[link(java, "net")])
    end
    -- Those that are above it are shown with what they are in.
    assert.equal("net", numbers(one)[link(app, "net")])
    assert.equal("net", numbers(lowest)[link(app, "net")])
    assert.is_nil(numbers(lowest)[link(other.pid, "uts")])
    -- Above it: whom it comes from.
    assert.is_true(has_member(one.node[link("self", "user")], sys.getpid()))
    assert.is_false(has_member(one.node[link("self", "uts")], other.pid))
  end)

  it("has namespaces that a descriptor keeps, and for whose children they are", function()
    local process = sleeping { namespaces = { "user", "uts" } }
    local uts = assert(core.open(("/proc/%d/ns/uts"):format(process.pid), "rdonly"))
    local inode, owner = link(process.pid, "uts"), link(process.pid, "user")
    process:close()
    local tree = assert(cella.tree())
    local node = tree.node[inode]
    assert.equal(0, node.processes)
    assert.equal(owner, node.owner)
    assert.equal(sys.getpid(), node.holders[1].pid)
    assert.equal(uts:number(), node.holders[1].fd)
    uts:close()
    assert.is_nil(assert(cella.tree()).node[inode])
    -- A process that has made a pid namespace is not in it.
    local waiting = trial.hold(cella.plan():exec({ "unshare", "-Ur", "--pid", "sh", "-c",
      "sleep 1000 & exec tail -f /dev/null", stdin = "null", stdout = "null", stderr = "null" }):spawn())
    tops[#tops + 1] = waiting.pid
    local child = trial.program(waiting.pid, "sleep")
    trial.program(waiting.pid, "tail")
    local below = assert(cella.tree()).node[link(child, "pid")]
    assert.equal(waiting.pid, below.awaiting[1].pid)
    assert.is_true(has_member(below, child))
    assert.is_false(has_member(below, waiting.pid))
    assert.equal(link("self", "pid"), below.parent)
  end)

  it("has kept namespaces, with their names", function()
    if trial.lacks_root() then return pending(trial.lacks_root()) end
    local process = sleeping { namespaces = { "user", "net" } }
    local inode, owner = link(process.pid, "net"), link(process.pid, "user")
    local directory = trial.directory()
    local path = directory .. "/a\27[31mb c"
    assert(cella.namespace.keep(process, "net", path))
    process:close()
    local ok, tree = pcall(function() return assert(cella.tree()) end)
    local text, data = tree:text(), tree:data()
    assert(cella.namespace.release(path))
    trial.remove_directory(directory)
    assert(ok, tree)
    local node = tree.node[inode]
    assert.equal(0, node.processes)
    assert.equal(owner, node.owner)
    assert.equal(path, node.names[1].path)
    assert.equal(link("self", "mount"), node.names[1].mount_namespace)
    assert.truthy(text:find(directory .. "/a\\x1b[31mb c", 1, true), text)
    assert.is_nil(text:find "\27")
    if has_json then
      for _, one in ipairs(json.decode(json.encode(data)).namespaces) do
        if one.inode == inode then assert.equal(path, one.names[1].path) end
      end
    end
  end)

  it("counts who may not be looked at, and names who it is #vm", function()
    if trial.lacks_root() then return pending(trial.lacks_root()) end
    -- Another user is shown nobody's but his own.
    local result = trial.host { "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "sh", "-c",
      trial.cli_text { "tree", "--json" } }
    if not has_json then return pending "needs dkjson" end
    local refused = assert(json.decode(result.stdout)).refused
    assert.is_true(has(refused, sys.getpid()), result.stdout)
    local text = trial.host { "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "sh", "-c",
      trial.cli_text { "tree" } }.stdout
    assert.truthy(text:find "%d+ process[es]* may not be looked at", text)
    assert.is_false(has(assert(cella.tree()).refused, sys.getpid()))
    local one = trial.host { "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "sh", "-c",
      trial.cli_text { "tree", tostring(sys.getpid()) } }
    assert.equal(125, one.status)
    assert.truthy(one.stderr:find("could trace the process", 1, true), one.stderr)
    local same = trial.host { "setpriv", "--reuid", "4242", "--regid", "4242", "--clear-groups", "sh", "-c",
      trial.cli_text { "same", tostring(sys.getpid()) } .. " $$" }
    assert.equal(125, same.status)
    assert.truthy(same.stderr:find("could trace the process", 1, true), same.stderr)
  end)

  it("says that there are no more descriptors, and of nobody that it has ended or is not to be seen", function()
    local pid = sleeping({ namespaces = { "user" } }).pid
    local short = 0
    for limit = 5, 10 do
      for _, words in ipairs { { "tree", tostring(pid) }, { "show", tostring(pid) } } do
        local said = trial.host { "sh", "-c",
          ("for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; ulimit -n %d; exec %s"):format(limit,
            trial.cli_text(words)) }
        if said.status ~= 0 then
          short = short + 1
          assert.truthy(said.stderr:find("EMFILE", 1, true), said.stderr)
          assert.truthy(said.stderr:find(("RLIMIT_NOFILE of the caller is %d"):format(limit), 1, true), said.stderr)
        end
      end
    end
    assert.is_true(short >= 3, tostring(short))
    assert.equal(0, trial.host({ "sh", "-c", trial.cli_text { "tree", tostring(pid) } }).status)
  end)

  -- A shell's words where /proc is another: of a pid namespace of its own, or none.
  local function elsewhere(mount, words)
    return trial.host { "unshare", "-mp", "--fork", "--kill-child", "sh", "-c", mount .. "; sleep 1000 & " .. words }
  end

  local STRANGER = "setpriv --reuid 4242 --regid 4242 --clear-groups "

  it("says where /proc hides processes, and of none of these that it has ended", function()
    if trial.lacks_root() then return pending(trial.lacks_root()) end
    local tree = STRANGER .. trial.cli_text { "tree" }
    local hidden = elsewhere("mount -t proc -o hidepid=2 proc /proc", tree)
    assert.equal(0, hidden.status)
    assert.truthy(hidden.stdout:find "/proc has hidepid=[^\n]*may be missing", hidden.stdout)
    assert.is_nil(hidden.stdout:find "sleep")
    -- They are there, and that is all.
    local bare = elsewhere("mount -t proc -o hidepid=1 proc /proc", tree)
    assert.truthy(bare.stdout:find "2 processes may not be looked at %(1, ", bare.stdout)
    assert.is_nil(bare.stdout:find "ended while")
    -- Root is shown all the same, and a /proc that hides nothing says nothing.
    local shown = elsewhere("mount -t proc -o hidepid=2 proc /proc", trial.cli_text { "tree" })
    assert.is_nil(shown.stdout:find "hidepid")
    assert.truthy(shown.stdout:find "sleep %(%d+%)", shown.stdout)
    assert.is_nil(elsewhere("mount -t proc proc /proc", tree).stdout:find "hidepid")
    for _, command in ipairs { "tree", "show", "enter" } do
      local one = elsewhere("mount -t proc -o hidepid=2 proc /proc", STRANGER .. trial.cli_text { command } .. " $!")
      assert.equal(125, one.status)
      assert.truthy(one.stderr:find(" is there, and /proc does not show it", 1, true), one.stderr)
      local none = elsewhere("mount -t proc -o hidepid=2 proc /proc", STRANGER .. trial.cli_text { command, "77777" })
      assert.truthy(none.stderr:find("has ended, or never was", 1, true), none.stderr)
    end
  end)

  it("says that there is no /proc", function()
    if trial.lacks_root() then return pending(trial.lacks_root()) end
    local function without(...)
      return trial.host { "unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc; " .. trial.cli_text { ... } }
    end
    local result = without "tree"
    assert.equal(125, result.status)
    assert.truthy(result.stderr:find("/proc/self/ns/user", 1, true), result.stderr)
    result = without("show", "1")
    assert.truthy(result.stderr:find("process 1 is there, and not in /proc", 1, true), result.stderr)
  end)

  it("does not trip over zombies, and counts them", function()
    local process = trial.hold(cella.plan():exec({ "sh", "-c", "sleep 0 & exec sleep 1000" }):spawn())
    tops[#tops + 1] = process.pid
    local zombie = trial.wait_for(function()
      local child = (trial.read(("/proc/%d/task/%d/children"):format(process.pid, process.pid)) or ""):match "%d+"
      return child and not trial.runs(tonumber(child)) and tonumber(child)
    end, "a zombie")
    local tree = assert(cella.tree())
    assert.is_true(tree.zombies > 0)
    assert.is_false(has(tree.refused, zombie))
    for _, node in ipairs(tree.namespaces) do
      if node.kind == "net" then assert.is_false(has_member(node, zombie)) end
    end
    local none, err = cella.tree(zombie)
    assert.is_nil(none)
    assert.equal("ESRCH", err.code)
  end)

  it("is seen from inside as what is above: not", function()
    local result = trial.host { "unshare", "-Ur", "sh", "-c", trial.cli_text { "tree" } }
    assert.equal("", result.stderr)
    local first = "^user %d+  made by uid %d+[^\n]*you are here  %(what it is below is not to be seen"
    assert.truthy(result.stdout:find(first), result.stdout)
    -- Its process is in the network namespace of who started it, over which it has no say.
    assert.truthy(result.stdout:find(("is in [^\n]*net %d[^\n]*of a user namespace that is not to be seen"):format(
      link("self", "net"))), result.stdout)
    -- Where nobody has an ID, its maker has none either.
    local unmapped = trial.host({ "unshare", "-U", "sh", "-c", trial.cli_text { "tree" } }).stdout
    assert.truthy(unmapped:find "^user %d+  made by somebody who has no ID here  you are here", unmapped)
    assert.is_nil(result.stdout:find("no ID here", 1, true))
    -- With one of its own it has.
    local control = trial.host({ "unshare", "-Urn", "sh", "-c", trial.cli_text { "tree" } }).stdout
    assert.truthy(control:find "governs net    %d", control)
  end)

  it("prints nothing raw that others choose", function()
    local directory = trial.directory()
    local name = "\27[31m\n\"\\<&\194\155\155"
    trial.sh(("cp \"$(command -v sleep)\" %s"):format(trial.quote(directory .. "/" .. name)))
    local process = sleeping({ namespaces = { "user" } }, directory .. "/" .. name)
    assert.equal(name .. "\n", trial.read(("/proc/%d/comm"):format(process.pid)))
    local tree = assert(cella.tree(process.pid))
    local text, dot, svg = tree:text(), tree:dot(), tree:svg()
    local data = has_json and json.encode(tree:data())
    process:close()
    trial.remove_directory(directory)
    for _, output in ipairs { text, dot, svg, data or "" } do
      assert.is_nil(output:find("[%z\1-\8\11-\31\127]"), output)
      assert.is_nil(output:find("\194\155", 1, true))
      assert.is_nil(output:find("[^\128-\255]\155"))
    end
    -- The kernel itself escapes newlines and backslashes in /proc/PID/status.
    local shown = "\\x1b[31m\\n\"\\\\<&\\xc2\\x9b\\x9b"
    assert.truthy(text:find(shown, 1, true), text)
    assert.truthy(svg:find("\\x1b[31m\\n&quot;\\\\&lt;&amp;\\xc2\\x9b\\x9b", 1, true), svg)
    assert.truthy(dot:find((shown:gsub('[\\"]', "\\%0")), 1, true), dot)
    if data then
      for _, node in ipairs(json.decode(data).namespaces) do
        if node.kind == "user" and node.members[1] and node.members[1].pid == process.pid then
          assert.equal("\27[31m\\n\"\\\\<&\\xc2\\x9b\\x9b", node.members[1].name)
          name = nil
        end
      end
      assert.is_nil(name, "it is not in the data")
    end
  end)

  it("draws a picture that is XML, and a graph in which every name is declared", function()
    local _, java = nested()
    local tree = assert(cella.tree(java))
    local svg, open_tags = tree:svg(), {}
    for closing, tag, empty in svg:gmatch "<(/?)([a-z]+)[^>]-(/?)>" do
      if closing == "/" then
        assert.equal(tag, table.remove(open_tags))
      elseif empty == "" then
        open_tags[#open_tags + 1] = tag
      end
    end
    assert.same({}, open_tags)
    assert.truthy(svg:find("prefers-color-scheme: dark", 1, true))
    local boxes = select(2, svg:gsub('class="box ', ""))
    assert.equal(3, boxes)
    local dot, declared = tree:dot(), {}
    for inode in dot:gmatch '\n  "(%d+)" %[' do declared[inode] = true end
    for from, to in dot:gmatch '\n  "(%d+)" %-> "(%d+)"' do assert.is_true(declared[from] and declared[to]) end
    assert.truthy(dot:find(('"%d" -> "%d" [style=bold]'):format(tree.node[link(java, "user")].parent,
      link(java, "user")), 1, true))
  end)

  it("is looked at twice with nothing left open", function()
    local function count()
      local n = 0
      for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
      return n
    end
    nested()
    assert(cella.tree())
    collectgarbage()
    collectgarbage "stop"
    local before = count()
    assert(cella.tree())
    local after = count()
    collectgarbage "restart"
    assert.equal(before, after)
  end)

  it("refuses what is no process ID, and says what ended", function()
    for _, bad in ipairs { 0, -1, 1.5, "1", {} } do
      assert.truthy(trial.raised(cella.tree, bad):find("pid", 1, true))
    end
    local none, err = cella.tree(2147483646)
    assert.is_nil(none)
    assert.equal("tree", err.op)
    assert.equal("ESRCH", err.code)
  end)
end)

describe("cella tree", function()
  it("has the errors of the others", function()
    for _, bad in ipairs { "x", "0", "1.5", "-1" } do
      assert.equal(125, trial.cella({ "tree", bad }).status)
    end
    local result = trial.cella { "tree", "2147483646" }
    assert.equal(125, result.status)
    assert.truthy(result.stderr:find("has ended, or never was", 1, true))
    assert.equal(125, trial.cella({ "tree", "--json", "--dot" }).status)
    assert.equal(0, trial.cella({ "tree", "--help" }).status)
  end)

  it("is coloured at a terminal, or when it is told to", function()
    local plain = trial.cella({ "tree" }).stdout
    assert.is_nil(plain:find "\27")
    assert.truthy(trial.cella({ "tree", "--colour", "always" }).stdout:find "\27%[1;34m")
    local command = "TERM=xterm " .. trial.cli_text { "tree", tostring(sys.getpid()) }
    assert.truthy(trial.terminal(command):find "\27%[1;34m")
    assert.is_nil(trial.terminal("NO_COLOR=1 " .. command):find "\27%[1;34m")
    assert.is_nil(trial.terminal("TERM=dumb " .. trial.cli_text { "tree", tostring(sys.getpid()) }):find "\27%[1;34m")
  end)
end)
