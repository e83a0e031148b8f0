/* status: what is true now. The proxy is asked where it answers; what comes from the database alone is said to. */
#include "control/app.h"
#include "control/clocks.h"
#include "control/dnsdebt.h"
#include "control/network.h"
#include "control/price.h"
#include "control/status.h"
#include "control/stragglers.h"
#include "control/watch.h"
#include "lib/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the server ---- */

/* As the proxy has it; an account of which it does not tell, as the state has it. */
static void count_sides(struct app *a, json_t *list, size_t n[2])
{
	struct acctset set = {0};
	const char *name;
	json_t *o;
	enum side s;
	if (app_state_missing(a)) {
		json_object_foreach (list, name, o) {
			const char *now = json_string_value(json_object_get(o, "side"));
			if (now && side_parse(&s, now))
				n[s]++;
		}
		return;
	}
	if (journal_accounts(a->db, &set, NULL) < 0)
		return;
	for (size_t i = 0; i < set.n; i++) {
		s = set.defs[i].side;
		const char *now = json_string_value(json_object_get(json_object_get(list, set.defs[i].name), "side"));
		if (now)
			side_parse(&s, now);
		n[s]++;
	}
	acctset_done(&set);
}

static void show_sides(struct app *a, json_t *status, json_t *list)
{
	size_t n[2] = {0, 0};
	json_t *sides = json_object();
	count_sides(a, list, n);
	out_line(&a->out, "%-10s %9s %12s %14s %14s %8s", "side", "accounts", "requests", "bytes up", "bytes down", "errors");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		const char *name = side_name((enum side)s);
		json_t *t = json_object_get(json_object_get(status, "sides"), name);
		json_t *o = t ? json_deep_copy(t) : json_object();
		json_object_set_new(o, "accounts", json_integer((json_int_t)n[s]));
		json_object_set_new(sides, name, o);
		if (t)
			out_line(&a->out, "%-10s %9zu %12lld %14lld %14lld %8lld", name, n[s],
				 (long long)json_integer_value(json_object_get(t, "requests")),
				 (long long)json_integer_value(json_object_get(t, "bytes-up")),
				 (long long)json_integer_value(json_object_get(t, "bytes-down")),
				 (long long)json_integer_value(json_object_get(t, "errors")));
		else
			out_line(&a->out, "%-10s %9zu %12s %14s %14s %8s", name, n[s], "-", "-", "-", "-");
	}
	out_set(&a->out, "sides", sides);
}

/* Every bound of the data plane, so that nobody has to look up what is in force. */
static void show_limits(struct app *a, const json_t *status)
{
	const char *key;
	json_t *v;
	char line[100] = "";
	json_object_foreach (json_object_get(status, "limits"), key, v) {
		char one[64];
		int n = snprintf(one, sizeof(one), "%s %lld", key, (long long)json_integer_value(v));
		if (*line && strlen(line) + (size_t)n + 2 > 90) {
			out_line(&a->out, "%-10s %s", "limits", line);
			*line = '\0';
		}
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s", *line ? ", " : "", one);
	}
	if (*line)
		out_line(&a->out, "%-10s %s", "limits", line);
}

/* Before the day on which no host answers any more. */
static void show_certificate(struct app *a)
{
	const struct conf_tls *c = &a->conf->tls;
	char warning[TLS_TEXT_MAX];
	struct tls *t = NULL;
	struct err e = {0};
	if (!c->present)
		return;
	int rc = tls_new(&t, c->ca, c->cert, c->key, &e);
	if (rc == -EACCES) /* the daemons' alone: then we use Unix sockets, or the proxy's line says it */
		return;
	bool bad = rc < 0;
	if (bad || tls_warning(t, warning)) {
		out_line(&a->out, "%-10s WARNING: %s", "tls", bad ? e.text : warning);
		out_set(&a->out, "tls-warning", json_string(bad ? e.text : warning));
	}
	tls_free(t);
}

/* Else one who looks on another host is told that nothing has begun. */
static void show_missing(struct app *a)
{
	out_line(&a->out, "%-10s there is none at %s: nothing has begun, or shunt is run on another host", "state", app_state_path(a));
	out_set(&a->out, "state-missing", json_true());
}

