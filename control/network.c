/* Start and finish: plans of netctl that are put in force and taken back, and the clocks. */
#include "control/network.h"

#include "control/dnsdebt.h"
#include "control/moved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 8

/* ---- what all have in common ---- */

bool network_clock(struct app *a, const char *name)
{
	int64_t at;
	return journal_clock(a->db, name, &at, NULL) == 0;
}

bool network_mark(struct app *a, const char *name)
{
	return journal_mark(a->db, name, NULL, NULL) == 0;
}

enum exit_code network_exit(int rc, enum ctl_code code)
{
	if (rc == 0)
		return EXIT_DONE;
	if (rc == -EHOSTUNREACH)
		return EXIT_REFUSED;
	return rc == -EPROTO ? (enum exit_code)code : EXIT_STUCK;
}

static int transaction_end(struct app *a, int rc, struct err *err)
{
	if (rc == 0)
		return journal_commit(a->db, err);
	journal_rollback(a->db);
	return rc;
}

int network_begin(struct app *a, const char *mark, network_guard *guard, struct err *err)
{
	int rc = journal_begin(a->db, err);
	if (rc == 0 && guard)
		rc = guard(a, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, mark, true, err);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, mark, NULL, err);
	return transaction_end(a, rc, err);
}

int network_end(struct app *a, const char *mark, const char *what, const char *why, struct err *err)
{
	json_t *e = why ? json_pack("{s:s}", "reason", why) : NULL;
	int rc = journal_begin(a->db, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, mark, false, err);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, what, e, err);
	json_decref(e);
	return transaction_end(a, rc, err);
}

int network_need(struct app *a, enum side host, const char *command, struct err *err)
{
	if (a->netctl[host])
		return 0;
	return err_set(
		err, -EPERM,
		"%s refused: it needs shunt-netctl of the %s server, and %s does not say where that is asked: add netctl-%s to its section "
		"control",
		command, side_name(host), a->conf->file, side_name(host));
}

static int none_moving(struct app *a, const char *command, struct err *err)
{
	struct move_rows open;
	int rc = journal_moves_open(a->db, NULL, &open, err);
	if (rc < 0)
		return rc;
	if (open.n) {
		const struct move_row *m = &open.rows[0];
		rc = err_set(err, -EPERM, "%s refused: the %s of %s is %s%s; shunt status shows, shunt resume goes on", command, m->kind,
			     m->account, m->state == MOVE_STUCK ? "STUCK" : "not over", open.n > 1 ? ", and others are open" : "");
	}
	move_rows_done(&open);
	return rc;
}

int network_all_on(struct app *a, enum side side, const char *command, struct err *err)
{
	struct acctset set;
	char names[NAMES_SHOWN * (ACCOUNT_NAME_MAX + 2) + 1] = "";
	const char *mover = side == SIDE_TRANSIT ? "migrate --all" : network_clock(a, "return") ? "relocate --all" : "rollback";
	size_t n = 0, at = 0;
	int rc = none_moving(a, command, err);
	if (rc == 0)
		rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < set.n; i++) {
		if (set.defs[i].side != side && n++ < NAMES_SHOWN)
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", n > 1 ? ", " : "", set.defs[i].name);
	}
	if (n)
		rc = err_set(err, -EPERM, "%s refused: %zu of %zu accounts %s still on the %s server: %s%s; shunt %s moves them", command,
			     n, set.n, n == 1 ? "is" : "are", side_name(side == SIDE_CLIENT ? SIDE_TRANSIT : SIDE_CLIENT), names,
			     n > NAMES_SHOWN ? ", .." : "", mover);
	else if (set.n == 0 && side == SIDE_TRANSIT)
		rc = err_set(err, -EPERM,
			     "%s refused: no account is known, so whether all have moved cannot be told (shunt account import)", command);
	acctset_done(&set);
	return rc;
}

/* ---- start ---- */

/* Does the proxy speak to the transit server as the visitor? Then the answers must find back to it. */
bool network_needs_reply(const struct conf *c)
{
	for (size_t i = 0; i < c->proxy.n_listeners; i++) {
		if (c->proxy.listeners[i].source[SIDE_TRANSIT] == SOURCE_TRANSPARENT)
			return true;
	}
	return false;
}

/* Between reinstall and return the client server is not there to intercept anything. */
static bool intercepts_now(struct app *a)
{
	return app_intercepts(a) && (!network_clock(a, "reinstall") || network_clock(a, "return"));
}

