/* What the proxy has counted, for `shunt metrics`. */
#include "proxy/control_impl.h"
#include "proxy/hold.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMED_MAX 100

struct metering {
	struct ask ask;
	struct ctl_call *call;
	struct metered {
		struct meter meter;
		uint64_t refused_sources;
	} by_worker[];
};

static void meter_in_worker(struct worker *w, struct ask *ask)
{
	struct metering *m = (struct metering *)ask;

	m->by_worker[w->index] = (struct metered){w->meter, w->refused_sources};
	ask_answered(ask);
}

static json_t *json_waits(const struct meter *m)
{
	json_t *bounds = json_array(), *counts = json_array();

	for (unsigned i = 0; i < METER_BOUNDS; i++)
		json_array_append_new(bounds, json_integer(meter_bounds_ms[i]));
	for (unsigned i = 0; i <= METER_BOUNDS; i++)
		json_array_append_new(counts, json_integer((json_int_t)m->waits[i]));
	return json_pack("{so so sI}", "bounds-ms", bounds, "counts", counts, "sum-ms", (json_int_t)m->waited_ms);
}

static json_t *json_answers(const struct meter *m)
{
	json_t *o = json_object();
	char code[8];

	for (unsigned s = METER_STATUS_LOW; s <= METER_STATUS_HIGH; s++) {
		uint64_t n = m->answers[s - METER_STATUS_LOW];

		snprintf(code, sizeof code, "%u", s);
		if (n)
			json_object_set_new(o, code, json_integer((json_int_t)n));
	}
	return o;
}

static int by_age(const void *a, const void *b)
{
	const struct hold *x = *(const struct hold *const *)a, *y = *(const struct hold *const *)b;

	return (x->held_at_ms > y->held_at_ms) - (x->held_at_ms < y->held_at_ms);
}

static json_t *json_oldest(const struct proxy *p, size_t n)
{
	json_t *list = json_array();
	const struct hold **all = calloc(n + 1, sizeof(struct hold *));
	size_t i = 0;

	for (const struct hold *h = p->holds; all && h; h = h->next)
		all[i++] = h;
	if (all)
		qsort(all, i, sizeof *all, by_age);
	for (size_t k = 0; k < i && k < NAMED_MAX; k++)
		json_array_append_new(list,
				      json_pack("{ss ss sf}", "name", all[k]->account->name, "gate",
						gate_name(account_gate(all[k]->account)), "since", (double)all[k]->held_at_ms / 1000));
	free(all);
	return list;
}

static json_t *json_held(const struct proxy *p)
{
	size_t n = 0, by_gate[3] = {0};

	for (const struct hold *h = p->holds; h; h = h->next, n++)
		by_gate[account_gate(h->account)]++;
	return json_pack("{sI sI so}", "held", (json_int_t)by_gate[GATE_HELD], "fenced", (json_int_t)by_gate[GATE_FENCED], "oldest",
			 json_oldest(p, n));
}

static void told_metrics(struct ask *ask)
{
	struct metering *m = (struct metering *)ask;
	struct metered sum = {0};

	for (unsigned i = 0; i < ask->proxy->n_workers; i++) {
		meter_add(&sum.meter, &m->by_worker[i].meter);
		sum.refused_sources += m->by_worker[i].refused_sources;
	}
	ctl_answer(m->call, json_pack("{sI so s{sI sI sI} so so}", "connections", (json_int_t)sum.meter.connections, "waits",
				      json_waits(&sum.meter), "refused", "held-too-long", (json_int_t)sum.meter.held_too_long,
				      "too-many-held", (json_int_t)sum.meter.too_many_held, "source", (json_int_t)sum.refused_sources,
				      "answers", json_answers(&sum.meter), "held", json_held(ask->proxy)));
	ask_free(m);
}

void cmd_metrics(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct metering *m = ask_new(p, sizeof *m + p->n_workers * sizeof *m->by_worker);

	(void)req;
	if (!m) {
		ctl_fail(call, CTL_FAILED, "out of memory");
		return;
	}
	m->call = call;
	m->ask.in_worker = meter_in_worker;
	m->ask.done = told_metrics;
	ask_all(&m->ask);
}
