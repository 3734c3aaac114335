-- Makes the documents into pages that can be read without a network, and the annotations into a reference:
--
--   lua5.4 tools/doc.lua DIRECTORY        index.html, manual.html, reference.html, ...
--
-- From the root of the checkout. LDoc, which Debian has, reads annotations of its own, not those of editors
-- (LuaCATS): types, classes and fields would have to be written twice. So a few hundred lines of ours do it, and need
-- Lua alone.

package.path = "./?.lua;" .. package.path

local markdown = require "tools.doc.markdown"
local reference = require "tools.doc.reference"

local directory = assert(arg[1], "usage: lua5.4 tools/doc.lua DIRECTORY")

-- Name of the page, where it comes from, and what it is called among the others.
local PAGES = {
  { "index", "README.md", "cella" }, { "learn", "doc/learn.md", "Learn" },
  { "cookbook", "doc/cookbook.md", "Cookbook" }, { "manual", "doc/manual.md", "Manual" },
  { "reference", nil, "Reference" },
  { "operations", "doc/operations.md", "Operations" }, { "idmap", "doc/idmap.md", "ID maps" },
  { "caps", "doc/caps.md", "Capabilities" }, { "cgroup", "doc/cgroup.md", "cgroups" },
  { "network", "doc/network.md", "Networks" }, { "seccomp", "doc/seccomp.md", "System calls" },
  { "landlock", "doc/landlock.md", "Files and ports" }, { "oci", "doc/oci.md", "Other runtimes" },
  { "worker", "doc/worker.md", "Workers" },
  { "busted", "doc/busted.md", "busted" }, { "seeing", "doc/seeing.md", "Seeing" },
  { "doctor", "doc/doctor.md", "Doctor" }, { "security", "doc/security.md", "What it holds" },
  { "starting", "doc/starting.md", "Starting" },
  { "speed", "doc/speed.md", "Speed" }, { "glossary", "doc/glossary.md", "Glossary" },
}

-- What stands nowhere above comes at the end, under its own title.
local function add_others()
  local listed = {}
  for _, page in ipairs(PAGES) do listed[page[2] or ""] = true end
  local list = assert(io.popen "ls doc/*.md")
  for path in list:lines() do
    if not listed[path] then
      local file = assert(io.open(path))
      local title = file:read "*l":gsub("^#+ ", "")
      file:close()
      PAGES[#PAGES + 1] = { path:match "([^/]+)%.md$", path, title }
    end
  end
  list:close()
end
add_others()

local STYLE = [[
:root { color-scheme: light dark; --ink: #1d2126; --paper: #fdfdfc; --pale: #f2f3f1; --line: #d9dcd6; --link: #0b5c8a;
  --quiet: #5c646c; --type: #7a3e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe2e5; --paper: #16191c; --pale: #202428; --line: #363c42;
  --link: #79b8e0; --quiet: #98a1a9; --type: #e0a76b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
nav { padding: .6rem 1.2rem; border-bottom: 1px solid var(--line); background: var(--pale); }
nav a { margin-right: 1rem; white-space: nowrap; } nav a.here { color: var(--ink); font-weight: 600; }
main { max-width: 54rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
a.man { color: inherit; text-decoration: underline dotted; text-underline-offset: .2em; }
h1, h2, h3 { line-height: 1.25; } h3 { overflow-wrap: anywhere; }
h2 { margin-top: 2.4rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.6rem 0 .4rem; } .entry h3 { font: 600 1rem/1.4 ui-monospace, monospace; }
.entry h3:target, h2:target, h3:target { background: color-mix(in srgb, var(--link) 15%, transparent); }
code, pre { font: .875em/1.5 ui-monospace, monospace; } code { background: var(--pale); padding: .1em .25em; }
pre { background: var(--pale); border: 1px solid var(--line); border-radius: 4px; padding: .7rem .9rem;
  overflow-x: auto; } pre code { padding: 0; background: none; font-size: 1em; }
pre.output { border-style: dashed; color: var(--quiet); margin-top: -.6rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
.type { font: .875em/1.5 ui-monospace, monospace; color: var(--type); } .type a { color: inherit;
  text-decoration: underline; }
.returns { margin: .4rem 0 -.4rem; color: var(--quiet); } .subject { margin-top: 2rem; color: var(--quiet); }
table.fields td { border-width: 0 0 1px; }
table.fields td:first-child { white-space: nowrap; }
small { color: var(--quiet); font-weight: 400; } img { max-width: 100%; }
]]

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- "doc/a.md" -> "a.html": of what there are pages of.
local page_of = {}
for _, page in ipairs(PAGES) do
  if page[2] then page_of[page[2]] = page[1] .. ".html" end
end

local SOURCES = "../../" -- from build/doc to the files that are no pages

-- An address in a document as one in its page.
local function link_from(path)
  return function(address)
    if address:find "^%a+:" or address:find "^#" then return address end
    local target, rest = address:match "^([^#]*)(.*)$"
    target = (path:match "^(.*/)" or "") .. target
    local count
    repeat target, count = target:gsub("[^/]+/%.%./", "", 1) until count == 0
    if target:find "%.svg$" and io.open(target) then
      write(directory .. "/" .. target:match "[^/]+$", read(target))
      return target:match "[^/]+$"
    end
    return (page_of[target] or SOURCES .. target) .. rest
  end
end

local function frame(here, title, body)
  local links = {}
  for i, page in ipairs(PAGES) do
    local class = page[1] == here and ' class="here"' or ""
    links[i] = ('<a%s href="%s.html">%s</a>'):format(class, page[1], page[3])
  end
  return ([[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<nav>%s</nav>
<main>
%s</main>
</body>
</html>
]]):format(title, STYLE, table.concat(links, "\n"), body)
end

for _, page in ipairs(PAGES) do
  local name, path, title = page[1], page[2], page[3]
  local body = path and markdown.html(read(path), link_from(path)) or reference.html()
  write(("%s/%s.html"):format(directory, name), frame(name, title == "cella" and title or title .. " - cella", body))
end
