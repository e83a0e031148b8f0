#include "control/stragglers.h"

#include "control/app.h"
#include "control/dnsdebt.h"
#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_FOR   1000 /* the most that the proxy tells at once */
#define BRIEF     3
#define NAME_WIDE 44 /* of the table; what is longer pushes its line */

static const char *text_of(const json_t *o, const char *key)
{
	return member_text_or(o, key, "?");
}

/* ---- rows ---- */

/* An address instead of a name: there was none. */
static bool is_nameless(const json_t *row)
{
	const json_t *kinds = json_object_get(row, "kinds");
	const char *kind = json_string_value(json_array_get(kinds, 0));
	return kind && (strcmp(kind, "tcp") == 0 || strcmp(kind, "address") == 0);
}

static bool has(const json_t *list, const json_t *value)
{
	size_t i;
	json_t *v;
	json_array_foreach (list, i, v) {
		if (json_equal(v, value))
			return true;
	}
	return false;
}

static void unite(json_t *to, const json_t *from)
{
	size_t i;
	json_t *v;
	json_array_foreach (from, i, v) {
		if (!has(to, v))
			json_array_append(to, v);
	}
}

static json_t *find_row(const json_t *rows, const json_t *name)
{
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		if (strcmp(text_of(row, "name"), text_of(name, "name")) == 0 &&
		    strcmp(text_of(row, "account"), text_of(name, "account")) == 0)
			return row;
	}
	return NULL;
}

/* RFC 3339 in UTC with a fixed number of digits sorts as text. */
static void keep_time(json_t *row, const json_t *name, const char *key, bool later)
{
	int d = strcmp(text_of(name, key), text_of(row, key));
	if (later ? d > 0 : d < 0)
		json_object_set(row, key, json_object_get(name, key));
}

static void add_kind(json_t *row, const json_t *name)
{
	json_int_t quiet = member_int(name, "quiet-ms");
	json_object_set_new(row, "count", json_integer(member_int(row, "count") + member_int(name, "count")));
	json_object_set_new(row, "share", json_real(member_real(row, "share") + member_real(name, "share")));
	if (quiet < member_int(row, "quiet-ms"))
		json_object_set_new(row, "quiet-ms", json_integer(quiet));
	keep_time(row, name, "last-seen", true);
	keep_time(row, name, "first-seen", false);
	json_array_append(json_object_get(row, "kinds"), json_object_get(name, "kind"));
	unite(json_object_get(row, "addresses"), json_object_get(name, "addresses"));
}

static json_t *new_row(const json_t *name)
{
	json_t *row = json_deep_copy(name), *kinds = json_array();
	json_array_append(kinds, json_object_get(name, "kind"));
	json_object_del(row, "kind");
	json_object_set_new(row, "kinds", kinds);
	if (!json_is_array(json_object_get(row, "addresses")))
		json_object_set_new(row, "addresses", json_array());
	json_object_set_new(row, "dns", json_string("unknown"));
	return row;
}

static int heavier(const void *a, const void *b)
{
	json_int_t x = member_int(*(json_t *const *)a, "count"), y = member_int(*(json_t *const *)b, "count");
	return x == y ? 0 : x > y ? -1 : 1;
}

static json_t *sorted(json_t *rows) /* takes rows */
{
	size_t n = json_array_size(rows);
	json_t **all = calloc(n + 1, sizeof(*all)), *out;
	if (!all)
		return rows;
	for (size_t i = 0; i < n; i++)
		all[i] = json_array_get(rows, i);
	qsort(all, n, sizeof(*all), heavier);
	out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append(out, all[i]);
	free(all);
	json_decref(rows);
	return out;
}

json_t *stragglers_rows(const json_t *names)
{
	json_t *rows = json_array(), *name;
	size_t i;
	json_array_foreach (names, i, name) {
		json_t *row = find_row(rows, name);
		if (row)
			add_kind(row, name);
		else
			json_array_append_new(rows, new_row(name));
	}
	return sorted(rows);
}

