/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_replica.c: cells whose content is in incoherent memory.
 *
 * Random use on the emulator (platform/incoherent.h), one call after the other, with caches that
 * send lines home and fetch them as they like in between; and at each point where the discipline
 * touches a line, others read. Every reading is compared with the version it says it is. Then the
 * same with a mistake in the discipline, each of which must be seen; and on the machine's own
 * instructions, where no mistake would be.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "platform/incoherent.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#define REGION 524288u
#define POOL 16384u
#define PEERS 4u
#define HANDLES (PEERS + 1u) /* the last one is a neighbour of the first: of the same peer */
#define USES 600u
#define SIZE_MAX_HERE 1000u

enum mistake {
	NONE,
	NO_WRITE_BACK,
	NO_INVALIDATE,
	LATE_WRITE_BACK, /* behind the publication */
	EARLY_VALID,     /* before the invalidation */
	SHARED_LINES,    /* slots of two peers have a line in common */
	MISTAKES,
};

static const char *const mistakes[] = {
	"none",        "no write-back", "no invalidation", "late write-back",
	"early valid", "shared lines",
};

/* Write-shared last: see mistakes_are_seen. */
static const enum ist_policy policies[] = {IST_READ_MOSTLY, IST_MIGRATORY, IST_DELEGATED,
					   IST_ADAPTIVE, IST_WRITE_SHARED};
#define POLICIES ((int)(sizeof(policies) / sizeof(policies[0])))
static const size_t sizes[] = {8, 40, 100, SIZE_MAX_HERE};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

static struct ist_group *groups[HANDLES];
static struct ist_cell *cells[HANDLES];
static struct ist_cell_options options;
static enum mistake mistake;
static uint64_t state;

/* The latest version that is known to be published, and the one that is being made. */
static uint8_t is[SIZE_MAX_HERE], next[SIZE_MAX_HERE];
static uint64_t number;
static unsigned wrong;  /* readings that were no version, or another than they said */
static unsigned acting; /* the handle that does something */
static unsigned nested; /* who reads in the middle of something is not looked at itself */

static uint64_t next_random(uint64_t below)
{
	return xorshift(&state) % below;
}

/* ---- The discipline, with a mistake ---------------------------------------------------------- */

static const void *late;
static size_t late_size;

static void read_and_compare(unsigned i);

/* In the middle of another's call: somebody reads; and the caches do what they like. */
static void meanwhile(unsigned reader)
{
	if (nested)
		return;
	nested = 1;
	read_and_compare(reader);
	nested = 0;
}

static void disturb(void)
{
	uint32_t id;

	for (id = 0; id < PEERS; id++) {
		if (next_random(4) == 0)
			incoherent_evict(id, next_random(UINT64_MAX));
		if (next_random(4) == 0)
			incoherent_refetch(id, next_random(UINT64_MAX));
	}
}

static void write_back(const void *from, size_t size)
{
	meanwhile((unsigned)next_random(HANDLES));
	disturb();
	if (mistake == LATE_WRITE_BACK) {
		late = from;
		late_size = size;
	} else if (mistake != NO_WRITE_BACK) {
		incoherent_flush.write_back(from, size);
	}
	meanwhile((unsigned)next_random(HANDLES));
}

static void invalidate(const void *from, size_t size)
{
	/* The peer that has two handles: the other one reads while this one invalidates. */
	int shared = !nested && (acting == 0 || acting == PEERS);
	uint64_t valid = shared ? *cells[0]->pool.valid : 0;

	if (mistake == EARLY_VALID && shared)
		*cells[0]->pool.valid = IST_CELL_NUMBER(ist_load(&cells[0]->memory->version)) + 1;
	if (shared)
		meanwhile(PEERS - acting);
	if (mistake == EARLY_VALID && shared)
		*cells[0]->pool.valid = valid;
	if (mistake != NO_INVALIDATE)
		incoherent_flush.invalidate(from, size);
	disturb();
}

static const struct ist_flush observed = {"observed", write_back, invalidate};

/* ---- Use ------------------------------------------------------------------------------------- */

