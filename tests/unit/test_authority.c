/* A small world of mocks: the resolver, the servers of "example." and of the root, and the provider's two. Each case says what is
 * different in it. */
#include "dnsupdate/authority.h"
#include "lib/clock.h"

#include "dnsupdate/judge.h"
#include "tests/unit/fake_dns.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cmocka.h>

#define RESOLVER "127.0.0.100"
#define PARENT_A "127.0.0.2"
#define PARENT_B "127.0.0.3"
#define ROOT     "127.0.0.90"
#define NS1      "127.0.0.11"
#define NS2      "127.0.0.12"

#define ALICE_SOA    "alice.example. 60 IN SOA ns1.provider.test. h. 1 2 3 4 5"
#define EXAMPLE_SOA  "example. 60 IN SOA a.nic.example. h. 1 2 3 4 5"
#define OURS(zone)   zone " 60 IN NS ns1.provider.test.\n" zone " 60 IN NS NS2.Provider.Test."
#define OTHERS(zone) zone " 60 IN NS ns1.other.test.\n" zone " 60 IN NS ns2.other.test."
#define MIX(zone)    zone " 60 IN NS ns1.provider.test.\n" zone " 60 IN NS ns2.other.test."

/* What holds unless a case says otherwise: alice.example. is delegated to the provider, and all is well. */
static const struct fake_line base_lines[] = {
	{.at = RESOLVER, .qname = "alice.example.", .qtype = RR_SOA, .answer = ALICE_SOA},
	{.at = RESOLVER, .qname = "example.", .qtype = RR_SOA, .answer = EXAMPLE_SOA},
	{.at = RESOLVER,
	 .qname = "example.",
	 .qtype = RR_NS,
	 .answer = "example. 60 IN NS a.nic.example.\nexample. 60 IN NS b.nic.example."},
	{.at = RESOLVER, .qname = ".", .qtype = RR_SOA, .answer = ". 60 IN SOA root.test. h. 1 2 3 4 5"},
	{.at = RESOLVER, .qname = ".", .qtype = RR_NS, .answer = ". 60 IN NS root.test."},
	{.at = RESOLVER, .qname = "root.test.", .qtype = RR_A, .answer = "root.test. 60 IN A " ROOT},
	{.at = RESOLVER, .qname = "a.nic.example.", .qtype = RR_A, .answer = "a.nic.example. 60 IN A " PARENT_A},
	{.at = RESOLVER, .qname = "b.nic.example.", .qtype = RR_A, .answer = "b.nic.example. 60 IN A " PARENT_B},
	{.at = RESOLVER, .qname = "ns1.provider.test.", .qtype = RR_A, .answer = "ns1.provider.test. 60 IN A " NS1},
	{.at = RESOLVER, .qname = "ns2.provider.test.", .qtype = RR_A, .answer = "ns2.provider.test. 60 IN A " NS2},
	{.at = RESOLVER, .qtype = RR_AAAA, .does = ""},
	{.at = RESOLVER, .does = "SERVFAIL"},
	{.at = PARENT_A, .qname = "alice.example.", .qtype = RR_NS, .authority = OURS("alice.example.")},
	{.at = PARENT_B, .qname = "alice.example.", .qtype = RR_NS, .authority = OURS("alice.example.")},
	{.at = ROOT,
	 .qname = "example.",
	 .qtype = RR_NS,
	 .authority = "example. 60 IN NS a.nic.example.\nexample. 60 IN NS b.nic.example."},
	{.at = NS1, .qname = "alice.example.", .qtype = RR_SOA, .does = "aa", .answer = ALICE_SOA},
	{.at = NS2, .qname = "alice.example.", .qtype = RR_SOA, .does = "aa", .answer = ALICE_SOA},
};
#define BASE  (sizeof base_lines / sizeof *base_lines)
#define EXTRA 10

struct result {
	unsigned times;
	enum verdict verdict;
	char cut[128], ns[256], why[300];
};

struct world {
	struct event_base *base;
	struct looker *l;
	struct fake_dns *dns;
	struct fake_line table[EXTRA + BASE + 1];
};

static void world_init(struct world *w, const struct fake_line *extra, const char *resolver)
{
	size_t n = 0;
	struct err err = {0};
	char *resolvers[] = {(char *)(uintptr_t)resolver};

	memset(w, 0, sizeof *w);
	while (extra && extra->at)
		w->table[n++] = *extra++;
	memcpy(w->table + n, base_lines, sizeof base_lines);
	w->base = event_base_new();
	w->dns = fake_dns_new(w->base, w->table);
	if (look_new(&w->l, w->base, resolvers, 1, &err) < 0)
		fail_msg("%s", err.text);
}

