/* What every start of a changing command does first: the proxy's table and the database agree, or it is refused; nobody's side is guessed.
 */
#include "control/app.h"
#include "control/sync.h"
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

struct house {
	char dir[64], state[96];
	struct conf conf;
	struct fake_proxy *proxy;
	struct app app;
};

/* alice on the client server, bob on the transit server; the proxy knows both. */
static int setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	struct err err = {0};
	place_make(h->dir, "shunt-sync");
	snprintf(h->state, sizeof(h->state), "%s/shunt.db", h->dir);
	h->conf.control = (struct conf_control){.present = true, .state = h->state, .rollback_days = 7, .parallel = 1};
	h->proxy = fake_new();
	fake_add(h->proxy, "alice", SIDE_CLIENT);
	fake_add(h->proxy, "bob", SIDE_TRANSIT);
	h->app = (struct app){.conf = &h->conf, .sigfd = -1};
	h->app.opt.drain = h->app.opt.max_wait = -1;
	out_init(&h->app.out, true);
	who_am_i(&h->app.who);
	assert_int_equal(journal_open(&h->app.db, h->state, 0, &h->app.who, &err), 0);
	assert_int_equal(locks_open(&h->app.locks, h->state, &err), 0);
	h->app.proxy = fake_link(h->proxy);
	h->app.proxy->fresh = sync_fresh;
	h->app.proxy->fresh_arg = &h->app;
	accounts_put_named(h->app.db, "alice", SIDE_CLIENT);
	accounts_put_named(h->app.db, "bob", SIDE_TRANSIT);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct house *h = *state;
	app_close(&h->app);
	json_decref(h->app.out.object);
	options_done(&h->app.opt);
	fake_free(h->proxy);
	place_remove(h->dir);
	free(h);
	return 0;
}

static enum side db_side(struct house *h, const char *name)
{
	struct account_row row;
	struct err err;
	assert_int_equal(journal_account(h->app.db, name, &row, &err), 0);
	enum side side = row.def.side;
	account_row_done(&row);
	return side;
}

static void test_agreeing_changes_nothing(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_string_equal(h->proxy->p.calls, "");
}

static void test_table_is_given_back(void **state)
{
	struct house *h = *state;
	static const char *const tables[] = {"damaged", "empty"};
	for (int i = 0; i < 2; i++) {
		struct err err = {0};
		h->app.proxy->connected = false; /* a new connection to a proxy that lost its table */
		strcpy(h->proxy->table, tables[i]);
		h->proxy->n = 0;
		assert_int_equal(sync_accounts(&h->app, false, &err), 0);
		assert_string_equal(h->proxy->table, "ok");
		assert_int_equal(h->proxy->n, 2);
		assert_int_equal(fake_account(h->proxy, "alice")->side, SIDE_CLIENT);
		assert_int_equal(fake_account(h->proxy, "bob")->side, SIDE_TRANSIT);
		assert_int_equal(fake_account(h->proxy, "bob")->gate, GATE_OPEN);
	}
}

static void test_fence_is_given_back(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	struct account_row row;
	assert_int_equal(journal_account(h->app.db, "alice", &row, &err), 0);
	struct move_row m = {.account = "alice", .kind = "migrate", .account_id = row.id, .to = SIDE_TRANSIT, .step = "copying"};
	assert_int_equal(journal_move_begin(h->app.db, &m, &err), 0);
	m.fenced = true;
	assert_int_equal(journal_move_put(h->app.db, &m, "test", NULL, &err), 0);
	strcpy(h->proxy->table, "damaged");
	h->proxy->n = 0;
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_int_equal(fake_account(h->proxy, "alice")->gate, GATE_FENCED); /* a copy is going on: nothing may reach the old side */
	assert_int_equal(sync_resume(&h->app, NULL, false, &err), EXIT_DONE); /* its owner is dead */
	assert_int_equal(fake_account(h->proxy, "alice")->gate, GATE_OPEN);
	assert_int_equal(fake_account(h->proxy, "alice")->side, SIDE_CLIENT);
	account_row_done(&row);
	move_row_done(&m);
}

static void test_living_owner_is_left_alone(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	struct account_row row;
	struct locks *other;
	assert_int_equal(journal_account(h->app.db, "alice", &row, &err), 0);
	struct move_row m = {.account = "alice", .kind = "migrate", .account_id = row.id, .to = SIDE_TRANSIT, .step = "copying"};
	assert_int_equal(journal_move_begin(h->app.db, &m, &err), 0);
	fake_account(h->proxy, "alice")->gate = GATE_FENCED;
	assert_int_equal(locks_open(&other, h->state, &err), 0); /* an open file description of its own: another owner */
	assert_int_equal(locks_take(other, row.id, &err), 0);
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_int_equal(sync_resume(&h->app, NULL, true, &err), EXIT_DONE);
	assert_int_equal(fake_account(h->proxy, "alice")->gate, GATE_FENCED);
	locks_close(other);
	assert_int_equal(sync_resume(&h->app, NULL, false, &err), EXIT_DONE);
	assert_int_equal(fake_account(h->proxy, "alice")->gate, GATE_OPEN);
	account_row_done(&row);
	move_row_done(&m);
}