static void show_proxy(struct app *a, json_t *status)
{
	json_t *now = json_object_get(status, "connections");
	const char *table = json_string_value(json_object_get(json_object_get(status, "table"), "state"));
	out_line(&a->out, "%-10s answers at %s (pid %lld), %lld connections", "proxy", app_proxy_address(a),
		 (long long)json_integer_value(json_object_get(status, "pid")), (long long)json_integer_value(json_object_get(now, "now")));
	if (table && strcmp(table, "damaged") == 0)
		out_line(&a->out, "%-10s DAMAGED on disk: every request is refused until shunt resume has told it the accounts", "table");
	json_t *o = json_copy(status);
	json_object_del(o, "v");
	json_object_del(o, "id");
	json_object_del(o, "ok");
	json_object_del(o, "notice");
	out_set(&a->out, "proxy", o);
}

static enum exit_code status_all(struct app *a)
{
	struct err e = {0};
	json_t *status = NULL, *list = NULL;
	bool elsewhere = app_state_missing(a);
	int rc = proxylink_ask(a->proxy, "status", NULL, 0, &status, &e);
	if (rc == 0)
		rc = proxylink_list(a->proxy, &list, &e);
	if (a->conf->server)
		out_line(&a->out, "%-10s %s", "server", a->conf->server);
	if (elsewhere)
		show_missing(a);
	bool told = elsewhere && notice_show(a, status);
	if (!told)
		status_step(a);
	if (rc == 0) {
		show_proxy(a, status);
	} else {
		out_line(&a->out, "%-10s AWAY: %s", "proxy", e.text);
		out_set(&a->out, "proxy", json_null());
		out_set(&a->out, "proxy-away", json_string(e.text));
	}
	show_certificate(a);
	network_status(a);
	dnsdebt_status(a);
	show_sides(a, status, list);
	show_limits(a, status);
	if (!told)
		status_moves(a, NULL);
	json_decref(status);
	json_decref(list);
	return EXIT_DONE;
}

/* ---- one account ---- */

static void show_way_back(struct app *a, const struct account_row *row, json_t *o)
{
	struct move_row last;
	int64_t at;
	char text[TIME_TEXT_MAX];
	if (row->def.side != SIDE_TRANSIT || journal_clock(a->db, "reinstall", &at, NULL) == 0 ||
	    journal_move_last(a->db, row->def.name, "migrate", &last, NULL) < 0)
		return;
	int64_t until = last.started + a->conf->control.rollback_days * DAY_MS;
	time_text(until, text);
	json_object_set_new(o, "rollback-until", json_string(text));
	if (until < now_ms())
		out_line(&a->out, "%-10s was possible until %s, now with --force only", "rollback", text);
	else
		out_line(&a->out, "%-10s possible until %s", "rollback", text);
	move_row_done(&last);
}

/* What a rollback would leave behind, while there can be one. */
static void show_price(struct app *a, const struct account_row *row, const json_t *answer, const char *why, json_t *o)
{
	int64_t at;
	if (row->def.side != SIDE_TRANSIT || journal_clock(a->db, "reinstall", &at, NULL) == 0)
		return;
	json_t *price = price_from(a, row, answer, why);
	out_line(&a->out, "%-10s %s", "price", price_text(price));
	json_object_set_new(o, "price", price);
}

static void show_traffic(struct app *a, json_t *answer)
{
	json_t *stats = json_object_get(answer, "stats");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		json_t *t = json_object_get(stats, side_name((enum side)s));
		if (t)
			out_line(&a->out, "%-10s %lld request%s, %lld bytes up, %lld bytes down, %lld errors", side_name((enum side)s),
				 (long long)json_integer_value(json_object_get(t, "requests")),
				 json_integer_value(json_object_get(t, "requests")) == 1 ? "" : "s",
				 (long long)json_integer_value(json_object_get(t, "bytes-up")),
				 (long long)json_integer_value(json_object_get(t, "bytes-down")),
				 (long long)json_integer_value(json_object_get(t, "errors")));
	}
	out_line(&a->out, "%-10s %lld in flight, %lld waiting", "now", (long long)json_integer_value(json_object_get(answer, "flows")),
		 (long long)json_integer_value(json_object_get(answer, "parked")));
}

