/* Opening is the delicate part: a file that is damaged, of another program, of a later version, or someone else's is refused before
 * anything is read from it. A new one is built under another name, with a lock held, and appears complete. */
#include "control/journal.h"

#include "control/claims.h"
#include "control/db.h"
#include "control/lock.h"
#include "control/share.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 4
#define APPLICATION_ID 0x7368756e /* "shun" */
#define BUSY_MS        30000
#define BRIEF_MS       2000

/* migrations[v] brings a file of version v to v + 1: sql, then what SQL cannot do, then last. */
static const struct {
	const char *sql;
	int (*then)(sqlite3 *db, struct err *err);
	const char *last;
} migrations[SCHEMA_VERSION] = {
	{"CREATE TABLE accounts ("
	 "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, def TEXT NOT NULL,"
	 "  side TEXT NOT NULL CHECK (side IN ('client', 'transit')), since INTEGER NOT NULL) STRICT;"
	 "CREATE TABLE moves ("
	 "  id INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER REFERENCES accounts(id) ON DELETE SET NULL, account TEXT NOT NULL,"
	 "  kind TEXT NOT NULL, from_side TEXT NOT NULL CHECK (from_side IN ('client', 'transit')),"
	 "  to_side TEXT NOT NULL CHECK (to_side IN ('client', 'transit') AND to_side <> from_side),"
	 "  state TEXT NOT NULL CHECK (state IN ('moving', 'stuck', 'done', 'undone')), step TEXT NOT NULL,"
	 "  direction TEXT NOT NULL CHECK (direction IN ('apply', 'undo')), fenced INTEGER NOT NULL, drain INTEGER NOT NULL,"
	 "  max_wait INTEGER NOT NULL, databases_gb REAL NOT NULL, no_dns INTEGER NOT NULL, started INTEGER NOT NULL,"
	 "  changed INTEGER NOT NULL, eta INTEGER NOT NULL, percent REAL NOT NULL, user TEXT NOT NULL, pid INTEGER NOT NULL,"
	 "  host TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL) STRICT;"
	 "CREATE UNIQUE INDEX moves_open ON moves(account) WHERE state IN ('moving', 'stuck');"
	 "CREATE INDEX moves_account ON moves(account, id);"
	 "CREATE TABLE journal ("
	 "  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, account TEXT,"
	 "  move INTEGER REFERENCES moves(id), what TEXT NOT NULL, evidence TEXT) STRICT;"
	 "CREATE INDEX journal_account ON journal(account, id);"
	 "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	 "CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	 "CREATE TABLE clocks (name TEXT PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL) STRICT;"
	 "CREATE TABLE marks (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;",
	 NULL, NULL},
	{"DROP TRIGGER journal_no_update;"
	 "ALTER TABLE journal ADD COLUMN hash TEXT NOT NULL DEFAULT '';"
	 "CREATE TABLE trail_head (one INTEGER PRIMARY KEY CHECK (one = 1), lines INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;",
	 trail_chain,
	 "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	 "CREATE TRIGGER trail_head_no_delete BEFORE DELETE ON trail_head BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"
	 "CREATE TRIGGER trail_head_forward BEFORE UPDATE ON trail_head WHEN NEW.one <> 1 OR NEW.lines <> OLD.lines + 1 "
	 "BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;"},
	{"CREATE TABLE findings (" /* finding.h */
	 "  account_id INTEGER PRIMARY KEY REFERENCES accounts(id) ON DELETE CASCADE, at INTEGER NOT NULL, who TEXT NOT NULL,"
	 "  list TEXT NOT NULL) STRICT;",
	 NULL, NULL},
	{claims_schema, NULL, NULL},
};

void who_am_i(struct who *w)
{
	memset(w, 0, sizeof(*w));
	struct passwd *pw = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER"), *actor = getenv("SHUNT_ACTOR");
	char name[40];
	if (pw)
		snprintf(name, sizeof(name), "%s", pw->pw_name);
	else
		snprintf(name, sizeof(name), "uid %u", (unsigned)getuid());
	if (sudo && *sudo)
		snprintf(w->user, sizeof(w->user), "%s (sudo: %.12s)", name, sudo);
	else if (actor && *actor) /* shunt serve says for whom; who could set it could also write the state itself */
		snprintf(w->user, sizeof(w->user), "%.20s (token: %.32s)", name, actor);
	else
		snprintf(w->user, sizeof(w->user), "%s", name);
	w->pid = (int)getpid();
	if (gethostname(w->host, sizeof(w->host) - 1) < 0)
		snprintf(w->host, sizeof(w->host), "unknown");
}

