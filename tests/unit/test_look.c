/* The servers are mocks (fake_dns.h), for they must fall silent, cut, forge and refuse. */
#include "dnsupdate/look.h"
#include "lib/clock.h"

#include "tests/unit/fake_dns.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

struct heard {
	unsigned times, answers;
	unsigned rcode;
	bool aa;
	size_t n_answer, n_authority;
	char error[300];
	struct addr addrs[8];
	size_t n_addrs;
	struct looker *free_it; /* in the callback */
};

struct world {
	struct event_base *base;
	struct looker *l;
	struct fake_dns *dns;
};

static void hear(void *arg, const struct answer *a, const struct err *err)
{
	struct heard *h = arg;

	h->times++;
	assert_true((a == NULL) == (err != NULL));
	if (a) {
		h->answers++;
		h->rcode = a->rcode;
		h->aa = a->aa;
		h->n_answer = a->answer.n;
		h->n_authority = a->authority.n;
	} else {
		snprintf(h->error, sizeof h->error, "%.299s", err->text);
	}
	look_free(h->free_it);
}

static void hear_addresses(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct heard *h = arg;

	h->times++;
	h->n_addrs = n;
	for (size_t i = 0; i < n && i < 8; i++)
		h->addrs[i] = addrs[i];
	if (n == 0)
		snprintf(h->error, sizeof h->error, "%.299s", err->text);
}

static void world_init(struct world *w, struct fake_line *table, char *const *resolvers, size_t n)
{
	struct err err = {0};

	w->base = event_base_new();
	w->dns = fake_dns_new(w->base, table);
	if (look_new(&w->l, w->base, resolvers, n, &err) < 0)
		fail_msg("%s", err.text);
}

static void world_done(struct world *w)
{
	look_free(w->l);
	fake_dns_free(w->dns);
	event_base_free(w->base);
}

static struct addr at(const char *text)
{
	struct addr a;

	assert_true(addr_parse(&a, text));
	return a;
}

#define RESOLVERS(...) (char *[]){__VA_ARGS__}, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)

/* ---- one server ---- */

static void test_answers(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.2", .qname = "www.a.test.", .does = "aa", .answer = "www.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "gone.a.test.", .does = "aa NXDOMAIN", .authority = "a.test. 60 IN SOA a. b. 1 2 3 4 5"},
		{.at = "127.0.0.2", .qname = "sub.a.test.", .authority = "sub.a.test. 60 IN NS ns.b.test."},
		{.at = "127.0.0.2", .qname = "cut.a.test.", .does = "aa cut", .answer = "cut.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "old.a.test.", .does = "aa no-edns", .answer = "old.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "forged.a.test.", .does = "aa forged", .answer = "forged.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "*.a.test.", .does = "aa", .answer = "*.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "a\\032b\\.c.a.test.", .does = "aa", .answer = "a\\032b\\.c.a.test. 60 IN A 192.0.2.1"},
		{.at = "127.0.0.2", .qname = "fail.a.test.", .does = "SERVFAIL"},
		{.at = "::1", .qname = "six.a.test.", .does = "aa", .answer = "six.a.test. 60 IN AAAA 2001:db8::1"},
		{0},
	};
	static const struct {
		const char *server, *name;
		unsigned rcode;
		bool aa;
		size_t answers, authority;
	} cases[] = {
		{"127.0.0.2", "WWW.a.test", RCODE_NOERROR, true, 1, 0},     {"127.0.0.2", "gone.a.test.", RCODE_NXDOMAIN, true, 0, 1},
		{"127.0.0.2", "sub.a.test.", RCODE_NOERROR, false, 0, 1},   {"127.0.0.2", "cut.a.test.", RCODE_NOERROR, true, 1, 0},
		{"127.0.0.2", "old.a.test.", RCODE_NOERROR, true, 1, 0},    {"127.0.0.2", "forged.a.test.", RCODE_NOERROR, true, 1, 0},
		{"127.0.0.2", "*.a.test.", RCODE_NOERROR, true, 1, 0},      {"127.0.0.2", "a\\032b\\.c.a.test.", RCODE_NOERROR, true, 1, 0},
		{"127.0.0.2", "fail.a.test.", RCODE_SERVFAIL, false, 0, 0}, {"127.0.0.2", "unknown.a.test.", RCODE_REFUSED, false, 0, 0},
		{"::1", "six.a.test.", RCODE_NOERROR, true, 1, 0},
	};
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct heard h = {0};
		struct addr server = at(cases[i].server);

		assert_non_null(look_at(w.l, &server, cases[i].name, RR_A, hear, &h));
		assert_int_equal(h.times, 0); /* never from inside */
		fake_dns_until(w.base, &h.times, 1);
		if (!h.answers)
			fail_msg("%s: %s", cases[i].name, h.error);
		assert_int_equal(h.rcode, cases[i].rcode);
		assert_int_equal(h.aa, cases[i].aa);
		assert_int_equal(h.n_answer, cases[i].answers);
		assert_int_equal(h.n_authority, cases[i].authority);
	}
	for (struct fake_line *l = table; l->at; l++)
		assert_int_equal(l->recursive, 0);
	assert_int_equal(table[3].tcp, 1);
	assert_int_equal(table[0].edns, 1);
	assert_int_equal(table[4].asked, 2); /* again without EDNS */
	world_done(&w);
}

