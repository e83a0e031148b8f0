/* The HTTP APIs' records, to RRsets and back; limits of rate. What needs a server is in test_rest_live.c. */
#include "dnsupdate/alwaysdata_json.h"
#include "dnsupdate/pdns_json.h"
#include "dnsupdate/rate.h"
#include "dnsupdate/rest.h"
#include "dnsupdate/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
	json_error_t e;
	json_t *o = json_loads(text, 0, &e);

	if (!o)
		fail_msg("%s: %s", text, e.text);
	return o;
}

static struct rrset set_of(const char *owner, const char *type, uint32_t ttl, const char *const *values)
{
	struct rrset s;
	uint16_t number;
	uint8_t *bytes;
	size_t len;

	assert_true(rr_type_parse(&number, type));
	assert_int_equal(rrset_init(&s, owner, number, ttl), 0);
	for (; values && *values; values++) {
		assert_int_equal(wire_rdata_parse(number, *values, &bytes, &len, NULL), 0);
		assert_int_equal(rrset_add(&s, bytes, len), 0);
		free(bytes);
	}
	return s;
}
#define V(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct change change_of(const char *owner, const char *type, uint32_t ttl, const char *const *was, uint32_t new_ttl,
			       const char *const *next)
{
	return (struct change){set_of(owner, type, ttl, was), set_of(owner, type, new_ttl, next)};
}

static void change_done(struct change *c)
{
	rrset_done(&c->was);
	rrset_done(&c->next);
}

static void must_hold(const struct zone *z, const char *owner, uint16_t type, const char *text)
{
	const struct rrset *s = zone_find(z, owner, type);
	char found[2000];

	if (!text) {
		assert_null(s);
		return;
	}
	if (!s)
		fail_msg("%s: not there", owner);
	assert_string_equal(rrset_text(s, found, sizeof found), text);
}

/* ---- rest ---- */

static void a_name_in_a_query(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(rest_escape(out, sizeof out, "*._x.a-b.example."), 0);
	assert_string_equal(out, "%2A._x.a-b.example.");
	assert_int_equal(rest_escape(out, 8, "abcdefgh"), -ENAMETOOLONG);
}

static void long_strings_are_cut(void **state)
{
	char text[303], *out, *again;
	uint8_t *bytes;
	size_t len;

	(void)state;
	memset(text, 'a', sizeof text);
	text[0] = text[301] = '"';
	text[302] = '\0';
	out = rest_txt_cut(text);
	assert_non_null(out);
	assert_int_equal(strlen(out), 302 + 3);
	assert_memory_equal(out + 256, "\" \"", 3);
	again = rest_txt_cut(out);
	assert_string_equal(again, out);
	free(again);
	assert_int_equal(wire_rdata_parse(RR_TXT, out, &bytes, &len, NULL), 0);
	assert_int_equal(len, 302);
	free(bytes);
	free(out);
	/* escapes count once, quotes and dots of theirs are no ends */
	out = rest_txt_cut("\"a\\\"b\\032c\" \"d\"");
	assert_string_equal(out, "\"a\\\"b\\032c\" \"d\"");
	free(out);
}

static void plain_text_there_and_back(void **state)
{
	char text[1000], *back;
	uint8_t *bytes;
	size_t len;

	(void)state;
	for (size_t n = 0; n < 800; n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		assert_int_equal(rest_txt_from_plain(text, &bytes, &len), 0);
		assert_int_equal(len, n ? n + (n + 254) / 255 : 1);
		assert_int_equal(rest_txt_to_plain(bytes, len, &back), 0);
		assert_string_equal(back, text);
		free(bytes);
		free(back);
	}
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"\1a\1b", 4, &back), -EINVAL); /* would become one string */
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"\1\"", 2, &back), -EINVAL);
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"\1\xff", 2, &back), -EINVAL);
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"\1\0", 2, &back), -EINVAL);
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"\5a", 2, &back), -EINVAL);
	assert_int_equal(rest_txt_to_plain((const uint8_t *)"", 0, &back), -EINVAL);
}

