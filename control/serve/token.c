#include "control/serve/token.h"

#include "lib/clock.h"
#include "lib/hex.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define LOOKUP_LEN 16 /* of the hash's text: finds the row, after which the whole is compared in constant time */
#define USED_MS    60000

static const char *const kinds[] = {[TOKEN_OPERATOR] = "operator", [TOKEN_ACCOUNT] = "account", [TOKEN_METRICS] = "metrics"};

const char *token_kind_name(enum token_kind k)
{
	return kinds[k];
}

bool token_name_ok(const char *name)
{
	size_t len = strlen(name);
	return len >= 1 && len <= TOKEN_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len &&
	       !strchr("._-", name[0]);
}

static void hash_of(const char *text, char out[HEX_SHA256_MAX])
{
	hex_sha256(text, strlen(text), out);
}

static int make(char out[TOKEN_TEXT_MAX], struct err *err)
{
	memcpy(out, TOKEN_PREFIX, sizeof(TOKEN_PREFIX));
	return hex_random(out + strlen(TOKEN_PREFIX), TOKEN_TEXT_MAX - sizeof(TOKEN_PREFIX), err);
}

int token_create(struct store *s, struct token *t, const char *made_by, char out[TOKEN_TEXT_MAX], struct err *err)
{
	char hash[HEX_SHA256_MAX], lookup[LOOKUP_LEN + 1];
	int rc = make(out, err);
	if (rc < 0)
		return rc;
	hash_of(out, hash);
	snprintf(lookup, sizeof(lookup), "%.*s", LOOKUP_LEN, hash);
	t->created = now_ms();
	rc = db_run(s->db, err,
		    "INSERT INTO tokens(name, kind, account, account_id, lookup, hash, created, expires, used, made_by) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
		    "sssissiis", t->name, kinds[t->kind], *t->account ? t->account : NULL, t->account_id, lookup, hash, t->created,
		    t->expires, made_by);
	if (rc == -EEXIST)
		return err_set(err, -EEXIST, "there is a token \"%s\" already: shunt token revoke %s, or take another name", t->name,
			       t->name);
	t->id = sqlite3_last_insert_rowid(s->db);
	return rc;
}

int token_revoke(struct store *s, const char *name, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM tokens WHERE name = ?", "s", name);
	if (rc == 0 && sqlite3_changes(s->db) == 0)
		return err_set(err, -ENOENT, "there is no token \"%s\" (shunt token list names them)", name);
	return rc;
}

#define COLUMNS "id, name, kind, account, created, expires, used, account_id"

static struct token of_row(sqlite3_stmt *st)
{
	struct token t = {.id = sqlite3_column_int64(st, 0),
			  .created = sqlite3_column_int64(st, 4),
			  .expires = sqlite3_column_int64(st, 5),
			  .used = sqlite3_column_int64(st, 6),
			  .account_id = sqlite3_column_int64(st, 7)};
	snprintf(t.name, sizeof(t.name), "%s", db_text(st, 1));
	snprintf(t.account, sizeof(t.account), "%s", db_text(st, 3));
	t.kind = TOKEN_METRICS; /* an unknown word may do least */
	for (int k = TOKEN_OPERATOR; k <= TOKEN_METRICS; k++) {
		if (strcmp(kinds[k], db_text(st, 2)) == 0)
			t.kind = (enum token_kind)k;
	}
	return t;
}

json_t *token_json(const struct token *t)
{
	return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o}", "name", t->name, "kind", kinds[t->kind], "account",
			 *t->account ? t->account : NULL, "created", store_time(t->created), "expires", store_time(t->expires), "used",
			 store_time(t->used));
}

int token_list(struct store *s, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, &st, err, "SELECT " COLUMNS " FROM tokens ORDER BY name", "");
	if (rc < 0)
		return rc;
	*out = json_array();
	while ((rc = db_next(s->db, st, err)) == 1) {
		struct token t = of_row(st);
		json_array_append_new(*out, token_json(&t));
	}
	sqlite3_finalize(st);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}

int token_find(struct store *s, const char *text, int64_t now, struct token *out, struct err *err)
{
	char hash[HEX_SHA256_MAX], lookup[LOOKUP_LEN + 1];
	sqlite3_stmt *st = NULL;
	bool found = false;
	hash_of(text, hash);
	snprintf(lookup, sizeof(lookup), "%.*s", LOOKUP_LEN, hash);
	int rc = db_query(s->db, &st, err, "SELECT " COLUMNS ", hash FROM tokens WHERE lookup = ?", "s", lookup);
	if (rc < 0)
		return rc;
	while ((rc = db_next(s->db, st, err)) == 1) {
		const char *kept = db_text(st, 8);
		if (strlen(kept) != HEX_SHA256_MAX - 1 || CRYPTO_memcmp(kept, hash, HEX_SHA256_MAX - 1) != 0)
			continue;
		*out = of_row(st);
		found = true;
	}
	sqlite3_finalize(st);
	if (rc < 0)
		return rc;
	if (!found || (out->expires && out->expires <= now))
		return err_set(err, -ENOENT, "this token is nobody's");
	return 0;
}

int token_by_id(struct store *s, int64_t id, int64_t now, struct token *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, &st, err, "SELECT " COLUMNS " FROM tokens WHERE id = ? AND (expires = 0 OR expires > ?)", "ii", id, now);
	if (rc < 0)
		return rc;
	rc = db_next(s->db, st, err);
	if (rc == 1)
		*out = of_row(st);
	sqlite3_finalize(st);
	return rc == 1 ? 0 : rc < 0 ? rc : err_set(err, -ENOENT, "this token is nobody's");
}

bool token_is_good(struct store *s, int64_t id, int64_t now)
{
	sqlite3_stmt *st = NULL;
	if (db_query(s->db, &st, NULL, "SELECT 1 FROM tokens WHERE id = ? AND (expires = 0 OR expires > ?)", "ii", id, now) < 0)
		return false;
	int rc = db_next(s->db, st, NULL);
	sqlite3_finalize(st);
	return rc == 1;
}

int token_used(struct store *s, struct token *t, int64_t now, struct err *err)
{
	if (now - t->used < USED_MS)
		return 0;
	t->used = now;
	return db_run(s->db, err, "UPDATE tokens SET used = ? WHERE id = ?", "ii", now, t->id);
}

static void count_named(struct store *s, const char *name, int64_t account_id, int64_t *own, int64_t *others)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, &st, NULL,
			  "SELECT total(account_id = ?2), total(account_id <> ?2) FROM (SELECT account_id FROM tokens WHERE name = ?1 "
			  "UNION ALL SELECT account_id FROM tokens_gone WHERE name = ?1)",
			  "si", name, account_id);
	if (rc == 0)
		rc = db_next(s->db, st, NULL);
	*own = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
	*others = rc == 1 ? sqlite3_column_int64(st, 1) : 1;
	sqlite3_finalize(st);
}

bool token_is_named(struct store *s, const char *name, int64_t account_id)
{
	int64_t own, others;
	count_named(s, name, account_id, &own, &others);
	return others > 0;
}

bool token_is_of(struct store *s, const char *name, int64_t account_id)
{
	int64_t own, others;
	count_named(s, name, account_id, &own, &others);
	return account_id && own > 0 && others == 0;
}
