/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_hear.c: what a connection says: HELLO and who may say it, and every other message, in the
 * order that docs/protocol.md, "The broker's socket", has. What is out of order ends it.
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>

void ivshm_link_refuse(struct ivshm_link *link, int code, const char *format, ...)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_ERROR, .code = (uint32_t)code}};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(packet.wire.text, sizeof(packet.wire.text), format, arguments);
	va_end(arguments);
	if (!link->legacy)
		ivshm_wire_send(link->socket.fd, &packet);
	ivshm_broker_warn(link->group->broker, "group %s: refused pid %d of user %u: %s",
			  link->group->config->name, (int)link->pid, (unsigned)link->uid,
			  packet.wire.text);
}

const char *ivshm_group_member(const struct ivshm_group *group, uint32_t id)
{
	const struct ivshm_instance_config *member =
		ivshm_config_member(group->broker->config, group->config, id);

	return member ? member->name : "";
}

const char *ivshm_link_name(const struct ivshm_link *link)
{
	return ivshm_group_member(link->group, link->id);
}

uint32_t ivshm_group_find(const struct ivshm_group *group, const char *name)
{
	uint32_t id = 0;

	while (id < group->config->members_count &&
	       strcmp(ivshm_group_member(group, id), name) != 0)
		id++;
	return id;
}

/* Who would bypass the pagers may not join, nor who does not know of them. True: refused. */
static bool refuse_pages(struct ivshm_link *link, const struct ist_wire *wire, uint32_t id)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_region_config *paged =
		ivshm_config_paged(group->broker->config, group->config, id);

	if (wire->kind == IST_KIND_APP || wire->kind == IST_KIND_LINUX ||
	    (wire->kind == IST_KIND_PROCESS && paged)) {
		if (IVSHM_WIRE_ABI_MINOR(wire->abi) >= 1)
			return false;
		ivshm_link_refuse(link, EPROTONOSUPPORT,
				  "group '%s' has a page-coherent region: that takes isthmus ABI "
				  "1.1, not 1.%u",
				  group->config->name, IVSHM_WIRE_ABI_MINOR(wire->abi));
		return true;
	}
	if (paged)
		ivshm_link_refuse(link, EACCES,
				  "instance '%s' has no pager: it has no right on page-coherent "
				  "region '%s'",
				  wire->name, paged->name);
	return paged;
}

/*
 * While a reload is under way: who cannot be told of another right may not come, nor who is not to
 * be there any more. True: refused.
 */
static bool refuse_changing(struct ivshm_link *link, const struct ist_wire *wire, uint32_t id)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_instance_config *member;

	if (!group->next)
		return false;
	member = ivshm_config_member(group->broker->next, group->next, id);
	if (member && !strcmp(member->name, wire->name) &&
	    (IVSHM_WIRE_ABI_MINOR(wire->abi) >= 2 ||
	     (wire->kind != IST_KIND_APP && wire->kind != IST_KIND_LINUX)))
		return false;
	ivshm_link_refuse(link, EAGAIN, "group '%s' is being changed", group->config->name);
	return true;
}

static void end(struct ivshm_link *link, uint32_t state)
{
	ivshm_watch_close(&link->process);
	ivshm_seat_end(link, state);
	ivshm_link_free(link);
}

/*
 * Who is held for and says HELLO has left meanwhile, and its BYE met no broker. One process joins
 * an ID once at a time.
 */
static void free_seat(const struct ivshm_link *link, uint32_t id)
{
	struct ivshm_link *sitting = link->group->seat[id].link;

	if (sitting && sitting->away && !sitting->legacy && sitting->pid == link->pid)
		end(sitting, IST_PEER_ABSENT);
}

void ivshm_link_welcome(struct ivshm_link *link)
{
	link->group->strangers--;
	link->stage = IVSHM_STAGE_WELCOME;
	ivshm_link_tell(link);
}

int ivshm_link_hello(struct ivshm_link *link, const struct ist_wire *wire)
{
	struct ivshm_group *group = link->group;
	uint32_t id = ivshm_group_find(group, wire->name);
	int r;

	link->holds = false;

	if (IVSHM_WIRE_ABI_MAJOR(wire->abi) != IST_ABI_MAJOR) {
		ivshm_link_refuse(link, EPROTONOSUPPORT,
				  "isthmus ABI %u.%u is not spoken here (this broker: %u.%u)",
				  IVSHM_WIRE_ABI_MAJOR(wire->abi), IVSHM_WIRE_ABI_MINOR(wire->abi),
				  IST_ABI_MAJOR, IST_ABI_MINOR);
		return -EPROTO;
	}
	if (wire->kind > IST_KIND_PROCESS) {
		ivshm_link_refuse(link, EINVAL, "%u is not a kind of instance", wire->kind);
		return -EPROTO;
	}
	if (id == group->config->members_count || !*wire->name) {
		ivshm_link_refuse(link, EACCES, "instance '%s' is not in group '%s'", wire->name,
				  group->config->name);
		return -EACCES;
	}
	if (group->bells != group->config->vectors && refuse_pages(link, wire, id))
		return -EACCES;
	if (!group->memory.map && ivshm_group_renew(group)) {
		link->holds = true;
		link->held = *wire;
		return 0;
	}
	free_seat(link, id);
	if (refuse_changing(link, wire, id))
		return -EBUSY; /* EAGAIN would say that there is nothing to read */
	if (group->seat[id].link) {
		ivshm_link_refuse(link, EBUSY, "instance '%s' is already in group '%s' (pid %d)",
				  wire->name, group->config->name, (int)group->seat[id].link->pid);
		return -EBUSY;
	}
	r = ivshm_seat_admit(link, id, wire->kind);
	if (r) {
		ivshm_link_refuse(link, -r, "instance '%s': no eventfds: %s", wire->name,
				  strerror(-r));
		return r;
	}
	link->minor = IVSHM_WIRE_ABI_MINOR(wire->abi);
	link->run_state = group->run_page >= 0 && IVSHM_WIRE_ABI_MINOR(wire->abi) >= 1;
	ivshm_link_welcome(link);
	return 0;
}

