-- Shape S, the yardstick: every system of the bench makes this sandbox, or as much of it as it can. New user, mount,
-- pid, ipc, uts, net and cgroup namespaces; a tmpfs root with five directories of the host, read-only; a /proc, a
-- /dev and a /tmp of its own; a host name; no capability.
--
--   cella run bench/shape.lua [DIR] -- COMMAND     with DIR as /bench, read-only
local files = ...

local root = {}
for _, path in ipairs { "/usr", "/bin", "/lib", "/lib64", "/etc" } do
  local there = io.open(path)
  if there then
    there:close()
    root[#root + 1] = { type = "bind", source = path, destination = path, readonly = true }
  end
end
if files then root[#root + 1] = { type = "bind", source = files, destination = "/bench", readonly = true } end
root[#root + 1] = { type = "proc", destination = "/proc" }
root[#root + 1] = { type = "dev", destination = "/dev" }
root[#root + 1] = { type = "tmpfs", destination = "/tmp" }

return { hostname = "bench", root = root }
