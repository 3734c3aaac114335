--- What `cella caps` takes.

local common = require "cella.cli.common"

local M = { summary = "Show, decode and explain capabilities, and predict exec." }

local json_option = common.json_option
local SETS = require("cella.caps.state").SETS

--- Gives an argparse command its arguments.
function M.configure(command)
  command:summary(M.summary)
  command:description [[
Capabilities are the pieces of root's power (capabilities(7)). A process has
five sets of them; exec computes new ones from these, the file and the IDs.]]
  command:epilog [[
Exit status: 0; 1 where the kernel would refuse (after-exec); 125 where the
question could not be answered.

  cella caps show 4242
  cella caps decode 00000000a80425fb]]
  local subcommand = common.with_subcommands(command, "caps_command")

  local show = subcommand("show", "Print what a process holds.", [[
Prints all five sets, securebits and no_new_privs, and over which user namespace
the process holds them: what looks like all may be all over nothing of the
host's. Nobody but a process itself can know its securebits.]])
  show:argument("pid", "Process ID; without it, this process."):args "?"
  json_option(show)
  show:epilog "  cella caps show 4242"

  local decoding = subcommand("decode", "Print the names in a mask or text.", [[
Takes masks as /proc/PID/status has them, and texts of cap_from_text(3) and
cap_iab(3).]])
  decoding:argument("values", "Mask, text or names."):args "+"
  json_option(decoding)
  decoding:epilog [[
  cella caps decode 00000000a80425fb
  cella caps decode "cap_net_raw=ep" "!cap_chown,^cap_net_raw"]]

  local explaining = subcommand("explain", "Say what a capability allows.", [[
Says what a capability allows, and why a container would keep it, or not.]])
  explaining:argument("names", "Name or number; without any, all of them."):args "*"
  json_option(explaining)
  explaining:epilog "  cella caps explain sys_admin net_raw"

  local exec = subcommand("after-exec", "Predict what a program will hold.", [[
Prints what a program would hold after exec, by the rules of the kernel. Nothing
is executed. Begins with the state of this process, or --pid, and what the
options change of it.]])
  exec:option("--pid", "Begin with the state of this process."):argname "PID"
  exec:option("--text", "Sets as cap_from_text(3) or cap_iab(3)."):argname "TEXT"
  for _, field in ipairs(SETS) do
    exec:option("--" .. field, ("The %s set."):format(field)):argname "SET"
  end
  exec:option("--securebits", "Names, with commas."):argname "BITS"
  exec:flag("--no-new-privs", "Set no_new_privs.")
  exec:option("--uid", "Who executes: real, effective and saved user ID, as the process sees it."):argname "UID"
  exec:option("--gid", "The same for the group."):argname "GID"
  exec:flag("--unshare-user", "Enter a new user namespace before.")
  exec:option("--uid-map", "Its map: INSIDE OUTSIDE COUNT, several with commas. Without it, nobody has an ID there.")
    :argname "MAP"
  exec:option("--gid-map", "Its group map, if another."):argname "MAP"
  exec:option("--setresuid", "Switch all three user IDs before, with what that takes away."):argname "UID"
  exec:option("--file", "The program: its bits, owner, capabilities and mount."):argname "PATH"
  exec:option("--mode", "The program's mode, in octal."):argname "MODE"
  exec:option("--owner", "The program's owner and group."):argname "UID:GID"
  exec:option("--file-caps", "The program's capabilities, as setcap(8) takes them."):argname "TEXT"
  exec:flag("--nosuid", "The program's mount has nosuid.")
  exec:flag("--traced", "The process is traced by one without CAP_SYS_PTRACE over it.")
  exec:option("--kernel", "By the rules of this version of Linux."):argname "VERSION"
  json_option(exec)
  exec:epilog [[
  cella caps after-exec --uid 1000 --file /usr/bin/ping
  cella caps after-exec --setresuid 1000
  cella caps after-exec --uid 0 --bounding none --inheritable all]]

  local tree = subcommand("tree", "Print the processes that hold any.", [[
Prints the processes whose permitted, inheritable or ambient set is not empty,
each below its nearest ancestor that has any, with the text of cap_to_text(3)
and, in brackets, that of cap_iab(3).]])
  json_option(tree)
  tree:epilog "  cella caps tree --json"
end

return M
