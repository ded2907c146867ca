/* SPDX-License-Identifier: BSD-2-Clause */
/* app_print.c: prints in every format ist_print() promises; a VM and a process print the same. */
#include <isthmus/isthmus.h>

int main(int argc, char **argv)
{
	static char longer[1500];
	int written;

	(void)argv;
	ist_print("%d %i %5d|%-5d|%05d %d\n", -1, 42, 7, 7, -7, INT32_MIN);
	ist_print("%u %lu %llu %zu\n", 7u, 7ul, UINT64_MAX + 0ull, sizeof(uint64_t));
	ist_print("%x %X %08x %lx %-8x|\n", 0xbeefu, 0xbeefu, 0xbeefu, 0x123456789abcul, 1u);
	ist_print("%ld %lld %zd\n", INT64_MIN + 0l, INT64_MAX + 0ll, (ptrdiff_t)-3);
	ist_print("%c%c %s %10s|%-10s|%.2s %%\n", 'o', 'k', "text", "right", "left", "cut");
	ist_print("%p\n", (void *)0x1000);
	ist_print("%f %.0f %.1f %8.3f|%-8.2f|%08.2f\n", 3.25, 2.5, 0.05, 1e3 / 3, -1.005, -2.5);
	written = ist_print("no newline, %s", "twice");
	ist_print(", %d bytes\n", written);
	for (size_t i = 0; i < sizeof(longer) - 1; i++)
		longer[i] = (char)('a' + i % 26);
	ist_print("%s\n", longer);
	return argc != 1;
}