static void test_errors(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.2", .qname = "garbage.a.test.", .does = "aa garbage"},
		{0},
	};
	static const struct {
		const char *server, *name, *error;
	} cases[] = {
		{"127.0.0.2", "garbage.a.test.", "127.0.0.2 answers what is no DNS message"},
		{"127.0.0.9", "www.a.test.", "127.0.0.9 does not answer (connection refused)"},
		{"fe80::1", "www.a.test.", "fe80::1 is no address at which a server can be asked"},
		{"0.0.0.0", "www.a.test.", "0.0.0.0 is no address"},
		{"224.0.0.1", "www.a.test.", "224.0.0.1 is no address"},
		{"127.0.0.2", "a..test.", "127.0.0.2: "},
		{"127.0.0.2", "nul\\000.test.", "found the name nul\\000.test., which cannot be asked for"},
	};
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct heard h = {0};
		struct addr server = at(cases[i].server);

		assert_non_null(look_at(w.l, &server, cases[i].name, RR_A, hear, &h));
		fake_dns_until(w.base, &h.times, 1);
		assert_int_equal(h.answers, 0);
		if (!strstr(h.error, cases[i].error))
			fail_msg("%s at %s: found \"%s\", expected \"%s\"", cases[i].name, cases[i].server, h.error, cases[i].error);
	}
	world_done(&w);
}

/* ---- many questions ---- */

/* All are answered, from several ports; none of a silent server's hold up those of others; and it is not asked by each of them again. */
static void test_many_and_a_dead_server(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.2", .does = "aa"},
		{.at = "127.0.0.3", .does = "silent"},
		{0},
	};
	struct heard good = {0}, dead = {0}, late = {0};
	struct addr live = at("127.0.0.2"), mute = at("127.0.0.3");
	struct world w;
	int64_t began = mono_ms();
	unsigned asked;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	for (int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof name, "n%d.test.", i);
		assert_non_null(look_at(w.l, &mute, name, RR_A, hear, &dead));
		assert_non_null(look_at(w.l, &live, name, RR_A, hear, &good));
	}
	fake_dns_until(w.base, &good.times, 1000);
	assert_int_equal(good.answers, 1000);
	assert_int_equal(dead.times, 0); /* before the other one was given up */
	assert_true(table[0].ports >= 5);
	fake_dns_until(w.base, &dead.times, 1000);
	assert_int_equal(dead.answers, 0);
	assert_string_equal(dead.error, "127.0.0.3 does not answer");
	assert_true(mono_ms() - began < 30000); /* one after the other they would take minutes */
	asked = table[1].asked;
	assert_true(asked <= 2 * 64 + 2);
	began = mono_ms();
	look_at(w.l, &mute, "late.test.", RR_A, hear, &late);
	fake_dns_until(w.base, &late.times, 1);
	assert_true(mono_ms() - began < 2 * LOOK_TIMEOUT_MS); /* and no try was waited for, the second of which takes as long as that */
	assert_int_equal(table[1].asked, asked);
	world_done(&w);
}

