#include "control/guards.h"

#include "control/dnsdebt.h"
#include "control/network.h"
#include "control/probe.h"
#include "control/stragglers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAMES_SHOWN 8

/* ---- a list of guards that were looked at ---- */

struct looked {
	struct app *app;
	json_t *rows;
	size_t refused;
	struct err *first;
};

static void looked_init(struct looked *l, struct app *a, struct err *err)
{
	*l = (struct looked){.app = a, .rows = json_array(), .first = err};
	out_set(&a->out, "guards", l->rows);
}

/* Told as a line where nothing else would be: in a dry run, and where it was passed over. */
static void add(struct looked *l, const char *guard, bool ok, bool may_force, const char *said)
{
	struct app *a = l->app;
	bool forced = !ok && may_force && a->opt.force;
	json_t *row = json_pack("{s:s, s:b, s:s}", "guard", guard, "ok", ok, "said", said);
	if (forced)
		json_object_set_new(row, "forced", json_true());
	json_array_append_new(l->rows, row);
	if (a->opt.dry_run)
		out_line(&a->out, "%-10s %-10s %s%s",
			 ok       ? "ok"
			 : forced ? "forced"
				  : "REFUSES",
			 guard, said, !ok && !forced && may_force ? "; or --force" : "");
	else if (forced && !a->out.json)
		fprintf(stderr, "shunt: warning: passed over by --force: %s\n", said);
	if (ok || forced)
		return;
	if (l->refused++ == 0)
		err_set(l->first, -EPERM, "%s%s", said, may_force ? "; --force passes over it" : "");
}

static void add_rc(struct looked *l, const char *guard, int rc, const struct err *e, bool may_force, const char *good)
{
	add(l, guard, rc == 0, may_force, rc == 0 ? good : e->text);
}

static enum exit_code verdict(struct looked *l)
{
	char first[sizeof(l->first->text)];
	if (l->refused == 0)
		return EXIT_DONE;
	if (l->refused > 1) {
		snprintf(first, sizeof(first), "%s", l->first->text);
		err_set(l->first, -EPERM, "%.1500s (and %zu more: --dry-run shows all)", first, l->refused - 1);
	}
	return EXIT_REFUSED;
}

/* ---- reinstall ---- */

/* Of each account what was found first; --json and `probes` have the rest. */
static void failed_names(const json_t *failed, char *out, size_t cap)
{
	size_t i, at = 0;
	json_t *f;
	*out = '\0';
	json_array_foreach (failed, i, f) {
		const char *why = json_string_value(json_object_get(f, "why"));
		size_t first = strcspn(why, ";");
		if (i < NAMES_SHOWN && at < cap)
			at += (size_t)snprintf(out + at, cap - at, "%s%s (%.*s%s)", i ? "; " : "",
					       json_string_value(json_object_get(f, "account")), (int)(first < 200 ? first : 200), why,
					       why[first] ? ", and more" : "");
	}
	if (json_array_size(failed) > NAMES_SHOWN && at < cap)
		snprintf(out + at, cap - at, "; and %zu more accounts", json_array_size(failed) - NAMES_SHOWN);
}

static void answers(struct looked *l)
{
	struct app *a = l->app;
	char said[2600], names[2300], rest[80] = "";
	json_t *sum = NULL;
	struct err e = {0};
	if (!a->conf->control.probe || a->opt.without_client) {
		add(l, "answers", true, true,
		    a->opt.without_client ? "not asked: the client server's proxy is not there" : "not asked (probe = false)");
		return;
	}
	int rc = probe_all(a, SIDE_TRANSIT, &sum, &e);
	if (rc < 0) {
		snprintf(said, sizeof(said), "reinstall refused: whether the transit server answers could not be asked: %.900s", e.text);
		add(l, "answers", false, rc != -EINTR, said);
		return;
	}
	const json_t *failed = json_object_get(sum, "failed");
	json_int_t unasked = json_integer_value(json_object_get(sum, "unasked"));
	size_t n = json_array_size(failed);
	if (unasked)
		snprintf(rest, sizeof(rest), "; %lld more have nothing that a listener carries", (long long)unasked);
	failed_names(failed, names, sizeof(names));
	if (n)
		snprintf(said, sizeof(said),
			 "reinstall refused: the transit server does not answer for %zu of %lld accounts: %s. Mend them there", n,
			 (long long)json_integer_value(json_object_get(sum, "accounts")), names);
	else
		snprintf(said, sizeof(said), "the transit server answers for each of %lld accounts (%lld probes%s)",
			 (long long)(json_integer_value(json_object_get(sum, "accounts")) - unasked),
			 (long long)json_integer_value(json_object_get(sum, "probes")), rest);
	add(l, "answers", n == 0, true, said);
	out_set(&a->out, "probes", sum);
}

/* What was found, and what was passed over, is part of the evidence; should it not be written, neither will the intent be. */
static enum exit_code recorded(struct looked *l)
{
	struct app *a = l->app;
	enum exit_code x = verdict(l);
	if (x || a->opt.dry_run)
		return x;
	json_t *e = json_pack("{s:O}", "guards", l->rows);
	int rc = journal_note(a->db, NULL, 0, "the guards of reinstall were satisfied", e, l->first);
	json_decref(e);
	return exit_of(rc);
}

