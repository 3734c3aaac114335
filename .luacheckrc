-- The library stays in what Lua 5.1 to 5.4 and LuaJIT have in common; all else runs on 5.4.
std = "min"

-- What the library looks for before it uses it: each is missing somewhere.
read_globals = {
  math = { fields = { "type", "tointeger" } },
  table = { fields = { "pack", "unpack" } },
  "setfenv",
  "unpack",
}

exclude_files = { "build" }

files["examples"] = { std = "lua54" }
files["spec"] = { std = "lua54+busted" }
files["bench"] = { std = "lua54" }
files["tools"] = { std = "lua54" }
files["*.rockspec"] = { std = "rockspec" }
