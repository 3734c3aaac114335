--- cella: Linux containers as Lua programs.

local M = { _VERSION = "cella dev" }

--- Describes a container; see cella.container.
M.container = require("cella.container").new

--- Namespaces with names; see cella.namespace.
M.namespace = require "cella.namespace"

--- Takes hold of a process to start programs in its namespaces; see cella.enter.
M.enter = require("cella.enter").new

--- Control groups: see cella.cgroup.
M.cgroup = require "cella.cgroup"

--- An empty plan; see cella.plan.
M.plan = require("cella.plan").new

--- Waits for the first of several processes to end; see cella.process.wait.
M.wait = require("cella.process.wait").wait

return M
