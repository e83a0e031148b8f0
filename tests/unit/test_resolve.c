/* The name server here is a mock, for it must do wrong: fall silent, fail, change its mind, send rubbish. */
#include "lib/clock.h"
#include "proxy/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum mood { ANSWER, NXDOMAIN, SERVFAIL, REFUSED, SILENT, RUBBISH, WRONG_ID };

struct zone_name {
	const char *name, *alias; /* alias: a CNAME with a TTL of 1 comes first, the addresses are its own */
	const char *a[12], *aaaa[4];
	uint32_t ttl;
	enum mood mood;
	unsigned asked; /* for A or AAAA */
	unsigned turn;  /* by which the addresses are rotated */
	int64_t last_ms;
};

struct world {
	struct event_base *base;
	struct event *tick, *readable;
	int fd;
	char servers[32], hosts[64];
	struct zone_name *zone; /* ends with a NULL name */
	struct resolver *r;
};

/* ---- the mock ---- */

static size_t put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
	return 2;
}

static size_t put_record(unsigned char *p, unsigned owner, unsigned type, uint32_t ttl, const void *data, unsigned len)
{
	size_t n = put16(p, 0xc000 | owner);
	n += put16(p + n, type);
	n += put16(p + n, 1);
	n += put16(p + n, ttl >> 16);
	n += put16(p + n, ttl & 0xffff);
	n += put16(p + n, len);
	memcpy(p + n, data, len);
	return n + len;
}

