-- Mounts and roots: what is read-only or covered stays so, and there is nothing above the root.

local escape = require "spec.support.escape"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

teardown(escape.remove)

-- File systems of a container's own, and what is known of the host's.
local KINDS = { tmpfs = true, proc = true, devpts = true, devtmpfs = true, mqueue = true, sysfs = true }

describe("mounts #slow", function()
  for _, container in ipairs(escape.each_container()) do
    it("of the host's files are read-only, nosuid and nodev in " .. container.name, function()
      local said = container.try(container.description, { "mounts" })
      local wrong, seen = {}, 0
      for line in said.mounts:gmatch "[^\n]+" do
        local place, kind, options = line:match "^(%S+) (%S+) (%S+)$"
        options = "," .. options .. ","
        seen = seen + 1
        local writable = options:find(",rw,", 1, true)
        local nodev = options:find(",nodev,", 1, true) or place:find "^/dev"
          or kind == "devtmpfs" and place:find "^/proc/"
        local nosuid = options:find(",nosuid,", 1, true) or container.description.root
        if not nosuid or not nodev or writable and not KINDS[kind] then
          wrong[#wrong + 1] = line
        end
      end
      assert.equal("", escape.some(wrong))
      assert.truthy(seen > 3)
    end)

    it("cannot be changed in " .. container.name, function()
      local attempts = { ["mount=/tmp"] = "no EPERM", ["umount=/proc"] = "no EPERM",
        ["remount=/usr"] = "no EPERM", ["remount=/"] = "no EPERM", ["chroot=/tmp"] = "no EPERM" }
      for _, place in ipairs { "/", "/usr", "/etc" } do
        attempts["create=" .. (place == "/" and "" or place) .. "/cella-hostile"] = { "no EROFS", "no EACCES" }
        -- Of the host's tree these are directories, not mounts.
        attempts["nested_remount=" .. place] = { "no EPERM", container.description.root and "no EINVAL" }
        attempts["nested_bind=" .. place] = "no EPERM"
        attempts["nested_clone=" .. place] = { "no EPERM", "no ENOSYS" } -- Linux 5.10 has no mount_setattr
      end
      -- Most containers have nobody who may mount at all.
      local locked = container.nests and "no EINVAL" or "no EPERM"
      for _, place in ipairs { "/proc", "/dev", "/dev/null", "/tmp" } do
        attempts["nested_umount=" .. place] = locked
      end
      for _, place in ipairs { "/proc", "/dev", "/usr" } do attempts["nested_move=" .. place] = locked end
      escape.refuse(container, attempts)
    end)

    it("have nothing above or below the root in " .. container.name, function()
      escape.refuse(container, {
        nested_pivot = { "its own root", "no EINVAL", "no EPERM" },
        nested_chroot = { "its own root", "no EPERM" },
        cwd = "/",
        ["handle=/usr"] = { "no EPERM", "no ESTALE", "no EOPNOTSUPP" },
        ["nested_handle=/usr"] = { "no EPERM", "no ESTALE", "no EOPNOTSUPP" },
        ["handle=/etc"] = { "no EPERM", "no ESTALE", "no EOPNOTSUPP" },
        ["nested_handle=/etc"] = { "no EPERM", "no ESTALE", "no EOPNOTSUPP" },
      })
    end)
  end

  -- With every capability inside, and as who is root there.
  local function with_all(lock, attempts)
    local directory = trial.directory()
    trial.sh("chmod 777 " .. directory)
    local ok, said = pcall(escape.inside, { capabilities = "all", lock_mounts = lock, user_namespaces = true,
      user = { uid = 0, gid = 0 }, ids = policy.available(), masked_paths = { "/etc/passwd" },
      mounts = { { type = "bind", source = directory, destination = "/data", readonly = true } } }, attempts)
    trial.remove_directory(directory)
    if not ok then error(said, 2) end
    return said
  end

  local ATTEMPTS = { "setattr=/data", "remount=/data", "rebind=/data", "clone=/data", "move=/data", "uncover=/",
    "umount=/etc/passwd", "umount=/data", "umount=/proc", "nested_remount=/data", "nested_bind=/data",
    "nested_clone=/data", "nested_umount=/data", "nested_uncover=/", "create=/data/file", "content=/etc/passwd" }

  it("cannot be changed with every capability, where they are locked", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local said = with_all(nil, ATTEMPTS) -- by default
    assert.equal("no EROFS", said["create=/data/file"])
    assert.is_nil(said["content=/etc/passwd"]:find("root", 1, true))
    said["create=/data/file"], said["content=/etc/passwd"] = nil, nil
    for attempt, answer in pairs(said) do
      local refused = answer == "no EPERM" or answer == "no EINVAL"
        or answer == "no ENOSYS" and attempt:find "clone" or answer == "no ENOSYS" and attempt:find "setattr"
      assert.truthy(refused, attempt .. ": " .. answer)
    end
  end)

  it("can be changed with every capability, where they are not", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    for _, attempt in ipairs { "remount=/data", "rebind=/data", "move=/data", "uncover=/", "umount=/etc/passwd",
      "umount=/data", "umount=/proc" } do
      assert.equal("yes", with_all(false, { attempt })[attempt], attempt)
    end
    assert.matches("root", with_all(false, { "umount=/etc/passwd", "content=/etc/passwd" })["content=/etc/passwd"], 1,
      true)
    assert.equal("yes", with_all(false, { "remount=/data", "create=/data/file" })["create=/data/file"])
  end)

  it("can be changed in a user namespace on the host, where that is allowed", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local said = escape.outside { "nested", "nested_pivot", "nested_bind=/tmp" }
    assert.same({ nested = "yes", nested_pivot = "its own root", ["nested_bind=/tmp"] = "yes" }, said)
  end)

  it("of the host's are writable where a bind is", function()
    local directory = trial.directory()
    trial.sh("chmod 777 " .. directory)
    local ok, said = pcall(escape.inside, { ids = policy.root(), mounts = { { type = "bind", source = directory,
      destination = "/tmp" } } }, { "create=/tmp/file" })
    local read_only_ok, read_only = pcall(escape.inside, { ids = policy.root(), mounts = { { type = "bind",
      source = directory, destination = "/tmp", readonly = true } } }, { "create=/tmp/file" })
    trial.remove_directory(directory)
    assert(ok, said)
    assert(read_only_ok, read_only)
    assert.equal("yes", said["create=/tmp/file"])
    assert.equal("no EROFS", read_only["create=/tmp/file"])
  end)

  it("of one's own are not made with its own files of the host's root", function()
    if trial.lacks_root() then return pending "needs root, whose the files are" end
    local directory = trial.directory()
    trial.sh(("mkdir -m 700 %s/secret && echo secret > %s/secret/file && echo open > %s/open; chmod 600 %s/open")
      :format(directory, directory, directory, directory))
    local function try(description)
      description.mounts = { { type = "bind", source = directory, destination = "/tmp", readonly = true } }
      return escape.inside(description, { "content=/tmp/secret/file", "content=/tmp/open" })
    end
    local ok, theirs = pcall(try, {})
    local other_ok, roots = pcall(try, { ids = policy.root() })
    trial.remove_directory(directory)
    assert(ok, theirs)
    assert(other_ok, roots)
    assert.equal("no EACCES", theirs["content=/tmp/secret/file"])
    assert.equal("no EACCES", theirs["content=/tmp/open"])
    assert.equal("secret", roots["content=/tmp/secret/file"])
  end)
end)
