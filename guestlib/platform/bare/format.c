/* SPDX-License-Identifier: BSD-2-Clause */
/* format.c: printf's formats without a libc; pure, so that a test compares it with one. */
#include "format.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A double as a decimal number, exactly: limbs of 9 digits, most significant first. 2^1024 has 309
 * digits before the point, 2^-1074 has 1074 after it.
 */
#define LIMB 1000000000u
#define LIMB_DIGITS 9u
#define WHOLE 35u
#define FRACTION 120u
#define FRACTION_DIGITS (FRACTION * LIMB_DIGITS)
#define SHIFT_MAX 29u /* LIMB << SHIFT_MAX, and a carry, fit in 64 bits */

struct output {
	struct ist_sink *sink;
	size_t written;
};

struct conversion {
	bool left, zero;
	int width;
	int precision; /* -1: none given */
	char length;   /* 'l' for l, ll and z: all are 64 bits wide; 0 */
};

static void put(struct output *out, const char *text, size_t length)
{
	if (!length)
		return;
	out->sink->write(out->sink, text, length);
	out->written += length;
}

static void pad(struct output *out, char with, size_t count)
{
	char block[16];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = with;
	for (; count > sizeof(block); count -= sizeof(block))
		put(out, block, sizeof(block));
	put(out, block, count);
}

/* Sign or 0x, zeros, body: within the conversion's width. */
static void put_field(struct output *out, const struct conversion *how, const char *prefix,
		      size_t zeros, const char *body, size_t length)
{
	size_t prefix_length = 0, used, room;

	while (prefix[prefix_length])
		prefix_length++;
	used = prefix_length + zeros + length;
	room = (size_t)how->width > used ? (size_t)how->width - used : 0;
	if (!how->left && !how->zero)
		pad(out, ' ', room);
	put(out, prefix, prefix_length);
	if (!how->left && how->zero)
		pad(out, '0', room);
	pad(out, '0', zeros);
	put(out, body, length);
	if (how->left)
		pad(out, ' ', room);
}

static void put_integer(struct output *out, struct conversion *how, const char *prefix,
			uint64_t value, unsigned base, const char *digits)
{
	char text[20], *end = text + sizeof(text), *at = end;
	size_t length, zeros = 0;

	for (; value; value /= base)
		*--at = digits[value % base];
	length = (size_t)(end - at);
	if (how->precision < 0 && !length)
		zeros = 1;
	else if (how->precision >= 0) {
		how->zero = false;
		if ((size_t)how->precision > length)
			zeros = (size_t)how->precision - length;
	}
	put_field(out, how, prefix, zeros, at, length);
}

static void put_string(struct output *out, struct conversion *how, const char *text)
{
	size_t length = 0;

	if (!text)
		text = "(null)";
	while ((how->precision < 0 || length < (size_t)how->precision) && text[length])
		length++;
	how->zero = false;
	put_field(out, how, "", 0, text, length);
}

