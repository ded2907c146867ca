// SPDX-License-Identifier: BSD-2-Clause
/*
 * broker.c: a broker has ended: its group goes on with the peers there are, and the next one is
 * tried for until it is there. docs/protocol.md, "The broker's restart".
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "vm.h"

#define PAUSE_FIRST_MS 50u
#define PAUSE_LAST_MS 500u
#define PAUSE_ANSWER_MS 5u /* while a broker reads what is handed to it */

static void arm(struct vmm_vm *vm, uint32_t pause_ms)
{
	const struct itimerspec once = {
		.it_value = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000}};

	vm->pause_ms = pause_ms;
	timerfd_settime(vm->returns, 0, &once, NULL);
}

/* ---- Its end, and the next one ---- */

static void lose(struct vmm_vm *vm, struct vmm_group *group, int why)
{
	epoll_ctl(vm->events, EPOLL_CTL_DEL, group->client.socket, NULL);
	vmm_run_state_blank(group);
	ivshm_log(IVSHM_LOG_WARN,
		  "the broker of group '%s' is gone: going on with the peers there are",
		  group->client.group);
	/* Who was refused is not taken back. */
	group->away = why == -EPIPE;
	if (group->away)
		arm(vm, PAUSE_FIRST_MS);
	else
		vmm_console_alone(vm, false);
}

void vmm_broker_serve(struct vmm_vm *vm, struct vmm_group *group)
{
	int result = ivshm_client_dispatch(&group->client);

	if (result != 0)
		lose(vm, group, result);
}

static void come_back(struct vmm_vm *vm, struct vmm_group *group)
{
	struct ivshm_client *client = &group->client;

	group->away = false;
	vmm_run_state_renew(group);
	if (vmm_run_state_tell(vm, group) != 0 ||
	    vmm_vm_watch(vm, client->socket, group->index) != 0)
		lose(vm, group, -EPIPE);
	else
		ivshm_log(IVSHM_LOG_WARN, "the broker of group '%s' is back", client->group);
}

void vmm_broker_return(struct vmm_vm *vm)
{
	struct vmm_error error;
	bool away = false, talking = false;
	uint64_t expirations;

	if (read(vm->returns, &expirations, sizeof(expirations)) < 0)
		return;
	for (unsigned i = 0; i < vm->groups; i++) {
		struct vmm_group *group = vm->group[i];
		int result;

		if (!group->away)
			continue;
		result = ivshm_client_return(&group->client, error.text, sizeof(error.text));
		if (result == 0) {
			come_back(vm, group);
		} else if (result != -EAGAIN) {
			group->away = false;
			ivshm_log(IVSHM_LOG_WARN, "group '%s' goes on without a broker: %s",
				  group->client.group, error.text);
		}
		away |= group->away;
		talking |= group->client.attempt >= 0;
	}
	if (!away) {
		vm->pause_ms = 0;
		vmm_console_alone(vm, false);
	} else if (talking && vm->pause_ms >= PAUSE_FIRST_MS) {
		arm(vm, PAUSE_ANSWER_MS);
	} else {
		arm(vm, vm->pause_ms * 2 < PAUSE_LAST_MS ? vm->pause_ms * 2 : PAUSE_LAST_MS);
	}
}
