#include "proxy/source.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr ip(const char *text)
{
	struct addr a;
	memset(&a, 0, sizeof a);
	if (strchr(text, ':')) {
		a.v6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
	} else {
		a.v4.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &a.v4.sin_addr), 1);
	}
	return a;
}

static struct addr numbered(uint32_t n)
{
	struct addr a;
	memset(&a, 0, sizeof a);
	a.v4.sin_family = AF_INET;
	a.v4.sin_addr.s_addr = htonl(0x0a000000u + n);
	return a;
}

static struct sources *make(unsigned concurrent, unsigned rate, unsigned budget)
{
	struct sources *s = sources_new(&(struct source_limits){concurrent, rate, budget});
	assert_non_null(s);
	return s;
}

static void test_grouping(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool same;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true}, /* one /64 */
		{"2001:db8:0:0::1", "2001:db8:0:1::1", false},
		{"2001:db8::", "2001:db8:0:0:1::", true},
		{"0.0.0.0", "::", false}, /* equal bits of two families */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sources *s = make(1, 0, 100);
		struct addr one = ip(cases[i].one), other = ip(cases[i].other);
		addr_set_port(&one, 1000);
		addr_set_port(&other, 2000); /* ports are nothing */
		assert_int_equal(sources_enter(s, &one, 0), SOURCE_OK);
		enum source_verdict v = sources_enter(s, &other, 0);
		if (v != (cases[i].same ? SOURCE_TOO_MANY : SOURCE_OK))
			fail_msg("%s and %s: %s", cases[i].one, cases[i].other, source_verdict_name(v));
		sources_free(s);
	}
}

static void test_concurrent(void **state)
{
	(void)state;
	struct sources *s = make(3, 0, 100);
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	for (int i = 0; i < 3; i++)
		assert_int_equal(sources_enter(s, &a, 0), SOURCE_OK);
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_TOO_MANY);
	assert_int_equal(sources_enter(s, &b, 0), SOURCE_OK); /* the neighbour is not touched */
	assert_int_equal(sources_used(s), 4);
	sources_leave(s, &a);
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_OK);
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_TOO_MANY);

	sources_limit(s, &(struct source_limits){5, 0, 100});
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_OK);
	sources_limit(s, &(struct source_limits){1, 0, 100}); /* stricter: those inside stay, new ones wait */
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_TOO_MANY);
	for (int i = 0; i < 4; i++)
		sources_leave(s, &a);
	assert_int_equal(sources_enter(s, &a, 0), SOURCE_OK);
	sources_leave(s, &a);
	sources_leave(s, &b);
	assert_int_equal(sources_used(s), 0);
	sources_free(s);
	sources_free(NULL);
}

static void test_rate_bucket(void **state)
{
	(void)state;
	struct sources *s = make(0, 10, 1000);
	struct addr a = ip("2001:db8::1"), b = ip("2001:db8:1::1");
	static const struct {
		uint64_t at;
		int ok; /* so many get in, the next does not */
	} cases[] = {
		{1000, 10}, {1000, 0}, {1099, 0}, {1100, 1}, {1450, 3}, {1500, 1}, {1400, 0}, {9000, 10}, {9050, 0}, {9100, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int k = 0; k < cases[i].ok; k++) {
			assert_int_equal(sources_enter(s, &a, cases[i].at), SOURCE_OK);
			sources_leave(s, &a); /* leaving gives no token back */
		}
		if (sources_enter(s, &a, cases[i].at) != SOURCE_TOO_FAST)
			fail_msg("case %zu lets one too many in", i);
	}
	assert_int_equal(sources_enter(s, &b, 9100), SOURCE_OK);
	sources_leave(s, &b);
	assert_int_equal(sources_used(s), 0); /* refused ones are not counted */

	sources_limit(s, &(struct source_limits){0, 2, 1000}); /* b's nine tokens become two */
	assert_int_equal(sources_enter(s, &b, 9100), SOURCE_OK);
	assert_int_equal(sources_enter(s, &b, 9100), SOURCE_OK);
	assert_int_equal(sources_enter(s, &b, 9100), SOURCE_TOO_FAST);
	sources_limit(s, &(struct source_limits){0, 0, 1000});
	assert_int_equal(sources_enter(s, &b, 9100), SOURCE_OK);
	sources_free(s);
}

static void test_eighty_percent(void **state)
{
	(void)state;
	struct sources *s = make(0, 0, 100);
	struct addr heavy = ip("192.0.2.1"), light = ip("192.0.2.2"), other;
	for (int i = 0; i < 78; i++)
		assert_int_equal(sources_enter(s, &heavy, 0), SOURCE_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sources_enter(s, &light, 0), SOURCE_OK);
	/* 80 are in, 20 are free: the heavy source is out, the light one gets in as long as what it holds is below what is free. */
	assert_int_equal(sources_enter(s, &heavy, 0), SOURCE_HEAVY);
	for (int i = 0; i < 9; i++)
		assert_int_equal(sources_enter(s, &light, 0), SOURCE_OK);
	assert_int_equal(sources_used(s), 89);
	assert_int_equal(sources_enter(s, &light, 0), SOURCE_HEAVY); /* holds 11, 11 are free */
	for (uint32_t i = 0; i < 11; i++) {
		other = numbered(i);
		assert_int_equal(sources_enter(s, &other, 0), SOURCE_OK); /* strangers get the last one too */
	}
	other = numbered(99);
	assert_int_equal(sources_enter(s, &other, 0), SOURCE_FULL);
	assert_int_equal(sources_used(s), 100);
	for (int i = 0; i < 21; i++)
		sources_leave(s, &heavy);
	assert_int_equal(sources_enter(s, &heavy, 0), SOURCE_OK); /* 79 in: below the mark nobody is judged */
	assert_int_equal(sources_enter(s, &heavy, 0), SOURCE_HEAVY);
	sources_limit(s, &(struct source_limits){0, 0, 50}); /* fewer than there are */
	other = numbered(100);
	assert_int_equal(sources_enter(s, &other, 0), SOURCE_FULL);
	sources_free(s);

	s = make(0, 0, 1); /* the smallest budget is usable */
	assert_int_equal(sources_enter(s, &light, 0), SOURCE_OK);
	assert_int_equal(sources_enter(s, &light, 0), SOURCE_FULL);
	sources_free(s);
}