/* Not a message that may come now. */
static int out_of_order(struct ivshm_link *link, const struct ist_wire *wire)
{
	static const char *const name[] = {
		[IST_WIRE_HELLO] = "HELLO",
		[IST_WIRE_WELCOME] = "WELCOME",
		[IST_WIRE_REGION] = "REGION",
		[IST_WIRE_PEER] = "PEER",
		[IST_WIRE_READY] = "READY",
		[IST_WIRE_GONE] = "GONE",
		[IST_WIRE_BYE] = "BYE",
		[IST_WIRE_ERROR] = "ERROR",
		[IST_WIRE_RUN_STATE] = "RUN_STATE",
		[IST_WIRE_THREAD] = "THREAD",
		[IST_WIRE_RECALL] = "RECALL",
		[IST_WIRE_RIGHT] = "RIGHT",
		[IST_WIRE_RIGHT_DONE] = "RIGHT_DONE",
		[IST_WIRE_REATTACH] = "REATTACH",
		[IST_WIRE_BELLS] = "BELLS",
	};

	if (wire->type >= sizeof(name) / sizeof(name[0]) || !name[wire->type])
		ivshm_link_refuse(link, EPROTO, "unknown message type %u", wire->type);
	else
		ivshm_link_refuse(link, EPROTO, "%s is out of order here", name[wire->type]);
	return -EPROTO;
}

/*
 * It closed its end before this was heard, and who told it something found that out: it is told
 * nothing more, but what it had sent was in order. No more of it can come.
 */
static bool is_left_over(const struct ivshm_link *link, const struct ist_wire *wire)
{
	struct pollfd p = {.fd = link->socket.fd, .events = POLLRDHUP};

	return link->stage == IVSHM_STAGE_DEAF && !link->bye &&
	       (wire->type == IST_WIRE_READY || wire->type == IST_WIRE_THREAD ||
		wire->type == IST_WIRE_RIGHT_DONE) &&
	       poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP;
}

static int hear(struct ivshm_link *link, const struct ist_wire *wire)
{
	bool told = link->stage == IVSHM_STAGE_UPDATES;

	if (is_left_over(link, wire))
		return 0;
	if (wire->type == IST_WIRE_HELLO && link->stage == IVSHM_STAGE_HELLO && !link->holds)
		return ivshm_link_hello(link, wire);
	if (wire->type == IST_WIRE_READY && link->stage == IVSHM_STAGE_BACK)
		return ivshm_link_back(link);
	if (wire->type == IST_WIRE_THREAD && told && (!link->ready || link->returned) &&
	    link->run_state)
		return ivshm_link_thread(link, wire);
	if (wire->type == IST_WIRE_READY && told && !link->ready) {
		link->ready = true;
		ivshm_seat_live(link);
		return 0;
	}
	if (wire->type == IST_WIRE_BYE && link->stage > IVSHM_STAGE_HELLO && !link->bye) {
		link->bye = true;
		link->stage = IVSHM_STAGE_DEAF;
		ivshm_seat_leaving(link);
		return 0;
	}
	if (wire->type == IST_WIRE_RECALL && link->ready && !link->bye && ivshm_link_pages(link))
		return ivshm_recall(link, wire);
	if (wire->type == IST_WIRE_RIGHT_DONE && told)
		return ivshm_link_right_done(link, wire);
	if (wire->type == IST_WIRE_ERROR && link->stage > IVSHM_STAGE_HELLO && !link->bye &&
	    ivshm_link_pages(link)) {
		ivshm_broker_warn(link->group->broker, "group %s: peer %s (pid %d) says: %s",
				  link->group->config->name,
				  ivshm_group_member(link->group, link->id), (int)link->pid,
				  wire->text);
		return 0;
	}
	return out_of_order(link, wire);
}

/* A packet with all that came with it, which whoever keeps it takes out. */
static int hear_packet(struct ivshm_link *link, struct ivshm_packet *packet)
{
	uint32_t type = packet->wire.type;

	if (type == IST_WIRE_REATTACH && link->stage == IVSHM_STAGE_HELLO && !link->holds)
		return ivshm_link_reattach(link, packet);
	if (type == IST_WIRE_BELLS && link->stage == IVSHM_STAGE_BACK)
		return ivshm_link_bells(link, packet);
	if (packet->fds_count == 0)
		return hear(link, &packet->wire);
	ivshm_link_refuse(link, EPROTO, "a peer sends no descriptors");
	return -EPROTO;
}

int ivshm_link_receive(struct ivshm_link *link)
{
	struct ivshm_packet packet;
	int r;

	if (link->legacy)
		return ivshm_legacy_hear(link);
	r = ivshm_wire_receive(link->socket.fd, &packet);
	switch (r) {
	case 0:
		break;
	case -EMSGSIZE:
		ivshm_link_refuse(link, EMSGSIZE, "a message is %zu bytes, no more and no less",
				  sizeof(packet.wire));
		return r;
	case -EBADMSG:
		ivshm_link_refuse(link, EBADMSG, "a name or text is not terminated");
		return r;
	case -EMFILE:
		ivshm_link_refuse(link, EMFILE, "no room for the descriptors that came");
		return r;
	case -ETOOMANYREFS:
		ivshm_link_refuse(link, EPROTO, "a peer sends no descriptors");
		return r;
	default:
		return r;
	}
	r = hear_packet(link, &packet);
	ivshm_wire_close_fds(&packet);
	return r;
}
