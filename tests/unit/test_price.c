/* What a rollback leaves behind, in words and as an object; who must consent, and how. */
#include "control/app.h"
#include "control/price.h"
#include "tests/unit/accounts.h"
#include "tests/unit/fake_proxy.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR 3600000LL
#define AT   1767225600000LL /* 2026-01-01T00:00:00Z */

#define W(post, delete, other, bytes)                                                                                \
	"{\"POST\":" #post ",\"PUT\":0,\"PATCH\":0,\"DELETE\":" #delete ",\"other\":" #other ",\"requests\":(" #post \
									"+" #delete "+" #other "),\"bytes\":" #bytes "}"
#define C(listener, protocol, count, bytes) \
	"{\"listener\":" listener ",\"protocol\":\"" protocol "\",\"count\":" #count ",\"bytes\":" #bytes "}"
#define SINCE(whole, accepted, refused, unanswered, connections)                                                                      \
	"{\"side\":\"transit\",\"counted-since\":\"2026-01-01T02:00:00.000Z\",\"whole\":" whole ",\"writes\":{\"accepted\":" accepted \
	",\"refused\":" refused ",\"unanswered\":" unanswered "},\"connections\":[" connections "]}"
#define NONE W(0, 0, 0, 0)

/* "(1+2+3)" is not JSON. */
static json_t *since_of(const char *text)
{
	char out[4096], *o = out;
	int a, b, c, n;

	for (const char *p = text; *p;) {
		if (*p == '(' && sscanf(p, "(%d+%d+%d)%n", &a, &b, &c, &n) == 3) {
			o += sprintf(o, "%d", a + b + c);
			p += n;
		} else {
			*o++ = *p++;
		}
	}
	*o = '\0';
	json_t *v = json_loads(out, JSON_DECODE_ANY, NULL);
	assert_non_null(v);
	return v;
}

static const char head[] = "Since alice was switched to transit at 2026-01-01T00:00:00Z (3 h ago) the transit server has accepted: ";
static const char lost[] = " A rollback brings nothing of that back: no hook-copy is configured.";

static const struct {
	const char *since, *why, *hook_copy;
	bool direct, nil;
	const char *text; /* behind head where since is known */
	const char *end;
} cases[] = {
	{SINCE("true", NONE, NONE, NONE, ""), .nil = true, .text = "nothing that writes."},
	{SINCE("true", NONE, W(3, 0, 0, 9), NONE, ""), .nil = true, .text = "nothing that writes."},
	{SINCE("true", W(12, 5, 0, 4200000), NONE, NONE,
	       C("\"https\"", "tls", 7, 1200) "," C("\"https6\"", "tls", 2, 300) "," C("\"redis\"", "tcp", 2, 12)),
	 .text = "17 requests that write (12 POST, 5 DELETE), 4.2 MB uploaded; and 9 TLS connections (1.5 kB sent), 2 connections on redis "
		 "(12 "
		 "bytes sent), which may have written.",
	 .end = lost},
	{SINCE("true", W(0, 0, 1, 0), NONE, NONE, ""), .text = "1 request that writes (1 other), 0 bytes uploaded.", .end = lost},
	{SINCE("true", NONE, NONE, W(1, 0, 0, 5), ""), .text = "1 request whose answer never came (1 POST), which may have written.",
	 .end = lost},
	{SINCE("true", NONE, NONE, NONE, C("\"web\"", "http", 1, 2000000000)),
	 .text = "1 upgraded connection (2.0 GB sent), which may have written.", .hook_copy = "/etc/copy",
	 .end = " A rollback brings back what hook-copy copies from transit to client, and nothing else."},
	{SINCE("true", NONE, NONE, NONE,
	       C("\"a\"", "tcp", 1, 1) "," C("\"b\"", "tcp", 1, 1) "," C("\"c\"", "tcp", 1, 1) "," C("\"d\"", "tcp", 1, 1) "," C(
		       "\"e\"", "tcp", 1, 1) "," C("\"f\"", "tcp", 1, 1) "," C("\"g\"", "tcp", 4, 100) "," C("null", "tcp", 5, 100)),
	 .text = "1 connection on a (1 byte sent), 1 connection on b (1 byte sent), 1 connection on c (1 byte sent), 1 connection on d "
		 "(1 "
		 "byte sent), 1 connection on e (1 byte sent), 1 connection on f (1 byte sent), 9 connections on further listeners (200 "
		 "bytes sent), which may have written.",
	 .end = lost},
	{SINCE("false", NONE, NONE, NONE, ""),
	 .text = "what is not known from before 2026-01-01T02:00:00.000Z, when shunt-proxy began to count anew; after that, nothing that "
		 "writes.",
	 .end = lost},
	{SINCE("true", NONE, NONE, NONE, ""), .direct = true,
	 .text = "nothing that writes. Its DNS leads to the transit server: what came there directly has passed by the proxy and is not "
		 "counted.",
	 .end = lost},
};