enum exit_code guards_reinstall(struct app *a, struct err *err)
{
	struct looked l;
	struct err e = {0};
	char said[700];
	looked_init(&l, a, err);
	bool begun = network_clock(a, "reinstall") || network_mark(a, MARK_REINSTALL);
	enum exit_code x = network_may_reinstall(a, a->opt.without_client, &e);
	add_rc(&l, "accounts", x == EXIT_DONE ? 0 : -EPERM, &e, false,
	       begun ? "it has begun already" : "every account is on the transit server");
	if (begun || (x && !a->opt.dry_run))
		return verdict(&l);
	answers(&l);
	add_rc(&l, "dns", dnsdebt_may_reinstall(a, &e), &e, true,
	       a->dns ? "published: nothing is owed, and no name server lags" : "not configured");
	if (a->opt.without_client)
		return recorded(&l);
	stragglers_total(a, said, sizeof(said));
	add(&l, "stragglers", true, true, said);
	if (!a->opt.dry_run && l.refused == 0)
		out_line(&a->out, "%s", said);
	return recorded(&l);
}

/* ---- the others ---- */

enum exit_code guards_start(struct app *a, struct err *err)
{
	struct looked l;
	struct err e = {0};
	looked_init(&l, a, err);
	int rc = network_may_start(a, &e);
	add_rc(&l, "network", rc, &e, false, network_started(a) ? "started already" : "nothing is in the way");
	return verdict(&l);
}

enum exit_code guards_return(struct app *a, struct err *err)
{
	struct looked l;
	struct err e = {0};
	looked_init(&l, a, err);
	add_rc(&l, "addresses", network_may_return(a, &e), &e, false,
	       network_clock(a, "return") ? "they came home already" : "they are on the transit server");
	return verdict(&l);
}

enum exit_code guards_finish(struct app *a, struct err *err)
{
	struct looked l;
	struct err e = {0};
	looked_init(&l, a, err);
	add_rc(&l, "accounts", network_may_finish(a, &e), &e, false, "every account is home");
	add_rc(&l, "dns", dnsdebt_may_finish(a, &e), &e, false, a->dns ? "every record is as it was" : "not configured");
	return verdict(&l);
}

/* ---- what would happen ---- */

static void would(struct app *a, json_t *list, bool holds, const char *text)
{
	if (!holds)
		return;
	out_line(&a->out, "  %s", text);
	json_array_append_new(list, json_string(text));
}

void guards_plan(struct app *a, const char *command, const char *key)
{
	json_t *list = json_array();
	bool intercepts = app_intercepts(a), alone = a->opt.without_client;
	out_set(&a->out, key, list);
	out_line(&a->out, "%s would do this, nothing is changed:", command);
	if (strcmp(command, "start") == 0) {
		bool done = network_started(a);
		would(a, list, done, "nothing: it was said already");
		would(a, list, !done && network_needs_reply(a->conf),
		      "put the way back of answers in force on the transit server (plan reply)");
		would(a, list, !done && intercepts, "intercept the pairs' client addresses on the client server (plan intercept)");
		would(a, list, !done && !network_clock(a, "start"),
		      "start the clock of the transit server: two weeks free, then billed by the day");
	} else if (strcmp(command, "reinstall") == 0) {
		bool done = network_clock(a, "reinstall");
		would(a, list, done, "nothing: the addresses went to the transit server already");
		would(a, list, !done, "write the intent: no move begins from there on");
		would(a, list, !done && !alone,
		      "the client server lets go of its addresses, and the transit server takes them (plan takeover)");
		would(a, list, !done && alone,
		      "the transit server takes the addresses, and the client server is not asked (plan takeover)");
		would(a, list, !done, "prove that each host has done so; else all of it reverts by itself");
		would(a, list, !done, "start the clock of the reinstallation: no account can be rolled back any more");
	} else if (strcmp(command, "return") == 0) {
		bool done = network_clock(a, "return");
		would(a, list, done, "nothing: the addresses came home already");
		would(a, list, !done && intercepts, "intercept on the client server, so that what comes home finds the proxy");
		would(a, list, !done, "the transit server yields the addresses, and the client server takes them (plan return)");
		would(a, list, !done, "prove that each host has done so; else all of it reverts by itself");
		would(a, list, !done, "start the clock of relocating: one week");
	} else {
		bool done = network_clock(a, "finish") && !network_clock(a, "start");
		would(a, list, done, "nothing: it is finished");
		would(a, list, !done && a->netctl[SIDE_CLIENT], "revert or settle every plan on the client server, the newest first");
		would(a, list, !done && a->netctl[SIDE_TRANSIT], "revert or settle every plan on the transit server, the newest first");
		would(a, list, !done, "look that nothing of ours is left on either");
		would(a, list, !done, "stop the clocks");
	}
}
