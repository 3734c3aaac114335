--- What `cella idmap` takes.

local common = require "cella.cli.common"

local M = { summary = "Show, check, translate and compose ID maps." }

local json_option = common.json_option

--- What maps there are.
M.KINDS = { "uid", "gid", "projid" }

--- The policies that can be named.
M.MAKERS = { "default", "available", "root", "me", "subids", "range", "identity", "exactly", "slice" }

local function kind_option(command)
  command:option("-k --kind", "Which IDs."):choices(M.KINDS)
end

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:summary(M.summary)
  command:description [[
ID maps say which user and group IDs inside a user namespace stand for which
outside. Their text is the kernel's, a line for each range: INSIDE OUTSIDE
COUNT. "0 100000 65536" makes the users 0 to 65535 inside out of 100000 to
165535.]]
  command:epilog [[
Exit status: 0; 1 where the answer is no (the map is refused, an ID is not
mapped, a policy finds no map on this host); 125 where the question could not
be answered.

  cella idmap show 4242
  cella idmap check 0 100000 65536]]
  local subcommand = common.with_subcommands(command, "idmap_command")

  local show = subcommand("show", "Print the maps of a process's user namespace.", [[
Prints /proc/PID/uid_map and gid_map. To a process inside, the outside IDs are
those of the parent namespace; to one outside, those of its own.]])
  show:argument("pid", "Process ID; without it, this process."):args "?"
  kind_option(show)
  json_option(show)
  show:epilog "  cella idmap show --kind uid 4242"

  local check = subcommand("check", "Say what the kernel would say to a map, and what is dangerous about it.", [[
Predicts whether the kernel accepts a map that is written here, by the rule
that decides it; and warns of what it accepts though it is unwise. Nothing is
written.]])
  check:argument("map", "Three numbers for each range, or whole lines. Without any, the standard input."):args "*"
  kind_option(check)
  check:option("-w --writer", "Who writes it: the process that makes the namespace, the one inside, or newuidmap. "
    .. "Without it, whichever can."):choices { "parent", "self", "helper" }
  check:option("--setgroups", "What /proc/PID/setgroups says when the gid map is written."):choices { "allow", "deny" }
  check:option("--owner", "Warn of IDs beyond the subordinate ones of this user (name, or uid)."):argname "USER"
  check:option("--other", "Warn of IDs that this process's namespace has too. May be repeated."):argname "PID"
    :target("others"):count "*"
  check:flag("--strict", "Exit with 1 for warnings too.")
  json_option(check)
  check:epilog [[
  cella idmap check 0 100000 65536
  cella idmap check --kind gid --writer self 0 1000 1
  cella idmap check < map.txt]]

  local translate = subcommand("translate", "Print what IDs stand for.", [[
Prints each ID, or range of IDs, and what it stands for outside: "-" where it
stands for nothing. A process sees an unmapped ID as 65534. The map is read from
the standard input, unless --map or --pid names one.]])
  translate:argument("ids", "ID, or FIRST-LAST."):args "+"
  translate:option("-m --map", "The map, as text."):argname "TEXT"
  translate:option("-p --pid", "The map of this process's namespace."):argname "PID"
  translate:flag("-i --to-inside", "From outside to inside.")
  kind_option(translate)
  json_option(translate)
  translate:epilog [[
  cella idmap translate 0 33 1000-1999 --map "0 100000 65536"
  cella idmap translate --to-inside 100033 --pid 4242]]

  local compose = subcommand("compose", "Print the map through several namespaces.", [[
Prints which IDs the inside IDs of the first map stand for outside of the last:
the first is the map of a namespace, the next that of its parent, and so on. IDs
that one of them does not map are not in the result.]])
  compose:argument("maps", 'Map as text; "@PID" is that of a process, "-" the standard input.'):args "1+"
  kind_option(compose)
  json_option(compose)
  compose:epilog [[
  cella idmap compose "0 1000 10" "0 100000 65536"]]

  local policy = subcommand("policy", "Print the maps that a policy gives here.", [[
Prints the maps that a policy of cella.policy gives to a container that is
started here, by this user, and who writes them.]])
  policy:argument("policy", "Its name."):choices(M.MAKERS)
  policy:argument("words", "Its arguments."):args "*"
  policy:option("--own", "exactly: the inside ID that stands for one's own."):argname "ID"
  policy:option("--registry", "slice: the directory that says which slices are taken."):argname "DIRECTORY"
  policy:flag("--keep-groups", "Keep the supplementary groups, and say what becomes of them.")
  json_option(policy)
  policy:epilog [[
  default                     what a container gets that says nothing: IDs that
                              nobody else has, or your own one
  root                        root inside is you, and nobody else is there
  me                          you are yourself, and nobody else is there
  subids [OWNER]              root inside is you, behind it are your subordinate
                              IDs (called by root: those of OWNER)
  range INSIDE OUTSIDE COUNT  this range, for users and groups
  identity                    every ID that there is here, as itself
  exactly ID...               these inside IDs, out of your subordinate ones
  slice NAME COUNT            so many subordinate IDs that no other name has;
                              this claims them

  cella idmap policy subids
  cella idmap policy exactly 0 33 1000 --own 0]]

  local slices = subcommand("slices", "Print which slices of the subordinate IDs are taken.", [[
Prints which slices of the subordinate IDs are taken (see the policy slice), or
gives one back.]])
  slices:option("--release", "Give the slice of this name back. Its files keep their owner."):argname "NAME"
  slices:option("--registry", "The directory that says which slices are taken."):argname "DIRECTORY"
  json_option(slices)
  slices:epilog "  cella idmap slices --release web"
end

return M
