-- The library, its specs and examples stay in what Lua 5.1 to 5.5 and LuaJIT have in common; all else runs on 5.4.
std = "min"

-- What the library looks for before it uses it: each is missing somewhere.
read_globals = {
  "jit",
  math = { fields = { "type", "tointeger", "maxinteger", "mininteger" } },
  string = { fields = { "pack", "unpack" } },
  table = { fields = { "pack", "unpack" } },
  "loadstring",
  "setfenv",
  "unpack",
}

exclude_files = { "build" }

files["spec"] = { std = "min+busted" }
files["spec/fuzz"] = { std = "lua54" }
files["bench"] = { std = "lua54" }
files["tools"] = { std = "lua54" }
files["*.rockspec"] = { std = "rockspec" }
