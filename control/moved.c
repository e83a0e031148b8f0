#include "control/moved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX       "moved " /* and the address: netctl knows that it has moved */
#define MARK_TELLING "telling which addresses have moved"

/* ---- which ones ---- */

/* Of one address: whose own it is, and how many of these have moved. */
struct concern {
	size_t all, moved;
};

static bool owns(const struct acctdef *d, const struct addr *address)
{
	for (size_t i = 0; i < d->n_addresses; i++) {
		if (addr_same_ip(&d->addresses[i], address))
			return true;
	}
	return false;
}

static void count(struct concern *c, const struct acctdef *d)
{
	c->all++;
	c->moved += d->side == SIDE_TRANSIT;
}

static bool has_moved(const struct acctset *set, const struct addr *address)
{
	struct concern own = {0}, shared = {0};
	for (size_t i = 0; i < set->n; i++) {
		const struct acctdef *d = &set->defs[i];
		if (d->n_addresses == 0)
			count(&shared, d);
		else if (owns(d, address))
			count(&own, d);
	}
	const struct concern *c = own.all ? &own : &shared;
	return c->all && c->moved == c->all;
}

/* Who is on the way home counts as there. */
static int call_home(struct app *a, struct acctset *set, struct err *err)
{
	struct move_rows open;
	int rc = journal_moves_open(a->db, NULL, &open, err);
	if (rc < 0)
		return rc;
	for (size_t m = 0; m < open.n; m++) {
		for (size_t i = 0; i < set->n && open.rows[m].to == SIDE_CLIENT; i++) {
			if (strcmp(set->defs[i].name, open.rows[m].account) == 0)
				set->defs[i].side = SIDE_CLIENT;
		}
	}
	move_rows_done(&open);
	return 0;
}

int moved_addresses(struct app *a, json_t **out, struct err *err)
{
	struct acctset set;
	char text[ADDR_TEXT_MAX];
	int rc = journal_accounts(a->db, &set, err);
	if (rc == 0 && (rc = call_home(a, &set, err)) < 0)
		acctset_done(&set);
	if (rc < 0)
		return rc;
	*out = json_array();
	for (size_t i = 0; i < a->conf->n_pairs; i++) {
		const struct addr *address = &a->conf->pairs[i].client.addr;
		if (addr_family(address) != AF_UNSPEC && has_moved(&set, address))
			json_array_append_new(*out, json_string(addr_text(address, text)));
	}
	acctset_done(&set);
	return 0;
}

/* ---- telling ---- */

static int forget_addresses(struct app *a, struct err *err)
{
	json_t *names, *name;
	char mark[sizeof(PREFIX) + ADDR_TEXT_MAX];
	size_t i;
	int rc = journal_marks(a->db, PREFIX, &names, err);
	if (rc < 0)
		return rc;
	json_array_foreach (names, i, name) {
		snprintf(mark, sizeof(mark), PREFIX "%s", json_string_value(name));
		if (rc == 0)
			rc = journal_set_mark(a->db, mark, false, err);
	}
	json_decref(names);
	return rc;
}

static int record(struct app *a, json_t *addresses, bool known, struct err *err)
{
	char mark[sizeof(PREFIX) + ADDR_TEXT_MAX];
	json_t *address, *e = json_pack("{s:O}", "moved", addresses);
	size_t i;
	int rc = journal_begin(a->db, err);
	if (rc == 0)
		rc = forget_addresses(a, err);
	json_array_foreach (addresses, i, address) {
		snprintf(mark, sizeof(mark), PREFIX "%s", json_string_value(address));
		if (rc == 0)
			rc = journal_set_mark(a->db, mark, true, err);
	}
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_INTERCEPT, true, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_TELLING, false, err);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, known ? "addresses whose accounts have all moved" : "interception is in force", e, err);
	json_decref(e);
	if (rc < 0) {
		journal_rollback(a->db);
		return rc;
	}
	return journal_commit(a->db, err);
}

static bool as_told(struct app *a, const json_t *addresses)
{
	json_t *told, *have = json_object(), *address;
	size_t i;
	if (journal_mark(a->db, MARK_TELLING, NULL, NULL) == 0 || journal_marks(a->db, PREFIX, &told, NULL) < 0) {
		json_decref(have);
		return false;
	}
	json_array_foreach (told, i, address)
		json_object_set_new(have, json_string_value(address), json_true());
	bool same = json_array_size(told) == json_array_size(addresses);
	json_array_foreach (addresses, i, address)
		same = same && json_object_get(have, json_string_value(address));
	json_decref(told);
	json_decref(have);
	return same;
}

/* only_new: not where netctl knows them. */
static int tell(struct app *a, bool only_new, enum ctl_code *code, struct err *err)
{
	json_t *addresses = NULL;
	int rc = locks_wait(a->locks, LOCK_MOVED, err); /* or a set that was computed before could be told after */
	if (rc < 0)
		return rc;
	rc = moved_addresses(a, &addresses, err);
	if (rc < 0 || (only_new && as_told(a, addresses)))
		goto out;
	rc = journal_set_mark(a->db, MARK_TELLING, true, err);
	if (rc < 0)
		goto out;
	app_at(a, "moved", "before");
	json_t *fields = json_pack("{s:s, s:i, s:O}", "plan", "intercept", "confirm", 0, "moved", addresses);
	rc = netctllink_ask(a->netctl[SIDE_CLIENT], "apply", fields, 0, NULL, code, err);
	app_at(a, "moved", "after");
	if (rc == 0)
		rc = record(a, addresses, only_new, err);
out:
	json_decref(addresses);
	locks_drop(a->locks, LOCK_MOVED);
	return rc;
}

int moved_intercept(struct app *a, enum ctl_code *code, struct err *err)
{
	return tell(a, false, code, err);
}

/* From reinstall to return the client server has nothing to intercept. */
static bool concerns(struct app *a)
{
	int64_t at;
	if (!app_intercepts(a) || journal_mark(a->db, MARK_INTERCEPT, NULL, NULL) < 0 ||
	    journal_mark(a->db, MARK_REINSTALL, NULL, NULL) == 0)
		return false;
	return journal_clock(a->db, "reinstall", &at, NULL) < 0 || journal_clock(a->db, "return", &at, NULL) == 0;
}

void moved_tell(struct app *a)
{
	struct err err = {0};
	enum ctl_code code;
	if (!concerns(a) || tell(a, true, &code, &err) == 0)
		return;
	json_t *e = json_pack("{s:s}", "reason", err.text);
	journal_note(a->db, NULL, 0, "could not tell which addresses have moved", e, NULL);
	json_decref(e);
	progress_clear(&a->progress);
	if (!a->out.json)
		fprintf(stderr,
			"shunt: warning: the addresses whose accounts have all moved are not up to date: %s; the next command tries "
			"again\n",
			err.text);
}

int moved_forget(struct app *a, struct err *err)
{
	int rc = forget_addresses(a, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_TELLING, false, err);
	return rc < 0 ? rc : journal_set_mark(a->db, MARK_INTERCEPT, false, err);
}
