/* Numbers as decimal digits, where there is no libc. */
#ifndef CELLA_DIGITS_H
#define CELLA_DIGITS_H

#include <stdint.h>

enum { DIGITS_SIZE = 20 }; /* room for all that an int64_t has, and a zero byte */

/* Writes a number that is not negative, and a zero byte. Returns how many digits it has. */
static inline int put_number(char *text, int64_t value)
{
	char digits[DIGITS_SIZE];
	int count = 0, size = 0;
	do
		digits[count++] = (char)('0' + value % 10);
	while ((value /= 10));
	while (count)
		text[size++] = digits[--count];
	text[size] = '\0';
	return size;
}

/* The number that the text begins with, which is then what follows it; 0 where there is none. */
static inline int64_t take_number(const char **text)
{
	int64_t value = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++)
		value = value * 10 + (**text - '0');
	return value;
}

#endif
