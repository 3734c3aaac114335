-- What becomes of each key outside of cella is written down: of every one that a container's table may have.

local annotations = require "tools.doc.annotations"
local keys = require "cella.oci.export.keys"
local lists = require "cella.list"

describe("what becomes of each key in a config.json and in Kubernetes", function()
  local classes = annotations.of("lua/cella/meta/keys.lua").classes
  local by_name = {}
  for _, class in ipairs(classes) do by_name[class.name] = class end

  it("is known of every table of a container's", function()
    for _, class in ipairs(classes) do
      assert.truthy(keys.ROWS[class.name] or lists.contains(keys.ELSEWHERE, class.name),
        class.name .. ": cella.oci.export.keys has no rows for it")
    end
  end)

  for _, name in ipairs(lists.sorted_keys(keys.ROWS)) do
    it("is known of every key: " .. name, function()
      local fields = {}
      for _, field in ipairs(assert(by_name[name], "there is no such table").fields) do
        if not field.name:find "^%[" then fields[#fields + 1] = field.name end
      end
      table.sort(fields)
      local rows = lists.sorted_keys(keys.ROWS[name])
      -- Each mount says its type, which has a rule and no annotation of its own below the class.
      assert.same(fields, rows)
    end)
  end

  it("is a place or a refusal with its reason", function()
    for name, rows in pairs(keys.ROWS) do
      for key, row in pairs(rows) do
        for _, target in ipairs { "oci", "kube" } do
          local said = row[target]
          local what = ("%s.%s of %s"):format(name, key, target)
          if keys.is_refusal(said) then assert.truthy(#said.why > 10, what) else assert.is_string(said, what) end
        end
      end
    end
  end)

  it("is refused where nobody has said it", function()
    local found = {}
    keys.check(found, "oci", "cella.user.keys", { uid = 0, shoe_size = 44 }, "user")
    assert.same({ "user.shoe_size: not known here" }, found)
  end)
end)
