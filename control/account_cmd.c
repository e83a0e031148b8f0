/* account import|add|remove|list|show. A change is made in the database and in the proxy, or in neither: the database's transaction stays
 * open while the proxy is told, and a mark set before says to the next start that the proxy may know a set that was never committed. */
#include "control/app.h"
#include "control/finding.h"
#include "control/moved.h"
#include "control/sync.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the frame of every change ---- */

static int change_begin(struct app *a, bool *taken, struct err *err)
{
	int rc = sync_lock_set(a, taken, err);
	if (rc == 0)
		rc = journal_set_pending(a->db, true, err);
	if (rc == 0 && (rc = journal_begin(a->db, err)) < 0)
		journal_set_pending(a->db, false, NULL);
	if (rc < 0)
		sync_unlock_set(a, *taken);
	return rc;
}

/* told: the proxy may have taken the change. */
static enum exit_code change_end(struct app *a, bool taken, int rc, bool told, struct err *err)
{
	if (rc == 0)
		rc = journal_set_pending(a->db, false, err);
	if (rc == 0)
		rc = journal_commit(a->db, err);
	else
		journal_rollback(a->db);
	enum exit_code x = exit_of(rc);
	if (rc < 0) {
		struct acctset old = {0};
		struct err e = {0};
		int back = 0;
		if (told && (back = journal_accounts(a->db, &old, &e)) == 0)
			back = proxylink_push(a->proxy, &old, NULL, &e);
		acctset_done(&old);
		if (back == 0)
			back = journal_set_pending(a->db, false, &e);
		err_wrap(err, back == 0 ? "nothing changed" : "not done; the proxy hears of it at the next shunt command");
		x = x == EXIT_DONE ? EXIT_REFUSED : x;
	}
	sync_unlock_set(a, taken);
	if (rc == 0)
		moved_tell(a);
	return x;
}

static int check_with(struct app *a, const struct acctdef *one, struct err *err)
{
	struct acctset set;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	size_t i = 0;
	while (i < set.n && strcmp(set.defs[i].name, one->name) != 0)
		i++;
	struct acctdef copy = {0};
	rc = acctdef_copy(&copy, one);
	if (rc < 0) {
		err_set(err, rc, "out of memory");
	} else if (i < set.n) {
		acctdef_done(&set.defs[i]);
		set.defs[i] = copy;
	} else if ((rc = acctset_add(&set, &copy)) < 0) {
		err_set(err, rc, "out of memory");
	}
	if (rc == 0)
		rc = acctset_check(&set, err);
	acctset_done(&set);
	return rc;
}

/* ---- add ---- */

static json_t *strings(const struct words *w)
{
	json_t *list = json_array();
	for (size_t i = 0; i < w->n; i++)
		json_array_append_new(list, json_string(w->w[i]));
	return list;
}

static int def_from_options(const struct app *a, const char *name, struct acctdef *out, struct err *err)
{
	json_t *ports = json_array();
	for (size_t i = 0; i < a->opt.ports.n; i++) {
		char *end;
		long v = strtol(a->opt.ports.w[i], &end, 10);
		if (*end || v < 1 || v > 65535) {
			json_decref(ports);
			return err_set(err, -EINVAL, "--port: found \"%.60s\", expected a number from 1 to 65535", a->opt.ports.w[i]);
		}
		json_array_append_new(ports, json_integer(v));
	}
	json_t *n = json_string(name);
	if (!n) {
		json_decref(ports);
		return err_set(err, -EINVAL, "the account's name is not UTF-8 text");
	}
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", n, "domains", strings(&a->opt.domains), "addresses",
			      strings(&a->opt.addresses), "logins", strings(&a->opt.logins), "ports", ports);
	int rc = acctdef_from_json(out, o, err);
	json_decref(o);
	return rc;
}

static bool same_def(const struct acctdef *x, const struct acctdef *y)
{
	json_t *a = acctdef_to_json(x, false), *b = acctdef_to_json(y, false);
	bool same = a && b && json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return same;
}

enum exit_code cmd_account_add(struct app *a, char **words, int n, struct err *err)
{
	struct acctdef d = {0};
	struct account_row known = {0};
	bool taken, told = false;
	enum exit_code x;
	(void)n;

