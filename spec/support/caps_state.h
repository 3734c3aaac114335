/* The capability state of this process as one line of text, without libc: for caps_report.c, which is exec'd,
 * and caps_trial.c, which execs it. */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <stdint.h>

#include "../../csrc/sys/raw.h"

static char *put_text(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	return p;
}

static char *put_hex(char *p, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[value >> shift & 15];
	*p++ = ' ';
	return p;
}

static char *put_number(char *p, uint64_t value)
{
	char digits[24];
	int count = 0;
	do
		digits[count++] = (char)('0' + value % 10);
	while (value /= 10);
	while (count)
		*p++ = digits[--count];
	*p++ = ' ';
	return p;
}

/* effective permitted inheritable bounding ambient (masks), securebits no_new_privs, ruid euid suid, rgid egid
 * sgid, secure */
static char *put_state(char *p, long secure)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t bounding = 0, ambient = 0;
	uint32_t ids[6];
	RAW(SYS_capget, &header, data);
	for (int cap = 0; cap < 64; cap++) {
		long held = RAW(SYS_prctl, PR_CAPBSET_READ, cap, 0, 0, 0);
		if (held < 0)
			break;
		bounding |= (uint64_t)held << cap;
		ambient |= (uint64_t)(RAW(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1) << cap;
	}
	RAW(SYS_getresuid, &ids[0], &ids[1], &ids[2]);
	RAW(SYS_getresgid, &ids[3], &ids[4], &ids[5]);
	p = put_hex(p, data[0].effective | (uint64_t)data[1].effective << 32);
	p = put_hex(p, data[0].permitted | (uint64_t)data[1].permitted << 32);
	p = put_hex(p, data[0].inheritable | (uint64_t)data[1].inheritable << 32);
	p = put_hex(p, bounding);
	p = put_hex(p, ambient);
	p = put_number(p, (uint64_t)RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0));
	p = put_number(p, (uint64_t)RAW(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (int i = 0; i < 6; i++)
		p = put_number(p, ids[i]);
	return put_number(p, (uint64_t)secure);
}
