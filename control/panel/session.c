#include "control/panel/session.h"

#include "lib/hex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEEN_MS 60000 /* a request is noted once in that time */

static void hash_of(const char *id, char out[HEX_SHA256_MAX])
{
	hex_sha256(id, strlen(id), out);
}

bool session_id_ok(const char *id)
{
	return strlen(id) == SESSION_TEXT_MAX - 1 && strspn(id, "0123456789abcdef") == SESSION_TEXT_MAX - 1;
}

static int tidy(struct store *s, const struct token *t, int64_t now, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM sessions WHERE seen < ? OR created < ? OR token NOT IN (SELECT id FROM tokens)", "ii",
			now - SESSION_IDLE_MS, now - SESSION_LIFE_MS);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE token = ? ORDER BY seen DESC LIMIT -1 "
			    "OFFSET ?)",
			    "ii", t->id, (int64_t)SESSIONS_OF_TOKEN - 1);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions ORDER BY seen DESC LIMIT -1 OFFSET ?)", "i",
			    (int64_t)SESSIONS_MAX - 1);
	return rc;
}

int session_begin(struct store *s, const struct token *t, int64_t now, char id[SESSION_TEXT_MAX], struct err *err)
{
	char hash[HEX_SHA256_MAX];
	int rc = tidy(s, t, now, err);
	if (rc < 0)
		return rc;
	rc = hex_random(id, SESSION_TEXT_MAX - 1, err);
	if (rc < 0)
		return rc;
	hash_of(id, hash);
	return db_run(s->db, err, "INSERT INTO sessions(hash, token, created, seen) VALUES (?, ?, ?, ?)", "siii", hash, t->id, now, now);
}

int session_find(struct store *s, const char *id, int64_t now, struct token *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int64_t token = 0, seen = 0;
	char hash[HEX_SHA256_MAX];
	if (!session_id_ok(id))
		return err_set(err, -ENOENT, "this is no session");
	hash_of(id, hash);
	int rc = db_query(s->db, &st, err, "SELECT token, seen FROM sessions WHERE hash = ? AND seen >= ? AND created >= ?", "sii", hash,
			  now - SESSION_IDLE_MS, now - SESSION_LIFE_MS);
	if (rc < 0)
		return rc;
	rc = db_next(s->db, st, err);
	if (rc == 1) {
		token = sqlite3_column_int64(st, 0);
		seen = sqlite3_column_int64(st, 1);
	}
	sqlite3_finalize(st);
	if (rc != 1)
		return rc < 0 ? rc : err_set(err, -ENOENT, "this session is over");
	if (now - seen > SEEN_MS)
		db_run(s->db, NULL, "UPDATE sessions SET seen = ? WHERE hash = ?", "is", now, hash);
	return token_by_id(s, token, now, out, err);
}

int session_end(struct store *s, const char *id, struct err *err)
{
	char hash[HEX_SHA256_MAX];
	hash_of(id, hash);
	return db_run(s->db, err, "DELETE FROM sessions WHERE hash = ?", "s", hash);
}
