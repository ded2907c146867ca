/* SPDX-License-Identifier: BSD-2-Clause */
/* driver_maps.c: what can be mapped, how, and what is refused. */
#include "guest_driver.h"

static void test_range(const char *name, uint64_t offset, uint64_t size, uint32_t right)
{
	int readable = right == IST_RIGHT_NONE ? EACCES : 0;
	int writable = right == IST_RIGHT_WRITE ? 0 : EACCES;
	void *at;

	ok(try_map(device, offset, size, PROT_READ) == readable, "%s: read %s", name,
	   readable ? "EACCES" : "maps");
	ok(try_map(device, offset, size, PROT_READ | PROT_WRITE) == writable, "%s: write %s", name,
	   writable ? "EACCES" : "maps");
	ok(try_map(device, offset, size, PROT_READ | PROT_EXEC) == EACCES, "%s: execute EACCES",
	   name);
	if (readable)
		return;
	at = map(device, offset, size, PROT_READ);
	ok(mprotect(at, size, PROT_READ | PROT_WRITE) == 0 ? !writable
							   : writable && errno == EACCES,
	   "%s: made writable later: %s", name, writable ? "EACCES" : "works");
	ok(fails(mprotect(at, size, PROT_READ | PROT_EXEC), EACCES),
	   "%s: made executable later: EACCES", name);
	munmap(at, size);
}

/* All of it or nothing, and nobody can write it. */
static void test_run_state(void)
{
	const struct ist_run_state *run;

	ok(try_map(device, IST_LINUX_RUN_STATE, IST_PAGE, PROT_READ) == EINVAL,
	   "run state: a page of it EINVAL");
	ok(try_map(device, IST_LINUX_RUN_STATE + IST_PAGE, IST_RUN_STATE_SIZE, PROT_READ) == EINVAL,
	   "run state: from its second page EINVAL");
	ok(try_map(device, IST_LINUX_RUN_STATE, IST_RUN_STATE_SIZE, PROT_WRITE) == EACCES,
	   "run state: write EACCES");
	if (!info.run_state) {
		ok(try_map(device, IST_LINUX_RUN_STATE, IST_RUN_STATE_SIZE, PROT_READ) == EACCES,
		   "run state: there is none: EACCES");
		return;
	}
	run = map(device, IST_LINUX_RUN_STATE, IST_RUN_STATE_SIZE, PROT_READ);
	ok(run->magic == IST_RUN_STATE_MAGIC && run->max_peers == info.max_peers,
	   "run state: read maps, its header is one");
	ok(run->peer[info.id].incarnation == info.incarnation, "run state: this guest is in it");
	munmap((void *)run, IST_RUN_STATE_SIZE);
}

void test_maps(void)
{
	int read_only = open_device(O_RDONLY);
	uint64_t end = IST_REGIONS_OFFSET;
	void *at;

	test_range("state table and roster", 0, IST_REGIONS_OFFSET, IST_RIGHT_READ);
	for (uint32_t i = 0; i < info.regions; i++) {
		test_range(regions[i].name, regions[i].offset, regions[i].size, info.rights[i]);
		if (end < regions[i].offset)
			test_range("a gap", end, IST_PAGE, IST_RIGHT_NONE);
		end = regions[i].offset + regions[i].size;
	}
	for (uint32_t i = 0; roster->output_size && i < info.max_peers; i++)
		test_range(i == info.id ? "own output section" : "another's output section",
			   roster->output_offset + i * roster->output_size, roster->output_size,
			   i == info.id ? IST_RIGHT_WRITE : IST_RIGHT_READ);
	ok(try_map(device, info.size, IST_PAGE, PROT_READ) == EACCES, "behind the end: EACCES");
	ok(try_map(device, info.size - IST_PAGE, 2 * IST_PAGE, PROT_READ) == EACCES,
	   "across the end: EACCES");
	ok(mmap(NULL, IST_PAGE, PROT_READ, MAP_PRIVATE, device, (off_t)IST_ROSTER_OFFSET) ==
			   MAP_FAILED &&
		   errno == EINVAL,
	   "a private mapping: EINVAL");
	ok(try_map(read_only, place, IST_PAGE, PROT_READ) == 0, "opened for reading: maps");
	ok(try_map(read_only, place, IST_PAGE, PROT_READ | PROT_WRITE) == EACCES,
	   "opened for reading, mapped for writing: EACCES");
	close(read_only);
	at = map(device, IST_ROSTER_OFFSET, IST_PAGE, PROT_READ);
	ok(mremap(at, IST_PAGE, IST_PAGE * 8, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT,
	   "a mapping does not grow: EFAULT");
	munmap(at, IST_PAGE);

	ok(try_map(device, IST_LINUX_COUNTS, IST_PAGE, PROT_READ) == 0, "counts: read maps");
	ok(try_map(device, IST_LINUX_COUNTS, IST_PAGE, PROT_WRITE) == EACCES,
	   "counts: write EACCES");
	ok(try_map(device, IST_LINUX_COUNTS, 2 * IST_PAGE, PROT_READ) == EINVAL,
	   "counts: two pages EINVAL");
	ok(try_map(device, IST_LINUX_COUNTS + IST_PAGE, IST_PAGE, PROT_READ) == EINVAL,
	   "behind the counts: EINVAL");
	ok(try_map(device, IST_LINUX_REGISTERS, IST_PAGE, PROT_READ | PROT_WRITE) ==
		   (info.registers ? 0 : EACCES),
	   "registers: %s", info.registers ? "map" : "EACCES");
	ok(try_map(device, IST_LINUX_REGISTERS, 2 * IST_PAGE, PROT_READ) == EINVAL,
	   "registers: two pages EINVAL");
	test_run_state();
}

void test_sharing(void)
{
	int other = open_device(O_RDWR);
	uint64_t *a = map(device, place, IST_PAGE, PROT_READ | PROT_WRITE);
	uint64_t *b = map(other, place, IST_PAGE, PROT_READ);
	uint64_t before = a[1];
	pid_t pid;

	a[1] = 0x1234;
	ok(b[1] == 0x1234, "two files see one memory");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		a[1] = 0x5678;
		_exit(0);
	}
	reap(pid);
	ok(b[1] == 0x5678, "a child writes to the same");
	a[1] = before;
	munmap(a, IST_PAGE);
	munmap(b, IST_PAGE);
	close(other);
}
