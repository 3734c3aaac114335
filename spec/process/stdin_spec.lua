-- cella.process: what a program reads: a string, a file, or what the caller writes while it runs.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"
local program = require "spec.support.program"
local trial = require "spec.support.trial"

local new, run, raises = program.new, program.run, program.raises

local needs = able.needs(function(reason) pending(reason) end)

-- Every byte there is, in more than a pipe holds.
local function megabytes(count)
  local all = {}
  for byte = 0, 255 do all[#all + 1] = string.char(byte) end
  return table.concat(all):rep(4096 * count)
end

describe("a string as the standard input", function()
  before_each(leaks.watch)
  after_each(leaks.check)

  it("arrives to the last byte, and then ends", function()
    for _, text in ipairs { "", "x", "hello\n", "a\0b\n\n", megabytes(5) } do
      local result = run { "cat", stdin = { content = text }, stdout = "capture" }
      assert.is_true(result.stdout == text, #result.stdout .. " bytes")
      assert.equal(0, result.code)
    end
  end)

  it("needs nobody who waits", function()
    local path = os.tmpname()
    local process = trial.hold(new { "sh", "-c", "cat > " .. path .. "; echo x >> " .. path,
      stdin = { content = megabytes(1) } }:spawn())
    -- Nothing but the program moves here.
    core.poll({ process:pidfd() }, 30)
    assert.equal(1048578, #assert(io.open(path)):read "*a")
    assert.equal(0, assert(process:wait(0)).code)
    os.remove(path)
  end)

  it("is there for each run of a plan anew", function()
    local plan = new { "cat", stdin = { content = "again" }, stdout = "capture" }
    for _ = 1, 3 do assert.equal("again", assert(plan:run()).stdout) end
  end)

  it("cannot be written to, changed or executed by the program", function()
    local result = run { "sh", "-c", [[
      echo x 2>&1 >&0; echo x 2>&1 >/dev/stdin; truncate -s 0 /dev/stdin 2>&1
      /proc/self/fd/0 2>&1; cat]], stdin = { content = "#!/bin/sh\necho executed\n" }, stdout = "capture" }
    assert.equal("#!/bin/sh\necho executed\n", result.stdout:sub(-#"#!/bin/sh\necho executed\n"))
    assert.is_nil(result.stdout:find("\nexecuted", 1, true), result.stdout)
    assert.equal(3, select(2, result.stdout:gsub("sh: ", "")), result.stdout)
  end)

  it("is shown in the plan by its size, not by what it says", function()
    local text = tostring(new { "cat", stdin = { content = "secret" } })
    assert.truthy(text:find("memfd_create() of 6 bytes", 1, true), text)
    assert.is_nil(text:find("secret", 1, true))
  end)

  it("arrives in a container too, also where root inside is another outside", needs("several_ids", function()
    assert.equal("hello\n", (outside.with_several_ids [[
      local _, uid = sys.getresuid()
      local box = cella.container { user = { uid = 33, gid = 33 }, namespaces = { net = "host" },
        ids = { uid = "0 0 1\n33 33 1", gid = "0 0 1\n33 33 1" } }
      return assert(box:run { "/bin/sh", "-c", "cat", stdin = { content = "hello\n" }, stdout = "capture" }).stdout
    ]]))
  end))

  it("beyond the caller's limit of file sizes is an error, and no signal", function()
    local code, op, pending = outside.lua [[
      assert(sys.setrlimit("fsize", 100000, 100000))
      local process, err = cella.plan():exec({ "cat", stdin = { content = ("x"):rep(200000) } }):spawn()
      return not process and err.code, err.op, status "SigPnd"
    ]]
    assert.equal("EFBIG", code)
    assert.equal("memfd_create", op)
    assert.equal("0000000000000000", pending)
  end)

  it("may be on any number, beside others", function()
    local file = assert(io.open("/dev/null", "r"))
    local result = run { "sh", "-c", "cat <&5; cat <&7; readlink /proc/$$/fd/9", stdin = { content = "one " },
      stdout = "capture", fds = { [5] = { content = "two " }, [7] = { content = "three " }, [9] = file } }
    assert.equal("two three /dev/null\n", result.stdout)
    file:close()
  end)

  it("is refused where it is none", function()
    raises("command.stdin.content: a string expected, got 5", new, { "cat", stdin = { content = 5 } })
    raises("command.stdin.path: unknown key", new, { "cat", stdin = { content = "", path = "/x" } })
    raises("command.stdin", new, { "cat", stdin = print })
    raises("command.stdout", new, { "cat", stdout = { content = "" } })
    raises("command.fds[5]: a descriptor, a file or { content = ... } expected, got the string \"x\"", new,
      { "cat", fds = { [5] = "x" } })
    raises("command.fds[5]", new, { "cat", fds = { [5] = { path = "/dev/null" } } })
    raises("command.fds[2]", new, { "cat", fds = { [2] = 1 } })
    raises("command.fds[65536]", new, { "cat", fds = { [65536] = 1 } })
    raises("command.fds.x", new, { "cat", fds = { x = 1 } })
    raises("did you mean 'pipe'?", new, { "cat", stdin = "pip" })
  end)
end)

describe("a pipe as the standard input", function()
  before_each(leaks.watch)
  after_each(leaks.check)
  teardown(helper.remove)

  it("takes what is written, while the program runs", function()
    local process = trial.hold(new { "sh", "-c", "while read x; do echo got $x; done", stdin = "pipe",
      stdout = "capture" }:spawn())
    assert.is_true(process:write "one\n")
    assert.is_true(process:write "two\nthr")
    assert.is_true(process:write "ee\n")
    assert.is_true(process:write "")
    assert.is_nil((process:wait(0)))
    process:close_stdin()
    assert.equal("got one\ngot two\ngot three\n", assert(process:wait()).stdout)
  end)

  it("is one, as programs expect", function()
    local process = trial.hold(new { "sh", "-c", "stat -Lc %F /dev/stdin; readlink /proc/$$/fd/0; cat",
      stdin = "pipe", stdout = "capture" }:spawn())
    process:close_stdin()
    assert.truthy(assert(process:wait()).stdout:find "^fifo\npipe:%[%d+%]\n$")
  end)

  it("takes more than it holds while output is taken, in which the program would else be stuck", function()
    local text = megabytes(3)
    local process = trial.hold(new { "cat", stdin = "pipe", stdout = "capture" }:spawn())
    assert.is_true(process:write(text))
    process:close_stdin()
    assert.is_true(process:wait().stdout == text)
  end)

  it("is fed by whoever waits", function()
    local text = megabytes(1)
    local process = trial.hold(new { "cat", stdin = "pipe", stdout = "capture" }:spawn())
    for _ = 1, 3 do assert.is_true(process:feed(text)) end
    process:close_stdin() -- once all that is written
    assert.is_true(assert(process:wait()).stdout == text:rep(3))
  end)

  it("that the program has closed is EPIPE, and no signal", function()
    local code, again, fed, status = outside.lua [[
      local process = assert(cella.plan():exec({ "sh", "-c", "exec <&-; exec sleep 60", stdin = "pipe",
        stdout = "null", stderr = "null" }):spawn())
      local err
      repeat local ok ok, err = process:write "x" until not ok
      local again, fed = select(2, process:write "x"), select(2, process:feed "x")
      local running = process:wait(0) == nil
      process:kill "term"
      return err.code, again.code, fed.code, running and assert(process:wait()).signal
    ]]
    assert.same({ "EPIPE", "EPIPE", "EPIPE", "term" }, { code, again, fed, status })
  end)

  it("of a program that has ended is EPIPE too, also in the middle of writing", function()
    local process = trial.hold(new { "head", "-c", "1000", stdin = "pipe", stdout = "capture" }:spawn())
    local ok, err = process:write(megabytes(2))
    assert.is_nil(ok)
    assert.equal("EPIPE", err.code)
    assert.equal(1000, #assert(process:wait()).stdout)
    assert.equal("EPIPE", select(2, process:write "x").code)
    process:close_stdin()
  end)

  it("of a program that has ended is EPIPE also where nothing was written before", function()
    local process = trial.hold(new { "true", stdin = "pipe" }:spawn())
    assert(process:wait())
    for _, name in ipairs { "write", "feed" } do
      local ok, err = process[name](process, "x")
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
      assert.equal("the program has ended", err.message)
    end
  end)

  it("takes away no SIGPIPE that was there before, and leaves the mask as it was", function()
    local blocked, pending_before, pending_after = outside.lua([[
      host(..., "raise_blocked_pipe")
      local before = status "SigPnd"
      local process = assert(cella.plan():exec({ "true", stdin = "pipe" }):spawn())
      while process:write "x" do core.poll({}, 0.001) end
      process:wait()
      return status "SigBlk", before, status "SigPnd"
    ]], { arguments = { assert(helper.library()) } })
    assert.equal("0000000000001000", blocked)
    assert.equal("0000000000001000", pending_before)
    assert.equal(pending_before, pending_after)
  end)

  it("has its limits seen to while it is written to #slow", function()
    local process = trial.hold(new { "sleep", "60", stdin = "pipe" }:spawn { timeout = 2 })
    local ok, err = process:write(megabytes(1)) -- which nobody reads
    assert.is_nil(ok)
    assert.truthy(err.message:find("ended", 1, true))
    assert.equal("timeout", process:wait().reason)
  end)

  it("ends when the handle is closed", function()
    local process = assert(new { "cat", stdin = "pipe", stdout = "null" }:spawn())
    process:feed(megabytes(1))
    process:close()
    assert.truthy(select(2, process:feed "x"))
  end)

  it("is for spawn: run could write nothing", function()
    raises('stdin: "pipe" needs spawn', function() new({ "cat", stdin = "pipe" }):run() end)
    raises('command.stdin: "pipe" needs spawn', function() cella.container({}):run { "/bin/cat", stdin = "pipe" } end)
  end)

  it("is refused where there is none, where it is closed, and where it is no string", function()
    local process = trial.hold(new { "cat", stdin = "null" }:spawn())
    raises("stdin_spec.lua", function() process:write "x" end)
    raises('stdin = "pipe"', process.write, process, "x")
    raises('stdin = "pipe"', process.close_stdin, process)
    local other = trial.hold(new { "cat", stdin = "pipe", stdout = "null" }:spawn())
    raises("data: a string expected, got 5", other.write, other, 5)
    raises("data: a string expected, got nil", other.feed, other)
    other:close_stdin()
    other:close_stdin()
    raises("close_stdin was called", other.write, other, "x")
    assert.equal(0, assert(other:wait()).code)
  end)
end)