bool network_started(struct app *a)
{
	if (!network_clock(a, "start"))
		return false;
	return !intercepts_now(a) || (network_mark(a, MARK_INTERCEPT) && (!network_needs_reply(a->conf) || network_mark(a, MARK_REPLY)));
}

int network_may_start(struct app *a, struct err *err)
{
	return intercepts_now(a) && network_needs_reply(a->conf) ? network_need(a, SIDE_TRANSIT, "start", err) : 0;
}

static int reply_on(struct app *a, enum ctl_code *code, struct err *err)
{
	app_at(a, "start-reply", "before");
	int rc = netctllink_ask(a->netctl[SIDE_TRANSIT], "apply", json_pack("{s:s, s:i}", "plan", "reply", "confirm", 0), 0, NULL, code,
				err);
	app_at(a, "start-reply", "after");
	return rc;
}

static int intercept_on(struct app *a, enum ctl_code *code, struct err *err)
{
	app_at(a, "start-intercept", "before");
	int rc = moved_intercept(a, code, err);
	app_at(a, "start-intercept", "after");
	return rc;
}

static int off(struct app *a, enum side host, const char *plan, struct err *err)
{
	return netctllink_ask(a->netctl[host], "revert", json_pack("{s:s}", "plan", plan), 0, NULL, NULL, err);
}

/* Of a question that may have failed: is its effect there, or may it be? */
static bool may_be_done(int rc, enum ctl_code code)
{
	return rc != -EHOSTUNREACH && !(rc == -EPROTO && code <= CTL_USAGE);
}

/* Which plans are to be reverted: those that were not in force before. */
struct begun {
	bool reply, intercept;
};

static enum exit_code start_failed(struct app *a, const struct begun *b, enum exit_code x, struct err *err)
{
	char why[600];
	struct err e = {0};
	int rc = 0;
	snprintf(why, sizeof(why), "%.590s", err->text);
	if (b->intercept)
		rc = off(a, SIDE_CLIENT, "intercept", &e);
	if (rc == 0 && b->intercept)
		rc = moved_forget(a, &e);
	if (rc == 0 && b->reply)
		rc = off(a, SIDE_TRANSIT, "reply", &e);
	if (rc == 0)
		rc = network_end(a, MARK_START, "start was undone", why, &e);
	if (rc == 0) {
		err_set(err, -EIO, "start refused, nothing changed: %s", why);
		return x == EXIT_USAGE ? EXIT_USAGE : EXIT_REFUSED;
	}
	err_set(err, -EIO, "start failed (%.400s), and what it had done could not be taken back (%.400s): shunt resume goes on with it",
		why, e.text);
	return EXIT_STUCK;
}

static enum exit_code start_network(struct app *a, struct err *err)
{
	struct begun new = {network_needs_reply(a->conf) && !network_mark(a, MARK_REPLY), !network_mark(a, MARK_INTERCEPT)}, done = {0};
	enum ctl_code code = CTL_FAILED;
	int rc = network_may_start(a, err);
	if (rc == 0)
		rc = network_begin(a, MARK_START, NULL, err);
	if (rc < 0)
		return exit_of(rc);
	if (network_needs_reply(a->conf)) { /* first: it changes nothing until somebody comes from there */
		rc = reply_on(a, &code, err);
		done.reply = new.reply &&may_be_done(rc, code);
	}
	if (rc == 0) {
		rc = intercept_on(a, &code, err);
		done.intercept = new.intercept &&may_be_done(rc, code);
	}
	return rc < 0 ? start_failed(a, &done, network_exit(rc, code), err) : EXIT_DONE;
}

static int start_clock(struct app *a, struct err *err)
{
	bool ran = network_clock(a, "start");
	int rc = journal_begin(a->db, err);
	if (rc < 0)
		return rc;
	if (!ran)
		rc = journal_clock_stop(a->db, "finish", err);
	if (rc == 0 && !ran)
		rc = journal_clock_start(a->db, "start", err);
	if (rc == 0 && !ran)
		rc = journal_note(a->db, NULL, 0, "the clock of the transit server starts", NULL, err);
	if (rc == 0 && intercepts_now(a) && network_needs_reply(a->conf))
		rc = journal_set_mark(a->db, MARK_REPLY, true, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_START, false, err);
	return transaction_end(a, rc, err);
}

