/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_return.c: who was there before this broker: its ID is held for it, and it hands back what
 * it has. docs/protocol.md, "The broker's restart".
 *
 * Nothing of what comes is believed that the state file does not say: which process, which memory,
 * which eventfds.
 */
#include "broker_internal.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

bool ivshm_seat_rings(const struct ivshm_seat *seat, unsigned bells)
{
	for (unsigned i = 0; i < bells; i++)
		if (seat->fds[i] < 0)
			return false;
	return true;
}

/* ---- Taking over ---- */

/* What the connection's end says: the broker's did it. */
static void end_connection(struct ivshm_link *link, bool ended)
{
	struct ivshm_group *group = link->group;
	const struct ivshm_seat *seat = &group->seat[link->id];

	if (ended || link->bye) {
		ivshm_watch_close(&link->process);
		ivshm_seat_end(link, link->bye ? IST_PEER_ABSENT : IST_PEER_DEAD);
		ivshm_link_free(link);
	} else if (link->legacy && seat->state == IST_PEER_JOINING) {
		ivshm_seat_leaving(link);
	} else if (link->legacy && seat->state == IST_PEER_LIVE) {
		ivshm_log(IVSHM_LOG_WARN,
			  "group %s: %s (pid %d) goes on with the peers it knows: QEMU does not "
			  "connect again, and hears of no others",
			  group->config->name, ivshm_group_member(group, link->id), (int)link->pid);
	}
}

static int take_over_seat(struct ivshm_group *group, uint32_t id)
{
	const struct ivshm_state_peer *peer = ivshm_state_peer(&group->state, id);
	struct ivshm_seat *seat = &group->seat[id];
	struct ivshm_link *link;
	int pidfd;

	seat->state = peer->state;
	seat->incarnation = peer->incarnation;
	seat->since_ns = peer->since_ns;
	seat->kind = peer->kind;
	memset(seat->fds, -1, sizeof(seat->fds));
	memcpy(seat->bell, peer->bell, sizeof(seat->bell));
	if (seat->state == IST_PEER_ABSENT || seat->state == IST_PEER_DEAD)
		return 0;
	pidfd = ivshm_process_open(peer->pid, peer->start);
	if (pidfd < 0 && pidfd != -ESRCH)
		return pidfd;
	link = ivshm_link_await(group, id, peer->pid, pidfd < 0 ? -1 : pidfd);
	if (!link) {
		if (pidfd >= 0)
			close(pidfd);
		return -ENOMEM;
	}
	link->start = peer->start;
	link->bye = peer->flags & IVSHM_STATE_BYE;
	link->legacy = peer->kind == IST_KIND_QEMU;
	ivshm_link_rights_back(link, group->config->regions_count);
	seat->link = link;
	return 0;
}

int ivshm_group_take_over(struct ivshm_group *group, char *error, size_t error_size)
{
	struct ivshm_link *next;
	unsigned held = 0;

	for (uint32_t id = 0; id < group->config->members_count; id++) {
		int r = take_over_seat(group, id);

		if (r)
			return ivshm_fail(
				error, error_size, r, "group '%s': '%s' cannot be taken over: %s",
				group->config->name, ivshm_group_member(group, id), strerror(-r));
	}
	group->memory.changes = group->state.file->changes;
	group->memory.kept = &group->state.file->changes;
	/* When all are known: an end is told to the others. */
	for (struct ivshm_link *link = group->links; link; link = next) {
		next = link->next;
		end_connection(link, link->process.fd < 0);
	}
	for (const struct ivshm_link *link = group->links; link; link = link->next)
		held++;
	ivshm_log(IVSHM_LOG_INFO, "group %s: taken over, with %u peers", group->config->name, held);
	if (!held && ivshm_group_renew(group))
		return ivshm_fail(error, error_size, -ENOMEM, "group '%s': no new memory",
				  group->config->name);
	return 0;
}

/* ---- REATTACH ---- */

/* True: it is another one. */
static bool is_foreign(const struct ivshm_group *group, int fd)
{
	const struct ivshm_state_group *known = ivshm_state_group(&group->state);
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return fstat(fd, &st) || st.st_dev != known->memory_device ||
	       st.st_ino != known->memory_inode ||
	       (uint64_t)st.st_size != group->memory.layout.total_size || seals < 0 ||
	       (seals & SEALS) != SEALS;
}

/* Whether this process may have this ID back. 0, or -errno after refusing it. */
static int check_who(struct ivshm_link *link, const struct ist_wire *wire, uint32_t id)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_seat *seat = &group->seat[id];

	if (IVSHM_WIRE_ABI_MAJOR(wire->abi) != IST_ABI_MAJOR) {
		ivshm_link_refuse(link, EPROTONOSUPPORT, "isthmus ABI %u.%u is not spoken here",
				  IVSHM_WIRE_ABI_MAJOR(wire->abi), IVSHM_WIRE_ABI_MINOR(wire->abi));
		return -EPROTO;
	}
	if (id == group->config->members_count || id != wire->id || !seat->link ||
	    seat->incarnation != wire->incarnation || seat->kind != wire->kind) {
		ivshm_link_refuse(link, ESTALE,
				  "instance '%s' has no incarnation %u to come back to", wire->name,
				  wire->incarnation);
		return -ESTALE;
	}
	/* A pidfd that says that its process runs: the pid is still that one's. */
	if (seat->link->pid != link->pid || !ivshm_process_lives(seat->link->process.fd)) {
		ivshm_link_refuse(link, EACCES, "instance '%s' is process %d, not %d", wire->name,
				  (int)seat->link->pid, (int)link->pid);
		return -EACCES;
	}
	/* It may have given up an attempt whose end is not seen here yet. */
	if ((!seat->link->away && seat->link->stage != IVSHM_STAGE_BACK) || seat->link->legacy) {
		ivshm_link_refuse(link, ESTALE, "instance '%s' is not away", wire->name);
		return -ESTALE;
	}
	return 0;
}