	if (!(a->opt.domains.n || a->opt.addresses.n || a->opt.logins.n || a->opt.ports.n)) {
		err_set(err, -EINVAL, "account add: by what is the traffic of %.60s known? Expected --domain, --address, --login or --port",
			words[0]);
		return EXIT_USAGE;
	}
	if (def_from_options(a, words[0], &d, err) < 0)
		return EXIT_USAGE;
	int rc = change_begin(a, &taken, err);
	if (rc < 0) {
		acctdef_done(&d);
		return exit_of(rc);
	}
	bool exists = journal_account(a->db, d.name, &known, NULL) == 0;
	if (exists) {
		if (d.databases_gb <= 0)
			d.databases_gb = known.def.databases_gb; /* there is no option for it */
		d.side = known.def.side;
	}
	if (exists && same_def(&d, &known.def)) {
		x = change_end(a, taken, 0, false, err);
		if (x == EXIT_DONE)
			out_line(&a->out, "%s: is there already, with the same data", d.name);
		goto out;
	}
	if (exists && !a->opt.force)
		rc = err_set(err, -EEXIST, "%s exists with other data (shunt account show %s); --force replaces it", d.name, d.name);
	if (rc == 0)
		rc = check_with(a, &d, err);
	if (rc == 0)
		rc = journal_account_put(a->db, &d, err);
	json_t *e = acctdef_to_json(&d, false);
	if (rc == 0)
		rc = journal_note(a->db, d.name, 0, exists ? "account changed" : "account added", e, err);
	if (rc == 0) {
		told = true;
		rc = proxylink_ask(a->proxy, "account-put", json_pack("{s:o}", "account", acctdef_to_json(&d, true)), 0, NULL, err);
	}
	json_decref(e);
	x = change_end(a, taken, rc, told, err);
	if (x == EXIT_DONE)
		out_line(&a->out, "%s: %s, on %s", d.name, exists ? "changed" : "added", side_name(d.side));
out:
	if (x == EXIT_DONE)
		out_set(&a->out, "account", acctdef_to_json(&d, true));
	account_row_done(&known);
	acctdef_done(&d);
	return x;
}

/* ---- remove ---- */

/* forced: gone past where it is on the transit server; import has no such word. */
static int may_remove(struct app *a, const struct acctdef *d, bool forced, bool import, struct err *err)
{
	struct move_rows open;
	int rc = journal_moves_open(a->db, d->name, &open, err);
	if (rc < 0)
		return rc;
	if (open.n) {
		char who[256];
		who_text(&open.rows[0], who, sizeof(who));
		rc = err_set(err, -EBUSY, "%s is being moved by %s: it can be removed when that is over", d->name, who);
	} else if (d->side == SIDE_TRANSIT && !forced) {
		rc = err_set(err, -EPERM,
			     "%s is on the transit server: without its entry its visitors would get the old copy on the client server. "
			     "shunt rollback "
			     "%s first%s",
			     d->name, d->name, import ? "" : ", or --force");
	}
	move_rows_done(&open);
	return rc;
}

enum exit_code cmd_account_remove(struct app *a, char **words, int n, struct err *err)
{
	struct account_row row;
	bool taken, told = false;
	(void)n;

	int rc = change_begin(a, &taken, err);
	if (rc < 0)
		return exit_of(rc);
	rc = journal_account(a->db, words[0], &row, err);
	if (rc < 0)
		return change_end(a, taken, rc, false, err);
	rc = may_remove(a, &row.def, a->opt.force, false, err); /* no move can begin now: we are writing */
	if (rc == 0 && (rc = locks_take(a->locks, row.id, err)) < 0)
		err_wrap(err, "%s", row.def.name);
	bool locked = rc == 0;
	json_t *e = acctdef_to_json(&row.def, true);
	if (rc == 0)
		rc = journal_note(a->db, row.def.name, 0, "account removed", e, err);
	if (rc == 0)
		rc = journal_account_remove(a->db, row.def.name, err);
	if (rc == 0) {
		told = true;
		rc = proxylink_ask(a->proxy, "account-remove", json_pack("{s:s}", "name", row.def.name), 0, NULL, err);
	}
	json_decref(e);
	enum exit_code x = change_end(a, taken, rc, told, err);
	if (locked)
		locks_drop(a->locks, row.id);
	if (x == EXIT_DONE)
		out_line(&a->out, "%s: removed", row.def.name);
	account_row_done(&row);
	return x;
}

/* ---- import ---- */

struct counts {
	size_t added, changed, removed;
};

