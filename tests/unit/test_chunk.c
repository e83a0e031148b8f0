/* Chunked bodies, good ones cut at every byte and bad ones byte by byte and at once: the answer may not depend on how they arrive. */
#include "proxy/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEXT(s)    s, sizeof(s) - 1

struct good {
	const char *what, *in;
	size_t len;
	const char *canonical, *raw;
};

static const struct good good[] = {
	{"empty", TEXT("0\r\n\r\n"), "0\r\n\r\n", ""},
	{"one", TEXT("5\r\nhello\r\n0\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n", "hello"},
	{"two", TEXT("5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"), "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", "hello0123456789"},
	{"lines in the data", TEXT("4\r\n\r\n0\r\r\n0\r\n\r\n"), "4\r\n\r\n0\r\r\n0\r\n\r\n", "\r\n0\r"},
	{"leading zeros", TEXT("0005\r\nhello\r\n000\r\n\r\n"), "05\r\nhello\r\n0\r\n\r\n", "hello"},
	{"16 digits", TEXT("0000000000000001\r\nx\r\n0\r\n\r\n"), "01\r\nx\r\n0\r\n\r\n", "x"},
	{"v-chunk-ext", TEXT("1;a;b=c;d=\"e;\\\"\t\" ; f = g\r\nx\r\n0;z\r\n\r\n"), "1\r\nx\r\n0\r\n\r\n", "x"},
	{"space before the extension", TEXT("1 \t;a\r\nx\r\n0\r\n\r\n"), "1\r\nx\r\n0\r\n\r\n", "x"},
	{"trailer", TEXT("1\r\nx\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n"), "1\r\nx\r\n0\r\n\r\n", "x"},
	{"trailer-host-b", TEXT("0\r\nHost: b.example\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), "0\r\n\r\n", ""},
};

struct bad {
	const char *what, *in;
	size_t len;
};

static const struct bad bad[] = {
	{"chunk-0x", TEXT("0x5\r\nhello\r\n0\r\n\r\n")},
	{"chunk-plus", TEXT("+5\r\nhello\r\n0\r\n\r\n")},
	{"chunk-minus", TEXT("-5\r\nhello\r\n0\r\n\r\n")},
	{"chunk-underscore", TEXT("1_0\r\n")},
	{"chunk-empty", TEXT("\r\nhello\r\n")},
	{"chunk-empty-ext", TEXT(";a\r\nhello\r\n")},
	{"chunk-letters", TEXT("xyz\r\nhello\r\n0\r\n\r\n")},
	{"chunk-g", TEXT("5g\r\nhello\r\n")},
	{"chunk-overflow-17", TEXT("00000000000000005\r\nhello\r\n")},
	{"chunk-overflow-64", TEXT("ffffffffffffffff\r\nhello\r\n")},
	{"chunk-overflow-63", TEXT("8000000000000000\r\nhello\r\n")},
	{"chunk-leading-space", TEXT(" 5\r\nhello\r\n0\r\n\r\n")},
	{"chunk-trailing-space", TEXT("5 \r\nhello\r\n0\r\n\r\n")},
	{"chunk-comma", TEXT("5,5\r\nhello\r\n")},
	{"chunk-missing-crlf", TEXT("5\r\nhello0\r\n\r\n")},
	{"chunk-data-longer", TEXT("5\r\nhellos\r\n0\r\n\r\n")},
	{"chunk-data-xx", TEXT("5\r\nhelloxx0\r\n\r\n")},
	{"chunk-cr-x", TEXT("5\rx")},
	{"chunk-cr-cr", TEXT("5\r\r\nhello")},
	{"chunk-data-cr-cr", TEXT("5\r\nhello\r\r\n")},
	{"chunk-cr-in-ext", TEXT("5;a\rb\r\nhello\r\n")},
	{"chunk-cr-in-quotes", TEXT("5;a=\"\r\n0\r\n\r\n")},
	{"chunk-lf-only", TEXT("5\nhello\n0\n\n")},
	{"chunk-lf-after-size", TEXT("5\nhello\r\n0\r\n\r\n")},
	{"chunk-lf-after-data", TEXT("5\r\nhello\n0\r\n\r\n")},
	{"chunk-lf-last", TEXT("0\r\n\n")},
	{"chunk-lf-last-size", TEXT("0\n\r\n")},
	{"chunk-ext-bare-lf", TEXT("5;\nhello\r\n0\r\n\r\n")},
	{"chunk-ext-name-lf", TEXT("5;a\nhello\r\n0\r\n\r\n")},
	{"chunk-ext-value-lf", TEXT("5;a=b\nhello\r\n")},
	{"chunk-ext-quoted-lf", TEXT("5;a=\"\n\"\r\nhello\r\n")},
	{"chunk-ext-escaped-lf", TEXT("5;a=\"\\\n\"\r\nhello\r\n")},
	{"chunk-ext-nul", TEXT("5;a\0\r\nhello\r\n")},
	{"chunk-ext-quoted-nul", TEXT("5;a=\"\0\"\r\nhello\r\n")},
	{"chunk-ext-empty", TEXT("5;\r\nhello\r\n0\r\n\r\n")},
	{"chunk-ext-no-value", TEXT("5;a=\r\nhello\r\n")},
	{"chunk-ext-after-quotes", TEXT("5;a=\"b\"c\r\nhello\r\n")},
	{"chunk-ext-name-space", TEXT("5;a \r\nhello\r\n")},
	{"chunk-size-nul", TEXT("5\0\r\nhello\r\n")},
	{"chunk-final-xx", TEXT("0\r\nxxGET / HTTP/1.1\r\n")},
	{"chunk-final-xx-crlf", TEXT("5\r\nhello\r\n0\r\nxx\r\n\r\n")},
	{"chunk-trailer-no-colon", TEXT("0\r\nX\r\n\r\n")},
	{"chunk-trailer-empty-name", TEXT("0\r\n: x\r\n\r\n")},
	{"chunk-trailer-space-colon", TEXT("0\r\nX : x\r\n\r\n")},
	{"chunk-trailer-fold", TEXT("0\r\nX: x\r\n y\r\n\r\n")},
	{"chunk-trailer-space-first", TEXT("0\r\n X: x\r\n\r\n")},
	{"chunk-trailer-lf", TEXT("0\r\nX: x\n\r\n")},
	{"chunk-trailer-cr", TEXT("0\r\nX: x\ry\r\n\r\n")},
	{"chunk-trailer-nul", TEXT("0\r\nX: \0\r\n\r\n")},
	{"chunk-last-cr-x", TEXT("0\r\n\rx")},
};

/* Feeds at most step bytes at once, each from and to memory of just that size. Returns the last answer, *used over all. */
static enum parse feed(struct chunk *c, const char *in, size_t len, size_t step, size_t *used, char *out, size_t *out_len)
{
	enum parse rc = PARSE_MORE;

	*used = *out_len = 0;
	while (*used < len && rc == PARSE_MORE) {
		size_t n = len - *used < step ? len - *used : step, eaten, written;
		char *from = malloc(n), *to = malloc(n);

		memcpy(from, in + *used, n);
		rc = chunk_feed(c, from, n, &eaten, to, &written);
		assert_true(eaten <= n && written <= eaten);
		if (rc == PARSE_MORE)
			assert_int_equal(eaten, n);
		memcpy(out + *out_len, to, written);
		*used += eaten;
		*out_len += written;
		free(from);
		free(to);
	}
	return rc;
}

static void good_bodies_pass(void **state)
{
	static const size_t steps[] = {1, 2, 3, 5, 7, 1000};

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t s = 0; s < ROWS(steps) * 2; s++) {
			const struct good *g = &good[i];
			bool raw = s >= ROWS(steps);
			const char *want = raw ? g->raw : g->canonical;
			char in[300], out[300];
			size_t used, n;
			struct chunk c;

			memcpy(in, g->in, g->len);
			memcpy(in + g->len, "GET /", 5); /* the next message stays where it is */
			chunk_init(&c, raw);
			if (feed(&c, in, g->len + 5, steps[s % ROWS(steps)], &used, out, &n) != PARSE_OK || used != g->len)
				fail_msg("%s: used %zu of %zu", g->what, used, g->len);
			if (n != strlen(want) || memcmp(out, want, n) != 0)
				fail_msg("%s: %.*s", g->what, (int)n, out);
			assert_int_equal(chunk_feed(&c, "x", 1, &used, out, &n), PARSE_OK);
			assert_int_equal(used + n, 0);
		}
}

static void cut_anywhere_says_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t cut = 0; cut < good[i].len; cut++) {
			char out[300];
			size_t used, n;
			struct chunk c;

			chunk_init(&c, false);
			if (feed(&c, good[i].in, cut, 1000, &used, out, &n) != PARSE_MORE || used != cut)
				fail_msg("%s cut at %zu", good[i].what, cut);
		}
}