static void answers_become_outcomes(void **state)
{
	static const struct {
		long status;
		enum outcome outcome;
	} table[] = {{200, OUTCOME_DONE},    {201, OUTCOME_DONE},    {204, OUTCOME_DONE},    {301, OUTCOME_REFUSED}, {400, OUTCOME_REFUSED},
		     {401, OUTCOME_REFUSED}, {403, OUTCOME_REFUSED}, {404, OUTCOME_REFUSED}, {408, OUTCOME_BUSY},    {422, OUTCOME_REFUSED},
		     {429, OUTCOME_BUSY},    {500, OUTCOME_BUSY},    {503, OUTCOME_BUSY}};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct http_answer a = {.end = HTTP_ANSWERED, .status = table[i].status, .body = "", .target = "PATCH x"};

		assert_int_equal(rest_outcome(&a, &err), table[i].outcome);
	}
	struct http_answer away = {.end = HTTP_NOT_SENT, .body = ""}, cut = {.end = HTTP_NO_ANSWER, .body = ""};

	assert_int_equal(rest_outcome(&away, &err), OUTCOME_AWAY);
	assert_int_equal(rest_outcome(&cut, &err), OUTCOME_UNKNOWN);
	assert_int_equal(rest_outcome_of_read(&cut, &err), OUTCOME_AWAY);

	struct http_answer said = {
		.end = HTTP_ANSWERED, .status = 422, .body = "{\"error\": \"RRset x. IN A:\\n bad\"}", .target = "PATCH x"};

	said.len = strlen(said.body);
	rest_outcome(&said, &err);
	assert_string_equal(err.text, "PATCH x: 422 RRset x. IN A: bad");
}

/* ---- rate ---- */

static void no_minute_holds_more(void **state)
{
	struct rate r = {.most = 50};
	uint64_t now = 1000, sent[200];

	(void)state;
	assert_int_equal(rate_eta(&r, 0, now), 0);
	assert_int_equal(rate_eta(&r, 50, now), 0);
	assert_int_equal(rate_eta(&r, 51, now), RATE_WINDOW_MS);
	assert_int_equal(rate_eta(&r, 1000, now), 19 * RATE_WINDOW_MS);
	for (size_t i = 0; i < 200; i++) {
		uint64_t left = rate_eta(&r, 200 - i, now), wait = rate_wait(&r, now);

		now += wait;
		rate_note(&r, now);
		sent[i] = now;
		if (i >= 50)
			assert_true(sent[i] - sent[i - 50] >= RATE_WINDOW_MS);
		if (i == 199)
			assert_int_equal(left, wait);
		now += i * 7 % 11;
	}
}

/* ---- PowerDNS ---- */

static const char pdns_zone[] =
	"{\"name\":\"example.test.\",\"kind\":\"Master\",\"dnssec\":true,\"edited_serial\":7,\"soa_edit_api\":\"DEFAULT\",\"rrsets\":["
	"{\"name\":\"example.test.\",\"type\":\"SOA\",\"ttl\":3600,\"comments\":[],"
	"\"records\":[{\"content\":\"ns1.example.test. h.example.test. 6 2 3 4 500\",\"disabled\":false}]},"
	"{\"name\":\"www.example.test.\",\"type\":\"A\",\"ttl\":3600,\"comments\":[{\"content\":\"c\",\"account\":\"\",\"modified_at\":1}],"
	"\"records\":[{\"content\":\"192.0.2.10\",\"disabled\":false},{\"content\":\"192.0.2.77\",\"disabled\":true}]},"
	"{\"name\":\"www.example.test.\",\"type\":\"AAAA\",\"ttl\":3600,\"comments\":[{\"content\":\"six\",\"account\":\"\",\"modified_"
	"at\":1}],"
	"\"records\":[{\"content\":\"2001:db8::10\",\"disabled\":false}]},"
	"{\"name\":\"gone.example.test.\",\"type\":\"AAAA\",\"ttl\":60,\"comments\":[],\"records\":[{\"content\":\"2001:db8::10\"}]},"
	"{\"name\":\"off.example.test.\",\"type\":\"A\",\"ttl\":60,\"comments\":[],"
	"\"records\":[{\"content\":\"192.0.2.10\",\"disabled\":true}]},"
	"{\"name\":\"lua.example.test.\",\"type\":\"LUA\",\"ttl\":60,\"records\":[{\"content\":\"A \\\"x\\\"\",\"disabled\":false}]},"
	"{\"name\":\"alias.example.test.\",\"type\":\"ALIAS\",\"ttl\":60,\"records\":[{\"content\":\"www.example.org.\",\"disabled\":false}"
	"]},"
	"{\"name\":\"bad.example.test.\",\"type\":\"A\",\"ttl\":60,\"records\":[{\"content\":\"x\",\"disabled\":false}]},"
	"{\"name\":\"elsewhere.\",\"type\":\"A\",\"ttl\":60,\"records\":[{\"content\":\"192.0.2.1\",\"disabled\":false}]}]}";

