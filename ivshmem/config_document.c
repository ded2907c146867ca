/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_document.c: from text to a tree with positions, and finding one's way in it.
 *
 * Not all YAML is welcome: one document in UTF-8, a few levels deep, no anchors and aliases (they
 * make trees with cycles), no tags. Nothing else reaches libcyaml.
 */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 12 /* the schema needs 6 */

/* libyaml knows only the byte offset of what it could not read as characters. */
static void reader_error(struct config_load *load, const yaml_parser_t *parser)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < parser->problem_offset && i < load->length; i++) {
		if (load->text[i] == '\n') {
			line++;
			column = 1;
		} else if ((load->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	config_error_at(load, line, column, "not UTF-8 text: %s", parser->problem);
}

static void parser_error(struct config_load *load, const yaml_parser_t *parser)
{
	/* Without memory, libyaml does not always say so; with an error, it always says which. */
	if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
		load->no_memory = true;
	else if (parser->error == YAML_READER_ERROR)
		reader_error(load, parser);
	else
		config_error_at(load, parser->problem_mark.line + 1,
				parser->problem_mark.column + 1, "%s%s%s",
				parser->context ? parser->context : "", parser->context ? ": " : "",
				parser->problem);
}

/* The nodes whose ends have not come yet, from the root. */
struct path {
	struct config_node *node[DEPTH_MAX];
	unsigned depth;
};

static int add_node(struct config_load *load, struct path *path, const yaml_event_t *event,
		    enum config_node_type type)
{
	struct config_node *parent = path->depth ? path->node[path->depth - 1] : NULL;
	struct config_node *node = calloc(1, sizeof(*node));

	if (!node)
		return -ENOMEM;
	node->type = type;
	node->line = event->start_mark.line + 1;
	node->column = event->start_mark.column + 1;
	if (!parent)
		load->root = node;
	else if (!parent->last)
		parent->first = node;
	else
		parent->last->next = node;
	if (parent)
		parent->last = node;
	if (type == CONFIG_SCALAR) {
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = strdup((const char *)event->data.scalar.value);
		return node->text ? 0 : -ENOMEM;
	}
	path->node[path->depth++] = node;
	return 0;
}

/* What is never allowed. Returns what is wrong with the event, or NULL. */
static const char *check_event(const struct config_load *load, const struct path *path,
			       const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	bool nests = false;

	switch (event->type) {
	case YAML_STREAM_START_EVENT:
		if (event->data.stream_start.encoding != YAML_UTF8_ENCODING)
			return "not UTF-8 text";
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (load->root)
			return "a second document; a configuration is one";
		break;
	case YAML_ALIAS_EVENT:
		return "aliases are not allowed";
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
			return "a NUL character is not allowed";
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		nests = true;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		nests = true;
		break;
	default:
		break;
	}
	if (anchor)
		return "anchors are not allowed";
	if (tag)
		return "tags are not allowed";
	if (nests && path->depth == DEPTH_MAX)
		return "nested too deeply";
	return NULL;
}

static int take_event(struct config_load *load, struct path *path, const yaml_event_t *event)
{
	const char *problem = check_event(load, path, event);

	if (problem) {
		config_error_at(load, event->start_mark.line + 1, event->start_mark.column + 1,
				"%s", problem);
		return -EINVAL;
	}
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return add_node(load, path, event, CONFIG_SCALAR);
	case YAML_SEQUENCE_START_EVENT:
		return add_node(load, path, event, CONFIG_SEQUENCE);
	case YAML_MAPPING_START_EVENT:
		return add_node(load, path, event, CONFIG_MAPPING);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		path->depth--;
		return 0;
	default:
		return 0;
	}
}

static int read_events(struct config_load *load, yaml_parser_t *parser)
{
	struct path path = {.depth = 0};
	bool end = false;
	int result = 0;

	while (!end && !result) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event)) {
			parser_error(load, parser);
			return -EINVAL;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		result = take_event(load, &path, &event);
		yaml_event_delete(&event);
	}
	return result;
}

void config_document_read(struct config_load *load)
{
	yaml_parser_t parser;
	int result;

	if (!yaml_parser_initialize(&parser)) {
		load->no_memory = true;
		return;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)load->text, load->length);
	result = read_events(load, &parser);
	yaml_parser_delete(&parser);
	if (result == -ENOMEM)
		load->no_memory = true;
	else if (result == 0 && !load->root)
		config_error_at(load, 1, 1, "the file is empty");
	if (result) {
		config_node_free(load->root);
		load->root = NULL;
	}
}

/* No deeper than the path was. */
void config_node_free(struct config_node *node)
{
	while (node) {
		struct config_node *next = node->next;

		config_node_free(node->first);
		free(node->text);
		free(node);
		node = next;
	}
}

const struct config_node *config_key(const struct config_node *mapping, const char *key)
{
	const struct config_node *node = mapping->first;

	while (node && (node->type != CONFIG_SCALAR || strcmp(node->text, key) != 0))
		node = node->next->next;
	return node ? node : mapping;
}

const struct config_node *config_value(const struct config_node *mapping, const char *key)
{
	const struct config_node *node = config_key(mapping, key);

	return node == mapping ? mapping : node->next;
}

const struct config_node *config_item(const struct config_node *sequence, unsigned index)
{
	const struct config_node *node = sequence->first;

	while (index--)
		node = node->next;
	return node;
}
