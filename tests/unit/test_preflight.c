/* What a check says of answers: tables of what both sides say, and of what is found in that; and how findings are kept. */
#include "control/finding.h"
#include "control/preflight_names.h"
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1700000000
#define DAY 86400

static json_t *json(const char *text)
{
	json_error_t e;
	json_t *o = json_loads(text, 0, &e);
	if (!o)
		fail_msg("%s in %s", e.text, text);
	return o;
}

static void set(json_t *into, const char *text)
{
	json_t *o = json(text);
	json_object_update(into, o);
	json_decref(o);
}

/* "stop twin-status, warn tls-expires" */
static const char *kinds(const json_t *findings)
{
	static char text[2000];
	const json_t *f;
	size_t i, at = 0;
	text[0] = '\0';
	json_array_foreach (findings, i, f)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %s", i ? ", " : "", member_text(f, "grade"),
				       member_text(f, "kind"));
	return text;
}

static char *domains[] = {"alice.example", "*.alice.example"};
static struct acctdef alice = {.name = "alice", .domains = domains, .n_domains = 2};
static struct preflight_view view = {.def = &alice, .from = SIDE_CLIENT, .to = SIDE_TRANSIT, .now = NOW, .expires_days = 14};

/* ---- comparison ---- */

#define PAGE                                                                                                            \
	"{\"domain\":\"alice.example\",\"scheme\":\"http\",\"path\":\"/"                                                \
	"\",\"listener\":\"web\",\"ok\":true,\"status\":200,\"said\":\"200\","                                          \
	"\"type\":\"text/html; "                                                                                        \
	"charset=utf-8\",\"title\":\"Shop\",\"size\":10000,\"whole\":true,\"tags\":\"00000000ffffffff\",\"n-tags\":80," \
	"\"words\":\"0f0f0f0f0f0f0f0f\",\"n-words\":300,\"tls\":null}"