static void pdns_ids(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(pdns_zone_id(out, sizeof out, "_x.Y/z.test."), 0);
	assert_string_equal(out, "=5Fx.y=2Fz.test.");
	assert_int_equal(pdns_zone_id(out, sizeof out, "."), 0);
	assert_string_equal(out, "=2E");
	assert_int_equal(pdns_zone_id(out, 4, "example.test."), -ENAMETOOLONG);
}

static void pdns_reads(void **state)
{
	json_t *o = parse(pdns_zone);
	struct zone z;

	(void)state;
	assert_int_equal(pdns_zone_parse(&z, "example.test.", o, NULL), 0);
	assert_int_equal(z.n, 6); /* bad, off and elsewhere are left out */
	assert_int_equal(z.serial, 7);
	assert_int_equal(z.negative_ttl, 500);
	assert_true(z.is_signed);
	must_hold(&z, "www.example.test.", RR_A, "192.0.2.10 (TTL 3600)");
	must_hold(&z, "off.example.test.", RR_A, NULL);
	must_hold(&z, "bad.example.test.", RR_A, NULL);
	must_hold(&z, "alias.example.test.", RR_ALIAS, "www.example.org. (TTL 60)");
	assert_non_null(zone_find(&z, "lua.example.test.", PDNS_LUA));
	zone_done(&z);
	json_decref(o);
}

static enum outcome patch(const char *zone, struct change c, char **body, struct err *err)
{
	json_t *o = parse(zone);
	enum outcome out;

	*body = NULL;
	*err = (struct err){0};
	out = pdns_patch(body, o, &c, 1, err);
	json_decref(o);
	change_done(&c);
	return out;
}

static void pdns_carries_along(void **state)
{
	struct err err;
	char *body;

	(void)state;
	assert_int_equal(patch(pdns_zone, change_of("WWW.example.test.", "A", 3600, V("192.0.2.10"), 60, V("198.51.100.10")), &body, &err),
			 OUTCOME_DONE);
	assert_string_equal(body,
			    "{\"rrsets\":[{\"name\":\"www.example.test.\",\"type\":\"A\",\"ttl\":60,\"changetype\":\"REPLACE\",\"records\":"
			    "[{\"content\":\"198.51.100.10\",\"disabled\":false},{\"content\":\"192.0.2.77\",\"disabled\":true}]}]}");
	free(body);
	/* the last value goes, its comment stays */
	assert_int_equal(patch(pdns_zone, change_of("www.example.test.", "AAAA", 3600, V("2001:db8::10"), 0, NULL), &body, &err),
			 OUTCOME_DONE);
	assert_non_null(strstr(body, "\"changetype\":\"REPLACE\",\"records\":[],\"comments\":[{\"content\":\"six\""));
	free(body);
	assert_int_equal(patch(pdns_zone, change_of("gone.example.test.", "AAAA", 60, V("2001:db8::10"), 0, NULL), &body, &err),
			 OUTCOME_DONE);
	assert_non_null(strstr(body, "DELETE"));
	free(body);
	/* there is none that is served */
	assert_int_equal(patch(pdns_zone, change_of("off.example.test.", "A", 0, NULL, 60, V("192.0.2.11")), &body, &err), OUTCOME_DONE);
	assert_non_null(strstr(body, "{\"content\":\"192.0.2.10\",\"disabled\":true}"));
	free(body);
}

