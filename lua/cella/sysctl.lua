--- Parameters of the kernel that each namespace has for itself: sysctl(8), proc_sys(5).

local blame = require "cella.blame"
local lists = require "cella.list"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

-- What a new ipc namespace has of kernel/ (ipc_namespaces(7)).
local IPC = { auto_msgmni = true, msg_next_id = true, msgmax = true, msgmnb = true, msgmni = true, sem = true,
  sem_next_id = true, shm_next_id = true, shm_rmid_forced = true, shmall = true, shmmax = true, shmmni = true }

local KEYS = { ["kernel/hostname"] = "hostname", ["kernel/domainname"] = "domainname" }

-- "net.ipv4.ip_forward" or "net/ipv4/ip_forward", as sysctl(8) reads it: where a slash comes first a dot is a part of a
-- name, of an interface for one.
local function path_of(name)
  local first = name:match "[./]"
  if first == "." then return (name:gsub("[./]", { ["."] = "/", ["/"] = "." })) end
  return name
end

-- The kind of namespace that a parameter belongs to; nil where it is the whole host's.
local function kind_of(path)
  local top, rest = path:match "^([^/]+)/(.+)$"
  if top == "net" then return "net" end
  if top == "user" then return "user" end
  if top == "kernel" and IPC[rest] then return "ipc" end
  if top == "fs" and rest:find "^mqueue/" then return "ipc" end
  return nil
end

local function name_rule(name, path)
  rule.line(name, path)
  local file = path_of(name)
  if not file:find "^[A-Za-z0-9_.:-]+[A-Za-z0-9_.:/@-]*$" or file:find "//" or file:find "/$"
    or ("/" .. file .. "/"):find "/%.%.?/" then
    validate.fail(path, "not the name of a parameter, such as net.ipv4.ip_forward")
  elseif KEYS[file] then
    validate.fail(path, "that is the key `%s` of the container", KEYS[file])
  elseif not kind_of(file) then
    validate.fail(path, "is the whole host's: a container has net.*, user.*, fs.mqueue.* and, of kernel.*, what "
      .. "ipc_namespaces(7) lists")
  end
  return name
end

local function value_rule(value, path)
  if type(value) == "boolean" then
    validate.fail(path, "a number or text expected, got %s: 1 for yes, 0 for no", tostring(value))
  end
  value = rule.text(value, path)
  rule.line(value, path)
  if value == "" then validate.fail(path, "the text is empty") end
  return value
end

local parameters = rule.map(name_rule, value_rule)

--- `sysctl`: { ["net.ipv4.ip_forward"] = 1 }.
function M.rule(value, path)
  local given, seen = parameters(value, path), {}
  local list = {}
  for _, name in ipairs(lists.sorted_keys(given)) do
    local file = path_of(name)
    if seen[file] then validate.fail(validate.join(path, name), "is there twice, as %s too", seen[file]) end
    seen[file] = name
    list[#list + 1] = { name = name, file = file, kind = kind_of(file), value = given[name] }
  end
  return list
end

--- Raises where one is of a namespace that the container has not to itself: it would be set for all that are in there.
---@param list { name: string, kind: string }[]  as M.rule leaves it
---@param namespaces table<string, any>
function M.check(list, namespaces)
  for _, one in ipairs(list) do
    if namespaces[one.kind] ~= "new" then
      blame(("sysctl[%q]: needs a new %s namespace: it would be set for all who are in the other"):format(one.name,
        one.kind))
    end
  end
end

--- Records that they are set: while there is a /proc of the caller's, which shows each process its own.
---@param plan cella.plan
---@param list { file: string, value: string }[]
function M.record(plan, list)
  for _, one in ipairs(list) do plan:write_file("/proc/sys/" .. one.file, one.value) end
end

return M
