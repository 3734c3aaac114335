-- `make doc`: the pages that tools/doc.lua makes are complete, and lead nowhere that is not there.

local lfs = require "lfs" -- as busted
local markdown = require "tools.doc.markdown"
local trial = require "spec.support.trial"

describe("the pages of make doc", function()
  local directory, pages = nil, {}

  setup(function()
    directory = trial.directory()
    assert.equal("", trial.sh(trial.lua .. " tools/doc.lua " .. directory))
    for name in trial.sh(("cd %s && ls *.html"):format(directory)):gmatch "%S+" do
      pages[name] = trial.read(directory .. "/" .. name)
    end
  end)

  teardown(function() trial.remove_directory(directory) end)

  local function ids(page)
    local found = {}
    for id in page:gmatch ' id="([^"]*)"' do
      assert.is_nil(found[id], id .. " is there twice")
      found[id] = true
    end
    return found
  end

  it("are there for every document", function()
    assert.truthy(pages["index.html"] and pages["reference.html"])
    for name in trial.sh "ls doc/*.md":gmatch "doc/([%w-]+)%.md" do assert.truthy(pages[name .. ".html"], name) end
  end)

  it("have no link that leads nowhere", function()
    local there = {}
    for name, page in pairs(pages) do
      for address in page:gmatch '<a [^>]*href="([^"]*)"' do
        local target, id = address:match "^([^#]*)#?(.*)$"
        if target == "" then target = name end
        if pages[target] then
          there[target] = there[target] or ids(pages[target])
          assert.truthy(id == "" or there[target][id], name .. ": " .. address)
        elseif not address:find "^https:" then
          -- A file of the checkout, as it is found from build/doc.
          local path = target:match "^%.%./%.%./(.*)$" or ""
          assert.truthy(lfs.attributes(path, "mode"), name .. ": " .. target)
        end
      end
    end
  end)

  it("close what they open", function()
    for name, page in pairs(pages) do
      local open = {}
      for close, tag in page:gsub("<style>.-</style>", ""):gsub("<!DOCTYPE html>", ""):gmatch "<(/?)(%a%w*)" do
        if close == "/" then
          assert.equal(table.remove(open), tag, name)
        elseif tag ~= "meta" and tag ~= "img" and tag ~= "br" and tag ~= "wbr" then
          open[#open + 1] = tag
        end
      end
      assert.same({}, open)
    end
  end)

  it("load nothing, and are light or dark", function()
    for name, page in pairs(pages) do
      assert.is_nil(page:find "<script" or page:find "<link" or page:find 'src="http', name)
      assert.truthy(page:find("prefers-color-scheme: dark", 1, true), name)
    end
  end)

  it("have the operations, methods and tables in the reference", function()
    local there = ids(pages["reference.html"])
    for _, id in ipairs { "f-sys.unshare", "f-process-wait", "f-cella.container", "f-policy.subids", "f-map-compose",
      "f-caps.file", "cella.container.keys", "cella.mount.overlay", "cella.error", "cella.namespace" } do
      assert.truthy(there[id], id)
    end
    assert.truthy(pages["reference.html"]:find('<a href="#cella.cgroup.keys">', 1, true))
    assert.truthy(pages["reference.html"]:find('href="https://manpages.debian.org/setns.2"', 1, true))
  end)

  it("escape what is no tag", function()
    assert.equal("<p>a &lt; b, <code>c &amp; &lt;d&gt;</code>, <strong>e</strong></p>\n",
      markdown.html "a < b, `c & <d>`, **e**")
    assert.equal("<ul>\n<li>a\n</li>\n<li>b\nc\n</li>\n</ul>\n", markdown.html "- a\n- b\n  c")
    local head = '<div class="wide"><table>\n<thead><tr><th>a</th><th>b</th></tr>\n</thead>\n'
    assert.equal(head .. "<tr><td><code>c|d</code></td><td></td></tr>\n</table></div>\n",
      markdown.html "| a | b |\n|---|---|\n| `c|d` | |")
  end)
end)
