/* reinstall and return: the client server's addresses to the transit server, and home. One sequence serves both: the intent on disk, the
 * plan applied by the host that gains the addresses (it asks the others), the proof that every host says so, the confirmation, and then the
 * clock, in one transaction with the end of the intent. Whatever fails, or was interrupted, is decided by what that host says of its plan.
 */
#include "control/moved.h"
#include "control/network.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MARK_ALONE "reinstall without the client server"

struct shift {
	const char *name; /* the command, and its clock */
	const char *mark;
	const char *plan;
	enum side gains;
	const char *gives[2]; /* the plans of the other host; on one segment it must have the first */
	network_guard *guard;
	const char *done;
};

static int may_reinstall(struct app *a, struct err *err)
{
	return network_all_on(a, SIDE_TRANSIT, "reinstall", err);
}

static int may_return(struct app *a, struct err *err)
{
	if (network_clock(a, "reinstall"))
		return 0;
	return err_set(err, -EPERM, "return refused: the addresses have not gone to the transit server; shunt reinstall does that");
}

static const struct shift reinstall = {"reinstall",
				       MARK_REINSTALL,
				       "takeover",
				       SIDE_TRANSIT,
				       {"give", "forward"},
				       may_reinstall,
				       "the client server's addresses are on the transit server"};
static const struct shift homeward = {
	"return", MARK_RETURN, "return", SIDE_CLIENT, {"yield", NULL}, may_return, "the client server's addresses are home again"};

static enum side other(enum side s)
{
	return s == SIDE_CLIENT ? SIDE_TRANSIT : SIDE_CLIENT;
}

static void point(struct app *a, const struct shift *k, const char *what, const char *when)
{
	char step[40];
	snprintf(step, sizeof(step), "%s-%s", k->name, what);
	app_at(a, step, when);
}

/* ---- how it ends ---- */

/* It has not happened. x: EXIT_REFUSED when it never began, else EXIT_UNDONE. */
static enum exit_code not_done(struct app *a, const struct shift *k, enum exit_code x, const char *reason, struct err *err)
{
	char why[700], what[60];
	struct err e = {0};
	snprintf(why, sizeof(why), "%.690s", reason);
	snprintf(what, sizeof(what), "%s %s", k->name, x == EXIT_UNDONE ? "undone" : "refused");
	journal_set_mark(a->db, MARK_ALONE, false, NULL);
	int rc = network_end(a, k->mark, what, why, &e);
	err_set(err, -EIO, "%s %s: %s%s%.200s", k->name, x == EXIT_UNDONE ? "failed and was undone" : "refused, nothing changed", why,
		rc < 0 ? "; but that could not be written, so shunt resume must: " : "", rc < 0 ? e.text : "");
	return x;
}

static enum exit_code open_still(const struct shift *k, const char *why, const char *then, struct err *err)
{
	char text[700];
	snprintf(text, sizeof(text), "%.690s", why);
	err_set(err, -EIO, "%s is not over: %s. %s", k->name, text, then);
	return EXIT_STUCK;
}

static enum exit_code done(struct app *a, const struct shift *k, const json_t *status, struct err *err)
{
	json_t *e = json_pack("{s:O?}", "plan", netctl_plan(status, k->plan));
	int rc = journal_begin(a->db, err);
	if (rc == 0)
		rc = journal_clock_start(a->db, k->name, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, k->mark, false, err);
	if (rc == 0)
		rc = journal_set_mark(a->db, MARK_ALONE, false, err);
	if (rc == 0)
		rc = journal_note(a->db, NULL, 0, k->done, e, err);
	if (rc == 0)
		rc = journal_commit(a->db, err);
	else
		journal_rollback(a->db);
	json_decref(e);
	if (rc == 0)
		return EXIT_DONE;
	err_wrap(err, "%s, but that could not be written: mend that, then shunt resume", k->done);
	return EXIT_STUCK;
}

static enum exit_code take_back(struct app *a, const struct shift *k, const char *reason, struct err *err)
{
	char why[500], text[700];
	struct err e = {0};
	snprintf(why, sizeof(why), "%.490s", reason);
	point(a, k, "revert", "before");
	int rc = netctllink_ask(a->netctl[k->gains], "revert", json_pack("{s:s}", "plan", k->plan), 0, NULL, NULL, &e);
	point(a, k, "revert", "after");
	if (rc == 0)
		return not_done(a, k, EXIT_UNDONE, why, err);
	snprintf(text, sizeof(text), "%.400s, and taking it back failed (%.250s)", why, e.text);
	return open_still(k, text, "Nobody having confirmed it, it reverts by itself; shunt resume looks again", err);
}

