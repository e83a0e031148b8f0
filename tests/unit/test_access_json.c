#include "proxy/access.h"
#include "proxy/access_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static struct access_line line_of(void)
{
	static struct addr peer;
	assert_true(addr_parse_port(&peer, "192.0.2.1:4711"));
	return (struct access_line){.conn = 7,
				    .listener = "web",
				    .protocol = "http",
				    .port = 80,
				    .peer = &peer,
				    .account = "alice",
				    .side = "client",
				    .name = slice_of("alice.example"),
				    .method = slice_of("GET"),
				    .target = slice_of("/"),
				    .version = "1.1",
				    .status = 200,
				    .bytes_up = 125,
				    .bytes_down = 5130,
				    .body_up = 120,
				    .body_down = INT64_MAX,
				    .wait_ms = 5,
				    .connect_ms = 1,
				    .total_ms = 12,
				    .why = "ok"};
}

static const char *format(struct access_text *l, const struct access_line *in)
{
	struct access_clock c = {.second = -1};
	l->len = 0;
	access_format_json(l, &c, in);
	assert_true(l->len < sizeof l->text);
	assert_int_equal(l->text[l->len - 1], '\n');
	l->text[l->len - 1] = '\0';
	assert_int_equal(strlen(l->text), l->len - 1);
	assert_null(strchr(l->text, '\n'));
	return l->text;
}

/* Returns new. Jansson refuses what is no UTF-8, a control character, and a key that comes twice. */
static json_t *object(const struct access_line *in)
{
	struct access_text l;
	json_error_t e;
	json_t *o = json_loads(format(&l, in), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!o)
		fail_msg("%s: %s", e.text, l.text);
	return o;
}

