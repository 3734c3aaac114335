/* See credentials.h. Raw calls only: both the runner and the child that is about to execute it, in the memory of the
 * caller, use this. */
#include "sys/credentials.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>

int get_sets(struct credentials *credentials)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	long result = RAW(SYS_capget, &header, data);
	credentials->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	credentials->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	credentials->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return (int)result;
}

int set_sets(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
	};
	return (int)RAW(SYS_capset, &header, data);
}

/* What is ambient is permitted and inheritable. */
static uint64_t ambient_among(uint64_t set)
{
	uint64_t ambient = 0;
	for (int cap = 0; cap < 64 && set >> cap; cap++)
		if (set >> cap & 1 && RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			ambient |= (uint64_t)1 << cap;
	return ambient;
}

static int read_all(struct credentials *credentials)
{
	int result = get_sets(credentials);
	if (result < 0)
		return result;
	long keep = RAW(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0);
	credentials->keep_caps = keep > 0;
	credentials->ambient = ambient_among(credentials->permitted & credentials->inheritable);
	return keep < 0 ? (int)keep : 0;
}

bool credentials_root(void)
{
	long bits = RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	return RAW(SYS_geteuid) == 0 && bits >= 0 && !(bits & SECBIT_NOROOT);
}

/* The calls return what it was before, in any case. */
static bool ids_differ(int get_three, int get_fs)
{
	uint32_t real, effective, saved;
	if (RAW(get_three, &real, &effective, &saved) < 0)
		return true;
	return real != effective || saved != effective || (uint32_t)RAW(get_fs, -1) != effective;
}

const char *credentials_refusal(uint64_t namespaces)
{
	struct credentials now;
	if (ids_differ(SYS_getresuid, SYS_setfsuid) || ids_differ(SYS_getresgid, SYS_setfsgid))
		return "the real, effective, saved and file system IDs of this process are not all the same";
	if (namespaces & CLONE_NEWUSER)
		return NULL; /* which has sets and securebits of its own */
	if (get_sets(&now) < 0)
		return "its capabilities cannot be read";
	long bits = RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (bits & SECBIT_KEEP_CAPS && bits & SECBIT_KEEP_CAPS_LOCKED)
		return "its securebits lock keep_caps, which exec clears";
	for (int cap = 0; cap < 64 && now.permitted >> cap; cap++)
		if (now.permitted >> cap & 1 && RAW(SYS_prctl, PR_CAPBSET_READ, cap) != 1)
			return "it has capabilities that are not in its bounding set";
	if (now.permitted && !credentials_root() && bits & SECBIT_NO_CAP_AMBIENT_RAISE)
		return "its securebits forbid ambient capabilities";
	return NULL;
}

int credentials_keep(struct credentials *credentials, bool root_keeps_all)
{
	int result = read_all(credentials);
	if (result < 0 || root_keeps_all || !credentials->permitted)
		return result;
	result = set_sets(credentials->effective, credentials->permitted,
			  credentials->inheritable | credentials->permitted);
	for (int cap = 0; cap < 64 && credentials->permitted >> cap && result >= 0; cap++)
		if (credentials->permitted >> cap & 1)
			result = (int)RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	return result;
}

int credentials_restore(const struct credentials *wanted)
{
	struct credentials now;
	/* What is no longer both permitted and inheritable is ambient no longer. */
	int result = set_sets(wanted->effective, wanted->permitted, wanted->inheritable);
	uint64_t surplus = ambient_among(wanted->permitted & wanted->inheritable & ~wanted->ambient);
	for (int cap = 0; cap < 64 && surplus >> cap && result >= 0; cap++)
		if (surplus >> cap & 1)
			result = (int)RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, cap, 0, 0);
	if (result >= 0 && wanted->keep_caps)
		result = (int)RAW(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (result >= 0)
		result = read_all(&now);
	if (result < 0)
		return result;
	bool same = now.effective == wanted->effective && now.permitted == wanted->permitted &&
		    now.inheritable == wanted->inheritable && now.ambient == wanted->ambient &&
		    now.keep_caps == wanted->keep_caps;
	return same ? 0 : -ENOTRECOVERABLE;
}
