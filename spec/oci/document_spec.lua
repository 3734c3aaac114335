-- doc/oci-runtime.md has the table of fields that the code has.
local fields = require "cella.oci.read.fields"
local trial = require "spec.support.trial"

it("doc/oci-runtime.md has each field of config.json, with what it becomes", function()
  local text = trial.read "doc/oci-runtime.md"
  local said, count = {}, 0
  for name, becomes, word in text:gmatch "\n| `([A-Za-z0-9.%[%]]+)` | ([^|]*) | ([^|]*) |" do
    assert.is_nil(said[name], name .. " is there twice")
    said[name], count = { becomes, word }, count + 1
  end
  for _, row in ipairs(fields.rows) do
    assert.same({ row[3] or "refused", row[4] or "" }, said[row[1]], row[1])
  end
  assert.equal(#fields.rows, count)
end)
