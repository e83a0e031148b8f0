/* Operations that an earlier serve has left, and a database that cannot be written: each begins once at the most, and what became of one
 * that left no answer is told from the trail. This program is its own child, as serve is, and counts how often it was begun. */
#include "control/serve/serve.h"
#include "control/serve/settle.h"
#include "control/serve/ticket.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_WRITES "CREATE TRIGGER no_writes BEFORE UPDATE ON operations BEGIN SELECT RAISE(ABORT, 'no'); END"

struct world {
	char dir[40], path[64], state[64], runs[64];
	struct who who;
	struct journal *db;
	struct app app;
	struct conf conf;
	struct server s;
	struct deadline look;
	bool (*until)(struct world *w);
	const char *id;
	int looks;
};

static void open_serve(struct world *w)
{
	static const int limits[N_LANES] = {2, 1, 2}, queues[N_LANES] = {10, 10, 10};
	memset(&w->s, 0, sizeof(w->s));
	w->s.app = &w->app;
	assert_int_equal(store_open(&w->s.store, w->path, NULL), 0);
	assert_int_equal(loop_new(&w->s.loop, NULL), 0);
	assert_int_equal(jobs_new(&w->s.jobs, w->s.loop, limits, queues, NULL), 0);
}

static void close_serve(struct world *w)
{
	jobs_free(w->s.jobs);
	operate_end(&w->s);
	loop_free(w->s.loop);
	journal_close(w->s.state);
	store_close(&w->s.store);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	place_make(w->dir, "test_operate");
	snprintf(w->path, sizeof(w->path), "%s/serve.db", w->dir);
	snprintf(w->state, sizeof(w->state), "%s/shunt.db", w->dir);
	snprintf(w->runs, sizeof(w->runs), "%s/runs", w->dir);
	w->conf.control.state = w->state;
	w->app.conf = &w->conf;
	setenv("SHUNT_ACTOR", "panel", 1);
	who_am_i(&w->who);
	unsetenv("SHUNT_ACTOR");
	assert_int_equal(journal_open(&w->db, w->state, 0, &w->who, NULL), 0);
	open_serve(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	close_serve(w);
	journal_close(w->db);
	place_remove(w->dir);
	free(w);
	return 0;
}

/* As a serve before this one has written it. ticket: its answer so far; NULL: there is none. */
static struct operation put(struct world *w, const char *command, const char *account, const char *ticket, int64_t age_ms)
{
	struct operation o = {.token = 1, .token_name = "panel", .digest = "d", .lane = LANE_MOVE, .request = strdup("{}")};
	snprintf(o.command, sizeof(o.command), "%s", command);
	snprintf(o.account, sizeof(o.account), "%s", account);
	assert_true(asprintf(&o.argv, "[\"%s\"]", w->runs) > 0);
	assert_int_equal(operation_identify(&o, NULL), 0);
	assert_int_equal(operation_add(&w->s.store, &o, NULL), 0);
	o.created -= age_ms;
	assert_int_equal(db_run(w->s.store.db, NULL, "UPDATE operations SET created = ? WHERE id = ?", "is", o.created, o.id), 0);
	if (ticket) {
		int fd = ticket_make(&w->s.store, o.id, NULL, NULL);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, ticket, strlen(ticket)), strlen(ticket));
		close(fd);
	}
	return o;
}

static int64_t lines_now(struct world *w)
{
	struct trail_head head;
	assert_int_equal(journal_head(w->db, &head, NULL), 0);
	return head.lines;
}

static int runs(const struct world *w)
{
	struct stat st;
	return stat(w->runs, &st) < 0 ? 0 : (int)st.st_size;
}

static struct operation found(struct world *w, const char *id)
{
	struct operation o;
	assert_int_equal(operation_find(&w->s.store, id, OPERATION_OF_ALL, &o, NULL), 0);
	return o;
}

static bool is_done(struct world *w)
{
	struct operation o = found(w, w->id);
	bool done = strcmp(o.state, "done") == 0;
	operation_done(&o);
	return done;
}

static bool has_run(struct world *w)
{
	return runs(w) > 0;
}

static void on_look(struct deadline *d)
{
	struct world *w = (struct world *)(void *)((char *)d - offsetof(struct world, look));
	if ((w->until && w->until(w)) || ++w->looks > 1200)
		event_base_loopbreak(loop_base(w->s.loop));
	else
		deadline_arm(w->s.loop, d, on_look, 50);
}

static void run_until(struct world *w, const char *id, bool (*until)(struct world *w))
{
	w->id = id;
	w->until = until;
	w->looks = 0;
	deadline_arm(w->s.loop, &w->look, on_look, 1);
	loop_run(w->s.loop);
	assert_true(w->looks <= 1200);
}

