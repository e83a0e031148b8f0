/* The trail of journal.h: lines that are only ever added, each with a hash over itself and the one before. */
#include "control/db.h"
#include "control/journal.h"
#include "lib/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000" /* what is before the first line */

/* ---- the hash of a line ---- */

struct line {
	int64_t id, at, move; /* move 0: none */
	const char *who, *account, *what, *evidence;
};

static bool add_field(EVP_MD_CTX *md, const char *text)
{
	char head[24];
	if (!text)
		return EVP_DigestUpdate(md, "-,", 2);
	int n = snprintf(head, sizeof(head), "%zu:", strlen(text));
	return EVP_DigestUpdate(md, head, (size_t)n) && EVP_DigestUpdate(md, text, strlen(text)) && EVP_DigestUpdate(md, ",", 1);
}

static bool add_number(EVP_MD_CTX *md, int64_t v)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRId64, v);
	return add_field(md, text);
}

/* before and out may be the same. */
static int hash_line(const struct line *l, const char *before, char out[TRAIL_HASH_MAX], struct err *err)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && add_field(md, before) && add_number(md, l->id) &&
		  add_number(md, l->at) && add_field(md, l->who) && add_field(md, l->account) &&
		  (l->move ? add_number(md, l->move) : add_field(md, NULL)) && add_field(md, l->what) && add_field(md, l->evidence) &&
		  EVP_DigestFinal_ex(md, sum, &n);
	EVP_MD_CTX_free(md);
	if (!ok)
		return err_set(err, -ENOMEM, "the hash of a line of the trail cannot be computed");
	hex_text(sum, n, out);
	return 0;
}

#define ENTRY_COLUMNS "id, at, who, account, move, what, evidence, hash"

static const char *text_or_null(sqlite3_stmt *st, int col)
{
	return (const char *)sqlite3_column_text(st, col);
}

/* Of ENTRY_COLUMNS; borrowed until the next db_next(). */
static struct line line_of(sqlite3_stmt *st)
{
	return (struct line){
		.id = sqlite3_column_int64(st, 0),
		.at = sqlite3_column_int64(st, 1),
		.who = text_or_null(st, 2),
		.account = text_or_null(st, 3),
		.move = sqlite3_column_int64(st, 4),
		.what = text_or_null(st, 5),
		.evidence = text_or_null(st, 6),
	};
}

int trail_chain(sqlite3 *db, struct err *err)
{
	sqlite3_stmt *st = NULL;
	char hash[TRAIL_HASH_MAX] = FIRST_HASH;
	int64_t lines = 0;
	int more = 0, rc = db_query(db, &st, err, "SELECT id, at, who, account, move, what, evidence FROM journal ORDER BY id", "");
	while (rc == 0 && (more = db_next(db, st, err)) == 1) {
		struct line l = line_of(st);
		rc = hash_line(&l, hash, hash, err);
		if (rc == 0)
			rc = db_run(db, err, "UPDATE journal SET hash = ? WHERE id = ?", "si", hash, l.id);
		lines++;
	}
	sqlite3_finalize(st);
	rc = rc < 0 ? rc : more;
	return rc < 0 ? rc : db_run(db, err, "INSERT INTO trail_head(one, lines, hash) VALUES (1, ?, ?)", "is", lines, hash);
}

/* ---- writing ---- */

/* last: the number of the newest line there has ever been. */
static int read_head(struct journal *j, struct trail_head *h, int64_t *last, struct err *err)
{
	*h = (struct trail_head){0};
	int rc = db_query_kept(j->db, &j->head, err,
			       "SELECT lines, hash, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0) FROM trail_head",
			       "");
	if (rc < 0)
		return rc;
	rc = db_next(j->db, j->head, err);
	if (rc == 1) {
		h->lines = sqlite3_column_int64(j->head, 0);
		snprintf(h->hash, sizeof(h->hash), "%s", db_text(j->head, 1));
		*last = sqlite3_column_int64(j->head, 2);
	} else if (rc == 0) {
		rc = err_set(err, -EBADMSG, "the record of the trail's end has been removed");
	}
	sqlite3_reset(j->head);
	return rc < 0 ? rc : 0;
}

int journal_head(struct journal *j, struct trail_head *out, struct err *err)
{
	int64_t last;
	return read_head(j, out, &last, err);
}

static int run_kept(struct journal *j, sqlite3_stmt *st, struct err *err)
{
	int rc = db_next(j->db, st, err);
	sqlite3_reset(st);
	return rc;
}

