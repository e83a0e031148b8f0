/* What a change looks like from outside: servers that have it, lag, refuse, fall silent, and come round. */
#include "dnsupdate/verify.h"
#include "lib/clock.h"

#include "tests/unit/fake_dns.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NS1 "127.0.0.11"
#define NS2 "127.0.0.12"
#define WWW "www.alice.example."

/* values: separated by spaces; "" for none */
static struct rrset set_of(const char *owner, uint16_t type, uint32_t ttl, const char *values)
{
	struct rrset s;
	char copy[200], *save = NULL;

	assert_int_equal(rrset_init(&s, owner, type, ttl), 0);
	snprintf(copy, sizeof copy, "%s", values);
	for (char *v = strtok_r(copy, " ", &save); v; v = strtok_r(NULL, " ", &save)) {
		uint8_t *bytes;
		size_t len;

		assert_int_equal(wire_rdata_parse(type, v, &bytes, &len, NULL), 0);
		assert_int_equal(rrset_add(&s, bytes, len), 0);
		free(bytes);
	}
	return s;
}

/* ---- one answer ---- */

static void test_shows(void **state)
{
	static const struct {
		struct fake_line line;
		const char *values;
		bool resolver, shown;
		const char *trouble;
	} cases[] = {
		{{.does = "aa", .answer = WWW " 60 IN A 192.0.2.2"}, "192.0.2.2", false, true, ""},
		{{.does = "aa", .answer = "WWW.Alice.Example. 60 IN A 192.0.2.3\n" WWW " 60 IN A 192.0.2.2"},
		 "192.0.2.2 192.0.2.3",
		 false,
		 true,
		 ""},
		{{.does = "aa", .answer = WWW " 3600 IN A 192.0.2.2"}, "192.0.2.2", false, false, "answers A 192.0.2.2, TTL 3600"},
		{{.does = "aa", .answer = WWW " 59 IN A 192.0.2.2"}, "192.0.2.2", false, false, "answers A 192.0.2.2, TTL 59"},
		{{.does = "aa", .answer = WWW " 60 IN A 192.0.2.1"}, "192.0.2.2", false, false, "answers A 192.0.2.1, TTL 60"},
		{{.does = "aa", .answer = WWW " 60 IN A 192.0.2.2\n" WWW " 60 IN A 192.0.2.1"},
		 "192.0.2.2",
		 false,
		 false,
		 "answers A 192.0.2.1 192.0.2.2, TTL 60"},
		{{.answer = WWW " 60 IN A 192.0.2.2"}, "192.0.2.2", false, false, "answers without authority"},
		{{.does = "REFUSED"}, "192.0.2.2", false, false, "answers REFUSED"},
		{{.does = "aa SERVFAIL", .answer = WWW " 60 IN A 192.0.2.2"}, "192.0.2.2", false, false, "answers SERVFAIL"},
		{{.does = "aa"}, "192.0.2.2", false, false, "answers that there is no A"},
		{{.does = "aa NXDOMAIN"}, "192.0.2.2", false, false, "answers NXDOMAIN"},
		{{.does = "aa", .answer = WWW " 60 IN CNAME x.test.\nx.test. 60 IN A 192.0.2.2"},
		 "192.0.2.2",
		 false,
		 false,
		 "answers CNAME x.test., TTL 60"},
		{{.does = "aa", .answer = "x.test. 60 IN A 192.0.2.2"}, "192.0.2.2", false, false, "answers that there is no A"},
		/* removed */
		{{.does = "aa"}, "", false, true, ""},
		{{.does = "aa NXDOMAIN"}, "", false, true, ""},
		{{.does = ""}, "", false, false, "answers without authority"},
		{{.does = "NXDOMAIN"}, "", false, false, "answers without authority"},
		{{.does = "aa", .answer = WWW " 60 IN A 192.0.2.1"}, "", false, false, "answers A 192.0.2.1, TTL 60"},
		/* resolvers */
		{{.answer = WWW " 7 IN A 192.0.2.2"}, "192.0.2.2", true, true, ""},
		{{.answer = WWW " 1234 IN A 192.0.2.1"},
		 "192.0.2.2",
		 true,
		 false,
		 "still holds the old record for up to 1234 s: A 192.0.2.1"},
		{{.authority = "alice.example. 99 IN SOA a. b. 1 2 3 4 5"},
		 "192.0.2.2",
		 true,
		 false,
		 "still holds for up to 99 s that there is no A"},
		{{.does = "NXDOMAIN"}, "", true, true, ""},
		{{.does = "SERVFAIL"}, "192.0.2.2", true, false, "answers SERVFAIL"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rrset expected = set_of(WWW, RR_A, 60, cases[i].values);
		struct fake_line line = cases[i].line;
		struct answer a;
		char trouble[200];

		line.qname = WWW;
		line.qtype = RR_A;
		fake_dns_answer(&a, &line);
		if (verify_shows(&a, &expected, cases[i].resolver, trouble, sizeof trouble) != cases[i].shown ||
		    strcmp(trouble, cases[i].trouble) != 0)
			fail_msg("case %zu: found \"%s\", expected \"%s\"", i, trouble, cases[i].trouble);
		answer_done(&a);
		rrset_done(&expected);
	}
}

/* ---- a few servers ---- */

struct seen {
	struct verify *v;
	unsigned ends, dones;
	char done[4][32]; /* names, in their order */
	size_t seen[4];
	int64_t after_ms[4];
	char trouble[4][200];
	bool cancel; /* in the callback */
};

struct world {
	struct event_base *base;
	struct looker *l;
	struct fake_dns *dns;
	struct server servers[4];
	struct server_list list;
};

static void world_init(struct world *w, struct fake_line *table, const char *const *servers)
{
	*w = (struct world){.base = event_base_new()};
	w->dns = fake_dns_new(w->base, table);
	assert_int_equal(look_new(&w->l, w->base, (char *[]){"127.0.0.100"}, 1, NULL), 0);
	w->list.servers = w->servers;
	for (; servers[w->list.n]; w->list.n++) {
		struct server *s = &w->servers[w->list.n];

		s->name = (char *)(uintptr_t)servers[w->list.n];
		assert_true(addr_parse(&s->addr, servers[w->list.n]));
		s->resolver = strcmp(s->name, "127.0.0.100") == 0;
	}
}

static void world_done(struct world *w)
{
	look_free(w->l);
	fake_dns_free(w->dns);
	event_base_free(w->base);
}

static void on_verify(void *arg, const struct sighting *all, size_t n, const struct sighting *at)
{
	struct seen *s = arg;

	if (at) {
		assert_true(at->after_ms >= 0);
		assert_string_equal(at->trouble, "");
		snprintf(s->done[s->dones++], sizeof s->done[0], "%.31s", at->server->name);
		if (s->cancel)
			verify_cancel(s->v);
		return;
	}
	s->ends++;
	for (size_t i = 0; i < n; i++) {
		s->seen[i] = all[i].seen;
		s->after_ms[i] = all[i].after_ms;
		snprintf(s->trouble[i], sizeof s->trouble[i], "%s", all[i].trouble);
	}
}

#define WAIT_MS 5000 /* longer than this process may be without a processor */

/* One follows at once, one after a while, one not at all; a resolver holds the old record. */
static void test_servers(void **state)
{
	struct fake_line table[] = {
		{.at = NS1, .qname = WWW, .does = "aa", .answer = WWW " 60 IN A 192.0.2.2"},
		{.at = NS2, .qname = WWW, .does = "aa", .answer = WWW " 3600 IN A 192.0.2.1"},
		{.at = "127.0.0.13", .qname = WWW, .does = "REFUSED"},
		{.at = "127.0.0.100", .qname = WWW, .answer = WWW " 500 IN A 192.0.2.1"},
		{.at = NS1, .qname = "*.alice.example.", .qtype = RR_AAAA, .does = "aa"},
		{.at = NS2, .qname = "*.alice.example.", .qtype = RR_AAAA, .does = "aa NXDOMAIN"},
		{0},
	};
	struct rrset expected[] = {set_of("WWW.alice.example.", RR_A, 60, "192.0.2.2"), set_of("*.alice.example.", RR_AAAA, 60, "")};
	struct seen s = {0};
	struct world w;
	int64_t began = mono_ms();
	struct verify *v;
	unsigned asked;

	(void)state;
	world_init(&w, table, (const char *const[]){NS1, NS2, "127.0.0.13", "127.0.0.100", NULL});
	v = verify_start(w.l, expected, 2, &w.list, WAIT_MS, on_verify, &s);
	assert_non_null(v);
	assert_false(verify_waits(v)); /* there are questions to be asked */
	rrset_done(&expected[0]);      /* it has copies */
	rrset_done(&expected[1]);
	memset(w.servers, 0, sizeof w.servers);
	assert_int_equal(s.dones, 0);
	fake_dns_until(w.base, &s.dones, 1);
	assert_string_equal(s.done[0], NS1);
	assert_true(table[0].asked == 1); /* with the first question */
	fake_dns_until(w.base, &table[1].asked, 4);
	assert_int_equal(s.dones, 1);
	assert_true(verify_waits(v));
	assert_true(table[5].asked <= 1); /* one that lags is asked for the first that is not right, alone */
	table[1].answer = WWW " 60 IN A 192.0.2.2";
	fake_dns_until(w.base, &s.dones, 2);
	assert_string_equal(s.done[1], NS2);
	fake_dns_until(w.base, &s.ends, 1);
	assert_true(mono_ms() - began >= WAIT_MS - 10);
	assert_int_equal(s.seen[0], 2);
	assert_true(s.after_ms[1] > s.after_ms[0]);
	assert_true(s.after_ms[1] < WAIT_MS);
	assert_int_equal(s.after_ms[2], -1);
	assert_string_equal(s.trouble[2], "answers REFUSED (asked for WWW.alice.example. A)");
	assert_string_equal(s.trouble[3], "still holds the old record for up to 500 s: A 192.0.2.1 (asked for WWW.alice.example. A)");
	assert_int_equal(table[0].recursive, 0);
	assert_int_equal(table[3].recursive, table[3].asked);
	asked = table[2].asked; /* 20, 40, 80, .. 640 ms, then each second: 10 with the first */
	assert_true(asked >= 5 && asked <= 12);
	world_done(&w);
}

static void test_silent_server(void **state)
{
	struct fake_line table[] = {{.at = NS1, .does = "silent"}, {0}};
	struct rrset expected = set_of(WWW, RR_A, 60, "192.0.2.2");
	struct seen s = {0}, soon = {0};
	struct world w;

	(void)state;
	world_init(&w, table, (const char *const[]){NS1, "127.0.0.200", NULL});
	verify_start(w.l, &expected, 1, &w.list, 8000, on_verify, &s);
	verify_start(w.l, &expected, 1, &w.list, 1000, on_verify, &soon);
	fake_dns_until(w.base, &soon.ends, 1);
	assert_string_equal(soon.trouble[0], "has not answered yet");
	assert_string_equal(soon.trouble[1], "does not answer (asked for " WWW " A)");
	fake_dns_until(w.base, &s.ends, 1);
	assert_string_equal(s.trouble[0], "does not answer (asked for " WWW " A)");
	rrset_done(&expected);
	world_done(&w);
}

/* ---- many ---- */

static void test_many_sets(void **state)
{
	struct fake_line table[] = {
		{.at = NS1, .qname = "n7.alice.example.", .does = "aa", .answer = "n7.alice.example. 60 IN A 192.0.2.1"},
		{.at = NS1, .does = "aa"},
		{0},
	};
	struct rrset expected[500];
	struct seen s = {0};
	struct world w;

	(void)state;
	for (int i = 0; i < 500; i++) {
		char name[40];

		snprintf(name, sizeof name, "n%d.alice.example.", i);
		expected[i] = set_of(name, RR_A, 60, "");
	}
	world_init(&w, table, (const char *const[]){NS1, NULL});
	verify_start(w.l, expected, 500, &w.list, 60000, on_verify, &s);
	fake_dns_until(w.base, &table[0].asked, 5);
	assert_true(table[1].asked <= 40); /* waits for the one that lags */
	table[0].answer = NULL;
	fake_dns_until(w.base, &s.ends, 1);
	assert_int_equal(s.seen[0], 500);
	assert_int_equal(table[1].asked, 499); /* each once */
	for (int i = 0; i < 500; i++)
		rrset_done(&expected[i]);
	world_done(&w);
}

static void test_ends(void **state)
{
	struct fake_line table[] = {
		{.at = NS1, .does = "aa", .answer = WWW " 60 IN A 192.0.2.2"},
		{.at = NS2, .does = "aa", .answer = WWW " 60 IN A 192.0.2.1"},
		{0},
	};
	struct rrset expected = set_of(WWW, RR_A, 60, "192.0.2.2");
	struct seen none = {0}, once = {0}, cancelled = {.cancel = true}, never = {0};
	struct server_list empty = {0};
	struct world w;

	(void)state;
	world_init(&w, table, (const char *const[]){NS1, NS2, NULL});
	verify_start(w.l, &expected, 1, &empty, 1000, on_verify, &none);
	verify_start(w.l, NULL, 0, &w.list, 1000, on_verify, &none);
	assert_int_equal(none.ends, 0);
	fake_dns_until(w.base, &none.ends, 2);
	verify_start(w.l, &expected, 1, &w.list, 0, on_verify, &once); /* no time: each is asked once */
	fake_dns_until(w.base, &once.ends, 1);
	assert_int_equal(once.dones, 1);
	assert_string_equal(once.trouble[1], "answers A 192.0.2.1, TTL 60 (asked for " WWW " A)");
	cancelled.v = verify_start(w.l, &expected, 1, &w.list, 20000, on_verify, &cancelled);
	fake_dns_until(w.base, &cancelled.dones, 1);
	verify_cancel(verify_start(w.l, &expected, 1, &w.list, 20000, on_verify, &never));
	never.v = verify_start(w.l, &expected, 1, &w.list, 20000, on_verify, &never);
	fake_dns_until(w.base, &never.dones, 1); /* and now the other one lags */
	verify_cancel(never.v);
	verify_cancel(NULL);
	event_base_loopexit(w.base, &(struct timeval){.tv_usec = 50000});
	event_base_dispatch(w.base);
	assert_int_equal(cancelled.ends + never.ends, 0);
	rrset_done(&expected);
	world_done(&w);
}

/* As when a thousand zones are pushed at once and the secondary is behind: the questions are spread. */
static void test_many_zones(void **state)
{
	struct fake_line table[] = {
		{.at = NS1, .does = "aa"},
		{.at = NS2, .does = "REFUSED"},
		{0},
	};
	struct seen *s = calloc(1000, sizeof *s);
	struct world w;
	uint64_t began;
	unsigned left = 1000;

	(void)state;
	world_init(&w, table, (const char *const[]){NS1, NS2, NULL});
	for (int i = 0; i < 1000; i++) {
		char name[40];

		snprintf(name, sizeof name, "www.z%d.example.", i);
		struct rrset expected = set_of(name, RR_A, 60, "");
		verify_start(w.l, &expected, 1, &w.list, 60000, on_verify, &s[i]);
		rrset_done(&expected);
	}
	fake_dns_until(w.base, &table[1].asked, 3000);
	table[1].does = "aa";
	began = mono_ms();
	for (int i = 0; i < 1000; i++)
		fake_dns_until(w.base, &s[i].ends, 1), left--;
	print_message("1000 zones seen %d ms after the secondary had them, %u questions in vain\n", (int)(mono_ms() - began),
		      table[1].asked - 1000);
	assert_int_equal(left, 0);
	assert_true(mono_ms() - began < 15000);
	free(s);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shows),     cmocka_unit_test(test_servers), cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_many_sets), cmocka_unit_test(test_ends),    cmocka_unit_test(test_many_zones),
	};
	return cmocka_run_group_tests(tests, fake_dns_namespace, NULL);
}