static void test_cancel(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.2", .does = "aa"},
		{.at = "127.0.0.3", .does = "silent"},
		{0},
	};
	struct heard never = {0}, h = {0};
	struct addr live = at("127.0.0.2"), mute = at("127.0.0.3");
	struct look *k[100], *waiting;
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	for (int i = 0; i < 100; i++) /* more than may be under way */
		k[i] = look_at(w.l, &mute, "a.test.", RR_A, hear, &never);
	waiting = look_addresses(w.l, "host.test.", hear_addresses, &never);
	look_at(w.l, &live, "a.test.", RR_A, hear, &h);
	fake_dns_until(w.base, &h.times, 1);
	for (int i = 0; i < 100; i++)
		look_cancel(k[i]);
	look_cancel(waiting);
	look_cancel(NULL);
	look_at(w.l, &live, "a.test.", RR_A, hear, &h);
	fake_dns_until(w.base, &h.times, 2);
	for (int i = 0; i < 50; i++) /* in line, under way, and done: look_free() ends all */
		look_at(w.l, i % 2 ? &live : &mute, "a.test.", RR_A, hear, &never);
	event_base_loop(w.base, EVLOOP_NONBLOCK);
	world_done(&w);
	assert_int_equal(never.times, never.answers);
}

static void test_free_in_callback(void **state)
{
	struct fake_line table[] = {{.at = "127.0.0.2", .does = "aa"}, {0}};
	struct heard h = {0};
	struct addr live = at("127.0.0.2");
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	h.free_it = w.l;
	look_at(w.l, &live, "a.test.", RR_A, hear, &h);
	fake_dns_until(w.base, &h.times, 1);
	w.l = NULL;
	world_done(&w);
}

/* ---- resolvers ---- */

static void test_resolvers(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.4", .does = "SERVFAIL"},
		{.at = "127.0.0.5", .qname = "broken.test.", .does = "SERVFAIL"},
		{.at = "127.0.0.5", .does = "", .answer = "www.test. 60 IN A 192.0.2.1"},
		{0},
	};
	const struct addr *list;
	struct heard h = {0};
	struct world w;
	char text[ADDR_TEXT_MAX];

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.9", "127.0.0.4", "127.0.0.5:53", "::1"));
	assert_int_equal(look_resolvers(w.l, &list), 4);
	assert_string_equal(addr_text_port(&list[3], text), "[::1]:53");
	look_up(w.l, "www.test.", RR_A, hear, &h);
	fake_dns_until(w.base, &h.times, 1);
	assert_int_equal(h.answers, 1);
	assert_int_equal(h.rcode, RCODE_NOERROR);
	assert_int_equal(table[2].recursive, 1);
	look_up(w.l, "www.test.", RR_A, hear, &h); /* begins with the one that answered */
	fake_dns_until(w.base, &h.times, 2);
	assert_int_equal(table[0].asked, 1);
	look_up(w.l, "broken.test.", RR_A, hear, &h); /* all fail, and what one of them said is told */
	fake_dns_until(w.base, &h.times, 3);
	assert_int_equal(h.answers, 3);
	assert_int_equal(h.rcode, RCODE_SERVFAIL);
	world_done(&w);
}

static void test_bad_resolvers(void **state)
{
	struct event_base *base = event_base_new();
	static const char *const bad[] = {"fe80::1", "0.0.0.0", "no such name", "not.there.invalid"};
	struct looker *l;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = {0};
		char name[32], *names[] = {name};

		snprintf(name, sizeof name, "%s", bad[i]);
		assert_true(look_new(&l, base, names, 1, &err) < 0);
		assert_null(l);
		assert_non_null(strstr(err.text, bad[i]));
	}
	assert_int_equal(look_new(&l, base, (char *[]){"localhost"}, 1, NULL), 0);
	look_free(l);
	assert_int_equal(look_new(&l, base, NULL, 0, NULL), 0);
	look_free(l);
	event_base_free(base);
}