static long resident_kb(void)
{
	long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_million_sources(void **state)
{
	(void)state;
	struct sources *s = make(2, 5, 3000000);
	struct addr keeper = ip("2001:db8::1"), a;
	assert_int_equal(sources_enter(s, &keeper, 0), SOURCE_OK);
	assert_int_equal(sources_enter(s, &keeper, 0), SOURCE_OK);
	for (uint32_t i = 0; i < 1000000; i++) { /* come and go: those with connections are not forgotten for them */
		a = numbered(i);
		assert_int_equal(sources_enter(s, &a, i / 100), SOURCE_OK);
		sources_leave(s, &a);
	}
	assert_int_equal(sources_used(s), 2);
	assert_int_equal(sources_enter(s, &keeper, 10000), SOURCE_TOO_MANY);
	a = numbered(999999); /* the newest are still known: its bucket has four left */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(sources_enter(s, &a, 9999), SOURCE_OK);
		sources_leave(s, &a);
	}
	assert_int_equal(sources_enter(s, &a, 9999), SOURCE_TOO_FAST);

	long before = resident_kb();
	for (uint32_t i = 0; i < 1000000; i++) { /* come and stay */
		a = numbered(i + 2000000);
		assert_int_equal(sources_enter(s, &a, 20000), SOURCE_OK);
	}
	assert_int_equal(sources_used(s), 1000002);
	assert_true(resident_kb() - before < 1024);
	assert_int_equal(sources_enter(s, &keeper, 20000), SOURCE_TOO_MANY); /* heavier than those, hence not forgotten */
	for (uint32_t i = 0; i < 1000000; i++) {
		a = numbered(i + 2000000);
		sources_leave(s, &a);
	}
	sources_leave(s, &keeper);
	sources_leave(s, &keeper);
	assert_int_equal(sources_used(s), 0);
	sources_free(s);
}

/* ---- several threads ---- */

#define THREADS    4
#define TURNS      200000
#define CONCURRENT 50
#define BUDGET     150
#define GROUPS     6

struct crowd {
	struct sources *s;
	atomic_int inside[GROUPS], all;
	atomic_bool wrong;
	atomic_uint entered, refused;
};

/* Counted after entering and uncounted before leaving: never more than the table has let in. */
static void crowd_leave(struct crowd *c, int group, const struct addr *peer)
{
	atomic_fetch_sub(&c->all, 1);
	atomic_fetch_sub(&c->inside[group], 1);
	sources_leave(c->s, peer);
}

static void *crowd_member(void *arg)
{
	struct crowd *c = arg;
	struct addr peer[GROUPS];
	int mine[GROUPS] = {0};
	unsigned seed = (unsigned)(uintptr_t)&seed;
	for (uint32_t g = 0; g < GROUPS; g++)
		peer[g] = numbered(g);
	for (int i = 0; i < TURNS; i++) {
		int g = rand_r(&seed) % GROUPS;
		if (rand_r(&seed) % 5 < 3) {
			if (sources_enter(c->s, &peer[g], 0) != SOURCE_OK) {
				atomic_fetch_add(&c->refused, 1);
				continue;
			}
			mine[g]++;
			atomic_fetch_add(&c->entered, 1);
			if (atomic_fetch_add(&c->inside[g], 1) >= CONCURRENT || atomic_fetch_add(&c->all, 1) >= BUDGET)
				c->wrong = true;
		} else if (mine[g]) {
			mine[g]--;
			crowd_leave(c, g, &peer[g]);
		}
	}
	for (int g = 0; g < GROUPS; g++)
		while (mine[g]--)
			crowd_leave(c, g, &peer[g]);
	return NULL;
}

static void test_exact_under_threads(void **state)
{
	(void)state;
	struct crowd c = {.s = make(CONCURRENT, 0, BUDGET)};
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, crowd_member, &c), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_false(c.wrong);
	assert_true(c.entered > 1000);
	assert_true(c.refused > 1000);
	assert_int_equal(sources_used(c.s), 0);
	struct addr a = numbered(0); /* and nothing is left behind of any source */
	for (int i = 0; i < CONCURRENT; i++)
		assert_int_equal(sources_enter(c.s, &a, 0), SOURCE_OK);
	assert_int_equal(sources_enter(c.s, &a, 0), SOURCE_TOO_MANY);
	sources_free(c.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grouping),       cmocka_unit_test(test_concurrent),      cmocka_unit_test(test_rate_bucket),
		cmocka_unit_test(test_eighty_percent), cmocka_unit_test(test_million_sources), cmocka_unit_test(test_exact_under_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
