--- What the kernel says to a write to /proc/PID/setgroups, and to setgroups(2): user_namespaces(7).

local read = require "cella.idmap.read"

local M = {}

local function verdict(code, rule, remedy)
  return { verdict = code, rule = rule, remedy = remedy }
end

--- A write to the file.
---@param text string
---@param situation { setgroups: "allow"|"deny", gid_written: boolean?, admin: boolean }  what is in force there;
---  whether the gid map is there; whether the writer has CAP_SYS_ADMIN over the namespace
function M.file(text, situation)
  if not situation.admin then
    return verdict("EACCES", "to open the setgroups file for writing takes CAP_SYS_ADMIN in the namespace it is about",
      "write it from inside before capabilities are dropped, or from the process that made the namespace")
  end
  -- The kernel reads up to a NUL, as everywhere.
  local word = text:sub(1, (text:find("\0", 1, true) or 0) - 1):match("^([a-z]+)[ \t\v\f\r\n]*$")
  if #text >= 8 or word ~= "allow" and word ~= "deny" then
    return verdict("EINVAL", "the file takes \"allow\" or \"deny\" in at most 7 bytes, not " .. read.show(text),
      "write \"deny\"")
  end
  if word == "allow" and situation.setgroups == "deny" then
    return verdict("EPERM", "setgroups is denied here, or was in the namespace above, and cannot be allowed again",
      "make the namespace without writing \"deny\", in one that does not deny it")
  elseif word == "deny" and situation.gid_written then
    return verdict("EPERM", "setgroups cannot be denied once the gid map is written",
      "write \"deny\" first, then the gid map")
  end
  return verdict("accepted", ("setgroups is %s from now on"):format(word == "deny" and "denied" or "allowed"))
end

--- The system call, in the namespace.
---@param groups integer[]  inside IDs
---@param situation { setgroups: "allow"|"deny", map: cella.IdMap?, setgid: boolean }  `map`: nil while it is unwritten
function M.call(groups, situation)
  if not situation.setgid then
    return verdict("EPERM", "setgroups(2) takes CAP_SETGID, also to drop all groups",
      "call it before capabilities are dropped, and before the uid is switched")
  elseif not situation.map then
    return verdict("EPERM", "setgroups(2) is forbidden until the gid map is written", "write the gid map first")
  elseif situation.setgroups == "deny" then
    return verdict("EPERM", "setgroups is denied in this namespace",
      "use a gid map that newgidmap(1) or CAP_SETGID outside writes, which needs no \"deny\"")
  elseif #groups > 65536 then
    return verdict("EINVAL", ("%d groups; the kernel allows 65536"):format(#groups), "use fewer groups")
  end
  for _, group in ipairs(groups) do
    if group == 4294967295 or not situation.map:outside(group) then
      return verdict("EINVAL", ("gid %.0f is not in the map"):format(group), "map it, or leave it away")
    end
  end
  return verdict("accepted", "all of the groups are mapped")
end

return M
