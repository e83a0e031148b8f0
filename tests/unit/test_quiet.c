/* Which back ends have answered nobody of late. */
#include "proxy/quiet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct addr at(const char *text)
{
	struct addr a;

	assert_true(addr_parse_port(&a, text));
	return a;
}

/* Accounts are only compared. */
static const struct account *account(uintptr_t n)
{
	return (const struct account *)(n * 8);
}

static void test_connections(void **state)
{
	struct addr web = at("198.51.100.10:443"), plain = at("198.51.100.10:80");
	struct quiet q = {0};
	(void)state;

	for (int i = 0; i < 3; i++)
		quiet_late(&q, &web, account(1), true, 1000);
	assert_false(quiet_is(&q, &web, 1000));
	quiet_late(&q, &web, account(1), true, 1000);
	assert_true(quiet_is(&q, &web, 1000));
	assert_false(quiet_is(&q, &plain, 1000));
	assert_true(quiet_is(&q, &web, 999 + QUIET_MS));
	assert_false(quiet_is(&q, &web, 1000 + QUIET_MS)); /* it is asked again */
	quiet_late(&q, &web, account(1), true, 1000 + QUIET_MS);
	quiet_late(&q, &web, account(1), true, 1000 + QUIET_MS);
	assert_true(quiet_is(&q, &web, 1000 + QUIET_MS));
	quiet_answered(&q, &web);
	assert_false(quiet_is(&q, &web, 1000 + QUIET_MS));
	quiet_answered(&q, &plain); /* of which nothing is known */
}

static void test_answers(void **state)
{
	struct addr web = at("[2001:db8:1::10]:443");
	struct quiet q = {0};
	(void)state;

	for (int i = 0; i < 100; i++)
		quiet_late(&q, &web, account(1), false, 1000); /* a site that is slow */
	assert_false(quiet_is(&q, &web, 1000));
	for (uintptr_t i = 2; i < QUIET_AFTER; i++)
		quiet_late(&q, &web, account(i), false, 1000);
	assert_false(quiet_is(&q, &web, 1000));
	quiet_answered(&q, &web); /* one was answered */
	for (uintptr_t i = 1; i < QUIET_AFTER; i++)
		quiet_late(&q, &web, account(i), false, 1000);
	assert_false(quiet_is(&q, &web, 1000));
	quiet_late(&q, &web, account(QUIET_AFTER), false, 1000);
	assert_true(quiet_is(&q, &web, 1000));
}

static void test_most(void **state)
{
	struct addr one = at("198.51.100.10:1");
	struct quiet q = {0};
	(void)state;

	for (uint16_t port = 1; port <= QUIET_MAX + 1; port++) {
		addr_set_port(&one, port);
		for (int i = 0; i < 4; i++)
			quiet_late(&q, &one, account(1), true, 1000);
	}
	assert_true(quiet_is(&q, &one, 1000));
	addr_set_port(&one, 2);
	assert_true(quiet_is(&q, &one, 1000));
	addr_set_port(&one, 1); /* it was the oldest */
	assert_false(quiet_is(&q, &one, 1000));
	assert_int_equal(q.n, QUIET_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
