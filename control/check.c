#include "control/check.h"

#include "control/check_ask.h"
#include "control/kept.h"
#include "lib/clock.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 4   /* of a domain; --json has all */
#define REFRESH_MS  200 /* of the progress line */

/* ---- telling ---- */

static const struct {
	const char *verdict, *then;
	bool warn, switched;
} verdicts[] = {
	{"managed", "switched by DNS", false, true},
	{"mixed",
	 "switched by DNS on the provider's servers; some that it is delegated to are others' and may go on answering the old address",
	 true, true},
	{"external", "covered by the proxy until its owner changes the record", false, false},
	{"lame", "delegated to the provider's servers, which do not serve it; covered by the proxy", true, false},
	{"shadow",
	 "the provider's servers have it, but it is delegated elsewhere: to change it there would change nothing; covered by the proxy "
	 "until its owner changes the record",
	 true, false},
	{"absent", "nobody finds it: it is not delegated", true, false},
	{"unknown", "it cannot be told; covered by the proxy", true, false},
};
#define N_VERDICTS (sizeof(verdicts) / sizeof(*verdicts))

static size_t verdict_of(const json_t *domain)
{
	for (size_t i = 0; i < N_VERDICTS; i++) {
		if (strcmp(verdicts[i].verdict, member_text(domain, "verdict")) == 0)
			return i;
	}
	return N_VERDICTS - 1;
}

/* "www" of www.alice.example. in the zone alice.example.; "@" is the zone's own name. */
static void relative(const char *name, const char *zone, char *out, size_t cap)
{
	size_t n = strlen(name), z = strlen(zone);
	if (n == z && strcmp(name, zone) == 0)
		snprintf(out, cap, "@");
	else if (z && n > z + 1 && name[n - z - 1] == '.' && strcmp(name + n - z, zone) == 0)
		snprintf(out, cap, "%.*s", (int)(n - z - 1), name);
	else
		snprintf(out, cap, "%s", name);
}

static size_t count_fate(const json_t *domain, const char *fate)
{
	size_t i, n = 0;
	json_t *name;
	json_array_foreach (json_object_get(domain, "names"), i, name)
		n += strcmp(member_text(name, "fate"), fate) == 0;
	return n;
}

/* ": www A 192.0.2.10 -> 198.51.100.10, .." */
static void changes_text(const json_t *domain, char *out, size_t cap)
{
	size_t i, n = 0, at = 0, all = count_fate(domain, "changes");
	json_t *name;
	char label[DOMAIN_MAX + 2];
	*out = '\0';
	json_array_foreach (json_object_get(domain, "names"), i, name) {
		if (strcmp(member_text(name, "fate"), "changes") != 0 || n++ >= NAMES_SHOWN)
			continue;
		relative(member_text(name, "name"), member_text(domain, "zone"), label, sizeof(label));
		snprintf(out + at, cap - at, "%s%.100s %.200s", n == 1 ? ": " : ", ", label, member_text(name, "what"));
		at = strlen(out);
	}
	if (all > NAMES_SHOWN)
		snprintf(out + at, cap - at, ", and %zu more", all - NAMES_SHOWN);
	else if (all == 0 && count_fate(domain, "moved"))
		snprintf(out, cap, ": is at the transit server already");
	else if (all == 0)
		snprintf(out, cap, ": nothing in it names the client server");
	at = strlen(out);
	size_t elsewhere = count_fate(domain, "elsewhere") + count_fate(domain, "sub-zone");
	if (elsewhere)
		snprintf(out + at, cap - at, "; %zu name%s elsewhere, left alone", elsewhere, elsewhere == 1 ? "" : "s");
}

static void show_domain(struct app *a, const json_t *domain)
{
	char changes[NAMES_SHOWN * 320 + 200] = "";
	const char *why = member_text(domain, "why");
	size_t v = verdict_of(domain), i;
	json_t *name;
	if (verdicts[v].switched)
		changes_text(domain, changes, sizeof(changes));
	out_line(&a->out, "  %-30s %s%s: %s%s%s%s%s", member_text(domain, "domain"), verdicts[v].warn ? "WARNING " : "",
		 verdicts[v].verdict, verdicts[v].then, changes, *why && verdicts[v].warn ? " (" : "", verdicts[v].warn ? why : "",
		 *why && verdicts[v].warn ? ")" : "");
	json_array_foreach (json_object_get(domain, "names"), i, name) {
		if (verdicts[v].switched && strcmp(member_text(name, "fate"), "unsupported") == 0)
			out_line(&a->out, "  %-30s WARNING %s names the client server and is not rewritten: %s", "",
				 member_text(name, "name"), member_text(name, "what"));
	}
}

