-- examples/bwrap.lua against Debian's bubblewrap: command lines run through both, and compared. $B is the program.
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then
  describe("the bwrap example", function()
    it("says what the original says", function()
      pending "sanitizers add words of their own to what programs say"
    end)
  end)
  return
end

local ROOT = "--ro-bind / /"
local SMALL = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"

-- Two user namespaces, of the processes $p and $q, the second in the first.
local OTHER = "unshare -Ur sh -c 'unshare -Ur sleep 60 & echo $! >$D/q; exec sleep 60' & p=$!; "
  .. "until [ -s $D/q ] && q=$(cat $D/q) && [ $(readlink /proc/$q/ns/user) != $(readlink /proc/$p/ns/user) ] "
  .. "&& grep -qs 1 /proc/$q/gid_map; do sleep 0.01; done; "

-- No option of these lines names a file of the host's to be changed, but below $D: a broken program does no harm.
--
-- What is said and the status have to be the same; of errors the first line. `$D` is a directory, new for each line and
-- each program, with rw/ (in it: file) and link (to rw).
local SAME = {
  -- What the program is and gets.
  ROOT .. " true",
  ROOT .. " false",
  ROOT .. " sh -c 'exit 7'",
  ROOT .. " sh -c 'kill -TERM $$'",
  ROOT .. " sh -c 'kill -KILL $$'",
  ROOT .. " --unshare-pid sh -c 'kill -KILL $$'",
  ROOT .. " --unshare-pid sh -c 'exit 9'",
  ROOT .. " -- echo -- a 'b  c'",
  ROOT .. " id",
  ROOT .. " cat <&1 </dev/null",
  "echo in | $B " .. ROOT .. " cat",
  ROOT .. " sh -c 'echo err >&2' 2>&1",
  ROOT .. " nonexistent-program",
  ROOT .. " /nonexistent/program",
  ROOT .. " /etc/passwd",
  ROOT .. " sh -c 'umask'",
  "umask 077; $B " .. ROOT .. " sh -c 'umask'",
  ROOT .. " env -u _ sort -u /dev/null",
  "env -i A=1 PATH=/usr/bin:/bin $BARE " .. ROOT .. " env -u LUA_PATH -u LUA_CPATH -u _ | sort",
  ROOT .. " grep NoNewPrivs /proc/self/status",

  -- Environment.
  ROOT .. " --clearenv /usr/bin/env",
  ROOT .. " --clearenv --setenv A 1 --setenv B 2 --unsetenv A /usr/bin/env | sort",
  ROOT .. " --setenv A 'x y' sh -c 'echo \"$A\"'",
  ROOT .. " --unsetenv HOME sh -c 'echo \"${HOME-none}\"'",
  ROOT .. " --setenv A=B c true",
  ROOT .. " --setenv PATH /nonexistent env",

  -- The working directory.
  "cd /usr/lib && $B " .. ROOT .. " sh -c 'pwd; echo $PWD'",
  ROOT .. " --chdir /usr sh -c 'pwd; echo $PWD'",
  ROOT .. " --chdir /nonexistent true",
  ROOT .. " --chdir /nonexistent --chdir /usr pwd",
  ROOT .. " --unshare-user --uid 1 --uid 2 --gid 3 --gid 4 id",
  ROOT .. " --chdir / --chdir x --bogus",
  ROOT .. " --bind $D/rw/file /usr true",
  "cd $D && $B " .. ROOT .. " --bind nonexistent /mnt true",
  "cd $D && $B " .. ROOT .. " --tmpfs /tmp --ro-bind rw /mnt --ro-bind none/at/all /srv true",
  ROOT .. " --bind $D /etc/passwd true",
  ROOT .. " --tmpfs /etc/passwd true",
  "cd $D && $B --tmpfs / " .. SMALL .. " sh -c 'pwd; echo $PWD'",
  "cd $D && HOME=/usr/lib $B --tmpfs / " .. SMALL .. " sh -c 'pwd; echo $PWD'",
  "cd $D && HOME=/usr $B --tmpfs / " .. SMALL .. " --setenv HOME /usr/bin sh -c 'pwd; echo $PWD'",

  -- Namespaces.
  ROOT .. " sh -c 'for n in user pid ipc uts net cgroup; do "
    .. "[ $(readlink /proc/self/ns/$n) = $(readlink /proc/$PPID/ns/$n) ] && echo $n; done'",
  ROOT .. " --unshare-all --proc /proc sh -c 'echo $$; ls -d /proc/[0-9]*' | head -2",
  ROOT .. " --unshare-net sh -c 'grep -c : /proc/net/dev; cat /sys/class/net/lo/flags'",
  ROOT .. " --unshare-all --share-net sh -c '[ $(readlink /proc/self/ns/net) = '$(readlink /proc/self/ns/net)' ]'",
  ROOT .. " --unshare-pid --as-pid-1 sh -c 'echo $$'",
  ROOT .. " --unshare-pid sh -c 'echo $$'",
  ROOT .. " --unshare-uts --hostname moon uname -n",
  ROOT .. " --hostname moon true",
  ROOT .. " --unshare-user cat /proc/self/uid_map",
  ROOT .. " --unshare-user --uid 7 --gid 8 id",
  ROOT .. " --unshare-user --uid 0 --gid 0 id -u",
  ROOT .. " --unshare-user-try --unshare-cgroup-try true",
  ROOT .. " --unshare-user --disable-userns unshare -U true",
  ROOT .. " --unshare-user --disable-userns --dev /dev --uid 5 sh -c 'id -u; cat /proc/self/uid_map'",
  ROOT .. " --disable-userns true",
  ROOT .. " --assert-userns-disabled true",
  ROOT .. " --as-pid-1 true",
  ROOT .. " --unshare-ipc ipcs -q",
  ROOT .. " --unshare-pid --new-session sh -c 'ps -o sid= $$ | tr -d \" \"'",

  -- The file system.
  "--bind $D/rw / --dir /x --file 9 /f /nonexistent 9</dev/null",
  ROOT .. " sh -c 'test -w /usr'",
  ROOT .. " --bind $D $D sh -c 'echo x > $D/rw/new; cat $D/rw/new'",
  ROOT .. " --bind $D/rw /mnt ls /mnt",
  ROOT .. " --ro-bind $D/rw /mnt sh -c '>/mnt/new'",
  ROOT .. " --tmpfs /tmp --bind $D/rw/file /tmp/f cat /tmp/f",
  ROOT .. " --tmpfs /tmp --bind $D/rw/file /tmp/a/b/c stat -c '%F %n' /tmp/a /tmp/a/b /tmp/a/b/c",
  "--bind-try /nonexistent / " .. SMALL .. " ls /",
  SMALL .. " --dir /x --ro-bind-try /nonexistent // ls /",
  "--tmpfs / --ro-bind-try / / sh -c '>/new; ls -d /usr'",
  "cd /proc && $B --dir /x --bind-try /nonexistent / true",
  ROOT .. " --bind /nonexistent /mnt true",
  ROOT .. " --ro-bind /nonexistent /mnt true",
  ROOT .. " --bind-try /nonexistent /mnt --ro-bind-try /nonexistent /srv --dev-bind-try /nonexistent /opt ls /mnt",
  ROOT .. " --tmpfs /tmp --bind-try /nonexistent /tmp/x ls -A /tmp",
  ROOT .. " --bind $D /mnt sh -c 'grep \" /mnt \" /proc/self/mountinfo | cut -d\" \" -f6'",
  ROOT .. " --dev-bind /dev /dev sh -c 'echo >/dev/null && echo written'",
  ROOT .. " --dev-bind /dev /mnt sh -c 'echo >/mnt/null && echo written'",
  "cd $D && $B " .. ROOT .. " --bind rw /mnt cat /mnt/file",
  ROOT .. " --bind $D/link /mnt cat /mnt/file",
  "--tmpfs / " .. SMALL .. " ls -A /",
  "--tmpfs / " .. SMALL .. " stat -c '%a %F' / /usr /bin",
  SMALL .. " sh -c '>/new; ls /'",
  SMALL .. " --remount-ro / sh -c '>/new'",
  SMALL .. " --tmpfs /a --remount-ro /a sh -c '>/a/new'",
  ROOT .. " --remount-ro /usr/bin true 2>/dev/null",
  ROOT .. " --tmpfs /tmp --dir /tmp/a/b stat -c '%a %n' /tmp/a /tmp/a/b",
  ROOT .. " --tmpfs /tmp --perms 0700 --dir /tmp/a/b stat -c '%a %n' /tmp/a /tmp/a/b",
  ROOT .. " --tmpfs /tmp --perms 0750 --dir /tmp/a/b --dir /tmp/c stat -c '%a %n' /tmp/a /tmp/a/b /tmp/c",
  ROOT .. " --perms 0711 --tmpfs /tmp stat -c %a /tmp",
  ROOT .. " --size 65536 --tmpfs /tmp sh -c 'head -c 100000 /dev/zero >/tmp/x; stat -c %s /tmp/x'",
  ROOT .. " --dir /usr true",
  SMALL .. " --dir / --dir '' ls /",
  SMALL .. " --bind '' /x true",
  SMALL .. " --symlink '' /x true",
  ROOT .. " --chdir '' true",
  ROOT .. " --lock-file '' true",
  ROOT .. " ''",
  SMALL .. " --chmod 0700 /nonexistent true",
  SMALL .. " --chmod 700 /usr true",
  "D=$D/gone; mkdir $D; cd $D; rmdir $D; $B " .. ROOT .. " pwd",
  SMALL .. " --size 010000 --tmpfs /x stat -f -c '%b' /x",
  SMALL .. " --size 0x10000 --tmpfs /x stat -f -c '%b' /x",
  ROOT .. " --bind $D /mnt --file 9 /mnt/rw/file true 9</dev/null; stat -c '%a %s' $D/rw/file",
  "umask 077; $B " .. ROOT .. " --tmpfs /tmp --file 9 /tmp/f stat -c %a /tmp/f 9</dev/null",
  ROOT .. " --dir /nonexistent true",
  ROOT .. " --tmpfs /nonexistent true",
  ROOT .. " --tmpfs /tmp --file 9 /tmp/f sh -c 'stat -c %a /tmp/f; cat /tmp/f' 9<$D/rw/file",
  ROOT .. " --tmpfs /tmp --perms 0640 --file 9 /tmp/f stat -c %a /tmp/f 9<$D/rw/file",
  ROOT .. " --tmpfs /tmp --bind-data 9 /tmp/f sh -c 'stat -c %a /tmp/f; cat /tmp/f; echo >>/tmp/f' 9<$D/rw/file",
  ROOT .. " --tmpfs /tmp --ro-bind-data 9 /tmp/f sh -c 'cat /tmp/f; echo more >>/tmp/f' 9<$D/rw/file",
  ROOT .. " --bind-data 9 /etc/passwd cat /etc/passwd 9<$D/rw/file",
  ROOT .. " --ro-bind $D /mnt --file 9 /mnt/new true 9<$D/rw/file; ls $D",
  ROOT .. " --tmpfs /tmp --symlink /usr/bin /tmp/a/l readlink /tmp/a/l",
  ROOT .. " --tmpfs /tmp --dir /tmp/d --chmod 0100 /tmp/d stat -c %a /tmp/d",
  ROOT .. " --ro-bind $D /mnt --chmod 0700 /mnt/rw/file true; stat -c %a $D/rw/file",
  ROOT .. " --dev /dev sh -c 'cd /dev; ls | sort; readlink fd stdin core ptmx; stat -c \"%n %t %T\" null zero tty'",
  ROOT .. " --dev /dev sh -c 'echo x >/dev/null; head -c 3 /dev/zero | od -An -tx1; mount | grep -c \" /dev/pts \"'",
  -- The terminal is the console, where it has a name.
  "echo \"exec $B " .. ROOT .. " --dev /dev sh -c 'tty; ls -d /dev/console'\" >$D/s; "
    .. "script -qec \"sh $D/s\" /dev/null </dev/null 2>&1 | tr -d '\\r'",
  "echo \"mount -t tmpfs x /dev/pts; exec $B " .. ROOT .. " --dev /dev sh -c 'tty; ls -d /dev/console'\" >$D/s; "
    .. "script -qec \"unshare -Urm sh $D/s\" /dev/null </dev/null 2>&1 | tr -d '\\r'",
  ROOT .. " --unshare-pid --proc /proc sh -c 'ls -d /proc/[0-9]* | head -1; test -w /proc/sysrq-trigger; "
    .. "echo $?'",
  ROOT .. " --proc /proc sh -c 'test -d /proc/$PPID && echo there'",
  ROOT .. " --unshare-ipc --tmpfs /tmp --mqueue /tmp/q stat -f -c %T /tmp/q",
  ROOT .. " --bind $D /mnt --dir /mnt/made --file 9 /mnt/made/f ls -R /mnt 9</dev/null; ls -R $D",
  ROOT .. " --bind $D /mnt --tmpfs /mnt/under ls -A /mnt; ls -A $D",

  -- Capabilities.
  ROOT .. " --cap-drop ALL sh -c 'grep -E \"Cap(Prm|Eff|Inh|Amb)\" /proc/self/status'",
  ROOT .. " --cap-drop ALL --cap-add cap_net_raw --cap-add CAP_CHOWN sh -c "
    .. "'grep -E \"Cap(Prm|Eff|Inh|Amb)\" /proc/self/status'",
  ROOT .. " --cap-add cap_chown --cap-drop ALL sh -c 'grep -E \"Cap(Prm|Eff|Inh|Amb)\" /proc/self/status'",
  ROOT .. " sh -c 'grep Cap /proc/self/status'",
  ROOT .. " --unshare-user sh -c 'grep -E \"Cap(Prm|Eff|Inh|Amb)\" /proc/self/status'",
  ROOT .. " --unshare-user --cap-add ALL sh -c 'grep -E \"Cap(Prm|Eff|Inh|Amb)\" /proc/self/status'",
  ROOT .. " --cap-add cap_bogus true",
  ROOT .. " --cap-add all sh -c 'grep -E \"Cap(Prm|Eff)\" /proc/self/status'",

  -- Descriptors.
  "printf -- '--setenv\\0A\\0from args\\0' >$D/args; $B " .. ROOT .. " --args 9 sh -c 'echo $A' 9<$D/args",
  ROOT .. " --args 9 true",
  -- The last word may be empty, and need not have an end.
  "printf -- '--setenv\\0A\\0\\0' >$D/args; $B " .. ROOT .. " --args 9 sh -c 'echo \"[${A-none}]\"' 9<$D/args",
  "printf -- '--setenv\\0A\\0x' >$D/args; $B " .. ROOT .. " --args 9 sh -c 'echo \"[$A]\"' 9<$D/args",
  ">$D/args; $B " .. ROOT .. " --args 9 echo on 9<$D/args",
  ROOT .. " --info-fd 9 true 9>$D/info; sed 's/[0-9][0-9]*/N/' $D/info",
  ROOT .. " --unshare-all --info-fd 9 true 9>$D/info; sed 's/[0-9][0-9]*/N/' $D/info",
  ROOT .. " --unshare-ipc --json-status-fd 9 sh -c 'exit 3' 9>$D/info; sed 's/: [0-9]\\{3,\\}/: N/g' $D/info",
  ROOT .. " --block-fd 9 echo on 9</dev/null",
  "(sleep 0.1; echo go) | $B " .. ROOT .. " --block-fd 0 echo on",
  ROOT .. " --seccomp 9 true",
  "printf abc >$D/filter; $B " .. ROOT .. " --seccomp 9 true 9<$D/filter",
  -- load the number; mkdir and mkdirat: EPERM; else allow
  "printf '\\040\\0\\0\\0\\0\\0\\0\\0\\025\\0\\1\\0\\123\\0\\0\\0\\025\\0\\0\\1\\2\\1\\0\\0\\6\\0\\0\\0\\1\\0\\5\\0"
    .. "\\6\\0\\0\\0\\0\\0\\377\\177' >$D/filter; $B " .. ROOT .. " --tmpfs /tmp --seccomp 9 mkdir /tmp/x 9<$D/filter",
  ROOT .. " --lock-file /nonexistent true",
  ROOT .. " --userns 9 true",

  ROOT .. " --bind-fd 9 /mnt cat /mnt/file 9<$D/rw",
  ROOT .. " --bind-fd 9 /mnt sh -c '>/mnt/new' 9<$D/rw; ls $D/rw",
  ROOT .. " --ro-bind-fd 9 /mnt sh -c 'cat /mnt/file; >/mnt/new' 9<$D/rw",
  "mkfifo $D/b; { $B " .. ROOT .. " --sync-fd 9 sh -c 'sleep 0.2; echo program' 9>$D/b; } & cat <$D/b; echo end; wait",
  "$B " .. ROOT .. " --unshare-pid --die-with-parent --lock-file $D/rw/file sleep 60 & n=0; "
    .. "until grep -q :$(stat -c %i $D/rw/file) /proc/locks || [ $n = 500 ]; do n=$((n + 1)); sleep 0.02; done; "
    .. "[ $n -lt 500 ] && echo locked; kill -KILL $!; wait; true",
  "mkfifo $D/b; exec 8<>$D/b; $B " .. ROOT .. " --unshare-user --userns-block-fd 8 --info-fd 9 "
    .. "cat /proc/self/uid_map /proc/self/gid_map 9>$D/info & until grep -qs } $D/info; do sleep 0.01; done; "
    .. "p=$(sed -n 's/.*pid\": \\([0-9]*\\).*/\\1/p' $D/info); echo deny >/proc/$p/setgroups; "
    .. "echo 3 $(id -u) 1 >/proc/$p/uid_map; echo 4 $(id -g) 1 >/proc/$p/gid_map; echo >$D/b; wait",
  "$B " .. ROOT .. " --unshare-pid --die-with-parent --info-fd 9 sleep 60 9>$D/info & "
    .. "until grep -qs } $D/info; do sleep 0.01; done; p=$(sed -n 's/.*pid\": \\([0-9]*\\).*/\\1/p' $D/info); "
    .. "sleep 0.2; kill -KILL $!; n=0; while [ -e /proc/$p/exe ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.02; done; "
    .. "[ $n -lt 50 ] && echo gone; true",
  OTHER .. "$B " .. ROOT .. " --userns 9 sh -c 'cat /proc/self/uid_map; grep CapEff /proc/self/status' "
    .. "9</proc/$p/ns/user; kill $p $q",
  OTHER .. "$B " .. ROOT .. " --userns 9 --userns2 8 cat /proc/self/uid_map 9</proc/$p/ns/user 8</proc/$q/ns/user; "
    .. "kill $p $q",
  "unshare -Urpf --kill-child sh -c '>'$D/q'; sleep 60; true' & until [ -e $D/q ]; do sleep 0.01; done; $B " .. ROOT
    .. " --userns 9 --pidns 8 --proc /proc sh -c 'id -u; readlink /proc/self/ns/pid' 9</proc/$!/ns/user "
    .. "8</proc/$!/ns/pid_for_children >$D/ns; head -1 $D/ns; "
    .. "[ $(tail -1 $D/ns) = $(readlink /proc/$!/ns/pid_for_children) ] && echo joined; kill -9 $!",
  -- In a pid namespace of its own below that one: a process in there has a number in each (NSpid).
  "unshare -Urpf --kill-child sh -c '>'$D/q'; sleep 60; true' & q=$!; >$D/in; until [ -e $D/q ]; do sleep 0.01; done; "
    .. "$B " .. ROOT .. " --userns 9 --pidns 8 --unshare-pid --proc /proc sh -c "
    .. "'echo $$; readlink /proc/self/ns/pid; exec sleep 60' 9</proc/$q/ns/user 8</proc/$q/ns/pid_for_children >$D/in "
    .. "& b=$!; until [ $(wc -l <$D/in) = 2 ]; do sleep 0.01; done; head -1 $D/in; for p in /proc/[0-9]*; do "
    .. "[ \"$(readlink $p/ns/pid)\" = $(tail -1 $D/in) ] && cat $p/status; done | awk '/^NSpid/ { print NF }' "
    .. "| sort -u; awk '/^NSpid/ { print NF }' /proc/self/status; kill -9 $q $b",
  OTHER .. "$B " .. ROOT .. " --userns 9 --unshare-pid --proc /proc sh -c 'echo $$' 9</proc/$p/ns/user; kill $p $q",
}

