--- The names of cella's modules, but the command line's and this library's own front, `cella`.

local NAMES = [[
  ascii blame command confinement cpulist error everything filter first found groups hints interpreter kinds lazy list
  mapping mode modules mountinfo namespace open paint plain pool printable rlimits runner same size streams sys sysctl
  terminal
  validate words
  busted busted.blocks busted.body busted.box busted.coverage busted.files busted.keys busted.listen busted.pristine
  busted.record busted.replay busted.report busted.runs
  call call.modules
  caps caps.apply caps.exec caps.explain caps.file caps.fileset caps.five caps.named caps.names caps.over caps.prctl
  caps.read caps.rules caps.securebits caps.set caps.state caps.text caps.walk
  cgroup cgroup.base cgroup.description cgroup.place cgroup.usage
  container container.compiled container.confined container.description container.identity container.owner
  container.steps
  denied denied.address denied.caller denied.calls denied.cause denied.files denied.key denied.reader denied.rules
  doctor doctor.features doctor.held doctor.remedies doctor.report
  enter enter.cgroups enter.identity enter.process enter.target
  explain explain.causes explain.everywhere explain.filter explain.mounts explain.obstacles explain.program
  host host.accounts host.file host.find host.grant host.kernel host.mappable host.status host.unchanged
  idmap idmap.algebra idmap.check idmap.check.parse idmap.check.setgroups idmap.check.warnings idmap.read idmap.value
  landlock landlock.grammar landlock.record landlock.rights landlock.text
  learn learn.openings learn.text
  network network.address network.allow network.names network.rules network.start network.user
  oci oci.bundle oci.cgroup oci.create oci.ending oci.exec oci.failed oci.features oci.holder oci.home oci.hooks
  oci.image oci.json oci.kept oci.kube oci.lock oci.pid_file oci.processes oci.raised_limits oci.read oci.runtime
  oci.salvage oci.state oci.streams oci.trusted oci.waiting oci.yaml
  oci.export.config oci.export.files oci.export.keys oci.export.mounts oci.export.process oci.export.resources
  oci.export.root oci.export.rootfs oci.export.said oci.export.seccomp oci.export.user oci.export.words
  oci.read.devices oci.read.document oci.read.fields oci.read.hooks oci.read.mounts oci.read.namespaces
  oci.read.process oci.read.resources oci.read.schema oci.read.seccomp
  plan plan.failure plan.held plan.helper plan.join plan.log plan.render plan.spawn plan.stage plan.start
  policy policy.allot policy.combine policy.hold policy.ranges policy.registry policy.result policy.slice
  policy.subordinate policy.via
  process process.capture process.events process.held process.identity process.input process.limits process.lines
  process.output process.result process.serve process.starting process.usage process.wait
  root root.bind root.description root.device root.entry root.filesystem root.idmap root.overlay root.own root.place
  root.readonly root.system root.taken
  seccomp seccomp.action seccomp.calls seccomp.compile seccomp.condition seccomp.constants seccomp.grammar
  seccomp.made.aarch64 seccomp.made.riscv64 seccomp.made.x86_64
  seccomp.named seccomp.opened seccomp.rules seccomp.text seccomp.told seccomp.word
  show show.data show.text
  subid subid.files subid.program
  tree tree.ask tree.data tree.dot tree.maps tree.node tree.order tree.related tree.scan tree.svg tree.text tree.words
  worker worker.channel worker.description worker.failed worker.inside worker.interpreter worker.job
]]

local list = {}
for name in NAMES:gmatch "%S+" do list[#list + 1] = "cella." .. name end
return list
