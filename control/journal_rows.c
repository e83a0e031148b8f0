/* The rows of journal.h: accounts and moves to and from their tables. */
#include "control/db.h"
#include "control/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {
	[MOVE_MOVING] = "moving",
	[MOVE_STUCK] = "stuck",
	[MOVE_DONE] = "done",
	[MOVE_UNDONE] = "undone",
};

const char *move_state_name(enum move_state s)
{
	return states[s];
}

void account_row_done(struct account_row *a)
{
	acctdef_done(&a->def);
	memset(a, 0, sizeof(*a));
}

void move_row_done(struct move_row *m)
{
	json_decref(m->evidence);
	memset(m, 0, sizeof(*m));
}

void move_rows_done(struct move_rows *m)
{
	for (size_t i = 0; i < m->n; i++)
		move_row_done(&m->rows[i]);
	free(m->rows);
	*m = (struct move_rows){0};
}

static int def_from_row(struct acctdef *out, const char *text, const char *side, struct err *err)
{
	json_error_t je;
	json_t *o = json_loads(text, 0, &je);
	if (!o)
		return err_set(err, -EBADMSG, "an account's definition cannot be read: %s", je.text);
	int rc = acctdef_from_json(out, o, err);
	json_decref(o);
	if (rc < 0)
		return rc;
	if (!side_parse(&out->side, side)) {
		acctdef_done(out);
		return err_set(err, -EBADMSG, "an account's side is \"%s\"", side);
	}
	return 0;
}

int journal_accounts(struct journal *j, struct acctset *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	*out = (struct acctset){0};
	int rc = db_query(j->db, &st, err,
			  "SELECT a.def, a.side, m.fenced FROM accounts a LEFT JOIN moves m ON m.account = a.name "
			  "AND m.state IN ('moving', 'stuck') ORDER BY a.name",
			  "");
	if (rc < 0)
		return rc;
	while ((rc = db_next(j->db, st, err)) == 1) {
		struct acctdef d = {0};
		rc = def_from_row(&d, db_text(st, 0), db_text(st, 1), err);
		if (rc < 0)
			break;
		d.gate = sqlite3_column_int(st, 2) ? GATE_FENCED : GATE_OPEN;
		rc = acctset_add(out, &d);
		if (rc < 0) {
			err_set(err, rc, "out of memory");
			break;
		}
	}
	sqlite3_finalize(st);
	if (rc < 0)
		acctset_done(out);
	return rc;
}

int journal_account(struct journal *j, const char *name, struct account_row *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	memset(out, 0, sizeof(*out));
	int rc = db_query(j->db, &st, err, "SELECT id, def, side, since FROM accounts WHERE name = ?", "s", name);
	if (rc < 0)
		return rc;
	rc = db_next(j->db, st, err);
	if (rc == 0) {
		rc = err_set(err, -ENOENT, "there is no account \"%s\" (shunt account list names them)", name);
	} else if (rc == 1) {
		out->id = sqlite3_column_int64(st, 0);
		out->since = sqlite3_column_int64(st, 3);
		rc = def_from_row(&out->def, db_text(st, 1), db_text(st, 2), err);
	}
	sqlite3_finalize(st);
	return rc;
}

int journal_account_put(struct journal *j, const struct acctdef *d, struct err *err)
{
	json_t *o = acctdef_to_json(d, false);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = db_query_kept(
		j->db, &j->put, err,
		"INSERT INTO accounts(name, def, side, since) VALUES (?, ?, ?, ?) ON CONFLICT(name) DO UPDATE SET def = excluded.def",
		"sssi", d->name, text, side_name(d->side), now_ms());
	if (rc == 0)
		rc = db_next(j->db, j->put, err);
	sqlite3_reset(j->put);
	free(text);
	return rc;
}

int journal_account_remove(struct journal *j, const char *name, struct err *err)
{
	return db_run(j->db, err, "DELETE FROM accounts WHERE name = ?", "s", name);
}

int journal_account_side(struct journal *j, const char *name, enum side side, struct err *err)
{
	return db_run(j->db, err, "UPDATE accounts SET side = ?1, since = ?2 WHERE name = ?3 AND side <> ?1", "sis", side_name(side),
		      now_ms(), name);
}

/* ---- who claims what below whom ---- */

static const char *without_star(const char *domain)
{
	return strncmp(domain, "*.", 2) == 0 ? domain + 2 : domain;
}

/* domain -> the names of those of `of` that own it, or what is below it. */
static json_t *owners_of(const struct acctset *of)
{
	json_t *owners = json_object();
	for (size_t i = 0; i < of->n; i++) {
		for (size_t k = 0; k < of->defs[i].n_domains; k++) {
			const char *base = without_star(of->defs[i].domains[k]);
			json_t *names = json_object_get(owners, base);
			if (!names) {
				names = json_array();
				json_object_set_new(owners, base, names);
			}
			json_array_append_new(names, json_string(of->defs[i].name));
		}
	}
	return owners;
}

