-- Devices of the host, and nodes of any kind, wherever they lie.

local escape = require "spec.support.escape"
local trial = require "spec.support.trial"

teardown(escape.remove)

-- Of the mounts that a container makes; others have to be absent. The terminals are those of its own.
local OWN = {
  ["char /dev/null 1:3 opens"] = true,
  ["char /dev/zero 1:5 opens"] = true,
  ["char /dev/full 1:7 opens"] = true,
  ["char /dev/random 1:8 opens"] = true,
  ["char /dev/urandom 1:9 opens"] = true,
  ["char /dev/tty 5:0 ENXIO"] = true, -- there is no terminal
  ["char /dev/pts/ptmx 5:2 opens"] = true,
  ["char /dev/ptmx 5:2 opens"] = true,
}
-- What masks a file of /proc is a device of the list above.
local MASKED = "^char /proc/[%w/_%-]+ 1:3 opens$"

local function strange(list, ignore)
  local found = {}
  for line in list:gmatch "[^\n]+" do
    if not OWN[line] and not line:find(MASKED) and not (ignore and ignore(line)) then found[#found + 1] = line end
  end
  return escape.some(found)
end

describe("devices and other nodes #slow", function()
  for _, container in ipairs(escape.each_container()) do
    if container.description.root ~= "/" then
      it("are those of its own alone, in " .. container.name, function()
        local said = container.try(container.description, { "nodes=/" })
        assert.equal("", strange(said["nodes=/"]))
        assert.truthy(said["nodes=/"]:find("char /dev/null 1:3 opens", 1, true))
      end)
    end
  end

  it("of the host's are seen by the same search on the host", function()
    local said = escape.outside { "nodes=/dev" }
    assert.not_equal("", strange(said["nodes=/dev"]))
  end)

  it("may be seen in the host's tree, where none can be opened", function()
    local said = escape.inside({ root = "/" }, { "nodes=/" })
    assert.equal("", strange(said["nodes=/"], function(line)
      -- Sockets and FIFOs are told in sockets_spec.
      return line:find "^socket " or line:find "^fifo " or line:find "EACCES$"
    end))
  end)

  it("of the host's /dev are not in the host's tree", function()
    local attempts, own = {}, {}
    for line in pairs(OWN) do own[line:match " (%S+) "] = true end
    for name in trial.sh "find /dev -xdev -type b -o -xdev -type c":gmatch "[^\n]+" do
      if not own[name] and name ~= "/dev/ptmx" then attempts["exists=" .. name] = "no ENOENT" end
    end
    if not next(attempts) then return pending "needs a /dev with more than what every container has" end
    escape.refuse({ name = "the host's tree", description = { root = "/" }, try = escape.inside }, attempts)
  end)

  for _, container in ipairs(escape.each_container()) do
    it("cannot be made in " .. container.name, function()
      escape.refuse(container, {
        ["mknod=/tmp/node"] = { "no EPERM", "no EROFS", "no EACCES" },
        nested_mknod = { "no EPERM", "no EACCES", "no EOVERFLOW" },
        ["nested_devices=/usr"] = { "no EPERM", container.description.root and "no EINVAL" },
        ["nested_devices=/"] = "no EPERM",
      })
    end)
  end

  local function with_node(body)
    if trial.lacks_root() then return pending "needs root, who alone makes device nodes" end
    local directory = trial.sh "mktemp -d /var/cella-trial.XXXXXX":gsub("\n$", "")
    trial.sh(("chmod 755 %s && mknod -m 666 %s/null c 1 3"):format(directory, directory))
    local ok, err = pcall(body, directory)
    trial.sh("rm -rf --one-file-system " .. directory)
    if not ok then error(err, 0) end
  end

  it("that lie anywhere in the host's tree cannot be opened", function()
    with_node(function(directory)
      local attempt = "open=" .. directory .. "/null"
      assert.equal("yes", escape.outside({ attempt })[attempt])
      for _, description in ipairs { { root = "/" }, { root = "/", namespaces = { user = "host" } } } do
        assert.equal("no EACCES", escape.inside(description, { attempt })[attempt])
      end
    end)
  end)

  it("that a program makes itself cannot be opened, on whichever mount", function()
    if trial.lacks_root() then return pending "needs root, who alone makes device nodes" end
    local script = [[
      while read -r _ _ _ _ at _; do
        [ -d "$at" ] && mknod "$at/cella-node" c 1 3 2>/dev/null || continue
        echo "$at $( { true <"$at/cella-node"; } 2>/dev/null && echo opened || echo refused)"
        rm "$at/cella-node"
      done </proc/self/mountinfo]]
    for _, keys in ipairs { {}, { root = "/" } } do
      keys.namespaces, keys.capabilities = { user = "host" }, { "mknod" }
      local said = trial.inside(keys, script)
      assert.truthy(said:find("/dev refused\n", 1, true) and said:find("/dev/shm refused\n", 1, true), said)
      assert.is_nil(said:find("opened", 1, true), said)
    end
    -- The control.
    local said = trial.inside({ namespaces = { user = "host" }, capabilities = { "mknod" },
      mounts = { { type = "tmpfs", destination = "/mnt", nodev = false } } }, script)
    assert.truthy(said:find("/mnt opened\n", 1, true), said)
  end)

  it("in a bind cannot be opened, unless nodev is false", function()
    with_node(function(directory)
      local function try(nodev)
        return escape.inside({ mounts = { { type = "bind", source = directory, destination = "/tmp", nodev = nodev,
          readonly = true } } }, { "read=/tmp/null" })["read=/tmp/null"]
      end
      assert.equal("no EACCES", try())
      assert.equal("yes", try(false))
    end)
  end)
end)
