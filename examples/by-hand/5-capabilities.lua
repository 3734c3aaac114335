-- Step 5: what root inside may do.
--
-- Capabilities are the pieces into which root's power is cut (capabilities(7)). A process has them over one user
-- namespace, its own. The first process of a new one has them all, whoever made it: "=ep" is cap_to_text(3) for
-- "every one, effective and permitted", "=" is none at all.
local sys = require "cella.sys"

print("before:      " .. sys.capabilities_text())
assert(sys.unshare "user")
print("after:       " .. sys.capabilities_text())

-- All-powerful, and yet not over the host: its host name belongs to a UTS namespace, which belongs to the first user
-- namespace, over which we have no power any more, not even if we came from the host's root.
local ok, message = sys.sethostname(sys.gethostname())
print("a host name: " .. (ok and "allowed" or message))

-- Less is better. What a process takes out of its permitted set it cannot get back by itself.
assert(sys.capset({ "net_raw" }, { "net_raw", "net_admin" }, {}))
print("reduced:     " .. sys.capabilities_text())
ok, message = sys.capset("all", "all", {})
print("back again:  " .. (ok and "allowed" or message))