/* Once for each, though it be below two of its domains: those come one after the other. */
static void note_claim(json_t *out, const char *owner, const char *domain)
{
	json_t *list = json_object_get(out, owner);
	const char *last = json_string_value(json_array_get(list, json_array_size(list) - 1));
	if (!list) {
		list = json_array();
		json_object_set_new(out, owner, list);
	}
	if (!last || strcmp(last, domain) != 0)
		json_array_append_new(list, json_string(domain));
}

int journal_claims_below(struct journal *j, const struct acctset *of, json_t **out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(j->db, &st, err, "SELECT a.name, d.value FROM accounts a, json_each(a.def, '$.domains') d", "");
	*out = NULL;
	if (rc < 0)
		return rc;
	json_t *owners = owners_of(of);
	*out = json_object();
	while ((rc = db_next(j->db, st, err)) == 1) {
		char name[ACCOUNT_NAME_MAX + 1], domain[DOMAIN_MAX + 1];
		snprintf(name, sizeof(name), "%s", db_text(st, 0));
		snprintf(domain, sizeof(domain), "%s", db_text(st, 1));
		for (const char *at = without_star(domain); at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
			json_t *owner;
			size_t i;
			json_array_foreach (json_object_get(owners, at), i, owner) {
				if (strcmp(json_string_value(owner), name) != 0)
					note_claim(*out, json_string_value(owner), domain);
			}
		}
	}
	sqlite3_finalize(st);
	json_decref(owners);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- moves ---- */

#define MOVE_COLUMNS                                                                                                                 \
	"id, account_id, account, kind, from_side, to_side, state, step, direction, fenced, drain, max_wait, databases_gb, no_dns, " \
	"started, changed, eta, percent, user, pid, host, reason, evidence"

static void copy(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from);
}

static int move_from_row(struct move_row *m, sqlite3_stmt *st, struct err *err)
{
	memset(m, 0, sizeof(*m));
	m->id = sqlite3_column_int64(st, 0);
	m->account_id = sqlite3_column_int64(st, 1);
	copy(m->account, sizeof(m->account), db_text(st, 2));
	copy(m->kind, sizeof(m->kind), db_text(st, 3));
	if (!side_parse(&m->from, db_text(st, 4)) || !side_parse(&m->to, db_text(st, 5)))
		return err_set(err, -EBADMSG, "move %lld has no sides", (long long)m->id);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (strcmp(states[i], db_text(st, 6)) == 0)
			m->state = (enum move_state)i;
	}
	copy(m->step, sizeof(m->step), db_text(st, 7));
	m->undo = strcmp(db_text(st, 8), "undo") == 0;
	m->fenced = sqlite3_column_int(st, 9) != 0;
	m->drain = sqlite3_column_int(st, 10);
	m->max_wait = sqlite3_column_int(st, 11);
	m->databases_gb = sqlite3_column_double(st, 12);
	m->no_dns = sqlite3_column_int(st, 13) != 0;
	m->started = sqlite3_column_int64(st, 14);
	m->changed = sqlite3_column_int64(st, 15);
	m->eta = sqlite3_column_int64(st, 16);
	m->percent = sqlite3_column_double(st, 17);
	copy(m->who.user, sizeof(m->who.user), db_text(st, 18));
	m->who.pid = sqlite3_column_int(st, 19);
	copy(m->who.host, sizeof(m->who.host), db_text(st, 20));
	copy(m->reason, sizeof(m->reason), db_text(st, 21));
	m->evidence = json_loads(db_text(st, 22), 0, NULL);
	if (!json_is_object(m->evidence)) {
		json_decref(m->evidence);
		m->evidence = NULL;
		return err_set(err, -EBADMSG, "the evidence of move %lld cannot be read", (long long)m->id);
	}
	return 0;
}

/* What concerns all accounts has begun, or was interrupted: it counts on their staying where they are. */
static int none_may_begin(struct journal *j, struct err *err)
{
	if (journal_mark(j, MARK_REINSTALL, NULL, err) == 0)
		return err_set(err, -EPERM,
			       "the reinstallation has begun, and whether the addresses have moved is not known yet: shunt resume");
	if (journal_mark(j, MARK_FINISH, NULL, err) == 0)
		return err_set(err, -EPERM, "shunt finish is at work or was interrupted: shunt resume");
	return 0;
}