static void world_done(struct world *w)
{
	look_free(w->l);
	fake_dns_free(w->dns);
	event_base_free(w->base);
}

static void on_verdict(void *arg, const struct delegation *d)
{
	struct result *r = arg;
	size_t n = 0;

	r->times++;
	r->verdict = d->verdict;
	snprintf(r->cut, sizeof r->cut, "%.120s", d->cut ? d->cut : "");
	r->ns[0] = '\0';
	for (size_t i = 0; i < d->n_ns && n < sizeof r->ns; i++)
		n += (size_t)snprintf(r->ns + n, sizeof r->ns - n, "%s%s", i ? " " : "", d->ns[i]);
	snprintf(r->why, sizeof r->why, "%s", d->why);
}

static char *const nameservers[] = {(char[]){"NS1.provider.test"}, (char[]){"ns2.provider.test."}};

/* ---- verdicts ---- */

struct verdict_case {
	const char *name, *domain, *hosted;
	enum verdict verdict;
	const char *cut, *why; /* why: a part of it */
	struct fake_line extra[EXTRA];
};

static const struct verdict_case cases[] = {
	{"managed",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example. to ns1.provider.test., ns2.provider.test., all of them the provider's",
	 {{0}}},
	{"not at the configured servers",
	 "alice.example",
	 NULL,
	 VERDICT_MANAGED,
	 "alice.example.",
	 "no configured zone server has it",
	 {{0}}},
	{"external",
	 "alice.example",
	 NULL,
	 VERDICT_EXTERNAL,
	 "alice.example.",
	 "ns1.other.test., ns2.other.test., none of them",
	 {{.at = PARENT_A, .authority = OTHERS("alice.example.")}, {.at = PARENT_B, .authority = OTHERS("alice.example.")}}},
	{"mixed",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MIXED,
	 "alice.example.",
	 "not all of them",
	 {{.at = PARENT_A, .authority = MIX("alice.example.")}, {.at = PARENT_B, .authority = MIX("alice.example.")}}},
	{"shadow",
	 "alice.example",
	 "alice.example.",
	 VERDICT_SHADOW,
	 "alice.example.",
	 "the provider has a zone alice.example. that nobody sees",
	 {{.at = PARENT_A, .authority = OTHERS("alice.example.")}, {.at = PARENT_B, .authority = OTHERS("alice.example.")}}},
	{"the provider has the zone above only",
	 "alice.example",
	 "example.",
	 VERDICT_EXTERNAL,
	 "alice.example.",
	 "none of them",
	 {{.at = PARENT_A, .authority = OTHERS("alice.example.")}, {.at = PARENT_B, .authority = OTHERS("alice.example.")}}},
	{"lame",
	 "alice.example",
	 NULL,
	 VERDICT_LAME,
	 "alice.example.",
	 "does not answer for it: ns1.provider.test. answers REFUSED, ns2.provider.test. answers without authority",
	 {{.at = RESOLVER, .qname = "alice.example.", .does = "SERVFAIL"},
	  {.at = NS1, .does = "REFUSED"},
	  {.at = NS2, .answer = ALICE_SOA}}},
	{"one of them is lame",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "; but ns2.provider.test. answers SERVFAIL",
	 {{.at = NS2, .does = "SERVFAIL"}}},
	{"none of them can be asked",
	 "alice.example",
	 "alice.example.",
	 VERDICT_UNKNOWN,
	 "alice.example.",
	 "none of the provider's could be asked: ns1.provider.test. does not answer",
	 {{.at = RESOLVER, .qname = "ns1.provider.test.", .qtype = RR_A, .answer = "ns1.provider.test. 60 IN A 127.0.0.200"},
	  {.at = RESOLVER, .qname = "ns2.provider.test.", .qtype = RR_A, .does = "NXDOMAIN"}}},
	{"absent",
	 "alice.example",
	 "alice.example.",
	 VERDICT_ABSENT,
	 "",
	 "the servers of example. say that there is no alice.example.",
	 {{.at = RESOLVER, .qname = "alice.example.", .does = "NXDOMAIN", .authority = EXAMPLE_SOA},
	  {.at = PARENT_A, .does = "aa NXDOMAIN", .authority = EXAMPLE_SOA},
	  {.at = PARENT_B, .does = "aa NXDOMAIN", .authority = EXAMPLE_SOA}}},
	{"resolvers remember that it was absent",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "all of them",
	 {{.at = RESOLVER, .qname = "alice.example.", .does = "NXDOMAIN", .authority = EXAMPLE_SOA}}},
	{"no zone of its own",
	 "shop.alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example.",
	 {{.at = RESOLVER, .qname = "shop.alice.example.", .authority = ALICE_SOA}}},
	{"a name that a zone of the provider's lacks",
	 "shop.alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example.",
	 {{.at = RESOLVER, .qname = "shop.alice.example.", .does = "NXDOMAIN", .authority = ALICE_SOA},
	  {.at = RESOLVER, .qname = "alice.example.", .qtype = RR_NS, .answer = OURS("alice.example.")},
	  {.at = NS1, .qname = "shop.alice.example.", .does = "aa NXDOMAIN", .authority = ALICE_SOA},
	  {.at = NS2, .qname = "shop.alice.example.", .does = "aa NXDOMAIN", .authority = ALICE_SOA}}},
	{"an alias inside a zone",
	 "www.alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example.",
	 {{.at = RESOLVER,
	   .qname = "www.alice.example.",
	   .answer = "www.alice.example. 60 IN CNAME www.cdn.test.",
	   .authority = "cdn.test. 60 IN SOA ns.cdn.test. h. 1 2 3 4 5"},
	  {.at = RESOLVER, .qname = "alice.example.", .qtype = RR_NS, .answer = OURS("alice.example.")},
	  {.at = NS1, .qname = "www.alice.example.", .does = "aa", .answer = "www.alice.example. 60 IN CNAME www.cdn.test."},
	  {.at = NS2, .qname = "www.alice.example.", .does = "aa", .answer = "www.alice.example. 60 IN CNAME www.cdn.test."}}},
	{"an alias to a name of the zone above", /* whose SOA comes with the answer */
	 "www.alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example.",
	 {{.at = RESOLVER,
	   .qname = "www.alice.example.",
	   .answer = "www.alice.example. 60 IN CNAME plain.example.",
	   .authority = EXAMPLE_SOA},
	  {.at = RESOLVER, .qname = "alice.example.", .qtype = RR_NS, .answer = OURS("alice.example.")},
	  {.at = PARENT_A, .qname = "www.alice.example.", .authority = OURS("alice.example.")},
	  {.at = PARENT_B, .qname = "www.alice.example.", .authority = OURS("alice.example.")},
	  {.at = NS1, .qname = "www.alice.example.", .does = "aa", .answer = "www.alice.example. 60 IN CNAME plain.example."},
	  {.at = NS2, .qname = "www.alice.example.", .does = "aa", .answer = "www.alice.example. 60 IN CNAME plain.example."}}},
	{"an alias at the apex",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "example. delegates alice.example.",
	 {{.at = RESOLVER,
	   .qname = "alice.example.",
	   .qtype = RR_SOA,
	   .answer = "alice.example. 60 IN CNAME cdn.test.\ncdn.test. 60 IN SOA ns.cdn.test. h. 1 2 3 4 5"}}},
	{"the parent serves the child, too",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "all of them",
	 {{.at = PARENT_A, .does = "aa", .answer = OURS("alice.example.")},
	  {.at = PARENT_B, .does = "aa", .answer = OURS("alice.example.")}}},
	{"the parent's servers disagree",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MIXED,
	 "alice.example.",
	 "the servers of example. disagree about it: a.nic.example. and b.nic.example.",
	 {{.at = PARENT_A, .authority = OTHERS("alice.example.")}}},
	{"one of the parent's servers is away",
	 "alice.example",
	 "alice.example.",
	 VERDICT_MANAGED,
	 "alice.example.",
	 "that says b.nic.example. alone",
	 {{.at = RESOLVER, .qname = "a.nic.example.", .qtype = RR_A, .answer = "a.nic.example. 60 IN A 127.0.0.200"}}},
	{"the parent refuses",
	 "alice.example",
	 "alice.example.",
	 VERDICT_UNKNOWN,
	 "",
	 "none of the servers of example. could say anything: b.nic.example. answers REFUSED",
	 {{.at = PARENT_A, .does = "REFUSED"}, {.at = PARENT_B, .does = "REFUSED"}}},
	{"the parent has no addresses",
	 "alice.example",
	 "alice.example.",
	 VERDICT_UNKNOWN,
	 "",
	 "no address is found of the servers of example.",
	 {{.at = RESOLVER, .qname = "a.nic.example.", .does = "NXDOMAIN"},
	  {.at = RESOLVER, .qname = "b.nic.example.", .does = "SERVFAIL"}}},
	{"lame two levels down",
	 "a.b.example",
	 NULL,
	 VERDICT_LAME,
	 "b.example.",
	 "example. delegates b.example.",
	 {{.at = PARENT_A, .authority = OURS("b.example.")}, {.at = PARENT_B, .authority = OURS("b.example.")}}},
	{"the zone above is others' and cannot be asked",
	 "a.b.example",
	 NULL,
	 VERDICT_UNKNOWN,
	 "",
	 "nobody could be asked in the zone above it: b.example.",
	 {{.at = PARENT_A, .authority = OTHERS("b.example.")}, {.at = PARENT_B, .authority = OTHERS("b.example.")}}},
	{"a lame zone below a good one",
	 "a.alice.example",
	 NULL,
	 VERDICT_LAME,
	 "a.alice.example.",
	 "alice.example. delegates a.alice.example.",
	 {{.at = PARENT_A, .qname = "a.alice.example.", .authority = OURS("alice.example.")},
	  {.at = PARENT_B, .qname = "a.alice.example.", .authority = OURS("alice.example.")},
	  {.at = RESOLVER, .qname = "alice.example.", .qtype = RR_NS, .answer = OURS("alice.example.")},
	  {.at = NS1, .qname = "a.alice.example.", .qtype = RR_NS, .authority = OURS("a.alice.example.")},
	  {.at = NS2, .qname = "a.alice.example.", .qtype = RR_NS, .authority = OURS("a.alice.example.")}}},
	{"no such top-level domain",
	 "alice.nowhere",
	 NULL,
	 VERDICT_ABSENT,
	 "",
	 "the servers of . say that there is no alice.nowhere.",
	 {{.at = RESOLVER, .qname = "alice.nowhere.", .does = "NXDOMAIN", .authority = ". 60 IN SOA root.test. h. 1 2 3 4 5"},
	  {.at = ROOT, .qname = "alice.nowhere.", .does = "aa NXDOMAIN", .authority = ". 60 IN SOA root.test. h. 1 2 3 4 5"}}},
	{"referrals to nowhere",
	 "alice.example",
	 NULL,
	 VERDICT_UNKNOWN,
	 "",
	 "refers to others",
	 {{.at = PARENT_A, .authority = OTHERS("example.")}, {.at = PARENT_B, .authority = OTHERS(".")}}},
};

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct verdict_case *c = &cases[i];
		struct result r = {0};
		struct world w;

		world_init(&w, c->extra, RESOLVER);
		assert_non_null(inquiry_start(w.l, c->domain, c->hosted, nameservers, 2, on_verdict, &r));
		assert_int_equal(r.times, 0);
		fake_dns_until(w.base, &r.times, 1);
		if (r.verdict != c->verdict || strcmp(r.cut, c->cut) != 0 || !strstr(r.why, c->why))
			fail_msg("%s: found %s of %s because \"%s\" (%s), expected %s of %s because \"%s\"", c->name,
				 verdict_text(r.verdict), r.cut, r.why, r.ns, verdict_text(c->verdict), c->cut, c->why);
		for (size_t k = 0; w.table[k].at; k++)
			if (strcmp(w.table[k].at, RESOLVER) != 0)
				assert_int_equal(w.table[k].recursive, 0);
		world_done(&w);
	}
}

