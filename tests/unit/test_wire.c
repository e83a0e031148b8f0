/* DNS messages: what is read of them, what is not taken, and updates byte for byte as nsupdate (BIND 9.18) sends them. */
#include "dnsupdate/request.h"
#include "dnsupdate/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static int parse_exact(struct answer *a, const uint8_t *bytes, size_t len, struct err *err)
{
	uint8_t *copy = malloc(len ? len : 1); /* of just this size: AddressSanitizer sees the first byte read past it */
	int rc;

	memcpy(copy, bytes, len);
	rc = wire_parse(a, copy, len, err);
	free(copy);
	return rc;
}

static size_t from_hex(uint8_t *out, const char *hex)
{
	size_t n = 0;

	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		unsigned byte;

		if (hex[0] == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

/* ---- what comes in ---- */

#define Q       "03777777 076578616d706c65 0474657374 00 0001 0001" /* www.example.test. A: 12 to 33, the zone at 16 */
#define HEAD(f) "1234 " f " 0001 "
#define A_RR    "c00c 0001 0001 0000003c 0004 c0000201"

/* An answer with a CNAME, an MX whose target is compressed, SOA, OPT (extended rcode 1) */
static const char full[] =
	HEAD("8580") "0003 0001 0001 " Q " " A_RR " 046d61696cc010 000f 0001 00000e10 0009 000a 044d61696cc010"
		     " 0161c010 0005 0001 00000000 0002 c00c"
		     " c010 0006 0001 00000e10 0021 036e7331c010 04686f7374c010 00000001 00000002 00000003 00000004 00000005"
		     " 00 0029 1000 01000000 0000";

static void messages_are_read(void **state)
{
	uint8_t m[512];
	size_t len = from_hex(m, full);
	struct answer a;
	struct err err;
	struct rrset set;
	char text[128];

	(void)state;
	if (parse_exact(&a, m, len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(a.id, 0x1234);
	assert_true(a.qr && a.aa && !a.tc && a.ra);
	assert_int_equal(a.opcode, 0);
	assert_int_equal(a.rcode, 16); /* 1 << 4 in OPT */
	assert_string_equal(a.qname, "www.example.test.");
	assert_int_equal(a.qtype, RR_A);
	assert_int_equal(a.answer.n, 3);
	assert_int_equal(a.authority.n, 1);
	assert_int_equal(a.additional.n, 0);
	assert_string_equal(a.answer.rrs[1].owner, "mail.example.test.");
	assert_memory_equal(a.answer.rrs[1].rdata.bytes, "\0\x0a\4Mail\7example\4test", 21);
	assert_memory_equal(a.answer.rrs[2].rdata.bytes, "\3www\7example\4test", 18);
	assert_int_equal(a.authority.rrs[0].rdata.len, 18 + 19 + 20);
	assert_int_equal(answer_rrset(&a, "WWW.example.TEST.", RR_A, &set), 0);
	assert_string_equal(rrset_text(&set, text, sizeof text), "192.0.2.1 (TTL 60)");
	rrset_done(&set);
	assert_int_equal(answer_rrset(&a, "www.example.test.", RR_AAAA, &set), 0);
	assert_int_equal(set.n, 0);
	rrset_done(&set);
	answer_done(&a);
}

static void cut_messages_are_refused(void **state)
{
	uint8_t m[512];
	size_t len = from_hex(m, full);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		struct answer a;
		struct err err = {0};

		assert_int_equal(parse_exact(&a, m, cut, &err), -EBADMSG);
		assert_true(strlen(err.text) > 20);
		assert_null(a.qname);
	}
}

static const struct {
	const char *what, *hex, *says;
} wrong[] = {
	{"bytes behind", HEAD("8180") "0001 0000 0000 " Q " " A_RR " 00", "bytes behind the last record"},
	{"count too high", HEAD("8180") "0002 0000 0000 " Q " " A_RR, "cut"},
	{"count too low", HEAD("8180") "0000 0000 0000 " Q " " A_RR, "bytes behind"},
	{"two questions", "1234 8180 0002 0000 0000 0000 " Q " " Q, "more than one name"},
	{"pointer to itself", HEAD("8180") "0001 0000 0000 " Q " c022 0001 0001 0000003c 0004 c0000201", "does not lead back"},
	{"pointer ahead", HEAD("8180") "0001 0000 0000 " Q " c024 0001 0001 0000003c 0004 c0000201", "does not lead back"},
	{"pointer past the end", HEAD("8180") "0001 0000 0000 " Q " ffff 0001 0001 0000003c 0004 c0000201", "does not lead back"},
	{"pointer into the header", HEAD("8180") "0001 0000 0000 " Q " c002 0001 0001 0000003c 0004 c0000201", "does not lead back"},
	{"loop of two", HEAD("8180") "0001 0000 0000 " Q " 0161 c026 c022 0001 0001 0000003c 0004 c0000201", "does not lead back"},
	{"question is a loop", HEAD("8180") "0000 0000 0000 c00c 0001 0001", "does not lead back"},
	{"label of kind 01", HEAD("8180") "0001 0000 0000 " Q " 41 00 0001 0001 0000003c 0004 c0000201", "unknown kind"},
	{"A of 3 bytes", HEAD("8180") "0001 0000 0000 " Q " c00c 0001 0001 0000003c 0003 c00002", "too few bytes in RDATA of A"},
	{"A of 5 bytes", HEAD("8180") "0001 0000 0000 " Q " c00c 0001 0001 0000003c 0005 c000020101", "more bytes"},
	{"A of none", HEAD("8180") "0001 0000 0000 " Q " c00c 0001 0001 0000003c 0000", "too few bytes"},
	{"AAAA of 4 bytes", HEAD("8180") "0001 0000 0000 " Q " c00c 001c 0001 0000003c 0004 c0000201", "RDATA of AAAA"},
	{"RDATA past the end", HEAD("8180") "0001 0000 0000 " Q " c00c 0001 0001 0000003c 0005 c0000201", "RDATA that is cut"},
	{"CNAME longer than its name", HEAD("8180") "0001 0000 0000 " Q " c00c 0005 0001 0000003c 0003 c00c00", "more bytes"},
	{"CNAME cut in its name", HEAD("8180") "0001 0000 0000 " Q " c00c 0005 0001 0000003c 0001 c0 0c",
	 "name that is cut in RDATA of CNAME"},
	{"name that runs out of its RDATA", HEAD("8180") "0001 0000 0000 " Q " c00c 0005 0001 0000003c 0002 0361 62 63 00", "cut"},
	{"SOA without numbers", HEAD("8180") "0001 0000 0000 " Q " c00c 0006 0001 0000003c 0004 c00c c00c", "too few bytes"},
	{"TXT cut", HEAD("8180") "0001 0000 0000 " Q " c00c 0010 0001 0000003c 0003 05 6162", "too few bytes"},
	{"TXT empty", HEAD("8180") "0001 0000 0000 " Q " c00c 0010 0001 0000003c 0000", "too few bytes"},
	{"OPT in the answer", HEAD("8180") "0001 0000 0000 " Q " 00 0029 1000 00000000 0000", "OPT"},
	{"two OPT", HEAD("8180") "0000 0000 0002 " Q " 00 0029 1000 00000000 0000 00 0029 1000 00000000 0000", "second OPT"},
	{"record behind TSIG", HEAD("8180") "0000 0000 0002 " Q " 00 00fa 00ff 00000000 0000 " A_RR, "behind TSIG"},
};

static void wrong_messages_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(wrong); i++) {
		uint8_t m[512];
		size_t len = from_hex(m, wrong[i].hex);
		struct answer a;
		struct err err = {0};

		if (parse_exact(&a, m, len, &err) != -EBADMSG || !strstr(err.text, wrong[i].says))
			fail_msg("%s: expected \"%s\", found: %s", wrong[i].what, wrong[i].says, err.text);
	}
}

/* Without a class of its own RDATA may be missing: an update's answer repeats such records. */
static void records_of_updates_are_read(void **state)
{
	uint8_t m[512];
	size_t len = from_hex(m, "1234 a800 0001 0001 0001 0000 " Q " c00c 0001 00fe 00000000 0000 c00c 0001 00ff 00000000 0000");
	struct answer a;

	(void)state;
	assert_int_equal(parse_exact(&a, m, len, NULL), 0);
	assert_int_equal(a.opcode, 5);
	assert_int_equal(a.answer.rrs[0].class, 254);
	assert_int_equal(a.authority.rrs[0].rdata.len, 0);
	answer_done(&a);
}

/* 16 KiB of pointers, each to the one before, and as many names as there is room for that lead to the last: billions of steps for who
 * follows all, one error for us; and the same with chains of the most that is followed. */
static void pointers_cost_little(void **state)
{
	static uint8_t m[65535];
	clock_t start = clock();

	(void)state;
	for (size_t chain = 100; chain <= 8000; chain *= 8) {
		size_t at = 12, records = 1;
		struct answer a;

		memset(m, 0, sizeof m);
		memcpy(m, "\x12\x34\x81\x80", 4);
		memcpy(m + at, "\0\xff\0\0\1\0\0\0\0", 9); /* root, TYPE65280 */
		m[at + 9] = (uint8_t)(chain * 2 >> 8);
		m[at + 10] = (uint8_t)(chain * 2 + 1);
		at += 11 + 1; /* a root label, then the pointers */
		for (size_t i = 0; i < chain; i++, at += 2) {
			size_t to = i ? at - 2 : at - 1;

			m[at] = (uint8_t)(0xc0 | to >> 8);
			m[at + 1] = (uint8_t)to;
		}
		for (; at + 14 <= sizeof m; at += 14, records++) { /* NS, whose RDATA and owner are that last pointer */
			size_t to = 24 + (chain - 1) * 2;

			m[at] = m[at + 12] = (uint8_t)(0xc0 | to >> 8);
			m[at + 1] = m[at + 13] = (uint8_t)to;
			memcpy(m + at + 2, "\0\2\0\1\0\0\0\0\0\2", 10);
		}
		m[6] = (uint8_t)(records >> 8);
		m[7] = (uint8_t)records;
		assert_int_equal(parse_exact(&a, m, at, NULL), chain <= 126 ? 0 : -EBADMSG);
		answer_done(&a);
	}
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

/* ---- text ---- */

static const struct {
	const char *type, *text, *out, *target; /* out NULL: refused; "": the same again */
} texts[] = {
	{"A", "192.0.2.1", "", NULL},
	{"A", "192.0.2.1 192.0.2.2", NULL, NULL},
	{"A", "192.0.2", NULL, NULL},
	{"A", "", NULL, NULL},
	{"A", "192.0.2.1\n", NULL, NULL},
	{"A", "\\# 4 c0000201", "192.0.2.1", NULL},
	{"A", "\\# 5 c000020101", NULL, NULL},
	{"AAAA", "2001:DB8::1", "2001:db8::1", NULL},
	{"MX", "10 Mail.example.test.", "", "Mail.example.test."},
	{"MX", "10 mail.example.test", "10 mail.example.test.", "mail.example.test."},
	{"MX", "10", NULL, NULL},
	{"CNAME", "a\\.b.example.test.", "", "a\\.b.example.test."},
	{"CNAME", "a..b.", NULL, NULL},
	{"CNAME", "two words.", NULL, NULL},
	{"ALIAS", "www.example.test.", "", "www.example.test."},
	{"SRV", "0 5 5060 sip.example.test.", "", "sip.example.test."},
	{"TXT", "\"v=spf1 ip4:192.0.2.1 -all\"", "", NULL},
	{"TXT", "\"a\\\"b\\\\c\\200;\" \"\"", "", NULL},
	{"TXT", "v=spf1 -all", "\"v=spf1\" \"-all\"", NULL},
	{"TXT", "\"open", NULL, NULL},
	{"SOA", "ns. host. 1 2 3 4 5", "", NULL},
	{"SOA", "ns. host. 1 2 3 4", NULL, NULL},
	{"CAA", "0 issue \"ca.example.net\"", "", NULL},
	{"TYPE65280", "\\# 3 0a0B 0c", "\\# 3 0a0b0c", NULL},
	{"TYPE65280", "\\# 0", "", NULL},
	{"TYPE65280", "\\# 3 0a0b", NULL, NULL},
	{"TYPE65280", "\\# 1 0a0b", NULL, NULL},
	{"TYPE65280", "\\# 70000 0a", NULL, NULL},
	{"TYPE65280", "hello", NULL, NULL},
};

static void text_and_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++) {
		const char *want = texts[i].out && *texts[i].out ? texts[i].out : texts[i].text;
		uint16_t type;
		uint8_t *bytes;
		size_t len;
		char *text, *target;
		struct err err = {0};
		int rc;

		assert_true(rr_type_parse(&type, texts[i].type));
		rc = wire_rdata_parse(type, texts[i].text, &bytes, &len, &err);
		if (!texts[i].out) {
			if (rc != -EINVAL || !strstr(err.text, texts[i].type))
				fail_msg("%s %s: %d %s", texts[i].type, texts[i].text, rc, err.text);
			continue;
		}
		if (rc < 0)
			fail_msg("%s", err.text);
		text = wire_rdata_text(type, bytes, len);
		assert_string_equal(text, want);
		target = wire_rdata_target(type, bytes, len);
		if (texts[i].target)
			assert_string_equal(target, texts[i].target);
		else
			assert_null(target);
		free(text);
		free(target);
		free(bytes);
	}
}

