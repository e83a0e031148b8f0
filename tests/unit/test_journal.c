/* The state file: what is not whole, not ours or not of this version is refused unchanged; what was committed is there, what was not is
 * not; and the locks say who lives. */
#include "control/db.h"
#include "control/journal.h"
#include "control/lock.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64], path[96];
	struct who who;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	place_make(p->dir, "shunt-journal");
	snprintf(p->path, sizeof(p->path), "%s/state/shunt.db", p->dir);
	who_am_i(&p->who);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	place_remove(p->dir);
	free(p);
	return 0;
}

static void test_made_private(void **state)
{
	struct place *p = *state;
	struct stat st;
	char dir[80], lock[120];
	struct journal *j = accounts_open(p->path, &p->who);
	accounts_put_named(j, "alice", SIDE_CLIENT);
	journal_close(j);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(dir, sizeof(dir), "%s/state", p->dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(lock, sizeof(lock), "%s.lock", p->path);
	assert_int_equal(stat(lock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	j = accounts_open(p->path, &p->who);
	struct account_row row;
	struct err err;
	assert_int_equal(journal_account(j, "alice", &row, &err), 0);
	account_row_done(&row);
	assert_int_equal(journal_account(j, "bob", &row, &err), -ENOENT);
	journal_close(j);
}

static void test_reading_makes_nothing(void **state)
{
	struct place *p = *state;
	struct journal *j;
	struct acctset set;
	struct err err;
	assert_int_equal(journal_open(&j, p->path, JOURNAL_READ, &p->who, &err), 0);
	assert_int_equal(journal_accounts(j, &set, &err), 0);
	assert_int_equal(set.n, 0);
	journal_close(j);
	assert_int_equal(access(p->path, F_OK), -1);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void overwrite(const char *path, off_t at, size_t len, int byte)
{
	int fd = open(path, O_WRONLY);
	char *buf = malloc(len);
	memset(buf, byte, len);
	assert_int_equal(pwrite(fd, buf, len, at), (ssize_t)len);
	free(buf);
	close(fd);
}

static void empty_file(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}
static void half_file(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2 / 4096 * 4096), 0);
}
static void zero_file(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	overwrite(path, 0, (size_t)st.st_size, 0);
}
static void zero_page(const char *path)
{
	overwrite(path, 2 * 4096, 4096, 0xff);
}
static void flip_magic(const char *path)
{
	overwrite(path, 3, 1, 'X');
}
static void foreign_text(const char *path)
{
	FILE *f = fopen(path, "w");
	fputs("this is no database at all, but some other file that somebody put here\n", f);
	fclose(f);
}
static void foreign_database(const char *path)
{
	unlink(path);
	sql(path, "CREATE TABLE t(x)");
	chmod(path, 0600);
}
static void newer_version(const char *path)
{
	sql(path, "PRAGMA user_version = 99");
}
static void open_to_all(const char *path)
{
	chmod(path, 0666);
}
static void link_elsewhere(const char *path)
{
	char other[120];
	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
}
static void side_of_nowhere(const char *path)
{
	sql(path, "PRAGMA ignore_check_constraints = ON; UPDATE accounts SET side = 'moon'");
}

static void test_damage_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		void (*damage)(const char *path);
		int rc;
	} cases[] = {
		{"empty", empty_file, -EBADMSG},         {"half", half_file, -EBADMSG},
		{"zeroed", zero_file, -EBADMSG},         {"one page", zero_page, -EBADMSG},
		{"magic", flip_magic, -EBADMSG},         {"text", foreign_text, -EBADMSG},
		{"foreign", foreign_database, -EBADMSG}, {"newer", newer_version, -EPROTONOSUPPORT},
		{"writable", open_to_all, -EACCES},      {"link", link_elsewhere, -EBADMSG},
		{"side", side_of_nowhere, -EBADMSG},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct place *p;
		struct journal *j = NULL;
		struct err err = {0};
		struct stat before, after;
		setup((void **)&p);
		j = accounts_open(p->path, &p->who);
		accounts_put_named(j, "alice", SIDE_TRANSIT);
		journal_close(j);
		cases[i].damage(p->path);
		assert_int_equal(lstat(p->path, &before), 0);
		for (unsigned flags = 0; flags <= JOURNAL_READ; flags++) {
			int rc = journal_open(&j, p->path, flags, &p->who, &err);
			if (rc != cases[i].rc)
				fail_msg("%s: %d, %s", cases[i].name, rc, err.text);
			assert_null(j);
			assert_non_null(strstr(err.text, p->path));
		}
		assert_int_equal(lstat(p->path, &after), 0);
		assert_int_equal(before.st_size, after.st_size);
		assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
		teardown((void **)&p);
	}
}