static size_t put_name(unsigned char *p, const char *name)
{
	size_t n = 0;
	while (*name) {
		size_t len = strcspn(name, ".");
		p[n++] = (unsigned char)len;
		memcpy(p + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	p[n++] = 0;
	return n;
}

static size_t put_addresses(unsigned char *p, unsigned owner, struct zone_name *z, unsigned type, unsigned *count)
{
	const char *const *list = type == 1 ? z->a : z->aaaa;
	size_t n = 0, have = 0;
	while (list[have])
		have++;
	for (size_t i = 0; i < have; i++, ++*count) {
		unsigned char ip[16];
		assert_int_equal(inet_pton(type == 1 ? AF_INET : AF_INET6, list[(i + z->turn) % have], ip), 1);
		n += put_record(p + n, owner, type, z->ttl, ip, type == 1 ? 4 : 16);
	}
	return n;
}

static struct zone_name *look_up(struct world *w, const unsigned char *q, char *name)
{
	size_t n = 0;
	for (; *q; q += *q + 1) {
		memcpy(name + n, q + 1, *q);
		n += *q;
		name[n++] = '.';
	}
	name[n ? n - 1 : 0] = '\0';
	for (struct zone_name *z = w->zone; z && z->name; z++)
		if (strcasecmp(z->name, name) == 0)
			return z;
	return NULL;
}

static void on_question(int fd, short what, void *arg)
{
	struct world *w = arg;
	unsigned char in[512], out[1024];
	char name[260];
	struct sockaddr_in from;
	socklen_t from_len = sizeof from;
	ssize_t len = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
	(void)what;
	if (len < 17)
		return;
	struct zone_name *z = look_up(w, in + 12, name);
	size_t q_len = strlen((char *)in + 12) + 1 + 4, n = 12 + q_len;
	unsigned type = (unsigned)in[n - 4] << 8 | in[n - 3], count = 0, rcode = z ? 0 : 3;
	memcpy(out, in, n);
	if (z) {
		z->asked++;
		z->last_ms = mono_ms();
		rcode = z->mood == NXDOMAIN ? 3 : z->mood == SERVFAIL ? 2 : z->mood == REFUSED ? 5 : 0;
		if (z->mood == SILENT)
			return;
		if (rcode == 0) {
			unsigned owner = 12;
			if (z->alias) {
				unsigned char target[256];
				size_t t = put_name(target, z->alias);
				n += put_record(out + n, 12, 5, 1, target, (unsigned)t);
				owner = (unsigned)(n - t);
				count++;
			}
			n += put_addresses(out + n, owner, z, type, &count);
		}
		if (z->mood == WRONG_ID)
			out[0] ^= 0xff;
	}
	out[2] = 0x85; /* an answer, authoritative */
	out[3] = (unsigned char)(0x80 | rcode);
	put16(out + 6, count);
	memset(out + 8, 0, 4);
	if (z && z->mood == RUBBISH) {
		n = 12 + q_len + 3;
		memset(out + 12, 0xc0, n - 12); /* compression pointers to themselves */
	}
	sendto(fd, out, n, 0, (struct sockaddr *)&from, from_len);
}

static void on_tick(int fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* ends EVLOOP_ONCE */
}

/* ---- the frame ---- */

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	assert_non_null(w);
	w->base = event_base_new();
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(getsockname(w->fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(w->servers, sizeof w->servers, "127.0.0.1:%u", ntohs(sin.sin_port));
	w->readable = event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_question, w);
	event_add(w->readable, NULL);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(w->tick, &(struct timeval){.tv_usec = 10000});
	strcpy(w->hosts, "/tmp/test_resolve.XXXXXX");
	int fd = mkstemp(w->hosts);
	assert_true(fd >= 0);
	close(fd);
	setenv("CARES_HOSTS", w->hosts, 1);
	struct err err = {0};
	if (resolver_new_for_test(&w->r, w->base, w->servers, &err) != 0)
		fail_msg("%s", err.text);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	resolver_free(w->r);
	event_free(w->readable);
	event_free(w->tick);
	event_base_free(w->base);
	close(w->fd);
	unlink(w->hosts);
	free(w);
	return 0;
}

#define WAIT_FOR(w, cond)                                                 \
	do {                                                              \
		int64_t end_ = mono_ms() + 20000;                         \
		while (!(cond)) {                                         \
			if (mono_ms() > end_)                             \
				fail_msg("waited in vain for %s", #cond); \
			event_base_loop((w)->base, EVLOOP_ONCE);          \
		}                                                         \
	} while (0)

struct heard {
	unsigned times;
	size_t n;
	char text[16 * ADDR_TEXT_MAX]; /* "192.0.2.1 2001:db8::1", sorted by text */
	struct watch *cancel, *cancel_too;
	struct resolver **free_too;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void hear(void *arg, const struct addr *addrs, size_t n)
{
	struct heard *h = arg;
	char each[RESOLVE_MAX][ADDR_TEXT_MAX];
	assert_true(n > 0 && n <= RESOLVE_MAX);
	watch_cancel(h->cancel);
	watch_cancel(h->cancel_too);
	if (h->free_too) {
		resolver_free(*h->free_too);
		*h->free_too = NULL;
	}
	h->times++;
	h->n = n;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(addr_port(&addrs[i]), 0);
		addr_text(&addrs[i], each[i]);
	}
	qsort(each, n, sizeof *each, by_text);
	h->text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(strcat(h->text, i ? " " : ""), each[i]);
}

static void write_hosts(struct world *w, const char *text)
{
	FILE *f = fopen(w->hosts, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* ---- the cases ---- */

static void test_families(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "both.test", .a = {"192.0.2.1", "192.0.2.2"}, .aaaa = {"2001:db8::1"}, .ttl = 60},
		{.name = "four.test", .a = {"192.0.2.4"}, .ttl = 60},
		{.name = "six.test", .aaaa = {"2001:db8::6"}, .ttl = 60},
		{0},
	};
	static const struct {
		const char *name;
		int family;
		const char *expect; /* NULL: nothing */
	} cases[] = {
		{"both.test", AF_UNSPEC, "192.0.2.1 192.0.2.2 2001:db8::1"},
		{"both.test", AF_INET, "192.0.2.1 192.0.2.2"},
		{"both.test", AF_INET6, "2001:db8::1"},
		{"four.test", AF_UNSPEC, "192.0.2.4"},
		{"four.test", AF_INET, "192.0.2.4"},
		{"four.test", AF_INET6, NULL},
		{"six.test", AF_UNSPEC, "2001:db8::6"},
		{"six.test", AF_INET, NULL},
		{"SIX.test.", AF_INET6, "2001:db8::6"}, /* a dot may end it */
		{"none.test", AF_UNSPEC, NULL},
		{"192.0.2.77", AF_UNSPEC, "192.0.2.77"}, /* an address is its own name */
	};
	enum { N = sizeof cases / sizeof *cases };
	struct heard h[N] = {0};
	unsigned expected = 0;
	w->zone = zone;
	for (size_t i = 0; i < N; i++) {
		assert_non_null(resolver_watch(w->r, cases[i].name, cases[i].family, hear, &h[i]));
		assert_int_equal(h[i].times, 0); /* never from within */
	}
	for (size_t i = 0; i < N; i++) {
		if (!cases[i].expect)
			continue;
		WAIT_FOR(w, h[i].times);
		if (strcmp(h[i].text, cases[i].expect) != 0)
			fail_msg("case %zu: %s instead of %s", i, h[i].text, cases[i].expect);
		expected++;
	}
	/* Those without an address are asked again and again without a word. */
	unsigned asked = zone[1].asked;
	WAIT_FOR(w, zone[1].asked > asked);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(h[i].times, cases[i].expect ? 1 : 0);
}

static void test_ttl(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "short.test", .a = {"192.0.2.1"}, .ttl = 1},
		{.name = "long.test", .a = {"192.0.2.1"}, .ttl = 3600},
		{.name = "zero.test", .a = {"192.0.2.1"}, .ttl = 0},
		{.name = "alias.test", .alias = "target.test", .a = {"192.0.2.1"}, .ttl = 3600},
		{0},
	};
	struct heard h[4] = {0};
	w->zone = zone;
	for (int i = 0; i < 4; i++)
		assert_non_null(resolver_watch(w->r, zone[i].name, AF_INET, hear, &h[i]));
	for (int i = 0; i < 4; i++) {
		WAIT_FOR(w, h[i].times);
		zone[i].a[0] = "192.0.2.9";
	}
	int64_t first = zone[0].last_ms;
	WAIT_FOR(w, h[0].times == 2 && h[2].times == 2 && h[3].times == 2); /* the CNAME's TTL counts too */
	assert_string_equal(h[0].text, "192.0.2.9");
	assert_true(zone[0].last_ms - first >= 950);                  /* not before its time */
	unsigned seconds = (unsigned)(mono_ms() - first + 50) / 1000; /* 1, unless this process had no processor meanwhile */
	assert_in_range(zone[0].asked, 2, 1 + seconds);
	assert_true(zone[2].asked <= 2 + seconds); /* 0 is not a storm */
	assert_int_equal(zone[1].asked, 1);
	assert_string_equal(h[1].text, "192.0.2.1");
}

static void test_order_is_no_change(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "rr.test", .a = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"}, .ttl = 1}, /* one twice */
		{.name = "many.test",
		 .a = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9",
		       "192.0.2.10", "192.0.2.11"},
		 .ttl = 60},
		{0},
	};
	struct heard h[2] = {0};
	w->zone = zone;
	assert_non_null(resolver_watch(w->r, "rr.test", AF_INET, hear, &h[0]));
	assert_non_null(resolver_watch(w->r, "many.test", AF_INET, hear, &h[1]));
	for (unsigned i = 1; i <= 3; i++) {
		zone[0].turn = i;
		WAIT_FOR(w, zone[0].asked >= i);
	}
	WAIT_FOR(w, h[0].times && h[1].times);
	assert_int_equal(h[0].times, 1);
	assert_int_equal(h[0].n, 3);
	assert_int_equal(h[1].n, RESOLVE_MAX);
	zone[0].a[3] = "192.0.2.4"; /* one more is */
	WAIT_FOR(w, h[0].times == 2);
	assert_int_equal(h[0].n, 4);
}