static void pdns_refuses(void **state)
{
	static const char silent[] = "{\"name\":\"example.test.\",\"kind\":\"Native\",\"soa_edit_api\":\"\",\"rrsets\":[]}",
			  secondary[] = "{\"name\":\"example.test.\",\"kind\":\"Slave\",\"soa_edit_api\":\"DEFAULT\",\"rrsets\":[]}";
	struct err err;
	char *body;

	(void)state;
	assert_int_equal(patch(pdns_zone, change_of("www.example.test.", "A", 3600, V("192.0.2.11"), 60, V("198.51.100.10")), &body, &err),
			 OUTCOME_DRIFT);
	assert_string_equal(err.text, "www.example.test. A: found 192.0.2.10 (TTL 3600), expected 192.0.2.11 (TTL 3600)");
	assert_int_equal(patch(pdns_zone, change_of("www.example.test.", "A", 60, V("192.0.2.10"), 60, V("198.51.100.10")), &body, &err),
			 OUTCOME_DRIFT); /* the TTL counts */
	assert_int_equal(patch(pdns_zone, change_of("new.example.test.", "A", 60, V("192.0.2.10"), 60, V("198.51.100.10")), &body, &err),
			 OUTCOME_DRIFT);
	assert_int_equal(patch(pdns_zone, change_of("www.example.test.", "A", 3600, V("192.0.2.10"), 60, V("192.0.2.77")), &body, &err),
			 OUTCOME_REFUSED);
	assert_non_null(strstr(err.text, "disabled record"));
	assert_int_equal(patch(pdns_zone, change_of("bad.example.test.", "A", 0, NULL, 60, V("192.0.2.11")), &body, &err), OUTCOME_REFUSED);
	assert_int_equal(patch(silent, change_of("www.example.test.", "A", 0, NULL, 60, V("192.0.2.11")), &body, &err), OUTCOME_REFUSED);
	assert_non_null(strstr(err.text, "pdnsutil set-meta example.test. SOA-EDIT-API DEFAULT"));
	assert_int_equal(patch(secondary, change_of("www.example.test.", "A", 0, NULL, 60, V("192.0.2.11")), &body, &err), OUTCOME_REFUSED);
	assert_int_equal(patch("[]", change_of("www.example.test.", "A", 0, NULL, 60, V("192.0.2.11")), &body, &err), OUTCOME_REFUSED);
	assert_null(body);
}

/* ---- alwaysdata ---- */

#define MINE "\"is_user_defined\":true,\"is_active\":true,\"domain\":{\"href\":\"/v1/domain/3/\"}"
static const char ad_list[] =
	"[{\"id\":1,\"type\":\"A\",\"name\":\"www\",\"value\":\"192.0.2.10\",\"ttl\":null," MINE "},"
	"{\"id\":2,\"type\":\"A\",\"name\":\"www\",\"value\":\"192.0.2.11\",\"ttl\":null," MINE "},"
	"{\"id\":3,\"type\":\"A\",\"name\":\"\",\"value\":\"192.0.2.10\",\"ttl\":null,\"is_user_defined\":false,\"is_active\":true},"
	"{\"id\":4,\"type\":\"A\",\"name\":\"off\",\"value\":\"192.0.2.10\",\"is_user_defined\":true,\"is_active\":false},"
	"{\"id\":5,\"type\":\"MX\",\"name\":\"\",\"value\":\"mail.example.org\",\"priority\":10,\"ttl\":600," MINE "},"
	"{\"id\":6,\"type\":\"TXT\",\"name\":\"\",\"value\":\"v=spf1 ip4:192.0.2.10 -all\",\"ttl\":null," MINE "},"
	"{\"id\":7,\"type\":\"TXT\",\"name\":\"q\",\"value\":\"\\\"a\\\" \\\"b\\\"\",\"ttl\":60," MINE "},"
	"{\"id\":8,\"type\":\"SRV\",\"name\":\"_s._tcp\",\"value\":\"2 3 www.example.test.\",\"priority\":1,\"ttl\":60," MINE "},"
	"{\"id\":9,\"type\":\"CNAME\",\"name\":\"c\",\"value\":\"www.example.test\",\"ttl\":60," MINE "},"
	"{\"id\":10,\"type\":\"A\",\"name\":\"mixed\",\"value\":\"192.0.2.10\",\"ttl\":60," MINE "},"
	"{\"id\":11,\"type\":\"A\",\"name\":\"mixed\",\"value\":\"192.0.2.11\",\"ttl\":600," MINE "},"
	"{\"id\":12,\"type\":\"AAAA\",\"name\":\"www\",\"value\":\"2001:db8::10\",\"ttl\":null," MINE "},"
	"{\"id\":13,\"type\":\"A\",\"name\":\"www\",\"value\":\"192.0.2.99\",\"ttl\":null,\"is_user_defined\":true,"
	"\"domain\":{\"href\":\"/v1/domain/4/\"}},"
	"{\"id\":16,\"type\":\"A\",\"name\":\"turn\",\"value\":\"192.0.2.11\",\"ttl\":60," MINE "},"
	"{\"id\":17,\"type\":\"A\",\"name\":\"turn\",\"value\":\"192.0.2.10\",\"ttl\":60," MINE "},"
	"{\"id\":14,\"type\":\"A\",\"name\":\"bad\",\"value\":\"\",\"ttl\":60," MINE "},"
	"{\"id\":15,\"type\":\"A\",\"name\":7,\"value\":\"192.0.2.10\"," MINE "},{\"id\":\"x\"},8]";