static void is_over(struct world *w, const char *id, int exit, const char *words)
{
	struct operation o = found(w, id);
	int fd = ticket_open(&w->s.store, id, false, NULL);
	assert_string_equal(o.state, "done");
	assert_int_equal(o.exit, exit);
	assert_non_null(o.answer);
	if (!strstr(o.answer, words))
		fail_msg("found %s, wanted %s", o.answer, words);
	assert_int_equal(fd, -ENOENT);
	operation_done(&o);
}

/* ---- queued ---- */

static void test_queued(void **state)
{
	struct world *w = *state;
	struct operation o = put(w, "migrate", "alice", "", 0);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	run_until(w, o.id, is_done);
	is_over(w, o.id, 0, "\"ok\":true");
	assert_int_equal(runs(w), 1);
	operation_done(&o);
}

static void test_queued_without_its_ticket(void **state)
{
	struct world *w = *state;
	struct operation o = put(w, "migrate", "alice", NULL, 0), late = put(w, "migrate", "bob", "", 700000);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	is_over(w, o.id, 1, "Nothing changed");
	is_over(w, late.id, 1, "Nothing changed");
	assert_int_equal(jobs_waiting(w->s.jobs, LANE_MOVE), 0);
	assert_int_equal(runs(w), 0);
	operation_done(&o);
	operation_done(&late);
}

static bool a_moment(struct world *w)
{
	return w->looks > 6;
}

static bool has_waited(struct world *w)
{
	return w->looks > 22; /* more than a second, in which it is asked again */
}

/* Nothing can be written: it neither begins nor ends. Then it can, and it begins, once. */
static void test_beginning_cannot_be_written(void **state)
{
	struct world *w = *state;
	struct operation o = put(w, "migrate", "alice", "", 0), now;
	assert_int_equal(db_exec(w->s.store.db, NO_WRITES, NULL), 0);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	run_until(w, o.id, has_waited);
	now = found(w, o.id);
	assert_string_equal(now.state, "queued");
	operation_done(&now);
	assert_int_equal(runs(w), 0);
	assert_int_equal(db_exec(w->s.store.db, "DROP TRIGGER no_writes", NULL), 0);
	run_until(w, o.id, is_done);
	is_over(w, o.id, 0, "\"ok\":true");
	assert_int_equal(runs(w), 1);
	operation_done(&o);
}

/* It ran, and that it is over cannot be written: neither this serve nor the next begins it again, and both come by its answer. */
static void end_cannot_be_written(struct world *w, bool next_serve)
{
	struct operation o = put(w, "migrate", "alice", "", 0), now;
	static const char only_ends[] = "CREATE TRIGGER no_writes BEFORE UPDATE ON operations WHEN NEW.state = 'done' BEGIN SELECT "
					"RAISE(ABORT, 'no'); END";
	assert_int_equal(db_exec(w->s.store.db, only_ends, NULL), 0);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	run_until(w, o.id, has_run);
	run_until(w, o.id, a_moment);
	now = found(w, o.id);
	assert_string_equal(now.state, "running");
	operation_done(&now);
	if (next_serve) {
		close_serve(w);
		open_serve(w);
		assert_int_equal(operate_recover(&w->s, NULL), 0);
		run_until(w, o.id, a_moment);
	}
	assert_int_equal(db_exec(w->s.store.db, "DROP TRIGGER no_writes", NULL), 0);
	run_until(w, o.id, is_done);
	is_over(w, o.id, 0, "\"ok\":true");
	assert_int_equal(runs(w), 1);
	operation_done(&o);
}

static void test_end_cannot_be_written(void **state)
{
	end_cannot_be_written(*state, false);
}

static void test_end_cannot_be_written_by_two(void **state)
{
	end_cannot_be_written(*state, true);
}

/* ---- begun, and without an answer: from the trail ---- */

static void add(struct world *w, const char *name)
{
	struct acctdef d = {.name = strdup(name), .domains = malloc(sizeof(char *)), .n_domains = 1};
	assert_true(asprintf(&d.domains[0], "%s.example", name) > 0);
	assert_int_equal(journal_account_put(w->db, &d, NULL), 0);
	acctdef_done(&d);
}

static struct move_row begin_move(struct world *w, const char *account, const char *kind)
{
	struct move_row m = {.account_id = state_account(w->db, account), .from = SIDE_CLIENT, .to = SIDE_TRANSIT, .step = "preparing"};
	snprintf(m.account, sizeof(m.account), "%s", account);
	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	assert_int_equal(journal_move_begin(w->db, &m, NULL), 0);
	return m;
}

static void end_move(struct world *w, struct move_row *m, enum move_state state)
{
	char what[40];
	m->state = state;
	snprintf(what, sizeof(what), "%s %s", m->kind, move_state_name(state));
	assert_int_equal(journal_move_put(w->db, m, what, NULL, NULL), 0);
	move_row_done(m);
}

