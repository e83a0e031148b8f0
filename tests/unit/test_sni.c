/* ClientHellos: recorded ones (tests/fuzz/corpus/sni) and ones made of parts, whole, cut at every byte, and spread over records. */
#include "proxy/sni.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HELLO_MAX  32768
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEXT(s)    s, sizeof(s) - 1

/* Parses a copy that ends where the bytes end, so that AddressSanitizer sees a read past them. */
static enum parse parse_exact(struct sni *s, const uint8_t *buf, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum parse rc;

	assert_non_null(copy);
	memcpy(copy, buf, len);
	rc = sni_parse(s, copy, len, HELLO_MAX);
	free(copy);
	return rc;
}

struct bytes {
	size_t len;
	uint8_t b[70000];
};

static void put(struct bytes *o, const void *p, size_t len)
{
	assert_true(o->len + len <= sizeof(o->b));
	memcpy(o->b + o->len, p, len);
	o->len += len;
}

static void put16(struct bytes *o, size_t v)
{
	put(o, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static void put_zeros(struct bytes *o, size_t len)
{
	assert_true(o->len + len <= sizeof(o->b));
	memset(o->b + o->len, 0, len);
	o->len += len;
}

static void put_filler(struct bytes *o, size_t type, size_t len)
{
	put16(o, type);
	put16(o, len);
	put_zeros(o, len);
}

static void put_name(struct bytes *o, const char *name, size_t len)
{
	put16(o, 0);
	put16(o, len + 5);
	put16(o, len + 3);
	put(o, "", 1);
	put16(o, len);
	put(o, name, len);
}

/* One letter, one extension. */
static void put_extension(struct bytes *o, char kind)
{
	switch (kind) {
	case 's':
		put_name(o, TEXT("a.example"));
		break;
	case 'S':
		put_name(o, TEXT("A.Example"));
		break;
	case 'd':
		put_name(o, TEXT("a.example."));
		break;
	case 'b':
		put_name(o, TEXT("b.example"));
		break;
	case 'g': /* GREASE, RFC 8701: one empty, one of a byte */
		put_filler(o, 0x0a0a, 0);
		put_filler(o, 0xfafa, 1);
		break;
	case 'k': /* X25519MLKEM768: 1216 bytes */
		put16(o, 51);
		put16(o, 1222);
		put16(o, 1220);
		put16(o, 0x11ec);
		put16(o, 1216);
		put_zeros(o, 1216);
		break;
	case 'K':
		put_filler(o, 51, 1800);
		break;
	case 'a':
		put(o,
		    "\0\x10\0\x0d\0\x0b\x0a"
		    "acme-tls/1",
		    17);
		break;
	case 'e': /* encrypted_client_hello, outer */
		put_filler(o, 0xfe0d, 250);
		break;
	case 't': /* session ticket */
		put_filler(o, 35, 1024);
		break;
	case 'p': /* early_data, pre_shared_key */
		put_filler(o, 42, 0);
		put_filler(o, 41, 300);
		break;
	case 'P': /* padding */
		put_filler(o, 21, 160);
		break;
	case '4':
		put_filler(o, 0x1234, 4096);
		break;
	case 'm':
		put_filler(o, 0x1234, 15000);
		break;
	default:
		fail();
	}
}

/* A handshake message around this extension block; NULL: a hello of before there were extensions. */
static void handshake(struct bytes *o, const void *extensions, size_t len)
{
	size_t start = o->len, n;

	put(o, "\x01\0\0\0\x03\x03", 6);
	put_zeros(o, 32);
	put(o, "\x20", 1);
	put_zeros(o, 32);
	put(o, "\0\x06\x0a\x0a\x13\x01\x13\x02\x01\0", 10);
	if (extensions != NULL) {
		put16(o, len);
		put(o, extensions, len);
	}
	n = o->len - start - 4;
	o->b[start + 1] = (uint8_t)(n >> 16);
	o->b[start + 2] = (uint8_t)(n >> 8);
	o->b[start + 3] = (uint8_t)n;
}

static void record(struct bytes *o, const uint8_t *p, size_t len)
{
	put(o, "\x16\x03\x01", 3);
	put16(o, len);
	put(o, p, len);
}

/* first bytes in the first record, then each bytes in each. */
static void records(struct bytes *o, const struct bytes *hs, size_t first, size_t each)
{
	for (size_t at = 0, n = first; at < hs->len; at += n, n = each) {
		if (n > hs->len - at)
			n = hs->len - at;
		record(o, hs->b + at, n);
	}
}

static void hello(struct bytes *o, const char *kinds, size_t first, size_t each)
{
	static struct bytes ext, hs;

	ext.len = hs.len = o->len = 0;
	for (const char *k = kinds; k != NULL && *k != '\0'; k++)
		put_extension(&ext, *k);
	handshake(&hs, kinds != NULL ? ext.b : NULL, ext.len);
	records(o, &hs, first, each);
}

/* A hello whose only extension block is these bytes. */
static void raw_hello(struct bytes *o, const void *ext, size_t len)
{
	static struct bytes hs;

	hs.len = o->len = 0;
	handshake(&hs, ext, len);
	records(o, &hs, 16000, 16000);
}

static struct bytes buf;

static void check_good(const char *what, const char *name, size_t tail)
{
	struct sni s;

	if (parse_exact(&s, buf.b, buf.len) != PARSE_OK || strcmp(s.name, name) != 0 || s.name_len != strlen(name))
		fail_msg("%s: %s, %s", what, s.name, s.bad_reason);
	for (size_t n = 0; n < buf.len - tail; n++)
		if (parse_exact(&s, buf.b, n) != PARSE_MORE || s.name_len != 0)
			fail_msg("%s cut at %zu: %s", what, n, s.bad_reason);
}

static const struct {
	const char *what, *extensions;
	size_t first, each;
	const char *name;
} good[] = {
	{"plain", "s", 9999, 9999, "a.example"},
	{"v-sni-uppercase", "S", 9999, 9999, "a.example"},
	{"trailing dot", "d", 9999, 9999, "a.example"},
	{"v-grease", "gsg", 9999, 9999, "a.example"},
	{"v-pq-one-record", "skP", 9999, 9999, "a.example"},
	{"v-pq-sni-behind", "gks", 9999, 9999, "a.example"},
	{"v-pq-large", "Ks", 9999, 9999, "a.example"},
	{"v-pq-two-records", "gks", 700, 9999, "a.example"},
	{"v-sni-last-ext", "gaetpPs", 9999, 9999, "a.example"},
	{"v-sni-after-4k-ext", "4s", 9999, 9999, "a.example"},
	{"v-hello-12k", "44s4", 16384, 16384, "a.example"},
	{"v-alpn-acme-tls-1", "sa", 9999, 9999, "a.example"},
	{"v-ech-outer-a", "se", 9999, 9999, "a.example"},
	{"v-session-ticket-1k", "ts", 9999, 9999, "a.example"},
	{"v-record-split-in-hs-header", "s", 2, 9999, "a.example"},
	{"split after the type", "s", 1, 9999, "a.example"},
	{"v-two-records in the random", "s", 20, 9999, "a.example"},
	{"v-two-records in the name", "s", 96, 9999, "a.example"},
	{"three bytes in each", "s", 3, 3, "a.example"},
	{"no-sni", "gk", 9999, 9999, ""},
	{"no-extensions", NULL, 9999, 9999, ""},
	{"empty extensions", "", 9999, 9999, ""},
};

static void made_hellos_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		hello(&buf, good[i].extensions, good[i].first, good[i].each);
		check_good(good[i].what, good[i].name, 0);
		put(&buf,
		    "\x14\x03\x03\0\x01\x01\x17\x03\x03\0\x05"
		    "early",
		    16); /* v-extra-ccs-after-hello, 0-RTT data */
		check_good(good[i].what, good[i].name, 16);
	}
}

