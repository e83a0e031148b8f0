#include "proxy/farewell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char out[FAREWELL_MAX + 1];

static size_t said(uint16_t port, const char *here, unsigned again_s)
{
	struct addr a;
	size_t n;

	assert_true(addr_parse(&a, here));
	memset(out, '#', sizeof out);
	n = farewell_write(out, port, &a, again_s);
	assert_true(n <= FAREWELL_MAX);
	out[n] = '\0';
	return n;
}

#define LATER(minutes) "This account is being moved to another server, please try again in " minutes

static void words(void **state)
{
	(void)state;
	said(21, "192.0.2.10", 60);
	assert_string_equal(out, "421 Service not available, closing control connection. " LATER("1 minute") "\r\n");
	said(25, "192.0.2.10", 61);
	assert_string_equal(out, "421 [192.0.2.10] Service not available, closing transmission channel. " LATER("2 minutes") "\r\n");
	said(587, "2001:db8::10", 1);
	assert_string_equal(out, "421 [IPv6:2001:db8::10] Service not available, closing transmission channel. " LATER("1 minute") "\r\n");
	said(110, "192.0.2.10", 30);
	assert_string_equal(out, "-ERR [SYS/TEMP] " LATER("1 minute") "\r\n");
	said(143, "192.0.2.10", 3600);
	assert_string_equal(out, "* BYE [UNAVAILABLE] " LATER("60 minutes") "\r\n");
	said(4190, "192.0.2.10", 30);
	assert_string_equal(out, "BYE (TRYLATER) \"" LATER("1 minute") "\"\r\n");
}

static void mysql(void **state)
{
	size_t n = said(3306, "192.0.2.10", 30);

	(void)state;
	assert_int_equal((unsigned char)out[0] | (unsigned char)out[1] << 8 | (unsigned char)out[2] << 16, n - 4);
	assert_memory_equal(out + 3, "\0\xff\x1d\x04", 4); /* sequence 0, ERR, 1053 */
	assert_string_equal(out + 7, LATER("1 minute"));
}

static void postgres(void **state)
{
	static const char fields[] = "SFATAL\0VFATAL\0C57P03\0M" LATER("1 minute") "\0";
	size_t n = said(5432, "192.0.2.10", 30);

	(void)state;
	assert_int_equal(out[0], 'E');
	assert_int_equal((unsigned char)out[1] << 24 | (unsigned char)out[2] << 16 | (unsigned char)out[3] << 8 | (unsigned char)out[4],
			 n - 1);
	assert_int_equal(n, 5 + sizeof fields);
	assert_memory_equal(out + 5, fields, sizeof fields);
}

static void encryption(void **state)
{
	size_t n = 0;

	(void)state;
	assert_true(farewell_not_yet(out, &n, 5432, "\0\0\0\x08\x04\xd2\x16\x2f", 8)); /* SSLRequest */
	assert_int_equal(n, 1);
	assert_int_equal(out[0], 'N');
	assert_true(farewell_not_yet(out, &n, 5432, "\0\0\0\x08\x04\xd2\x16\x30", 8));  /* GSSENCRequest */
	assert_false(farewell_not_yet(out, &n, 5432, "\0\0\0\x08\x04\xd2\x16\x2e", 8)); /* CancelRequest's number */
	assert_false(farewell_not_yet(out, &n, 5432, "\0\0\0\x08\x04\xd2\x16", 7));
	assert_false(farewell_not_yet(out, &n, 25, "\0\0\0\x08\x04\xd2\x16\x2f", 8));
}

static void nothing(void **state)
{
	(void)state;
	assert_int_equal(said(22, "192.0.2.10", 30), 0);
	assert_int_equal(said(993, "192.0.2.10", 30), 0);
	assert_int_equal(said(8300, "192.0.2.10", 30), 0);
}

/* the longest address, the longest time */
static void longest(void **state)
{
	static const uint16_t ports[] = {21, 25, 110, 143, 3306, 4190, 5432};

	(void)state;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		assert_true(said(ports[i], "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 4294967295u) < FAREWELL_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),      cmocka_unit_test(mysql),   cmocka_unit_test(postgres),
		cmocka_unit_test(encryption), cmocka_unit_test(nothing), cmocka_unit_test(longest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
