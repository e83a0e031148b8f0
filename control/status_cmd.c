/* status, route, log: what is true now. The proxy is asked where it answers; what comes from the database alone is said to. */
#include "control/app.h"
#include "control/clocks.h"
#include "control/dnsdebt.h"
#include "control/network.h"
#include "control/past.h"
#include "control/price.h"
#include "control/stragglers.h"
#include "control/watch.h"
#include "lib/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the server ---- */

static const struct {
	const char *clock, *text;
	int days; /* that it allows; 0: none */
} clocks[] = {
	{"start", "accounts move one by one", TRANSIT_DAYS},
	{"reinstall", "the client server is being reinstalled", 0},
	{"return", "accounts move home one by one", RELOCATE_DAYS},
	{"finish", "over", 0},
};

static void show_clocks(struct app *a)
{
	json_t *o = json_object();
	const char *step = "preparation: no account has moved, and shunt start was not said";
	char at[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int64_t t;
		if (journal_clock(a->db, clocks[i].clock, &t, NULL) == 0)
			step = clocks[i].text;
	}
	out_line(&a->out, "%-10s %s", "step", step);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int64_t t;
		if (journal_clock(a->db, clocks[i].clock, &t, NULL) < 0)
			continue;
		json_t *c = json_pack("{s:s}", "at", time_text(t, at));
		if (clocks[i].days) {
			int64_t left = t + clocks[i].days * DAY_MS - now_ms();
			json_object_set_new(c, "until", json_string(time_text(t + clocks[i].days * DAY_MS, until)));
			out_line(&a->out, "%-10s %s, until %s (%s%.1f days%s)", clocks[i].clock, at, until, left < 0 ? "over since " : "",
				 (double)(left < 0 ? -left : left) / DAY_MS, left < 0 ? "" : " left");
		} else {
			out_line(&a->out, "%-10s %s", clocks[i].clock, at);
		}
		json_object_set_new(o, clocks[i].clock, c);
	}
	out_set(&a->out, "step", json_string(step));
	out_set(&a->out, "clocks", o);
}

static json_t *move_json(const struct move_row *m, bool alive)
{
	char at[TIME_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:s}", "account", m->account, "kind", m->kind,
			      "from", side_name(m->from), "to", side_name(m->to), "state", move_state_name(m->state), "step", m->step,
			      "direction", m->undo ? "undo" : "apply", "alive", alive, "started", time_text(m->started, at), "user",
			      m->who.user, "pid", m->who.pid, "host", m->who.host);
	if (m->percent >= 0)
		json_object_set_new(o, "percent", json_real(m->percent));
	if (m->eta)
		json_object_set_new(o, "eta", json_string(time_text(m->eta, at)));
	if (*m->reason)
		json_object_set_new(o, "reason", json_string(m->reason));
	return o;
}

/* Of all that go the way of those who move now. */
static void show_rest(struct app *a, const struct move_row *first, size_t going)
{
	struct acctset set = {0};
	struct past past = {0};
	int64_t since = 0;
	size_t n = 0, unknown = 0;
	char left[32];
	double gb = 0;
	journal_clock(a->db, "start", &since, NULL);
	if (journal_accounts(a->db, &set, NULL) < 0 || past_read(a->db, first->kind, since, &past, NULL) < 0) {
		acctset_done(&set);
		return;
	}
	double *gbs = calloc(set.n + 1, sizeof(*gbs));
	for (size_t i = 0; gbs && i < set.n; i++) {
		if (set.defs[i].side == first->to)
			continue;
		gbs[n++] = set.defs[i].databases_gb;
		gb += set.defs[i].databases_gb;
		unknown += set.defs[i].databases_gb <= 0;
	}
	double s = gbs ? past_left_s(&past, gbs, n, a->conf->control.parallel) : 0;
	out_line(&a->out, "%-10s %zu of %zu accounts on %s, %zu under way; all others (%.1f GB) take about %s at %.1f GB/min%s", "in all",
		 set.n - n, set.n, side_name(first->to), going, gb, progress_duration((int64_t)(s + 0.999), left), past_gb_per_min(&past),
		 past.n ? "" : ", which is not measured yet");
	out_set(&a->out, "in-all",
		json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I}", "to", side_name(first->to), "there", (json_int_t)(set.n - n),
			  "left", (json_int_t)n, "under-way", (json_int_t)going, "left-gb", gb, "left-s", s, "gb-per-minute",
			  past_gb_per_min(&past), "measured-moves", (json_int_t)past.n, "sizes-unknown", (json_int_t)unknown));
	free(gbs);
	past_done(&past);
	acctset_done(&set);
}

