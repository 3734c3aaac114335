function __fish_cella_print_command
    set -l cmdline (commandline -poc)
    set -l cmd
    set -e cmdline[1]
    for arg in $cmdline
        switch $arg
            case run
                set cmd $cmd run
                break
            case plan
                set cmd $cmd plan
                break
            case learn
                set cmd $cmd learn
                break
            case doctor
                set cmd $cmd doctor
                break
            case enter
                set cmd $cmd enter
                break
            case tree
                set cmd $cmd tree
                break
            case show
                set cmd $cmd show
                break
            case same
                set cmd $cmd same
                break
            case idmap
                set cmd $cmd idmap
                set -e cmdline[1]
                for arg in $cmdline
                    switch $arg
                        case show
                            set cmd $cmd show
                            break
                        case check
                            set cmd $cmd check
                            break
                        case translate
                            set cmd $cmd translate
                            break
                        case compose
                            set cmd $cmd compose
                            break
                        case policy
                            set cmd $cmd policy
                            break
                        case slices
                            set cmd $cmd slices
                            break
                    end
                end
                break
            case caps
                set cmd $cmd caps
                set -e cmdline[1]
                for arg in $cmdline
                    switch $arg
                        case show
                            set cmd $cmd show
                            break
                        case decode
                            set cmd $cmd decode
                            break
                        case explain
                            set cmd $cmd explain
                            break
                        case after-exec
                            set cmd $cmd after-exec
                            break
                        case tree
                            set cmd $cmd tree
                            break
                    end
                end
                break
            case seccomp
                set cmd $cmd seccomp
                set -e cmdline[1]
                for arg in $cmdline
                    switch $arg
                        case show
                            set cmd $cmd show
                            break
                        case explain
                            set cmd $cmd explain
                            break
                        case check
                            set cmd $cmd check
                            break
                    end
                end
                break
            case oci
                set cmd $cmd oci
                set -e cmdline[1]
                for arg in $cmdline
                    switch $arg
                        case bundle
                            set cmd $cmd bundle
                            break
                        case image
                            set cmd $cmd image
                            break
                    end
                end
                break
            case kube
                set cmd $cmd kube
                break
            case busted
                set cmd $cmd busted
                break
            case repl
                set cmd $cmd repl
                break
            case completion
                set cmd $cmd completion
                break
        end
    end
    echo "$cmd"
end

function __fish_cella_using_command
    test (__fish_cella_print_command) = "$argv"
    and return 0
    or return 1
end

function __fish_cella_seen_command
    string match -q "$argv*" (__fish_cella_print_command)
    and return 0
    or return 1
end

complete -c cella -n '__fish_cella_using_command' -xa 'run' -d 'Start a container: of a file, of keys in the line, or the default one'
complete -c cella -n '__fish_cella_using_command' -xa 'plan' -d 'Print the kernel steps that `run` would take'
complete -c cella -n '__fish_cella_using_command' -xa 'learn' -d 'Run a program, and print a container\'s table that allows what it did'
complete -c cella -n '__fish_cella_using_command' -xa 'doctor' -d 'Say what this host allows, what not, why, and the remedy'
complete -c cella -n '__fish_cella_using_command' -xa 'enter' -d 'Start a program in the namespaces of a process'
complete -c cella -n '__fish_cella_using_command' -xa 'tree' -d 'Show the hierarchy of namespaces'
complete -c cella -n '__fish_cella_using_command' -xa 'show' -d 'Show what a process is, and what it may do over what'
complete -c cella -n '__fish_cella_using_command' -xa 'same' -d 'Say whether two processes are in the same namespaces'
complete -c cella -n '__fish_cella_using_command' -xa 'idmap' -d 'Show, check, translate and compose ID maps'
complete -c cella -n '__fish_cella_using_command' -xa 'caps' -d 'Show, decode and explain capabilities, and predict exec'
complete -c cella -n '__fish_cella_using_command' -xa 'seccomp' -d 'Show, explain and check policies of system calls'
complete -c cella -n '__fish_cella_using_command' -xa 'oci' -d 'Write a container as a bundle or an image, for other runtimes'
complete -c cella -n '__fish_cella_using_command' -xa 'kube' -d 'Print a container as a Pod or Job of Kubernetes'
complete -c cella -n '__fish_cella_using_command' -xa 'busted' -d 'Run busted, with each spec file in a container of its own'
complete -c cella -n '__fish_cella_using_command' -xa 'repl' -d 'Lua at a prompt, with cella\'s operations and values at hand'
complete -c cella -n '__fish_cella_using_command' -xa 'completion' -d 'Print what a shell reads to complete these commands'
complete -c cella -s h -l help -d 'Show this help message and exit'
complete -c cella -l version -d 'Print the version'

