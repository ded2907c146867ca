/* SPDX-License-Identifier: BSD-2-Clause */
/* driver_holds.c: owner words in shared memory, and the deaths of their owners. */
#include "guest_driver.h"

static uint64_t *words; /* at `place` */

static int hold_and_die(void)
{
	int own = open_device(O_RDWR);
	struct ist_linux_info me = info_of(own);
	uint64_t owner = IST_OWNER(me.id, me.incarnation, me.client);

	for (unsigned i = 0; i < 4; i++)
		if (hold(own, place + 8 * i, 1))
			return 1;
	hold(own, place + 8, 0);
	words[0] = owner;     /* declared, held */
	words[1] = owner;     /* declared no more */
	words[2] = owner ^ 1; /* somebody else's */
	words[4] = owner;     /* never declared */
	kill(getpid(), SIGKILL);
	return 1;
}

static int child_file; /* inherited */

static int outlive(void)
{
	usleep(300000);
	return words[0] & IST_OWNER_DIED ? 1 : 0;
}

void test_holds(void)
{
	struct ist_linux_info me;
	uint64_t saved[8];
	uint32_t before = counts->count[0], held = 0;
	pid_t pid;

	words = map(device, place, IST_PAGE, PROT_READ | PROT_WRITE);
	memcpy(saved, words, sizeof(saved));
	memset(words, 0, sizeof(saved));
	ok(fails(hold(device, place + 4, 1), EINVAL), "HOLD: half a word: EINVAL");
	ok(fails(hold(device, place, 2), EINVAL), "HOLD: neither on nor off: EINVAL");
	ok(fails(hold(device, IST_ROSTER_OFFSET, 1), EACCES), "HOLD: in the roster: EACCES");
	ok(fails(hold(device, info.size, 1), EACCES), "HOLD: behind the end: EACCES");
	ok(fails(hold(device, ~7ull, 1), EACCES), "HOLD: nowhere: EACCES");
	ok(!hold(device, place, 1) && !hold(device, place, 1) && !hold(device, place, 0) &&
		   !hold(device, place, 0),
	   "HOLD: on and off again, each twice");

	pid = spawn(hold_and_die);
	ok(reap(pid) == 128 + SIGKILL, "a child is killed, holding words");
	ok(words[0] & IST_OWNER_DIED && IST_OWNER_ID(words[0]) == info.id,
	   "the held word says so: %llx", (unsigned long long)words[0]);
	ok(!(words[1] & IST_OWNER_DIED), "a word that was let go does not");
	ok(!(words[2] & IST_OWNER_DIED), "somebody else's does not");
	ok(!(words[4] & IST_OWNER_DIED), "an undeclared one does not");
	ok(words[3] == 0, "a declared one that was not held is untouched");
	ok(counts->count[0] != before, "the other users here are told on vector 0");

	child_file = open_device(O_RDWR);
	me = info_of(child_file);
	hold(child_file, place, 1);
	words[0] = IST_OWNER(me.id, me.incarnation, me.client);
	pid = spawn(outlive);
	close(child_file);
	ok(!(words[0] & IST_OWNER_DIED), "closed here, open in a child: not died");
	ok(reap(pid) == 0 && words[0] & IST_OWNER_DIED, "died when the child ends");

	child_file = open_device(O_RDWR);
	for (uint64_t at = place; held < IST_LINUX_HOLDS_MAX; at += 8, held++)
		if (hold(child_file, place + at % IST_PAGE, 1) || at == place + IST_PAGE - 8)
			break;
	ok(held == IST_PAGE / 8 - 1, "a page of words can be held");
	close(child_file);
	memcpy(words, saved, sizeof(saved));
	munmap(words, IST_PAGE);
}

/* Where this peer may write a region or section that is large enough. */
void test_hold_limit(void)
{
	uint64_t from = 0, n = 0;
	int own = open_device(O_RDWR);

	for (uint32_t i = 0; i < info.regions; i++)
		if (info.rights[i] == IST_RIGHT_WRITE && regions[i].size > 8 * IST_LINUX_HOLDS_MAX)
			from = regions[i].offset;
	if (!from) {
		skip("HOLD: ENOSPC", "no region of more than 32 KiB that this peer may write");
	} else {
		while (n < IST_LINUX_HOLDS_MAX && !hold(own, from + 8 * n, 1))
			n++;
		ok(n == IST_LINUX_HOLDS_MAX && fails(hold(own, from + 8 * n, 1), ENOSPC),
		   "HOLD: one more than %u: ENOSPC", IST_LINUX_HOLDS_MAX);
		ok(!hold(own, from, 0) && !hold(own, from + 8 * n, 1),
		   "HOLD: and again after one off");
	}
	close(own);
}
