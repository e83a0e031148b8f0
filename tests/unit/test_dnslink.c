/* What is asked of shunt-dnsupdate, and how its answers are understood; and who claims domains below whose. */
#include "control/dnslink.h"
#include "control/journal.h"
#include "control/publish.h"
#include "tests/unit/fake_dnsupdate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct acctdef def(const char *name, const char *first, const char *second)
{
	struct acctdef d = {0};
	struct err err = {0};
	json_t *o = json_pack("{s:s, s:[s]}", "name", name, "domains", first);
	if (second)
		json_array_append_new(json_object_get(o, "domains"), json_string(second));
	if (acctdef_from_json(&d, o, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(o);
	return d;
}

static void test_account(void **state)
{
	(void)state;
	struct acctdef d = def("alice", "alice.example", "*.alice.example");
	json_t *others = json_pack("[s]", "shop.alice.example"), *o = dns_account(&d, others);
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text,
			    "{\"domains\":[\"alice.example\",\"*.alice.example\"],\"name\":\"alice\",\"others\":[\"shop.alice.example\"]}");
	free(text);
	json_decref(o);
	json_decref(others);
	acctdef_done(&d);
}

static void test_answers(void **state)
{
	(void)state;
	static const struct {
		const char *refuse, *lose, *no;
		bool away;
		int rc, code;
		const char *text;
	} cases[] = {
		{"", "", "", false, 0, 0, ""},
		{"push:alice", "", "", false, -EPROTO, CTL_REFUSED, "does not want to"},
		{"", "push:alice", "", false, -ENOTCONN, CTL_FAILED, "its answer did not come"},
		{"", "", "the zone is gone", false, -EPROTO, CTL_REFUSED, "the zone is gone"},
		{"", "", "", true, -EHOSTUNREACH, CTL_FAILED, "does not answer at fake"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake_dnsupdate *f = fake_dnsupdate_new();
		struct dnslink *l = fake_dnsupdate_link(f);
		struct acctdef d = def("alice", "alice.example", NULL);
		json_t *account = dns_account(&d, NULL), *answer = NULL;
		enum ctl_code code = CTL_FAILED;
		struct err err = {0};
		strcpy(f->p.refuse, cases[i].refuse);
		strcpy(f->p.lose, cases[i].lose);
		strcpy(f->no, cases[i].no);
		f->p.away = cases[i].away;
		assert_int_equal(dns_push(l, account, SIDE_TRANSIT, 7, &answer, &code, &err), cases[i].rc);
		if (cases[i].rc < 0)
			assert_int_equal(code, cases[i].code);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_int_equal(dnslink_is_away(cases[i].rc), cases[i].rc == -ENOTCONN || cases[i].rc == -EHOSTUNREACH);
		assert_int_equal(answer != NULL, cases[i].rc == 0 || *cases[i].no != '\0'); /* why, zone by zone */
		json_decref(answer);
		json_decref(account);
		acctdef_done(&d);
		dnslink_close(l);
		fake_dnsupdate_free(f);
	}
}

static void put(struct journal *j, struct acctdef d)
{
	struct err err = {0};
	assert_int_equal(journal_account_put(j, &d, &err), 0);
	acctdef_done(&d);
}

static void assert_claims(const json_t *all, const char *name, const char *expected)
{
	char text[300] = "";
	size_t i;
	json_t *d;
	json_array_foreach (json_object_get(all, name), i, d)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", json_string_value(d));
	assert_string_equal(text, expected);
}

static void test_claims_below(void **state)
{
	(void)state;
	char dir[] = "/tmp/shunt-claims.XXXXXX", path[80];
	struct err err = {0};
	struct who who;
	struct journal *j;
	json_t *all = NULL;
	who_am_i(&who);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/db", dir);
	assert_int_equal(journal_open(&j, path, 0, &who, &err), 0);
	put(j, def("alice", "alice.example", "*.alice.example"));
	put(j, def("bob", "shop.alice.example", "bob.example"));
	put(j, def("carol", "malice.example", "*.eu.shop.alice.example"));
	put(j, def("dave", "example.org", NULL));
	struct acctdef defs[] = {def("alice", "alice.example", "*.alice.example"), def("bob", "shop.alice.example", "bob.example"),
				 def("dave", "example.org", NULL)};
	struct acctset set = {.defs = defs, .n = 3};
	assert_int_equal(journal_claims_below(j, &set, &all, &err), 0);
	assert_int_equal(json_object_size(all), 2);
	assert_claims(all, "alice", "shop.alice.example *.eu.shop.alice.example ");
	assert_claims(all, "bob", "*.eu.shop.alice.example ");
	json_decref(all);
	for (int i = 0; i < 3; i++)
		acctdef_done(&defs[i]);
	journal_close(j);
	unlink(path);
	snprintf(path, sizeof(path), "%s/db.lock", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *evidence, *text;
	} cases[] = {
		{"{\"nothing\":\"--no-dns\"}", "none (--no-dns)"},
		{"{\"did\":\"published\",\"zones\":[{\"verdict\":\"external\",\"changes\":0}]}", "none (external)"},
		{"{\"did\":\"undone\",\"zones\":[]}", "undone, nothing was to be changed"},
		{"{\"did\":\"published\",\"published\":true,\"lagging\":[],\"zones\":[{\"verdict\":\"managed\",\"changes\":2,\"servers\":[{"
		 "\"name\":"
		 "\"a\",\"after-ms\":90}]},{\"verdict\":\"managed\",\"changes\":1,\"servers\":[{\"name\":\"b\",\"after-ms\":1300}]}]}",
		 "published (3 record sets, 2 zones, seen by all servers in 1.3 s)"},
		{"{\"did\":\"published\",\"published\":false,\"lagging\":[\"ns2: late\",\"ns3: late\"],\"zones\":[{\"changes\":1}]}",
		 "published (1 record set, 1 zone), but ns2: late, and 1 more"},
		{"{\"did\":\"undone\",\"published\":false,\"zones\":[{\"changes\":1}]}",
		 "undone (1 record set, 1 zone), not yet seen by all servers"},
		{"{\"did\":7,\"zones\":{\"a\":1},\"lagging\":3}", ", nothing was to be changed"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[700];
		json_t *e = json_loads(cases[i].evidence, 0, NULL);
		publish_text(e, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
		json_decref(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_claims_below),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
