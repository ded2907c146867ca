/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_legacy_bad.c: peers of QEMU's ivshmem-server protocol that talk, do not read, are too
 * many, or may not.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/log.h"
#include "tests/legacy_group.h"
#include "tests/suite.h"

#define MANY 16u /* vectors, more than a socket's buffer takes of messages */

static uint64_t word_of(const uint8_t *map, uint32_t id)
{
	const struct ist_peer *table = (const void *)(map + IST_PEER_TABLE_OFFSET);

	return __atomic_load_n(&table[id].word, __ATOMIC_ACQUIRE);
}

static void say(int socket, size_t size, unsigned descriptors)
{
	static const uint8_t bytes[65536];

	ck_assert_int_eq(raw_send_bytes(socket, bytes, size, descriptors, 0), (ssize_t)size);
}

START_TEST(talks)
{
	static const struct {
		size_t size;
		unsigned descriptors;
	} what[] = {{1, 0}, {8, 0}, {256, 0}, {1, 1}, {8, 4}, {65536, 0}};
	struct raw left = raw_live(&f, "left");

	for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		struct legacy third = join("third", 64 * i + 2, 1);
		unsigned before = count_descriptors();

		expect_come(&left, 2, i + 1);
		say(third.socket, what[i].size, what[i].descriptors);
		fixture_settle(&f);
		ck_assert_uint_eq(count_descriptors(), before - 1); /* its connection */
		ck_assert_uint_eq(raw_word(&left, 2), IST_PEER_WORD(IST_PEER_LEAVING, i + 1));
		legacy_kill(&f, &third);
		expect_gone(&left, 2, i + 1);
		close(third.socket);
	}
	raw_leave(&f, &left);
}
END_TEST

/* The others keep coming: each is hung up on, unanswered, and the first is not concerned. */
START_TEST(a_crowd)
{
	struct raw left = raw_live(&f, "left");
	struct legacy third = join("third", 2, 1);
	unsigned before = count_descriptors();
	int crowd[40];

	expect_come(&left, 2, 1);
	for (unsigned n = 0; n < 10; n++) {
		for (unsigned i = 0; i < 40; i++)
			crowd[i] = legacy_connect(&f, "third");
		for (unsigned i = 0; i < 40; i++) {
			legacy_expect_end(&f, crowd[i]);
			close(crowd[i]);
		}
	}
	ck_assert_uint_eq(count_descriptors(), before);
	ck_assert_uint_eq(raw_word(&left, 2), IST_PEER_WORD(IST_PEER_LIVE, 1));
	nothing_more(third.socket);
	ck_assert_uint_eq(f.broker->group[0].strangers, 0);
	legacy_kill(&f, &third);
	close(third.socket);
	raw_leave(&f, &left);
}
END_TEST

/* Reads what there is: how many doorbells of that ID came, after how many disconnects. */
static void read_all(int socket, uint32_t id, unsigned *bells, unsigned *disconnects)
{
	uint8_t bytes[8];
	int descriptor;

	for (;;) {
		fixture_settle(&f);
		if (legacy_try(socket, bytes, &descriptor))
			return;
		ck_assert_uint_eq(bytes[0] & 63, id);
		if (descriptor >= 0) {
			ck_assert_uint_lt(*bells, f.group.vectors);
			(*bells)++;
			close(descriptor);
		} else {
			(*disconnects)++;
			*bells = 0;
		}
	}
}