static void test_keeps_and_recovers(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "nx.test", .mood = NXDOMAIN},
		{.name = "fail.test", .mood = SERVFAIL},
		{.name = "refuse.test", .mood = REFUSED},
		{.name = "silent.test", .mood = SILENT},
		{.name = "rubbish.test", .mood = RUBBISH},
		{.name = "id.test", .mood = WRONG_ID},
		{.name = "empty.test", .mood = ANSWER},
		{.name = "never.test", .mood = NXDOMAIN},
		{0},
	};
	enum { N = 7, NEVER = 7 };
	enum mood mood[N];
	struct heard h[N + 1] = {0};
	unsigned asked[N];
	w->zone = zone;
	for (int i = 0; i < N; i++) {
		mood[i] = zone[i].mood;
		zone[i].mood = ANSWER;
		zone[i].a[0] = "192.0.2.1";
		zone[i].ttl = 1;
		assert_non_null(resolver_watch(w->r, zone[i].name, AF_INET, hear, &h[i]));
	}
	assert_non_null(resolver_watch(w->r, "never.test", AF_INET, hear, &h[NEVER]));
	for (int i = 0; i < N; i++) {
		WAIT_FOR(w, h[i].times);
		zone[i].mood = mood[i];
		zone[i].a[0] = NULL;
		asked[i] = zone[i].asked;
	}
	for (int i = 0; i < N; i++) {
		WAIT_FOR(w, zone[i].asked >= asked[i] + 3); /* asked again, and again */
		assert_int_equal(h[i].times, 1);            /* not a word: the old addresses stay */
	}
	/* The waits grow: 0.5, 1, 2 ... here. So in about 3 s there were few questions. */
	assert_true(zone[NEVER].asked >= 2 && zone[NEVER].asked <= 6);
	for (int i = 0; i < N; i++) {
		zone[i].mood = ANSWER;
		zone[i].a[0] = i % 2 ? "192.0.2.1" : "192.0.2.2"; /* some come back with what they had */
	}
	zone[NEVER].mood = ANSWER;
	zone[NEVER].a[0] = "192.0.2.3";
	zone[NEVER].ttl = 60;
	for (int i = 0; i < N; i++) {
		asked[i] = zone[i].asked;
		WAIT_FOR(w, i % 2 ? zone[i].asked >= asked[i] + 2 : h[i].times == 2);
		assert_int_equal(h[i].times, i % 2 ? 1 : 2);
		assert_string_equal(h[i].text, i % 2 ? "192.0.2.1" : "192.0.2.2");
	}
	WAIT_FOR(w, h[NEVER].times);
	assert_string_equal(h[NEVER].text, "192.0.2.3");
}

