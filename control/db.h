#pragma once
/* db - the few SQLite calls behind journal: run a statement with its values, walk over rows, errors as -errno.
 * Values follow a string of types: s text (NULL is fine), i int64_t, d double. Text is copied by SQLite. */
#include "lib/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

int db_error(sqlite3 *db, struct err *err, const char *doing);
int db_exec(sqlite3 *db, const char *sql, struct err *err); /* several statements, no values */
int db_run(sqlite3 *db, struct err *err, const char *sql, const char *types, ...);
int db_query(sqlite3 *db, sqlite3_stmt **out, struct err *err, const char *sql, const char *types, ...);
/* Prepared once, for what is said often. Owned by whoever keeps it; sqlite3_reset() ends its reading. */
int db_query_kept(sqlite3 *db, sqlite3_stmt **kept, struct err *err, const char *sql, const char *types, ...);
int db_next(sqlite3 *db, sqlite3_stmt *st, struct err *err); /* 1 a row, 0 no more, -errno */
/* The first column of the first row. -ENOENT without a text: there is none, and value is as it was. */
int db_number(sqlite3 *db, int64_t *value, struct err *err, const char *sql, const char *types, ...);
/* Brings a file to `latest` by step(), which takes it from a version to the next, and marks it as ours (application_id): all of it in one
 * transaction. -EPROTONOSUPPORT: it is newer. Whose file it is the caller has looked at. */
int db_upgrade(sqlite3 *db, int id, int latest, int (*step)(sqlite3 *db, int64_t from, struct err *err), struct err *err);
const char *db_text(sqlite3_stmt *st, int col); /* "" for NULL; borrowed until the next db_next() */

/* The inside of struct journal, for the files that implement it. */
struct journal {
	sqlite3 *db;
	char *path;
	const struct who *who;
	int depth;                             /* 1 inside journal_begin() */
	sqlite3_stmt *head, *append, *advance; /* journal_trail.c */
	sqlite3_stmt *claim;                   /* claims.c */
	sqlite3_stmt *put;                     /* journal_rows.c: with its triggers it takes longer to prepare than to run */
};
int journal_end(struct journal *j, bool own, int rc, struct err *err); /* own: commits, or after an rc < 0 rolls back; else rc alone */
int trail_chain(sqlite3 *db, struct err *err); /* gives the lines of a file that had no hashes theirs, and makes the head */
