-- Every type of mount, for each who may ask for it: root with a user namespace for the container, root without, and an
-- unprivileged user. It works, and its effect is seen from inside; or it is refused, with the kernel's rule.

local policy = require "cella.policy"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local PROC = { type = "proc", destination = "/proc" }

local FSTYPE = "stat -f -c %T /mnt"

-- The flags of the mount on /mnt, as /proc/self/mountinfo has them, without what the kernel adds.
local FLAGS = [[while read -r _ _ _ _ at flags _; do
  [ $at = /mnt ] && echo ,$flags, | while IFS= read -r line; do echo "$line"; done; done < /proc/self/mountinfo; true]]

-- script: what it says is `says`. `refused`: in a user namespace, { namespaces, op, code, words... }: the same mount
-- where the container has not the namespace that it belongs to.
local ROWS = {
  { "bind", { source = "/usr" }, script = "test -d /mnt/bin && " .. FLAGS, has = { "nosuid", "nodev" } },
  { "bind", { source = "/etc/passwd", destination = "/work/file" }, script = "grep -c ^root: /work/file", says = "1" },
  { "bind", { source = "/usr", readonly = true }, script = FLAGS, has = { "ro" } },
  { "bind", { source = "/usr", nosuid = false, nodev = false, noexec = true, nosymfollow = true },
    script = FLAGS, has = { "noexec", "nosymfollow" } },
  { "bind", { source = "/usr", noatime = true }, script = FLAGS, has = { "noatime" },
    refused = { {}, "mount_setattr", "EPERM", "its way of keeping access times" } },
  { "bind", { source = "/no/such", optional = true }, script = "ls -A /mnt", says = "" },
  { "bind", { source = "/no/such" }, always = { "open_tree", "ENOENT", "no such file or directory on the host" } },
  { "bind", { source = { content = "data" } , destination = "/work/file" }, script = "cat /work/file", says = "data" },
  { "tmpfs", {}, script = FSTYPE .. "; touch /mnt/x && echo wrote", says = "tmpfs\nwrote" },
  { "tmpfs", { size = "64k", mode = 448 }, says = "700 65536",
    script = "echo $(stat -c %a /mnt) $(($(stat -f -c '%b * %S' /mnt)))" },
  { "tmpfs", { size = "1T" }, says = "1099511627776", script = "echo $(($(stat -f -c '%b * %S' /mnt)))" },
  { "tmpfs", { inodes = 2 }, script = "touch /mnt/a; touch /mnt/b 2>/dev/null || echo full", says = "full" },
  { "tmpfs", { readonly = true }, script = "touch /mnt/a 2>/dev/null || echo readonly", says = "readonly" },
  { "tmpfs", { nosuid = false, nodev = false, noexec = true, noatime = true, nosymfollow = true }, script = FLAGS,
    has = { "noexec", "noatime", "nosymfollow" } },
  { "tmpfs", { size = "64k", mode = 511, destination = "/nowhere" },
    always = { "openat2", "ENOENT", "nothing is created on the host" } },
  { "tmpfs", { strictatime = true, nodiratime = true }, script = "touch -a -d @9 /mnt/x; cat /mnt/x; cat /mnt/x; "
    .. "[ $(stat -c %X /mnt/x) -gt 9 ] && " .. FLAGS, has = { "nodiratime", "!relatime" } },
  { "proc", {}, script = FSTYPE .. "; cat /mnt/1/comm", says = "proc\ncella-init",
    refused = { { pid = "host" }, "fsconfig", "EPERM", "pid namespace" } },
  { "proc", { subset = "pid" }, script = "test -e /mnt/self/status && ! test -e /mnt/meminfo && echo subset",
    says = "subset" },
  { "proc", { hidepid = "invisible" }, script = "while read -r line; do case $line in *' /mnt '*hidepid=invisible*) "
    .. "echo hidden ;; esac; done </proc/self/mountinfo", says = "hidden" },
  { "proc", { protect = true }, script = "{ echo x > /mnt/sys/kernel/hostname; } 2>/dev/null || echo protected",
    says = "protected" },
  { "sysfs", {}, script = FSTYPE .. "; ls /mnt/class/net", says = "sysfs\nlo",
    refused = { { net = "host" }, "fsopen", "EPERM", "network namespace" } },
  { "mqueue", {}, script = "ls -A /mnt; while read -r _ _ _ _ at rest; do [ $at = /mnt ] && rest=${rest#* - } && "
    .. "echo ${rest%% *}; done </proc/self/mountinfo; true", says = "mqueue",
    refused = { { ipc = "host" }, "fsconfig", "EPERM", "ipc namespace" } },
  { "cgroup2", {}, script = FSTYPE .. "; read -r _ </mnt/cgroup.procs && echo procs", says = "cgroup2fs\nprocs",
    refused = { { cgroup = "host" }, "fsconfig", "EPERM", "cgroup namespace" } },
  { "devpts", {}, script = FSTYPE .. "; test -c /mnt/ptmx && echo ptmx", says = "devpts\nptmx" },
  { "dev", {}, script = "echo x > /mnt/null && stat -c '%F %t:%T' /mnt/null /mnt/zero /mnt/full && readlink /mnt/fd",
    says = "character special file 1:3\ncharacter special file 1:5\ncharacter special file 1:7\n/proc/self/fd" },
  { "filesystem", { fstype = "tmpfs", source = "shm", options = { "size=64k", "mode=700", "nr_inodes=9" } },
    script = "echo $(stat -c %a /mnt) $(stat -f -c '%c' /mnt); grep -c ' /mnt .* - tmpfs shm .*size=64k' "
      .. "/proc/self/mountinfo; " .. FLAGS, has = { "nosuid", "nodev" } },
  { "filesystem", { fstype = "ramfs", readonly = true }, script = "grep -c ' /mnt ro,.* - ramfs ramfs' "
    .. "/proc/self/mountinfo", says = "1" },
  { "filesystem", { fstype = "tmpfs", options = { "colour=blue" } },
    always = { "fsconfig", "EINVAL", "does not know the option" } },
  { "filesystem", { fstype = "nosuchfs" }, always = { "fsopen", "ENODEV", "does not know the file system" } },
  { "overlay", { lower = "/usr/bin" }, overlay = true,
    always = { "fsconfig", "EINVAL", "at least two lower directories, or an upper one" } },
  { "overlay", { lower = { "/usr/bin", "/usr/lib" } }, overlay = true,
    script = FSTYPE .. "; test -e /mnt/env && touch /mnt/x 2>/dev/null || echo readonly",
    says = "overlayfs\nreadonly" },
  { "overlay", { lower = "/usr/bin", upper = "tmpfs" }, overlay = true,
    script = FSTYPE .. "; test -e /mnt/env && touch /mnt/x && echo wrote", says = "overlayfs\nwrote" },
  { "overlay", { lower = { "/usr/bin", "/usr" } }, overlay = true,
    always = { "fsconfig", "ELOOP", "one of the lower directories lies in another" } },
  { "overlay", { lower = "/", upper = "tmpfs" }, overlay = true, script = FSTYPE, says = "overlayfs",
    refused = { {}, "fsconfig", "EINVAL", "came from a more privileged mount namespace" } },
}

