--- The devices of a config.json: those that are to be there, and the rules for them.
--
-- Devices that nobody has put into the container cannot be opened there, whatever is made in it: each mount has nodev.
-- So a rule that denies all holds without a program for it (BPF), and one that allows a device is held where that is
-- there. What is there can be read and written to: the rules, in their order, have to allow both, or they are refused;
-- and so are those that make other exceptions.

local core = require "cella.core"
local host = require "cella.host"
local lists = require "cella.list"
local schema = require "cella.oci.read.schema"

local fail, required, within = schema.fail, schema.required, schema.within
local M = {}

-- Those that each container has in /dev, as Documentation/admin-guide/devices.txt has them.
local OWN = { ["/dev/null"] = "1:3", ["/dev/zero"] = "1:5", ["/dev/full"] = "1:7", ["/dev/random"] = "1:8",
  ["/dev/urandom"] = "1:9", ["/dev/tty"] = "5:0" }

-- What rules may allow: those, and terminals.
local ALLOWED = { ["c 5:1"] = true, ["c 5:2"] = true, ["c 136:*"] = true }
for _, number in pairs(OWN) do ALLOWED["c " .. number] = true end

local TYPES = { c = "char", u = "char", b = "block" }

local MOST = 1024 -- each device is looked up, and each rule asked about it

-- The host's node of a number: at the same path, or where udev says that it is.
local function node_of(path, letter, number)
  local files = host.facts().files
  local function is_it(candidate)
    local found = files[candidate]
    return found and found.type == TYPES[letter] and found.number == number
  end
  if is_it(path) then return path end
  local target = core.readlink(("/dev/%s/%s"):format(TYPES[letter], number))
  local name = target and target:match "^%.%./([^/.][^/]*)$"
  return name and is_it("/dev/" .. name) and "/dev/" .. name or nil
end

-- The node is the host's: it has the mode and the owner that it has there.
local function check_node(one, node, path, has_user_namespace)
  local status = core.file_status(node)
  if not status then fail(path, "the host has no device at %s any more", node) end
  local function differs(name, value, there, form)
    if value == nil then return end
    if value == there then return end
    fail(path .. "." .. name, ("not supported: the device is the host's, where this is %s"):format(form), there)
  end
  if one.fileMode ~= nil then differs("fileMode", within(one.fileMode, path .. ".fileMode", 0, 65535) % 4096,
    status.mode % 4096, "%o") end
  for _, name in ipairs { "uid", "gid" } do
    if one[name] ~= nil and has_user_namespace then
      fail(path .. "." .. name, "not supported with a user namespace: the device is the host's, and belongs to whom "
        .. "it belongs there")
    end
    differs(name, one[name], status[name], "%.0f")
  end
end

--- The devices that are to be there, as the key `devices` takes them. Raises { refused = message }.
---@param list table[]?
---@param has_user_namespace boolean
---@param bound { path: string, destination: string, field: string }[]  those that are among the mounts
---@return table[]
function M.of(list, has_user_namespace, bound)
  local result, has = {}, {}
  if #(list or {}) > MOST then fail("linux.devices", "more than %d", MOST) end
  local function add(node, at, letter, number, path)
    if letter == "c" and OWN[at] == number or has[at] then return end
    has[at] = true
    result[#result + 1] = { path = node, destination = at, number = letter .. " " .. number, field = path }
  end
  for _, one in ipairs(bound) do
    local found = host.facts().files[one.path]
    add(one.path, one.destination, found.type == "char" and "c" or "b", found.number, one.field)
  end
  for i, one in ipairs(list or {}) do
    local path = ("linux.devices[%d]"):format(i - 1)
    local at = required(one.path, path .. ".path")
    if at:sub(1, 1) ~= "/" then fail(path .. ".path", "an absolute path expected") end
    local letter = required(one.type, path .. ".type")
    if not TYPES[letter] then fail(path .. ".type", "%q is not supported: c, u and b are", letter:sub(1, 80)) end
    local number = ("%.0f:%.0f"):format(within(required(one.major, path .. ".major"), path .. ".major", 0, 4095),
      within(required(one.minor, path .. ".minor"), path .. ".minor", 0, 1048575))
    local node = node_of(at, letter, number)
    if not node then
      fail(path, "not supported: no node is made, and the host has none of %s %s, neither at this path nor in /dev/%s",
        TYPES[letter], number, TYPES[letter])
    end
    check_node(one, node, path, has_user_namespace)
    add(node, at, letter == "u" and "c" or letter, number, path)
  end
  return result
end

local function number_of(one)
  local major, minor = tostring(one.major or "*"), tostring(one.minor or "*")
  return major == "-1" and "*" or major, minor == "-1" and "*" or minor
end

-- Whether the rules let a device be read and written to. The last that is about it counts, for each kind of access, and
-- without one it is denied, as the programs (BPF) of other runtimes have it; what each container has is allowed anyway.
local function is_allowed(rules, number)
  if ALLOWED[number] or number:find "^c 136:" then return true end
  local letter, major, minor = number:match "^(.) (.*):(.*)$"
  local can = {}
  for _, one in ipairs(rules) do
    local its_type, its_major, its_minor = one.type, number_of(one)
    if its_type == nil or its_type == "" or its_type == "a" or its_type == letter then
      if (its_major == "*" or its_major == major) and (its_minor == "*" or its_minor == minor) then
        for access in (one.access or "rwm"):gmatch "." do can[access] = one.allow == true end
      end
    end
  end
  return can.r and can.w or false
end

--- Checks that the rules hold by nodev. Returns the path of one that CAP_SYS_ADMIN over the host would undo. Raises
--- { refused = message }.
---@param rules table[]?
---@param devices table[]  those of `of`
---@param mounts table[]   as the key `mounts` takes them
---@param bounding string[]
---@return string?
function M.check(rules, devices, mounts, bounding)
  local there, undone = {}, nil
  if #(rules or {}) > MOST then fail("linux.resources.devices", "more than %d", MOST) end
  for _, device in ipairs(devices) do there[device.number] = true end
  for i, one in ipairs(rules or {}) do
    local path = ("linux.resources.devices[%d]"):format(i - 1)
    local access = one.access or "rwm"
    if not access:find "^[rwm]+$" then fail(path .. ".access", "some of r, w and m expected") end
    local major, minor = number_of(one)
    local harmless
    if one.allow then
      local name = ("%s %s:%s"):format(one.type or "a", major, minor)
      -- What may be made only, or is one of those that are there.
      harmless = access == "m" or ALLOWED[name] or there[name]
    else
      harmless = major == "*" and minor == "*" and (one.type == nil or one.type == "a" or one.type == "")
        and #access == 3
    end
    if not harmless then
      fail(path, "not supported: without a program for it (BPF) cella can deny all devices but those that it puts "
        .. "into /dev, and make no exception")
    end
    undone = undone or path
  end
  -- What no rule is about is denied, as by the programs of other runtimes.
  for _, mount in ipairs(undone and mounts or {}) do
    if mount.nodev == false then
      fail(undone, "not supported together with the option dev of %s", mount.destination)
    end
  end
  if not lists.contains(bounding, "sys_admin") then undone = nil end
  for _, device in ipairs(rules and rules[1] and devices or {}) do
    if not is_allowed(rules, device.number) then
      fail(device.field, "not supported: %s could be read and written to, and linux.resources.devices does not allow "
        .. "both: that would need a program for it (BPF)", device.destination)
    end
  end
  return undone
end

return M