static void test_twin(void **state)
{
	static const struct {
		const char *old, *fresh, *found; /* what is different from PAGE */
	} cases[] = {
		{"{}", "{}", ""},
		{"{}", "{\"size\":10900}", ""},
		{"{}", "{\"size\":11200}", "inform twin-size"},
		{"{\"size\":100}", "{\"size\":600}", ""},
		{"{}", "{\"size\":262144,\"whole\":false}", ""},
		{"{}", "{\"title\":\"Shop - 404\"}", "warn twin-title"},
		{"{\"title\":\"Shop, 12 visitors, 8f2a6c1b9d0e\"}", "{\"title\":\"Shop, 7 visitors, 00c1d2e3f4a5\"}", ""},
		{"{\"title\":null}", "{\"title\":\"Shop\"}", "warn twin-title"},
		{"{}", "{\"type\":\"TEXT/HTML\"}", ""},
		{"{}", "{\"type\":\"application/octet-stream\"}", "warn twin-type"},
		{"{}", "{\"tags\":\"000000ffffffffff\"}", ""},               /* 8 bits */
		{"{}", "{\"tags\":\"00ffffffffffffff\"}", "warn twin-page"}, /* 24 */
		{"{}", "{\"words\":\"0f0f0f0f0f0f00ff\"}", ""},
		{"{}", "{\"words\":\"f0f0f0f00f0f0f0f\"}", "warn twin-page"},
		{"{\"n-words\":5}", "{\"n-words\":5,\"words\":\"0f0f0f0f0f0f00ff\"}", "warn twin-page"}, /* few words must be the same */
		{"{\"n-words\":0,\"words\":null}", "{\"n-words\":0,\"words\":null}", ""},
		{"{}", "{\"n-words\":0,\"words\":null}", "warn twin-page"},
		{"{}", "{\"status\":500}", "stop twin-status"},
		{"{}", "{\"status\":404}", "stop twin-status"},
		{"{}", "{\"status\":421}", "stop twin-status"},
		{"{\"status\":404}", "{\"status\":503}", "stop twin-status"},
		{"{\"status\":404}", "{}", "warn twin-status"},
		{"{\"status\":503}", "{\"status\":404}", "warn twin-status"},
		{"{}", "{\"status\":301,\"location\":\"https://elsewhere.example/\"}", "stop twin-redirect"},
		{"{}", "{\"status\":301,\"location\":\"https://www.alice.example/\"}", "warn twin-redirect"},
		{"{\"status\":302,\"location\":\"/a?s=8f2a6c1b9d\"}",
		 "{\"status\":302,\"location\":\"http://ALICE.example:80/a?s=0c1d2e3f4a\"}", ""},
		{"{\"status\":302,\"location\":\"/a\"}", "{\"status\":302,\"location\":\"/b\"}", "warn twin-redirect"},
		{"{\"status\":302,\"location\":\"//alice.example/a\"}", "{\"status\":302,\"location\":\"/a\"}", ""},
		{"{\"status\":302,\"location\":\"https://alice.example/\"}", "{\"status\":302,\"location\":\"http://alice.example/\"}",
		 "warn twin-redirect"},
		{"{\"status\":302,\"location\":\"/a\"}", "{\"status\":301,\"location\":\"/a\"}", "warn twin-redirect"},
		{"{\"status\":302,\"location\":\"https://cdn.example/\"}", "{\"status\":302,\"location\":\"https://cdn.example/\"}", ""},
		{"{}", "{\"ok\":false,\"said\":\"Connection refused\"}", "stop twin-away"},
		{"{\"ok\":false}", "{}", "inform twin-away"},
		{"{\"ok\":false}", "{\"ok\":false}", "inform twin-away"},
		{"{\"listener\":null,\"ok\":false}", "{\"listener\":null,\"ok\":false}", ""},
		{"{\"scheme\":\"https\",\"tls\":{}}", "{\"scheme\":\"https\",\"ok\":false}", ""}, /* the certificate's matter */
		{"{\"scheme\":\"https\",\"tls\":{}}", "{\"scheme\":\"https\",\"ok\":false,\"tls\":{}}", "stop twin-away"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *old = json(PAGE), *fresh = json(PAGE), *findings = json_array();
		set(old, cases[i].old);
		set(fresh, cases[i].fresh);
		preflight_twin(findings, &view, old, fresh);
		if (strcmp(kinds(findings), cases[i].found) != 0)
			fail_msg("%s and %s: found \"%s\", expected \"%s\"", cases[i].old, cases[i].fresh, kinds(findings), cases[i].found);
		json_decref(old);
		json_decref(fresh);
		json_decref(findings);
	}
}

/* With a hook that seals, the side that does not have the account yet may refuse it; any other error stops a move all the same. */
static void test_twin_sealed(void **state)
{
	static char hook[] = "/etc/shunt/hooks/seal";
	struct conf conf = {.control.hook_seal = hook};
	struct preflight_view v = view;
	(void)state;
	v.conf = &conf;
	for (int status = 502; status <= 503; status++) {
		json_t *old = json(PAGE), *fresh = json(PAGE), *findings = json_array();
		json_object_set_new(fresh, "status", json_integer(status));
		preflight_twin(findings, &v, old, fresh);
		assert_string_equal(kinds(findings), status == 503 ? "warn twin-status" : "stop twin-status");
		json_decref(old);
		json_decref(fresh);
		json_decref(findings);
	}
}

/* ---- certificates ---- */

static json_t *https(int from_days, int until_days, bool matches, bool self, const char *fingerprint)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:{s:s, s:b, s:{s:s, s:I, s:I, s:b, s:b, s:[s]}}}", "domain", "alice.example", "scheme",
			 "https", "listener", "https", "ok", 1, "path", "/", "tls", "version", "TLSv1.3", "h2", 1, "certificate",
			 "fingerprint", fingerprint, "from", (json_int_t)NOW + (json_int_t)from_days * DAY, "until",
			 (json_int_t)NOW + (json_int_t)until_days * DAY, "matches", matches, "self-signed", self, "names", "alice.example");
}

