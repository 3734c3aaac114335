-- Run by each Lua that cella is for: does every file given parse, and does cella load?
local bad = 0
for _, path in ipairs(arg) do
  local ok, message = loadfile(path)
  if not ok then
    print(message)
    bad = bad + 1
  end
end
print(("%s: %d of %d files parse"):format(_VERSION, #arg - bad, #arg))
if bad > 0 or #arg == 0 then os.exit(1) end
require "cella"
print(_VERSION .. ": all files parse, and cella loads")
