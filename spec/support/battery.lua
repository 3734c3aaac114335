--- What starting programs has to be like, whatever is special about the process that does it. Needs the globals of
--- spec/support/inside.lua.

-- luacheck: read globals cella core sys children portable

local M = {}

--- Tries everything; returns a list of what was not as it should be.
---@param user_namespaces boolean  whether there are any
---@return string[]
function M.try(user_namespaces)
  local problems = {}

  local function expect(what, wanted, actual)
    if wanted ~= actual then
      problems[#problems + 1] = ("%s: %s, not %s"):format(what, tostring(actual), tostring(wanted))
    end
  end

  local function describe(result, err)
    if not result then return tostring(err):gsub("\n.*", "") end
    return ("%s %s"):format(result.reason, tostring(result.code or result.signal))
  end

  local function shell(script)
    return { "sh", "-c", script, stdin = "null", stdout = "null", stderr = "null" }
  end

  local function plan() return cella.plan() end

  for _, code in ipairs { 0, 1, 7, 125, 255 } do
    expect("exit " .. code, "exited " .. code, describe(plan():exec(shell("exit " .. code)):run()))
  end
  for _, name in ipairs { "term", "kill", "usr1", "alrm" } do
    expect("SIG" .. name:upper(), "signaled " .. name,
      describe(plan():exec(shell("kill -" .. name:upper() .. " $$")):run()))
  end

  local result = plan():exec({ "sh", "-c", "echo out; echo err >&2", stdin = "null", stdout = "capture",
    stderr = "capture" }):run()
  expect("the output", "out\n", result and result.stdout)
  expect("the errors", "err\n", result and result.stderr)

  expect("a time-out", "timeout kill", describe(plan():exec(shell "exec sleep 60"):run { timeout = 1 }))
  expect("a missing program", "ENOENT", (select(2, plan():exec({ "/nonexistent/cella" }):run()) or {}).code)
  expect("a step that fails", "ENOENT", (select(2, plan():chdir("/nonexistent"):exec(shell ""):run()) or {}).code)
  expect("a parent's step that fails", "ENOENT",
    (select(2, plan():exec({ "true", stdin = { path = "/nonexistent" } }):run()) or {}).code)

  -- setns without a type needs memory of its own; /dev/null is no namespace.
  local refused = plan()
  refused:setns(refused:openat2("/dev/null", "rdonly")):exec(shell "")
  expect("a step that fails in memory of its own", "EINVAL", (select(2, refused:run()) or {}).code)
  if user_namespaces then
    expect("a user namespace entered in the plan", "exited 6",
      describe(plan():unshare("user"):exec(shell '[ "$(id -u)" = 65534 ] && exit 6'):run()))
    expect("a new pid namespace", "exited 8", describe(cella.plan { namespaces = { "user", "pid" } }
      :exec(shell "[ $$ = 1 ] && exit 8"):run()))
  end

  expect("a fork", "exited 5", describe(plan():fork():exec(shell "exit 5"):run()))
  expect("a fork and a signal", "signaled term", describe(plan():fork():exec(shell "kill -TERM $$"):run()))
  expect("a step that fails behind a fork", "ENOENT",
    (select(2, plan():fork():chdir("/nonexistent"):exec(shell ""):run()) or {}).code)
  expect("a fork and a time-out", "timeout kill", describe(plan():fork():exec(shell "exec sleep 60")
    :run { timeout = 1 }))

  local sleeper = assert(plan():exec(shell "exec sleep 60"):spawn())
  local none, err = sleeper:wait(0)
  expect("waiting for no time", "ETIMEDOUT", none == nil and err.code)
  expect("its pid", true, sys.namespace("pid", sleeper.pid) == sys.namespace "pid")
  expect("killing", true, sleeper:kill "term")
  expect("what was killed", "signaled term", describe(sleeper:wait()))
  expect("what was killed, again", "signaled term", describe(sleeper:wait()))
  expect("killing what has ended", "ESRCH", (select(2, sleeper:kill "term") or {}).code)

  local first, second = assert(plan():exec(shell "exit 3"):spawn()), assert(plan():exec(shell "exit 4"):spawn())
  expect("the second of two", "exited 4", describe(second:wait()))
  expect("the first of two", "exited 3", describe(first:wait()))

  assert(plan():exec(shell "exec sleep 60"):spawn()):close()
  assert(plan():exec(shell "exec sleep 60"):spawn())
  assert(plan():fork():exec(shell "exec sleep 60"):spawn())
  portable.collect()
  -- Who takes longer than a moment to end, on a busy machine, is reaped when another child is let go.
  for _ = 1, 50 do
    if #children() == 0 then break end
    assert(plan():exec(shell "exec sleep 60"):spawn()):close()
  end
  expect("what was dropped", "", table.concat(children(), " "))
  return problems
end

return M
