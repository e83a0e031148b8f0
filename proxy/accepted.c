#include "proxy/accepted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *accepted_verdict_name(enum accepted_verdict v)
{
	switch (v) {
	case ACCEPTED_OK:
		return "accepted";
	case ACCEPTED_REFUSED:
		return "refused";
	case ACCEPTED_UNKNOWN:
		return "unanswered";
	case ACCEPTED_VERDICTS:
		break;
	}
	return "?";
}

enum accepted_verdict accepted_verdict_of(unsigned status)
{
	return status == 0 ? ACCEPTED_UNKNOWN : status < 400 ? ACCEPTED_OK : ACCEPTED_REFUSED;
}

const char *write_method_name(enum write_method m)
{
	switch (m) {
	case WRITE_POST:
		return "POST";
	case WRITE_PUT:
		return "PUT";
	case WRITE_PATCH:
		return "PATCH";
	case WRITE_DELETE:
		return "DELETE";
	case WRITE_OTHER:
		return "other";
	case WRITE_METHODS:
		break;
	}
	return "?";
}

bool write_method_of(enum http_method m, enum write_method *out)
{
	switch (m) {
	case METHOD_GET:
	case METHOD_HEAD:
	case METHOD_OPTIONS:
		return false;
	case METHOD_POST:
		*out = WRITE_POST;
		return true;
	case METHOD_PUT:
		*out = WRITE_PUT;
		return true;
	case METHOD_PATCH:
		*out = WRITE_PATCH;
		return true;
	case METHOD_DELETE:
		*out = WRITE_DELETE;
		return true;
	case METHOD_OTHER:
		*out = WRITE_OTHER;
		return true;
	}
	return false;
}

/* ---- memory ---- */

void accepted_done(struct accepted *a)
{
	while (a->conns) {
		struct accepted_conns *c = a->conns;

		a->conns = c->next;
		free(c);
	}
	*a = (struct accepted){0};
}

void accepted_free(struct accepted *a)
{
	if (a)
		accepted_done(a);
	free(a);
}

struct accepted_conns *accepted_conns_of(struct accepted *a, const char *listener, enum protocol protocol)
{
	struct accepted_conns **end = &a->conns, *c;
	size_t len;

	for (; (c = *end); end = &c->next) {
		if (c->protocol == protocol && strcmp(c->listener, listener) == 0)
			return c;
	}
	if (a->n_conns >= ACCEPTED_LISTENERS && *listener)
		return accepted_conns_of(a, "", protocol);
	len = strlen(listener) + 1;
	c = calloc(1, sizeof *c + len);
	if (!c)
		return NULL;
	c->protocol = protocol;
	memcpy(c->listener, listener, len);
	a->n_conns++;
	*end = c;
	return c;
}

/* ---- counting ---- */

/* What was counted before the host's start has times below zero. */
static bool is_later(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) > 0;
}

void accepted_begin(struct account *a, uint64_t now_ms, bool whole)
{
	/* A second switch within a millisecond must not find the first one's counts to be its own. */
	uint64_t before = atomic_load_explicit(&a->counted_since, memory_order_relaxed);

	atomic_store_explicit(&a->counted_whole, whole, memory_order_relaxed);
	atomic_store_explicit(&a->counted_since, is_later(now_ms, before) ? now_ms : before + 1, memory_order_release);
}

int accepted_restore(struct account *a, uint64_t since_ms, bool whole, struct accepted *kept)
{
	struct shard *s = account_shard(a, 0);
	struct accepted *acc = s ? calloc(1, sizeof *acc) : NULL;

	if (!acc)
		return -ENOMEM;
	since_ms += since_ms == 0;
	atomic_store_explicit(&a->counted_whole, whole, memory_order_relaxed);
	atomic_store_explicit(&a->counted_since, since_ms, memory_order_release);
	*acc = *kept;
	acc->since_ms = since_ms;
	*kept = (struct accepted){0};
	accepted_free(s->accepted);
	s->accepted = acc;
	return 0;
}