/* The connection takes the place of what the ID was held by. */
static void sit_down(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_seat *seat = &link->group->seat[id];

	link->id = id;
	link->start = seat->link->start;
	ivshm_watch_close(&seat->link->socket);
	ivshm_watch_close(&seat->link->process);
	ivshm_link_free(seat->link);
	seat->link = link;
	link->stage = IVSHM_STAGE_BACK;
	link->ticks = 0;
	link->group->strangers--;
}

int ivshm_link_reattach(struct ivshm_link *link, struct ivshm_packet *packet)
{
	struct ivshm_group *group = link->group;
	uint32_t id = ivshm_group_find(group, packet->wire.name);
	int r = check_who(link, &packet->wire, id);

	if (r)
		return r;
	if (packet->wire.count > IST_REGIONS_MAX) {
		ivshm_link_refuse(link, EPROTO, "%u regions cannot be", packet->wire.count);
		return -EPROTO;
	}
	if (packet->fds_count != 1 || is_foreign(group, packet->fds[0])) {
		ivshm_link_refuse(link, EBADF, "this is not the memory of group '%s'",
				  group->config->name);
		return -EBADF;
	}
	sit_down(link, id);
	link->minor = IVSHM_WIRE_ABI_MINOR(packet->wire.abi);
	ivshm_link_rights_back(link, packet->wire.count);
	if (group->memory.map)
		return 0;
	r = ivshm_memory_adopt(&group->memory, packet->fds[0]);
	if (r) {
		ivshm_link_refuse(link, -r, "group '%s' cannot be mapped: %s", group->config->name,
				  strerror(-r));
		return r;
	}
	packet->fds_count = 0;
	ivshm_group_whole(group);
	return 0;
}

/* ---- BELLS ---- */

/* Those of an incarnation that is there. 0, or -errno after refusing them. */
static int take_bells(struct ivshm_link *link, struct ivshm_packet *packet)
{
	struct ivshm_group *group = link->group;
	uint32_t id = packet->wire.id;
	struct ivshm_seat *seat = &group->seat[id];
	unsigned wanted = ivshm_link_pages(link) ? group->bells : group->config->vectors;

	if (packet->fds_count != wanted) {
		ivshm_link_refuse(link, EPROTO, "%u doorbells of '%s' instead of %u",
				  packet->fds_count, ivshm_group_member(group, id), wanted);
		return -EPROTO;
	}
	for (unsigned i = 0; i < wanted; i++) {
		uint64_t bell = 0;
		int r = ivshm_eventfd_id(packet->fds[i], &bell);

		if (r && r != -EINVAL) {
			ivshm_link_refuse(link, -r, "a doorbell cannot be looked at: %s",
					  strerror(-r));
			return r;
		}
		if (r || bell != seat->bell[i]) {
			ivshm_link_refuse(link, EBADF, "doorbell %u of '%s' is another one", i,
					  ivshm_group_member(group, id));
			return -EBADF;
		}
	}
	packet->fds_count = 0;
	for (unsigned i = 0; i < wanted; i++) {
		if (seat->fds[i] < 0)
			seat->fds[i] = packet->fds[i];
		else
			packet->fds[packet->fds_count++] = packet->fds[i];
	}
	ivshm_seat_count_bells(group, id);
	return 0;
}

int ivshm_link_bells(struct ivshm_link *link, struct ivshm_packet *packet)
{
	const struct ivshm_group *group = link->group;
	uint32_t id = packet->wire.id, incarnation = packet->wire.incarnation;
	const struct ivshm_seat *seat;
	struct ivshm_told *told;

	seat = id < group->config->members_count ? &group->seat[id] : NULL;
	if (!seat || incarnation == 0 || incarnation > seat->incarnation ||
	    link->told[id].incarnation != 0 ||
	    (id == link->id && incarnation != seat->incarnation)) {
		ivshm_link_refuse(link, EPROTO, "BELLS of ID %u, incarnation %u, cannot be", id,
				  incarnation);
		return -EPROTO;
	}
	told = &link->told[id];
	told->incarnation = incarnation;
	if (incarnation == seat->incarnation && seat->link)
		return take_bells(link, packet);
	told->gone = 1;
	told->state = incarnation == seat->incarnation ? seat->state : IST_PEER_DEAD;
	return 0;
}

/* ---- READY ---- */

int ivshm_link_back(struct ivshm_link *link)
{
	struct ivshm_group *group = link->group;
	struct ivshm_seat *seat = &group->seat[link->id];

	if (link->told[link->id].incarnation == 0) {
		ivshm_link_refuse(link, EPROTO, "its own doorbells are missing");
		return -EPROTO;
	}
	link->told[link->id].incarnation = 0; /* nobody is told of himself */
	link->returned = true;
	link->ready = true;
	link->back_ns = ivshm_clock_ns();
	link->run_state = group->run_page >= 0;
	link->stage = IVSHM_STAGE_RUN_STATE;
	ivshm_log(IVSHM_LOG_INFO, "group %s: peer %s (ID %u, incarnation %u) is back, pid %d",
		  group->config->name, ivshm_group_member(group, link->id), link->id,
		  seat->incarnation, (int)link->pid);
	if (seat->state == IST_PEER_JOINING) {
		ivshm_seat_live(link);
		return 0;
	}
	ivshm_link_watch(link);
	/* It, and who waited for the doorbells that it brought. */
	for (struct ivshm_link *other = group->links; other; other = other->next)
		ivshm_link_tell(other);
	/* The roster may have changed while it could not be rung. */
	ivshm_group_ring_all(group);
	return 0;
}