int journal_move_begin(struct journal *j, struct move_row *m, struct err *err)
{
	char what[160];
	bool own = !j->depth;
	int rc = own ? journal_begin(j, err) : 0;
	if (rc < 0)
		return rc;
	m->started = m->changed = now_ms();
	m->who = *j->who;
	m->state = MOVE_MOVING;
	m->undo = m->fenced = false;
	m->percent = -1;
	if (!m->evidence)
		m->evidence = json_object();
	rc = none_may_begin(j, err);
	if (rc == 0)
		rc = db_run(
			j->db, err,
			"INSERT INTO moves(account_id, account, kind, from_side, to_side, state, step, direction, fenced, drain, max_wait, "
			"databases_gb, no_dns, started, changed, eta, percent, user, pid, host, reason, evidence) "
			"VALUES (?, ?, ?, ?, ?, 'moving', ?, 'apply', 0, ?, ?, ?, ?, ?, ?, 0, -1, ?, ?, ?, '', '{}')",
			"isssssiidiiisis", m->account_id, m->account, m->kind, side_name(m->from), side_name(m->to), m->step,
			(int64_t)m->drain, (int64_t)m->max_wait, m->databases_gb, (int64_t)m->no_dns, m->started, m->changed, m->who.user,
			(int64_t)m->who.pid, m->who.host);
	if (rc == 0) {
		m->id = sqlite3_last_insert_rowid(j->db);
		snprintf(what, sizeof(what), "%s begins: %s -> %s", m->kind, side_name(m->from), side_name(m->to));
		rc = journal_note(j, m->account, m->id, what, NULL, err);
	}
	return journal_end(j, own, rc, err);
}

int journal_move_put(struct journal *j, struct move_row *m, const char *what, const json_t *evidence, struct err *err)
{
	bool own = !j->depth;
	int rc = own ? journal_begin(j, err) : 0;
	if (rc < 0)
		return rc;
	m->changed = now_ms();
	char *text = json_dumps(m->evidence, JSON_COMPACT | JSON_SORT_KEYS);
	rc = db_run(j->db, err,
		    "UPDATE moves SET state = ?, step = ?, direction = ?, fenced = ?, changed = ?, eta = ?, percent = ?, reason = ?, "
		    "evidence = ? "
		    "WHERE id = ?",
		    "sssiiidssi", states[m->state], m->step, m->undo ? "undo" : "apply", (int64_t)m->fenced, m->changed, m->eta, m->percent,
		    m->reason, text ? text : "{}", m->id);
	free(text);
	if (rc == 0)
		rc = journal_note(j, m->account, m->id, what, evidence, err);
	return journal_end(j, own, rc, err);
}

int journal_move_progress(struct journal *j, const struct move_row *m, struct err *err)
{
	return db_run(j->db, err, "UPDATE moves SET eta = ?, percent = ? WHERE id = ?", "idi", m->eta, m->percent, m->id);
}

int journal_move_owner(struct journal *j, struct move_row *m, struct err *err)
{
	m->who = *j->who;
	return db_run(j->db, err, "UPDATE moves SET user = ?, pid = ?, host = ? WHERE id = ?", "sisi", m->who.user, (int64_t)m->who.pid,
		      m->who.host, m->id);
}

int journal_moves_open(struct journal *j, const char *account, struct move_rows *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	*out = (struct move_rows){0};
	int rc = db_query(j->db, &st, err,
			  "SELECT " MOVE_COLUMNS
			  " FROM moves WHERE state IN ('moving', 'stuck') AND (?1 IS NULL OR account = ?1) ORDER BY id",
			  "s", account);
	if (rc < 0)
		return rc;
	while ((rc = db_next(j->db, st, err)) == 1) {
		struct move_row *more = realloc(out->rows, (out->n + 1) * sizeof(*more));
		if (!more) {
			rc = err_set(err, -ENOMEM, "out of memory");
			break;
		}
		out->rows = more;
		rc = move_from_row(&more[out->n++], st, err);
		if (rc < 0)
			break;
	}
	sqlite3_finalize(st);
	if (rc < 0)
		move_rows_done(out);
	return rc;
}

int journal_move_last(struct journal *j, const char *account, const char *kind, struct move_row *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	memset(out, 0, sizeof(*out));
	int rc = db_query(j->db, &st, err,
			  "SELECT " MOVE_COLUMNS " FROM moves WHERE account = ?1 AND state = 'done' AND (?2 IS NULL OR kind = ?2) "
			  "ORDER BY id DESC LIMIT 1",
			  "ss", account, kind);
	if (rc < 0)
		return rc;
	rc = db_next(j->db, st, err);
	if (rc == 1)
		rc = move_from_row(out, st, err);
	else if (rc == 0)
		rc = -ENOENT;
	sqlite3_finalize(st);
	if (rc < 0 && rc != -ENOENT)
		move_row_done(out);
	return rc;
}