static int quick_check(sqlite3 *db, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(db, &st, err, "PRAGMA quick_check(1)", "");
	if (rc < 0)
		return rc;
	rc = db_next(db, st, err);
	if (rc == 1 && strcmp(db_text(st, 0), "ok") != 0)
		rc = err_set(err, -EBADMSG, "%s", db_text(st, 0));
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

static int step(sqlite3 *db, int64_t from, struct err *err)
{
	int rc = db_exec(db, migrations[from].sql, err);
	if (rc == 0 && migrations[from].then)
		rc = migrations[from].then(db, err);
	if (rc == 0 && migrations[from].last)
		rc = db_exec(db, migrations[from].last, err);
	return rc;
}

static int upgrade(sqlite3 *db, struct err *err)
{
	return db_upgrade(db, APPLICATION_ID, SCHEMA_VERSION, step, err);
}

/* EXTRA, not FULL: a transaction is committed when its rollback journal is gone, and FULL does not wait until the directory says so on
 * disk.
 */
static int open_db(sqlite3 **out, const char *path, int flags, int busy_ms, struct err *err)
{
	if (sqlite3_open_v2(path, out, flags, NULL) != SQLITE_OK) {
		int rc = *out ? db_error(*out, err, "cannot open") : err_set(err, -ENOMEM, "out of memory");
		sqlite3_close(*out);
		*out = NULL;
		return rc;
	}
	sqlite3_extended_result_codes(*out, 1);
	sqlite3_busy_timeout(*out, busy_ms);
	return db_exec(*out, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON", err);
}

static int sync_dir(const char *path)
{
	char copy[4096];
	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* Builds the file beside its place; the lock keeps two first commands apart. */
static int make(const char *path, struct err *err)
{
	char fresh[4096], copy[4096];
	struct stat st;
	struct locks *locks = NULL;
	sqlite3 *db = NULL;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
	snprintf(copy, sizeof(copy), "%s", path);
	if (mkdir(dirname(copy), 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot make the directory of %s", path);
	int rc = locks_open(&locks, path, err);
	if (rc < 0)
		return rc;
	rc = locks_wait(locks, LOCK_CREATE, err);
	if (rc < 0 || stat(path, &st) == 0)
		goto out; /* someone was faster */
	unlink(fresh);
	int fd = open(fresh, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = err_errno(err, -errno, "cannot make %s", fresh);
		goto out;
	}
	share_file(fd, fresh);
	close(fd);
	rc = open_db(&db, fresh, SQLITE_OPEN_READWRITE, BUSY_MS, err);
	if (rc == 0)
		rc = upgrade(db, err);
	if (rc == 0 && sqlite3_close(db) != SQLITE_OK)
		rc = db_error(db, err, "cannot close");
	else if (rc < 0)
		sqlite3_close(db);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = err_errno(err, -errno, "cannot rename %s", fresh);
	if (rc == 0 && (rc = sync_dir(path)) < 0)
		err_errno(err, rc, "cannot sync the directory of %s", path);
	if (rc < 0)
		unlink(fresh);
out:
	locks_close(locks);
	return rc;
}

static int trusted(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EACCES, "%s belongs to uid %u, expected %u or root", path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 022)
		return err_set(err, -EACCES, "%s may be written by others (mode %04o), expected 0640 or 0600", path,
			       (unsigned)st.st_mode & 07777);
	if (st.st_size == 0)
		return err_set(err, -EBADMSG, "%s is empty: its content was lost", path);
	return 0;
}

static int check(sqlite3 *db, unsigned flags, struct err *err)
{
	int64_t id = 0, version = 0;
	int rc = db_number(db, &id, err, "PRAGMA application_id", "");
	if (rc == 0)
		rc = db_number(db, &version, err, "PRAGMA user_version", "");
	if (rc < 0)
		return rc;
	if (id != APPLICATION_ID)
		return err_set(err, -EBADMSG, "this is not a state database of shunt");
	if (version > SCHEMA_VERSION)
		return err_set(err, -EPROTONOSUPPORT,
			       "version %lld was written by a newer shunt, this one knows up to %d: install the newer one",
			       (long long)version, SCHEMA_VERSION);
	if (!(flags & JOURNAL_QUICK)) {
		rc = quick_check(db, err);
		if (rc < 0)
			return rc;
	}
	return version < SCHEMA_VERSION ? upgrade(db, err) : 0;
}

static int open_file(struct journal *j, unsigned flags, struct err *err)
{
	struct stat st;
	int rc;

	if (lstat(j->path, &st) < 0) {
		if (errno != ENOENT)
			return err_errno(err, -errno, "cannot read %s", j->path);
		if (flags & JOURNAL_READ) {
			rc = open_db(&j->db, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, BUSY_MS, err);
			return rc == 0 ? upgrade(j->db, err) : rc;
		}
		rc = make(j->path, err);
		if (rc < 0)
			return rc;
	}
	rc = trusted(j->path, err);
	if (rc < 0)
		return rc;
	/* Readers open for writing too where they may: they may have to take back what a killed writer left. */
	rc = open_db(&j->db, j->path, SQLITE_OPEN_READWRITE, flags & JOURNAL_BRIEF ? BRIEF_MS : BUSY_MS, err);
	if (rc == 0 && !(flags & JOURNAL_READ) && sqlite3_db_readonly(j->db, "main") == 1)
		rc = err_set(err, -EACCES, "only its owner may change it; members of its group may do what only reads");
	return rc == 0 ? check(j->db, flags, err) : rc;
}

int journal_open(struct journal **out, const char *path, unsigned flags, const struct who *who, struct err *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	*out = NULL;
	if (!j || !(j->path = strdup(path))) {
		free(j);
		return err_set(err, -ENOMEM, "out of memory");
	}
	j->who = who;
	struct err why = {0};
	int rc = open_file(j, flags, &why);
	if (rc == -EBADMSG) {
		err_set(err, rc,
			"the state database %s is damaged (%s). Nothing was changed, and nobody's side is guessed: put a good copy in its "
			"place, or move it away and import the accounts again while the proxy runs with its own table",
			path, why.text);
	} else if (rc < 0) {
		err_set(err, rc, "state database %s: %s", path, why.text);
	}
	if (rc < 0) {
		journal_close(j);
		return rc;
	}
	*out = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	sqlite3_finalize(j->head);
	sqlite3_finalize(j->append);
	sqlite3_finalize(j->advance);
	sqlite3_finalize(j->claim);
	sqlite3_finalize(j->put);
	sqlite3_close(j->db);
	free(j->path);
	free(j);
}

const char *journal_path(const struct journal *j)
{
	return j->path;
}

int journal_begin(struct journal *j, struct err *err)
{
	int rc = db_exec(j->db, "BEGIN IMMEDIATE", err);
	if (rc == 0)
		j->depth = 1;
	return rc;
}

int journal_commit(struct journal *j, struct err *err)
{
	int rc = db_exec(j->db, "COMMIT", err);
	if (rc < 0)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	j->depth = 0;
	return rc;
}

void journal_rollback(struct journal *j)
{
	if (j->depth)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	j->depth = 0;
}

int journal_end(struct journal *j, bool own, int rc, struct err *err)
{
	if (!own)
		return rc;
	if (rc == 0)
		return journal_commit(j, err);
	journal_rollback(j);
	return rc;
}

int journal_clock(struct journal *j, const char *name, int64_t *at, struct err *err)
{
	return db_number(j->db, at, err, "SELECT at FROM clocks WHERE name = ?", "s", name);
}

int journal_clock_start(struct journal *j, const char *name, struct err *err)
{
	return db_run(j->db, err, "INSERT INTO clocks(name, at, who) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", "sis", name, now_ms(),
		      j->who->user);
}

int journal_clock_stop(struct journal *j, const char *name, struct err *err)
{
	return db_run(j->db, err, "DELETE FROM clocks WHERE name = ?", "s", name);
}

int journal_mark(struct journal *j, const char *name, int64_t *at, struct err *err)
{
	int64_t unused;
	return db_number(j->db, at ? at : &unused, err, "SELECT at FROM marks WHERE name = ?", "s", name);
}

int journal_set_mark(struct journal *j, const char *name, bool on, struct err *err)
{
	if (on)
		return db_run(j->db, err, "INSERT OR REPLACE INTO marks(name, at) VALUES (?, ?)", "si", name, now_ms());
	return db_run(j->db, err, "DELETE FROM marks WHERE name = ?", "s", name);
}

int journal_marks(struct journal *j, const char *prefix, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	size_t len = strlen(prefix);
	int rc = db_query(j->db, &st, err, "SELECT name FROM marks WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name", "s", prefix);
	if (rc < 0)
		return rc;
	*out = json_array();
	while ((rc = db_next(j->db, st, err)) == 1)
		json_array_append_new(*out, json_string(db_text(st, 0) + len));
	sqlite3_finalize(st);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}

int journal_pending(struct journal *j, bool *pending, struct err *err)
{
	int64_t at;
	int rc = db_number(j->db, &at, err, "SELECT at FROM marks WHERE name = ?", "s", "push");
	*pending = rc == 0;
	return rc == -ENOENT ? 0 : rc;
}

int journal_set_pending(struct journal *j, bool pending, struct err *err)
{
	if (pending)
		return db_run(j->db, err, "INSERT OR REPLACE INTO marks(name, at) VALUES ('push', ?)", "i", now_ms());
	return db_run(j->db, err, "DELETE FROM marks WHERE name = 'push'", "");
}
