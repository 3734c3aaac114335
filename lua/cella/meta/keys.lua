---@meta cella.keys
-- For editors, which complete the keys from here, and for the reference (tools/doc.lua). spec/house/keys_spec.lua holds
-- it together with the rules.
error "for editors and readers, not for running"

--- What a container is: the table of `cella.container`. Without any key it is a sandbox, whoever starts it: of the
--- host's files it reads `/usr` and `/etc`, has no capability, and IDs that are nobody's.
---@class cella.container.keys
---@field hostname string?    up to 64 bytes: sethostname(2). The host's, if not given. Needs a uts namespace of its own
---@field domainname string?  the NIS domain, up to 64 bytes: setdomainname(2)
---@field namespaces ("host"|cella.namespaces.keys)?  which are new (all but time, if not given), the host's, or joined.
---  "host" is none of its own: what an ordinary user may where user namespaces are forbidden
---@field network ("none"|"host"|"user"|string|cella.namespaces.target|cella.network.keys)?  "none": one of its own with
---  a loopback device; the host's; "user": a way out by a helper, pasta(1); or one to join. What `namespaces.net` says
---  too: a table has one of the two
---@field ids (cella.Policy|cella.ids.keys|false)?  which IDs there are inside; `policy.default()`, if not given: some
---  that nobody else has. false: none at all. Needs a new user namespace
---@field user cella.user.keys?  who the program is, as IDs inside: credentials(7). The caller, where the map has him;
---  else 0
---@field root (cella.root|cella.root.parts|cella.root.directory)?  the file system: "system" (the host's `/usr`, `/etc`
---  and what belongs to them, read-only), the path of a directory, or a list of parts. "/" is all of the host,
---  read-only
---@field mounts cella.mount.entry[]?  what lies over the root, mounted in this order
---@field devices (string|cella.device.keys)[]?  devices of the host that can be opened: "/dev/fuse", or a directory of
---  some, "/dev/dri". None but null, zero, full, random, urandom and tty, if not given
---@field masked_paths (string[]|"default")?  paths inside that are covered, by an empty directory or a null device;
---  what is not there needs no covering. "default": those that the OCI runtimes take
---@field readonly_paths (string[]|"default")?  paths inside that are made read-only, with all below
---@field proc boolean?  false: no `/proc` at all. One of its own with a pid namespace of its own, if not given
---@field capabilities (cella.capabilities|cella.capabilities.keys)?  what stays, in all five sets, through exec:
---  "net_bind_service", a list, a set of cella.caps; or each of the sets. None, if not given: capabilities(7)
---@field no_new_privs boolean?  no program gets more by its file (set-user-ID, file capabilities): prctl(2). True, if
---  not given
---@field user_namespaces boolean?  false: nobody inside can make a user namespace, and gain in it what the kernel gives
---  there. Needs one of the container's own. If not given: false where that holds and nothing asks for more (`nesting`,
---  seccomp = "nesting", a capability sys_admin or sys_resource), else true
---@field nesting boolean?  containers can be made inside: user_namespaces = true, seccomp = "nesting", and, where no
---  `capabilities` are given, setfcap, by which who is 0 there gives that ID away again. False, if not given
---@field lock_mounts boolean?  no mount of the root can be unmounted, moved or made writable inside, whatever is kept
---  in `capabilities`: mount_namespaces(7). Needs a user and a mount namespace of its own. True where `sys_admin` is
---  kept, if not given
---@field keyrings ("none"|"own"|"host")?  the kernel's keys, keyrings(7). "none": its three calls answer ENOSYS, by a
---  filter; "own": a session keyring of its own; "host": the caller's
---@field seccomp ("default"|"nesting"|"strict"|cella.seccomp.policy|cella.seccomp.keys|false)?  what the program's
---  system calls are answered: a policy of cella.seccomp, its name or its table. "default", if not given; false: only
---  the kernel decides
---@field landlock (cella.landlock.policy|cella.landlock.keys|false)?  which files, ports and other processes the
---  program has to do with: a policy of cella.landlock or its table. None, if not given
---@field new_session boolean?  a session without the caller's terminal: setsid(2). True, if not given
---@field init boolean?  a small process 1 before the program, which reaps and hands signals on. True with a new pid
---  namespace
---@field die_with_parent boolean?  all of it ends when the calling process ends, however that happens. True, if not
---  given
---@field hooks cella.hooks.keys?  functions of the caller's at points of its life
---@field rlimits cella.rlimits.keys?  what each process may use at most: setrlimit(2). The caller's, if not given
---@field umask string?        what its new files are not, octal: umask(2). "022", if not given
---@field nice integer?        -20, before others, to 19: setpriority(2). The caller's, if not given; less than that
---  only where RLIMIT_NICE allows it
---@field cpus (string|integer[])?  the processors that it runs on, "0-2,5" or { 0, 1, 2, 5 }: sched_setaffinity(2). The
---  caller's, if not given
---@field oom_score_adj integer?  -1000, never killed for memory, to 1000, first: proc_pid_oom_score_adj(5). The
---  caller's, if not given; less than that needs CAP_SYS_RESOURCE
---@field sysctl table<string, string|number>?  parameters of the namespaces that are new: `net.*`, `user.*`,
---  `fs.mqueue.*`, and those of `kernel.*` that ipc_namespaces(7) lists. As the kernel has them, if not given
---@field cgroup cella.cgroup.keys?  what all of its processes together may use at most: cgroups(7)
---@field environment (table<string, string|number|false>|"inherit")?  variables by name. `PATH`, `HOME` and `TERM` are
---  there unless they are given or false
---@field cwd string?  the working directory, an absolute path inside. "/", if not given
---@field command (cella.command.keys|cella.call.keys|function)?  what `run`, `spawn` and `plan` start where they name
---  nothing