static void open_all(const struct ist_flush *flush)
{
	unsigned i;

	number = 0;
	wrong = 0;
	memset(is, 0, sizeof(is));
	options.content_region = "pool";
	options.seats = HANDLES;
	for (i = 0; i < HANDLES; i++) {
		groups[i] = i < PEERS ? mem_join(i) : mem_join_client(0, 1);
		if (flush)
			groups[i]->flush = flush;
		ck_assert_int_eq(ist_cell_open(groups[i], "r", &options, &cells[i]), 0);
		ck_assert_ptr_nonnull(cells[i]->pool.flush);
		if (mistake == SHARED_LINES)
			cells[i]->slot_stride = (options.size + 7) / 8 * 8;
	}
}

static void close_all(void)
{
	unsigned i;

	for (i = 0; i < HANDLES; i++) {
		ist_cell_close(cells[i]);
		cells[i] = NULL;
		mem_forget(groups[i]);
	}
	mem_destroy();
}

/* A content is the one before, or the one that is being published, as its number says. */
static void compare(const uint8_t *content, uint64_t version)
{
	if (version == number)
		wrong += memcmp(content, is, options.size) != 0;
	else if (version == number + 1 && nested)
		wrong += memcmp(content, next, options.size) != 0;
	else
		wrong++;
}

static void read_and_compare(unsigned i)
{
	uint8_t content[SIZE_MAX_HERE];
	struct ist_cell *cell = cells[i];
	const void *place;
	uint64_t version = 0;
	int error;

	if (!cell || cell->section != IST_SECTION_NONE || cell->control)
		return;
	if (next_random(2)) {
		error = ist_cell_read(cell, content, &version, 0);
	} else {
		error = ist_cell_read_begin(cell, 0, &place);
		if (!error) {
			memcpy(content, place, options.size);
			version = cell->seen;
			error = ist_cell_read_end(cell);
		}
	}
	if (error)
		wrong++;
	else
		compare(content, version);
}

static void read_as(unsigned i)
{
	acting = i;
	read_and_compare(i);
}

/* Another value in every word, so that every store changes something. */
static void fill(uint8_t *content, size_t from, size_t size)
{
	static uint64_t last;
	size_t i;

	last++;
	for (i = from; i < size; i++)
		content[i] = (uint8_t)((i % 8 < 6 ? last >> i % 8 * 8 : i) ^ i / 8);
}

/* It was published, or not: and what was left out is done when it is too late. */
static void over(int error, int published)
{
	unsigned i;

	if (error)
		wrong++;
	/* Write-shared: what changes nothing is no version. */
	if (published && (options.policy != IST_WRITE_SHARED || memcmp(is, next, options.size))) {
		number++;
		memcpy(is, next, options.size);
	}
	if (!late)
		return;
	for (i = 0; i < HANDLES; i++)
		read_as(i);
	incoherent_flush.write_back(late, late_size);
	late = NULL;
}

static void write_whole(struct ist_cell *cell)
{
	/* Merged are bytes that differ: none may be as it was. */
	fill(next, 0, options.size);
	over(ist_cell_write(cell, next, IST_FOREVER), 1);
}

static void write_part(unsigned i, int abort)
{
	struct ist_cell *cell = cells[i];
	size_t from = next_random(options.size), to = from + next_random(options.size - from) + 1;
	void *content;
	int error = ist_cell_write_begin(cell, 0, IST_FOREVER, &content);

	if (error) {
		over(error, 0);
		return;
	}
	wrong += memcmp(content, is, options.size) != 0;
	memcpy(next, is, options.size);
	from = from / 8 * 8;
	fill(next, from, to);
	memcpy((uint8_t *)content + from, next + from, to - from);
	disturb();
	read_as((unsigned)next_random(HANDLES));
	acting = i;
	if (abort)
		over(ist_cell_write_abort(cell), 0);
	else
		over(ist_cell_write_end(cell), 1);
}

static void add(struct ist_cell *cell)
{
	const uint64_t one[IST_CELL_ARGUMENTS] = {0, 0x0101010101010101};
	uint64_t word;
	int64_t was;
	int error;

	memcpy(next, is, options.size);
	memcpy(&word, is, sizeof(word));
	word += one[1];
	memcpy(next, &word, sizeof(word));
	error = ist_cell_operate(cell, IST_OPERATION_ADD, one, &was, IST_FOREVER);
	wrong += !error && (uint64_t)was != word - one[1];
	over(error, 1);
}

