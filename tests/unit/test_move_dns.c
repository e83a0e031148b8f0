/* What moves do about DNS, against a shunt-dnsupdate in memory: asked before anything, published or undone when the account is switched,
 * and owed rather than waited for. */
#include "control/homeward.h"
#include "control/publish.h"
#include "tests/unit/move_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool owed(struct world *w)
{
	struct journal *j = open_db(w);
	bool set = journal_mark(j, MARK_DNS "alice", NULL, NULL) == 0;
	journal_close(j);
	return set;
}

/* What `step` of the last move that is over had to say; new. */
static json_t *said(struct world *w, const char *step)
{
	struct err err = {0};
	struct move_row last;
	struct journal *j = open_db(w);
	assert_int_equal(journal_move_last(j, "alice", NULL, &last, &err), 0);
	json_t *e = json_incref(json_object_get(last.evidence, step));
	move_row_done(&last);
	journal_close(j);
	return e;
}

static void assert_said(struct world *w, const char *expected)
{
	char text[700];
	json_t *e = said(w, "published");
	publish_text(e, text, sizeof(text));
	assert_string_equal(text, expected);
	json_decref(e);
}

static enum exit_code move(struct world *w, const char *kind, struct err *err)
{
	enum move_state s;
	w->kind = kind;
	return controller(w, strcmp(kind, "migrate") == 0 ? SIDE_TRANSIT : SIDE_CLIENT, false, &s, err);
}

static void test_dns_there_and_back(void **state)
{
	static const char *const back[] = {"rollback", "relocate"};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w;
		struct err err = {0};
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
		assert_true(fake_zone(w->dns, "alice")->pushed);
		assert_int_equal(w->dns->wait, 3);
		assert_said(w, "published (2 record sets, 1 zone, seen by all servers in 0.4 s)");
		assert_int_equal(move(w, back[i], &err), EXIT_DONE);
		assert_string_equal(w->dns->wish, i ? "client" : "undo");
		assert_false(fake_zone(w->dns, "alice")->pushed);
		assert_string_equal(w->dns->p.calls,
				    i ? "plan:alice push:alice plan:alice push:alice " : "plan:alice push:alice plan:alice undo:alice ");
		json_t *e = said(w, "published");
		assert_int_equal(publish_ttl(e), 60);
		json_decref(e);
		assert_false(owed(w));
		assert_settled(w, SIDE_CLIENT);
		teardown((void **)&w);
	}
}

static void test_dns_left_out(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	w->no_dns = true;
	w->dns->p.away = true;
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	assert_said(w, "none (--no-dns)");
	w->no_dns = w->dns->p.away = false;
	assert_int_equal(move(w, "rollback", &err), EXIT_DONE); /* finds nothing to undo */
	assert_said(w, "undone, nothing was to be changed");
	assert_string_equal(w->dns->p.calls, "plan:alice undo:alice ");
}

static void test_dns_external(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	w->dns->external = true;
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	assert_said(w, "none (external)");
	assert_string_equal(w->dns->p.calls, "plan:alice "); /* nobody waits for it to be asked again */
	assert_false(owed(w));
}

/* Before the hook, and nothing has changed. */
static void test_dns_refuses_first(void **state)
{
	static const bool away[] = {false, true};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w;
		struct err err = {0};
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		w->dns->p.away = away[i];
		w->dns->drift = true;
		strcpy(w->dns->no, "the zone is somebody else's");
		assert_int_equal(move(w, "migrate", &err), EXIT_REFUSED);
		assert_non_null(
			strstr(err.text, away[i] ? "does not answer" : "somebody else's (www.alice.example. A: recorded 192.0.2.10"));
		assert_non_null(strstr(err.text, "--no-dns"));
		assert_false(ran(w, "prepare:"));
		assert_string_equal(w->proxy->p.calls, "");
		assert_settled(w, SIDE_CLIENT);
		assert_false(owed(w));
		teardown((void **)&w);
	}
}

