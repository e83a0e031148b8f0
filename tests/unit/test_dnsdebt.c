/* DNS beyond one move, against a shunt-dnsupdate in memory: debts and who settles them, what finish asks, what status and check say. */
#include "control/check.h"
#include "control/dnsdebt.h"
#include "control/homeward.h"
#include "control/network.h"
#include "control/publish.h"
#include "tests/unit/accounts.h"
#include "tests/unit/fake_dnsupdate.h"
#include "tests/unit/fake_netctl.h"
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
	struct fake_dnsupdate *dns;
	struct app app;
};

static void put(struct house *h, const char *name, enum side side, int domains)
{
	json_t *o = json_pack("{s:s, s:[], s:s}", "name", name, "domains", "side", side_name(side));
	for (int i = 0; i < domains; i++)
		json_array_append_new(json_object_get(o, "domains"), json_sprintf("d%d.%s.example", i, name));
	json_array_append_new(json_object_get(o, "domains"), json_sprintf("%s.example", name));
	accounts_put(h->app.db, o);
}

/* alice is on the client server, bob on the transit server. */
static int setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	struct err err = {0};
	place_make(h->dir, "shunt-dnsdebt");
	snprintf(h->state, sizeof(h->state), "%s/shunt.db", h->dir);
	h->conf.control = (struct conf_control){.present = true, .state = h->state};
	h->conf.dns.wait = 4;
	h->dns = fake_dnsupdate_new();
	h->app = (struct app){.conf = &h->conf, .sigfd = -1};
	out_init(&h->app.out, true);
	who_am_i(&h->app.who);
	assert_int_equal(journal_open(&h->app.db, h->state, 0, &h->app.who, &err), 0);
	assert_int_equal(locks_open(&h->app.locks, h->state, &err), 0);
	h->app.dns = fake_dnsupdate_link(h->dns);
	put(h, "alice", SIDE_CLIENT, 0);
	put(h, "bob", SIDE_TRANSIT, 0);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct house *h = *state;
	app_close(&h->app);
	json_decref(h->app.out.object);
	fake_dnsupdate_free(h->dns);
	place_remove(h->dir);
	free(h);
	return 0;
}

static void owe(struct house *h, const char *name)
{
	char mark[80];
	snprintf(mark, sizeof(mark), MARK_DNS "%s", name);
	assert_int_equal(journal_set_mark(h->app.db, mark, true, NULL), 0);
}

static bool owed(struct house *h, const char *name)
{
	char mark[80];
	snprintf(mark, sizeof(mark), MARK_DNS "%s", name);
	return journal_mark(h->app.db, mark, NULL, NULL) == 0;
}

/* A move of alice that is over, or only begun. */
static void move(struct house *h, const char *kind, enum side to, bool over)
{
	struct err err = {0};
	struct account_row row;
	assert_int_equal(journal_account(h->app.db, "alice", &row, &err), 0);
	struct move_row m = {.account = "alice", .account_id = row.id, .from = (enum side) !to, .to = to, .step = "released"};
	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	assert_int_equal(journal_move_begin(h->app.db, &m, &err), 0);
	if (over) {
		m.state = MOVE_DONE;
		assert_int_equal(journal_move_put(h->app.db, &m, "test", NULL, &err), 0);
		assert_int_equal(journal_account_side(h->app.db, "alice", to, &err), 0);
	}
	move_row_done(&m);
	account_row_done(&row);
}

/* ---- settling ---- */

