// SPDX-License-Identifier: BSD-2-Clause
/* stats.c: KVM's binary statistics, and the JSON of --stats. */
#include <time.h>

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

/* Statistic `index`, and where in the file its value is. False when there is none. */
static bool describe(const struct vmm_vcpu *vcpu, uint32_t index, union descriptor *out,
		     uint64_t *value_at)
{
	struct kvm_stats_header header;
	size_t size;

	if (pread(vcpu->stats, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    header.name_size == 0 || header.name_size > NAME_SPACE || index >= header.num_desc)
		return false;
	size = sizeof(out->fixed) + header.name_size;
	if (pread(vcpu->stats, out, size, (off_t)(header.desc_offset + index * size)) !=
	    (ssize_t)size)
		return false;
	out->bytes[size - 1] = '\0';
	*value_at = header.data_offset + out->fixed.offset;
	return true;
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
	union descriptor descriptor;
	uint64_t at;

	vcpu->stats = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	if (vcpu->stats < 0)
		return vmm_fail(error, errno, "KVM has no statistics: %m");
	for (uint32_t i = 0; describe(vcpu, i, &descriptor, &at); i++)
		if (strcmp(descriptor.fixed.name, "exits") == 0)
			vcpu->exits_at = at;
	if (vcpu->exits_at == 0)
		return vmm_fail(error, ENOENT, "KVM does not count exits");
	return 0;
}

uint64_t vmm_stats_exits(const struct vmm_vcpu *vcpu)
{
	return read_value(vcpu, vcpu->exits_at);
}

static void put(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, "\"%s\": %" PRIu64 ", ", name, value);
}

/* KVM's own reasons: all statistics "..._exits". */
static void put_reasons(const struct vmm_vm *vm, FILE *out)
{
	union descriptor descriptor;
	uint64_t at;

	for (uint32_t i = 0; describe(&vm->vcpu[0], i, &descriptor, &at); i++) {
		const char *suffix = strstr(descriptor.fixed.name, "_exits");
		uint64_t sum = 0;

		if (suffix == NULL || suffix[6] != '\0' || descriptor.fixed.size != 1)
			continue;
		for (unsigned v = 0; v < vm->vcpus; v++)
			sum += read_value(&vm->vcpu[v], at);
		put(out, descriptor.fixed.name, sum);
	}
}

/* Of the groups that have page-coherent regions; nothing where there are none. */
static void put_pages(const struct vmm_vm *vm, FILE *out)
{
	struct coh_pager_stats sum = {0};
	bool any = false;

	for (unsigned i = 0; i < vm->groups; i++)
		any |= coh_pager_stats(vm->group[i]->pager, &sum);
	if (!any)
		return;
	fputs("\"pages\": {", out);
	put(out, "read_faults", sum.read_faults);
	put(out, "write_faults", sum.write_faults);
	put(out, "requests", sum.requests);
	put(out, "answers", sum.answers);
	put(out, "tenure_waits", sum.tenure_waits);
	put(out, "reaped", sum.reaped);
	put(out, "recalls", sum.recalls);
	fprintf(out, "\"false_sharing\": %" PRIu64 "}, ", sum.false_sharing);
}

static void complain(const struct vmm_options *options)
{
	ivshm_log(IVSHM_LOG_ERROR, "cannot write statistics to %s: %m", options->stats);
}

FILE *vmm_stats_begin(const struct vmm_vm *vm)
{
	uint64_t exits = 0, io = 0, mmio = 0, interrupted = 0, unknown = 0;
	uint64_t writes = 0, reads = 0, doorbells = 0, storms = 0;
	FILE *out = fopen(vm->options->stats, "we");

	if (out == NULL) {
		complain(vm->options);
		return NULL;
	}
	for (unsigned i = 0; i < vm->vcpus; i++) {
		const struct vmm_vcpu *vcpu = &vm->vcpu[i];

		exits += vmm_stats_exits(vcpu);
		io += vcpu->io_exits;
		mmio += vcpu->mmio_exits;
		interrupted += vcpu->interrupted_exits;
		unknown += vcpu->unknown_accesses;
	}
	for (unsigned i = 0; i < vm->groups; i++) {
		reads += vm->group[i]->denied[0];
		writes += vm->group[i]->denied[1];
		doorbells += vm->group[i]->doorbells_user;
		storms += vm->group[i]->storms;
	}
	fputc('{', out);
	put(out, "exits", exits);
	fputs("\"exits_by_reason\": {", out);
	put_reasons(vm, out);
	/* And what came as far as user space. */
	put(out, "user_io", io);
	put(out, "user_mmio", mmio);
	fprintf(out, "\"user_interrupted\": %" PRIu64 "}, ", interrupted);
	put(out, "dropped_writes", writes);
	put(out, "dropped_reads", reads);
	put(out, "unknown_accesses", unknown);
	put(out, "doorbells_user", doorbells);
	put(out, "storms", storms);
	put_pages(vm, out);
	put(out, "start_to_run_ns", vm->first_run_ns - vm->started_ns);
	return out;
}

void vmm_stats_end(const struct vmm_options *options, FILE *out)
{
	FILE *memory = fopen("/proc/self/smaps_rollup", "re");
	unsigned long resident = 0; /* KiB */
	bool bad;

	if (memory != NULL) {
		if (fscanf(memory, "%*[^\n] Rss: %lu", &resident) != 1)
			resident = 0;
		fclose(memory);
	}
	fprintf(out, "\"rss_kib\": %lu}\n", resident);
	bad = ferror(out);
	if (fclose(out) != 0 || bad)
		complain(options);
}