/* No other answer wakes c-ares up here: its own time limit must. */
static void test_silence_alone(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {{.name = "silent.test", .mood = SILENT}, {0}};
	struct heard h = {0};
	w->zone = zone;
	assert_non_null(resolver_watch(w->r, "silent.test", AF_INET, hear, &h));
	WAIT_FOR(w, zone[0].asked >= 3); /* twice for the first question, then for the next */
	zone[0].mood = ANSWER;
	zone[0].a[0] = "192.0.2.1";
	zone[0].ttl = 60;
	WAIT_FOR(w, h.times);
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "one.test", .a = {"192.0.2.1"}, .ttl = 1},
		{.name = "two.test", .mood = SILENT},
		{.name = "three.test", .a = {"192.0.2.3"}, .ttl = 1},
		{0},
	};
	struct heard one = {0}, two = {0}, three = {0}, four = {0};
	w->zone = zone;
	one.cancel = resolver_watch(w->r, "one.test", AF_INET, hear, &one);     /* cancels itself */
	one.cancel_too = resolver_watch(w->r, "two.test", AF_INET, hear, &two); /* and one whose question is under way */
	watch_cancel(resolver_watch(w->r, "three.test", AF_INET, hear, &three));
	watch_cancel(resolver_watch(w->r, "192.0.2.1", AF_INET, hear, &three)); /* answered, but not told yet */
	watch_cancel(NULL);
	assert_non_null(resolver_watch(w->r, "three.test", AF_UNSPEC, hear, &four));
	WAIT_FOR(w, one.times && four.times);
	zone[0].a[0] = zone[2].a[0] = "192.0.2.8";
	zone[1].mood = ANSWER;
	zone[1].a[0] = "192.0.2.2";
	WAIT_FOR(w, four.times == 2);
	assert_int_equal(one.times, 1);
	assert_string_equal(one.text, "192.0.2.1");
	assert_int_equal(zone[0].asked, 1);
	assert_int_equal(two.times, 0);
	assert_int_equal(three.times, 0);
}

static void test_free_with_questions_under_way(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {{.name = "silent.test", .mood = SILENT}, {.name = "one.test", .a = {"192.0.2.1"}, .ttl = 1}, {0}};
	struct heard h = {0}, last = {.free_too = &w->r};
	w->zone = zone;
	for (int i = 0; i < 20; i++)
		assert_non_null(resolver_watch(w->r, "silent.test", AF_UNSPEC, hear, &h));
	WAIT_FOR(w, zone[0].asked >= 20);
	resolver_free(w->r);
	assert_int_equal(resolver_new_for_test(&w->r, w->base, w->servers, NULL), 0);
	for (int i = 0; i < 20; i++)
		assert_non_null(resolver_watch(w->r, "silent.test", AF_UNSPEC, hear, &h));
	assert_non_null(resolver_watch(w->r, "one.test", AF_INET, hear, &last));
	WAIT_FOR(w, last.times); /* frees it from within its callback */
	assert_null(w->r);
	assert_int_equal(h.times, 0);
	assert_string_equal(last.text, "192.0.2.1");
	resolver_free(NULL);
}

static void test_names(void **state)
{
	struct world *w = *state;
	struct heard h = {0};
#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{"alice.example", true},
		{"a", true},
		{"xn--bcher-kva.example.", true},
		{"_x-1.example", true},
		{L63 ".example", true},
		{L63 "." L63 "." L63 "."
		     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 true},
		{L63 "." L63 "." L63 "."
		     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 false},
		{"", false},
		{".", false},
		{"..", false},
		{".a", false},
		{"a..b", false},
		{"a..", false},
		{L63 "a.example", false},
		{"a b", false},
		{"a\nb.example", false},
		{"b\xc3\xbc"
		 "cher.example",
		 false},
		{"a/../b", false},
		{"a:80", false},
		{"2001:db8::1", false},
		{"*.example", false},
		{"a\\.b", false},
		{"a%00", false},
		{"[::1]", false},
		{"\x7f", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (resolve_name_ok(cases[i].name) != cases[i].ok)
			fail_msg("%s", cases[i].name);
		errno = 0;
		struct watch *watch = resolver_watch(w->r, cases[i].name, AF_UNSPEC, hear, &h);
		assert_int_equal(watch != NULL, cases[i].ok);
		assert_true(cases[i].ok || errno == EINVAL);
		watch_cancel(watch);
	}
}