static void recorded_hellos_are_understood(void **state)
{
	static const struct {
		const char *file, *name;
		size_t tail; /* bytes after the hello */
	} rows[] = {
		{"openssl-tls13", "www.alice.example", 0},
		{"openssl-tls12", "alice.example", 0},
		{"openssl-no-sni", "", 0},
		{"openssl-acme", "alice.example", 0},
		{"openssl-two-records", "alice.example", 0},
		{"openssl-psk-early-data", "alice.example", 67},
	};
	const char *srcdir = getenv("srcdir");

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/sni/%s", srcdir != NULL ? srcdir : ".", rows[i].file);
		f = fopen(path, "rb");
		if (f == NULL)
			fail_msg("%s is missing", path);
		buf.len = fread(buf.b, 1, sizeof(buf.b), f);
		fclose(f);
		check_good(rows[i].file, rows[i].name, rows[i].tail);
	}
}

static void every_split_is_the_same(void **state)
{
	struct sni s;
	size_t len;

	(void)state;
	hello(&buf, "gSa", 9999, 9999);
	len = buf.len - 5;
	for (size_t first = 1; first < len; first++) {
		hello(&buf, "gSa", first, 9999);
		assert_int_equal(buf.len, len + 10);
		assert_int_equal(parse_exact(&s, buf.b, buf.len), PARSE_OK);
		assert_string_equal(s.name, "a.example");
	}
}

#define NAME(n) TEXT(n)