--- Five sets of capabilities, as the program has them after exec; one that is left out is empty: capabilities(7).
---@class cella.capabilities.keys
---@field bounding cella.capabilities?     what any program in there could come to have
---@field permitted cella.capabilities?    what the program may have in effect. In `bounding`
---@field effective cella.capabilities?    what it has. In `permitted`
---@field inheritable cella.capabilities?  what it may hand on to programs whose file says so. In `bounding`
---@field ambient cella.capabilities?      what it hands on to others. In `permitted` and `inheritable`

--- A device of the host.
---@class cella.device.keys
---@field path string          an absolute path of the host
---@field destination string?  an absolute path inside. The same, if not given
---@field optional boolean?    there may be none: then there is none inside

--- Whose namespaces a container has: namespaces(7). Each is "new", "host", the path of one to join
--- (`/proc/PID/ns/net`), or a table that says whose.
---@class cella.namespaces.keys
---@field user cella.namespaces.which?    IDs and capabilities: user_namespaces(7)
---@field mount cella.namespaces.which?   mounts: mount_namespaces(7)
---@field pid cella.namespaces.which?     processes: pid_namespaces(7)
---@field ipc cella.namespaces.which?     message queues, semaphores, shared memory: ipc_namespaces(7)
---@field uts cella.namespaces.which?     host and domain name: uts_namespaces(7)
---@field net cella.namespaces.which?     network devices, ports, abstract sockets: network_namespaces(7). A new one
---  has `lo`
---@field cgroup cella.namespaces.which?  what a process sees as the root of all cgroups: cgroup_namespaces(7)
---@field time (cella.namespaces.which|cella.namespaces.offsets)?  clocks: time_namespaces(7). The host's, if not given

---@alias cella.namespaces.which "new"|"host"|string|cella.namespaces.target

--- A namespace to join: exactly one of these. It is held by a descriptor from the moment that the plan is made.
---@class cella.namespaces.target
---@field pid integer?  of a process that is in it
---@field fd integer?   an open descriptor of it
---@field path string?  an absolute path: of /proc, or of a mount that keeps it

--- A new time namespace with its clocks set forward or back.
---@class cella.namespaces.offsets
---@field monotonic number?  seconds, to the nanosecond: CLOCK_MONOTONIC
---@field boottime number?   seconds: CLOCK_BOOTTIME

--- A network that is more than its namespace: where a program may send, and by what way.
---@class cella.network.keys
---@field type "none"|"host"|"user"   as the word alone
---@field allow (string|cella.network.allow.host|cella.network.allow.address)[]?  where it may send: "192.0.2.7:443",
---  "10.0.0.0/8", "[2001:db8::]/32:8000-8010"; the rest is rejected. Everywhere, if not given
---@field program ("pasta"|"slirp4netns"|string)?  of "user", the helper, or its path: pasta, or slirp4netns where only
---  that is there, if not given
---@field ports (integer|cella.network.port.keys)[]?  of "user", ports outside that lead to some of the container
---@field host_ports (integer|cella.network.host_port.keys)[]?  of "user", ports of the container's loopback that lead
---  to some of the host's
---@field nameservers (string[]|false)?  of "user", whom /etc/resolv.conf inside names: the helper, which asks whom the
---  host asks, if not given. false: the file is left as it is
---@field addresses string[]?  of "user", its own: at most one of each version, "10.0.2.100/24". The host's, if not
---  given
---@field gateways string[]?   of "user", at most one of each version
---@field interface string?    of "user", the host's interface whose addresses and routes it has: that of the default
---  route, if not given
---@field mtu integer?         of "user", 1280 to 65520 bytes
---@field ipv4 boolean?        of "user", false: none
---@field ipv6 boolean?        of "user", false: none

