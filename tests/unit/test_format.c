/* SPDX-License-Identifier: BSD-2-Clause */
/* test_format.c: the app VM's formatter against libc's. */
#include <check.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"
#include "tests/xorshift.h"

#include "guestlib/platform/bare/format.c"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) /* slow */
#define MANY 20000
#else
#define MANY 200000
#endif

struct buffer {
	struct ist_sink sink;
	size_t used;
	char text[4096];
};

static void buffer_write(struct ist_sink *sink, const char *text, size_t length)
{
	struct buffer *buffer = (struct buffer *)sink;

	ck_assert_uint_gt(length, 0);
	ck_assert_uint_lt(buffer->used + length, sizeof(buffer->text));
	memcpy(buffer->text + buffer->used, text, length);
	buffer->used += length;
	buffer->text[buffer->used] = 0;
}

static int format_into(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int format_into(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	int written;

	buffer->sink.write = buffer_write;
	buffer->used = 0;
	buffer->text[0] = 0;
	va_start(arguments, format);
	written = ist_format(&buffer->sink, format, arguments);
	va_end(arguments);
	return written;
}

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char expected_[4096];                                                              \
		struct buffer ours_;                                                               \
		int length_ = snprintf(expected_, sizeof(expected_), __VA_ARGS__);                 \
		ck_assert_int_eq(format_into(&ours_, __VA_ARGS__), length_);                       \
		ck_assert_str_eq(ours_.text, expected_);                                           \
	} while (0)

static uint64_t state = 88172645463325252ull;

static uint64_t random64(void) /* the same every time */
{
	return xorshift(&state);
}

START_TEST(integers)
{
	static const int64_t values[] = {0,         1,          -1,        9,
					 10,        -10,        12345,     INT32_MAX,
					 INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int64_t v = values[i];
		int d = (int)v;
		unsigned u = (unsigned)v;

		SAME("%d|%i|%5d|%-5d|%05d|%1d", d, d, d, d, d, d);
		SAME("%u|%x|%X|%8x|%-8x|%08X", u, u, u, u, u, u);
		SAME("%ld|%lld|%zd|%25ld|%-25ld|%025ld", v, (long long)v, v, v, v, v);
		SAME("%lu|%llx|%zX|%020lx", (uint64_t)v, (unsigned long long)v, (uint64_t)v,
		     (uint64_t)v);
		SAME("%.0d|%.3d|%8.3d|%-8.3d|%*d|%.*d", d, d, d, d, 9, d, 12, d);
		SAME("%*d|%.*d", -9, d, -1, d);
	}
}
END_TEST

START_TEST(text)
{
	static const char unterminated[3] = {'a', 'b', 'c'};

	SAME("plain");
	SAME("%s|%10s|%-10s|%.2s|%.0s|%8.3s|%-8.3s|", "hello", "hello", "hello", "hello", "hello",
	     "hello", "hello");
	SAME("%.3s|%.*s", unterminated, 2, unterminated);
	SAME("%c%c|%3c|%-3c|%%|%s", 'a', 0x7f, 'b', 'c', "");
	SAME("%p|%20p|%-20p|", (void *)0x1234, (void *)UINTPTR_MAX, (void *)1);
	SAME("%p|%10p", (void *)NULL, (void *)NULL);
	SAME("%s%s%s", "", "%d", "%");
}
END_TEST

/* What nothing promises comes out as it stands, and takes no argument. */
START_TEST(unknown)
{
	static const char *const formats[] = {"%",       "%k",  "100%", "%5",
					      "%-08.3l", "% d", "%#x",  "%n"};
	struct buffer ours;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		format_into(&ours, formats[i]);
#pragma GCC diagnostic pop
		ck_assert_str_eq(ours.text, formats[i]);
	}
	format_into(&ours, "%s", (const char *)(uintptr_t)random64() ? NULL : "");
	ck_assert_str_eq(ours.text, "(null)");
}
END_TEST

START_TEST(doubles)
{
	static const double values[] = {0.0,          1.0,
					0.5,          1.5,
					2.5,          0.05,
					0.125,        0.375,
					1e-5,         9.9995,
					99.95,        999999.9999995,
					1e15,         1e17,
					1.8e19,       1e22,
					1e100,        1.7976931348623157e308,
					5e-324,       2.2e-308,
					1e-23,        0.1,
					1.0 / 3,      123456789.123456789,
					0.9999999999, 4503599627370497.5,
					999999999.5,  1e9,
					0x1p64};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		for (int sign = -1; sign <= 1; sign += 2) {
			double v = sign * values[i];

			SAME("%f|%.0f|%.1f|%.2f|%.3f|%.9f|%.10f|%.18f", v, v, v, v, v, v, v, v);
			SAME("%12.3f|%-12.3f|%012.3f|%.40f", v, v, v, v);
			SAME("%.1074f|%.1100f", v, v);
		}
	}
	SAME("%f|%5.1f|%-6f|%06f|%f", INFINITY, INFINITY, -INFINITY, INFINITY, (double)NAN);
}
END_TEST

START_TEST(random_doubles)
{
	for (int i = 0; i < MANY; i++) {
		uint64_t bits = random64();
		int precision = (int)(random64() % 24);
		double v;

		memcpy(&v, &bits, sizeof(v));
		SAME("%.*f", precision, v);
		/* and of everyday size, often exactly between two */
		v = (double)(int64_t)(bits >> 20) / (double)(1 << (bits % 20));
		SAME("%.*f", precision % 8, v);
	}
}
END_TEST

START_TEST(random_integers)
{
	for (int i = 0; i < MANY; i++) {
		uint64_t v = random64() >> (random64() % 64);
		int width = (int)(random64() % 30) - 10, precision = (int)(random64() % 25) - 1;

		SAME("%*.*ld|%0*lx|%-*.*lX|", width, precision, (int64_t)v, width, v, width,
		     precision, v);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("format");
	TCase *tests = tcase_create("format");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, integers);
	tcase_add_test(tests, text);
	tcase_add_test(tests, unknown);
	tcase_add_test(tests, doubles);
	tcase_add_test(tests, random_doubles);
	tcase_add_test(tests, random_integers);
	return suite_run(suite);
}
