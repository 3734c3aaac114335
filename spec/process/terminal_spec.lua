-- A terminal of the program's own: the key `terminal` of a command, and what the caller does with the other end.

local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

local DEV = { type = "dev", destination = "/dev" }
local ENDLESS = "while :; do sleep 0.01; done"

-- The two kinds of root: with the host's terminals, and with its own.
local ROOTS = {
  ["the host's root"] = {},
  ["a root of parts"] = { root = {
    { type = "bind", source = "/usr", destination = "/usr", readonly = true },
    { type = "symlink", target = "usr/bin", destination = "/bin" },
    { type = "symlink", target = "usr/lib", destination = "/lib" },
    { type = "symlink", target = "usr/lib64", destination = "/lib64" },
    { type = "directory", destination = "/tmp" },
    DEV,
  } },
}

local function without_dev()
  local parts = {}
  for i = 1, 5 do parts[i] = ROOTS["a root of parts"].root[i] end
  return parts
end

-- A shell script at a terminal whose output is captured.
local function at_terminal(text, keys)
  local command = { "/bin/sh", "-c", text, terminal = true, stdout = "capture", timeout = 30 }
  for key, value in pairs(keys or {}) do command[key] = value end
  return command
end

local function screen_of(description, text, keys)
  local result, err = cella.container(description):run(at_terminal(text, keys))
  if not result then error(tostring(err), 2) end
  return (result.stdout:gsub("\r\n", "\n")), result
end

-- Starts a script at a terminal that is read from here. Returns the process, and a function that waits until a text has
-- come out.
local function started(description, text, keys)
  local command = at_terminal(text, keys)
  command.stdout = nil
  local process = assert(cella.container(description):spawn(command))
  local screen = ""
  local function comes(wanted)
    local ok = pcall(trial.wait_for, function()
      process:wait(0.01) -- what there was no room for is typed
      screen = screen .. (process.pty.master:read() or "")
      return screen:find(wanted, 1, true)
    end, wanted)
    if not ok then error(("%s does not come in\n%s"):format(wanted, screen), 2) end
    return screen
  end
  return process, comes
end

