#include "proxy/busy.h"

#include "proxy/flow.h"
#include "proxy/visitor.h"
#include "proxy/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct totals {
	uint64_t requests, up, down, errors, refused;
};

struct busy {
	struct busy *next;
	struct account *account;
	struct totals older, newer;
};

struct busy_list {
	struct busy *first;
	size_t n;
	uint64_t left_out, older_at, newer_at, looked_at;
};

void busy_rows_done(struct busy_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		account_unref(r->rows[i].account);
	free(r->rows);
	*r = (struct busy_rows){0};
}

/* flows: how many of those in flight may still be asked. */
static struct totals totals_of(const struct shard *s, size_t *flows)
{
	struct totals t = {.refused = s->refused};

	for (int side = 0; side < 2; side++) {
		t.requests += s->requests[side];
		t.up += s->bytes_up[side];
		t.down += s->bytes_down[side];
		t.errors += s->errors[side];
	}
	for (const struct flow *f = s->flows; f && *flows; f = f->next, --*flows)
		f->ops->bytes(f, &t.up, &t.down);
	return t;
}

static void unlist(struct worker *w, struct busy *b)
{
	b->account->shards[w->index]->busy = NULL;
	account_unref(b->account);
	free(b);
}

void busy_list_account(struct worker *w, struct account *a)
{
	struct busy_list *l = w->busy;
	struct shard *s = a->shards[w->index];
	size_t flows = BUSY_FLOWS;
	struct busy *b = l->n < BUSY_MAX ? calloc(1, sizeof *b) : NULL;

	if (!b) {
		l->left_out++;
		return;
	}
	b->account = account_ref(a);
	b->older = b->newer = totals_of(s, &flows);
	b->next = l->first;
	l->first = b;
	l->n++;
	s->busy = b;
}

static void begin(struct worker *w)
{
	w->busy = calloc(1, sizeof *w->busy);
	if (!w->busy)
		return;
	w->busy->older_at = w->busy->newer_at = loop_now(w->loop);
	for (struct conn_link *c = w->conns; c; c = c->next) {
		const struct flow *f = &((struct visitor *)c)->flow;

		if (f->where != FLOW_OUT)
			busy_touch(w, f->account);
	}
}

void busy_end(struct worker *w)
{
	struct busy_list *l = w->busy;

	if (!l)
		return;
	for (struct busy *b = l->first, *next; b; b = next) {
		next = b->next;
		unlist(w, b);
	}
	free(l);
	w->busy = NULL;
}

void busy_second(struct worker *w)
{
	if (w->busy && loop_now(w->loop) - w->busy->looked_at > BUSY_LOOK_MS)
		busy_end(w);
}

/* Bytes in flight may have been left out the time before, or be left out now. */
static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static bool is_quiet(const struct shard *s, const struct busy *b, const struct totals *now)
{
	return s->n_flows == 0 && s->n_parked == 0 && memcmp(&b->older, now, sizeof *now) == 0;
}

static struct busy_row row_of(const struct busy *b, const struct shard *s, const struct totals *now)
{
	return (struct busy_row){
		.account = account_ref(b->account),
		.requests = now->requests - b->older.requests,
		.bytes_up = since(now->up, b->older.up),
		.bytes_down = since(now->down, b->older.down),
		.errors = now->errors - b->older.errors,
		.refused = now->refused - b->older.refused,
		.flows = s->n_flows,
		.parked = s->n_parked,
	};
}

void busy_look(struct worker *w, struct busy_rows *out)
{
	uint64_t now = loop_now(w->loop);
	size_t flows = BUSY_FLOWS;
	bool fresh = !w->busy, step;
	struct busy_list *l;

	*out = (struct busy_rows){0};
	if (fresh)
		begin(w);
	l = w->busy;
	if (!l) {
		out->rc = -ENOMEM;
		return;
	}
	l->looked_at = now;
	out->left_out = l->left_out;
	if (fresh)
		return;
	step = now - l->newer_at >= BUSY_STEP_MS;
	if (step) {
		l->older_at = l->newer_at;
		l->newer_at = now;
		l->left_out = 0;
	}
	out->interval_ms = now - l->older_at;
	out->rows = calloc(l->n + 1, sizeof *out->rows);
	out->rc = out->rows ? 0 : -ENOMEM;
	for (struct busy **at = &l->first, *b; (b = *at);) {
		const struct shard *s = b->account->shards[w->index];
		struct totals t = totals_of(s, &flows);

		if (step) {
			b->older = b->newer;
			b->newer = t;
		}
		if (is_quiet(s, b, &t)) {
			*at = b->next;
			l->n--;
			unlist(w, b);
			continue;
		}
		if (out->rows)
			out->rows[out->n++] = row_of(b, s, &t);
		at = &b->next;
	}
}