static void words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char wanted[2000];
		json_t *since = since_of(cases[i].since);
		struct price_facts f = {.account = "alice",
					.since_switch = since,
					.switched_at = AT,
					.now = AT + 3 * HOUR,
					.direct = cases[i].direct,
					.hook_copy = cases[i].hook_copy};
		json_t *price = price_of(&f);
		snprintf(wanted, sizeof(wanted), "%s%s%s", head, cases[i].text, cases[i].end ? cases[i].end : "");
		assert_string_equal(price_text(price), wanted);
		assert_int_equal(json_is_true(json_object_get(price, "nil")), cases[i].nil);
		assert_true(json_is_true(json_object_get(price, "known")));
		assert_true(json_equal(json_object_get(price, "writes"), json_object_get(since, "writes")));
		json_decref(price);
		json_decref(since);
	}
}

/* Whatever it is that is not known is never nothing. */
static void unknown(void **state)
{
	static const char *const sinces[] = {
		"null", "{}", "{\"side\":\"client\",\"counted-since\":\"T\",\"whole\":true,\"writes\":{},\"connections\":[]}",
		"{\"side\":\"transit\",\"whole\":true}", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(sinces) / sizeof(*sinces); i++) {
		json_t *since = sinces[i] ? since_of(sinces[i]) : NULL;
		struct price_facts f = {
			.account = "alice", .since_switch = since, .why = "it is away", .switched_at = AT, .now = AT + 3 * HOUR};
		json_t *price = price_of(&f);
		assert_string_equal(price_text(price),
				    "What the transit server has accepted since alice was switched to it at "
				    "2026-01-01T00:00:00Z (3 h ago) is not known: it is away. A rollback brings nothing of "
				    "that back: no hook-copy is configured.");
		assert_true(json_is_false(json_object_get(price, "nil")));
		assert_true(json_is_false(json_object_get(price, "known")));
		assert_string_equal(json_string_value(json_object_get(price, "reason")), "it is away");
		json_decref(price);
		json_decref(since);
	}
}

/* ---- consent ---- */

static json_t *a_price(const char *since)
{
	json_t *s = since_of(since);
	struct price_facts f = {.account = "alice", .since_switch = s, .switched_at = AT, .now = AT + 3 * HOUR};
	json_t *price = price_of(&f);
	json_decref(s);
	return price;
}

static const char nothing[] = SINCE("true", NONE, NONE, NONE, ""), some[] = SINCE("true", W(1, 0, 0, 1), NONE, NONE, "");

static const char *by(json_t *prices, const char *name)
{
	return json_string_value(json_object_get(json_object_get(json_object_get(prices, name), "consent"), "by"));
}

/* Without a terminal; main() sees to that. */
static void consent(void **state)
{
	struct app a = {.out.json = true, .opt.json = true};
	struct err err = {0};
	json_t *prices = json_object();

	(void)state;
	json_object_set_new(prices, "alice", a_price(nothing));
	assert_int_equal(price_consent(&a, prices, &err), EXIT_DONE);
	assert_string_equal(by(prices, "alice"), "nothing to lose");
	json_object_set_new(prices, "alice", a_price(nothing));
	json_object_set_new(prices, "bob", a_price(some));
	for (int json = 0; json < 2; json++) {
		a.opt.json = json;
		assert_int_equal(price_consent(&a, prices, &err), EXIT_REFUSED);
		assert_non_null(strstr(err.text, "rollback of bob refused"));
		assert_non_null(strstr(err.text, "--yes"));
		assert_null(by(prices, "alice"));
		assert_null(by(prices, "bob"));
	}
	a.opt.yes = true;
	assert_int_equal(price_consent(&a, prices, &err), EXIT_DONE);
	assert_string_equal(by(prices, "alice"), "--yes");
	assert_string_equal(by(prices, "bob"), "--yes");
	assert_non_null(json_string_value(json_object_get(json_object_get(json_object_get(prices, "bob"), "consent"), "at")));
	a.opt.yes = false;
	for (int i = 0; i < 100; i++) { /* a refusal names some */
		char name[20];
		snprintf(name, sizeof(name), "a%02d", i);
		json_object_set_new(prices, name, a_price(some));
	}
	assert_int_equal(price_consent(&a, prices, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "and 93 more refused"));
	json_decref(prices);
}