-- The same for lines that have nothing to do with who says them.
local REFUSED = {
  "",
  "--bogus true",
  "--ro-bind /",
  "--dir",
  "--uid x true",
  "--perms 9 --dir /x true",
  "--perms 0700 true",
  "--perms 0700 --perms 0700 --dir /x true",
  "--perms 0700 --setenv A B --dir /x true",
  "--size 10 --chdir / --tmpfs /x true",
  "--size 0x --tmpfs /x true",
  "--size 1k --tmpfs /x true",
  "--perms 0700 --bind / / true",
  "--size 10 --dir /x true",
  "--size 0 --tmpfs /x true",
  "--chmod 8 /x true",
  "--block-fd x true",
  "--seccomp 8 --add-seccomp-fd 9 true",
  "--userns-block-fd 9 true 9</dev/null",
  "--unshare-user --userns 9 true",
  ROOT .. " --unshare-pid --as-pid-1 --lock-file /etc/passwd true",
}

-- What Debian 12's does not have yet, or has wrong: by what is said, and the status.
local OURS = {
  { ROOT .. " --argv0 nick sh -c 'tr \"\\0\" \" \" </proc/$$/cmdline | cut -d\" \" -f1,2'", "nick -c" },
  { "--level-prefix " .. ROOT .. " /nonexistent 2>&1", "<3>bwrap: execvp /nonexistent: No such file or directory", 1 },
  { ROOT .. " --overlay-src $D/rw --overlay $D/up $D/work /mnt sh -c 'cat /mnt/file; echo new >/mnt/file'; "
    .. "cat $D/rw/file $D/up/file", "content\ncontent\nnew" },
  { ROOT .. " --overlay-src $D/rw --tmp-overlay /mnt sh -c 'echo new >>/mnt/file; cat /mnt/file'; cat $D/rw/file",
    "content\nnew\ncontent" },
  { "echo top >$D/up/file; $B " .. ROOT .. " --overlay-src $D/rw --overlay-src $D/up --ro-overlay /mnt "
    .. "sh -c 'cat /mnt/file; >/mnt/new' 2>&1 | sed 's/.*: //'", "top\nRead-only file system" },
  { "--overlay-src $D/rw --ro-overlay /mnt true 2>&1",
    "bwrap: --ro-overlay requires at least two --overlay-src", 1 },
  { "--overlay-src $D/rw true 2>&1", "bwrap: --overlay-src must be followed by another overlay option", 1 },
  { ROOT .. " --tmpfs /tmp --symlink b /tmp/l --symlink b /tmp/l readlink /tmp/l", "b" },
  { ROOT .. " --tmpfs /tmp --symlink b /tmp/l --symlink c /tmp/l true 2>&1 | head -1",
    "bwrap: Can't make symlink at /tmp/l: existing destination is b" },
  { ROOT .. " --tmpfs /tmp --dir /tmp/l --symlink c /tmp/l true 2>&1 | head -1",
    "bwrap: Can't make symlink at /tmp/l: destination exists and is not a symlink" },
  { ROOT .. " --not-a-security-boundary echo on", "on" },
  { ROOT .. " --not-a-security-boundary --ro-bind /nonexistent /mnt true 2>/dev/null", "", 1 },
  { "--level-prefix --chdir / " .. ROOT .. " --chdir /usr pwd 2>&1",
    "<4>bwrap: Only the last --chdir option will take effect\n/usr" },
  { ROOT .. " --argv0 a --argv0 b true 2>&1", "bwrap: --argv0 used multiple times", 1 },
  { "--exec-label x true 2>&1 | cut -c 1-46", "bwrap: labeling not supported on this system: " },
  { "--file-label x true 2>&1 | cut -c 1-46", "bwrap: labeling not supported on this system: " },
  { "--version | cut -d' ' -f1,2", "bubblewrap 0.11.0" },
  { "--help | head -1", "usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]" },
  { ROOT .. " --tmpfs /tmp --bind $D/rw/file /tmp/a/b stat -c %a /tmp/a", "755" },
  -- Where bwrap has a name for it, or none.
  { SMALL .. " --remount-ro /nonexistent true 2>&1 | head -1",
    "bwrap: Can't remount readonly on /newroot/nonexistent: No such file or directory" },
  { SMALL .. " --dir /a --remount-ro /a true 2>&1 | sed 2d",
    "bwrap: Can't remount readonly on /newroot/a: Invalid argument\n"
      .. "  nothing is mounted right there, and flags are those of a mount: bind it on itself first" },
  { SMALL .. " --dir a/../b true 2>&1", "bwrap: --dir /a/../b: '..' in the string \"/a/../b\"", 1 },
  { SMALL .. " --size 9007199254740992 --tmpfs /x true 2>&1",
    "bwrap: --size (for tmpfs) is limited to 9007199254740991", 1 },
  { ROOT .. " --bind-fd 9 /mnt true 2>&1 | head -1", "bwrap: --bind-fd 9: Bad file descriptor" },
  -- bwrap leaves a process behind.
  { ROOT .. " --info-fd 9 echo ran 2>&1 | head -1", "bwrap: Write to info_fd: Bad file descriptor" },
  { ROOT .. " --json-status-fd 9 echo ran 2>&1 9<$D/rw/file | head -1",
    "bwrap: Write to info_fd: Bad file descriptor" },
  -- Nothing that happened to be open.
  { ROOT .. " sh -c 'echo x >&7' 2>/dev/null 7>$D/leak; cat $D/leak", "" },
  { ROOT .. " --sync-fd 8 sh -c 'ls /proc/$$/fd' 7</dev/null 8</dev/null", "0\n1\n2\n8" },
  -- bwrap would go on with no IDs.
  { ROOT .. " --unshare-user --userns-block-fd 8 --info-fd 9 echo ran 2>/dev/null 8</dev/null 9>$D/info", "", 1 },
  -- bwrap hangs.
  { "timeout 10 env --ignore-signal=CHLD $BARE " .. ROOT .. " sh -c 'exit 4'", "", 4 },
  { "timeout 10 env --ignore-signal=CHLD $BARE " .. ROOT .. " --unshare-pid sh -c 'exit 4'", "", 4 },
  -- bwrap's own view of the host is below /oldroot while it works.
  { "mkdir host img; ln -s /oldroot$D/host img/link; $B --bind $D/img / --dir /link/made true 2>/dev/null; ls host",
    "" },
  { "mkdir host img; ln -s ../oldroot$D/host img/link; echo secret >host/f; "
    .. "$B --bind $D/img / --file 9 /link/f true 2>/dev/null 9</dev/null; cat host/f", "secret" },
  { "mkdir -p host img/usr; ln -s /oldroot$D/host img/link; $B --bind $D/img / --ro-bind /usr /usr "
    .. "--tmpfs /link/x --symlink /usr/bin /link/y /usr/bin/true 2>/dev/null; ls host", "" },
}

