/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_seat.c: the life of an incarnation: joining, live, leaving, and how it ended.
 *
 * The order matters to who watches. A peer hears of a new one by PEER (its doorbells), then by the
 * roster, then by its own doorbell. Of the end it hears by the roster, then by GONE, then by its
 * doorbell. The eventfds are closed last.
 */
#include "broker_internal.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void log_change(const struct ivshm_link *link, const char *what)
{
	ivshm_log(IVSHM_LOG_INFO, "group %s: peer %s (ID %u, incarnation %u) %s, pid %d",
		  link->group->config->name, ivshm_link_name(link), link->id,
		  link->group->seat[link->id].incarnation, what, (int)link->pid);
}

void ivshm_group_ring_all(struct ivshm_group *group)
{
	for (uint32_t id = 0; id < group->config->max_peers; id++) {
		if (group->seat[id].state == IST_PEER_LIVE &&
		    group->seat[id].fds[IST_VECTOR_ROSTER] >= 0)
			ivshm_bell_ring(&group->broker->bell, group->memory.fd,
					group->seat[id].fds[IST_VECTOR_ROSTER]);
	}
}

void ivshm_group_tell_all(struct ivshm_group *group)
{
	for (struct ivshm_link *link = group->links; link; link = link->next)
		ivshm_link_tell(link);
}

static void set_state(struct ivshm_link *link, uint32_t state)
{
	struct ivshm_seat *seat = &link->group->seat[link->id];

	seat->state = state;
	seat->since_ns = ivshm_clock_ns();
	ivshm_seat_store(link->group, link->id);
	/* Before somebody has handed the memory back there is none to write to. */
	if (link->group->memory.map)
		ivshm_roster_set_state(&link->group->memory, link->id, seat->incarnation, state);
}

static void close_eventfds(struct ivshm_seat *seat, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (seat->fds[i] >= 0)
			close(seat->fds[i]);
		seat->fds[i] = -1;
		seat->bell[i] = 0;
	}
}

/* One that the next broker can tell from others. A kernel that names none: it cannot. */
static int open_eventfd(struct ivshm_seat *seat, uint32_t i)
{
	int r;

	seat->bell[i] = 0;
	seat->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (seat->fds[i] < 0)
		return -errno;
	r = ivshm_eventfd_id(seat->fds[i], &seat->bell[i]);
	return r == -EINVAL ? 0 : r;
}

int ivshm_seat_admit(struct ivshm_link *link, uint32_t id, uint32_t kind)
{
	struct ivshm_group *group = link->group;
	struct ivshm_seat *seat = &group->seat[id];
	uint32_t vectors = group->config->vectors;
	int r = ivshm_process_start(link->pid, link->process.fd, &link->start);

	/* Who has ended by now is heard of soon. */
	if (r && r != -ESRCH)
		return r;
	for (uint32_t i = 0; i < group->bells; i++) {
		r = open_eventfd(seat, i);
		if (r) {
			close_eventfds(seat, i + 1);
			return r;
		}
	}
	if (++seat->incarnation == 0)
		seat->incarnation = 1;
	seat->state = IST_PEER_JOINING;
	seat->since_ns = ivshm_clock_ns();
	seat->kind = kind;
	seat->link = link;
	link->id = id;
	ivshm_seat_count_bells(group, id);
	ivshm_seat_store(group, id);
	ivshm_roster_admit(&group->memory, id, seat->incarnation, ivshm_link_name(link), vectors,
			   kind);
	ivshm_group_ring_all(group);
	log_change(link, "admitted");
	return 0;
}

void ivshm_seat_live(struct ivshm_link *link)
{
	struct ivshm_seat *seat = &link->group->seat[link->id];

	seat->state = IST_PEER_LIVE;
	ivshm_group_tell_all(link->group);
	ivshm_link_watch(link);
	set_state(link, IST_PEER_LIVE);
	ivshm_group_ring_all(link->group);
	log_change(link, "joined");
}

void ivshm_seat_leaving(struct ivshm_link *link)
{
	ivshm_link_forget(link);
	set_state(link, IST_PEER_LEAVING);
	ivshm_group_ring_all(link->group);
	log_change(link, "leaves");
}

void ivshm_seat_end(struct ivshm_link *link, uint32_t state)
{
	struct ivshm_group *group = link->group;
	struct ivshm_seat *seat = &group->seat[link->id];

	ivshm_link_forget(link);
	set_state(link, state);
	for (struct ivshm_link *other = group->links; other; other = other->next) {
		struct ivshm_told *told = &other->told[link->id];

		if (told->incarnation == seat->incarnation) {
			told->gone = 1;
			told->state = state;
		}
	}
	ivshm_group_tell_all(group);
	ivshm_group_ring_all(group);
	ivshm_seat_forget_bells(group, link->id);
	close_eventfds(seat, group->bells);
	seat->link = NULL;
	/* Who comes next has what the configuration says. */
	if (ivshm_group_rights_write(group))
		ivshm_group_ring_all(group);
	log_change(link, state == IST_PEER_DEAD ? "died" : "left");
}
