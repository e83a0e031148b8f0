/* A server that follows is asked for many RRsets at a time; one that lags for a single one, after pauses that grow: so a thousand zones
 * whose secondaries lag cost a thousand questions a second at most. Pauses vary by a quarter, so that they do not fall in step. */
#include "dnsupdate/verify.h"

#include "dnsupdate/look_parts.h"
#include "lib/clock.h"

#include <errno.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW       16 /* RRsets asked for at a time of one server that follows */
#define PAUSE_MS     20
#define PAUSE_MAX_MS 1000

struct watch { /* one server */
	struct verify *v;
	struct server server;
	struct sighting *sighting;
	struct probe {
		struct watch *w;
		struct look *look; /* NULL: this probe is free */
		size_t at;
	} probes[WINDOW];
	bool *seen;   /* by RRset */
	bool *asked;  /* under way */
	size_t first; /* all before it are seen */
	size_t under_way;
	enum { FOLLOWS, LAGS, PROBED } state; /* probed: one question after a pause */
	unsigned pause_ms;
	struct event pause;
};

struct verify {
	struct looker *l;
	struct rrset *expected;
	size_t n_expected;
	struct watch *watches;
	struct sighting *sightings;
	size_t n, left;
	int wait_ms;
	int64_t began_ms;
	struct event end;
	struct look *later;
	bool *gone; /* set while the callback is called */
	verify_fn *fn;
	void *arg;
};

/* ---- what an answer shows ---- */

static void say_found(const struct rrset *found, bool resolver, char *trouble, size_t cap)
{
	char type[16], values[120];
	char *ttl;

	rrset_text(found, values, sizeof values);
	ttl = strstr(values, " (TTL "); /* it is said in other words here; where the text was cut it is not there */
	if (ttl)
		*ttl = '\0';
	rr_type_text(found->type, type);
	if (resolver)
		snprintf(trouble, cap, "still holds the old record for up to %u s: %s %s", found->ttl, type, values);
	else
		snprintf(trouble, cap, "answers %s %s, TTL %u", type, values, found->ttl);
}

static void say_none(const struct answer *a, const struct rrset *expected, bool resolver, char *trouble, size_t cap)
{
	char type[16];
	uint32_t ttl = 0;

	for (size_t i = 0; i < a->authority.n; i++)
		if (a->authority.rrs[i].type == RR_SOA)
			ttl = a->authority.rrs[i].ttl;
	rr_type_text(expected->type, type);
	if (resolver)
		snprintf(trouble, cap, "still holds for up to %u s that there is no %s", ttl, type);
	else if (a->rcode == RCODE_NXDOMAIN)
		snprintf(trouble, cap, "answers NXDOMAIN");
	else
		snprintf(trouble, cap, "answers that there is no %s", type);
}

static bool compare(const struct answer *a, const struct rrset *expected, const struct rrset *found, const struct rrset *alias,
		    bool resolver, char *trouble, size_t cap)
{
	bool same = resolver ? rrset_same_values(expected, found) : rrset_equal(expected, found);

	if (same)
		return true;
	if (found->n)
		say_found(found, resolver && !rrset_same_values(expected, found), trouble, cap);
	else if (alias->n) /* whatever it leads to: it is not what was written */
		say_found(alias, resolver, trouble, cap);
	else
		say_none(a, expected, resolver, trouble, cap);
	return false;
}

bool verify_shows(const struct answer *a, const struct rrset *expected, bool resolver, char *trouble, size_t cap)
{
	struct rrset found = {0}, alias = {0};
	bool same = false;

	trouble[0] = '\0';
	if (a->rcode != RCODE_NOERROR && a->rcode != RCODE_NXDOMAIN)
		snprintf(trouble, cap, "answers %s", rcode_text(a->rcode));
	else if (!resolver && !a->aa)
		snprintf(trouble, cap, "answers without authority");
	else if (answer_rrset(a, expected->owner, expected->type, &found) < 0 || answer_rrset(a, expected->owner, RR_CNAME, &alias) < 0)
		snprintf(trouble, cap, "could not be understood: out of memory");
	else
		same = compare(a, expected, &found, &alias, resolver, trouble, cap);
	rrset_done(&found);
	rrset_done(&alias);
	return same;
}

