/* The whole way with real servers: Unbound resolves from a root of our own, Knot serves root and "example." and, a second one, is the
 * provider; BIND is somebody else's name server. */
#include "dnsupdate/verify.h"
#include "lib/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static pid_t children[4];
static size_t n_children;

/* ---- the servers ---- */

static void write_file(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void write_file(const char *name, const char *fmt, ...)
{
	char path[128];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	assert_int_equal(fclose(f), 0);
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("\"%s\" failed", command);
}

static void start(const char *program, const char *const *args)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char log[128];

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where the test is killed */
		if (getppid() != parent)
			_exit(1);
		snprintf(log, sizeof log, "%s/log", dir);
		if (!freopen(log, "a", stdout) || dup2(1, 2) < 0)
			_exit(1);
		execvp(program, (char *const *)(uintptr_t)args);
		_exit(127);
	}
	children[n_children++] = pid;
}

static void start_knot(const char *name, const char *address_1, const char *address_2, const char *zones)
{
	char conf[80];

	snprintf(conf, sizeof conf, "%s.conf", name);
	write_file(conf,
		   "server:\n    rundir: %s/%s\n    listen: [ %s@53, %s@53 ]\n    udp-workers: 1\n    tcp-workers: 1\n"
		   "    background-workers: 1\n"
		   "database:\n    storage: %s/%s\n"
		   "template:\n  - id: default\n    storage: %s/%s\n    zonefile-sync: -1\n    journal-content: none\nzone:\n%s",
		   dir, name, address_1, address_2, dir, name, dir, name, zones);
	snprintf(conf, sizeof conf, "%s/%s.conf", dir, name);
	start("knotd", (const char *const[]){"knotd", "-c", conf, NULL});
}

#define HEAD(ns) "@ 3600 SOA " ns " h.example. 1 3600 600 86400 60\n"

static void zone_files(void)
{
	shell("mkdir %s/parent %s/provider", dir, dir);
	write_file("parent/root.zone", HEAD("a.nic.example.") "@ 3600 NS a.nic.example.\nexample. 3600 NS a.nic.example.\n"
							      "example. 3600 NS b.nic.example.\na.nic.example. 3600 A 127.0.0.2\n"
							      "b.nic.example. 3600 A 127.0.0.3\n");
	write_file("parent/example.zone", HEAD("a.nic.example.") "@ 3600 NS a.nic\n@ 3600 NS b.nic\na.nic 3600 A 127.0.0.2\n"
								 "b.nic 3600 A 127.0.0.3\n"
								 "provider 3600 NS ns1.provider\nprovider 3600 NS ns2.provider\n"
								 "ns1.provider 3600 A 127.0.0.11\nns2.provider 3600 A 127.0.0.12\n"
								 "other 3600 NS ns.other\nns.other 3600 A 127.0.0.21\n"
								 "alice 3600 NS ns1.provider\nalice 3600 NS ns2.provider\n"
								 "lame 3600 NS ns1.provider\nlame 3600 NS ns2.provider\n"
								 "bob 3600 NS ns.other\nshadow 3600 NS ns.other\n"
								 "mixed 3600 NS ns1.provider\nmixed 3600 NS ns.other\n"
								 "plain 3600 A 192.0.2.7\n");
	write_file("provider/provider.zone",
		   HEAD("ns1.provider.example.") "@ 3600 NS ns1\n@ 3600 NS ns2\nns1 3600 A 127.0.0.11\nns2 3600 A 127.0.0.12\n");
	write_file("provider/hosted.zone",
		   HEAD("ns1.provider.example.") "@ 3600 NS ns1.provider.example.\n@ 3600 NS ns2.provider.example.\n"
						 "www 60 A 192.0.2.2\nwww 60 A 192.0.2.3\n* 60 A 192.0.2.2\n"
						 "alias 60 CNAME www\nshop 60 MX 10 www\n");
	write_file("provider/other.zone", HEAD("ns.other.example.") "@ 3600 NS ns.other.example.\nwww 60 A 192.0.2.9\n");
	write_file("provider/otherself.zone", HEAD("ns.other.example.") "@ 3600 NS ns\nns 3600 A 127.0.0.21\n");
}

