--- All of cella, at once.

local modules = require "cella.modules"

--- Loads all of cella's modules but the command line's, for a process that will be where their files are not, or may
--- not be read: behind chroot(2), in another mount namespace, as another user. One that is not found (the caller may
--- have changed package.path) is left to who needs it.
return function()
  for _, name in ipairs(modules) do pcall(require, name) end
end
