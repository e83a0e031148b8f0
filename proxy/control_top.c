/* Accounts by what they have to do now, for `shunt top`. */
#include "lib/log.h"
#include "proxy/busy.h"
#include "proxy/control_impl.h"
#include "proxy/worker.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_DFLT 100
#define LIMIT_MAX  500 /* accounts: an answer stays well below the limit of a message */

typedef uint64_t weight_fn(const struct busy_row *r);

struct look {
	struct ask ask;
	struct ctl_call *call;
	weight_fn *weight;
	uint64_t limit;
	struct busy_rows by_worker[];
};

/* ---- orders ---- */

static uint64_t requests(const struct busy_row *r)
{
	return r->requests;
}

static uint64_t bytes(const struct busy_row *r)
{
	return r->bytes_up + r->bytes_down;
}

static uint64_t errors(const struct busy_row *r)
{
	return r->errors + r->refused;
}

static uint64_t waiting(const struct busy_row *r)
{
	return r->parked;
}

static uint64_t flows(const struct busy_row *r)
{
	return r->flows;
}

static const struct order {
	const char *name;
	weight_fn *weight;
} orders[] = {{"requests", requests}, {"bytes", bytes}, {"errors", errors}, {"waiting", waiting}, {"flows", flows}};

static int by_account(const void *a, const void *b)
{
	const struct busy_row *x = a, *y = b;

	int by_name = strcmp(x->account->name, y->account->name); /* two of one name: it was removed and made anew */

	return by_name ? by_name : (x->account > y->account) - (x->account < y->account);
}

/* The heaviest first; of the same weight those with more to do, then by name, so that rows do not dance. */
static int by_weight(const void *a, const void *b, void *arg)
{
	const struct busy_row *x = a, *y = b;
	weight_fn *weights[] = {*(weight_fn **)arg, requests, bytes, flows};

	for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
		uint64_t u = weights[i](x), v = weights[i](y);

		if (u != v)
			return u > v ? -1 : 1;
	}
	return by_account(a, b);
}

/* ---- all workers' rows as one ---- */

static void add_row(struct busy_row *to, const struct busy_row *from)
{
	to->requests += from->requests;
	to->bytes_up += from->bytes_up;
	to->bytes_down += from->bytes_down;
	to->errors += from->errors;
	to->refused += from->refused;
	to->flows += from->flows;
	to->parked += from->parked;
}

static void merge(struct busy_rows *all)
{
	size_t n = 0;

	if (all->n)
		qsort(all->rows, all->n, sizeof *all->rows, by_account);
	for (size_t i = 0; i < all->n; i++) {
		if (n && all->rows[n - 1].account == all->rows[i].account) {
			add_row(&all->rows[n - 1], &all->rows[i]);
			account_unref(all->rows[i].account);
		} else {
			all->rows[n++] = all->rows[i];
		}
	}
	all->n = n;
}

/* Takes the rows. False: not all of them are there. */
static bool gather(struct look *l, struct busy_rows *all)
{
	unsigned n_workers = l->ask.proxy->n_workers;
	bool whole = true;
	size_t n = 0;

	for (unsigned i = 0; i < n_workers; i++) {
		n += l->by_worker[i].n;
		whole = whole && l->by_worker[i].rc == 0;
	}
	all->rows = calloc(n + 1, sizeof *all->rows);
	for (unsigned i = 0; i < n_workers; i++) {
		struct busy_rows *r = &l->by_worker[i];

		if (all->rows && r->n) {
			memcpy(all->rows + all->n, r->rows, r->n * sizeof *r->rows);
			all->n += r->n;
			r->n = 0;
		}
		all->left_out += r->left_out;
		if (r->interval_ms > all->interval_ms)
			all->interval_ms = r->interval_ms;
		busy_rows_done(r);
	}
	return whole && all->rows;
}

/* ---- telling ---- */

static json_t *json_counts(const struct busy_row *r)
{
	return json_pack("{sI sI sI sI sI sI sI}", "requests", (json_int_t)r->requests, "bytes-up", (json_int_t)r->bytes_up, "bytes-down",
			 (json_int_t)r->bytes_down, "errors", (json_int_t)r->errors, "refused", (json_int_t)r->refused, "flows",
			 (json_int_t)r->flows, "parked", (json_int_t)r->parked);
}

static json_t *json_row(const struct proxy *p, const struct busy_row *r)
{
	json_t *o = json_counts(r);

	json_object_set_new(o, "name", r->account == p->nobody ? json_null() : json_string(r->account->name));
	json_object_set_new(o, "side", json_string(side_name(account_side(r->account))));
	json_object_set_new(o, "gate", json_string(gate_name(account_gate(r->account))));
	return o;
}

static void told(struct ask *ask)
{
	struct look *l = (struct look *)ask;
	struct busy_rows all = {0};
	struct busy_row sum = {0};
	json_t *list = json_array();

	if (gather(l, &all)) {
		merge(&all);
		qsort_r(all.rows, all.n, sizeof *all.rows, by_weight, &l->weight);
		for (size_t i = 0; i < all.n; i++) {
			add_row(&sum, &all.rows[i]);
			if (i < l->limit)
				json_array_append_new(list, json_row(ask->proxy, &all.rows[i]));
		}
		ctl_answer(l->call, json_pack("{sI sI sI so sO}", "interval-ms", (json_int_t)all.interval_ms, "active", (json_int_t)all.n,
					      "left-out", (json_int_t)all.left_out, "total", json_counts(&sum), "accounts", list));
	} else {
		ctl_fail(l->call, CTL_FAILED, "out of memory");
	}
	json_decref(list);
	busy_rows_done(&all);
	ask_free(l);
}

static void look_in_worker(struct worker *w, struct ask *ask)
{
	busy_look(w, &((struct look *)ask)->by_worker[w->index]);
	ask_answered(ask);
}

void cmd_top(struct proxy *p, struct ctl_call *call, json_t *req)
{
	const json_t *by = json_object_get(req, "by");
	const char *word = by ? json_string_value(by) : "requests";
	const struct order *order = NULL;
	struct look *l;
	uint64_t limit;

	for (size_t i = 0; word && i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(word, orders[i].name) == 0)
			order = &orders[i];
	}
	if (!order) {
		ctl_fail(call, CTL_USAGE, "\"by\": expected requests, bytes, errors, waiting or flows");
		return;
	}
	if (!want_number(call, req, "limit", LIMIT_DFLT, LIMIT_MAX, &limit))
		return;
	l = ask_new(p, sizeof *l + p->n_workers * sizeof *l->by_worker);
	if (!l) {
		ctl_fail(call, CTL_FAILED, "out of memory");
		return;
	}
	l->call = call;
	l->weight = order->weight;
	l->limit = limit;
	l->ask.in_worker = look_in_worker;
	l->ask.done = told;
	ask_all(&l->ask);
}
