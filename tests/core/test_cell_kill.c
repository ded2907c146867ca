/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_kill.c: death, and stopping, at every instruction.
 *
 * A child does one thing with a cell, and is stopped at each instruction that stores to the shared
 * memory (stops.h). Ahead of each, and at the end, the memory is saved: the states a death can
 * leave behind, all of them. From each the survivors must go on: the version before, or the one
 * that was being published, whole, and the same one for all from then on; one of them is told; and
 * the next incarnation comes back. A survivor that repairs is itself stopped, and dies at every
 * instruction.
 *
 * What was published before the death is never lost after it. A section in the head that came to
 * nothing, by abort or death, has published once more what was there: so the content tells which
 * write it is from, beside its version's number.
 *
 * In each state the victim may also just be stopped: readers read, and those who want to write get
 * their timeouts, until it goes on and ends as if nothing had been.
 *
 * Where the content is in incoherent memory, the caches of the dead and the stopped send home what
 * they like, when they like: nothing, all of it, at once or when others have published.
 *
 * Deaths are of three kinds: the whole peer dies; a client of a peer dies, a process in a Linux
 * guest, and the roster says nothing; the same, and the survivor is a process in that guest, too.
 */
#include <stdio.h>

#include "cell.h"
#include "platform/incoherent.h"
#include "platform/memory.h"
#include "steps.h"
#include "tests/suite.h"

#define REGION 65536u
#define POOL 4096u
#define POOL_PEERS 4u
#define BEFORE 5u /* versions before */

enum death { OF_A_PEER, OF_A_CLIENT, OF_A_NEIGHBOUR, DEATHS };
static enum death death;
static uint32_t clients;

static struct ist_group *alice, *bob, *carol, *dave;
static struct ist_cell *a, *b, *c, *d;
static struct ist_cell_options options = {.region = "main", .flags = IST_CELL_POLL, .seats = 4};

struct scene {
	const char *name;
	void (*prepare)(void);
	void (*operate)(void); /* in the child */
	unsigned most;         /* versions it may publish */
};

/* Alice is peer 0. Bob and Carol are others, or her neighbours. */
static struct ist_group *join(uint32_t id)
{
	if (death == OF_A_PEER)
		return mem_join(id);
	return mem_join_client(death == OF_A_NEIGHBOUR ? 0 : id, ++clients);
}

static void die(uint32_t id, struct ist_group *group)
{
	if (death == OF_A_PEER)
		mem_die(id);
	else
		mem_die_client(group);
}

static void start(void)
{
	uint32_t id;

	a = b = c = NULL;
	clients = 0;
	if (options.content_region)
		incoherent_create(REGION, POOL, POOL_PEERS);
	else
		mem_create(REGION);
	for (id = 0; id < 3; id++)
		mem_forget(mem_join(id));
	alice = join(0);
	bob = join(1);
	carol = join(2);
}

static void fill(uint8_t *content, uint64_t number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		content[i] = (uint8_t)(number * 37 + i);
}

static int is_from(const uint8_t *content, uint64_t number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		if (content[i] != (number ? (uint8_t)(number * 37 + i) : 0))
			return 0;
	return 1;
}

#define TORN UINT64_MAX
#define UNDONE 2u /* sections that came to nothing, at most: the victim's, and one before */

/* The version of this number: which write it is from, whole. Nothing is undone but in the head. */
static uint64_t whole(const struct ist_cell *cell, const uint8_t *content, uint64_t number)
{
	uint64_t i, most = ist_cell_opens(cell) ? UNDONE : 0;

	for (i = 0; i <= most && i <= number; i++)
		if (is_from(content, number - i))
			return number - i;
	return TORN;
}

/* The next version, in place: so what was there must be the one before. */
static int write_next(struct ist_cell *cell)
{
	uint8_t next[256];
	void *content;
	uint64_t number;
	int error = ist_cell_write_begin(cell, 0, 0, &content);

	if (error)
		return error;
	number = IST_CELL_NUMBER(cell->version);
	if (whole(cell, content, number) == TORN)
		return -1000;
	fill(next, number + 1);
	memcpy(content, next, options.size);
	return ist_cell_write_end(cell);
}

static void prepare_nothing(void)
{
}

static void prepare_open(void)
{
	unsigned i;

	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	ck_assert_int_eq(ist_cell_open(carol, "c", &options, &c), 0);
	for (i = 0; i < BEFORE; i++)
		ck_assert_int_eq(write_next(i % 2 ? b : a), 0); /* Alice was the last */
	ck_assert_int_eq(ist_cell_read(b, (uint8_t[256]){0}, NULL, 0), 0);
	ck_assert_int_eq(ist_cell_read(c, (uint8_t[256]){0}, NULL, 0), 0);
}