static void bad_names_are_refused(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} rows[] = {
		{NAME("")},
		{NAME("a.example\0")},
		{NAME("a\0.example")},
		{NAME("a.example:443")},
		{NAME("a example")},
		{NAME("a.example/")},
		{NAME("a\r\nb")},
		{NAME("a.example,b")},
		{NAME("\xc3\xa4.example")},
		{NAME("a%2eexample")},
		{NAME(".a.example")},
		{NAME("a.example..")},
		{NAME("a..example")},
		{NAME(".")},
		{NAME("*.example")},
		{NAME("[::1]")},
		{NAME("2001:db8::1")},
		{NAME("user@a.example")},
		{NAME("a\x7f.example")},
		{NAME("a\\b")},
	};
	static struct bytes ext;
	struct sni s;
	char name[300];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		ext.len = 0;
		put_name(&ext, rows[i].name, rows[i].len);
		raw_hello(&buf, ext.b, ext.len);
		if (parse_exact(&s, buf.b, buf.len) != PARSE_BAD || s.bad_reason == NULL || s.name_len != 0)
			fail_msg("%s", rows[i].name);
	}
	memset(name, 'a', sizeof(name));
	for (size_t len = 250; len < sizeof(name); len++) {
		ext.len = 0;
		put_name(&ext, name, len);
		raw_hello(&buf, ext.b, ext.len);
		assert_int_equal(parse_exact(&s, buf.b, buf.len), len <= 253 ? PARSE_OK : PARSE_BAD);
	}
}

static void bad_extensions_are_refused(void **state)
{
	static const struct {
		const char *what, *ext;
		size_t len;
	} rows[] = {
		{"sni-empty-ext", TEXT("\0\0\0\0")},
		{"sni-empty-list", TEXT("\0\0\0\x02\0\0")},
		{"sni-empty-name", TEXT("\0\0\0\x05\0\x03\0\0\0")},
		{"sni-two-names-A-B", TEXT("\0\0\0\x0a\0\x08\0\0\x01"
					   "a\0\0\x01"
					   "b")},
		{"sni-ext-twice-A-B", TEXT("\0\0\0\x06\0\x04\0\0\x01"
					   "a\0\0\0\x06\0\x04\0\0\x01"
					   "b")},
		{"sni-ext-twice-same", TEXT("\0\0\0\x06\0\x04\0\0\x01"
					    "a\0\0\0\x06\0\x04\0\0\x01"
					    "a")},
		{"sni-ext-twice-apart", TEXT("\0\0\0\x06\0\x04\0\0\x01"
					     "a\0\x17\0\0\0\0\0\x06\0\x04\0\0\x01"
					     "a")},
		{"sni-unknown-type", TEXT("\0\0\0\x06\0\x04\x01\0\x01"
					  "a")},
		{"sni-unknown-type-first", TEXT("\0\0\0\x0a\0\x08\x01\0\x01"
						"a\0\0\x01"
						"b")},
		{"sni-unknown-type-second", TEXT("\0\0\0\x0a\0\x08\0\0\x01"
						 "a\x01\0\x01"
						 "b")},
		{"sni-list-longer-than-ext", TEXT("\0\0\0\x06\0\x05\0\0\x01"
						  "a\0\x17\0\0")},
		{"sni-list-shorter-than-ext", TEXT("\0\0\0\x07\0\x04\0\0\x01"
						   "ab")},
		{"sni-name-longer-than-list", TEXT("\0\0\0\x06\0\x04\0\0\x02"
						   "a\0\x17\0\0")},
		{"sni-name-runs-into-next-ext", TEXT("\0\0\0\x06\0\x04\0\0\x05"
						     "a\0\x17\0\0")},
		{"sni-name-shorter-than-list", TEXT("\0\0\0\x07\0\x05\0\0\x01"
						    "ab")},
		{"ext-len-past-end", TEXT("\0\x17\0\x01")},
		{"ext-len-ffff", TEXT("\0\x17\xff\xff")},
		{"ext-cut", TEXT("\0\x17\0")},
		{"sni-ext-past-end", TEXT("\0\0\0\x20\0\x04\0\0\x01"
					  "a")},
	};
	struct sni s;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		raw_hello(&buf, rows[i].ext, rows[i].len);
		if (parse_exact(&s, buf.b, buf.len) != PARSE_BAD || s.bad_reason == NULL || s.name_len != 0)
			fail_msg("%s: %s", rows[i].what, s.name);
	}
}

