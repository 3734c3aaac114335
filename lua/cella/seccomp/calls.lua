--- The kernel's system calls: their names, their numbers on each machine, and what it reads of each argument.
--
-- A table of cella's own, not the headers that a build finds: a policy means the same wherever it is compiled, also for
-- calls that are newer than those headers. spec/seccomp/calls_spec.lua holds it against them.

local M = {}

-- NAME:NUMBER on x86_64:NUMBER on aarch64 and riscv64:ARGUMENTS. "-": it has none; behind a number "a" and "r": on
-- the one of the two alone. Of an argument the kernel reads "h" 16 bits, "i" 32, "l" 64; "p" is an address of 64, of
-- which a filter does not see what lies there. What is declared as a long, and goes on as an int in there, is 32 bits
-- (a descriptor of writev, the flags of clone).
local CALLS = [[
  _sysctl:156:-: accept:43:202:ipp accept4:288:242:ippi access:21:-:pi acct:163:89:p add_key:248:217:pppli
  adjtimex:159:171:p afs_syscall:183:-: alarm:37:-:i arch_prctl:158:-:il bind:49:200:ipi bpf:321:280:ipi brk:12:214:l
  cachestat:451:451:ippi capget:125:90:pp capset:126:91:pp chdir:80:49:p chmod:90:-:ph chown:92:-:pii chroot:161:51:p
  clock_adjtime:305:266:ip clock_getres:229:114:ip clock_gettime:228:113:ip clock_nanosleep:230:115:iipp
  clock_settime:227:112:ip clone:56:220:ilppp clone3:435:435:pl close:3:57:i close_range:436:436:iii
  connect:42:203:ipi copy_file_range:326:285:ipipli creat:85:-:ph create_module:174:-: delete_module:176:106:pi
  dup:32:23:i dup2:33:-:ii dup3:292:24:iii epoll_create:213:-:i epoll_create1:291:20:i epoll_ctl:233:21:iiip
  epoll_ctl_old:214:-: epoll_pwait:281:22:ipiipl epoll_pwait2:441:441:ipippl epoll_wait:232:-:ipii
  epoll_wait_old:215:-: eventfd:284:-:i eventfd2:290:19:ii execve:59:221:ppp execveat:322:281:ipppi exit:60:93:i
  exit_group:231:94:i faccessat:269:48:ipi faccessat2:439:439:ipii fadvise64:221:223:illi fallocate:285:47:iill
  fanotify_init:300:262:ii fanotify_mark:301:263:iilip fchdir:81:50:i fchmod:91:52:ih fchmodat:268:53:iph
  fchmodat2:452:452:iphi fchown:93:55:iii fchownat:260:54:ipiii fcntl:72:25:iil fdatasync:75:83:i
  fgetxattr:193:10:ippl file_getattr:468:468:ippli file_setattr:469:469:ippli finit_module:313:273:ipi
  flistxattr:196:13:ipl flock:73:32:ii fork:57:-: fremovexattr:199:16:ip fsconfig:431:431:iippi fsetxattr:190:7:ippli
  fsmount:432:432:iii fsopen:430:430:pi fspick:433:433:ipi fstat:5:80:ip fstatfs:138:44:ip fsync:74:82:i
  ftruncate:77:46:il futex:202:98:piippi futex_requeue:456:456:piii futex_wait:455:455:pllipi
  futex_waitv:449:449:piipi futex_wake:454:454:plii futimesat:261:-:ipp get_kernel_syms:177:-:
  get_mempolicy:239:236:pplll get_robust_list:274:100:ipp get_thread_area:211:-:p getcpu:309:168:ppp getcwd:79:17:pl
  getdents:78:-:ipi getdents64:217:61:ipi getegid:108:177: geteuid:107:175: getgid:104:176: getgroups:115:158:ip
  getitimer:36:102:ip getpeername:52:205:ipp getpgid:121:155:i getpgrp:111:-: getpid:39:172: getpmsg:181:-:
  getppid:110:173: getpriority:140:141:ii getrandom:318:278:pli getresgid:120:150:ppp getresuid:118:148:ppp
  getrlimit:97:163:ip getrusage:98:165:ip getsid:124:156:i getsockname:51:204:ipp getsockopt:55:209:iiipp
  gettid:186:178: gettimeofday:96:169:pp getuid:102:174: getxattr:191:8:pppl getxattrat:464:464:ipippl
  init_module:175:105:plp inotify_add_watch:254:27:ipi inotify_init:253:-: inotify_init1:294:26:i
  inotify_rm_watch:255:28:ii io_cancel:210:3:lpp io_destroy:207:1:l io_getevents:208:4:lllpp
  io_pgetevents:333:292:lllppp io_setup:206:0:ip io_submit:209:2:llp io_uring_enter:426:426:iiiipl
  io_uring_register:427:427:iipi io_uring_setup:425:425:ip ioctl:16:29:iil ioperm:173:-:lli iopl:172:-:i
  ioprio_get:252:31:ii ioprio_set:251:30:iii kcmp:312:272:iiill kexec_file_load:320:294:iilpl kexec_load:246:104:llpl
  keyctl:250:219:illll kill:62:129:ii landlock_add_rule:445:445:iipi landlock_create_ruleset:444:444:pli
  landlock_restrict_self:446:446:ii lchown:94:-:pii lgetxattr:192:9:pppl link:86:-:pp linkat:265:37:ipipi
  listen:50:201:ii listmount:458:458:ppli listxattr:194:11:ppl listxattrat:465:465:ipipl llistxattr:195:12:ppl
  lookup_dcookie:212:18:lpl lremovexattr:198:15:pp lseek:8:62:ili lsetxattr:189:6:pppli lsm_get_self_attr:459:459:ippi
  lsm_list_modules:461:461:ppi lsm_set_self_attr:460:460:ipii lstat:6:-:pp madvise:28:233:lli
  map_shadow_stack:453:453:lli mbind:237:235:llipli membarrier:324:283:iii memfd_create:319:279:pi
  memfd_secret:447:447:i migrate_pages:256:238:ilpp mincore:27:232:llp mkdir:83:-:ph mkdirat:258:34:iph
  mknod:133:-:phi mknodat:259:33:iphi mlock:149:228:ll mlock2:325:284:lli mlockall:151:230:i mmap:9:222:llllil
  modify_ldt:154:-:ipl mount:165:40:ppplp mount_setattr:442:442:ipipl move_mount:429:429:ipipi
  move_pages:279:239:ilpppi mprotect:10:226:lll mq_getsetattr:245:185:ipp mq_notify:244:184:ip mq_open:240:180:pihp
  mq_timedreceive:243:183:iplpp mq_timedsend:242:182:iplip mq_unlink:241:181:p mremap:25:216:lllll mseal:462:462:lll
  msgctl:71:187:iip msgget:68:186:ii msgrcv:70:188:iplli msgsnd:69:189:ipli msync:26:227:lli munlock:150:229:ll
  munlockall:152:231: munmap:11:215:ll name_to_handle_at:303:264:ipppi nanosleep:35:101:pp newfstatat:262:79:ippi
  nfsservctl:180:42: open:2:-:pih open_by_handle_at:304:265:ipi open_tree:428:428:ipi open_tree_attr:467:467:ipipl
  openat:257:56:ipih openat2:437:437:ippl pause:34:-: perf_event_open:298:241:piiil personality:135:92:i
  pidfd_getfd:438:438:iii pidfd_open:434:434:ii pidfd_send_signal:424:424:iipi pipe:22:-:p pipe2:293:59:pi
  pivot_root:155:41:pp pkey_alloc:330:289:ll pkey_free:331:290:i pkey_mprotect:329:288:llli poll:7:-:pii
  ppoll:271:73:pippl prctl:157:167:illll pread64:17:67:ipll preadv:295:69:iplll preadv2:327:286:ipllli
  prlimit64:302:261:iipp process_madvise:440:440:iplii process_mrelease:448:448:ii process_vm_readv:310:270:iplpll
  process_vm_writev:311:271:iplpll pselect6:270:72:ippppp ptrace:101:117:lill putpmsg:182:-: pwrite64:18:68:ipll
  pwritev:296:70:iplll pwritev2:328:287:ipllli query_module:178:-: quotactl:179:60:ipip quotactl_fd:443:443:iiip
  read:0:63:ipl readahead:187:213:ill readlink:89:-:ppi readlinkat:267:78:ippi readv:19:65:ipl reboot:169:142:iiip
  recvfrom:45:207:iplipp recvmmsg:299:243:ipiip recvmsg:47:212:ipi remap_file_pages:216:234:lllll
  removexattr:197:14:pp removexattrat:466:466:ipip rename:82:-:pp renameat:264:38a:ipip renameat2:316:276:ipipi
  request_key:249:218:pppi restart_syscall:219:128: riscv_flush_icache:-:259r:lll riscv_hwprobe:-:258r:pllpi
  rmdir:84:-:p rseq:334:293:piii rt_sigaction:13:134:ippl rt_sigpending:127:136:pl rt_sigprocmask:14:135:ippl
  rt_sigqueueinfo:129:138:iip rt_sigreturn:15:139: rt_sigsuspend:130:133:pl rt_sigtimedwait:128:137:pppl
  rt_tgsigqueueinfo:297:240:iiip sched_get_priority_max:146:125:i sched_get_priority_min:147:126:i
  sched_getaffinity:204:123:iip sched_getattr:315:275:ipii sched_getparam:143:121:ip sched_getscheduler:145:120:i
  sched_rr_get_interval:148:127:ip sched_setaffinity:203:122:iip sched_setattr:314:274:ipi sched_setparam:142:118:ip
  sched_setscheduler:144:119:iip sched_yield:24:124: seccomp:317:277:iip security:185:-: select:23:-:ipppp
  semctl:66:191:iiil semget:64:190:iii semop:65:193:ipi semtimedop:220:192:ipip sendfile:40:71:iipl
  sendmmsg:307:269:ipii sendmsg:46:211:ipi sendto:44:206:iplipi set_mempolicy:238:237:ipl
  set_mempolicy_home_node:450:450:llll set_robust_list:273:99:pl set_thread_area:205:-:p set_tid_address:218:96:p
  setdomainname:171:162:pi setfsgid:123:152:i setfsuid:122:151:i setgid:106:144:i setgroups:116:159:ip
  sethostname:170:161:pi setitimer:38:103:ipp setns:308:268:ii setpgid:109:154:ii setpriority:141:140:iii
  setregid:114:143:ii setresgid:119:149:iii setresuid:117:147:iii setreuid:113:145:ii setrlimit:160:164:ip
  setsid:112:157: setsockopt:54:208:iiipi settimeofday:164:170:pp setuid:105:146:i setxattr:188:5:pppli
  setxattrat:463:463:ipippl shmat:30:196:ipi shmctl:31:195:iip shmdt:67:197:p shmget:29:194:ili shutdown:48:210:ii
  sigaltstack:131:132:pp signalfd:282:-:ipl signalfd4:289:74:ipli socket:41:198:iii socketpair:53:199:iiip
  splice:275:76:ipipli stat:4:-:pp statfs:137:43:pp statmount:457:457:ppli statx:332:291:ipiip swapoff:168:225:p
  swapon:167:224:pi symlink:88:-:pp symlinkat:266:36:pip sync:162:81: sync_file_range:277:84:illi syncfs:306:267:i
  sysfs:139:-:ill sysinfo:99:179:p syslog:103:116:ipi tee:276:77:iili tgkill:234:131:iii time:201:-:p
  timer_create:222:107:ipp timer_delete:226:111:i timer_getoverrun:225:109:i timer_gettime:224:108:ip
  timer_settime:223:110:iipp timerfd_create:283:85:ii timerfd_gettime:287:87:ip timerfd_settime:286:86:iipp
  times:100:153:p tkill:200:130:ii truncate:76:45:pl tuxcall:184:-: umask:95:166:i umount2:166:39:pi uname:63:160:p
  unlink:87:-:p unlinkat:263:35:ipi unshare:272:97:l uprobe:336:-: uretprobe:335:-: uselib:134:-:p
  userfaultfd:323:282:i ustat:136:-:ip utime:132:-:pp utimensat:280:88:ippi utimes:235:-:pp vfork:58:-:
  vhangup:153:58: vmsplice:278:75:ipli vserver:236:-: wait4:61:260:ipip waitid:247:95:iipip write:1:64:ipl
  writev:20:66:ipl
]]

