/* SPDX-License-Identifier: BSD-2-Clause */
/* up_control.c: what others may ask of a running `up`: its processes, their ends and new starts. */
#include "attach.h"
#include "console.h"
#include "up.h"

#include <errno.h>
#include <stdint.h>

int up_kill_late(struct up *up)
{
	uint64_t now = ivshm_clock_ns(), next = UINT64_MAX;

	for (unsigned i = 0; i < up->children; i++) {
		struct child *child = &up->child[i];

		if (child->kill_ns && child->kill_ns <= now) {
			child_signal(child, SIGKILL);
			child->kill_ns = 0;
		} else if (child->kill_ns && child->kill_ns < next) {
			next = child->kill_ns;
		}
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000u) + 1;
}

static struct ivshm_process process_of(void *context, unsigned index)
{
	const struct child *child = &((struct up *)context)->child[index];

	return (struct ivshm_process){.pid = child->pidfd < 0 ? 0 : child->pid,
				      .pidfd = child->pidfd,
				      .ended = child->ended,
				      .status = child->status,
				      .unknown = child->unknown,
				      .since_ns = child->since_ns};
}

/* A guest that comes again has another console: who was at the last one is hung up on. */
static int renew_console(struct up *up, unsigned index)
{
	struct child *child = &up->child[index];
	struct attach *attach;
	int ret;

	if (child->instance->kind != IST_KIND_LINUX)
		return 0;
	ret = attach_create(up->options.dir, child, &attach);
	if (ret)
		return ret;
	if (!console_attach(up->console, index, attach)) {
		attach_destroy(attach);
		return -EBUSY;
	}
	child->attach = attach;
	return 0;
}

static int on_start(void *context, unsigned index)
{
	struct up *up = context;
	int ret = up->stopping || up->over ? -ESHUTDOWN : renew_console(up, index);

	if (ret)
		return ret;
	up->child[index].asked = true;
	ret = up_start(up, index);
	if (ret)
		attach_close(up->child[index].attach);
	return ret;
}

static int on_stop(void *context, unsigned index)
{
	struct up *up = context;
	struct child *child = &up->child[index];

	if (up->stopping)
		return -ESHUTDOWN;
	if (!child->told) {
		child->told = true;
		child->kill_ns = ivshm_clock_ns() + UP_GRACE_SECONDS * 1000000000ull;
		child_signal(child, SIGTERM);
	}
	return 0;
}

static void on_down(void *context)
{
	struct up *up = context;

	if (up->stopping)
		up_stop_now(up);
	else
		up_stop(up, up->status);
}

const struct ivshm_control_ops up_control_ops = {process_of, on_start, on_stop, on_down};
