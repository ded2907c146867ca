/* SPDX-License-Identifier: BSD-2-Clause */
/* app_hello.c: prints its arguments; its exit status is their number. */
#include <isthmus/isthmus.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		ist_print("%d: %s\n", i, argv[i]);
	return argc;
}