static void test_settled_by_side_and_kind(void **state)
{
	static const struct {
		const char *kind;
		enum side to;
		const char *wish;
	} cases[] = {{"migrate", SIDE_TRANSIT, "transit"}, {"rollback", SIDE_CLIENT, "undo"}, {"relocate", SIDE_CLIENT, "client"}};
	struct house *h = *state;
	struct err err = {0};
	for (size_t i = 0; i < 3; i++) {
		move(h, cases[i].kind, cases[i].to, true);
		owe(h, "alice");
		assert_int_equal(journal_set_mark(h->app.db, MARK_HOME "alice", true, NULL), 0);
		assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
		assert_int_equal(journal_mark(h->app.db, MARK_HOME "alice", NULL, NULL), -ENOENT);
		assert_string_equal(h->dns->wish, cases[i].wish);
		assert_int_equal(h->dns->wait, 4);
		assert_false(owed(h, "alice"));
		assert_int_equal(fake_zone(h->dns, "alice")->pushed, cases[i].to == SIDE_TRANSIT);
	}
	assert_int_equal(json_array_size(json_object_get(h->app.out.object, "dns-settled")), 3);
}

static void test_others_are_told(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	accounts_put(h->app.db, json_pack("{s:s, s:[s]}", "name", "carol", "domains", "shop.bob.example"));
	owe(h, "bob");
	assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
	assert_string_equal(h->dns->others, "shop.bob.example ");
}

static void test_still_owed(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	json_t *o = json_object();
	owe(h, "bob");
	strcpy(h->dns->no, "ns1 answers REFUSED");
	assert_int_equal(dnsdebt_settle(&h->app, "alice", false, &err), EXIT_DONE); /* not asked for */
	assert_string_equal(h->dns->p.calls, "");
	assert_int_equal(dnsdebt_settle(&h->app, "bob", false, &err), EXIT_STUCK);
	assert_string_equal(err.text, "DNS of bob is still owed: ns1 answers REFUSED");
	assert_true(owed(h, "bob"));
	dnsdebt_status_of(&h->app, "bob", o);
	json_t *dns = json_object_get(o, "dns");
	assert_string_equal(json_string_value(json_object_get(dns, "text")), "owed: ns1 answers REFUSED; shunt resume tries again");
	json_decref(o);
}

static void test_away_is_asked_once(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	owe(h, "alice");
	owe(h, "bob");
	strcpy(h->dns->p.go_away_at, "undo:alice");
	assert_int_equal(dnsdebt_settle(&h->app, NULL, true, &err), EXIT_STUCK);
	assert_string_equal(h->dns->p.calls, "");
	json_t *last = NULL;
	assert_int_equal(journal_last(h->app.db, "bob", TRAIL_DNS, &last, &err), -ENOENT);
	h->dns->p.away = false;
	h->dns->p.go_away_at[0] = '\0';
	assert_int_equal(dnsdebt_settle(&h->app, NULL, true, &err), EXIT_DONE);
	assert_false(owed(h, "alice") || owed(h, "bob"));
}

static void test_left_to_its_move(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	struct locks *other;
	struct account_row row;
	owe(h, "alice");
	move(h, "migrate", SIDE_TRANSIT, false);
	assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
	owe(h, "bob");
	assert_int_equal(journal_account(h->app.db, "bob", &row, &err), 0);
	assert_int_equal(locks_open(&other, h->state, &err), 0);
	assert_int_equal(locks_take(other, row.id, &err), 0);
	assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
	assert_string_equal(h->dns->p.calls, "");
	assert_true(owed(h, "alice") && owed(h, "bob"));
	locks_close(other);
	account_row_done(&row);
}

static void test_removed_account_owes_nothing(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	owe(h, "nobody");
	assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
	assert_false(owed(h, "nobody"));
}

/* ---- finish ---- */

