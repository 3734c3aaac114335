-- Terminals of the host: what is typed into them, and into the one at which a container was started.

local escape = require "spec.support.escape"
local trial = require "spec.support.trial"

teardown(escape.remove)

describe("terminals #slow", function()
  local host

  setup(function() host = escape.host "/tmp" end)
  teardown(function() host:close() end)

  it("of the host open on the host", function()
    local attempt = "open=" .. host.terminal
    assert.equal("yes", escape.outside({ attempt })[attempt])
  end)

  for _, container in ipairs(escape.each_container()) do
    it("of the host cannot be opened in " .. container.name, function()
      local gone = { "no ENOENT", "no EACCES", "no ENXIO", "no EIO" }
      escape.refuse(container, {
        ["open=" .. host.terminal] = gone,
        ["read=" .. host.terminal] = gone,
        ["tiocsti=" .. host.terminal] = gone,
        ["tiocsctty=" .. host.terminal] = gone,
        ["open=/dev/console"] = gone,
        ["open=/dev/tty0"] = gone, ["open=/dev/tty1"] = gone, ["open=/dev/ttyS0"] = gone, ["open=/dev/vcs"] = gone,
        ["open=/dev/tty"] = "no ENXIO",
        ["tiocsti=0"] = "no %w+", ["tiocsti=1"] = "no %w+", ["tiocsti=2"] = "no %w+",
      })
    end)

    it("that it makes are the first of its own in " .. container.name, function()
      escape.refuse(container, { ptmx = { "0", "no ENOENT", "no EACCES" } })
    end)
  end

  it("of the host open where its /dev/pts is mounted", function()
    local policy = require "cella.policy"
    local said = escape.inside({ ids = policy.root(), mounts = { { type = "bind", source = "/dev/pts",
      destination = "/dev/pts", nodev = false } } }, { "open=" .. host.terminal })
    assert.equal("yes", said["open=" .. host.terminal])
  end)

  -- Runs the attempts in a container that is started at a terminal: what is on the screen.
  local function at_terminal(keys, attempts)
    local words = {}
    for _, attempt in ipairs(attempts) do words[#words + 1] = ("%q"):format(attempt) end
    local source = ([[
      local cella = require "cella"
      local file = assert(io.open(%q, "rb"))
      local box = cella.container { %s }
      local result, err = box:run { "/proc/self/fd/9", %s, fds = { [9] = file } }
      assert(result, err)
    ]]):format(escape.program(), keys, table.concat(words, ", "))
    return (trial.terminal(trial.interpreter() .. " -e " .. trial.quote(source)))
  end

  it("at which it was started is not its own, and it types nothing into it", function()
    local screen = at_terminal("", { "open=/dev/tty", "tiocsti=1", "tiocsti=2", "tiocsti=/dev/tty", "tiocsti=0" })
    assert.truthy(screen:find("open=/dev/tty\tno ENXIO", 1, true), screen)
    for _, where in ipairs { "0", "1", "2", "/dev/tty" } do
      assert.truthy(screen:find("tiocsti=" .. where .. "\tno ", 1, true), screen)
    end
  end)

  it("at which it was started is not its standard input", function()
    local screen = at_terminal("", { "descriptors" })
    assert.truthy(screen:find("descriptors\t0 char /dev/null", 1, true), screen)
  end)

  it("at which it was started is its own with new_session = false", function()
    local screen = at_terminal("new_session = false", { "open=/dev/tty" })
    assert.truthy(screen:find("open=/dev/tty\tyes", 1, true), screen)
  end)
end)
