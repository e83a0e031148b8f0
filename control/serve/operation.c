#include "control/serve/operation.h"

#include "lib/clock.h"
#include "lib/hex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS 3600000LL

void operation_done(struct operation *o)
{
	free(o->request);
	free(o->argv);
	free(o->answer);
	*o = (struct operation){0};
}

void operation_digest(const char *what, const json_t *fields, char out[HEX_SHA256_MAX])
{
	char *text = json_dumps(fields, JSON_COMPACT | JSON_SORT_KEYS), *all = NULL;
	int len = asprintf(&all, "%s\n%s", what, text ? text : "");
	hex_sha256(len < 0 ? "" : all, len < 0 ? 0 : (size_t)len, out);
	free(all);
	free(text);
}

int operation_identify(struct operation *o, struct err *err)
{
	return hex_random(o->id, OPERATION_ID_MAX - 1, err);
}

static int make_room(struct store *s, int64_t token, struct err *err)
{
	int64_t n = 0;
	int rc = db_number(s->db, &n, err, "SELECT count(*) FROM operations WHERE token = ?", "i", token);
	if (rc < 0 || n < OPERATIONS_KEPT)
		return rc;
	rc = db_run(s->db, err,
		    "DELETE FROM operations WHERE id IN (SELECT id FROM operations WHERE token = ? AND key IS NULL AND state = 'done' "
		    "ORDER BY created LIMIT ?)",
		    "ii", token, n - OPERATIONS_KEPT + 1);
	if (rc == 0 && sqlite3_changes(s->db) == 0)
		rc = err_set(err, -EDQUOT, "%d operations of this token are kept for their keys, which are as many as there may be",
			     OPERATIONS_KEPT);
	return rc;
}

int operation_add(struct store *s, struct operation *o, struct err *err)
{
	int rc = make_room(s, o->token, err);
	if (rc < 0)
		return rc;
	o->created = now_ms();
	snprintf(o->state, sizeof(o->state), "queued");
	rc = db_run(
		s->db, err,
		"INSERT INTO operations(id, token, token_name, account, command, request, argv, lane, key, digest, state, trail, "
		"created, started, ended, exit, account_id, by_owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, 0, 0, 0, ?, ?)",
		"sisssssissiiii", o->id, o->token, o->token_name, *o->account ? o->account : NULL, o->command, o->request, o->argv,
		(int64_t)o->lane, *o->key ? o->key : NULL, o->digest, o->trail, o->created, o->account_id, (int64_t)o->by_owner);
	return rc == -EEXIST ? err_set(err, rc, "the key is used") : rc;
}

#define COLUMNS                                                                                                                            \
	"id, token, token_name, account, command, request, argv, lane, key, digest, state, trail, created, started, ended, exit, answer, " \
	"account_id, by_owner"

static struct operation of_row(sqlite3_stmt *st)
{
	struct operation o = {.token = sqlite3_column_int64(st, 1),
			      .request = strdup(db_text(st, 5)),
			      .argv = strdup(db_text(st, 6)),
			      .lane = sqlite3_column_int(st, 7),
			      .trail = sqlite3_column_int64(st, 11),
			      .created = sqlite3_column_int64(st, 12),
			      .started = sqlite3_column_int64(st, 13),
			      .ended = sqlite3_column_int64(st, 14),
			      .exit = sqlite3_column_int(st, 15),
			      .account_id = sqlite3_column_int64(st, 17),
			      .by_owner = sqlite3_column_int(st, 18) != 0};
	snprintf(o.id, sizeof(o.id), "%s", db_text(st, 0));
	snprintf(o.token_name, sizeof(o.token_name), "%s", db_text(st, 2));
	snprintf(o.account, sizeof(o.account), "%s", db_text(st, 3));
	snprintf(o.command, sizeof(o.command), "%s", db_text(st, 4));
	snprintf(o.key, sizeof(o.key), "%s", db_text(st, 8));
	snprintf(o.digest, sizeof(o.digest), "%s", db_text(st, 9));
	snprintf(o.state, sizeof(o.state), "%s", db_text(st, 10));
	o.answer = sqlite3_column_type(st, 16) == SQLITE_NULL ? NULL : strdup(db_text(st, 16));
	return o;
}

