-- Step 6: a host name of one's own.
--
-- Every namespace belongs to the user namespace that it was made in. With both made by one call the user namespace
-- comes first and owns the other, so its root may change what is in it.
local sys = require "cella.sys"

local before = sys.gethostname()
assert(sys.unshare { "user", "uts" })
assert(sys.sethostname "moon")

print("before: " .. before)
print("after:  " .. sys.gethostname())
-- The host still has its own: ask in another terminal.