/* One check. */
struct run {
	struct check_job *jobs;
	size_t n;
	const struct check_links *links;
	struct preflight *preflight; /* NULL: DNS alone */
	struct sum {
		size_t accounts, domains, by_verdict[N_VERDICTS];
		json_t *list, *refused;
		char first[600]; /* why the first is refused */
		struct kept kept;
	} sum;
};

/* What was found besides DNS's verdicts, which stand above. */
static void show_findings(struct app *a, struct run *r, const struct check_job *j)
{
	preflight_judge_names(r->preflight, j->def, j->https, j->findings);
	findings_sort(j->findings);
	findings_show(&a->out, j->findings, "dns");
	kept_take(&r->sum.kept, a, j->def->name, j->findings);
}

static void show(struct app *a, struct run *r, const struct check_job *j)
{
	struct sum *s = &r->sum;
	size_t i;
	json_t *domain;
	json_t *o =
		json_pack("{s:s, s:s, s:O, s:b, s:O*, s:s*, s:O*}", "account", j->def->name, "side", side_name(j->def->side), "domains",
			  j->domains, "refused", j->refused, "plan", j->plan, "why", j->why, "findings", r->preflight ? j->findings : NULL);
	progress_clear(&a->progress);
	out_line(&a->out, "%s", j->def->name);
	if (j->def->n_domains == 0)
		out_line(&a->out, "  no domains: its addresses and ports are covered by the proxy");
	json_array_foreach (j->domains, i, domain) {
		s->domains++;
		s->by_verdict[verdict_of(domain)]++;
		if (!a->out.json)
			show_domain(a, domain);
	}
	s->accounts++;
	if (r->preflight)
		show_findings(a, r, j);
	if (j->rc < 0 || j->refused) {
		out_line(&a->out, "  %s%s", j->refused ? "A MOVE WOULD BE REFUSED: " : "NOT CHECKED: ", j->why ? j->why : "?");
		json_array_append_new(s->refused, json_string(j->def->name));
		if (!*s->first)
			snprintf(s->first, sizeof(s->first), "%s: %.500s", j->def->name, j->why ? j->why : "?");
	} else if (j->why) {
		out_line(&a->out, "  note: %s; a rollback would leave that as it is", j->why);
	}
	if (a->out.json)
		json_array_append(s->list, o);
	json_decref(o);
}

/* What stops moves, besides DNS; of that sum_up() speaks. */
static enum exit_code sum_up_findings(struct app *a, struct sum *s, struct err *err)
{
	const struct kept *k = &s->kept;
	kept_flush(&s->kept, a);
	out_line(&a->out, "%zu account%s: %zu of them stopped; in all %zu stop%s, %zu warning%s, %zu note%s", s->accounts,
		 s->accounts == 1 ? "" : "s", k->stopped, k->counts[GRADE_STOP], k->counts[GRADE_STOP] == 1 ? "" : "s",
		 k->counts[GRADE_WARN], k->counts[GRADE_WARN] == 1 ? "" : "s", k->counts[GRADE_INFORM],
		 k->counts[GRADE_INFORM] == 1 ? "" : "s");
	out_set(&a->out, "findings",
		json_pack("{s:I, s:I, s:I, s:I}", "stopped", (json_int_t)k->stopped, "stop", (json_int_t)k->counts[GRADE_STOP], "warn",
			  (json_int_t)k->counts[GRADE_WARN], "inform", (json_int_t)k->counts[GRADE_INFORM]));
	if (k->stopped == 0)
		return EXIT_DONE;
	err_set(err, -EPERM, "%zu of %zu accounts should not be moved yet; %s", k->stopped, s->accounts, k->first);
	return EXIT_REFUSED;
}

static enum exit_code sum_up(struct app *a, const struct sum *s, struct err *err)
{
	char text[300] = "";
	json_t *counts = json_object();
	for (size_t i = 0; i < N_VERDICTS; i++) {
		size_t at = strlen(text);
		json_object_set_new(counts, verdicts[i].verdict, json_integer((json_int_t)s->by_verdict[i]));
		if (s->by_verdict[i])
			snprintf(text + at, sizeof(text) - at, "%s%zu %s", at ? ", " : ": ", s->by_verdict[i], verdicts[i].verdict);
	}
	out_line(&a->out, "%zu domain%s of %zu account%s%s", s->domains, s->domains == 1 ? "" : "s", s->accounts,
		 s->accounts == 1 ? "" : "s", text);
	out_set(&a->out, "counts", counts);
	if (json_array_size(s->refused) == 0)
		return EXIT_DONE;
	err_set(err, -EPERM, "DNS stands in the way of %zu of %zu accounts; %s. Mend that, or move with --no-dns",
		json_array_size(s->refused), s->accounts, s->first);
	return EXIT_REFUSED;
}

