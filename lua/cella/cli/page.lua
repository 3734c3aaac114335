--- The steps of a plan as a page of HTML that needs nothing else: each with its reason, and where the manual pages tell
--- of it.

local printable = require "cella.printable"
local reasons = require "cella.cli.reasons"
local stages = require "cella.plan.stage"

local M = {}

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escaped(text)
  return (printable.line(text):gsub("[&<>\"']", ESCAPES))
end

local STYLE = [[
:root { color-scheme: light dark; --ink: #1d2330; --quiet: #5c6577; --paper: #fbfbf9; --card: #ffffff;
  --line: #e2e4e8; --accent: #2f5fb3; --parent: #8a5a00; --parent-back: #fdf1da; --child: #1f6b45;
  --child-back: #e2f3e9; --code: #f3f4f6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ee; --quiet: #98a1b3; --paper: #15181e; --card: #1c2027;
  --line: #303640; --accent: #8ab4f8; --parent: #f0c06a; --parent-back: #3a2f17; --child: #86d6a9;
  --child-back: #173325; --code: #252a33; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Liberation Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h1 code { font-size: 1.35rem; }
.lead { color: var(--quiet); margin: 0 0 1.25rem; max-width: 48rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0 0 2rem; }
nav a { color: var(--ink); text-decoration: none; border: 1px solid var(--line); border-radius: 1rem;
  padding: .1rem .75rem; background: var(--card); }
nav a:hover { border-color: var(--accent); }
nav span { color: var(--quiet); font-variant-numeric: tabular-nums; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: 0 0 1.25rem;
  padding: 1rem 1.1rem .4rem; }
h2 { font-size: 1.1rem; margin: 0; color: var(--accent); }
section > p { color: var(--quiet); margin: .15rem 0 .7rem; max-width: 52rem; }
ol { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 2.6rem 4.2rem minmax(0, 1fr); gap: 0 .5rem; padding: .5rem 0;
  border-top: 1px solid var(--line); }
.number { color: var(--quiet); text-align: right; font-variant-numeric: tabular-nums; padding-right: .35rem; }
.side { justify-self: start; align-self: start; font-size: .8rem; border-radius: .3rem; padding: .05rem .45rem; }
.parent .side { color: var(--parent); background: var(--parent-back); }
.child .side { color: var(--child); background: var(--child-back); }
code { font: .88rem/1.45 ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; }
li code { overflow-wrap: anywhere; background: var(--code); border-radius: .3rem; padding: .05rem .35rem; }
.why { margin: .2rem 0 0; color: var(--quiet); font-size: .92rem; }
.why b { color: var(--ink); font-weight: 600; }
@media (max-width: 34rem) { li { grid-template-columns: 2rem minmax(0, 1fr); } .number { text-align: left; }
  li > div { grid-column: 1 / -1; } }
]]

local function step_html(step)
  local reason = reasons.of(step)
  local why = reason and ('<p class="why"><b>%s</b> %s</p>'):format(escaped(reason.page), escaped(reason.why)) or ""
  return ('<li class="%s" id="step%d"><span class="number">%d</span><span class="side">%s</span><div><code>%s</code>%s'
    .. "</div></li>"):format(step.side, step.number, step.number, step.side, escaped(step.text), why)
end

--- Consecutive steps of one stage together.
local function groups_of(steps)
  local groups, stage_of = {}, stages.of(steps)
  for i, step in ipairs(steps) do
    local last = groups[#groups]
    if not last or last.stage ~= stage_of[i] then
      last = { stage = stage_of[i] }
      groups[#groups + 1] = last
    end
    last[#last + 1] = step
  end
  return groups
end

--- The page.
---@param plan cella.plan
---@param program string  what is started, for the title
---@return string
function M.of(plan, program)
  local groups = groups_of(plan:steps())
  local links, sections, told = {}, {}, {}
  for i, group in ipairs(groups) do
    local title = escaped(stages.TITLES[group.stage])
    links[i] = ('<a href="#part%d">%s <span>%d</span></a>'):format(i, title, #group)
    local items = {}
    for j, step in ipairs(group) do items[j] = step_html(step) end
    local reason = told[group.stage] and "" or ("<p>%s</p>"):format(escaped(reasons.STAGES[group.stage]))
    told[group.stage] = true
    sections[i] = ('<section id="part%d"><h2>%s</h2>%s<ol>\n%s\n</ol></section>'):format(i, title, reason,
      table.concat(items, "\n"))
  end
  local name = escaped(program)
  return table.concat({
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    ("<title>How %s is started</title>"):format(name), "<style>", STYLE .. "</style></head><body>",
    ("<h1>How <code>%s</code> is started</h1>"):format(name),
    '<p class="lead">Every kernel step of a container\'s start, in order, with who takes it: the process that asks for '
      .. "the container (parent), or the one that becomes its program (child). If one fails, the program never "
      .. "runs.</p>",
    "<nav>" .. table.concat(links, "\n") .. "</nav>", table.concat(sections, "\n"), "</body></html>\n",
  }, "\n")
end

return M
