-- `cella run` at a terminal: the program has one of its own, and everything is as if it had this one.

local core = require "cella.core"
local portable = require "spec.support.portable"
local tmux = require "spec.support.tmux"
local trial = require "spec.support.trial"

local PARTS = [[
  root = {
    { type = "bind", source = "/usr", destination = "/usr", readonly = true },
    { type = "symlink", target = "usr/bin", destination = "/bin" },
    { type = "symlink", target = "usr/lib", destination = "/lib" },
    { type = "symlink", target = "usr/lib64", destination = "/lib64" },
    %s
  },
]]
local ROOTS = {
  ["the host's root"] = "",
  ["a root of parts"] = PARTS:format [[{ type = "dev", destination = "/dev" },]],
}
local ENDLESS = "while :; do sleep 0.01; done"

describe("`cella run` at a terminal #slow", function()
  if trial.lacks_user_namespaces() or tmux.lacks_tmux() then
    pending(trial.lacks_user_namespaces() or tmux.lacks_tmux())
    return
  end

  local directory, outer, count
  trial.around(before_each, after_each, function(own) directory, count = own, 0 end, function()
    if outer then outer:close() end
    outer = nil
  end)

  local function file(text)
    count = count + 1
    return trial.write(("%s/%d.lua"):format(directory, count), text)
  end

  local function container(keys)
    return file(([[
      return require("cella").container {
        environment = { PS1 = "inner> ", PATH = "/usr/bin:/bin", TERM = "screen" },
        %s
      }]]):format(keys or ""))
  end

  -- A terminal, in whose shell `./c WORDS` is `cella run` of a container with these keys; with flags before the file.
  local function open(keys, size, flags)
    outer = tmux.open(directory, size)
    local words = { "run" }
    for _, flag in ipairs(flags or {}) do words[#words + 1] = flag end
    words[#words + 1] = container(keys)
    trial.write(directory .. "/c", ("exec %s -- \"$@\"\n"):format(trial.cli_text(words)))
    -- A clear screen, whatever kind of terminal the shell takes this for.
    trial.write(directory .. "/clear", "printf '\\033[H\\033[2J\\033[3J'\n")
    outer:line("cd " .. directory .. "; sh clear; echo here")
    outer:see "^here\nouter> $"
    return outer
  end

  -- The process that passes on.
  local function relay() return trial.program(outer.shell, portable.name) end

  for name, keys in pairs(ROOTS) do
    describe("in " .. name, function()
      it("bash has job control: Ctrl-C, Ctrl-Z, jobs, bg and fg; and its exit status is its own", function()
        open(keys)
        outer:line "sh c bash --norc"
        outer:see "inner> $"
        outer:line "sleep 1000"
        trial.program(outer.shell, "sleep")
        outer:key "C-c"
        outer:see "%^C\ninner> $"
        outer:line "echo status $?"
        outer:see "\nstatus 130\n"

        outer:line "sleep 2000"
        trial.program(outer.shell, "sleep")
        outer:key "C-z"
        outer:see "%[1%]%+ +Stopped +sleep 2000\ninner> $"
        outer:line "bg; jobs"
        outer:see "%[1%]%+ +Running +sleep 2000 &\ninner> $"
        -- In the background it is safe from a Ctrl-C that ends what is in the foreground.
        outer:line "tail -f /dev/null"
        trial.program(outer.shell, "tail")
        outer:key "C-c"
        outer:see "/dev/null\n%^C\ninner> $"
        outer:line "jobs; echo looked"
        outer:see "echo looked\n%[1%]%+ +Running +sleep 2000 &\nlooked\ninner> $"
        outer:line "fg"
        outer:see "fg\nsleep 2000$"
        outer:key "C-c"
        outer:see "sleep 2000\n%^C\ninner> $"
        outer:line "jobs; exit 7"
        outer:see "jobs; exit 7\nexit\nouter> $"
        outer:line "echo status $?"
        outer:see "\nstatus 7\nouter> $"
      end)

      it("the program's terminal has a name, a size, and the modes that ours had; all follow", function()
        open(keys, { rows = 30, columns = 90 })
        outer:line "stty erase ^H; stty -a | tail -n +2 | md5sum"
        local sum = outer:see "\n%x+  %-\nouter> $":match "\n(%x+)  %-\n"
        outer:line "sh c sh -c 'tty; stty size; stty -a | tail -n +2 | md5sum; sh'"
        local screen = outer:see "inner> $"
        assert.truthy(screen:find "\n/dev/pts/%d+\n30 90\n", screen)
        assert.truthy(screen:find("\n" .. sum .. "  -\ninner>", 1, true), screen)
        outer:line(("sh -c 'trap \"stty size\" WINCH; echo ready; %s'"):format(ENDLESS))
        outer:see "\nready$"
        outer:resize(100, 35)
        outer:see "ready\n35 100$"
        outer:key "C-c"
        outer:see "inner> $"
        outer:line "exit"
        outer:see "outer> $"
      end)

      it("ours is raw meanwhile, and afterwards as it was", function()
        open(keys)
        local as_it_was = outer:modes()
        for ending, status in pairs { ["exit 3"] = 3, ["kill -KILL $$"] = 137, ["stty raw -echo; exit 4"] = 4 } do
          outer:line("sh clear; sh c sh; echo status $?")
          outer:see "^inner> $"
          trial.wait_for(function() return outer:modes() ~= as_it_was end, "raw modes")
          outer:line(ending)
          outer:see(("status %d\nouter> $"):format(status))
          assert.equal(as_it_was, outer:modes())
        end
      end)
    end)
  end

  it("gives it back when a signal ends it: SIGTERM, SIGHUP, SIGINT, SIGQUIT", function()
    open("")
    local as_it_was = outer:modes()
    for signal, status in pairs { TERM = 143, HUP = 129, INT = 130, QUIT = 131 } do
      outer:line "sh clear; sh c sh -c 'echo ready; exec sleep 1000'; echo status $?"
      outer:see "^ready"
      trial.program(outer.shell, "sleep")
      assert.not_equal(as_it_was, outer:modes())
      trial.sh(("kill -%s %d"):format(signal, relay()))
      outer:see(("status %d\nouter> $"):format(status))
      assert.equal(as_it_was, outer:modes())
    end
  end)

  it("gives it back when something goes wrong on our side", function()
    open("")
    local as_it_was = outer:modes()
    local path = file [[
      local box = require("cella").container { command = { "sleep", "1000" } }
      local spawn = box.spawn
      function box.spawn(self, command)
        local process, err = spawn(self, command)
        if process then
          local function broken()
            io.open((...) .. "/waiting", "w"):close()
            while not io.open((...) .. "/go") do require("cella.core").poll({}, 0.01) end
            error "broken"
          end
          process.wait, process.step = broken, broken
        end
        return process, err
      end
      return box
    ]]
    trial.write(path, (trial.read(path):gsub("^", "local DIRECTORY = ...\n"):gsub("%(%.%.%.%)", "DIRECTORY")))
    outer:line(("%s; echo status $?"):format(trial.cli_text { "run", path, directory }))
    trial.wait_for(function() return trial.read(directory .. "/waiting") end, "the wait")
    assert.not_equal(as_it_was, outer:modes())
    trial.write(directory .. "/go", "")
    local screen = outer:see "status %d+\nouter> $"
    assert.truthy(screen:find("broken", 1, true), screen)
    assert.falsy(screen:find("status 0", 1, true), screen)
    assert.equal(as_it_was, outer:modes())
  end)

  it("can be stopped from outside, and goes on in the foreground", function()
    open("")
    local as_it_was = outer:modes()
    outer:line "sh c sh -c 'echo ready; read line; echo got $line; sleep 1000'"
    outer:see "\nready$"
    local pid = relay()
    trial.wait_for(function() return outer:modes() ~= as_it_was end, "raw modes")
    for _ = 1, 2 do
      trial.sh("kill -TSTP " .. pid)
      outer:see "outer> $"
      assert.equal(as_it_was, outer:modes())
      outer:resize(70, 20)
      outer:line "sh clear; fg"
      trial.wait_for(function() return outer:modes() ~= as_it_was end, "raw modes")
    end
    outer:line "hello"
    outer:see "\ngot hello"
    outer:key "C-c"
    outer:see "outer> $"
    assert.equal(as_it_was, outer:modes())
  end)

  it("in the background writes, leaves the terminal alone, and reads once it is in the foreground", function()
    open("")
    local as_it_was = outer:modes()
    outer:line "sh c sh -c 'echo out $((40 + 2)); read line; echo got $line; exit 5' &"
    outer:see "out 42"
    assert.equal(as_it_was, outer:modes())
    outer:line "sh clear; echo it is mine"
    outer:see "^it is mine\nouter> $"
    outer:line "jobs; sh clear; fg; echo status $?"
    trial.wait_for(function() return outer:modes() ~= as_it_was end, "raw modes")
    outer:line "hello"
    local screen = outer:see "got hello\nstatus 5\nouter> $"
    assert.falsy(screen:find("Stopped", 1, true), screen)
    assert.equal(as_it_was, outer:modes())
  end)

  it("hangs up with it", function()
    open(([[ids = require "cella.policy".root(),
      mounts = { { type = "bind", source = %q, destination = %q } },]]):format(directory, directory))
    outer:line(("sh c sh -c 'trap \"echo hup > %s/hup; exit\" HUP; echo ready; %s'"):format(directory, ENDLESS))
    outer:see "\nready"
    local pid = relay()
    outer:close()
    trial.wait_for(function() return not trial.runs(pid) end, "cella to end")
    assert.equal("hup\n", trial.read(directory .. "/hup"))
    outer = nil
  end)

  describe("without tmux:", function()
    local function command(words, keys)
      local list = { "run" }
      for _, word in ipairs(words) do list[#list + 1] = word end
      for i, word in ipairs(list) do
        if word == "BOX" then list[i] = container(keys) end
      end
      return trial.cli_text(list)
    end

    it("loses nothing of what the program writes", function()
      local text, status = trial.terminal("exec " .. command { "BOX", "--", "sh", "-c",
        "seq 1 50000; printf last; exit 4" })
      assert.equal(4, status)
      assert.equal(288894 + 4, #text)
      assert.truthy(text:find "\n50000\nlast$")
    end)

    it("loses nothing of what is typed, however slowly it is read", function()
      local typed = ("0123456789abcdefghijklmnopqrst"):rep(5000)
      local text = trial.terminal("exec " .. command { "BOX", "--", "sh", "-c",
        "stty raw -echo; echo ready; sleep 0.05; head -c 150000 | md5sum" }, { { "ready", typed } })
      local sum = trial.sh("printf '0123456789abcdefghijklmnopqrst%.0s' $(seq 5000) | md5sum"):match "^%x+"
      assert.truthy(text:find(sum, 1, true), text)
    end)

    it("Ctrl-D is an end of file", function()
      local text, status = trial.terminal("exec " .. command { "BOX", "--", "sh", "-c", "echo ready; cat; exit 6" },
        { { "ready", "\4" } })
      assert.equal(6, status)
      assert.equal("ready\n", text)
    end)

    it("a standard error that leads elsewhere stays there", function()
      local text = trial.terminal(("%s 2> %s/log"):format(command { "BOX", "--", "sh", "-c",
        "test -t 0 && test -t 1 && echo both; test -t 2 || echo not >&2" }, directory))
      assert.equal("both\n", text)
      assert.equal("not\n", trial.read(directory .. "/log"))
    end)

    it("streams that are none stay as they are; what would have been ours is of the program's own terminal", function()
      local show = "test -t 0 && echo 0 >&2; test -t 1 && echo 1 >&2; (: </dev/tty) 2>/dev/null && echo tty >&2; "
        .. "echo end >&2"
      -- Nothing is read from where others of the pipeline may read.
      assert.equal("tty\nend\n", (trial.terminal(command { "BOX", "--", "sh", "-c", show } .. " | cat")))
      assert.equal("1\ntty\nend\n", (trial.terminal(command { "BOX", "--", "sh", "-c", show } .. " < /dev/null")))
      assert.equal("end\n", trial.cella({ "run", container(), "--", "sh", "-c", show }).stderr)
      -- A control.
      assert.equal("0\n1\ntty\nend\n", (trial.terminal(command { "BOX", "--", "sh", "-c", show })))
    end)

    it("no terminal of ours gets inside, whichever streams lead elsewhere", function()
      local show = "for fd in 0 1 2; do [ -t $fd ] && stat -L -c 'inside %d:%i' /proc/self/fd/$fd >&3; done 3>>$0; true"
      local mount = ('mounts = { { type = "bind", source = %q, destination = "/mnt" } },'):format(directory)
      local function seen(redirections, ...)
        local log = directory .. "/seen"
        trial.sh((">%s; chmod 666 %s; chmod 777 %s"):format(log, log, directory))
        local words = { ... }
        for _, word in ipairs { "BOX", "--", "sh", "-c", show, "/mnt/seen" } do words[#words + 1] = word end
        trial.terminal(("stat -L -c 'ours %%d:%%i' /proc/self/fd/0 >%s; "):format(log) .. command(words, mount)
          .. redirections)
        local text = trial.read(log)
        local ours = assert(text:match "ours (%S+)", text)
        return text:find("inside " .. ours, 1, true) ~= nil, select(2, text:gsub("inside", ""))
      end
      for redirections, number in pairs {
        [""] = 3, [" </dev/null"] = 2, [" >/dev/null"] = 1, [" 2>/dev/null"] = 2, [" </dev/null >/dev/null"] = 1,
        [" </dev/null 2>/dev/null"] = 1, [" >/dev/null 2>&1"] = 0,
      } do
        local ours, terminals = seen(redirections)
        assert.is_false(ours, redirections)
        assert.equal(number, terminals, redirections)
      end
      -- A control.
      assert.is_true((seen(" >/dev/null", "--no-terminal")))
    end)

    it("a file that says no gets none: `terminal = false`, no session, no init, streams of its own", function()
      local show = [["sh", "-c", "(: </dev/tty) 2>/dev/null && stty size"]]
      local function status(keys, ...)
        local words = { "run", "BOX", ... }
        words[2] = container(keys)
        return (select(2, trial.terminal("stty rows 5 columns 6; " .. trial.cli_text(words))))
      end
      assert.equal(0, status(("command = { %s }"):format(show)))
      assert.equal(1, status(("command = { %s, terminal = false }"):format(show)) > 0 and 1 or 0)
      assert.equal(1, status("command = { 'true', terminal = false }", "--", "sh", "-c",
        "(: </dev/tty) 2>/dev/null || exit 9") > 0 and 1 or 0)
      assert.equal(9, status("init = false", "--", "sh", "-c", "(: </dev/tty) 2>/dev/null || exit 9"))
      -- What it has there is ours.
      -- (And has a name where the host's /dev is.)
      local text = trial.terminal("tty; " .. command({ "BOX", "--", "tty" }, [[new_session = false,
        root = { { type = "bind", source = "/", destination = "/", readonly = true } }]]))
      local ours, theirs = text:match "^(.-)\n(.-)\n$"
      assert.equal(ours, theirs)
      -- Elsewhere it is of another file system of terminals, whatever its number there.
      local which = "tty && stat -L -c %d /dev/stdin"
      text = trial.terminal(which .. "; " .. command { "BOX", "--", "sh", "-c", which })
      local device, name, other = text:match "^.-\n(%d+)\n(.-)\n(%d+)\n$"
      assert.truthy(name and name:find "^/dev/pts/%d+$", text)
      assert.not_equal(device, other)
    end)

    it("`--no-terminal` leaves it at ours, and `--terminal` makes one wherever it is", function()
      local show = "(: </dev/tty) 2>/dev/null || exit 9"
      assert.equal(9, (select(2, trial.terminal(command { "--no-terminal", "BOX", "--", "sh", "-c", show }))))
      local asked = 'command = { "sh", "-c", "(: </dev/tty) 2>/dev/null || exit 9", terminal = true },'
      assert.equal(9, (select(2, trial.terminal(command({ "--no-terminal", "BOX" }, asked)))))
      assert.equal(0, (select(2, trial.terminal(command({ "BOX" }, asked)))))

      for _, flag in ipairs { "--terminal", "-t" } do
        local result = trial.cella { "run", flag, container(), "--", "sh", "-c",
          "tty; stty size; cat; echo end; exit 3" }
        assert.equal(3, result.status)
        assert.truthy(result.stdout:find "^/dev/pts/%d+\r\n24 80\r\n.*end\r\n$", result.stdout)
        assert.equal("", result.stderr)
      end
      local result = trial.cella { "run", "--terminal", "--no-terminal", container(), "--", "true" }
      assert.equal(125, result.status)
      assert.equal("typed\r\ngot typed\r\n", trial.sh(("echo typed | %s"):format(
        command { "-t", "BOX", "--", "sh", "-c", "read line; echo got $line" })))
    end)

    it("a container without terminals gets one of the host's, unless `--terminal` says whose", function()
      local none = PARTS:format ""
      local text, status = trial.terminal("stty rows 5 columns 6; " .. command({ "BOX", "--", "sh", "-c",
        "test -t 0 && test -t 1 && test -t 2 && stty size; exit 3" }, none))
      assert.equal(3, status)
      assert.equal("5 6\n", text)
      text, status = trial.terminal(command({ "--terminal", "BOX", "--", "true" }, none))
      assert.equal(125, status)
      assert.truthy(text:find('{ type = "dev", destination = "/dev" }', 1, true), text)
    end)

    it("`plan` prints what `run` does", function()
      local words = { "plan", container(), "--", "true" }
      local text = trial.terminal(trial.cli_text(words))
      assert.truthy(text:find('openpt("/dev/ptmx"', 1, true), text)
      assert.falsy(trial.cella(words).stdout:find("openpt", 1, true))
    end)

    describe("what is typed with TIOCSTI", function()
      -- The program types a line into its terminal. Whoever reads from ours next says what it gets.
      local PUSH = [[perl -e 'ioctl(STDIN, 0x5412, my $c = $_) or exit 1 for split(//, "pushed\n")' && echo typed]]

      -- Without the filter, which lets nobody.
      local UNFILTERED = "seccomp = false,"
      local function reads(flags, keys)
        local words = { "BOX", "--", "sh", "-c", PUSH }
        for i = #flags, 1, -1 do table.insert(words, 1, flags[i]) end
        local text = trial.terminal(command(words, keys) .. '; echo again; read line; echo "got $line"',
          { { "again", "hello\n" } })
        return text:match "\ngot (%a+)\n", text:find("typed\n", 1, true) ~= nil, text
      end

      it("by a root with CAP_SYS_ADMIN goes into its own terminal, never into ours", function()
        if trial.lacks_root() then return pending(trial.lacks_root()) end
        local root = UNFILTERED .. [[namespaces = { user = "host" }, capabilities = { "sys_admin" },]]
        local got, typed, text = reads({}, root)
        assert.is_true(typed, text)
        assert.equal("hello", got, text)
        -- A session of its own is not enough; a control for what comes above.
        got, typed, text = reads({ "--no-terminal" }, root)
        assert.is_true(typed, text)
        assert.equal("pushed", got, text)
        got, typed, text = reads({}, root .. "new_session = false,")
        assert.is_true(typed, text)
        assert.equal("pushed", got, text)
        -- Also where the container has no terminals.
        got, typed, text = reads({}, root .. PARTS:format
          [[{ type = "bind", source = "/dev/null", destination = "/dev/null", nodev = false },]])
        assert.is_true(typed, text)
        assert.equal("hello", got, text)
      end)

      it("by anybody else goes into its own terminal, if anywhere", function()
        local got, _, text = reads({}, UNFILTERED)
        assert.equal("hello", got, text)
        got, _, text = reads({}, UNFILTERED .. ROOTS["a root of parts"])
        assert.equal("hello", got, text)
        if trial.read "/proc/sys/dev/tty/legacy_tiocsti" == "0\n" then return end
        got, _, text = reads({}, UNFILTERED .. "new_session = false,")
        assert.equal("pushed", got, text)
        got, _, text = reads({}, "new_session = false,")
        assert.equal("hello", got, text)
      end)
    end)
  end)

  it("has nothing of a terminal where there is none", function()
    assert.is_false(core.isatty(assert(core.open("/dev/null", "rdonly")):number()))
    local fd = assert(core.open("/dev/null", "rdonly"))
    assert.is_nil((core.modes(fd:number())))
    assert.is_nil((core.window_size(fd:number())))
    assert.is_true(core.in_foreground(fd:number()))
    fd:close()
  end)
end)
