/* Changes of the table: a whole set, or one account. Always the same way: build the new table beside the old one, write it to disk, swap.
 */
#include "lib/log.h"
#include "proxy/control_impl.h"
#include "proxy/hold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT_ACCOUNTS_MAX 4000000 /* accounts in one set */

/* A swap on its way: who is to hear of it. */
struct swap {
	struct proxy *proxy;
	struct ctl_call *call;
	size_t added, removed;
};

static void swapped(void *arg)
{
	struct swap *s = arg;

	ctl_answer(s->call,
		   json_pack("{sI sI sI sI}", "accounts", (json_int_t)table_size(s->proxy->table), "domains",
			     (json_int_t)table_domains(s->proxy->table), "added", (json_int_t)s->added, "removed", (json_int_t)s->removed));
	free(s);
}

/* Accounts of `a` that `b` lacks. */
static size_t missing(const struct table *a, const struct table *b, struct account **held)
{
	size_t n = 0;

	for (size_t i = 0; a && i < table_size(a); i++) {
		struct account *acc = table_at(a, i);

		if (b && table_find(b, acc->name))
			continue;
		n++;
		if (held && account_gate(acc) != GATE_OPEN)
			*held = acc;
	}
	return n;
}

static int save(struct proxy *p, const struct table *t, struct err *err)
{
	struct acctset set = {0};
	int rc = table_defs(t, &set);

	if (rc < 0)
		err_set(err, rc, "out of memory");
	else
		rc = store_save(p->store, &set, err);
	acctset_done(&set);
	return rc;
}

/* Takes set. Answers the call. */
static void use_set(struct proxy *p, struct ctl_call *call, struct acctset *set)
{
	struct table *t;
	struct account *held = NULL;
	struct err err = {0};
	struct swap *s = calloc(1, sizeof *s);
	enum table_state before = p->table_state;
	int rc;

	if (!s) {
		acctset_done(set);
		ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
		return;
	}
	rc = table_new(&t, set, p->table, p->n_workers, &err);
	if (rc < 0) {
		ctl_fail(call, rc == -EEXIST ? CTL_REFUSED : CTL_FAILED, "%s; nothing has changed", err.text);
		free(s);
		return;
	}
	*s = (struct swap){.proxy = p, .call = call, .added = missing(t, p->table, NULL), .removed = missing(p->table, t, &held)};
	if (held) {
		ctl_fail(call, CTL_REFUSED,
			 "account %s is %s and would vanish: release it first, or keep it in the set; nothing has changed", held->name,
			 gate_name(account_gate(held)));
	} else if (save(p, t, &err) < 0) {
		ctl_fail(call, CTL_FAILED, "%s; nothing has changed", err.text);
	} else {
		p->table_state = TABLE_OK;
		if (holds_restore(p, t) == 0 && proxy_use_table(p, t, swapped, s) == 0)
			return;
		p->table_state = before;
		save(p, p->table, &err);
		ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
	}
	table_free(t);
	free(s);
}

/* ---- a whole set ---- */

void control_import_free(void *session)
{
	struct acctset *set = session;

	if (set)
		acctset_done(set);
	free(set);
}

static void import_begin(struct ctl_call *call, void **session)
{
	control_import_free(*session);
	*session = calloc(1, sizeof(struct acctset));
	if (*session)
		ctl_answer(call, NULL);
	else
		ctl_fail(call, CTL_FAILED, "out of memory");
}

static void import_add(struct ctl_call *call, json_t *req, struct acctset *set)
{
	const json_t *list = json_object_get(req, "accounts"), *one;
	struct err err = {0};
	size_t i;

	if (!json_is_array(list)) {
		ctl_fail(call, CTL_USAGE, "\"accounts\": expected an array");
		return;
	}
	json_array_foreach (list, i, one) {
		struct acctdef d;

		if (set->n >= IMPORT_ACCOUNTS_MAX) {
			ctl_fail(call, CTL_REFUSED, "more than %d accounts", IMPORT_ACCOUNTS_MAX);
			return;
		}
		if (acctdef_from_json(&d, one, &err) < 0) {
			ctl_fail(call, CTL_USAGE, "%s", err.text);
			return;
		}
		if (acctset_add(set, &d) < 0) {
			ctl_fail(call, CTL_FAILED, "out of memory");
			return;
		}
	}
	ctl_answer(call, json_pack("{sI}", "accounts", (json_int_t)set->n));
}

void control_import(struct proxy *p, struct ctl_call *call, const char *what, json_t *req, void **session)
{
	struct acctset *set = *session;

	if (strcmp(what, "begin") == 0) {
		import_begin(call, session);
	} else if (!set) {
		ctl_fail(call, CTL_USAGE, "import-%s without import-begin on this connection", what);
	} else if (strcmp(what, "add") == 0) {
		import_add(call, req, set);
	} else if (strcmp(what, "commit") == 0) {
		*session = NULL;
		use_set(p, call, set);
		free(set);
	} else {
		ctl_fail(call, CTL_USAGE, "no command import-%s", LOG_QUOTED(what, strlen(what)));
	}
}

/* ---- one account ---- */

static bool only_while_known(struct proxy *p, struct ctl_call *call)
{
	if (p->table_state != TABLE_DAMAGED)
		return true;
	ctl_fail(call, CTL_REFUSED, "the table on disk is damaged: import the whole set first (`shunt resume` does)");
	return false;
}

void cmd_put(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct acctset set = {0};
	struct acctdef d;
	struct err err = {0};
	size_t i = 0;

	if (!only_while_known(p, call))
		return;
	if (acctdef_from_json(&d, json_object_get(req, "account"), &err) < 0) {
		ctl_fail(call, CTL_USAGE, "%s", err.text);
		return;
	}
	if (table_defs(p->table, &set) < 0) {
		acctdef_done(&d);
		acctset_done(&set);
		ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
		return;
	}
	while (i < set.n && strcmp(set.defs[i].name, d.name))
		i++;
	if (i < set.n) {
		acctdef_done(&set.defs[i]);
		set.defs[i] = d;
	} else if (acctset_add(&set, &d) < 0) {
		acctset_done(&set);
		ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
		return;
	}
	use_set(p, call, &set);
}

void cmd_remove(struct proxy *p, struct ctl_call *call, json_t *req)
{
	const char *name = want_string(call, req, "name");
	struct acctset set = {0};
	struct account *a;
	size_t i = 0;

	if (!name || !only_while_known(p, call))
		return;
	a = table_find(p->table, name);
	if (!a) { /* asked twice: it is gone already */
		ctl_answer(call, json_pack("{sI sI sI sI}", "accounts", (json_int_t)table_size(p->table), "domains",
					   (json_int_t)table_domains(p->table), "added", (json_int_t)0, "removed", (json_int_t)0));
		return;
	}
	if (table_defs(p->table, &set) < 0) {
		acctset_done(&set);
		ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
		return;
	}
	while (i < set.n && strcmp(set.defs[i].name, name))
		i++;
	if (i < set.n) {
		acctdef_done(&set.defs[i]);
		set.defs[i] = set.defs[--set.n];
	}
	use_set(p, call, &set);
}
