/* A move against a proxy in memory, hooks that are real processes, and a real database: each failure undoes in order, each crash
 * (fork and _exit at every point of the journal) is brought to an end by resume, with one owner. */
#include "control/db.h"
#include "tests/unit/move_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_all_steps(void **state)
{
	struct world *w = *state;
	enum move_state s;
	assert_int_equal(run(w, false, &s), EXIT_DONE);
	assert_int_equal(s, MOVE_DONE);
	assert_string_equal(w->proxy->p.calls, "hold drain fence switch release ");
	assert_true(ran(w, "prepare:apply:alice:client:transit"));
	assert_true(ran(w, "copy:apply:alice"));
	assert_true(ran(w, "seal:apply:alice"));
	assert_true(ran(w, "verify:apply:alice"));
	assert_settled(w, SIDE_TRANSIT);
}

static void test_no_hooks(void **state)
{
	struct world *w = *state;
	enum move_state s;
	w->conf.hook_prepare = w->conf.hook_copy = w->conf.hook_seal = w->conf.hook_verify = NULL;
	assert_int_equal(run(w, false, &s), EXIT_DONE);
	assert_settled(w, SIDE_TRANSIT);
}

static void test_failure_undoes(void **state)
{
	(void)state;
	static const struct {
		const char *hook, *refuse, *undone;
		bool unsealed;
	} cases[] = {
		{"fail-prepare-apply", "", "preparing ", false},
		{NULL, "hold", "holding preparing ", false},
		{NULL, "drain", "draining holding preparing ", false},
		{NULL, "fence", "fenced draining holding preparing ", false},
		{"fail-copy-apply", "", "copying fenced draining holding preparing ", true},
		{"fail-seal-apply", "", "sealed copying fenced draining holding preparing ", true},
		{"fail-verify-apply", "", "sealed copying fenced draining holding preparing ", true},
		{NULL, "switch", "switched sealed copying fenced draining holding preparing ", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		enum move_state s;
		char order[200];
		struct err err = {0};
		setup((void **)&w);
		if (cases[i].hook)
			touch(w, cases[i].hook);
		strcpy(w->proxy->p.refuse, cases[i].refuse);
		assert_int_equal(controller(w, SIDE_TRANSIT, false, &s, &err), EXIT_UNDONE);
		assert_non_null(strstr(err.text, cases[i].hook ? "out of luck" : "does not want"));
		assert_int_equal(s, MOVE_UNDONE);
		undone(w, order, sizeof(order));
		assert_string_equal(order, cases[i].undone);
		assert_int_equal(ran(w, "seal:undo"), cases[i].unsealed);
		assert_settled(w, SIDE_CLIENT);
		teardown((void **)&w);
	}
}

/* Connections that pass by the proxy end before the fence, after which nothing may reach the old side; the evidence counts them. */
static void test_fence_resets_old(void **state)
{
	struct world *w = *state;
	enum move_state s;
	struct err err = {0};
	struct move_row last;
	w->netctl = fake_netctl_new(SIDE_CLIENT);
	w->netctl->old = 3;
	assert_int_equal(run(w, false, &s), EXIT_DONE);
	assert_string_equal(w->netctl->p.calls, "reset-old ");
	assert_string_equal(w->homeward, "");
	struct journal *j = open_db(w);
	assert_int_equal(journal_move_last(j, "alice", "migrate", &last, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(last.evidence, "fenced"), "reset-old")), 3);
	move_row_done(&last);
	journal_close(j);
	w->proxy->p.calls[0] = '\0';
	assert_int_equal(controller(w, SIDE_CLIENT, false, &s, &err), EXIT_DONE);
	assert_string_equal(w->homeward, "hold drain ."); /* before the fence, and before it is home */
	fake_netctl_free(w->netctl);
}

static void test_fence_without_netctl_undoes(void **state)
{
	struct world *w = *state;
	enum move_state s;
	struct err err = {0};
	char order[200];
	w->netctl = fake_netctl_new(SIDE_CLIENT);
	w->netctl->p.away = true;
	assert_int_equal(controller(w, SIDE_TRANSIT, false, &s, &err), EXIT_UNDONE);
	assert_non_null(strstr(err.text, "pass by the proxy"));
	assert_null(strstr(w->proxy->p.calls, "fence"));
	undone(w, order, sizeof(order));
	assert_string_equal(order, "fenced draining holding preparing ");
	assert_settled(w, SIDE_CLIENT);
	fake_netctl_free(w->netctl);
}

