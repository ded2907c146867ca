/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_walk.c: compares a document with libcyaml's schema.
 *
 * libcyaml stops at its first error and keeps no positions. This finds all of them, and lets
 * nothing through that libcyaml would refuse or, worse, take for something else ("autostart:
 * maybe" is true to it, "vcpus: 010" is 8).
 */
#include "config_internal.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 32

static void walk(struct config_load *load, const struct cyaml_schema_value *schema, const char *key,
		 const struct config_node *node);

/* An error after which libcyaml cannot read the document. */
#define refuse(load, ...)                                                                          \
	do {                                                                                       \
		(load)->unloadable = true;                                                         \
		config_error(load, __VA_ARGS__);                                                   \
	} while (0)

static bool is_null(const struct config_node *node)
{
	return node->plain &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(text, *words))
			return true;
	}
	return false;
}

/* One wrong, missing, added or swapped letter away: good enough for "did you mean". */
static bool looks_like(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return strlen(a) + strlen(b) == 1;
	return !strcmp(a + 1, b + 1) || !strcmp(a + 1, b) || !strcmp(a, b + 1) ||
	       (a[0] == b[1] && a[1] == b[0] && !strcmp(a + 2, b + 2));
}

static void unknown_key(struct config_load *load, const struct cyaml_schema_field *fields,
			const struct config_node *key)
{
	const char *name = key->text;

	for (; fields->key; fields++) {
		if (looks_like(name, fields->key)) {
			config_error(load, key, "unknown key '%s'; did you mean '%s'?", name,
				     fields->key);
			return;
		}
	}
	config_error(load, key, "unknown key '%s'", name);
}

static void walk_mapping(struct config_load *load, const struct cyaml_schema_field *fields,
			 const struct config_node *node)
{
	const struct config_node *seen[FIELDS_MAX] = {NULL}, *key;

	for (key = node->first; key; key = key->next->next) {
		unsigned i = 0;

		if (key->type != CONFIG_SCALAR) {
			refuse(load, key, "a key must be a word");
			continue;
		}
		while (fields[i].key && strcmp(fields[i].key, key->text) != 0)
			i++;
		if (!fields[i].key) {
			unknown_key(load, fields, key);
		} else if (seen[i]) {
			refuse(load, key, "duplicate key '%s', first in line %zu", fields[i].key,
			       seen[i]->line);
		} else {
			seen[i] = key;
			walk(load, &fields[i].value, fields[i].key, key->next);
		}
		if (load->errors.count > CONFIG_ERRORS_MAX)
			return;
	}
	for (unsigned i = 0; fields[i].key; i++) {
		if (!seen[i] && !(fields[i].value.flags & CYAML_FLAG_OPTIONAL))
			refuse(load, node, "key '%s' is missing", fields[i].key);
	}
}

static void walk_sequence(struct config_load *load, const struct cyaml_schema_value *schema,
			  const char *key, const struct config_node *node)
{
	const struct config_node *item;
	size_t count = 0;

	for (item = node->first; item; item = item->next)
		count++;
	if (count < schema->sequence.min)
		refuse(load, node, "'%s': at least %u needed", key, schema->sequence.min);
	if (count > schema->sequence.max) {
		refuse(load, node, "'%s': %zu are too many, at most %u are possible", key, count,
		       schema->sequence.max);
		return;
	}
	for (item = node->first; item && load->errors.count <= CONFIG_ERRORS_MAX; item = item->next)
		walk(load, schema->sequence.entry, key, item);
}

static void walk_number(struct config_load *load, const char *key, const struct config_node *node)
{
	const char *text = node->text;
	size_t digits = strspn(text, "0123456789");

	/* All our numbers are unsigned 32-bit ones; a leading zero would mean octal to libcyaml. */
	if (!digits || text[digits] || (text[0] == '0' && digits > 1))
		refuse(load, node, "'%s': expected a number, found '%s'", key, text);
	else if (digits > 10 || strtoull(text, NULL, 10) > UINT32_MAX)
		refuse(load, node, "'%s': %s is out of range", key, text);
}

static void walk_bool(struct config_load *load, const char *key, const struct config_node *node)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", NULL};

	if (!is_one_of(node->text, words))
		refuse(load, node, "'%s': expected true or false, found '%s'", key, node->text);
}

static void walk_enum(struct config_load *load, const struct cyaml_schema_value *schema,
		      const char *key, const struct config_node *node)
{
	const struct cyaml_strval *word = schema->enumeration.strings;
	unsigned count = schema->enumeration.count;
	char list[128] = "";
	size_t end = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(word[i].str, node->text))
			return;
		end += (size_t)snprintf(list + end, sizeof(list) - end, "%s%s",
					i == 0           ? ""
					: i == count - 1 ? " or "
							 : ", ",
					word[i].str);
	}
	refuse(load, node, "'%s': expected %s, found '%s'", key, list, node->text);
}

static void walk_scalar(struct config_load *load, const struct cyaml_schema_value *schema,
			const char *key, const struct config_node *node)
{
	switch (schema->type) {
	case CYAML_UINT:
		walk_number(load, key, node);
		break;
	case CYAML_BOOL:
		walk_bool(load, key, node);
		break;
	case CYAML_ENUM:
		walk_enum(load, schema, key, node);
		break;
	default: /* CYAML_STRING */
		if (strlen(node->text) < schema->string.min)
			refuse(load, node, "'%s' is empty", key);
		break;
	}
}

static void walk(struct config_load *load, const struct cyaml_schema_value *schema, const char *key,
		 const struct config_node *node)
{
	static const char *const expected[] = {
		[CONFIG_SCALAR] = "one value",
		[CONFIG_SEQUENCE] = "a list",
		[CONFIG_MAPPING] = "a mapping",
	};
	enum config_node_type type = schema->type == CYAML_MAPPING    ? CONFIG_MAPPING
				     : schema->type == CYAML_SEQUENCE ? CONFIG_SEQUENCE
								      : CONFIG_SCALAR;

	if (is_null(node))
		refuse(load, node, "'%s' has no value", key);
	else if (node->type != type)
		refuse(load, node, "'%s': expected %s", key, expected[type]);
	else if (type == CONFIG_MAPPING)
		walk_mapping(load, schema->mapping.fields, node);
	else if (type == CONFIG_SEQUENCE)
		walk_sequence(load, schema, key, node);
	else
		walk_scalar(load, schema, key, node);
}

void config_walk(struct config_load *load)
{
	const struct config_node *root = load->root;

	if (root->type == CONFIG_MAPPING)
		walk_mapping(load, config_schema.mapping.fields, root);
	else
		refuse(load, root, "the file must be a mapping with the keys groups and instances");
}
