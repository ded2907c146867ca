/* SPDX-License-Identifier: BSD-2-Clause */
/* app_hello.c: says a word and lingers, for who measures how long a VM takes to start. */
#include <isthmus/isthmus.h>

int main(void);

int main(void)
{
	ist_print("hello\n");
	ist_sleep_ns(1000000000);
	return 0;
}