static void bad_bodies_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++)
		for (size_t step = 1; step < 1000; step += 333) {
			char out[300];
			size_t used, n;
			struct chunk c;

			chunk_init(&c, step > 500);
			if (feed(&c, bad[i].in, bad[i].len, step, &used, out, &n) != PARSE_BAD)
				fail_msg("%s", bad[i].what);
			assert_int_equal(chunk_feed(&c, "0\r\n\r\n", 5, &used, out, &n), PARSE_BAD); /* for good */
			assert_int_equal(used + n, 0);
		}
}

static void out_may_be_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		char buf[300];
		size_t used, n;
		struct chunk c;

		memcpy(buf, good[i].in, good[i].len);
		chunk_init(&c, i % 2);
		assert_int_equal(chunk_feed(&c, buf, good[i].len, &used, buf, &n), PARSE_OK);
		assert_int_equal(n, strlen(i % 2 ? good[i].raw : good[i].canonical));
		assert_memory_equal(buf, i % 2 ? good[i].raw : good[i].canonical, n);
	}
}

/* "5;aaa..." or "0\r\nX:aaa...": how many bytes until it is too much? */
static size_t endless(const char *start)
{
	size_t used, n, total = 0;
	char out[16];
	struct chunk c;
	enum parse rc;

	chunk_init(&c, false);
	rc = chunk_feed(&c, start, strlen(start), &used, out, &n);
	for (; rc == PARSE_MORE && total < 100000; total++)
		rc = chunk_feed(&c, "a", 1, &used, out, &n);
	return total;
}

