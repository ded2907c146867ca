/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_fuzz.c: a guest that does anything to its machine, as root, for some seconds:
 *   fuzz SECONDS SEED [--avoid LO-HI]... [--every-function]
 * Random accesses to the configuration space of the ivshmem functions (by sysfs, and by the ports
 * CF8h and CFCh), to their BAR0 and BAR1, and to all I/O ports but those to --avoid, by which a
 * machine resets itself, powers off, or writes to its own memory. With --every-function, writes to
 * the configuration space of all functions, not of the ivshmem ones alone. Drivers of the ivshmem
 * functions are unbound first. A guest can stop itself with MSI messages that are no plain
 * interrupts: those are left out. Prints the seed first, and last with what was done; exits with 0.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <isthmus/abi.h>

#define DEVICES "/sys/bus/pci/devices"
#define FUNCTIONS_MAX 16
#define RANGES_MAX 32
#define DWORDS 64u /* of configuration space */
#define BARS 2u    /* that have registers */

#define COMMAND 0x04u
#define BAR0 0x10u
#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA 0xcfcu

struct function {
	char name[24];
	uint32_t address; /* as CF8h takes it */
	int config;
	uint32_t found[DWORDS]; /* what was in there */
	volatile uint8_t *bar[BARS];
	uint32_t size[BARS]; /* to access; 0: none */
};

struct range {
	unsigned low, high;
};

static struct function functions[FUNCTIONS_MAX];
static unsigned function_count;
static struct range avoided[RANGES_MAX];
static unsigned range_count;
static int every_function;
static uint64_t random_state;
static struct {
	uint64_t config, raw, bars, ports, moves;
} done;

/* ---- Chance ---------------------------------------------------------------------------------- */

static uint64_t next(void) /* splitmix64: any seed will do, 0 too */
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)(next() % limit);
}

static uint64_t any_value(void)
{
	switch (below(5)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return 1ull << below(64);
	default:
		return next();
	}
}

static struct function *any_function(void)
{
	return &functions[below(function_count)];
}

/* ---- Configuration space by sysfs ------------------------------------------------------------ */

/* What the kernel refuses is not our subject. */
static void set_config(const struct function *function, uint32_t offset, unsigned size,
		       uint32_t word)
{
	if (pwrite(function->config, &word, size, offset) < 0)
		return;
}

static void fuzz_config(void)
{
	struct function *function = any_function();
	uint32_t offset = below(4) ? below(0x70) : below(256), word = 0;
	unsigned size = 1u << below(3);

	done.config++;
	if (below(2))
		set_config(function, offset, size, (uint32_t)any_value());
	else if (pread(function->config, &word, size, offset) < 0)
		return;
}

/* Back to where the kernel has put it, and decoded: or nothing would be reached any more. */
static void decode(struct function *function)
{
	for (uint32_t i = BAR0 / 4; i < BAR0 / 4 + 4; i++)
		set_config(function, 4 * i, 4, function->found[i]);
	set_config(function, COMMAND, 2, 0x0006); /* memory space, bus master */
}