/* Does not read what it needs to join: it has not, and nobody is told of it. */
START_TEST(never_reads)
{
	struct legacy slow, third;
	unsigned bells = 0, disconnects = 0;
	const uint8_t *map;
	int bell[MANY];

	configure();
	f.group.vectors = MANY;
	ck_assert_int_eq(fixture_serve(&f), 0);
	third = legacy_start(&f, "third");
	map = map_memory(legacy_welcome(&f, third.socket, 2));
	legacy_expect_bells(&f, third.socket, 2, MANY, bell);
	close_all(bell, MANY);
	slow = legacy_start(&f, "right");
	fixture_settle(&f);
	ck_assert_uint_eq(word_of(map, 1), IST_PEER_WORD(IST_PEER_JOINING, 1));
	for (unsigned i = 0; i < 2 * IVSHM_PATIENCE_SECONDS * IVSHM_TICKS_A_SECOND; i++)
		ivshm_group_tick(&f.broker->group[0]); /* it is named, and that is all */
	ck_assert_uint_eq(word_of(map, 1), IST_PEER_WORD(IST_PEER_JOINING, 1));
	nothing_more(third.socket);

	close(legacy_welcome(&f, slow.socket, 1));
	legacy_expect_bells(&f, slow.socket, 2, MANY, bell);
	close_all(bell, MANY);
	legacy_expect_bells(&f, slow.socket, 1, MANY, bell);
	close_all(bell, MANY);
	ck_assert_uint_eq(word_of(map, 1), IST_PEER_WORD(IST_PEER_LIVE, 1));

	/* third does not read either: it has some of the doorbells when they go. */
	legacy_kill(&f, &slow);
	close(slow.socket);
	ck_assert_uint_eq(word_of(map, 1), IST_PEER_WORD(IST_PEER_DEAD, 1));
	read_all(third.socket, 1, &bells, &disconnects);
	ck_assert_uint_eq(bells, 0);
	ck_assert_uint_eq(disconnects, 1);
	slow = legacy_start(&f, "right");
	close(legacy_welcome(&f, slow.socket, 64 + 1));
	for (unsigned i = 0; i < 2 * MANY; i++)
		close(legacy_expect(&f, slow.socket, i < MANY ? 2 : 64 + 1));
	ck_assert_uint_eq(word_of(map, 1), IST_PEER_WORD(IST_PEER_LIVE, 2));
	read_all(third.socket, 1, &bells, &disconnects);
	ck_assert_uint_eq(bells, MANY);
	ck_assert_uint_eq(disconnects, 1);
	munmap((void *)(uintptr_t)map, 0x20000);
	legacy_kill(&f, &slow);
	legacy_kill(&f, &third);
	close(slow.socket);
	close(third.socket);
	fixture_stop(&f);
}
END_TEST

/* Stops reading when it is live: what no longer matters is left out, and nobody waits. */
START_TEST(slow_reader)
{
	struct legacy third = join("third", 2, 0);
	unsigned bells = 0, disconnects = 0;

	for (unsigned i = 0; i < 500; i++) {
		struct raw left = raw_live(&f, "left");

		raw_leave(&f, &left);
	}
	read_all(third.socket, 0, &bells, &disconnects);
	ck_assert_uint_eq(bells, 0);
	ck_assert_uint_ge(disconnects, 1);
	ck_assert_uint_lt(disconnects, 50);
	legacy_kill(&f, &third);
	close(third.socket);
}
END_TEST

/* When all numbers of an ID were used, no more incarnations of it are told; others are. */
START_TEST(numbers_run_out)
{
	struct legacy third = join("third", 2, 0), right;
	uint8_t bytes[8];
	int descriptor;

	for (unsigned n = 0; n < 1030; n++) {
		struct raw left = raw_live(&f, "left");

		for (unsigned i = 0; i <= FIXTURE_VECTORS && n < 1024; i++) {
			if (i == FIXTURE_VECTORS)
				raw_leave(&f, &left);
			descriptor = legacy_expect(&f, third.socket, 64 * n);
			ck_assert_int_eq(descriptor >= 0, i < FIXTURE_VECTORS);
			close(descriptor);
		}
		if (n >= 1024)
			raw_leave(&f, &left);
		fixture_settle(&f);
		ck_assert_int_eq(legacy_try(third.socket, bytes, &descriptor), -EAGAIN);
	}
	right = join("right", 1, 1);
	for (unsigned i = 0; i < FIXTURE_VECTORS; i++)
		close(legacy_expect(&f, third.socket, 1));
	legacy_kill(&f, &right);
	close(right.socket);
	legacy_kill(&f, &third);
	close(third.socket);
}
END_TEST

static char *warnings(int saved, FILE *file)
{
	static char text[4096];
	size_t size;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);
	return text;
}