static void test_hold_ended_by_itself(void **state)
{
	struct world *w = *state;
	enum move_state s;
	strcpy(w->proxy->open_at, "drain");
	assert_int_equal(run(w, false, &s), EXIT_UNDONE);
	assert_settled(w, SIDE_CLIENT);
}

static void test_undo_fails_is_stuck(void **state)
{
	struct world *w = *state;
	enum move_state s;
	struct err err = {0};
	touch(w, "fail-verify-apply");
	touch(w, "fail-seal-undo");
	assert_int_equal(controller(w, SIDE_TRANSIT, false, &s, &err), EXIT_STUCK);
	assert_int_equal(s, MOVE_STUCK);
	assert_non_null(strstr(err.text, "STUCK"));
	assert_non_null(strstr(err.text, "sealed"));
	assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_FENCED); /* not let go into a half-sealed side */
	struct journal *j = open_db(w);
	struct move_rows open;
	assert_int_equal(journal_moves_open(j, "alice", &open, &err), 0);
	assert_int_equal(open.n, 1);
	assert_int_equal(open.rows[0].state, MOVE_STUCK);
	assert_true(open.rows[0].fenced);
	move_rows_done(&open);
	journal_close(j);
	assert_int_equal(run(w, true, &s), EXIT_STUCK); /* still */
	forget(w, "fail-seal-undo");
	assert_int_equal(run(w, true, &s), EXIT_DONE);
	assert_int_equal(s, MOVE_UNDONE);
	assert_settled(w, SIDE_CLIENT);
}

static void test_release_fails_is_stuck_forward(void **state)
{
	struct world *w = *state;
	enum move_state s;
	strcpy(w->proxy->p.refuse, "release");
	assert_int_equal(run(w, false, &s), EXIT_STUCK);
	assert_int_equal(s, MOVE_STUCK);
	w->proxy->p.refuse[0] = '\0';
	assert_int_equal(run(w, true, &s), EXIT_DONE);
	assert_int_equal(s, MOVE_DONE);
	assert_settled(w, SIDE_TRANSIT);
}

static void test_lost_answers(void **state)
{
	(void)state;
	static const char *const lost[] = {"hold", "drain", "fence", "switch", "release"};
	static const int with[] = {-ECONNRESET, -ENOBUFS, -ENOMEM, -EIO};
	for (size_t i = 0; i < 20; i++) {
		struct world *w;
		enum move_state s;
		setup((void **)&w);
		strcpy(w->proxy->p.lose, lost[i % 5]);
		w->proxy->p.lose_with = with[i / 5];
		assert_int_equal(run(w, false, &s), EXIT_DONE);
		assert_settled(w, SIDE_TRANSIT);
		teardown((void **)&w);
	}
}

static void test_proxy_away(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		enum side side;
	} cases[] = {
		{"hold", SIDE_CLIENT}, {"drain", SIDE_CLIENT}, {"fence", SIDE_CLIENT}, {"switch", SIDE_CLIENT}, {"release", SIDE_TRANSIT}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		enum move_state s;
		setup((void **)&w);
		strcpy(w->proxy->p.go_away_at, cases[i].at);
		assert_int_equal(run(w, false, &s), EXIT_STUCK);
		assert_int_equal(s, MOVE_MOVING); /* no person is needed: the next start goes on */
		assert_int_equal(run(w, true, &s), EXIT_STUCK);
		w->proxy->p.away = false;
		w->proxy->p.go_away_at[0] = '\0';
		assert_int_equal(run(w, true, &s), EXIT_DONE);
		assert_settled(w, cases[i].side);
		teardown((void **)&w);
	}
}

