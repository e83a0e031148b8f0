#include "proxy/flow.h"

#include "proxy/busy.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_S  30
#define SPREAD_STEP_MS LOOP_TICK_MS
#define QUIET_STEP_MS  100

/* Somebody waits until nothing of the account flies in this worker. */
struct drain {
	struct drain *next;
	struct worker *worker;
	struct account *account;
	struct deadline step; /* every QUIET_STEP_MS: ends what is quiet; at the end: cuts */
	uint64_t end, started;
	drained_fn *fn;
	void *arg;
};

/* A release under way. */
struct spread {
	struct worker *worker;
	struct account *account;
	struct deadline step;
	uint64_t end;
	drained_fn *fn;
	void *arg;
};

static unsigned place_of(uint32_t ms)
{
	unsigned e = 0;

	while (ms >> e >= 16)
		e++;
	return e * 8 + (ms >> e) < TALLY_WAITS ? e * 8 + (ms >> e) : TALLY_WAITS - 1;
}

void tally_wait(struct tally *t, uint32_t ms)
{
	t->waits[place_of(ms)]++;
	if (ms > t->longest_wait_ms)
		t->longest_wait_ms = ms;
}

uint32_t tally_median_wait_ms(const struct tally *t)
{
	uint64_t all = 0, below = 0;
	unsigned i = 0;
	uint32_t ms;

	for (unsigned k = 0; k < TALLY_WAITS; k++)
		all += t->waits[k];
	if (!all)
		return 0;
	while (below + t->waits[i] < (all + 1) / 2)
		below += t->waits[i++];
	ms = i < 16 ? i : (i % 8 + 8) << (i / 8 - 1);
	return ms < t->longest_wait_ms ? ms : t->longest_wait_ms;
}

void tally_add(struct tally *to, const struct tally *from)
{
	to->flying += from->flying;
	to->parked_now += from->parked_now;
	to->parked += from->parked;
	to->drained += from->drained;
	to->cut += from->cut;
	to->refused += from->refused;
	to->released += from->released;
	to->gave_up += from->gave_up;
	for (int side = 0; side < 2; side++)
		sent_add(&to->sent[side], &from->sent[side]);
	for (unsigned i = 0; i < TALLY_WAITS; i++)
		to->waits[i] += from->waits[i];
	if (from->longest_wait_ms > to->longest_wait_ms)
		to->longest_wait_ms = from->longest_wait_ms;
}

static struct shard *shard_of(const struct flow *f)
{
	return f->account->shards[f->worker->index];
}

static void link_first(struct flow *f, struct flow **head)
{
	f->next = *head;
	f->link = head;
	if (f->next)
		f->next->link = &f->next;
	*head = f;
}

static void link_last_parked(struct flow *f, struct shard *s)
{
	if (!s->parked)
		s->parked_tail = &s->parked;
	f->next = NULL;
	f->link = s->parked_tail;
	*s->parked_tail = f;
	s->parked_tail = &f->next;
}

static void unlink_flow(struct flow *f, struct shard *s)
{
	if (s->parked_tail == &f->next)
		s->parked_tail = f->link;
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	f->next = NULL;
	f->link = NULL;
}

static void on_patience_lost(struct deadline *d)
{
	struct flow *f = (struct flow *)((char *)d - offsetof(struct flow, deadline));
	struct shard *s = shard_of(f);

	s->refused++;
	f->worker->meter.held_too_long++;
	if (s->tally) {
		s->tally->refused++;
		s->tally->gave_up--; /* flow_leave() will count it there */
	}
	f->ops->refuse(f, "held too long");
}

static uint64_t max_wait_ms(const struct flow *f)
{
	unsigned own = atomic_load(&f->account->max_wait);

	return (own ? own - 1 : (unsigned)f->worker->conf->hold_max_wait) * UINT64_C(1000);
}

static enum flow_entry park(struct flow *f, struct shard *s, const char **why)
{
	struct worker *w = f->worker;

	if (atomic_fetch_add(&w->proxy->parked, 1) >= (unsigned)w->conf->hold_max_connections) {
		atomic_fetch_sub(&w->proxy->parked, 1);
		s->refused++;
		w->meter.too_many_held++;
		if (s->tally)
			s->tally->refused++;
		*why = "too many wait";
		return FLOW_REFUSED;
	}
	f->where = FLOW_PARKED;
	f->parked_at = (uint32_t)loop_now(w->loop);
	link_last_parked(f, s);
	s->n_parked++;
	if (!s->tally) /* the hold began in a process that is gone */
		s->tally = calloc(1, sizeof *s->tally);
	if (s->tally)
		s->tally->parked++;
	deadline_arm(w->loop, &f->deadline, on_patience_lost, max_wait_ms(f));
	return FLOW_WAIT;
}