/* ---- what is to be changed ---- */

/* p NULL: the address is in no pair. */
static json_t *record(const json_t *row, int family, const char *from, const struct conf_pair *p, bool seen)
{
	return json_pack("{s:s*, s:s, s:s, s:s?, s:b, s:b}", "name", is_nameless(row) ? NULL : text_of(row, "name"), "type",
			 family == AF_INET6 ? "AAAA" : "A", "from", from, "to", p ? p->transit.text : NULL, "seen", seen, "remove",
			 p && !p->transit.text);
}

static const struct conf_pair *pair_of(const struct conf *c, const struct addr *client)
{
	for (size_t i = 0; i < c->n_pairs; i++) {
		if (addr_same_ip(&c->pairs[i].client.addr, client))
			return &c->pairs[i];
	}
	return NULL;
}

/* A family in which nobody came may be there all the same, and then it must follow. Which address is certain only where there is one. */
static void add_unseen(const struct conf *c, const json_t *row, int family, json_t *records)
{
	const struct conf_pair *only = NULL;
	for (size_t i = 0; i < c->n_pairs; i++) {
		if (addr_family(&c->pairs[i].client.addr) != family)
			continue;
		if (only)
			return;
		only = &c->pairs[i];
	}
	if (only)
		json_array_append_new(records, record(row, family, only->client.text, only, false));
}

json_t *stragglers_records(const struct conf *c, const json_t *row)
{
	json_t *records = json_array(), *v;
	bool seen[2] = {false, false};
	size_t i;
	json_array_foreach (json_object_get(row, "addresses"), i, v) {
		struct addr at;
		const char *text = json_string_value(v);
		if (!text || !addr_parse(&at, text))
			continue;
		const struct conf_pair *p = pair_of(c, &at);
		seen[addr_family(&at) == AF_INET6] = true;
		json_array_append_new(records, record(row, addr_family(&at), text, p, true));
	}
	for (int six = 0; six < 2 && !is_nameless(row); six++) {
		if (!seen[six])
			add_unseen(c, row, six ? AF_INET6 : AF_INET, records);
	}
	return records;
}

static void say_record(struct app *a, const json_t *row, const json_t *r, bool first)
{
	const char *name = json_string_value(json_object_get(r, "name")), *to = json_string_value(json_object_get(r, "to"));
	bool managed = strcmp(text_of(row, "dns"), "managed") == 0;
	const char *where = managed ? "shunt changes it; these visitors still have the old answer" : "at the domain's own DNS provider";
	if (json_is_true(json_object_get(r, "remove")))
		to = "nothing: the transit server has no partner for it, remove the record";
	else if (!to)
		to = "the transit server's address; no pair has the old one";
	if (!name)
		out_line(&a->out, "    no name came with it: whatever leads to %s is to lead to %s", text_of(r, "from"), to);
	else if (!json_is_true(json_object_get(r, "seen")))
		out_line(&a->out, "    and, if it has one: %s %s %s -> %s", name, text_of(r, "type"), text_of(r, "from"), to);
	else
		out_line(&a->out, "    %s: %s %s %s -> %s%s%s%s", first ? "change the record" : "and", name, text_of(r, "type"),
			 text_of(r, "from"), to, first ? " (" : "", first ? where : "", first ? ")" : "");
}

/* ---- asking ---- */

static int ask(struct app *a, const char *account, int limit, json_t **answer, struct err *err)
{
	return proxylink_ask(a->proxy, "stragglers", json_pack("{s:s*, s:i}", "account", account, "limit", limit), 0, answer, err);
}