static void test_tls(void **state)
{
	static const struct {
		int from, until;
		bool matches, self; /* of the client server */
		int from2, until2;
		bool matches2, self2; /* of the transit server */
		const char *found;
	} cases[] = {
		{-9, 60, true, false, -9, 60, true, false, ""},
		{-9, 60, true, false, -9, -1, true, false, "stop tls-expired"},
		{-9, 60, true, false, 1, 60, true, false, "stop tls-expired"},
		{-9, 60, true, false, -9, 60, false, false, "stop tls-name"},
		{-9, 60, true, false, -9, 60, true, true, "stop tls-self-signed"},
		{-9, -1, true, false, -9, -2, true, false, "warn tls-expired"},
		{-9, 60, false, false, -9, 60, false, false, "warn tls-name"},
		{-9, 60, true, true, -9, 60, true, true, ""},
		{-9, -1, true, false, -9, 60, true, false, "inform tls-expired"},
		{-9, 60, true, false, -9, 13, true, false, "warn tls-expires"},
		{-9, 13, true, false, -9, 60, true, false, "warn tls-expires"},
		{-9, 13, true, false, -9, 12, true, false, "warn tls-expires, warn tls-expires"},
		{-9, 15, true, false, -9, 15, true, false, ""},
	};
	json_t *away = json("{\"domain\":\"alice.example\",\"scheme\":\"https\",\"ok\":false,\"said\":\"refused\",\"tls\":null}"),
	       *findings;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *old = https(cases[i].from, cases[i].until, cases[i].matches, cases[i].self, "aa"),
		       *fresh = https(cases[i].from2, cases[i].until2, cases[i].matches2, cases[i].self2, "bb");
		findings = json_array();
		preflight_tls(findings, &view, old, fresh);
		if (strcmp(kinds(findings), cases[i].found) != 0)
			fail_msg("case %zu: found \"%s\", expected \"%s\"", i, kinds(findings), cases[i].found);
		json_decref(old);
		json_decref(fresh);
		json_decref(findings);
	}
	json_t *good = https(-9, 10, true, false, "aa"), *same = https(-9, 10, true, false, "aa");
	findings = json_array();
	preflight_tls(findings, &view, good, away); /* TLS ends */
	assert_string_equal(kinds(findings), "stop tls-missing, warn tls-expires");
	json_array_clear(findings);
	preflight_tls(findings, &view, good, same); /* one certificate, one warning */
	assert_string_equal(kinds(findings), "warn tls-expires");
	json_array_clear(findings);
	preflight_tls(findings, &view, away, away);
	preflight_tls(findings, &view, away, NULL);
	assert_string_equal(kinds(findings), "");
	preflight_tls(findings, &view, good, NULL); /* the other side is not asked */
	assert_string_equal(kinds(findings), "warn tls-expires");
	json_decref(findings);
	json_decref(away);
	json_decref(good);
	json_decref(same);
}

/* ---- ACME ---- */

