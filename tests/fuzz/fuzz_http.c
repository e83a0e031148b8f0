/* Any bytes as a request and as an answer. What is accepted must fit the room that http.h promises when it is written, and must be read
 * from there as it was read here: a head that two of our own passes see differently is a smuggled one. */
#include "proxy/http.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_MAX 32768
#define REQUEST  -1 /* beside the methods an answer may be to */

static void must(bool good)
{
	if (!good)
		abort();
}

static enum parse parse(struct http_head *h, const char *buf, size_t len, int method)
{
	return method == REQUEST ? http_parse_request(h, buf, len, HEAD_MAX)
				 : http_parse_response(h, buf, len, HEAD_MAX, (enum http_method)method);
}

static bool same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void check(const char *buf, size_t len, int method, const struct http_forward *f)
{
	static struct http_head h, again;
	enum parse rc = parse(&h, buf, len, method);
	size_t cap, n;
	char *out;

	if (rc == PARSE_BAD)
		must(h.bad_status >= 400 && h.bad_status < 600 && h.bad_reason != NULL);
	if (rc == PARSE_MORE)
		must(len < HEAD_MAX);
	if (rc != PARSE_OK)
		return;
	must(h.head_len <= len && parse(&again, buf, h.head_len, method) == PARSE_OK);
	must(parse(&again, buf, h.head_len - 1, method) == PARSE_MORE);

	cap = h.head_len + 512;
	out = malloc(cap);
	must(out != NULL);
	n = method == REQUEST ? http_write_request(out, cap, &h, f) : http_write_response(out, cap, &h, f);
	must(n > 0 && n <= cap);
	must(parse(&again, out, n, method) == PARSE_OK && again.head_len == n);
	must(again.framing == h.framing && again.length == h.length && again.status == h.status && again.method_id == h.method_id);
	must(same(again.host, h.host) && again.name_len == h.name_len && memcmp(again.name, h.name, h.name_len) == 0);
	must(same(again.upgrade, h.upgrade) && again.expect_continue == h.expect_continue);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_forward plain = {0};
	static const struct http_forward headers = {.headers = true, .peer = "2001:db8::1", .scheme = "http", .close = true};
	const char *buf = (const char *)data;

	check(buf, size, REQUEST, &plain);
	check(buf, size, REQUEST, &headers);
	check(buf, size, METHOD_GET, &plain);
	check(buf, size, METHOD_HEAD, &headers);
	return 0;
}
