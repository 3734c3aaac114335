/* The kernel's keys: keyrings(7). A program reaches those of its user by name and by serial, also from a user
 * namespace of its own, because the kernel goes by the user that it is outside: only a filter keeps them from it. */
#include "ops/ops.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IF_AT_LEAST(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, yes, no)
#define IF_ABOVE(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, value, yes, no)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

/* add_key, request_key and keyctl have three numbers in a row everywhere: the first, as the machine's own programs have
 * it, and as those of its 32-bit predecessor do. */
#if defined(__x86_64__)
enum { OWN_ARCH = (int)AUDIT_ARCH_X86_64, OTHER_ARCH = AUDIT_ARCH_I386, OWN_FIRST = 248, OTHER_FIRST = 286 };
#elif defined(__aarch64__)
enum { OWN_ARCH = (int)AUDIT_ARCH_AARCH64, OTHER_ARCH = AUDIT_ARCH_ARM, OWN_FIRST = 217, OTHER_FIRST = 309 };
#elif defined(__riscv)
enum { OWN_ARCH = (int)AUDIT_ARCH_RISCV64, OTHER_ARCH = AUDIT_ARCH_RISCV32, OWN_FIRST = 217, OTHER_FIRST = 217 };
#else
#error "csrc/ops/keys.c does not know this machine's numbers of system calls"
#endif
_Static_assert(SYS_add_key == OWN_FIRST && SYS_request_key == OWN_FIRST + 1 && SYS_keyctl == OWN_FIRST + 2, "numbers");

/* x32 programs call by the numbers of x86_64 with this bit, under the same architecture; elsewhere no number has it. */
enum { X32_BIT = 0x40000000 };

static const struct sock_filter no_keys[] = {
	LOAD(arch),
	IF_EQUAL((uint32_t)OWN_ARCH, 0, 4),
	LOAD(nr),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)X32_BIT),
	IF_AT_LEAST(OWN_FIRST, 0, 5), /* else: the rest is allowed */
	IF_ABOVE(OWN_FIRST + 2, 4, 5),
	IF_EQUAL((uint32_t)OTHER_ARCH, 0, 5),
	LOAD(nr),
	IF_AT_LEAST(OTHER_FIRST, 0, 1),
	IF_ABOVE(OTHER_FIRST + 2, 0, 1),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | ENOSYS),
	RETURN(SECCOMP_RET_KILL_PROCESS), /* no such architecture is known: nothing of it is let through */
};

/* deny_keys() -> true | nil, message, errno
 * From here on add_key(2), request_key(2) and keyctl(2) answer ENOSYS, by whatever entry of the kernel they are
 * called: a filter, as by sys.seccomp. */
static int act_deny_keys(const struct arg *a)
{
	(void)a;
	struct sock_fprog program = {
		.len = sizeof no_keys / sizeof *no_keys,
		.filter = (struct sock_filter *)(uintptr_t)no_keys,
	};
	return (int)RAW(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* expect_no_keys() -> true | nil, message, errno
 * That there is a seccomp filter, and that the three calls of sys.deny_keys, tried, answer ENOSYS: without one they
 * would answer something else to these arguments. */
static int act_expect_no_keys(const struct arg *a)
{
	(void)a;
	long mode = RAW(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
	if (mode < 0)
		return (int)mode;
	bool gone = mode == SECCOMP_MODE_FILTER && RAW(SYS_add_key, 0, 0, 0, 0, 0) == -ENOSYS &&
		    RAW(SYS_request_key, 0, 0, 0, 0) == -ENOSYS && RAW(SYS_keyctl, -1, 0, 0, 0, 0) == -ENOSYS;
	return gone ? 0 : -ENOTRECOVERABLE;
}

/* join_session_keyring() -> true | nil, message, errno
 * A new session keyring without a name, in place of the one that was inherited: keyctl_join_session_keyring(3). */
static int act_join_session_keyring(const struct arg *a)
{
	(void)a;
	long before = RAW(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	long joined = RAW(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
	if (joined < 0)
		return (int)joined;
	long now = RAW(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	return now == joined && now != before ? 0 : -ENOTRECOVERABLE;
}

static const struct op rows[] = {
	{ "deny_keys", act_deny_keys, OP_CREDENTIALS, RESULT_TRUE, { { 0 } } },
	{ "expect_no_keys", act_expect_no_keys, 0, RESULT_TRUE, { { 0 } } },
	{ "join_session_keyring", act_join_session_keyring, OP_CREDENTIALS, RESULT_TRUE, { { 0 } } },
};

const struct op_table ops_keys = OP_TABLE(rows);