static void what_is_no_hello_is_refused_at_once(void **state)
{
	static const struct {
		const char *what, *text;
		size_t len;
	} rows[] = {
		{"http-on-tls-port", TEXT("G")},
		{"ssh-on-tls-port", TEXT("SSH-2.0-x\r\n")},
		{"sslv2-hello", TEXT("\x80\x2e\x01\x03\x01")},
		{"dtls-record", TEXT("\x16\xfe")},
		{"record-major-2", TEXT("\x16\x02\x01")},
		{"record-major-4", TEXT("\x16\x04")},
		{"record-type-alert-first", TEXT("\x15")},
		{"record-type-ccs-first", TEXT("\x14\x03\x03\0\x01\x01")},
		{"record-type-data-first", TEXT("\x17\x03\x03")},
		{"record-type-heartbeat-first", TEXT("\x18\x03\x03")},
		{"record-length-0", TEXT("\x16\x03\x01\0\0")},
		{"record-too-long", TEXT("\x16\x03\x01\x40\x01")},
		{"record-length-ffff", TEXT("\x16\x03\x01\xff\xff")},
		{"hs-type-server-hello", TEXT("\x16\x03\x01\x01\0\x02")},
		{"hs-type-hello-request", TEXT("\x16\x03\x01\0\x04\0")},
		{"hs-length-huge-16M", TEXT("\x16\x03\x01\x01\0\x01\xff\xff\xff")},
		{"hs-length-over-the-limit", TEXT("\x16\x03\x01\x01\0\x01\0\x80\x01")},
		{"hs-length-0", TEXT("\x16\x03\x01\0\x04\x01\0\0\0")},
		{"hs-length-short", TEXT("\x16\x03\x01\0\x30\x01\0\0\x20\x03\x03")},
		{"hello-version-2", TEXT("\x16\x03\x01\x01\0\x01\0\x01\0\x02")},
		{"length-0 in the middle", TEXT("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0")},
		{"fragments-interleaved-alert", TEXT("\x16\x03\x01\0\x01\x01\x15")},
		{"fragments-interleaved-data", TEXT("\x16\x03\x01\0\x04\x01\0\x01\0\x17")},
		{"random-garbage", TEXT("\x8f\x13\xa0\x42\x99")},
	};
	struct sni s;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (parse_exact(&s, (const uint8_t *)rows[i].text, rows[i].len) != PARSE_BAD || s.bad_reason == NULL)
			fail_msg("%s", rows[i].what);
}

/* One byte of a good hello is changed, and it is bad. */
static void bad_lengths_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} rows[] = {
		{"hs-length-shorter", 8, 1},     {"session id of 33", 43, 33},      {"session id of 255", 43, 255},
		{"no cipher suites", 77, 0},     {"odd cipher suites", 77, 5},      {"too many cipher suites", 76, 9},
		{"no compression", 84, 0},       {"too much compression", 84, 200}, {"extensions shorter", 87, 0x11},
		{"extensions longer", 87, 0x13},
	};
	struct sni s;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		hello(&buf, "s", 9999, 9999);
		assert_int_equal(buf.b[87], 0x12); /* the offsets are right */
		assert_int_not_equal(buf.b[rows[i].at], rows[i].value);
		buf.b[rows[i].at] = rows[i].value;
		if (parse_exact(&s, buf.b, buf.len) != PARSE_BAD || s.bad_reason == NULL)
			fail_msg("%s", rows[i].what);
	}
}

static void limits_hold(void **state)
{
	struct sni s;
	size_t len;

	(void)state;
	/* 64 records, and one more; a record of one byte each is far beyond */
	hello(&buf, "s", 9999, 9999);
	len = buf.len - 5;
	hello(&buf, "s", len - 63, 1);
	check_good("64 records", "a.example", 0);
	hello(&buf, "s", len - 64, 1);
	assert_int_equal(parse_exact(&s, buf.b, buf.len), PARSE_BAD);
	hello(&buf, "s", 1, 1);
	assert_int_equal(parse_exact(&s, buf.b, 64 * 6), PARSE_BAD);
	assert_string_equal(s.bad_reason, "too many TLS records");

	/* v-hello-30k-two-records passes, one beyond hello_max does not: at the latest when it has come that far */
	hello(&buf, "sm4444", 16384, 16384);
	assert_int_equal(parse_exact(&s, buf.b, buf.len), PARSE_OK);
	assert_int_equal(sni_parse(&s, buf.b, buf.len, buf.len), PARSE_OK);
	assert_int_equal(sni_parse(&s, buf.b, buf.len, buf.len - 1), PARSE_BAD);
	assert_int_equal(sni_parse(&s, buf.b, buf.len - 2, buf.len - 1), PARSE_MORE);
	assert_int_equal(sni_parse(&s, buf.b, buf.len - 1, buf.len - 1), PARSE_BAD);
	hello(&buf, "smm4", 16384, 16384);
	assert_int_equal(parse_exact(&s, buf.b, 100), PARSE_BAD);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_hellos_are_understood), cmocka_unit_test(recorded_hellos_are_understood),
		cmocka_unit_test(every_split_is_the_same),    cmocka_unit_test(bad_names_are_refused),
		cmocka_unit_test(bad_extensions_are_refused), cmocka_unit_test(what_is_no_hello_is_refused_at_once),
		cmocka_unit_test(bad_lengths_are_refused),    cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