/* Who does what it should not is told by name. */
START_TEST(is_named)
{
	int saved = dup(STDERR_FILENO), fd;
	FILE *file = tmpfile();
	struct legacy third = join("third", 2, 0), right;
	char expected[256], *text;

	ck_assert_ptr_nonnull(file);
	ivshm_log_level = IVSHM_LOG_WARN;
	dup2(fileno(file), STDERR_FILENO);
	fd = legacy_connect(&f, "third");
	legacy_expect_end(&f, fd);
	close(fd);
	for (unsigned i = 0; i < 20; i++) { /* right fills third's socket */
		right = legacy_start(&f, "right");
		legacy_kill(&f, &right);
		fixture_settle(&f);
		close(right.socket);
	}
	for (unsigned i = 0; i < 2 * IVSHM_PATIENCE_SECONDS * IVSHM_TICKS_A_SECOND; i++)
		ivshm_group_tick(&f.broker->group[0]);
	say(third.socket, 1, 0);
	fixture_settle(&f);
	ivshm_log_level = IVSHM_LOG_ERROR;
	text = warnings(saved, file);
	snprintf(expected, sizeof(expected),
		 "isthmus: group ping: refused pid %d of user %u: instance 'third' is already in "
		 "group 'ping' (pid %d)\n",
		 (int)getpid(), (unsigned)getuid(), (int)third.pid);
	ck_assert_msg(strstr(text, expected), "%s", text);
	snprintf(expected, sizeof(expected),
		 "isthmus: group ping: peer third (pid %d) has not read its socket for 5 seconds\n",
		 (int)third.pid);
	ck_assert_msg(strstr(text, expected), "%s", text);
	ck_assert_msg(!strstr(strstr(text, expected) + 1, expected), "told twice: %s", text);
	snprintf(
		expected, sizeof(expected),
		"isthmus: group ping: refused pid %d of user %u: instance 'third': QEMU's protocol "
		"has no messages to us\n",
		(int)third.pid, (unsigned)getuid());
	ck_assert_msg(strstr(text, expected), "%s", text);
	legacy_kill(&f, &third);
	close(third.socket);
}
END_TEST

/* ---- Sockets --------------------------------------------------------------------------------- */

static bool connects_as(uid_t uid)
{
	int result[2];
	char answer = 0;
	pid_t pid;

	must(pipe(result) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		struct pollfd p = {.events = POLLIN};
		uint8_t bytes[8];
		int descriptor;

		must(setresuid(uid, uid, uid) == 0);
		p.fd = legacy_connect(&f, "third");
		must(poll(&p, 1, FIXTURE_PATIENCE_MS) == 1);
		answer = legacy_try(p.fd, bytes, &descriptor) == 0 ? 'y' : 'n';
		must(write(result[1], &answer, 1) == 1);
		_exit(0);
	}
	close(result[1]);
	fixture_await(&f, result[0]);
	must(read(result[0], &answer, 1) == 1);
	close(result[0]);
	must(waitpid(pid, NULL, 0) == pid);
	fixture_settle(&f);
	return answer == 'y';
}

START_TEST(who_may)
{
	static char nobody[] = "nobody";
	char *users[] = {nobody};
	struct sockaddr_un address;
	struct stat status;

	configure();
	legacy_address(&f, "third", &address);
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(stat(address.sun_path, &status), 0);
	ck_assert_uint_eq(status.st_mode, S_IFSOCK | 0600);
	legacy_address(&f, "left", &address);
	ck_assert_int_eq(stat(address.sun_path, &status), -1); /* left is none of QEMU's */
	ivshm_broker_destroy(f.broker);

	if (geteuid() == 0) {
		f.group.users = users;
		f.group.users_count = 1;
		ck_assert_int_eq(chmod(f.dir, 0755), 0);
		ck_assert_int_eq(fixture_serve(&f), 0);
		legacy_address(&f, "third", &address);
		ck_assert_int_eq(stat(address.sun_path, &status), 0);
		ck_assert_uint_eq(status.st_mode, S_IFSOCK | 0666);
		ck_assert(!connects_as(12345));
		ck_assert(connects_as(65534));
		ivshm_broker_destroy(f.broker);
	}
	ck_assert_int_eq(rmdir(f.dir), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, bad QEMUs");
	TCase *tcase = tcase_create("peers"), *own = tcase_create("own");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, talks);
	tcase_add_test(tcase, a_crowd);
	tcase_add_test(tcase, slow_reader);
	tcase_add_test(tcase, numbers_run_out);
	tcase_add_test(tcase, is_named);
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(own, 120);
	tcase_add_test(own, never_reads);
	tcase_add_test(own, who_may);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