complete -c cella -n '__fish_cella_seen_command run' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command run' -s t -l terminal -d 'Give the program a terminal of its own, wherever this one\'s streams lead'
complete -c cella -n '__fish_cella_seen_command run' -l no-terminal -d 'Give it none: it has the streams that this one has'
complete -c cella -n '__fish_cella_seen_command run' -s e -l eval -r -d 'The container\'s keys, in Lua, as they stand in the table of a file; cella, policy, idmap, caps, sys, seccomp and landlock are at hand'
complete -c cella -n '__fish_cella_seen_command run' -l seccomp -r -d 'Its system calls: default, nesting, strict, none, or a Lua program that returns a policy (cella seccomp)'
complete -c cella -n '__fish_cella_seen_command run' -l timeout -r -d 'Seconds after which the program is ended, whatever its command says'
complete -c cella -n '__fish_cella_seen_command run' -l debug -d 'Tell each step on the standard error once it is done, with its time'
complete -c cella -n '__fish_cella_seen_command run' -l denied -d 'Tell on the standard error what the program is denied, and which key opens it'

complete -c cella -n '__fish_cella_seen_command plan' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command plan' -s t -l terminal -d 'Give the program a terminal of its own, wherever this one\'s streams lead'
complete -c cella -n '__fish_cella_seen_command plan' -l no-terminal -d 'Give it none: it has the streams that this one has'
complete -c cella -n '__fish_cella_seen_command plan' -s e -l eval -r -d 'The container\'s keys, in Lua, as they stand in the table of a file; cella, policy, idmap, caps, sys, seccomp and landlock are at hand'
complete -c cella -n '__fish_cella_seen_command plan' -l seccomp -r -d 'Its system calls: default, nesting, strict, none, or a Lua program that returns a policy (cella seccomp)'
complete -c cella -n '__fish_cella_seen_command plan' -l html -d 'Print a page of HTML, with the reason of each step and where the manual pages tell of it'
complete -c cella -n '__fish_cella_seen_command plan' -l diff -r -d 'Print what the container of this file would do otherwise: its steps with -, those of the other with +'
complete -c cella -n '__fish_cella_seen_command plan' -l colour -l color -xa 'auto always never' -d 'In colours: at a terminal, always or never'

complete -c cella -n '__fish_cella_seen_command learn' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command learn' -s t -l terminal -d 'Give the program a terminal of its own, wherever this one\'s streams lead'
complete -c cella -n '__fish_cella_seen_command learn' -l no-terminal -d 'Give it none: it has the streams that this one has'
complete -c cella -n '__fish_cella_seen_command learn' -s e -l eval -r -d 'The container\'s keys, in Lua, as they stand in the table of a file; cella, policy, idmap, caps, sys, seccomp and landlock are at hand'
complete -c cella -n '__fish_cella_seen_command learn' -l seccomp -r -d 'Its system calls: default, nesting, strict, none, or a Lua program that returns a policy (cella seccomp)'
complete -c cella -n '__fish_cella_seen_command learn' -l timeout -r -d 'Seconds after which each run of the program is ended'

complete -c cella -n '__fish_cella_seen_command doctor' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command doctor' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command enter' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command enter' -s n -l namespaces -r -d 'Only these: user, mount, pid, ipc, uts, net, cgroup, time'
complete -c cella -n '__fish_cella_seen_command enter' -s u -l user -r -d 'Be this one there, UID[:GID[:GROUP,...]]'
complete -c cella -n '__fish_cella_seen_command enter' -s c -l capabilities -r -d 'What stays, "chown,kill" or "none"'
complete -c cella -n '__fish_cella_seen_command enter' -l no-new-privs -d 'Nothing is to be gained by exec'
complete -c cella -n '__fish_cella_seen_command enter' -l keyrings -r -d 'Keys: "none", "own" or "host", as of a container'
complete -c cella -n '__fish_cella_seen_command enter' -l seccomp -r -d 'System calls: a policy, as of `cella run`'
complete -c cella -n '__fish_cella_seen_command enter' -l exceed -r -d 'In what it may have more than the process: capabilities, no_new_privs, seccomp, cgroup, interpreter'
complete -c cella -n '__fish_cella_seen_command enter' -s d -l cwd -r -d 'Working directory, there'
complete -c cella -n '__fish_cella_seen_command enter' -s e -l environment -r -d 'A variable, NAME=VALUE; may be repeated'
complete -c cella -n '__fish_cella_seen_command enter' -s p -l plan -d 'Print the kernel steps, and start nothing'

complete -c cella -n '__fish_cella_seen_command tree' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command tree' -l json -d 'Print JSON (needs the Lua module dkjson)'
complete -c cella -n '__fish_cella_seen_command tree' -l dot -d 'Print a graph for dot(1) of Graphviz'
complete -c cella -n '__fish_cella_seen_command tree' -l svg -d 'Print a picture, for a file that a browser shows'
complete -c cella -n '__fish_cella_seen_command tree' -l colour -l color -xa 'auto always never' -d 'In colours: at a terminal, always or never'