static int start_all(void **state)
{
	char conf[80];

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		fail_msg("no network namespace could be made (root is needed): %s", strerror(errno));
	snprintf(dir, sizeof dir, "/tmp/test_published.XXXXXX");
	assert_non_null(mkdtemp(dir));
	shell("ip link set lo up && ip addr add 127.0.0.21/8 dev lo"); /* BIND listens on what is assigned, alone */
	zone_files();
	start_knot("parent", "127.0.0.2", "127.0.0.3",
		   "  - domain: .\n    file: root.zone\n  - domain: example.\n    file: example.zone\n");
	start_knot("provider", "127.0.0.11", "127.0.0.12",
		   "  - domain: provider.example.\n    file: provider.zone\n  - domain: alice.example.\n    file: hosted.zone\n"
		   "  - domain: shadow.example.\n    file: hosted.zone\n  - domain: mixed.example.\n    file: hosted.zone\n");
	write_file("named.conf",
		   "options { directory \"%s/provider\"; pid-file none; session-keyfile none; lock-file none; recursion no;"
		   " dnssec-validation no; listen-on { 127.0.0.21; }; listen-on-v6 { none; }; };\ncontrols { };\n"
		   "zone \"bob.example\" { type primary; file \"other.zone\"; };\nzone \"shadow.example\" { type primary; file "
		   "\"other.zone\"; };\n"
		   "zone \"mixed.example\" { type primary; file \"other.zone\"; };\n"
		   "zone \"other.example\" { type primary; file \"otherself.zone\"; };\n",
		   dir);
	snprintf(conf, sizeof conf, "%s/named.conf", dir);
	start("named", (const char *const[]){"named", "-g", "-n", "1", "-c", conf, NULL});
	write_file("hints", ". 3600 NS a.nic.example.\na.nic.example. 3600 A 127.0.0.2\n");
	write_file(
		"unbound.conf",
		"server:\n interface: 127.0.0.100\n do-daemonize: no\n use-syslog: no\n username: \"\"\n chroot: \"\"\n directory: \"%s\"\n"
		" pidfile: \"\"\n root-hints: \"%s/hints\"\n do-not-query-localhost: no\n module-config: \"iterator\"\n do-ip6: no\n"
		" num-threads: 1\n access-control: 127.0.0.0/8 allow\nremote-control:\n control-enable: no\n",
		dir, dir);
	snprintf(conf, sizeof conf, "%s/unbound.conf", dir);
	start("unbound", (const char *const[]){"unbound", "-d", "-c", conf, NULL});
	return 0;
}

static int stop_all(void **state)
{
	(void)state;
	while (n_children > 0) {
		kill(children[--n_children], SIGKILL);
		waitpid(children[n_children], NULL, 0);
	}
	shell("rm -r %s", dir);
	return 0;
}

/* ---- what is asked of them ---- */

struct world {
	struct event_base *base;
	struct looker *l;
	bool over;
	bool up; /* the answer was there */
	struct delegation d;
	struct server_list servers;
	size_t ends, seen[8];
	char trouble[8][200];
};

static void run(struct world *w)
{
	for (int64_t end = mono_ms() + 60000; !w->over;) {
		if (mono_ms() > end)
			fail_msg("waited 60 s");
		event_base_loopexit(w->base, &(struct timeval){.tv_usec = 10000});
		event_base_loop(w->base, EVLOOP_ONCE);
	}
	w->over = false;
}

static void on_soa(void *arg, const struct answer *a, const struct err *err)
{
	struct world *w = arg;

	(void)err;
	w->up = a && a->rcode == RCODE_NOERROR && a->answer.n > 0;
	w->over = true;
}

static void wait_for(const char *at, const char *zone)
{
	struct world w = {.base = event_base_new()};
	struct addr server;
	char *resolvers[] = {(char *)(uintptr_t)at};

	assert_true(addr_parse(&server, at));
	for (int64_t end = mono_ms() + 60000; !w.up;) {
		if (mono_ms() > end) {
			shell("cat %s/log >&2", dir);
			fail_msg("waited 60 s for %s at %s", zone, at);
		}
		usleep(20000);                                                   /* between two looks at the fact */
		assert_int_equal(look_new(&w.l, w.base, resolvers, 1, NULL), 0); /* a new one remembers no silence */
		if (strcmp(at, "127.0.0.100") == 0)
			look_up(w.l, zone, RR_SOA, on_soa, &w);
		else
			look_at(w.l, &server, zone, RR_SOA, on_soa, &w);
		run(&w);
		look_free(w.l);
	}
	event_base_free(w.base);
}

