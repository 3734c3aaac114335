-- What runs in the container of a spec file: busted, by its own name.
local load_text = loadstring or load -- luacheck: ignore 143 113
load_text("return require 'busted.runner' { standalone = false }", "@busted")()