/* To somewhere else: anywhere, near where it was, onto another function, to nowhere. */
static void move(struct function *function)
{
	uint32_t bar = below(3), offset = BAR0 + 4 * bar;
	uint32_t address = functions[below(function_count)].found[offset / 4];

	done.moves++;
	switch (below(4)) {
	case 0:
		address += below(16) << 12;
		break;
	case 1:
		address = (uint32_t)any_value();
		break;
	case 2:
		address = functions[below(function_count)].found[BAR0 / 4 + below(4)];
		break;
	default:
		break;
	}
	if (bar == 2)
		set_config(function, offset + 4, 4, (uint32_t)(any_value() >> below(64)));
	set_config(function, offset, 4, address);
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static int avoid(unsigned first, unsigned last)
{
	for (unsigned i = 0; i < range_count; i++) {
		if (first <= avoided[i].high && last >= avoided[i].low)
			return 1;
	}
	return 0;
}

static void access_port(uint16_t port, unsigned size, int write, uint32_t word)
{
	switch (size) {
	case 1:
		write ? outb((uint8_t)word, port) : (void)inb(port);
		break;
	case 2:
		write ? outw((uint16_t)word, port) : (void)inw(port);
		break;
	default:
		write ? outl(word, port) : (void)inl(port);
		break;
	}
}

/* One instruction, many accesses: another path through a hypervisor. */
static void repeat_port(uint16_t port, unsigned size, int write)
{
	uint32_t buffer[64];
	unsigned count = 1 + below(64);

	for (unsigned i = 0; i < 64; i++)
		buffer[i] = (uint32_t)any_value();
	switch (size) {
	case 1:
		write ? outsb(port, buffer, count) : insb(port, buffer, count);
		break;
	case 2:
		write ? outsw(port, buffer, count) : insw(port, buffer, count);
		break;
	default:
		write ? outsl(port, buffer, count) : insl(port, buffer, count);
		break;
	}
}

static void fuzz_port(void)
{
	unsigned port = below(4) ? below(0x10000) : below(0x1000), size = 1u << below(3);

	/* What CFCh means now depends on who used CF8h last: raw configuration accesses do both.
	 * And the kernel grants no access that ends beyond the last port. */
	if (avoid(port, port + size - 1) || port + size > 0x10000 ||
	    (port < CONFIG_DATA + 4 && port + size > CONFIG_DATA))
		return;
	done.ports++;
	if (below(8) == 0)
		repeat_port((uint16_t)port, size, below(2) != 0);
	else
		access_port((uint16_t)port, size, below(2) != 0, (uint32_t)any_value());
}

/* Of a function of ours; or of whatever may be at some address, to write only if allowed. */
static void fuzz_raw(void)
{
	uint32_t address = any_function()->address;
	unsigned size = 1u << below(3);
	uint16_t part = (uint16_t)(CONFIG_DATA + below(5 - size));
	int write = below(2) != 0;

	if (below(4) == 0) {
		address = 0x80000000 | (below(2) ? below(256) << 8 : below(0x10000) << 8);
		if (!every_function && (address >> 16 & 0xff) == 0)
			write = 0;
		if (below(16) == 0) /* not enabled, reserved bits */
			address = (uint32_t)any_value() & 0x7fffffff;
	}
	done.raw++;
	outl(address | below(64) << 2, CONFIG_ADDRESS);
	access_port(part, size, write, (uint32_t)any_value());
}

/* ---- BARs ------------------------------------------------------------------------------------ */

/*
 * A byte of the MSI-X table's data words is made part of a plain interrupt with a device's vector:
 * what else is possible (INIT, SMI, an exception's vector) ends this guest, as it should.
 */
static uint64_t harmless(uint32_t offset, unsigned size, uint64_t word)
{
	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = word >> 8 * i & 0xff, plain = byte;

		if ((offset + i) % 16 == 8)
			plain = 0x30 + byte % 0x50;
		if ((offset + i) % 16 == 9)
			plain = byte & ~7ull;
		word ^= (byte ^ plain) << 8 * i;
	}
	return word;
}

static void access_memory(volatile uint8_t *at, unsigned size, int write, uint64_t word)
{
	switch (size) {
	case 1:
		write ? (void)(*at = (uint8_t)word) : (void)*at;
		break;
	case 2:
		write ? (void)(*(volatile uint16_t *)at = (uint16_t)word)
		      : (void)*(volatile uint16_t *)at;
		break;
	case 4:
		write ? (void)(*(volatile uint32_t *)at = (uint32_t)word)
		      : (void)*(volatile uint32_t *)at;
		break;
	default:
		write ? (void)(*(volatile uint64_t *)at = word) : (void)*(volatile uint64_t *)at;
		break;
	}
}

static void fuzz_bar(void)
{
	struct function *function = any_function();
	uint32_t bar = below(BARS), offset;
	unsigned size = 1u << below(4);
	uint64_t word = any_value();

	if (function->size[bar] == 0)
		return;
	offset = below(below(2) ? 64 : function->size[bar]);
	if (below(4) != 0)
		offset &= ~(size - 1);
	if (offset + size > function->size[bar])
		return;
	if (bar == 0 && below(2)) /* a doorbell of somebody, with a vector that may be */
		word = IST_DOORBELL(below(IST_PEERS_MAX), below(IST_VECTORS_MAX + 1));
	if (bar == 1)
		word = harmless(offset, size, word);
	done.bars++;
	access_memory(function->bar[bar] + offset, size, below(2) != 0, word);
}

/* ---- The functions --------------------------------------------------------------------------- */

/* A number in a file of the function's folder; 0 when there is none. */
static unsigned long attribute(const char *name, const char *file)
{
	char path[320], text[32] = "";
	FILE *in;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", name, file);
	in = fopen(path, "re");
	if (in == NULL)
		return 0;
	if (fgets(text, sizeof(text), in) == NULL)
		text[0] = '\0';
	fclose(in);
	return strtoul(text, NULL, 16);
}

static void unbind(const char *name)
{
	char path[320];
	FILE *out;

	snprintf(path, sizeof(path), DEVICES "/%s/driver/unbind", name);
	out = fopen(path, "we");
	if (out == NULL)
		return; /* no driver */
	fputs(name, out);
	fclose(out);
}

