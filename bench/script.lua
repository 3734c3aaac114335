-- A whole program that starts one container: shape S, with DIR as /bench if it is not empty; its memory in a huge page
-- where HUGE is "huge".
--
--   lua5.4 bench/script.lua HUGE DIR COMMAND [ARGUMENT ...]
local cella = require "cella"

if arg[1] == "huge" then cella.use_huge_page() end
local files = arg[2] ~= "" and arg[2] or nil
local path = arg[0]:gsub("script%.lua$", "shape.lua")
local box = cella.container(assert(loadfile(path))(files))
os.exit(assert(box:run { table.unpack(arg, 3) }).code)
