#include "dnsupdate/report.h"

#include "lib/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void domain_report_done(struct domain_report *d)
{
	free(d->zone);
	*d = (struct domain_report){0};
}

static json_t *time_json(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	return ms ? json_string(time_text(ms, text)) : json_null();
}

static void set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, text && *text ? json_string(text) : json_null());
}

/* ---- zones ---- */

static json_t *server_json(const struct sighting *s, size_t of)
{
	char addr[ADDR_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:o}", "name", s->server->name, "address", addr_text(&s->server->addr, addr),
			      "resolver", s->server->resolver, "seen", (json_int_t)s->seen, "of", (json_int_t)of, "after-ms",
			      s->after_ms < 0 ? json_null() : json_integer(s->after_ms));

	if (o && s->after_ms < 0)
		json_object_set_new(o, "trouble", json_string(s->trouble));
	return o;
}

/* Of a provider that takes only so many changes in a minute. */
static void add_eta(const struct task *t, json_t *o)
{
	int eta_s = t->changed ? backend_eta(t->backend, t->changed) : 0;

	if (eta_s)
		json_object_set_new(o, "eta", json_integer(eta_s));
}

static json_t *task_json(const struct task *t)
{
	json_t *o = t->report ? json_copy(t->report) : json_object(), *servers = json_array();

	json_object_set_new(o, "zone", json_string(t->zone));
	json_object_set_new(o, "backend", json_string(backend_name(t->backend)));
	if (t->judged) {
		json_object_set_new(o, "verdict", json_string(verdict_text(t->delegation.verdict)));
		set_text(o, "why", t->delegation.why);
	}
	json_object_set_new(o, "outcome", json_string(task_outcome_text(t->outcome)));
	if (*t->error && t->outcome != TASK_SKIPPED)
		json_object_set_new(o, "error", json_string(t->error));
	add_eta(t, o);
	for (size_t i = 0; i < t->n_sightings; i++)
		json_array_append_new(servers, server_json(&t->sightings[i], t->n_expected));
	json_object_set_new(o, "servers", servers);
	json_object_set_new(o, "published", json_boolean(t->published));
	json_object_set_new(o, "clean-at", time_json(t->clean_ms));
	return o;
}

/* What a task means for the whole: the worst of them is what the command says. */
static enum exit_code exit_of(const struct task *t)
{
	switch (t->outcome) {
	case TASK_NOTHING:
	case TASK_WOULD_CHANGE:
	case TASK_DONE:
	case TASK_SKIPPED:
		return EXIT_DONE;
	case TASK_REFUSED:
	case TASK_DRIFT:
		return EXIT_REFUSED;
	case TASK_FAILED:
		return EXIT_UNDONE;
	case TASK_PARTLY:
	case TASK_UNKNOWN:
		return EXIT_STUCK;
	}
	return EXIT_STUCK;
}

static bool is_seen_by_all(const struct report *r)
{
	for (size_t i = 0; i < r->n_tasks; i++)
		if (!r->tasks[i].published && r->tasks[i].outcome != TASK_SKIPPED)
			return false;
	return true;
}

/* A domain that no zone-server holds: nothing is to be changed, and whoever moves the account is told who covers it. */
static json_t *beyond_json(const struct domain_report *d)
{
	return json_pack("{s:s, s:n, s:s, s:s, s:s, s:[], s:[], s:[], s:b, s:n}", "zone", d->domain, "backend", "verdict",
			 verdict_text(d->verdict), "why", d->why, "outcome", task_outcome_text(TASK_SKIPPED), "changes", "notes", "servers",
			 "published", true, "clean-at");
}

