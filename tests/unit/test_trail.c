/* The chain of the trail: whatever is done to it past the triggers shows, by its first line; files without hashes get theirs; and writers
 * side by side keep it whole. */
#include "control/db.h"
#include "control/journal.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64], path[96];
	struct who who;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	place_make(p->dir, "shunt-trail");
	snprintf(p->path, sizeof(p->path), "%s/shunt.db", p->dir);
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

static void note(struct journal *j, const char *account, const char *what)
{
	struct err err = {0};
	json_t *e = json_pack("{s:s}", "of", what);
	if (journal_note(j, account, 0, what, e, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(e);
}

/* Six lines of two accounts and of none. */
static struct journal *six(struct place *p)
{
	struct journal *j = accounts_open(p->path, &p->who);
	struct err err;
	note(j, NULL, "one");
	note(j, "alice", "two");
	assert_int_equal(journal_begin(j, &err), 0); /* within a transaction, too */
	note(j, "alice", "three");
	note(j, "bob", "four");
	assert_int_equal(journal_commit(j, &err), 0);
	assert_int_equal(journal_begin(j, &err), 0);
	note(j, "bob", "never");
	journal_rollback(j);
	note(j, "alice", "five");
	note(j, "bob", "six");
	return j;
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;
	char *why = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

static void unbroken(struct journal *j, int64_t lines)
{
	struct trail_head found, head;
	struct err err = {0};
	if (journal_verify(j, NULL, &found, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(found.lines, lines);
	assert_int_equal(journal_head(j, &head, &err), 0);
	assert_int_equal(head.lines, lines);
	assert_string_equal(head.hash, found.hash);
}

static void test_unbroken(void **state)
{
	struct place *p = *state;
	struct journal *j = accounts_open(p->path, &p->who);
	unbroken(j, 0);
	journal_close(j);
	j = six(p);
	unbroken(j, 6);
	journal_close(j);
	j = accounts_open(p->path, &p->who);
	unbroken(j, 6);
	journal_close(j);
}

#define WITHOUT_TRIGGERS                                                                                                   \
	"DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete; DROP TRIGGER trail_head_no_delete; DROP TRIGGER " \
	"trail_head_forward;"
#define LIKE_TWO "INSERT INTO journal(id, at, who, account, move, what, evidence, hash) SELECT "

static void test_tampering_shows(void **state)
{
	static const struct {
		const char *name, *sql, *says;
	} cases[] = {
		{"a word", "UPDATE journal SET what = 'too' WHERE id = 2", "line 2 does not fit: it was changed"},
		{"who", "UPDATE journal SET who = 'anna' WHERE id = 1", "line 1 does not fit: it was changed"},
		{"when", "UPDATE journal SET at = at + 1 WHERE id = 6", "line 6 does not fit: it was changed"},
		{"whose", "UPDATE journal SET account = NULL WHERE id = 3", "line 3 does not fit"},
		{"whose, from nothing to something", "UPDATE journal SET account = '' WHERE id = 1", "line 1 does not fit"},
		{"evidence", "UPDATE journal SET evidence = '{}' WHERE id = 4", "line 4 does not fit"},
		{"evidence gone", "UPDATE journal SET evidence = NULL WHERE id = 4", "line 4 does not fit"},
		{"bytes from one field to the next", "UPDATE journal SET who = who || '5', account = 'alice' WHERE id = 5", "line 5"},
		{"a hash", "UPDATE journal SET hash = (SELECT hash FROM journal WHERE id = 1) WHERE id = 2", "line 2 does not fit"},
		{"the first", "DELETE FROM journal WHERE id = 1",
		 "line 2 does not fit: what was written before it, from line 1 on, is missing"},
		{"one in the middle", "DELETE FROM journal WHERE id = 3",
		 "line 4 does not fit: what was written before it, from line 3 on"},
		{"one, the rest moved up", "DELETE FROM journal WHERE id = 3; UPDATE journal SET id = id - 1 WHERE id > 3",
		 "line 3 does not fit"},
		{"one put in",
		 "UPDATE journal SET id = -id WHERE id > 2; UPDATE journal SET id = 1 - id WHERE id < 0;" LIKE_TWO
		 "3, at, who, account, move, what, evidence, hash FROM journal WHERE id = 2",
		 "line 3 does not fit: it was changed or put there"},
		{"two swapped",
		 "UPDATE journal SET id = 99 WHERE id = 2; UPDATE journal SET id = 2 WHERE id = 3; UPDATE journal SET id = 3 WHERE id = 99",
		 "line 2 does not fit"},
		{"the last", "DELETE FROM journal WHERE id = 6", "line 6 is missing: the trail had 6 lines, and the last 1 are gone"},
		{"the last three", "DELETE FROM journal WHERE id > 3", "line 4 is missing: the trail had 6 lines, and the last 3 are gone"},
		{"all", "DELETE FROM journal", "line 1 is missing"},
		{"one at the end", LIKE_TWO "7, at, who, account, move, what, evidence, hash FROM journal WHERE id = 2",
		 "line 7 does not fit"},
		{"the head", "DELETE FROM trail_head", "the record of the trail's end has been removed"},
		{"the head's hash", "UPDATE trail_head SET hash = (SELECT hash FROM journal WHERE id = 1)", "line 6 does not fit"},
	};
	struct place *p = *state;
	char copy[220];
	journal_close(six(p));
	sql(p->path, WITHOUT_TRIGGERS);
	snprintf(copy, sizeof(copy), "cp %s %s.good", p->path, p->path);
	assert_int_equal(system(copy), 0);
	snprintf(copy, sizeof(copy), "cp %s.good %s", p->path, p->path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trail_head found;
		struct err err = {0};
		assert_int_equal(system(copy), 0);
		sql(p->path, cases[i].sql);
		struct journal *j = accounts_open(p->path, &p->who);
		if (journal_verify(j, NULL, &found, &err) != -EBADMSG || !strstr(err.text, cases[i].says))
			fail_msg("%s: found \"%s\", wanted \"%s\"", cases[i].name, err.text, cases[i].says);
		journal_close(j);
	}
}

/* The chain goes on after what was tampered with, and still tells of it. */
static void test_later_lines_mend_nothing(void **state)
{
	struct place *p = *state;
	struct trail_head found;
	struct err err;
	journal_close(six(p));
	sql(p->path, WITHOUT_TRIGGERS "DELETE FROM journal WHERE id > 4");
	struct journal *j = accounts_open(p->path, &p->who);
	note(j, "alice", "seven");
	assert_int_equal(journal_verify(j, NULL, &found, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "line 7 does not fit: what was written before it, from line 5 on, is missing"));
	assert_int_equal(found.lines, 4);
	journal_close(j);
}

#define ABORTS "BEGIN SELECT RAISE(ABORT, 'no'); END;"
#define TRIGGERS_AGAIN                                                            \
	"CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal " ABORTS       \
	"CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal " ABORTS       \
	"CREATE TRIGGER trail_head_no_delete BEFORE DELETE ON trail_head " ABORTS \
	"CREATE TRIGGER trail_head_forward BEFORE UPDATE ON trail_head WHEN NEW.lines <> OLD.lines + 1 " ABORTS

static void says_broken(struct place *p, const char *why)
{
	struct trail_head found;
	struct err err = {0};
	struct journal *j = accounts_open(p->path, &p->who);
	assert_int_equal(journal_verify(j, NULL, &found, &err), -EBADMSG);
	if (!strstr(err.text, why))
		fail_msg("found \"%s\", wanted \"%s\"", err.text, why);
	journal_close(j);
}

/* Who cuts the end off and writes the head anew is found out by a head that was kept. */
static void test_kept_head(void **state)
{
	struct place *p = *state;
	struct trail_head head, kept, found;
	struct err err;
	char text[100];
	struct journal *j = six(p);
	assert_int_equal(journal_head(j, &head, &err), 0);
	snprintf(text, sizeof(text), "%lld:%s", (long long)head.lines, head.hash);
	assert_true(trail_head_parse(&kept, text));
	assert_int_equal(journal_verify(j, &kept, &found, &err), 0);
	note(j, "alice", "seven");
	assert_int_equal(journal_verify(j, &kept, &found, &err), 0); /* it lies on the way */
	journal_close(j);
	sql(p->path, WITHOUT_TRIGGERS "DELETE FROM journal WHERE id > 4;"
				      "UPDATE trail_head SET lines = 4, hash = (SELECT hash FROM journal WHERE id = 4)");
	says_broken(p, "line 5 is missing: the numbers have come to 7");
	sql(p->path, "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'journal'");
	says_broken(p, "what keeps them from being changed (triggers of the database) was removed");
	sql(p->path, TRIGGERS_AGAIN);
	j = accounts_open(p->path, &p->who);
	unbroken(j, 4);
	assert_int_equal(journal_verify(j, &kept, &found, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "line 5 is missing: the head that was kept is of 6 lines"));
	note(j, "alice", "five");
	note(j, "alice", "six");
	unbroken(j, 6);
	assert_int_equal(journal_verify(j, &kept, &found, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "is not the one whose hash was kept"));
	journal_close(j);
	static const char *const bad[] = {"", "6", "6:", ":", "x:", "-1:", "6:abc"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(trail_head_parse(&kept, bad[i]));
	text[strlen(text) - 1] = 'g';
	assert_false(trail_head_parse(&kept, text));
}

static void test_triggers_hold(void **state)
{
	struct place *p = *state;
	struct err err;
	struct journal *j = six(p);
	static const char *const acts[] = {"DELETE FROM journal",
					   "UPDATE journal SET what = 'else'",
					   "UPDATE journal SET hash = ''",
					   "DELETE FROM trail_head",
					   "UPDATE trail_head SET lines = 4",
					   "UPDATE trail_head SET hash = ''",
					   "INSERT INTO trail_head VALUES (2, 0, '')"};
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (db_exec(j->db, acts[i], &err) == 0)
			fail_msg("%s", acts[i]);
	}
	unbroken(j, 6);
	journal_close(j);
}

/* As version 1 made it, with lines in it. The hashes were computed by another program, from what journal.h says. */
static const char version_1[] =
	"PRAGMA application_id = 1936225646; PRAGMA user_version = 1;"
	"CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, def TEXT NOT NULL,"
	"  side TEXT NOT NULL CHECK (side IN ('client', 'transit')), since INTEGER NOT NULL) STRICT;"
	"CREATE TABLE moves (id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER REFERENCES accounts(id) ON DELETE SET NULL,"
	"  account TEXT NOT NULL, kind TEXT NOT NULL, from_side TEXT NOT NULL CHECK (from_side IN ('client', 'transit')),"
	"  to_side TEXT NOT NULL CHECK (to_side IN ('client', 'transit') AND to_side <> from_side),"
	"  state TEXT NOT NULL CHECK (state IN ('moving', 'stuck', 'done', 'undone')), step TEXT NOT NULL,"
	"  direction TEXT NOT NULL CHECK (direction IN ('apply', 'undo')), fenced INTEGER NOT NULL, drain INTEGER NOT NULL,"
	"  max_wait INTEGER NOT NULL, databases_gb REAL NOT NULL, no_dns INTEGER NOT NULL, started INTEGER NOT NULL,"
	"  changed INTEGER NOT NULL, eta INTEGER NOT NULL, percent REAL NOT NULL, user TEXT NOT NULL, pid INTEGER NOT NULL,"
	"  host TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL) STRICT;"
	"CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, account TEXT,"
	"  move INTEGER REFERENCES moves(id), what TEXT NOT NULL, evidence TEXT) STRICT;"
	"CREATE INDEX journal_account ON journal(account, id);"
	"CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	"CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	"CREATE TABLE clocks (name TEXT PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL) STRICT;"
	"CREATE TABLE marks (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;"
	"INSERT INTO moves VALUES (3, NULL, 'alice', 'migrate', 'client', 'transit', 'done', 'released', 'apply', 0, 3, -1, 0, 0, 1, 1, 0, "
	"-1,"
	"  'root', 8, 'web42', '', '{}');"
	"INSERT INTO journal(at, who, account, move, what, evidence) VALUES"
	"  (1700000000123, 'root pid 7 on web42', NULL, NULL, 'accounts imported', '{\"accounts\":2}'),"
	"  (1700000001000, 'root pid 8 on web42', 'alice', 3, 'begin: preparing', NULL),"
	"  (1700000002500, 'root pid 8 on web42', 'alice', 3, 'done: preparing', '{\"text\":\"x and \u00e9\"}');";

static void test_older_file_is_chained(void **state)
{
	struct place *p = *state;
	struct err err;
	struct trail_head found;
	json_t *log;
	sql(p->path, version_1);
	chmod(p->path, 0600);
	struct journal *j = accounts_open(p->path, &p->who);
	unbroken(j, 3);
	assert_int_equal(journal_log(j, NULL, 0, &log, &err), 0);
	static const char *const hashes[] = {"c59e9bfbeda1734644e18a7c8cefb1f5773ae541bc3562edb84171f9747e250d",
					     "df41dc1368414d86c62dd56e789b2e5ebc93e28c559623ad0dba7ed71e2bf99a",
					     "36da04bae9ad1091f4a9c2789c1388bfb1fe2fa302641a9b4642d00cadd4deec"};
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(json_string_value(json_object_get(json_array_get(log, i), "hash")), hashes[i]);
	json_decref(log);
	note(j, "alice", "four");
	unbroken(j, 4);
	assert_int_not_equal(db_exec(j->db, "UPDATE journal SET what = 'else'", &err), 0);
	journal_close(j);
	sql(p->path, "DROP TRIGGER journal_no_update; UPDATE journal SET evidence = '{}' WHERE id = 3");
	j = accounts_open(p->path, &p->who);
	assert_int_equal(journal_verify(j, NULL, &found, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "line 3"));
	journal_close(j);
}

/* An upgrade that is interrupted leaves version 1 as it was. */
static void test_upgrade_is_whole(void **state)
{
	struct place *p = *state;
	struct journal *j;
	struct err err;
	sql(p->path, version_1);
	chmod(p->path, 0600);
	sql(p->path, "CREATE TABLE trail_head (in_the_way INTEGER)");
	assert_true(journal_open(&j, p->path, 0, &p->who, &err) < 0);
	sql(p->path, "DROP TABLE trail_head");
	j = accounts_open(p->path, &p->who);
	unbroken(j, 3);
	journal_close(j);
}

static void test_writers_side_by_side(void **state)
{
	struct place *p = *state;
	pid_t pids[3];
	int status;
	journal_close(accounts_open(p->path, &p->who));
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct journal *j = accounts_open(p->path, &p->who);
			for (int k = 0; k < 10; k++)
				note(j, "alice", "side by side");
			journal_close(j);
			_exit(0);
		}
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct journal *j = accounts_open(p->path, &p->who);
	unbroken(j, 30);
	journal_close(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unbroken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tampering_shows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_lines_mend_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_triggers_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_file_is_chained, setup, teardown),
		cmocka_unit_test_setup_teardown(test_upgrade_is_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writers_side_by_side, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