--- A host that may be sent to, by its name, of which the addresses are asked for at each start.
---@class cella.network.allow.host
---@field host string                its name
---@field port integer?              all, if not given
---@field protocol ("tcp"|"udp")?    both, if not given

--- An address or a network that may be sent to.
---@class cella.network.allow.address
---@field address string             "192.0.2.7", "10.0.0.0/8", also with a port
---@field port integer?              all, if not given
---@field protocol ("tcp"|"udp")?    both, if not given

--- A port outside that leads to one inside. One of the two is enough, if they are the same; of UDP they have to be.
---@class cella.network.port.keys
---@field outside integer?           of the host
---@field inside integer?            of the container
---@field address string?            of the host: "127.0.0.1", if not given; "0.0.0.0" is all of IPv4
---@field protocol ("tcp"|"udp")?    "tcp", if not given

--- A port of the container's loopback that leads to one of the host's loopback.
---@class cella.network.host_port.keys
---@field inside integer?            of the container
---@field outside integer?           of the host
---@field protocol ("tcp"|"udp")?    "tcp", if not given

--- ID maps, said outright: the text of the kernel ("0 100000 65536"), an extent, a list of them, or a value of
--- cella.idmap.
---@class cella.ids.keys
---@field uid string|table|cella.IdMap  of users
---@field gid string|table|cella.IdMap  of groups
---@field setgroups ("allow"|"deny")?   whether setgroups(2) may be called inside; as it has to be for who writes, if
---  not given
---@field via ("self"|"parent"|"helper")?  who writes them: the child, the caller, or newuidmap(1). Whoever may, if not
---  given

--- ID maps as a plan takes them: as a policy returns them.
---@class cella.plan.ids.keys
---@field uid string|table|cella.IdMap  of users
---@field gid string|table|cella.IdMap  of groups
---@field setgroups ("allow"|"deny")?   what is written to /proc/PID/setgroups first
---@field via "self"|"parent"|"helper"  who writes them
---@field text { uid: string, gid: string }?          what is written, where it has other lines than the maps
---@field helper { uid: string[], gid: string[] }?    what the helper is given, behind the pid
---@field name string?                                of the policy
---@field newuidmap string?                           the helper, where it is not to be looked for in PATH
---@field newgidmap string?                           the same for groups

--- Who a program is, as IDs inside. Real, effective and saved are the same.
---@class cella.user.keys
---@field uid integer?       0 to 2^32 - 2; it has to be in the map
---@field gid integer?       0 to 2^32 - 2
---@field groups integer[]?  exactly these supplementary groups; none, if not given. An ordinary user with one ID cannot
---  give up his own, and must not name any

--- Functions of the caller's, called in the calling process while the container waits. One that raises, or returns nil
--- and a message, stops the container before its program.
---@class cella.hooks.keys
---@field created (fun(process: cella.process))?      it is in its namespaces; nothing else has happened
---@field mapped (fun(process: cella.process))?       its ID maps are written and read back
---@field before_exec (fun(process: cella.process))?  all is done and verified; only the program is missing
---@field exited (fun(result: cella.result?, err: cella.error?))?  it has ended, and this is how

--- What each process may use at most: getrlimit(2). A number is both limits; "unlimited" is none.
---@class cella.rlimits.keys
---@field as cella.rlimits.limit?          bytes of address space
---@field core cella.rlimits.limit?        bytes of a core file
---@field cpu cella.rlimits.limit?         seconds of processor time
---@field data cella.rlimits.limit?        bytes of data
---@field fsize cella.rlimits.limit?       bytes of a file that is written
---@field locks cella.rlimits.limit?       without effect today
---@field memlock cella.rlimits.limit?     bytes locked in memory
---@field msgqueue cella.rlimits.limit?    bytes in message queues, of the user
---@field nice cella.rlimits.limit?        20 less this is the highest priority that may be asked for
---@field nofile cella.rlimits.limit?      open descriptors: numbers below this
---@field nproc cella.rlimits.limit?       processes and threads, of the user (in this user namespace, and those above)
---@field rss cella.rlimits.limit?         without effect today
---@field rtprio cella.rlimits.limit?      the highest real-time priority
---@field rttime cella.rlimits.limit?      microseconds of real-time work without a pause
---@field sigpending cella.rlimits.limit?  signals that wait, of the user
---@field stack cella.rlimits.limit?       bytes of stack

