/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_message.c: nobody shares anything: the first instance owns all objects, the others
 * send it requests over channels. The owner answers between its own operations.
 */
#include "coherence.h"

#define OP_READ OPERATIONS

struct request {
	uint32_t op, index;
	uint64_t argument;
};

/* Of this instance: index 0 in a client; a client's number in the owner. */
static struct ist_channel *requests[INSTANCES_MAX], *replies[INSTANCES_MAX];
static unsigned under_way;

static int message_open_pair(struct site *site, unsigned client)
{
	/*
	 * The owner never sleeps for a message: it has its own work. A client does where others
	 * need its processor.
	 */
	uint32_t flags = site->me == 0 || !site->crowded ? IST_CHANNEL_POLL : 0;
	/* Who posts would fill both otherwise, and each wait for the other. */
	struct ist_channel_options options = {
		.region = "channels", .flags = flags, .lines = 2 * IN_FLIGHT};
	unsigned slot = site->me == 0 ? client : 0;
	char there[] = "ask-0", back[] = "answer-0";
	int error;

	there[sizeof(there) - 2] = (char)('0' + client);
	back[sizeof(back) - 2] = (char)('0' + client);
	error = ist_channel_open(site->group, there, site->me == 0 ? IST_RECEIVER : IST_SENDER,
				 &options, &requests[slot]);
	if (error == 0)
		error = ist_channel_open(site->group, back,
					 site->me == 0 ? IST_SENDER : IST_RECEIVER, &options,
					 &replies[slot]);
	return error;
}

static int message_open(struct site *site)
{
	int error = 0;

	if (site->me != 0)
		return message_open_pair(site, site->me);
	for (unsigned i = 1; i < site->count && error == 0; i++)
		error = message_open_pair(site, i);
	return error;
}

static void message_close(struct site *site)
{
	for (unsigned i = 0; i < site->count; i++) {
		ist_channel_close(requests[i]);
		ist_channel_close(replies[i]);
		requests[i] = replies[i] = NULL;
	}
}

/* What a client asks for is checked: it could ask for anything. */
static int message_answer(struct site *site, unsigned client, const struct request *request)
{
	static uint64_t copy[WORDS_MAX];
	struct object *o;

	if (request->index >= site->object_count || request->op > OP_READ)
		return -EPROTO;
	o = &site->objects[request->index];
	if (request->op == OP_READ) {
		copy_words(copy, o->data, o->words);
		return ist_channel_send(replies[client], copy, o->words * sizeof(*copy),
					IST_FOREVER);
	}
	if ((request->op == OP_ADD_ONE || request->op == OP_OWN) && request->argument >= o->words)
		return -EPROTO;
	copy[0] = operate(o->data, o->words, request->op, request->argument);
	return ist_channel_send(replies[client], copy, sizeof(*copy), IST_FOREVER);
}

static int message_serve(struct site *site)
{
	struct request request;

	if (site->me != 0)
		return 0;
	for (unsigned i = 1; i < site->count; i++) {
		int64_t got;
		int error;

		while ((got = ist_channel_try_recv(requests[i], &request, sizeof(request))) ==
		       sizeof(request)) {
			error = message_answer(site, i, &request);
			if (error != 0)
				return error;
		}
		if (got != -EAGAIN)
			return got < 0 ? (int)got : -EPROTO;
	}
	return 0;
}

static int message_ask(struct object *o, unsigned op, uint64_t argument)
{
	struct request request = {op, o->index, argument};

	return ist_channel_send(requests[0], &request, sizeof(request), IST_FOREVER);
}

static int message_hear(void *answer, size_t size)
{
	int64_t got = ist_channel_recv(replies[0], answer, size, IST_FOREVER);

	if (got == (int64_t)size)
		return 0;
	return got < 0 ? (int)got : -EPROTO;
}

static int message_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	int error;

	if (o->site->me == 0) {
		*result = operate(o->data, o->words, op, argument);
		return 0;
	}
	error = message_ask(o, op, argument);
	return error != 0 ? error : message_hear(result, sizeof(*result));
}

static int message_read(struct object *o, uint64_t *copy)
{
	int error;

	if (o->site->me == 0) {
		copy_words(copy, o->data, o->words);
		return 0;
	}
	error = message_ask(o, OP_READ, 0);
	return error != 0 ? error : message_hear(copy, o->words * sizeof(*copy));
}

static int message_reap_to(unsigned left)
{
	uint64_t result;
	int error = 0;

	while (under_way > left && error == 0) {
		error = message_hear(&result, sizeof(result));
		under_way--;
	}
	return error;
}

static int message_post(struct object *o, unsigned op, uint64_t argument)
{
	uint64_t result;
	int error;

	if (o->site->me == 0)
		return message_apply(o, op, argument, &result);
	error = message_reap_to(IN_FLIGHT - 1);
	if (error == 0)
		error = message_ask(o, op, argument);
	if (error == 0)
		under_way++;
	return error;
}

static int message_reap(struct object *o)
{
	(void)o;
	return message_reap_to(0);
}

const struct strategy by_message = {
	.name = "message",
	.can = NEED_OWN | NEED_COUNTER | NEED_RECORD | NEED_LATEST,
	.open = message_open,
	.close = message_close,
	.apply = message_apply,
	.read = message_read,
	.post = message_post,
	.reap = message_reap,
	.serve = message_serve,
};
