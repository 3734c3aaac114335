--- spec/support/host.c, compiled when the first spec asks for it.

local made = require "spec.support.made"

local M = {}

local directory, library

--- The path of the shared library, or nil and why there is none.
function M.library()
  if library then return library end
  local compiled, complaint = made.once("host.so", function(path)
    local pipe = assert(io.popen(("cc -std=c11 -Wall -Wextra -O1 -fPIC -shared -o %s spec/support/host.c -lpthread "
      .. "-lrt 2>&1"):format(path)))
    local said = pipe:read("*a")
    return not pipe:close() and "no C compiler: " .. said or nil
  end)
  if not compiled then return nil, complaint end
  if not directory then
    local pipe = assert(io.popen("mktemp -d /tmp/cella-spec.XXXXXX", "r"))
    directory = pipe:read("*l")
    pipe:close()
  end
  local path = directory .. "/host.so"
  os.execute(("cp %s %s && chmod 755 %s"):format(compiled, path, directory))
  made.done(compiled)
  library = path
  return library
end

--- For teardown: removes it again.
function M.remove()
  if directory then os.execute("rm -rf " .. directory) end
  directory, library = nil, nil
end

return M