static void prepare_others_turn(void)
{
	prepare_open();
	ck_assert_int_eq(write_next(b), 0);
}

/* By one who is nobody's neighbour: what it has written nobody's cache has. */
static void prepare_strangers_turn(void)
{
	prepare_open();
	dave = mem_join(3);
	ck_assert_int_eq(ist_cell_open(dave, "c", &options, &d), 0);
	ck_assert_int_eq(write_next(d), 0);
}

static void prepare_dead(void)
{
	void *content;

	prepare_open();
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	memset(content, 0x99, options.size);
	die(0, alice);
	alice = join(0);
}

/* Dead over its end: what it had committed to is to be done. */
static void prepare_dead_committed(void)
{
	uint64_t number;
	void *content;

	prepare_open();
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	number = IST_CELL_NUMBER(a->version) + 1;
	fill(content, number);
	if (a->open) {
		a->memory->version = IST_CELL_VERSION(number, IST_CELL_HEAD);
	} else if (a->in_head) {
		a->own->redo = IST_CELL_VERSION(number, IST_CELL_HEAD);
		a->memory->version = IST_CELL_VERSION(number - 1, IST_CELL_MOVING);
		a->memory->data[0] = 0x9999;
	} else if (a->pool.flush) {
		ist_cell_send(a, IST_CELL_VERSION(number, IST_CELL_WHERE(a->version) ^ 1));
	} else {
		a->memory->version = IST_CELL_VERSION(number, IST_CELL_WHERE(a->version) ^ 1);
	}
	die(0, alice);
	alice = join(0);
}

static void do_write(void)
{
	write_next(a);
}

static void do_abort(void)
{
	void *content;

	if (ist_cell_write_begin(a, 0, 0, &content) == 0) {
		memset(content, 0x77, options.size);
		ist_cell_write_abort(a);
	}
}

static void do_close(void)
{
	ist_cell_close(a);
}

static void do_open(void)
{
	ist_cell_open(alice, "c", &options, &a);
}

/* A survivor, who repairs: Carol, so that Bob is there to look. */
static void do_repair(void)
{
	write_next(c);
}

static void do_read(void)
{
	ist_cell_read(a, (uint8_t[256]){0}, NULL, 0);
}

/* `most` 2: a repair may also publish what the dead had committed to. */
static const struct scene scenes[] = {
	{"write again", prepare_open, do_write, 1},
	{"write after another", prepare_others_turn, do_write, 1},
	{"abort", prepare_open, do_abort, 0},
	{"read", prepare_open, do_read, 0},
	{"read what is new", prepare_strangers_turn, do_read, 0},
	{"close", prepare_open, do_close, 0},
	{"make the cell", prepare_nothing, do_open, 0},
	{"open after a death", prepare_dead, do_open, 0},
	{"open after a death at the end", prepare_dead_committed, do_open, 1},
	{"repair", prepare_dead, do_repair, 1},
	{"repair what was committed", prepare_dead_committed, do_repair, 1},
};
#define SCENES ((int)(sizeof(scenes) / sizeof(scenes[0])))

static const struct {
	enum ist_policy policy;
	size_t size;
	const char *pool;
} kinds[] = {
	{IST_MIGRATORY, 40, NULL},         {IST_READ_MOSTLY, 104, NULL},
	{IST_READ_MOSTLY, 72, "pool"},     {IST_READ_MOSTLY, 13, NULL},
	{IST_PRODUCER_CONSUMER, 40, NULL}, {IST_PRODUCER_CONSUMER, 100, NULL},
	{IST_DELEGATED, 40, NULL},         {IST_DELEGATED, 104, NULL},
	{IST_ADAPTIVE, 40, NULL},          {IST_MIGRATORY, 40, "pool"},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))
/* Of whom it is makes no difference to the policy: all deaths of the first ones, of others a
 * peer's. */
#define ALL_DEATHS 3
#define RUNS (ALL_DEATHS * (DEATHS - 1) + KINDS)

static uint64_t group_size(void)
{
	return mem_size();
}

/* What was read last: the next is from no earlier write, and of a later version or the same. */
static uint64_t last_from, last_version;

