/* SPDX-License-Identifier: BSD-2-Clause */
/* client_internal.h: what the client's files share. */
#ifndef IVSHM_CLIENT_INTERNAL_H
#define IVSHM_CLIENT_INTERNAL_H

#include "client.h"
#include "wire.h"

/* One RUN_STATE: keeps its descriptor in *page. NULL, or what is wrong with it. */
const char *ivshm_client_take_run_state(struct ivshm_packet *packet, int *page);

/* What an ERROR gives as the reason: -errno. */
int ivshm_client_error(const struct ist_wire *wire);

#endif