/* RDATA that is not what its type says still has a text, and that text leads back to it. */
static void odd_rdata_keeps_its_bytes(void **state)
{
	static const struct {
		uint16_t type;
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		{RR_A, "\1\2\3", 3, "\\# 3 010203"},
		{RR_CNAME, "\xc0\x0c", 2, "\\# 2 c00c"},
		{RR_HTTPS, "\0\1\0\0\4\0\5\xc0\0\2\1\0", 12, "\\# 12 00010000040005c000020100"},
		{11, "\1\2\3\4\6\xff", 6, "\\# 6 0102030406ff"}, /* WKS: each port would be looked up */
		{55, "\0\0\0\0", 4, "\\# 4 00000000"},           /* HIP */
		{65280, "", 0, "\\# 0"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *text = wire_rdata_text(rows[i].type, (const uint8_t *)rows[i].bytes, rows[i].len);

		assert_string_equal(text, rows[i].text);
		free(text);
	}
	assert_null(wire_rdata_target(RR_CNAME, (const uint8_t *)"\xc0\x0c", 2));
	assert_null(wire_rdata_target(RR_MX, (const uint8_t *)"\0", 1));
}

static void types(void **state)
{
	uint16_t type;
	char text[16];

	(void)state;
	assert_string_equal(rr_type_text(RR_A, text), "A");
	assert_string_equal(rr_type_text(65280, text), "TYPE65280");
	assert_string_equal(rr_type_text(RR_ALIAS, text), "ALIAS");
	assert_true(rr_type_parse(&type, "aaaa") && type == RR_AAAA);
	assert_true(rr_type_parse(&type, "TYPE28") && type == RR_AAAA);
	assert_false(rr_type_parse(&type, "TYPE65536"));
	assert_false(rr_type_parse(&type, "TYPE1x"));
	assert_false(rr_type_parse(&type, "NOSUCH"));
	assert_false(rr_type_parse(&type, ""));
	assert_string_equal(rcode_text(RCODE_NXRRSET), "NXRRSET");
	assert_string_equal(rcode_text(17), "RCODE17");
}

/* ---- what goes out ---- */

static void fill(struct rrset *s, const char *owner, uint16_t type, const char *const *values)
{
	assert_int_equal(rrset_init(s, owner, type, 60), 0);
	for (; *values; values++) {
		uint8_t *bytes;
		size_t len;

		assert_int_equal(wire_rdata_parse(type, *values, &bytes, &len, NULL), 0);
		assert_int_equal(rrset_add(s, bytes, len), 0);
		free(bytes);
	}
}

static void change(struct change *c, const char *owner, uint16_t type, const char *const *was, const char *const *next)
{
	fill(&c->was, owner, type, was);
	fill(&c->next, owner, type, next);
}
#define L(...)                                  \
	(const char *const[])                   \
	{                                       \
		__VA_ARGS__ __VA_OPT__(, ) NULL \
	}

static void changes_done(struct change *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		rrset_done(&c[i].was);
		rrset_done(&c[i].next);
	}
}

