--- The words of a command line: which are cella's, which are a file's, and which are the program to run.

local M = {}

-- Commands that take a file, or keys, and a program behind `--`; and those that take nothing else.
local CONTAINER = { run = true, plan = true, learn = true, oci = true, kube = true }
local PROGRAM = { enter = true }

-- Options of the former that take the next word: short ones also at the end of several in one word.
local LONG = { ["--eval"] = true, ["--seccomp"] = true, ["--diff"] = true, ["--colour"] = true, ["--color"] = true,
  ["--timeout"] = true, ["--image"] = true, ["--name"] = true, ["--completions"] = true, ["--parallelism"] = true,
  ["--seccomp-profile"] = true, ["--runtime-class"] = true }
local function takes_next(word) return word:find "^%-[A-Za-z]*e$" or LONG[word] end

---@class cella.cli.words
---@field ours string[]       what cella's own parser sees
---@field arguments string[]  the file's
---@field command string[]?   the program: what stands behind the first `--`

-- Of these the words before FILE, and one behind it: where to. With -e there is no file.
local SUBCOMMANDS = { oci = true }

-- Options that may stand behind FILE too: of commands that start nothing, they are ours wherever they are.
local ANYWHERE = { kube = { ["--image"] = 1, ["--name"] = 1, ["--job"] = 0, ["--completions"] = 1,
  ["--parallelism"] = 1, ["--seccomp-profile"] = 1, ["--runtime-class"] = 1 } }

--- Everything behind FILE belongs to it, whatever it looks like, up to `--` and the command. So our own parser sees
--- the words up to FILE only; of `enter`, those up to `--`; of `oci`, the directory behind it too.
---@param words string[]
---@return cella.cli.words
function M.split(words)
  local ours, arguments, command = { words[1] }, {}, nil
  local name = words[1] or ""
  if not CONTAINER[name] and not PROGRAM[name] then return { ours = words, arguments = arguments } end
  local next_word, missing = 2, SUBCOMMANDS[name] and 3 or 1
  while words[next_word] and words[next_word] ~= "--" do
    local word = words[next_word]
    if CONTAINER[name] and missing == 0 then break end
    ours[#ours + 1] = word
    next_word = next_word + 1
    if CONTAINER[name] and takes_next(word) and words[next_word] then
      ours[#ours + 1] = words[next_word]
      next_word = next_word + 1
      if SUBCOMMANDS[name] and (word == "--eval" or word:find "^%-[A-Za-z]*e$") then missing = missing - 1 end
    elseif word:sub(1, 1) ~= "-" then
      missing = missing - 1
    end
  end
  local anywhere, taken = ANYWHERE[name] or {}, 0
  for i = next_word, #words do
    local word = words[i]
    if command then
      command[#command + 1] = word
    elseif taken > 0 and word ~= "--" then
      ours[#ours + 1], taken = word, taken - 1
    elseif word == "--" then
      command = {}
    elseif anywhere[word:match "^[^=]*"] then
      ours[#ours + 1] = word
      taken = word:find("=", 1, true) and 0 or anywhere[word]
    else
      arguments[#arguments + 1] = word
    end
  end
  return { ours = ours, arguments = arguments, command = command }
end

--- What argparse makes of a line that has no options of ours, without it: of `run`, with or without a file.
---@param words string[]
---@return table?  nil where there is more to it
function M.plain(words)
  if words[1] ~= "run" then return nil end
  local file = M.split(words).ours[2]
  if file and file:sub(1, 1) == "-" then return nil end
  return { command = "run", run = true, file = file }
end

return M
