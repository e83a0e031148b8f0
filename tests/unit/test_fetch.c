/* What is read from an answer as it comes, however it is cut; and what an echo's line proves. */
#include "proxy/fetch.h"
#include "proxy/prove.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In pieces of so many bytes, then the end. */
static int feed(const char *bytes, size_t len, size_t step, struct fetch_facts *f)
{
	struct fetch_answer a = {.buf = malloc(FETCH_MAX)};
	int rc = 0;

	*f = (struct fetch_facts){0};
	for (size_t at = 0; rc == 0 && at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		memcpy(a.buf + a.len, bytes + at, n);
		rc = fetch_feed(&a, n, false, f);
	}
	if (rc == 0)
		rc = fetch_feed(&a, 0, true, f);
	free(a.buf);
	return rc;
}

static void test_answers(void **state)
{
	static const struct {
		const char *bytes;
		int rc;
		unsigned status;
		uint64_t size;
		const char *title, *location, *said;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n<title>x</title>12345678trailing", 1, 200, 24, "x", "", "200"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<title>y\r\n8\r\n</title>\r\n0\r\n\r\n", 1, 200, 16, "y", "",
		 "200"},
		{"HTTP/1.0 200 OK\r\n\r\n<title>z</title>", 1, 200, 16, "z", "", "200"},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 1, 204, 0, "", "", "204"},
		{"HTTP/1.1 301 Moved\r\nlocation: https://a.example/\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", 1, 301, 0, "",
		 "https://a.example/", "301"},
		{"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 16\r\n\r\n<title>x</title>", 1, 200, 16, "", "", "200"},
		{"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 16\r\n\r\n<title>x</title>", 1, 200, 16, "", "", "200"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n<title>x</title>", -1, 200, 0, "", "", "the answer was cut"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<title>y\r\n", -1, 200, 0, "", "", "the answer was cut"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<title>yXX", -1, 200, 0, "", "",
		 "an answer whose chunks are broken"},
		{"HTTP/1.1 200 OK\r\nContent-", -1, 0, 0, "", "", "the answer ended within its head"},
		{"", -1, 0, 0, "", "", "closed without an answer"},
		{"SSH-2.0-OpenSSH\r\n\r\n", -1, 0, 0, "", "", NULL},
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t step = 1; step < 9; step += 3) {
			struct fetch_facts f;

			assert_int_equal(feed(cases[i].bytes, strlen(cases[i].bytes), step, &f), cases[i].rc);
			if (cases[i].rc > 0)
				assert_int_equal(f.size, cases[i].size);
			assert_int_equal(f.status, cases[i].status);
			assert_string_equal(f.outline.title, cases[i].title);
			assert_string_equal(f.location, cases[i].location);
			if (cases[i].said)
				assert_string_equal(f.said, cases[i].said);
		}
	}
}

/* Longer than what is read: as much as that is told, and that it is not whole. */
static void test_long_answers(void **state)
{
	static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
					    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"};
	char *bytes = malloc(FETCH_MAX + 100);
	(void)state;

	for (size_t i = 0; i < 3; i++) {
		struct fetch_facts f;

		memset(bytes, 'x', FETCH_MAX + 100);
		memcpy(bytes, heads[i], strlen(heads[i]));
		struct fetch_answer a = {.buf = malloc(FETCH_MAX)};
		int rc = 0;

		f = (struct fetch_facts){0};
		for (size_t at = 0; rc == 0 && at < FETCH_MAX + 100;) {
			size_t n = FETCH_MAX - a.len < 5000 ? FETCH_MAX - a.len : 5000;

			assert_true(n > 0);
			n = FETCH_MAX + 100 - at < n ? FETCH_MAX + 100 - at : n;
			memcpy(a.buf + a.len, bytes + at, n);
			rc = fetch_feed(&a, n, false, &f);
			at += n;
		}
		assert_int_equal(rc, 1);
		assert_false(f.whole);
		assert_true(f.size > FETCH_MAX - 200);
		free(a.buf);
	}
	free(bytes);
}

/* One whose bytes are nearly all frames: of those, too, only so many are read, however fast they come. */
static void test_many_chunks(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", one[] = "1;what=ever\r\nx\r\n";
	struct fetch_answer a = {.buf = malloc(FETCH_MAX)};
	struct fetch_facts f = {0};
	size_t came = strlen(head);
	int rc;
	(void)state;

	memcpy(a.buf, head, came);
	rc = fetch_feed(&a, came, false, &f);
	while (rc == 0 && came < 2 * FETCH_MAX) {
		memcpy(a.buf + a.len, one, strlen(one));
		came += strlen(one);
		rc = fetch_feed(&a, strlen(one), false, &f);
	}
	assert_int_equal(rc, 1);
	assert_false(f.whole);
	assert_in_range(came, FETCH_MAX, FETCH_MAX + sizeof one);
	free(a.buf);
}

static void test_prove(void **state)
{
	/* PROXY v2, TCP over IPv4, 198.18.0.77:40000 -> 192.0.2.11:25, then "shunt\n" */
	static const char header[] =
		"{\"peer\":\"192.0.2.10\",\"said\":\"0d0a0d0a000d0a515549540a2111000cc612004dc000020b9c4000197368756e740a\"}\n";
	static const struct {
		const char *line;
		bool v2, ok;
		const char *seen;
	} cases[] = {
		{header, true, true, "198.18.0.77"},
		{header, false, false, "192.0.2.10"},
		{"{\"peer\":\"198.18.0.77\",\"said\":\"7368756e740a\"}\n", false, true, "198.18.0.77"},
		{"{\"peer\":\"192.0.2.10\",\"said\":\"7368756e740a\"}\n", true, false, NULL},
		{"HTTP/1.1 400 Bad Request\r\n", true, false, NULL},
		{"{\"peer\":\"x\",\"said\":1}", false, false, NULL},
		{"", false, false, NULL},
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct prove_result r = {0};
		char text[ADDR_TEXT_MAX];

		addr_parse(&r.sent_as, PROVE_V4);
		assert_int_equal(prove_judge(&r, cases[i].line, strlen(cases[i].line), cases[i].v2), cases[i].ok);
		assert_int_equal(r.ok, cases[i].ok);
		if (cases[i].seen)
			assert_string_equal(addr_text(&r.seen, text), cases[i].seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_long_answers),
		cmocka_unit_test(test_many_chunks),
		cmocka_unit_test(test_prove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
