// SPDX-License-Identifier: BSD-2-Clause
/*
 * pause.c: times in which no vCPU is in the guest.
 *
 * A vCPU's thread says that it goes in, then looks whether there is a pause; who begins one says
 * so, then looks who is in (Dekker: both orders are sequentially consistent). One that is in is
 * kicked out. One that is out, be it at work on an exit, or waiting for the VM's lock or for a full
 * console, is not waited for: it does not get in before the end.
 */
#include <signal.h>
#include <time.h>

#include "vm.h"

/* For a page that a vCPU waits for where the kernel does not let a signal end that (before 6.3). */
#define PATIENCE_SECONDS 1

void vmm_pause_init(struct vmm_pause *pause)
{
	*pause = (struct vmm_pause){.lock = PTHREAD_MUTEX_INITIALIZER,
				    .left = PTHREAD_COND_INITIALIZER,
				    .over = PTHREAD_COND_INITIALIZER};
}

bool vmm_pause_enter(struct vmm_vcpu *vcpu)
{
	struct vmm_pause *pause = &vcpu->vm->pause;

	for (;;) {
		__atomic_store_n(&vcpu->inside, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&pause->on, __ATOMIC_SEQ_CST))
			break;
		vmm_pause_leave(vcpu);
		pthread_mutex_lock(&pause->lock);
		while (__atomic_load_n(&pause->on, __ATOMIC_RELAXED))
			pthread_cond_wait(&pause->over, &pause->lock);
		pthread_mutex_unlock(&pause->lock);
	}
	if (!vmm_vm_ended(vcpu->vm))
		return true;
	vmm_pause_leave(vcpu);
	return false;
}

void vmm_pause_leave(struct vmm_vcpu *vcpu)
{
	struct vmm_pause *pause = &vcpu->vm->pause;

	__atomic_store_n(&vcpu->inside, 0, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&pause->on, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&pause->lock);
	pthread_cond_signal(&pause->left);
	pthread_mutex_unlock(&pause->lock);
}

bool vmm_pause_begin(struct vmm_vm *vm)
{
	struct vmm_pause *pause = &vm->pause;
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_SECONDS;

	pthread_mutex_lock(&pause->lock);
	__atomic_store_n(&pause->on, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < vm->vcpus; i++) {
		struct vmm_vcpu *vcpu = &vm->vcpu[i];

		/* Once is enough: a kick before KVM_RUN makes that return at once. */
		if (vcpu->threaded && __atomic_load_n(&vcpu->inside, __ATOMIC_SEQ_CST))
			vmm_vcpu_kick(vcpu);
		while (result == 0 && __atomic_load_n(&vcpu->inside, __ATOMIC_SEQ_CST))
			result = pthread_cond_clockwait(&pause->left, &pause->lock, CLOCK_MONOTONIC,
							&until);
	}
	pthread_mutex_unlock(&pause->lock);
	return result == 0;
}

void vmm_pause_end(struct vmm_vm *vm)
{
	struct vmm_pause *pause = &vm->pause;

	pthread_mutex_lock(&pause->lock);
	__atomic_store_n(&pause->on, false, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&pause->over);
	pthread_mutex_unlock(&pause->lock);
}
