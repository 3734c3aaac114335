-- What an error names as its cause is one: it comes from what the steps are and from what the host says, whatever the
-- names of files are. Each of these was a wrong sentence once.

local able = require "spec.support.able"
local cella = require "cella"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local function failing(plan)
  local result, err = plan:exec({ "true" }):run()
  assert.is_nil(result)
  return err
end

local function of_container(keys)
  local result, err = cella.container(keys):run { "true" }
  assert.is_nil(result)
  return err
end

local function overlay(lower)
  return of_container { root = { { type = "overlay", destination = "/", lower = lower } } }
end

describe("the cause of an error", function()
  if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end

  it("is of the host where a directory there has the name of a flag", function()
    assert.matches("no such file or directory on the host", overlay({ "in_root", "/etc" }).why, 1, true)
    assert.matches("on the host", overlay({ "/no/in_root", "/etc" }).why, 1, true)
  end)

  it("is of /proc where the file is in /proc, and of no other file of that name", function()
    local directory = trial.directory()
    trial.write(directory .. "/setgroups", "")
    trial.sh(("chmod 000 %s/setgroups"):format(directory))
    if trial.lacks_root() then
      assert.is_nil(failing(cella.plan():write_file(directory .. "/setgroups", "x")).why)
    end
    assert.is_nil(failing(cella.plan():write_file(directory .. "/no/uid_map", "x")).why)
    trial.remove_directory(directory)
  end)

  it("is that of the file system which refused, and not of the one opened last", function()
    local plan = cella.plan { namespaces = { "user", "mount" } }
    local first = plan:fsopen "overlay"
    plan:fsopen "tmpfs"
    plan:fsconfig(first, "string", "lowerdir", "/etc"):fsconfig(first, "create")
    assert.matches("at least two lower directories", failing(plan).why, 1, true)
  end)

  it("is what a layer of an overlay is, or how many there are", function()
    local err = overlay { "/etc/passwd", "/etc" }
    if err.op ~= "fsconfig" then return pending "needs Linux 6.8 (overlays by lowerdir+)" end
    assert.matches("/etc/passwd is no directory", err.why, 1, true)
    local many = {}
    for i = 1, 501 do many[i] = "/usr" end
    assert.matches("at most 500 lower directories", overlay(many).why, 1, true)
  end)

  it("has the path as it is, whatever characters are in it", function()
    assert.equal('/no"pe/x', of_container({ root = '/no"pe/x' }).path)
    local plan = cella.plan()
    plan:openat2("nope", "rdonly")
    assert.equal("nope", failing(plan).path)
  end)

  it("leaves open what a filter of the caller's may have done", function()
    local why, control = outside.lua [[
      local plan = cella.plan():setresuid(4000000, 4000000, 4000000):exec { "true" }
      assert(sys.capset("none", "none", "none"))
      local _, control = plan:run()
      assert(sys.no_new_privs())
      assert(sys.seccomp(portable.instruction(6, 0, 0, 0x7fff0000)))
      local _, err = cella.plan():setresuid(4000000, 4000000, 4000000):exec({ "true" }):run()
      return err.why, control.why
    ]]
    assert.matches("or a seccomp filter that this process is under", why, 1, true)
    assert.is_nil(control:find("filter", 1, true))
  end)

  it("is the tracer where a helper gains nothing because of it", needs("subordinate_ids", function()
    if able.lacks "strace" then return pending(able.lacks "strace") end
    local directory = trial.directory()
    local why = outside.lua([[
      local policy = require "cella.policy"
      local _, err = cella.container({ ids = policy.subids() }):run { "true" }
      return err and err.why
    ]], { prefix = ("strace -f -o %s/log"):format(directory) })
    trial.remove_directory(directory)
    assert.matches("this process is traced", why or "", 1, true)
  end))

  it("is the helper's file where that gives nobody anything, whatever it says", needs("subordinate_ids", function()
    if not trial.lacks_root() then return pending "root's helper needs no privileges of its file" end
    local several = trial.several_ids()
    local function why_with(helper)
      local _, err = cella.plan({ namespaces = { "user" }, ids = { uid = several.uid, gid = several.gid,
        via = "helper", newuidmap = helper } }):exec({ "true" }):run()
      return err and err.why
    end
    local directory = trial.directory()
    local copy = directory .. "/newuidmap"
    trial.sh(("cp $(command -v newuidmap) %s"):format(copy))
    local why, control = why_with(copy), why_with(nil)
    trial.remove_directory(directory)
    assert.matches(copy .. " is not set-user-ID root and has no file capabilities", why or "", 1, true)
    assert.is_nil(control)
    assert.matches("/bin/false is not set-user-ID root", why_with "/bin/false" or "", 1, true)
  end))

  it("is looked for in files that a hostile program may have made, and neither hangs nor raises", function()
    local program = require "cella.explain.program"
    local directory = trial.directory()
    local function interpreter()
      return program.interpreter { box = { root = { path = directory }, own = {}, mounts = {} }, candidates = { "/p" } }
    end
    local function write(text)
      local file = assert(io.open(directory .. "/p", "wb"))
      assert(file:write(text))
      assert(file:close())
    end
    -- elf(5): a header, and one program header of the type PT_INTERP, at 64, with a length.
    local function elf(length, count)
      return "\127ELF\2\1\1" .. ("\0"):rep(9)
        .. portable.encode("2248884222222", 2, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
        .. portable.encode("44888888", 3, 4, 120, 0, 0, length, 0, 0) .. "/no/such\0"
    end
    write(elf(9, 1))
    assert.matches("its header names the dynamic linker /no/such", interpreter(), 1, true)
    write(elf(-1, 1))
    assert.is_nil(interpreter())
    write(elf(9, 65535):gsub("\3\0\0\0\4", "\1\0\0\0\4"))
    assert.is_nil(interpreter())
    os.remove(directory .. "/p")
    trial.sh("mkfifo " .. directory .. "/p")
    assert.is_nil(interpreter())
    trial.remove_directory(directory)
  end)

  it("is none where its module is out of reach by now, and the error is there all the same", function()
    local said = trial.sh(("%s -e %s"):format(trial.interpreter(), trial.quote [[
      local cella = require "cella"
      local box = cella.container {}
      assert(box:run { "true" })
      require "cella.explain.causes"
      package.path, package.cpath = "", ""
      local ended, result, err = pcall(box.run, box, { "nosuchprogram" })
      print(ended, result, type(err) == "table" and err.code or err)
    ]]))
    assert.equal("true\tnil\tENOENT\n", said)
  end)
end)
