#include "proxy/counts.h"

#include "lib/log.h"
#include "lib/member.h"
#include "proxy/control_impl.h"
#include "proxy/countfile.h"
#include "proxy/hold.h"
#include "proxy/seenfile.h"
#include "proxy/straggler.h"
#include "proxy/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARE 50 /* of the time between two writings at most so much is taken up by one */

struct gather;

struct counts {
	struct countfile *file;
	uint64_t since_ms;         /* names are counted from there on; of the clock of the day */
	struct accepted_gaps gaps; /* of the names */
	uint64_t
		offset_ms; /* the clock of the day less loop_now(): the same all the while, so that what has not changed is written alike */
	uint64_t due_ms, began_ms; /* loop_now() */
	struct gather *gather;     /* under way */
	bool stale;                /* an account has switched meanwhile: what was gathered is not written */
	bool ending, ended, failed;
};

uint64_t counts_since(const struct counts *c)
{
	return c->since_ms;
}

const struct accepted_gaps *counts_gaps(const struct counts *c)
{
	return &c->gaps;
}

/* ---- as lines ---- */

static json_int_t day(const struct counts *c, uint64_t ms)
{
	return ms ? (json_int_t)(ms + c->offset_ms) : 0;
}

static json_t *json_gaps(const struct accepted_gaps *g)
{
	return json_pack("[III]", (json_int_t)g->n, (json_int_t)g->from_ms, (json_int_t)g->until_ms);
}

