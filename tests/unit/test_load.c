/* SPDX-License-Identifier: BSD-2-Clause */
/* test_load.c: an image's segments come to RAM whole, whoever of two threads reads what. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/image.h"
#include "tests/suite.h"

#define MIB (1ull << 20)
#define FILE_SIZE (9 * MIB + 1000)
#define RAM_SIZE (14 * MIB)

static struct vmm_file file;
static struct vmm_error error;
static uint8_t *ram;
static int fd;
static char path[64];

/* Once for all tests. Each word of the file says where it is. */
static void make_file(void)
{
	uint64_t *words = malloc(FILE_SIZE);

	ck_assert_ptr_nonnull(words);
	for (uint64_t i = 0; i < FILE_SIZE / 8; i++)
		words[i] = i * 8 + 1;
	fd = memfd_create("image", MFD_CLOEXEC);
	for (uint64_t done = 0; done < FILE_SIZE;) {
		ssize_t n = write(fd, (const uint8_t *)words + done, FILE_SIZE - done);

		ck_assert_int_gt(n, 0);
		done += (uint64_t)n;
	}
	free(words);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void setup(void)
{
	ck_assert_int_eq(vmm_file_open(&file, "image", path, &error), 0);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(ram, MAP_FAILED);
	madvise(ram, RAM_SIZE, MADV_HUGEPAGE); /* fewer faults: no more */
}

static void teardown(void)
{
	vmm_file_close(&file);
	munmap(ram, RAM_SIZE);
}

/* Of no bytes, of less than a piece, of a whole number of pieces, of some and a rest. */
static const struct vmm_image image = {
	.low = MIB,
	.high = 13 * MIB,
	.segments = 5,
	.segment = {{.address = MIB, .memory_size = 4096},
		    {.address = 2 * MIB, .memory_size = 80, .file_offset = 800, .file_size = 80},
		    {.address = 3 * MIB,
		     .memory_size = 5 * MIB,
		     .file_offset = 4096,
		     .file_size = 4 * MIB},
		    {.address = 8 * MIB, .memory_size = 4096},
		    {.address = 8 * MIB + 8,
		     .memory_size = 5 * MIB - 8,
		     .file_offset = 4 * MIB + 8192,
		     .file_size = 4 * MIB + 984}},
};

/* What is in RAM is what the file has there, and nothing else is anywhere. */
static void check_ram(const struct vmm_image *loaded)
{
	const uint64_t *words = (const uint64_t *)(void *)ram;
	uint64_t at = 0, wrong = 0;

	for (unsigned i = 0; i <= loaded->segments; i++) {
		const struct vmm_segment *segment = &loaded->segment[i];
		uint64_t start = i < loaded->segments ? segment->address : RAM_SIZE;

		for (; at < start; at += 8)
			wrong += words[at / 8] != 0;
		for (; i < loaded->segments && at < start + segment->file_size; at += 8)
			wrong += words[at / 8] != segment->file_offset + (at - start) + 1;
	}
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(whole)
{
	ck_assert_int_eq(vmm_file_load(&file, &image, ram, &error), 0);
	check_ram(&image);
}
END_TEST

static void *nothing(void *argument)
{
	return argument;
}

/* Where there is no second thread to be had, the one there is reads all. */
START_TEST(alone)
{
	pthread_attr_t attributes;
	pthread_t none;

	ck_assert_int_eq(pthread_attr_init(&attributes), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attributes, (size_t)1 << 47), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&attributes), 0);
	ck_assert_int_ne(pthread_create(&none, NULL, nothing, NULL), 0);
	ck_assert_int_eq(vmm_file_load(&file, &image, ram, &error), 0);
	check_ram(&image);
}
END_TEST

START_TEST(small)
{
	struct vmm_image little = image;

	little.segments = 2;
	little.high = 2 * MIB + 4096;
	ck_assert_int_eq(vmm_file_load(&file, &little, ram, &error), 0);
	check_ram(&little);
}
END_TEST

/* A file that is cut while it is read: whichever thread finds out, it is said. */
START_TEST(cut)
{
	static const uint64_t size[] = {0, 3 * MIB, 6 * MIB, 8 * MIB + 8192};
	char expected[128];

	snprintf(expected, sizeof(expected), "image %s: became shorter while it was read", path);
	for (unsigned i = sizeof(size) / sizeof(size[0]); i-- != 0;) {
		error.text[0] = '\0';
		ck_assert_int_eq(ftruncate(fd, (off_t)size[i]), 0);
		ck_assert_int_eq(vmm_file_load(&file, &image, ram, &error), -EIO);
		ck_assert_str_eq(error.text, expected);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loading");
	TCase *tcase = tcase_create("load");

	tcase_add_unchecked_fixture(tcase, make_file, NULL);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, whole);
	tcase_add_test(tcase, alone);
	tcase_add_test(tcase, small);
	tcase_add_test(tcase, cut);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