/* ---- the proof ---- */

/* Does the host that gains the addresses have them, and nothing changed since? Text in err. */
static int proof_of_gain(const struct shift *k, const json_t *plan, struct err *err)
{
	const char *trouble = netctl_plan_trouble(plan);
	return trouble ? err_set(err, -EIO, "the %s server's %s is not as it was made: %.400s", side_name(k->gains), k->plan, trouble) : 0;
}

static int proof_of_giving(const struct shift *k, const json_t *status, struct err *err)
{
	const char *topology = json_string_value(json_object_get(status, "topology")), *host = side_name(other(k->gains));
	for (size_t i = 0; i < 2 && k->gives[i]; i++) {
		const json_t *plan = netctl_plan(status, k->gives[i]);
		const char *trouble = netctl_plan_trouble(plan);
		if (trouble)
			return err_set(err, -EIO, "the %s server's %s is not as it was made: %.400s", host, k->gives[i], trouble);
		if (plan && !netctl_plan_is(plan, "pending") && !netctl_plan_is(plan, "confirmed"))
			return err_set(err, -EIO, "the %s server's %s is %s", host, k->gives[i],
				       json_string_value(json_object_get(plan, "state")));
		if (i == 0 && !plan && topology && strcmp(topology, "segment") == 0)
			return err_set(err, -EIO, "the %s server has not let go of the addresses (no plan %s)", host, k->gives[i]);
	}
	return 0;
}

static int prove(struct app *a, const struct shift *k, const json_t *plan, bool alone, struct err *err)
{
	json_t *status = NULL;
	int rc = proof_of_gain(k, plan, err);
	if (rc < 0 || alone)
		return rc;
	rc = netctllink_wait(a->netctl[other(k->gains)], &status, err);
	if (rc == 0)
		rc = proof_of_giving(k, status, err);
	json_decref(status);
	return rc;
}

/* ---- the sequence ---- */

/* From whatever is true now to an end. why: what has failed already, or NULL. */
static enum exit_code decide(struct app *a, const struct shift *k, bool alone, const char *why, struct err *err);

static enum exit_code confirm(struct app *a, const struct shift *k, bool alone, const json_t *status, struct err *err)
{
	struct err e = {0};
	point(a, k, "confirm", "before");
	int rc = netctllink_ask(a->netctl[k->gains], "confirm", json_pack("{s:s}", "plan", k->plan), 0, NULL, NULL, &e);
	point(a, k, "confirm", "after");
	return rc == 0 ? done(a, k, status, err) : decide(a, k, alone, e.text, err);
}

static enum exit_code decide(struct app *a, const struct shift *k, bool alone, const char *why, struct err *err)
{
	json_t *status = NULL;
	struct err e = {0};
	enum exit_code x;
	char text[700];

	if (netctllink_wait(a->netctl[k->gains], &status, &e) < 0) {
		snprintf(text, sizeof(text), "%.300s%s%.390s", why ? why : "", why ? "; " : "", e.text);
		return open_still(k, text, "What nobody confirms reverts by itself; shunt resume looks again", err);
	}
	const json_t *plan = netctl_plan(status, k->plan);
	if (!plan) {
		x = not_done(a, k, EXIT_UNDONE, why ? why : "it was not confirmed in time", err);
	} else if (netctl_plan_is(plan, "confirmed")) {
		x = done(a, k, status, err);
	} else if (!netctl_plan_is(plan, "pending")) {
		const char *state = json_string_value(json_object_get(plan, "state")), *trouble = netctl_plan_trouble(plan);
		snprintf(text, sizeof(text), "%.300s%sits plan %s on the %s server is %s%s%.200s", why ? why : "", why ? "; " : "", k->plan,
			 side_name(k->gains), state ? state : "in no state", trouble ? ": " : "", trouble ? trouble : "");
		x = open_still(k, text, "shunt-netctl status there says more; mend it, then shunt resume", err);
	} else if (why) {
		x = take_back(a, k, why, err);
	} else if (prove(a, k, plan, alone, &e) < 0) {
		x = take_back(a, k, e.text, err);
	} else {
		x = confirm(a, k, alone, status, err);
	}
	json_decref(status);
	return x;
}