local identities = { { name = "as the caller", prefix = "" } }
if not trial.lacks_root() then
  identities = { { name = "as root", prefix = "" } } -- whoever is not root runs these lines as well
end

local EXAMPLE = trial.interpreter() .. " " .. trial.quote(trial.top .. "/examples/bwrap.lua")

-- What bubblewrap 0.8, whose words the example has, says otherwise than later ones, and a form that both come to.
local LATER = {
  { "^bwrap: Can't create file at (.*): Is a directory$", "bwrap: Destination is not a file %1" },
  { "^bwrap: Can't mkdir (.*): Not a directory$", "bwrap: Destination is not a directory %1" },
  { "^bwrap: Can't mkdir (.*): Read%-only", "bwrap: Can't create file %1: Read-only" },
  { "^bwrap: Can't chmod [0-7]+ ", "bwrap: Can't open " },
  { "^bwrap: (%-%-[a-z]+) not compatible ", "bwrap: %1 is not compatible with " },
}
local is_later = not trial.sh("bwrap --version 2>/dev/null || true"):find "^bubblewrap 0%.[0-8]%."

local base, count = nil, 0

-- One shell for a line, in a directory of its own: what came out, the status, and the first line of the complaints.
local function run(line, program, prefix)
  count = count + 1
  if not line:find("$B", 1, true) then line = "$B " .. line end
  program = program:gsub("%%", "%%%%")
  line = line:gsub("%$BARE", program):gsub("%$B%f[%W]", program)
  local directory = ("%s/%d"):format(base, count)
  local script = ([[umask 022; D=%s; export D; mkdir -p $D/rw $D/up $D/work; cd $D
    echo content >rw/file; ln -s rw link
    %s]]):format(directory, line)
  local result = trial.host { "/bin/sh", "-c", ("%ssh -c %s"):format(prefix, trial.quote(script)) }
  local complaint = result.stderr:match "^[^\n]*":gsub("^%w*sh: %d+: ", "")
  for _, words in ipairs(is_later and LATER or {}) do complaint = complaint:gsub(words[1], words[2]) end
  local said = ("%s\n--status %d\n%s"):format(result.stdout, result.status, complaint)
  return (said:gsub(directory:gsub("%p", "%%%0"), "DIR"))
