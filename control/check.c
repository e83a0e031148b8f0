#include "control/check.h"

#include "control/kept.h"
#include "control/preflight.h"
#include "control/publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK       50  /* domains of one question: its answer stays well below the limit of a message, and progress is seen */
#define NAMES_SHOWN 4   /* of a domain; --json has all */
#define REFRESH_MS  200 /* of the progress line */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* ---- asking ---- */

struct job {
	const struct acctdef *def;
	const json_t *others;
	enum dns_verb verb; /* of the move that comes next */
	enum side to;
	bool done;
	int rc;                   /* of the first question that was not answered; 0: none */
	char *why;                /* of rc, or of refused */
	bool refused;             /* the move would be */
	json_t *domains;          /* as classify tells */
	json_t *plan;             /* as publish_evidence() */
	json_t *findings, *https; /* as preflight_account() */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t moved; /* a job is done, or domains_done has grown */
	struct job *jobs;
	size_t n, next, domains, domains_done;
	struct preflight *preflight; /* NULL: DNS alone */
	bool stop;
};

struct worker {
	pthread_t thread;
	struct pool *pool;
	struct dnslink *link;    /* NULL: DNS is not configured */
	struct proxylink *proxy; /* set exactly where the pool has a preflight */
};

static void advance(struct pool *p, struct job *done, size_t domains)
{
	pthread_mutex_lock(&p->lock);
	p->domains_done += domains;
	if (done)
		done->done = true;
	if (done && dnslink_is_away(done->rc))
		p->stop = true; /* for all of them */
	pthread_cond_signal(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

/* As accounts have them, without the last dot. */
static void put_bare(json_t *o, const char *key)
{
	const char *s = text_of(o, key);
	size_t len = strlen(s);
	if (len > 1 && s[len - 1] == '.')
		json_object_set_new(o, key, json_stringn(s, len - 1));
}

static void put_bare_names(json_t *domains)
{
	size_t i, k;
	json_t *d, *name;
	json_array_foreach (domains, i, d) {
		put_bare(d, "domain");
		put_bare(d, "zone");
		json_array_foreach (json_object_get(d, "names"), k, name)
			put_bare(name, "name");
	}
}

static int classify(struct pool *p, struct dnslink *l, struct job *j, struct err *err)
{
	const struct acctdef *d = j->def;
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < d->n_domains; at += CHUNK) {
		struct acctdef part = *d;
		json_t *answer = NULL;
		part.domains = d->domains + at;
		part.n_domains = d->n_domains - at < CHUNK ? d->n_domains - at : CHUNK;
		json_t *account = dns_account(&part, j->others);
		rc = dns_classify(l, account, &answer, err);
		if (rc == 0)
			json_array_extend(j->domains, json_object_get(answer, "domains"));
		json_decref(answer);
		json_decref(account);
		advance(p, NULL, part.n_domains);
	}
	put_bare_names(j->domains);
	return rc;
}

static int plan(struct dnslink *l, struct job *j, struct err *err)
{
	json_t *answer = NULL, *account = dns_account(j->def, j->others);
	int rc = dns_plan(l, account, j->verb, j->to, &answer, NULL, err);
	if (answer)
		j->plan = publish_evidence(answer, "planned");
	if (rc == -EPROTO) { /* what another hand changed does not keep an account from going home */
		j->refused = j->verb == DNS_PUSH || !publish_drift(answer);
		rc = 0;
	} else if (rc == 0) {
		err->text[0] = '\0';
	}
	json_decref(answer);
	json_decref(account);
	return rc;
}

static void ask_dns(struct pool *p, struct dnslink *l, struct job *j)
{
	struct err e = {0};
	j->rc = j->def->n_domains ? classify(p, l, j, &e) : 0;
	if (j->rc == 0 && j->def->n_domains)
		j->rc = plan(l, j, &e);
	if (*e.text)
		j->why = strdup(e.text);
}

static void preflight(const struct worker *w, struct job *j)
{
	const struct preflight_case c = {.def = j->def,
					 .to = j->to,
					 .rollback = j->verb == DNS_UNDO,
					 .domains = w->link ? j->domains : NULL,
					 .refused = j->rc < 0 || j->refused ? (j->why ? j->why : "?") : NULL};
	if (!dnslink_is_away(j->rc))
		preflight_account(w->pool->preflight, w->proxy, w->link, &c, j->findings, &j->https);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct job *j = p->next < p->n && !p->stop ? &p->jobs[p->next++] : NULL;
		pthread_mutex_unlock(&p->lock);
		if (!j)
			return NULL;
		j->domains = json_array();
		j->findings = json_array();
		if (w->link)
			ask_dns(p, w->link, j);
		if (p->preflight)
			preflight(w, j);
		advance(p, j, 0);
	}
}

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
		if (strcmp(verdicts[i].verdict, text_of(domain, "verdict")) == 0)
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
		n += strcmp(text_of(name, "fate"), fate) == 0;
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
		if (strcmp(text_of(name, "fate"), "changes") != 0 || n++ >= NAMES_SHOWN)
			continue;
		relative(text_of(name, "name"), text_of(domain, "zone"), label, sizeof(label));
		snprintf(out + at, cap - at, "%s%.100s %.200s", n == 1 ? ": " : ", ", label, text_of(name, "what"));
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
	const char *why = text_of(domain, "why");
	size_t v = verdict_of(domain), i;
	json_t *name;
	if (verdicts[v].switched)
		changes_text(domain, changes, sizeof(changes));
	out_line(&a->out, "  %-30s %s%s: %s%s%s%s%s", text_of(domain, "domain"), verdicts[v].warn ? "WARNING " : "", verdicts[v].verdict,
		 verdicts[v].then, changes, *why && verdicts[v].warn ? " (" : "", verdicts[v].warn ? why : "",
		 *why && verdicts[v].warn ? ")" : "");
	json_array_foreach (json_object_get(domain, "names"), i, name) {
		if (verdicts[v].switched && strcmp(text_of(name, "fate"), "unsupported") == 0)
			out_line(&a->out, "  %-30s WARNING %s names the client server and is not rewritten: %s", "", text_of(name, "name"),
				 text_of(name, "what"));
	}
}