/* total, left-out and count add up; since and evicted are the proxy's. */
static void add_answer(json_t *sum, const json_t *answer)
{
	static const char *const counters[] = {"total", "left-out", "count"};
	json_t *names = json_object_get(sum, "names");
	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		json_object_set_new(sum, counters[i], json_integer(member_int(sum, counters[i]) + member_int(answer, counters[i])));
	json_object_set_new(sum, "since", json_string(text_of(answer, "since")));
	if (json_is_object(json_object_get(answer, "missing")))
		json_object_set(sum, "missing", json_object_get(answer, "missing"));
	json_object_set_new(sum, "evicted", json_integer(member_int(answer, "evicted")));
	json_array_extend(names, json_object_get(answer, "names"));
}

static int ask_all(struct app *a, char **words, int n, json_t *sum, struct err *err)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < (n ? n : 1); i++) {
		json_t *answer = NULL;
		bool again = false;
		for (int k = 0; k < i; k++)
			again = again || strcmp(words[k], words[i]) == 0;
		if (again)
			continue;
		rc = ask(a, n ? words[i] : NULL, ASK_FOR, &answer, err);
		if (rc == 0)
			add_answer(sum, answer);
		json_decref(answer);
	}
	return rc;
}

/* ---- telling ---- */

static void say_row(struct app *a, const json_t *row, int wide)
{
	char shown[DOMAIN_MAX + 16], ago[32];
	const json_t *r;
	size_t i;
	snprintf(shown, sizeof(shown), "%s%s", is_nameless(row) ? "address " : "", text_of(row, "name"));
	out_line(&a->out, "%-16s %-*s %6.1f %% %10lld  %s ago", text_of(row, "account"), wide, shown, member_real(row, "share"),
		 (long long)member_int(row, "count"), progress_duration(member_int(row, "quiet-ms") / 1000, ago));
	json_array_foreach (json_object_get(row, "records"), i, r)
		say_record(a, row, r, i == 0);
}

/* A shunt-proxy that was killed has not written down what came last. */
static const char *missing_text(const json_t *answer, char *out, size_t cap)
{
	const json_t *missing = json_object_get(answer, "missing");
	*out = '\0';
	if (json_is_object(missing))
		snprintf(out, cap, ", but not between %s and %s, while shunt-proxy was killed and started again", text_of(missing, "from"),
			 text_of(missing, "until"));
	return out;
}

static void say_all(struct app *a, const json_t *sum, const json_t *rows)
{
	char missing[200];
	int wide = 16;
	const json_t *row;
	size_t i;
	missing_text(sum, missing, sizeof(missing));
	if (json_array_size(rows) == 0) {
		out_line(&a->out, "no traffic of moved accounts arrives at the old addresses any more (counting since %s%s)",
			 text_of(sum, "since"), missing);
		return;
	}
	json_array_foreach (rows, i, row) {
		int len = (int)strlen(text_of(row, "name")) + (is_nameless(row) ? 8 : 0);
		wide = len <= wide ? wide : len < NAME_WIDE ? len : NAME_WIDE;
	}
	out_line(&a->out, "%-16s %-*s %8s %10s  %s", "account", wide, "name", "share", "count", "last seen");
	json_array_foreach (rows, i, row)
		say_row(a, row, wide);
	if (member_int(sum, "left-out"))
		out_line(&a->out, "and %lld more that are less wanted", (long long)member_int(sum, "left-out"));
	if (member_int(sum, "evicted"))
		out_line(&a->out, "there were more names than the proxy remembers: %lld times one had to go for another",
			 (long long)member_int(sum, "evicted"));
	out_line(&a->out, "share: of what still arrives of the account, counted since it moved, or the proxy began at %s%s",
		 text_of(sum, "since"), missing);
}

static int check_names(struct app *a, char **words, int n, struct err *err)
{
	int rc = 0;
	for (int i = 0; rc == 0 && i < n; i++) {
		struct account_row row;
		rc = journal_account(a->db, words[i], &row, err);
		account_row_done(&row);
	}
	return rc;
}