/* limbs = mantissa * 2^exponent */
static void expand(uint32_t limbs[WHOLE + FRACTION], uint64_t mantissa, int exponent)
{
	for (size_t i = 0; i < WHOLE + FRACTION; i++)
		limbs[i] = 0;
	limbs[WHOLE - 1] = (uint32_t)(mantissa % LIMB);
	limbs[WHOLE - 2] = (uint32_t)(mantissa / LIMB);
	while (exponent > 0) {
		unsigned shift = exponent < (int)SHIFT_MAX ? (unsigned)exponent : SHIFT_MAX;
		uint64_t carry = 0;

		for (size_t i = WHOLE; i-- > 0;) {
			carry += (uint64_t)limbs[i] << shift;
			limbs[i] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
		exponent -= (int)shift;
	}
	while (exponent < 0) {
		unsigned shift = -exponent < (int)SHIFT_MAX ? (unsigned)-exponent : SHIFT_MAX;
		uint64_t rest = 0;

		for (size_t i = 0; i < WHOLE + FRACTION; i++) {
			rest = rest * LIMB + limbs[i];
			limbs[i] = (uint32_t)(rest >> shift);
			rest &= (1u << shift) - 1;
		}
		exponent += (int)shift;
	}
}

/* Rounds to `digits` after the point, halves to even; the digits beyond become 0. */
static void round_to(uint32_t limbs[WHOLE + FRACTION], size_t digits)
{
	size_t last = WHOLE + digits / LIMB_DIGITS; /* the limb the cut goes through */
	uint32_t unit = 1;                          /* what the last kept digit counts in it */
	uint32_t cut, half;
	bool odd, more = false;

	for (size_t i = digits % LIMB_DIGITS; i < LIMB_DIGITS; i++)
		unit *= 10;
	half = unit / 2;
	cut = limbs[last] % unit;
	odd = (unit == LIMB ? limbs[last - 1] : limbs[last] / unit) & 1;
	limbs[last] -= cut;
	for (size_t i = last + 1; i < WHOLE + FRACTION; i++) {
		more |= limbs[i] != 0;
		limbs[i] = 0;
	}
	if (cut < half || (cut == half && !more && !odd))
		return;
	limbs[last] += unit;
	for (size_t i = last; limbs[i] == LIMB; i--) {
		limbs[i] = 0;
		limbs[i - 1]++;
	}
}

static size_t put_limb(char *to, uint32_t limb)
{
	for (size_t i = LIMB_DIGITS; i-- > 0; limb /= 10)
		to[i] = (char)('0' + limb % 10);
	return LIMB_DIGITS;
}

static void put_double(struct output *out, struct conversion *how, double value)
{
	uint32_t limbs[WHOLE + FRACTION];
	char text[(WHOLE + FRACTION) * LIMB_DIGITS + 1], *at = text;
	size_t precision = how->precision < 0 ? 6 : (size_t)how->precision;
	size_t digits = precision < FRACTION_DIGITS ? precision : FRACTION_DIGITS;
	size_t first = 0, length = 0;
	uint64_t bits, mantissa;
	int exponent;

	__builtin_memcpy(&bits, &value, sizeof(bits));
	exponent = (int)(bits >> 52 & 0x7ff);
	mantissa = bits & ((1ull << 52) - 1);
	if (exponent == 0x7ff) {
		how->zero = false;
		put_field(out, how, bits >> 63 ? "-" : "", 0, mantissa ? "nan" : "inf", 3);
		return;
	}
	if (exponent)
		mantissa |= 1ull << 52;
	else
		exponent = 1;
	expand(limbs, mantissa, exponent - 1075);
	if (digits < FRACTION_DIGITS)
		round_to(limbs, digits);

	while (first < WHOLE - 1 && !limbs[first])
		first++;
	for (size_t i = first; i < WHOLE; i++)
		length += put_limb(text + length, limbs[i]);
	while (*at == '0' && at < text + length - 1) /* leading zeros, but for the last */
		at++;
	if (precision)
		text[length++] = '.';
	for (size_t i = 0; i < digits; i += LIMB_DIGITS)
		put_limb(text + length + i, limbs[WHOLE + i / LIMB_DIGITS]);
	length += digits;
	put_field(out, how, bits >> 63 ? "-" : "", 0, at, (size_t)(text + length - at));
	/* Digits beyond the exact ones are zeros; no field is wide enough to care. */
	pad(out, '0', precision - digits);
}

static const char *parse_number(const char *at, int *number, va_list *arguments)
{
	if (*at == '*') {
		*number = va_arg(*arguments, int);
		return at + 1;
	}
	for (*number = 0; *at >= '0' && *at <= '9'; at++) {
		if (*number < 100000)
			*number = *number * 10 + (*at - '0');
	}
	return at;
}

/* Flags, width, precision, length; returns where the conversion's letter is. */
static const char *parse(const char *at, struct conversion *how, va_list *arguments)
{
	*how = (struct conversion){.precision = -1};
	for (; *at == '-' || *at == '0'; at++) {
		if (*at == '-')
			how->left = true;
		else
			how->zero = true;
	}
	at = parse_number(at, &how->width, arguments);
	if (how->width < 0) {
		how->left = true;
		how->width = how->width == INT32_MIN ? 0 : -how->width;
	}
	if (*at == '.')
		at = parse_number(at + 1, &how->precision, arguments);
	for (; *at == 'l' || *at == 'z'; at++)
		how->length = 'l';
	return at;
}

static bool convert(struct output *out, char letter, struct conversion *how, va_list *arguments)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	int64_t number;
	uint64_t bits;
	char character;

	switch (letter) {
	case '%':
		put(out, "%", 1);
		return true;
	case 'd':
	case 'i':
		number = how->length ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
		bits = number < 0 ? -(uint64_t)number : (uint64_t)number;
		put_integer(out, how, number < 0 ? "-" : "", bits, 10, lower);
		return true;
	case 'u':
	case 'x':
	case 'X':
		bits = how->length ? va_arg(*arguments, uint64_t)
				   : va_arg(*arguments, unsigned int);
		put_integer(out, how, "", bits, letter == 'u' ? 10 : 16,
			    letter == 'X' ? upper : lower);
		return true;
	case 'p':
		bits = (uintptr_t)va_arg(*arguments, void *);
		if (bits)
			put_integer(out, how, "0x", bits, 16, lower);
		else
			put_string(out, how, "(nil)");
		return true;
	case 'c':
		character = (char)va_arg(*arguments, int);
		how->zero = false;
		put_field(out, how, "", 0, &character, 1);
		return true;
	case 's':
		put_string(out, how, va_arg(*arguments, const char *));
		return true;
	case 'f':
		put_double(out, how, va_arg(*arguments, double));
		return true;
	default:
		return false;
	}
}

int ist_format(struct ist_sink *sink, const char *format, va_list arguments)
{
	struct output out = {.sink = sink};
	struct conversion how;
	va_list rest;

	va_copy(rest, arguments);
	while (*format) {
		const char *end = format;

		while (*end && *end != '%')
			end++;
		put(&out, format, (size_t)(end - format));
		format = end;
		if (!*format)
			break;
		end = parse(format + 1, &how, &rest);
		if (convert(&out, *end, &how, &rest)) {
			format = end + 1;
		} else {
			put(&out, format, (size_t)(end - format));
			format = end;
		}
	}
	va_end(rest);
	return (int)out.written;
}