/* Under LOCK_NET. */
static enum exit_code start_locked(struct app *a, struct err *err)
{
	enum exit_code x = intercepts_now(a) ? start_network(a, err) : EXIT_DONE;
	if (x == EXIT_DONE && start_clock(a, err) < 0) {
		err_wrap(err, "start is in force, but it could not be written down: mend that, then shunt resume");
		x = intercepts_now(a) ? EXIT_STUCK : EXIT_REFUSED;
	}
	return x;
}

enum exit_code network_start(struct app *a, struct err *err)
{
	int rc = locks_wait(a->locks, LOCK_NET, err);
	if (rc < 0)
		return exit_of(rc);
	enum exit_code x = start_locked(a, err);
	locks_drop(a->locks, LOCK_NET);
	return x;
}

/* ---- finish ---- */

int network_may_finish(struct app *a, struct err *err)
{
	if (network_mark(a, MARK_REINSTALL) || network_mark(a, MARK_RETURN))
		return err_set(err, -EPERM,
			       "finish refused: the addresses are on their way, and where they are is not known yet: shunt resume");
	if (network_clock(a, "reinstall") && !network_clock(a, "return"))
		return err_set(err, -EPERM,
			       "finish refused: the client server's addresses are on the transit server; shunt return brings them back, "
			       "shunt relocate --all the accounts");
	return network_all_on(a, SIDE_CLIENT, "finish", err);
}

/* Nothing may be on its way: a plan that waits for a confirmation, or for a stage that comes later. */
static int at_rest(const json_t *status, enum side host, struct err *err)
{
	size_t i;
	json_t *p;
	json_array_foreach (json_object_get(status, "plans"), i, p) {
		const char *name = json_string_value(json_object_get(p, "plan")), *next = json_string_value(json_object_get(p, "next")),
			   *state = json_string_value(json_object_get(p, "state"));
		if (!netctl_plan_is(p, "confirmed"))
			return err_set(err, -EPERM,
				       "finish refused: the plan %s on the %s server is %s; shunt-netctl status there says more", name,
				       side_name(host), state ? state : "in no state");
		if (next || strcmp(name, "return") == 0)
			return err_set(err, -EPERM,
				       "finish refused: the plan %s on the %s server is not over, \"%s\" is still to come; try again then",
				       name, side_name(host), next ? next : "its end");
	}
	return 0;
}

static int look(struct app *a, bool check, struct err *err)
{
	int rc = 0;
	for (int host = SIDE_CLIENT; rc == 0 && host <= SIDE_TRANSIT; host++) {
		json_t *status = NULL;
		if (!a->netctl[host])
			continue;
		rc = netctllink_wait(a->netctl[host], &status, err);
		if (rc < 0)
			err_wrap(err, "finish refused, nothing changed");
		else if (check)
			rc = at_rest(status, (enum side)host, err);
		json_decref(status);
	}
	return rc;
}

/* Newest first. What start made is reverted; what is left of moving the addresses is over, so nobody else is to hear of its end. */
static int clean(struct app *a, enum side host, struct err *err)
{
	json_t *status = NULL, *plans;
	char point[64];
	int rc = netctllink_wait(a->netctl[host], &status, err);
	plans = json_object_get(status, "plans");
	for (size_t i = json_array_size(plans); rc == 0 && i-- > 0;) {
		const char *name = json_string_value(json_object_get(json_array_get(plans, i), "plan"));
		bool ours = strcmp(name, "intercept") == 0 || strcmp(name, "reply") == 0;
		snprintf(point, sizeof(point), "finish-%.40s", name);
		app_at(a, point, "before");
		rc = netctllink_ask(a->netctl[host], ours ? "revert" : "settle", json_pack("{s:s}", "plan", name), 0, NULL, NULL, err);
		app_at(a, point, "after");
	}
	json_decref(status);
	return rc;
}

static int nothing_left(struct app *a, enum side host, struct err *err)
{
	json_t *status = NULL, *o;
	size_t i, n;
	int rc = netctllink_wait(a->netctl[host], &status, err);
	if (rc < 0)
		return rc;
	json_t *ours = json_object_get(status, "ours");
	n = json_array_size(ours);
	if (n)
		out_set(&a->out, host == SIDE_CLIENT ? "left-on-client" : "left-on-transit", json_incref(ours));
	json_array_foreach (ours, i, o)
		out_line(&a->out, "left on the %s server: %s", side_name(host), json_string_value(json_object_get(o, "text")));
	if (n)
		rc = err_set(err, -EBUSY, "%zu thing(s) of ours are left on the %s server, the first: %.300s", n, side_name(host),
			     json_string_value(json_object_get(json_array_get(ours, 0), "text")));
	else if (json_array_size(json_object_get(status, "plans")))
		rc = err_set(err, -EBUSY, "a plan is still in force on the %s server", side_name(host));
	json_decref(status);
	return rc;
}