bool verify_waits(const struct verify *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->sightings[i].after_ms < 0 && v->watches[i].state == FOLLOWS)
			return false;
	return true;
}

/* ---- the end ---- */

static void verify_free(struct verify *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct watch *w = &v->watches[i];

		for (size_t k = 0; k < WINDOW; k++)
			look_cancel(w->probes[k].look);
		if (event_initialized(&w->pause))
			event_del(&w->pause);
		free(w->seen);
		free(w->asked);
		free(w->server.name);
	}
	if (event_initialized(&v->end))
		event_del(&v->end);
	look_cancel(v->later);
	for (size_t i = 0; i < v->n_expected; i++)
		rrset_done(&v->expected[i]);
	free(v->expected);
	free(v->watches);
	free(v->sightings);
	free(v);
}

void verify_cancel(struct verify *v)
{
	if (!v)
		return;
	if (v->gone)
		*v->gone = true;
	verify_free(v);
}

/* Asks no more; what the callback reads lives until it returns, and it may free the looker. */
static void stop(struct verify *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct watch *w = &v->watches[i];

		for (size_t k = 0; k < WINDOW; k++) {
			look_cancel(w->probes[k].look);
			w->probes[k].look = NULL;
		}
		event_del(&w->pause);
	}
	event_del(&v->end);
}

static void finish(struct verify *v)
{
	stop(v);
	v->fn(v->arg, v->sightings, v->n, NULL);
	verify_free(v);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	finish(arg);
}

/* ---- asking ---- */

static void on_answer(void *arg, const struct answer *a, const struct err *err);

static bool ask_one(struct watch *w, size_t at)
{
	struct verify *v = w->v;
	struct probe *p = w->probes;

	while (p->look)
		p++; /* there is a free one: under_way < WINDOW */
	*p = (struct probe){.w = w, .at = at};
	p->look = look_ask(v->l, &w->server.addr, w->server.resolver, v->expected[at].owner, v->expected[at].type, on_answer, p);
	if (!p->look)
		return false;
	w->asked[at] = true;
	w->under_way++;
	return true;
}

/* false: no memory, to be tried again after a pause. */
static bool ask_more(struct watch *w)
{
	size_t window = w->state == FOLLOWS ? WINDOW : 1;

	while (w->first < w->v->n_expected && w->seen[w->first])
		w->first++;
	for (size_t i = w->first; i < w->v->n_expected && w->under_way < window; i++)
		if (!w->seen[i] && !w->asked[i] && !ask_one(w, i))
			return w->under_way > 0;
	return true;
}

static void pause_watch(struct watch *w)
{
	unsigned char dice = 0;
	unsigned ms;

	if (w->v->wait_ms == 0) { /* asked once, and that was it */
		if (--w->v->left == 0)
			event_active(&w->v->end, EV_TIMEOUT, 0);
		return;
	}
	evutil_secure_rng_get_bytes(&dice, sizeof dice);
	ms = w->pause_ms * 3 / 4 + w->pause_ms * dice / 512;
	w->pause_ms = w->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : w->pause_ms * 2;
	event_add(&w->pause, &(struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000});
}

static void go_on(struct watch *w)
{
	if (!ask_more(w))
		pause_watch(w);
}

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd, (void)what;
	w->state = PROBED;
	go_on(w);
}

/* ---- hearing ---- */

/* A resolver that holds the old record does so until its TTL is over, which nobody is made to wait for. */
static bool only_resolvers_lag(const struct verify *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct watch *w = &v->watches[i];

		if (w->sighting->after_ms < 0 && (!w->server.resolver || w->state == FOLLOWS))
			return false;
	}
	return true;
}

static void server_done(struct watch *w)
{
	struct verify *v = w->v;
	bool gone = false;

	w->sighting->after_ms = mono_ms() - v->began_ms;
	w->sighting->trouble[0] = '\0';
	v->left--;
	v->gone = &gone;
	v->fn(v->arg, v->sightings, v->n, w->sighting);
	if (gone)
		return;
	v->gone = NULL;
	if (v->left == 0 || only_resolvers_lag(v))
		finish(v);
}

static void set_trouble(struct watch *w, size_t at, const char *trouble)
{
	const struct rrset *e = &w->v->expected[at];
	char type[16];

	snprintf(w->sighting->trouble, sizeof w->sighting->trouble, "%.120s (asked for %.50s %s)", trouble, e->owner,
		 rr_type_text(e->type, type));
}

