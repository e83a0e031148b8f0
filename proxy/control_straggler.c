/* What the proxy tells of names that still come to the old address: every worker copies what it has counted, the main thread adds it up. */
#include "proxy/control_impl.h"
#include "proxy/counts.h"
#include "proxy/hold.h"
#include "proxy/straggler.h"
#include "proxy/worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A name of 253 bytes and all that is said of it stay below 700 bytes: an answer of the most is well below CTL_LINE_MAX. */
#define NAMES_MAX  1000
#define NAMES_DFLT 100

struct gather {
	struct ask ask;
	struct ctl_call *call;
	struct account *account; /* NULL: of all. Else a reference */
	size_t limit;
	void **copies; /* by worker, as are the next two */
	size_t *n;
	uint64_t *evicted;
};

static void gather_free(struct gather *g)
{
	for (unsigned i = 0; g->copies && g->n && i < g->ask.proxy->n_workers; i++)
		stragglers_copy_free(g->copies[i], g->n[i]);
	free(g->copies);
	free(g->n);
	free(g->evicted);
	account_unref(g->account);
	ask_free(g);
}

static void copy_in_worker(struct worker *w, struct ask *ask)
{
	struct gather *g = (struct gather *)ask;

	g->copies[w->index] = stragglers_copy(w->stragglers, g->account, &g->n[w->index]);
	g->evicted[w->index] = stragglers_evicted(w->stragglers);
	ask_answered(ask);
}

static json_t *json_here(const struct straggler *s)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	if (addr_family(&s->here4) != AF_UNSPEC)
		json_array_append_new(list, json_string(addr_text(&s->here4, text)));
	if (addr_family(&s->here6) != AF_UNSPEC)
		json_array_append_new(list, json_string(addr_text(&s->here6, text)));
	return list;
}

static json_t *json_straggler(const struct straggler *s, uint64_t now, uint64_t wall)
{
	uint64_t quiet = (int64_t)(now - s->last_ms) > 0 ? now - s->last_ms : 0,
		 age = (int64_t)(now - s->first_ms) > 0 ? now - s->first_ms : 0;
	double share = round(1000.0 * (double)s->count / (double)s->of_account) / 10;

	return json_pack("{ss ss% ss sI sf sI so so so}", "account", s->account->name, "name", s->name, (size_t)s->len, "kind",
			 straggler_kind_name((enum straggler_kind)s->kind), "count", (json_int_t)s->count, "share", share, "quiet-ms",
			 (json_int_t)quiet, "last-seen", json_time(wall - quiet), "first-seen", json_time(wall - age), "addresses",
			 json_here(s));
}

/* In between an account may have gone home, or away. */
static bool is_still_away(const struct proxy *p, const struct account *a)
{
	return account_side(a) == SIDE_TRANSIT && table_find(p->table, a->name) == a;
}

static json_t *json_answer(const struct gather *g, struct straggler **all, size_t n, uint64_t evicted)
{
	struct proxy *p = g->ask.proxy;
	uint64_t now = loop_now(p->loop), wall = wall_ms(), count = 0;
	json_t *names = json_array();
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_still_away(p, all[i]->account))
			continue;
		count += all[i]->count;
		if (total++ < g->limit)
			json_array_append_new(names, json_straggler(all[i], now, wall));
	}
	return json_pack("{so so sI sI sI sI so}", "since", json_time(counts_since(p->counts)), "missing",
			 json_missing(counts_gaps(p->counts)), "total", (json_int_t)total, "count", (json_int_t)count, "left-out",
			 (json_int_t)(total - json_array_size(names)), "evicted", (json_int_t)evicted, "names", names);
}

static void told(struct ask *ask)
{
	struct gather *g = (struct gather *)ask;
	unsigned n_workers = ask->proxy->n_workers;
	struct straggler **all = NULL;
	size_t n = 0;
	uint64_t evicted = 0;
	struct stragglers *sum;
	bool whole = true;

	for (unsigned i = 0; i < n_workers; i++) {
		whole = whole && (g->copies[i] || g->n[i] == 0);
		n += g->n[i];
		evicted += g->evicted[i];
	}
	sum = whole ? stragglers_new(2 * n) : NULL; /* each with a wildcard of its own, at the most */
	if (sum && stragglers_merge(sum, g->copies, g->n, n_workers) == 0)
		all = stragglers_sorted(sum, &n);
	if (all)
		ctl_answer(g->call, json_answer(g, all, n, evicted));
	else
		ctl_fail(g->call, CTL_FAILED, "out of memory");
	free(all);
	stragglers_free(sum);
	gather_free(g);
}

void cmd_stragglers(struct proxy *p, struct ctl_call *call, json_t *req)
{
	const json_t *name = json_object_get(req, "account");
	struct account *a = NULL;
	struct gather *g;
	uint64_t limit;

	if (!want_number(call, req, "limit", NAMES_DFLT, NAMES_MAX, &limit))
		return;
	if (name && !(a = want_account_as(p, call, req, "account")))
		return;
	g = ask_new(p, sizeof *g);
	if (!g) {
		ctl_fail(call, CTL_FAILED, "out of memory");
		return;
	}
	g->call = call;
	g->account = a ? account_ref(a) : NULL;
	g->limit = limit;
	g->copies = calloc(p->n_workers, sizeof *g->copies);
	g->n = calloc(p->n_workers, sizeof *g->n);
	g->evicted = calloc(p->n_workers, sizeof *g->evicted);
	if (!g->copies || !g->n || !g->evicted) {
		gather_free(g);
		ctl_fail(call, CTL_FAILED, "out of memory");
		return;
	}
	g->ask.in_worker = copy_in_worker;
	g->ask.done = told;
	ask_all(&g->ask);
}