static void test_crash_everywhere(void **state)
{
	(void)state;
	static const char *const when[] = {"before", "after"};
	for (int step = 0; step < N_STEPS; step++) {
		for (int k = 0; k < 2; k++) {
			struct world *w;
			enum move_state s;
			bool over = step > STEP_SWITCHED || (step == STEP_SWITCHED && k == 1);
			setup((void **)&w);
			w->crash_step = steps[step].name;
			w->crash_when = when[k];
			assert_int_equal(run_child(w, false), 99);
			w->crash_step = NULL;
			assert_int_equal(run(w, true, &s), EXIT_DONE);
			assert_int_equal(s, over ? MOVE_DONE : MOVE_UNDONE);
			assert_settled(w, over ? SIDE_TRANSIT : SIDE_CLIENT);
			assert_int_equal(ran(w, "seal:undo"), !over && step >= STEP_COPYING);
			assert_int_equal(run(w, true, &s), EXIT_DONE); /* nothing left to do */
			if (!over) {
				assert_int_equal(run(w, false, &s), EXIT_DONE);
				assert_settled(w, SIDE_TRANSIT);
			}
			teardown((void **)&w);
		}
	}
}

static void test_crash_while_undoing(void **state)
{
	(void)state;
	static const char *const when[] = {"undo-before", "undo-after"};
	for (int step = 0; step <= STEP_SWITCHED; step++) {
		for (int k = 0; k < 2; k++) {
			struct world *w;
			enum move_state s;
			setup((void **)&w);
			strcpy(w->proxy->p.refuse, "switch");
			w->proxy->p.refuse_once = true;
			w->crash_step = steps[step].name;
			w->crash_when = when[k];
			assert_int_equal(run_child(w, false), 99);
			assert_int_equal(run_child(w, true), 99); /* and again while recovering */
			w->crash_step = NULL;
			assert_int_equal(run(w, true, &s), EXIT_DONE);
			assert_int_equal(s, MOVE_UNDONE);
			assert_settled(w, SIDE_CLIENT);
			teardown((void **)&w);
		}
	}
}

static void dies_on_the_way_home(struct world *w, bool resume)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		enum move_state s;
		struct err err = {0};
		controller(w, SIDE_CLIENT, resume, &s, &err);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 99);
	w->crash_step = NULL;
}

/* On the way home, where the client server's own services are open from the seal on, and visitors were led to them: what they were told is
 * written would be lost if the move were undone. */
static void test_failed_open(void **state)
{
	(void)state;
	static const struct {
		const char *refuse, *step, *when;
		bool failed_open, goes_on;
	} cases[] = {
		{"", "sealed", "before", true, true},
		{"", "sealed", "after", true, true},
		{"", "switched", "before", true, true},
		{"", "switched", "before", false, false},
		{"", "copying", "after", true, false}, /* both sides refuse the account */
		{"switch", "switched", "undo-before", true, true},
		{"switch", "sealed", "undo-before", true, true},
		{"switch", "sealed", "undo-before", false, false},
		{"switch", "copying", "undo-before", true, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		struct err err = {0};
		enum move_state s;
		setup((void **)&w);
		assert_int_equal(run(w, false, &s), EXIT_DONE);
		w->netctl = fake_netctl_new(SIDE_CLIENT);
		w->kind = "rollback";
		strcpy(w->proxy->p.refuse, cases[i].refuse);
		w->proxy->p.refuse_once = true;
		w->crash_step = cases[i].step;
		w->crash_when = cases[i].when;
		dies_on_the_way_home(w, false);
		w->proxy->failed_open = cases[i].failed_open;
		assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_DONE);
		assert_int_equal(s, cases[i].goes_on ? MOVE_DONE : MOVE_UNDONE);
		assert_settled(w, cases[i].goes_on ? SIDE_CLIENT : SIDE_TRANSIT);
		fake_netctl_free(w->netctl);
		teardown((void **)&w);
	}
}

static void test_failed_open_and_not_ready(void **state)
{
	for (int force = 0; force < 2; force++) {
		struct world *w;
		struct err err = {0};
		enum move_state s;
		setup((void **)&w);
		assert_int_equal(run(w, false, &s), EXIT_DONE);
		w->netctl = fake_netctl_new(SIDE_CLIENT);
		w->proxy->failed_open = true;
		touch(w, "fail-verify-apply");
		assert_int_equal(controller(w, SIDE_CLIENT, false, &s, &err), EXIT_STUCK);
		assert_non_null(strstr(err.text, "resume --force goes back and loses it"));
		assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_FENCED);
		assert_false(ran(w, "seal:undo"));
		assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_STUCK); /* nobody has mended it */
		w->cancelled = true;                                                      /* nor does Ctrl-C take it back */
		assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_STUCK);
		assert_false(ran(w, "seal:undo"));
		w->cancelled = false;
		w->force = force;
		if (!force)
			forget(w, "fail-verify-apply");
		assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_DONE);
		assert_settled(w, force ? SIDE_TRANSIT : SIDE_CLIENT);
		fake_netctl_free(w->netctl);
		teardown((void **)&w);
	}
	(void)state;
}

