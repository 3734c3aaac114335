/* Who the process is: credentials(7). The order that is safe is groups, gid, uid, because the last of
 * these takes away the right to do the others. */
#include "ops/ops.h"
#include "sys/raw.h"

/* The kernel takes -1 as "leave it": an absent argument, and nothing else, is that. */
static long id_or_unchanged(const struct arg *arg)
{
	return given(arg) ? (long)arg->n : -1L;
}

/* setgroups(groups) -> true | nil, message, errno
 * setgroups(2). */
static int act_setgroups(const struct arg *a)
{
	return (int)RAW(SYS_setgroups, a[0].n, a[0].p);
}

/* setresuid(ruid | nil, euid | nil, suid | nil) -> true | nil, message, errno
 * setresuid(2); nil leaves one as it is. */
static int act_setresuid(const struct arg *a)
{
	return (int)RAW(SYS_setresuid, id_or_unchanged(&a[0]), id_or_unchanged(&a[1]), id_or_unchanged(&a[2]));
}

/* setresgid(rgid | nil, egid | nil, sgid | nil) -> true | nil, message, errno
 * setresgid(2); nil leaves one as it is. */
static int act_setresgid(const struct arg *a)
{
	return (int)RAW(SYS_setresgid, id_or_unchanged(&a[0]), id_or_unchanged(&a[1]), id_or_unchanged(&a[2]));
}

/* setsid() -> true | nil, message, errno
 * setsid(2). */
static int act_setsid(const struct arg *a)
{
	(void)a;
	long result = RAW(SYS_setsid);
	return result < 0 ? (int)result : 0;
}

static const struct op rows[] = {
	{ "setgroups", act_setgroups, OP_CREDENTIALS, RESULT_TRUE, { { "groups", K_IDS } } },
	{ "setresuid", act_setresuid, OP_CREDENTIALS | OP_SOME, RESULT_TRUE,
	  { { "ruid", K_ID, true }, { "euid", K_ID, true }, { "suid", K_ID, true } } },
	{ "setresgid", act_setresgid, OP_CREDENTIALS | OP_SOME, RESULT_TRUE,
	  { { "rgid", K_ID, true }, { "egid", K_ID, true }, { "sgid", K_ID, true } } },
	{ "setsid", act_setsid, 0, RESULT_TRUE, { { 0 } } },
};

const struct op_table ops_identity = OP_TABLE(rows);