/* What one reads: a whole version, `first` to `last`. The death may be told, once. */
static int reads(struct ist_cell *cell, uint64_t first, uint64_t last, uint64_t *version,
		 unsigned *told)
{
	uint8_t content[256];
	uint64_t from;
	int n = ist_cell_read(cell, content, version, 0);

	if (n == -EOWNERDEAD) {
		++*told;
		n = ist_cell_read(cell, content, version, 0);
	}
	must(n == 0);
	must(*version >= first && *version <= last);
	from = whole(cell, content, *version);
	must(from != TORN && from >= last_from && *version >= last_version);
	must(from == last_from || *version != last_version);
	last_from = from;
	last_version = *version;
	return 0;
}

static int writes(struct ist_cell *cell, unsigned *told)
{
	int n = write_next(cell);

	if (n == -EOWNERDEAD) {
		++*told;
		n = write_next(cell);
	}
	must(n == 0);
	last_from = last_version = cell->seen;
	return 0;
}

/* What the cache of the dead, or the stopped, does by itself: here or there, or not at all. */
static unsigned caches;

static void send_late(uint32_t id, unsigned when)
{
	if (!options.content_region)
		return;
	incoherent_settle(id);
	if (caches >> when & 1)
		incoherent_evict(id, UINT64_MAX);
	if (caches >> 2 & 1)
		incoherent_refetch(id, UINT64_MAX);
}

/* The latest number there can be. */
static uint64_t most_of(const struct scene *scene, uint64_t first)
{
	return first + scene->most + (b && ist_cell_opens(b) ? UNDONE : 0);
}

static int survive(const struct scene *scene, uint64_t first)
{
	uint64_t last = most_of(scene, first), version, again;
	unsigned repairing = scene->operate == do_repair;
	int line;
	struct ist_cell *other;
	unsigned told = 0;

	/* What Bob has seen is published. Caches are looked at as they are. */
	if (b && !options.content_region) {
		line = reads(b, first, last, &version, &told);
		must(line == 0);
	}
	if (repairing)
		die(2, carol); /* the one before her is dead already */
	else
		die(0, alice);
	send_late(repairing ? 2 : 0, 0);
	if (!b)
		must(ist_cell_open(bob, "c", &options, &b) == 0);
	/* Bob reads, whatever state it is in; then he writes, and reads again. */
	line = reads(b, first, last + repairing, &version, &told);
	must(line == 0);
	line = writes(b, &told);
	must(line == 0);
	send_late(repairing ? 2 : 0, 1);
	if (options.content_region) /* or he reads what he has written */
		incoherent_refetch(1, UINT64_MAX);
	line = reads(b, version + 1, last + repairing + 1, &again, &told);
	must(line == 0);
	/* Then a new incarnation: it gets the same. */
	if (repairing)
		carol = join(2);
	else
		alice = join(0);
	must(ist_cell_open(repairing ? carol : alice, "c", &options, &other) == 0);
	line = reads(other, again, again, &version, &told);
	must(line == 0);
	line = writes(other, &told);
	must(line == 0);
	line = reads(b, again + 1, again + 1, &version, &told);
	must(line == 0);
	must(told <=
	     1u + (scene->prepare == prepare_dead || scene->prepare == prepare_dead_committed));
	must(other->memory->waiters == 0);
	return 0;
}

/* The victim is only stopped. Nobody takes anything from it. */
static int endure(const struct scene *scene, uint64_t first)
{
	uint64_t last = most_of(scene, first), version, again;
	struct ist_directory before, after;
	unsigned told = 0;
	int line, n;

	if (!b || scene->prepare == prepare_dead || scene->prepare == prepare_dead_committed)
		return 0;
	send_late(0, 0);
	before = coh_load(&b->memory->directory);
	line = reads(b, first, last, &version, &told);
	must(line == 0);
	n = write_next(b);
	after = coh_load(&b->memory->directory);
	if (IST_DIR_BUSY(before.control)) {
		must(n == -ETIMEDOUT);
		must(coh_equal(before, after));
	} else {
		must(n == 0);
		send_late(0, 1);
		line = reads(b, version + 1, version + 1, &again, &told);
		must(line == 0);
	}
	must(!told);
	return 0;
}