static void on_verdict(void *arg, const struct delegation *d)
{
	struct world *w = arg;

	w->d = *d;
	w->d.ns = NULL;
	w->d.n_ns = 0;
	w->d.cut = d->cut ? strdup(d->cut) : NULL;
	for (size_t i = 0; i < d->n_ns; i++) {
		w->d.ns = reallocarray(w->d.ns, i + 1, sizeof *w->d.ns);
		w->d.ns[w->d.n_ns++] = strdup(d->ns[i]);
	}
	w->over = true;
}

static void on_muster(void *arg, struct server_list *list)
{
	struct world *w = arg;

	w->servers = *list;
	*list = (struct server_list){0};
	w->over = true;
}

static void on_verify(void *arg, const struct sighting *all, size_t n, const struct sighting *at)
{
	struct world *w = arg;

	if (at)
		return;
	for (size_t i = 0; i < n && i < 8; i++) {
		w->seen[i] = all[i].seen;
		snprintf(w->trouble[i], sizeof w->trouble[i], "%s", all[i].trouble);
	}
	w->over = true;
}

static char *nameservers[] = {(char[]){"ns1.provider.example"}, (char[]){"ns2.provider.example"}};

static void test_verdicts(void **state)
{
	static const struct {
		const char *domain, *hosted;
		enum verdict verdict;
		const char *cut, *why;
	} cases[] = {
		{"alice.example", "alice.example.", VERDICT_MANAGED, "alice.example.", "all of them the provider's"},
		{"www.alice.example", "alice.example.", VERDICT_MANAGED, "alice.example.", ""},
		{"alias.alice.example", "alice.example.", VERDICT_MANAGED, "alice.example.", ""},
		{"any.thing.alice.example", "alice.example.", VERDICT_MANAGED, "alice.example.", ""},
		{"bob.example", NULL, VERDICT_EXTERNAL, "bob.example.", "ns.other.example."},
		{"shadow.example", "shadow.example.", VERDICT_SHADOW, "shadow.example.", "nobody sees"},
		{"mixed.example", "mixed.example.", VERDICT_MIXED, "mixed.example.", "not all of them"},
		{"lame.example", NULL, VERDICT_LAME, "lame.example.",
		 "ns1.provider.example. answers REFUSED, ns2.provider.example. answers REFUSED"},
		{"gone.example", NULL, VERDICT_ABSENT, NULL, "there is no gone.example."},
		{"plain.example", NULL, VERDICT_EXTERNAL, "example.", ". delegates example."},
		{"alice.nowhere", NULL, VERDICT_ABSENT, NULL, "the servers of . say that there is no alice.nowhere."},
		{"ns1.provider.example", "provider.example.", VERDICT_MANAGED, "provider.example.", ""},
	};
	struct world w = {.base = event_base_new()};

	(void)state;
	assert_int_equal(look_new(&w.l, w.base, (char *[]){"127.0.0.100"}, 1, NULL), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_non_null(inquiry_start(w.l, cases[i].domain, cases[i].hosted, nameservers, 2, on_verdict, &w));
		run(&w);
		if (w.d.verdict != cases[i].verdict || (cases[i].cut && strcmp(w.d.cut ? w.d.cut : "", cases[i].cut) != 0) ||
		    !strstr(w.d.why, cases[i].why))
			fail_msg("%s: found %s of %s: %s", cases[i].domain, verdict_text(w.d.verdict), w.d.cut, w.d.why);
		delegation_done(&w.d);
	}
	look_free(w.l);
	event_base_free(w.base);
}

static struct rrset set_of(const char *owner, uint16_t type, const char *one, const char *two)
{
	struct rrset s;
	const char *values[] = {one, two};

	assert_int_equal(rrset_init(&s, owner, type, 60), 0);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *bytes;
		size_t len;

		if (!values[i])
			continue;
		assert_int_equal(wire_rdata_parse(type, values[i], &bytes, &len, NULL), 0);
		assert_int_equal(rrset_add(&s, bytes, len), 0);
		free(bytes);
	}
	return s;
}

static void zone_with_ns(struct zone *z, const char *name)
{
	struct rrset ns = set_of(name, RR_NS, "ns1.provider.example.", NULL);

	zone_init(z, name);
	assert_int_equal(zone_add_set(z, &ns), 0);
	zone_order(z);
}