/* How often a reading was wrong. With a mistake, once is enough. */
static unsigned use(unsigned uses)
{
	unsigned i;

	while (uses-- && (mistake == NONE || !wrong)) {
		i = acting = (unsigned)next_random(HANDLES);
		switch (next_random(8)) {
		case 0:
			write_whole(cells[i]);
			break;
		case 1:
			write_part(i, 0);
			break;
		case 2:
			write_part(i, 1);
			break;
		case 3:
			add(cells[i]);
			break;
		default:
			read_and_compare(i);
		}
		disturb();
	}
	for (i = 0; i < HANDLES; i++)
		read_as(i);
	return wrong;
}

static void start(int kind)
{
	options = (struct ist_cell_options){.size = sizes[kind % SIZES],
					    .policy = policies[kind / SIZES]};
	state = 88172645463325252u + (uint64_t)kind;
	incoherent_create(REGION, POOL, PEERS);
	open_all(&observed);
}

START_TEST(as_if_it_were_coherent)
{
	mistake = NONE;
	start(_i);
	ck_assert_uint_eq(use(USES), 0);
	close_all();
}
END_TEST

/*
 * Each is seen, whatever the policy and size: on wrong contents, or on errors that come of them.
 * But for lines that write-shared peers share: who merges has fetched the published lines in the
 * same call, and sends home nothing that is older.
 */
START_TEST(mistakes_are_seen)
{
	int kind = _i % (POLICIES * SIZES), rounds;

	mistake = (enum mistake)(1 + _i / (POLICIES * SIZES));
	start(kind);
	/* Lines that are shared take a coincidence. */
	for (rounds = 0; rounds < 20 && !use(USES); rounds++)
		;
	ck_assert_msg(wrong > 0, "%s, policy %d, size %zu: nothing was wrong", mistakes[mistake],
		      options.policy, options.size);
	close_all();
}
END_TEST

/* What a hit costs: no line is touched but to load, and `valid` stays as it is. */
START_TEST(hits_change_nothing)
{
	uint8_t *before, *from, content[SIZE_MAX_HERE];
	uint64_t valid;

	mistake = NONE;
	start(_i);
	nested = 1; /* nobody else reads */
	write_whole(cells[1]);
	ck_assert_int_eq(ist_cell_read(cells[0], content, NULL, 0), 0);
	before = malloc(mem_size());
	ck_assert_ptr_nonnull(before);
	memcpy(before, mem_base(), mem_size());
	valid = *cells[0]->pool.valid;
	cells[0]->pool.flush = &(struct ist_flush){"none", NULL, NULL}; /* or it crashes */
	ck_assert_int_eq(ist_cell_read(cells[0], content, NULL, 0), 0);
	ck_assert_int_eq(memcmp(content, is, options.size), 0);
	/* An adaptive cell counts, in the seat's own line, and may judge when it is time. */
	from = options.policy == IST_ADAPTIVE ? mem_pool() : mem_base();
	ck_assert_int_eq(memcmp(before + (from - mem_base()), from,
				mem_size() - (uint64_t)(from - mem_base())),
			 0);
	ck_assert_uint_eq(*cells[0]->pool.valid, valid);
	/* And its neighbour has it too. */
	cells[PEERS]->pool.flush = cells[0]->pool.flush;
	ck_assert_int_eq(ist_cell_read(cells[PEERS], content, NULL, 0), 0);
	free(before);
	nested = 0;
	close_all();
}
END_TEST

/* The machine's own instructions, over memory that is coherent. */
START_TEST(on_this_machine)
{
	if (!ist_flush_here()) {
		printf("# this machine's caches cannot be written back\n");
		return;
	}
	mistake = NONE;
	nested = 1;
	options = (struct ist_cell_options){.size = sizes[_i % SIZES],
					    .policy = policies[_i / SIZES]};
	state = 1 + (uint64_t)_i;
	mem_create_pool(REGION, &(struct mem_pool){.size = POOL, .peers = PEERS});
	open_all(NULL);
	ck_assert_ptr_eq(cells[0]->pool.flush, ist_flush_here());
	ck_assert_uint_eq(use(USES), 0);
	nested = 0;
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replica");
	TCase *uses = tcase_create("use");

	tcase_add_loop_test(uses, as_if_it_were_coherent, 0, POLICIES * SIZES);
	tcase_add_loop_test(uses, mistakes_are_seen, 0, POLICIES * SIZES * (MISTAKES - 1) - SIZES);
	tcase_add_loop_test(uses, hits_change_nothing, 0, POLICIES * SIZES);
	tcase_add_loop_test(uses, on_this_machine, 0, POLICIES * SIZES);
	suite_add_tcase(suite, uses);
	return suite_run(suite);
}
