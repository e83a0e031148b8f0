/* The canonical form: what a parsed head becomes on its way to the other side, and that it is read there as it was read here. */
#include "proxy/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD_MAX   32768
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct http_forward plain = {0};
static const struct http_forward closing = {.close = true};
static const struct http_forward headers = {.headers = true, .peer = "2001:db8::7", .scheme = "http"};
static const struct http_forward to_10 = {.keep_alive_10 = true};
static const struct http_forward unframed = {.unframed = true, .close = true};

struct row {
	const char *what;
	const struct http_forward *f;
	const char *in, *out;
};

static const struct row requests[] = {
	{"as it came", &plain, "GET /a?b HTTP/1.1\r\nUser-Agent: x\r\nHost: A.example:80\r\nAccept: */*\r\n\r\n",
	 "GET /a?b HTTP/1.1\r\nHost: A.example:80\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"},
	{"white space", &plain, "GET / HTTP/1.1\r\nHost:\t a:\r\nX:y \t\r\nEmpty:\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nEmpty: \r\n\r\n"},
	{"absolute form wins", &plain, "GET http://B.example:81/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
	 "GET /x HTTP/1.1\r\nHost: B.example:81\r\n\r\n"},
	{"absolute, query only", &plain, "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: b\r\n\r\n"},
	{"absolute, nothing", &plain, "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n"},
	{"1.0 becomes 1.1", &plain, "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"1.0 without host stays", &plain, "GET / HTTP/1.0\r\nX: y\r\n\r\n", "GET / HTTP/1.0\r\nX: y\r\n\r\n"},
	{"1.0 does not expect", &plain, "PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
	 "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"},
	{"expects", &plain, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 01\r\n\r\n",
	 "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"},
	{"chunked", &closing, "PUT / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\nHost: a\r\nTE: trailers\r\nTrailer: x\r\n\r\n",
	 "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
	{"hop-by-hop", &plain,
	 "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop, Host, Cookie2\r\nx-hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: "
	 "keep-alive\r\nCookie: c\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\n\r\n"},
	{"websocket", &plain,
	 "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	{"h2c", &plain, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"headers replaced", &headers,
	 "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nX-REAL-IP: 2\r\nX-Forwarded-Proto: https\r\nForwarded: "
	 "for=3\r\nX-Forwarded-Host: b\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nX-Forwarded-For: 2001:db8::7\r\nX-Real-IP: 2001:db8::7\r\nX-Forwarded-Proto: "
	 "http\r\n\r\n"},
	{"headers left", &plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nConnection: X-Forwarded-For\r\n\r\n",
	 "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\n\r\n"},
};

static const struct row responses[] = {
	/* all to GET */
	{"as it came", &plain, "HTTP/1.1 404 Not here\r\nServer: x\r\nContent-Length: 5\r\nDate: y\r\n\r\n",
	 "HTTP/1.1 404 Not here\r\nServer: x\r\nDate: y\r\nContent-Length: 5\r\n\r\n"},
	{"1.0 becomes 1.1", &closing, "HTTP/1.0 200\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 \r\nConnection: close\r\n\r\n"},
	{"chunked", &plain, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{"unframed", &unframed, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
	{"keep-alive", &to_10, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
	{"304 says its length", &plain, "HTTP/1.1 304 X\r\nContent-Length: 7\r\nETag: e\r\n\r\n",
	 "HTTP/1.1 304 X\r\nContent-Length: 7\r\nETag: e\r\n\r\n"},
	{"204 does not", &plain, "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 X\r\n\r\n"},
	{"101", &plain, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n",
	 "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	{"no offer of h2c", &plain,
	 "HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"two cookies in order", &plain,
	 "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Forwarded-For: kept\r\nContent-Length: 0\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Forwarded-For: kept\r\nContent-Length: 0\r\n\r\n"},
};

/* Writes with the promised room, then with every smaller one; and what is written must say the same when it is read again. */
static void check(const struct row *r, bool response)
{
	size_t len = strlen(r->in), cap = len + 512, n;
	char *out = malloc(cap);
	struct http_head h, again;
	enum parse rc = response ? http_parse_response(&h, r->in, len, HEAD_MAX, METHOD_GET) : http_parse_request(&h, r->in, len, HEAD_MAX);

	if (rc != PARSE_OK)
		fail_msg("%s: not understood", r->what);
	n = response ? http_write_response(out, cap, &h, r->f) : http_write_request(out, cap, &h, r->f);
	if (n != strlen(r->out) || memcmp(out, r->out, n) != 0)
		fail_msg("%s: %.*s", r->what, (int)n, out);
	free(out);

	rc = response ? http_parse_response(&again, r->out, n, HEAD_MAX, METHOD_GET) : http_parse_request(&again, r->out, n, HEAD_MAX);
	assert_int_equal(rc, PARSE_OK);
	assert_int_equal(again.head_len, n);
	assert_string_equal(again.name, h.name);
	assert_int_equal(again.length, h.length);
	if (!r->f->unframed)
		assert_int_equal(again.framing, h.framing);

	for (size_t small = 0; small < n; small++) {
		char *tight = malloc(small + 1);

		assert_int_equal(response ? http_write_response(tight, small, &h, r->f) : http_write_request(tight, small, &h, r->f), 0);
		free(tight);
	}
}

static void requests_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(requests); i++)
		check(&requests[i], false);
}

static void responses_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(responses); i++)
		check(&responses[i], true);
}

static void head_keeps_its_length(void **state)
{
	static const char in[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\n";
	char out[600];
	struct http_head h;
	size_t n;

	(void)state;
	assert_int_equal(http_parse_response(&h, in, sizeof(in) - 1, HEAD_MAX, METHOD_HEAD), PARSE_OK);
	n = http_write_response(out, sizeof(out), &h, &plain);
	assert_int_equal(n, sizeof(in) - 1);
	assert_memory_equal(out, in, n);
}

/* Every line grows by the space after its colon, and all of ours is added: the room promised must do. */
static void the_promised_room_suffices(void **state)
{
	const struct http_forward f = {
		.headers = true, .peer = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%interface-name", .scheme = "https", .close = true};
	char in[4096];
	size_t len = (size_t)snprintf(in, sizeof(in),
				      "GET / HTTP/1.1\r\nHost:a\r\nConnection:upgrade\r\nUpgrade:w\r\nContent-Length:1\r\n"),
	       n;
	struct http_head h;
	char *out;

	(void)state;
	for (unsigned i = 4; i < HTTP_FIELDS_MAX; i++)
		len += (size_t)snprintf(in + len, sizeof(in) - len, "a:\r\n");
	len += (size_t)snprintf(in + len, sizeof(in) - len, "\r\n");
	assert_int_equal(http_parse_request(&h, in, len, HEAD_MAX), PARSE_OK);
	out = malloc(len + 512);
	n = http_write_request(out, len + 512, &h, &f);
	assert_true(n > len && n <= len + 512);
	free(out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_written),
		cmocka_unit_test(responses_are_written),
		cmocka_unit_test(head_keeps_its_length),
		cmocka_unit_test(the_promised_room_suffices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
