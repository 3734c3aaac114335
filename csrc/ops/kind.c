/* See kind.h. */
#include "ops/kind.h"

#include <limits.h>
#include <linux/limits.h>

const struct kind_row kind_rows[K_COUNT] = {
	[K_INT] = { SHAPE_NUMBER, 0, INT_MAX },
	[K_TARGET] = { SHAPE_NUMBER, 0, INT_MAX },
	[K_U32] = { SHAPE_NUMBER, 0, UINT32_MAX },
	[K_ID] = { SHAPE_NUMBER, 0, (int64_t)UINT32_MAX - 1 },
	[K_MODE] = { SHAPE_NUMBER, 0, 07777 },
	[K_MAJOR] = { SHAPE_NUMBER, 0, 4095 },
	[K_MINOR] = { SHAPE_NUMBER, 0, 1048575 },
	[K_PORT] = { SHAPE_NUMBER, 0, 65535 },
	[K_LIMIT] = { SHAPE_LIMIT, 0, INT64_MAX },
	[K_BOOL] = { SHAPE_BOOL, 0, 1 },
	[K_TEXT] = { SHAPE_BYTES, 0, UINT32_MAX },
	[K_PATH] = { SHAPE_BYTES, 1, PATH_MAX - 1 },
	[K_DATA] = { SHAPE_BYTES, 0, UINT32_MAX, true },
	[K_FLAGS] = { SHAPE_FLAGS },
	[K_NAME] = { SHAPE_NAME },
	[K_CAPS] = { SHAPE_CAPS },
	[K_FD] = { SHAPE_FD, 0, INT_MAX },
	[K_NICE] = { SHAPE_NUMBER, -20, 19 },
	[K_CPUS] = { SHAPE_NUMBERS, 0, 8191 },
	[K_IDS] = { SHAPE_NUMBERS, 0, (int64_t)UINT32_MAX - 1 },
	[K_FDS] = { SHAPE_NUMBERS, 0, INT_MAX },
	[K_SIGNALS] = { SHAPE_SIGNALS },
	[K_STRINGS] = { SHAPE_STRINGS },
	[K_ENVIRONMENT] = { SHAPE_STRINGS },
};