static void ad_reads(void **state)
{
	json_t *list = parse(ad_list);
	struct ad_records r;
	struct zone z;

	(void)state;
	assert_int_equal(ad_records_parse(&r, "example.test.", 3, list, NULL), 0);
	assert_int_equal(ad_zone(&z, "example.test.", &r), 0);
	assert_int_equal(z.n, 9);
	assert_int_equal(z.negative_ttl, AD_NEGATIVE_TTL);
	must_hold(&z, "www.example.test.", RR_A, "192.0.2.10 192.0.2.11 (TTL 300)");
	must_hold(&z, "example.test.", RR_A, NULL);     /* the provider's own */
	must_hold(&z, "off.example.test.", RR_A, NULL); /* not served */
	must_hold(&z, "example.test.", RR_MX, "10 mail.example.org. (TTL 600)");
	must_hold(&z, "example.test.", RR_TXT, "\"v=spf1 ip4:192.0.2.10 -all\" (TTL 300)");
	must_hold(&z, "q.example.test.", RR_TXT, "\"a\" \"b\" (TTL 60)");
	must_hold(&z, "_s._tcp.example.test.", RR_SRV, "1 2 3 www.example.test. (TTL 60)");
	must_hold(&z, "c.example.test.", RR_CNAME, "www.example.test. (TTL 60)");
	must_hold(&z, "mixed.example.test.", RR_A, "192.0.2.10 192.0.2.11 (TTL 60)");
	zone_done(&z);
	ad_records_done(&r);
	json_decref(list);
	list = json_object();
	assert_int_equal(ad_records_parse(&r, "example.test.", 3, list, NULL), -EBADMSG);
	json_decref(list);
}

/* The writes as text: "PATCH 1 {...}\n". */
static int plan(struct change *changes, size_t n, char *out, size_t cap)
{
	static const char *const names[] = {"PATCH", "POST", "DELETE"};
	json_t *list = parse(ad_list);
	struct ad_records r;
	struct ad_writes w;
	size_t used = 0;
	int rc;

	assert_int_equal(ad_records_parse(&r, "example.test.", 3, list, NULL), 0);
	rc = ad_plan(&w, "example.test.", 3, &r, changes, n, NULL);
	out[0] = '\0';
	for (size_t i = 0; rc == 0 && i < w.n; i++) {
		char *body = w.v[i].body ? json_dumps(w.v[i].body, JSON_COMPACT) : NULL;

		used += (size_t)snprintf(out + used, cap - used, "%s %d%s%s\n", names[w.v[i].kind], (int)w.v[i].id, body ? " " : "",
					 body ? body : "");
		free(body);
	}
	if (rc == 0)
		ad_writes_done(&w);
	ad_records_done(&r);
	json_decref(list);
	for (size_t i = 0; i < n; i++)
		change_done(&changes[i]);
	return rc;
}