/* What vanishes from the set must be at home and at rest. */
static int drop_vanished(struct app *a, const struct acctset *old, json_t *names, struct counts *c, struct err *err)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct acctdef *d = &old->defs[i];
		if (json_object_get(names, d->name))
			continue;
		int rc = may_remove(a, d, false, true, err); /* --force of an import speaks of damaged tables */
		if (rc < 0)
			return err_wrap(err, "the set lacks an account that cannot go");
		rc = journal_note(a->db, d->name, 0, "account removed by import", NULL, err);
		if (rc == 0)
			rc = journal_account_remove(a->db, d->name, err);
		if (rc < 0)
			return rc;
		c->removed++;
	}
	return 0;
}

static int put_all(struct app *a, struct acctset *set, const struct acctset *old, json_t *proxy, struct counts *c, struct err *err)
{
	json_t *known = json_object(); /* name -> index in old */
	int rc = 0;
	for (size_t i = 0; i < old->n; i++)
		json_object_set_new(known, old->defs[i].name, json_integer((json_int_t)i));
	for (size_t i = 0; rc == 0 && i < set->n; i++) {
		struct acctdef *d = &set->defs[i];
		json_t *at = json_object_get(known, d->name);
		const char *side = json_string_value(json_object_get(json_object_get(proxy, d->name), "side"));
		const struct acctdef *was = at ? &old->defs[json_integer_value(at)] : NULL;
		d->gate = was ? was->gate : GATE_OPEN;
		if (was)
			d->side = was->side;
		else if (side)
			side_parse(&d->side, side); /* the traffic goes there: that is the truth about it */
		if (was && same_def(was, d))
			continue;
		rc = journal_account_put(a->db, d, err);
		*(was ? &c->changed : &c->added) += 1;
	}
	json_decref(known);
	return rc;
}

static int import(struct app *a, struct acctset *set, bool *told, struct counts *c, struct err *err)
{
	struct acctset old;
	json_t *names = json_object(), *proxy = NULL, *e = NULL, *hello = NULL;
	int rc = journal_accounts(a->db, &old, err);
	if (rc == 0)
		rc = proxylink_ask(a->proxy, "hello", NULL, 0, &hello, err);
	if (rc == 0)
		rc = proxylink_list(a->proxy, &proxy, err);
	if (rc < 0)
		goto out;
	const char *table = json_string_value(json_object_get(hello, "table"));
	if (old.n == 0 && table && strcmp(table, "damaged") == 0 && !a->opt.force) {
		rc = err_set(err, -EPERM,
			     "the proxy's table is damaged and the database knows no account, so nobody knows who is on the transit "
			     "server: put a good "
			     "state file in its place, or say with --force that all are where FILE says (\"side\"; client where it says "
			     "nothing)");
		goto out;
	}
	for (size_t i = 0; i < set->n; i++)
		json_object_set_new(names, set->defs[i].name, json_true());
	rc = drop_vanished(a, &old, names, c, err);
	if (rc == 0)
		rc = put_all(a, set, &old, proxy, c, err);
	e = json_pack("{s:I, s:I, s:I, s:I}", "accounts", (json_int_t)set->n, "added", (json_int_t)c->added, "changed",
		      (json_int_t)c->changed, "removed", (json_int_t)c->removed);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, "accounts imported", e, err);
	if (rc == 0) {
		*told = true;
		rc = proxylink_push(a->proxy, set, NULL, err);
	}
out:
	acctset_done(&old);
	json_decref(names);
	json_decref(proxy);
	json_decref(hello);
	json_decref(e);
	return rc;
}

enum exit_code cmd_account_import(struct app *a, char **words, int n, struct err *err)
{
	struct acctset set = {0};
	struct counts c = {0};
	bool taken, told = false;
	(void)n;

	int rc = acctset_from_file(&set, words[0], err);
	if (rc == 0)
		rc = acctset_check(&set, err);
	if (rc < 0) { /* a clash is of the set: refused, as the bad file is */
		acctset_done(&set);
		return rc == -EEXIST ? EXIT_REFUSED : EXIT_USAGE;
	}
	enum exit_code x = app_write(a, true, err);
	if (x == EXIT_DONE) {
		rc = change_begin(a, &taken, err);
		x = exit_of(rc);
	}
	if (x) {
		acctset_done(&set);
		return x;
	}
	rc = import(a, &set, &told, &c, err);
	x = change_end(a, taken, rc, told, err);
	if (x == EXIT_DONE) {
		out_line(&a->out, "%zu accounts: %zu added, %zu changed, %zu removed", set.n, c.added, c.changed, c.removed);
		out_set(&a->out, "accounts", json_integer((json_int_t)set.n));
		out_set(&a->out, "added", json_integer((json_int_t)c.added));
		out_set(&a->out, "changed", json_integer((json_int_t)c.changed));
		out_set(&a->out, "removed", json_integer((json_int_t)c.removed));
	}
	acctset_done(&set);
	return x;
}