---@alias cella.rlimits.limit cella.limit|cella.rlimits.pair

--- Both limits of a resource.
---@class cella.rlimits.pair
---@field soft cella.limit  what holds; the process may raise it to the hard one
---@field hard cella.limit  only CAP_SYS_RESOURCE raises it

--- What all processes of a container together may use at most: cgroups(7), version 2. Read back before anything runs.
---@class cella.cgroup.keys
---@field memory (integer|string)?       bytes from 4096, "64M" (K, M, G, T), "unlimited": memory.max. What needs more
---  is killed, all of it at once
---@field memory_high (integer|string)?  above this it is slowed down: memory.high
---@field swap (integer|string)?         bytes beside `memory`; 0 is none: memory.swap.max
---@field pids (integer|"unlimited")?    processes and threads, 1 to 4194304: pids.max
---@field cpu (number|cella.cgroup.bandwidth.keys|"unlimited")?  CPUs, from 0.01: 1.5 is one and a half: cpu.max
---@field cpu_weight integer?            1 to 10000, against siblings with 100: cpu.weight
---@field cpuset string?                 numbers and ranges of CPUs, "0-2,5": cpuset.cpus
---@field cpuset_mems string?            of memory nodes: cpuset.mems
---@field io cella.cgroup.io.keys[]?     rates of disks: io.max
---@field unified table<string, string|integer>?  other files of controllers, and what is written to them
---@field parent string?                 the cgroup below which it is made: the caller's own, if not given
---@field name string?                   of its directory: up to 200 letters, digits and _ + . -; a number, if not given

--- Processor time in periods.
---@class cella.cgroup.bandwidth.keys
---@field quota number   seconds in each period
---@field period number  seconds, from 0.001 to 1

--- Rates of one disk; at least one. A number from 1, or "unlimited".
---@class cella.cgroup.io.keys
---@field device string                   "/dev/vda", or "8:0"
---@field rbps (integer|"unlimited")?     bytes read a second
---@field wbps (integer|"unlimited")?     bytes written a second
---@field riops (integer|"unlimited")?    reads a second
---@field wiops (integer|"unlimited")?    writes a second

---@alias cella.mode string|integer  octal digits as text, "0755"; or the number, which Lua cannot write in octal

---@alias cella.root "system"|string

--- A directory of the host as root.
---@class cella.root.directory
---@field path string?          which; or
---@field fd integer?           an open descriptor of it
---@field readonly boolean?     with all below it. Always true of "/"
---@field nodev boolean?        devices in it cannot be opened. True, if not given
---@field idmap (true|cella.mount.ids.keys)?    whose its files are inside
---@field propagation ("private"|"shared"|"slave")?  whether mounts of the host appear in it: mount_namespaces(7)

--- A root that is put together: its parts, as items, on an empty tmpfs, to which the keys belong.
---@class cella.root.parts
---@field [integer] cella.mount.entry
---@field readonly boolean?       the tmpfs, once all is there; or a bind at "/", with what its source has below it
---@field size (integer|string)?  bytes, "64M", "10%" of the memory
---@field mode cella.mode?           of its top: "0755", if not given
---@field inodes integer?         files and directories at most
---@field owner cella.mount.owner.keys?  whose its top is; root's inside, if not given
---@field propagation ("private"|"shared")?  "private", if not given

---@alias cella.mount.entry
---|cella.mount.bind
---|cella.mount.tmpfs
---|cella.mount.overlay
---|cella.mount.proc
---|cella.mount.sysfs
---|cella.mount.cgroup2
---|cella.mount.mqueue
---|cella.mount.devpts
---|cella.mount.dev
---|cella.mount.filesystem
---|cella.mount.file
---|cella.mount.symlink
---|cella.mount.directory
---|cella.mount.remount
---|cella.mount.chmod

--- What every mount and part has.
---@class cella.mount.place
---@field destination string  an absolute path inside, followed as a process in there would
---@field parents cella.mode?    the mode of directories that are made above it: "0755", if not given