static void ad_writes_in_order(void **state)
{
	char out[2000];

	(void)state;
	struct change forward[] = {
		change_of("www.example.test.", "AAAA", 300, V("2001:db8::10"), 0, NULL),
		change_of("www.example.test.", "A", 300, V("192.0.2.10", "192.0.2.11"), 60, V("198.51.100.10", "192.0.2.11")),
		change_of("new.example.test.", "A", 0, NULL, 300, V("198.51.100.10")),
		change_of("example.test.", "TXT", 300, V("\"v=spf1 ip4:192.0.2.10 -all\""), 300,
			  V("\"v=spf1 ip4:198.51.100.10 ip4:192.0.2.10 -all\"")),
		change_of("example.test.", "MX", 600, V("10 mail.example.org."), 600, V("10 mail.example.org.", "20 b.example.org.")),
	};
	assert_int_equal(plan(forward, sizeof forward / sizeof forward[0], out, sizeof out), 0);
	assert_string_equal(out,
			    "PATCH 1 {\"value\":\"198.51.100.10\",\"ttl\":60}\n"
			    "PATCH 2 {\"ttl\":60}\n"
			    "PATCH 6 {\"value\":\"v=spf1 ip4:198.51.100.10 ip4:192.0.2.10 -all\"}\n"
			    "POST 0 {\"domain\":3,\"type\":\"A\",\"name\":\"new\",\"ttl\":null,\"value\":\"198.51.100.10\"}\n"
			    "POST 0 {\"domain\":3,\"type\":\"MX\",\"name\":\"\",\"ttl\":600,\"priority\":20,\"value\":\"b.example.org\"}\n"
			    "DELETE 12\n");
	/* each value goes back into the record that it came from, in whatever order the records are */
	struct change there =
		change_of("turn.example.test.", "A", 60, V("192.0.2.10", "192.0.2.11"), 60, V("198.51.100.10", "198.51.100.11"));
	assert_int_equal(plan(&there, 1, out, sizeof out), 0);
	assert_string_equal(out, "PATCH 17 {\"value\":\"198.51.100.10\"}\nPATCH 16 {\"value\":\"198.51.100.11\"}\n");
	/* values of several strings keep their form; a TTL that they have not in common is left alone, or refused */
	struct change txt = change_of("q.example.test.", "TXT", 60, V("\"a\" \"b\""), 60, V("\"b\" \"a\""));
	assert_int_equal(plan(&txt, 1, out, sizeof out), 0);
	assert_string_equal(out, "PATCH 7 {\"value\":\"\\\"b\\\" \\\"a\\\"\"}\n");
	struct change mixed = change_of("mixed.example.test.", "A", 60, V("192.0.2.10", "192.0.2.11"), 60, V("192.0.2.10", "192.0.2.12"));
	assert_int_equal(plan(&mixed, 1, out, sizeof out), 0);
	assert_string_equal(out, "PATCH 11 {\"value\":\"192.0.2.12\"}\n");
	mixed = change_of("mixed.example.test.", "A", 60, V("192.0.2.10", "192.0.2.11"), 30, V("192.0.2.10", "192.0.2.11"));
	assert_int_equal(plan(&mixed, 1, out, sizeof out), -EINVAL);
	/* the rest of a change of which one record was written */
	mixed = change_of("mixed.example.test.", "A", 60, V("192.0.2.10", "192.0.2.11"), 600, V("192.0.2.9", "192.0.2.11"));
	assert_int_equal(plan(&mixed, 1, out, sizeof out), 0);
	assert_string_equal(out, "PATCH 10 {\"value\":\"192.0.2.9\",\"ttl\":600}\n");
	struct change back = change_of("c.example.test.", "CNAME", 60, V("www.example.test."), 300, V("www.example.test."));
	assert_int_equal(plan(&back, 1, out, sizeof out), 0);
	assert_string_equal(out, "PATCH 9 {\"ttl\":null}\n");
}

static void ad_domains(void **state)
{
	json_t *list = parse(
		"[{\"id\":3,\"name\":\"example.test\"},{\"id\":4,\"name\":\"sub.Example.test\"},{\"id\":0,\"name\":\"zero.test\"},9]");
	char zone[RR_NAME_MAX];
	json_int_t id;

	(void)state;
	assert_true(ad_domain(list, "www.example.test.", &id, zone));
	assert_int_equal(id, 3);
	assert_string_equal(zone, "example.test.");
	assert_true(ad_domain(list, "a.b.SUB.example.test.", &id, zone));
	assert_int_equal(id, 4);
	assert_false(ad_domain(list, "zero.test.", &id, zone));
	assert_false(ad_domain(list, "xexample.test.", &id, zone));
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_in_a_query),
		cmocka_unit_test(long_strings_are_cut),
		cmocka_unit_test(plain_text_there_and_back),
		cmocka_unit_test(answers_become_outcomes),
		cmocka_unit_test(no_minute_holds_more),
		cmocka_unit_test(pdns_ids),
		cmocka_unit_test(pdns_reads),
		cmocka_unit_test(pdns_carries_along),
		cmocka_unit_test(pdns_refuses),
		cmocka_unit_test(ad_reads),
		cmocka_unit_test(ad_writes_in_order),
		cmocka_unit_test(ad_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
