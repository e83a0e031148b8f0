/* start, reinstall, return and finish against two shunt-netctl in memory and a real database: guards, exit codes, what is taken back, and
 * a crash (fork and _exit) at every point, which the next command brings to an end. */
#include "control/moved.h"
#include "control/network.h"
#include "tests/unit/accounts.h"
#include "tests/unit/fake_netctl.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char conf_text[] = "server \"web\" { pair { client = \"192.0.2.10\" transit = \"198.51.100.10\" }\n"
				"pair { client = \"192.0.2.11\" transit = \"198.51.100.11\" } }\n"
				"proxy { intercept = true source-transit = \"%s\" listener \"web\" { port = 80 protocol = \"http\" } }\n"
				"control { state = \"%s\" netctl-client = \"unix:/nowhere/c\" netctl-transit = \"unix:/nowhere/t\" }\n";

struct world {
	char dir[64], state[96];
	struct fake_netctl *client, *transit;
	struct conf *conf;
	struct who who;
	const char *crash; /* "reinstall-apply:after" */
};

enum deed { START, REINSTALL, RETURN, FINISH, RESUME, PASSING };

static void use_conf(struct world *w, const char *source)
{
	struct err err = {0};
	char text[1200];
	conf_free(w->conf);
	snprintf(text, sizeof(text), conf_text, source, w->state);
	if (conf_parse(&w->conf, "test.conf", text, &err) < 0)
		fail_msg("%s", err.text);
}

static void on_point(void *arg, const char *step, const char *when)
{
	struct world *w = arg;
	char here[64];
	snprintf(here, sizeof(here), "%s:%s", step, when);
	if (w->crash && strcmp(here, w->crash) == 0)
		_exit(99);
}

static void open_app(struct world *w, struct app *a)
{
	struct err err = {0};
	*a = (struct app){.conf = w->conf, .who = w->who, .sigfd = -1, .at = on_point, .at_arg = w};
	out_init(&a->out, true);
	a->opt.confirm = -1;
	if (journal_open(&a->db, w->state, 0, &w->who, &err) < 0 || locks_open(&a->locks, w->state, &err) < 0)
		fail_msg("%s", err.text);
	a->netctl[SIDE_CLIENT] = w->client ? fake_netctl_link(w->client) : NULL;
	a->netctl[SIDE_TRANSIT] = w->transit ? fake_netctl_link(w->transit) : NULL;
}

static void close_app(struct app *a)
{
	a->conf = NULL;
	json_decref(a->out.object);
	app_done(a);
}

static void account(struct world *w, const char *name, enum side side, const char *address)
{
	struct err err = {0};
	struct app a;
	open_app(w, &a);
	json_t *o = json_pack("{s:s, s:[o]}", "name", name, "domains", json_sprintf("%s.example", name));
	if (address)
		json_object_set_new(o, "addresses", json_pack("[s]", address));
	accounts_put(a.db, o);
	assert_int_equal(journal_account_side(a.db, name, side, &err), 0);
	close_app(&a);
}

static void side(struct world *w, const char *name, enum side to)
{
	struct err err = {0};
	struct app a;
	open_app(w, &a);
	assert_int_equal(journal_account_side(a.db, name, to, &err), 0);
	close_app(&a);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	place_make(w->dir, "shunt-network");
	snprintf(w->state, sizeof(w->state), "%s/shunt.db", w->dir);
	use_conf(w, "proxy-v2");
	w->client = fake_netctl_new(SIDE_CLIENT);
	w->transit = fake_netctl_new(SIDE_TRANSIT);
	w->client->peer = w->transit;
	w->transit->peer = w->client;
	who_am_i(&w->who);
	account(w, "alice", SIDE_TRANSIT, NULL);
	account(w, "bob", SIDE_TRANSIT, "192.0.2.11");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	place_remove(w->dir);
	if (w->client)
		fake_netctl_free(w->client);
	if (w->transit)
		fake_netctl_free(w->transit);
	conf_free(w->conf);
	free(w);
	return 0;
}