static void lines_have_a_limit(void **state)
{
	char text[20001] = "", out[20001];
	size_t used, n;
	struct chunk c;

	(void)state;
	assert_int_equal(endless("5;"), 4097);
	assert_in_range(endless("0\r\nX:"), 8000, 8192);
	/* many short trailer lines are no way around it; many chunks with extensions are fine */
	strcpy(text, "0\r\n");
	for (size_t i = 3; i + 5 < 20000; i += 4)
		memcpy(text + i, "X:\r\n", 5);
	chunk_init(&c, false);
	assert_int_equal(chunk_feed(&c, text, strlen(text), &used, out, &n), PARSE_BAD);
	memcpy(text + 18000, "0\r\n\r\n", 5);
	chunk_init(&c, false);
	for (size_t i = 0; i < 18000; i += 9)
		memcpy(text + i, "1;ab\r\nx\r\n", 9);
	assert_int_equal(chunk_feed(&c, text, 18005, &used, out, &n), PARSE_OK);
}

static void data_may_be_moved_past(void **state)
{
	char out[100];
	size_t used, n;
	struct chunk c;

	(void)state;
	chunk_init(&c, false);
	assert_int_equal(chunk_data(&c), 0);
	assert_int_equal(chunk_feed(&c, "7ffffffffffffff", 15, &used, out, &n), PARSE_MORE);
	assert_int_equal(chunk_data(&c), 0); /* a size is not known before its line ends */
	assert_int_equal(chunk_feed(&c, "F\r\nab", 5, &used, out, &n), PARSE_MORE);
	assert_int_equal(n, 5);
	assert_true(chunk_data(&c) == INT64_MAX - 2);
	chunk_moved(&c, INT64_MAX - 3);
	assert_int_equal(chunk_data(&c), 1);
	chunk_moved(&c, 1);
	assert_int_equal(chunk_data(&c), 0);
	assert_int_equal(chunk_feed(&c, "\r\n0\r\n\r\n", 7, &used, out, &n), PARSE_OK);
	assert_int_equal(chunk_data(&c), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_bodies_pass), cmocka_unit_test(cut_anywhere_says_more), cmocka_unit_test(bad_bodies_are_refused),
		cmocka_unit_test(out_may_be_in),    cmocka_unit_test(lines_have_a_limit),     cmocka_unit_test(data_may_be_moved_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
