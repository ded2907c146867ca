// SPDX-License-Identifier: BSD-2-Clause
/*
 * app.c: app boot. Guest RAM then is
 *   0x000000  not mapped, so that null pointers fault
 *   0x001000  boot block, argument pointers, strings
 *   0x020000  page tables
 *   0x200000  from here on: the image, then what the application likes
 */
#include <time.h>
#include <x86intrin.h>

#include "image.h"
#include "vm.h"

#define BOOT_AT 0x1000ull
#define ARGUMENTS_AT (BOOT_AT + sizeof(struct ist_boot))
#define TABLES_AT 0x20000ull
#define IMAGE_FROM 0x200000ull

/* ---- Image ---- */

static int load_image(struct vmm_vm *vm, struct vmm_image *image, struct vmm_error *error)
{
	struct vmm_elf_limits limits = {.ram_low = IMAGE_FROM, .ram_high = vm->memory.ram_size};
	struct vmm_error why;
	struct vmm_file file;
	int result = vmm_file_open(&file, "image", vm->options->image, error);

	if (result != 0)
		return result;
	limits.file_size = file.size;
	result = vmm_elf_parse(file.head, file.head_size, &limits, image, &why);
	if (result != 0)
		vmm_fail(error, ENOEXEC, "image %s: %s", file.path, why.text);
	else
		result = vmm_file_load(&file, image, vm->memory.ram, error);
	vmm_file_close(&file);
	return result;
}

/* ---- Page tables ---- */

static int build_tables(struct vmm_vm *vm, const struct vmm_image *image, uint64_t *root,
			struct vmm_error *error)
{
	const uint32_t data = VMM_RIGHT_READ | VMM_RIGHT_WRITE;
	const uint64_t page = IST_PAGE;
	struct vmm_paging paging;
	int result = vmm_paging_init(&paging, vm->memory.ram, TABLES_AT, IMAGE_FROM);

	if (result == 0)
		result = vmm_paging_map(&paging, page, vm->memory.ram_size, data);
	for (unsigned i = 0; result == 0 && i < image->segments; i++) {
		const struct vmm_segment *segment = &image->segment[i];
		uint64_t end = segment->address + segment->memory_size;

		result = vmm_paging_map(&paging, segment->address & ~(page - 1),
					(end + page - 1) & ~(page - 1), segment->rights);
	}
	for (unsigned i = 0; result == 0 && i < vm->groups; i++) {
		const struct vmm_group *group = vm->group[i];

		result = vmm_paging_map(&paging, group->base, group->base + group->client.size,
					data);
		if (result == 0)
			result = vmm_paging_map(&paging, group->registers,
						group->registers + VMM_REGISTERS_SIZE, data);
		if (result == 0 && group->run_state != 0)
			result = vmm_paging_map(&paging, group->run_state,
						group->run_state + IST_RUN_STATE_SIZE, data);
	}
	*root = paging.root;
	if (result != 0)
		return vmm_fail(error, -result, "page tables for all groups do not fit");
	return 0;
}

/* ---- Boot block ---- */

/* A TSC value and the time it was read at: the closest pair of a few. */
static void sample_clock(struct ist_boot *boot)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = __rdtsc(), now = vmm_stats_now(), after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			boot->tsc_base = before + best / 2;
			boot->time_base_ns = now;
		}
	}
}

/* Pointers first, then what they point to. argv[0] is the image's path. */
static int write_arguments(struct vmm_vm *vm, struct ist_boot *boot, struct vmm_error *error)
{
	const struct vmm_options *options = vm->options;
	uint64_t count = (uint64_t)options->args_count + 1;
	uint64_t string = ARGUMENTS_AT + (count + 1) * sizeof(uint64_t);
	uint64_t *pointers = (uint64_t *)(void *)(vm->memory.ram + ARGUMENTS_AT);

	boot->argv = ARGUMENTS_AT;
	boot->argc = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++) {
		const char *argument = i == 0 ? options->image : options->args[i - 1];
		size_t size = strlen(argument) + 1;

		if (string > TABLES_AT || size > TABLES_AT - string)
			return vmm_fail(error, E2BIG,
					"the guest's arguments take more than %llu KiB",
					(TABLES_AT - BOOT_AT) >> 10);
		memcpy(vm->memory.ram + string, argument, size);
		pointers[i] = string;
		string += size;
	}
	pointers[count] = 0;
	return 0;
}

static void describe_group(const struct vmm_group *group, struct ist_boot_group *out)
{
	const struct ivshm_client *client = &group->client;

	*out = (struct ist_boot_group){
		.memory = group->base,
		.memory_size = client->size,
		.registers = group->registers,
		.id = client->id,
		.incarnation = client->incarnation,
		.vectors = client->vectors,
		.max_peers = client->max_peers,
		.run_state = group->run_state,
		.run_state_size = group->run_state != 0 ? IST_RUN_STATE_SIZE : 0,
	};
	memcpy(out->name, client->group, sizeof(out->name));
	for (unsigned i = 0; i < client->regions; i++)
		out->rights[i] = (uint8_t)client->region[i].right;
}

static int write_boot_block(struct vmm_vm *vm, const struct vmm_image *image,
			    struct vmm_error *error)
{
	int khz = ioctl(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
	struct ist_boot boot = {
		.magic = IST_BOOT_MAGIC,
		.abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
		.size = sizeof(boot),
		.ram_size = vm->memory.ram_size,
		.free_start = image->high,
		.free_end = vm->memory.ram_size,
		.groups = vm->groups,
	};
	int result;

	if (khz <= 0)
		return vmm_fail(error, errno, "KVM does not tell the TSC's frequency: %m");
	boot.tsc_hz = (uint64_t)khz * 1000;
	strncpy(boot.instance, vm->options->name, sizeof(boot.instance) - 1);
	for (unsigned i = 0; i < vm->groups; i++)
		describe_group(vm->group[i], &boot.group[i]);
	result = write_arguments(vm, &boot, error);
	if (result != 0)
		return result;
	sample_clock(&boot);
	memcpy(vm->memory.ram + BOOT_AT, &boot, sizeof(boot));
	return 0;
}

int vmm_app_load(struct vmm_vm *vm, struct vmm_error *error)
{
	struct vmm_image image;
	uint64_t root = 0;
	int result = load_image(vm, &image, error);

	if (result == 0)
		result = build_tables(vm, &image, &root, error);
	if (result == 0)
		result = write_boot_block(vm, &image, error);
	if (result == 0)
		result = vmm_vcpu_set_entry(&vm->vcpu[0],
					    &(struct vmm_entry){.rip = image.entry,
								.rdi = BOOT_AT,
								.page_tables = root},
					    error);
	return result;
}