describe("`terminal`", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own)
    directory = own
    trial.sh("chmod 777 " .. directory) -- also for the IDs of containers
  end)

  for name, description in pairs(ROOTS) do
    describe("in " .. name, function()
      it("is a terminal, the controlling one of the program's session, and has a name", function()
        local screen, result = screen_of(description,
          "test -t 0 && test -t 1 && test -t 2 && (: <>/dev/tty) && tty && test -c $(tty); exit $?")
        assert.truthy(screen:find "^/dev/pts/%d+\n$", screen)
        assert.equal(0, result.code)
        -- Without the key there is none.
        local said = trial.word(description, "(: <>/dev/tty) 2>/dev/null && echo there is || echo there is not")
        assert.equal("there is not", said)
      end)

      it("has the size that it is given, or 24 by 80", function()
        assert.equal("30 100\n", (screen_of(description, "stty size", { terminal = { rows = 30, columns = 100 } })))
        assert.equal("30 80\n", (screen_of(description, "stty size", { terminal = { rows = 30 } })))
        assert.equal("24 80\n", (screen_of(description, "stty size")))
      end)

      it("takes another size, of which the program learns", function()
        local process, comes = started(description, "trap 'stty size; exit 4' WINCH; echo ready; " .. ENDLESS)
        comes "ready"
        assert.is_true(process:resize(51, 132))
        comes "51 132"
        assert.equal(4, assert(process:wait()).code)
        process:close()
      end)

      it("makes a signal of Ctrl-C, for the foreground alone", function()
        local process, comes = started(description,
          "trap 'exit 9' USR1; trap : INT; echo ready; sh -c 'echo inner; exec sleep 1000'; echo survived $?; exit 3")
        comes "inner"
        -- The sleep may not have begun: the terminal holds what is typed, and the kernel sends the signal once.
        assert.is_true(process:write "\3")
        comes "survived 130"
        assert.equal(3, assert(process:wait()).code)
        process:close()
      end)

      it("passes on what is typed, and an end of file", function()
        local process, comes = started(description, "while read line; do echo got $line; done; echo end; exit 6")
        process:write "hello\n"
        comes "got hello"
        process:write "\4"
        comes "end"
        assert.equal(6, assert(process:wait()).code)
        process:close()
      end)

      it("loses nothing of what is written, up to the last byte", function()
        local screen, result = screen_of(description, "stty -opost; seq 1 100000; printf last; exit 5")
        assert.equal(5, result.code)
        assert.equal(588895 + 4, #screen)
        assert.truthy(screen:find "\n100000\nlast$")
        assert.is_nil(result.truncated)
        -- A program that does not wait for its reader either.
        screen = screen_of(description, "stty -opost; seq 1 800")
        assert.truthy(screen:find "\n800\n$")
      end)

      it("loses nothing of what is typed, however slowly it is read", function()
        local process, comes = started(description,
          "stty raw -echo; echo ready; sleep 0.05; head -c 300000 | md5sum; exit 2")
        comes "ready"
        local text = ("0123456789abcdefghijklmnopqrst"):rep(10000)
        process:write(text:sub(1, 100))
        process:write(text:sub(101))
        comes(trial.sh("printf '0123456789abcdefghijklmnopqrst%.0s' $(seq 10000) | md5sum"):match "^%x+")
        assert.equal(2, assert(process:wait()).code)
        process:close()
      end)

      it("hangs up when the caller does: the program gets SIGHUP", function()
        local process, comes = started(description, "trap 'exit 8' HUP; echo ready; " .. ENDLESS)
        comes "ready"
        process:hang_up()
        assert.is_nil(process.terminal)
        assert.equal(8, assert(process:wait()).code)
        assert.equal("EIO", select(2, process:write "x").code)
        assert.equal("EIO", select(2, process:resize(5, 5)).code)
        process:close()
      end)

      it("keeps what comes after the program has closed all that it had of it", function()
        local screen = screen_of(description, "exec <&- >&- 2>&-; echo later > /dev/tty")
        assert.equal("later\n", screen)
      end)

      it("has job control", function()
        local process, comes = started(description, [[
          set -m
          sh -c 'echo first; kill -STOP $$; echo second'
          echo shell; jobs
          fg
          exit 7
        ]])
        comes "shell"
        comes "Stopped"
        comes "second"
        assert.equal(7, assert(process:wait()).code)
        process:close()
      end)

      it("is the program's, and nobody else's", function()
        local ids, reason = trial.several_ids()
        if not ids then return pending(reason) end
        local copy = { ids = ids, user = { uid = 33, gid = 34 } }
        for key, value in pairs(description) do copy[key] = value end
        local screen = screen_of(copy, "tty; stat -c '%u %A' $(tty); id -u")
        -- Its group may write to it where that is `tty`: see the mount options of devpts.
        assert.truthy(screen:find "^/dev/pts/%d+\n33 crw%-%-[-w]%-%-%-%-\n33\n$", screen)
      end)

      it("leaves out the streams that the command leads elsewhere", function()
        local screen, result = screen_of(description,
          "test -t 0 || echo 0 is not; test -t 1 && echo 1 is; test -t 2 || echo 2 is not; echo error >&2",
          { stdin = "null", stderr = "capture" })
        assert.equal("0 is not\n1 is\n2 is not\n", screen)
        assert.equal("error\n", result.stderr)

        local process = assert(cella.container(description):spawn(
          at_terminal("test -t 1 || echo 1 is not; test -t 2 || echo 2 is not >&2; stty size",
            { stdout = { path = directory .. "/out" }, stderr = "stdout" })))
        assert.equal(0, assert(process:wait()).code)
        process:close()
        assert.equal("1 is not\n2 is not\n24 80\n", trial.read(directory .. "/out"))
      end)
    end)
  end

  it("may be the container's own command's", function()
    local result = assert(cella.container({ command = at_terminal "test -t 0 && exit 3" }):run())
    assert.equal(3, result.code)
  end)

  it("works without an init, and in the host's pid namespace", function()
    for _, description in ipairs { { init = false }, { namespaces = { pid = "host" } } } do
      local screen, result = screen_of(description, "tty; exit 5")
      assert.truthy(screen:find "^/dev/pts/%d+\n$", screen)
      assert.equal(5, result.code)
    end
  end)

  it("works where the caller ignores SIGCHLD, in a copy of its memory, and in namespaces that it joins", function()
    local first, second, third = outside.lua([[
      local function screen(box)
        local result, err = box:run { "/bin/sh", "-c", "test -t 0 && (: <>/dev/tty) && stty size; exit 5",
          terminal = { rows = 7, columns = 8 }, stdout = "capture", timeout = 30 }
        return result and result.stdout .. result.code or tostring(err)
      end
      local holder = assert(cella.container({}):spawn { "sleep", "1000" })
      local function ns(name) return ("/proc/%d/ns/%s"):format(holder.pid, name) end
      local joined = screen(cella.container { init = false, user = { uid = 0, gid = 0 }, namespaces = {
        user = ns "user", pid = ns "pid", mount = ns "mnt" } })
      local copied = screen(cella.container { namespaces = { time = { monotonic = 1000 } } })
      holder:close()
      local ignored = screen(cella.container {})
      return joined, copied, ignored
    ]], { prefix = "env --ignore-signal=CHLD" })
    assert.equal("7 8\r\n5", first)
    assert.equal("7 8\r\n5", second)
    assert.equal("7 8\r\n5", third)
  end)

  it("is taken with `false` for no word about it", function()
    local result = assert(cella.container({}):run(at_terminal("test -t 1; echo $?", { terminal = false })))
    assert.equal("1\n", result.stdout)
  end)

  it("can be made in the host's /dev/pts, for containers without one", function()
    local screen = screen_of({ root = without_dev() }, "test -t 0 && test -t 1 && test -t 2 && stty size",
      { terminal = { from = "host", rows = 3, columns = 4 } })
    assert.equal("3 4\n", screen)
  end)

  it("is out of the way of the program's other descriptors", function()
    for _, where in ipairs { "container", "host" } do
      local file = assert(io.open(trial.write(directory .. "/data", "data\n")))
      local fds = {}
      for number = 3, 9 do fds[number] = core.fileno(file) end
      fds[200] = core.fileno(file)
      local screen = screen_of({},
        "ls /proc/self/fd | sort -n | tr '\\n' ' '; cat /proc/self/fd/200; test -t 0 && echo it is",
        { fds = fds, terminal = { from = where } })
      file:close()
      -- 10 is that of ls.
      assert.truthy(screen:find "^0 1 2 3 4 5 6 7 8 9 10 200 data\nit is\n$", screen)
    end
  end)

  it("works where the caller has closed its own streams", function()
    local script = ([[
      local cella = require "cella"
      for _, where in ipairs { "container", "host" } do
        local result, err = cella.container({}):run { "/bin/sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty",
          terminal = { from = where }, stdout = "capture", timeout = 30 }
        local file = io.open(%q .. "/" .. where, "w")
        file:write(tostring(result and result.stdout or err))
        file:close()
      end
    ]]):format(directory)
    trial.write(directory .. "/script.lua", script)
    trial.sh(("%s %s/script.lua <&- >&- 2>&-"):format(trial.interpreter(), directory))
    for _, where in ipairs { "container", "host" } do
      local said = trial.read(directory .. "/" .. where)
      -- One of the host's has no name in the container's own /dev, which each tty(1) says in words of its own.
      local is_name = said and said:find "^/dev/pts/%d+\r\n$" ~= nil
      assert.equal(where == "container", is_name, said)
      if where == "host" then assert.truthy(said:find "tty", said) end
    end
  end)

  it("hangs up when the caller dies", function()
    trial.write(directory .. "/script.lua", ([[
      local cella = require "cella"
      local text = "trap 'echo hup > %s/hup; exit' HUP; echo $$ > %s/ready; while :; do sleep 0.01; done"
      local process = assert(cella.container({
        die_with_parent = false,
        mounts = { { type = "bind", source = %q, destination = %q } },
      }):spawn { "/bin/sh", "-c", text, terminal = true })
      local file = assert(io.open("%s/pid", "w"))
      file:write(process.pid)
      file:close()
      process:wait()
    ]]):format(directory, directory, directory, directory, directory))
    local process = assert(cella.plan():exec({ "/bin/sh", "-c", "exec " .. trial.interpreter() .. " " .. directory
      .. "/script.lua", stdin = "null" }):spawn())
    trial.wait_for(function() return (trial.read(directory .. "/pid") or "") ~= "" end, "the start")
    trial.wait_for(function() return trial.read(directory .. "/ready") end, "the program")
    assert.is_nil(trial.read(directory .. "/hup"))
    process:kill "kill"
    assert(process:wait())
    local ok, err = pcall(trial.wait_for, function() return trial.read(directory .. "/hup") == "hup\n" end, "SIGHUP")
    if not ok then
      trial.sh("kill -9 " .. trial.read(directory .. "/pid"))
      error(err, 0)
    end
  end)

  describe("is refused", function()
    local function refused(description, keys)
      local marker = directory .. "/ran"
      local copy = { mounts = { { type = "bind", source = directory, destination = directory } } }
      for key, value in pairs(description) do copy[key] = value end
      local result, err = cella.container(copy):run(at_terminal("touch " .. marker, keys))
      assert.is_nil(result)
      assert.is_nil(trial.read(marker))
      return err
    end

    local function parts(...)
      local list = without_dev()
      for _, part in ipairs { ... } do list[#list + 1] = part end
      list[#list + 1] = { type = "directory", destination = directory }
      return list
    end

    it("where the container has no terminals, with what to add; the program does not run", function()
      local err = refused { root = parts() }
      assert.equal("openpt", err.op)
      assert.equal("ENOENT", err.code)
      assert.truthy(err.why:find('{ type = "dev", destination = "/dev" }', 1, true), err.why)
      -- A control: it would have run.
      assert(cella.container({ root = parts(DEV),
        mounts = { { type = "bind", source = directory, destination = directory } },
      }):run(at_terminal("touch " .. directory .. "/ran")))
      assert.equal("", trial.read(directory .. "/ran"))
    end)

    it("where something else bears the name", function()
      for words, part in pairs {
        ["a file"] = { type = "file", destination = "/dev/ptmx", content = "" },
        ["another device"] = { type = "bind", source = "/dev/null", destination = "/dev/ptmx", nodev = false },
      } do
        local err = refused { root = parts(part) }
        assert.equal("openpt", err.op, words)
        assert.equal("ENOTTY", err.code, words)
        assert.truthy(err.why:find("not the terminal multiplexer", 1, true), err.why)
      end
    end)

    it("where the name leads out by a magic link", function()
      local err = refused { root = parts({ type = "proc", destination = "/proc" },
        { type = "symlink", target = "/proc/self/fd/0", destination = "/dev/ptmx" }) }
      assert.equal("ELOOP", err.code)
    end)

    it("where /dev/ptmx may not be used, with the reason", function()
      local err = refused { root = parts { type = "bind", source = "/dev", destination = "/dev", readonly = true } }
      assert.equal("EACCES", err.code)
      assert.truthy(err.why:find("nodev", 1, true), err.why)
    end)

    it("without a session of the program's own", function()
      local message = trial.raised(function()
        cella.container({ new_session = false }):run(at_terminal "true")
      end)
      assert.truthy(message:find("command.terminal: ", 1, true), message)
      assert.truthy(message:find("new_session is false", 1, true), message)
    end)

    it("by `run` where nobody would read what comes out", function()
      for _, call in ipairs {
        function() cella.container({}):run { "true", terminal = true } end,
        function() cella.plan():setsid():exec({ "true", terminal = true }):run() end,
      } do
        local message = trial.raised(call)
        assert.truthy(message:find("command.stdout: ", 1, true), message)
        assert.truthy(message:find("terminal_spec", 1, true), message)
      end
    end)

    it("with values that it does not take, by their paths", function()
      for path, value in pairs {
        ["command.terminal:"] = "yes",
        ["command.terminal.rows: an integer from 1 to 65535"] = { rows = 0 },
        ["command.terminal.columns: an integer from 1 to 65535"] = { columns = 65536 },
        ["command.terminal.lines"] = { lines = 4 },
        ["command.terminal.like"] = { like = -1 },
        ["command.terminal.from"] = { from = "elsewhere" },
      } do
        local message = trial.raised(function() cella.container({}):run(at_terminal("true", { terminal = value })) end)
        assert.truthy(message:find(path, 1, true), message)
      end
    end)

    it("in a plan that has not begun a session, with what to do", function()
      -- What is started here is in our session.
      local result, err = cella.plan():exec({ "true", terminal = true, stdout = "capture" }):run()
      assert.is_nil(result)
      assert.equal("setctty", err.op)
      assert.equal("EPERM", err.code)
      assert.truthy(err.why:find("plan:setsid()", 1, true), err.why)
      assert.equal(0, assert(cella.plan():setsid():exec({ "true", terminal = true, stdout = "capture" }):run()).code)
    end)

    it("where `like` is no terminal", function()
      local file = assert(io.open "/dev/null")
      local result, err = cella.container({}):run(at_terminal("true", { terminal = { like = core.fileno(file) } }))
      file:close()
      assert.is_nil(result)
      assert.equal("copy_tty", err.op)
      assert.equal("ENOTTY", err.code)
    end)
  end)

  describe("of a process", function()
    it("is not there without the key: `write`, `resize` and `hang_up` raise", function()
      local process = assert(cella.container({}):spawn { "true" })
      for _, call in ipairs {
        function() process:write "x" end, function() process:resize(1, 1) end, function() process:hang_up() end,
      } do
        assert.truthy(trial.raised(call):find("terminal", 1, true))
      end
      assert.is_nil(process.terminal)
      process:close()
    end)

    it("takes sizes that the kernel has room for, and strings", function()
      local process = started({}, "sleep 1000")
      for _, case in ipairs { { 0, 1 }, { 1, 0 }, { 65536, 1 }, { 1, 65536 }, { "1", 1 }, { 1 }, { 1.5, 1 } } do
        local message = trial.raised(process.resize, process, case[1], case[2])
        assert.truthy(message:find("an integer from 1 to 65535", 1, true), message)
      end
      for _, value in ipairs { 5, true, {} } do
        assert.truthy(trial.raised(process.write, process, value):find("a string expected", 1, true))
      end
      process:close()
    end)

    it("is closed with it", function()
      local process = started({}, "sleep 1000")
      local number = process.terminal
      assert.is_true(core.is_open(number))
      process:close()
      assert.is_false(core.is_open(number))
    end)

    it("can be read to its end after the program's", function()
      local command = at_terminal "stty -opost; seq 1 400"
      command.stdout = nil
      local process = assert(cella.container({}):spawn(command))
      assert.equal(0, assert(process:wait()).code)
      local text = ""
      while true do
        local data = process.pty.master:read()
        if not data then break end
        assert.is_string(data)
        text = text .. data
      end
      assert.equal(1492, #text)
      process:close()
    end)
  end)

  describe("by hand:", function()
    local function by_hand(source, prefix) return outside.lua(source, { prefix = prefix }) end

    it("a pair is made and sized, on numbers of one's choice", function()
      local master, slave, tty, size, copied = by_hand [[
        local master = assert(sys.openpt("/dev/ptmx", 50))
        local slave = assert(sys.ptpeer(master, 70))
        assert(sys.tcsetwinsize(master, 65535, 11))
        local rows, columns = core.window_size(slave)
        local other = assert(sys.ptpeer(assert(sys.openpt "/dev/ptmx")))
        assert(sys.copy_tty(other, slave))
        return master, slave, core.isatty(slave), rows .. " " .. columns, (core.window_size(other))
      ]]
      assert.equal(50, master)
      assert.equal(70, slave)
      assert.is_true(tty)
      assert.equal("65535 11", size)
      assert.equal(65535, copied)
    end)

    it("what is none, and sizes beyond the kernel's, are refused", function()
      assert.same({ "ENOTTY", "ENOENT", "ELOOP", "ENOTTY", "ERANGE", "ERANGE", "ENOTTY", "ENOTTY" }, { by_hand [[
        local names = {}
        local function refused(ok, _, errno)
          assert(not ok)
          names[#names + 1] = core.errno_name(errno)
        end
        local null = assert(sys.openat2("/dev/null", "rdwr"))
        refused(sys.openpt "/dev/null")
        refused(sys.openpt "/nonexistent")
        refused(sys.openpt "/proc/self/fd/0")
        refused(sys.ptpeer(null))
        local master = assert(sys.openpt "/dev/ptmx")
        refused(sys.tcsetwinsize(master, 65536, 1))
        refused(sys.tcsetwinsize(master, 1, 4294967296 % 2147483648 + 65536))
        refused(sys.copy_tty(master, null))
        refused(sys.setctty(null))
        return unpack(names)
      ]] })
    end)

    it("it becomes the controlling terminal of a new session, which has but one", function()
      local set, again, other = by_hand([[
        assert(sys.setsid())
        local slave = assert(sys.ptpeer(assert(sys.openpt "/dev/ptmx")))
        local second = assert(sys.ptpeer(assert(sys.openpt "/dev/ptmx")))
        local set = sys.setctty(slave)
        local _, _, again = sys.setctty(second)
        local tty = io.open "/dev/tty"
        return set, core.errno_name(again), tty ~= nil
      ]], "setsid --fork --wait sh -c '\"$@\"; exit $?' -")
      assert.is_true(set)
      assert.equal("EPERM", again)
      assert.is_true(other)
    end)
  end)

  describe("and descriptors that run out: #slow", function()
    it("the program runs, or there is an error, never both", function()
      local problems, worked, failed = outside.lua(([[
        local directory = %q
        local function open()
          local count = 0
          for number = 0, 200 do count = count + (core.is_open(number) and 1 or 0) end
          return count
        end
        cella.container({}):run { "true" }
        local box = cella.container { mounts = { { type = "bind", source = directory, destination = directory } } }
        local problems, worked, failed = {}, 0, 0
        local _, hard = sys.getrlimit "nofile"
        local before = open()
        for limit = 60, 5, -1 do
          local marker = directory .. "/ran"
          os.remove(marker)
          assert(sys.setrlimit("nofile", limit, hard))
          local ok, result = pcall(box.run, box, { "/bin/sh", "-c", "echo > " .. marker, terminal = true,
            stdout = "capture", timeout = 30 })
          assert(sys.setrlimit("nofile", hard, hard))
          local file = io.open(marker)
          if file then file:close() end
          local ran = file ~= nil
          result = ok and result
          if result then worked = worked + 1 else failed = failed + 1 end
          if ran ~= (result and result.code == 0 or false) then
            problems[#problems + 1] = ("%%d descriptors: ran %%s, result %%s"):format(limit, tostring(ran),
              tostring(result))
          end
          portable.collect()
          if open() ~= before then problems[#problems + 1] = limit .. ": descriptors left" end
        end
        return table.concat(problems, "\n"), worked, failed
      ]]):format(directory))
      assert.equal("", problems)
      assert.truthy(worked > 10 and failed > 5, worked .. " worked, " .. failed .. " failed")
    end)

    it("one that was sent and that nobody wants is not kept; a second one is refused", function()
      local plan = cella.plan()
      plan:send_fd(plan:openat2("/dev/null", "rdonly"))
      assert.equal(0, assert(plan:exec({ "true" }):run()).code)

      plan = cella.plan()
      local slot = plan:openat2("/dev/null", "rdonly")
      plan:send_fd(slot)
      plan:send_fd(slot)
      local result, err = plan:exec({ "touch", directory .. "/ran" }):run()
      assert.is_nil(result)
      assert.equal("EEXIST", err.code)
      assert.is_nil(trial.read(directory .. "/ran"))
    end)
  end)
end)
