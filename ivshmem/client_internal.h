/* SPDX-License-Identifier: BSD-2-Clause */
/* client_internal.h: what the client's files share. */
#ifndef IVSHM_CLIENT_INTERNAL_H
#define IVSHM_CLIENT_INTERNAL_H

#include "client.h"
#include "wire.h"

/* client.c: checks and keeps one REGION, the next. Returns NULL, or what is wrong with it. */
const char *ivshm_client_take_region(struct ivshm_client *client,
				     const struct ivshm_packet *packet);

/*
 * client_change.c: checks and does one RIGHT, or one REGION to who has joined, and answers. Returns
 * NULL, or what is wrong with it.
 */
const char *ivshm_client_take_change(struct ivshm_client *client,
				     const struct ivshm_packet *packet);

#endif