static void add_totals(const struct report *r, json_t *answer)
{
	json_t *zones = json_array(), *lagging = json_array();
	size_t changed = 0;
	int64_t clean_ms = 0;

	for (size_t i = 0; i < r->n_tasks; i++) {
		const struct task *t = &r->tasks[i];

		json_array_append_new(zones, task_json(t));
		if (t->outcome == TASK_DONE || t->outcome == TASK_WOULD_CHANGE)
			changed += t->changed;
		else if (t->outcome == TASK_PARTLY || t->outcome == TASK_UNKNOWN)
			changed += t->applied;
		if (t->lagging)
			json_array_append_new(lagging, json_string(t->lagging));
		if (t->clean_ms > clean_ms)
			clean_ms = t->clean_ms;
	}
	for (size_t i = 0; i < r->n_domains; i++)
		if (!r->domains[i]->zone && !r->domains[i]->failed)
			json_array_append_new(zones, beyond_json(r->domains[i]));
	json_object_set_new(answer, "zones", zones);
	json_object_set_new(answer, "changed", json_integer((json_int_t)changed));
	json_object_set_new(answer, "published", json_boolean(is_seen_by_all(r)));
	json_object_set_new(answer, "lagging", lagging);
	json_object_set_new(answer, "clean-at", time_json(is_seen_by_all(r) ? clean_ms : 0)); /* before, nobody knows */
}

/* ---- domains ---- */

static const struct task *task_of(const struct report *r, const struct domain_report *d)
{
	for (size_t i = 0; d->zone && i < r->n_tasks; i++)
		if (name_same(r->tasks[i].zone, d->zone))
			return &r->tasks[i];
	return NULL;
}

/* The names of the zone that belong to the domain. */
static json_t *names_of(const struct task *t, const char *domain)
{
	json_t *all = json_object_get(t->report, "names"), *name, *out = json_array();
	size_t i;

	json_array_foreach (all, i, name)
		if (name_within(json_string_value(json_object_get(name, "name")), domain))
			json_array_append(out, name);
	return out;
}

static json_t *domain_json(const struct report *r, const struct domain_report *d)
{
	const struct task *t = task_of(r, d);
	const char *why = t && t->judged ? t->delegation.why : t ? t->error : d->why;
	enum verdict v = t && t->judged ? t->delegation.verdict : d->zone ? VERDICT_UNKNOWN : d->verdict;
	json_t *o = json_pack("{s:s, s:o?, s:s, s:s, s:o?}", "domain", d->domain, "zone", d->zone ? json_string(d->zone) : json_null(),
			      "verdict", verdict_text(v), "why", why, "backend",
			      d->backend ? json_string(backend_name(d->backend)) : json_null());

	if (o && t)
		json_object_set_new(o, "names", names_of(t, d->domain));
	if (o && t && *t->error)
		json_object_set_new(o, "error", json_string(t->error));
	return o;
}

static void count(json_t *counts, const char *verdict)
{
	json_int_t n = json_integer_value(json_object_get(counts, verdict));

	json_object_set_new(counts, verdict, json_integer(n + 1));
}

static void add_domains(const struct report *r, json_t *answer)
{
	json_t *domains = json_array(), *counts = json_object();

	for (size_t i = 0; i < r->n_domains; i++) {
		json_t *d = domain_json(r, r->domains[i]);

		count(counts, json_string_value(json_object_get(d, "verdict")));
		json_array_append_new(domains, d);
	}
	json_object_set_new(answer, "domains", domains);
	json_object_set_new(answer, "counts", counts);
}

/* ---- the end ---- */

struct tally {
	size_t changed, bad;
	enum exit_code worst;
	const char *first; /* text of the first that went wrong */
};

static void tally(struct tally *t, enum exit_code x, bool changed, const char *text)
{
	t->changed += changed;
	if (x == EXIT_DONE)
		return;
	t->bad++;
	if (!t->first || x > t->worst)
		t->first = text;
	if (x > t->worst)
		t->worst = x;
}

/* Of what kept the job as a whole from beginning. */
static enum exit_code exit_of_trouble(int code)
{
	return code == -EBADMSG ? EXIT_STUCK : code == -EWOULDBLOCK ? EXIT_REFUSED : EXIT_UNDONE;
}

/* Nothing was changed: as the worst says. Something was, and something was not: a person must decide. */
static enum exit_code judge(const struct report *r, struct err *err)
{
	struct tally t = {0};

	if (*r->trouble->text)
		tally(&t, exit_of_trouble(r->trouble->code), false, r->trouble->text);
	for (size_t i = 0; i < r->n_domains; i++)
		tally(&t, r->domains[i]->failed ? EXIT_UNDONE : EXIT_DONE, false, r->domains[i]->why);
	for (size_t i = 0; i < r->n_tasks; i++)
		tally(&t, exit_of(&r->tasks[i]), r->tasks[i].outcome == TASK_DONE || r->tasks[i].applied, r->tasks[i].error);
	if (t.worst == EXIT_DONE)
		return EXIT_DONE;
	err_set(err, -EIO, "%s%s", t.first, t.bad > 1 ? " (and more: see each zone)" : "");
	return t.changed && t.worst != EXIT_STUCK ? EXIT_STUCK : t.worst;
}

