/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pci_run_state.c: the run-state page at BAR4 of a Linux guest's function: read-only memory
 * where the guest puts it, or nowhere. Who writes the page is played by this test.
 */
#include <check.h>

#include "tests/pci_machine.h"
#include "tests/suite.h"

#include "ivshmem/run_state.h"

#define AT VMM_RUN_STATE_START /* of the first function; the second one's is behind it */

/* ---- In place of the BPF program: a page in a memfd ------------------------------------------ */

struct ivshm_run_state {
	int fd;
	struct ist_run_state *page;
};

static struct ivshm_run_state *made[2];
static unsigned makes;

int ivshm_run_state_create(unsigned groups, char *error, size_t error_size,
			   struct ivshm_run_state **out)
{
	struct ivshm_run_state *run = calloc(1, sizeof(*run));

	(void)error, (void)error_size;
	must(run && groups == 1);
	run->fd = memfd_create("run state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(run->fd >= 0 && ftruncate(run->fd, IST_RUN_STATE_SIZE) == 0);
	must(fcntl(run->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	run->page = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, run->fd, 0);
	must(run->page != MAP_FAILED);
	made[makes++] = *out = run;
	return 0;
}

void ivshm_run_state_destroy(struct ivshm_run_state *run)
{
	if (run == NULL)
		return;
	munmap(run->page, IST_RUN_STATE_SIZE);
	close(run->fd);
	free(run);
}

int ivshm_run_state_add_page(struct ivshm_run_state *run, unsigned group, uint32_t max_peers)
{
	must(group == 0);
	run->page->magic = IST_RUN_STATE_MAGIC;
	run->page->max_peers = max_peers;
	return run->fd;
}

int ivshm_run_state_watch(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			  const struct ivshm_run_seat *seat)
{
	(void)run, (void)thread, (void)seat;
	return 0;
}

void ivshm_run_state_forget(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			    const struct ivshm_run_seat *seat)
{
	(void)run, (void)thread, (void)seat;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static void setup(void)
{
	makes = 0;
	machine_run_state = true;
	machine_start(1, 2);
}

static void teardown(void)
{
	machine_stop();
}

static bool there(unsigned group, uint64_t address)
{
	return load(address, 8) == IST_RUN_STATE_MAGIC && made[group]->page->magic &&
	       load(address + 12, 4) == FIXTURE_PEERS;
}

static void move(unsigned device, uint32_t address)
{
	config_write(device, PCI_BASE_ADDRESS_4, 4, address);
}

/* Not before memory is decoded; then live, and a guest's stores change nothing. */
START_TEST(read_only_memory)
{
	uint32_t *running = &made[1]->page->peer[2].running;
	const uint64_t at = AT + IST_RUN_STATE_SIZE;
	const uint64_t word = at + (uint64_t)((uint8_t *)running - (uint8_t *)made[1]->page);

	ck_assert_uint_eq(bar(1, IST_BAR_RUN_STATE), AT);
	ck_assert_uint_eq(bar(2, IST_BAR_RUN_STATE), at);
	ck_assert(!there(0, AT) && !there(1, at));
	set_command(2, PCI_COMMAND_MEMORY);
	ck_assert(!there(0, AT) && there(1, at));
	for (uint32_t i = 0; i < 3; i++) {
		*running = i;
		ck_assert_uint_eq(load(word, 4), i);
		store(word, 4, 77);
		ck_assert_uint_eq(*running, i);
	}
	ck_assert_uint_eq(m.vm.group[1]->denied[1], 0);
	set_command(2, 0);
	ck_assert(!there(1, at));
}
END_TEST

START_TEST(moves_with_its_bar)
{
	set_command(1, PCI_COMMAND_MEMORY);
	ck_assert(there(0, AT));
	move(1, 0xd9000000);
	ck_assert(there(0, 0xd9000000) && load(AT, 8) != IST_RUN_STATE_MAGIC);
	move(1, 0xffffffff);
	ck_assert_uint_ne(load(0xd9000000, 8), IST_RUN_STATE_MAGIC);
	ck_assert_uint_eq(config_read(1, PCI_BASE_ADDRESS_4, 4), 0xffffc000);
	move(1, AT);
	ck_assert(there(0, AT));
}
END_TEST

/* Over RAM, over the interrupt controllers, over another's: nowhere, and the rest stays. */
START_TEST(where_something_else_is)
{
	const uint32_t taken[] = {0x100000, 0xfec00000, 0xfee00000, 0xffff8000,
				  AT + IST_RUN_STATE_SIZE};

	set_command(1, PCI_COMMAND_MEMORY);
	set_command(2, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		move(1, taken[i]);
		ck_assert_uint_eq(m.vm.group[0]->run_state, 0);
		ck_assert(there(1, AT + IST_RUN_STATE_SIZE));
		ck_assert_uint_eq(load(VMM_PCI_WINDOW64_START + IST_ROSTER_OFFSET, 8),
				  IST_ROSTER_MAGIC);
	}
	move(1, 0xfebfc000); /* the last place below the controllers */
	ck_assert(there(0, 0xfebfc000));
	move(1, AT + IST_RUN_STATE_SIZE);
	/* It has what another one gives up. */
	move(2, AT);
	ck_assert(there(1, AT) && there(0, AT + IST_RUN_STATE_SIZE));
}
END_TEST

/* A slot that KVM does not take away stays and is known of; one that it does not give is nowhere.
 */
START_TEST(refused_by_kvm)
{
	set_command(1, PCI_COMMAND_MEMORY);
	kvm.countdown = 1;
	move(1, 0xd9000000);
	ck_assert(kvm.fired && there(0, AT));
	ck_assert_uint_eq(m.vm.group[0]->run_state, AT);
	kvm.countdown = 2;
	move(1, 0xd9100000);
	ck_assert_uint_eq(kvm.countdown, 0);
	ck_assert_uint_eq(m.vm.group[0]->run_state, 0);
	ck_assert(load(AT, 8) != IST_RUN_STATE_MAGIC && load(0xd9100000, 8) == 0);
	move(1, 0xd9200000);
	ck_assert(there(0, 0xd9200000));
	ck_assert_uint_eq(m.vm.group[0]->complaints, 2);
}
END_TEST

/* The broker is gone: nothing is known of anybody, wherever the BAR goes. */
START_TEST(blank)
{
	set_command(1, PCI_COMMAND_MEMORY);
	made[0]->page->peer[2].running = 1;
	vmm_run_state_blank(m.vm.group[0]);
	ck_assert_uint_eq(load(AT, 8), 0);
	move(1, 0xd9000000);
	for (uint64_t at = 0; at < IST_RUN_STATE_SIZE; at += 8)
		must(load(0xd9000000 + at, 8) == 0);
	store(0xd9000000, 8, 1);
	ck_assert_uint_eq(load(0xd9000000, 8), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci run state");
	TCase *tc = tcase_create("BAR4");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, read_only_memory);
	tcase_add_test(tc, moves_with_its_bar);
	tcase_add_test(tc, where_something_else_is);
	tcase_add_test(tc, refused_by_kvm);
	tcase_add_test(tc, blank);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