static int one(struct store *s, sqlite3_stmt *st, struct operation *out, struct err *err)
{
	int rc = db_next(s->db, st, err);
	if (rc == 1)
		*out = of_row(st);
	sqlite3_finalize(st);
	return rc == 1 ? 0 : rc < 0 ? rc : err_set(err, -ENOENT, "there is no such operation");
}

/* By an index of both: the row of another account's is not even read, so that it takes as long as one that is not there. */
int operation_find(struct store *s, const char *id, int64_t account_id, struct operation *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc;
	*out = (struct operation){0};
	if (account_id == OPERATION_OF_ALL)
		rc = db_query(s->db, &st, err, "SELECT " COLUMNS " FROM operations WHERE id = ?", "s", id);
	else
		rc = db_query(s->db, &st, err,
			      "SELECT " COLUMNS " FROM operations INDEXED BY operations_whose WHERE account_id = ? AND id = ?", "is",
			      account_id, id);
	return rc < 0 ? rc : one(s, st, out, err);
}

int operation_by_key(struct store *s, int64_t token, const char *key, struct operation *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	*out = (struct operation){0};
	int rc = db_query(s->db, &st, err, "SELECT " COLUMNS " FROM operations WHERE token = ? AND key = ?", "is", token, key);
	return rc < 0 ? rc : one(s, st, out, err);
}

int operation_began(struct store *s, const char *id, int64_t trail, struct err *err)
{
	int rc = db_run(s->db, err,
			"UPDATE operations SET state = 'running', started = ?, trail = max(trail, ?) WHERE id = ? AND state <> 'done'",
			"iis", now_ms(), trail, id);
	if (rc == 0 && sqlite3_changes(s->db) == 0)
		rc = err_set(err, -ENOENT, "it is not there, or over");
	return rc;
}

int operation_end(struct store *s, const char *id, int exit, const char *answer, struct err *err)
{
	return db_run(s->db, err, "UPDATE operations SET state = 'done', ended = ?, exit = ?, answer = ? WHERE id = ? AND state <> 'done'",
		      "iiss", now_ms(), (int64_t)exit, answer, id);
}

int operation_open(struct store *s, struct operation *out, int max, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int n = 0, rc = db_query(s->db, &st, err, "SELECT " COLUMNS " FROM operations WHERE state <> 'done' ORDER BY created, id", "");
	if (rc < 0)
		return rc;
	while (n < max && (rc = db_next(s->db, st, err)) == 1)
		out[n++] = of_row(st);
	sqlite3_finalize(st);
	return rc < 0 ? rc : n;
}

json_t *operation_json(const struct operation *o, int64_t account_id)
{
	bool all = account_id == OPERATION_OF_ALL, over = strcmp(o->state, "done") == 0;
	json_t *j = json_pack("{s:s, s:s, s:s?, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "operation", o->id, "command", o->command, "account",
			      *o->account ? o->account : NULL, "token", all || o->by_owner ? o->token_name : "the operator", "state",
			      o->state, "may-cancel", !over && (all || o->by_owner), "request", json_loads(o->request, 0, NULL), "created",
			      store_time(o->created), "started", store_time(o->started), "ended", store_time(o->ended));
	if (o->ended)
		json_object_set_new(j, "exit", json_integer(o->exit));
	return j;
}

int operation_list(struct store *s, int64_t account_id, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, &st, err,
			  "SELECT " COLUMNS " FROM operations WHERE ?1 = -1 OR account_id = ?1 ORDER BY created DESC, id LIMIT ?2", "ii",
			  account_id, (int64_t)OPERATIONS_SHOWN);
	if (rc < 0)
		return rc;
	*out = json_array();
	while ((rc = db_next(s->db, st, err)) == 1) {
		struct operation o = of_row(st);
		json_array_append_new(*out, operation_json(&o, account_id));
		operation_done(&o);
	}
	sqlite3_finalize(st);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}

int operation_forget(struct store *s, int64_t now, struct err *err)
{
	int rc = db_run(s->db, err, "UPDATE operations SET key = NULL WHERE key IS NOT NULL AND created < ? AND state = 'done'", "i",
			now - KEY_HOURS * HOUR_MS);
	return rc < 0 ? rc
		      : db_run(s->db, err, "DELETE FROM operations WHERE created < ? AND state = 'done'", "i",
			       now - KEPT_DAYS * 24 * HOUR_MS);
}