/* ---- the proxy is asked ---- */

static const char *const published[] = {
	"{\"nothing\":\"--no-dns\"}", "{\"did\":\"published\",\"zones\":[{\"verdict\":\"external\",\"changes\":0}]}",
	/* from here on DNS leads past the proxy, or may */
	"{\"did\":\"published\",\"zones\":[{\"verdict\":\"external\",\"changes\":0},{\"verdict\":\"mixed\",\"changes\":1}]}",
	"{\"did\":\"published\",\"zones\":[{\"verdict\":\"managed\",\"changes\":0}]}",
	"{\"did\":\"published\",\"zones\":[],\"owed\":\"no server answers\"}"};

/* Returns new. */
static json_t *ask(struct app *a, const struct account_row *row)
{
	json_t *prices = json_object();
	price_ask(a, row, 1, prices);
	assert_int_equal(json_object_size(prices), 1);
	json_t *price = json_incref(json_object_get(prices, row->def.name));
	json_decref(prices);
	return price;
}

static void dns_leads_past(struct app *a, struct account_row *row)
{
	struct err err = {0};
	struct account_row bob;

	accounts_put_named(a->db, "bob", SIDE_CLIENT);
	assert_int_equal(journal_account(a->db, "bob", &bob, &err), 0);
	for (size_t i = 0; i < sizeof(published) / sizeof(*published); i++) {
		struct move_row m = {.account_id = bob.id, .account = "bob", .kind = "migrate", .to = SIDE_TRANSIT, .step = "released"};
		assert_int_equal(journal_move_begin(a->db, &m, &err), 0);
		json_object_set_new(m.evidence, "published", json_loads(published[i], 0, NULL));
		m.state = MOVE_DONE;
		assert_int_equal(journal_move_put(a->db, &m, "migrate done", NULL, &err), 0);
		move_row_done(&m);
		json_t *price = ask(a, row);
		assert_int_equal(json_is_true(json_object_get(price, "direct")), i >= 2);
		assert_int_equal(json_is_true(json_object_get(price, "nil")), i < 2);
		json_decref(price);
	}
	account_row_done(&bob);
}

static void asked(void **state)
{
	char dir[PLACE_MAX], path[64];
	struct conf conf = {0};
	struct app a = {.conf = &conf};
	char bob[] = "bob", alice[] = "alice";
	struct account_row row = {.def.name = bob, .since = AT};
	struct fake_proxy *proxy = fake_new();
	struct err err = {0};

	(void)state;
	place_make(dir, "shunt-price");
	snprintf(path, sizeof(path), "%s/shunt.db", dir);
	who_am_i(&a.who);
	assert_int_equal(journal_open(&a.db, path, 0, &a.who, &err), 0);
	fake_add(proxy, "bob", SIDE_TRANSIT);
	a.proxy = fake_link(proxy);
	json_t *price = ask(&a, &row); /* a shunt-proxy of before */
	assert_non_null(strstr(price_text(price), "is not known: this shunt-proxy does not tell."));
	json_decref(price);
	proxy->since_switch = "{\"side\":\"transit\",\"counted-since\":\"T\",\"whole\":true,\"writes\":{},\"connections\":[]}";
	price = ask(&a, &row);
	assert_true(json_is_true(json_object_get(price, "nil")));
	json_decref(price);
	dns_leads_past(&a, &row);
	row.def.name = alice; /* whom the proxy does not know */
	price = ask(&a, &row);
	assert_non_null(strstr(price_text(price), "is not known: there is no such account."));
	assert_true(json_is_false(json_object_get(price, "nil")));
	json_decref(price);
	proxylink_close(a.proxy);
	journal_close(a.db);
	fake_free(proxy);
	place_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(unknown),
		cmocka_unit_test(consent),
		cmocka_unit_test(asked),
	};
	if (!freopen("/dev/null", "r", stdin))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