static const char *string(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void test_one_line(void **state)
{
	struct access_text l;
	struct access_line in = line_of();
	const char *text = format(&l, &in);
	(void)state;
	assert_int_equal(strncmp(text, "{\"timestamp\":\"20", 16), 0);
	assert_int_equal(text[40], 'Z'); /* microseconds */
	assert_string_equal(
		text + 41,
		"\",\"http.request.method\":\"GET\",\"url.scheme\":\"http\",\"url.path\":\"/\",\"http.response.status_code\":200,"
		"\"http.request.body.size\":120,\"http.response.body.size\":9223372036854775807,"
		"\"network.protocol.name\":\"http\",\"network.protocol.version\":\"1.1\",\"network.transport\":\"tcp\","
		"\"network.type\":\"ipv4\",\"server.address\":\"alice.example\",\"server.port\":80,"
		"\"client.address\":\"192.0.2.1\",\"client.port\":4711,\"shunt.account\":\"alice\",\"shunt.side\":\"client\","
		"\"shunt.why\":\"ok\",\"shunt.held_ms\":5,\"shunt.connect_ms\":1,\"shunt.total_ms\":12,"
		"\"shunt.protocol\":\"http\",\"shunt.listener\":\"web\",\"shunt.connection\":7}");
}

static void test_connection(void **state)
{
	struct access_line in = {.conn = 8, .protocol = "tls", .name = slice_of("bob.example"), .port = 443, .why = "cut", .bytes_up = 9};
	json_t *o = object(&in);
	(void)state;
	assert_string_equal(string(o, "server.address"), "bob.example");
	assert_string_equal(string(o, "error.type"), "cut");
	assert_string_equal(string(o, "shunt.protocol"), "tls");
	assert_int_equal(json_integer_value(json_object_get(o, "shunt.bytes_up")), 9);
	static const char *const absent[] = {"http.request.method",  "url.path",      "url.scheme", "http.response.status_code",
					     "client.address",       "shunt.account", "shunt.side", "http.request.body.size",
					     "network.protocol.name"};
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		assert_null(json_object_get(o, absent[i]));
	json_decref(o);
}

static void test_targets_hosts_methods(void **state)
{
	static const struct {
		const char *host, *target, *method;
		const char *address, *path, *as, *original;
		int port;
	} cases[] = {
		{"a.example:8080", "/x?token=secret", "POST", "a.example", "/x", "POST", NULL, 8080},
		{"[2001:db8::1]:81", "http://a.example/y?z", "BREW", "2001:db8::1", "/y", "_OTHER", "BREW", 81},
		{"2001:db8::1", "*", "OPTIONS", "2001:db8::1", "*", "OPTIONS", NULL, 80},
		{"a:0", "http://a.example?q=secret", "get", "a:0", "/", "_OTHER", "get", 80},
		{"a:65536", "http://a.example", "TRACE", "a:65536", "/", "TRACE", NULL, 80},
		{":80", "/http://x/?y", "HEAD", ":80", "/http://x/", "HEAD", NULL, 80},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct access_line in = line_of();
		in.name = slice_of(cases[i].host);
		in.target = slice_of(cases[i].target);
		in.method = slice_of(cases[i].method);
		json_t *o = object(&in);
		assert_string_equal(string(o, "server.address"), cases[i].address);
		assert_string_equal(string(o, "url.path"), cases[i].path);
		assert_string_equal(string(o, "http.request.method"), cases[i].as);
		if (cases[i].original)
			assert_string_equal(string(o, "http.request.method_original"), cases[i].original);
		else
			assert_null(string(o, "http.request.method_original"));
		assert_int_equal(json_integer_value(json_object_get(o, "server.port")), cases[i].port);
		json_decref(o);
	}
}

static void test_errors(void **state)
{
	static const struct {
		unsigned status;
		const char *why, *type;
		bool own;
	} cases[] = {{200, "ok", NULL, false},       {404, "ok", NULL, false},
		     {400, "bad field", NULL, true}, {503, "held too long", "503", true},
		     {502, "ok", "502", false},      {200, "reset by the visitor", "reset by the visitor", false},
		     {0, "cut", "cut", true}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct access_line in = line_of();
		in.status = cases[i].status;
		in.why = cases[i].why;
		in.own = cases[i].own;
		json_t *o = object(&in);
		if (cases[i].type)
			assert_string_equal(string(o, "error.type"), cases[i].type);
		else
			assert_null(string(o, "error.type"));
		assert_int_equal(json_object_get(o, "http.response.body.size") == NULL, cases[i].own);
		json_decref(o);
	}
}

static void test_hostile_bytes(void **state)
{
	static const struct {
		struct slice bytes;
		const char *expect;
	} cases[] = {
		{{"a\"},\"x\":1,\"\\", 12}, "a\\\"},\\\"x\\\":1,\\\"\\\\"},
		{{"/\n\r\0\x1b[2J\x7f", 9}, "/\\u000a\\u000d\\u0000\\u001b[2J\\u007f"},
		{{"/\xc3\xa9\xf0\x9f\x98\x80", 7}, "/\xc3\xa9\xf0\x9f\x98\x80"},
		{{"\xc2\x9b"
		  "31m",
		  5},
		 "\\u009b31m"},
		{{"\xff\x80\xc3", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{{"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
		{{"\xc0\xaf", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},                 /* '/' in more bytes than it needs */
		{{"\xf4\x90\x80\x80", 4}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct access_line in = line_of();
		struct access_text l;
		char expect[200];
		in.name = cases[i].bytes;
		snprintf(expect, sizeof expect, "\"server.address\":\"%s\",", cases[i].expect);
		if (!strstr(format(&l, &in), expect))
			fail_msg("%zu: no %s in %s", i, expect, l.text);
		json_decref(object(&in));
	}
}

/* Whatever comes, at every length: one line, valid, below the limit. */
static void test_any_bytes(void **state)
{
	static char bytes[5000];
	static const unsigned char favourites[] = {0, '"', '\\', 0x7f, 0x80, 0xc2, 0x9b, 0xe0, 0xed, 0xf0, 0xf4, 0xff, 'a', '?', ':', '/'};
	unsigned seed = 1;
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct access_line in = line_of();
		struct slice s = {bytes, (round * 7) % sizeof bytes};
		for (size_t i = 0; i < s.len; i++)
			bytes[i] = (char)favourites[(unsigned)rand_r(&seed) % (round % 2 ? sizeof favourites : 3)];
		in.name = in.method = in.target = s;
		in.conn = in.bytes_up = in.bytes_down = in.body_up = INT64_MAX;
		in.status = round % 3 ? 599 : 101;
		in.wait_ms = in.connect_ms = in.total_ms = UINT32_MAX;
		json_decref(object(&in));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line), cmocka_unit_test(test_connection),    cmocka_unit_test(test_targets_hosts_methods),
		cmocka_unit_test(test_errors),   cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