enum flow_entry flow_enter(struct flow *f, struct worker *w, struct account *a, const struct flow_ops *ops, const char **why)
{
	unsigned word = atomic_load_explicit(&a->word, memory_order_acquire);
	struct shard *s = account_shard(a, w->index);

	assert(f->where == FLOW_OUT);
	if (!s) {
		*why = "out of memory";
		return FLOW_REFUSED;
	}
	busy_touch(w, a);
	f->ops = ops;
	f->worker = w;
	f->account = account_ref(a);
	f->side = word & 1;
	if ((enum gate)(word >> 1) != GATE_OPEN) {
		enum flow_entry e = park(f, s, why);

		if (e == FLOW_REFUSED) {
			account_unref(f->account);
			f->account = NULL;
		}
		return e;
	}
	f->where = FLOW_FLYING;
	link_first(f, &s->flows);
	s->n_flows++;
	return FLOW_GO;
}

static void drained(struct account *a, struct shard *s)
{
	struct drain *d;

	while ((d = s->drains)) {
		s->drains = d->next;
		deadline_cancel(d->worker->loop, &d->step);
		d->fn(d->worker, d->arg);
		free(d);
	}
	account_unref(a); /* the drains' common reference */
}

void flow_leave(struct flow *f)
{
	struct account *a = f->account;
	struct shard *s;

	if (f->where == FLOW_OUT)
		return;
	s = shard_of(f);
	unlink_flow(f, s);
	if (f->where == FLOW_PARKED) {
		uint32_t waited = (uint32_t)loop_now(f->worker->loop) - f->parked_at;

		f->waited_ms += waited;
		s->n_parked--;
		atomic_fetch_sub(&f->worker->proxy->parked, 1);
		deadline_cancel(f->worker->loop, &f->deadline);
		meter_wait(&f->worker->meter, waited);
		if (s->tally) {
			s->tally->gave_up++;
			tally_wait(s->tally, waited);
		}
	} else {
		s->n_flows--;
		if (s->tally && account_gate(a) != GATE_OPEN)
			s->tally->drained++;
	}
	f->where = FLOW_OUT;
	f->account = NULL;
	if (s->drains && s->n_flows == 0)
		drained(a, s);
	account_unref(a);
}

uint32_t flow_waited_ms(const struct flow *f)
{
	return f->waited_ms + (f->where == FLOW_PARKED ? (uint32_t)loop_now(f->worker->loop) - f->parked_at : 0);
}

struct sent *flow_sent(struct flow *f)
{
	return &shard_of(f)->sent[f->side];
}

void flow_count_request(struct flow *f)
{
	shard_of(f)->requests[f->side]++;
	f->worker->stats[f->side].requests++;
}

void flow_count_bytes(struct flow *f, uint64_t up, uint64_t down, bool failed)
{
	struct shard *s = shard_of(f);
	struct side_stats *all = &f->worker->stats[f->side];

	s->bytes_up[f->side] += up;
	s->bytes_down[f->side] += down;
	s->errors[f->side] += failed;
	all->bytes_up += up;
	all->bytes_down += down;
	all->errors += failed;
}

void flows_hold(struct worker *w, struct account *a)
{
	struct shard *s = account_shard(a, w->index);

	if (!s)
		return; /* no memory, hence no traffic either: flow_enter() refuses */
	upstreams_close_idle(w, s);
	if (!s->tally)
		s->tally = malloc(sizeof *s->tally);
	if (s->tally)
		*s->tally = (struct tally){0};
	s->sent[SIDE_CLIENT].first_ms = s->sent[SIDE_TRANSIT].first_ms = 0;
}

void flows_tally(struct worker *w, struct account *a, struct tally *out)
{
	struct shard *s = a->shards[w->index];

	*out = (struct tally){0};
	if (!s)
		return;
	if (s->tally)
		*out = *s->tally;
	memcpy(out->sent, s->sent, sizeof out->sent);
	out->flying = s->n_flows;
	out->parked_now = s->n_parked;
	for (struct flow *f = s->parked; f; f = f->next) {
		uint32_t waited = (uint32_t)loop_now(w->loop) - f->parked_at;

		if (waited > out->longest_wait_ms)
			out->longest_wait_ms = waited;
		break; /* the oldest is first */
	}
}

static void cut_all(struct shard *s)
{
	struct flow *f;

	while ((f = s->flows)) {
		if (s->tally) {
			s->tally->cut++;
			s->tally->drained--; /* flow_leave() will count it there */
		}
		f->ops->cut(f);
		assert(s->flows != f);
	}
}