static void test_many_with_one_parent(void **state)
{
	struct fake_line extra[] = {
		{.at = RESOLVER, .qname = "example.", .qtype = RR_SOA, .answer = EXAMPLE_SOA},
		{.at = RESOLVER, .qtype = RR_SOA, .does = "", .authority = EXAMPLE_SOA},
		{.at = PARENT_A, .does = "aa NXDOMAIN"},
		{.at = PARENT_B, .does = "aa NXDOMAIN"},
		{.at = ROOT, .does = "aa NXDOMAIN"},
		{0},
	};
	struct result r = {0};
	struct world w;
	int64_t began = mono_ms();

	(void)state;
	world_init(&w, extra, RESOLVER);
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof name, "d%d.example", i);
		assert_non_null(inquiry_start(w.l, name, NULL, nameservers, 2, on_verdict, &r));
	}
	fake_dns_until(w.base, &r.times, 3000);
	print_message("3000 domains in %d ms\n", (int)(mono_ms() - began));
	for (size_t k = 0; w.table[k].at; k++)
		if (strcmp(w.table[k].at, RESOLVER) == 0 && w.table[k].qname)
			assert_true(w.table[k].asked <= 1);
	world_done(&w);
}

/* Silence, side by side, for it takes its time. Of a resolver: the first ones have to find out, the others are told at once. Of all the
 * parent's servers: the inquiry has its end. */
