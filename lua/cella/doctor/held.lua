--- What holds each line of the first table in doc/security.md on this host: a namespace, where there is one to be had;
--- and in a container without namespaces of its own the rules and filters that its table may ask for.

local rights = require "cella.landlock.rights"

local M = {}

---@class cella.doctor.Held
---@field of string        "files", a line of the table
---@field by string|false  what holds it in a default container; false: nothing does here
---@field without string|false  what can hold it without namespaces; false: nothing

-- The words for rights of Landlock's that this host has; nil where it has none of them.
local function landlock(words)
  return function(abi)
    local list = {}
    for _, one in ipairs(words) do
      if rights.since(one[1]) <= abi then list[#list + 1] = one[2] end
    end
    return #list > 0 and "Landlock (" .. table.concat(list, ", ") .. ")" or nil
  end
end

local FILES = landlock { { "read_file", "files" } }
local PROCESSES = landlock { { "read_file", "no tracing" }, { "signal", "no signals" } }
local SOCKETS = landlock { { "resolve_unix", "paths" }, { "abstract_unix_socket", "abstract names" },
  { "read_file", "FIFOs" } }
local PORTS = landlock { { "bind_tcp", "TCP" }, { "bind_udp", "UDP" } }

-- { line, features that it takes, what they are, what there is without them: functions of Landlock's ABI, or names of
-- features }; what has none of these is cella's own doing.
local LINES = {
  { "files", { "mount" }, "mount namespace", { FILES } },
  { "IDs", { "user", "map" }, "user namespace", {} },
  { "privileges", {}, "capabilities, no_new_privs" },
  { "groups", { "user" }, "user namespace", { "setgid" } },
  { "devices", { "mount" }, "mount namespace", { FILES } },
  { "terminals", { "mount" }, "mount namespace, own session", { FILES } },
  { "/proc", { "mount", "pid", "proc" }, "mount and pid namespaces", { FILES } },
  { "/sys, cgroups", { "mount", "cgroupns" }, "mount and cgroup namespaces", { FILES } },
  { "processes", { "pid" }, "pid namespace", { PROCESSES } },
  { "sockets, FIFOs", { "mount", "net" }, "mount and net namespaces", { SOCKETS, "seccomp" } },
  { "networks", { "net" }, "net namespace", { PORTS, "seccomp" } },
  { "shared memory, queues", { "ipc" }, "ipc namespace", { "seccomp" } },
  { "system calls", { "seccomp" }, "seccomp filter", { "seccomp" } },
  { "user namespaces of its own", { "user", "seccomp" }, "a limit of 0, seccomp filter", { "seccomp" } },
  { "keys (keyrings(7))", { "seccomp" }, "seccomp filter", { "seccomp" } },
  { "the caller", {}, "cella itself" },
}

local WORDS = { seccomp = "seccomp filter", setgid = "CAP_SETGID" }

--- The lines, by what has been found.
---@param found table<string, cella.doctor.Finding>
---@param abi integer  of Landlock, 0 where there is none
---@param host cella.Host
---@return cella.doctor.Held[]
function M.of(found, abi, host)
  local function works(feature)
    if feature == "setgid" then return host.capabilities.setgid == true end
    return found[feature] ~= nil and found[feature].works == true
  end
  local list = {}
  for i, line in ipairs(LINES) do
    local name, features, by, others = line[1], line[2], line[3], line[4]
    local all, without = true, {}
    for _, feature in ipairs(features) do all = all and works(feature) end
    for _, other in ipairs(others or {}) do
      local words
      if type(other) == "function" then words = other(abi) elseif works(other) then words = WORDS[other] end
      without[#without + 1] = words
    end
    list[i] = { of = name, by = all and by,
      without = not others and by or #without > 0 and table.concat(without, ", ") }
  end
  return list
end

return M
