#include "control/price.h"

#include "control/app.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_SHOWN       6 /* listeners, by name; the rest together */
#define CONSENT_NOTHING "nothing to lose"
#define NAMES           8 /* of accounts, in a refusal */

/* ---- in words ---- */

static const char *plural(json_int_t n)
{
	return n == 1 ? "" : "s";
}

static void put_bytes(FILE *f, json_int_t n)
{
	if (n < 1000)
		fprintf(f, "%lld byte%s", (long long)n, plural(n));
	else if (n < 1000 * 1000)
		fprintf(f, "%.1f kB", (double)n / 1e3);
	else if (n < 1000 * 1000 * 1000)
		fprintf(f, "%.1f MB", (double)n / 1e6);
	else
		fprintf(f, "%.1f GB", (double)n / 1e9);
}

static void put_methods(FILE *f, const json_t *w)
{
	static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "other"};
	const char *comma = " (";
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (member_int(w, methods[i]) == 0)
			continue;
		fprintf(f, "%s%lld %s", comma, (long long)member_int(w, methods[i]), methods[i]);
		comma = ", ";
	}
	fputs(")", f);
}

/* A comma before each but the first. */
static void next(FILE *f, int *n)
{
	if ((*n)++)
		fputs(", ", f);
}

static void put_connections(FILE *f, int *n, json_int_t count, json_int_t bytes, const char *what, const char *listener)
{
	if (count == 0)
		return;
	next(f, n);
	fprintf(f, "%lld %sconnection%s%s%s (", (long long)count, what, plural(count), listener ? " on " : "", listener ? listener : "");
	put_bytes(f, bytes);
	fputs(" sent)", f);
}

static bool is_protocol(const json_t *connections, const char *protocol)
{
	return strcmp(member_text(connections, "protocol"), protocol) == 0;
}

static void put_protocol(FILE *f, int *n, const json_t *list, const char *protocol, const char *what)
{
	json_int_t count = 0, bytes = 0;
	const json_t *c;
	size_t i;
	json_array_foreach (list, i, c) {
		if (!is_protocol(c, protocol))
			continue;
		count += member_int(c, "count");
		bytes += member_int(c, "bytes");
	}
	put_connections(f, n, count, bytes, what, NULL);
}

static void put_tcp(FILE *f, int *n, const json_t *list)
{
	json_int_t count = 0, bytes = 0;
	int shown = 0;
	const json_t *c;
	size_t i;
	json_array_foreach (list, i, c) {
		const char *name = json_string_value(json_object_get(c, "listener"));
		if (!is_protocol(c, "tcp"))
			continue;
		if (name && shown < TCP_SHOWN) {
			put_connections(f, n, member_int(c, "count"), member_int(c, "bytes"), "", name);
			shown++;
			continue;
		}
		count += member_int(c, "count");
		bytes += member_int(c, "bytes");
	}
	put_connections(f, n, count, bytes, "", "further listeners");
}

/* False: nothing at all. */
static bool put_accepted(FILE *f, const json_t *since)
{
	const json_t *writes = json_object_get(since, "writes"), *ok = json_object_get(writes, "accepted"),
		     *unknown = json_object_get(writes, "unanswered"), *connections = json_object_get(since, "connections");
	json_int_t done = member_int(ok, "requests"), open = member_int(unknown, "requests");
	char *may = NULL;
	size_t len;
	int n = 0;
	if (done) {
		fprintf(f, "%lld request%s that write%s", (long long)done, plural(done), done == 1 ? "s" : "");
		put_methods(f, ok);
		fputs(", ", f);
		put_bytes(f, member_int(ok, "bytes"));
		fputs(" uploaded", f);
	}
	FILE *m = open_memstream(&may, &len);
	if (!m)
		return true;
	put_protocol(m, &n, connections, "tls", "TLS ");
	put_tcp(m, &n, connections);
	put_protocol(m, &n, connections, "http", "upgraded ");
	if (open) {
		next(m, &n);
		fprintf(m, "%lld request%s whose answer never came", (long long)open, plural(open));
		put_methods(m, unknown);
	}
	fclose(m);
	if (n)
		fprintf(f, "%s%s, which may have written", done ? "; and " : "", may);
	free(may);
	return done || n;
}