--- The machines whose numbers are known.
M.MACHINES = { "x86_64", "aarch64", "riscv64" }

--- The newest number: from 424 on a call has the same on all machines. What is above it is not known here.
M.NEWEST = 469

local WIDTHS = { h = 16, i = 32, l = 64, p = 64 }

---@class cella.seccomp.call
---@field name string
---@field numbers table<string, integer>  by machine, where there is one
---@field arguments string  a letter for each, as above

---@type table<string, cella.seccomp.call>, string[]
local by_name, names

-- Read when it is first asked for: who loads all of cella rarely does.
local function read()
  by_name, names = {}, {}
  for name, own, other, arguments in CALLS:gmatch "([a-z0-9_]+):([0-9-]+):([0-9ar-]+):([hilp]*)" do
    local number, only = other:match "^(%d+)([ar]?)$"
    number = tonumber(number)
    by_name[name] = { name = name, arguments = arguments, numbers = {
      x86_64 = tonumber(own),
      aarch64 = only ~= "r" and number or nil,
      riscv64 = only ~= "a" and number or nil,
    } }
    names[#names + 1] = name
  end
end

--- All names, in order.
---@return string[]
function M.names()
  if not names then read() end
  return names
end

--- What is known of a call; nil where there is none of the name.
---@param name any
---@return cella.seccomp.call?
function M.of(name)
  if not names then read() end
  return by_name[name]
end

--- How many bits of an argument the kernel reads; nil where a call has no such argument.
---@param call cella.seccomp.call
---@param index integer  the first is 0
---@return integer? bits, boolean? is_address
function M.width(call, index)
  local letter = call.arguments:sub(index + 1, index + 1)
  return WIDTHS[letter], letter == "p"
end

local by_number = {}

--- The name of the call that has a number on a machine; nil where none has.
---@param number integer
---@param machine string
---@return string?
function M.name_of(number, machine)
  if not by_number[machine] then
    by_number[machine] = {}
    for _, name in ipairs(M.names()) do
      local its = by_name[name].numbers[machine]
      if its then by_number[machine][its] = name end
    end
  end
  return by_number[machine][number]
end

return M
