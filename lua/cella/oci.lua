--- Containers of the Open Container Initiative: bundles that are read (doc/oci-runtime.md).
---
---     local oci = require "cella.oci"
---     local bundle = assert(oci.read "/run/bundles/web")
---     print(cella.container(bundle.container):plan(bundle.command))

local read = require "cella.oci.read"

---@class cella.oci.module
local M = {}

M.read = read.read

return M