--- The flags of a mount: mount_setattr(2).
---@class cella.mount.flags : cella.mount.place
---@field readonly boolean?     nothing can be written
---@field nosuid boolean?       set-user-ID and file capabilities do nothing
---@field nodev boolean?        devices cannot be opened
---@field noexec boolean?       programs cannot be executed
---@field noatime boolean?      no time of the last access
---@field strictatime boolean?  always; not with `noatime`
---@field nodiratime boolean?   none of directories
---@field nosymfollow boolean?  symbolic links are not followed (of a new file system: Linux 5.14)

--- What is mounted anew, and whether it shares mounts: mount_namespaces(7).
---@class cella.mount.shared : cella.mount.flags
---@field propagation ("private"|"shared"|"unbindable")?  "private", if not given

--- A file or directory of the host, or data, at another place. nosuid and nodev, if not given.
---@class cella.mount.bind : cella.mount.flags
---@field type "bind"
---@field source string|cella.mount.source.fd|cella.mount.source.content  of the host, with the caller's rights
---@field recursive boolean?  with what is mounted below. True, if not given
---@field optional boolean?   the path may lead to nothing: then there is no mount
---@field create boolean?     later parts may make files and directories in it, on the host
---@field idmap (true|cella.mount.ids.keys)?  whose the files are inside. Needs CAP_SYS_ADMIN over the file system
---@field propagation ("private"|"shared"|"slave"|"unbindable")?  "slave": what the host mounts there later appears

--- What a descriptor of the caller's stands for.
---@class cella.mount.source.fd
---@field fd integer  its number, from 0

--- A file that is nowhere else.
---@class cella.mount.source.content
---@field content string  what is in it
---@field mode cella.mode?  "0644", if not given

--- Which ID inside is which on disk.
---@class cella.mount.ids.keys
---@field uid string|table|cella.IdMap  of users, "INSIDE ONDISK COUNT"
---@field gid string|table|cella.IdMap  of groups

--- An empty file system in memory: tmpfs(5). nosuid and nodev, if not given.
---@class cella.mount.tmpfs : cella.mount.shared
---@field type "tmpfs"
---@field size (integer|string)?  bytes, "64M", "10%" of the memory; half of it, if not given
---@field mode cella.mode?           of its top: "1777", if not given
---@field inodes integer?         files and directories at most
---@field owner cella.mount.owner.keys?  whose its top is; root's inside, if not given

--- Layers: of several lower directories the topmost that has a name counts, and what is written goes to the upper one.
--- In a user namespace since Linux 5.11.
---@class cella.mount.overlay : cella.mount.shared
---@field type "overlay"
---@field lower string|cella.mount.source.fd|(string|cella.mount.source.fd)[]  from the top down; two without `upper`
---@field upper string?    a directory that takes what is written, or "tmpfs": it is forgotten. Read-only, if not given
---@field work string?     an empty directory on the file system of `upper`
---@field idmap (true|cella.mount.ids.keys)?  whose the files of `lower` are inside (Linux 5.19). Needs CAP_SYS_ADMIN
---  over their file systems
---@field create boolean?  later parts may be made in it

--- The processes of its own pid namespace: proc(5). nosuid, nodev and noexec, if not given.
---@class cella.mount.proc : cella.mount.shared
---@field type "proc"
---@field subset "pid"?      the processes alone, without what tells of the host
---@field hidepid ("off"|"noaccess"|"invisible"|"ptraceable")?  which processes a user sees
---@field protect boolean?   its switches are read-only, and what tells of the host is covered. True where the host's
---  root is in the container

--- What the kernel tells of devices: sysfs(5). Read-only, nosuid, nodev and noexec, if not given.
---@class cella.mount.sysfs : cella.mount.shared
---@field type "sysfs"

--- The cgroups, from its own down. Read-only, nosuid, nodev and noexec, if not given.
---@class cella.mount.cgroup2 : cella.mount.shared
---@field type "cgroup2"

--- POSIX message queues: mq_overview(7). nosuid, nodev and noexec, if not given.
---@class cella.mount.mqueue : cella.mount.shared
---@field type "mqueue"

--- Pseudo-terminals of its own: pts(4). nosuid and noexec, if not given.
---@class cella.mount.devpts : cella.mount.shared
---@field type "devpts"
---@field mode cella.mode?      of its terminals: "0620", if not given; "0600" where there is no group
---@field group integer?        of its terminals: 5, "tty", where that is in the map and none of the three is given
---@field ptmxmode cella.mode?  of its multiplexer: "0666", if not given

--- A file system of any type that the kernel has. nosuid and nodev, if not given.
---@class cella.mount.filesystem : cella.mount.shared
---@field type "filesystem"
---@field fstype string      "ramfs", "hugetlbfs", "ext4", ...: filesystems(5). Not "proc" and "sysfs", which are types
---@field source string?     of a disk its device, of others any word. The type, if not given
---@field options string[]?  "key=value" or "key", as the kernel takes them: fsconfig(2)

