--- libcap's two texts of capabilities: cap_to_text(3) ("cap_net_raw=ep") and cap_iab(3) ("!cap_chown,^cap_net_raw").
--
-- libcap reads them; here is what it does not do: say what is wrong, and refuse what this kernel does not have (libcap
-- takes "63=ep" and knows names that the kernel does not).

local ascii = require "cella.ascii"
local core = require "cella.core"
local names = require "cella.caps.names"
local validate = require "cella.validate"

local M = {}

-- Raises about the first name in the text that is none; else about the text.
local function refuse(text, path, form)
  for word in text:gmatch("[A-Za-z_][A-Za-z0-9_]*") do
    local plain = ascii.lower(word)
    local flags_only = plain:find("^[eip]+$") ~= nil
    if plain ~= "all" and plain ~= "none" and not flags_only then names.number(word, path) end
  end
  validate.fail(path, "%s is no text of %s", validate.show(text), form)
end

local function checked(mask, text, path)
  local numbers = mask:numbers()
  local highest = numbers[#numbers]
  if highest and highest > names.last then
    validate.fail(path, "%s names capability %d, and this kernel's highest is %d (%s)", validate.show(text), highest,
      names.last, tostring(names.label[names.last]))
  end
  return mask
end

-- libcap takes numbers that the kernel does not have, and in the second form drops them without a word.
local function check_string(text, path)
  validate.rule.string(text, path)
  for word in text:gmatch("[A-Za-z0-9_]+") do
    if word:find("^%d+$") then names.number(word, path) end
  end
end

--- Effective, permitted and inheritable of a text in the form of cap_to_text(3), as masks; fails as a rule does.
function M.masks(text, path)
  check_string(text, path)
  local effective, permitted, inheritable = core.caps.from_text(text)
  if not effective then refuse(text, path, "cap_from_text(3), as in \"cap_net_raw=ep cap_chown+i\"") end
  return checked(effective, text, path), checked(permitted, text, path), checked(inheritable, text, path)
end

-- libcap takes "^^" for nothing at all.
local function well_formed(text)
  if text == "" then return true end
  for item in (text .. ","):gmatch("([^,]*),") do
    if not item:find("^[!%^%%]*[A-Za-z0-9_]+$") then return false end
  end
  return true
end

--- Inheritable, ambient and bounding of a text in the form of cap_iab(3), as masks.
function M.vectors(text, path)
  check_string(text, path)
  local inheritable, ambient, blocked
  if well_formed(text) then inheritable, ambient, blocked = core.caps.iab_from_text(text) end
  if not inheritable then refuse(text, path, "cap_iab_from_text(3), as in \"!cap_chown,^cap_net_raw\"") end
  return checked(inheritable, text, path), checked(ambient, text, path), -checked(blocked, text, path)
end

return M
