// SPDX-License-Identifier: BSD-2-Clause
/* stats.c: KVM's binary statistics, and the JSON of --stats. */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define NAME_SPACE 64u /* of a statistic; KVM's is 48 */

union descriptor { /* the name follows the rest */
	struct kvm_stats_desc fixed;
	char bytes[sizeof(struct kvm_stats_desc) + NAME_SPACE];
};

uint64_t vmm_stats_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int read_header(const struct vmm_vcpu *vcpu, struct kvm_stats_header *header)
{
	if (pread(vcpu->stats, header, sizeof(*header), 0) != (ssize_t)sizeof(*header) ||
	    header->name_size == 0 || header->name_size > NAME_SPACE)
		return -EIO;
	return 0;
}

static int read_descriptor(const struct vmm_vcpu *vcpu, const struct kvm_stats_header *header,
			   uint32_t index, union descriptor *out)
{
	size_t size = sizeof(out->fixed) + header->name_size;

	if (pread(vcpu->stats, out, size, (off_t)(header->desc_offset + index * size)) !=
	    (ssize_t)size)
		return -EIO;
	out->bytes[size - 1] = '\0';
	return 0;
}

static uint64_t read_value(const struct vmm_vcpu *vcpu, uint64_t at)
{
	uint64_t value = 0;

	if (pread(vcpu->stats, &value, sizeof(value), (off_t)at) != (ssize_t)sizeof(value))
		return 0;
	return value;
}

int vmm_stats_open(struct vmm_vcpu *vcpu, struct vmm_error *error)
{
	struct kvm_stats_header header;
	union descriptor descriptor;

	vcpu->stats = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	if (vcpu->stats < 0)
		return vmm_fail_errno(error, "KVM has no statistics");
	if (read_header(vcpu, &header) != 0)
		return vmm_fail(error, EIO, "cannot read KVM's statistics");
	for (uint32_t i = 0; i < header.num_desc; i++) {
		if (read_descriptor(vcpu, &header, i, &descriptor) != 0)
			return vmm_fail(error, EIO, "cannot read KVM's statistics");
		if (strcmp(descriptor.fixed.name, "exits") == 0)
			vcpu->exits_at = header.data_offset + descriptor.fixed.offset;
		else if (strcmp(descriptor.fixed.name, "blocking") == 0)
			vcpu->blocking_at = header.data_offset + descriptor.fixed.offset;
	}
	if (vcpu->exits_at == 0)
		return vmm_fail(error, ENOENT, "KVM does not count exits");
	return 0;
}

uint64_t vmm_stats_exits(const struct vmm_vcpu *vcpu)
{
	return read_value(vcpu, vcpu->exits_at);
}

bool vmm_stats_blocking(const struct vmm_vcpu *vcpu)
{
	return vcpu->blocking_at != 0 && read_value(vcpu, vcpu->blocking_at) != 0;
}

/* KVM's own reasons (all statistics "..._exits"), then what came as far as user space. */
static void print_reasons(const struct vmm_vm *vm, FILE *out)
{
	uint64_t io = 0, mmio = 0, interrupted = 0;
	struct kvm_stats_header header;
	union descriptor descriptor;

	if (read_header(&vm->vcpu[0], &header) != 0)
		header.num_desc = 0;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		const char *suffix;
		uint64_t sum = 0;

		if (read_descriptor(&vm->vcpu[0], &header, i, &descriptor) != 0)
			break;
		suffix = strstr(descriptor.fixed.name, "_exits");
		if (suffix == NULL || suffix[6] != '\0' || descriptor.fixed.size != 1)
			continue;
		for (unsigned v = 0; v < vm->vcpus; v++)
			sum += read_value(&vm->vcpu[v],
					  header.data_offset + descriptor.fixed.offset);
		fprintf(out, "\"%s\": %" PRIu64 ", ", descriptor.fixed.name, sum);
	}
	for (unsigned v = 0; v < vm->vcpus; v++) {
		io += vm->vcpu[v].io_exits;
		mmio += vm->vcpu[v].mmio_exits;
		interrupted += vm->vcpu[v].interrupted_exits;
	}
	fprintf(out,
		"\"user_io\": %" PRIu64 ", \"user_mmio\": %" PRIu64
		", \"user_interrupted\": %" PRIu64,
		io, mmio, interrupted);
}

/* Of the groups that have page-coherent regions; nothing where there are none. */
static void print_pages(const struct vmm_vm *vm, FILE *out)
{
	struct vmm_pager_stats sum = {0}, one;
	bool any = false;

	for (unsigned i = 0; i < vm->groups; i++) {
		if (!vmm_pager_stats(vm->group[i]->pager, &one))
			continue;
		any = true;
		sum.read_faults += one.read_faults;
		sum.write_faults += one.write_faults;
		sum.requests += one.requests;
		sum.answers += one.answers;
		sum.tenure_waits += one.tenure_waits;
		sum.reaped += one.reaped;
		sum.recalls += one.recalls;
		sum.false_sharing += one.false_sharing;
	}
	if (any)
		fprintf(out,
			", \"pages\": {\"read_faults\": %" PRIu64 ", \"write_faults\": %" PRIu64
			", \"requests\": %" PRIu64 ", \"answers\": %" PRIu64
			", \"tenure_waits\": %" PRIu64 ", \"reaped\": %" PRIu64
			", \"recalls\": %" PRIu64 ", \"false_sharing\": %" PRIu64 "}",
			sum.read_faults, sum.write_faults, sum.requests, sum.answers,
			sum.tenure_waits, sum.reaped, sum.recalls, sum.false_sharing);
}

char *vmm_stats_collect(struct vmm_vm *vm)
{
	uint64_t exits = 0, unknown = 0, doorbells = 0;
	struct vmm_denied denied = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (unsigned i = 0; i < vm->vcpus; i++) {
		exits += vmm_stats_exits(&vm->vcpu[i]);
		unknown += vm->vcpu[i].unknown_accesses;
	}
	for (unsigned i = 0; i < vm->groups; i++) {
		struct vmm_denied one = vmm_group_denied(vm->group[i]);

		denied.reads += one.reads;
		denied.writes += one.writes;
		doorbells += vm->group[i]->doorbells_user;
	}
	fprintf(out, "{\"exits\": %" PRIu64 ", \"exits_by_reason\": {", exits);
	print_reasons(vm, out);
	fprintf(out,
		"}, \"dropped_writes\": %" PRIu64 ", \"dropped_reads\": %" PRIu64
		", \"unknown_accesses\": %" PRIu64 ", \"doorbells_user\": %" PRIu64
		", \"start_to_run_ns\": %" PRIu64,
		denied.writes, denied.reads, unknown, doorbells, vm->first_run_ns - vm->started_ns);
	print_pages(vm, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* What of this process is resident, in KiB. */
static unsigned long resident(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	if (file == NULL)
		return 0;
	while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Rss: %lu kB", &kib) != 1)
			kib = 0;
	fclose(file);
	return kib;
}

void vmm_stats_write(const struct vmm_options *options, const char *text)
{
	FILE *file = fopen(options->stats, "we");
	bool good = file != NULL && fprintf(file, "%s, \"rss_kib\": %lu}\n", text, resident()) > 0;

	if (file != NULL && fclose(file) != 0)
		good = false;
	if (!good)
		vmm_log(options, VMM_ERROR, "cannot write statistics to %s: %s", options->stats,
			strerror(errno));
}
