// SPDX-License-Identifier: BSD-2-Clause
/*
 * limit.c: doorbells that come too often do not keep a guest from its work.
 *
 * A doorbell goes from eventfd to interrupt inside KVM, which counts it nowhere that can be read
 * (interrupts that are posted to a running vCPU leave no trace at all), and that path stays as it
 * is. So it is sampled: while the vCPUs use CPU time, one vector after the other is taken from KVM
 * for a moment in which its eventfd counts. Where that is above the group's limit, the vector is
 * watched for longer, to be sure; if it still is, it stays with this timer for window after window
 * until it is not. What comes meanwhile is delivered as one interrupt a tick: nothing is lost, as
 * doorbells coalesce, here as in KVM.
 */
#include <sys/timerfd.h>
#include <time.h>

#include "vm.h"

#define NS_PER_S 1000000000u
#define SAMPLE_NS 50000000u /* how often a vector is sampled, */
#define MOMENT_NS 200000u   /* and for how long */
#define WATCH_NS 10000000u
#define STORM_NS 100000000u
#define TICK_NS 1000000u
#define IDLE_SHARE 100u    /* vCPUs that use less than this part of a CPU do nothing else: */
#define IDLE_NS 400000000u /* then samples are up to so far apart */
#define BURST 4u           /* rings at once that are no storm in any window */

static void set_timer(struct vmm_vm *vm, long ns)
{
	const struct itimerspec timer = {.it_value.tv_nsec = ns};

	timerfd_settime(vm->limit.timer, 0, &timer, NULL);
}

static uint64_t cpu_time(const struct vmm_vm *vm)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < vm->vcpus; i++) {
		struct timespec time;
		clockid_t clock;

		if (pthread_getcpuclockid(vm->vcpu[i].thread, &clock) == 0 &&
		    clock_gettime(clock, &time) == 0)
			used += (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
	}
	return used;
}

static void open_window(struct vmm_vector *vector, uint64_t ns)
{
	vector->window_ns = ns;
	vector->since_ns = vmm_stats_now();
	vector->rings = 0;
}

/* The next vector of all that KVM has. */
static void sample(struct vmm_vm *vm)
{
	for (unsigned i = 0; i < IST_GROUPS_MAX * IST_VECTORS_MAX; i++) {
		unsigned at = vm->limit.next++ % (IST_GROUPS_MAX * IST_VECTORS_MAX);
		unsigned vector = at % IST_VECTORS_MAX;
		struct vmm_group *group;

		if (at / IST_VECTORS_MAX >= vm->groups)
			continue;
		group = vm->group[at / IST_VECTORS_MAX];
		if (group->client.doorbells == 0 || vector >= group->client.vectors ||
		    group->vector[vector].way != VMM_WAY_KERNEL)
			continue;
		if (vmm_vector_pace(group, vector, true) == 0)
			open_window(&group->vector[vector], MOMENT_NS);
		return;
	}
}

static void tell(const struct vmm_group *group, uint32_t vector)
{
	if ((group->storms & (group->storms - 1)) == 0)
		ivshm_log(IVSHM_LOG_WARN,
			  "doorbells of vector %u in group '%s' come faster than %u a second: at "
			  "most %u interrupts a second until they do not (%" PRIu64 " so far)",
			  vector, group->client.group, group->client.doorbells, NS_PER_S / TICK_NS,
			  group->storms);
}

/* The window is over. */
static void judge(struct vmm_group *group, uint32_t vector, uint64_t elapsed)
{
	struct vmm_vector *own = &group->vector[vector];
	uint64_t allowed = elapsed / 1000 * group->client.doorbells / (NS_PER_S / 1000) + BURST;
	bool above = own->rings > allowed;

	if (!above && vmm_vector_pace(group, vector, false) == 0)
		return;
	if (above && own->window_ns == WATCH_NS) {
		group->storms++;
		tell(group, vector);
	}
	open_window(own, own->window_ns == MOMENT_NS ? WATCH_NS : STORM_NS);
}

static void tick(struct vmm_group *group, uint32_t vector)
{
	struct vmm_vector *own = &group->vector[vector];
	uint64_t elapsed = vmm_stats_now() - own->since_ns;
	uint64_t rings = vmm_vector_deliver(group, vector);

	/* Whoever shares the eventfd can say any number. */
	own->rings += rings < NS_PER_S ? rings : NS_PER_S;
	if (elapsed >= own->window_ns)
		judge(group, vector, elapsed);
}

void vmm_limit_serve(struct vmm_vm *vm)
{
	uint64_t expirations, used, now = vmm_stats_now();
	long next;

	if (read(vm->limit.timer, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	for (unsigned i = 0; i < vm->groups; i++)
		for (uint32_t v = 0; v < vm->group[i]->client.vectors; v++)
			if (vm->group[i]->vector[v].paced)
				tick(vm->group[i], v);
	if (now - vm->limit.sampled_ns >= vm->limit.apart_ns) {
		used = cpu_time(vm);
		if (used - vm->limit.used_ns > (now - vm->limit.sampled_ns) / IDLE_SHARE) {
			vm->limit.apart_ns = SAMPLE_NS;
			sample(vm);
		} else if (vm->limit.apart_ns < IDLE_NS) {
			vm->limit.apart_ns *= 2;
		}
		vm->limit.sampled_ns = now;
		vm->limit.used_ns = used;
	}
	next = (long)vm->limit.apart_ns;
	for (unsigned i = 0; i < vm->groups; i++)
		for (uint32_t v = 0; v < vm->group[i]->client.vectors; v++) {
			const struct vmm_vector *own = &vm->group[i]->vector[v];

			if (own->paced && own->window_ns == MOMENT_NS)
				next = MOMENT_NS;
			else if (own->paced && next > (long)TICK_NS)
				next = TICK_NS;
		}
	set_timer(vm, next);
}

int vmm_limit_start(struct vmm_vm *vm, struct vmm_error *error)
{
	bool any = false;

	for (unsigned i = 0; i < vm->groups; i++)
		any |= vm->group[i]->client.doorbells != 0;
	if (!any)
		return 0;
	vm->limit.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (vm->limit.timer < 0 || vmm_vm_watch(vm, vm->limit.timer, VMM_EVENT_LIMIT) != 0)
		return vmm_fail(error, errno, "cannot watch for doorbells: %m");
	vm->limit.apart_ns = SAMPLE_NS;
	vm->limit.sampled_ns = vmm_stats_now();
	set_timer(vm, SAMPLE_NS);
	return 0;
}

void vmm_limit_fini(struct vmm_vm *vm)
{
	if (vm->limit.timer >= 0)
		close(vm->limit.timer);
}
