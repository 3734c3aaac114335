-- Rules of Landlock on a program: each right is tried from inside, without it and with it.

local able = require "spec.support.able"
local cella = require "cella"
local landlock = require "cella.landlock"
local outside = require "spec.support.outside"
local rights = require "cella.landlock.rights"
local trial = require "spec.support.trial"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local needs = able.needs(function(reason) pending(reason) end)

describe("a program under rules", function()
  local abi = landlock.abi()
  local directory, work, problem

  setup(function()
    directory = trial.directory()
    problem = trial.sh(("cc -O1 -Wall -Werror -static -o %s/rules spec/support/rules.c && chmod 755 %s"):format(
      directory, directory))
  end)

  teardown(function() trial.remove_directory(directory) end)

  -- What the program may do is decided by rules alone: all of it belongs to whoever it is.
  before_each(function()
    work = trial.directory()
    trial.sh("cd " .. work .. " && mkdir -p a b d && touch file gone a/x a/y && ln -s /etc/passwd link"
      .. " && chmod -R a+rwX .")
  end)

  after_each(function() trial.remove_directory(work) end)

  local function box(policy, keys)
    local description = { landlock = policy,
      mounts = { { type = "bind", source = directory, destination = "/probe", readonly = true },
        { type = "bind", source = work, destination = "/work" } } }
    for key, value in pairs(keys or {}) do description[key] = value end
    if description.namespaces == "host" then description.mounts = nil end
    return cella.container(description)
  end

  local function start(policy, keys, ...)
    local program = keys and keys.namespaces == "host" and directory .. "/rules" or "/probe/rules"
    return box(policy, keys):run { program, stdout = "capture", ... }
  end

  -- What becomes of each attempt, as a list.
  local function answers(policy, keys, ...)
    local result, err = start(policy, keys, ...)
    if not result then error(tostring(err), 2) end
    local list = {}
    for line in result.stdout:gmatch "[^\n]+" do list[#list + 1] = line end
    return list, result
  end

  -- On a host of Landlock's of that ABI.
  local function it_needs(title, level, body)
    it(title, needs("user_namespaces", function()
      assert.equal("", problem)
      if not abi or abi < level then return pending(("needs Landlock's ABI %d"):format(level)) end
      return body()
    end))
  end

  -- Everything but one right; the probe itself can be executed.
  local function all_but(right)
    local words = {}
    for _, name in ipairs(rights.files) do
      if name ~= right and rights.since(name) <= math.min(abi, 5) then words[#words + 1] = name end
    end
    local known = { unpack(words) }
    if rights.since(right) <= 5 then known[#known + 1] = right end
    return { files = { { path = "/", allow = words }, { path = "/probe", allow = { "execute", "read_file" } } },
      restrict = known }
  end

  -- What takes a right, and what it is answered without it.
  local ATTEMPTS = {
    execute = { ["execute=/usr/bin/true"] = "EACCES" },
    write_file = { ["write=/work/file"] = "EACCES" },
    read_file = { ["read=/work/file"] = "EACCES", ["read=/work/link"] = "EACCES" },
    read_dir = { ["list=/work"] = "EACCES" },
    remove_dir = { ["rmdir=/work/d"] = "EACCES" },
    remove_file = { ["unlink=/work/gone"] = "EACCES" },
    make_dir = { ["mkdir=/work/new"] = "EACCES" },
    make_reg = { ["create=/work/new"] = "EACCES" },
    make_sock = { ["listen=/work/socket"] = "EACCES" },
    make_fifo = { ["fifo=/work/fifo"] = "EACCES" },
    make_char = { ["node=/work/node"] = "EACCES" },
    make_sym = { ["symlink=/work/new"] = "EACCES" },
    refer = { ["rename=/work/a/x:/work/b/x"] = "EXDEV", ["link=/work/a/y:/work/b/y"] = "EXDEV" },
    truncate = { ["cut=/work/file"] = "EACCES", ["truncate=/work/file"] = "EACCES" },
    ioctl_dev = { ["ioctl=/dev/ptmx"] = "EACCES" },
  }

  local OFTEN = { execute = "", read_file = "", write_file = "", refer = "" }
  for _, right in ipairs(rights.files) do
    local attempts = ATTEMPTS[right]
    if attempts then
      it_needs(("cannot do without %s what it can with it%s"):format(right, OFTEN[right] or " #slow"),
        rights.since(right), function()
        local words, expected, fine = {}, {}, {}
        for attempt, answer in pairs(attempts) do
          words[#words + 1], expected[#expected + 1] = attempt, answer
          fine[#fine + 1] = right == "make_char" and "EPERM" or "0" -- which takes CAP_MKNOD on the host
        end
        assert.same(expected, answers(all_but(right), nil, unpack(words)))
        -- The control: it can be done with that right, and all others.
        local with = all_but(right)
        table.insert(with.files[1].allow, right)
        assert.same(fine, answers(with, nil, unpack(words)))
      end)
    end
  end

  -- Whatever kernel this is. Where nothing is refused each of them succeeds, and none is in another's way. (A file that
  -- changes its directory is removed and made, too: what `refer` alone refuses is tried above.)
  local EACH = {
    { "execute", "execute=/usr/bin/true" }, { "write_file", "write=/work/file" }, { "read_file", "read=/work/file" },
    { "read_dir", "list=/work" }, { "remove_dir", "rmdir=/work/d" }, { "remove_file", "unlink=/work/gone" },
    { "make_dir", "mkdir=/work/new" }, { "make_reg", "create=/work/made" }, { "make_sock", "listen=/work/socket" },
    { "make_fifo", "fifo=/work/fifo" }, { "make_sym", "symlink=/work/way" },
    { "truncate", "truncate=/work/file" }, { "ioctl_dev", "ioctl=/dev/ptmx" }, { "bind_tcp", "bind=8081" },
    { "connect_tcp", "connect=8082", "ECONNREFUSED" }, { "bind_udp", "udp_bind=8081" },
    { "connect_send_udp", "udp_connect=8082" },
  }

  it("has of each right what the kernel knows, and is told the others #vm", needs("user_namespaces", function()
    assert.equal("", problem)
    local level, words, free, expected, lacks = abi or 0, {}, {}, {}, {}
    for i, one in ipairs(EACH) do
      free[i] = one[3] or "0"
      words[i], expected[i] = one[2], rights.since(one[1]) <= level and "EACCES" or free[i]
    end
    for _, name in ipairs(rights.up_to(rights.NEWEST)) do
      if rights.since(name) > level then lacks[#lacks + 1] = name end
    end
    local policy = { files = { { path = "/probe", allow = { "execute", "read_file" } },
      { path = "/dev", allow = { "read_file", "write_file" } } }, restrict = rights.files, -- a device is opened before
      tcp = {}, udp = {}, scopes = rights.scopes, at_least = math.min(level, rights.NEWEST) }
    local list, result = answers(policy, nil, unpack(words))
    assert.same(expected, list)
    assert.same(lacks, result.confinement.landlock.lacks)
    -- The control: without rules. (Where there is no Landlock this was it.)
    if level > 0 then assert.same(free, answers(nil, nil, unpack(words))) end
  end))

  it("is refused by name what the kernel does not know, with the Linux that does #vm", needs("user_namespaces",
    function()
      local function about(name)
        for _, scope in ipairs(rights.scopes) do
          if name == scope then return { scopes = { name } } end
        end
        for key, kinds in pairs(rights.ports) do
          for verb, one in pairs(kinds) do
            if one[1] == name then return { [key] = { bind = "any", connect = "any", [verb] = {} } } end
          end
        end
        return { files = { { path = "/", allow = name } }, restrict = name }
      end
      for _, name in ipairs(rights.up_to(rights.NEWEST)) do
        local since, policy = rights.since(name), about(name)
        if since <= (abi or 0) then
          assert.same({}, assert(landlock.held(landlock.policy(policy))).lacks, name)
        else
          local result, err = cella.container { landlock = policy }:run { "true" }
          assert.is_nil(result, name)
          assert.equal("landlock", err.op)
          assert.matches(("%s (ABI %d, Linux %s)"):format(name, since, rights.kernel(since)), tostring(err), 1, true)
          if not abi then assert.matches("landlock: there is none here", tostring(err), 1, true) end
        end
      end
    end))

  it_needs("has what rules of several paths allow, and nothing beside", 1, function()
    local policy = { restrict = { "read", "write_file", "make_reg" }, files = {
      { path = { "/work/a", "/probe" }, allow = { "read", "make" } }, { path = "/work/file", allow = "write" } } }
    assert.same({ "0", "0", "0", "EACCES", "EACCES", "EACCES", "EACCES", "EACCES" }, answers(policy, nil,
      "read=/work/a/x", "list=/work/a", "write=/work/file", "write=/work/a/x", "read=/work/file", "list=/work",
      "create=/work/b/new", "read=/etc/passwd"))
  end)

  it_needs("has of a path what it leads to in the container", 1, function()
    assert(cella.sys.symlink("/etc", work .. "/etc"))
    local policy = { restrict = "read", files = { { path = "/work/etc", allow = "read" },
      { path = "/probe", allow = "read" } } }
    -- The host's /etc and the container's are the same directory: a root that has another one shows which was meant.
    local keys = { mounts = { { type = "bind", source = directory, destination = "/probe", readonly = true },
      { type = "bind", source = work, destination = "/work" }, { type = "tmpfs", destination = "/etc", mode = "755" },
      { type = "file", destination = "/etc/own", content = "x" } } }
    assert.same({ "0", "EACCES" }, answers(policy, keys, "read=/etc/own", "read=/work/file"))
    -- The control: with a rule of another directory.
    policy.files[1].path = "/work/a"
    assert.same({ "EACCES", "0" }, answers(policy, keys, "read=/etc/own", "read=/work/a/x"))
  end)

  it_needs("is not led elsewhere by a link that an earlier program has left", 1, function()
    local policy = { restrict = { "read", "make_sym" }, files = { { path = "/work/b", allow = { "read", "make_sym" } },
      { path = "/probe", allow = "read" }, { path = "/work/b//./cache", allow = "read", optional = true } } }
    assert.same({ "0", "EACCES" }, answers(policy, nil, "symlink=/work/b/cache", "read=/work/a/x"))
    os.remove(work .. "/b/cache")
    assert(cella.sys.symlink("/work/a", work .. "/b/cache"))
    local result, err = start(policy, nil, "read=/work/a/x")
    assert.is_nil(result)
    assert.equal("landlock_add_path ELOOP", err.op .. " " .. err.code)
    assert.truthy(tostring(err):find("lets programs make links", 1, true), tostring(err))
    -- The control: where no rule lets anybody make a link, one is followed.
    policy.files[1].allow = "read"
    assert.same({ "0" }, answers(policy, nil, "read=/work/a/x"))
  end)

  it_needs("is not led elsewhere by such a link that it comes to by another, which is followed", 1, function()
    assert(cella.sys.mkdir(work .. "/b/c", 493))
    trial.write(work .. "/b/c/y", "y")
    assert(cella.sys.symlink("b", work .. "/way"))
    assert(cella.sys.symlink("/./work//a/../way", work .. "/long"))
    assert(cella.sys.symlink("/work/a", work .. "/b/cache"))
    local policy = { restrict = { "read", "make_sym" }, files = { { path = "/work/b", allow = "make_sym" },
      { path = "/probe", allow = "read" }, { path = "", allow = "read" } } }
    for _, path in ipairs { "/work/way/cache", "/work/way/./cache/", "/work/long/cache" } do
      policy.files[3].path = path
      local result, err = start(policy, nil, "read=/work/a/x")
      assert.is_nil(result, path)
      assert.equal("landlock_add_path ELOOP", err.op .. " " .. err.code)
      assert.truthy(tostring(err):find("lets programs make links", 1, true), tostring(err))
    end
    -- The control: links that lie elsewhere.
    for _, path in ipairs { "/work/way/c", "/work/long/c//", "/work/long/./c/." } do
      policy.files[3].path = path
      assert.same({ "0", "EACCES" }, answers(policy, nil, "read=/work/b/c/y", "read=/work/a/x"), path)
    end
    policy.files[3].path = "/work/way/nothing"
    assert.equal("ENOENT", select(2, start(policy, nil, "read=/work/a/x")).code)
    policy.files[3].optional = true
    assert.same({ "EACCES" }, answers(policy, nil, "read=/work/a/x"))
    policy.files[3].path = "/proc/self/root"
    assert.equal("ELOOP", select(2, start(policy, nil, "read=/work/a/x")).code)
  end)

  it_needs("is not started where a path of a rule is not there", 1, function()
    local function refused(rule, code, words)
      local files = { { path = "/probe", allow = "read" }, rule }
      local result, err = start({ restrict = { "read", "make_reg" }, files = files }, nil, "list=/")
      assert.is_nil(result)
      assert.equal("landlock_add_path " .. code, err.op .. " " .. tostring(err.code))
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
    end
    refused({ path = "/work/nothing", allow = "read" }, "ENOENT", "`optional = true`")
    refused({ path = "/work/file/x", allow = "read" }, "ENOTDIR", "no directory")
    refused({ path = "/work/file/x", allow = "read", optional = true }, "ENOTDIR", "no directory")
    refused({ path = "/proc/self/root", allow = "read" }, "ELOOP", "links")
    refused({ path = "/proc/self/fd/0", allow = "read" }, "ELOOP", "links")
    refused({ path = "/work/file", allow = "read_dir" }, "EINVAL", "rights to directories alone: read_dir")
    refused({ path = "/work/file", allow = "make" }, "ENOMSG", "rights to directories")
    assert(cella.sys.symlink("loop", work .. "/loop"))
    refused({ path = "/work/loop", allow = "read" }, "ELOOP", "links")
    local with = { { path = { "/work/a", "/probe" }, allow = "read" },
      { path = "/work/nothing", allow = "read", optional = true } }
    assert.same({ "EACCES", "0" }, answers({ restrict = "read", files = with }, nil, "list=/work", "list=/work/a"))
  end)

  it_needs("may have a thousand rules, and holds no descriptor of them #slow", 1, function()
    local paths = {}
    for i = 1, 1000 do paths[i] = ("/work/%d"):format(i) end
    paths[1001] = "/probe"
    trial.sh(("cd %s && seq 1000 | xargs mkdir"):format(work))
    local policy = { restrict = "read", files = { { path = paths, allow = "read" } } }
    assert.same({ "0", "0", "EACCES", "0" }, answers(policy, { rlimits = { nofile = 16 } }, "list=/work/1",
      "list=/work/1000", "list=/work/a", "descriptors"))
  end)

  it_needs("has the ports that rules allow", 4, function()
    local policy = { tcp = { bind = { 8081 }, connect = { 8082 } } }
    local words = { "bind=8081", "bind=8082", "connect=8082", "connect=8081", "udp_bind=8082" }
    assert.same({ "0", "EACCES", "ECONNREFUSED", "EACCES", "0" }, answers(policy, nil, unpack(words)))
    assert.same({ "0", "0", "ECONNREFUSED", "ECONNREFUSED", "0" }, answers(nil, nil, unpack(words)))
    assert.same({ "EACCES", "ECONNREFUSED" }, answers({ tcp = { connect = "any" } }, nil, "bind=8081", "connect=8081"))
    -- Files are not what this is about.
    assert.same({ "0" }, answers(policy, nil, "read=/etc/passwd"))
  end)

  it_needs("has no other way to TCP, by the filter; without one such rules are refused", 4, function()
    local rules, asked = { tcp = {} }, { "connect=9", "fast_open=9", "multipath_bind=0" }
    for _, said in ipairs { "default", "nesting", { default = "allow" } } do
      assert.same({ "EACCES", "EOPNOTSUPP", "EPROTONOSUPPORT" }, answers(rules, { seccomp = said }, unpack(asked)))
    end
    assert.same({ "EACCES", "EOPNOTSUPP", "EPROTONOSUPPORT" }, answers(rules, { namespaces = "host" }, unpack(asked)))
    -- The control: nobody listens there, and the kernel asks no rule, or (some 6.12) of these ways of the one alone.
    local list, result = answers({ tcp = {}, at_least = 4 }, { seccomp = false }, unpack(asked))
    assert.equal("EACCES", list[1])
    assert.truthy(list[2] == "ECONNREFUSED" or list[2] == "EACCES", list[2])
    assert.not_equal("EACCES", list[3])
    assert.same({ "other ways to TCP" }, result.confinement.landlock.lacks)
    local none, err = start(rules, { seccomp = false }, unpack(asked))
    assert.is_nil(none)
    assert.matches("tcp: without a filter that refuses MPTCP and TCP Fast Open", tostring(err))
    -- Rules about something else need no filter.
    assert.same({ "ECONNREFUSED" }, answers({ scopes = { "signal" }, at_least = 0 }, { seccomp = false }, "connect=9"))
  end)

  it("has the ports of UDP that rules allow, where the kernel knows of them", needs("user_namespaces", function()
    -- Who sends has a port of his own, which the kernel chooses: 0.
    local policy = { udp = { bind = { 0, 8081 }, connect = { 8082 } } }
    if abi and abi >= 10 then
      assert.same({ "0", "EACCES", "0", "EACCES" }, answers(policy, nil, "udp_bind=8081", "udp_bind=8082",
        "udp_connect=8082", "udp_connect=8083"))
    else
      local result, err = start(policy, nil, "udp_bind=8081")
      assert.is_nil(result)
      assert.truthy(tostring(err):find("bind_udp (ABI 10, Linux 7.2)", 1, true), tostring(err))
    end
  end))

  -- A process of ours that listens, outside of all rules but of this user.
  local function server(verb)
    local said
    local process = trial.hold(cella.container { namespaces = "host" }:spawn { directory .. "/rules", verb,
      stdout = function(line) said = line end })
    while not said do assert.is_nil((process:wait(0.01)), "it has ended") end
    assert.equal("0", said)
    return process
  end

  it("is refused signals and abstract sockets of others", needs("user_namespaces", function()
    if not abi or abi < 6 then return pending "needs Landlock's ABI 6" end
    local name = ("cella-spec-%d"):format(cella.sys.getpid())
    local process = server("serve=" .. name)
    local words = { "signal=" .. process.pid, "abstract=" .. name, "own_signal" }
    local host = { namespaces = "host" }
    assert.same({ "0", "0", "0" }, answers(nil, host, unpack(words)))
    assert.same({ "EPERM", "EPERM", "0" }, answers({ scopes = { "signal", "abstract_unix_socket" } }, host,
      unpack(words)))
    assert.same({ "EPERM", "0", "0" }, answers({ scopes = { "signal" } }, host, unpack(words)))
    trial.release()
  end))

  it("is refused sockets of others that have a path", needs("user_namespaces", function()
    local policy = { restrict = "resolve_unix", files = { { path = work .. "/a", allow = "resolve_unix" } } }
    local host, one, other = { namespaces = "host" }, work .. "/a/socket", work .. "/b/socket"
    server("serve=" .. one)
    server("serve=" .. other)
    assert.same({ "0", "0" }, answers(nil, host, "unix=" .. one, "unix=" .. other))
    if abi and abi >= 9 then
      assert.same({ "0", "EACCES" }, answers(policy, host, "unix=" .. one, "unix=" .. other))
    else
      local result, err = start(policy, host, "unix=" .. one)
      assert.is_nil(result)
      assert.truthy(tostring(err):find("resolve_unix (ABI 9, Linux 7.1)", 1, true), tostring(err))
    end
    trial.release()
  end))

  local READ_WORK = { restrict = "read", files = { { path = { "/work/a", "/probe" }, allow = "read" } } }

  it_needs("is not started where what the rules refuse can be done", 4, function()
    -- A rule of the root, by another name.
    assert(cella.sys.symlink("/", work .. "/root"))
    local result, err = start({ restrict = "read", files = { { path = "/work/root", allow = "read" } } }, nil, "list=/")
    assert.is_nil(result)
    assert.equal("expect_landlock ENOTRECOVERABLE", err.op .. " " .. err.code)
    -- Without rules, tried by itself.
    for _, trials in ipairs { { "read_dir" }, { "bind_tcp" }, { "connect_tcp" } } do
      local ok, _, errno = cella.sys.expect_landlock(trials, 65535)
      assert.is_nil(ok)
      assert.equal("ENOTRECOVERABLE", require("cella.core").errno_name(errno))
    end
    local text = tostring(box({ tcp = { bind = 65535 } }):plan { "true" })
    assert.truthy(text:find('expect_landlock({"bind_tcp", "connect_tcp"}, 65534)', 1, true), text)
    assert.truthy(text:find "init.*close_others.*landlock_create_ruleset.*expect_landlock.*execve", text)
  end)

  it_needs("needs no_new_privs or sys_admin, which is said before anything happens", 1, function()
    local message = trial.raised(cella.container, { landlock = READ_WORK, no_new_privs = false })
    assert.truthy(message:find("landlock: without no_new_privs", 1, true), message)
    assert.same({ "EACCES", "0" }, answers(READ_WORK, { no_new_privs = false, capabilities = { "sys_admin" } },
      "list=/work", "list=/work/a"))
    message = trial.raised(function()
      box({ files = { { path = "/", allow = "read" } }, restrict = { "read", "execute" } }):run { "true" }
    end)
    assert.truthy(message:find("landlock: no rule of `files` allows `execute`", 1, true), message)
  end)

  it_needs("is a function too, and what a pool starts", 1, function()
    local function look()
      local names = {}
      for _, path in ipairs { "/work/a/x", "/work/file" } do
        local file = io.open(path)
        if file then
          file:close()
          names[#names + 1] = path
        end
      end
      return unpack(names)
    end
    local result = assert(box(READ_WORK):run(look))
    assert.same({ n = 1, "/work/a/x" }, result.values)
    assert.same({ n = 2, "/work/a/x", "/work/file" }, assert(box():run(look)).values)
    local pool = trial.hold(assert(cella.pool { box(READ_WORK), size = 1 }))
    result = assert(pool:run { "/probe/rules", "list=/work", "list=/work/a", stdout = "capture" })
    assert.equal("EACCES\n0\n", result.stdout)
    trial.release()
  end)

  it_needs("is who enters, by its handle, and more where he says so", 1, function()
    local said
    local process = trial.hold(box(READ_WORK):spawn { "/probe/rules", "serve=x",
      stdout = function(line) said = line end })
    while not said do assert.is_nil((process:wait(0.01)), "it has ended") end
    local function entered(keys, ...)
      keys.process = process
      local entrance = trial.hold(assert(cella.enter(keys)))
      local result, err = entrance:run { "/probe/rules", stdout = "capture", ... }
      return result and result.stdout, err
    end
    assert.equal("EACCES\n0\n0\n", entered({}, "list=/work", "list=/work/a", "write=/work/file"))
    assert.equal("EACCES\n0\nEACCES\n", entered({ landlock = { restrict = "write_file", files = {} } },
      "list=/work", "list=/work/a", "write=/work/file"))
    assert.equal("0\n0\n", entered({ exceed = { "landlock" } }, "list=/work", "list=/work/a"))
    local none, err = entered({ landlock = false }, "list=/work")
    assert.is_nil(none)
    assert.truthy(tostring(err):find('exceed = { "landlock" }', 1, true), tostring(err))
    trial.release()
  end)

  describe("on an older host", function()
    local asked

    before_each(function() asked = landlock.abi end)
    after_each(function() landlock.abi = asked end)

    it_needs("is refused what is not there, or has the rest and says so", 2, function()
      landlock.abi = function() return 1 end
      local policy = { files = { { path = "/", allow = { "read", "execute" } } }, tcp = {} }
      local result, err = start(policy, nil, "list=/")
      assert.is_nil(result)
      assert.truthy(tostring(err):find("ABI 1, which lacks refer (ABI 2, Linux 5.19)", 1, true), tostring(err))
      policy.at_least = 1
      local list
      list, result = answers(policy, nil, "list=/", "write=/work/file", "truncate=/work/file", "bind=8081")
      assert.same({ "0", "EACCES", "0", "0" }, list)
      assert.same({ "refer", "truncate", "ioctl_dev", "bind_tcp", "connect_tcp" }, result.confinement.landlock.lacks)
      assert.equal(1, result.confinement.landlock.abi)
      assert.truthy(tostring(result.confinement):find("of which ABI 1 lacks refer, truncate", 1, true))
    end)

    -- One whose calls do not exist: a filter says so, around all that starts containers there.
    it_needs("without any Landlock is refused by name", 1, function()
      local refused, lacks, code = outside.lua [[
        local cella = require "cella"
        local filter = cella.seccomp.policy { default = "allow", errno = { ENOSYS = { "landlock_create_ruleset",
          "landlock_add_rule", "landlock_restrict_self" } } }
        assert(cella.sys.no_new_privs())
        assert(cella.sys.seccomp(filter:filter()))
        local function run(at_least)
          return cella.container { landlock = { files = { { path = "/", allow = "execute" } }, at_least = at_least } }
            :run { "true" }
        end
        local _, err = run()
        local result = assert(run(0))
        return tostring(err), #result.confinement.landlock.lacks, result.code
      ]]
      assert.truthy(refused:find("landlock: there is none here, and execute (ABI 1, Linux 5.13)", 1, true), refused)
      assert.truthy(refused:find("a seccomp filter hides it", 1, true), refused)
      assert.equal(16, lacks)
      assert.equal(0, code)
    end)
  end)
end)