/* zone example.test; prereq yxrrset www A .10, .11; nxrrset www AAAA; yxrrset * TXT; the two are replaced, the third goes */
static const char nsupdate_sends[] = "123428000001000400050000076578616d706c650474657374000006000103777777c00c00010001000000000004c000020a"
				     "c01e00010001000000000004c000020bc01e001c00fe000000000000012ac00c0010000100000000001b1a763d7370663120"
				     "6970343a3139322e302e322e3130202d616c6cc01e000100ff000000000000c01e000100010000003c0004c6336401c01e00"
				     "1c00ff000000000000c01e001c00010000003c001020010db8000000000000000000000001c04e001000ff000000000000";
/* The same with an MX as the third, whose target nsupdate compresses. */
static const char nsupdate_compresses[] =
	"123428000001000400050000076578616d706c650474657374000006000103777777c00c00010001000000000004c000020a"
	"c01e00010001000000000004c000020bc01e001c00fe000000000000046d61696cc00c000f0001000000000009000a044d61"
	"696cc00cc01e000100ff000000000000c01e000100010000003c0004c6336401c01e001c00ff000000000000c01e001c0001"
	"0000003c001020010db8000000000000000000000001c04e000f00ff000000000000";

static void updates_are_what_nsupdate_sends(void **state)
{
	uint8_t golden[512];
	size_t len = from_hex(golden, nsupdate_sends);
	struct change c[3];
	struct message m;
	struct err err;

	(void)state;
	change(&c[0], "www.example.test.", RR_A, L("192.0.2.11", "192.0.2.10"), L("198.51.100.1"));
	change(&c[1], "www.example.test.", RR_AAAA, L(), L("2001:db8::1"));
	change(&c[2], "*.example.test.", RR_TXT, L("\"v=spf1 ip4:192.0.2.10 -all\""), L());
	assert_int_equal(request_update(&m, 0x1234, "example.test.", c, 3, &err), 0);
	assert_int_equal(m.id, 0x1234);
	assert_int_equal(m.len, len);
	assert_memory_equal(m.bytes, golden, len);
	message_done(&m);
	changes_done(c, 3);
}

