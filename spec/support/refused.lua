-- The arguments with which a call is one that "default" refuses, of those that it refuses on a condition: by the call,
-- or by the call and the error.
local ARGUMENTS = {
  ioctl = { "0", "0x5412" }, socketpair = { "38", "1" }, personality = { "0x40000" }, unshare = { "0x10000000" },
  prlimit64 = { "1", "7", "0", "0" }, ptrace = { "16" },
  ["socket EAFNOSUPPORT"] = { "40", "1" }, ["socket ESOCKTNOSUPPORT"] = { "2", "10" },
  ["socket EPROTONOSUPPORT"] = { "2", "1", "262" },
  ["clone EPERM"] = { "0x10000011" }, ["clone EINVAL"] = { "0x8011" },
}

return function(name, errno) return ARGUMENTS[name] or ARGUMENTS[name .. " " .. errno] or {} end