static enum exit_code apply(struct app *a, const struct shift *k, const struct network_wish *w, struct err *err)
{
	json_t *fields = json_pack("{s:s}", "plan", k->plan);
	enum ctl_code code = CTL_FAILED;
	struct err e = {0};
	if (w->confirm > 0)
		json_object_set_new(fields, "confirm", json_integer(w->confirm));
	if (w->without_client)
		json_object_set_new(fields, "without-peer", json_true());
	point(a, k, "apply", "before");
	int rc = netctllink_ask(a->netctl[k->gains], "apply", fields, 0, NULL, &code, &e);
	point(a, k, "apply", "after");
	if (rc == -EHOSTUNREACH || (rc == -EPROTO && code <= CTL_USAGE))
		return not_done(a, k, code == CTL_USAGE ? EXIT_USAGE : EXIT_REFUSED, e.text, err);
	return decide(a, k, w->without_client, rc == -EPROTO ? e.text : NULL, err); /* a lost answer: what is true decides */
}

/* Both hosts must answer before anything is begun; *plan borrows from *status. */
static int look(struct app *a, const struct shift *k, bool alone, json_t **status, const json_t **plan, struct err *err)
{
	json_t *unused = NULL;
	int rc = alone ? 0 : netctllink_wait(a->netctl[other(k->gains)], &unused, err);
	json_decref(unused);
	if (rc == 0)
		rc = netctllink_wait(a->netctl[k->gains], status, err);
	if (rc < 0)
		return err_wrap(err, network_mark(a, k->mark) ? "%s was interrupted and is not over" : "%s refused, nothing changed",
				k->name);
	*plan = netctl_plan(*status, k->plan);
	if (!*plan || netctl_plan_is(*plan, "confirmed") || (network_mark(a, k->mark) && netctl_plan_is(*plan, "pending")))
		return 0;
	return err_set(err, -EPERM, "%s refused: the plan %s is %s on the %s server, by %s: confirm or revert it there (shunt-netctl)",
		       k->name, k->plan, member_text_or(*plan, "state", "in no state"), side_name(k->gains),
		       member_text_or(*plan, "by", "nobody"));
}

static int begin(struct app *a, const struct shift *k, const struct network_wish *w, struct err *err)
{
	int rc = journal_set_mark(a->db, MARK_ALONE, w->without_client, err);
	if (rc == 0 && !network_mark(a, k->mark))
		rc = network_begin(a, k->mark, k->guard, err);
	if (rc == 0)
		point(a, k, "intent", "after");
	return rc;
}

/* What comes home is to find the proxy: else requests of accounts that are still away would reach whatever serves there. */
static int intercept_first(struct app *a, const struct shift *k, struct err *err)
{
	enum ctl_code code;
	if (k != &homeward || !app_intercepts(a))
		return 0;
	int rc = moved_intercept(a, &code, err);
	return rc < 0 ? err_wrap(err, "return refused, the addresses stay where they are: no interception") : 0;
}

static enum exit_code shift(struct app *a, const struct shift *k, const struct network_wish *w, bool *already, struct err *err)
{
	json_t *status = NULL;
	const json_t *plan = NULL;
	enum exit_code x;
	*already = network_clock(a, k->name);
	if (*already)
		return EXIT_DONE;
	int rc = network_need(a, k->gains, k->name, err);
	if (rc == 0 && !w->without_client)
		rc = network_need(a, other(k->gains), k->name, err);
	if (rc == 0 && !network_mark(a, k->mark))
		rc = k->guard(a, err);
	if (rc == 0)
		rc = look(a, k, w->without_client, &status, &plan, err);
	if (rc == 0)
		rc = intercept_first(a, k, err);
	if (rc == 0)
		rc = begin(a, k, w, err);
	if (rc < 0)
		x = network_mark(a, k->mark) ? EXIT_STUCK : exit_of(rc);
	else
		x = plan ? decide(a, k, w->without_client, NULL, err) : apply(a, k, w, err);
	json_decref(status);
	return x;
}

