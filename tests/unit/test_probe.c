/* What counts as an answer of a web server. */
#include "proxy/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAP 65536

static const struct {
	const char *bytes;
	int open, closed; /* the verdict while more may come, and at the end */
	const char *said; /* at the end */
} answers[] = {
	{"", 0, -1, "closed without an answer"},
	{"HTTP/1.1 200 OK\r\nContent-", 0, -1, "the answer ended within its head"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1, 1, "200"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 0, -1, "200, but the answer was cut"},
	{"HTTP/1.1 204 No Content\r\n\r\n", 1, 1, "204"},
	{"HTTP/1.1 301 Moved\r\nLocation: https://a/\r\n\r\n", 0, 1, "301"},
	{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1, 1, "404"},
	{"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", -1, -1, "421"},
	{"HTTP/1.1 500 No\r\n\r\n", -1, -1, "500"},
	{"HTTP/1.1 503 Wait\r\nContent-Length: 9\r\n\r\n", -1, -1, "503"},
	{"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 0, -1, "the answer ended within its head"},
	{"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1, 1, "200"},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, 1, "200"},
	{"HTTP/1.0 200 OK\r\n\r\nbody", 0, 1, "200"},
	{"SSH-2.0-OpenSSH_9.2\r\n", -1, -1, NULL},
	{"<html>hello</html>", -1, -1, NULL},
};

static void judged(void **state)
{
	char said[PROBE_SAID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		size_t len = strlen(answers[i].bytes);

		if (probe_judge_http(answers[i].bytes, len, CAP, false, said) != answers[i].open)
			fail_msg("row %zu while it is open: %s", i, said);
		if (probe_judge_http(answers[i].bytes, len, CAP, true, said) != answers[i].closed)
			fail_msg("row %zu at its end: %s", i, said);
		if (answers[i].said)
			assert_string_equal(said, answers[i].said);
	}
}

/* Whatever is cut off, nothing is taken for an answer that is not one. */
static void cut(void **state)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: x\r\n\r\nbody";
	char said[PROBE_SAID_MAX];

	(void)state;
	for (size_t len = 0; len < sizeof whole - 1; len++) {
		assert_int_equal(probe_judge_http(whole, len, CAP, false, said), 0);
		assert_int_equal(probe_judge_http(whole, len, CAP, true, said), -1);
	}
	assert_int_equal(probe_judge_http(whole, sizeof whole - 1, CAP, false, said), 1);
}

/* More than is read: enough is known. */
static void large(void **state)
{
	char said[PROBE_SAID_MAX], *big = malloc(CAP);
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";

	(void)state;
	memset(big, 'x', CAP);
	memcpy(big, head, sizeof head - 1);
	assert_int_equal(probe_judge_http(big, CAP - 1, CAP, false, said), 0);
	assert_int_equal(probe_judge_http(big, CAP, CAP, false, said), 1);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(cut),
		cmocka_unit_test(large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
