/* collide SEED COUNT: prints, as items of a result (csrc/lib/message.h), COUNT strings that Lua 5.4 with this seed puts into one
 * place of its table of strings, as long as that has no more than 2^17 places. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LENGTH = 12, PLACES = 1 << 17 };

static uint32_t mix(uint32_t h, unsigned char c)
{
	return h ^ ((h << 5) + (h >> 2) + c);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	uint32_t seed = (uint32_t)strtoul(argv[1], NULL, 10);
	unsigned long count = strtoul(argv[2], NULL, 10), found = 0;
	for (uint64_t number = 0; found < count; number++) {
		char text[LENGTH + 1] = { 0 };
		uint32_t h = seed ^ LENGTH;
		/* Lua begins at the end. */
		for (int i = LENGTH - 1; i > 0; i--) {
			text[i] = (char)('a' + (number >> (LENGTH - 1 - i) * 4 & 15));
			h = mix(h, (unsigned char)text[i]);
		}
		for (int c = 32; c < 127 && found < count; c++) {
			if (c == '"' || c == '\\' || mix(h, (unsigned char)c) % PLACES != 0)
				continue;
			text[0] = (char)c;
			fwrite("s\014\0\0\0", 1, 5, stdout);
			fwrite(text, 1, LENGTH, stdout);
			found++;
		}
	}
	return 0;
}
