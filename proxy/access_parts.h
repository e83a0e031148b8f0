#pragma once
/* access_parts - how the files of the access log share the work: access.c writes out, access_text.c and access_json.c make a line. By hand
 * and not by printf: this runs once per request, and printf alone would cost as much as all the rest of our work on it. Not for others. */
#include "proxy/access.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#define LINE_CAP 4096u /* of one line; it also fits one atomic write to a pipe (PIPE_BUF) */
#define WORD_CAP 132u  /* our own and the operator's words */

struct access_text {
	char text[LINE_CAP];
	size_t len;
};

struct access_clock {
	time_t second; /* that `stamp` is the text of; -1: none yet */
	char stamp[24];
};
void access_add_time(struct access_text *l, struct access_clock *c, unsigned width); /* now: "2026-01-31T23:59:59.123Z" with 3 digits */

void access_format_text(struct access_text *l, struct access_clock *c, const struct access_line *in);
void access_format_json(struct access_text *l, struct access_clock *c, const struct access_line *in);

static inline void access_add(struct access_text *l, const char *p, size_t len)
{
	assert(len <= sizeof l->text - l->len); /* the caps of a format add up to less */
	memcpy(l->text + l->len, p, len);
	l->len += len;
}

#define ACCESS_ADD(l, literal) access_add((l), literal, sizeof literal - 1)

static inline void access_add_number(struct access_text *l, uint64_t n)
{
	char digits[20], *p = digits + sizeof digits;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	access_add(l, p, (size_t)(digits + sizeof digits - p));
}

/* n with leading zeros: of a fraction of a second. */
static inline void access_add_digits(struct access_text *l, unsigned n, unsigned width)
{
	char digits[9];
	for (unsigned i = width; i--; n /= 10)
		digits[i] = (char)('0' + n % 10);
	access_add(l, digits, width);
}
