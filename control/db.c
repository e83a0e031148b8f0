#include "control/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int code_of(int sqlite)
{
	switch (sqlite & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* What SQLite's own words ("disk I/O error") hide: which kind of access has failed, and where it is known, the system's reason. It is not
 * known of what fails within COMMIT, nor of a journal that cannot be made: SQLite then tries to read one, and keeps the error of that. */
static void reason(sqlite3 *db, const char *file, char *out, size_t cap)
{
	static const struct {
		int code;
		const char *text;
	} kinds[] = {
		{SQLITE_IOERR_READ, "read"},
		{SQLITE_IOERR_SHORT_READ, "read"},
		{SQLITE_IOERR_WRITE, "write"},
		{SQLITE_IOERR_FSYNC, "fsync"},
		{SQLITE_IOERR_DIR_FSYNC, "fsync of the directory"},
		{SQLITE_IOERR_TRUNCATE, "truncate"},
		{SQLITE_IOERR_DELETE, "removing its -journal"},
		{SQLITE_READONLY_DIRECTORY, "no -journal may be made in its directory"},
	};
	int code = sqlite3_extended_errcode(db), why = sqlite3_system_errno(db);
	const char *access_kind = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (kinds[i].code == code)
			access_kind = kinds[i].text;
	}
	if ((code & 0xff) == SQLITE_CANTOPEN && why == ENOENT && file && access(file, F_OK) == 0)
		snprintf(out, cap, " (its -journal beside it cannot be made)");
	else if (access_kind)
		snprintf(out, cap, " (%s%s%s)", access_kind, why ? ": " : "", why ? strerror(why) : "");
	else if (why && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR))
		snprintf(out, cap, " (%s)", strerror(why));
}

int db_error(sqlite3 *db, struct err *err, const char *doing)
{
	const char *file = sqlite3_db_filename(db, "main");
	bool named = file && *file;
	char why[128] = "";
	reason(db, named ? file : NULL, why, sizeof(why));
	return err_set(err, code_of(sqlite3_extended_errcode(db)), "%s%s%s: %s%s", doing, named ? " " : "", named ? file : "",
		       sqlite3_errmsg(db), why);
}

int db_exec(sqlite3 *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(db, err, "state database");
	return 0;
}

static int bind(sqlite3 *db, sqlite3_stmt *st, struct err *err, const char *types, va_list ap)
{
	for (int i = 1; *types; types++, i++) {
		int rc = SQLITE_OK;
		switch (*types) {
		case 's':
			rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
			break;
		case 'i':
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 'd':
			rc = sqlite3_bind_double(st, i, va_arg(ap, double));
			break;
		}
		if (rc != SQLITE_OK) {
			db_error(db, err, "state database");
			return code_of(rc);
		}
	}
	return 0;
}

static int prepare(sqlite3 *db, sqlite3_stmt **out, struct err *err, const char *sql, const char *types, va_list ap)
{
	if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK)
		return db_error(db, err, "state database");
	int rc = bind(db, *out, err, types, ap);
	if (rc < 0) {
		sqlite3_finalize(*out);
		*out = NULL;
	}
	return rc;
}

int db_query(sqlite3 *db, sqlite3_stmt **out, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int rc = prepare(db, out, err, sql, types, ap);
	va_end(ap);
	return rc;
}

int db_run(sqlite3 *db, struct err *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *st = NULL;
	va_list ap;
	va_start(ap, types);
	int rc = prepare(db, &st, err, sql, types, ap);
	va_end(ap);
	if (rc < 0)
		return rc;
	do
		rc = db_next(db, st, err);
	while (rc == 1);
	sqlite3_finalize(st);
	return rc;
}

int db_query_kept(sqlite3 *db, sqlite3_stmt **kept, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	if (!*kept && sqlite3_prepare_v2(db, sql, -1, kept, NULL) != SQLITE_OK)
		return db_error(db, err, "state database");
	sqlite3_reset(*kept);
	va_start(ap, types);
	int rc = bind(db, *kept, err, types, ap);
	va_end(ap);
	return rc;
}

int db_next(sqlite3 *db, sqlite3_stmt *st, struct err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_error(db, err, "state database");
	}
}

const char *db_text(sqlite3_stmt *st, int col)
{
	const unsigned char *t = sqlite3_column_text(st, col);
	return t ? (const char *)t : "";
}

int db_number(sqlite3 *db, int64_t *value, struct err *err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *st = NULL;
	va_list ap;
	va_start(ap, types);
	int rc = prepare(db, &st, err, sql, types, ap);
	va_end(ap);
	if (rc < 0)
		return rc;
	rc = db_next(db, st, err);
	if (rc == 1)
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == 1 ? 0 : rc < 0 ? rc : -ENOENT;
}

static int upgrade(sqlite3 *db, int id, int latest, int (*step)(sqlite3 *db, int64_t from, struct err *err), struct err *err)
{
	int64_t version = 0;
	char sql[80];
	int rc = db_number(db, &version, err, "PRAGMA user_version", ""); /* here: another process may just have done it */
	if (rc == 0 && version > latest)
		rc = err_set(err, -EPROTONOSUPPORT,
			     "version %lld was written by a newer shunt, this one knows up to %d: install the newer one",
			     (long long)version, latest);
	for (; rc == 0 && version < latest; version++)
		rc = step(db, version, err);
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", id, latest);
	return rc == 0 ? db_exec(db, sql, err) : rc;
}

int db_upgrade(sqlite3 *db, int id, int latest, int (*step)(sqlite3 *db, int64_t from, struct err *err), struct err *err)
{
	int rc = db_exec(db, "BEGIN IMMEDIATE", err);
	if (rc < 0)
		return rc;
	rc = upgrade(db, id, latest, step, err);
	if (rc < 0)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}
