--- What a policy of Landlock's may say, and what it means: which rights it is about, and what each rule allows.

local lists = require "cella.list"
local rights = require "cella.landlock.rights"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

-- Names of rights and of groups of them, in the order in which they are told.
local WORDS = { "read", "write", "execute", "make", "remove", "device", "all" }
for _, name in ipairs(rights.files) do
  if name ~= "execute" then WORDS[#WORDS + 1] = name end
end

-- One, or a list of them.
local function some(item, words)
  local many = rule.list(item)
  return function(value, path)
    if type(value) ~= "table" then return { item(value, path) } end
    local list = many(value, path)
    if #list == 0 then validate.fail(path, "an empty list: %s", words) end
    return list
  end
end

local access = some(rule.one_of(WORDS), "what is allowed by nothing is refused without it")
local paths = some(rule.absolute, "a rule is about a path")
local port = rule.integer(0, 65535)

local function ports(value, path)
  if value == "any" then return value end
  if type(value) == "number" then return { port(value, path) } end
  if type(value) ~= "table" then
    validate.fail(path, "a port, a list of ports or \"any\" expected, got %s", validate.show(value))
  end
  return rule.list(port)(value, path)
end

local file_rule = rule.record({ path = paths, allow = access, optional = rule.boolean }, { "path", "allow" }, nil,
  "landlock_rule")
local port_rule = rule.record { bind = ports, connect = ports }

local record = rule.record({
  files = rule.list(file_rule), restrict = access, tcp = port_rule, udp = port_rule,
  scopes = rule.list(rule.one_of(rights.scopes)), at_least = rule.integer(0, 1000),
}, nil, nil, "landlock")

-- The rights that words stand for, as a set; and those among them that are named by themselves.
local function expand(words)
  local set, named = {}, {}
  for _, word in ipairs(words) do
    local group = rights.GROUPS[word]
    if not group then named[word] = true end
    for _, name in ipairs(group or { word }) do set[name] = true end
  end
  return set, named
end

-- What `files` is about.
local function restricted(said)
  local set = {}
  if said.restrict then
    set = expand(said.restrict)
  else
    for _, name in ipairs(rights.files) do set[name] = rights.since(name) <= rights.USUAL or nil end
  end
  for _, one in ipairs(said.files or {}) do
    local allowed, named = expand(one.allow)
    if not said.restrict and named.resolve_unix then set.resolve_unix = true end
    -- The kernel refuses this one wherever it refuses anything (landlock(7)).
    if allowed.refer then set.refer = true end
  end
  return set
end

local function in_order(set, order)
  local list = {}
  for _, name in ipairs(order) do
    if set[name] then list[#list + 1] = name end
  end
  return list
end

local function path_rules(said, set, path)
  local list = {}
  for i, one in ipairs(said.files or {}) do
    local allowed, named = expand(one.allow)
    local of_file = {}
    for name in pairs(allowed) do
      if not set[name] and named[name] then
        validate.fail(("%s[%d].allow"):format(validate.join(path, "files"), i),
          "%s is not restricted: `restrict` does not have it", name)
      end
      allowed[name] = set[name]
      -- Of a group that counts which a file has; a right that is named is asked of whatever is there.
      of_file[name] = set[name] and (named[name] or rights.is_of_file(name)) or nil
    end
    if not next(allowed) then
      validate.fail(("%s[%d].allow"):format(validate.join(path, "files"), i),
        "nothing of it is restricted: `restrict` does not have it")
    end
    for _, where in ipairs(one.path) do
      list[#list + 1] = { path = where, access = in_order(allowed, rights.files),
        of_file = in_order(of_file, rights.files), optional = one.optional or false }
    end
  end
  return list
end

-- What lies below a directory where links can be made could be one that an earlier program has left: to a place that
-- it could not reach then.
local function forbid_links(list)
  local links_in = {}
  for _, one in ipairs(list) do
    if (lists.contains(one.access, "make_sym") or lists.contains(one.access, "refer"))
      and not lists.contains(links_in, one.path) then
      links_in[#links_in + 1] = one.path
    end
  end
  for _, one in ipairs(list) do one.links_in = #links_in > 0 and links_in or nil end
  return list
end

-- The rights to ports that are restricted, and { port =, access = } of what is allowed.
local function port_rules(said)
  local restricted_ones, by_port = {}, {}
  for _, kind in ipairs { "tcp", "udp" } do
    for _, what in ipairs { "bind", "connect" } do
      local given = said[kind] and (said[kind][what] or {})
      if given and given ~= "any" then
        local name = rights.ports[kind][what][1]
        restricted_ones[#restricted_ones + 1] = name
        for _, number in ipairs(given) do
          by_port[number] = by_port[number] or {}
          if not lists.contains(by_port[number], name) then table.insert(by_port[number], name) end
        end
      end
    end
  end
  local list = {}
  for _, number in ipairs(lists.sorted_keys(by_port)) do
    list[#list + 1] = { port = number, access = by_port[number] }
  end
  return restricted_ones, list
end

---@class cella.landlock.meaning
---@field said table      the table, checked
---@field fs string[]     rights to files that are refused where no rule allows them
---@field net string[]    the same of ports
---@field scoped string[]
---@field paths { path: string, access: string[], of_file: string[], optional: boolean, links_in: string[]? }[]
---@field ports { port: integer, access: string[] }[]
---@field needs integer   the ABI that has all of this

--- A rule of cella.validate: the table of a policy. Returns what it means.
---@param value any
---@param path string
---@return cella.landlock.meaning
function M.rule(value, path)
  local said = record(value, path)
  if said.restrict and not said.files then
    validate.fail(validate.join(path, "restrict"), "it is about `files`, which is missing: `files = {}` allows none")
  end
  local meaning = { said = said, fs = {}, paths = {}, scoped = in_order(expand(said.scopes or {}), rights.scopes) }
  if said.files then
    local set = restricted(said)
    meaning.fs, meaning.paths = in_order(set, rights.files), forbid_links(path_rules(said, set, path))
  end
  meaning.net, meaning.ports = port_rules(said)
  meaning.needs = 0
  for _, list in ipairs { meaning.fs, meaning.net, meaning.scoped } do
    for _, name in ipairs(list) do meaning.needs = math.max(meaning.needs, rights.since(name)) end
  end
  if meaning.needs == 0 then
    validate.fail(path == "" and "policy" or path, "it restricts nothing: give it files, tcp, udp or scopes")
  end
  if said.at_least and said.at_least > meaning.needs then
    validate.fail(validate.join(path, "at_least"), "%d is more than all of this takes, which is %d", said.at_least,
      meaning.needs)
  end
  return meaning
end

return M
