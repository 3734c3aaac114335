--- The names of cella's modules, but the command line's and this library's own front, `cella`.

local NAMES = [[
  ascii blame call call.modules caps caps.apply caps.exec caps.explain caps.file caps.fileset caps.named caps.names
  caps.over caps.prctl caps.read caps.rules caps.securebits caps.set caps.state caps.text caps.walk cgroup cgroup.base
  cgroup.description cgroup.place cgroup.usage command confinement container container.compiled container.description
  container.identity container.owner doctor doctor.features doctor.remedies doctor.report enter enter.cgroups
  enter.identity enter.process enter.target error everything explain explain.causes explain.everywhere explain.filter
  explain.mounts explain.obstacles explain.program groups hints host host.accounts host.file host.grant host.kernel
  host.status idmap idmap.algebra idmap.check idmap.check.parse idmap.check.setgroups idmap.check.warnings idmap.read
  idmap.value interpreter kinds lazy list mapping mode modules mountinfo namespace open paint plain plan plan.failure
  plan.held plan.join plan.log plan.render plan.spawn plan.stage plan.start policy policy.allot policy.hold
  policy.ranges policy.slices policy.via pool printable process process.capture process.events process.input
  process.limits process.lines process.output process.result process.serve process.starting process.usage process.wait
  rlimits root root.bind root.description root.device root.entry root.filesystem root.idmap root.overlay root.own
  root.place root.readonly root.system runner same show show.data show.text size streams subid subid.files
  subid.program sys terminal tree tree.ask tree.data tree.dot tree.maps tree.node tree.order tree.related tree.scan
  tree.svg tree.text tree.words validate words
]]

local list = {}
for name in NAMES:gmatch "%S+" do list[#list + 1] = "cella." .. name end
return list
