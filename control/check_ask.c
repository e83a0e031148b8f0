#include "control/check_ask.h"

#include "control/publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK 50 /* domains of one question: its answer stays well below the limit of a message, and progress is seen */

struct worker {
	pthread_t thread;
	struct check_asking *asking;
	struct dnslink *link;    /* NULL: DNS is not configured */
	struct proxylink *proxy; /* set exactly where there is a preflight */
};

struct check_asking {
	pthread_mutex_t lock;
	pthread_cond_t moved; /* a job is done, or domains_done has grown */
	pthread_cond_t room;  /* waited_for has grown, or stop */
	struct check_job *jobs;
	size_t n, next, waited_for, domains, domains_done;
	struct preflight *preflight; /* NULL: DNS alone */
	bool stop;
	struct worker workers[CHECK_LINKS];
	size_t n_workers, n_links;
};

void check_job_done(struct check_job *j)
{
	json_decref(j->domains);
	json_decref(j->plan);
	json_decref(j->findings);
	json_decref(j->https);
	free(j->why);
	j->domains = j->plan = j->findings = j->https = NULL;
	j->why = NULL;
}

static void advance(struct check_asking *k, size_t domains)
{
	pthread_mutex_lock(&k->lock);
	k->domains_done += domains;
	pthread_cond_signal(&k->moved);
	pthread_mutex_unlock(&k->lock);
}

/* ---- what DNS says ---- */

/* Questions of one kind, and whose each is. */
struct round {
	struct check_asking *asking;
	json_t **fields;
	struct {
		struct check_job *job;
		size_t domains;
	} * whose;
	size_t n;
};

/* False: no memory. */
static bool round_init(struct round *r, struct check_asking *k, size_t most)
{
	*r = (struct round){.asking = k, .fields = calloc(most + 1, sizeof(*r->fields)), .whose = calloc(most + 1, sizeof(*r->whose))};
	return r->fields && r->whose;
}

static void add(struct round *r, struct check_job *j, size_t domains, json_t *fields)
{
	r->whose[r->n].job = j;
	r->whose[r->n].domains = domains;
	r->fields[r->n++] = fields;
}

static void round_done(struct round *r)
{
	free(r->fields);
	free(r->whose);
}

static void fail(struct check_job *j, int rc, const char *why)
{
	if (j->rc == 0) {
		j->rc = rc;
		free(j->why);
		j->why = strdup(why);
	}
}

static size_t chunks_of(const struct check_job *j)
{
	return (j->def->n_domains + CHUNK - 1) / CHUNK;
}

static void on_classified(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	struct round *r = arg;
	struct check_job *j = r->whose[i].job;
	if (rc < 0)
		fail(j, rc, err->text);
	else if (j->rc == 0)
		json_array_extend(j->domains, json_object_get(answer, "domains"));
	advance(r->asking, r->whose[i].domains);
}

static void add_classify(struct round *r, struct check_job *j)
{
	const struct acctdef *d = j->def;
	for (size_t at = 0; at < d->n_domains; at += CHUNK) {
		struct acctdef part = *d;
		part.domains = d->domains + at;
		part.n_domains = d->n_domains - at < CHUNK ? d->n_domains - at : CHUNK;
		json_t *account = dns_account(&part, j->others);
		add(r, j, part.n_domains, dns_classify_fields(account));
		json_decref(account);
	}
}

static void on_planned(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	struct check_job *j = ((struct round *)arg)->whose[i].job;
	if (answer)
		j->plan = publish_evidence(answer, "planned");
	if (rc == -EPROTO) { /* what another hand changed does not keep an account from going home */
		j->refused = j->verb == DNS_PUSH || !publish_drift(answer);
		free(j->why);
		j->why = *err->text ? strdup(err->text) : NULL;
	} else if (rc < 0) {
		fail(j, rc, err->text);
	}
}

static void add_plan(struct round *r, struct check_job *j)
{
	json_t *account = dns_account(j->def, j->others);
	add(r, j, 0, dns_plan_fields(account, j->verb, j->to));
	json_decref(account);
}