static void same_records(const struct rr_list *a, const struct rr_list *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct rr *x = &a->rrs[i], *y = &b->rrs[i];

		assert_string_equal(x->owner, y->owner);
		assert_true(x->type == y->type && x->class == y->class && x->ttl == y->ttl && x->rdata.len == y->rdata.len);
		assert_memory_equal(x->rdata.bytes, y->rdata.bytes, x->rdata.len);
	}
}

static void updates_say_what_nsupdate_says(void **state)
{
	uint8_t golden[512];
	size_t len = from_hex(golden, nsupdate_compresses);
	struct answer ours, theirs;
	struct change c[3];
	struct message m;

	(void)state;
	change(&c[0], "www.example.test.", RR_A, L("192.0.2.10", "192.0.2.11"), L("198.51.100.1"));
	change(&c[1], "www.example.test.", RR_AAAA, L(), L("2001:db8::1"));
	change(&c[2], "mail.example.test.", RR_MX, L("10 Mail.example.test."), L());
	assert_int_equal(request_update(&m, 0x1234, "example.test.", c, 3, NULL), 0);
	assert_int_equal(wire_parse(&ours, m.bytes, m.len, NULL), 0);
	assert_int_equal(wire_parse(&theirs, golden, len, NULL), 0);
	assert_int_equal(ours.opcode, 5);
	assert_false(ours.qr || theirs.qr);
	same_records(&ours.answer, &theirs.answer);
	same_records(&ours.authority, &theirs.authority);
	answer_done(&ours);
	answer_done(&theirs);
	message_done(&m);
	changes_done(c, 3);
}

