/* PROXY headers: what trusted peers send, cut at every byte, and what nobody may send. */
#include "proxy/pp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEXT(s)    s, sizeof(s) - 1
#define SIG        "\r\n\r\n\0\r\nQUIT\n"
#define V4         "\xc0\0\x02\x01\xc6\x33\x64\x02\x30\x39\0\x50" /* 192.0.2.1:12345 to 198.51.100.2:80 */
#define V6         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x30\x39\x01\xbb"
#define NEST       "\x20\0\x08\x01\0\0\0\0\x21\0\0" /* the SSL TLV holds others */

static enum parse parse_exact(struct pp *p, const void *buf, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum parse rc;

	assert_non_null(copy);
	memcpy(copy, buf, len);
	rc = pp_parse(p, copy, len);
	free(copy);
	return rc;
}

static const struct {
	const char *what, *text;
	size_t len;
	bool local;
	const char *src, *dst;
} good[] = {
	{"v1 TCP4", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n"), false, "192.0.2.1:12345", "198.51.100.2:80"},
	{"v1 TCP6", TEXT("PROXY TCP6 2001:db8::1 2001:DB8::2 12345 443\r\n"), false, "[2001:db8::1]:12345", "[2001:db8::2]:443"},
	{"v1 ports", TEXT("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"), false, "255.255.255.255:65535", "0.0.0.0:0"},
	{"v1 longest", TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	 false, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1 mapped", TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n"), false, "192.0.2.1:1", "198.51.100.2:2"},
	{"v1 UNKNOWN", TEXT("PROXY UNKNOWN\r\n"), true, NULL, NULL},
	{"v1 UNKNOWN with a rest",
	 TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), true, NULL,
	 NULL},
	{"v2 TCP4", TEXT(SIG "\x21\x11\0\x0c" V4), false, "192.0.2.1:12345", "198.51.100.2:80"},
	{"v2 TCP6", TEXT(SIG "\x21\x21\0\x24" V6), false, "[2001:db8::1]:12345", "[2001:db8::2]:443"},
	{"v2 TLVs", TEXT(SIG "\x21\x11\0\x1c" V4 "\x04\0\x02xx" NEST), false, "192.0.2.1:12345", "198.51.100.2:80"},
	{"v2 LOCAL", TEXT(SIG "\x20\0\0\0"), true, NULL, NULL},
	{"v2 LOCAL with a rest", TEXT(SIG "\x20\x11\0\x0c" V4), true, NULL, NULL},
	{"v2 UNSPEC", TEXT(SIG "\x21\0\0\x03xxx"), true, NULL, NULL},
};

static void good_headers_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		char buf[200], src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
		struct pp p;

		for (size_t n = 0; n < good[i].len; n++)
			if (parse_exact(&p, good[i].text, n) != PARSE_MORE)
				fail_msg("%s cut at %zu: %s", good[i].what, n, p.bad_reason);
		memcpy(buf, good[i].text, good[i].len);
		memcpy(buf + good[i].len, "\nGET", 4); /* payload */
		if (parse_exact(&p, buf, good[i].len + 4) != PARSE_OK || p.len != good[i].len || p.local != good[i].local)
			fail_msg("%s: %s, %zu bytes", good[i].what, p.bad_reason, p.len);
		if (good[i].local)
			continue;
		assert_string_equal(addr_text_port(&p.src, src), good[i].src);
		assert_string_equal(addr_text_port(&p.dst, dst), good[i].dst);
	}
}