complete -c cella -n '__fish_cella_seen_command show' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command show' -l json -d 'Print JSON (needs the Lua module dkjson)'
complete -c cella -n '__fish_cella_seen_command show' -l colour -l color -xa 'auto always never' -d 'In colours: at a terminal, always or never'

complete -c cella -n '__fish_cella_seen_command same' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command same' -s n -l namespaces -r -d 'Only these: user, mount, pid, ipc, uts, net, cgroup, time'
complete -c cella -n '__fish_cella_seen_command same' -s q -l quiet -d 'Print nothing: the exit status says it'
complete -c cella -n '__fish_cella_seen_command same' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_using_command idmap' -xa 'show' -d 'Print the maps of a process\'s user namespace'
complete -c cella -n '__fish_cella_using_command idmap' -xa 'check' -d 'Say what the kernel would say to a map, and what is dangerous about it'
complete -c cella -n '__fish_cella_using_command idmap' -xa 'translate' -d 'Print what IDs stand for'
complete -c cella -n '__fish_cella_using_command idmap' -xa 'compose' -d 'Print the map through several namespaces'
complete -c cella -n '__fish_cella_using_command idmap' -xa 'policy' -d 'Print the maps that a policy gives here'
complete -c cella -n '__fish_cella_using_command idmap' -xa 'slices' -d 'Print which slices of the subordinate IDs are taken'
complete -c cella -n '__fish_cella_seen_command idmap' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command idmap show' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap show' -s k -l kind -xa 'uid gid projid' -d 'Which IDs'
complete -c cella -n '__fish_cella_seen_command idmap show' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command idmap check' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap check' -s k -l kind -xa 'uid gid projid' -d 'Which IDs'
complete -c cella -n '__fish_cella_seen_command idmap check' -s w -l writer -xa 'parent self helper' -d 'Who writes it: the process that makes the namespace, the one inside, or newuidmap'
complete -c cella -n '__fish_cella_seen_command idmap check' -l setgroups -xa 'allow deny' -d 'What /proc/PID/setgroups says when the gid map is written'
complete -c cella -n '__fish_cella_seen_command idmap check' -l owner -r -d 'Warn of IDs beyond the subordinate ones of this user (name, or uid)'
complete -c cella -n '__fish_cella_seen_command idmap check' -l other -r -d 'Warn of IDs that this process\'s namespace has too'
complete -c cella -n '__fish_cella_seen_command idmap check' -l strict -d 'Exit with 1 for warnings too'
complete -c cella -n '__fish_cella_seen_command idmap check' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command idmap translate' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap translate' -s m -l map -r -d 'The map, as text'
complete -c cella -n '__fish_cella_seen_command idmap translate' -s p -l pid -r -d 'The map of this process\'s namespace'
complete -c cella -n '__fish_cella_seen_command idmap translate' -s i -l to-inside -d 'From outside to inside'
complete -c cella -n '__fish_cella_seen_command idmap translate' -s k -l kind -xa 'uid gid projid' -d 'Which IDs'
complete -c cella -n '__fish_cella_seen_command idmap translate' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command idmap compose' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap compose' -s k -l kind -xa 'uid gid projid' -d 'Which IDs'
complete -c cella -n '__fish_cella_seen_command idmap compose' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command idmap policy' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap policy' -l own -r -d 'exactly: the inside ID that stands for one\'s own'
complete -c cella -n '__fish_cella_seen_command idmap policy' -l registry -r -d 'slice: the directory that says which slices are taken'
complete -c cella -n '__fish_cella_seen_command idmap policy' -l keep-groups -d 'Keep the supplementary groups, and say what becomes of them'
complete -c cella -n '__fish_cella_seen_command idmap policy' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command idmap slices' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command idmap slices' -l release -r -d 'Give the slice of this name back'
complete -c cella -n '__fish_cella_seen_command idmap slices' -l registry -r -d 'The directory that says which slices are taken'
complete -c cella -n '__fish_cella_seen_command idmap slices' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_using_command caps' -xa 'show' -d 'Print what a process holds'
complete -c cella -n '__fish_cella_using_command caps' -xa 'decode' -d 'Print the names in a mask or text'
complete -c cella -n '__fish_cella_using_command caps' -xa 'explain' -d 'Say what a capability allows'
complete -c cella -n '__fish_cella_using_command caps' -xa 'after-exec' -d 'Predict what a program will hold'
complete -c cella -n '__fish_cella_using_command caps' -xa 'tree' -d 'Print the processes that hold any'
complete -c cella -n '__fish_cella_seen_command caps' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command caps show' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command caps show' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command caps decode' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command caps decode' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command caps explain' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command caps explain' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command caps after-exec' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l pid -r -d 'Begin with the state of this process'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l text -r -d 'Sets as cap_from_text(3) or cap_iab(3)'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l effective -r -d 'The effective set'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l permitted -r -d 'The permitted set'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l inheritable -r -d 'The inheritable set'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l bounding -r -d 'The bounding set'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l ambient -r -d 'The ambient set'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l securebits -r -d 'Names, with commas'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l no-new-privs -d 'Set no_new_privs'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l uid -r -d 'Who executes: real, effective and saved user ID, as the process sees it'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l gid -r -d 'The same for the group'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l unshare-user -d 'Enter a new user namespace before'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l uid-map -r -d 'Its map: INSIDE OUTSIDE COUNT, several with commas'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l gid-map -r -d 'Its group map, if another'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l setresuid -r -d 'Switch all three user IDs before, with what that takes away'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l file -r -d 'The program: its bits, owner, capabilities and mount'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l mode -r -d 'The program\'s mode, in octal'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l owner -r -d 'The program\'s owner and group'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l file-caps -r -d 'The program\'s capabilities, as setcap(8) takes them'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l nosuid -d 'The program\'s mount has nosuid'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l traced -d 'The process is traced by one without CAP_SYS_PTRACE over it'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l kernel -r -d 'By the rules of this version of Linux'
complete -c cella -n '__fish_cella_seen_command caps after-exec' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command caps tree' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command caps tree' -l json -d 'Print JSON (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_using_command seccomp' -xa 'show' -d 'Print a policy as Lua, or which have names'
complete -c cella -n '__fish_cella_using_command seccomp' -xa 'explain' -d 'Say what a system call is answered, and why'
complete -c cella -n '__fish_cella_using_command seccomp' -xa 'check' -d 'Say whether a policy is right, and what it means on a machine'
complete -c cella -n '__fish_cella_seen_command seccomp' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command seccomp show' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command seccomp show' -l oci -d 'As JSON, as runtimes and the nodes of a cluster read it (needs the Lua module dkjson)'

