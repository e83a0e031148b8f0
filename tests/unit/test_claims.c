/* By what accounts are known: kept in step with them, also for those of a file from before there was such a table. */
#include "control/claims.h"
#include "control/db.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[40], path[64];
	struct who who;
	struct journal *db;
};

static void open_again(struct place *p)
{
	journal_close(p->db);
	p->db = accounts_open(p->path, &p->who);
}

static int64_t id_of(struct place *p, const char *name)
{
	struct account_row row;
	assert_int_equal(journal_account(p->db, name, &row, NULL), 0);
	int64_t id = row.id;
	account_row_done(&row);
	return id;
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	place_make(p->dir, "test_claims");
	snprintf(p->path, sizeof(p->path), "%s/shunt.db", p->dir);
	who_am_i(&p->who);
	open_again(p);
	accounts_put(p->db,
		     json_loads("{\"name\":\"alice\",\"domains\":[\"alice.example\",\"*.alice.example\"],\"logins\":[\"*@alice.example\"]}",
				0, NULL));
	accounts_put(p->db, json_loads("{\"name\":\"Bob\",\"domains\":[\"bob.example\",\"www.alice.example\"],\"addresses\":[\"192.0.2."
				       "11\",\"2001:DB8::11\"],"
				       "\"logins\":[\"Bobftp\",\"sales@bob.example\"],\"ports\":[8300],\"databases_gb\":2}",
				       0, NULL));
	accounts_put(p->db, json_loads("{\"name\":\"c\",\"domains\":[\"*.carol.example\"]}", 0, NULL));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	journal_close(p->db);
	place_remove(p->dir);
	free(p);
	return 0;
}

static void is(struct place *p, enum claim_kind kind, const char *word, enum claim_whose wanted)
{
	enum claim_whose found;
	assert_int_equal(claims_whose(p->db, kind, word, id_of(p, "alice"), &found, NULL), 0);
	if (found != wanted)
		fail_msg("%s: %d instead of %d", word, (int)found, (int)wanted);
}

static void test_kinds(void **state)
{
	struct place *p = *state;
	is(p, CLAIM_OF_NAME, "alice", CLAIM_OWN);
	is(p, CLAIM_OF_NAME, "bob", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_NAME, "bob.example", CLAIM_NOBODYS);
	is(p, CLAIM_OF_DOMAIN, "bob.example", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_DOMAIN, "*.alice.example", CLAIM_OWN);
	is(p, CLAIM_OF_ADDRESS, "192.0.2.11", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_ADDRESS, "2001:db8::11", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_ADDRESS, "192.0.2.1", CLAIM_NOBODYS);
	is(p, CLAIM_OF_LOGIN, "bobftp", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_LOGIN, "sales@bob.example", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_PORT, "8300", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_PORT, "830", CLAIM_NOBODYS);
}

static void test_nearest(void **state)
{
	static const struct {
		const char *name;
		enum claim_whose whose;
	} cases[] = {
		{"alice.example", CLAIM_OWN},
		{"shop.alice.example", CLAIM_OWN},
		{"a.b.alice.example", CLAIM_OWN},
		{"www.alice.example", CLAIM_ANOTHERS}, /* below a wildcard of hers, and yet his */
		{"a.www.alice.example", CLAIM_ANOTHERS},
		{"bob.example", CLAIM_ANOTHERS},
		{"ns1.bob.example", CLAIM_ANOTHERS},
		{"notbob.example", CLAIM_NOBODYS},
		{"example", CLAIM_NOBODYS},
		{"carol.example", CLAIM_ANOTHERS}, /* who has what is below it */
		{"", CLAIM_NOBODYS},
		{".", CLAIM_NOBODYS},
		{"bob.example.", CLAIM_NOBODYS},
	};
	struct place *p = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum claim_whose found;
		assert_int_equal(claims_whose_domain(p->db, cases[i].name, id_of(p, "alice"), &found, NULL), 0);
		if (found != cases[i].whose)
			fail_msg("%s: %d", cases[i].name, (int)found);
	}
}

/* Changed, renamed, removed, and none of it where the transaction is taken back. */
static void test_in_step(void **state)
{
	struct place *p = *state;
	accounts_put(p->db, json_loads("{\"name\":\"Bob\",\"domains\":[\"bob2.example\"]}", 0, NULL));
	is(p, CLAIM_OF_DOMAIN, "bob2.example", CLAIM_ANOTHERS);
	is(p, CLAIM_OF_DOMAIN, "bob.example", CLAIM_NOBODYS);
	is(p, CLAIM_OF_LOGIN, "bobftp", CLAIM_NOBODYS);
	is(p, CLAIM_OF_NAME, "bob", CLAIM_ANOTHERS);
	assert_int_equal(journal_account_side(p->db, "Bob", SIDE_TRANSIT, NULL), 0);
	is(p, CLAIM_OF_DOMAIN, "bob2.example", CLAIM_ANOTHERS);
	assert_int_equal(journal_begin(p->db, NULL), 0);
	assert_int_equal(journal_account_remove(p->db, "Bob", NULL), 0);
	is(p, CLAIM_OF_DOMAIN, "bob2.example", CLAIM_NOBODYS);
	journal_rollback(p->db);
	is(p, CLAIM_OF_DOMAIN, "bob2.example", CLAIM_ANOTHERS);
	assert_int_equal(journal_account_remove(p->db, "Bob", NULL), 0);
	is(p, CLAIM_OF_DOMAIN, "bob2.example", CLAIM_NOBODYS);
	is(p, CLAIM_OF_NAME, "bob", CLAIM_NOBODYS);
	accounts_put(p->db, json_loads("{\"name\":\"carol\",\"domains\":[\"alice.example\"]}", 0, NULL)); /* what both have is her own */
	is(p, CLAIM_OF_DOMAIN, "alice.example", CLAIM_OWN);
}

/* A file as version 3 had it. */
static void test_older_file(void **state)
{
	struct place *p = *state;
	struct err err = {0};
	if (db_exec(p->db->db,
		    "DROP TRIGGER claims_added; DROP TRIGGER claims_changed; DROP TRIGGER claims_removed; DROP VIEW claims_now;"
		    "DROP TABLE claims; PRAGMA user_version = 3",
		    &err) < 0)
		fail_msg("%s", err.text);
	accounts_put(p->db, json_loads("{\"name\":\"carol\",\"domains\":[\"carol.example\"]}", 0, NULL));
	open_again(p);
	test_kinds(state);
	is(p, CLAIM_OF_DOMAIN, "carol.example", CLAIM_ANOTHERS);
	test_in_step(state);
	open_again(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nearest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_file, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