static void bad_headers_are_refused(void **state)
{
	static const struct {
		const char *what, *text;
		size_t len;
	} rows[] = {
		{"no header", TEXT("G")},
		{"TLS", TEXT("\x16\x03\x01")},
		{"POST", TEXT("PO")},
		{"v1 lower case", TEXT("Proxy")},
		{"v1 nothing", TEXT("PROXY\r\n")},
		{"v1 nothing after the space", TEXT("PROXY \r\n")},
		{"v1 bad family", TEXT("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 UDP4", TEXT("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 family in lower case", TEXT("PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 long family", TEXT("PROXY TCP4TCP4TCP4 192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 family without addresses", TEXT("PROXY TCP4\r\n")},
		{"v1 family mismatch", TEXT("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n")},
		{"v1 family mismatch 6", TEXT("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 port 65536", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n")},
		{"v1 port 99999999", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 99999999\r\n")},
		{"v1 port 01", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n")},
		{"v1 port -1", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n")},
		{"v1 one port", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n")},
		{"v1 three ports", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n")},
		{"v1 two spaces", TEXT("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 trailing space", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n")},
		{"v1 tab", TEXT("PROXY TCP4\t192.0.2.1 198.51.100.2 1 2\r\n")},
		{"v1 octet 256", TEXT("PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n")},
		{"v1 three octets", TEXT("PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n")},
		{"v1 NUL", TEXT("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n")},
		{"v1 bare LF", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n")},
		{"v1 bare CR", TEXT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r2\r\n")},
		{"v1 bare CR in UNKNOWN", TEXT("PROXY UNKNOWN\rx\r\n")},
		{"v1 of 107 bytes without CRLF",
		 TEXT("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
		{"v1 of 108 bytes",
		 TEXT("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")},
		{"v2 signature", TEXT("\r\n\r\n\0\r\nQUIT\r")},
		{"v2 blank line", TEXT("\r\n\r\nG")},
		{"v2 version 1", TEXT(SIG "\x11")},
		{"v2 version 3", TEXT(SIG "\x31")},
		{"v2 command 2", TEXT(SIG "\x22")},
		{"v2 UDP4", TEXT(SIG "\x21\x12")},
		{"v2 UDP6", TEXT(SIG "\x21\x22")},
		{"v2 AF_UNIX", TEXT(SIG "\x21\x31")},
		{"v2 AF_INET without transport", TEXT(SIG "\x21\x10")},
		{"v2 family 4", TEXT(SIG "\x21\x41")},
		{"v2 length < TCP4", TEXT(SIG "\x21\x11\0\x0b")},
		{"v2 length < TCP6", TEXT(SIG "\x21\x21\0\x23")},
		{"v2 length 0", TEXT(SIG "\x21\x11\0\0")},
		{"v2 length 521", TEXT(SIG "\x21\x11\x02\x09")},
		{"v2 length 65535", TEXT(SIG "\x21\x11\xff\xff")},
		{"v2 LOCAL length 65535", TEXT(SIG "\x20\x11\xff\xff")},
		{"v2 TLV cut", TEXT(SIG "\x21\x11\0\x0e" V4 "\x04\0")},
		{"v2 TLV past the end", TEXT(SIG "\x21\x11\0\x11" V4 "\x04\0\x03xx")},
		{"v2 TLV of 65535", TEXT(SIG "\x21\x11\0\x0f" V4 "\x04\xff\xff")},
		{"v2 second TLV past the end", TEXT(SIG "\x21\x11\0\x13" V4 "\x04\0\x01x\x04\0\x01")},
		{"v2 CRC of 3 bytes", TEXT(SIG "\x21\x11\0\x12" V4 "\x03\0\x03xxx")},
		{"v2 wrong CRC", TEXT(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct pp p;

		if (parse_exact(&p, rows[i].text, rows[i].len) != PARSE_BAD || p.bad_reason == NULL)
			fail_msg("%s", rows[i].what);
	}
}

/* The sum was made with another program (CRC-32C of the header with zeros in its place). */
static void a_right_checksum_passes(void **state)
{
	static const char text[] = SIG "\x21\x11\0\x17" V4 "\x04\0\x01x\x03\0\x04\xd8\x44\x15\x72";
	struct pp p;
	char broken[sizeof(text)];

	(void)state;
	assert_int_equal(parse_exact(&p, text, sizeof(text) - 1), PARSE_OK);
	for (size_t i = 16; i < sizeof(text) - 1; i++) {
		memcpy(broken, text, sizeof(text));
		broken[i] ^= 0x10;
		if (i == 32) /* there it becomes a TLV that nobody knows */
			continue;
		if (parse_exact(&p, broken, sizeof(text) - 1) != PARSE_BAD)
			fail_msg("byte %zu", i);
	}
}

static void version_2_is_written(void **state)
{
	static const struct {
		const char *src, *dst, *want;
		size_t len;
	} rows[] = {
		{"192.0.2.1:12345", "198.51.100.2:80", TEXT(SIG "\x21\x11\0\x0c" V4)},
		{"[2001:db8::1]:12345", "[2001:db8::2]:443", TEXT(SIG "\x21\x21\0\x24" V6)},
		{"192.0.2.1:12345", "[2001:db8::2]:443",
		 TEXT(SIG "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x30\x39\x01"
			  "\xbb")},
		{"[2001:db8::1]:12345", "198.51.100.2:80",
		 TEXT(SIG "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x02\x30\x39\0"
			  "\x50")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint8_t out[PP_V2_MAX];
		struct addr src, dst;
		struct pp p;
		size_t n;

		assert_true(addr_parse_port(&src, rows[i].src) && addr_parse_port(&dst, rows[i].dst));
		n = pp_write_v2(out, &src, &dst);
		assert_int_equal(n, rows[i].len);
		assert_memory_equal(out, rows[i].want, n);
		assert_int_equal(parse_exact(&p, out, n), PARSE_OK);
		assert_true(addr_same(&p.src, &src) && addr_same(&p.dst, &dst));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_headers_are_understood),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(a_right_checksum_passes),
		cmocka_unit_test(version_2_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
