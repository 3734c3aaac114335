--- spec/support/host.c, compiled when the first spec asks for it.

local M = {}

local directory, library

--- The path of the shared library, or nil and why there is none.
function M.library()
  if library then return library end
  if not directory then
    local pipe = assert(io.popen("mktemp -d /tmp/cella-spec.XXXXXX", "r"))
    directory = pipe:read("*l")
    pipe:close()
  end
  local path = directory .. "/host.so"
  local compile = ("cc -std=c11 -Wall -Wextra -O1 -fPIC -shared -o %s spec/support/host.c -lpthread -lrt 2>&1")
    :format(path)
  local pipe = assert(io.popen(compile))
  local said = pipe:read("*a")
  if not pipe:close() then return nil, "no C compiler: " .. said end
  os.execute("chmod 755 " .. directory)
  library = path
  return library
end

--- For teardown: removes it again.
function M.remove()
  if directory then os.execute("rm -rf " .. directory) end
  directory, library = nil, nil
end

return M