static void test_hosts_file(void **state)
{
	struct world *w = *state;
	struct zone_name zone[] = {
		{.name = "host.test", .a = {"192.0.2.1"}, .ttl = 1},
		{.name = "fourhost.test", .aaaa = {"2001:db8::6"}, .ttl = 60},
		{0},
	};
	struct heard h = {0}, alias = {0}, six = {0};
	w->zone = zone;
	write_hosts(w, "# a comment\n198.51.100.1 host.test nick.test\n2001:db8::1 host.test\n198.51.100.4 fourhost.test\nrubbish\n");
	assert_non_null(resolver_watch(w->r, "host.test", AF_UNSPEC, hear, &h));
	assert_non_null(resolver_watch(w->r, "nick.test", AF_INET, hear, &alias));
	assert_non_null(resolver_watch(w->r, "fourhost.test", AF_INET6, hear, &six)); /* not of this family there: DNS */
	WAIT_FOR(w, h.times && alias.times && six.times);
	assert_string_equal(h.text, "198.51.100.1 2001:db8::1");
	assert_string_equal(alias.text, "198.51.100.1");
	assert_string_equal(six.text, "2001:db8::6");
	assert_int_equal(zone[0].asked, 0);
	write_hosts(w, "198.51.100.2 host.test nick.test\n");
	WAIT_FOR(w, h.times == 2 && alias.times == 2);
	assert_string_equal(h.text, "198.51.100.2");
	write_hosts(w, "");
	WAIT_FOR(w, h.times == 3);
	assert_string_equal(h.text, "192.0.2.1");
	assert_string_equal(alias.text, "198.51.100.2"); /* gone, hence kept */
}

static void test_bad_servers(void **state)
{
	struct world *w = *state;
	struct resolver *r;
	struct err err = {0};
	assert_int_equal(resolver_new_for_test(&r, w->base, "not a server", &err), -EINVAL);
	assert_null(r);
	assert_true(err.text[0]);
}

/* In namespaces of our own: /etc/resolv.conf first names a server that is not there, as at boot, then one that is. */
static int new_resolv_conf(void)
{
	char path[] = "/tmp/test_resolve.conf.XXXXXX";
	struct zone_name zone[] = {{.name = "boot.test", .a = {"192.0.2.1"}, .ttl = 60}, {0}};
	struct world w = {.zone = zone};
	struct heard h = {0};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000035)};
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = mkstemp(path);
	if (fd < 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return 77;
	unlink(path);
	w.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ioctl(w.fd, SIOCSIFFLAGS, &up) < 0 || bind(w.fd, (struct sockaddr *)&sin, sizeof sin) < 0)
		return 77;
	if (dprintf(fd, "nameserver 127.0.0.54\n") < 0)
		return 2;
	w.base = event_base_new();
	w.readable = event_new(w.base, w.fd, EV_READ | EV_PERSIST, on_question, &w);
	event_add(w.readable, NULL);
	w.tick = event_new(w.base, -1, EV_PERSIST, on_tick, NULL);
	event_add(w.tick, &(struct timeval){.tv_usec = 10000});
	if (resolver_new(&w.r, w.base, NULL) < 0 || !resolver_watch(w.r, "boot.test", AF_INET, hear, &h))
		return 3;
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 || dprintf(fd, "nameserver 127.0.0.53\n") < 0)
		return 2;
	for (int64_t end = mono_ms() + 30000; !h.times && mono_ms() < end;)
		event_base_loop(w.base, EVLOOP_ONCE);
	resolver_free(w.r);
	event_free(w.readable);
	event_free(w.tick);
	event_base_free(w.base);
	return h.times == 1 && strcmp(h.text, "192.0.2.1") == 0 ? 0 : 4;
}

static void test_new_resolv_conf(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(new_resolv_conf());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) /* namespaces are root's */
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_families),
		CASE(test_ttl),
		CASE(test_order_is_no_change),
		CASE(test_keeps_and_recovers),
		CASE(test_silence_alone),
		CASE(test_cancel),
		CASE(test_free_with_questions_under_way),
		CASE(test_names),
		CASE(test_hosts_file),
		CASE(test_bad_servers),
		cmocka_unit_test(test_new_resolv_conf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