struct sum {
	size_t accounts, domains, by_verdict[N_VERDICTS];
	json_t *list, *refused;
	char first[600]; /* why the first is refused */
	struct kept kept;
};

/* What was found besides DNS's verdicts, which stand above. */
static void show_findings(struct app *a, const struct pool *p, const struct job *j, struct sum *s)
{
	preflight_judge_names(p->preflight, j->def, j->https, j->findings);
	findings_sort(j->findings);
	findings_show(&a->out, j->findings, "dns");
	kept_take(&s->kept, a, j->def->name, j->findings);
}

static void show(struct app *a, const struct pool *p, const struct job *j, struct sum *s)
{
	size_t i;
	json_t *domain;
	json_t *o =
		json_pack("{s:s, s:s, s:O, s:b, s:O*, s:s*, s:O*}", "account", j->def->name, "side", side_name(j->def->side), "domains",
			  j->domains, "refused", j->refused, "plan", j->plan, "why", j->why, "findings", p->preflight ? j->findings : NULL);
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
	if (p->preflight)
		show_findings(a, p, j, s);
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

/* ---- the pool ---- */

static int64_t mono_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wait_for(struct app *a, struct pool *p, const struct job *j, int64_t began)
{
	pthread_mutex_lock(&p->lock);
	while (!j->done) {
		struct timespec until;
		double percent = p->domains ? 100.0 * (double)p->domains_done / (double)p->domains : 0;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += REFRESH_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		progress_show(&a->progress, j->def->name, "asking DNS", percent, progress_left(percent, mono_ms() - began));
		pthread_cond_timedwait(&p->moved, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
}

static void job_done(struct job *j)
{
	json_decref(j->domains);
	json_decref(j->plan);
	json_decref(j->findings);
	json_decref(j->https);
	free(j->why);
	j->domains = j->plan = j->findings = j->https = NULL;
	j->why = NULL;
}

/* In order, as they come; 0, or how it ended before all were asked. */
static int follow(struct app *a, struct pool *p, struct sum *s, struct err *err)
{
	int64_t began = mono_ms();
	for (size_t i = 0; i < p->n; i++) {
		struct job *j = &p->jobs[i];
		wait_for(a, p, j, began);
		if (dnslink_is_away(j->rc))
			return err_set(err, j->rc, "what DNS says cannot be told: %s", j->why);
		show(a, p, j, s);
		job_done(j);
	}
	return 0;
}

static int run(struct app *a, struct pool *p, const struct check_links *links, struct sum *s, struct err *err)
{
	struct worker workers[CHECK_LINKS];
	size_t n = 0;
	int rc = 0;
	for (; n < links->n && n < CHECK_LINKS && n < p->n; n++) {
		workers[n] = (struct worker){
			.pool = p, .link = links->dns ? links->dns[n] : NULL, .proxy = links->proxy ? links->proxy[n] : NULL};
		rc = pthread_create(&workers[n].thread, NULL, work, &workers[n]);
		if (rc)
			break; /* the others do its work */
	}
	if (p->n && n == 0)
		return err_errno(err, -rc, "check: no thread could be made");
	rc = follow(a, p, s, err);
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	progress_clear(&a->progress);
	return rc;
}

/* ---- all of it ---- */

/* The move that comes next: to the transit server, and back again by rollback, or by relocate once the addresses are home. */
static void next_move(struct app *a, struct job *j)
{
	int64_t at;
	bool home = journal_clock(a->db, "return", &at, NULL) == 0;
	j->to = j->def->side == SIDE_CLIENT ? SIDE_TRANSIT : SIDE_CLIENT;
	j->verb = j->to == SIDE_CLIENT && !home ? DNS_UNDO : DNS_PUSH;
}

static enum exit_code sum_up_all(struct app *a, const struct pool *p, const struct check_links *links, struct sum *s, struct err *err)
{
	struct err first = {0};
	enum exit_code x = EXIT_DONE, y = EXIT_DONE;
	if (p->preflight)
		x = sum_up_findings(a, s, &first);
	if (links->dns)
		y = sum_up(a, s, err);
	if (y == EXIT_DONE)
		*err = first;
	return worse(x, y);
}

static enum exit_code check_set(struct app *a, const struct check_links *links, struct preflight *preflight, const struct acctset *set,
				const json_t *others, struct err *err)
{
	struct pool p = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .n = set->n, .preflight = preflight};
	struct sum s = {.list = json_array(), .refused = json_array()};
	p.jobs = calloc(set->n + 1, sizeof(*p.jobs));
	if (!p.jobs) {
		json_decref(s.list);
		json_decref(s.refused);
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < set->n; i++) {
		p.jobs[i] = (struct job){.def = &set->defs[i], .others = json_object_get(others, set->defs[i].name)};
		p.domains += set->defs[i].n_domains;
		next_move(a, &p.jobs[i]);
	}
	out_set(&a->out, "accounts", s.list);
	out_set(&a->out, "refused", s.refused);
	int rc = run(a, &p, links, &s, err);
	for (size_t i = 0; i < p.n; i++)
		job_done(&p.jobs[i]);
	free(p.jobs);
	enum exit_code x = rc < 0 ? EXIT_REFUSED : sum_up_all(a, &p, links, &s, err);
	kept_flush(&s.kept, a);
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
