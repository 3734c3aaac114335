-- `cella idmap`, by its own parser and with streams and hosts of the spec's.

local argparse = require "argparse"
local cli = require "cella.cli.idmap"
local core = require "cella.core"
local idmap = require "cella.idmap"
local map_trial = require "spec.support.map_trial"

local has_json, json = pcall(require, "dkjson")

local user = {
  uid = 1000, gid = 1000, user = "alice", groups = { 1000, 27 },
  subuid = { { first = 300000, count = 10 }, { first = 100000, count = 1000 }, { first = 200000, count = 30 } },
  subgid = { { first = 500000, count = 1000 } }, subid_source = "files",
  newuidmap = "/usr/bin/newuidmap", newgidmap = "/usr/bin/newgidmap",
  owners = { bob = { subuid = { { first = 7000, count = 10 } }, subgid = { { first = 8000, count = 10 } } },
    [1001] = { subuid = { { first = 7000, count = 10 } }, subgid = { { first = 8000, count = 10 } } },
    carol = { subuid = {}, subgid = {}, problem = "the directory is down" } },
}
local root = {
  uid = 0, gid = 0, user = "root", capabilities = { setuid = true, setgid = true, setfcap = true, sys_admin = true },
  owners = user.owners,
}

-- The exit status, and what was written to both streams.
local function run(words, input, host)
  local parser = argparse "cella"
  parser:command_target "command"
  cli.configure(parser:command("idmap", cli.summary))
  local given = { "idmap" }
  for i, word in ipairs(words) do given[i + 1] = word end
  local ok, parsed = parser:pparse(given)
  if not ok then return "usage", "", parsed end
  local function stream()
    local text = {}
    return { write = function(_, ...) for _, part in ipairs { ... } do text[#text + 1] = tostring(part) end end,
      text = function() return table.concat(text) end }
  end
  local out, err = stream(), stream()
  local status = cli.run(parsed, { out = out, err = err, input = { read = function() return input or "" end } },
    host or user)
  return status, out.text(), err.text()
end

-- The output of a command that succeeds, or of which the status is the given one.
local function output(words, input, host, expected)
  local status, out, err = run(words, input, host)
  assert.equal(expected or 0, status, err)
  if status == 0 then assert.equal("", err) end
  return out
end

local function trouble(message, words, input, host)
  local status, out, err = run(words, input, host)
  assert.equal(125, status)
  assert.equal("", out)
  assert.truthy(err:find("^cella idmap: [^\n]"), err)
  assert.truthy(err:find(message, 1, true), err)
  assert.is_nil(err:find("traceback", 1, true))
end

local function decoded(words, input, host, expected)
  words[#words + 1] = "--json"
  return assert(json.decode(output(words, input, host, expected)))
end

local function needs_json(body)
  return function()
    if not has_json then return pending("needs the Lua module dkjson") end
    return body()
  end
end

describe("cella idmap show", function()
  local own = idmap.of("self", "uid")

  it("prints both maps of this process", function()
    local out = output { "show" }
    local uid, gid = out:match("^uid_map\n(.-)gid_map\n(.*)$")
    assert.equal(own, idmap.new(uid))
    assert.equal(idmap.of("self", "gid"), idmap.new(gid))
  end)

  it("prints one of them as the kernel has it, to be read by others", function()
    assert.equal(own, idmap.new((output { "show", "--kind", "uid" })))
    local file = assert(io.open "/proc/self/projid_map")
    assert.equal(file:read("*a"), output { "show", "-k", "projid", ("%d"):format(core.sys.getpid()) })
    file:close()
  end)

  it("says where a map is not written", function()
    local child = assert(map_trial.waiting())
    local out = output { "show", ("%d"):format(child:pid()) }
    map_trial.finish(child)
    assert.truthy(out:find("not written: every uid looks like 65534", 1, true), out)
    assert.truthy(out:find("not written: every gid looks like 65534", 1, true), out)
  end)

  it("prints JSON", needs_json(function()
    local value = decoded { "show" }
    assert.same(own:extents(), value.uid)
    assert.is_table(value.gid)
    assert.is_nil(value.projid)
  end))

  it("has no process that is none", function()
    trouble("is not a process ID", { "show", "x" })
    trouble("is not a process ID", { "show", "0" })
    trouble("is not a process ID", { "show", "4294967297" })
    trouble("/proc/2147483647/uid_map", { "show", "2147483647" })
  end)
end)

describe("cella idmap check", function()
  it("takes numbers, lines, or the standard input", function()
    local accepted = "written by helper: uid_map: accepted"
    for _, words in ipairs {
      { "0", "100000", "10" }, { "0 100000 10" }, { "0 100000 10\n10 1000 1" },
      { "0", "100000", "10", "10", "1000", "1" },
    } do
      table.insert(words, 1, "check")
      assert.equal(accepted, (output(words)):sub(1, #accepted))
    end
    assert.equal(accepted, (output({ "check" }, "0 100000 10\n")):sub(1, #accepted))
    accepted = "written by parent: uid_map: accepted"
    assert.equal(accepted, (output({ "check", "0", "1", "5", "9", "9", "1" }, nil, root)):sub(1, #accepted))
  end)

  it("says who can write it", function()
    assert.truthy(output({ "check", "0", "1000", "1" }):find("written by parent: uid_map: accepted", 1, true))
    assert.truthy(output({ "check", "-k", "gid", "0", "1000", "1" })
      :find("written by self: gid_map: accepted", 1, true))
    assert.truthy(output({ "check", "0", "0", "10" }, nil, root):find("written by parent: uid_map: accepted", 1, true))
  end)

  it("says what everyone would be told where nobody can, and that the answer is no", function()
    local out = output({ "check", "0", "5000", "10" }, nil, nil, 1)
    assert.truthy(out:find("written by parent: uid_map: EPERM: mapping IDs other than your own", 1, true), out)
    assert.truthy(out:find("written by self: uid_map: EPERM", 1, true), out)
    assert.truthy(out:find("written by helper: uid_map: refused: range 1: uid 5000", 1, true), out)
    assert.truthy(out:find("\n  remedy: ", 1, true), out)
  end)

  it("asks for one writer only, if told so", function()
    local out = output({ "check", "--writer", "helper", "0", "5000", "10" }, nil, nil, 1)
    assert.equal("written by helper", out:match("^[^:]*"))
    assert.is_nil(out:find("written by parent", 1, true))
    output({ "check", "-w", "parent", "-k", "gid", "0", "1000", "1" }, nil, nil, 1)
    output({ "check", "-w", "parent", "-k", "gid", "--setgroups", "deny", "0", "1000", "1" })
    output({ "check", "-w", "self", "-k", "gid", "--setgroups", "allow", "0", "1000", "1" }, nil, nil, 1)
  end)

  it("takes text as the kernel does, however wrong it is", function()
    for text, verdict in pairs {
      ["0 0"] = "EINVAL", [""] = "EINVAL", ["x"] = "EINVAL", ["0 0 1\n0 0 1"] = "EINVAL", ["0 -1 1"] = "EINVAL",
    } do
      local out = output({ "check", "-w", "parent" }, text, root, 1)
      assert.truthy(out:find("uid_map: " .. verdict, 1, true), out)
    end
    assert.truthy(output({ "check" }, "0 4294967296 1", root):find("warning (truncated)", 1, true))
    assert.truthy(output({ "check", "0", "0" }, nil, root, 1):find("EINVAL", 1, true))
  end)

  it("warns, and fails for warnings if told so", function()
    local out = output({ "check", "0", "0", "1" }, nil, root)
    assert.truthy(out:find("warning (initial-root)", 1, true), out)
    output({ "check", "--strict", "0", "0", "1" }, nil, root, 1)
    output({ "check", "--strict", "0", "1000", "1" })
  end)

  it("warns of another process that has the IDs, and of IDs beyond those of an owner", function()
    local id = ("%.0f"):format(idmap.of("self", "uid"):extents()[1].outside)
    local out = output({ "check", "--other", "self", "0", id, "1" }, nil, root)
    assert.truthy(out:find(("warning (shared): process self has uids %s too"):format(id), 1, true), out)
    out = output({ "check", "--owner", "bob", "0", "7000", "11" }, nil, root)
    assert.truthy(out:find("warning (beyond-owner): uids 7010", 1, true), out)
    assert.is_nil(output({ "check", "--owner", "1001", "0", "7000", "10" }, nil, root):find("beyond-owner", 1, true))
    assert.is_nil(output({ "check", "--owner", "bob", "-k", "gid", "0", "8000", "10" }, nil, root)
      :find("beyond-owner", 1, true))
    trouble("the directory is down", { "check", "--owner", "carol", "0", "7000", "10" }, nil, root)
  end)

  it("prints JSON", needs_json(function()
    local value = decoded({ "check", "0", "5000", "10" }, nil, nil, 1)
    assert.equal(3, #value)
    assert.equal("EPERM", value[1].verdict)
    assert.equal("helper", value[3].writer)
    assert.is_string(value[3].remedy)
    value = decoded({ "check", "0", "0", "1" }, nil, root)
    assert.equal("accepted", value[1].verdict)
    assert.equal("initial-root", value[1].warnings[1].code)
    assert.same({ { inside = 0, outside = 0, count = 1 } }, value[1].map)
    local out = output { "check", "0", "1000", "1", "--json" }
    assert.truthy(out:find('"warnings":%[%s*%]'), out) -- a list, though it is empty
  end))

  it("has its own words for wrong words", function()
    trouble("before", { "check", "0", "1 1 1" })
    assert.equal("usage", (run { "check", "--writer", "root", "0", "0", "1" }))
    assert.equal("usage", (run { "check", "--kind", "pid", "0", "0", "1" }))
    assert.equal("usage", (run {}))
  end)
end)

describe("cella idmap translate", function()
  local map = "0 1000 1\n1 100000 99\n200 5 1"

  it("prints what IDs stand for", function()
    assert.equal("0\t1000\n33\t100032\n", output({ "translate", "0", "33" }, map))
    assert.equal("0\t1000\n", output { "translate", "0", "--map", map })
  end)

  it("prints a range in the pieces that belong together", function()
    assert.equal("0\t1000\n1-99\t100000-100098\n100-199\t-\n200\t5\n201-300\t-\n",
      output({ "translate", "0-300" }, map, nil, 1))
    assert.equal("50-60\t100049-100059\n", output({ "translate", "50-60" }, map))
  end)

  it("says no for an ID that is not mapped", function()
    assert.equal("0\t1000\n100\t-\n", output({ "translate", "0", "100" }, map, nil, 1))
    assert.equal("4294967294\t-\n", output({ "translate", "4294967294" }, map, nil, 1))
  end)

  it("goes the other way too", function()
    assert.equal("1000\t0\n5\t200\n100098\t99\n", output({ "translate", "-i", "1000", "5", "100098" }, map))
    assert.equal("0\t-\n", output({ "translate", "--to-inside", "0" }, map, nil, 1))
  end)

  it("takes the map of a process", function()
    local uid = ("%d"):format((core.sys.getresuid()))
    local outside = idmap.of("self", "uid"):outside(tonumber(uid))
    assert.equal(("%s\t%d\n"):format(uid, outside), output { "translate", uid, "--pid", "self" })
    assert.equal("0\t-\n", output({ "translate", "0", "-m", "" }, nil, nil, 1))
  end)

  it("prints JSON, where an ID that stands for nothing has no other side", needs_json(function()
    assert.same({ { inside = 98, outside = 100097, count = 2 }, { inside = 100, count = 1 } },
      decoded({ "translate", "98-100" }, map, nil, 1))
    assert.same({ { outside = 5, inside = 200, count = 1 } }, decoded({ "translate", "-i", "5" }, map))
  end))

  it("takes IDs and nothing else", function()
    for _, word in ipairs { "x", "4294967295", "99999999999", "1-x", "0x1", "1.0", "" } do
      trouble("is not an ID", { "translate", word }, map)
    end
    trouble("before the first", { "translate", "5-4" }, map)
    trouble("standard input: extent 1: must be three decimal numbers", { "translate", "0" }, "0 0")
    trouble("--map: extent 1: outside must be", { "translate", "0", "--map", "0 4294967296 1" })
    trouble("one of them", { "translate", "0", "--map", "0 0 1", "--pid", "self" })
  end)
end)

describe("cella idmap compose", function()
  it("prints the map through all namespaces", function()
    assert.equal("0 100005 5\n", output { "compose", "0 5 10", "0 100000 10" })
    assert.equal("0 7 1\n", output { "compose", "0 5 10", "0 2 6", "7 7 1" })
    assert.equal("0 5 10\n", output { "compose", "0 5 10" })
    assert.equal("", output { "compose", "0 5 10", "50 0 1" })
  end)

  it("takes one of the maps from the standard input, and others from processes", function()
    assert.equal("0 100005 5\n", output({ "compose", "0 5 10", "-" }, "0 100000 10\n"))
    local own = idmap.of("self", "uid")
    local twice = tostring(own:compose(own))
    assert.equal(twice .. (twice == "" and "" or "\n"), output { "compose", "@self", "@self" })
    trouble("one of the maps only", { "compose", "-", "-" }, "0 0 1")
    trouble("map 2: extents 1 and 2 overlap", { "compose", "0 0 1", "0 0 1\n0 1 1" })
    trouble("is not a process ID", { "compose", "@x" })
  end)

  it("prints JSON", needs_json(function()
    assert.same({ { inside = 0, outside = 100005, count = 5 } }, decoded { "compose", "0 5 10", "0 100000 10" })
    assert.truthy(output({ "compose", "0 5 1", "0 0 1", "--json" }):find("^%[%s*%]\n$"))
  end))
end)

describe("cella idmap policy", function()
  local function maps(words, host)
    table.insert(words, 1, "policy")
    local out = output(words, nil, host)
    local uid, gid, by = out:match("^uid_map\n(.-)gid_map\n(.-)written ([^\n]*)\n")
    return tostring(idmap.new(uid)), tostring(idmap.new(gid)), by, out
  end

  it("prints the maps of each policy, and who writes them", function()
    for _, case in ipairs {
      { { "root" }, "0 1000 1", "0 1000 1", "by the new process itself; setgroups: deny" },
      { { "available" }, "0 1000 1\n1 300000 10\n11 100000 1000\n1011 200000 30", "0 1000 1\n1 500000 1000",
        "by newuidmap and newgidmap" },
      { { "me" }, "1000 1000 1", "1000 1000 1", "by the new process itself; setgroups: deny" },
      { { "subids" }, "0 1000 1\n1 300000 10\n11 100000 1000\n1011 200000 30", "0 1000 1\n1 500000 1000",
        "by newuidmap and newgidmap" },
      { { "range", "0", "100000", "5" }, "0 100000 5", "0 100000 5", "by this process", root },
      { { "identity" }, "0 0 4294967295", "0 0 4294967295", "by this process", root },
      { { "exactly", "0", "33" }, "0 300000 1\n33 300001 1", "0 500000 1\n33 500001 1", "by newuidmap and newgidmap" },
      { { "exactly", "0", "33", "--own", "33" }, "0 300000 1\n33 1000 1", "0 500000 1\n33 1000 1",
        "by newuidmap and newgidmap" },
      { { "subids", "bob" }, "0 7000 10", "0 8000 10", "by this process", root },
      { { "subids", "1001" }, "0 7000 10", "0 8000 10", "by this process", root },
    } do
      local uid, gid, by = maps(case[1], case[5])
      assert.same({ case[2], case[3], case[4] }, { uid, gid, by })
    end
  end)

  it("says what becomes of groups", function()
    local _, _, _, out = maps { "root", "--keep-groups" }
    assert.truthy(out:find("note: the group 27 stays in force, and looks like 65534", 1, true), out)
  end)

  it("says why there is no map, and that the answer is no", function()
    local status, out, err = run { "policy", "identity" }
    assert.equal(1, status)
    assert.equal("", out)
    assert.truthy(err:find("it lacks CAP_SETUID", 1, true), err)
  end)

  it("claims slices, lists them and gives them back", function()
    local directory = os.tmpname()
    os.remove(directory)
    local function at(...) return { ... , "--registry", directory } end
    local host = { uid = 1000, gid = 1000, newuidmap = "/x", newgidmap = "/x",
      subuid = { { first = 100000, count = 20 } }, subgid = { { first = 100000, count = 20 } } }
    local words = { "policy", "slice", "web", "10", "--registry", directory }
    local first = output(words, nil, host)
    assert.equal(first, output(words, nil, host))
    words[3] = "other"
    assert.is_false(first == output(words, nil, host))
    words[3] = "third"
    assert.truthy(select(3, run(words, nil, host)):find("no uids are free", 1, true))
    local listed = output(at "slices", nil, host)
    assert.truthy(listed:find("^uid 1000%d%d%-1000%d%d\tgid 1000%d%d%-1000%d%d\tweb\nuid [^\n]*\tother\n$"), listed)
    if has_json then
      local value = json.decode(output({ "slices", "--registry", directory, "--json" }, nil, host))
      assert.equal("other", value[2].name)
      assert.equal(10, value[1].uid.count)
    end
    output({ "slices", "--release", "web", "--registry", directory }, nil, host)
    output({ "slices", "--release", "web", "--registry", directory }, nil, host, 1)
    output(words, nil, host)
    for _, name in ipairs { "slices", "lock" } do assert(os.remove(directory .. "/" .. name)) end
    assert(os.remove(directory))
  end)

  it("prints JSON", needs_json(function()
    local value = decoded { "policy", "subids" }
    assert.equal("helper", value.via)
    assert.equal("subids", value.name)
    assert.same({ inside = 1, outside = 300000, count = 10 }, value.uid[2])
    assert.equal("0 1000 1\n1 500000 1000", value.text.gid)
    assert.equal("300000", value.helper.uid[5])
  end))

  it("has its own words for wrong words", function()
    trouble("root", { "policy", "root", "x" })
    trouble("range INSIDE OUTSIDE COUNT", { "policy", "range", "0" })
    trouble("is not an ID", { "policy", "range", "0", "x", "1" })
    trouble("count", { "policy", "range", "0", "0", "0" })
    trouble("exactly ID...", { "policy", "exactly" })
    trouble("twice", { "policy", "exactly", "0", "0" })
    trouble("own", { "policy", "exactly", "0", "--own", "5" })
    trouble("slice NAME COUNT", { "policy", "slice", "x" })
    trouble("the string has a newline", { "policy", "slice", "x\ny", "5" })
    assert.equal("usage", (run { "policy", "nobody" }))
  end)
end)

describe("cella idmap", function()
  it("says what is missing for JSON where the module is", function()
    local loaded, preload = package.loaded.dkjson, package.preload.dkjson
    package.loaded.dkjson = nil
    package.preload.dkjson = function() error "absent" end
    local status, _, err = run { "compose", "0 0 1", "--json" }
    package.loaded.dkjson, package.preload.dkjson = loaded, preload
    assert.equal(125, status)
    assert.truthy(err:find("lua-dkjson", 1, true), err)
  end)

  it("lets mistakes of its own be seen", function()
    assert.has_error(function() cli.run({ idmap_command = "nothing" }, {}, user) end)
  end)

  it("is a command of cella", function()
    local out, err = {}, {}
    local function to(list) return { write = function(_, ...) list[#list + 1] = table.concat { ... } end } end
    local status = require("cella.cli").main({ "idmap", "compose", "0 5 10", "0 100 20" },
      { out = to(out), err = to(err), input = io.stdin })
    assert.equal("0 105 10\n", table.concat(out))
    assert.equal("", table.concat(err))
    assert.equal(0, status)
  end)
end)
