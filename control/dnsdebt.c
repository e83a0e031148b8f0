#include "control/dnsdebt.h"

#include "control/homeward.h"
#include "control/publish.h"
#include "lib/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PASSING_MS  10000
#define NAMES_SHOWN 8

/* ---- settling ---- */

static int forget(struct app *a, const char *name, struct err *err)
{
	char mark[sizeof(MARK_DNS) + ACCOUNT_NAME_MAX], home[sizeof(MARK_HOME) + ACCOUNT_NAME_MAX];
	snprintf(mark, sizeof(mark), MARK_DNS "%s", name);
	snprintf(home, sizeof(home), MARK_HOME "%s", name);
	int rc = journal_begin(a->db, err);
	if (rc < 0)
		return rc;
	rc = journal_set_mark(a->db, mark, false, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, home, false, err);
	if (rc == 0)
		rc = journal_note(a->db, name, 0, TRAIL_DNS "is not owed any more: the account was removed", NULL, err);
	if (rc < 0) {
		journal_rollback(a->db);
		return rc;
	}
	return journal_commit(a->db, err);
}

/* Which way: the same as that of the move that left the account where it is. */
static int way_of(struct app *a, const struct account_row *row, struct publication *p, struct err *err)
{
	struct move_row last;
	p->verb = DNS_PUSH;
	p->to = row->def.side;
	if (row->def.side == SIDE_TRANSIT)
		return 0;
	int rc = journal_move_last(a->db, row->def.name, NULL, &last, err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc < 0 || strcmp(last.kind, "relocate") != 0)
		p->verb = DNS_UNDO;
	if (rc == 0)
		move_row_done(&last);
	return 0;
}

static void tell(struct app *a, const char *name, const json_t *evidence)
{
	char text[700];
	json_t *list = json_object_get(a->out.object, "dns-settled");
	if (!list) {
		list = json_array();
		out_set(&a->out, "dns-settled", list);
	}
	json_array_append_new(list, json_string(name));
	publish_text(evidence, text, sizeof(text));
	out_line(&a->out, "%s: its DNS, which was owed, is settled: %s", name, text);
}

/* Under the account's lock. As publish(). */
static int settle_locked(struct app *a, const struct account_row *row, struct err *err)
{
	const char *name = row->def.name;
	json_t *who = NULL, *evidence = NULL;
	struct publication p = {.db = a->db, .dns = a->dns, .wait_s = a->conf->dns.wait, .account = name};
	int rc = way_of(a, row, &p, err);
	if (rc == 0)
		rc = publish_account(a->db, name, &who, err);
	p.who = who;
	if (rc == 0) {
		app_at(a, "dns-owed", "before");
		rc = publish(&p, &evidence, err);
		app_at(a, "dns-owed", "after");
	}
	if (rc == 0)
		tell(a, name, evidence);
	json_decref(who);
	json_decref(evidence);
	return rc;
}

static int settle(struct app *a, const char *name, struct err *err)
{
	struct account_row row;
	struct move_rows open = {0};
	int rc = journal_account(a->db, name, &row, err);
	if (rc == -ENOENT)
		return forget(a, name, err);
	if (rc < 0)
		return rc;
	if (locks_take(a->locks, row.id, NULL) < 0) {
		account_row_done(&row); /* somebody lives and is at it */
		return 0;
	}
	rc = journal_moves_open(a->db, name, &open, err);
	if (rc == 0 && open.n == 0) {
		account_row_done(&row);
		rc = journal_account(a->db, name, &row, err); /* as it is now that nobody moves it */
		if (rc == 0)
			rc = settle_locked(a, &row, err);
	}
	locks_drop(a->locks, row.id);
	move_rows_done(&open);
	account_row_done(&row);
	return rc;
}

static void still_owed(struct app *a, const char *name, const char *why, bool first, struct err *err)
{
	if (first)
		err_set(err, -EAGAIN, "DNS of %s is still owed: %.800s", name, why);
	else if (!a->out.json)
		fprintf(stderr, "shunt: DNS of %s is still owed: %s\n", name, why);
}

enum exit_code dnsdebt_settle(struct app *a, const char *name, bool in_passing, struct err *err)
{
	json_t *owed = NULL, *o;
	struct err first = {0};
	size_t i, left = 0;
	int64_t until = mono_ms() + PASSING_MS;
	if (!a->dns || journal_marks(a->db, MARK_DNS, &owed, err) < 0)
		return EXIT_DONE; /* without a daemon nothing can be settled; status and finish tell */
	json_array_foreach (owed, i, o) {
		struct err e = {0};
		const char *account = json_string_value(o);
		if (name && strcmp(name, account) != 0)
			continue;
		if (in_passing && mono_ms() > until)
			break;
		int rc = settle(a, account, &e);
		if (rc != 0)
			still_owed(a, account, e.text, left++ == 0, &first);
		if (rc == 1 && dnslink_is_away(e.code)) /* for all of them */
			break;
	}
	json_decref(owed);
	if (left == 0)
		return EXIT_DONE;
	if (in_passing && !a->out.json)
		fprintf(stderr, "shunt: note: %s\n", first.text);
	if (err)
		*err = first;
	return EXIT_STUCK;
}