static void show_moves(struct app *a, const char *name)
{
	struct move_rows open;
	json_t *list = json_array();
	out_set(&a->out, "moves", list);
	if (journal_moves_open(a->db, name, &open, NULL) < 0)
		return;
	for (size_t i = 0; i < open.n; i++) {
		const struct move_row *m = &open.rows[i];
		bool alive = a->locks && locks_held(a->locks, m->account_id);
		char who[256], left[32] = "", much[64] = "";
		json_array_append_new(list, move_json(m, alive));
		who_text(m, who, sizeof(who));
		if (m->percent >= 0)
			snprintf(much, sizeof(much), ", %.0f %%", m->percent);
		if (m->eta > now_ms())
			snprintf(much + strlen(much), sizeof(much) - strlen(much), ", about %s left",
				 progress_duration((m->eta - now_ms()) / 1000, left));
		if (m->state == MOVE_STUCK)
			out_line(&a->out, "STUCK      %s: %s -> %s, %s. shunt log %s tells more; mend it, then shunt resume %s", m->account,
				 side_name(m->from), side_name(m->to), m->reason, m->account, m->account);
		else if (!alive)
			out_line(&a->out, "INTERRUPTED %s: %s by %s is gone; shunt resume goes on", m->account, m->kind, who);
		else
			out_line(&a->out, "moving     %s: %s -> %s%s, by %s", m->account, side_name(m->from), side_name(m->to), much, who);
	}
	if (open.n && !name)
		show_rest(a, &open.rows[0], open.n);
	move_rows_done(&open);
}

