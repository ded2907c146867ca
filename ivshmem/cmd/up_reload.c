/* SPDX-License-Identifier: BSD-2-Clause */
/* up_reload.c: the instances of another configuration take the place of those there are. */
#include "up.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All of it is there before anything changes. */
struct up_next {
	const struct ivshm_config *config;
	struct child **child;
	unsigned children;
	struct child **added; /* those of them that are new */
	unsigned added_count;
	struct pollfd *poll;
	struct console *console; /* of these, or NULL */
};

static struct child *find(const struct up *up, const char *name)
{
	for (unsigned i = 0; i < up->children; i++)
		if (!strcmp(up->child[i]->instance->name, name))
			return up->child[i];
	return NULL;
}

/* `up` waits for a new one until it has been started. */
static int add(struct up_next *next, const struct ivshm_instance_config *instance)
{
	struct child *child = calloc(1, sizeof(*child));

	if (!child)
		return -ENOMEM;
	*child = (struct child){.instance = instance, .pidfd = -1, .waits = true};
	next->child[next->children++] = child;
	next->added[next->added_count++] = child;
	return 0;
}

int up_prepare(void *context, const struct ivshm_config *config)
{
	struct up *up = context;
	struct up_next *next;
	size_t total = config->instances_count;
	size_t polled = (size_t)(up->poll_count - up->children) + total;
	int ret = 0;

	if (up->stopping || up->over)
		return -ESHUTDOWN;
	next = calloc(1, sizeof(*next));
	if (!next)
		return -ENOMEM;
	up->next = next;
	next->config = config;
	next->child = calloc(total + 1, sizeof(struct child *));
	next->added = calloc(total + 1, sizeof(struct child *));
	next->poll = calloc(polled, sizeof(next->poll[0]));
	if (!next->child || !next->added || !next->poll)
		ret = -ENOMEM;
	for (unsigned i = 0; !ret && i < total; i++) {
		struct child *child = find(up, config->instances[i].name);

		if (child)
			next->child[next->children++] = child;
		else
			ret = add(next, &config->instances[i]);
	}
	if (!ret && next->added_count) {
		ret = up_add_console(up, next->added, next->added_count);
		next->console = ret ? NULL : next->added[0]->console;
	}
	if (ret)
		up_abandon(up);
	return ret;
}

static void free_next(struct up *up)
{
	free(up->next->added);
	free(up->next->child);
	free(up->next->poll);
	free(up->next);
	up->next = NULL;
}

void up_abandon(void *context)
{
	struct up *up = context;
	struct up_next *next = up->next;

	if (!next)
		return;
	if (next->console)
		up_drop_console(up, next->console);
	for (unsigned i = 0; i < next->added_count; i++)
		free(next->added[i]);
	free_next(up);
}

/* Its processes have ended; a console may still have lines of theirs. */
static void retire(struct up *up, struct child *child)
{
	child->next = up->gone;
	up->gone = child;
}

void up_commit(void *context)
{
	struct up *up = context;
	struct up_next *next = up->next;
	unsigned fixed = up->poll_count - up->children;

	for (unsigned i = 0; i < up->children; i++)
		if (!ivshm_config_instance(next->config, up->child[i]->instance->name))
			retire(up, up->child[i]);
	for (unsigned i = 0; i < next->children; i++) {
		const struct ivshm_instance_config *instance = &next->config->instances[i];
		struct child *child = next->child[i];

		if (child->instance->autostart != instance->autostart)
			child->waits = !instance->autostart;
		child->instance = instance;
	}
	/* Who is in the loop over them finds that nothing has happened to the new ones. */
	for (unsigned i = 0; i < fixed; i++)
		next->poll[i] = (struct pollfd){up->poll[i].fd, up->poll[i].events, 0};
	for (unsigned i = 0; i < next->children; i++)
		next->poll[fixed + i].events = POLLIN;
	free(up->child);
	free(up->poll);
	up->child = next->child;
	up->children = next->children;
	up->poll = next->poll;
	up->poll_count = fixed + next->children;
	up->config = up->options.config = next->config;
	next->child = NULL;
	next->poll = NULL;
	free_next(up);
	up_retire_consoles(up);
}
