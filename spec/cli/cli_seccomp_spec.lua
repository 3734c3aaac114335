-- cella seccomp, and the option --seccomp of the commands that start something.

local able = require "spec.support.able"
local cella = require "cella"
local seccomp = require "cella.seccomp"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("cella seccomp", function()
  local directory

  setup(function() directory = trial.directory() end)
  teardown(function() trial.remove_directory(directory) end)

  local function file(name, text)
    local path = directory .. "/" .. name
    local handle = assert(io.open(path, "w"))
    handle:write(text)
    handle:close()
    return path
  end

  local function run(...)
    local result = trial.cella { ... }
    return result.status, result.stdout, result.stderr
  end

  it("shows policies as programs that return them", function()
    local _, list = run("seccomp", "show")
    for _, name in ipairs(seccomp.names()) do
      assert.truthy(("\n" .. list):find("\n" .. name, 1, true), list)
      local status, text = run("seccomp", "show", name)
      assert.equal(0, status)
      assert.is_true(dofile(file(name .. ".lua", text)) == seccomp.named(name))
    end
    local own = file("own.lua", 'return { default = "allow", errno = { EPERM = { "mount" } } }')
    local _, text = run("seccomp", "show", own)
    assert.truthy(text:find('EPERM = { "mount" }', 1, true), text)
  end)

  it("shows them as JSON, and tells what a container refuses beside them", function()
    if not require("cella.oci.json").available() then return pending("needs dkjson") end
    local keys = [[return { default = "allow", errno = { ENOSYS = { "add_key", "request_key", "keyctl" } } }]]
    local none = [[return require("cella.seccomp").named "default" * require("cella.seccomp").policy(]]
      .. keys:gsub("^return ", "") .. ")"
    for policy, words in pairs { default = { "keyrings" }, nesting = { "keyrings", "user_namespaces" }, strict = {},
      [file("keys.lua", keys)] = { "user_namespaces" }, [file("none.lua", none)] = {} } do
      local status, text, told = run("seccomp", "show", "--oci", policy)
      assert.equal(0, status, told)
      assert.truthy(text:find('"SCMP_ACT_ERRNO"', 1, true), text)
      for _, key in ipairs { "keyrings", "user_namespaces" } do
        local wanted = words[1] == key or words[2] == key
        assert.equal(wanted, told:find("not in it: the calls that `" .. key, 1, true) ~= nil, policy .. ": " .. told)
      end
    end
    local status, _, help = run("seccomp", "show", "--help")
    assert.equal(0, status, help)
  end)

  it("explains a call: numbers, arguments, answers, and why", function()
    local status, text = run("seccomp", "explain", "unshare")
    assert.equal(0, status)
    for _, words in ipairs { "unshare: system call 272 on x86_64, 97 on aarch64 and riscv64", "0: 64 bits",
      "default    refused with EPERM if argument 0 (64 bits) has a bit of", "nesting    allowed\n", "why " } do
      assert.truthy(text:find(words, 1, true), text)
    end
    status, text = run("seccomp", "explain", "mount", file("p.lua", 'return { default = "kill" }'))
    assert.equal(0, status)
    assert.truthy(text:find("p.lua  the end of the process (SIGSYS)", 1, true), text)
    local nothing, message
    status, nothing, message = run("seccomp", "explain", "unshar")
    assert.equal("", nothing)
    assert.equal(125, status)
    assert.truthy(message:find("did you mean 'unshare'?", 1, true), message)
  end)

  it("checks: right, wrong, and none that could start a program", function()
    local status, text = run("seccomp", "check", "strict", "--machine", "aarch64")
    assert.equal(0, status)
    assert.truthy(text:find("strict: %d+ instructions\nnot there on aarch64: access alarm"), text)
    for words, content in pairs {
      ["kill[1]: the string \"exceve\" is not the name of a system call; did you mean 'execve'?"] =
        'return { default = "allow", kill = { "exceve" } }',
      ["a policy that refuses execve(2) cannot start a program"] = 'return { default = "EPERM" }',
      ["returns no policy"] = "return 5",
    } do
      local message
      status, text, message = run("seccomp", "check", file("wrong.lua", content))
      assert.equal("1 ", status .. " " .. text)
      assert.truthy(message:find(words, 1, true), message)
    end
    local nothing, message
    status, nothing, message = run("seccomp", "check", "defalt")
    assert.equal("", nothing)
    assert.equal(125, status)
    assert.truthy(message:find("did you mean 'default'?", 1, true), message)
    assert.equal(125, (run("seccomp", "check", file("syntax.lua", "return {"))))
  end)

  it("puts a policy on what is run, whatever it says itself", needs("user_namespaces", function()
    local mode = "grep Seccomp_filters /proc/self/status"
    local function filters(...)
      local status, text, message = run(...)
      assert.equal(0, status, message)
      return tonumber(text:match "Seccomp_filters:%s*(%d+)") - tonumber(trial.status("self", "Seccomp_filters") or "0")
    end
    assert.equal(2, filters("run", "--", "sh", "-c", mode))
    assert.equal(1, filters("run", "--seccomp", "none", "--", "sh", "-c", mode))
    assert.equal(2, filters("run", "--seccomp", "default", "--", "sh", "-c", mode))
    assert.equal(2, filters("run", "--seccomp", "default", "-e", "seccomp = false", "--", "sh", "-c", mode))
    assert.equal(1, filters("run", "--seccomp", "none", "-e", 'seccomp = "default"', "--", "sh", "-c", mode))
    local box = file("box.lua", 'return require("cella").container { command = { "sh", "-c", "' .. mode .. '" } }')
    local own = file("own.lua", 'return { default = "allow", kill = { "mount" } }')
    assert.equal(2, filters("run", "--seccomp", own, box))
    assert.equal(2, filters("run", "-e", 'seccomp = seccomp.named "strict" + { clone = { { 0, "&", "vfork" } } }', "--",
      "grep", "Seccomp_filters", "/proc/self/status"))
    local _, plan = run("plan", "--seccomp", "strict", "--", "true")
    assert.truthy(plan:find(("expect_seccomp(%d)"):format(seccomp.named "strict":mark()), 1, true), plan)
  end))

  it("is refused on the line as in a table", function()
    for words, line in pairs {
      ["did you mean 'strict'?"] = { "run", "--seccomp", "strit", "--", "true" },
      ["--seccomp: without no_new_privs"] = { "run", "--seccomp", "strict", "-e", "no_new_privs = false", "--",
        "true" },
      ["is no container, and takes no policy"] = { "run", "--seccomp", "default",
        file("none.lua", "return setmetatable({ plan = print }, {})") },
    } do
      local status, _, message = run((table.unpack or unpack)(line))
      assert.equal(125, status)
      assert.truthy(message:find(words, 1, true), message)
    end
  end)

  it("puts a policy on who enters", needs("user_namespaces", function()
    local process = assert(cella.container { seccomp = false }:spawn { "sleep", "1000" })
    local pid = tostring(process.pid)
    local function entered(...)
      local words = { "enter", ... }
      for word in (pid .. " -- grep Seccomp_filters /proc/self/status"):gmatch "%S+" do words[#words + 1] = word end
      local status, text, message = run((table.unpack or unpack)(words))
      assert.equal(0, status, message)
      return tonumber(text:match "(%d+)")
    end
    local before = entered()
    local after = entered("--seccomp", "strict")
    process:close()
    assert.equal(before + 1, after)
  end))
end)