/* Networks change while we run. */
static void test_resolv_conf(void **state)
{
	struct fake_line table[] = {{.at = "127.0.0.2", .does = "SERVFAIL"}, {.at = "127.0.0.5", .does = ""}, {0}};
	char path[] = "/tmp/test_look.conf.XXXXXX";
	const struct addr *list;
	struct heard h = {0};
	struct world w;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	unlink(path);
	assert_true(dprintf(fd, "nameserver 127.0.0.2\n") > 0);
	world_init(&w, table, NULL, 0);
	assert_int_equal(look_resolvers(w.l, &list), 0); /* nobody configured them */
	look_up(w.l, "a.test.", RR_A, hear, &h);
	fake_dns_until(w.base, &h.times, 1);
	assert_int_equal(h.rcode, RCODE_SERVFAIL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_true(dprintf(fd, "nameserver 127.0.0.5\n") > 0);
	for (int64_t end = mono_ms() + 30000; table[1].asked == 0 && mono_ms() < end;) {
		look_up(w.l, "a.test.", RR_A, hear, &h);
		fake_dns_until(w.base, &h.times, h.times + 1);
	}
	assert_int_equal(h.rcode, RCODE_NOERROR);
	close(fd);
	umount("/etc/resolv.conf");
	world_done(&w);
}

static void test_addresses(void **state)
{
	struct fake_line table[] = {
		{.at = "127.0.0.2", .qname = "ns.test.", .qtype = RR_A, .answer = "ns.test. 60 IN A 192.0.2.1\nns.test. 60 IN A 192.0.2.2"},
		{.at = "127.0.0.2",
		 .qname = "ns.test.",
		 .qtype = RR_AAAA,
		 .answer = "ns.test. 60 IN AAAA 2001:db8::1\nns.test. 60 IN AAAA fe80::1"},
		{.at = "127.0.0.2",
		 .qname = "alias.test.",
		 .qtype = RR_A,
		 .answer = "alias.test. 60 IN CNAME x.test.\nx.test. 60 IN A 192.0.2.3\nother.test. 60 IN A 192.0.2.66"},
		{.at = "127.0.0.2", .qname = "loop.test.", .answer = "loop.test. 60 IN CNAME l.test.\nl.test. 60 IN CNAME loop.test."},
		{.at = "127.0.0.2", .qname = "six.test.", .qtype = RR_AAAA, .answer = "six.test. 60 IN AAAA 2001:db8::2"},
		{.at = "127.0.0.2", .qname = "six.test."},
		{.at = "127.0.0.2", .qname = "gone.test.", .does = "NXDOMAIN"},
		{.at = "127.0.0.2", .qname = "alias.test."},
		{0},
	};
	static const struct {
		const char *name;
		size_t n;
		const char *first, *error;
	} cases[] = {
		{"ns.test", 3, "192.0.2.1", NULL},
		{"alias.test.", 1, "192.0.2.3", NULL},
		{"six.test.", 1, "2001:db8::2", NULL},
		{"loop.test.", 0, NULL, "loop.test. has no address"},
		{"gone.test.", 0, NULL, "there is no gone.test."},
		{"refused.test.", 0, NULL, "the resolver answers REFUSED for refused.test."},
	};
	struct heard many = {0};
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct heard h = {0};
		char text[ADDR_TEXT_MAX];

		assert_non_null(look_addresses(w.l, cases[i].name, hear_addresses, &h));
		assert_int_equal(h.times, 0);
		fake_dns_until(w.base, &h.times, 1);
		if (h.n_addrs != cases[i].n)
			fail_msg("%s: found %zu addresses (%s)", cases[i].name, h.n_addrs, h.error);
		if (cases[i].first)
			assert_string_equal(addr_text(&h.addrs[0], text), cases[i].first);
		if (cases[i].error)
			assert_string_equal(h.error, cases[i].error);
	}
	for (int i = 0; i < 1000; i++) /* asked for once, whoever wants to know */
		look_addresses(w.l, "NS.test.", hear_addresses, &many);
	fake_dns_until(w.base, &many.times, 1000);
	assert_int_equal(table[0].asked, 1);
	assert_int_equal(table[1].asked, 1);
	world_done(&w);
}

static void test_hosts_file(void **state)
{
	struct fake_line table[] = {{.at = "127.0.0.2", .answer = "localhost. 60 IN A 192.0.2.66"}, {0}};
	struct heard h = {0};
	struct world w;

	(void)state;
	world_init(&w, table, RESOLVERS("127.0.0.2"));
	look_addresses(w.l, "localhost", hear_addresses, &h);
	fake_dns_until(w.base, &h.times, 1);
	assert_true(h.n_addrs >= 1);
	assert_true(addr_is_loopback(&h.addrs[0]));
	assert_int_equal(table[0].asked, 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_many_and_a_dead_server),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_bad_resolvers),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hosts_file),
	};
	return cmocka_run_group_tests(tests, fake_dns_namespace, NULL);
}