/* Whatever befalls it once visitors wait: the move goes on. */
static void test_dns_is_owed(void **state)
{
	static const struct {
		const char *away_at, *lose, *refuse, *no, *text;
		bool pushed;
	} cases[] = {
		{"push:alice", "", "", "", "its answer did not come", false},
		{"", "push:alice", "", "", "its answer did not come", true},
		{"", "", "push:alice", "", "does not want to", false},
		{"", "", "", "ns1 answers REFUSED", "ns1 answers REFUSED", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		struct err err = {0};
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		w->dns->only_then = true;
		strcpy(w->dns->p.go_away_at, cases[i].away_at);
		strcpy(w->dns->p.lose, cases[i].lose);
		strcpy(w->dns->p.refuse, cases[i].refuse);
		strcpy(w->dns->no, cases[i].no);
		assert_int_equal(move(w, "migrate", &err), EXIT_STUCK);
		assert_non_null(strstr(err.text, "alice is moved and served by transit, but its DNS is not published: "));
		assert_non_null(strstr(err.text, cases[i].text));
		assert_settled(w, SIDE_TRANSIT);
		assert_true(owed(w));
		assert_int_equal(fake_zone(w->dns, "alice")->pushed, cases[i].pushed);
		w->dns->p.away = false;
		w->dns->p.go_away_at[0] = w->dns->p.refuse[0] = w->dns->no[0] = '\0';
		assert_int_equal(move(w, "rollback", &err), EXIT_DONE); /* the next move of the account settles it */
		assert_false(owed(w));
		assert_false(fake_zone(w->dns, "alice")->pushed);
		teardown((void **)&w);
	}
}

/* What somebody else changed keeps nobody from going home. */
static void test_dns_drift_on_the_way_back(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	w->dns->drift = true;
	strcpy(w->dns->no, "1 record set was changed by somebody else");
	assert_int_equal(move(w, "rollback", &err), EXIT_STUCK);
	assert_non_null(strstr(err.text, "alice is back and served by client, but its DNS is not: "));
	assert_non_null(strstr(err.text, "found 203.0.113.9"));
	assert_settled(w, SIDE_CLIENT);
	assert_true(owed(w));
}

static bool led_home(struct world *w)
{
	struct journal *j = open_db(w);
	bool set = journal_mark(j, MARK_HOME "alice", NULL, NULL) == 0;
	journal_close(j);
	return set;
}

/* DNS is home before anybody is held; a move that is undone leads visitors back to where the account stays. */
static void test_dns_goes_home_first(void **state)
{
	static const char *const fails[] = {"fail-prepare-apply", "fail-copy-apply", "fail-verify-apply"};
	static const char *const kinds[] = {"rollback", "relocate"};
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct world *w;
		struct err err = {0};
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
		touch(w, fails[i % 3]);
		assert_int_equal(move(w, kinds[i / 3], &err), EXIT_UNDONE);
		assert_non_null(strstr(w->dns->p.calls, i / 3 ? "plan:alice push:alice push:alice " : "plan:alice undo:alice push:alice "));
		assert_string_equal(w->dns->wish, "transit");
		assert_true(fake_zone(w->dns, "alice")->pushed);
		assert_settled(w, SIDE_TRANSIT);
		assert_false(owed(w));
		assert_false(led_home(w));
		teardown((void **)&w);
	}
}

/* And where that cannot be done, nobody is told that nothing was changed. */
static void test_dns_is_not_led_back(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	touch(w, "fail-copy-apply");
	strcpy(w->dns->p.calls, "");
	strcpy(w->dns->p.go_away_at, "push:alice");
	assert_int_equal(move(w, "rollback", &err), EXIT_STUCK);
	assert_non_null(strstr(err.text, "but DNS still leads home: "));
	assert_settled(w, SIDE_TRANSIT);
	assert_true(owed(w));
	assert_true(led_home(w)); /* it is known until the debt is settled */
}

/* What was never published is not published by an undo. */
static void test_dns_stays_left_out(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	w->no_dns = true;
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	w->no_dns = false;
	touch(w, "fail-copy-apply");
	assert_int_equal(move(w, "rollback", &err), EXIT_UNDONE);
	assert_string_equal(w->dns->p.calls, "plan:alice ");
	assert_false(fake_zone(w->dns, "alice")->pushed);
}

static void test_dns_waits_for_resolvers(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	w->conf.home_wait = 1; /* of the 70 s that it would take */
	int64_t began = now_ms();
	assert_int_equal(move(w, "rollback", &err), EXIT_DONE);
	assert_true(now_ms() - began >= 1000);
	json_t *e = said(w, "published");
	assert_in_range(json_integer_value(json_object_get(e, "waited")), 1, 60);
	assert_non_null(json_object_get(e, "resolvers-until"));
	json_decref(e);
	assert_false(led_home(w));
}