static void queries(void **state)
{
	uint8_t want[64];
	size_t len = from_hex(want, "1234 0000 0001 0000 0000 0000 03777777 076578616d706c65 0474657374 00 00fc 0001");
	struct message m;
	struct err err;

	(void)state;
	assert_int_equal(request_query(&m, 0x1234, "www.example.test", RR_AXFR, &err), 0);
	assert_int_equal(m.len, len);
	assert_memory_equal(m.bytes, want, len);
	message_done(&m);
	assert_int_equal(request_query(&m, 1, "a..b.", RR_A, &err), -EINVAL);
	assert_int_equal(request_query(&m, 1, "", RR_A, &err), -EINVAL);
}

static void batches_fit(void **state)
{
	enum { N = 2000 };
	static struct change c[N];
	struct message m;
	struct err err = {0};
	size_t fits;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		char owner[64];

		snprintf(owner, sizeof owner, "h%zu.big.test.", i);
		change(&c[i], owner, RR_A, L("192.0.2.10"), L("198.51.100.1"));
	}
	fits = request_update_fits("big.test.", c, N, &err);
	assert_in_range(fits, 400, N - 1);
	assert_int_equal(request_update(&m, 1, "big.test.", c, fits, &err), 0);
	assert_in_range(m.len, UPDATE_MAX * 3 / 4, UPDATE_MAX);
	message_done(&m);
	assert_int_equal(request_update_fits("big.test.", c, 3, &err), 3);
	changes_done(c, N);
}

