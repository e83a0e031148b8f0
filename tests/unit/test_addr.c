/* Addresses: what is written reads, what is nearly one does not, and equal ones compare equal whatever their form. */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void good_addresses(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"::", "::"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"fe80::1%1", "fe80::1%1"},
		{"fe80::1%lo", "fe80::1%1"},
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(addr_parse(&a, rows[i].in));
		assert_string_equal(addr_text(&a, text), rows[i].out);
		assert_int_equal(addr_port(&a), 0);
	}
}

static void bad_addresses(void **state)
{
	static const char *const rows[] = {"",
					   " ",
					   "192.0.2",
					   "192.0.2.256",
					   "192.0.2.01",
					   "192.0.2.1 ",
					   " 192.0.2.1",
					   "0x7f.1",
					   "192.0.2.1:80",
					   "[::1]",
					   "::1::",
					   "1:2:3:4:5:6:7:8:9",
					   "fe80::1%",
					   "fe80::1%nosuchinterface",
					   "192.0.2.1%lo",
					   "example",
					   "fe80::1%99999999999",
					   "2001:db8::1/64",
					   "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff"};
	struct addr a;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (addr_parse(&a, rows[i]))
			fail_msg("\"%s\" was taken for an address", rows[i]);
}

static void ports(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} rows[] = {
		{"192.0.2.1:80", "192.0.2.1:80"},
		{"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1"},
		{"192.0.2.1:0", "192.0.2.1:0"},
		{"192.0.2.1", NULL},
		{"192.0.2.1:", NULL},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:080", NULL},
		{"192.0.2.1:+80", NULL},
		{"192.0.2.1:80x", NULL},
		{"2001:db8::1:80", NULL},
		{"[192.0.2.1]:80", NULL},
		{"[2001:db8::1]80", NULL},
		{"[2001:db8::1:80", NULL},
		{":80", NULL},
		{"[]:80", NULL},
		{"[::1]:99999999999999999999", NULL},
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool ok = addr_parse_port(&a, rows[i].in);
		if (ok != (rows[i].out != NULL))
			fail_msg("\"%s\" was %s", rows[i].in, ok ? "taken" : "refused");
		if (ok)
			assert_string_equal(addr_text_port(&a, text), rows[i].out);
	}
}

static void sockaddrs(void **state)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	struct sockaddr_storage unix_one = {.ss_family = AF_UNIX};
	struct addr a, b;
	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr);
	assert_true(addr_from_sockaddr(&a, (struct sockaddr *)&six));
	assert_int_equal(addr_family(&a), AF_INET);
	assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in));
	assert_true(addr_parse_port(&b, "192.0.2.7:443"));
	assert_true(addr_same(&a, &b));
	addr_set_port(&b, 444);
	assert_false(addr_same(&a, &b));
	assert_true(addr_same_ip(&a, &b));
	assert_false(addr_from_sockaddr(&a, (struct sockaddr *)&unix_one));
	assert_true(addr_parse(&a, "::"));
	assert_true(addr_is_any(&a));
	assert_false(addr_is_any(&b));
	assert_true(addr_parse(&a, "127.255.0.1"));
	assert_true(addr_is_loopback(&a));
	assert_true(addr_parse(&a, "::1"));
	assert_true(addr_is_loopback(&a));
	assert_false(addr_is_loopback(&b));
	assert_false(addr_is_loopback(&(struct addr){0}));
	assert_false(addr_same_ip(&a, &b));
}

/* The longest there is must fit with its NUL. */
static void the_longest_text_fits(void **state)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_scope_id = UINT32_MAX};
	char text[ADDR_TEXT_MAX];
	struct addr a;
	(void)state;
	memset(&six.sin6_addr, 0xfe, sizeof(six.sin6_addr));
	assert_true(addr_from_sockaddr(&a, (struct sockaddr *)&six));
	assert_string_equal(addr_text_port(&a, text), "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe%4294967295]:65535");
}

static void nets(void **state)
{
	static const struct {
		const char *net, *in, *out; /* out NULL: the net itself is refused */
	} rows[] = {
		{"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
		{"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"0.0.0.0/0", "203.0.113.1", "::1"},
		{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
		{"2001:db8::1", "2001:db8::1", "2001:db8::2"},
		{"::/0", "2001:db8::1", "10.0.0.1"},
		{"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
		{"10.0.0.1/8", NULL, NULL},
		{"10.0.0.0/33", NULL, NULL},
		{"10.0.0.0/", NULL, NULL},
		{"10.0.0.0/08", NULL, NULL},
		{"10.0.0.0/-1", NULL, NULL},
		{"2001:db8::/129", NULL, NULL},
		{"::ffff:10.0.0.0/104", NULL, NULL},
		{"/8", NULL, NULL},
		{"", NULL, NULL},
	};
	struct addr_net n;
	struct addr a;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool ok = addr_net_parse(&n, rows[i].net);
		if (ok != (rows[i].out != NULL))
			fail_msg("\"%s\" was %s", rows[i].net, ok ? "taken" : "refused");
		if (!ok)
			continue;
		assert_true(addr_parse(&a, rows[i].in));
		if (!addr_net_has(&n, &a))
			fail_msg("%s is not found in %s", rows[i].in, rows[i].net);
		assert_true(addr_parse(&a, rows[i].out));
		if (addr_net_has(&n, &a))
			fail_msg("%s is found in %s", rows[i].out, rows[i].net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_addresses), cmocka_unit_test(bad_addresses),         cmocka_unit_test(ports),
		cmocka_unit_test(sockaddrs),      cmocka_unit_test(the_longest_text_fits), cmocka_unit_test(nets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