/* A person has said --force; who goes on after a crash of that has the same said. */
static void test_failed_open_and_given_up(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	enum move_state s;
	assert_int_equal(run(w, false, &s), EXIT_DONE);
	w->netctl = fake_netctl_new(SIDE_CLIENT);
	w->proxy->failed_open = true;
	touch(w, "fail-verify-apply");
	assert_int_equal(controller(w, SIDE_CLIENT, false, &s, &err), EXIT_STUCK);
	w->force = true;
	w->crash_step = "sealed";
	w->crash_when = "undo-before";
	dies_on_the_way_home(w, true);
	w->force = false;
	assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_DONE);
	assert_int_equal(s, MOVE_UNDONE);
	assert_settled(w, SIDE_TRANSIT);
	fake_netctl_free(w->netctl);
}

static void sql_in(struct world *w, const char *sql)
{
	struct journal *j = open_db(w);
	assert_int_equal(sqlite3_exec(j->db, sql, NULL, NULL, NULL), SQLITE_OK);
	journal_close(j);
}

static void test_failed_open_and_unwritten(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	enum move_state s;
	assert_int_equal(run(w, false, &s), EXIT_DONE);
	w->netctl = fake_netctl_new(SIDE_CLIENT);
	w->crash_step = "switched";
	w->crash_when = "before";
	dies_on_the_way_home(w, false);
	w->proxy->failed_open = true;
	sql_in(w, "CREATE TRIGGER full BEFORE UPDATE ON moves WHEN NEW.state = 'moving' BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
	assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_STUCK);
	assert_int_equal(s, MOVE_STUCK);
	assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_FENCED);
	assert_false(ran(w, "seal:undo"));
	sql_in(w, "DROP TRIGGER full");
	assert_int_equal(controller(w, SIDE_CLIENT, true, &s, &err), EXIT_DONE);
	assert_settled(w, SIDE_CLIENT);
	fake_netctl_free(w->netctl);
}

static void test_crash_while_finishing(void **state)
{
	(void)state;
	static const struct {
		const char *step, *when;
	} again[] = {{"published", "before"}, {"published", "after"}, {"released", "before"}, {"released", "after"}};
	for (size_t i = 0; i < 4; i++) {
		struct world *w;
		enum move_state s;
		setup((void **)&w);
		w->crash_step = "switched";
		w->crash_when = "after";
		assert_int_equal(run_child(w, false), 99);
		w->crash_step = again[i].step;
		w->crash_when = again[i].when;
		assert_int_equal(run_child(w, true), 99);
		w->crash_step = NULL;
		assert_int_equal(run(w, true, &s), EXIT_DONE);
		assert_settled(w, SIDE_TRANSIT);
		teardown((void **)&w);
	}
}

static void test_full_disk(void **state)
{
	(void)state;
	static const struct {
		const char *step, *when;
		enum exit_code x;
		enum side side;
	} cases[] = {
		{"preparing", "after", EXIT_UNDONE, SIDE_CLIENT},
		{"copying", "after", EXIT_UNDONE, SIDE_CLIENT},
		{"switched", "after", EXIT_STUCK, SIDE_TRANSIT},
		{"published", "after", EXIT_STUCK, SIDE_TRANSIT},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		enum move_state s;
		setup((void **)&w);
		w->full_step = cases[i].step;
		w->full_when = cases[i].when;
		assert_int_equal(run(w, false, &s), cases[i].x);
		w->full_step = NULL;
		/* the visitors were let go, whatever could be written */
		assert_int_equal(fake_account(w->proxy, "alice")->gate, GATE_OPEN);
		assert_int_equal(fake_account(w->proxy, "alice")->side, cases[i].side);
		assert_int_equal(run(w, true, &s), EXIT_DONE);
		assert_settled(w, cases[i].side);
		teardown((void **)&w);
	}
}

