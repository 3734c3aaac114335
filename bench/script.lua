-- A whole program that starts one container: shape S, with DIR as /bench if it is not empty.
--
--   lua5.4 bench/script.lua DIR COMMAND [ARGUMENT ...]
local cella = require "cella"

local files = arg[1] ~= "" and arg[1] or nil
local path = arg[0]:gsub("script%.lua$", "shape.lua")
local box = cella.container(assert(loadfile(path))(files))
os.exit(assert(box:run { table.unpack(arg, 2) }).code)
