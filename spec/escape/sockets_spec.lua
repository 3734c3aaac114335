-- Whom a program can talk to: sockets, FIFOs, networks and shared memory of the host.

local cella = require "cella"
local escape = require "spec.support.escape"
local trial = require "spec.support.trial"

teardown(escape.remove)

local GONE = { "no ENOENT", "no EACCES" }

describe("sockets and FIFOs #slow", function()
  local host, elsewhere

  setup(function() host = escape.host "/tmp" end)
  teardown(function() host:close() end)
  -- What is not in /tmp, /var/tmp, /run or /dev/shm; who is no root has no place but there and in a home.
  local function with_elsewhere(body)
    elsewhere = escape.host(trial.lacks_root() and assert(os.getenv "HOME") or "/var")
    local ok, err = pcall(body)
    elsewhere:close()
    if not ok then error(err, 0) end
  end

  local function attempts_on(list, expected)
    local attempts = {}
    for _, name in ipairs(list) do
      attempts["connect=" .. name.socket] = expected
      attempts["write=" .. name.fifo] = expected
      attempts["read=" .. name.fifo] = expected
    end
    return attempts
  end

  it("answer on the host", function()
    escape.refuse({ name = "the host", try = function(_, names) return escape.outside(names) end },
      attempts_on({ host }, "yes"))
    local said = escape.outside { "abstract=" .. host.abstract, "tcp=" .. host.port, "shm=" .. host.key }
    for _, answer in pairs(said) do assert.equal("yes", answer) end
  end)

  for _, container in ipairs(escape.each_container()) do
    it("of the host's /tmp are not in " .. container.name, function()
      escape.refuse(container, attempts_on({ host }, GONE))
    end)

    it("without a path, networks and shared memory are not in " .. container.name, function()
      escape.refuse(container, {
        ["abstract=" .. host.abstract] = "no ECONNREFUSED",
        ["tcp=" .. host.port] = "no ECONNREFUSED",
        interfaces = "lo",
        ["shm=" .. host.key] = "no ENOENT",
      })
    end)

    if container.description.root ~= "/" then
      it("are nowhere in " .. container.name, function()
        with_elsewhere(function()
          local said = container.try(container.description, { "nodes=/" })["nodes=/"]
          assert.is_nil(said:match "[^\n]*socket [^\n]*")
          assert.is_nil(said:match "[^\n]*fifo [^\n]*")
          escape.refuse(container, attempts_on({ elsewhere }, GONE))
        end)
      end)
    end
  end

  it("elsewhere in the host's tree are reached by who may, as the manual says", function()
    with_elsewhere(function()
      local said = escape.inside({ root = "/", ids = not trial.lacks_root() and require("cella.policy").root() or nil },
        { "connect=" .. elsewhere.socket })
      assert.equal("yes", said["connect=" .. elsewhere.socket])
      -- And this is what to do.
      escape.refuse({ name = "the host's tree without it", try = escape.inside, description = { root = "/",
        mounts = { { type = "tmpfs", destination = elsewhere.path } } } }, { ["connect=" .. elsewhere.socket] = GONE })
    end)
  end)

  it("are reached where a bind brings them", function()
    local said = escape.inside({ ids = not trial.lacks_root() and require("cella.policy").root() or nil,
      mounts = { { type = "bind", source = host.path, destination = "/tmp", readonly = true } } },
      { "connect=/tmp/socket" })
    assert.equal("yes", said["connect=/tmp/socket"])
  end)

  it("without a path, networks and shared memory are reached with the host's namespaces", function()
    local shared = { namespaces = { net = "host", ipc = "host" },
      ids = not trial.lacks_root() and require("cella.policy").root() or nil }
    local said = escape.inside(shared, { "abstract=" .. host.abstract, "tcp=" .. host.port, "shm=" .. host.key })
    for name, answer in pairs(said) do assert.equal("yes", answer, name) end
  end)

  it("of one container are not another's", function()
    local process = assert(cella.container({}):spawn { "sleep", "60" })
    local said = escape.inside({}, { "processes" })
    process:close()
    assert.is_nil(said.processes:find("sleep", 1, true))
  end)
end)
