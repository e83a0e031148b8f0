/* By which ports visitors come: counted by day, by several workers at once, with an end to its memory. */
#include "proxy/seen.h"

#include "proxy/account.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY UINT64_C(86400000)

static void test_days(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, 1);
	struct seen_row rows[SEEN_MAX];
	uint64_t t = 100 * DAY + 5000;
	(void)state;

	assert_int_equal(seen_rows(a, t, rows), 0);
	seen_count(a, 443, PROTOCOL_TLS, t);
	for (int i = 0; i < 3; i++)
		seen_count(a, 80, PROTOCOL_HTTP, t + 2000);
	seen_count(a, 80, PROTOCOL_HTTP, t + 2 * DAY);
	assert_int_equal(seen_rows(a, t + 2 * DAY, rows), 2);
	assert_int_equal(rows[0].port, 80); /* in order */
	assert_int_equal(rows[0].count, 4);
	assert_int_equal(rows[0].first_ms, t + 2000);
	assert_int_equal(rows[0].last_ms, t + 2 * DAY);
	assert_int_equal(rows[1].protocol, PROTOCOL_TLS);
	assert_int_equal(rows[1].last_ms, t);
	assert_int_equal(seen_rows(a, t + 6 * DAY, rows), 2);
	assert_int_equal(seen_rows(a, t + 7 * DAY, rows), 1); /* the first day is past */
	assert_int_equal(rows[0].count, 1);
	seen_count(a, 443, PROTOCOL_TLS, t + 7 * DAY); /* in the place of that day */
	assert_int_equal(seen_rows(a, t + 7 * DAY, rows), 2);
	assert_int_equal(rows[1].count, 1);
	assert_int_equal(seen_rows(a, t + 20 * DAY, rows), 0);
	account_unref(a);
}

static void test_most(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, 1);
	struct seen_row rows[SEEN_MAX];
	(void)state;

	for (uint16_t port = 1; port < 1000; port++)
		seen_count(a, port, PROTOCOL_TCP, DAY);
	assert_int_equal(seen_rows(a, DAY, rows), SEEN_MAX);
	assert_int_equal(rows[SEEN_MAX - 1].port, SEEN_MAX);
	account_unref(a);
}

#define THREADS 4
#define EACH    20000
static void *count_many(void *arg)
{
	for (int i = 0; i < EACH; i++)
		seen_count(arg, (uint16_t)(80 + i % 7), PROTOCOL_HTTP, 3 * DAY + (uint64_t)i);
	return NULL;
}

static void test_threads(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, THREADS);
	struct seen_row rows[SEEN_MAX];
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	(void)state;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, a), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(seen_rows(a, 3 * DAY, rows), 7);
	for (int i = 0; i < 7; i++)
		sum += rows[i].count;
	assert_int_equal(sum, THREADS * EACH);
	account_unref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