static void put_since(FILE *f, const struct price_facts *p, int64_t at)
{
	static const struct {
		int64_t from, seconds;
		const char *name;
	} units[] = {{2 * 86400, 86400, "days"}, {3600, 3600, "h"}, {60, 60, "min"}, {0, 1, "s"}};
	char text[TIME_TEXT_MAX];
	int64_t s = p->now > at ? (p->now - at) / 1000 : 0;
	size_t i = 0;
	while (s < units[i].from)
		i++;
	fprintf(f, "at %s (%lld %s ago)", time_text(at, text), (long long)(s / units[i].seconds), units[i].name);
}

/* A shunt-proxy that was killed has not written down what came last. */
static bool is_missing(const json_t *since)
{
	return json_is_object(json_object_get(since, "missing"));
}

static void put_missing(FILE *f, const json_t *missing)
{
	const char *from = json_string_value(json_object_get(missing, "from")),
		   *until = json_string_value(json_object_get(missing, "until"));
	json_int_t n = member_int(missing, "times");
	if (!from || !until)
		return;
	fprintf(f, " Not in it is what came between %s and %s, while shunt-proxy was killed and started again", from, until);
	if (n > 1)
		fprintf(f, ", and %lld time%s before", (long long)n - 1, plural(n - 1));
	fputs(".", f);
}

/* What a rollback does with it. The copy hook runs from the transit server to the client server then. */
static void put_way_back(FILE *f, const struct price_facts *p)
{
	if (p->hook_copy) /* where it lies is the operator's to know, and the member hook-copy says it */
		fputs(" A rollback brings back what hook-copy copies from transit to client, and nothing else.", f);
	else
		fputs(" A rollback brings nothing of that back: no hook-copy is configured.", f);
}

/* True: nothing can have been written. */
static bool put_price(FILE *f, const struct price_facts *p, bool known, bool whole)
{
	bool some = false;
	if (!known) {
		fprintf(f, "What the transit server has accepted since %s was switched to it ", p->account);
		put_since(f, p, p->switched_at);
		fprintf(f, " is not known: %s.", p->why ? p->why : "the proxy does not tell");
	} else {
		fprintf(f, "Since %s was switched to transit ", p->account);
		put_since(f, p, p->switched_at);
		fputs(" the transit server has accepted: ", f);
		if (!whole)
			fprintf(f, "what is not known from before %s, when shunt-proxy began to count anew; after that, ",
				json_string_value(json_object_get(p->since_switch, "counted-since")));
		some = put_accepted(f, p->since_switch);
		fputs(some ? "." : "nothing that writes.", f);
		put_missing(f, json_object_get(p->since_switch, "missing"));
	}
	if (p->direct)
		fputs(" Its DNS leads to the transit server: what came there directly has passed by the proxy and is not counted.", f);
	bool nil = known && whole && !some && !p->direct && !is_missing(p->since_switch);
	if (!nil)
		put_way_back(f, p);
	return nil;
}

/* ---- as an object ---- */

static bool is_price(const json_t *since)
{
	const char *side = json_string_value(json_object_get(since, "side"));
	return side && strcmp(side, side_name(SIDE_TRANSIT)) == 0 && json_is_string(json_object_get(since, "counted-since")) &&
	       json_is_object(json_object_get(since, "writes")) && json_is_array(json_object_get(since, "connections"));
}

json_t *price_of(const struct price_facts *f)
{
	static const char *const theirs[] = {"whole", "counted-since", "missing", "writes", "connections"};
	bool known = is_price(f->since_switch), whole = known && json_is_true(json_object_get(f->since_switch, "whole"));
	char at[TIME_TEXT_MAX], *text = NULL;
	size_t len;
	json_t *o = json_pack("{s:s, s:b, s:s, s:b, s:s?}", "account", f->account, "known", known, "switched-at",
			      time_text(f->switched_at, at), "direct", f->direct, "hook-copy", f->hook_copy);
	for (size_t i = 0; known && i < sizeof(theirs) / sizeof(*theirs); i++)
		json_object_set(o, theirs[i], json_object_get(f->since_switch, theirs[i]));
	if (!known)
		json_object_set_new(o, "reason", json_string(f->why ? f->why : "the proxy does not tell"));
	FILE *m = open_memstream(&text, &len);
	bool nil = m && put_price(m, f, known, whole);
	if (m)
		fclose(m);
	json_object_set_new(o, "nil", json_boolean(nil));
	json_object_set_new(o, "text", json_string(text ? text : "The price cannot be told: out of memory."));
	free(text);
	return o;
}

const char *price_text(const json_t *price)
{
	return member_text(price, "text");
}

