-- `cella caps`, by its own parser and with streams of the spec's.

local argparse = require "argparse"
local cli = require "cella.cli.caps"
local caps = require "cella.caps"
local cella = require "cella"
local core = require "cella.core"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local has_json, json = pcall(require, "dkjson")

-- The exit status, and what was written to both streams.
local function run(...)
  local parser = argparse "cella"
  parser:command_target "command"
  cli.configure(parser:command("caps", cli.summary))
  local ok, parsed = parser:pparse { "caps", ... }
  if not ok then return "usage", "", parsed end
  local function stream()
    local text = {}
    return { write = function(_, ...) for _, part in ipairs { ... } do text[#text + 1] = tostring(part) end end,
      text = function() return table.concat(text) end }
  end
  local out, err = stream(), stream()
  local status = cli.run(parsed, { out = out, err = err, input = io.stdin })
  return status, out.text(), err.text()
end

local function field(text, name)
  return text:match("\n?" .. name .. " +([^\n]*)")
end

local function decoded(...)
  if not has_json then return nil end
  local status, out = run(...)
  assert.equal(0, status)
  return assert(json.decode(out))
end

describe("cella caps show", function()
  it("prints what this process holds", function()
    local status, out, err = run "show"
    local state = caps.state()
    assert.equal(0, status)
    assert.equal("", err)
    for _, name in ipairs { "effective", "permitted", "inheritable", "bounding", "ambient" } do
      assert.equal(tostring(state[name]), field(out, name))
    end
    assert.equal(state:text(), field(out, "text"))
    assert.equal(state.no_new_privs and "yes" or "no", field(out, "no_new_privs"))
  end)

  it("prints another's, of whose securebits nobody knows", function()
    local pid = core.sys.getppid()
    local status, out = run("show", tostring(pid))
    assert.equal(0, status)
    assert.truthy(out:find(tostring(pid), 1, true))
    assert.equal("?", field(out, "securebits"))
    assert.equal(tostring(caps.state(pid).permitted), field(out, "permitted"))
  end)

  it("prints JSON", function()
    if not has_json then return pending "needs dkjson" end
    local value = decoded("show", "--json")
    assert.same(caps.state().permitted:names(), value.permitted)
    assert.equal(caps.state():text(), value.text)
    assert.equal(core.sys.getpid(), value.pid)
  end)

  for _, what in ipairs { "show", "tree" } do
    it("is safe from what a process calls itself (" .. what .. ")", function()
      local directory = trial.directory()
      trial.sh(("cp \"$(command -v sleep)\" '%s/\27[31m\194\155\155'"):format(directory))
      local process = assert(cella.plan():exec({ directory .. "/\27[31m\194\155\155", "60",
        stdout = "null" }):spawn())
      local name = trial.read(("/proc/%d/comm"):format(process.pid))
      local status, out = run(what, what == "show" and tostring(process.pid) or nil)
      local is_shown = what == "show" or not caps.state(process.pid).permitted:empty()
      process:close()
      trial.remove_directory(directory)
      assert.equal("\27[31m\194\155\155\n", name)
      assert.equal(0, status)
      assert.is_nil(out:find("[%z\1-\8\11-\31\127\155]"))
      if is_shown then
        assert.truthy(out:find(("%d \\x1b[31m\\xc2\\x9b\\x9b"):format(process.pid), 1, true), out)
      end
    end)
  end

  it("says that there is no such process", function()
    local status, _, err = run("show", "2147483646")
    assert.equal(125, status)
    assert.truthy(err:find "no such process")
    for _, bad in ipairs { "0", "x", "1.5", "99999999999", "0x1" } do
      local out
      status, out, err = run("show", bad)
      assert.equal("", out)
      assert.equal(125, status)
      assert.truthy(err:find("not a process ID", 1, true))
    end
  end)
end)

describe("cella caps decode", function()
  it("prints the names in masks, with or without 0x", function()
    local status, out = run("decode", "3", "0x2000", "00000000a80425fb", "0")
    assert.equal(0, status)
    assert.equal(("0x0000000000000003=chown,dac_override\n0x0000000000002000=net_raw\n0x00000000a80425fb=%s\n"
      .. "0x0000000000000000=none\n"):format(table.concat(caps.docker, ",")), out)
  end)

  it("prints the bits of another kernel as numbers, and says so", function()
    local status, out, err = run("decode", "8000000000000001")
    assert.equal(0, status)
    assert.equal("0x8000000000000001=chown,63\n", out)
    assert.truthy(err:find("ends at " .. caps.last, 1, true))
  end)

  it("decodes both texts of libcap, and lists of names", function()
    local function output(...) return (select(2, run("decode", ...))) end
    local out = output "cap_net_raw=ep cap_kill+i"
    assert.equal("net_raw", field(out, "effective"))
    assert.equal("kill", field(out, "inheritable"))
    out = output "^cap_net_raw"
    assert.equal("net_raw", field(out, "ambient"))
    out = output "CAP_NET_RAW,chown"
    assert.equal("0x0000000000002001=chown,net_raw\n", out)
  end)

  it("refuses junk, naming what is near", function()
    for text, said in pairs { net_rwa = "did you mean 'net_raw'?", ["cap_net_rwa=ep"] = "did you mean 'net_raw'?",
      ["10000000000000000"] = "more than 64 bits", ["0xzz"] = "unknown capability", ["-1"] = "is no capability" } do
      local status, out, err = run("decode", "--", text)
      assert.equal(125, status, text)
      assert.equal("", out)
      assert.truthy(err:find(said, 1, true), err)
    end
    assert.equal("usage", (run "decode"))
  end)

  it("prints JSON", function()
    if not has_json then return pending "needs dkjson" end
    local value = decoded("decode", "--json", "3", "=p")
    assert.same({ "chown", "dac_override" }, value[1].capabilities)
    assert.equal("0000000000000003", value[1].mask)
    assert.equal(#caps.all(), #value[2].permitted)
  end)
end)

describe("cella caps explain", function()
  it("has a sentence, and a reason to keep it or not, for every capability", function()
    local seen = {}
    for number = 0, caps.last do
      local one = caps.explain(number)
      assert.is_true(#one.allows > 10 and #one.container > 10)
      assert.is_nil(seen[one.allows])
      seen[one.allows] = true
      assert.equal(caps.crabcan21:has(number) and "dropped" or "kept", one.tutorial)
      assert.is_false(one.allows:find "newer than this library" ~= nil and number <= 40)
    end
    local status, out = run "explain"
    assert.equal(0, status)
    local count = 0
    for _ in out:gmatch "%(%d+%)\n" do count = count + 1 end
    assert.equal(caps.last + 1, count)
  end)

  it("takes names and numbers", function()
    local status, out = run("explain", "CAP_SYS_TIME", "13")
    assert.equal(0, status)
    assert.truthy(out:find("sys_time (25)", 1, true))
    assert.truthy(out:find("net_raw (13)", 1, true))
    assert.truthy(out:find "tutorial: dropped")
    local problem
    status, out, problem = run("explain", "sys_tme")
    assert.equal(125, status)
    assert.equal("", out)
    assert.truthy(problem:find("did you mean 'sys_time'?", 1, true))
    assert.equal(125, (run("explain", "64")))
  end)

  it("prints JSON", function()
    if not has_json then return pending "needs dkjson" end
    local value = decoded("explain", "--json", "mknod")
    assert.equal("mknod", value[1].name)
    assert.is_true(value[1].host_only)
    assert.is_true(value[1].docker)
    assert.is_false(value[1].podman)
  end)
end)

describe("cella caps after-exec", function()
  local function after(...)
    return run("after-exec", "--effective", "all", "--permitted", "all", "--inheritable", "none", "--bounding", "all",
      "--ambient", "none", "--gid", "0", ...)
  end

  local function output(...) return (select(2, after(...))) end

  it("predicts what a program will hold, and says why", function()
    local status, out = after("--uid", "0", "--setresuid", "0")
    assert.equal(0, status)
    assert.equal("all", field(out, "permitted"))
    assert.truthy(out:find "- the effective user is root")
    status, out = after("--uid", "1000")
    assert.equal(0, status)
    assert.equal("none", field(out, "permitted"))
    status, out = after("--uid", "1000", "--mode", "4755", "--owner", "0:0")
    assert.equal(0, status)
    assert.equal("all", field(out, "effective"))
    out = output("--uid", "1000", "--mode", "4755", "--no-new-privs")
    assert.equal("none", field(out, "effective"))
    out = output("--uid", "1000", "--mode", "4755", "--nosuid")
    assert.equal("none", field(out, "effective"))
    out = output("--uid", "1000", "--mode", "4755", "--securebits", "noroot")
    assert.equal("none", field(out, "effective"))
    out = output("--uid", "1000", "--file-caps", "cap_net_raw=ep")
    assert.equal("net_raw", field(out, "effective"))
  end)

  it("exits with 1 where the kernel would refuse, with the capability", function()
    local status, out, err = after("--uid", "1000", "--bounding", "kill", "--file-caps", "cap_net_raw=ep")
    assert.equal(1, status)
    assert.equal("", out)
    assert.truthy(err:find "net_raw is outside the bounding set")
  end)

  it("goes through a new user namespace", function()
    local status, out = after("--bounding", "none", "--unshare-user", "--uid-map", "0 100000 10", "--uid", "0")
    assert.equal(0, status)
    assert.equal("all", field(out, "permitted"))
    status, out = run("after-exec", "--unshare-user")
    assert.equal(0, status)
    assert.equal("none", field(out, "permitted"))
    status = after("--uid-map", "0 0 1")
    assert.equal(125, status)
  end)

  it("takes a real program's facts", function()
    local status, out = after("--uid", "1000", "--file", "/bin/sh")
    assert.equal(0, status)
    assert.equal("none", field(out, "permitted"))
    assert.equal(125, (after("--file", "/nonexistent")))
  end)

  it("refuses what there is not", function()
    for _, words in ipairs { { "--uid", "-1" }, { "--uid", "4294967295" }, { "--mode", "9" }, { "--owner", "root" },
      { "--securebits", "nroot" }, { "--file-caps", "cap_rwa=ep" }, { "--effective", "net_rwa" }, { "--pid", "0" },
      { "--kernel", "new" }, { "--text", "junk" }, { "--uid-map", "0 0" } } do
      local status, out = run("after-exec", unpack(words))
      assert.is_true(status == 125 or status == "usage", table.concat(words, " "))
      assert.equal("", out)
    end
  end)

  it("prints JSON", function()
    if not has_json then return pending "needs dkjson" end
    local value = decoded("after-exec", "--json", "--uid", "1000", "--gid", "0", "--bounding", "all", "--file-caps",
      "cap_net_raw=ep")
    assert.same({ "net_raw" }, value.effective)
    assert.is_true(value.secure)
  end)
end)

describe("cella caps tree", function()
  it("prints each process that holds something, and no other", function()
    local status, out = run "tree"
    assert.equal(0, status)
    local own = core.sys.getpid()
    local holds = not caps.state().permitted:empty()
    assert.equal(holds, ("\n" .. out):find("\n *" .. own .. " ") ~= nil)
    local first = out:match "^(%d+) "
    local state = first and caps.state(tonumber(first))
    if state then assert.is_false((state.permitted + state.inheritable + state.ambient):empty()) end
  end)

  it("prints JSON", function()
    if not has_json then return pending "needs dkjson" end
    local value = decoded("tree", "--json")
    for _, one in ipairs(value) do assert.is_true(#one.permitted + #one.inheritable > 0) end
  end)
end)
