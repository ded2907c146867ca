/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * return.c: a broker that is gone, and another one, which is handed what we have.
 * docs/protocol.md, "The broker's restart".
 *
 * The library has no thread to wait with. So the number of the broker's socket becomes a timer's
 * while there is none: whoever polls it is woken when it is time to try, and tries.
 */
#include "host.h"
#include "words.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_FIRST_MS 50u
#define PAUSE_LAST_MS 500u
#define PAUSE_ANSWER_MS 5u /* while a broker reads what is handed to it */
#define ALL_HANDED UINT32_MAX
#define WIRE_ABI (IST_ABI_MAJOR << 16 | IST_ABI_MINOR)

int ist_host_return_init(struct ist_host *host, const char *path, const char *instance)
{
	struct ist_host_return *back = &host->back;

	back->attempt = back->run_page = -1;
	/* The path fits: it was connected to. */
	memcpy(back->path, path, strnlen(path, sizeof(back->path) - 1));
	memcpy(back->instance, instance, sizeof(back->instance));
	back->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return back->timer < 0 ? -errno : 0;
}

static int end_attempt(struct ist_host_return *back, int err)
{
	if (back->attempt >= 0)
		close(back->attempt);
	if (back->run_page >= 0)
		close(back->run_page);
	back->attempt = back->run_page = -1;
	return err;
}

void ist_host_return_fini(struct ist_host *host)
{
	end_attempt(&host->back, 0);
	close(host->back.timer);
}

static void set_timer(struct ist_host_return *back, uint32_t pause_ms)
{
	struct itimerspec once = {
		.it_value = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000 + 1}};

	back->pause_ms = pause_ms;
	timerfd_settime(back->timer, 0, &once, NULL);
}

/* ---- An attempt ---- */

static int connect_again(struct ist_host_return *back)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, back->path, sizeof(address.sun_path));
	back->handed = 0;
	back->attempt = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (back->attempt < 0)
		return -EAGAIN;
	if (connect(back->attempt, (struct sockaddr *)&address, sizeof(address)))
		return end_attempt(back, -EAGAIN);
	return 0;
}

/* The n-th peer that is there beside us, from 0 on; or IST_PEERS_MAX. */
static uint32_t find_other(const struct ist_host_peers *peers, uint32_t n)
{
	uint32_t id;

	for (id = 0; id < IST_PEERS_MAX; id++)
		if (id != peers->self && peers->current->peer[id].incarnation && n-- == 0)
			break;
	return id;
}

static void make_bells(const struct ist_host *host, uint32_t id, struct ist_host_packet *packet)
{
	const struct ist_host_peer *peer = &host->peers.current->peer[id];
	int pager = host->peers.pager ? coh_pager_bell(host->peers.pager, id) : -1;

	packet->wire.type = IST_WIRE_BELLS;
	packet->wire.id = id;
	packet->wire.incarnation = peer->incarnation;
	packet->wire.vectors = peer->vectors;
	while (packet->fds < peer->vectors) {
		packet->fd[packet->fds] = peer->fd[packet->fds];
		packet->fds++;
	}
	if (pager >= 0)
		packet->fd[packet->fds++] = pager;
}

/* REATTACH, BELLS of ourselves, BELLS of the others, READY: that of this number. */
static void make_message(const struct ist_host *host, uint32_t number,
			 struct ist_host_packet *packet)
{
	const struct ist_host_peers *peers = &host->peers;
	uint32_t id = number > 1 ? find_other(peers, number - 2) : peers->self;

	packet->wire.abi = WIRE_ABI;
	if (id == IST_PEERS_MAX) {
		packet->wire.type = IST_WIRE_READY;
	} else if (number > 0) {
		make_bells(host, id, packet);
	} else {
		packet->wire.type = IST_WIRE_REATTACH;
		packet->wire.id = id;
		packet->wire.incarnation = peers->current->peer[id].incarnation;
		packet->wire.kind = IST_KIND_PROCESS;
		memcpy(packet->wire.name, host->back.instance, sizeof(packet->wire.name));
		packet->fd[packet->fds++] = host->memory;
	}
}

