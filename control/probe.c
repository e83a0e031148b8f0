#include "control/probe.h"

#include "control/app.h"
#include "lib/member.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS  150000 /* the proxy's own limits: 256 probes, eight at a time, 4 s each */
#define AT_ONCE 8

int probe_ask(struct proxylink *l, const char *account, enum side side, json_t **answer, struct err *err)
{
	return proxylink_ask(l, "probe", json_pack("{s:s, s:s}", "name", account, "side", side_name(side)), ASK_MS, answer, err);
}

/* ---- what an answer says ---- */

static bool same_question(const json_t *a, const json_t *b)
{
	return strcmp(member_text_or(a, "listener", ""), member_text_or(b, "listener", "")) == 0 &&
	       strcmp(member_text_or(a, "came-to", ""), member_text_or(b, "came-to", "")) == 0;
}

static bool failed_before(const json_t *probe, const json_t *before)
{
	size_t i;
	json_t *b;
	json_array_foreach (json_object_get(before, "probes"), i, b) {
		if (same_question(probe, b))
			return !json_is_true(json_object_get(b, "ok"));
	}
	return false;
}

size_t probe_failures(const json_t *answer, const json_t *before, size_t *excused, char *out, size_t cap)
{
	size_t i, n = 0, at = 0;
	json_t *p;
	*excused = 0;
	*out = '\0';
	json_array_foreach (json_object_get(answer, "probes"), i, p) {
		if (json_is_true(json_object_get(p, "ok")))
			continue;
		if (failed_before(p, before)) {
			++*excused;
			continue;
		}
		const char *name = member_text_or(p, "name", "");
		n++;
		if (at < cap)
			at += (size_t)snprintf(out + at, cap - at, "%s%s (%s, %s%s%s): %s", at ? "; " : "",
					       member_text_or(p, "listener", "?"), member_text_or(p, "protocol", "?"), name,
					       *name ? " at " : "", member_text_or(p, "at", "nowhere"), member_text_or(p, "said", "?"));
	}
	return n;
}

/* ---- of all accounts ---- */

/* Shared by the threads: who is next, and how it ended. */
struct round {
	struct app *app;
	enum side side;
	const struct acctset *set;
	json_t **answers; /* by account; each is written by one thread */
	struct err *errs;
	int *rcs;
	atomic_size_t next, over;
	atomic_bool stop;
};

static void *ask_some(void *arg)
{
	struct round *r = arg;
	struct proxylink *l = NULL;
	struct err err = {0};
	int rc = proxylink_open(&l, app_proxy_address(r->app), &r->app->conf->tls, &err);

	for (size_t i; !atomic_load(&r->stop) && (i = atomic_fetch_add(&r->next, 1)) < r->set->n;) {
		r->rcs[i] = rc < 0 ? rc : probe_ask(l, r->set->defs[i].name, r->side, &r->answers[i], &r->errs[i]);
		if (rc < 0)
			r->errs[i] = err;
		if (proxylink_is_away(r->rcs[i]))
			atomic_store(&r->stop, true);
		atomic_fetch_add(&r->over, 1);
	}
	proxylink_close(l);
	return NULL;
}

static bool interrupted(const struct app *a, int timeout_ms)
{
	struct pollfd p = {a->sigfd, POLLIN, 0};
	return poll(&p, 1, timeout_ms) > 0;
}

/* While they ask: progress, and Ctrl-C. */
static void watch(struct round *r)
{
	struct app *a = r->app;
	char much[60];
	while (!atomic_load(&r->stop) && atomic_load(&r->over) < r->set->n) {
		if (interrupted(a, 50))
			atomic_store(&r->stop, true);
		snprintf(much, sizeof(much), "%zu of %zu answered", atomic_load(&r->over), r->set->n);
		progress_show(&a->progress, "asking for each account", much, -1, -1);
	}
	progress_clear(&a->progress);
}

static int collect(struct round *r, json_t *out, struct err *err)
{
	json_t *failed = json_array();
	json_int_t probes = 0, unasked = 0;
	char why[600];
	size_t excused;
	int rc = 0;
	json_object_set_new(out, "accounts", json_integer((json_int_t)r->set->n));
	for (size_t i = 0; i < r->set->n; i++) {
		const char *name = r->set->defs[i].name;
		size_t asked = json_array_size(json_object_get(r->answers[i], "probes"));
		probes += (json_int_t)asked;
		unasked += r->answers[i] && asked == 0;
		if (rc == 0 && proxylink_is_away(r->rcs[i])) {
			*err = r->errs[i];
			rc = r->rcs[i];
		}
		if (r->rcs[i] < 0)
			json_array_append_new(failed, json_pack("{s:s, s:s}", "account", name, "why", r->errs[i].text));
		else if (probe_failures(r->answers[i], NULL, &excused, why, sizeof(why)))
			json_array_append_new(failed, json_pack("{s:s, s:s}", "account", name, "why", why));
	}
	json_object_set_new(out, "probes", json_integer(probes));
	json_object_set_new(out, "unasked", json_integer(unasked));
	json_object_set_new(out, "failed", failed);
	return rc;
}

static int ask_all(struct round *r, struct err *err)
{
	pthread_t threads[AT_ONCE];
	size_t n = 0;
	while (n < AT_ONCE && n < r->set->n && pthread_create(&threads[n], NULL, ask_some, r) == 0)
		n++;
	if (n == 0 && r->set->n)
		return err_set(err, -EAGAIN, "no thread could be started");
	watch(r);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int probe_all(struct app *a, enum side side, json_t **out, struct err *err)
{
	struct acctset set;
	*out = NULL;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	struct round r = {.app = a,
			  .side = side,
			  .set = &set,
			  .answers = calloc(set.n + 1, sizeof(json_t *)),
			  .errs = calloc(set.n + 1, sizeof(struct err)),
			  .rcs = calloc(set.n + 1, sizeof(int))};
	if (!r.answers || !r.errs || !r.rcs)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = ask_all(&r, err);
	if (rc == 0) {
		*out = json_object();
		rc = collect(&r, *out, err);
	}
	if (rc == 0 && atomic_load(&r.over) < set.n)
		rc = err_set(err, -EINTR, "interrupted");
	for (size_t i = 0; r.answers && i < set.n; i++)
		json_decref(r.answers[i]);
	free(r.answers);
	free(r.errs);
	free(r.rcs);
	acctset_done(&set);
	if (rc < 0) {
		json_decref(*out);
		*out = NULL;
	}
	return rc;
}