static bool is_nothing(const json_t *since)
{
	const json_t *writes = json_object_get(since, "writes"), *c;
	size_t i;
	json_array_foreach (json_object_get(since, "connections"), i, c) {
		if (member_int(c, "count"))
			return false;
	}
	return member_int(json_object_get(writes, "accepted"), "requests") == 0 &&
	       member_int(json_object_get(writes, "unanswered"), "requests") == 0;
}

bool price_has_risen(const json_t *price, const json_t *since_switch)
{
	const char *by = json_string_value(json_object_get(json_object_get(price, "consent"), "by"));
	return by && strcmp(by, CONSENT_NOTHING) == 0 && is_price(since_switch) &&
	       !(is_nothing(since_switch) && json_is_true(json_object_get(since_switch, "whole")) && !is_missing(since_switch));
}

/* What is owed may have been published since. */
static bool leads_past(const json_t *published)
{
	const json_t *zone;
	size_t i;
	json_array_foreach (json_object_get(published, "zones"), i, zone) {
		const char *verdict = json_string_value(json_object_get(zone, "verdict"));
		if (member_int(zone, "changes") > 0 || (verdict && (strcmp(verdict, "managed") == 0 || strcmp(verdict, "mixed") == 0)))
			return true;
	}
	return json_object_get(published, "owed") != NULL;
}

/* Has its last migration published DNS? Then visitors do not all come by the proxy. */
static bool went_direct(struct app *a, const char *name)
{
	struct move_row last;
	if (journal_move_last(a->db, name, "migrate", &last, NULL) < 0)
		return false;
	bool did = leads_past(json_object_get(last.evidence, "published"));
	move_row_done(&last);
	return did;
}

json_t *price_from(struct app *a, const struct account_row *account, const json_t *answer, const char *why)
{
	struct price_facts f = {
		.account = account->def.name,
		.since_switch = json_object_get(answer, "since-switch"),
		.why = answer ? "this shunt-proxy does not tell" : why,
		.switched_at = account->since,
		.now = now_ms(),
		.direct = went_direct(a, account->def.name),
		.hook_copy = a->conf->control.hook_copy,
	};
	return price_of(&f);
}

struct asked {
	struct app *app;
	const struct account_row *accounts;
	json_t *out;
};

static void on_answer(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	const struct asked *q = arg;
	const struct account_row *account = &q->accounts[i];
	(void)rc;
	json_object_set_new(q->out, account->def.name, price_from(q->app, account, answer, err->text));
}

void price_ask(struct app *a, const struct account_row *accounts, size_t n, json_t *out)
{
	struct asked q = {a, accounts, out};
	const char **names = calloc(n + 1, sizeof(*names));
	for (size_t i = 0; names && i < n; i++)
		names[i] = accounts[i].def.name;
	if (names)
		proxylink_accounts(a->proxy, names, n, on_answer, &q);
	free(names);
}

/* ---- consent ---- */

static void agree(json_t *prices, bool yes)
{
	char at[TIME_TEXT_MAX];
	const char *name;
	json_t *price;
	time_text(now_ms(), at);
	json_object_foreach (prices, name, price) {
		const char *by = yes ? "--yes" : json_is_true(json_object_get(price, "nil")) ? CONSENT_NOTHING : "answer";
		json_object_set_new(price, "consent", json_pack("{s:s, s:s}", "by", by, "at", at));
	}
}

enum exit_code price_consent(struct app *a, json_t *prices, struct err *err)
{
	char names[NAMES * (ACCOUNT_NAME_MAX + 2) + 40] = "";
	size_t n = 0;
	const char *name;
	json_t *price;
	json_object_foreach (prices, name, price) {
		size_t at = strlen(names);
		out_line(&a->out, "%s", price_text(price));
		if (json_is_true(json_object_get(price, "nil")))
			continue;
		if (n++ < NAMES)
			snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "", name);
	}
	if (n > NAMES)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), " and %zu more", n - NAMES);
	fflush(stdout);
	bool asks = !a->opt.yes && !a->opt.json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	if (n && !a->opt.yes && !(asks && app_confirm(a, "%s will go back to client, and what is not copied back is lost.", names))) {
		err_set(err, -ECANCELED,
			"rollback of %s refused: what the transit server has accepted since is not known to come back. --yes consents to "
			"that (--dry-run shows the price). Nothing changed",
			names);
		return EXIT_REFUSED;
	}
	agree(prices, a->opt.yes);
	return EXIT_DONE;
}
