-- cella.streams: what a program reads and writes.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local helper = require "spec.support.helper"
local leaks = require "spec.support.leaks"
local outside = require "spec.support.outside"

local needs = able.needs(function(reason) pending(reason) end)

local function new(command) return cella.plan():exec(command) end

local function run(command, options) return assert(new(command):run(options)) end

local function slurp(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- A shell script without streams of the runner's.
local function quiet(script)
  return { "sh", "-c", script, stdin = "null", stdout = "null", stderr = "null" }
end

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

  it("is nothing", function()
    local script = "cat; echo out; echo err >&2; a=$(readlink /proc/$$/fd/0) b=$(readlink /proc/$$/fd/1); echo $a $b > "
    assert.equal(0, run(quiet(script .. path)).code)
    assert.equal("/dev/null /dev/null\n", slurp(path))
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
    -- The pieces, their sum while it is being made, and the result.
    assert.is_true(grown < 80 * 1024, grown .. " kB")
  end))

  it("costs no memory beyond its bound, however small the writes are", function()
    local library, problem = helper.library()
    if not library then return pending(problem) end
    local kilobytes, size = outside.lua([[
      local library = ...
      -- Each write arrives by itself.
      local writer = ("package.loadlib(%q, 'packet_output')() io.stdout:setvbuf 'no'"
        .. " for _ = 1, 30000 do io.write 'x' end"):format(library)
      local process = assert(cella.plan():exec({ "lua5.4", "-e", writer, stdin = "null", stdout = "capture" })
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
    assert.equal("from a file\n", slurp(out))
    assert.equal(0, run({ "sh", "-c", "echo more >&2", stderr = { path = out, append = true } }).code)
    assert.equal("from a file\nmore\n", slurp(out))
    assert.equal(0, run({ "echo", "anew", stdout = { path = out } }).code)
    assert.equal("anew\n", slurp(out))
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

  it("is one of Lua's own files, of which what was written is not lost", function()
    local file = assert(io.open(path, "w"))
    file:write "Lua, "
    assert.equal(0, run({ "echo", "then the program", stdout = file }).code)
    file:write "nothing is lost\n"
    file:close()
    assert.equal("Lua, then the program\nnothing is lost\n", slurp(path))
  end)

  it("is swapped with another", function()
    local output = outside.lua([[
      assert(cella.plan():exec({ "sh", "-c", "echo out; echo err >&2", stdout = 2, stderr = 1 }):run())
    ]], { output = true, redirect = "2>" .. path })
    assert.equal("err\n", output)
    assert.equal("out\n", slurp(path))
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
    local process <close> = assert(new { "cat", "/dev/zero", stdin = "null", stdout = "capture" }:spawn())
    assert.is_nil((process:wait(0.01)))
    process:kill "pipe"
    assert.equal("pipe", assert(process:wait()).signal) -- SIGPIPE is not ignored
  end)
end)