/* ---- list, show ---- */

static void say_away(struct app *a, const char *why)
{
	out_set(&a->out, "proxy-away", json_string(why));
	if (!a->out.json)
		fprintf(stderr, "shunt: note: %s; what follows is the database's\n", why);
}

enum exit_code cmd_account_list(struct app *a, char **words, int n, struct err *err)
{
	struct acctset set;
	struct err e = {0};
	json_t *proxy = NULL, *list = json_array();
	(void)words;
	(void)n;

	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0) {
		json_decref(list);
		return exit_of(rc);
	}
	if (proxylink_list(a->proxy, &proxy, &e) < 0)
		say_away(a, e.text);
	for (size_t i = 0; i < set.n; i++) {
		const struct acctdef *d = &set.defs[i];
		const char *side = member_text_or(json_object_get(proxy, d->name), "side", side_name(d->side));
		json_t *o = acctdef_to_json(d, true);
		json_object_set_new(o, "side", json_string(side));
		json_array_append_new(list, o);
		out_line(&a->out, "%-24s %-8s %s%s", d->name, side, d->n_domains ? d->domains[0] : "-", d->n_domains > 1 ? ", .." : "");
	}
	if (set.n == 0)
		out_line(&a->out, "there are no accounts yet: shunt account import FILE, or shunt account add");
	out_set(&a->out, "accounts", list);
	acctset_done(&set);
	json_decref(proxy);
	return EXIT_DONE;
}

static void show_list(struct app *a, const char *label, const json_t *list)
{
	size_t i;
	json_t *v;
	json_array_foreach (list, i, v) {
		if (json_is_string(v))
			out_line(&a->out, "%-12s %s", i ? "" : label, json_string_value(v));
		else
			out_line(&a->out, "%-12s %lld", i ? "" : label, (long long)json_integer_value(v));
	}
}

static void show_check(struct app *a, const char *name)
{
	char at[TIME_TEXT_MAX];
	size_t counts[GRADES];
	json_t *findings;
	int64_t when;
	if (findings_get(a->db, name, &when, &findings, NULL) < 0) {
		out_line(&a->out, "%-12s never (shunt check %s)", "checked", name);
		out_set(&a->out, "check", json_null());
		return;
	}
	findings_count(findings, counts);
	out_line(&a->out, "%-12s %s: %zu stop, %zu warn, %zu inform", "checked", time_text(when, at), counts[GRADE_STOP],
		 counts[GRADE_WARN], counts[GRADE_INFORM]);
	findings_show(&a->out, findings, NULL);
	out_set(&a->out, "check", json_pack("{s:s, s:o}", "at", time_text(when, at), "findings", findings));
}

enum exit_code cmd_account_show(struct app *a, char **words, int n, struct err *err)
{
	struct account_row row;
	struct err e = {0};
	enum side side;
	enum gate gate;
	char at[TIME_TEXT_MAX];
	(void)n;

	int rc = journal_account(a->db, words[0], &row, err);
	if (rc < 0)
		return exit_of(rc);
	side = row.def.side;
	gate = GATE_OPEN;
	if (proxylink_account(a->proxy, row.def.name, &side, &gate, &e) < 0)
		say_away(a, e.text);
	row.def.side = side;
	row.def.gate = gate;
	json_t *o = acctdef_to_json(&row.def, true);
	out_line(&a->out, "%s", row.def.name);
	out_line(&a->out, "%-12s %s since %s%s%s", "side", side_name(side), time_text(row.since, at), gate == GATE_OPEN ? "" : ", gate ",
		 gate == GATE_OPEN ? "" : gate_name(gate));
	show_list(a, "domains", json_object_get(o, "domains"));
	show_list(a, "addresses", json_object_get(o, "addresses"));
	show_list(a, "logins", json_object_get(o, "logins"));
	show_list(a, "ports", json_object_get(o, "ports"));
	if (row.def.databases_gb > 0)
		out_line(&a->out, "%-12s %.1f GB", "databases", row.def.databases_gb);
	json_object_set_new(o, "since", json_string(time_text(row.since, at)));
	out_set(&a->out, "account", o);
	show_check(a, row.def.name);
	account_row_done(&row);
	return EXIT_DONE;
}