static enum exit_code run_with(struct world *w, enum deed c, const struct network_wish *wish, bool *already, struct err *err)
{
	struct app a;
	enum exit_code x = EXIT_DONE;
	*already = false;
	memset(err, 0, sizeof(*err));
	open_app(w, &a);
	switch (c) {
	case START:
		x = network_start(&a, err);
		break;
	case REINSTALL:
		x = network_reinstall(&a, wish, already, err);
		break;
	case RETURN:
		x = network_return(&a, wish, already, err);
		break;
	case FINISH:
		x = network_finish(&a, already, err);
		break;
	case RESUME:
	case PASSING:
		x = network_resume(&a, c == RESUME, err);
		break;
	}
	close_app(&a);
	return x;
}

static enum exit_code run(struct world *w, enum deed c, struct err *err)
{
	bool already;
	return run_with(w, c, &(struct network_wish){.confirm = -1}, &already, err);
}

static void must(struct world *w, enum deed c)
{
	struct err err;
	if (run(w, c, &err) != EXIT_DONE)
		fail_msg("%s", err.text);
}

static void says(const struct err *err, const char *what)
{
	if (!strstr(err->text, what))
		fail_msg("\"%s\" lacks \"%s\"", err->text, what);
}

/* In a child that dies at the point. */
static void crash(struct world *w, enum deed c, const char *point)
{
	int status;
	struct err err;
	fflush(stdout);
	w->crash = point;
	pid_t pid = fork();
	if (pid == 0)
		_exit((int)run(w, c, &err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	w->crash = NULL;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 99)
		fail_msg("%s was not reached", point);
}

static bool clock_runs(struct world *w, const char *name)
{
	struct app a;
	open_app(w, &a);
	bool runs = network_clock(&a, name);
	close_app(&a);
	return runs;
}

static size_t intents(struct world *w)
{
	struct app a;
	struct err err = {0};
	json_t *marks;
	open_app(w, &a);
	assert_int_equal(journal_marks(a.db, "begin ", &marks, &err), 0);
	size_t n = json_array_size(marks);
	json_decref(marks);
	close_app(&a);
	return n;
}

static void set_clock(struct world *w, const char *name)
{
	struct app a;
	struct err err = {0};
	open_app(w, &a);
	assert_int_equal(journal_clock_start(a.db, name, &err), 0);
	close_app(&a);
}

/* May a move begin? 0, or why not. */
static int move_begins(struct world *w, const char *name)
{
	struct app a;
	struct err err = {0};
	struct account_row row;
	struct move_row m = {.kind = "rollback", .from = SIDE_TRANSIT, .to = SIDE_CLIENT, .step = "preparing"};
	open_app(w, &a);
	assert_int_equal(journal_account(a.db, name, &row, &err), 0);
	m.account_id = row.id;
	strcpy(m.account, name);
	account_row_done(&row);
	int rc = journal_move_begin(a.db, &m, &err);
	if (rc == 0) { /* and it is over at once */
		m.state = MOVE_UNDONE;
		assert_int_equal(journal_move_put(a.db, &m, "over", NULL, &err), 0);
	}
	move_row_done(&m);
	close_app(&a);
	return rc;
}

/* ---- start ---- */

static void test_start(void **state)
{
	struct world *w = *state;
	must(w, START);
	assert_string_equal(w->client->p.calls, "apply:intercept ");
	assert_string_equal(w->transit->p.calls, "");
	assert_int_equal(w->client->confirm, 0);
	assert_string_equal(w->client->moved, "192.0.2.10 192.0.2.11 ");
	assert_true(clock_runs(w, "start"));
	must(w, START);
	assert_int_equal(intents(w), 0);
}

static void test_start_replies(void **state)
{
	struct world *w = *state;
	struct err err;
	use_conf(w, "transparent");
	must(w, START);
	assert_string_equal(w->transit->p.calls, "apply:reply ");
	fake_netctl_free(w->transit);
	w->transit = NULL;
	assert_int_equal(run(w, START, &err), EXIT_REFUSED);
	says(&err, "netctl-transit");
}

static void test_start_without_netctl(void **state)
{
	struct world *w = *state;
	fake_netctl_free(w->client);
	w->client = NULL;
	must(w, START);
	assert_true(clock_runs(w, "start"));
}

static void test_start_fails(void **state)
{
	(void)state;
	static const struct {
		const char *refuse, *lose;
		enum ctl_code code;
		bool away;
	} cases[] = {
		{"apply:intercept", "", CTL_REFUSED, false},
		{"apply:intercept", "", CTL_FAILED, false},
		{"apply:intercept", "", CTL_STUCK, false},
		{"", "apply:intercept", CTL_REFUSED, false},
		{"", "", CTL_REFUSED, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		struct err err;
		setup((void **)&w);
		use_conf(w, "transparent");
		strcpy(w->client->p.refuse, cases[i].refuse);
		strcpy(w->client->p.lose, cases[i].lose);
		w->client->p.code = cases[i].code;
		w->client->p.away = cases[i].away;
		assert_int_equal(run(w, START, &err), EXIT_REFUSED);
		says(&err, "nothing changed");
		assert_int_equal(w->client->n, 0);
		assert_int_equal(w->transit->n, 0);
		assert_false(clock_runs(w, "start"));
		assert_int_equal(intents(w), 0);
		teardown((void **)&w);
	}
}

static void test_start_stuck(void **state)
{
	struct world *w = *state;
	struct err err;
	use_conf(w, "transparent");
	w->client->p.away = true;
	strcpy(w->transit->p.refuse, "revert:reply");
	assert_int_equal(run(w, START, &err), EXIT_STUCK);
	assert_int_equal(intents(w), 1);
	w->client->p.away = false;
	w->transit->p.refuse[0] = '\0';
	must(w, PASSING);
	assert_true(clock_runs(w, "start"));
	assert_int_equal(intents(w), 0);
}

static void test_start_crashes(void **state)
{
	(void)state;
	static const char *const points[] = {"start-reply:before",    "start-reply:after", "start-intercept:before",
					     "start-intercept:after", "moved:before",      "moved:after"};
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		struct world *w;
		setup((void **)&w);
		use_conf(w, "transparent");
		crash(w, START, points[i]);
		assert_int_equal(intents(w), 1);
		must(w, i % 2 ? RESUME : PASSING);
		assert_true(clock_runs(w, "start"));
		assert_non_null(fake_plan(w->client, "intercept"));
		assert_non_null(fake_plan(w->transit, "reply"));
		assert_int_equal(intents(w), 0);
		teardown((void **)&w);
	}
}

/* ---- reinstall ---- */

static void test_reinstall(void **state)
{
	struct world *w = *state;
	struct err err;
	bool already;
	assert_int_equal(run_with(w, REINSTALL, &(struct network_wish){.confirm = 45}, &already, &err), EXIT_DONE);
	assert_false(already);
	assert_string_equal(w->transit->p.calls, "apply:takeover confirm:takeover ");
	assert_int_equal(w->transit->confirm, 45);
	assert_string_equal(fake_plan(w->transit, "takeover")->state, "confirmed");
	assert_true(clock_runs(w, "reinstall"));
	assert_int_equal(intents(w), 0);
	assert_int_equal(run_with(w, REINSTALL, &(struct network_wish){.confirm = -1}, &already, &err), EXIT_DONE);
	assert_true(already);
	assert_string_equal(w->transit->p.calls, "apply:takeover confirm:takeover ");
}

static void test_reinstall_guards(void **state)
{
	struct world *w = *state;
	struct err err;
	struct app a;
	struct account_row row;
	struct move_row m = {.kind = "rollback", .from = SIDE_TRANSIT, .to = SIDE_CLIENT, .step = "preparing"};

	account(w, "carol", SIDE_CLIENT, NULL);
	assert_int_equal(run(w, REINSTALL, &err), EXIT_REFUSED);
	says(&err, "carol");
	side(w, "carol", SIDE_TRANSIT);
	open_app(w, &a);
	assert_int_equal(journal_account(a.db, "bob", &row, &err), 0);
	m.account_id = row.id;
	strcpy(m.account, "bob");
	account_row_done(&row);
	assert_int_equal(journal_move_begin(a.db, &m, &err), 0);
	assert_int_equal(network_may_reinstall(&a, false, &err), EXIT_REFUSED);
	says(&err, "the rollback of bob");
	m.state = MOVE_STUCK;
	assert_int_equal(journal_move_put(a.db, &m, "stuck", NULL, &err), 0);
	assert_int_equal(network_may_reinstall(&a, false, &err), EXIT_REFUSED);
	says(&err, "STUCK");
	move_row_done(&m);
	close_app(&a);
	assert_string_equal(w->transit->p.calls, "");
}

static void test_reinstall_needs_netctl(void **state)
{
	struct world *w = *state;
	struct err err;
	w->client->p.away = true;
	assert_int_equal(run(w, REINSTALL, &err), EXIT_REFUSED);
	says(&err, "nothing changed");
	assert_int_equal(intents(w), 0);
	fake_netctl_free(w->transit);
	w->transit = NULL;
	assert_int_equal(run(w, REINSTALL, &err), EXIT_REFUSED);
	says(&err, "netctl-transit");
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	set_clock(w, "reinstall");
	assert_int_equal(run(w, RETURN, &err), EXIT_REFUSED);
	says(&err, "netctl-transit");
}

static void test_reinstall_without_client(void **state)
{
	struct world *w = *state;
	struct err err;
	bool already;
	w->client->p.away = true;
	assert_int_equal(run_with(w, REINSTALL, &(struct network_wish){.confirm = -1, .without_client = true}, &already, &err), EXIT_DONE);
	assert_true(w->transit->without_peer);
	assert_int_equal(w->transit->confirm, -1);
	assert_true(clock_runs(w, "reinstall"));
}

static void test_reinstall_fails(void **state)
{
	(void)state;
	static const struct {
		const char *refuse, *lose, *drift, *peer_drift, *topology;
		enum ctl_code code;
		enum exit_code exit;
		const char *says;
	} cases[] = {
		{"apply:takeover", "", "", "", "segment", CTL_REFUSED, EXIT_REFUSED, "does not want"},
		{"apply:takeover", "", "", "", "segment", CTL_USAGE, EXIT_USAGE, "does not want"},
		{"apply:takeover", "", "", "", "segment", CTL_FAILED, EXIT_UNDONE, "does not want"},
		{"confirm:takeover", "", "", "", "segment", CTL_REFUSED, EXIT_UNDONE, "does not want"},
		{"", "", "addr 192.0.2.10/32 is gone", "", "segment", CTL_REFUSED, EXIT_UNDONE, "is gone"},
		{"", "", "", "table shunt_mute is gone", "segment", CTL_REFUSED, EXIT_UNDONE, "shunt_mute"},
		{"", "apply:takeover", "", "", "segment", CTL_REFUSED, EXIT_DONE, ""}, /* what is true decides */
		{"", "confirm:takeover", "", "", "segment", CTL_REFUSED, EXIT_DONE, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w;
		struct err err;
		setup((void **)&w);
		strcpy(w->transit->p.refuse, cases[i].refuse);
		strcpy(w->transit->p.lose, cases[i].lose);
		strcpy(w->transit->drift, cases[i].drift);
		w->transit->p.code = cases[i].code;
		if (*cases[i].peer_drift) {
			fake_plan_put(w->client, "give", "confirmed");
			strcpy(fake_plan(w->client, "give")->drift, cases[i].peer_drift);
		}
		enum exit_code x = run(w, REINSTALL, &err);
		if (x != cases[i].exit)
			fail_msg("case %zu: exit %d, %s", i, x, err.text);
		says(&err, cases[i].says);
		assert_int_equal(clock_runs(w, "reinstall"), x == EXIT_DONE);
		assert_int_equal(intents(w), 0);
		if (x != EXIT_DONE) {
			assert_null(fake_plan(w->transit, "takeover"));
			assert_null(fake_plan(w->client, "give"));
			assert_int_equal(move_begins(w, "bob"), 0); /* the lock is off again */
		}
		teardown((void **)&w);
	}
}

/* The other host answers, but has not let go. */
static void test_reinstall_unproved(void **state)
{
	struct world *w = *state;
	struct err err;
	w->transit->peer = NULL;
	assert_int_equal(run(w, REINSTALL, &err), EXIT_UNDONE);
	says(&err, "has not let go");
	strcpy(w->client->topology, "routed"); /* there it has nothing to do */
	must(w, REINSTALL);
}

static void test_reinstall_stuck(void **state)
{
	struct world *w = *state;
	struct err err;
	strcpy(w->transit->p.refuse, "apply:takeover");
	w->transit->p.code = CTL_STUCK;
	fake_plan_put(w->client, "give", "pending");
	strcpy(w->transit->p.go_away_at, "apply:takeover");
	assert_int_equal(run(w, REINSTALL, &err), EXIT_STUCK);
	assert_int_equal(intents(w), 1);
	assert_int_equal(move_begins(w, "bob"), -EPERM);
	assert_int_equal(run(w, PASSING, &err), EXIT_STUCK);
	w->transit->p.away = false;
	fake_plan_put(w->transit, "takeover", "stuck");
	assert_int_equal(run(w, RESUME, &err), EXIT_STUCK);
	says(&err, "is stuck");
	assert_int_equal(run(w, REINSTALL, &err), EXIT_STUCK);
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	fake_plan_drop(w->transit, "takeover");
	must(w, PASSING);
	assert_int_equal(intents(w), 0);
	assert_false(clock_runs(w, "reinstall"));
	assert_int_equal(move_begins(w, "bob"), 0);
}

/* Somebody applied it by hand, and has not confirmed it. */
static void test_reinstall_by_hand(void **state)
{
	struct world *w = *state;
	struct err err;
	fake_plan_put(w->transit, "takeover", "pending");
	assert_int_equal(run(w, REINSTALL, &err), EXIT_REFUSED);
	says(&err, "uid 0 pid 1");
	assert_int_equal(intents(w), 0);
	fake_plan_put(w->transit, "takeover", "confirmed");
	must(w, REINSTALL);
	assert_true(clock_runs(w, "reinstall"));
}

static void test_shift_crashes(void **state)
{
	(void)state;
	static const struct {
		const char *point;
		bool applied, confirmed;
	} cases[] = {
		{"intent:after", false, false},  {"apply:before", false, false}, {"apply:after", true, false},
		{"confirm:before", true, false}, {"confirm:after", true, true},
	};
	static const struct {
		enum deed c;
		const char *name, *plan;
	} kinds[] = {{REINSTALL, "reinstall", "takeover"}, {RETURN, "return", "return"}};
	static const enum deed after[] = {PASSING, RESUME, REINSTALL};
	for (size_t i = 0; i < 30; i++) {
		struct world *w;
		struct err err;
		char point[40];
		size_t c = i % 5, k = i / 5 % 2, n = i / 10;
		enum deed next = after[n] == REINSTALL ? kinds[k].c : after[n];
		setup((void **)&w);
		if (k)
			set_clock(w, "reinstall");
		snprintf(point, sizeof(point), "%s-%s", kinds[k].name, cases[c].point);
		crash(w, kinds[k].c, point);
		assert_int_equal(intents(w), 1);
		assert_int_equal(fake_plan(k ? w->client : w->transit, kinds[k].plan) != NULL, cases[c].applied);
		enum exit_code x = run(w, next, &err);
		bool pending = cases[c].applied && !cases[c].confirmed;
		if (next == PASSING && pending) { /* it says so, and the plan reverts by itself */
			assert_int_equal(x, EXIT_STUCK);
			says(&err, "reverts by itself in 20 s");
			assert_int_equal(intents(w), 1);
			fake_plan_drop(k ? w->client : w->transit, kinds[k].plan);
			must(w, PASSING);
			assert_false(clock_runs(w, kinds[k].name));
		} else {
			if (x != EXIT_DONE)
				fail_msg("%s, then %d: %s", point, next, err.text);
			assert_int_equal(clock_runs(w, kinds[k].name), cases[c].applied || next == kinds[k].c);
		}
		assert_int_equal(intents(w), 0);
		teardown((void **)&w);
	}
}

static void test_takeback_crashes(void **state)
{
	(void)state;
	static const char *const points[] = {"reinstall-revert:before", "reinstall-revert:after"};
	for (size_t i = 0; i < 2; i++) {
		struct world *w;
		setup((void **)&w);
		strcpy(w->transit->drift, "addr is gone");
		crash(w, REINSTALL, points[i]);
		must(w, RESUME);
		assert_int_equal(intents(w), 0);
		assert_int_equal(w->transit->n, 0);
		assert_false(clock_runs(w, "reinstall"));
		teardown((void **)&w);
	}
}

/* ---- return ---- */

static void test_return(void **state)
{
	struct world *w = *state;
	struct err err;
	bool already;
	assert_int_equal(run(w, RETURN, &err), EXIT_REFUSED);
	says(&err, "shunt reinstall");
	must(w, REINSTALL);
	fake_plan_drop(w->client, "give"); /* it was reinstalled */
	strcpy(w->client->p.calls, "");
	must(w, RETURN);
	assert_string_equal(w->client->p.calls, "apply:intercept apply:return confirm:return ");
	assert_true(clock_runs(w, "return"));
	assert_int_equal(run_with(w, RETURN, &(struct network_wish){.confirm = -1}, &already, &err), EXIT_DONE);
	assert_true(already);
}

static void test_return_wants_interception(void **state)
{
	struct world *w = *state;
	struct err err;
	set_clock(w, "reinstall");
	strcpy(w->client->p.refuse, "apply:intercept");
	assert_int_equal(run(w, RETURN, &err), EXIT_REFUSED);
	says(&err, "stay where they are");
	assert_int_equal(intents(w), 0);
	assert_null(fake_plan(w->client, "return"));
}

/* ---- finish ---- */

static void test_finish(void **state)
{
	struct world *w = *state;
	struct err err;
	bool already;
	use_conf(w, "transparent");
	must(w, START);
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	says(&err, "alice, bob");
	side(w, "alice", SIDE_CLIENT);
	side(w, "bob", SIDE_CLIENT);
	set_clock(w, "reinstall");
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	says(&err, "shunt return");
	set_clock(w, "return");
	fake_plan_put(w->client, "return", "confirmed");
	strcpy(fake_plan(w->client, "return")->next, "settle");
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	says(&err, "\"settle\" is still to come");
	fake_plan_put(w->client, "return", "pending");
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	says(&err, "is pending");
	fake_plan_drop(w->client, "return");
	fake_plan_put(w->transit, "takeover", "confirmed");
	strcpy(w->client->p.calls, "");
	strcpy(w->transit->p.calls, "");
	must(w, FINISH);
	assert_string_equal(w->client->p.calls, "revert:intercept ");
	assert_string_equal(w->transit->p.calls, "settle:takeover revert:reply ");
	assert_false(clock_runs(w, "start") || clock_runs(w, "reinstall") || clock_runs(w, "return"));
	assert_int_equal(run_with(w, FINISH, &(struct network_wish){.confirm = -1}, &already, &err), EXIT_DONE);
	assert_true(already);
	must(w, START);
	assert_true(clock_runs(w, "start"));
	assert_false(clock_runs(w, "finish"));
}

static void test_finish_leaves_something(void **state)
{
	struct world *w = *state;
	struct err err;
	must(w, START);
	side(w, "alice", SIDE_CLIENT);
	side(w, "bob", SIDE_CLIENT);
	strcpy(w->transit->ours, "ip rule add from 192.0.2.10");
	assert_int_equal(run(w, FINISH, &err), EXIT_STUCK);
	says(&err, "ip rule add");
	assert_true(clock_runs(w, "start"));
	w->transit->ours[0] = '\0';
	must(w, FINISH);
	assert_true(clock_runs(w, "finish"));
}

static void test_finish_away(void **state)
{
	struct world *w = *state;
	struct err err;
	must(w, START);
	side(w, "alice", SIDE_CLIENT);
	side(w, "bob", SIDE_CLIENT);
	w->transit->p.away = true;
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	says(&err, "nothing changed");
	assert_non_null(fake_plan(w->client, "intercept"));
	w->transit->p.away = false;
	strcpy(w->client->p.go_away_at, "revert:intercept");
	assert_int_equal(run(w, FINISH, &err), EXIT_STUCK);
	assert_int_equal(move_begins(w, "bob"), -EPERM);
	w->client->p.away = false;
	strcpy(w->client->p.go_away_at, "");
	must(w, FINISH);
	assert_int_equal(intents(w), 0);
}

static void test_finish_crashes(void **state)
{
	(void)state;
	static const char *const points[] = {"finish-intercept:before", "finish-intercept:after", "finish-reply:before",
					     "finish-reply:after"};
	for (size_t i = 0; i < 4; i++) {
		struct world *w;
		setup((void **)&w);
		use_conf(w, "transparent");
		must(w, START);
		side(w, "alice", SIDE_CLIENT);
		side(w, "bob", SIDE_CLIENT);
		crash(w, FINISH, points[i]);
		must(w, i % 2 ? FINISH : PASSING);
		assert_true(clock_runs(w, "finish"));
		assert_int_equal(intents(w), 0);
		assert_int_equal(w->client->n + w->transit->n, 0);
		teardown((void **)&w);
	}
}

/* ---- addresses whose accounts have all moved ---- */

static void tell(struct world *w)
{
	struct app a;
	open_app(w, &a);
	moved_tell(&a);
	close_app(&a);
}

static void test_moved(void **state)
{
	struct world *w = *state;
	side(w, "bob", SIDE_CLIENT);
	tell(w);
	assert_string_equal(w->client->p.calls, ""); /* the interception is not in force: nothing is to be told */
	must(w, START);
	assert_string_equal(w->client->moved, "192.0.2.10 ");
	tell(w);
	assert_string_equal(w->client->p.calls, "apply:intercept ");
	side(w, "bob", SIDE_TRANSIT);
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.10 192.0.2.11 ");
	account(w, "carol", SIDE_CLIENT, NULL);
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.11 ");
	side(w, "carol", SIDE_TRANSIT);
	account(w, "dave", SIDE_CLIENT, "192.0.2.12"); /* of no pair */
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.10 192.0.2.11 ");
	assert_string_equal(w->client->p.calls, "apply:intercept apply:intercept apply:intercept apply:intercept ");
}

static void test_moved_none(void **state)
{
	struct world *w = *state;
	struct app a;
	struct err err = {0};
	json_t *list;
	open_app(w, &a);
	assert_int_equal(journal_account_remove(a.db, "alice", &err), 0);
	assert_int_equal(moved_addresses(&a, &list, &err), 0);
	assert_int_equal(json_array_size(list), 1); /* nobody has to do with the other one */
	json_decref(list);
	assert_int_equal(journal_account_remove(a.db, "bob", &err), 0);
	assert_int_equal(moved_addresses(&a, &list, &err), 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	close_app(&a);
}

/* What could not be told, or whose answer was lost, is told by the next command, even if all is as it was by then. */
static void test_moved_retried(void **state)
{
	struct world *w = *state;
	must(w, START);
	side(w, "alice", SIDE_CLIENT);
	w->client->p.away = true;
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.10 192.0.2.11 ");
	w->client->p.away = false;
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.11 ");
	side(w, "alice", SIDE_TRANSIT);
	strcpy(w->client->p.lose, "apply:intercept");
	tell(w);
	side(w, "alice", SIDE_CLIENT);
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.11 ");
	crash(w, START, "moved:after");
	tell(w);
	assert_string_equal(w->client->moved, "192.0.2.11 ");
}

static void test_moved_way_home(void **state)
{
	struct world *w = *state;
	struct app a;
	struct err err = {0};
	struct account_row row;
	struct move_row m = {.kind = "rollback", .from = SIDE_TRANSIT, .to = SIDE_CLIENT, .step = "preparing"};
	json_t *list;
	open_app(w, &a);
	assert_int_equal(journal_account(a.db, "bob", &row, &err), 0);
	m.account_id = row.id;
	strcpy(m.account, "bob");
	account_row_done(&row);
	assert_int_equal(journal_move_begin(a.db, &m, &err), 0);
	assert_int_equal(moved_addresses(&a, &list, &err), 0);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_array_get(list, 0)), "192.0.2.10");
	json_decref(list);
	move_row_done(&m);
	close_app(&a);
}

/* ---- status ---- */

static void test_status(void **state)
{
	struct world *w = *state;
	struct app a;
	must(w, START);
	fake_plan_put(w->transit, "takeover", "pending");
	strcpy(fake_plan(w->client, "intercept")->drift, "somebody removed a rule");
	open_app(w, &a);
	network_status(&a);
	json_t *net = json_object_get(a.out.object, "network"), *c = json_object_get(net, "client"), *t = json_object_get(net, "transit");
	assert_true(netctl_plan_is(netctl_plan(t, "takeover"), "pending"));
	assert_string_equal(netctl_plan_trouble(netctl_plan(c, "intercept")), "somebody removed a rule");
	close_app(&a);
	w->client->p.away = true;
	open_app(w, &a);
	network_status(&a);
	net = json_object_get(a.out.object, "network");
	assert_non_null(json_object_get(json_object_get(net, "client"), "away"));
	assert_null(json_object_get(json_object_get(net, "transit"), "away"));
	close_app(&a);
}

/* ---- a command that lives ---- */

static void test_owner_lives(void **state)
{
	struct world *w = *state;
	struct app a;
	struct err err = {0};
	open_app(w, &a);
	assert_int_equal(locks_take(a.locks, LOCK_NET, &err), 0);
	assert_int_equal(journal_set_mark(a.db, MARK_REINSTALL, true, &err), 0);
	must(w, RESUME); /* it is not ours to end */
	assert_int_equal(intents(w), 1);
	assert_int_equal(run(w, REINSTALL, &err), EXIT_REFUSED);
	assert_int_equal(run(w, FINISH, &err), EXIT_REFUSED);
	close_app(&a);
	must(w, RESUME);
	assert_int_equal(intents(w), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_start),
		T(test_start_replies),
		T(test_start_without_netctl),
		cmocka_unit_test(test_start_fails),
		T(test_start_stuck),
		cmocka_unit_test(test_start_crashes),
		T(test_reinstall),
		T(test_reinstall_guards),
		T(test_reinstall_needs_netctl),
		T(test_reinstall_without_client),
		cmocka_unit_test(test_reinstall_fails),
		T(test_reinstall_unproved),
		T(test_reinstall_stuck),
		T(test_reinstall_by_hand),
		cmocka_unit_test(test_shift_crashes),
		cmocka_unit_test(test_takeback_crashes),
		T(test_return),
		T(test_return_wants_interception),
		T(test_finish),
		T(test_finish_leaves_something),
		T(test_finish_away),
		cmocka_unit_test(test_finish_crashes),
		T(test_moved),
		T(test_moved_none),
		T(test_moved_retried),
		T(test_moved_way_home),
		T(test_status),
		T(test_owner_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
