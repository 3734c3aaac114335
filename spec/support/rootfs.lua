-- A small root directory for containers: a shell and some tools of this machine, with the libraries that they need. It
-- has no /etc, no /home and no device, so that nothing of the host's is mistaken for its own.

local M = {}

local PROGRAMS = {
  "sh", "cat", "chmod", "chown", "dd", "env", "grep", "head", "hostname", "id", "ln", "ls", "mkdir", "mount", "mv",
  "readlink", "rm", "sleep", "stat", "touch", "true", "umount", "unshare", "capsh",
}

local DIRECTORIES = { "dev", "proc", "tmp", "mnt", "work" }

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local said = pipe:read("*a")
  local ok = pipe:close()
  if not ok then error(("%s\n%s"):format(command, said), 0) end
  return said
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local Root = {}
Root.__index = Root

local made = require "spec.support.made"

-- The programs and the libraries that they need.
local LIST = [[
set -eu
unset LD_PRELOAD
PATH=/usr/bin:/bin:/usr/sbin:/sbin
files=
for name in %s; do
  path=$(command -v "$name") || continue
  case $path in /*) ;; *) path=/bin/$path ;; esac
  files="$files $path"
done
libraries=$(ldd $files | grep -o '/[^ ]*\.so[^ ]*' | sort -u)
echo $files $libraries >%s
]]

local COPY = [[
set -eu
unset LD_PRELOAD
cp -L --parents $(cat %s) %s
# Where the machine's shell is /usr/bin/sh, programs still ask for /bin/sh.
[ -e %s/bin/sh ] || { mkdir -p %s/bin && cp -L /bin/sh %s/bin/sh; }
]]

--- A directory with the programs in it, readable by everybody, that remove() takes away.
function M.new()
  local list = made.once("rootfs", function(path)
    shell(LIST:format(table.concat(PROGRAMS, " "), path))
  end)
  local path = shell("mktemp -d /tmp/cella-rootfs.XXXXXX"):gsub("\n$", "")
  local self = setmetatable({ path = path }, Root)
  shell(("cd %s && mkdir -m 755 %s && chmod 755 ."):format(path, table.concat(DIRECTORIES, " ")))
  shell(COPY:format(list, path, path, path, path))
  made.done(list)
  return self
end

--- A program or another file, with the mode as chmod(1) takes it.
function Root:write(name, content, mode)
  local file = assert(io.open(self.path .. "/" .. name, "wb"))
  file:write(content)
  file:close()
  shell(("chmod %s %s"):format(mode or "644", quoted(self.path .. "/" .. name)))
end

--- Runs a shell command in the directory.
function Root:shell(command)
  return shell(("cd %s && { %s\n}"):format(quoted(self.path), command))
end

--- Every file below it with its type, mode, owner, size, link and content: equal texts are equal trees.
function Root:fingerprint()
  return self:shell [[find . -printf '%p %y %m %U %G %s %l\n' | sort; find . -type f -exec cksum {} + | sort -k 3]]
end

function Root:remove()
  -- Never into another file system, should a mount have been left here.
  shell("rm -rf --one-file-system " .. self.path)
end

M.shell, M.quoted = shell, quoted

return M