static void test_finish(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	assert_int_equal(dnsdebt_may_finish(&h->app, &err), 0);
	fake_zone(h->dns, "bob")->pushed = true;
	fake_zone(h->dns, "alice")->pushed = true;
	assert_int_equal(dnsdebt_may_finish(&h->app, &err), -EPERM);
	assert_non_null(strstr(err.text, "2 accounts: bob, alice. shunt-dnsupdate undo ACCOUNT"));
	owe(h, "bob");
	assert_int_equal(dnsdebt_may_finish(&h->app, &err), -EPERM);
	assert_non_null(strstr(err.text, "owed: bob"));
	journal_set_mark(h->app.db, MARK_DNS "bob", false, NULL);
	h->dns->p.away = true;
	assert_int_equal(dnsdebt_may_finish(&h->app, &err), -EPERM);
	assert_non_null(strstr(err.text, "cannot be told"));
	dnslink_close(h->app.dns);
	h->app.dns = NULL;
	assert_int_equal(dnsdebt_may_finish(&h->app, &err), 0); /* DNS is nobody's business */
}

/* It is asked before anything is taken back. */
static void test_finish_asks_dns(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	struct fake_netctl *hosts[2];
	bool already;
	for (int i = 0; i < 2; i++) {
		hosts[i] = fake_netctl_new((enum side)i);
		h->app.netctl[i] = fake_netctl_link(hosts[i]);
	}
	fake_plan_put(hosts[SIDE_CLIENT], "intercept", "confirmed");
	assert_int_equal(journal_account_side(h->app.db, "bob", SIDE_CLIENT, &err), 0);
	fake_zone(h->dns, "bob")->pushed = true;
	assert_int_equal(network_finish(&h->app, &already, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "bob"));
	assert_string_equal(hosts[SIDE_CLIENT]->p.calls, "");
	fake_zone(h->dns, "bob")->pushed = false;
	assert_int_equal(network_finish(&h->app, &already, &err), EXIT_DONE);
	app_close(&h->app);
	fake_netctl_free(hosts[0]);
	fake_netctl_free(hosts[1]);
}

/* ---- status ---- */

static void assert_status(struct house *h, const char *name, const char *text)
{
	json_t *o = json_object();
	dnsdebt_status_of(&h->app, name, o);
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "dns"), "text")), text);
	assert_int_equal(json_object_get(json_object_get(o, "dns"), "away") != NULL, h->dns->p.away);
	json_decref(o);
}

static void test_status(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	assert_status(h, "bob", "none (no move has changed it)");
	owe(h, "bob");
	assert_int_equal(dnsdebt_settle(&h->app, NULL, false, &err), EXIT_DONE);
	assert_status(h, "bob", "published (2 record sets, 1 zone, seen by all servers in 0.4 s)");
	strcpy(h->dns->lag, "ns2.provider.example. 192.0.2.54");
	assert_status(h, "bob", "pushed (2 record sets, 1 zone), not seen yet: ns2.provider.example. 192.0.2.54");
	h->dns->p.away = true;
	assert_status(h, "bob", "published (2 record sets, 1 zone, seen by all servers in 0.4 s)");
	dnsdebt_status(&h->app);
	assert_non_null(json_object_get(json_object_get(h->app.out.object, "dns"), "away"));
	h->dns->p.away = false;
	dnsdebt_status(&h->app);
	assert_int_equal(json_array_size(json_object_get(json_object_get(h->app.out.object, "dns"), "entries")), 1);
}

/* ---- check ---- */

static enum exit_code check(struct house *h, char **words, int n, struct err *err)
{
	struct dnslink *links[3];
	for (int i = 0; i < 3; i++)
		links[i] = fake_dnsupdate_link(h->dns);
	enum exit_code x = check_dns(&h->app, links, 3, words, n, err);
	for (int i = 0; i < 3; i++)
		dnslink_close(links[i]);
	return x;
}

static void note(struct house *h, const char *what, const char *evidence)
{
	json_t *e = json_loads(evidence, 0, NULL);
	assert_non_null(e);
	assert_int_equal(journal_note(h->app.db, "bob", 0, what, e, NULL), 0);
	json_decref(e);
}

