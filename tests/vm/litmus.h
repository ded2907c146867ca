/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * litmus.h: the litmus tests MP, SB, LB, CoRR and IRIW, of words that whoever includes this loads
 * and stores (load_word(), store_word(), of words 0 to 8), among the instances that it knows
 * (`group`, `self`, `peers`; `sleeps`: who waits long may). They meet in `meet`: words from 2 on,
 * of memory that is the processor's own.
 */
#ifndef TESTS_VM_LITMUS_H
#define TESTS_VM_LITMUS_H

#define LITMUS_SLEEP_NS 100000ull

/* What two threads of a round found, left where the judge reads it: in "meet". */
static void leave(uint32_t place, uint64_t value)
{
	__atomic_store_n(&meet[64 + place], value, __ATOMIC_SEQ_CST);
}

static uint64_t left(uint32_t place)
{
	return __atomic_load_n(&meet[64 + place], __ATOMIC_SEQ_CST);
}

/* Who comes last opens the round for all. No word is touched in it; who waits long sleeps. */
static void step(uint64_t round)
{
	uint32_t seen = 0;

	__atomic_add_fetch(&meet[2], 1, __ATOMIC_SEQ_CST);
	for (unsigned spins = 0; __atomic_load_n(&meet[2], __ATOMIC_SEQ_CST) < round * peers;
	     spins++)
		if (spins < 20000 || !sleeps)
			__builtin_ia32_pause();
		else
			ist_doorbell_wait(group, 1, &seen, LITMUS_SLEEP_NS);
}

static void play(unsigned test, uint64_t i)
{
	uint64_t a, b;

	switch (test * 8 + self) {
	case 0: /* MP */
		store_word(0, i);
		store_word(1, i);
		break;
	case 1:
		b = load_word(1);
		a = load_word(0);
		leave(0, b == i && a != i);
		break;
	case 8: /* SB, fenced as the processor needs it */
		store_word(2, i);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		leave(0, load_word(3) == i);
		break;
	case 9:
		store_word(3, i);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		leave(1, load_word(2) == i);
		break;
	case 16: /* LB */
		leave(0, load_word(4) == i);
		store_word(5, i);
		break;
	case 17:
		leave(1, load_word(5) == i);
		store_word(4, i);
		break;
	case 24: /* CoRR */
		store_word(6, i);
		break;
	case 25:
	case 26:
		a = load_word(6);
		b = load_word(6);
		leave(self - 1, a == i && b != i);
		break;
	case 32: /* IRIW: two writers, two readers that may not see them in different orders */
		store_word(7, i);
		break;
	case 33:
		store_word(8, i);
		break;
	case 34:
		a = load_word(7);
		b = load_word(8);
		leave(0, a == i && b != i);
		break;
	case 35:
		b = load_word(8);
		a = load_word(7);
		leave(1, b == i && a != i);
		break;
	default:
		break;
	}
}

/* What no order of the accesses explains. */
static int judge(unsigned test)
{
	switch (test) {
	case 0:
		return left(0) != 0;
	case 1:
		return !left(0) && !left(1);
	case 2:
		return left(0) && left(1);
	case 3:
		return left(0) || left(1);
	default:
		return left(0) && left(1);
	}
}

static int litmus(uint64_t rounds)
{
	static const char *const name[] = {"MP", "SB", "LB", "CoRR", "IRIW"};
	static uint64_t turn;
	int bad = 0;

	for (unsigned test = 0; test < (peers == 4 ? 5 : 4); test++) {
		for (uint64_t i = 1; i <= rounds; i++) {
			if (self == 0)
				leave(0, 0), leave(1, 0);
			step(++turn);
			play(test, i);
			step(++turn);
			if (self == 0 && judge(test)) {
				ist_print("bad: %s in round %lu\n", name[test], i);
				bad = 1;
			}
		}
	}
	if (self == 0 && !bad)
		ist_print("all orders are in order: %lu rounds\n", rounds);
	return bad;
}

#endif