static void test_older_version_is_brought_up(void **state)
{
	struct place *p = *state;
	char dir[80];
	snprintf(dir, sizeof(dir), "%s/state", p->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	sql(p->path, "PRAGMA application_id = 1936225646; PRAGMA user_version = 0; CREATE TABLE old(x)");
	chmod(p->path, 0600);
	struct journal *j = accounts_open(p->path, &p->who);
	accounts_put_named(j, "alice", SIDE_CLIENT);
	journal_close(j);
}

static void test_uncommitted_is_gone(void **state)
{
	struct place *p = *state;
	struct acctset set;
	struct err err;
	int status;
	journal_close(accounts_open(p->path, &p->who));
	pid_t pid = fork();
	if (pid == 0) {
		struct journal *j = accounts_open(p->path, &p->who);
		journal_begin(j, &err);
		accounts_put_named(j, "alice", SIDE_CLIENT);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	struct journal *j = accounts_open(p->path, &p->who);
	assert_int_equal(journal_accounts(j, &set, &err), 0);
	assert_int_equal(set.n, 0);
	assert_int_equal(journal_begin(j, &err), 0);
	accounts_put_named(j, "bob", SIDE_CLIENT);
	journal_rollback(j);
	assert_int_equal(journal_accounts(j, &set, &err), 0);
	assert_int_equal(set.n, 0);
	journal_close(j);
}

static void test_trail_is_append_only(void **state)
{
	struct place *p = *state;
	struct err err;
	struct journal *j = accounts_open(p->path, &p->who);
	json_t *list;
	assert_int_equal(journal_note(j, "alice", 0, "something", NULL, &err), 0);
	assert_int_not_equal(db_exec(j->db, "DELETE FROM journal", &err), 0);
	assert_int_not_equal(db_exec(j->db, "UPDATE journal SET what = 'else'", &err), 0);
	assert_int_equal(journal_log(j, "alice", 0, &list, &err), 0);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	assert_int_equal(journal_log(j, "bob", 0, &list, &err), 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_int_equal(journal_log(j, NULL, now_ms() + 60000, &list, &err), 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	journal_close(j);
}

static void test_moves(void **state)
{
	struct place *p = *state;
	struct err err;
	struct journal *j = accounts_open(p->path, &p->who);
	struct account_row account;
	struct move_rows open;
	struct acctset set;
	accounts_put_named(j, "alice", SIDE_CLIENT);
	assert_int_equal(journal_account(j, "alice", &account, &err), 0);
	struct move_row m = {.account = "alice", .kind = "migrate", .account_id = account.id, .to = SIDE_TRANSIT, .step = "preparing"};
	struct move_row second = {.account = "alice", .kind = "migrate", .account_id = account.id, .to = SIDE_TRANSIT, .step = "preparing"};
	assert_int_equal(journal_move_begin(j, &m, &err), 0);
	assert_int_equal(journal_move_begin(j, &second, &err), -EEXIST);
	m.fenced = true;
	m.state = MOVE_STUCK;
	strcpy(m.step, "copying");
	json_object_set_new(m.evidence, "fenced", json_integer(3));
	assert_int_equal(journal_move_put(j, &m, "stuck", NULL, &err), 0);
	assert_int_equal(journal_accounts(j, &set, &err), 0);
	assert_int_equal(set.defs[0].gate, GATE_FENCED); /* so a proxy without a table keeps it closed */
	acctset_done(&set);
	assert_int_equal(journal_moves_open(j, "alice", &open, &err), 0);
	assert_int_equal(open.n, 1);
	assert_int_equal(open.rows[0].state, MOVE_STUCK);
	assert_string_equal(open.rows[0].step, "copying");
	assert_int_equal(json_integer_value(json_object_get(open.rows[0].evidence, "fenced")), 3);
	move_rows_done(&open);
	m.state = MOVE_DONE;
	m.fenced = false;
	assert_int_equal(journal_move_put(j, &m, "done", NULL, &err), 0);
	assert_int_equal(journal_account_side(j, "alice", SIDE_TRANSIT, &err), 0);
	accounts_put_named(j, "alice", SIDE_CLIENT); /* new data: the side stays */
	assert_int_equal(journal_accounts(j, &set, &err), 0);
	assert_int_equal(set.defs[0].side, SIDE_TRANSIT);
	assert_int_equal(set.defs[0].gate, GATE_OPEN);
	acctset_done(&set);
	assert_int_equal(journal_account_remove(j, "alice", &err), 0); /* its moves stay on record */
	struct move_row last;
	assert_int_equal(journal_move_last(j, "alice", "migrate", &last, &err), 0);
	assert_int_equal(last.id, m.id);
	move_row_done(&last);
	assert_int_equal(journal_move_last(j, "alice", "rollback", &last, &err), -ENOENT);
	account_row_done(&account);
	move_row_done(&m);
	move_row_done(&second);
	journal_close(j);
}

static void test_clocks_and_marks(void **state)
{
	struct place *p = *state;
	struct err err;
	struct journal *j = accounts_open(p->path, &p->who);
	int64_t first, again;
	bool pending;
	assert_int_equal(journal_clock(j, "start", &first, &err), -ENOENT);
	assert_int_equal(journal_clock_start(j, "start", &err), 0);
	assert_int_equal(journal_clock(j, "start", &first, &err), 0);
	assert_int_equal(journal_clock_start(j, "start", &err), 0);
	assert_int_equal(journal_clock(j, "start", &again, &err), 0);
	assert_true(first == again);
	assert_int_equal(journal_pending(j, &pending, &err), 0);
	assert_false(pending);
	assert_int_equal(journal_set_pending(j, true, &err), 0);
	assert_int_equal(journal_pending(j, &pending, &err), 0);
	assert_true(pending);
	journal_close(j);
}

static void test_lock_ends_with_its_owner(void **state)
{
	struct place *p = *state;
	struct locks *mine;
	struct err err;
	int status, ready[2];
	char c;
	journal_close(accounts_open(p->path, &p->who));
	assert_int_equal(locks_open(&mine, p->path, &err), 0);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct locks *theirs;
		if (locks_open(&theirs, p->path, &err) < 0 || locks_take(theirs, 7, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(locks_take(mine, 7, &err), -EWOULDBLOCK);
	assert_true(locks_held(mine, 7));
	assert_int_equal(locks_take(mine, 8, &err), 0); /* another account */
	assert_false(locks_held(mine, 8));              /* by another, that is */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(locks_held(mine, 7));
	assert_int_equal(locks_take(mine, 7, &err), 0);
	locks_close(mine);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_private, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading_makes_nothing, setup, teardown),
		cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test_setup_teardown(test_older_version_is_brought_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uncommitted_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trail_is_append_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clocks_and_marks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock_ends_with_its_owner, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
