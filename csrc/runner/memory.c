/* What a compiler calls where it copies or clears: without libc somebody has to have them. */
#include <stddef.h>

void *memcpy(void *restrict target, const void *restrict source, size_t size);
void *memset(void *target, int byte, size_t size);
void *memmove(void *target, const void *source, size_t size);
int memcmp(const void *one, const void *other, size_t size);

/* gcc would take a loop for a call of what it is in; clang, for a program without libc, does not. */
#ifdef __clang__
#define ITSELF
#else
#define ITSELF __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

ITSELF void *memcpy(void *restrict target, const void *restrict source, size_t size)
{
	char *to = target;
	const char *from = source;
	while (size--)
		*to++ = *from++;
	return target;
}

ITSELF void *memset(void *target, int byte, size_t size)
{
	char *to = target;
	while (size--)
		*to++ = (char)byte;
	return target;
}

ITSELF void *memmove(void *target, const void *source, size_t size)
{
	char *to = target;
	const char *from = source;
	if (to <= from)
		return memcpy(target, source, size);
	while (size--)
		to[size] = from[size];
	return target;
}

ITSELF int memcmp(const void *one, const void *other, size_t size)
{
	const unsigned char *a = one, *b = other;
	for (; size--; a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}
