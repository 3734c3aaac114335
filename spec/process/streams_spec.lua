-- cella.streams: what a program reads and writes.

local able = require "spec.support.able"
local cella = require "cella"
local collide = require "spec.support.collide"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local program = require "spec.support.program"
local trial = require "spec.support.trial"

local new, run, sh, state = program.new, program.run, program.sh, program.state

local needs = able.needs(function(reason) pending(reason) end)

describe("a stream", function()
  teardown(helper.remove)

  local path
  before_each(function()
    path = os.tmpname()
    leaks.watch()
  end)
  after_each(function()
    leaks.check()
    os.remove(path)
  end)

  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  it("is inherited, where nothing is said", function()
    local output = outside.lua([[
      io.write "first "
      io.flush()
      assert(cella.plan():exec({ "sh", "-c", "echo out; echo err >&2; cat" }):run())
    ]], { output = true, redirect = "<<'END'\nin\nEND" })
    assert.equal("first out\nerr\nin\n", output)
  end)

  it("of a container's standard input is nothing, unless somebody hands in the caller's", needs("user_namespaces",
    function()
      local function read(keys, redirect)
        return outside.lua(([[
          local result = assert(cella.container({}):run { "sh", "-c", "cat; readlink /proc/self/fd/0", %s
            stdout = "capture" })
          io.write(result.stdout)
        ]]):format(keys), { output = true, redirect = redirect or "<<'END'\nsecret\nEND" })
      end
      assert.equal("/dev/null\n", read "")
      assert.equal("secret\n", read 'stdin = "inherit",':match "^[^\n]*\n")
      assert.equal("/dev/null\n", outside.lua([[
        local process = assert(cella.container({}):spawn { "sleep", "60" })
        local result = assert(assert(process:enter()):run { "sh", "-c", "cat; readlink /proc/self/fd/0",
          stdout = "capture" })
        process:close()
        io.write(result.stdout)
      ]], { output = true, redirect = "<<'END'\nsecret\nEND" }))
    end))

  it("of a number that the caller has not open is EBADF, not what cella opens meanwhile #slow", needs("user_namespaces",
    function()
      for free = 3, 12 do
        local said = outside.lua(([[
          local sys = require "cella.sys"
          local free = %d
          assert(sys.dup2(assert(sys.openat2("/etc/passwd", "rdonly")), 100))
          sys.close_range(3, 60)
          local none = { net = "host", cgroup = "host", ipc = "host", uts = "host" }
          local function code(description, command)
            description.namespaces = description.namespaces or none
            local result, err = cella.container(description):run(command or { "true" })
            return result and "ran" or err.op .. " " .. err.code
          end
          print(code({}, { "true", fds = { [20] = free } }), code({}, { "true", stdin = free }),
            code({}, { "true", stdout = free }), code({}, { "true", stderr = free }), code { root = { fd = free } },
            code { mounts = { { type = "bind", source = { fd = free }, destination = "/mnt" } } },
            code { namespaces = { net = { fd = free } } },
            code({}, { "true", terminal = { like = free }, stdout = "capture" }))
          -- A control.
          print(code({}, { "true", fds = { [20] = 100 } }))
        ]]):format(free), { output = true })
        assert.equal(("dup EBADF\t"):rep(7) .. "dup EBADF\nran\n", said)
      end
    end))

  it("is nothing", function()
    local script = "cat; echo out; echo err >&2; a=$(readlink /proc/$$/fd/0) b=$(readlink /proc/$$/fd/1); echo $a $b > "
    assert.equal(0, run(sh(script .. path)).code)
    assert.equal("/dev/null /dev/null\n", trial.read(path))
  end)

  it("is captured, both by themselves, to the last byte", function()
    local result = run { "sh", "-c", [[printf 'a\0b\n\n'; printf 'c\377' >&2]], stdout = "capture", stderr = "capture" }
    assert.equal("a\0b\n\n", result.stdout)
    assert.equal("c\255", result.stderr)
    assert.is_nil(result.truncated)
  end)

  it("is captured empty where nothing was written, and absent where it was not asked for", function()
    local result = run { "true", stdin = "null", stdout = "capture" }
    assert.equal("", result.stdout)
    assert.is_nil(result.stderr)
  end)

  it("is captured together with another", function()
    local result = run { "sh", "-c", "echo 1; echo 2 >&2; echo 3", stdout = "capture", stderr = "stdout" }
    assert.equal("1\n2\n3\n", result.stdout)
    assert.is_nil(result.stderr)
  end)

  it("is captured where the program takes turns on both, more than a pipe holds", function()
    local result = run { "sh", "-c", [[
      i=0; while [ $i -lt 40 ]; do head -c 5000 /dev/zero; head -c 5000 /dev/zero >&2; i=$((i+1)); done]],
      stdin = "null", stdout = "capture", stderr = "capture" }
    assert.equal(200000, #result.stdout)
    assert.equal(200000, #result.stderr)
  end)

  it("is captured to a bound, and the result says that there was more", function()
    for _, case in ipairs { { 0, 1 }, { 10, 9 }, { 10, 10 }, { 10, 11 }, { 65536, 200000 }, { 100000, 100000 } } do
      local limit, size = case[1], case[2]
      local result = run({ "head", "-c", tostring(size), "/dev/zero", stdin = "null", stdout = "capture" },
        { capture_limit = limit })
      assert.equal(0, result.code)
      assert.equal(math.min(limit, size), #result.stdout)
      assert.equal(size > limit or nil, result.truncated)
    end
  end)

  it("is bounded each by itself", function()
    local result = run({ "sh", "-c", "head -c 100 /dev/zero; echo x >&2", stdin = "null", stdout = "capture",
      stderr = "capture" }, { capture_limit = 10 })
    assert.equal(10, #result.stdout)
    assert.equal("x\n", result.stderr)
    assert.is_true(result.truncated)
  end)

  it("is bounded to 16 MiB where nothing is said, and the program may write 64 MiB", needs("plain_memory", function()
    local size, truncated, code, grown = outside.lua [[
      local function peak() return tonumber(status "VmHWM":match "%d+") end
      local before = peak()
      local result = assert(cella.plan():exec({ "head", "-c", "67108864", "/dev/zero", stdout = "capture" }):run())
      return #result.stdout, result.truncated, result.code, peak() - before
    ]]
    assert.equal(16777216, size)
    assert.is_true(truncated)
    assert.equal(0, code)
    -- The pieces, their sum while it is being made, and the result. The table.concat of Lua 5.2 leaves each buffer for
    -- one that is twice as long, and those that it has left to the collector: as much again.
    assert.is_true(grown < (_VERSION == "Lua 5.2" and 112 or 80) * 1024, grown .. " kB")
  end))

  it("costs no memory beyond its bound, however small the writes are", function()
    local library, problem = helper.library()
    if not library then return pending(problem) end
    local kilobytes, size = outside.lua([[
      local library = ...
      -- Each write arrives by itself.
      local writer = ("package.loadlib(%q, 'packet_output')() io.stdout:setvbuf 'no'"
        .. " for _ = 1, 30000 do io.write 'x' end"):format(library)
      local process = assert(cella.plan():exec({ portable.program, "-e", writer, stdin = "null", stdout = "capture" })
        :spawn { capture_limit = 10 })
      collectgarbage()
      local before, most = collectgarbage "count", 0
      repeat
        local result = process:wait(0.002)
        collectgarbage()
        most = math.max(most, collectgarbage "count" - before)
      until result
      return most, #process:wait().stdout
    ]], { arguments = { library } })
    assert.equal(10, size)
    assert.is_true(kilobytes < 128, kilobytes .. " kB")
  end)

  it("comes from a file and goes to files", function()
    write "from a file\n"
    local out = os.tmpname()
    assert.equal(0, run({ "cat", stdin = { path = path }, stdout = { path = out } }).code)
    assert.equal("from a file\n", trial.read(out))
    assert.equal(0, run({ "sh", "-c", "echo more >&2", stderr = { path = out, append = true } }).code)
    assert.equal("from a file\nmore\n", trial.read(out))
    assert.equal(0, run({ "echo", "anew", stdout = { path = out } }).code)
    assert.equal("anew\n", trial.read(out))
    os.remove(out)
  end)

  it("to a new file makes it with the caller's umask", function()
    os.remove(path)
    local mode = outside.lua([[
      local path = ...
      sys.umask(23)
      assert(cella.plan():umask(0):exec({ "true", stdout = { path = path } }):run())
      local pipe = io.popen("stat -c %a " .. path)
      return pipe:read "*l", pipe:close()
    ]], { arguments = { path } })
    assert.equal("640", mode)
  end)

  it("is a descriptor of the caller's, at the place where it is", function()
    write "one\ntwo\n"
    local fd = assert(core.open(path, "rdwr"))
    local command = { "sh", "-c", "read a; echo $a >&2; echo $a", stdin = fd:number(), stdout = "capture",
      stderr = "null" }
    assert.equal("one\n", run(command).stdout)
    fd:close()
  end)

  it("is one of Lua's own files, which the plan holds: it stays, and none other has its number #slow", function()
    write "the right file\n"
    for _ = 1, 50 do
      local plan = cella.plan():exec { "cat", stdin = assert(io.open(path)), stdout = "capture",
        fds = { [7] = assert(io.open(path)) } }
      collectgarbage()
      local other, another = assert(io.open "/etc/passwd"), assert(io.open "/etc/passwd")
      assert.equal("the right file\n", assert(plan:run()).stdout)
      other:close()
      another:close()
    end
    local file = assert(io.open(path))
    local plan = cella.plan():exec { "cat", stdin = file, stdout = "capture" }
    file:close()
    local other = assert(io.open "/etc/passwd") -- which gets the number
    local result, err = plan:run()
    other:close()
    assert.is_nil(result)
    assert.equal("EBADF", err.code)
  end)

  it("is one of Lua's own files, of which what was written is not lost", function()
    local file = assert(io.open(path, "w"))
    file:write "Lua, "
    assert.equal(0, run({ "echo", "then the program", stdout = file }).code)
    file:write "nothing is lost\n"
    file:close()
    assert.equal("Lua, then the program\nnothing is lost\n", trial.read(path))
  end)

  it("is swapped with another", function()
    local output = outside.lua([[
      assert(cella.plan():exec({ "sh", "-c", "echo out; echo err >&2", stdout = 2, stderr = 1 }):run())
    ]], { output = true, redirect = "2>" .. path })
    assert.equal("err\n", output)
    assert.equal("out\n", trial.read(path))
  end)

  it("is any other number too, whatever those of the caller are", function()
    local first, second = assert(core.open(path, { "rdwr" })), assert(core.open("/dev/null", "rdwr"))
    local a, b = first:number(), second:number()
    local list = "readlink /proc/self/fd/%d /proc/self/fd/%d"
    -- Each on the number of the other, and then on numbers of their own.
    local result = run { "sh", "-c", list:format(a, b), stdout = "capture", fds = { [a] = b, [b] = a } }
    assert.equal("/dev/null\n" .. path .. "\n", result.stdout)
    result = run { "sh", "-c", list:format(70, 71), stdout = "capture", fds = { [70] = a, [71] = b, [a] = a } }
    assert.equal(path .. "\n/dev/null\n", result.stdout)
    first:close()
    second:close()
  end)

  it("is put on numbers that are free in the caller, and where its copies would be", function()
    local output, _, wanted = outside.lua([[
      local files, fds = {}, {}
      assert(sys.close_range(3, 12))
      for i = 1, 6 do
        files[i] = os.tmpname()
        local fd = assert(core.open(files[i], "rdwr", nil, 100 + i))
        assert(fd:number() == 100 + i)
        fds[3 + i] = 100 + i
        kept = { fd, kept }
      end
      local script = "for i in 4 5 6 7 8 9; do readlink /proc/self/fd/$i; done"
      assert(cella.plan():exec({ "sh", "-c", script, fds = fds }):run())
      for i = 1, 6 do os.remove(files[i]) end
      return table.concat(files, "\n") .. "\n"
    ]], { output = true })
    assert.equal(wanted, output)
  end)

  it("is a chain of numbers, each of which is the source of the next", function()
    local result = outside.lua [[
      local files, list = {}, {}
      for i = 3, 12 do
        files[i] = os.tmpname()
        local fd = assert(core.open(files[i], "rdwr"))
        assert(sys.dup2(fd:number(), 100 + i))
        fd:close()
      end
      for i = 3, 12 do assert(sys.dup2(100 + i, i)) end
      local fds, wanted = {}, {}
      for i = 3, 12 do
        fds[i] = i == 12 and 3 or i + 1
        local source = fds[i]
        wanted[i] = files[source]
      end
      local script = "for i in 3 4 5 6 7 8 9 10 11 12; do readlink /proc/self/fd/$i; done"
      local result = assert(cella.plan():exec({ "sh", "-c", script, stdin = 3, stdout = "capture", fds = fds }):run())
      for i = 3, 12 do os.remove(files[i]) end
      return result.stdout == table.concat(wanted, "\n", 3, 12) .. "\n" or result.stdout
    ]]
    assert.is_true(result)
  end)

  it("of the caller is not closed by what the program does with it", function()
    local fd = assert(core.open(path, "rdwr"))
    assert.equal(0, run({ "sh", "-c", "exec 0<&- 5<&-", stdin = fd:number(), fds = { [5] = fd:number() } }).code)
    assert.is_true(core.is_open(fd:number()))
    fd:close()
  end)

  it("that ends early ends the program as in any pipe", function()
    local result = run({ "sh", "-c", "head -c 100000000 /dev/zero; kill -9 $$", stdin = "null", stdout = "null" })
    assert.equal("kill", result.signal)
    local process = trial.hold(new { "cat", "/dev/zero", stdin = "null", stdout = "capture" }:spawn())
    assert.is_nil((process:wait(0.01)))
    process:kill "pipe"
    assert.equal("pipe", assert(process:wait()).signal) -- SIGPIPE is not ignored
  end)
end)

describe("a function as a stream", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  local function collect(script, options)
    local calls = {}
    local result = run({ "sh", "-c", script, stdin = "null", stdout = function(...) calls[#calls + 1] = { ... } end },
      options)
    return calls, result
  end

  it("gets each line without its newline, and the last one also where it has none", function()
    local calls, result = collect [[printf 'one\n\ntwo\r\n'; printf 'a\0b\n'; printf last]]
    assert.same({ { "one", "stdout" }, { "", "stdout" }, { "two\r", "stdout" }, { "a\0b", "stdout" },
      { "last", "stdout" } }, calls)
    assert.is_nil(result.stdout)
    assert.equal(0, result.code)
    assert.same({}, (collect "true"))
    assert.same({ { "x", "stdout" } }, (collect "echo x"))
  end)

  it("gets them while the program runs", function()
    -- The program ends only if it is answered, and it is answered only if the line has come.
    local lines = {}
    local other = trial.hold(new { "sh", "-c", "echo ready; read x; echo $x", stdin = "pipe",
      stdout = function(line) lines[#lines + 1] = line end }:spawn())
    while #lines == 0 do other:wait(0.01) end
    assert.is_nil((other:wait(0)))
    assert.is_true(other:write "answer\n")
    assert.equal(0, assert(other:wait()).code)
    assert.same({ "ready", "answer" }, lines)
  end)

  it("may answer by itself", function()
    local process, got
    process = assert(new { "sh", "-c", "echo ready; read x; echo $x", stdin = "pipe", stdout = function(line)
      if line == "ready" then process:feed "answer\n" else got = line end
    end }:spawn())
    assert.equal(0, assert(process:wait()).code)
    assert.equal("answer", got)
  end)

  it("gets both streams, each with its name, or both as one", function()
    local seen = {}
    local function see(line, stream) seen[#seen + 1] = stream .. " " .. line end
    run { "sh", "-c", "echo out; echo err >&2", stdout = see, stderr = see }
    table.sort(seen)
    assert.same({ "stderr err", "stdout out" }, seen)
    seen = {}
    run { "sh", "-c", "echo out; echo err >&2", stdout = see, stderr = "stdout" }
    assert.same({ "stdout out", "stdout err" }, seen)
    seen = {}
    local result = run { "sh", "-c", "echo out; echo err >&2", stdout = "capture", stderr = see }
    assert.same({ "stderr err" }, seen)
    assert.equal("out\n", result.stdout)
  end)

  it("gets lines of any length, the longest in parts of 1 MiB that say so", function()
    local most = 1048576
    for _, size in ipairs { 65536, most - 1, most, most + 1, 3 * most + 5 } do
      local calls = collect(("head -c %d /dev/zero; echo; echo x"):format(size))
      assert.same({ "x", "stdout" }, calls[#calls])
      local total = 0
      for i = 1, #calls - 1 do
        total = total + #calls[i][1]
        assert.is_true(#calls[i][1] <= most)
        assert.equal(i < #calls - 1 or nil, calls[i][3])
      end
      assert.equal(size, total)
      assert.equal(math.max(1, math.ceil(size / most)), #calls - 1)
    end
  end)

  it("gets lines in bounded time, whatever strings somebody has chosen #slow", function()
    local items, lacks = collide.items(59000)
    if not items then pending(lacks) end
    local text = items:gsub("s\12\0\0\0(" .. ("."):rep(12) .. ")", "%1\n") -- no line is a string of ours
    local kept, start = {}, os.clock()
    local result, err = cella.container {}:run {
      function() io.write(text) end,
      stdout = function(line) kept[#kept + 1] = line end,
    }
    -- Some five seconds, on a machine that does nothing else, for who goes on to the end.
    assert.is_nil(result)
    assert.truthy(tostring(err):find("takes too long", 1, true), tostring(err))
    assert.is_true(#kept < 59000)
    assert.is_true(os.clock() - start < 60)
  end)

  it("costs no memory that grows with a line that does not end #slow", needs("plain_memory", function()
    local grown, total = outside.lua [[
      local function peak() return tonumber(status "VmHWM":match "%d+") end
      local total, before = 0, peak()
      assert(cella.plan():exec({ "head", "-c", "268435456", "/dev/zero", stdout = function(line)
        total = total + #line
      end }):run())
      return peak() - before, total
    ]]
    assert.equal(268435456, total)
    assert.is_true(grown < 32 * 1024, grown .. " kB")
  end))

  it("that raises ends the program, and the one who waits gets what was raised", function()
    local mark = {}
    local process = assert(new { "sh", "-c", "echo x; exec sleep 60", stdin = "null",
      stdout = function() error(mark) end }:spawn())
    local ok, raised = pcall(process.wait, process)
    assert.is_false(ok)
    assert.equal(mark, raised)
    assert.equal("gone", state(process.pid))
    local result, err = process:wait()
    assert.is_nil(result)
    assert.truthy(err.message:find("raised", 1, true), err.message)
    assert.truthy(tostring(process):find "closed")
  end)

  it("that raises at the last line of all does so too", function()
    local ok, raised = pcall(run, { "printf", "x", stdin = "null", stdout = function() error "at the end" end })
    assert.is_false(ok)
    assert.truthy(raised:find "at the end")
  end)

  it("may kill the program, or close the handle, and is not called any more after that", function()
    local process, count = nil, 0
    process = assert(new { "yes", stdin = "null", stdout = function()
      count = count + 1
      if count == 3 then process:close() end
    end }:spawn())
    local result, err = process:wait()
    assert.is_nil(result)
    assert.truthy(err.message:find "closed")
    assert.equal(3, count)
    process = assert(new { "yes", stdin = "null", stdout = function() process:kill "term" end }:spawn())
    assert.equal("term", assert(process:wait()).signal)
  end)

  it("must not wait for the program itself", function()
    for _, name in ipairs { "wait", "step", "terminate" } do
      local process
      process = assert(new { "sh", "-c", "echo x; exec sleep 60", stdin = "null",
        stdout = function() process[name](process) end }:spawn())
      local ok, raised = pcall(process.wait, process)
      assert.is_false(ok)
      assert.truthy(raised:find("must neither wait", 1, true), raised)
      assert.equal("gone", state(process.pid))
    end
  end)

  it("is given by run too, for each run of a plan", function()
    local count = 0
    local plan = new { "echo", "x", stdout = function() count = count + 1 end }
    for _ = 1, 3 do assert.equal(0, assert(plan:run()).code) end
    assert.equal(3, count)
  end)

  it("does not wait for those that the program left behind, who write on", function()
    local lines = {}
    local process = assert(new { "sh", "-c", "echo first; yes & echo $! >&2",
      stdin = "null", stdout = function(line) lines[line] = true end, stderr = "capture" }:spawn())
    local result = assert(process:wait())
    assert.is_true(lines.first)
    outside.sh("kill -9 " .. result.stderr:match "%d+")
  end)
end)

describe("what is in a pipe when the program has ended", function()
  local output = require "cella.process.output"

  it("is taken, and no more, though somebody else writes for ever", function()
    local reads, got = 0, {}
    -- A pipe that never runs dry.
    local fd = {
      number = function() return 5 end,
      available = function() return 10 end,
      read = function()
        reads = reads + 1
        return reads <= 1000 and "12345" or ""
      end,
    }
    local sink = { is_full = function() return false end, put = function(_, data) got[#got + 1] = data end }
    output.new(fd, sink, function(size) return size end):drain()
    assert.same({ "12345", "12345" }, got)
  end)
end)

describe("2 GiB of output", function()
  it("cost the caller no memory that grows #slow", needs("plain_memory", "user_namespaces", function()
    local grown, kept, truncated, code = outside.lua [[
      local function peak() return tonumber(status "VmHWM":match "%d+") end
      local box = cella.container { namespaces = { net = "host" } }
      assert(box:run { "/bin/true" })
      local before = peak()
      local result = assert(box:run { "/bin/sh", "-c", "head -c 2147483648 /dev/zero; exit 3", stdin = "null",
        stdout = "capture", capture_limit = 100000 })
      return peak() - before, #result.stdout, result.truncated, result.code
    ]]
    assert.equal(100000, kept)
    assert.is_true(truncated)
    assert.equal(3, code)
    -- The collector waits until there is twice what all modules take.
    assert.is_true(grown < 8192, grown .. " kB")
  end))
end)
