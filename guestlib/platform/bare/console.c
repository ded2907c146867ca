/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c: ist_print(): one exit a line. */
#include "bare.h"
#include "format.h"

#include <isthmus/app.h>

struct console {
	struct ist_sink sink;
	size_t used;
	char line[512];
};

static void flush(struct console *console)
{
	const struct ist_boot_text text = {(uintptr_t)console->line, console->used};

	__asm__ volatile("outl %0, %1"
			 :
			 : "a"((uint32_t)(uintptr_t)&text), "N"(IST_PORT_PRINT)
			 : "memory");
	console->used = 0;
}

static void console_write(struct ist_sink *sink, const char *text, size_t length)
{
	struct console *console = (struct console *)sink;

	while (length) {
		size_t room = sizeof(console->line) - console->used;
		size_t part = length < room ? length : room;

		memcpy(console->line + console->used, text, part);
		console->used += part;
		text += part;
		length -= part;
		if (console->used == sizeof(console->line))
			flush(console);
	}
}

int ist_print(const char *format, ...)
{
	struct console console;
	va_list arguments;
	int written;

	console.sink.write = console_write;
	console.used = 0;
	va_start(arguments, format);
	written = ist_format(&console.sink, format, arguments);
	va_end(arguments);
	if (console.used)
		flush(&console);
	return written;
}
