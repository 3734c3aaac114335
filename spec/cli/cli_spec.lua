-- bin/cella: run and plan, as a shell sees them.

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

describe("the command line", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local count = 0

  -- A file with this text; its path.
  local function file(text)
    count = count + 1
    return trial.write(("%s/%d.lua"):format(directory, count), text)
  end

  -- A file that returns a container with these keys, in Lua.
  local function container(keys)
    return file(('return require("cella").container {\n%s\n}\n'):format(keys or ""))
  end

  local function run(path, ...)
    return trial.cella { "run", path, ... }
  end

  -- Runs a shell script in an ordinary container.
  local function script(text)
    return run(container(), "--", "sh", "-c", text)
  end

  describe("by itself", function()
    it("asks for a command, with the status 125", function()
      local result = trial.cella {}
      assert.equal(125, result.status)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find("Usage: cella", 1, true), result.stderr)
    end)

    it("refuses a command that it does not know", function()
      local result = trial.cella { "rnu", "file.lua" }
      assert.equal(125, result.status)
      assert.truthy(result.stderr:find("rnu", 1, true), result.stderr)
    end)

    it("refuses an option that it does not know", function()
      for _, words in ipairs { { "--privileged" }, { "run", "--privileged", "x.lua" } } do
        local result = trial.cella(words)
        assert.equal(125, result.status)
        assert.truthy(result.stderr:find("--privileged", 1, true), result.stderr)
      end
    end)

    it("asks for a file", function()
      for _, command in ipairs { "run", "plan" } do
        local result = trial.cella { command }
        assert.equal(125, result.status)
        assert.truthy(result.stderr:find("file", 1, true), result.stderr)
      end
    end)

    it("explains itself on the standard output", function()
      local result = trial.cella { "--help" }
      assert.equal(0, result.status)
      assert.equal("", result.stderr)
      for _, word in ipairs { "run", "plan" } do
        assert.truthy(result.stdout:find("\n   " .. word .. " ", 1, true), result.stdout)
      end
    end)

    it("explains each command, with the exit status", function()
      for _, command in ipairs { "run", "plan" } do
        local result = trial.cella { command, "--help" }
        assert.equal(0, result.status)
        for _, line in ipairs { "Usage: cella %s %%[%%-h%%].* FILE%%.lua %%[ARGS%%] %%[%%-%%- COMMAND %%.%%.%%.%%]",
          "\n       cella %s %%[%%-h%%].* %%[%%-e KEYS%%] %%-%%- COMMAND %%.%%.%%.\n" } do
          assert.truthy(result.stdout:find(line:format(command)), result.stdout)
        end
        for _, status in ipairs(command == "run" and { "124", "125", "126", "127", "128+n" } or { "0", "1", "125" }) do
          assert.truthy(result.stdout:find(status, 1, true), status .. " is not in\n" .. result.stdout)
        end
      end
    end)

    it("is found and finds its library from anywhere", function()
      local words = trial.cli_text { "run", container(), "--", "echo", "here" }
      assert.equal("here\n", trial.sh("cd / && " .. words))
    end)
  end)

  describe("`run`", function()
    -- A container that has a file of the host's.
    local function with(path)
      return container(('mounts = { { type = "bind", source = %q, destination = %q, readonly = true } }')
        :format(path, path))
    end

    it("has the status of the program", function()
      for _, status in ipairs { 0, 1, 2, 77, 124, 125, 126, 127, 128, 255 } do
        assert.equal(status, script("exit " .. status).status)
      end
    end)

    it("has the status 127 if there is no such program", function()
      for _, program in ipairs { "no-such-program", "/no/such/program", "/etc/passwd/program" } do
        local result = run(container(), "--", program)
        assert.equal(127, result.status, program)
        assert.truthy(result.stderr:find("no such program", 1, true) or result.stderr:find("ENOTDIR", 1, true),
          result.stderr)
      end
    end)

    it("has the status 126 if there is one that cannot be executed", function()
      local path = trial.write(directory .. "/not-executable", "#!/bin/sh\n")
      for _, program in ipairs { path, "/etc" } do
        local result = run(with(path), "--", program)
        assert.equal(126, result.status, program)
        assert.truthy(result.stderr:find("EACCES", 1, true), result.stderr)
      end
    end)

    it("has the status 126 if it is nothing that the kernel can execute", function()
      local path = trial.write(directory .. "/no-format", "echo this is no script without #!\n")
      trial.sh("chmod 755 " .. path)
      local result = run(with(path), "--", path)
      assert.equal(126, result.status)
      assert.truthy(result.stderr:find("ENOEXEC", 1, true), result.stderr)
    end)

    it("has the status 127 if the program's interpreter is missing, and says that it is the interpreter", function()
      local path = trial.write(directory .. "/orphan", "#!/no/such/interpreter\n")
      trial.sh("chmod 755 " .. path)
      local result = run(with(path), "--", path)
      assert.equal(127, result.status)
      assert.truthy(result.stderr:find("interpreter", 1, true), result.stderr)
    end)

    it("has the status 124 if the processor time was up", function()
      assert.equal(124, run(container 'command = { "sh", "-c", "while :; do :; done", cpu_limit = 0.05 }').status)
    end)

    it("has the status 124 if the time was up #slow", function()
      local result = run(container 'command = { "sleep", "1000", timeout = 2 }')
      assert.equal(124, result.status)
      -- The same with time enough.
      assert.equal(0, run(container 'command = { "true", timeout = 1000 }').status)
    end)

    it("has a time in the line, for what stands behind -- and for what the file names #slow", function()
      for _, words in ipairs { { "run", "--timeout", "1.5", "--", "sleep", "1000" },
        { "run", "--timeout=1.5", "--debug", "-e", 'hostname = "moon"', "--", "sleep", "1000" },
        { "run", "--timeout", "1.5", container 'command = { "sleep", "1000", timeout = 900 }' } } do
        assert.equal(124, trial.cella(words).status)
      end
      assert.equal(0, trial.cella { "run", "--timeout", "900", "--", "true" }.status)
      for _, wrong in ipairs { "0", "-1", "x", "nan", "1e10" } do
        local result = trial.cella { "run", "--timeout=" .. wrong, "--", "true" }
        assert.equal(125, result.status)
        assert.matches(('--timeout: "%s" is no number of seconds'):format(wrong), result.stderr, 1, true)
      end
    end)

    it("has the status 128+n if signal n ended the program", function()
      -- In a pid namespace of its own number 1 is safe from itself.
      local path = container 'namespaces = { pid = "host" }'
      for name, number in pairs { HUP = 1, INT = 2, ABRT = 6, KILL = 9, SEGV = 11, TERM = 15 } do
        assert.equal(128 + number, run(path, "--", "sh", "-c", ("kill -%s $$"):format(name)).status, name)
      end
    end)

    describe("has the status 125 and runs nothing", function()
      local cases = {
        ["if the file is not there"] = { "/no/such/file.lua", "No such file" },
        ["if the file is no Lua"] = { function() return file "return {" end, "unexpected symbol" },
        ["if the file raises"] = { function() return file 'error "boom"' end, "boom" },
        ["if the file returns nothing"] = { function() return file "" end, "returns no container" },
        ["if the file returns something else"] = { function() return file "return 7" end, "returns no container" },
        ["if the file describes no sound container"] = {
          function() return container 'hostnam = "moon"' end, "hostnam: unknown key; did you mean 'hostname'?",
        },
        ["if the file returns the table of no sound container"] = {
          function() return file 'return { hostnam = "moon" }' end, "hostnam: unknown key; did you mean 'hostname'?",
        },
        ["if the container cannot be set up"] = {
          function() return container 'root = "/no/such/root", command = { "true" }' end, "/no/such/root",
        },
        ["if the user is not in the map"] = {
          function() return container 'user = { uid = 4000000000 }, command = { "true" }' end, "not in the map",
        },
      }
      for name, case in pairs(cases) do
        it(name, function()
          local path = type(case[1]) == "function" and case[1]() or case[1]
          local result = run(path, "--", "sh", "-c", "echo ran")
          assert.equal(125, result.status)
          assert.equal("", result.stdout)
          assert.truthy(result.stderr:find("^cella: "), result.stderr)
          assert.truthy(result.stderr:find(case[2], 1, true), result.stderr)
        end)
      end

      it("if no program is named anywhere", function()
        local result = run(container())
        assert.equal(125, result.status)
        assert.truthy(result.stderr:find("command: missing", 1, true), result.stderr)
      end)

      it("if nothing stands behind `--`", function()
        local result = run(container 'command = { "echo", "ran" }', "--")
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
      end)
    end)

    it("says where a file raised, and leaves that away where the message is meant for its user", function()
      local result = run(file 'local function deep() error "boom" end\ndeep()')
      assert.truthy(result.stderr:find("1.lua:1: boom", 1, true) or result.stderr:find(":1: boom", 1, true))
      assert.truthy(result.stderr:find("stack traceback", 1, true), result.stderr)
      result = run(file 'error("give me a name", 0)')
      assert.equal("cella: give me a name\n", result.stderr)
    end)

    it("takes a file that returns a container, or the table that describes one", function()
      assert.equal("a\n", run(container 'command = { "echo", "a" }').stdout)
      assert.equal("b\n", run(file 'return { command = { "echo", "b" } }').stdout)
    end)

    it("hands the words behind the file to it, as they are", function()
      local path = file [[
        local words = { ... }
        return { command = { "printf", "<%s>", tostring(select("#", ...)), (table.unpack or unpack)(words) } }
      ]]
      assert.equal("<0>", run(path).stdout)
      assert.equal("<5><a b><><--help><-x><ä\n>", run(path, "a b", "", "--help", "-x", "ä\n").stdout)
    end)

    it("hands the words before `--` to the file, and runs those behind it instead of the file's program", function()
      local path = file 'io.stderr:write(table.concat({ ... }, "+")) return { command = { "echo", "mine" } }'
      local result = run(path, "x", "y", "--", "printf", "<%s>", "a b", "--", "-x")
      assert.equal("x+y", result.stderr)
      assert.equal("<a b><--><-x>", result.stdout)
    end)

    it("keeps the container that the file describes, whatever program it runs", function()
      assert.equal("moon\n", run(container 'hostname = "moon", command = { "true" }', "--", "hostname").stdout)
    end)

    it("keeps the two outputs apart", function()
      local result = script "echo out; echo err >&2"
      assert.equal("out\n", result.stdout)
      assert.equal("err\n", result.stderr)
    end)

    it("shows what the file had captured", function()
      local result = run(container [[
        command = { "sh", "-c", "echo out; echo err >&2; exit 3", stdout = "capture", stderr = "capture" }
      ]])
      assert.equal("out\n", result.stdout)
      assert.equal("err\n", result.stderr)
      assert.equal(3, result.status)
    end)

    it("says so where what the file had captured, or the plan, cannot be shown", function()
      local path = container [[ command = { "echo", "out", stdout = "capture" } ]]
      for _, word in ipairs { "run", "plan" } do
        local said = trial.sh(("%s 2>&1 >/dev/full; echo $?"):format(trial.cli_text { word, path }))
        assert.matches("^cella: standard output: .*No space left on device\n125\n$", said)
      end
    end)

    it("says of every answer that cannot be written that it could not", function()
      for _, words in ipairs { "tree", "tree --svg", "show $$", "same $$ $$", "caps show", "completion bash",
          "idmap policy me", "doctor pidfd", "--version" } do
        local line = trial.cli_text {} .. " " .. words
        local said = trial.sh(("%s 2>&1 >/dev/full; echo $?"):format(line))
        assert.matches("^cella: standard output: [^\n]*No space left on device\n125\n$", said, nil, line)
        assert.equal("0\n", trial.sh(("%s 2>&1 >/dev/null; echo $?"):format(line)), line)
      end
    end)

    it("refuses a pipe to which nobody would write", function()
      local result = run(container [[ command = { "cat", stdin = "pipe" } ]])
      assert.equal(125, result.status)
      assert.matches("command.stdin", result.stderr, 1, true)
    end)

    it("gives the program its own standard input", function()
      local path = trial.write(directory .. "/input", "hello\n")
      local words = trial.cli { "run", container(), "--", "cat" }
      words.stdin = { path = path }
      assert.equal("hello\n", trial.host(words).stdout)
    end)

    it("is a filter in a pipe, for as much as there is", function()
      local cat = trial.cli_text { "run", container(), "--", "cat" }
      local direct = trial.sh "head -c 3000000 /dev/zero | tr '\\0' x | cksum"
      assert.equal(direct, trial.sh(("head -c 3000000 /dev/zero | tr '\\0' x | %s | cksum"):format(cat)))
    end)

    it("ends when the reader of its pipe has gone", function()
      assert.equal("y\n", trial.sh(("%s 2>/dev/null | head -n 1"):format(
        trial.cli_text { "run", container(), "--", "yes" })))
    end)

    it("does not wait for a reader that its program has left behind", function()
      -- Number 1 has ended, so all have.
      assert.equal("done\n", script("sleep 1000 & echo done").stdout)
    end)

    it("gives the program no other descriptor of the caller's", function()
      local list = "for fd in /proc/self/fd/*; do echo $fd; done"
      local open = "exec 5</dev/null 7</dev/null; "
      local listed = trial.sh(open .. trial.cli_text { "run", container(), "--", "sh", "-c", list })
      assert.truthy(listed:find("/0\n", 1, true), listed)
      assert.is_nil(listed:find("/5\n", 1, true))
      assert.is_nil(listed:find("/7\n", 1, true))
      -- The same with no container between.
      listed = trial.sh(("%s sh -c %s"):format(open, trial.quote(list)))
      assert.truthy(listed:find("/5\n", 1, true), listed)
    end)

    it("gives the program standard streams where the caller has closed its own", function()
      local path = container 'mounts = { { type = "proc", destination = "/proc" } }'
      local look = "streams=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo \"$streams\" >&2"
      local words = trial.cli_text { "run", path, "--", "sh", "-c", look }
      assert.equal("/dev/null\n/dev/null\n", trial.sh(words .. " <&- 2>&1 >&-"))
    end)

    it("gives the program PATH, TERM and a HOME, and nothing of the caller's environment", function()
      local words = trial.cli { "run", container(), "--", "env" }
      words.environment = { SECRET = "s", TERM = "vt100", PATH = os.getenv "PATH", LUA_PATH = os.getenv "LUA_PATH",
        LUA_CPATH = os.getenv "LUA_CPATH", LD_PRELOAD = os.getenv "LD_PRELOAD" }
      local names = {}
      for name in trial.host(words).stdout:gmatch "([^\n=]+)=" do names[#names + 1] = name end
      table.sort(names)
      assert.same({ "HOME", "PATH", "TERM" }, names)
    end)

    it("does not hand on signals that the caller ignores or holds back", function()
      local words = trial.cli_text { "run", container(), "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status" }
      local mask = trial.sh("trap '' USR1 USR2 PIPE; " .. words)
      assert.equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", mask)
    end)
  end)

  describe("a signal", function()
    -- Starts a script in a container, with the container's keys; calls `act` with its process when it has said
    -- "ready". Returns the status and what was written.
    local function during(keys, text, act)
      local words = trial.cli { "run", container(keys), "--", "sh", "-c", text }
      words.stdin, words.stdout, words.stderr = "null", { path = directory .. "/out" }, "null"
      local process = assert(cella.plan():exec(words):spawn { timeout = 60 })
      local ok, err = pcall(function()
        trial.wait_for(function() return (trial.read(directory .. "/out") or ""):find "ready" end, "the program")
        act(process)
      end)
      if not ok then
        trial.kill_tree(process.pid)
        process:close()
        error(err, 0)
      end
      local result = assert(process:wait())
      return result.code or 128 + result.signal_number, trial.read(directory .. "/out")
    end

    local ENDLESS = "while :; do sleep 0.01; done"

    it("that the caller ignores stays ignored, as nohup(1) wants it", function()
      local words = trial.cli_text { "run", container(), "--", "sh", "-c", "echo ready; read line; echo $line; exit 3" }
      local said = trial.sh(("cd %s && mkfifo in && { nohup %s <in >out 2>/dev/null & } && exec 5>in && "
        .. "until grep -q ready out; do sleep 0.01; done; kill -HUP $!; sleep 0.2; echo still >&5; wait $!; echo $?; "
        .. "cat out"):format(directory, words))
      assert.equal("3\nready\nstill\n", said)
    end)

    for name, status in pairs { int = 125, term = 143 } do
      it(("SIG%s ends a set-up that takes too long: the status is %d"):format(name:upper(), status), function()
        local path = container(([[hooks = { mapped = function(process)
          local file = io.open(%q, "w")
          file:write(process.pid, "\n")
          file:close()
          require("cella.core").poll({}, 60)
        end }]]):format(directory .. "/out"))
        local words = trial.cli { "run", path, "--", "true" }
        words.stdin, words.stdout, words.stderr = "null", "null", "null"
        local process = assert(cella.plan():exec(words):spawn { timeout = 30 })
        local pid = trial.wait_for(function()
          return (trial.read(directory .. "/out") or ""):match "^(%d+)\n"
        end, "the hook")
        process:kill(name)
        local result = assert(process:wait())
        assert.equal(status, result.code or 128 + result.signal_number)
        trial.wait_for(function() return not trial.runs(pid) end, "the end of the child")
      end)
    end

    for name, number in pairs { hup = 1, int = 2, quit = 3, term = 15 } do
      it(("SIG%s ends a program that does nothing about it: the status is %d"):format(name:upper(), 128 + number),
        function()
          local inner
          local status = during("", "echo ready; " .. ENDLESS, function(process)
            inner = trial.program(process.pid, "sh")
            process:kill(name)
          end)
          assert.equal(128 + number, status)
          assert.is_false(trial.runs(inner))
        end)

      it(("SIG%s reaches a program that handles it, which then decides"):format(name:upper()), function()
        local text = ('trap "echo caught; exit 9" %s; echo ready; %s'):format(name:upper(), ENDLESS)
        local status, said = during("", text, function(process) process:kill(name) end)
        assert.equal("ready\ncaught\n", said)
        assert.equal(9, status)
      end)
    end

    it("SIGINT does not end a program that ignores it", function()
      local status = during("", 'trap "" INT; trap "exit 6" USR1; echo ready; ' .. ENDLESS, function(process)
        process:kill "int"
        process:kill "usr1"
      end)
      assert.equal(6, status)
    end)

    it("SIGUSR1 and SIGUSR2 are handed on as well", function()
      local text = 'trap "echo one" USR1; trap "echo two; exit 0" USR2; echo ready; ' .. ENDLESS
      local status, said = during("", text, function(process)
        process:kill "usr1"
        trial.wait_for(function() return trial.read(directory .. "/out"):find "one" end, "the first signal")
        process:kill "usr2"
      end)
      assert.equal("ready\none\ntwo\n", said)
      assert.equal(0, status)
    end)

    for _, init in ipairs { true, false } do
      it("of every kind is handed on" .. (init and "" or ", without an init too"), function()
        local kept = { [9] = "kill", [19] = "stop", [17] = "chld", [21] = "ttin", [22] = "ttou", [4] = "ill",
          [5] = "trap", [7] = "bus", [8] = "fpe", [11] = "segv", [31] = "sys", [32] = "libc", [33] = "libc",
          [20] = "tstp stops" }
        local numbers = {}
        for number = 1, 64 do if not kept[number] then numbers[#numbers + 1] = number end end
        local traps = {}
        for i, number in ipairs(numbers) do traps[i] = ("trap 'echo got %d.' %d"):format(number, number) end
        traps[#traps + 1] = ("trap 'echo got %d.; exit 7' 64"):format(64)
        local text = table.concat(traps, "; ") .. "; echo ready; " .. ENDLESS
        local status, said = during(("init = %s"):format(tostring(init)), text, function(process)
          for _, number in ipairs(numbers) do
            process:kill(number)
            trial.wait_for(function()
              return trial.read(directory .. "/out"):find(("got %d."):format(number), 1, true)
            end, ("signal %d"):format(number))
          end
        end)
        local wanted = { "ready" }
        for _, number in ipairs(numbers) do wanted[#wanted + 1] = ("got %d."):format(number) end
        assert.equal(table.concat(wanted, "\n") .. "\n", said)
        assert.equal(7, status)
      end)
    end

    for name, number in pairs { pipe = 13, ["real-time signal"] = 37 } do
      it(("that is a %s ends a program that does nothing about it, as any"):format(name), function()
        local inner
        assert.equal(128 + number, (during("", "echo ready; exec sleep 1000", function(process)
          inner = trial.program(process.pid, "sleep")
          process:kill(number)
        end)))
        assert.is_false(trial.runs(inner))
      end)
    end

    it("that stops or continues reaches the program once", function()
      local text = "trap 'echo on.' CONT; trap 'echo end; exit 0' USR1; echo ready; " .. ENDLESS
      local _, said = during("", text, function(process)
        local function is_stopped() return trial.read(("/proc/%d/stat"):format(process.pid)):find "^%d+ %(.*%) T" end
        for times = 1, 2 do
          process:kill "tstp"
          trial.wait_for(is_stopped, "cella to stop")
          process:kill "cont"
          trial.wait_for(function()
            return select(2, trial.read(directory .. "/out"):gsub("on%.", "")) == times
          end, "the program to go on")
        end
        process:kill "usr1"
      end)
      assert.equal("ready\non.\non.\nend\n", said)
    end)

    it("SIGINT reaches what the program is waiting for too, as from a terminal", function()
      local text = "trap : INT; sh -c 'trap \"echo child; exit 0\" INT; echo ready; " .. ENDLESS .. "'; echo parent"
      local _, said = during("", text, function(process) process:kill "int" end)
      assert.equal("ready\nchild\nparent\n", said)
    end)

    it("SIGTSTP stops the program and cella, and SIGCONT lets both go on", function()
      -- A program that starts no other: a shell that waits for its child's exec cannot be seen to be stopped.
      local status = during("", "echo ready; exec sleep 1000", function(process)
        local inner = trial.program(process.pid, "sleep")
        local function is_stopped(pid) return trial.read(("/proc/%d/stat"):format(pid)):find "^%d+ %(.*%) T" end
        process:kill "tstp"
        trial.wait_for(function() return is_stopped(inner) and is_stopped(process.pid) end, "both to stop")
        process:kill "cont"
        trial.wait_for(function() return not is_stopped(inner) and not is_stopped(process.pid) end, "both to go on")
        process:kill "usr1"
      end)
      assert.equal(138, status)
    end)

    it("ends a program that shares the host's process numbers as well", function()
      assert.equal(143, (during('namespaces = { pid = "host" }', "echo ready; " .. ENDLESS,
        function(process) process:kill "term" end)))
    end)

    it("has the same effect where the file asks for no session of its own", function()
      assert.equal(143, (during("new_session = false", "echo ready; " .. ENDLESS,
        function(process) process:kill "term" end)))
    end)
  end)

  describe("at a terminal", function()
    local function at_terminal(keys, text, replies)
      -- A shell in between would get the Ctrl-C too, and have an opinion of its own about it.
      return trial.terminal("exec " .. trial.cli_text { "run", container(keys), "--", "sh", "-c", text }, replies)
    end

    it("the program has it", function()
      local screen, status = at_terminal("", "test -t 0 && test -t 1 && test -t 2 && echo it is; exit 4")
      assert.equal("it is\n", screen)
      assert.equal(4, status)
    end)

    it("the program reads what is typed", function()
      local screen = at_terminal("", 'echo ready; read line; echo "got $line"', { { "ready", "hello\n" } })
      assert.truthy(screen:find("got hello\n", 1, true), screen)
    end)

    it("Ctrl-C ends the program: the status is 130", function()
      local _, status = at_terminal("", "echo ready; while :; do sleep 0.01; done", { { "ready", "\3" } })
      assert.equal(130, status)
    end)

    it("Ctrl-C reaches a program that handles it, which then decides", function()
      local screen, status = at_terminal("", 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.01; done',
        { { "ready", "\3" } })
      assert.truthy(screen:find("caught\n", 1, true), screen)
      assert.equal(9, status)
    end)

    it("Ctrl-\\ ends the program: the status is 131", function()
      local _, status = at_terminal("", "echo ready; while :; do sleep 0.01; done", { { "ready", "\28" } })
      assert.equal(131, status)
    end)

    it("Ctrl-C works also where the file asks for no session of its own", function()
      local _, status = at_terminal("new_session = false", "echo ready; while :; do sleep 0.01; done",
        { { "ready", "\3" } })
      assert.equal(130, status)
    end)

    it("the program cannot type into it: with --no-terminal it has no controlling terminal", function()
      local command = trial.cli_text { "run", "--no-terminal", container(""), "--", "sh", "-c",
        "(: < /dev/tty) 2>&1 && echo it has || echo it has not" }
      local screen = trial.terminal("exec " .. command)
      assert.truthy(screen:find("it has not\n", 1, true), screen)
      -- The same without a session of its own.
      screen = at_terminal("new_session = false", "(: < /dev/tty) 2>&1 && echo it has || echo it has not")
      assert.truthy(screen:find("it has\n", 1, true), screen)
    end)

    it("is as it was afterwards, and the shell reads from it again", function()
      local command = ("stty -g > %s/a; %s; stty -g > %s/b; echo again; read line; echo \"got $line\""):format(
        directory, trial.cli_text { "run", container(), "--", "true" }, directory)
      local screen, status = trial.terminal(command, { { "again", "hello\n" } })
      assert.truthy(screen:find("got hello\n", 1, true), screen)
      assert.equal(0, status)
      assert.equal(trial.read(directory .. "/a"), trial.read(directory .. "/b"))
    end)
  end)

  describe("`plan`", function()
    -- They are cli_plan_spec's.
    local function without_headings(text)
      return (("\n" .. text):gsub("\n+%u[^\n]*", ""):gsub("^\n", ""))
    end

    it("prints every step, numbered, with its side, and runs nothing", function()
      local marker = directory .. "/marker"
      local path = container(([[
        ids = require "cella.policy".root(), mounts = { { type = "bind", source = %q, destination = %q } },
        command = { "touch", %q },
      ]]):format(directory, directory, marker))
      local result = trial.cella { "plan", path }
      assert.equal(0, result.status)
      assert.equal("", result.stderr)
      local number = 0
      for line in without_headings(result.stdout):gmatch "[^\n]+" do
        number = number + 1
        local shown, side, step = line:match "^ *(%d+) (%l+) +(%S.*)$"
        assert.equal(tostring(number), shown)
        assert.truthy(side == "parent" or side == "child", line)
        assert.truthy(step:find "^[%w_ =/]+", line)
      end
      assert.truthy(result.stdout:find('clone3({"user", "mount", "pid", "ipc", "uts", "cgroup"})', 1, true))
      assert.truthy(result.stdout:find(('{"touch", %q}'):format(marker), 1, true), result.stdout)
      assert.is_nil(trial.read(marker))
      -- It would have.
      assert.equal(0, run(path).status)
      assert.equal("", trial.read(marker))
    end)

    it("prints what `box:plan` is, and from where on signals are handed on", function()
      -- A plan hides the interpreter from who may own it.
      local function owner(path) return (select(4, core.inode(path))) end
      if owner "/proc/self/exe" ~= owner(trial.sh("command -v " .. trial.lua):gsub("\n", "")) then
        return pending "is run by another interpreter than the command line"
      end
      -- Without it the two would have IDs of their own.
      local path = container [[ids = require "cella.policy".root(), hostname = "moon", command = { "true" },
        environment = {}]]
      local box = cella.container { ids = policy.root(), hostname = "moon", environment = {},
        command = { "true", stdin = "inherit" },
        hooks = { before_exec = print } }
      local wanted = tostring(box:plan()):gsub("hooks%.before_exec%(PROCESS%)", "hold_signals()")
      assert.equal(wanted .. "\n", without_headings(trial.cella({ "plan", path }).stdout))
    end)

    it("takes arguments and another program as `run` does", function()
      local path = file 'return { hostname = (...), command = { "true" } }'
      local shown = trial.cella({ "plan", path, "venus", "--", "/bin/echo", "hello" }).stdout
      assert.truthy(shown:find('sethostname("venus")', 1, true), shown)
      assert.truthy(shown:find('{"/bin/echo", "hello"}', 1, true), shown)
    end)

    it("has the status 125 where there is no plan to print", function()
      for _, path in ipairs { "/no/such/file.lua", file 'return { hostnam = "moon" }',
        file 'return { command = { "true" }, user = { uid = 4000000000 } }' } do
        local result = trial.cella { "plan", path }
        assert.equal(125, result.status)
        assert.equal("", result.stdout)
        assert.truthy(result.stderr:find "^cella: ", result.stderr)
      end
    end)

    it("shows a program that is not there as well: nobody has looked", function()
      assert.equal(0, trial.cella({ "plan", container(), "--", "no-such-program" }).status)
    end)
  end)

  it("leaves the host's name to the host", function()
    local name = sys.gethostname()
    assert.equal("moon\n", run(container 'hostname = "moon"', "--", "hostname").stdout)
    assert.equal(name, sys.gethostname())
  end)
end)
