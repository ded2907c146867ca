/* SPDX-License-Identifier: BSD-2-Clause */
/* reload_texts.h: files that reload_group.h's group goes over to, and what is answered of them. */
#ifndef TESTS_RELOAD_TEXTS_H
#define TESTS_RELOAD_TEXTS_H

#include <stdarg.h>
#include <stdio.h>

/* The regions' numbers. */
#define SHARED 0u
#define TABLE 1u
#define EXTRA 2u

#define SHARED_RO "size: 64K, access: rw, rights: [{instance: left, access: ro}]"
#define SHARED_RO_LINE "group 'ping': region 'shared' is ro instead of rw for 'left'\n"
#define TABLE_RW                                                                                   \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, access: rw}, "     \
	"{instance: right, access: rw}, {instance: third, access: none}]"
#define TABLE_RW_LINE "group 'ping': region 'table' is rw instead of ro for 'right'\n"
#define EXTRA_TEXT "      - {name: extra, size: 16K, access: ro}\n"
#define EXTRA_LINE "group 'ping': region 'extra' of 16K is new\n"

/* Lines of an answer, and how it ends, as printf() makes them. */
__attribute__((format(printf, 1, 2))) static inline const char *line(const char *format, ...)
{
	static char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return text;
}

#endif
