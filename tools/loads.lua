-- Run by each Lua that cella is for: does the C module load into it, and does every file given parse?
require "cella.core"
local bad = 0
for _, path in ipairs(arg) do
  local ok, message = loadfile(path)
  if not ok then
    print(message)
    bad = bad + 1
  end
end
print(_VERSION .. ": the module loads; " .. #arg - bad .. " of " .. #arg .. " files parse")
os.exit(bad == 0 and #arg > 0 and 0 or 1)