for _, user in ipairs { "new", "host" } do
  local name = (trial.lacks_root() and "an unprivileged user" or "root")
    .. (user == "new" and ", with a user namespace for the container," or ", without a user namespace,")
  describe("for " .. name .. " a mount of the type", function()
    local lacks = user == "host" and trial.lacks_root() or trial.lacks_user_namespaces()
    if lacks then
      pending(lacks)
      return
    end

    local root, no_overlay
    setup(function()
      root = rootfs.new()
      local result, err = require "cella".container { namespaces = { user = user }, mounts = {
        { type = "overlay", destination = "/mnt", lower = { "/usr/bin", "/usr/lib" } } } }:run { "/usr/bin/true" }
      no_overlay = not result and err.code == "EPERM" and "needs overlays in user namespaces (Linux 5.11)"
    end)
    teardown(function() root:remove() end)
    trial.around(before_each, after_each)

    local function description(row, namespaces)
      local mount = { type = row[1], destination = "/mnt" }
      for key, value in pairs(row[2]) do mount[key] = value end
      local box = { root = root.path, namespaces = { user = user }, mounts = { PROC, mount } }
      -- A file is made where it is to lie.
      if mount.destination == "/work/file" then
        table.insert(box.mounts, 2, { type = "tmpfs", destination = "/work" })
      end
      -- Without it there is none.
      if namespaces and namespaces.pid == "host" then table.remove(box.mounts, 1) end
      for key, value in pairs(namespaces or {}) do box.namespaces[key] = value end
      -- What is bound is the caller's, and some of it is written to.
      if box.namespaces.user == "new" then box.ids = policy.root() end
      return box
    end

    local function is_refused(box, op, code, ...)
      local err = trial.refused(box)
      assert.equal(op .. " " .. code, err.op .. " " .. err.code, tostring(err))
      for _, words in ipairs { ... } do assert.is_truthy((err.why or ""):find(words, 1, true), tostring(err)) end
    end

    local function shown(row)
      local keys = {}
      for key, value in pairs(row[2]) do
        if type(value) == "table" then value = value.content and "data" or table.concat(value, ":") end
        keys[#keys + 1] = ("%s = %s"):format(key, tostring(value))
      end
      table.sort(keys)
      return row[1] .. (#keys > 0 and " with " .. table.concat(keys, ", ") or "")
    end

    for _, row in ipairs(ROWS) do
      if row.script and not (row.refused and not next(row.refused[1]) and user == "new") then
        it(shown(row) .. " has its effect", function()
          if row.overlay and no_overlay then pending(no_overlay) end
          local said = trial.word(description(row), row.script)
          if row.says then assert.equal(row.says, said) end
          for _, flag in ipairs(row.has or {}) do
            local absent = flag:match "^!(.*)"
            local found = said:find("," .. (absent or flag) .. ",", 1, true) ~= nil
            assert.equal(absent == nil, found, said)
          end
        end)
      end
      if row.always then
        it(shown(row) .. " is refused", function()
          if row.overlay and no_overlay then pending(no_overlay) end
          is_refused(description(row), unpack(row.always))
        end)
      end
      if row.refused and user == "new" then
        it(shown(row) .. " is refused where the kernel does not let it", function()
          if row.overlay and no_overlay then pending(no_overlay) end
          is_refused(description(row, row.refused[1]), unpack(row.refused, 2))
        end)
      elseif row.refused then
        it(shown(row) .. " also works without a namespace of its own", function()
          assert.is_true((trial.succeeds(description(row, row.refused[1]), "true")))
        end)
      end
    end
  end)
end