complete -c cella -n '__fish_cella_seen_command seccomp explain' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command seccomp check' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command seccomp check' -s m -l machine -xa 'x86_64 aarch64 riscv64' -d 'The machine, if it is not to be this one'

complete -c cella -n '__fish_cella_using_command oci' -xa 'bundle' -d 'Write config.json, and a root: for runc, crun and their like'
complete -c cella -n '__fish_cella_using_command oci' -xa 'image' -d 'Write an image: for podman, skopeo and registries'
complete -c cella -n '__fish_cella_seen_command oci' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command oci bundle' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command oci bundle' -s e -l eval -r -d 'The container\'s keys, in Lua, as for `cella run`'
complete -c cella -n '__fish_cella_seen_command oci bundle' -l seccomp -r -d 'Its system calls, as for `cella run`'

complete -c cella -n '__fish_cella_seen_command oci image' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command oci image' -s e -l eval -r -d 'The container\'s keys, in Lua, as for `cella run`'
complete -c cella -n '__fish_cella_seen_command oci image' -l seccomp -r -d 'Its system calls, as for `cella run`'

complete -c cella -n '__fish_cella_seen_command kube' -s h -l help -d 'Show this help message and exit'
complete -c cella -n '__fish_cella_seen_command kube' -s e -l eval -r -d 'The container\'s keys, in Lua, as for `cella run`'
complete -c cella -n '__fish_cella_seen_command kube' -l image -r -d 'The image, as a node pulls it: `cella oci image` makes one'
complete -c cella -n '__fish_cella_seen_command kube' -l name -r -d 'Of the Pod or Job; the host name, if it is not given'
complete -c cella -n '__fish_cella_seen_command kube' -l job -d 'A Job, which is done once its pods are'
complete -c cella -n '__fish_cella_seen_command kube' -l completions -r -d 'Of a Job: how many pods have to succeed, each with its number in JOB_COMPLETION_INDEX'
complete -c cella -n '__fish_cella_seen_command kube' -l parallelism -r -d 'Of a Job: how many run at once'
complete -c cella -n '__fish_cella_seen_command kube' -l runtime-class -r -d 'Which of the nodes\' runtimes starts it'
complete -c cella -n '__fish_cella_seen_command kube' -l seccomp-profile -r -d 'Where the nodes have the container\'s policy of system calls'
complete -c cella -n '__fish_cella_seen_command kube' -l seccomp -r -d 'Its system calls, as for `cella run`'

complete -c cella -n '__fish_cella_seen_command busted' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command repl' -s h -l help -d 'Show this help message and exit'

complete -c cella -n '__fish_cella_seen_command completion' -s h -l help -d 'Show this help message and exit'