static void try_state(const struct scene *scene, const uint8_t *state, uint64_t first,
		      int (*go_on)(const struct scene *, uint64_t), const char *what)
{
	pid_t child;
	int status;

	memcpy(mem_base(), state, group_size());
	child = fork();
	if (child == 0) {
		int line = go_on(scene, first);

		if (line)
			fprintf(stderr, "%s, %s: death %d, size %zu, policy %d: line %d\n",
				scene->name, what, death, options.size, options.policy, line);
		_exit(line != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s, %s", scene->name, what);
}

START_TEST(at_every_instruction)
{
	const struct scene *scene = &scenes[_i / RUNS];
	int run = _i % RUNS,
	    kind = run < ALL_DEATHS * DEATHS ? run / DEATHS : run - ALL_DEATHS * (DEATHS - 1);
	static uint8_t *states[STEPS_MAX];
	unsigned i, count;
	uint64_t first;

	death = run < ALL_DEATHS * DEATHS ? (enum death)(run % DEATHS) : OF_A_PEER;
	options.policy = kinds[kind].policy;
	options.size = kinds[kind].size;
	options.content_region = kinds[kind].pool;
	start();
	scene->prepare();
	/* The last version that was published, or the dead had committed to. */
	first = !b ? 0
		   : BEFORE + (scene->prepare == prepare_others_turn ||
			       scene->prepare == prepare_strangers_turn);
	count = steps_collect(scene->operate, group_size(), states);
	ck_assert_uint_gt(count, scene->operate == do_read ? 0 : 1); /* or nothing was done */
	for (i = 0; i < count; i++) {
		caches = i % 8;
		try_state(scene, states[i], first, survive, "dead");
		if (death == OF_A_PEER)
			try_state(scene, states[i], first, endure, "stopped");
		free(states[i]);
	}
	mem_destroy();
}
END_TEST

/*
 * The other way round: a reader is stopped at each of its looks, and the writer publishes a
 * version, gives one up, or stops in its section. What it reads is whole, and was published. Each
 * time in a copy of the reader, which goes on from there: the reader itself sees nothing of it.
 */
static int write_and_stop(void)
{
	void *content;

	if (ist_cell_write_begin(a, 0, 0, &content))
		return 1;
	memset(content, 0x77, options.size);
	return 0;
}

static int write_and_abort(void)
{
	return write_and_stop() || ist_cell_write_abort(a);
}

static int write_whole(void)
{
	return write_next(a);
}

static const struct {
	int (*act)(void);
	unsigned published;
} acts[] = {{write_whole, 1}, {write_and_abort, 0}, {write_and_stop, 0}};
#define ACTS ((int)(sizeof(acts) / sizeof(acts[0])))

static struct {
	int act;
	unsigned looks; /* so far */
	int is_copy;
} reader;

/* What its cache fetches meanwhile: nothing, or what there is from some line on. */
#define FETCHES (1 + POOL / IST_LINE)

static void fetch(unsigned which)
{
	incoherent_settle(1);
	if (which)
		incoherent_refetch(1, UINT64_MAX << (which - 1));
}

static void act_and_look_on(void)
{
	static uint8_t before[IST_REGIONS_OFFSET + REGION + IST_PAGE + (2 * POOL_PEERS + 2) * POOL];
	unsigned which, fetches = options.content_region ? FETCHES : 1;
	int status;
	pid_t copy;

	ck_assert_uint_le(group_size(), sizeof(before));
	memcpy(before, mem_base(), group_size());
	for (which = 0; which < fetches; which++) {
		copy = fork();
		ck_assert_int_ge(copy, 0);
		if (copy == 0) {
			stops_end();
			reader.is_copy = 1;
			if (acts[reader.act].act())
				_exit(2);
			if (options.content_region)
				fetch(which);
			return;
		}
		ck_assert_int_eq(waitpid(copy, &status, 0), copy);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
			      "ahead of look %u, fetch %u: status %d", reader.looks, which, status);
		memcpy(mem_base(), before, group_size());
	}
	reader.looks++;
}

START_TEST(written_between_any_two_looks)
{
	int n, kind = _i / ACTS;
	uint8_t content[256];
	uint64_t version;

	death = OF_A_PEER;
	options.policy = kinds[kind].policy;
	options.size = kinds[kind].size;
	options.content_region = kinds[kind].pool;
	start();
	prepare_open();
	reader.act = _i % ACTS;
	stops_begin(mem_base(), group_size(), STOPS_ACCESSES, act_and_look_on);
	n = ist_cell_read(b, content, &version, 0);
	stops_end();
	if (reader.is_copy)
		_exit(n || version < BEFORE || version > BEFORE + 1 ||
		      !is_from(content, acts[reader.act].published ? version : BEFORE));
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(version, BEFORE);
	ck_assert_uint_ge(reader.looks, 3); /* the version, the content, the version */
	mem_destroy();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell_kill");
	TCase *test = tcase_create("steps");

#ifdef __SANITIZE_THREAD__
	printf("TSan does not live with a process that is stopped at its accesses\n");
	return 77;
#endif
	tcase_add_loop_test(test, at_every_instruction, 0, SCENES * RUNS);
	tcase_add_loop_test(test, written_between_any_two_looks, 0, KINDS * ACTS);
	tcase_set_timeout(test, 240);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