static int hand_back(struct ist_host *host)
{
	struct ist_host_return *back = &host->back;

	while (back->handed != ALL_HANDED) {
		struct ist_host_packet packet = {0};
		int err;

		make_message(host, back->handed, &packet);
		err = ist_host_send_fds(back->attempt, &packet);
		if (err == -EPIPE)
			return 0; /* why is there to be read */
		if (err)
			return err == -EAGAIN ? err : end_attempt(back, -EAGAIN);
		back->handed = packet.wire.type == IST_WIRE_READY ? ALL_HANDED : back->handed + 1;
	}
	return 0;
}

/* The new connection has the number that all know. Who polls the timer looks again. */
static int sit_down(struct ist_host *host)
{
	struct ist_host_return *back = &host->back;

	if (dup3(back->attempt, host->sock, O_CLOEXEC) < 0)
		return end_attempt(back, -EAGAIN);
	ist_host_run_renew(host, back->run_page);
	end_attempt(back, 0);
	back->begun = false;
	ist_store32(&host->peers.gone, 0);
	set_timer(back, 0);
	return 0;
}

/* A reason that passes is no end. */
static int refusal(uint32_t code)
{
	return code == EAGAIN || code == EMFILE || code == ENFILE || code == ENOMEM ||
			       code == ETIMEDOUT
		       ? -EAGAIN
		       : -EPROTO;
}

static int hear_answer(struct ist_host *host)
{
	struct ist_host_return *back = &host->back;

	for (;;) {
		struct ist_host_packet packet;
		int err = ist_host_receive(back->attempt, &packet, MSG_DONTWAIT);

		if (err == -EAGAIN)
			return err;
		if (err)
			return end_attempt(back, err == -EPROTO ? err : -EAGAIN);
		if (packet.wire.type == IST_WIRE_READY) {
			ist_host_packet_fini(&packet);
			return sit_down(host);
		}
		if (packet.wire.type == IST_WIRE_ERROR) {
			err = refusal(packet.wire.code);
		} else if (packet.wire.type == IST_WIRE_RUN_STATE && back->run_page < 0 &&
			   ist_host_run_is_sound(&packet)) {
			back->run_page = packet.fd[0];
			packet.fds = 0;
		} else {
			err = -EPROTO;
		}
		ist_host_packet_fini(&packet);
		if (err)
			return end_attempt(back, err);
	}
}

/* ---- When ---- */

/* Under the lock. Returns whether another broker has us back. */
static bool try_again(struct ist_host *host)
{
	struct ist_host_return *back = &host->back;
	uint64_t expirations;
	int err;

	if (!back->begun) {
		ist_host_run_blank(host);
		back->begun = dup3(back->timer, host->sock, O_CLOEXEC) >= 0;
		set_timer(back, PAUSE_FIRST_MS);
		return false;
	}
	if (read(back->timer, &expirations, sizeof(expirations)) < 0)
		return false; /* not yet, or another thread just did */
	err = back->attempt < 0 ? connect_again(back) : 0;
	if (!err)
		err = hand_back(host);
	if (!err)
		err = hear_answer(host);
	if (!err)
		return true;
	if (err != -EAGAIN)
		ist_store32(&host->peers.gone, IST_HOST_GONE_OVER);
	else if (back->attempt >= 0 && back->pause_ms >= PAUSE_FIRST_MS)
		set_timer(back, PAUSE_ANSWER_MS);
	else
		set_timer(back,
			  back->pause_ms * 2 < PAUSE_LAST_MS ? back->pause_ms * 2 : PAUSE_LAST_MS);
	return false;
}

void ist_host_drain(struct ist_host *host)
{
	bool back = false;

	ist_host_peers_drain(&host->peers);
	if (ist_load32(&host->peers.gone) != IST_HOST_GONE_AWAY)
		return;
	pthread_mutex_lock(&host->peers.lock);
	if (ist_load32(&host->peers.gone) == IST_HOST_GONE_AWAY)
		back = try_again(host);
	pthread_mutex_unlock(&host->peers.lock);
	if (back)
		ist_host_peers_drain(&host->peers);
}