--- A minimal /dev: null, zero, full, random, urandom, tty, each proved to be that device; pts, shm and the usual links.
---@class cella.mount.dev : cella.mount.shared
---@field type "dev"
---@field size (integer|string)?  as of a tmpfs
---@field mode cella.mode?        of its top: "0755", if not given
---@field inodes integer?         as of a tmpfs
---@field owner cella.mount.owner.keys?  whose its top is; root's inside, if not given

--- A file on a file system of the container's own. Nothing is mounted.
---@class cella.mount.file : cella.mount.place
---@field type "file"
---@field content string      what is in it
---@field mode cella.mode?       "0644", if not given
---@field owner cella.mount.owner.keys?  whose it is; root's inside, if not given
---@field existing boolean?   there may be one, which is overwritten

--- Whose something is, as IDs inside, which have to be in the map. One of the two at least.
---@class cella.mount.owner.keys
---@field uid integer?
---@field gid integer?

--- A symbolic link on a file system of the container's own.
---@class cella.mount.symlink : cella.mount.place
---@field type "symlink"
---@field target string       what it says, as it is
---@field existing boolean?   there may be one already that says the same

--- A directory on a file system of the container's own.
---@class cella.mount.directory : cella.mount.place
---@field type "directory"
---@field mode cella.mode?       "0755", if not given
---@field owner cella.mount.owner.keys?  whose it is; root's inside, if not given. Not together with `existing`
---@field existing boolean?   there may be one already

--- Sets the flags that are true on the mount that is at the destination, and on none below it; takes none away.
---@class cella.mount.remount : cella.mount.flags
---@field type "remount"

--- Changes the mode of what is at the destination.
---@class cella.mount.chmod : cella.mount.place
---@field type "chmod"
---@field mode cella.mode  the mode that it gets

--- The streams and the surroundings of a program: what `plan:exec` takes, and commands have too.
---@class cella.exec.keys
---@field [integer] string|number  the program, and its arguments. Without a slash it is looked for in the PATH it will
---  get
---@field stdin (cella.streams.input)?    "null", if not given (of a plan made by hand: "inherit")
---@field stdout (cella.streams.output)?  "inherit", if not given
---@field stderr (cella.streams.output|"stdout")?  "stdout": to the same
---@field fds table<integer, integer|file*|cella.streams.content>?  which descriptors it has beside: `{ [5] = 7 }`, its
---  5 is the caller's 7. From 3 on
---@field terminal (boolean|cella.terminal.keys)?  a pseudo-terminal of its own: pty(7)
---@field argv0 string?  what the program is told that its name is; the first item, if not given
---@field environment (table<string, string|number|false>|"inherit")?  in place of the container's
---@field rlimits cella.rlimits.keys?  of plans made by hand: a container has its own

--- How something is run in a container, whether a program or a function.
---@class cella.command.shared
---@field stdin (cella.streams.input)?    "null", if not given
---@field stdout (cella.streams.output)?  "inherit", if not given
---@field stderr (cella.streams.output|"stdout")?  "stdout": to the same
---@field fds table<integer, integer|file*|cella.streams.content>?  which descriptors it has beside: `{ [5] = 7 }`, its
---  5 is the caller's 7. From 3 on
---@field terminal (boolean|cella.terminal.keys)?  a pseudo-terminal of its own: pty(7)
---@field environment (table<string, string|number|false>|"inherit")?  in place of the container's
---@field cwd string?            in place of the container's
---@field timeout number?        seconds until the container is killed, from the call on; the reason is then "timeout"
---@field setup_timeout number?  seconds that its set-up may take: 10, if not given. Then it is nil and ETIMEDOUT
---@field wait boolean?          false: `spawn` returns as soon as there is a child
---@field cpu_limit number?      seconds of processor time, of all that runs in it; the reason is then "cpu"
---@field output_limit integer?  bytes of output, of both streams; the reason is then "output"
---@field capture_limit integer? bytes that are kept of each captured stream: 16 MiB, if not given
---@field result_limit integer?  bytes that the values of a function may take: 16 MiB, if not given
---@field log (fun(step: cella.plan.done))?  called with each step of the plan once it is done, with its time
---@field denied (fun(event: cella.denied.event))?  called with what the program is denied, and the key that opens it.
---  Of programs alone