static void test_database_follows_the_side(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	fake_account(h->proxy, "alice")->side = SIDE_TRANSIT;
	fake_account(h->proxy, "bob")->gate = GATE_FENCED; /* and no move knows of it: nobody would ever open it */
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_int_equal(db_side(h, "alice"), SIDE_TRANSIT);
	assert_int_equal(fake_account(h->proxy, "bob")->gate, GATE_OPEN);
}

static void test_missing_account_is_given(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	accounts_put_named(h->app.db, "carol", SIDE_TRANSIT);
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_int_equal(fake_account(h->proxy, "carol")->side, SIDE_TRANSIT);
	assert_int_equal(h->proxy->n, 3);
}

static void test_other_definition_is_corrected(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	char wrong[DIGEST_TEXT_MAX] = "0123456789abcdef";
	strcpy(fake_account(h->proxy, "bob")->digest, wrong);
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_string_equal(h->proxy->p.calls, "import-begin import-add import-commit ");
	assert_string_not_equal(fake_account(h->proxy, "bob")->digest, wrong);
	assert_int_equal(fake_account(h->proxy, "bob")->side, SIDE_TRANSIT);
	assert_int_equal(sync_accounts(&h->app, false, &err), 0); /* and now they are the same */
	assert_string_equal(h->proxy->p.calls, "import-begin import-add import-commit ");
}

static void test_unknown_on_transit_is_refused(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	fake_add(h->proxy, "zoe", SIDE_TRANSIT);
	assert_int_equal(sync_accounts(&h->app, false, &err), -EPERM);
	assert_non_null(strstr(err.text, "zoe"));
	assert_int_equal(h->proxy->n, 3);                        /* nothing was taken from it */
	assert_int_equal(sync_accounts(&h->app, true, &err), 0); /* an import may settle it */
	assert_int_equal(h->proxy->n, 3);
}

static void test_interrupted_change_is_taken_back(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	bool pending;
	fake_add(h->proxy, "zoe", SIDE_CLIENT); /* the proxy was told, the commit never came */
	assert_int_equal(journal_set_pending(h->app.db, true, &err), 0);
	assert_int_equal(sync_accounts(&h->app, false, &err), 0);
	assert_int_equal(h->proxy->n, 2);
	assert_int_equal(journal_pending(h->app.db, &pending, &err), 0);
	assert_false(pending);
}

static enum exit_code add(struct house *h, const char *name, const char *domain, struct err *err)
{
	char *words[] = {(char *)name, NULL};
	h->app.opt.domains = (struct words){malloc(sizeof(char *)), 1};
	h->app.opt.domains.w[0] = domain;
	enum exit_code x = cmd_account_add(&h->app, words, 1, err);
	options_done(&h->app.opt);
	return x;
}

static void test_account_add(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	assert_int_equal(add(h, "carol", "carol.example", &err), EXIT_DONE);
	assert_int_equal(fake_account(h->proxy, "carol")->side, SIDE_CLIENT);
	assert_int_equal(add(h, "carol", "carol.example", &err), EXIT_DONE); /* the same again */
	assert_int_equal(add(h, "carol", "other.example", &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "--force"));
	assert_int_equal(add(h, "dave", "bob.example", &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "bob"));
	assert_non_null(strstr(err.text, "dave"));
	assert_null(fake_account(h->proxy, "dave"));
	assert_int_equal(add(h, "../dave", "dave.example", &err), EXIT_USAGE);
	strcpy(h->proxy->p.refuse, "account-put");
	assert_int_equal(add(h, "erin", "erin.example", &err), EXIT_REFUSED);
	struct account_row row;
	assert_int_equal(journal_account(h->app.db, "erin", &row, &err), -ENOENT);
	bool pending;
	assert_int_equal(journal_pending(h->app.db, &pending, &err), 0);
	assert_false(pending);
}

static void test_account_remove(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	char *alice[] = {"alice", NULL}, *bob[] = {"bob", NULL}, *nobody[] = {"nobody", NULL};
	assert_int_equal(cmd_account_remove(&h->app, nobody, 1, &err), EXIT_REFUSED);
	assert_int_equal(cmd_account_remove(&h->app, bob, 1, &err), EXIT_REFUSED); /* its visitors would get the old copy */
	assert_non_null(strstr(err.text, "transit"));
	assert_non_null(fake_account(h->proxy, "bob"));
	assert_int_equal(cmd_account_remove(&h->app, alice, 1, &err), EXIT_DONE);
	assert_null(fake_account(h->proxy, "alice"));
	h->app.opt.force = true;
	assert_int_equal(cmd_account_remove(&h->app, bob, 1, &err), EXIT_DONE);
	assert_null(fake_account(h->proxy, "bob"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_agreeing_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_table_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fence_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_living_owner_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_database_follows_the_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_account_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_definition_is_corrected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_on_transit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_change_is_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_account_add, setup, teardown),
		cmocka_unit_test_setup_teardown(test_account_remove, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