/* On another host than the controller: as the proxy has it, and what the controller left there. */
static enum exit_code status_one_elsewhere(struct app *a, const char *name, struct err *err)
{
	json_t *answer = NULL, *status = NULL;
	show_missing(a);
	int rc = proxylink_ask(a->proxy, "account", json_pack("{s:s}", "name", name), 0, &answer, err);
	if (rc == 0)
		rc = proxylink_ask(a->proxy, "status", NULL, 0, &status, err);
	if (rc == 0) {
		json_t *now = json_object_get(answer, "account");
		const char *side = json_string_value(json_object_get(now, "side")), *gate = json_string_value(json_object_get(now, "gate"));
		json_t *o = json_pack("{s:s, s:s, s:s, s:O?, s:O?, s:O?}", "name", name, "side", side ? side : "unknown", "gate",
				      gate ? gate : "unknown", "stats", json_object_get(answer, "stats"), "flows",
				      json_object_get(answer, "flows"), "parked", json_object_get(answer, "parked"));
		out_line(&a->out, "%-10s %s", "account", name);
		out_line(&a->out, "%-10s %s, gate %s", "side", side ? side : "unknown", gate ? gate : "unknown");
		show_traffic(a, answer);
		notice_show_moves(a, status, name, o);
		out_set(&a->out, "account", o);
	}
	json_decref(answer);
	json_decref(status);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}

static enum exit_code status_one(struct app *a, const char *name, struct err *err)
{
	struct account_row row;
	struct err e = {0};
	json_t *answer = NULL;
	char at[TIME_TEXT_MAX];

	int rc = journal_account(a->db, name, &row, err);
	if (rc < 0)
		return exit_of(rc);
	json_t *o = json_pack("{s:s, s:s, s:s}", "name", row.def.name, "database-side", side_name(row.def.side), "since",
			      time_text(row.since, at));
	const char *side = side_name(row.def.side), *gate = "unknown";
	rc = proxylink_ask(a->proxy, "account", json_pack("{s:s}", "name", row.def.name), 0, &answer, &e);
	if (rc == 0) {
		json_t *now = json_object_get(answer, "account");
		side = json_string_value(json_object_get(now, "side"));
		gate = json_string_value(json_object_get(now, "gate"));
	}
	json_object_set_new(o, "side", json_string(side ? side : "unknown"));
	json_object_set_new(o, "gate", json_string(gate ? gate : "unknown"));
	out_line(&a->out, "%-10s %s", "account", row.def.name);
	out_line(&a->out, "%-10s %s since %s, gate %s", "side", side ? side : "unknown", at, gate ? gate : "unknown");
	if (rc < 0) {
		out_line(&a->out, "%-10s AWAY: %s", "proxy", e.text);
		json_object_set_new(o, "proxy-away", json_string(e.text));
	} else {
		show_traffic(a, answer);
		json_object_set(o, "stats", json_object_get(answer, "stats"));
		json_object_set(o, "flows", json_object_get(answer, "flows"));
		json_object_set(o, "parked", json_object_get(answer, "parked"));
		stragglers_brief(a, row.def.name, o);
	}
	dnsdebt_status_of(a, row.def.name, o);
	show_way_back(a, &row, o);
	show_price(a, &row, answer, e.text, o);
	status_moves(a, row.def.name);
	out_set(&a->out, "account", o);
	json_decref(answer);
	account_row_done(&row);
	return EXIT_DONE;
}

static enum exit_code status(struct app *a, char **words, int n, struct err *err)
{
	if (n && app_state_missing(a))
		return status_one_elsewhere(a, words[0], err);
	return n ? status_one(a, words[0], err) : status_all(a);
}

enum exit_code cmd_status(struct app *a, char **words, int n, struct err *err)
{
	if (a->opt.watch)
		return watch(a, status, words, n, err);
	enum exit_code x = app_read(a, err);
	return x ? x : status(a, words, n, err);
}
