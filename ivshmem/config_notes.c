/* SPDX-License-Identifier: BSD-2-Clause */
/* config_notes.c: messages about a file and their positions in it. */
#include "config_internal.h"

#include <stdarg.h>
#include <stdlib.h>

#define TEXT_MAX 1000u /* bytes */

/* Texts quote the file, which may hold anything: keep each one short line, safe for terminals. */
static void clean(char *text)
{
	size_t i = 0;

	for (; i < TEXT_MAX && text[i]; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
	while (text[i] && i > 0 && (text[i] & 0xc0) == 0x80) /* not amid a character */
		i--;
	text[i] = '\0';
}

/* Takes `text` over. The list stays in the order of the file. */
static int notes_add(struct config_notes *notes, size_t line, size_t column, char *text)
{
	struct config_note *grown;
	size_t i;

	clean(text);
	grown = reallocarray(notes->note, notes->count + 1, sizeof(*grown));
	if (!grown) {
		free(text);
		return -1;
	}
	notes->note = grown;
	for (i = notes->count; i > 0; i--) {
		if (grown[i - 1].line < line ||
		    (grown[i - 1].line == line && grown[i - 1].column <= column))
			break;
		grown[i] = grown[i - 1];
	}
	grown[i] = (struct config_note){.line = line, .column = column, .text = text};
	notes->count++;
	return 0;
}

static void add_error(struct config_load *load, size_t line, size_t column, const char *format,
		      va_list args)
{
	char *text;

	if (load->errors.count > CONFIG_ERRORS_MAX)
		return;
	if (load->errors.count == CONFIG_ERRORS_MAX) {
		load->unloadable = true;
		format = "too many errors, some are not shown";
	}
	if (vasprintf(&text, format, args) < 0 || notes_add(&load->errors, line, column, text))
		load->no_memory = true;
}

void config_error_at(struct config_load *load, size_t line, size_t column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_error(load, line, column, format, args);
	va_end(args);
}

void config_error(struct config_load *load, const struct config_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_error(load, node->line, node->column, format, args);
	va_end(args);
}

void config_notes_print(const struct config_notes *notes, const char *path, FILE *out)
{
	for (size_t i = 0; i < notes->count; i++)
		fprintf(out, "%s:%zu:%zu: error: %s\n", path, notes->note[i].line,
			notes->note[i].column, notes->note[i].text);
}

void config_notes_fini(struct config_notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free(notes->note[i].text);
	free(notes->note);
}