end

describe("the bwrap example #slow", function()
  local installed = trial.host({ "/bin/sh", "-c", "command -v bwrap" }).status == 0

  setup(function()
    base = trial.directory()
    trial.sh("chmod 777 " .. base)
  end)
  teardown(function() trial.remove_directory(base) end)

  for i, who in ipairs(identities) do
    describe(who.name, function()
      local function fails(command) return trial.host({ "/bin/sh", "-c", who.prefix .. command }).status ~= 0 end
      local unreadable = fails(EXAMPLE .. " --version") and "the checkout is not readable for this user"
        or fails "unshare -Ur true" and "needs user namespaces, which this host refuses"
      local refused = unreadable or not installed and "bubblewrap is not installed"
        or fails "bwrap --ro-bind / / true" and "bwrap itself does not run here"

      local lines = { unpack(SAME) }
      for _, line in ipairs(i == 1 and REFUSED or {}) do lines[#lines + 1] = line end
      for number, line in ipairs(lines) do
        -- What a line shows of a container has its spec elsewhere: a sample says that the example still works.
        it("does as bwrap: " .. line .. (number % 10 == 1 and "" or " #slow"), function()
          if refused then pending(refused) end
          assert.equal(run(line, "bwrap", who.prefix), run(line, EXAMPLE, who.prefix))
        end)
      end

      for _, case in ipairs(OURS) do
        it("does: " .. case[1], function()
          if unreadable then pending(unreadable) end
          local said, status = run(case[1], EXAMPLE, who.prefix):match "^(.-)\n?\n%-%-status (%d+)"
          assert.equal(case[2], said)
          if case[3] then assert.equal(case[3], tonumber(status)) end
        end)
      end
    end)
  end
end)