static void recover_begun(struct world *w, const char *command, const char *account, const char *request, int64_t trail, int exit,
			  const char *words)
{
	struct operation o = put(w, command, account, "", 0);
	assert_int_equal(operation_began(&w->s.store, o.id, trail, NULL), 0);
	assert_int_equal(db_run(w->s.store.db, NULL, "UPDATE operations SET request = ? WHERE id = ?", "ss", request, o.id), 0);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	run_until(w, o.id, is_done);
	is_over(w, o.id, exit, words);
	assert_int_equal(runs(w), 0);
	operation_done(&o);
}

static void test_settled(void **state)
{
	struct world *w = *state;
	struct move_row m, b;
	add(w, "alice");
	add(w, "bob");
	m = begin_move(w, "alice", "migrate");
	end_move(w, &m, MOVE_DONE);
	int64_t at = lines_now(w);
	recover_begun(w, "migrate", "alice", "{}", at, 1, "Nothing changed"); /* the one before is not its own */
	m = begin_move(w, "bob", "migrate");
	end_move(w, &m, MOVE_DONE);
	m = begin_move(w, "alice", "rollback");
	end_move(w, &m, MOVE_DONE);
	recover_begun(w, "migrate", "alice", "{}", at, 1, "Nothing changed"); /* nor are another account's and another kind */
	m = begin_move(w, "alice", "migrate");
	end_move(w, &m, MOVE_DONE);
	recover_begun(w, "migrate", "alice", "{}", at, 0,
		      "\"account\":\"alice\",\"kind\":\"migrate\",\"state\":\"done\",\"to\":\"transit\"");
	at = lines_now(w);
	m = begin_move(w, "alice", "migrate");
	end_move(w, &m, MOVE_UNDONE);
	recover_begun(w, "migrate", "alice", "{}", at, 3, "was undone");
	at = lines_now(w);
	m = begin_move(w, "alice", "migrate");
	recover_begun(w, "migrate", "alice", "{}", at, 4, "\"state\":\"moving\"");
	b = begin_move(w, "bob", "migrate");
	end_move(w, &m, MOVE_DONE);
	end_move(w, &b, MOVE_DONE);
	recover_begun(w, "migrate", "", "{\"accounts\":[\"alice\",\"bob\"]}", at, 0, "\"account\":\"bob\"");
	recover_begun(w, "migrate", "", "{\"accounts\":[\"alice\",\"carol\"]}", at, 4, "a part of it");
	recover_begun(w, "migrate", "", "{\"all\":true}", at, 4, "a part of it");
	recover_begun(w, "migrate", "", "{\"all\":true}", lines_now(w), 1, "Nothing changed");
	at = lines_now(w);
	recover_begun(w, "account add", "dave", "{}", at, 1, "before it had changed anything");
	assert_int_equal(journal_note(w->db, "dave", 0, "account added", NULL, NULL), 0);
	recover_begun(w, "account add", "dave", "{}", at, 0, "\"ok\":true");
	recover_begun(w, "reinstall", "", "{}", at, 4, "died without an answer");
	struct operation o = {.trail = -1, .token_name = "panel", .account = "alice", .command = "migrate", .request = "{}"};
	json_t *answer;
	assert_int_equal(settle(w->db, &o, &answer), 4); /* not since when: what is there may be another's */
	json_decref(answer);
}

/* ---- files ---- */

static void test_leftovers(void **state)
{
	struct world *w = *state;
	static const char nobodys[] = "0123456789abcdef0123456789abcdef";
	struct operation o = put(w, "migrate", "alice", "", 0);
	json_t *accounts = json_pack("[s]", "x");
	int fd = ticket_make(&w->s.store, nobodys, accounts, NULL);
	char path[PATH_MAX];
	json_decref(accounts);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	ticket_accounts(&w->s.store, nobodys, path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(operate_recover(&w->s, NULL), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(ticket_open(&w->s.store, nobodys, false, NULL), -ENOENT);
	run_until(w, o.id, is_done);
	is_over(w, o.id, 0, "\"ok\":true");
	operation_done(&o);
}

static int child(const char *runs)
{
	int fd = open(runs, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, "x", 1) == 1;
	puts(ok ? "{\"ok\":true,\"exit\":0}" : "{\"ok\":false,\"exit\":4}");
	return !ok;
}

int main(int argc, char **argv)
{
	if (strcmp(argv[0], "shunt") == 0)
		return child(argc > 1 ? argv[1] : "");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_queued, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queued_without_its_ticket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_beginning_cannot_be_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end_cannot_be_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end_cannot_be_written_by_two, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_settled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