/* ---- finish ---- */

static void add_name(char *names, size_t cap, size_t n, const char *name)
{
	size_t at = strlen(names);
	if (n < NAMES_SHOWN)
		snprintf(names + at, cap - at, "%s%s", at ? ", " : "", name);
	else if (n == NAMES_SHOWN)
		snprintf(names + at, cap - at, ", ..");
}

/* The accounts whose records are not home, each once. New. What is undone is home, also where a name server lags or is gone for good. */
static json_t *accounts_of(const json_t *entries)
{
	json_t *o = json_object(), *e;
	size_t i;
	json_array_foreach (entries, i, e) {
		const char *account = json_string_value(json_object_get(e, "account"));
		const char *state = json_string_value(json_object_get(e, "state"));
		if (account && !(state && strcmp(state, "undone") == 0 && !json_is_true(json_object_get(e, "busy"))))
			json_object_set_new(o, account, json_true());
	}
	return o;
}

static int nothing_owed(struct app *a, const char *command, struct err *err)
{
	char names[(NAMES_SHOWN + 1) * (ACCOUNT_NAME_MAX + 2)] = "";
	json_t *owed = NULL, *o;
	size_t i;
	int rc = journal_marks(a->db, MARK_DNS, &owed, err);
	if (rc < 0)
		return rc;
	json_array_foreach (owed, i, o)
		add_name(names, sizeof(names), i, json_string_value(o));
	if (json_array_size(owed))
		rc = err_set(err, -EPERM, "%s refused: the DNS of %zu account%s is owed: %s. shunt resume says why and tries again",
			     command, json_array_size(owed), json_array_size(owed) == 1 ? "" : "s", names);
	json_decref(owed);
	return rc;
}

static int nothing_kept(const json_t *status, struct err *err)
{
	char names[(NAMES_SHOWN + 1) * (ACCOUNT_NAME_MAX + 2)] = "";
	json_t *accounts = accounts_of(json_object_get(status, "entries")), *v;
	const char *name;
	size_t n = 0;
	json_object_foreach (accounts, name, v)
		add_name(names, sizeof(names), n++, name);
	json_decref(accounts);
	if (n == 0)
		return 0;
	return err_set(
		err, -EPERM,
		"finish refused: shunt-dnsupdate still keeps what it changed in DNS for %zu account%s: %s. shunt-dnsupdate undo ACCOUNT "
		"puts the records back as they were; shunt-dnsupdate status shows them",
		n, n == 1 ? "" : "s", names);
}

int dnsdebt_may_finish(struct app *a, struct err *err)
{
	json_t *status = NULL;
	struct err e = {0};
	if (!a->dns)
		return 0;
	int rc = nothing_owed(a, "finish", err);
	if (rc < 0)
		return rc;
	if (dns_status(a->dns, NULL, &status, &e) < 0)
		return err_set(
			err, -EPERM,
			"finish refused: whether DNS of all accounts is as it was cannot be told: %.600s. Where that is of no matter, "
			"take dns out of section control",
			e.text);
	rc = nothing_kept(status, err);
	json_decref(status);
	return rc;
}

/* ---- reinstall ---- */

static int none_lags(const json_t *status, struct err *err)
{
	size_t i;
	json_t *e;
	json_array_foreach (json_object_get(status, "entries"), i, e) {
		const char *lagging = json_string_value(json_object_get(e, "lagging")),
			   *account = json_string_value(json_object_get(e, "account")),
			   *state = json_string_value(json_object_get(e, "state"));
		if (lagging && *lagging && !(state && strcmp(state, "undone") == 0))
			return err_set(
				err, -EPERM,
				"reinstall refused: the DNS of %s is not seen everywhere yet: %.300s. shunt-dnsupdate verify %s says "
				"whether it is now",
				account ? account : "?", lagging, account ? account : "ACCOUNT");
	}
	return 0;
}

int dnsdebt_may_reinstall(struct app *a, struct err *err)
{
	json_t *status = NULL;
	struct err e = {0};
	int rc = nothing_owed(a, "reinstall", err);
	if (rc < 0 || !a->dns)
		return rc;
	if (dns_status(a->dns, NULL, &status, &e) < 0)
		return err_set(err, -EPERM, "reinstall refused: whether DNS of all accounts is published cannot be told: %.600s", e.text);
	rc = none_lags(status, err);
	json_decref(status);
	return rc;
}