/* A verdict is an answer, also where a zone could not be read. */
enum exit_code report_make(const struct report *r, json_t *answer, struct err *err)
{
	json_object_set_new(answer, "account", json_string(r->account));
	if (r->kind == JOB_CLASSIFY) {
		add_domains(r, answer);
		if (!*r->trouble->text)
			return EXIT_DONE;
	} else {
		add_totals(r, answer);
	}
	return judge(r, err);
}

/* ---- too much ---- */

static int add_bytes(const char *bytes, size_t n, void *arg)
{
	(void)bytes;
	*(size_t *)arg += n;
	return 0;
}

static bool fits(const json_t *answer, size_t most)
{
	size_t n = 0;

	return json_dump_callback(answer, add_bytes, &n, JSON_COMPACT) < 0 || n <= most;
}

static void drop_names(json_t *zone)
{
	json_object_del(zone, "names");
}

static void keep_ttls(json_t *zone)
{
	json_t *changes = json_object_get(zone, "changes"), *c, *ttl, *fresh = json_array();
	size_t i;

	json_array_foreach (changes, i, c) {
		ttl = json_object_get(c, "ttl");
		json_array_append_new(fresh, ttl ? json_pack("{s:O}", "ttl", ttl) : json_object());
	}
	json_object_set_new(zone, "changes", fresh);
}

static void keep_laggards(json_t *zone)
{
	json_t *servers = json_object_get(zone, "servers"), *s, *fresh = json_array();
	size_t i;

	json_array_foreach (servers, i, s)
		if (json_object_get(s, "trouble"))
			json_array_append(fresh, s);
	json_object_set_new(zone, "servers", fresh);
}

static void drop_reasons(json_t *zone)
{
	if (json_object_get(zone, "error"))
		return;
	json_object_del(zone, "why");
	json_object_del(zone, "notes");
}

static bool is_well(const json_t *zone)
{
	return !json_object_get(zone, "error") && json_array_size(json_object_get(zone, "drift")) == 0 &&
	       json_is_true(json_object_get(zone, "published"));
}

static void drop_zones(json_t *zones)
{
	for (size_t i = json_array_size(zones); i-- > 0;)
		if (is_well(json_array_get(zones, i)))
			json_array_remove(zones, i);
}

static void shorten_entries(json_t *entries)
{
	static const char *const spared[] = {"backend", "side", "since", "verified", "clean-at"};
	json_t *e;
	size_t i;

	json_array_foreach (entries, i, e) {
		for (size_t k = 0; k < sizeof(spared) / sizeof(*spared); k++)
			json_object_del(e, spared[k]);
		if (json_is_null(json_object_get(e, "lagging")))
			json_object_del(e, "lagging");
	}
}

void report_shorten(json_t *answer, size_t most)
{
	static void (*const steps[])(json_t *) = {drop_names, keep_ttls, keep_laggards, drop_reasons};
	json_t *zones = json_object_get(answer, "zones"), *zone;
	size_t i;

	if (fits(answer, most))
		return;
	json_object_set_new(answer, "shortened", json_true());
	shorten_entries(json_object_get(answer, "entries"));
	for (size_t step = 0; step < sizeof(steps) / sizeof(*steps); step++) {
		json_array_foreach (zones, i, zone)
			steps[step](zone);
		if (fits(answer, most))
			return;
	}
	drop_zones(zones);
}

json_t *report_entry(const struct entry *e)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:o, s:o, s:o, s:o}", "account", e->account, "zone", e->zone, "backend",
			 e->backend ? e->backend : "", "state", entry_state_text(e->state), "side", side_name(e->side), "busy", e->busy,
			 "records", (json_int_t)e->n, "since", time_json(e->changed_ms), "verified", time_json(e->verified_ms), "clean-at",
			 time_json(e->clean_ms), "lagging", e->lagging ? json_string(e->lagging) : json_null());
}