/* What was asked for before the first wrong answer came still counts, but nothing is asked for any more until the pause is over. */
static void heard(struct watch *w, size_t at, bool shown, const char *trouble)
{
	if (shown) {
		w->seen[at] = true;
		if (++w->sighting->seen == w->v->n_expected) {
			server_done(w);
			return;
		}
	} else {
		set_trouble(w, at, trouble);
		w->state = LAGS;
	}
	if (w->state == LAGS) {
		if (only_resolvers_lag(w->v))
			finish(w->v);
		else if (w->under_way == 0)
			pause_watch(w);
		return;
	}
	w->state = FOLLOWS;
	w->pause_ms = PAUSE_MS;
	go_on(w);
}

static void on_answer(void *arg, const struct answer *a, const struct err *err)
{
	struct probe *p = arg;
	struct watch *w = p->w;
	size_t at = p->at;
	char trouble[200];
	bool shown = false;

	p->look = NULL;
	w->asked[at] = false;
	w->under_way--;
	if (a)
		shown = verify_shows(a, &w->v->expected[at], w->server.resolver, trouble, sizeof trouble);
	else if (err->code == -ETIMEDOUT || err->code == -ECONNREFUSED)
		snprintf(trouble, sizeof trouble, "does not answer");
	else
		snprintf(trouble, sizeof trouble, "%.190s", err->text);
	heard(w, at, shown, trouble);
}

/* ---- the beginning ---- */

static void on_start(void *arg)
{
	struct verify *v = arg;

	v->later = NULL;
	if (v->n == 0 || v->n_expected == 0) {
		for (size_t i = 0; i < v->n; i++)
			v->sightings[i].after_ms = 0;
		finish(v);
		return;
	}
	if (v->wait_ms > 0)
		event_add(&v->end, &(struct timeval){.tv_sec = v->wait_ms / 1000, .tv_usec = v->wait_ms % 1000 * 1000});
	for (size_t i = 0; i < v->n; i++)
		go_on(&v->watches[i]);
}

static bool watch_init(struct verify *v, const struct server *server)
{
	struct watch *w = &v->watches[v->n];
	struct sighting *s = &v->sightings[v->n];

	*w = (struct watch){.v = v, .server = *server, .sighting = s, .pause_ms = PAUSE_MS};
	evtimer_assign(&w->pause, v->l->base, on_pause, w);
	v->n++;
	v->left++;
	w->server.name = strdup(server->name);
	w->seen = calloc(v->n_expected ? v->n_expected : 1, sizeof *w->seen);
	w->asked = calloc(v->n_expected ? v->n_expected : 1, sizeof *w->asked);
	*s = (struct sighting){.server = &w->server, .after_ms = -1};
	snprintf(s->trouble, sizeof s->trouble, "has not answered yet");
	return w->server.name && w->seen && w->asked;
}

struct verify *verify_start(struct looker *l, const struct rrset *expected, size_t n_expected, const struct server_list *servers,
			    int wait_ms, verify_fn *fn, void *arg)
{
	struct verify *v = calloc(1, sizeof *v);
	bool fine;

	if (!v)
		return NULL;
	*v = (struct verify){.l = l, .wait_ms = wait_ms, .fn = fn, .arg = arg, .began_ms = mono_ms()};
	evtimer_assign(&v->end, l->base, on_end, v);
	v->expected = calloc(n_expected ? n_expected : 1, sizeof *v->expected);
	v->watches = calloc(servers->n ? servers->n : 1, sizeof *v->watches);
	v->sightings = calloc(servers->n ? servers->n : 1, sizeof *v->sightings);
	fine = v->expected && v->watches && v->sightings;
	for (size_t i = 0; fine && i < n_expected; i++) {
		fine = rrset_copy(&v->expected[i], &expected[i]) == 0;
		v->n_expected += fine;
	}
	for (size_t i = 0; fine && i < servers->n; i++)
		fine = watch_init(v, &servers->servers[i]);
	v->later = fine ? look_later(l, on_start, v) : NULL;
	if (!v->later) {
		verify_free(v);
		return NULL;
	}
	return v;
}