static int close_clocks(struct app *a, struct err *err)
{
	static const char *const over[] = {"start", "reinstall", "return"};
	int rc = journal_begin(a->db, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < sizeof(over) / sizeof(*over); i++)
		rc = journal_clock_stop(a->db, over[i], err);
	if (rc == 0)
		rc = journal_clock_start(a->db, "finish", err);
	if (rc == 0)
		rc = moved_forget(a, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_REPLY, false, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_FINISH, false, err);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, "finished: nothing of ours is left on either server", NULL, err);
	return transaction_end(a, rc, err);
}

/* From the intent on only forward: all of it can be said again. */
static enum exit_code finish_go_on(struct app *a, struct err *err)
{
	int rc = 0;
	for (int host = SIDE_CLIENT; rc == 0 && host <= SIDE_TRANSIT; host++) {
		if (a->netctl[host])
			rc = clean(a, (enum side)host, err);
	}
	for (int host = SIDE_CLIENT; rc == 0 && host <= SIDE_TRANSIT; host++) {
		if (a->netctl[host])
			rc = nothing_left(a, (enum side)host, err);
	}
	if (rc == 0)
		rc = close_clocks(a, err);
	if (rc == 0)
		return EXIT_DONE;
	err_wrap(err, "finish is not over; mend what follows, then shunt finish goes on");
	return EXIT_STUCK;
}

static enum exit_code finish_locked(struct app *a, bool *already, struct err *err)
{
	int rc = 0;
	if (network_mark(a, MARK_FINISH))
		return finish_go_on(a, err);
	*already = network_clock(a, "finish") && !network_clock(a, "start");
	if (*already)
		return EXIT_DONE;
	if (!a->netctl[SIDE_TRANSIT])
		rc = network_need(a, SIDE_CLIENT, "finish", err);
	if (rc == 0 && network_clock(a, "reinstall"))
		rc = network_need(a, SIDE_TRANSIT, "finish", err);
	if (rc == 0)
		rc = network_may_finish(a, err);
	if (rc == 0)
		rc = dnsdebt_may_finish(a, err);
	if (rc == 0)
		rc = look(a, true, err);
	if (rc == 0)
		rc = network_begin(a, MARK_FINISH, network_may_finish, err);
	return rc < 0 ? exit_of(rc) : finish_go_on(a, err);
}

enum exit_code network_finish(struct app *a, bool *already, struct err *err)
{
	int rc = locks_take(a->locks, LOCK_NET, err);
	*already = false;
	if (rc < 0) {
		err_wrap(err, "finish refused");
		return exit_of(rc);
	}
	enum exit_code x = finish_locked(a, already, err);
	locks_drop(a->locks, LOCK_NET);
	return x;
}

/* ---- what was interrupted ---- */

static enum exit_code resume_locked(struct app *a, bool go_on, struct err *err)
{
	enum exit_code x = takeover_resume(a, go_on, err);
	if (x == EXIT_DONE && network_mark(a, MARK_START)) {
		x = start_locked(a, err);
		if (x == EXIT_DONE)
			out_line(&a->out, "the interrupted start was finished");
		else if (!network_mark(a, MARK_START))
			x = EXIT_DONE; /* to resume it was to undo it */
	}
	if (x == EXIT_DONE && network_mark(a, MARK_FINISH)) {
		x = finish_go_on(a, err);
		if (x == EXIT_DONE)
			out_line(&a->out, "the interrupted finish was finished");
	}
	return x;
}

enum exit_code network_resume(struct app *a, bool go_on, struct err *err)
{
	struct err e = {0};
	json_t *marks = NULL;
	bool open = journal_marks(a->db, "begin ", &marks, NULL) == 0 && json_array_size(marks) > 0;
	json_decref(marks);
	if (!open || locks_take(a->locks, LOCK_NET, NULL) < 0)
		return EXIT_DONE; /* nothing, or its owner lives */
	enum exit_code x = resume_locked(a, go_on, &e);
	locks_drop(a->locks, LOCK_NET);
	if (x == EXIT_DONE) {
		out_set(&a->out, "network-resumed", json_true());
		return x;
	}
	out_set(&a->out, "network-open", json_string(e.text));
	if (err)
		*err = e;
	else if (!a->out.json)
		fprintf(stderr, "shunt: note: %s\n", e.text);
	return x;
}