/* As accounts have them, without the last dot. */
static void put_bare(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	size_t len = s ? strlen(s) : 0;
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

static void ask_dns(const struct worker *w, struct check_job *jobs, size_t n)
{
	struct round classify, plan;
	size_t chunks = 0;
	for (size_t i = 0; i < n; i++)
		chunks += chunks_of(&jobs[i]);
	bool ok = round_init(&classify, w->asking, chunks), both = round_init(&plan, w->asking, n) && ok;
	for (size_t i = 0; i < n; i++) {
		if (both)
			add_classify(&classify, &jobs[i]);
		else
			fail(&jobs[i], -ENOMEM, "out of memory");
	}
	if (both)
		dns_many(w->link, "classify", classify.fields, classify.n, on_classified, &classify);
	for (size_t i = 0; both && i < n; i++) {
		if (jobs[i].rc == 0 && jobs[i].def->n_domains)
			add_plan(&plan, &jobs[i]);
		put_bare_names(jobs[i].domains);
	}
	if (both)
		dns_many(w->link, "plan", plan.fields, plan.n, on_planned, &plan);
	round_done(&classify);
	round_done(&plan);
}

/* ---- what else there is ---- */

static void ask_rest(const struct worker *w, struct check_job *jobs, size_t n)
{
	struct preflight_case cases[CHECK_BATCH];
	struct check_job *of[CHECK_BATCH];
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		struct check_job *j = &jobs[i];
		if (dnslink_is_away(j->rc))
			continue;
		of[k] = j;
		cases[k++] = (struct preflight_case){.def = j->def,
						     .to = j->to,
						     .rollback = j->verb == DNS_UNDO,
						     .domains = w->link ? j->domains : NULL,
						     .refused = j->rc < 0 || j->refused ? (j->why ? j->why : "?") : NULL,
						     .findings = j->findings};
	}
	preflight_accounts(w->asking->preflight, w->proxy, w->link, cases, k);
	for (size_t i = 0; i < k; i++)
		of[i]->https = cases[i].https;
}

/* ---- the threads ---- */

/* Fewer at the end, so that all threads come to it together. 0: there is nothing more. */
static size_t take(struct check_asking *k, struct check_job **first)
{
	pthread_mutex_lock(&k->lock);
	while (!k->stop && k->next < k->n && k->next >= k->waited_for + CHECK_WINDOW)
		pthread_cond_wait(&k->room, &k->lock);
	size_t left = k->stop ? 0 : k->n - k->next, window = k->waited_for + CHECK_WINDOW - k->next, n = left / (2 * k->n_links) + 1;
	n = n > CHECK_BATCH ? CHECK_BATCH : n;
	n = n > left ? left : n;
	n = n > window ? window : n;
	*first = &k->jobs[k->next];
	k->next += n;
	pthread_mutex_unlock(&k->lock);
	return n;
}

static void finish(struct check_asking *k, struct check_job *jobs, size_t n)
{
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < n; i++) {
		jobs[i].done = true;
		if (dnslink_is_away(jobs[i].rc))
			k->stop = true; /* for all of them */
	}
	pthread_cond_signal(&k->moved);
	if (k->stop)
		pthread_cond_broadcast(&k->room);
	pthread_mutex_unlock(&k->lock);
}

static void *work(void *arg)
{
	const struct worker *w = arg;
	struct check_asking *k = w->asking;
	struct check_job *jobs;
	size_t n;
	while ((n = take(k, &jobs))) {
		for (size_t i = 0; i < n; i++) {
			jobs[i].domains = json_array();
			jobs[i].findings = json_array();
		}
		if (w->link)
			ask_dns(w, jobs, n);
		if (k->preflight)
			ask_rest(w, jobs, n);
		finish(k, jobs, n);
	}
	return NULL;
}

int check_asking_start(struct check_asking **out, struct check_job *jobs, size_t n, const struct check_links *links, struct preflight *p,
		       struct err *err)
{
	struct check_asking *k = calloc(1, sizeof(*k));
	int rc = 0;
	*out = k;
	if (!k)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->moved, NULL);
	pthread_cond_init(&k->room, NULL);
	k->jobs = jobs;
	k->n = n;
	k->preflight = p;
	k->n_links = links->n < CHECK_LINKS ? links->n : CHECK_LINKS;
	for (size_t i = 0; i < n; i++)
		k->domains += jobs[i].def->n_domains;
	for (size_t i = 0; i < k->n_links && i < n; i++) {
		struct worker *w = &k->workers[i];
		*w = (struct worker){
			.asking = k, .link = links->dns ? links->dns[i] : NULL, .proxy = links->proxy ? links->proxy[i] : NULL};
		rc = pthread_create(&w->thread, NULL, work, w);
		if (rc)
			break; /* the others do its work */
		k->n_workers++;
	}
	if (n == 0 || k->n_workers)
		return 0;
	check_asking_end(k);
	*out = NULL;
	return err_errno(err, -rc, "check: no thread could be made");
}

bool check_asking_wait(struct check_asking *k, size_t i, int ms, double *percent)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&k->lock);
	if (i > k->waited_for) {
		k->waited_for = i;
		pthread_cond_broadcast(&k->room);
	}
	if (!k->jobs[i].done)
		pthread_cond_timedwait(&k->moved, &k->lock, &until);
	bool done = k->jobs[i].done;
	*percent = k->domains ? 100.0 * (double)k->domains_done / (double)k->domains : 0;
	pthread_mutex_unlock(&k->lock);
	return done;
}

void check_asking_end(struct check_asking *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_broadcast(&k->room);
	pthread_mutex_unlock(&k->lock);
	for (size_t i = 0; i < k->n_workers; i++)
		pthread_join(k->workers[i].thread, NULL);
	pthread_cond_destroy(&k->moved);
	pthread_cond_destroy(&k->room);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
