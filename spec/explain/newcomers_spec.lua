-- What people write who are new to this, or come from other programs: each is refused at their line, with the path of
-- the key and the right form; and the right form is taken.

local able = require "spec.support.able"
local cella = require "cella"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

-- What f raises, which has to be at the line where f is written.
local function refused(f)
  local info = debug.getinfo(f, "S")
  local ok, raised = pcall(f)
  assert.is_false(ok, "was taken")
  local place = ("%s:%d: "):format(info.short_src, info.linedefined)
  assert.equal(place, tostring(raised):sub(1, #place), tostring(raised))
  return tostring(raised):sub(#place + 1)
end

describe("a newcomer is told", function()
  local LIST = 'mounts: a list of mounts expected, { { type = "bind", source = "/src", destination = "/src" } }, '

  -- { what is written, the message, what is meant }
  local TABLES = {
    ["a key of the command in the container"] = { { timeout = 5 },
      'timeout: unknown key; it is a key of the command: box:run { "program", timeout = ... }, or `command` of the '
      .. "container", { command = { "true", timeout = 5 } } },
    ["the program as an item of the container"] = { { "ls" },
      '[1]: unknown key; the program is named by `command = { "program", ... }`, or given to box:run {',
      { command = { "ls" } } },
    ["another's word for the environment"] = { { env = { A = 1 } }, "env: unknown key; here it is called `environment`",
      { environment = { A = 1 } } },
    ["another's word for the working directory"] = { { workdir = "/" }, "workdir: unknown key; here it is called `cwd`",
      { cwd = "/" } },
    ["another's word for mounts"] = { { volumes = {} }, "volumes: unknown key; here it is called `mounts`",
      { mounts = {} } },
    ["a namespace in the container"] = { { net = "host" },
      "net: unknown key; `network = \"host\"` is the caller's network",
      { namespaces = { net = "host" } } },
    ["another namespace in the container"] = { { mnt = "host" },
      "mnt: unknown key; it is a key of `namespaces`: namespaces = { mount = \"host\" }",
      { namespaces = { mount = "host" } } },
    ["an ID in the container"] = { { uid = 0 }, "uid: unknown key; it is a key of `user`: user = { uid = ... }",
      { user = { uid = 0 } } },
    ["a limit of a cgroup in the container"] = { { memory = "64M" },
      "memory: unknown key; limits for all of it are keys of `cgroup`: cgroup = { memory = ... }",
      { cgroup = { memory = "64M" } } },
    ["namespaces as a list"] = { { namespaces = { "net" } },
      "namespaces[1]: unknown key; the kinds are keys: { net = \"host\" }; all but `time` are new", {} },
    ["a namespace by a longer name"] = { { namespaces = { network = "host" } },
      "namespaces.network: unknown key; here it is called `net`", { namespaces = { net = "host" } } },
    ["mounts as a map"] = { { mounts = { ["/src"] = "/src" } },
      LIST .. 'got a table with the key "/src"',
      { mounts = { { type = "bind", source = "/src", destination = "/src" } } } },
    ["one mount as mounts"] = { { mounts = { type = "tmpfs", destination = "/x" } },
      LIST .. 'got a table with the key "destination"', { mounts = { { type = "tmpfs", destination = "/x" } } } },
    ["a mount as text"] = { { mounts = { "/src:/src:ro" } },
      'mounts[1]: { type = "bind", source = "/src", destination = "/src" }, or one of another type expected, got the '
      .. 'string "/src:/src:ro"', { mounts = { { type = "bind", source = "/src", destination = "/src" } } } },
    ["a mount without a type"] = { { mounts = { { source = "/src", destination = "/src" } } },
      "mounts[1].type: missing; it is one of bind, cgroup2,", {} },
    ["the target of a mount"] = { { mounts = { { type = "bind", source = "/src", target = "/src" } } },
      "mounts[1].target: unknown key; here it is called `destination`", {} },
    ["the options of a mount"] =
      { { mounts = { { type = "bind", source = "/src", destination = "/src", options = { "ro" } } } },
        "mounts[1].options: unknown key; each flag is a key: readonly = true", {} },
    ["a root that is to be read-only"] = { { root = { path = "/srv", ro = true } },
      "root.ro: unknown key; here it is called `readonly`", { root = { path = "/srv", readonly = true } } },
    ["a limit by the kernel's name"] = { { rlimits = { RLIMIT_NOFILE = 5 } }, "did you mean 'nofile'?",
      { rlimits = { nofile = 5 } } },
    ["limits as a list"] = { { rlimits = { { type = "nofile", soft = 1, hard = 1 } } },
      "rlimits[1]: the limits are keys, { nofile = 256 }", { rlimits = { nofile = { soft = 1, hard = 1 } } } },
    ["a user by name"] = { { user = "nobody" }, 'user: { uid = N, gid = N } expected, got the string "nobody"', {} },
    ["a uid by name"] = { { user = { uid = "www-data" } },
      "user.uid: a number expected, as `id -u NAME` or `id -g NAME` " .. 'prints it, got the string "www-data"',
      { user = { uid = 33 } } },
    ["a list of variables"] = { { environment = { "A=B" } },
      'environment[1]: the names of variables are keys, { A = "B" }, got the string "A=B"',
      { environment = { A = "B" } } },
    ["a command that is a line"] = { { command = "ls -l" },
      'command: a table of the program and its arguments expected, { "ls", "-l" }, ' ..
      'or { "sh", "-c", LINE } for a shell; got the string "ls -l"',
      { command = { "ls", "-l" } } },
    ["a policy that is not called"] = { { ids = policy.subids },
      "ids: policy.subids has to be called, to make a policy: policy.subids()", { ids = policy.subids() } },
    ["text as standard input"] = { { command = { "cat", stdin = "text" } },
      'command.stdin: the string "text" is not one of inherit, null, pipe; ' ..
      'text is { content = "..." }, a file { path = "..." }',
      { command = { "cat", stdin = { content = "text" } } } },
    ["a path as standard output"] = { { command = { "ls", stdout = "/x" } },
      'command.stdout: the string "/x" is not one of inherit, null, capture; a file is { path = "..." }',
      { command = { "ls", stdout = { path = "/x" } } } },
    ["a standard output that is switched on"] = { { command = { "ls", stdout = true } }, 'command.stdout: "inherit", '
      .. '"null", "capture", a descriptor, a file, { path = ... } or a function expected, got true',
      { command = { "ls", stdout = "capture" } } },
    ["a number that is a float"] = { { rlimits = { fsize = 64 * 1024 ^ 2 } },
      "rlimits.fsize: an integer from 0 to 2^53", { rlimits = { fsize = 64 * 1024 * 1024 } } },
    ["a key of the container in the command"] = { { command = { "ls", mounts = {} } },
      "command.mounts: unknown key; it is a key of the container: cella.container { mounts = ... }", { mounts = {} } },
    ["arguments under a key"] = { { command = { cmd = "ls" } },
      'command.cmd: unknown key; the program and its arguments are the items of the table: { "ls", "-l" }',
      { command = { "ls" } } },
  }

  if not portable.integers then TABLES["a number that is a float"] = nil end
  for what, case in pairs(TABLES) do
    it("of " .. what, function()
      local message = refused(function() return cella.container(case[1]), nil end)
      assert.matches(case[2], message, 1, true)
      assert.is_table(cella.container(case[3]))
    end)
  end

  it("of short words only what is like them", function()
    assert.is_nil(refused(function() return cella.container { gdi = 1 }, nil end):find "did you mean")
    assert.matches("did you mean 'ids'?", refused(function() return cella.container { idz = 1 }, nil end), 1, true)
  end)

  it("that a method has a colon", needs("user_namespaces", function()
    local box = cella.container {}
    for _, name in ipairs { "run", "spawn", "plan" } do
      assert.matches("box: a container expected before the command: box:run { ... } has a colon, not a dot",
        refused(function() return box[name] { "true" }, nil end), 1, true)
      assert.matches("has a colon", refused(function() return box[name](), nil end))
    end
    local process = assert(box:spawn { "true" })
    for _, name in ipairs { "wait", "kill", "terminate", "write", "feed" } do
      assert.matches("process: a process expected, got ", refused(function() return process[name](5), nil end), 1, true)
    end
    assert.equal("exited", assert(process:wait()).reason)
  end))

  it("that keys go into the table of the command", function()
    local box = cella.container {}
    for _, arguments in ipairs { { { "true" }, { timeout = 5 } }, { nil, { timeout = 5 } }, { "echo", "x" } } do
      assert.matches("argument 2: only a function takes more of them, and the keys of a command are in its table: ",
        refused(function() return box:run(arguments[1], arguments[2]), nil end), 1, true)
    end
  end)

  it("that processes are waited for in a list", needs("user_namespaces", function()
    local process = assert(cella.container({}):spawn { "true" })
    local message = "processes: a list of processes expected, cella.wait { process, other }; for one there is "
      .. "process:wait()"
    assert.equal(message, refused(function() return cella.wait(process), nil end))
    assert.equal(message, refused(function() return cella.wait({ process }, process), nil end))
    assert.equal(process, assert(cella.wait { process })[1])
    process:wait()
  end))

  it("what a signal is called", needs("user_namespaces", function()
    local process = assert(cella.container({}):spawn { "sleep", "60" })
    for _, name in ipairs { "SIGTERM", "TERM", "sigterm", "Term" } do
      assert.equal(("signal: unknown signal %q; did you mean 'term'?"):format(name),
        refused(function() return process:kill(name), nil end))
    end
    assert(process:kill "term")
    assert.equal("term", process:wait().signal)
  end))

  it("which IDs there are, and by what", needs("user_namespaces", function()
    local box = cella.container { user = { uid = 4294000000 } }
    local message = refused(function() return box:plan { "true" }, nil end)
    assert.matches("^user.uid: 4294000000 is not in the map\n *0 %d+ %d+\n  the key `ids` says which there are: ids = "
      .. "policy.available%(%) gives the most that the caller can, ids = policy.exactly { 0, 4294000000 } these$",
      message)
  end))

  it("that a line is no program", needs("user_namespaces", function()
    local box = cella.container {}
    local _, err = box:run { "ls -l" }
    assert.equal("ENOENT", err.code)
    assert.equal("there is no such program in the container: the first item is the program alone, and arguments are "
      .. 'items of their own, { "ls", ... }; a line for a shell is { "sh", "-c", "ls -l" }', err.why)
    _, err = box:run { "no-such-program" }
    assert.is_nil(err.why:find("the first item", 1, true))
  end))

  it("that a root is a directory", needs("user_namespaces", function()
    local directory = trial.directory()
    local path = trial.write(directory .. "/file", "")
    local _, err = cella.container({ root = path }):plan { "true" }
    trial.sh("ln -s / " .. directory .. "/link")
    local there, problem = cella.container({ root = directory .. "/link" }):plan { "true" }
    trial.remove_directory(directory)
    assert.same({ "root", "ENOTDIR", "this is a file, and no directory", path },
      { err.op, err.code, err.message, err.path })
    assert.matches("an image that is unpacked", err.why, 1, true)
    assert.is_truthy(there, tostring(problem))
  end))
end)
