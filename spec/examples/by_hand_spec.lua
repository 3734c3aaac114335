-- examples/by-hand: every step, as a reader would run it.

local sys = require "cella.sys"
local trial = require "spec.support.trial"

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()

-- Runs a step in its own directory, from which a reader might; returns its lines.
local function step(name)
  local result = trial.host { "/bin/sh", "-c", ("cd examples/by-hand && %s %s"):format(trial.interpreter(), name) }
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  local lines = {}
  for line in result.stdout:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

describe("a container by hand #vm", function()
  trial.around(before_each, after_each)

  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  it("1: a new user namespace without a map makes you 65534", function()
    assert.same({
      ("before:  uid %d, gid %d"):format(uid, gid),
      "after:   uid 65534, gid 65534",
      "uid_map: empty",
    }, step "1-nobody.lua")
  end)

  it("2: with a map you are root, and the map says who that is outside", function()
    assert.same({
      ("outside: uid %d, gid %d"):format(uid, gid),
      "inside:  uid 0, gid 0",
      ("uid_map: 0 %d 1"):format(uid),
      ("gid_map: 0 %d 1"):format(gid),
    }, step "2-root.lua")
  end)

  it("3: a second user namespace in the first maps 0 to 0", function()
    assert.same({
      ("in the first, uid_map: 0 %d 1"):format(uid),
      "in the second, uid_map: 0 0 1",
    }, step "3-nested.lua")
  end)

  it("4: two processes share a namespace if its file has the same identity", function()
    local lines = step "4-same.lua"
    local mine = assert(sys.namespace "user")
    assert.equal(("me:          user:[%d] the same as mine"):format(mine), lines[1])
    assert.equal(("neighbour:   user:[%d] the same as mine"):format(mine), lines[2])
    local other = tonumber(lines[3]:match "^stranger:    user:%[(%d+)%] another than mine$")
    assert.is_number(other)
    assert.not_equal(mine, other)
    assert.equal(3, #lines)
  end)

  it("5: root inside has every capability, none of them over the host, and can give them up", function()
    local lines = step "5-capabilities.lua"
    assert.equal("before:      " .. sys.capabilities_text(), lines[1])
    assert.equal("after:       =ep", lines[2])
    assert.equal("a host name: sethostname: Operation not permitted", lines[3])
    assert.equal("reduced:     cap_net_raw=ep cap_net_admin+p", lines[4])
    assert.equal("back again:  capset: Operation not permitted", lines[5])
    assert.equal(5, #lines)
  end)

  it("6: a UTS namespace has a host name of its own, and the host keeps its own", function()
    local name = sys.gethostname()
    assert.same({ "before: " .. name, "after:  moon" }, step "6-host-name.lua")
    assert.equal(name, sys.gethostname())
  end)

  it("7: a mount in a namespace of its own is seen there only", function()
    local lines = step "7-mounts.lua"
    local was, is = lines[1]:match "^mounts on /tmp: (%d+) before, (%d+) now$"
    assert.equal(was + 1, tonumber(is))
    assert.equal("in it: nobody else can read this", lines[2])
    assert.equal(2, #lines)
    assert.is_nil(io.open "/tmp/hello")
  end)

  it("8: with the root exchanged the host's files are gone", function()
    assert.same({
      "before:  /etc/passwd is there",
      "before:  /../etc/passwd is there",
      "after:   /etc/passwd is not there",
      "after:   /../etc/passwd is not there",
    }, step "8-root.lua")
  end)

  it("9: the first child in a pid namespace is number 1, and the last", function()
    assert.same({
      "my children go elsewhere: true",
      "the child is number 1, its parent is number 0",
      "one more: true: Cannot allocate memory",
    }, step "9-process-1.lua")
  end)

  it("10: from outside it is a tree, with one user in all of it", function()
    local text = table.concat(step "10-hierarchy.lua", "\n")
    local own = assert(sys.namespace "user")
    assert.truthy(text:find(("^user %d "):format(own)), text)
    local above = own
    for _, name in ipairs { "app%-user", "java%-user", "db%-user" } do
      local first = ("user %%d+  made by uid %d[^\n]*\n"):format(uid)
      local block = text:match(("(%s[^\n]*IDs: [^\n]*\n[^\n]*1 process: %s .*)"):format(first, name))
      assert.is_string(block, name .. " is not in " .. text)
      local inode = tonumber(block:match "^user (%d+)")
      assert.is_true(inode ~= above)
      above = inode
    end
    -- What it is called here, and in the numbers of the namespace around it.
    local there = uid == 0 and "IDs: 0 is the same here" or ("IDs: 0 is 0 of the one above, %d here"):format(uid)
    assert.equal(uid == 0 and 3 or 2, select(2, text:gsub(there, "")), text)
    assert.truthy(text:find "governs uts    %d+  1 process: db%-user", text)
  end)

  it("10: the picture is the one in the documents, but for its numbers", function()
    local picture = trial.directory() .. "/picture.svg"
    local result = trial.host { "/bin/sh", "-c", ("cd examples/by-hand && %s 10-hierarchy.lua %s"):format(
      trial.interpreter(), picture) }
    assert.equal("", result.stderr)
    local drawn, kept = trial.read(picture), trial.read "doc/hierarchy.svg"
    trial.remove_directory(picture:match "^(.*)/")
    for _, name in ipairs { "container-user", "app-user", "java-user", "db-user" } do
      for _, svg in ipairs { drawn, kept } do
        assert.truthy(svg:find(('<text [^>]*class="title[^>]*>%s</text>'):format((name:gsub("%-", "%%-")))), name)
      end
    end
    assert.equal(drawn:match "<style>.-</style>", kept:match "<style>.-</style>")
  end)

  it("has a check here for each of its files", function()
    local checked = {}
    for name in trial.read("spec/examples/by_hand_spec.lua"):gmatch 'step "(%d[^"]+)"' do checked[name] = true end
    for name in io.popen("ls examples/by-hand"):lines() do
      if name ~= "README.md" then
        assert.is_true(checked[name] or false, "no check for examples/by-hand/" .. name)
        checked[name] = nil
      end
    end
    assert.same({}, checked)
  end)

  it("says of each of its files what it shows", function()
    local readme = trial.read "examples/by-hand/README.md"
    for name in io.popen("ls examples/by-hand/*.lua"):lines() do
      assert.truthy(readme:find(name:match "[^/]+$", 1, true), name .. " is not in the README")
    end
  end)
end)
