#include "control/sync.h"

#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sync_lock_set(struct app *a, bool *taken, struct err *err)
{
	*taken = false;
	if (a->set_held)
		return 0;
	int rc = locks_wait(a->locks, LOCK_SET, err);
	a->set_held = *taken = rc == 0;
	return rc;
}

void sync_unlock_set(struct app *a, bool taken)
{
	if (!taken)
		return;
	locks_drop(a->locks, LOCK_SET);
	a->set_held = false;
}

static int push(struct app *a, const char *why, struct err *err)
{
	struct acctset set;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	json_t *e = json_pack("{s:s, s:I}", "why", why, "accounts", (json_int_t)set.n);
	rc = proxylink_push(a->proxy, &set, NULL, err);
	if (rc < 0)
		err_wrap(err, "giving the proxy its accounts");
	else
		rc = journal_note(a->db, NULL, 0, "gave the proxy its accounts", e, err);
	json_decref(e);
	acctset_done(&set);
	return rc;
}

int sync_fresh(struct proxylink *l, void *app, struct err *err)
{
	struct app *a = app;
	json_t *hello = NULL;
	struct acctset set;
	bool taken;

	int rc = proxylink_ask(l, "hello", NULL, 0, &hello, err);
	if (rc < 0)
		return rc;
	const char *table = json_string_value(json_object_get(hello, "table"));
	bool ok = table && strcmp(table, "ok") == 0, damaged = table && strcmp(table, "damaged") == 0;
	json_decref(hello);
	if (ok)
		return 0;
	if (!table)
		return err_set(err, -EPROTO, "what answers at %s is no shunt-proxy", l->address);
	rc = journal_accounts(a->db, &set, err);
	size_t n = rc < 0 ? 0 : set.n;
	if (rc == 0)
		acctset_done(&set);
	if (rc < 0 || n == 0)
		return rc; /* nothing to give yet */
	rc = sync_lock_set(a, &taken, err);
	if (rc < 0)
		return rc;
	rc = push(a, damaged ? "its table was damaged" : "it had none", err);
	sync_unlock_set(a, taken);
	return rc;
}

/* Names on one side only, and names whose definitions differ. extra_transit: one the proxy has on the transit server and the database
 * lacks; borrowed from the list. */
struct difference {
	size_t missing, extra, changed;
	const char *extra_transit;
};

static void compare(const struct acctset *set, json_t *list, struct difference *d)
{
	const char *name;
	json_t *state;
	json_t *ours = json_object();
	*d = (struct difference){0};
	for (size_t i = 0; i < set->n; i++) {
		char text[DIGEST_TEXT_MAX];
		json_object_set_new(ours, set->defs[i].name, json_true());
		state = json_object_get(list, set->defs[i].name);
		const char *theirs = json_string_value(json_object_get(state, "digest"));
		d->missing += !state;
		d->changed += theirs && strcmp(theirs, acctdef_digest(&set->defs[i], text)) != 0;
	}
	json_object_foreach (list, name, state) {
		if (json_object_get(ours, name))
			continue;
		d->extra++;
		const char *side = json_string_value(json_object_get(state, "side"));
		if (side && strcmp(side, "transit") == 0)
			d->extra_transit = name;
	}
	json_decref(ours);
}

/* One account whose side or gate is not as the database expects, and which nobody moves. Looked at again, with its lock held. */
static int settle(struct app *a, const char *name, struct err *err)
{
	struct account_row row;
	struct move_rows open = {0};
	enum side side;
	enum gate gate;

	int rc = journal_account(a->db, name, &row, err);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (locks_take(a->locks, row.id, NULL) < 0)
		goto unlocked; /* somebody lives and is at it */
	rc = journal_moves_open(a->db, name, &open, err);
	if (rc < 0 || open.n)
		goto out; /* resume will see to it */
	account_row_done(&row);
	rc = journal_account(a->db, name, &row, err);
	if (rc == 0)
		rc = proxylink_account(a->proxy, name, &side, &gate, err);
	if (rc < 0)
		goto out;
	if (side != row.def.side) {
		json_t *e = json_pack("{s:s, s:s}", "database", side_name(row.def.side), "proxy", side_name(side));
		rc = journal_account_side(a->db, name, side, err);
		if (rc == 0)
			rc = journal_note(a->db, name, 0, "the database's side was not where the traffic goes: it follows the proxy", e,
					  err);
		json_decref(e);
		log_warn("account=%s side=%s reason=\"the proxy serves it there, the database said otherwise\"", name, side_name(side));
	}
	if (rc == 0 && gate != GATE_OPEN) {
		rc = proxylink_ask(a->proxy, "release", json_pack("{s:s}", "name", name), 0, NULL, err);
		if (rc == 0)
			rc = journal_note(a->db, name, 0, "released: its gate was closed and no move was going on", NULL, err);
	}
out:
	locks_drop(a->locks, row.id);
	move_rows_done(&open);
unlocked:
	account_row_done(&row);
	return rc;
}