/* ---- one after the other ---- */

static const char *phase_of(const struct check_links *links)
{
	return links->proxy ? links->dns ? "asking DNS and both sides" : "asking both sides" : "asking DNS";
}

/* In order, as they come; 0, or how it ended before all were asked. */
static int follow(struct app *a, struct check_asking *k, struct run *r, struct err *err)
{
	int64_t began = mono_ms();
	double percent;
	for (size_t i = 0; i < r->n; i++) {
		struct check_job *j = &r->jobs[i];
		while (!check_asking_wait(k, i, REFRESH_MS, &percent)) {
			if (!r->links->dns) /* then domains tell nothing */
				percent = 100.0 * (double)i / (double)r->n;
			progress_show(&a->progress, j->def->name, phase_of(r->links), percent, progress_left(percent, mono_ms() - began));
		}
		if (dnslink_is_away(j->rc))
			return err_set(err, j->rc, "what DNS says cannot be told: %s", j->why);
		show(a, r, j);
		check_job_done(j);
	}
	return 0;
}

static int run(struct app *a, struct run *r, struct err *err)
{
	struct check_asking *k;
	int rc = check_asking_start(&k, r->jobs, r->n, r->links, r->preflight, err);
	if (rc == 0)
		rc = follow(a, k, r, err);
	check_asking_end(k);
	progress_clear(&a->progress);
	return rc;
}

/* ---- all of it ---- */

/* The move that comes next: to the transit server, and back again by rollback, or by relocate once the addresses are home. */
static void next_move(struct app *a, struct check_job *j)
{
	int64_t at;
	bool home = journal_clock(a->db, "return", &at, NULL) == 0;
	j->to = j->def->side == SIDE_CLIENT ? SIDE_TRANSIT : SIDE_CLIENT;
	j->verb = j->to == SIDE_CLIENT && !home ? DNS_UNDO : DNS_PUSH;
}

static enum exit_code sum_up_all(struct app *a, struct run *r, struct err *err)
{
	struct err first = {0};
	enum exit_code x = EXIT_DONE, y = EXIT_DONE;
	if (r->preflight)
		x = sum_up_findings(a, &r->sum, &first);
	if (r->links->dns)
		y = sum_up(a, &r->sum, err);
	if (y == EXIT_DONE)
		*err = first;
	return worse(x, y);
}

static enum exit_code check_set(struct app *a, const struct check_links *links, struct preflight *preflight, const struct acctset *set,
				const json_t *others, struct err *err)
{
	struct run r = {.jobs = calloc(set->n + 1, sizeof(*r.jobs)), .n = set->n, .links = links, .preflight = preflight};
	if (!r.jobs) {
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < set->n; i++) {
		r.jobs[i] = (struct check_job){.def = &set->defs[i], .others = json_object_get(others, set->defs[i].name)};
		next_move(a, &r.jobs[i]);
	}
	r.sum.list = json_array();
	r.sum.refused = json_array();
	out_set(&a->out, "accounts", r.sum.list);
	out_set(&a->out, "refused", r.sum.refused);
	int rc = run(a, &r, err);
	for (size_t i = 0; i < r.n; i++)
		check_job_done(&r.jobs[i]);
	free(r.jobs);
	enum exit_code x = rc < 0 ? EXIT_REFUSED : sum_up_all(a, &r, err);
	kept_flush(&r.sum.kept, a);
	return x;
}

enum exit_code check_run(struct app *a, const struct check_links *links, char **words, int n, struct err *err)
{
	struct preflight *preflight = NULL;
	struct acctset set;
	json_t *others = NULL;
	int rc = check_load(a, words, n, &set, err);
	if (rc < 0)
		return exit_of(rc);
	rc = journal_claims_below(a->db, &set, &others, err);
	if (rc == 0 && links->proxy)
		rc = preflight_new(&preflight, a, err);
	enum exit_code x = rc < 0 ? exit_of(rc) : check_set(a, links, preflight, &set, others, err);
	preflight_free(preflight);
	json_decref(others);
	acctset_done(&set);
	return x;
}

enum exit_code check_dns(struct app *a, struct dnslink *const *links, size_t n_links, char **words, int n, struct err *err)
{
	return check_run(a, &(struct check_links){.dns = links, .n = n_links}, words, n, err);
}
