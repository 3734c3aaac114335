/* Capability sets, securebits and no_new_privs: capabilities(7). libcap is for names and texts
 * (value/capset.c, lib/libcap.c); its setters are not used here because the runner has no libc. */
#include "ops/ops.h"
#include "sys/capability.h"
#include "sys/credentials.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/prctl.h>

/* capset(effective, permitted, inheritable) -> true | nil, message, errno
 * capset(2): the three sets at once. */
static int act_capset(const struct arg *a)
{
	return set_sets((uint64_t)a[0].n, (uint64_t)a[1].n, (uint64_t)a[2].n);
}

static int each_capability(uint64_t set, int option, int suboption)
{
	int last = last_capability();
	for (int cap = 0; cap <= last; cap++) {
		if (!(set >> cap & 1))
			continue;
		long result = suboption ? RAW(SYS_prctl, option, suboption, cap, 0, 0) :
					  RAW(SYS_prctl, option, cap, 0, 0, 0);
		if (result < 0)
			return (int)result;
	}
	return 0;
}

/* capbset_drop(capabilities) -> true | nil, message, errno
 * PR_CAPBSET_DROP for each, for ever. One that is gone already is not an error. */
static int act_capbset_drop(const struct arg *a)
{
	return each_capability((uint64_t)a[0].n, PR_CAPBSET_DROP, 0);
}

/* ambient_raise(capabilities) -> true | nil, message, errno
 * PR_CAP_AMBIENT_RAISE for each. */
static int act_ambient_raise(const struct arg *a)
{
	return each_capability((uint64_t)a[0].n, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE);
}

/* ambient_lower(capabilities) -> true | nil, message, errno
 * PR_CAP_AMBIENT_LOWER for each. */
static int act_ambient_lower(const struct arg *a)
{
	return each_capability((uint64_t)a[0].n, PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER);
}

/* ambient_clear() -> true | nil, message, errno
 * PR_CAP_AMBIENT_CLEAR_ALL. */
static int act_ambient_clear(const struct arg *a)
{
	(void)a;
	return (int)RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* securebits(bits) -> true | nil, message, errno
 * PR_SET_SECUREBITS. An empty list clears all. */
static int act_securebits(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_SECUREBITS, a[0].n, 0, 0, 0);
}

/* keep_caps(on) -> true | nil, message, errno
 * PR_SET_KEEPCAPS: an ID switch leaves the permitted set. The next exec clears the flag. */
static int act_keep_caps(const struct arg *a)
{
	return (int)RAW(SYS_prctl, PR_SET_KEEPCAPS, a[0].n, 0, 0, 0);
}

/* no_new_privs() -> true | nil, message, errno
 * PR_SET_NO_NEW_PRIVS, for ever. */
static int act_no_new_privs(const struct arg *a)
{
	(void)a;
	return (int)RAW(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static const struct op rows[] = {
	{ "capset", act_capset, OP_CREDENTIALS, RESULT_TRUE,
	  { { "effective", K_CAPS }, { "permitted", K_CAPS }, { "inheritable", K_CAPS } } },
	{ "capbset_drop", act_capbset_drop, OP_CREDENTIALS, RESULT_TRUE, { { "capabilities", K_CAPS } } },
	{ "ambient_raise", act_ambient_raise, OP_CREDENTIALS, RESULT_TRUE, { { "capabilities", K_CAPS } } },
	{ "ambient_lower", act_ambient_lower, OP_CREDENTIALS, RESULT_TRUE, { { "capabilities", K_CAPS } } },
	{ "ambient_clear", act_ambient_clear, OP_CREDENTIALS, RESULT_TRUE, { { 0 } } },
	{ "securebits", act_securebits, OP_CREDENTIALS, RESULT_TRUE,
	  { { "bits", K_FLAGS, false, &names_securebits } } },
	{ "keep_caps", act_keep_caps, OP_CREDENTIALS, RESULT_TRUE, { { "on", K_BOOL } } },
	{ "no_new_privs", act_no_new_privs, OP_CREDENTIALS, RESULT_TRUE, { { 0 } } },
};

const struct op_table ops_capability = OP_TABLE(rows);