static int append(struct journal *j, struct line *l, struct err *err)
{
	struct trail_head h;
	int64_t last = 0;
	char hash[TRAIL_HASH_MAX];
	int rc = read_head(j, &h, &last, err);
	l->id = last + 1;
	if (rc == 0)
		rc = hash_line(l, h.hash, hash, err);
	if (rc == 0)
		rc = db_query_kept(
			j->db, &j->append, err,
			"INSERT INTO journal(id, at, who, account, move, what, evidence, hash) VALUES (?, ?, ?, ?, nullif(?, 0), ?, ?, ?)",
			"iississs", l->id, l->at, l->who, l->account, l->move, l->what, l->evidence, hash);
	if (rc == 0)
		rc = run_kept(j, j->append, err);
	if (rc == 0)
		rc = db_query_kept(j->db, &j->advance, err, "UPDATE trail_head SET lines = lines + 1, hash = ?", "s", hash);
	return rc < 0 ? rc : run_kept(j, j->advance, err);
}

int journal_note(struct journal *j, const char *account, int64_t move, const char *what, const json_t *evidence, struct err *err)
{
	char who[160];
	bool own = !j->depth;
	int rc = own ? journal_begin(j, err) : 0; /* what is before it must stay the last line until it is written */
	if (rc < 0)
		return rc;
	char *text = evidence ? json_dumps(evidence, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	snprintf(who, sizeof(who), "%s pid %d on %s", j->who->user, j->who->pid, j->who->host);
	struct line l = {.at = now_ms(), .move = move, .who = who, .account = account, .what = what, .evidence = text};
	rc = append(j, &l, err);
	free(text);
	return journal_end(j, own, rc, err);
}

/* ---- reading ---- */

static json_t *entry_of(sqlite3_stmt *st)
{
	char at[TIME_TEXT_MAX];
	struct line l = line_of(st);
	json_t *evidence = l.evidence ? json_loads(l.evidence, 0, NULL) : NULL;
	return json_pack("{s:I, s:s, s:I, s:s, s:s?, s:o, s:s, s:o, s:s}", "id", (json_int_t)l.id, "at", time_text(l.at, at), "at-ms",
			 (json_int_t)l.at, "who", l.who, "account", l.account, "move", l.move ? json_integer(l.move) : json_null(), "what",
			 l.what, "evidence", evidence ? evidence : json_null(), "hash", db_text(st, 7));
}

/* st is taken. */
static int entries_of(struct journal *j, sqlite3_stmt *st, json_t **out, struct err *err)
{
	int rc;
	*out = json_array();
	while ((rc = db_next(j->db, st, err)) == 1)
		json_array_append_new(*out, entry_of(st));
	sqlite3_finalize(st);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}

int journal_log(struct journal *j, const char *account, int64_t since, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(j->db, &st, err,
			  "SELECT " ENTRY_COLUMNS " FROM journal WHERE (?1 IS NULL OR account = ?1) AND at >= ?2 ORDER BY id", "si",
			  account, since);
	return rc < 0 ? rc : entries_of(j, st, out, err);
}

int journal_after(struct journal *j, const char *account, bool by_count, int64_t place, int max, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	const char *sql = by_count  ? "SELECT " ENTRY_COLUMNS " FROM journal WHERE account = ?1 ORDER BY id LIMIT ?3 OFFSET ?2"
			  : account ? "SELECT " ENTRY_COLUMNS " FROM journal WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
				    : "SELECT " ENTRY_COLUMNS " FROM journal WHERE ?1 IS NULL AND id > ?2 ORDER BY id LIMIT ?3";
	int rc = db_query(j->db, &st, err, sql, "sii", account, place, (int64_t)max);
	return rc < 0 ? rc : entries_of(j, st, out, err);
}

int journal_count(struct journal *j, const char *account, int64_t upto, int64_t *count, struct err *err)
{
	return db_number(j->db, count, err, "SELECT count(*) FROM journal WHERE account = ? AND id <= ?", "si", account, upto);
}

int journal_last(struct journal *j, const char *account, const char *what, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(j->db, &st, err,
			  "SELECT " ENTRY_COLUMNS " FROM journal WHERE account = ?1 AND substr(what, 1, length(?2)) = ?2 "
			  "ORDER BY id DESC LIMIT 1",
			  "ss", account, what);
	if (rc < 0)
		return rc;
	rc = db_next(j->db, st, err);
	if (rc == 1)
		*out = entry_of(st);
	sqlite3_finalize(st);
	return rc == 1 ? 0 : rc < 0 ? rc : -ENOENT;
}

/* ---- verifying ---- */

/* What an unbroken walk has come by so far. */
struct walk {
	const struct trail_head *kept;
	struct trail_head at;
	int64_t id; /* of the last one */
};

static int broken(const struct walk *w, const struct line *l, struct err *err)
{
	if (l->id != w->id + 1)
		return err_set(err, -EBADMSG,
			       "line %" PRId64 " does not fit: what was written before it, from line %" PRId64 " on, is missing", l->id,
			       w->id + 1);
	return err_set(err, -EBADMSG,
		       "line %" PRId64 " does not fit: it was changed or put there, or another stood before it; the %" PRId64
		       " lines before it are as they were written",
		       l->id, w->at.lines);
}

static int step(struct walk *w, sqlite3_stmt *st, struct err *err)
{
	char hash[TRAIL_HASH_MAX];
	struct line l = line_of(st);
	int rc = hash_line(&l, w->at.hash, hash, err);
	if (rc < 0)
		return rc;
	if (strcmp(hash, db_text(st, 7)) != 0)
		return broken(w, &l, err);
	w->at.lines++;
	w->id = l.id;
	memcpy(w->at.hash, hash, sizeof(hash));
	if (w->kept && w->at.lines == w->kept->lines && strcmp(hash, w->kept->hash) != 0)
		return err_set(err, -EBADMSG, "line %" PRId64 " is not the one whose hash was kept: the trail was written anew", l.id);
	return 0;
}

/* Whoever takes away what keeps lines from being changed has had a reason, and could have cut off the end so that nothing else shows it. */
static int verify_guards(struct journal *j, struct err *err)
{
	int64_t n = 0;
	int rc = db_number(j->db, &n, err,
			   "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name IN "
			   "('journal_no_delete', 'journal_no_update', 'trail_head_no_delete', 'trail_head_forward')",
			   "");
	if (rc < 0 || n == 4)
		return rc;
	return err_set(
		err, -EBADMSG,
		"the lines fit, but what keeps them from being changed (triggers of the database) was removed: that none is missing at "
		"the end shows only a head that was kept elsewhere");
}

static int verify_end(struct journal *j, const struct walk *w, struct err *err)
{
	struct trail_head head;
	int64_t last = 0;
	int rc = read_head(j, &head, &last, err);
	if (rc < 0)
		return rc;
	if (w->at.lines < head.lines)
		return err_set(err, -EBADMSG,
			       "line %" PRId64 " is missing: the trail had %" PRId64 " lines, and the last %" PRId64 " are gone", w->id + 1,
			       head.lines, head.lines - w->at.lines);
	if (w->at.lines > head.lines)
		return err_set(err, -EBADMSG,
			       "line %" PRId64 " does not fit: the trail had %" PRId64 " lines, and there are %" PRId64 " now", w->id,
			       head.lines, w->at.lines);
	if (strcmp(w->at.hash, head.hash) != 0)
		return err_set(err, -EBADMSG, "line %" PRId64 " does not fit: it is not the one that was written last", w->id);
	if (w->kept && w->kept->lines > w->at.lines)
		return err_set(err, -EBADMSG, "line %" PRId64 " is missing: the head that was kept is of %" PRId64 " lines", w->id + 1,
			       w->kept->lines);
	if (last > w->id)
		return err_set(err, -EBADMSG, "line %" PRId64 " is missing: the numbers have come to %" PRId64, w->id + 1, last);
	return verify_guards(j, err);
}

static int verify(struct journal *j, struct walk *w, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int more = 0, rc = db_query(j->db, &st, err, "SELECT " ENTRY_COLUMNS " FROM journal ORDER BY id", "");
	while (rc == 0 && (more = db_next(j->db, st, err)) == 1)
		rc = step(w, st, err);
	sqlite3_finalize(st);
	rc = rc < 0 ? rc : more;
	return rc < 0 ? rc : verify_end(j, w, err);
}

int journal_verify(struct journal *j, const struct trail_head *kept, struct trail_head *found, struct err *err)
{
	struct walk w = {.kept = kept, .at = {.hash = FIRST_HASH}};
	bool own = !j->depth;
	int rc = own ? db_exec(j->db, "BEGIN", err) : 0; /* the lines and their head as of one moment */
	if (rc == 0)
		rc = verify(j, &w, err);
	if (own)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	*found = w.at;
	return rc;
}

bool trail_head_parse(struct trail_head *h, const char *text)
{
	char *end;
	errno = 0;
	h->lines = strtoll(text, &end, 10);
	if (errno || end == text || h->lines < 0 || *end != ':' || strlen(end + 1) != TRAIL_HASH_MAX - 1 ||
	    strspn(end + 1, "0123456789abcdef") != TRAIL_HASH_MAX - 1)
		return false;
	memcpy(h->hash, end + 1, TRAIL_HASH_MAX);
	return true;
}