--- What is run in a container: the program with its arguments, as items, and how.
---@class cella.command.keys : cella.command.shared
---@field [integer] string|number  the program, and its arguments. Without a slash it is looked for in the PATH it will
---  get
---@field argv0 string?  what the program is told that its name is; the first item, if not given

--- A function as the program: itself as the first item, then its arguments, and the keys of a command.
---@class cella.call.keys : cella.command.shared
---@field [integer] any
---@field n integer?  how many items there are, where the last are nil

---@alias cella.streams.input
---|"null"     # empty
---|"inherit"  # the caller's
---|"pipe"     # process:write and process:feed
---|integer    # a descriptor of the caller's
---|file*
---|cella.streams.input_file
---|cella.streams.content

---@alias cella.streams.output
---|"inherit"  # the caller's
---|"null"     # forgotten
---|"capture"  # in the result
---|integer    # a descriptor of the caller's
---|file*
---|cella.streams.output_file
---|fun(line: string, stream: "stdout"|"stderr", more: true?)

--- A file of the host, opened with the caller's rights.
---@class cella.streams.input_file
---@field path string  of the host

--- A file of the host, opened with the caller's rights; made where there is none.
---@class cella.streams.output_file
---@field path string      of the host
---@field append boolean?  what is in it stays

--- A file in memory that nobody can change.
---@class cella.streams.content
---@field content string  what is in it

--- A terminal of a program's own.
---@class cella.terminal.keys
---@field rows integer?     1 to 65535: 24, if not given
---@field columns integer?  80, if not given
---@field like integer?     a descriptor of a terminal whose modes and size it gets
---@field from ("container"|"host")?  in whose /dev/pts it is made: the container's, if not given

--- Whom to enter, and as whom: the table of `cella.enter`. What is not said is as the process has it.
---@class cella.enter.keys
---@field pid integer?            of a process, whoever has started it; or
---@field process cella.process?  a handle
---@field namespaces cella.namespace[]?  of these kinds only: all that differ from the caller's, if not given
---@field user (cella.enter.user.keys|"host")?  as IDs inside. "host": as the caller
---@field capabilities (cella.capabilities|cella.capabilities.keys)?  what stays, in all five sets, or in each
---@field no_new_privs boolean?     as the process has it, if not given
---@field keyrings ("none"|"own"|"host")?  "none", if not given, whatever the process has
---@field seccomp ("default"|"nesting"|"strict"|cella.seccomp.policy|cella.seccomp.keys|false)?  as of a container. The
---  same policy that `process` was started with, if not given
---@field landlock (cella.landlock.policy|cella.landlock.keys|false)?  rules besides those that `process` was started
---  with, as of a container
---@field new_session boolean?      true, if not given
---@field die_with_parent boolean?  true, if not given
---@field environment (table<string, string|number|false>|"inherit")?  `PATH` and `TERM`, if not given
---@field cwd string?               the process's, if not given
---@field command (cella.command.keys|cella.call.keys|function)?  what is started where `run` names nothing
---@field copy boolean?             Lua functions may be run there, in a copy of the caller's memory
---@field exceed ("capabilities"|"no_new_privs"|"seccomp"|"landlock"|"cgroup"|"interpreter")[]?  in what it may have
---  more than the process

--- Who enters.
---@class cella.enter.user.keys
---@field uid integer?       that of the process, if not given
---@field gid integer?       that of the process, if not given
---@field groups integer[]?  those of the process; none for another uid
---@field namespace "host"?  the IDs are those of the caller's user namespace

--- The birth of a plan's child: the table of `cella.plan`.
---@class cella.plan.keys
---@field namespaces cella.namespace[]?  new ones, that it is born into: clone(2)
---@field unshare cella.namespace[]?     new ones that it makes before anything else: unshare(2)
---@field join cella.plan.join.keys[]?   those of others, before that: setns(2)
---@field ids cella.plan.ids.keys?       the maps of a new user namespace, as a policy returns them
---@field groups integer[]?              supplementary groups that it has before it goes into any of them
---@field cgroup cella.cgroup.keys?      it is born in a cgroup of its own, with these limits
---@field created (fun(process: cella.process))?  called before anything else happens, while it waits

--- A namespace that is joined: its type, and whose, by one of the others.
---@class cella.plan.join.keys
---@field type cella.namespace  which of them it is
---@field path string?  of /proc/PID/ns, or of a mount that keeps it
---@field pid integer?  of a process that is in it
---@field fd integer?   an open descriptor of it
---@field pidfd integer?  of a process: with several of one process the kernel checks all before it joins any