static void test_silence(void **state)
{
	struct fake_line extra[] = {
		{.at = "127.0.0.101", .does = "silent"},
		{.at = PARENT_A, .does = "silent"},
		{.at = PARENT_B, .does = "silent"},
		{.at = "127.0.0.4", .does = "silent"},
		{.at = "127.0.0.5", .does = "silent"},
		{.at = RESOLVER,
		 .qname = "b.nic.example.",
		 .qtype = RR_A,
		 .answer = "b.nic.example. 60 IN A 127.0.0.3\nb.nic.example. 60 IN A 127.0.0.4\nb.nic.example. 60 IN A 127.0.0.5"},
		{0},
	};
	struct result mute = {0}, late = {0};
	struct looker *nobody;
	struct world w;
	int64_t began = mono_ms();

	(void)state;
	world_init(&w, extra, RESOLVER);
	assert_int_equal(look_new(&nobody, w.base, (char *[]){"127.0.0.101"}, 1, NULL), 0);
	inquiry_start(w.l, "alice.example", NULL, nameservers, 2, on_verdict, &late);
	for (int i = 0; i < 3000; i++)
		assert_non_null(inquiry_start(nobody, "alice.example", NULL, nameservers, 2, on_verdict, &mute));
	fake_dns_until(w.base, &mute.times, 3000);
	assert_int_equal(mute.verdict, VERDICT_UNKNOWN);
	assert_string_equal(mute.why, "no resolver answers: 127.0.0.101 does not answer");
	assert_true(mono_ms() - began < 30000); /* one after the other they would take minutes */
	assert_true(w.table[0].asked < 250);
	fake_dns_until(w.base, &late.times, 1);
	assert_int_equal(late.verdict, VERDICT_UNKNOWN);
	assert_string_equal(late.why, "no verdict within 8 s: no answer came to the servers of example.");
	assert_true(mono_ms() - began >= 7900 && mono_ms() - began < 40000);
	look_free(nobody);
	world_done(&w);
}

