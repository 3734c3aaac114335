/* Sets of constants of the kernel, each with the name that scripts use for it. */
#ifndef CELLA_NAMES_H
#define CELLA_NAMES_H

#include <stdint.h>

struct names {
	const char *what; /* for messages: "namespace", "mount flag" */
	const struct name {
		const char *name;
		uint64_t value;
	} *list;
};

extern const struct names names_namespace, names_mount, names_umount, names_mount_attr, names_open_tree,
	names_propagation, names_fsconfig, names_open, names_resolve, names_node, names_securebits,
	names_rlimit, names_signal, names_close_range, names_landlock_fs, names_landlock_net, names_landlock_scope,
	names_landlock_trial;

#endif