static void test_cancelled(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	struct progress progress;
	struct account_row account;
	struct move_row row = {.to = SIDE_TRANSIT, .kind = "migrate", .account = "alice"};
	struct move m;
	int p[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	progress_init(&progress, false, false);
	struct journal *j = open_db(w);
	struct proxylink *link = fake_link(w->proxy);
	struct mover with = {.db = j, .proxy = link, .conf = &w->conf, .progress = &progress, .cancel_fd = p[0]};
	assert_int_equal(journal_account(j, "alice", &account, &err), 0);
	row.account_id = account.id;
	account_row_done(&account);
	move_init(&m, &with, &row);
	assert_int_equal(move_run(&m, &err), EXIT_UNDONE);
	move_done(&m);
	proxylink_close(link);
	journal_close(j);
	close(p[0]);
	close(p[1]);
	assert_settled(w, SIDE_CLIENT);
}

/* The price is on record before anything is done, and again as it is at the fence; who was not asked because there was nothing to lose
 * stays where he is when there is something at the last moment. */
static void test_price(void **state)
{
	static const char
		some[] = "{\"side\":\"transit\",\"counted-since\":\"T\",\"whole\":true,\"writes\":{\"accepted\":{\"requests\":1}},"
			 "\"connections\":[]}",
		none[] = "{\"side\":\"transit\",\"counted-since\":\"T\",\"whole\":true,\"writes\":{},\"connections\":[{\"count\":0}]}",
		anew[] = "{\"side\":\"transit\",\"counted-since\":\"T\",\"whole\":false,\"writes\":{},\"connections\":[]}",
		tls[] = "{\"side\":\"transit\",\"counted-since\":\"T\",\"whole\":true,\"writes\":{},\"connections\":[{\"count\":1}]}";
	static const struct {
		const char *price, *at_fence;
		bool goes;
	} cases[] = {{"{\"consent\":{\"by\":\"nothing to lose\"}}", some, false},
		     {"{\"consent\":{\"by\":\"nothing to lose\"}}", tls, false},
		     {"{\"consent\":{\"by\":\"nothing to lose\"}}", anew, false},
		     {"{\"consent\":{\"by\":\"nothing to lose\"}}", none, true},
		     {"{\"consent\":{\"by\":\"nothing to lose\"}}", NULL, true},
		     {"{\"consent\":{\"by\":\"--yes\"}}", some, true},
		     {"{\"consent\":{\"by\":\"answer\"}}", some, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		struct err err = {0};
		enum move_state s;
		json_t *line;
		setup((void **)&w);
		assert_int_equal(run(w, false, &s), EXIT_DONE);
		w->kind = "rollback";
		w->price = cases[i].price;
		w->proxy->since_switch = cases[i].at_fence;
		assert_int_equal(controller(w, SIDE_CLIENT, false, &s, &err), cases[i].goes ? EXIT_DONE : EXIT_UNDONE);
		assert_int_equal(strstr(err.text, "--yes consents") != NULL, !cases[i].goes);
		assert_settled(w, cases[i].goes ? SIDE_CLIENT : SIDE_TRANSIT);
		struct journal *j = open_db(w);
		assert_int_equal(journal_last(j, "alice", "price agreed to", &line, &err), 0);
		assert_non_null(json_object_get(json_object_get(line, "evidence"), "consent"));
		json_decref(line);
		if (cases[i].goes && cases[i].at_fence) {
			assert_int_equal(journal_last(j, "alice", "done: fenced", &line, &err), 0);
			assert_non_null(json_object_get(json_object_get(line, "evidence"), "since-switch"));
			json_decref(line);
		}
		journal_close(j);
		teardown((void **)&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_hooks, setup, teardown),
		cmocka_unit_test(test_failure_undoes),
		cmocka_unit_test_setup_teardown(test_fence_resets_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fence_without_netctl_undoes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold_ended_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undo_fails_is_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_release_fails_is_stuck_forward, setup, teardown),
		cmocka_unit_test(test_lost_answers),
		cmocka_unit_test(test_proxy_away),
		cmocka_unit_test(test_crash_everywhere),
		cmocka_unit_test(test_crash_while_undoing),
		cmocka_unit_test(test_failed_open),
		cmocka_unit_test(test_failed_open_and_not_ready),
		cmocka_unit_test_setup_teardown(test_failed_open_and_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_open_and_unwritten, setup, teardown),
		cmocka_unit_test(test_crash_while_finishing),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
		cmocka_unit_test(test_price),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