/* At each of its steps an inquiry can be taken back, under way or in line. */
static void test_cancel(void **state)
{
	struct fake_line steps[] = {
		{.at = RESOLVER, .qname = "alice.example.", .qtype = RR_SOA, .does = "silent"},
		{.at = RESOLVER, .qname = "example.", .qtype = RR_SOA, .does = "silent"},
		{.at = RESOLVER, .qname = "example.", .qtype = RR_NS, .does = "silent"},
		{.at = RESOLVER, .qname = "b.nic.example.", .does = "silent"},
		{.at = PARENT_B, .does = "silent"},
		{.at = RESOLVER, .qname = "ns1.provider.test.", .does = "silent"},
		{.at = NS2, .does = "silent"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct result never = {0};
		struct inquiry *q[300];
		struct world w;

		world_init(&w, (struct fake_line[]){steps[i], {0}}, RESOLVER);
		for (int k = 0; k < 300; k++)
			q[k] = inquiry_start(w.l, "alice.example", NULL, nameservers, 2, on_verdict, &never);
		fake_dns_until(w.base, &w.table[0].asked, 1);
		for (int k = 299; k >= 0; k -= 2)
			inquiry_cancel(q[k]);
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		for (int k = 0; k < 300; k += 2)
			inquiry_cancel(q[k]);
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		assert_int_equal(never.times, 0);
		world_done(&w);
	}
	inquiry_cancel(NULL);
}

/* ---- muster ---- */

struct mustered {
	unsigned times;
	struct server_list list;
};

static void on_muster(void *arg, struct server_list *list)
{
	struct mustered *m = arg;

	m->times++;
	m->list = *list;
	*list = (struct server_list){0};
}

static void zone_line(struct zone *z, const char *owner, uint16_t type, const char *value)
{
	struct rr r = {.owner = (char *)(uintptr_t)owner, .type = type, .class = 1, .ttl = 60};
	size_t len;

	assert_int_equal(wire_rdata_parse(type, value, &r.rdata.bytes, &len, NULL), 0);
	r.rdata.len = (uint16_t)len;
	assert_int_equal(zone_add(z, &r), 0);
	free(r.rdata.bytes);
}

static void test_muster(void **state)
{
	struct fake_line extra[] = {
		{.at = RESOLVER, .qname = "ns3.other.test.", .qtype = RR_A, .answer = "ns3.other.test. 60 IN A 192.0.2.3"},
		{.at = RESOLVER, .qname = "ns3.other.test.", .qtype = RR_AAAA, .answer = "ns3.other.test. 60 IN AAAA 2001:db8::3"},
		{.at = RESOLVER, .qname = "ns4.other.test.", .does = "NXDOMAIN"},
		{.at = RESOLVER, .qname = "ns5.other.test.", .qtype = RR_A, .answer = "ns5.other.test. 60 IN A 192.0.2.1"},
		{.at = NS1, .qname = "ns2.provider.test.", .qtype = RR_A, .does = "aa", .answer = "ns2.provider.test. 60 IN A 192.0.2.2"},
		{.at = NS1, .qname = "ns2.provider.test.", .does = "aa"},
		{0},
	};
	static const struct {
		const char *name, *addr;
	} expected[] = {
		{"127.0.0.11", "127.0.0.11:53"},        {"ns1.alice.example.", "192.0.2.1:53"}, {"ns1.alice.example.", "[2001:db8::1]:53"},
		{"ns2.provider.test.", "192.0.2.2:53"}, {"ns3.other.test.", "192.0.2.3:53"},    {"ns3.other.test.", "[2001:db8::3]:53"},
	};
	char *ns[] = {(char[]){"ns2.provider.test."}, (char[]){"ns3.other.test."}, (char[]){"ns5.other.test."}};
	struct delegation d = {.ns = ns, .n_ns = 3};
	struct mustered m = {0};
	struct addr primary;
	struct zone z;
	struct world w;

	(void)state;
	world_init(&w, extra, RESOLVER);
	assert_true(addr_parse(&primary, NS1));
	zone_init(&z, "alice.example.");
	zone_line(&z, "alice.example.", RR_NS, "ns1.alice.example.");
	zone_line(&z, "alice.example.", RR_NS, "NS2.provider.test.");
	zone_line(&z, "alice.example.", RR_NS, "ns4.other.test.");
	zone_line(&z, "ns1.alice.example.", RR_A, "192.0.2.1");
	zone_line(&z, "ns1.alice.example.", RR_AAAA, "2001:db8::1");
	zone_order(&z);
	assert_non_null(muster_start(w.l, &z, &d, &primary, on_muster, &m));
	assert_int_equal(m.times, 0);
	fake_dns_until(w.base, &m.times, 1);
	assert_int_equal(m.list.n, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < m.list.n; i++) {
		char text[ADDR_TEXT_MAX];
		bool found = false;

		addr_text_port(&m.list.servers[i].addr, text);
		for (size_t k = 0; k < m.list.n; k++)
			found = found || (strcmp(expected[k].addr, text) == 0 && strcasecmp(expected[k].name, m.list.servers[i].name) == 0);
		if (!found)
			fail_msg("found %s at %s", m.list.servers[i].name, text);
		assert_false(m.list.servers[i].resolver);
	}
	assert_string_equal(m.list.servers[0].name, "127.0.0.11"); /* the primary in front */
	assert_int_equal(m.list.n_lost, 1);
	assert_string_equal(m.list.lost[0], "ns4.other.test.");
	server_list_done(&m.list);
	muster_cancel(muster_start(w.l, &z, &d, NULL, on_muster, &m));
	struct muster *half = muster_start(w.l, &z, &d, &primary, on_muster, &m);
	event_base_loop(w.base, EVLOOP_NONBLOCK);
	if (m.times == 1)
		muster_cancel(half);
	else
		server_list_done(&m.list);
	zone_done(&z);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_many_with_one_parent),
		cmocka_unit_test(test_silence),  cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_muster),
	};
	return cmocka_run_group_tests(tests, fake_dns_namespace, NULL);
}
