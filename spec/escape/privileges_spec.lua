-- Privileges: IDs, groups, capabilities, and files that give more.

local cella = require "cella"
local escape = require "spec.support.escape"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

teardown(escape.remove)

local NONE = "0000000000000000"

describe("privileges #slow", function()
  for _, container in ipairs(escape.each_container()) do
    it("are none, and none come back, in " .. container.name, function()
      local attempts = {
        ["status=NoNewPrivs"] = "1",
        new_privs = "1",
        capset = "no EPERM",
        ambient = "no EPERM",
        ["setgroups=27"] = "no EPERM",
      }
      for _, set in ipairs { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" } do attempts["status=" .. set] = NONE end
      if not container.host_root then
        -- Outside of its map there is nobody; 0 may be one of its own.
        attempts["nested_map=4000000000"] = { "no EPERM", "no EROFS" }
      end
      escape.refuse(container, attempts)
    end)

    if not container.host_root then
      it("are not the host's root's in " .. container.name, function()
        local said = container.try(container.description, { "uid_map" })
        assert.truthy(said.uid_map:find "%d")
        for line in said.uid_map:gmatch "[^\n]+" do
          local _, outside = line:match "^(%d+) (%d+) %d+$"
          assert.not_equal("0", outside)
        end
      end)
    end
  end

  it("are the host's root's where that is asked for", function()
    if trial.lacks_root() then return pending "needs root" end
    assert.equal("0 0 1", escape.inside({ ids = policy.root() }, { "uid_map" }).uid_map)
  end)

  it("of two containers of root's are not the same IDs", function()
    if trial.lacks_root() then return pending "needs root: a user has one ID" end
    local first = cella.container {}
    local process = assert(first:spawn { "sleep", "60", stdin = "null" })
    local other = escape.inside({}, { "uid_map" }).uid_map
    local map = trial.read(("/proc/%d/uid_map"):format(process.pid)):gsub("%s+", " ")
    process:close()
    assert.not_equal(map:match "%d+ (%d+)", other:match "%d+ (%d+)")
  end)

  it("are not given by programs that are set-user-ID", function()
    local ids, reason = trial.several_ids()
    if not ids then return pending(reason) end
    -- The container's root makes one, and starts it as another user.
    local function try(no_new_privs)
      local file = assert(io.open(escape.program(), "rb"))
      local result, err = cella.container({ ids = ids, user = { uid = 0, gid = 0, groups = {} },
        no_new_privs = no_new_privs, capabilities = { "setuid", "setgid" },
        mounts = { { type = "tmpfs", destination = "/tmp", nosuid = false } } })
        :run { "sh", "-c", [[
          cat <&9 > /tmp/hostile && exec 9<&- && chmod 4755 /tmp/hostile &&
          exec setpriv --reuid=33 --regid=33 --clear-groups /tmp/hostile ids]], fds = { [9] = file },
          stdin = "null", stdout = "capture", stderr = "capture" }
      file:close()
      assert(result, err)
      return result.stdout .. result.stderr
    end
    assert.equal("ids\t33 33 33\n", try(true))
    assert.equal("ids\t33 0 0\n", try(false))
  end)

  it("are not given by the system's programs that are set-user-ID", function()
    local result = trial.inside({}, [[
      for name in su newuidmap mount passwd chsh; do
        program=$(command -v $name) && [ -u "$program" ] && echo $name
      done; true]])
    if result == "" then return pending "needs a program that is set-user-ID" end
    local said = trial.inside({}, "command -v su >/dev/null && su -c id </dev/null 2>&1; true")
    assert.is_nil(said:find("uid=0(root)", 1, true) and trial.lacks_root() and said or nil)
  end)
end)
