/* The names of errors and signals. */
#include "lib/lib.h"
#include "value/check.h"

#include <errno.h>
#include <string.h>

#define NAMED(name) [name] = #name
static const char *const errno_names[] = {
	NAMED(EPERM), NAMED(ENOENT), NAMED(ESRCH), NAMED(EINTR), NAMED(EIO), NAMED(ENXIO), NAMED(E2BIG),
	NAMED(ENOEXEC), NAMED(EBADF), NAMED(ECHILD), NAMED(EAGAIN), NAMED(ENOMEM), NAMED(EACCES), NAMED(EFAULT),
	NAMED(ENOTBLK), NAMED(EBUSY), NAMED(EEXIST), NAMED(EXDEV), NAMED(ENODEV), NAMED(ENOTDIR), NAMED(EISDIR),
	NAMED(EINVAL), NAMED(ENFILE), NAMED(EMFILE), NAMED(ENOTTY), NAMED(ETXTBSY), NAMED(EFBIG), NAMED(ENOSPC),
	NAMED(ESPIPE), NAMED(EROFS), NAMED(EMLINK), NAMED(EPIPE), NAMED(EDOM), NAMED(ERANGE), NAMED(EDEADLK),
	NAMED(ENAMETOOLONG), NAMED(ENOLCK), NAMED(ENOSYS), NAMED(ENOTEMPTY), NAMED(ELOOP), NAMED(ENOMSG),
	NAMED(EIDRM), NAMED(ECHRNG), NAMED(EL2NSYNC), NAMED(EL3HLT), NAMED(EL3RST), NAMED(ELNRNG), NAMED(EUNATCH),
	NAMED(ENOCSI), NAMED(EL2HLT), NAMED(EBADE), NAMED(EBADR), NAMED(EXFULL), NAMED(ENOANO), NAMED(EBADRQC),
	NAMED(EBADSLT), NAMED(EBFONT), NAMED(ENOSTR), NAMED(ENODATA), NAMED(ETIME), NAMED(ENOSR), NAMED(ENONET),
	NAMED(ENOPKG), NAMED(EREMOTE), NAMED(ENOLINK), NAMED(EADV), NAMED(ESRMNT), NAMED(ECOMM), NAMED(EPROTO),
	NAMED(EMULTIHOP), NAMED(EDOTDOT), NAMED(EBADMSG), NAMED(EOVERFLOW), NAMED(ENOTUNIQ), NAMED(EBADFD),
	NAMED(EREMCHG), NAMED(ELIBACC), NAMED(ELIBBAD), NAMED(ELIBSCN), NAMED(ELIBMAX), NAMED(ELIBEXEC),
	NAMED(EILSEQ), NAMED(ERESTART), NAMED(ESTRPIPE), NAMED(EUSERS), NAMED(ENOTSOCK), NAMED(EDESTADDRREQ),
	NAMED(EMSGSIZE), NAMED(EPROTOTYPE), NAMED(ENOPROTOOPT), NAMED(EPROTONOSUPPORT), NAMED(ESOCKTNOSUPPORT),
	NAMED(EOPNOTSUPP), NAMED(EPFNOSUPPORT), NAMED(EAFNOSUPPORT), NAMED(EADDRINUSE), NAMED(EADDRNOTAVAIL),
	NAMED(ENETDOWN), NAMED(ENETUNREACH), NAMED(ENETRESET), NAMED(ECONNABORTED), NAMED(ECONNRESET),
	NAMED(ENOBUFS), NAMED(EISCONN), NAMED(ENOTCONN), NAMED(ESHUTDOWN), NAMED(ETOOMANYREFS), NAMED(ETIMEDOUT),
	NAMED(ECONNREFUSED), NAMED(EHOSTDOWN), NAMED(EHOSTUNREACH), NAMED(EALREADY), NAMED(EINPROGRESS),
	NAMED(ESTALE), NAMED(EUCLEAN), NAMED(ENOTNAM), NAMED(ENAVAIL), NAMED(EISNAM), NAMED(EREMOTEIO),
	NAMED(EDQUOT), NAMED(ENOMEDIUM), NAMED(EMEDIUMTYPE), NAMED(ECANCELED), NAMED(ENOKEY), NAMED(EKEYEXPIRED),
	NAMED(EKEYREVOKED), NAMED(EKEYREJECTED), NAMED(EOWNERDEAD), NAMED(ENOTRECOVERABLE), NAMED(ERFKILL),
	NAMED(EHWPOISON),
	[134] = "EFTYPE", /* of Linux 7.0, which not each libc knows */
};

/* errno_name(errno) -> "EPERM" | nil */
static int io_errno_name(lua_State *L)
{
	size_t number = (size_t)check_range(L, 1, 0, 4095);
	lua_pushstring(L, number < sizeof errno_names / sizeof *errno_names ? errno_names[number] : NULL);
	return 1;
}

/* strerror(errno) -> "Operation not permitted" */
static int io_strerror(lua_State *L)
{
	lua_pushstring(L, strerror((int)check_range(L, 1, 0, 4095)));
	return 1;
}

/* signal_name(number) -> "kill" | nil
 * Also of a number that is no signal's: that of a status that somebody has made up. */
static int io_signal_name(lua_State *L)
{
	uint64_t number = (uint64_t)check_range(L, 1, 0, 255);
	const struct name *entry = names_signal.list;
	while (entry->name && entry->value != number)
		entry++;
	lua_pushstring(L, entry->name);
	return 1;
}

void open_number_name(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "strerror", io_strerror },
		{ "errno_name", io_errno_name },
		{ "signal_name", io_signal_name },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
