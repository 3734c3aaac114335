/* See capability.h. Raw calls only: see raw.h. */
#include "sys/capability.h"
#include "sys/raw.h"

#include <linux/prctl.h>

static int highest; /* and one more; 0: not yet known */

void last_capability_is(int number)
{
	highest = number + 1;
}

int last_capability(void)
{
	/* Asked of the kernel, not of a file: /proc may be absent where a sandbox is built. */
	int found = highest - 1;
	if (found < 0) {
		for (found = 0; found < 63; found++)
			if (RAW(SYS_prctl, PR_CAPBSET_READ, found + 1) < 0)
				break;
		highest = found + 1;
	}
	return found;
}

uint64_t all_capabilities(void)
{
	return UINT64_MAX >> (63 - last_capability());
}
