local core = require "cella.core"
return core.sys