/* mixed.example. is answered by three servers; the one that is others' has never heard of the change. */
static void test_publication(void **state)
{
	struct world w = {.base = event_base_new()};
	struct rrset expected[] = {
		set_of("WWW.mixed.example.", RR_A, "192.0.2.3", "192.0.2.2"),
		set_of("*.mixed.example.", RR_A, "192.0.2.2", NULL),
		set_of("www.mixed.example.", RR_AAAA, NULL, NULL),
		set_of("shop.mixed.example.", RR_MX, "10 www.mixed.example.", NULL),
	};
	struct zone z;

	(void)state;
	assert_int_equal(look_new(&w.l, w.base, (char *[]){"127.0.0.100"}, 1, NULL), 0);
	inquiry_start(w.l, "mixed.example", "mixed.example.", nameservers, 2, on_verdict, &w);
	run(&w);
	zone_with_ns(&z, "mixed.example.");
	muster_start(w.l, &z, &w.d, NULL, on_muster, &w);
	run(&w);
	assert_int_equal(w.servers.n, 2);
	assert_string_equal(w.servers.servers[0].name, "ns1.provider.example.");
	assert_string_equal(w.servers.servers[1].name, "ns.other.example.");
	verify_start(w.l, expected, 4, &w.servers, 500, on_verify, &w);
	run(&w);
	assert_int_equal(w.seen[0], 4);
	assert_string_equal(w.trouble[0], "");
	assert_string_equal(w.trouble[1], "answers A 192.0.2.9, TTL 60 (asked for WWW.mixed.example. A)");
	for (size_t i = 0; i < 4; i++)
		rrset_done(&expected[i]);
	server_list_done(&w.servers);
	delegation_done(&w.d);
	zone_done(&z);
	look_free(w.l);
	event_base_free(w.base);
}

/* Knot, BIND and Unbound do not say NODATA, authority and TTL in quite the same way. */
static void test_each_kind(void **state)
{
	struct server servers[] = {{.name = (char[]){"knot"}}, {.name = (char[]){"bind"}}, {.name = (char[]){"unbound"}, .resolver = true}};
	struct server_list list = {.servers = servers, .n = 3};
	struct rrset expected[] = {
		set_of("www.shadow.example.", RR_AAAA, NULL, NULL),
		set_of("no.www.shadow.example.", RR_A, NULL, NULL),
		set_of("www.shadow.example.", RR_A, "192.0.2.9", NULL),
	};
	struct world w = {.base = event_base_new()};

	(void)state;
	assert_true(addr_parse(&servers[0].addr, "127.0.0.11") && addr_parse(&servers[1].addr, "127.0.0.21") &&
		    addr_parse(&servers[2].addr, "127.0.0.100"));
	assert_int_equal(look_new(&w.l, w.base, (char *[]){"127.0.0.100"}, 1, NULL), 0);
	verify_start(w.l, expected, 3, &list, 500, on_verify, &w);
	run(&w);
	assert_int_equal(w.seen[0], 2);
	assert_string_equal(w.trouble[0], "answers A 192.0.2.2 192.0.2.3, TTL 60 (asked for www.shadow.example. A)");
	assert_int_equal(w.seen[1], 3);
	assert_int_equal(w.seen[2], 3);
	for (size_t i = 0; i < 3; i++)
		rrset_done(&expected[i]);
	look_free(w.l);
	event_base_free(w.base);
}

static int ready(void **state)
{
	int rc = start_all(state);

	wait_for("127.0.0.2", "example.");
	wait_for("127.0.0.11", "alice.example.");
	wait_for("127.0.0.21", "bob.example.");
	wait_for("127.0.0.100", "alice.example.");
	return rc;
}

static bool installed(const char *program)
{
	char command[64];

	snprintf(command, sizeof command, "command -v %s >/dev/null", program);
	return system(command) == 0;
}

int main(void)
{
	static const char *const programs[] = {"knotd", "named", "unbound"};

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (!installed(programs[i])) {
			print_message("skipped: %s is not installed\n", programs[i]);
			return 77;
		}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_publication),
		cmocka_unit_test(test_each_kind),
	};
	return cmocka_run_group_tests(tests, ready, stop_all);
}
