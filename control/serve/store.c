#include "control/serve/store.h"

#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_VERSION  4
#define APPLICATION_ID 0x73686174 /* "shat" */
#define BUSY_MS        2000

static const char *const migrations[STORE_VERSION] = {
	"CREATE TABLE tokens ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('operator', 'account', "
	"'metrics')),"
	"  account TEXT, account_id INTEGER NOT NULL, lookup TEXT NOT NULL, hash TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER "
	"NOT NULL,"
	"  used INTEGER NOT NULL, made_by TEXT NOT NULL, CHECK ((kind = 'account') = (account IS NOT NULL))) STRICT;"
	"CREATE INDEX tokens_lookup ON tokens(lookup);"
	"CREATE TABLE operations ("
	"  id TEXT PRIMARY KEY, token INTEGER NOT NULL, token_name TEXT NOT NULL, account TEXT, command TEXT NOT NULL,"
	"  request TEXT NOT NULL, argv TEXT NOT NULL, lane INTEGER NOT NULL, key TEXT, digest TEXT NOT NULL,"
	"  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done')), trail INTEGER NOT NULL, created INTEGER NOT NULL,"
	"  started INTEGER NOT NULL, ended INTEGER NOT NULL, exit INTEGER NOT NULL, answer TEXT) STRICT;"
	"CREATE UNIQUE INDEX operations_key ON operations(token, key) WHERE key IS NOT NULL;"
	"CREATE INDEX operations_open ON operations(state) WHERE state <> 'done';"
	"CREATE INDEX operations_account ON operations(account, created);"
	"CREATE INDEX operations_created ON operations(created);",
	"CREATE TABLE sessions ("
	"  hash TEXT PRIMARY KEY, token INTEGER NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;",
	/* Whose account an operation was of (one that is called the same later is another), and whether its owner began it; names of tokens
	 * that were revoked. */
	"ALTER TABLE operations ADD COLUMN account_id INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE operations ADD COLUMN by_owner INTEGER NOT NULL DEFAULT 0;"
	"UPDATE operations SET account_id = ifnull((SELECT t.account_id FROM tokens t WHERE t.account = operations.account "
	"  ORDER BY t.id DESC LIMIT 1), 0),"
	"  by_owner = EXISTS (SELECT 1 FROM tokens t WHERE t.id = operations.token AND t.account = operations.account);"
	"DROP INDEX operations_account;"
	"CREATE INDEX operations_account ON operations(account_id, created);"
	"CREATE UNIQUE INDEX operations_whose ON operations(account_id, id);"
	"CREATE TABLE tokens_gone (name TEXT NOT NULL, account_id INTEGER NOT NULL, PRIMARY KEY (name, account_id)) STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER tokens_kept AFTER DELETE ON tokens BEGIN"
	"  INSERT OR IGNORE INTO tokens_gone(name, account_id) VALUES (OLD.name, OLD.account_id);"
	"END;",
	"CREATE INDEX operations_token ON operations(token, created);",
};

static int step(sqlite3 *db, int64_t from, struct err *err)
{
	return db_exec(db, migrations[from], err);
}

static int upgrade(sqlite3 *db, struct err *err)
{
	int64_t id = 0, version = 0;
	int rc = db_number(db, &version, err, "PRAGMA user_version", ""); /* first: both are written at once */
	if (rc == 0)
		rc = db_number(db, &id, err, "PRAGMA application_id", "");
	if (rc == 0 && version && id != APPLICATION_ID)
		rc = err_set(err, -EBADMSG, "this is not a file of shunt serve");
	return rc == 0 ? db_upgrade(db, APPLICATION_ID, STORE_VERSION, step, err) : rc;
}

static int trusted(int fd, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot look at it");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EACCES, "it belongs to uid %u, expected %u or root", (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077)
		return err_set(err, -EACCES, "others may use it (mode %04o), expected no rights of theirs", (unsigned)st.st_mode & 07777);
	return 0;
}

static int open_file(struct store *s, struct err *err)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open");
	int rc = trusted(fd, err);
	close(fd);
	if (rc < 0)
		return rc;
	if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return s->db ? db_error(s->db, err, "cannot open") : err_set(err, -ENOMEM, "out of memory");
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	rc = db_exec(s->db, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", err);
	return rc == 0 ? upgrade(s->db, err) : rc;
}

static int open_run_dir(struct store *s, struct err *err)
{
	if (mkdir(s->run_dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot make %s", s->run_dir);
	int fd = open(s->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, -errno, "%s", s->run_dir);
	int rc = trusted(fd, err);
	close(fd);
	return rc < 0 ? err_wrap(err, "%s", s->run_dir) : 0;
}

int store_open(struct store *s, const char *path, struct err *err)
{
	*s = (struct store){.path = strdup(path), .lock = -1};
	if (!s->path || asprintf(&s->run_dir, "%s.run", path) < 0) {
		s->run_dir = NULL;
		store_close(s);
		return err_set(err, -ENOMEM, "out of memory");
	}
	int rc = open_file(s, err);
	if (rc == 0)
		rc = open_run_dir(s, err);
	if (rc < 0) {
		err_wrap(err, "%s (state of section serve)", path);
		store_close(s);
	}
	return rc;
}

int store_lock(struct store *s, struct err *err)
{
	s->lock = open(s->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->lock < 0)
		return err_errno(err, -errno, "%s", s->run_dir);
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "another shunt serve uses %s (state of section serve)", s->path);
	return 0;
}

void store_close(struct store *s)
{
	if (s->db && s->lock >= 0)
		close(s->lock);
	sqlite3_close(s->db);
	free(s->path);
	free(s->run_dir);
	*s = (struct store){0};
}

json_t *store_time(int64_t ms)
{
	char text[TIME_TEXT_MAX];
	return ms ? json_string(time_text(ms, text)) : json_null();
}