static void test_acme(void **state)
{
	static const struct {
		const char *old, *fresh, *found;
	} cases[] = {
		{"{\"status\":404}", "{\"status\":404}", "inform acme"},
		{"{\"status\":404}", "{\"status\":200}", "warn acme, inform acme"},
		{"{\"status\":404}", "{\"status\":403}", "warn acme, inform acme"},
		{"{\"status\":404}", "{\"status\":500}", "warn acme, inform acme"},
		{"{\"status\":404}", "{\"status\":301}", "inform acme"},
		{"{\"status\":200}", "{\"status\":200}", "inform acme"},
		{"{\"listener\":null}", "{\"listener\":null}", "warn acme"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *old = json_pack("[o]", json(PAGE)), *fresh = json_pack("[o]", json(PAGE)), *findings = json_array();
		set(json_array_get(old, 0), cases[i].old);
		set(json_array_get(fresh, 0), cases[i].fresh);
		preflight_acme(findings, &view, old, fresh);
		assert_string_equal(kinds(findings), cases[i].found);
		json_decref(old);
		json_decref(fresh);
		json_decref(findings);
	}
}

/* ---- DNS ---- */

static void test_dns(void **state)
{
	static const struct {
		const char *record, *found;
	} cases[] = {
		{"{\"A\":[\"192.0.2.10\"],\"AAAA\":[\"2001:db8::10\"]}", ""},
		{"{\"A\":[\"192.0.2.10\"],\"AAAA\":[\"2001:db8::99\"]}", "warn dns-aaaa"},
		{"{\"A\":[\"192.0.2.12\"]}", "stop dns-a"},
		{"{\"A\":[\"203.0.113.9\"],\"AAAA\":[\"2001:db8::99\"]}", ""}, /* not here at all */
		{"{\"A\":[\"198.51.100.10\"]}", ""},
		{"{\"A\":[\"192.0.2.10\"],\"HTTPS\":[\"1 . alpn=h2 ipv4hint=192.0.2.10\"]}", "inform dns-https"},
		{"{\"A\":[\"192.0.2.10\"],\"HTTPS\":[\"1 . alpn=\\\"h3,h2\\\" ipv4hint=\\\"203.0.113.9,192.0.2.12\\\"\"]}",
		 "warn dns-https, warn dns-https, inform dns-https"},
		{"{\"A\":[\"192.0.2.10\"],\"HTTPS\":[\"1 . ech=AEX+DQBB ipv6hint=2001:db8::10\"]}", "inform dns-https, warn dns-https"},
		{"{\"A\":[\"192.0.2.10\"],\"CAA\":[\"0 issue \\\"letsencrypt.org\\\"\"]}", "inform dns-caa"},
		{"{\"A\":[\"192.0.2.10\"],\"CAA\":[\"0 issue \\\"digicert.com\\\"\",\"0 iodef \\\"mailto:a@b\\\"\"]}", "warn dns-caa"},
		{"{\"CAA\":[\"0 issue \\\"letsencrypt.org; accounturi=https://x/1\\\"\"]}", "warn dns-caa"},
		{"{\"CAA\":[\"0 iodef \\\"mailto:a@b\\\"\"]}", ""},
		{"{\"CAA\":[\"\",\"0\",\"0 issue\",\"0 issue \\\"\"],\"HTTPS\":[\"\",\"1 . ipv4hint=\"],\"A\":[7]}", ""},
		{"{\"trouble\":\"A of alice.example.: timeout\"}", "warn dns-records"},
	};
	struct conf *conf;
	struct err err = {0};
	json_t *fresh = json("[{\"domain\":\"alice.example\",\"tls\":{\"certificate\":{\"issuer\":\"Let's Encrypt\"}}}]");
	(void)state;
	int rc = conf_parse(&conf, "test",
			    "server \"web\" { pair { client = \"192.0.2.10\" transit = \"198.51.100.10\" }\n"
			    "pair { client = \"2001:db8::10\" transit = \"2001:db8:1::10\" }\npair { client = \"192.0.2.12\" } }\n",
			    &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	view.conf = conf;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *records = json_pack("[{s:s}]", "domain", "alice.example"), *findings = json_array();
		set(json_array_get(records, 0), cases[i].record);
		preflight_dns(findings, &view, NULL, records, fresh);
		if (strcmp(kinds(findings), cases[i].found) != 0)
			fail_msg("%s: found \"%s\", expected \"%s\"", cases[i].record, kinds(findings), cases[i].found);
		json_decref(records);
		json_decref(findings);
	}
	json_t *classified = json("[{\"domain\":\"a.example.\",\"verdict\":\"managed\",\"names\":[{\"name\":\"a.example.\",\"type\":"
				  "\"HTTPS\",\"fate\":"
				  "\"unsupported\",\"what\":\"HTTPS hints at "
				  "192.0.2.10\"}]},{\"domain\":\"b.example.\",\"verdict\":\"lame\",\"why\":\"x\"},"
				  "{\"domain\":\"c.example.\",\"verdict\":\"external\"}]"),
	       *findings = json_array();
	preflight_dns(findings, &view, classified, NULL, NULL);
	assert_string_equal(kinds(findings), "inform dns, warn dns-https, warn dns, inform dns");
	json_decref(findings);
	json_decref(classified);
	json_decref(fresh);
	conf_free(conf);
	view.conf = NULL;
}

/* ---- names that share a certificate ---- */

static void put(struct acctset *s, const char *name, enum side side, const char *address, const char *domain)
{
	json_t *o = json_pack("{s:s, s:[s], s:[]}", "name", name, "domains", domain, "addresses");
	struct acctdef d = {0};
	struct err err = {0};
	if (address)
		json_array_append_new(json_object_get(o, "addresses"), json_string(address));
	assert_int_equal(acctdef_from_json(&d, o, &err), 0);
	d.side = side;
	assert_int_equal(acctset_add(s, &d), 0);
	json_decref(o);
}

static const char *judge(struct preflight_names *n, const struct acctset *s, size_t i, const char *fingerprint, bool h2, const char *names,
			 char what[1000])
{
	json_t *answers = json_pack("[{s:s, s:s, s:{s:b, s:{s:s, s:o}}}]", "domain", s->defs[i].domains[0], "scheme", "https", "tls", "h2",
				    h2, "certificate", "fingerprint", fingerprint, "names", json(names)),
	       *findings = json_array();
	preflight_names_judge(n, findings, &s->defs[i], answers);
	const char *k = kinds(findings);
	snprintf(what, 1000, "%s", member_text(json_array_get(findings, 0), "found"));
	json_decref(answers);
	json_decref(findings);
	return k;
}

static void test_names(void **state)
{
	struct acctset s = {0};
	char what[1000];
	(void)state;
	put(&s, "a", SIDE_CLIENT, NULL, "a.host.example");
	put(&s, "b", SIDE_CLIENT, NULL, "b.host.example");
	put(&s, "c", SIDE_TRANSIT, NULL, "c.example");
	put(&s, "d", SIDE_CLIENT, "192.0.2.11", "d.host.example"); /* at an address of its own */
	put(&s, "e", SIDE_CLIENT, NULL, "*.deep.example");
	struct preflight_names *n = preflight_names_new(&s);
	assert_string_equal(judge(n, &s, 0, "own", true, "[\"a.host.example\",\"www.nobody.example\"]", what), "");
	assert_string_equal(judge(n, &s, 0, "wild", true, "[\"*.host.example\"]", what), "warn shared-certificate");
	assert_non_null(strstr(what, "names of b at the same address: once it moves alone"));
	assert_string_equal(judge(n, &s, 1, "wild", true, "[]", what),
			    "warn shared-certificate"); /* the same certificate is looked at once */
	assert_non_null(strstr(what, "names of a at"));
	assert_string_equal(judge(n, &s, 0, "wild", false, "[]", what), "inform shared-certificate");
	assert_string_equal(judge(n, &s, 3, "wild", true, "[]", what), ""); /* nobody else is at his address */
	assert_string_equal(judge(n, &s, 0, "across", true, "[\"a.host.example\",\"b.host.example\",\"c.example\"]", what),
			    "warn shared-certificate");
	assert_non_null(strstr(what, "names of c at the same address, on the other side"));
	assert_string_equal(judge(n, &s, 0, "star", true, "[\"x.y.deep.example\"]", what), "warn shared-certificate");
	assert_non_null(strstr(what, "names of e at"));
	assert_string_equal(judge(n, &s, 0, "star2", true, "[\"*.deep.example\"]", what), "warn shared-certificate");
	assert_string_equal(judge(n, &s, 0, "up", true, "[\"*.example\"]", what), "warn shared-certificate"); /* c.example, one label */
	assert_non_null(strstr(what, "names of c at"));
	assert_string_equal(judge(n, &s, 0, "bad", true, "[\"\",\"*\",\"*.\",\".\",\"..\"]", what), "");
	preflight_names_free(n);
	acctset_done(&s);
}

/* Ten thousand accounts below one wildcard, each with a certificate of its own for that. */
static void test_many_names(void **state)
{
	struct acctset s = {0};
	char what[1000];
	(void)state;
	for (int i = 0; i < 10000; i++) {
		char name[32], domain[64];
		snprintf(name, sizeof(name), "u%d", i);
		snprintf(domain, sizeof(domain), "u%d.host.example", i);
		put(&s, name, SIDE_CLIENT, NULL, domain);
	}
	struct preflight_names *n = preflight_names_new(&s);
	for (size_t i = 0; i < s.n; i++)
		assert_string_equal(judge(n, &s, i, "one", true, "[\"*.host.example\"]", what), "warn shared-certificate");
	assert_non_null(strstr(what, " and 996 more at")); /* of those that are told */
	preflight_names_free(n);
	acctset_done(&s);
}

/* ---- keeping ---- */

static int unlink_it(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static const char *found_of(const json_t *findings, size_t i)
{
	return member_text(json_array_get(findings, i), "found");
}

static void test_seen(void **state)
{
	json_t *list = json_array(),
	       *seen = json("{\"since\":\"2026-11-01T08:00:00.000Z\",\"uncounted\":0,\"days\":14,\"more\":false,\"seen\":[],"
			    "\"listeners\":[{\"port\":80},{\"port\":993},{\"port\":80}]}");
	(void)state;
	preflight_seen(list, &view, seen);
	assert_string_equal(kinds(list), "inform seen");
	assert_string_equal(found_of(list, 0),
			    "visitors of the last 14 days, counted since 2026-11-01T08:00:00.000Z: none yet; a move carries what "
			    "comes to its listeners, ports 80, 993");
	json_array_clear(list);
	set(seen, "{\"seen\":[{\"port\":80,\"protocol\":\"http\",\"count\":1,\"last-seen\":\"A\"},"
		  "{\"port\":993,\"protocol\":\"tcp\",\"count\":412,\"last-seen\":\"B\"},"
		  "{\"port\":8300,\"protocol\":\"tcp\",\"count\":2,\"last-seen\":\"C\"}],\"uncounted\":7300,\"more\":true}");
	preflight_seen(list, &view, seen);
	assert_string_equal(kinds(list), "inform seen, inform seen, inform seen, warn seen");
	assert_non_null(strstr(found_of(list, 0),
			       "Z, but for 2.0 hours while shunt-proxy did not run: by 3 ports, and by others that are not counted;"));
	assert_string_equal(member_text(json_array_get(list, 1), "name"), "port 80 (http)");
	assert_string_equal(found_of(list, 1), "1 request in the last 14 days, the last at A");
	assert_string_equal(member_text(json_array_get(list, 2), "name"), "port 993 (IMAP)");
	assert_string_equal(found_of(list, 2), "412 connections in the last 14 days, the last at B");
	assert_non_null(strstr(found_of(list, 3),
			       "2 connections in the last 14 days, the last at C; no listener of shunt-proxy serves the account there"));
	json_decref(seen);
	json_decref(list);
}

static void test_kept(void **state)
{
	char dir[] = "/tmp/shunt-preflight.XXXXXX", path[80];
	struct who who;
	struct journal *j;
	struct err err = {0};
	struct acctset s = {0};
	json_t *list = json_array(), *found;
	int64_t at;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/shunt.db", dir);
	who_am_i(&who);
	assert_int_equal(journal_open(&j, path, 0, &who, &err), 0);
	put(&s, "bob", SIDE_CLIENT, NULL, "bob.example");
	assert_int_equal(journal_account_put(j, &s.defs[0], &err), 0);
	assert_int_equal(findings_get(j, "bob", &at, &found, &err), -ENOENT);
	FIND(list, GRADE_INFORM, "seen", "bob", NULL, "%s", "caf\xc3\xa9");
	FIND(list, GRADE_STOP, "tls-name", "https://bob.example", "mend it", "wrong");
	findings_sort(list);
	assert_string_equal(kinds(list), "stop tls-name, inform seen");
	assert_int_equal(findings_put(j, "bob", 5000, list, &err), 0);
	assert_int_equal(findings_put(j, "nobody", 5000, list, &err), -ENOENT);
	journal_close(j);
	assert_int_equal(journal_open(&j, path, JOURNAL_READ, &who, &err), 0);
	assert_int_equal(findings_get(j, "bob", &at, &found, &err), 0);
	assert_int_equal(at, 5000);
	assert_true(json_equal(found, list));
	json_decref(found);
	json_array_clear(list);
	assert_int_equal(findings_put(j, "bob", 6000, list, &err), 0); /* replaced */
	assert_int_equal(findings_get(j, "bob", &at, &found, &err), 0);
	assert_int_equal(at, 6000);
	assert_int_equal(json_array_size(found), 0);
	json_decref(found);
	assert_int_equal(journal_account_remove(j, "bob", &err), 0);
	assert_int_equal(journal_account_put(j, &s.defs[0], &err), 0); /* another one of that name */
	assert_int_equal(findings_get(j, "bob", &at, &found, &err), -ENOENT);
	journal_close(j);
	json_decref(list);
	acctset_done(&s);
	nftw(dir, unlink_it, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twin),       cmocka_unit_test(test_twin_sealed), cmocka_unit_test(test_tls),
		cmocka_unit_test(test_acme),       cmocka_unit_test(test_dns),         cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_names), cmocka_unit_test(test_seen),        cmocka_unit_test(test_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