static json_t *rows_of(struct app *a, const json_t *names)
{
	json_t *rows = stragglers_rows(names), *row;
	size_t i;
	json_array_foreach (rows, i, row) {
		if (!is_nameless(row))
			json_object_set_new(row, "dns", json_string(dnsdebt_whose(a, text_of(row, "account"), text_of(row, "name"))));
		json_object_set_new(row, "records", stragglers_records(a->conf, row));
	}
	return rows;
}

enum exit_code stragglers_show(struct app *a, char **words, int n, struct err *err)
{
	enum exit_code x = a->db ? EXIT_DONE : app_read(a, err);
	if (x)
		return x;
	int rc = check_names(a, words, n, err);
	if (rc < 0)
		return exit_of(rc);
	json_t *sum = json_pack("{s:[]}", "names");
	rc = ask_all(a, words, n, sum, err);
	if (rc < 0) {
		json_decref(sum);
		return EXIT_REFUSED;
	}
	json_t *rows = rows_of(a, json_object_get(sum, "names"));
	say_all(a, sum, rows);
	json_object_set_new(sum, "names", rows);
	out_set(&a->out, "stragglers", sum);
	return EXIT_DONE;
}

void stragglers_brief(struct app *a, const char *account, json_t *o)
{
	json_t *answer = NULL, *row;
	struct err e = {0};
	char line[BRIEF * (DOMAIN_MAX + 32)] = "";
	size_t i;
	/* twice as many, since a name may be there for HTTP and for TLS */
	if (ask(a, account, 2 * BRIEF, &answer, &e) < 0)
		return;
	json_t *rows = rows_of(a, json_object_get(answer, "names"));
	json_int_t more = member_int(answer, "left-out") + (json_int_t)json_array_size(rows) - BRIEF;
	while (json_array_size(rows) > BRIEF)
		json_array_remove(rows, json_array_size(rows) - 1);
	json_array_foreach (rows, i, row) {
		size_t at = strlen(line);
		snprintf(line + at, sizeof(line) - at, "%s%s%s %.1f %%", i ? ", " : "", is_nameless(row) ? "address " : "",
			 text_of(row, "name"), member_real(row, "share"));
	}
	if (*line)
		out_line(&a->out, "%-10s %s%s (shunt check --stragglers %s)", "still here", line, more > 0 ? ", and more" : "", account);
	json_object_set_new(o, "stragglers", rows);
	json_decref(answer);
}

void stragglers_total(struct app *a, char *out, size_t cap)
{
	json_t *answer = NULL, *row;
	struct err e = {0};
	char missing[200];
	size_t i, at;
	if (ask(a, NULL, 2 * BRIEF, &answer, &e) < 0) {
		snprintf(out, cap, "how many visitors still come to the client server's addresses cannot be told: %.300s", e.text);
		return;
	}
	json_t *rows = rows_of(a, json_object_get(answer, "names"));
	json_int_t total = member_int(answer, "left-out") + (json_int_t)json_array_size(rows);
	if (total == 0)
		snprintf(out, cap, "nobody comes to the client server's addresses any more (counting since %s%s)", text_of(answer, "since"),
			 missing_text(answer, missing, sizeof(missing)));
	else
		snprintf(out, cap,
			 "%lld name%s still come%s to the client server's addresses, and this traffic follows them: ", (long long)total,
			 total == 1 ? "" : "s", total == 1 ? "s" : "");
	at = strlen(out);
	json_array_foreach (rows, i, row) {
		if (i < BRIEF && at < cap)
			at += (size_t)snprintf(out + at, cap - at, "%s%s%s (%lld)", i ? ", " : "", is_nameless(row) ? "address " : "",
					       text_of(row, "name"), (long long)member_int(row, "count"));
	}
	if (total > BRIEF && at < cap)
		snprintf(out + at, cap - at, ", .. (shunt check --stragglers)");
	json_decref(rows);
	json_decref(answer);
}
