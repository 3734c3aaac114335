/* All operations in one numbering, for the module and for the runner. */
#include "ops/ops.h"

static const struct op_table *const tables[] = {
	&ops_namespace, &ops_mount, &ops_file, &ops_descriptor, &ops_identity, &ops_capability, &ops_process,
	&ops_terminal, &ops_keys, &ops_landlock, &ops_inherited, &ops_scheduling, &ops_listener,
	&ops_expect,
};

const struct op *op_at(size_t number)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		if (number < tables[i]->count)
			return &tables[i]->rows[number];
		number -= tables[i]->count;
	}
	return NULL;
}