static json_t *json_writes(const struct counts *c, const struct accepted *sum)
{
	json_t *list = json_array();

	for (int v = 0; v < ACCEPTED_VERDICTS; v++) {
		const struct accepted_writes *w = &sum->writes[v];
		json_t *one = json_array();

		for (int m = 0; m < WRITE_METHODS; m++)
			json_array_append_new(one, json_integer((json_int_t)w->by_method[m]));
		json_array_append_new(one, json_integer((json_int_t)w->bytes));
		json_array_append_new(one, json_integer(day(c, w->first_ms)));
		json_array_append_new(one, json_integer(day(c, w->last_ms)));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *json_account(const struct counts *c, const struct account *a, const struct accepted *sum)
{
	struct account *of = (struct account *)a;
	json_t *conns = json_array();

	for (const struct accepted_conns *n = sum->conns; n; n = n->next)
		json_array_append_new(conns, json_pack("[ssIIII]", n->listener, protocol_name(n->protocol), (json_int_t)n->count,
						       (json_int_t)n->bytes, day(c, n->first_ms), day(c, n->last_ms)));
	return json_pack("{ss sI sb so so so}", "account", a->name, "since", day(c, atomic_load(&of->counted_since)), "whole",
			 (int)atomic_load(&of->counted_whole), "gaps", json_gaps(&sum->gaps), "writes", json_writes(c, sum), "connections",
			 conns);
}

static json_t *json_name(const struct counts *c, const struct straggler *s)
{
	char at4[ADDR_TEXT_MAX], at6[ADDR_TEXT_MAX];

	return json_pack("{ss% ss si sI sI sI ss* ss*}", "name", s->name, (size_t)s->len, "of", s->account->name, "kind", (int)s->kind,
			 "count", (json_int_t)s->count, "first", day(c, s->first_ms), "last", day(c, s->last_ms), "at4",
			 addr_family(&s->here4) == AF_UNSPEC ? NULL : addr_text(&s->here4, at4), "at6",
			 addr_family(&s->here6) == AF_UNSPEC ? NULL : addr_text(&s->here6, at6));
}

/* ---- asking the workers ---- */

struct gather {
	struct ask ask;
	struct account **accounts; /* references */
	size_t n, at;
	struct accepted *sums; /* by worker, COUNTS_BATCH each */
	void **copies;         /* of names, by worker */
	size_t *n_copied;
	bool short_of_memory;
};

static void ask_for_accounts(struct gather *g);

static void gather_free(struct gather *g)
{
	unsigned workers = g->ask.proxy->n_workers;

	for (size_t i = 0; g->accounts && i < g->n; i++)
		account_unref(g->accounts[i]);
	for (size_t i = 0; g->sums && i < (size_t)workers * COUNTS_BATCH; i++)
		accepted_done(&g->sums[i]);
	for (unsigned i = 0; g->copies && g->n_copied && i < workers; i++)
		stragglers_copy_free(g->copies[i], g->n_copied[i]);
	free(g->accounts);
	free(g->sums);
	free(g->copies);
	free(g->n_copied);
	ask_free(g);
}

static void stop_if_ending(struct proxy *p)
{
	if (p->counts->ending && !p->counts->ended) {
		seenfile_write(p->seenfile, p->table);
		p->counts->ended = true;
		loop_stop(p->loop);
	}
}

static void tell(struct counts *c, int rc, const struct err *err)
{
	if (rc < 0 && !c->failed)
		log_warn("reason=\"%s\" advice=\"after a kill the price of rollbacks would not be known for as long\"", err->text);
	c->failed = rc < 0;
}

static void finish(struct gather *g)
{
	struct proxy *p = g->ask.proxy;
	struct counts *c = p->counts;
	struct err err = {0};
	uint64_t took = loop_now(p->loop) - c->began_ms;
	bool again = c->stale;
	int rc = 0;

	if (!again)
		rc = g->short_of_memory ? err_set(&err, -ENOMEM, "out of memory") : countfile_commit(c->file, &err);
	if (!again && rc == 0 && c->ending)
		rc = countfile_add(c->file, json_pack("{sb}", "clean", 1), &err);
	tell(c, rc, &err);
	c->gather = NULL;
	c->stale = false;
	c->due_ms = again ? 0 : loop_now(p->loop) + (took * SHARE > COUNTS_MS ? took * SHARE : COUNTS_MS);
	gather_free(g);
	if (!again)
		stop_if_ending(p);
}

static void put_names(struct gather *g, struct stragglers *sum)
{
	struct straggler **all;
	size_t n;

	if (!sum || stragglers_merge(sum, g->copies, g->n_copied, g->ask.proxy->n_workers) < 0 || !(all = stragglers_sorted(sum, &n))) {
		g->short_of_memory = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		countfile_put(g->ask.proxy->counts->file, json_name(g->ask.proxy->counts, all[i]));
	free(all);
}

static void names_told(struct ask *ask)
{
	struct gather *g = (struct gather *)ask;
	struct stragglers *sum;
	size_t n = 0;

	for (unsigned i = 0; i < ask->proxy->n_workers; i++) {
		n += g->n_copied[i];
		g->short_of_memory = g->short_of_memory || (g->n_copied[i] && !g->copies[i]);
	}
	sum = g->short_of_memory ? NULL : stragglers_new(2 * n); /* each with a wildcard of its own, at the most */
	put_names(g, sum);
	stragglers_free(sum);
	finish(g);
}

static void names_in_worker(struct worker *w, struct ask *ask)
{
	struct gather *g = (struct gather *)ask;

	g->copies[w->index] = stragglers_copy(w->stragglers, NULL, &g->n_copied[w->index]);
	ask_answered(ask);
}

static size_t batch_of(const struct gather *g)
{
	return g->n - g->at < COUNTS_BATCH ? g->n - g->at : COUNTS_BATCH;
}

static void accounts_in_worker(struct worker *w, struct ask *ask)
{
	struct gather *g = (struct gather *)ask;
	struct accepted *sums = &g->sums[(size_t)w->index * COUNTS_BATCH];

	for (size_t i = 0; i < batch_of(g); i++)
		if (accepted_gather(w, g->accounts[g->at + i], &sums[i]) < 0)
			sums[i].since_ms = UINT64_MAX;
	ask_answered(ask);
}

static void accounts_told(struct ask *ask)
{
	struct gather *g = (struct gather *)ask;
	struct counts *c = ask->proxy->counts;

	for (size_t i = 0; i < batch_of(g); i++) {
		struct accepted sum = {0};

		for (unsigned w = 0; w < ask->proxy->n_workers; w++) {
			struct accepted *of = &g->sums[(size_t)w * COUNTS_BATCH + i];

			if (of->since_ms == UINT64_MAX || accepted_merge(&sum, of) < 0)
				g->short_of_memory = true;
			accepted_done(of);
		}
		countfile_put(c->file, json_account(c, g->accounts[g->at + i], &sum));
		accepted_done(&sum);
	}
	g->at += batch_of(g);
	ask_for_accounts(g);
}

static void ask_for_accounts(struct gather *g)
{
	bool accounts = g->at < g->n;

	g->ask.in_worker = accounts ? accounts_in_worker : names_in_worker;
	g->ask.done = accounts ? accounts_told : names_told;
	ask_all(&g->ask);
}

/* Those on the transit server. */
static bool list_accounts(struct gather *g, const struct table *t)
{
	size_t n = table_size(t);

	for (size_t i = 0; i < n; i++)
		g->n += account_side(table_at(t, i)) == SIDE_TRANSIT;
	g->accounts = calloc(g->n + 1, sizeof(struct account *));
	for (size_t i = 0, k = 0; g->accounts && i < n && k < g->n; i++)
		if (account_side(table_at(t, i)) == SIDE_TRANSIT)
			g->accounts[k++] = account_ref(table_at(t, i));
	return g->accounts != NULL;
}

static void begin(struct proxy *p)
{
	struct counts *c = p->counts;
	struct gather *g = ask_new(p, sizeof *g);

	c->due_ms = loop_now(p->loop) + COUNTS_MS;
	if (!g) {
		stop_if_ending(p);
		return;
	}
	g->sums = calloc((size_t)p->n_workers * COUNTS_BATCH, sizeof *g->sums);
	g->copies = calloc(p->n_workers, sizeof *g->copies);
	g->n_copied = calloc(p->n_workers, sizeof *g->n_copied);
	if (!g->sums || !g->copies || !g->n_copied || !list_accounts(g, p->table)) {
		gather_free(g);
		stop_if_ending(p);
		return;
	}
	c->gather = g;
	c->began_ms = loop_now(p->loop);
	countfile_begin(c->file);
	countfile_put(c->file, json_pack("{sI so}", "since", (json_int_t)c->since_ms, "gaps", json_gaps(&c->gaps)));
	ask_for_accounts(g);
}

void counts_second(struct proxy *p)
{
	if (!p->counts->gather && !p->counts->ended && loop_now(p->loop) >= p->counts->due_ms)
		begin(p);
}

void counts_end(struct proxy *p)
{
	struct counts *c = p->counts;

	if (c->ending)
		return;
	c->ending = true;
	c->stale = c->gather != NULL; /* that one may not have all */
	if (!c->gather)
		begin(p);
}

void counts_switch(struct proxy *p, const struct account *a, enum side to)
{
	struct counts *c = p->counts;
	struct err err = {0};
	int rc;

	c->stale = c->gather != NULL;
	rc = countfile_add(c->file,
			   to == SIDE_TRANSIT ? json_pack("{ss sI}", "begin", a->name, "since", (json_int_t)wall_ms())
					      : json_pack("{ss}", "forget", a->name),
			   &err);
	if (rc == 0 || rc == -ENOENT)
		return;
	countfile_remove(c->file);
	tell(c, rc, &err);
}

/* ---- what another process has left ---- */

struct restoring {
	struct proxy *proxy;
	struct counts *counts;
	struct countfile_lines lines;
	uint64_t until_ms, now_ms; /* of the clock of the day: what is known ends there, and goes on here */
	bool clean;
};

static uint64_t item(const json_t *list, size_t i)
{
	return (uint64_t)json_integer_value(json_array_get(list, i));
}

/* A moment of this process's clock; 0 stays 0. */
static uint64_t mono(const struct counts *c, uint64_t day_ms)
{
	uint64_t ms = day_ms - c->offset_ms;

	return day_ms ? ms + (ms == 0) : 0;
}

static struct accepted_gaps gaps_of(const struct restoring *r, const json_t *list)
{
	struct accepted_gaps g = {(unsigned)item(list, 0), item(list, 1), item(list, 2)};

	if (!r->clean)
		g = (struct accepted_gaps){g.n + 1, r->until_ms, r->now_ms};
	return g;
}

/* Added when the account switched: the last one counts. NULL: none. */
static const json_t *switched_since(const struct restoring *r, const char *account)
{
	const json_t *last = NULL;

	for (size_t i = r->lines.n_put; i < json_array_size(r->lines.all); i++) {
		const json_t *o = json_array_get(r->lines.all, i);
		const char *begun = json_string_value(json_object_get(o, "begin")), *gone = json_string_value(json_object_get(o, "forget"));

		if ((begun && strcmp(begun, account) == 0) || (gone && strcmp(gone, account) == 0))
			last = o;
	}
	return last;
}

/* The process before may have been killed before it could write what the one before it had left. */
static void find_end(struct restoring *r)
{
	size_t n = json_array_size(r->lines.all);
	const json_t *since = NULL;

	for (size_t i = r->lines.n_put; i < n && !since; i++)
		since = json_object_get(json_array_get(r->lines.all, i), "running");
	r->clean = json_is_true(json_object_get(json_array_get(r->lines.all, n - 1), "clean"));
	r->until_ms = since ? (uint64_t)json_integer_value(since) : r->lines.until_ms;
}

static int take_writes(const struct counts *c, struct accepted *sum, const json_t *o)
{
	const json_t *n;
	size_t i;

	for (int v = 0; v < ACCEPTED_VERDICTS; v++) {
		const json_t *list = json_array_get(json_object_get(o, "writes"), (size_t)v);
		struct accepted_writes *w = &sum->writes[v];

		for (size_t m = 0; m < WRITE_METHODS; m++)
			w->by_method[m] = item(list, m);
		w->bytes = item(list, WRITE_METHODS);
		w->first_ms = mono(c, item(list, WRITE_METHODS + 1));
		w->last_ms = mono(c, item(list, WRITE_METHODS + 2));
	}
	json_array_foreach (json_object_get(o, "connections"), i, n) {
		const char *listener = json_string_value(json_array_get(n, 0)), *word = json_string_value(json_array_get(n, 1));
		enum protocol protocol = PROTOCOL_HTTP;

		while (word && protocol < PROTOCOL_TCP && strcmp(word, protocol_name(protocol)) != 0)
			protocol++;
		struct accepted_conns *conns = listener ? accepted_conns_of(sum, listener, protocol) : NULL;

		if (!conns)
			return -ENOMEM;
		conns->count += item(n, 2);
		conns->bytes += item(n, 3);
		conns->first_ms = mono(c, item(n, 4));
		conns->last_ms = mono(c, item(n, 5));
	}
	return 0;
}

static int restore_account(struct restoring *r, const json_t *o, bool begun)
{
	const char *name = json_string_value(json_object_get(o, begun ? "begin" : "account"));
	struct account *a = name ? table_find(r->proxy->table, name) : NULL;
	struct accepted sum = {.gaps = gaps_of(r, json_object_get(o, "gaps"))};
	int rc;

	if (!a || account_side(a) != SIDE_TRANSIT)
		return 0;
	rc = begun ? 0 : take_writes(r->counts, &sum, o);
	if (rc == 0)
		rc = accepted_restore(a, mono(r->counts, (uint64_t)member_int(o, "since")),
				      begun || json_is_true(json_object_get(o, "whole")), &sum);
	accepted_done(&sum);
	return rc;
}

static void restore_name(struct restoring *r, const json_t *o)
{
	const char *account = json_string_value(json_object_get(o, "of")), *name = json_string_value(json_object_get(o, "name"));
	const char *at4 = json_string_value(json_object_get(o, "at4")), *at6 = json_string_value(json_object_get(o, "at6"));
	struct account *a = account ? table_find(r->proxy->table, account) : NULL;
	json_int_t kind = member_int(o, "kind");
	struct straggler_kept k = {
		.kind = (enum straggler_kind)kind,
		.name = name,
		.len = name ? strlen(name) : 0,
		.count = (uint64_t)member_int(o, "count"),
		.first_ms = mono(r->counts, (uint64_t)member_int(o, "first")),
		.last_ms = mono(r->counts, (uint64_t)member_int(o, "last")),
	};

	if (!a || !name || k.count == 0 || kind < 0 || kind > STRAGGLER_ADDRESS || account_side(a) != SIDE_TRANSIT)
		return;
	if (k.kind <= STRAGGLER_TLS && table_by_name(r->proxy->table, name, k.len, &k.matched) != a)
		return;
	if (at4)
		addr_parse(&k.here4, at4);
	if (at6)
		addr_parse(&k.here6, at6);
	stragglers_restore(r->proxy->workers[0]->stragglers, a, &k);
}

static int restore(struct restoring *r, struct err *err)
{
	const json_t *o;
	size_t i;
	int rc = 0;

	json_array_foreach (r->lines.all, i, o) {
		const char *account = json_string_value(json_object_get(o, "account")), *of = json_string_value(json_object_get(o, "of"));
		const char *begun = json_string_value(json_object_get(o, "begin"));

		if (rc < 0)
			break;
		if (account && !switched_since(r, account))
			rc = restore_account(r, o, false);
		else if (begun && switched_since(r, begun) == o)
			rc = restore_account(r, o, true);
		else if (of && !switched_since(r, of))
			restore_name(r, o);
	}
	return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static int read_file(struct counts *c, struct proxy *p, struct err *err)
{
	struct restoring r = {.proxy = p, .counts = c, .now_ms = wall_ms()};
	struct err why = {0};
	const json_t *first;
	int rc = countfile_read(c->file, &r.lines, &why);

	if (rc == -ENOENT)
		return 0;
	if (rc == -EBADMSG) {
		log_warn("reason=\"%s\" advice=\"what was counted before is not known\"", why.text);
		countfile_remove(c->file);
		return 0;
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	find_end(&r);
	first = json_array_get(r.lines.all, 0);
	c->since_ms = (uint64_t)member_int(first, "since");
	c->gaps = gaps_of(&r, json_object_get(first, "gaps"));
	if (p->table_state == TABLE_OK)
		rc = restore(&r, err);
	json_decref(r.lines.all);
	if (rc < 0)
		return rc;
	/* from now on it is not the file of one that has ended by itself */
	if (countfile_add(c->file, json_pack("{sI}", "running", (json_int_t)(r.clean ? r.now_ms : r.until_ms)), &why) < 0) {
		countfile_remove(c->file);
		tell(c, -EIO, &why);
	}
	return 0;
}

int counts_open(struct counts **out, struct proxy *p, struct err *err)
{
	const char *table = p->config->conf->proxy.table;
	size_t len = strlen(table) + sizeof ".counts";
	struct counts *c = calloc(1, sizeof *c);
	char *path = malloc(len);
	int rc = c && path ? 0 : err_set(err, -ENOMEM, "out of memory");

	*out = c;
	if (rc == 0) {
		snprintf(path, len, "%s.counts", table);
		c->since_ms = wall_ms();
		c->offset_ms = c->since_ms - loop_now(p->loop);
		rc = countfile_new(&c->file, path, err);
	}
	if (rc == 0)
		rc = read_file(c, p, err);
	free(path);
	return rc;
}

void counts_close(struct counts *c)
{
	if (!c)
		return;
	if (c->gather)
		gather_free(c->gather);
	countfile_free(c->file);
	free(c);
}
