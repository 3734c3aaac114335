--- What an error number means whatever the operation is, and on whichever side: limits that were reached.

local core = require "cella.core"

local sys = core.sys

---@type table<string, string|fun(): string>  by error code
return {
  EMFILE = function()
    return ("RLIMIT_NOFILE of the caller is %s descriptors"):format(tostring(sys.getrlimit("nofile")))
  end,
  ENFILE = "the system has no more descriptors",
  EFBIG = function()
    local soft, hard = sys.getrlimit "fsize"
    return ("RLIMIT_FSIZE of the caller is %s bytes (the hard limit %s), and counts for files in memory too"):format(
      tostring(soft), tostring(hard))
  end,
}
