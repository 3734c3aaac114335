-- What acts on the host when it is written: the files of /proc and /sys. They are opened, and never written to.

local escape = require "spec.support.escape"
local host = require "cella.host"
local trial = require "spec.support.trial"

teardown(escape.remove)

-- Those of /proc/sys that belong to namespaces which a container has of its own, as patterns: of the network, of IPC,
-- of the user namespace's limits, of the host's name, of its process numbers.
local OWN = {
  "^/proc/sys/net/",
  "^/proc/sys/user/max_%w+$",
  "^/proc/sys/fs/mqueue/[%w_]+$",
  "^/proc/sys/kernel/msg%w+$", "^/proc/sys/kernel/shm%w+$", "^/proc/sys/kernel/shm_rmid_forced$",
  "^/proc/sys/kernel/sem$", "^/proc/sys/kernel/sem_next_id$", "^/proc/sys/kernel/auto_msgmni$",
  "^/proc/sys/kernel/hostname$", "^/proc/sys/kernel/domainname$",
  "^/proc/sys/kernel/pid_max$", "^/proc/sys/kernel/ns_last_pid$",
  -- What is written is a question, which belongs to the descriptor and ends with it.
  "^/proc/pressure/%w+$",
}

local function belongs_to_container(path)
  for _, pattern in ipairs(OWN) do
    if path:find(pattern) then return true end
  end
  return false
end

local function of_the_host(list)
  local found = {}
  for path in list:gmatch "[^\n]+" do
    if not belongs_to_container(path) then found[#found + 1] = path end
  end
  return escape.some(found)
end

local DANGEROUS = { "sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/poweroff_cmd", "sys/vm/drop_caches",
  "sys/fs/binfmt_misc/register", "sysrq-trigger", "irq/default_smp_affinity", "kcore", "kmsg" }

describe("switches of the kernel #slow", function()
  for _, container in ipairs(escape.each_container()) do
    it("cannot be opened for writing but for those of its own namespaces, in " .. container.name, function()
      local said = container.try(container.description, { "writable=/proc", "writable=/sys" })
      assert.equal("", of_the_host(said["writable=/proc"]))
      assert.equal("", said["writable=/sys"])
    end)

    it("cannot be opened by name in " .. container.name, function()
      local attempts = {}
      for _, name in ipairs(DANGEROUS) do
        attempts["write=/proc/" .. name] = { "no EACCES", "no EROFS", "no EPERM", "no ENOENT" }
        -- Over some of a masked /proc is a device that swallows what is written, and has nothing to read.
        if name == "kcore" or name == "kmsg" then attempts["write=/proc/" .. name][5] = "yes" end
      end
      for _, name in ipairs { "kcore", "kmsg" } do
        attempts["content=/proc/" .. name] = { "no %w+", "yes" }
      end
      escape.refuse(container, attempts)
    end)

    it("are not to be had by a /proc, /sys or cgroup of its own, in " .. container.name, function()
      local refused = { "no EPERM", "no EACCES", "no EROFS" }
      escape.refuse(container, {
        ["nested_proc=sys/kernel/core_pattern"] = refused,
        ["nested_proc=irq/default_smp_affinity"] = refused,
        ["nested_umount=/proc/sys"] = { "no EINVAL", "no EPERM", "no EROFS" },
        ["nested_umount=/proc"] = { "no EINVAL", "no EPERM", "no EROFS" },
        ["nested_uncover=/proc"] = { "no EINVAL", "no EPERM", "no EROFS", "yes" },
        ["nested_remount=/proc/sys"] = { "no EINVAL", "no EPERM", "no EROFS" },
        nested_sysfs = { "no EPERM", "no EROFS" },
        ["umount=/proc/sys"] = { "no EPERM" },
        ["remount=/proc/sys"] = { "no EPERM" },
      })
    end)
  end

  it("open for the host's root by the same search outside", function()
    if trial.lacks_root() then return pending "needs root, whom they obey" end
    local said = escape.outside { "writable=/proc/sys", "write=/proc/sys/kernel/core_pattern" }
    assert.not_equal("", of_the_host(said["writable=/proc/sys"]))
    assert.equal("yes", said["write=/proc/sys/kernel/core_pattern"])
  end)

  it("of its own namespaces open for a root with capabilities, as the search has to find", function()
    local said = escape.inside({ capabilities = { "sys_resource" } }, { "writable=/proc/sys/user" })
    assert.truthy(said["writable=/proc/sys/user"]:find("/proc/sys/user/max_", 1, true))
  end)

  it("of its own namespaces leave the host's as they are", function()
    local look = "cat /proc/sys/user/max_user_namespaces /proc/sys/kernel/msgmax; stat -L -c %i /proc/self/ns/ipc"
    local before = trial.sh(look)
    local ipc = before:match "(%d+)\n$"
    -- Nothing is written unless the namespaces are others than the host's.
    local written = trial.inside({ capabilities = { "sys_resource" } }, ([[
      [ "$(stat -L -c %%i /proc/self/ns/ipc)" != %s ] && [ "$(cat /proc/self/uid_map)" != "%s" ] || exit
      for name in user/max_user_namespaces kernel/msgmax; do
        { echo 77 > /proc/sys/$name; } 2>/dev/null && cat /proc/sys/$name || echo refused
      done]]):format(ipc, trial.read "/proc/self/uid_map":gsub("\n$", "")))
    -- Those of an IPC namespace belong to its root since Linux 5.19.
    local kernel = host.facts().kernel
    local has_ipc = kernel.major * 1000 + kernel.minor >= 5019
    assert.equal(has_ipc and "77\n77\n" or "77\nrefused\n", written)
    assert.equal(before, trial.sh(look))
  end)
end)