static void show_sides(struct app *a, json_t *status, json_t *list)
{
	struct acctset set = {0};
	size_t n[2] = {0, 0};
	json_t *sides = json_object();
	if (journal_accounts(a->db, &set, NULL) == 0) {
		for (size_t i = 0; i < set.n; i++) {
			enum side s = set.defs[i].side;
			const char *now = json_string_value(json_object_get(json_object_get(list, set.defs[i].name), "side"));
			if (now)
				side_parse(&s, now);
			n[s]++;
		}
	}
	acctset_done(&set);
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
static bool state_is_missing(const struct app *a)
{
	return access(a->conf->control.state, F_OK) < 0 && errno == ENOENT;
}

static void show_missing(struct app *a)
{
	if (!state_is_missing(a))
		return;
	out_line(&a->out, "%-10s there is none at %s: nothing has begun, or shunt is run on another host", "state", a->conf->control.state);
	out_set(&a->out, "state-missing", json_true());
}

static enum exit_code status_all(struct app *a)
{
	struct err e = {0};
	json_t *status = NULL, *list = NULL;
	if (a->conf->server)
		out_line(&a->out, "%-10s %s", "server", a->conf->server);
	show_missing(a);
	show_clocks(a);
	clocks_status(a);
	if (proxylink_ask(a->proxy, "status", NULL, 0, &status, &e) == 0 && proxylink_list(a->proxy, &list, &e) == 0) {
		json_t *now = json_object_get(status, "connections");
		out_line(&a->out, "%-10s answers at %s (pid %lld), %lld connections", "proxy", app_proxy_address(a),
			 (long long)json_integer_value(json_object_get(status, "pid")),
			 (long long)json_integer_value(json_object_get(now, "now")));
		const char *table = json_string_value(json_object_get(json_object_get(status, "table"), "state"));
		if (table && strcmp(table, "damaged") == 0)
			out_line(&a->out, "%-10s DAMAGED on disk: every request is refused until shunt resume has told it the accounts",
				 "table");
		json_object_del(status, "v");
		json_object_del(status, "id");
		json_object_del(status, "ok");
		out_set(&a->out, "proxy", json_incref(status));
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
	show_moves(a, NULL);
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
	show_moves(a, row.def.name);
	out_set(&a->out, "account", o);
	json_decref(answer);
	account_row_done(&row);
	return EXIT_DONE;
}

static enum exit_code status(struct app *a, char **words, int n, struct err *err)
{
	return n ? status_one(a, words[0], err) : status_all(a);
}

enum exit_code cmd_status(struct app *a, char **words, int n, struct err *err)
{
	if (a->opt.watch)
		return watch(a, status, words, n, err);
	enum exit_code x = app_read(a, err);
	return x ? x : status(a, words, n, err);
}

/* ---- route ---- */

/* "host", "host:443", "[2001:db8::1]:443", "2001:db8::1". */
static int split(const char *text, char *host, size_t cap, long *port, struct err *err)
{
	const char *colon = strrchr(text, ':'), *expected;
	char *end, canon[DOMAIN_MAX + 1];
	struct addr ip;
	*port = 0;
	if (strstr(text, "://"))
		return err_set(err, -EINVAL, "route: found \"%.60s\", expected HOST[:PORT], not a URL", text);
	size_t len = strlen(text);
	if (*text == '[') {
		const char *close = strchr(text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return err_set(err, -EINVAL, "route: found \"%.60s\", expected HOST[:PORT]", text);
		colon = close[1] ? close + 1 : NULL;
		text++;
		len = (size_t)(close - text);
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL; /* an IPv6 address without brackets */
	} else if (colon) {
		len = (size_t)(colon - text);
	}
	if (colon) {
		*port = strtol(colon + 1, &end, 10);
		if (*end || *port < 1 || *port > 65535)
			return err_set(err, -EINVAL, "route: found port \"%.60s\", expected a number from 1 to 65535", colon + 1);
	}
	if (len == 0 || len >= cap)
		return err_set(err, -EINVAL, "route: found a host of %zu characters, expected 1 to %zu", len, cap - 1);
	memcpy(host, text, len);
	host[len] = '\0';
	if (!addr_parse(&ip, host) && !domain_canon(canon, host, true, &expected))
		return err_set(err, -EINVAL, "route: found host \"%.60s\", expected %s, or an address", host, expected);
	return 0;
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : otherwise;
}

/* Which fact decided, in words. */
static void say_why(struct app *a, const json_t *answer)
{
	const char *why = text_of(answer, "why", "the proxy says so"), *account = text_of(answer, "account", "");

	if (strcmp(why, "name") == 0)
		out_line(&a->out, "because %s claims the domain %s", account, text_of(answer, "matched", "?"));
	else if (strcmp(why, "address") == 0 || strcmp(why, "port") == 0 || strcmp(why, "login") == 0)
		out_line(&a->out, "because %s claims the %s", account, why);
	else if (strcmp(why, "unknown") == 0)
		out_line(&a->out, "because no account claims it, and `unknown` of shunt.conf says so");
	else
		out_line(&a->out, "because %s", why);
}

enum exit_code cmd_route(struct app *a, char **words, int n, struct err *err)
{
	char host[DOMAIN_MAX + 8], login[LOGIN_MAX + 1];
	const char *expected;
	long port;
	struct addr ip;
	json_t *answer = NULL;
	(void)n;

	if (split(words[0], host, sizeof(host), &port, err) < 0)
		return EXIT_USAGE;
	if ((a->opt.to && !addr_parse(&ip, a->opt.to)) || a->opt.logins.n > 1) {
		err_set(err, -EINVAL, "route: expected HOST[:PORT], --to an address, and --login once");
		return EXIT_USAGE;
	}
	if (a->opt.logins.n && !login_canon(login, a->opt.logins.w[0], &expected)) {
		err_set(err, -EINVAL, "route: --login: found \"%.60s\", expected %s", a->opt.logins.w[0], expected);
		return EXIT_USAGE;
	}
	json_t *q = json_object();
	json_t *name = json_string(host);
	if (!a->opt.to && addr_parse(&ip, host)) /* an address as the host is where the traffic goes */
		json_object_set(q, "to", name);
	else
		json_object_set(q, "host", name);
	json_decref(name);
	if (port)
		json_object_set_new(q, "port", json_integer(port));
	if (a->opt.to)
		json_object_set_new(q, "to", json_string(a->opt.to));
	if (a->opt.logins.n)
		json_object_set_new(q, "login", json_string(login));
	const char *key;
	json_t *v;
	int rc = proxylink_ask(a->proxy, "route", q, 0, &answer, err);
	if (rc < 0)
		return EXIT_REFUSED;
	out_line(&a->out, "%s -> %s%s%s, account %s, gate %s", words[0], text_of(answer, "side", "refused"),
		 json_is_string(json_object_get(answer, "target")) ? " at " : "", text_of(answer, "target", ""),
		 text_of(answer, "account", "none"), text_of(answer, "gate", "open"));
	say_why(a, answer);
	if (json_is_null(json_object_get(answer, "listener")))
		out_line(&a->out, "but no listener of the proxy is there: such traffic does not come through it");
	json_object_foreach (answer, key, v)
		if (strcmp(key, "v") && strcmp(key, "id") && strcmp(key, "ok"))
			out_set(&a->out, key, json_incref(v));
	json_decref(answer);
	return EXIT_DONE;
}

/* ---- log ---- */

int parse_since(const char *text, long long now_s, long long *since_s)
{
	char *end;
	struct tm tm = {0};
	long long v = strtoll(text, &end, 10);
	if (end != text && end[0] && !end[1] && v >= 0 && v < 100000) {
		static const struct {
			char unit;
			int seconds;
		} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
		for (size_t i = 0; i < 4; i++) {
			if (*end == units[i].unit) {
				*since_s = now_s - v * units[i].seconds;
				return 0;
			}
		}
		return -EINVAL;
	}
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end && (*end == 'T' || *end == 't' || *end == ' '))
		end = strptime(end + 1, "%H:%M", &tm);
	else if (!end || *end)
		return -EINVAL;
	if (end && *end == ':')
		end = strptime(end + 1, "%S", &tm);
	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!end)
		return -EINVAL;
	long long off = 0;
	int h, m, used = 0;
	if (*end == '+' || *end == '-') {
		if (sscanf(end + 1, "%2d:%2d%n", &h, &m, &used) != 2 || used != 5 || h > 23 || m > 59)
			return -EINVAL;
		off = (*end == '-' ? -1 : 1) * (h * 3600 + m * 60);
		end += 6;
	} else if (*end == 'Z' || *end == 'z') {
		end++;
	}
	int day = tm.tm_mday;
	*since_s = (long long)timegm(&tm) - off;
	return *end || tm.tm_mday != day ? -EINVAL : 0; /* there is no 31st of February */
}

enum exit_code cmd_log(struct app *a, char **words, int n, struct err *err)
{
	long long since = 0;
	json_t *list, *e;
	size_t i;
	if ((a->opt.verify || a->opt.head) && state_is_missing(a)) {
		err_set(err, -ENOENT, "there is no trail at %s (state of section control)", a->conf->control.state);
		return EXIT_REFUSED;
	}
	if (a->opt.verify && !a->opt.head && !a->opt.since)
		return log_verify(a, n ? words[0] : NULL, err);
	if (a->opt.head && !a->opt.verify && !a->opt.since && !n)
		return log_head(a, err);
	if (a->opt.head || a->opt.verify) {
		err_set(err, -EINVAL, "log: expected shunt log [NAME] [--since T], --verify [HEAD], or --head");
		return EXIT_USAGE;
	}
	if (a->opt.since && parse_since(a->opt.since, now_ms() / 1000, &since) < 0) {
		err_set(err, -EINVAL, "--since: found \"%.60s\", expected 2026-01-31T08:00:00Z, or 90m, 2h, 3d", a->opt.since);
		return EXIT_USAGE;
	}
	int rc = journal_log(a->db, n ? words[0] : NULL, since * 1000, &list, err);
	if (rc < 0)
		return exit_of(rc);
	json_array_foreach (list, i, e) {
		const json_t *evidence = json_object_get(e, "evidence");
		char *text = json_is_object(evidence) ? json_dumps(evidence, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
		out_line(&a->out, "%6lld  %s  %s  %s: %s%s%s", (long long)json_integer_value(json_object_get(e, "id")),
			 text_of(e, "at", "?"), text_of(e, "who", "?"), text_of(e, "account", "-"), text_of(e, "what", "?"),
			 text ? "  " : "", text ? text : "");
		free(text);
	}
	if (json_array_size(list) == 0)
		out_line(&a->out, "nothing is recorded%s", n ? " for that name" : "");
	out_set(&a->out, "log", list);
	return EXIT_DONE;
}
