--- cella: Linux containers as Lua programs.

local M = { _VERSION = "cella dev" }

--- Describes a container; see cella.container.
M.container = require("cella.container").new

--- Control groups: see cella.cgroup.
M.cgroup = require "cella.cgroup"

--- An empty plan; see cella.plan.
M.plan = require("cella.plan").new

return M
