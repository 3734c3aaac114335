--- Whether JSON of somebody's has the fields of the table in cella.oci.read.fields, with their types, and no others.

local fields = require "cella.oci.read.fields"
local json = require "cella.oci.json"
local lists = require "cella.list"
local validate = require "cella.validate"

local M = {}

M.MOST = 9007199254740992 -- 2^53: up to it each integer is a number of its own, in every Lua

--- What is wrong with a document is raised as such a table.
---@param path string
---@param message string
function M.fail(path, message, ...)
  error({ refused = ("%s: %s"):format(path, select("#", ...) > 0 and message:format(...) or message) }, 0)
end

local fail = M.fail

---@class cella.oci.node
---@field rows table[]?  those of the fields in it, as long as nobody has asked for these
---@field from integer?  where in their paths its own fields begin
---@field fields table<string, cella.oci.node>?  of an object
---@field item cella.oci.node?                   of a list
---@field type string?
---@field refused true?
---@field why string?

-- The fields of an object, nil of what is none. There are many that a document has not: they are made when they are
-- asked for.
local function fields_of(node)
  if not node.rows then return node.fields end
  local found = {}
  for _, row in ipairs(node.rows) do
    local name, listed, behind = row[1]:match("^([A-Za-z]+)(%[?%]?)%.?()", node.from)
    local below = found[name] or {}
    found[name] = below
    if listed ~= "" then
      below.item = below.item or {}
      below = below.item
    end
    if behind <= #row[1] then
      below.rows, below.from = below.rows or {}, behind
      table.insert(below.rows, row)
    else
      below.type, below.refused, below.why = row[2], row[3] == false or nil, row[4]
    end
  end
  node.fields, node.rows = found, nil
  return found
end

local function is_empty(value)
  return value == false or value == "" or type(value) == "table" and next(value) == nil
end

-- More than any of these lists has.
local MOST_ITEMS = 65536

local function check_list(value, path, item)
  if type(value) ~= "table" or next(value) ~= nil and value[1] == nil then fail(path, "a list expected") end
  if #value > MOST_ITEMS then fail(path, "more than %d items", MOST_ITEMS) end
  for i = 1, #value do item(value[i], ("%s[%d]"):format(path, i - 1)) end
end

-- Whatever the kernel is told ends at a NUL, which cella.oci.json has refused.
local check = {}

function check.string(value, path)
  if type(value) ~= "string" then fail(path, "a string expected, got %s", validate.show(value)) end
end

function check.boolean(value, path)
  if type(value) ~= "boolean" then fail(path, "true or false expected, got %s", validate.show(value)) end
end

function check.integer(value, path)
  if json.is_integer(value) then return end
  local whole = type(value) == "number" and value == math.floor(value)
  if whole and math.type then whole = math.type(value) == "integer" end
  if not whole then fail(path, "an integer expected, got %s", validate.show(value)) end
end

function check.strings(value, path) check_list(value, path, check.string) end
function check.integers(value, path) check_list(value, path, check.integer) end

function check.map(value, path)
  if type(value) ~= "table" then fail(path, "an object of strings expected") end
  for _, key in ipairs(lists.sorted_keys(value)) do
    if type(key) ~= "string" then fail(path, "an object of strings expected, got a list") end
    check.string(value[key], validate.join(path, key))
  end
end

function check.any() end

local check_node

local function check_object(value, path, node)
  if type(value) ~= "table" or value[1] ~= nil then fail(path == "" and "config.json" or path, "an object expected") end
  for _, key in ipairs(lists.sorted_keys(value)) do
    local at = validate.join(path, key)
    local field = fields_of(node)[key]
    if not field then
      local near = validate.nearest(key, lists.sorted_keys(fields_of(node)))
      fail(at, "not supported: cella knows no such field%s", near and "; did you mean '" .. near .. "'?" or "")
    end
    check_node(value[key], at, field)
  end
end

function check_node(value, path, node)
  if node.refused then
    if is_empty(value) then return end
    fail(path, "not supported%s", node.why and " (" .. node.why .. ")" or "")
  elseif node.item then
    check_list(value, path, function(item, at) check_node(item, at, node.item) end)
  elseif fields_of(node) then
    check_object(value, path, node)
  else
    check[node.type](value, path)
  end
end

local top

--- Checks a whole config.json, or what is at a path in one ("process"). Raises { refused = message }.
---@param value any
---@param at string?
function M.check(value, at)
  top = top or { rows = fields.rows, from = 1 }
  check_node(value, at or "", at and fields_of(top)[at] or top)
end

--- An integer within bounds, as a number.
---@param value any
---@param path string
---@param low number
---@param high number
---@return integer
function M.within(value, path, low, high)
  if json.is_integer(value) or value < low or value > high then
    fail(path, "an integer from %.0f to %.0f expected, got %s", low, high, tostring(value))
  end
  return value
end

--- What a rule of a container's keys makes of a field, which is called as the document has it.
---@param rule fun(value: any, path: string): any
---@param value any
---@param path string
function M.by(rule, value, path)
  local ok, result = pcall(rule, value, path)
  if ok then return result end
  local is_refusal = type(result) == "table" and result.validation
  error(is_refusal and { refused = result.validation } or result, 0)
end

--- The same of each in a list of paths, where there is one; none may be the root.
---@param list string[]?
---@param path string
---@return string[]?
function M.below_root(list, path)
  for i, value in ipairs(list or {}) do
    local at = ("%s[%d]"):format(path, i - 1)
    M.by(validate.rule.absolute, value, at)
    if not value:find "[^/]" then fail(at, "the root cannot be covered") end
  end
  return list
end

--- That a field is there.
function M.required(value, path)
  if value == nil then fail(path, "missing") end
  return value
end

return M