static void map_bar(struct function *function, unsigned bar, uint32_t size)
{
	uint32_t offset = function->found[BAR0 / 4 + bar] & (IST_PAGE - 16);
	char path[320];
	void *page;
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/resource%u", function->name, bar);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return; /* there is no such BAR */
	page = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		printf("fuzz: %s: %s: left out\n", path, strerror(errno));
	} else {
		function->bar[bar] = (volatile uint8_t *)page + offset;
		function->size[bar] = size < IST_PAGE - offset ? size : IST_PAGE - offset;
	}
	close(fd);
}

static int add_function(const char *name)
{
	struct function *function = &functions[function_count];
	unsigned long vendor = attribute(name, "vendor"), device = attribute(name, "device");
	unsigned bus, slot, number;
	char path[320];
	int v1 = vendor == IST_V1_VENDOR && device == IST_V1_DEVICE;

	if (!v1 && (vendor != IST_V2_VENDOR || device != IST_V2_DEVICE))
		return 0;
	if (function_count == FUNCTIONS_MAX || strlen(name) >= sizeof(function->name) ||
	    sscanf(name, "%*x:%x:%x.%x", &bus, &slot, &number) != 3)
		return 0;
	unbind(name);
	strcpy(function->name, name);
	function->address = 0x80000000 | bus << 16 | slot << 11 | number << 8;
	snprintf(path, sizeof(path), DEVICES "/%s/config", name);
	function->config = open(path, O_RDWR | O_CLOEXEC);
	if (function->config < 0 || pread(function->config, function->found,
					  sizeof(function->found), 0) != sizeof(function->found))
		return -errno;
	function_count++;
	map_bar(function, 0, v1 ? IST_V1_BAR0_SIZE : IST_V2_BAR0_SIZE);
	map_bar(function, 1, IST_PAGE);
	return 0;
}

static int find_functions(void)
{
	DIR *folder = opendir(DEVICES);
	struct dirent *entry;
	int error = 0;

	if (folder == NULL)
		return -errno;
	while (error == 0 && (entry = readdir(folder)) != NULL)
		error = add_function(entry->d_name);
	closedir(folder);
	return error != 0 || function_count != 0 ? error : -ENODEV;
}

/* Leaves the functions as they were found; decoding last. */
static void restore(void)
{
	for (unsigned i = 0; i < function_count; i++) {
		for (uint32_t offset = 4 * DWORDS; offset != 0; offset -= 4)
			set_config(&functions[i], offset - 4, 4,
				   functions[i].found[offset / 4 - 1]);
	}
}

/* ---- The run --------------------------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec;
}

static void run(uint64_t seconds)
{
	for (uint64_t end = now() + seconds, i = 0; i % 64 != 0 || now() < end; i++) {
		uint32_t what = below(100);

		if (what < 15)
			fuzz_config();
		else if (what < 30)
			fuzz_raw();
		else if (what < 70)
			fuzz_bar();
		else if (what < 95)
			fuzz_port();
		else if (what < 97)
			move(any_function());
		else
			decode(any_function());
	}
}

static int add_range(const char *text)
{
	struct range *range = &avoided[range_count];

	if (range_count == RANGES_MAX || sscanf(text, "%x-%x", &range->low, &range->high) != 2 ||
	    range->low > range->high || range->high > 0xffff)
		return -EINVAL;
	range_count++;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t seconds, seed;
	int error = argc < 3;

	for (int i = 3; i < argc && !error; i++) {
		if (strcmp(argv[i], "--every-function") == 0)
			every_function = 1;
		else if (strcmp(argv[i], "--avoid") == 0 && i + 1 < argc)
			error = add_range(argv[++i]);
		else
			error = 1;
	}
	if (error) {
		fputs("usage: fuzz SECONDS SEED [--avoid LO-HI]... [--every-function]\n", stderr);
		return 2;
	}
	seconds = strtoull(argv[1], NULL, 0);
	seed = random_state = strtoull(argv[2], NULL, 0);
	error = find_functions();
	if (error == 0 && iopl(3) != 0)
		error = -errno;
	if (error) {
		fprintf(stderr, "fuzz: %s\n", strerror(-error));
		return 1;
	}
	printf("fuzz: seed %" PRIu64 ", %u functions, %" PRIu64 " s\n", seed, function_count,
	       seconds);
	fflush(stdout);
	run(seconds);
	restore();
	printf("fuzz: seed %" PRIu64 ", done: config %" PRIu64 ", raw %" PRIu64 ", bars %" PRIu64
	       ", ports %" PRIu64 ", moves %" PRIu64 "\n",
	       seed, done.config, done.raw, done.bars, done.ports, done.moves);
	return 0;
}