/* Whose DNS a name has that visitors still come by to the old address. */
static void test_whose(void **state)
{
	static const struct {
		const char *name, *whose;
	} cases[] = {
		{"bob.example", "managed"},     {"www.bob.example", "managed"},
		{"WWW.Bob.Example", "managed"}, {"x.elsewhere.bob.example", "external"},
		{"other.test", "external"},     {"notbob.example", "unknown"},
		{"mixed.test", "unknown"},      {"shadow.test", "external"},
		{"example", "unknown"},
	};
	static const char published[] =
		"{\"did\":\"published\",\"zones\":[{\"zone\":\"bob.example.\",\"verdict\":\"managed\"},"
		"{\"zone\":\"elsewhere.bob.example.\",\"verdict\":\"external\"},{\"zone\":\"other.test.\",\"verdict\":\"external\"},"
		"{\"zone\":\"mixed.test.\",\"verdict\":\"mixed\"},{\"zone\":\"shadow.test.\",\"verdict\":\"shadow\"}]}";
	struct house *h = *state;
	assert_string_equal(dnsdebt_whose(&h->app, "bob", "bob.example"), "unknown"); /* no move has told */
	note(h, TRAIL_DNS "published", published);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(dnsdebt_whose(&h->app, "bob", cases[i].name), cases[i].whose);
	assert_string_equal(dnsdebt_whose(&h->app, "alice", "bob.example"), "unknown");
	note(h, TRAIL_OWED,
	     "{\"did\":\"published\",\"owed\":\"no answer\",\"zones\":[{\"zone\":\"bob.example.\",\"verdict\":\"managed\"}]}");
	assert_string_equal(dnsdebt_whose(&h->app, "bob", "bob.example"), "unknown");
	note(h, TRAIL_DNS "undone", "{\"did\":\"undone\",\"zones\":[{\"zone\":\"bob.example.\",\"verdict\":\"managed\"}]}");
	assert_string_equal(dnsdebt_whose(&h->app, "bob", "bob.example"), "unknown");
}

static void test_check(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	char *words[] = {"dan"};
	for (int i = 0; i < 20; i++) {
		char name[20];
		snprintf(name, sizeof(name), "many%d", i);
		put(h, name, SIDE_CLIENT, 2);
	}
	put(h, "dan", SIDE_CLIENT, 120);
	assert_int_equal(check(h, NULL, 0, &err), EXIT_DONE);
	json_t *accounts = json_object_get(h->app.out.object, "accounts");
	assert_int_equal(json_array_size(accounts), 23);
	assert_string_equal(json_string_value(json_object_get(json_array_get(accounts, 0), "account")), "alice"); /* in order */
	assert_int_equal(json_integer_value(json_object_get(json_object_get(h->app.out.object, "counts"), "managed")), 2 + 60 + 121);
	assert_int_equal(h->dns->most, 50); /* in parts */
	assert_null(strstr(h->dns->p.calls, "push:"));
	assert_int_equal(check(h, words, 1, &err), EXIT_DONE);
	accounts = json_object_get(h->app.out.object, "accounts");
	assert_int_equal(json_array_size(json_object_get(json_array_get(accounts, 0), "domains")), 121);
	words[0] = "nobody";
	assert_int_equal(check(h, words, 1, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "nobody"));
}

static void test_check_refused(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	strcpy(h->dns->p.refuse, "plan:alice");
	assert_int_equal(check(h, NULL, 0, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "1 of 2 accounts; alice: "));
	assert_int_equal(json_array_size(json_object_get(h->app.out.object, "refused")), 1);
	h->dns->p.refuse[0] = '\0';
	h->dns->p.away = true;
	assert_int_equal(check(h, NULL, 0, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "does not answer"));
	h->dns->p.away = false;
	h->dns->drift = true; /* bob could not be rolled back in full, but he could */
	strcpy(h->dns->no, "somebody else changed it");
	char *words[] = {"bob"};
	assert_int_equal(check(h, words, 1, &err), EXIT_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_settled_by_side_and_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_still_owed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_away_is_asked_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_to_its_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_account_owes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish_asks_dns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whose, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
