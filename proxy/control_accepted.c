/* What the proxy tells of what an account's side has accepted since the account was switched there. */
#include "proxy/accepted.h"
#include "proxy/control_impl.h"
#include "proxy/flow.h"
#include "proxy/hold.h"
#include "proxy/worker.h"

int accepted_gather(struct worker *w, const struct account *a, struct accepted *sum)
{
	const struct shard *s = a->shards[w->index];
	int rc = accepted_add(sum, a, w->index);

	if (!s || !accepted_counts(a))
		return rc;
	for (const struct flow *f = s->flows; rc == 0 && f; f = f->next)
		rc = f->ops->accepted ? f->ops->accepted(f, sum) : 0;
	return rc;
}

/* A moment of the monotonic clock as one of the day. */
struct clocks {
	uint64_t now, wall;
};

static json_t *json_moment(const struct clocks *c, uint64_t ms)
{
	return json_time(ms ? c->wall - ((int64_t)(c->now - ms) > 0 ? c->now - ms : 0) : 0);
}

static json_t *json_writes(const struct clocks *c, const struct accepted_writes *w)
{
	json_t *o = json_object();
	uint64_t all = 0;

	for (int m = 0; m < WRITE_METHODS; m++) {
		json_object_set_new(o, write_method_name((enum write_method)m), json_integer((json_int_t)w->by_method[m]));
		all += w->by_method[m];
	}
	json_object_set_new(o, "requests", json_integer((json_int_t)all));
	json_object_set_new(o, "bytes", json_integer((json_int_t)w->bytes));
	json_object_set_new(o, "first", json_moment(c, w->first_ms));
	json_object_set_new(o, "last", json_moment(c, w->last_ms));
	return o;
}

static json_t *json_connections(const struct clocks *c, const struct accepted *sum)
{
	json_t *list = json_array();

	for (const struct accepted_conns *n = sum->conns; n; n = n->next)
		json_array_append_new(
			list, json_pack("{so ss sI sI so so}", "listener", *n->listener ? json_string(n->listener) : json_null(),
					"protocol", protocol_name(n->protocol), "count", (json_int_t)n->count, "bytes",
					(json_int_t)n->bytes, "first", json_moment(c, n->first_ms), "last", json_moment(c, n->last_ms)));
	return list;
}

json_t *json_missing(const struct accepted_gaps *g)
{
	if (g->n == 0)
		return json_null();
	return json_pack("{sI so so}", "times", (json_int_t)g->n, "from", json_time(g->from_ms), "until", json_time(g->until_ms));
}

json_t *json_accepted(const struct proxy *p, const struct account *a, const struct accepted *sum)
{
	struct account *of = (struct account *)a;
	const struct clocks c = {loop_now(p->loop), wall_ms()};
	uint64_t since = atomic_load(&of->counted_since);
	json_t *writes = json_object();

	if (!since) {
		json_decref(writes);
		return json_null();
	}
	for (int v = 0; v < ACCEPTED_VERDICTS; v++)
		json_object_set_new(writes, accepted_verdict_name((enum accepted_verdict)v), json_writes(&c, &sum->writes[v]));
	return json_pack("{ss so sb so so so}", "side", side_name(account_side(a)), "counted-since", json_moment(&c, since), "whole",
			 (int)atomic_load(&of->counted_whole), "missing", json_missing(&sum->gaps), "writes", writes, "connections",
			 json_connections(&c, sum));
}