static void one_change_that_is_too_large(void **state)
{
	struct change c = {0};
	static uint8_t value[200];
	struct err err = {0};

	(void)state;
	rrset_init(&c.was, "t.big.test.", 65280, 60);
	rrset_init(&c.next, "t.big.test.", 65280, 60);
	for (unsigned i = 0; i < 200; i++) {
		value[0] = (uint8_t)i;
		rrset_add(&c.was, value, sizeof value);
	}
	assert_int_equal(request_update_fits("big.test.", &c, 1, &err), 0);
	assert_int_equal(err.code, -EMSGSIZE);
	assert_non_null(strstr(err.text, "t.big.test. TYPE65280"));
	changes_done(&c, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_read),
		cmocka_unit_test(cut_messages_are_refused),
		cmocka_unit_test(wrong_messages_are_refused),
		cmocka_unit_test(records_of_updates_are_read),
		cmocka_unit_test(pointers_cost_little),
		cmocka_unit_test(text_and_bytes),
		cmocka_unit_test(odd_rdata_keeps_its_bytes),
		cmocka_unit_test(types),
		cmocka_unit_test(updates_are_what_nsupdate_sends),
		cmocka_unit_test(updates_say_what_nsupdate_says),
		cmocka_unit_test(queries),
		cmocka_unit_test(batches_fit),
		cmocka_unit_test(one_change_that_is_too_large),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