--- How a plan is started: what `plan:spawn` and `plan:run` take.
---@class cella.spawn.keys
---@field timeout number?        seconds until it is killed
---@field setup_timeout number?  seconds that its set-up may take: 10, if not given
---@field wait boolean?          false: returns as soon as there is a child
---@field cpu_limit number?      seconds of processor time
---@field output_limit integer?  bytes of output
---@field capture_limit integer? bytes that are kept of each captured stream: 16 MiB, if not given
---@field result_limit integer?  bytes that the values of a function may take: 16 MiB, if not given
---@field log (fun(step: cella.plan.done))?  called with each step of the plan once it is done, with its time
---@field exited (fun(result: cella.result?, err: cella.error?))?  called once with how it ended

--- An interpreter for the code of strangers: the table of `box:worker`.
---@class cella.worker.keys
---@field timeout number?           seconds that each call may take, and each `load`: 1, if not given
---@field memory (integer|string)?  bytes from 1 MiB, "64M", "unlimited": of the box's cgroup, where it has the key
---  `cgroup`, else of the interpreter's address space (RLIMIT_AS). "64M", if not given
---@field libraries string[]?       "base", "string", ..., and "os.time" for one function. What computes, and what tells
---  the time, if not given
---@field interpreter (string|string[])?  the path inside, and options. This process's own, if not given
---@field restart boolean?          false: once an interpreter has ended there is no other. True, if not given
---@field result_limit integer?     bytes that the results of a call may take: 1 MiB, if not given
---@field output cella.worker.output?  where what the sources print goes. "null", if not given
---@field output_limit integer?     bytes that a call may print: 1 MiB, if not given
---@field setup_timeout number?     seconds until an interpreter has to have begun: 10, if not given

---@alias cella.worker.output
---|"null"     # forgotten
---|"inherit"  # the caller's standard error
---|integer    # a descriptor of the caller's
---|file*
---|cella.streams.output_file
---|fun(line: string, stream: "stderr", more: true?)

--- Where notes of `policy.slice` are, and which IDs they are of.
---@class cella.slice.keys
---@field registry string?  the directory of the notes
---@field within { first: integer, count: integer }?  the IDs to take them of, for who may map any

--- A policy of system calls: the table of `seccomp.policy`. A list has names of calls as items, and as keys those that
--- are meant on a condition: `{ "mount", socket = { { 0, "in", { "unix", "inet" } } } }`.
---@class cella.seccomp.keys
---@field default "allow"|"log"|"notify"|"kill"|string  what is answered to calls that are not named: "EPERM" is an
---  error
---@field allow table?  which calls are performed
---@field log table?    which are performed, and told of in the kernel's log
---@field notify table?  which are performed once the caller has heard of them: by the key `denied` of the command
---@field kill table?   which end the process, by SIGSYS
---@field errno table<string, table>?  which fail, by the error: `{ EPERM = { "mount" } }`
---@field calls table<string, table>?  answers in full, by call: `{ { CONDITION, ..., ACTION }, ..., ACTION }`, of which
---  the first counts whose conditions hold, and else the last

--- A policy of files, ports and other processes: the table of `landlock.policy`. Each of `files`, `tcp`, `udp` and
--- `scopes` that is there is about all of its kind: what it does not list is refused.
---@class cella.landlock.keys
---@field files cella.landlock.rule.keys[]?  what is allowed with files
---@field restrict (cella.landlock.access|cella.landlock.access[])?  to which rights `files` is about. All that Linux
---  6.10 has, and which rules name, if not given
---@field tcp cella.landlock.ports.keys?  ports of TCP
---@field udp cella.landlock.ports.keys?  ports of UDP
---@field scopes ("abstract_unix_socket"|"signal")[]?  what ends at the program, and those that it makes
---@field at_least integer?  the ABI that is enough, where the host does not have all of this. Less is refused, if
---  not given

--- What is allowed with files, and with all below a directory.
---@class cella.landlock.rule.keys
---@field path string|string[]  absolute, in the container
---@field allow cella.landlock.access|cella.landlock.access[]  names of rights, or groups of them
---@field optional boolean?  a path that is not there needs no rule. False, if not given

---@alias cella.landlock.access "read"|"write"|"execute"|"make"|"remove"|"device"|"all"|string

--- Which ports are allowed: one, a list, or "any".
---@class cella.landlock.ports.keys
---@field bind (integer|integer[]|"any")?     as one's own: bind(2). None, if not given
---@field connect (integer|integer[]|"any")?  of others: connect(2). None, if not given