/* What counts now. NULL: nothing is to be counted, or there is no memory. */
static struct accepted *begun(struct account *a, unsigned worker)
{
	uint64_t since = atomic_load_explicit(&a->counted_since, memory_order_acquire);
	struct shard *s = since ? account_shard(a, worker) : NULL;

	if (!s)
		return NULL;
	if (!s->accepted)
		s->accepted = calloc(1, sizeof *s->accepted);
	if (!s->accepted) {
		atomic_store_explicit(&a->counted_whole, false, memory_order_relaxed);
		return NULL;
	}
	if (s->accepted->since_ms != since) {
		accepted_done(s->accepted);
		s->accepted->since_ms = since;
	}
	return s->accepted;
}

static void note_time(uint64_t *first, uint64_t *last, uint64_t from, uint64_t to)
{
	if (*first == 0 || is_later(*first, from))
		*first = from;
	if (*last == 0 || is_later(to, *last))
		*last = to;
}

void accepted_add_request(struct accepted *sum, enum write_method m, enum accepted_verdict v, uint64_t bytes, uint64_t at_ms)
{
	struct accepted_writes *w = &sum->writes[v];

	w->by_method[m]++;
	w->bytes += bytes;
	note_time(&w->first_ms, &w->last_ms, at_ms, at_ms);
}

void accepted_request(struct account *a, unsigned worker, enum write_method m, enum accepted_verdict v, uint64_t bytes, uint64_t now_ms)
{
	struct accepted *acc = begun(a, worker);

	if (acc)
		accepted_add_request(acc, m, v, bytes, now_ms);
}

void accepted_connection(struct account *a, unsigned worker, const char *listener, enum protocol protocol, unsigned count, uint64_t bytes,
			 uint64_t now_ms)
{
	struct accepted *acc = begun(a, worker);
	struct accepted_conns *c = acc ? accepted_conns_of(acc, listener, protocol) : NULL;

	if (acc && !c)
		atomic_store_explicit(&a->counted_whole, false, memory_order_relaxed);
	if (!c)
		return;
	c->count += count;
	c->bytes += bytes;
	note_time(&c->first_ms, &c->last_ms, now_ms, now_ms);
}

/* ---- adding up ---- */

int accepted_add_open(struct accepted *sum, const char *listener, enum protocol protocol, uint64_t bytes, uint64_t at_ms)
{
	struct accepted_conns *c = accepted_conns_of(sum, listener, protocol);

	if (!c)
		return -ENOMEM;
	c->bytes += bytes;
	note_time(&c->first_ms, &c->last_ms, at_ms, at_ms);
	return 0;
}

static int merge_conns(struct accepted *sum, const struct accepted_conns *from)
{
	struct accepted_conns *c = accepted_conns_of(sum, from->listener, from->protocol);

	if (!c)
		return -ENOMEM;
	c->count += from->count;
	c->bytes += from->bytes;
	note_time(&c->first_ms, &c->last_ms, from->first_ms, from->last_ms);
	return 0;
}

int accepted_merge(struct accepted *sum, const struct accepted *from)
{
	int rc = 0;

	if (from->gaps.n)
		sum->gaps = from->gaps; /* of one worker, which has what was restored */
	for (int v = 0; v < ACCEPTED_VERDICTS; v++) {
		const struct accepted_writes *w = &from->writes[v];

		for (int m = 0; m < WRITE_METHODS; m++)
			sum->writes[v].by_method[m] += w->by_method[m];
		sum->writes[v].bytes += w->bytes;
		if (w->first_ms)
			note_time(&sum->writes[v].first_ms, &sum->writes[v].last_ms, w->first_ms, w->last_ms);
	}
	for (const struct accepted_conns *c = from->conns; rc == 0 && c; c = c->next)
		rc = merge_conns(sum, c);
	return rc;
}

int accepted_add(struct accepted *sum, const struct account *a, unsigned worker)
{
	uint64_t since = atomic_load_explicit(&((struct account *)a)->counted_since, memory_order_acquire);
	const struct shard *s = a->shards[worker];

	if (since == 0 || !s || !s->accepted || s->accepted->since_ms != since)
		return 0;
	return accepted_merge(sum, s->accepted);
}