static enum exit_code alone_at_it(struct app *a, const struct shift *k, const struct network_wish *w, bool *already, struct err *err)
{
	int rc = locks_take(a->locks, LOCK_NET, err);
	*already = false;
	if (rc < 0) {
		err_wrap(err, "%s refused", k->name);
		return exit_of(rc);
	}
	enum exit_code x = shift(a, k, w, already, err);
	locks_drop(a->locks, LOCK_NET);
	return x;
}

enum exit_code network_may_reinstall(struct app *a, bool without_client, struct err *err)
{
	if (network_clock(a, "reinstall") || network_mark(a, MARK_REINSTALL))
		return EXIT_DONE;
	int rc = network_need(a, SIDE_TRANSIT, "reinstall", err);
	if (rc == 0 && !without_client)
		rc = network_need(a, SIDE_CLIENT, "reinstall", err);
	return exit_of(rc < 0 ? rc : may_reinstall(a, err));
}

int network_may_return(struct app *a, struct err *err)
{
	int rc = network_clock(a, "return") ? 0 : network_need(a, SIDE_CLIENT, "return", err);
	if (rc == 0 && !network_clock(a, "return"))
		rc = network_need(a, SIDE_TRANSIT, "return", err);
	return rc == 0 ? may_return(a, err) : rc;
}

enum exit_code network_reinstall(struct app *a, const struct network_wish *wish, bool *already, struct err *err)
{
	return alone_at_it(a, &reinstall, wish, already, err);
}

/* The transit server's way back to the proxy led to the station of the old client server: looked for anew. */
static void reply_again(struct app *a)
{
	struct err err = {0};
	if (!network_mark(a, MARK_REPLY) || !a->netctl[SIDE_TRANSIT] ||
	    netctllink_ask(a->netctl[SIDE_TRANSIT], "apply", json_pack("{s:s, s:i}", "plan", "reply", "confirm", 0), 0, NULL, NULL, &err) ==
		    0)
		return;
	out_set(&a->out, "warning", json_string(err.text));
	if (!a->out.json)
		fprintf(stderr, "shunt: warning: answers of the transit server may not find the proxy (%s): shunt start tries again\n",
			err.text);
}

enum exit_code network_return(struct app *a, const struct network_wish *wish, bool *already, struct err *err)
{
	enum exit_code x = alone_at_it(a, &homeward, wish, already, err);
	if (x == EXIT_DONE && !*already)
		reply_again(a);
	return x;
}

/* ---- what was interrupted ---- */

static enum exit_code resume(struct app *a, const struct shift *k, bool go_on, struct err *err)
{
	json_t *status = NULL;
	enum exit_code x;
	bool alone = network_mark(a, MARK_ALONE);

	if (!network_mark(a, k->mark))
		return EXIT_DONE;
	int rc = network_need(a, k->gains, k->name, err);
	if (rc == 0 && !alone)
		rc = network_need(a, other(k->gains), k->name, err);
	if (rc < 0)
		return EXIT_STUCK;
	if (!go_on) { /* in passing: without patience, and without a change of the network */
		struct err e = {0};
		rc = netctllink_ask(a->netctl[k->gains], "status", NULL, 5000, &status, NULL, &e);
		const json_t *plan = netctl_plan(status, k->plan);
		bool pending = netctl_plan_is(plan, "pending");
		json_int_t left = json_integer_value(json_object_get(plan, "reverts-in"));
		json_decref(status);
		if (rc < 0)
			return open_still(k, e.text, "shunt resume looks again", err);
		if (pending) {
			err_set(err, -EAGAIN,
				"%s was interrupted and is pending: it reverts by itself in %lld s, unless shunt resume or shunt %s "
				"confirms it before",
				k->name, (long long)left, k->name);
			return EXIT_STUCK;
		}
	}
	x = decide(a, k, alone, NULL, err);
	if (x == EXIT_DONE)
		out_line(&a->out, "the interrupted %s was finished: %s", k->name, k->done);
	else if (x == EXIT_UNDONE)
		out_line(&a->out, "the interrupted %s was undone: the addresses are where they were", k->name);
	return x == EXIT_UNDONE ? EXIT_DONE : x; /* to resume it was to undo it */
}

enum exit_code takeover_resume(struct app *a, bool go_on, struct err *err)
{
	enum exit_code x = resume(a, &reinstall, go_on, err);
	return x == EXIT_DONE ? resume(a, &homeward, go_on, err) : x;
}