static int same_names(struct app *a, bool importing, json_t **list, struct err *err)
{
	struct acctset set = {0};
	struct difference d;
	bool pending = false;

	json_decref(*list);
	*list = NULL;
	int rc = proxylink_list(a->proxy, list, err);
	if (rc == 0)
		rc = journal_accounts(a->db, &set, err);
	if (rc == 0)
		rc = journal_pending(a->db, &pending, err);
	if (rc < 0)
		goto out;
	compare(&set, *list, &d);
	if (!d.missing && !d.extra && !d.changed && !pending)
		goto out;
	if (!pending && importing)
		goto out; /* the import settles it, with the proxy's sides */
	if (!pending && d.extra && (d.extra_transit || set.n == 0)) {
		rc = err_set(err, -EPERM,
			     "the proxy knows %zu account(s) that the database %s does not, such as %s: put the right state file in "
			     "its place, or tell shunt of all accounts with shunt account import FILE (sides stay as the proxy has them)",
			     d.extra, app_state_path(a), d.extra_transit ? d.extra_transit : json_object_iter_key(json_object_iter(*list)));
		goto out;
	}
	rc = a->set_held ? push(a, pending ? "a change was interrupted" : "its accounts were others", err) : 1;
	if (rc == 0 && pending)
		rc = journal_set_pending(a->db, false, err);
out:
	acctset_done(&set);
	return rc;
}

int sync_accounts(struct app *a, bool importing, struct err *err)
{
	json_t *list = NULL, *state;
	struct acctset set = {0};
	bool taken;

	int rc = same_names(a, importing, &list, err);
	if (rc == 1) { /* they differ: look again when nobody is changing them, then push */
		rc = sync_lock_set(a, &taken, err);
		if (rc == 0)
			rc = same_names(a, importing, &list, err);
		sync_unlock_set(a, taken);
	}
	if (rc == 0)
		rc = journal_accounts(a->db, &set, err);
	for (size_t i = 0; rc == 0 && i < set.n; i++) {
		state = json_object_get(list, set.defs[i].name);
		const char *side = json_string_value(json_object_get(state, "side")),
			   *gate = json_string_value(json_object_get(state, "gate"));
		if (side && gate && (strcmp(side, side_name(set.defs[i].side)) != 0 || strcmp(gate, gate_name(GATE_OPEN)) != 0))
			rc = settle(a, set.defs[i].name, err);
	}
	acctset_done(&set);
	json_decref(list);
	return rc;
}

/* ---- moves without an owner ---- */

static void tell(struct app *a, const struct move *m, enum exit_code x, const char *text)
{
	json_t *list = json_object_get(a->out.object, "resumed");
	if (!list) {
		list = json_array();
		out_set(&a->out, "resumed", list);
	}
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "account", m->row.account, "kind", m->row.kind, "state",
					      move_state_name(m->row.state), "exit", (int)x));
	if (x == EXIT_DONE && m->row.state == MOVE_DONE)
		out_line(&a->out, "%s: the interrupted %s was finished: now on %s", m->row.account, m->row.kind, side_name(m->row.to));
	else if (x == EXIT_DONE)
		out_line(&a->out, "%s: the interrupted %s was undone: still on %s", m->row.account, m->row.kind, side_name(m->row.from));
	else if (!a->out.json)
		fprintf(stderr, "shunt: %s\n", text);
}

static enum exit_code resume_one(struct app *a, const struct move_row *seen, bool stuck, struct err *err)
{
	struct move_rows again;
	struct mover with;
	struct move m;
	enum exit_code x = EXIT_DONE;

	if (locks_take(a->locks, seen->account_id, NULL) < 0)
		return EXIT_DONE; /* its owner lives */
	int rc = journal_moves_open(a->db, seen->account, &again, err);
	if (rc < 0) {
		locks_drop(a->locks, seen->account_id);
		return EXIT_REFUSED;
	}
	if (again.n && again.rows[0].id == seen->id && (stuck || again.rows[0].state == MOVE_MOVING)) {
		struct err e = {0};
		app_mover(a, &with);
		with.cancel_fd = -1;
		with.force = stuck && a->opt.force;
		move_init(&m, &with, &again.rows[0]);
		x = move_resume(&m, &e);
		tell(a, &m, x, e.text);
		if (x)
			*err = e;
		move_done(&m);
	}
	move_rows_done(&again);
	locks_drop(a->locks, seen->account_id);
	return x;
}

enum exit_code sync_resume(struct app *a, const char *name, bool stuck, struct err *err)
{
	struct move_rows open;
	enum exit_code x = EXIT_DONE;
	int rc = journal_moves_open(a->db, name, &open, err);
	if (rc < 0)
		return exit_of(rc);
	for (size_t i = 0; i < open.n; i++) {
		if (stuck || open.rows[i].state == MOVE_MOVING)
			x = worse(x, resume_one(a, &open.rows[i], stuck, err));
	}
	move_rows_done(&open);
	return x;
}