static void test_dns_lags(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	w->dns = fake_dnsupdate_new();
	strcpy(w->dns->lag, "ns2.provider.example. 192.0.2.54: still answers the old address");
	assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
	assert_said(w, "published (2 record sets, 1 zone), but ns2.provider.example. 192.0.2.54: still answers the old address");
	assert_false(owed(w));
}

/* At every point where DNS was asked, or is about to be: in the end it says where the account is. */
static void test_dns_crash_everywhere(void **state)
{
	static const char *const when[] = {"before", "after"}, *const kinds[] = {"migrate", "rollback"};
	static const int at[] = {STEP_PREPARING, STEP_SWITCHED, STEP_PUBLISHED, STEP_RELEASED};
	(void)state;
	for (int i = 0; i < 4 * 2 * 2; i++) {
		struct world *w;
		enum move_state s;
		struct err err = {0};
		int step = at[i / 4], k = i / 2 % 2;
		bool back = i % 2, over = step > STEP_SWITCHED || (step == STEP_SWITCHED && k == 1);
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		if (back)
			assert_int_equal(move(w, "migrate", &err), EXIT_DONE);
		w->kind = kinds[back];
		w->crash_step = steps[step].name;
		w->crash_when = when[k];
		pid_t pid = fork();
		if (pid == 0)
			_exit((int)controller(w, back ? SIDE_CLIENT : SIDE_TRANSIT, false, &s, &err));
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 99);
		w->crash_step = NULL;
		assert_int_equal(run(w, true, &s), EXIT_DONE);
		enum side side = over != back ? SIDE_TRANSIT : SIDE_CLIENT;
		assert_settled(w, side);
		assert_int_equal(fake_zone(w->dns, "alice")->pushed, side == SIDE_TRANSIT);
		assert_false(owed(w));
		teardown((void **)&w);
	}
}

/* The debt cannot be written: the visitors are let go, and the move stays open for it, also when the next line could be written. */
static void test_dns_full_disk(void **state)
{
	static const char *const room[] = {NULL, "published"};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *w;
		enum move_state s;
		setup((void **)&w);
		w->dns = fake_dnsupdate_new();
		w->dns->only_then = true;
		strcpy(w->dns->no, "ns1 answers REFUSED");
		w->full_step = "published";
		w->full_when = "before";
		w->room_step = room[i];
		assert_int_equal(run(w, false, &s), EXIT_STUCK);
		assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_OPEN);
		assert_int_equal(fake_account(w->proxy, "alice")->side, SIDE_TRANSIT);
		w->full_step = w->room_step = NULL;
		w->dns->no[0] = '\0';
		assert_int_equal(run(w, true, &s), EXIT_DONE);
		assert_settled(w, SIDE_TRANSIT);
		assert_true(fake_zone(w->dns, "alice")->pushed);
		assert_false(owed(w));
		teardown((void **)&w);
	}
}

static void test_dns_dry_run(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	struct move_row row = {.to = SIDE_TRANSIT, .kind = "migrate", .account = "alice"};
	struct move m;
	char text[700];
	w->dns = fake_dnsupdate_new();
	struct journal *j = open_db(w);
	struct dnslink *dns = fake_dnsupdate_link(w->dns);
	struct mover with = {.db = j, .dns = dns, .conf = &w->conf, .cancel_fd = -1};
	move_init(&m, &with, &row);
	assert_int_equal(publish_plan(&m, &err), 0);
	steps[STEP_PUBLISHED].plan(&m, text, sizeof(text));
	assert_string_equal(text, "DNS: 2 record sets in 1 zone change (ns1.provider.example.)");
	assert_false(fake_zone(w->dns, "alice")->pushed);
	move_done(&m);
	dnslink_close(dns);
	journal_close(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns_there_and_back),
		cmocka_unit_test_setup_teardown(test_dns_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dns_external, setup, teardown),
		cmocka_unit_test(test_dns_refuses_first),
		cmocka_unit_test(test_dns_is_owed),
		cmocka_unit_test_setup_teardown(test_dns_drift_on_the_way_back, setup, teardown),
		cmocka_unit_test(test_dns_goes_home_first),
		cmocka_unit_test_setup_teardown(test_dns_is_not_led_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dns_stays_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dns_waits_for_resolvers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dns_lags, setup, teardown),
		cmocka_unit_test(test_dns_crash_everywhere),
		cmocka_unit_test(test_dns_full_disk),
		cmocka_unit_test_setup_teardown(test_dns_dry_run, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
