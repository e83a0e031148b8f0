/* What visitors and authorities find at a name. The servers are mocks (fake_dns.h), for one must fall silent. */
#include "dnsupdate/records.h"

#include "tests/unit/fake_dns.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RESOLVER "127.0.0.2"

struct world {
	struct event_base *base;
	struct looker *l;
	struct fake_dns *dns;
	json_t *answer; /* NULL: not yet */
};

static void hear(void *arg, json_t *list)
{
	struct world *w = arg;

	assert_null(w->answer);
	w->answer = list;
	event_base_loopbreak(w->base);
}

static void world_init(struct world *w, struct fake_line *table)
{
	char *resolvers[] = {RESOLVER};
	struct err err = {0};

	*w = (struct world){.base = event_base_new()};
	w->dns = fake_dns_new(w->base, table);
	if (look_new(&w->l, w->base, resolvers, 1, &err) < 0)
		fail_msg("%s", err.text);
}

static void world_done(struct world *w)
{
	json_decref(w->answer);
	look_free(w->l);
	fake_dns_free(w->dns);
	event_base_free(w->base);
}

static void wait_for_answer(struct world *w)
{
	event_base_loopexit(w->base, &(struct timeval){.tv_sec = 60});
	event_base_dispatch(w->base);
	assert_non_null(w->answer);
}

static void is(const json_t *o, const char *expected)
{
	json_error_t e;
	json_t *want = json_loads(expected, 0, &e);

	if (!want)
		fail_msg("%s", e.text);
	if (!json_equal(o, want))
		fail_msg("found %s, expected %s", json_dumps(o, JSON_SORT_KEYS), expected);
	json_decref(want);
}

static void test_records(void **state)
{
	struct fake_line table[] = {
		{.at = RESOLVER,
		 .qname = "www.a.test.",
		 .qtype = RR_A,
		 .answer = "www.a.test. 60 IN CNAME a.test.\na.test. 60 IN A 192.0.2.1"},
		{.at = RESOLVER, .qname = "www.a.test.", .qtype = RR_AAAA, .answer = "www.a.test. 60 IN AAAA 2001:db8::1"},
		{.at = RESOLVER,
		 .qname = "www.a.test.",
		 .qtype = RR_HTTPS,
		 .answer = "www.a.test. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1"},
		{.at = RESOLVER, .qname = "a.test.", .qtype = 257, .answer = "a.test. 60 IN CAA 0 issue \"letsencrypt.org\""},
		{.at = RESOLVER, .qname = "fail.test.", .qtype = RR_AAAA, .does = "SERVFAIL"},
		{.at = RESOLVER, .qname = "fail.test.", .qtype = RR_A, .answer = "fail.test. 60 IN A 192.0.2.2"},
		{.at = RESOLVER, /* a name as target, h2 and h3, an ech, an unknown one, and one that is cut */
		 .qname = "odd.test.",
		 .qtype = RR_HTTPS,
		 .answer = "odd.test. 60 IN TYPE65 \\# 48 0010 0161 0162 00 0001 0006 026832 026833 0005 0003 0102 03 00ff 0000 0006 0010 "
			   "20010db8000000000000000000000001"},
		{.at = RESOLVER, .does = "NXDOMAIN"},
		{0},
	};
	char *domains[] = {"www.a.test", "*.a.test", "fail.test", "odd.test"};
	struct world w;

	(void)state;
	world_init(&w, table);
	assert_non_null(records_start(w.l, domains, 4, hear, &w));
	assert_null(w.answer);
	wait_for_answer(&w);
	assert_int_equal(json_array_size(w.answer), 4);
	is(json_array_get(w.answer, 0),
	   "{\"domain\":\"www.a.test\",\"A\":[\"192.0.2.1\"],\"AAAA\":[\"2001:db8::1\"],\"HTTPS\":[\"1 . alpn=h2 ipv4hint=192.0.2.1\"],"
	   "\"CAA\":[\"0 issue \\\"letsencrypt.org\\\"\"],\"caa-at\":\"a.test.\"}");
	assert_string_equal(json_string_value(json_object_get(json_array_get(w.answer, 1), "caa-at")), "a.test.");
	json_t *fail = json_array_get(w.answer, 2);
	assert_string_equal(json_string_value(json_object_get(fail, "trouble")), "AAAA of fail.test.: SERVFAIL");
	assert_int_equal(json_array_size(json_object_get(fail, "A")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_array_get(w.answer, 3), "HTTPS"), 0)),
			    "16 a.b. alpn=h2,h3 ech=3-bytes key255 ipv6hint=2001:db8::1");
	world_done(&w);
}

static void test_cancel(void **state)
{
	struct fake_line table[] = {{.at = RESOLVER, .does = "silent"}, {0}};
	char *domains[] = {"a.test", "b.test"};
	struct world w;

	(void)state;
	world_init(&w, table);
	struct records *r = records_start(w.l, domains, 2, hear, &w);
	assert_non_null(r);
	event_base_loopexit(w.base, &(struct timeval){.tv_usec = 50000});
	event_base_dispatch(w.base);
	records_cancel(r);
	records_cancel(NULL);
	assert_null(w.answer);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_cancel),
	};
	return cmocka_run_group_tests(tests, fake_dns_namespace, NULL);
}
