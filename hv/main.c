// SPDX-License-Identifier: BSD-2-Clause
/* main.c: isthmus-vm: one process, one VM. */
#include <signal.h>
#include <sys/prctl.h>

#include "vm.h"

int main(int argc, char **argv)
{
	struct vmm_options options;
	struct vmm_error error;
	static struct vmm_vm vm;
	sigset_t signals;
	int status;

	status = vmm_options_parse(argc, argv, &options);
	if (status != VMM_OPTIONS_RUN)
		return status;
	prctl(PR_SET_NAME, "isthmus-vm"); /* also after a reset */
	if (options.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The console may close before its guest ends. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	if (vmm_vm_init(&vm, &options, &error) != 0) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error.text);
		return VMM_STATUS_NOT_STARTED;
	}
	status = vmm_vm_run(&vm);
	vmm_vm_fini(&vm);
	if (status == VMM_STATUS_RESET) {
		/* Everything is given back: another process in all but its ID. */
		execv("/proc/self/exe", argv);
		ivshm_log(IVSHM_LOG_ERROR, "cannot start again: %s", strerror(errno));
		return VMM_STATUS_NOT_STARTED;
	}
	return status;
}