static void on_drain_step(struct deadline *dl)
{
	struct drain *d = (struct drain *)((char *)dl - offsetof(struct drain, step));
	struct worker *w = d->worker;
	struct account *a = account_ref(d->account);
	struct shard *s = a->shards[w->index];
	uint64_t now = loop_now(w->loop), whole = d->end - d->started;
	unsigned quiet = whole / 4 < 2000 ? (unsigned)(whole / 4) : 2000;

	if (account_gate(a) == GATE_OPEN) { /* released meanwhile: what is in flight is where it belongs */
		drained(a, s);
		account_unref(a);
		return;
	}
	if (now >= d->end) {
		cut_all(s); /* the last one frees d */
		account_unref(a);
		return;
	}
	for (struct flow *f = s->flows, *next; f; f = next) {
		next = f->next;
		if (f->ops->quiet)
			f->ops->quiet(f, quiet < 200 ? 200 : quiet, now >= d->started + whole / 5 * 4);
	}
	if (s->n_flows) {
		uint64_t left = d->end - now;

		deadline_arm(w->loop, &d->step, on_drain_step, left < QUIET_STEP_MS ? left : QUIET_STEP_MS);
	}
	account_unref(a);
}

int flows_drain(struct worker *w, struct account *a, uint64_t ms, drained_fn *fn, void *arg)
{
	struct shard *s = a->shards[w->index];
	struct drain *d;

	if (!s || s->n_flows == 0) {
		fn(w, arg);
		return 0;
	}
	d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	if (!s->drains)
		account_ref(a);
	*d = (struct drain){.next = s->drains, .worker = w, .account = a, .fn = fn, .arg = arg};
	d->started = loop_now(w->loop);
	d->end = d->started + ms;
	for (struct drain *other = s->drains; other; other = other->next)
		other->end = d->end;
	s->drains = d;
	deadline_arm(w->loop, &d->step, on_drain_step, 0);
	return 0;
}

/* Lets the oldest n go. Each leaves the list before it enters again, so one that is parked anew is not met twice. */
static void let_go(struct shard *s, unsigned n)
{
	while (n-- && s->parked) {
		struct flow *f = s->parked;

		if (s->tally) {
			s->tally->released++;
			s->tally->gave_up--; /* flow_leave() will count it there */
		}
		f->ops->go(f);
		assert(s->parked != f);
	}
}

static void spread_over(struct spread *sp)
{
	struct shard *s = sp->account->shards[sp->worker->index];

	s->spread = NULL;
	deadline_cancel(sp->worker->loop, &sp->step);
	sp->fn(sp->worker, sp->arg);
	account_unref(sp->account);
	free(sp);
}

static void on_spread_step(struct deadline *dl)
{
	struct spread *sp = (struct spread *)((char *)dl - offsetof(struct spread, step));
	struct worker *w = sp->worker;
	struct shard *s = sp->account->shards[w->index];
	uint64_t now = loop_now(w->loop), steps = now < sp->end ? (sp->end - now) / SPREAD_STEP_MS + 1 : 1;

	if (account_gate(sp->account) != GATE_OPEN) { /* held again meanwhile: who still waits goes on waiting */
		spread_over(sp);
		return;
	}
	let_go(s, (unsigned)((s->n_parked + steps - 1) / steps));
	if (s->parked)
		deadline_arm(w->loop, &sp->step, on_spread_step, SPREAD_STEP_MS);
	else
		spread_over(sp);
}

int flows_release(struct worker *w, struct account *a, uint64_t spread_ms, drained_fn *fn, void *arg)
{
	struct shard *s = a->shards[w->index];
	struct spread *sp;

	if (s && s->drains)
		drained(a, s);               /* nothing is left to drain for; whoever asked hears of it */
	if (!s || !s->parked || s->spread) { /* a release that is under way already takes all */
		fn(w, arg);
		return 0;
	}
	sp = calloc(1, sizeof *sp);
	if (!sp) {
		let_go(s, s->n_parked);
		fn(w, arg);
		return -ENOMEM;
	}
	*sp = (struct spread){.worker = w, .account = account_ref(a), .fn = fn, .arg = arg};
	sp->end = loop_now(w->loop) + spread_ms;
	s->spread = sp;
	deadline_arm(w->loop, &sp->step, on_spread_step, 0);
	return 0;
}

unsigned account_retry_after(const struct account *a, uint64_t now_ms, bool *known)
{
	unsigned eta = atomic_load(&((struct account *)a)->eta);
	uint64_t since = now_ms - atomic_load(&((struct account *)a)->eta_at);

	*known = eta != 0;
	if (!eta)
		return RETRY_AFTER_S;
	return since / 1000 + 1 < eta ? eta - (unsigned)(since / 1000) : 1;
}
