-- cella.process: every way in which a program ends is told right, whoever else in the caller waits for children.

local able = require "spec.support.able"
local helper = require "spec.support.helper"
local outside = require "spec.support.outside"

local needs = able.needs(function(reason) pending(reason) end)

-- For processes outside: starts a shell script in one of three ways, without its streams. (No network namespace: a new
-- one costs more than all the rest.)
local START = [[
  local START = {
    plan = function(script, stdin)
      return cella.plan():exec { "sh", "-c", script, stdin = stdin or "null", stderr = "null",
        environment = { PATH = os.getenv "PATH" } } -- a sanitizer's library has handlers of its own
    end,
    container = function(script, stdin)
      return cella.container({ namespaces = { net = "host" } }):plan { "/bin/sh", "-c", script, stdin = stdin or "null",
        stderr = "null" }
    end,
  }
  local way, library = ...
  local function start(script, stdin) return assert(START[way](script, stdin):spawn()) end
]]

-- The results of all exit statuses, as those that are wrong.
local CODES = START .. [[
  local wrong = {}
  for first = 0, 255, 16 do
    local started = {}
    -- Of containers a part: what wait(2) says is taken apart in one place.
    for code = first, first + 15, way == "container" and 5 or 1 do started[code] = start("exit " .. code) end
    for code, process in pairs(started) do
      local result = assert(process:wait())
      if result.reason ~= "exited" or result.code ~= code or result.signal or result.signal_number then
        wrong[#wrong + 1] = ("%d: %s %s %s"):format(code, result.reason, result.code, result.signal)
      end
    end
  end
  return table.concat(wrong, "\n"), #children()
]]

-- The same of the signals that end a program, sent by the program itself, and by the caller.
local SIGNALS = START .. [[
  local ends_not = set { 17, 18, 19, 20, 21, 22, 23, 28 }
  local wrong = {}
  local function check(what, number, result)
    if result.reason ~= "signaled" or result.signal_number ~= number or result.code
      or result.signal ~= (core.signal_name(number) or tostring(number)) then
      wrong[#wrong + 1] = ("%s %d: %s %s %s"):format(what, number, result.reason, result.code, result.signal)
    end
  end
  for number = 1, 64 do
    if not ends_not[number] then
      check("own", number, assert(start("ulimit -c 0; kill -" .. number .. " $$"):wait()))
      local process = start "ulimit -c 0; exec sleep 60"
      assert(process:kill(number))
      check("sent", number, assert(process:wait()))
    end
  end
  return table.concat(wrong, "\n"), #children()
]]

local SURROUNDINGS = {
  { "", nil },
  { ", also where SIGCHLD is ignored", "env --ignore-signal=CHLD" },
}

describe("the end of a program", function()
  teardown(helper.remove)

  for _, surroundings in ipairs(SURROUNDINGS) do
    for _, way in ipairs { "plan", "container" } do
      local where = (" (%s)%s"):format(way, surroundings[1])

      it("has every exit status from 0 to 255 #slow" .. where, needs("user_namespaces", function()
        local wrong, left = outside.lua(CODES, { arguments = { way }, prefix = surroundings[2] })
        assert.equal("", wrong)
        assert.equal(0, left)
      end))

      it("has every signal from 1 to 64 that ends one #slow" .. where, needs("user_namespaces", function()
        local wrong, left = outside.lua(SIGNALS, { arguments = { way }, prefix = surroundings[2] })
        assert.equal("", wrong)
        assert.equal(0, left)
      end))
    end
  end
end)


local STOLEN = START .. [[
  local wrong = {}
  for _, case in ipairs { { "exit 0", 0 }, { "exit 3", 3 }, { "exit 255", 255 }, { "kill -9 $$", nil, "kill" },
    { "ulimit -c 0; kill -6 $$", nil, "abrt" }, { "kill -40 $$", nil, "40" } } do
    local process = start("read x; " .. case[1], "pipe")
    %s
    local result, err = process:wait()
    if not result then
      wrong[#wrong + 1] = ("%%s: %%s"):format(case[1], tostring(err))
    elseif result.code ~= case[2] or result.signal ~= case[3] then
      wrong[#wrong + 1] = ("%%s: %%s %%s %%s"):format(case[1], result.reason, result.code, result.signal)
    end
  end
  return table.concat(wrong, "\n"), #children()
]]

local function stolen(theft)
  return STOLEN:format(theft == "ignored" and [[
    host(library, "ignore_children")
    process:close_stdin()
    core.poll({ process:pidfd() }, 30)
    host(library, "default_children")]] or [[
    process:close_stdin()
    core.poll({ process:pidfd() }, 30)
    host(library, "reap_anything")]])
end

-- Linux 6.15: a pidfd knows how a process ended that somebody else has reaped.
local function knows_after_reaping()
  local version = outside.sh "uname -r"
  local major, minor = version:match "^(%d+)%.(%d+)"
  major, minor = tonumber(major), tonumber(minor)
  return major > 6 or major == 6 and minor >= 15
end

describe("a status that somebody else took", function()
  teardown(helper.remove)

  local library
  local function with_library(body)
    return function()
      local problem
      library, problem = helper.library()
      if not library then return pending(problem) end
      return body()
    end
  end

  for _, theft in ipairs { "reaped", "ignored" } do
    local what = theft == "ignored" and "SIGCHLD that is ignored since the start" or "a loop that waits for any child"

    it("is told by the init, in spite of " .. what, needs("user_namespaces", with_library(function()
      local wrong, left = outside.lua(stolen(theft), { arguments = { "container", library } })
      assert.equal("", wrong)
      assert.equal(0, left)
    end)))

    it("is told by the kernel where there is no init, or refused with the reason, in spite of " .. what,
      with_library(function()
        local wrong, left = outside.lua(stolen(theft), { arguments = { "plan", library } })
        assert.equal(0, left)
        if knows_after_reaping() then return assert.equal("", wrong) end
        -- An older kernel: every one is refused, and says why.
        for line in wrong:gmatch "[^\n]+\n[^\n]+" do assert.truthy(line:find "ECHILD.*\n.*waitpid%(%-1%)", line) end
        assert.equal(6, select(2, wrong:gsub("waitpid%(%-1%)", "")))
      end))
  end

  for _, way in ipairs { "plan", "container" } do
    it(("is every one, where a handler of SIGCHLD reaps whatever ends (%s) #slow"):format(way),
      needs("user_namespaces", with_library(function()
        if way == "plan" and not knows_after_reaping() then
          return pending "needs Linux 6.15, or an init, to know a status that somebody else took"
        end
        local prefix = START .. [[host(library, "reap_in_handler")
        ]]
        local wrong, left = outside.lua(prefix .. CODES:sub(#START + 1), { arguments = { way, library } })
        assert.equal("", wrong)
        assert.equal(0, left)
        wrong, left = outside.lua(prefix .. SIGNALS:sub(#START + 1), { arguments = { way, library } })
        assert.equal("", wrong)
        assert.equal(0, left)
      end)))
  end

  it("is never made up where who waits in the caller's place is killed", needs("block_signal", function()
    local known, code, message = outside.lua([[
      local result, err = cella.plan():exec({ "sh", "-c", "kill -9 $PPID; exit 3", stdin = "null" }):run()
      return result ~= nil, result and result.code, err and err.code
    ]], { prefix = "env --ignore-signal=CHLD" })
    if known then assert.equal(3, code) else assert.equal("ECHILD", message) end
  end))

  it("of a set-up that fails is told by the set-up", needs("user_namespaces", with_library(function()
    assert.same({ "ENOENT", "ENOENT", "chdir", 0 }, { outside.lua([[
      host(..., "reap_in_handler")
      local _, missing = cella.plan():exec({ "/nonexistent/program" }):run()
      local _, inside = cella.container({ namespaces = { net = "host" } }):run { "/nonexistent/program" }
      local _, step = cella.plan():chdir("/nonexistent"):exec({ "true" }):run()
      return missing.code, inside.code, step.op, #children()
    ]], { arguments = { library } }) })
  end)))

  it("leaves the usage that the init has seen", needs("user_namespaces", with_library(function()
    local user, wall, reason = outside.lua(START .. [[
      local process = start "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
      core.poll({ process:pidfd() }, 30)
      host(library, "reap_anything")
      local result = assert(process:wait())
      return result.usage.user_seconds, result.usage.wall_seconds, result.reason
    ]], { arguments = { "container", library } })
    assert.equal("exited", reason)
    assert.is_true(user > 0.01 and user <= wall, ("%s of %s"):format(user, wall))
  end)))

  it("is not another's: those that the caller started itself are left to it", with_library(function()
    assert.equal("exited 7", (outside.lua [[
      local pipe = io.popen "exit 7"
      wait_for(function()
        local pid = children()[1]
        return pid and status("State", pid):find "^Z"
      end)
      local started = {}
      for i = 1, 5 do started[i] = assert(cella.plan():exec({ "true" }):spawn()) end
      while #started > 0 do
        local ended = set(assert(cella.wait(started)))
        for i = #started, 1, -1 do
          if ended[started[i] ] then table.remove(started, i) end
        end
      end
      return "exited " .. tostring(portable.closed(pipe, 7))
    ]]))
  end))
end)

describe("a copy of the caller that another library's fork has made", function()
  teardown(helper.remove)

  it("ends nothing of its caller's, and is told that it is nobody's parent", needs("user_namespaces", function()
    local library = helper.library()
    if not library then return pending "no C compiler" end
    local code, told = outside.lua([[
      local library = ...
      local process = assert(cella.container { namespaces = { net = "host" } }:spawn { "sh", "-c", "read -r n; exit $n",
        stdin = "pipe" })
      local before = sys.getpid()
      local reading, writing = core.pipe()
      host(library, "fork_now")
      if sys.getpid() ~= before then
        local result, err = process:wait()
        core.sys.write(writing:number(), tostring(result or err.code))
        process:kill "kill"
        process = nil
        portable.collect()
        os.exit(0, true) -- closes the state
      end
      process:write "7\n"
      return assert(process:wait()).code, reading:read()
    ]], { arguments = { library } })
    assert.equal("ECHILD", told)
    assert.equal(7, code)
  end))
end)

describe("orphans", function()
  local PROC = [[
    local box = cella.container { namespaces = { net = "host" },
      mounts = { { type = "proc", destination = "/proc" } } }
    local function run(script)
      return assert(box:run { "/bin/sh", "-c", script, stdin = "null", stdout = "capture", stderr = "capture",
        timeout = 100 })
    end
  ]]

  it("are reaped by the init, five hundred of them, and none is left outside #slow", needs("user_namespaces", function()
    local total, most, left, code = outside.lua(PROC .. [[
      -- The shells in between end at once: what they started belongs to process 1. Those that are not reaped are
      -- counted as long as the program runs; process 1, the shell, ls, wc, and the shell of a pipe are always there.
      local result = run("i=0; while [ $i -lt 500 ]; do (sleep 0 & echo $!); i=$((i+1)); done; "
        .. "n=0; until c=$(ls -d /proc/[0-9]* 2>/dev/null | wc -l); [ $c -le 5 ] || [ $n = 500 ]; "
        .. "do n=$((n+1)); sleep 0.02; done; echo $c >&2")
      local _, total = result.stdout:gsub("%d+\n", "")
      return total, tonumber(result.stderr), #children(), result.code
    ]])
    assert.equal(0, code)
    assert.equal(500, total)
    assert.is_true(most <= 5, most .. " processes are left")
    assert.equal(0, left)
  end))

  it("end with the program, and what they used is counted", needs("user_namespaces", function()
    local used, left = outside.lua(PROC .. [[
      -- One computes in the background until it has used 0.3 seconds. The program does little.
      local result = run("(while :; do :; done) & p=$!; "
        .. "until read -r a b c d e f g h i j k l m n o < /proc/$p/stat; [ $n -ge 30 ]; do sleep 0.1; done")
      assert(result.code == 0, result.stderr)
      return result.usage.user_seconds + result.usage.system_seconds, #children()
    ]])
    assert.is_true(used >= 0.3, ("%g seconds"):format(used))
    assert.equal(0, left)
  end))

  it("that the init may not kill end too", needs("several_ids", function()
    local code, left = outside.with_several_ids [[
      local box = cella.container { namespaces = { net = "host" }, capabilities = { "setuid" },
        ids = { uid = "0 0 1\n33 33 1", gid = "0 0 1" } }
      -- It has another user's IDs when it is heard of.
      local result = assert(box:run { "/bin/sh", "-c", "(setpriv --reuid 33 sh -c 'echo up; exec sleep 60' & echo $!) "
        .. "| { read p; read x; kill -9 $p 2>/dev/null && exit 4; exit 3; }", stdin = "null", timeout = 30 })
      return result.code, #children()
    ]]
    assert.equal(3, code)
    assert.equal(0, left)
  end))
end)
