/* SPDX-License-Identifier: BSD-2-Clause */
/* taken_over.h: a broker with two live peers that is killed, and the next one. Include it once. */
#ifndef TESTS_TAKEN_OVER_H
#define TESTS_TAKEN_OVER_H

#include <check.h>

#include "ivshmem/log.h"
#include "tests/restart_fixture.h"

#define LEFT 0u
#define RIGHT 1u
#define THIRD 2u
#define WORD(state, incarnation) IST_PEER_WORD(IST_PEER_##state, incarnation)

static struct restart r;
static struct raw left, right;

/* Two live peers. */
static inline void setup(void)
{
	ivshm_log_level = IVSHM_LOG_ERROR;
	fixture_configure(&r.f);
	r.f.instance[THIRD].kind = IST_KIND_QEMU; /* has a socket of QEMU's, too */
	restart_two(&r, ivshm_broker_create, &left, &right);
}

static inline void take_over(void)
{
	restart_kill(&r);
	must(restart_begin(&r, ivshm_broker_attach) == 0);
}

static inline void both_return(void)
{
	raw_return(&r.f, &left, "left");
	raw_return(&r.f, &right, "right");
}

/* What is shown is what is. */
static inline void finish(void)
{
	raw_rings(&left, &right, 1);
	raw_rings(&right, &left, 2);
	raw_close(&left);
	raw_close(&right);
	restart_end(&r);
}

/* BYE, and the broker has heard it. */
static inline void leave(struct raw *raw)
{
	raw_send(raw->socket, IST_WIRE_BYE, "");
	shutdown(raw->socket, SHUT_RDWR);
	raw_await_word(&r.f, raw, raw->id, WORD(ABSENT, raw->incarnation));
	raw_close(raw);
}

#endif
