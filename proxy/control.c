#include "proxy/control.h"

#include "config.h"
#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "proxy/accepted.h"
#include "proxy/control_impl.h"
#include "proxy/counts.h"
#include "proxy/greet.h"
#include "proxy/hold.h"
#include "proxy/prove.h"
#include "proxy/round.h"
#include "proxy/straggler.h"
#include "proxy/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD_MS     1000
#define DRAIN_MAX_S   86400
#define SPREAD_MAX_MS 600000

/* ---- one account, asked of every worker ---- */

/* A question about one account, on its way through the workers. */
struct query {
	struct ask ask;
	struct ctl_call *call;   /* NULL: nobody waits for the answer */
	struct account *account; /* a reference */
	uint64_t ms;
	void (*answer)(struct query *q, const struct tally *sum); /* must answer the call */
	struct tally tallies[];                                   /* by worker */
};

static void query_done(struct ask *a)
{
	struct query *q = (struct query *)a;
	struct proxy *p = a->proxy;
	struct hold *h = hold_find(p, q->account);
	struct tally sum = {0};

	for (unsigned i = 0; i < p->n_workers; i++)
		tally_add(&sum, &q->tallies[i]);
	if (h)
		h->seen = sum;
	q->answer(q, &sum);
	account_unref(q->account);
	ask_free(q);
}

static void tell(struct worker *w, void *arg)
{
	struct query *q = arg;

	flows_tally(w, q->account, &q->tallies[w->index]);
	ask_answered(&q->ask);
}

static void just_tell(struct worker *w, struct ask *a)
{
	tell(w, a);
}

static void hold_and_tell(struct worker *w, struct ask *a)
{
	flows_hold(w, ((struct query *)a)->account);
	tell(w, a);
}

static void drain_and_tell(struct worker *w, struct ask *a)
{
	struct query *q = (struct query *)a;

	if (flows_drain(w, q->account, q->ms, tell, q) < 0)
		tell(w, q); /* no memory: the tally says that flows are left, and the fence will refuse */
}

static void release_and_tell(struct worker *w, struct ask *a)
{
	struct query *q = (struct query *)a;

	flows_release(w, q->account, q->ms, tell, q);
}

static int query(struct proxy *p, struct ctl_call *call, struct account *a, uint64_t ms, void (*in_worker)(struct worker *, struct ask *),
		 void (*answer)(struct query *, const struct tally *))
{
	struct query *q = ask_new(p, sizeof *q + p->n_workers * sizeof *q->tallies);

	if (!q)
		return -ENOMEM;
	q->call = call;
	q->account = account_ref(a);
	q->ms = ms;
	q->answer = answer;
	q->ask.in_worker = in_worker;
	q->ask.done = query_done;
	ask_all(&q->ask);
	return 0;
}

/* ---- what commands share ---- */

const char *want_string(struct ctl_call *call, const json_t *req, const char *key)
{
	const char *s = json_string_value(json_object_get(req, key));

	if (!s)
		ctl_fail(call, CTL_USAGE, "found no \"%s\", expected a string", key);
	return s;
}

bool want_side(struct ctl_call *call, const json_t *req, enum side *out)
{
	const char *word = want_string(call, req, "side");

	if (!word)
		return false;
	if (!side_parse(out, word)) {
		ctl_fail(call, CTL_USAGE, "\"side\": found %s, expected client or transit", LOG_QUOTED(word, strlen(word)));
		return false;
	}
	return true;
}

/* An optional number. False: it was wrong, and the call has been answered. */
bool want_number(struct ctl_call *call, const json_t *req, const char *key, json_int_t dflt, json_int_t max, uint64_t *out)
{
	const json_t *v = json_object_get(req, key);

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)) {
		ctl_fail(call, CTL_USAGE, "\"%s\": expected a whole number from 0 to %" JSON_INTEGER_FORMAT, key, max);
		return false;
	}
	*out = (uint64_t)(v ? json_integer_value(v) : dflt);
	return true;
}

struct account *want_account(struct proxy *p, struct ctl_call *call, const json_t *req)
{
	return want_account_as(p, call, req, "name");
}

struct account *want_account_as(struct proxy *p, struct ctl_call *call, const json_t *req, const char *key)
{
	const char *name = want_string(call, req, key);
	struct account *a;

	if (!name)
		return NULL;
	a = account_name_ok(name) ? table_find(p->table, name) : NULL;
	if (!a)
		ctl_fail(call, CTL_REFUSED, "no account %s here", LOG_QUOTED(name, strlen(name)));
	return a;
}

/* A snapshot replaces whatever state the file is in, and says what is true now. */
static int save_table(struct proxy *p, struct err *err)
{
	struct acctset set = {0};
	int rc = table_defs(p->table, &set);

	rc = rc < 0 ? err_set(err, rc, "out of memory") : store_save(p->store, &set, err);
	if (rc < 0)
		log_error("table=%s reason=\"%s\"", p->config->conf->proxy.table, err->text);
	acctset_done(&set);
	return rc;
}

/* On disk first. False: the disk refused, nothing has changed, and the call has been answered. */
static bool change(struct proxy *p, struct ctl_call *call, struct account *a, enum side side, enum gate gate)
{
	struct err err = {0}, why = {0}, again;
	struct hold *h = hold_find(p, a);
	int saved = store_wants_save(p->store) ? save_table(p, &why) : 0; /* what failed earlier need not fail now */
	int rc = store_change(p->store, a->name, side, gate, &err);

	if (rc < 0 && saved < 0)
		err = why; /* why it has to be written anew is known, why it cannot be is news */
	else if (rc < 0)
		save_table(p, &again); /* half a line, perhaps */
	if (rc < 0) {
		if (call)
			ctl_fail(call, CTL_FAILED, "%s; nothing has changed", err.text);
		else
			log_error("account=%s reason=\"%s\"", a->name, err.text);
		return false;
	}
	/* both before the gate has opened: a worker lets somebody in at once, and no visitor's byte may be earlier than what tells of it */
	if (gate == GATE_OPEN && h)
		h->opened_at_ms = wall_ms();
	log_info("account=%s side=%s gate=%s", a->name, side_name(side), gate_name(gate));
	account_set(a, side, gate);
	return true;
}

static void no_memory(struct ctl_call *call)
{
	ctl_fail(call, CTL_FAILED, "out of memory; nothing has changed");
}

/* ---- hold, drain, fence, switch, release ---- */

static void set_eta(struct proxy *p, struct account *a, uint64_t seconds)
{
	atomic_store(&a->eta_at, loop_now(p->loop));
	atomic_store(&a->eta, (unsigned)seconds);
}

static void held(struct query *q, const struct tally *sum)
{
	ctl_answer(q->call, json_pack("{ss sI sI}", "gate", gate_name(account_gate(q->account)), "in-flight", (json_int_t)sum->flying,
				      "parked", (json_int_t)sum->parked_now));
}

static void cmd_hold(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	bool fresh = a && account_gate(a) == GATE_OPEN;
	struct hold *h;
	uint64_t eta, max_wait;

	if (!a || !want_number(call, req, "eta", 0, DRAIN_MAX_S * 30, &eta) ||
	    !want_number(call, req, "max-wait", p->config->conf->proxy.hold_max_wait, DRAIN_MAX_S, &max_wait))
		return;
	h = hold_begin(p, a);
	if (!h) {
		no_memory(call);
		return;
	}
	set_eta(p, a, eta);
	atomic_store(&a->max_wait, json_object_get(req, "max-wait") ? (unsigned)max_wait + 1 : 0);
	if (fresh && !change(p, call, a, account_side(a), GATE_HELD)) {
		hold_end(p, h);
		return;
	}
	rounds_end(p, a, account_side(a)); /* they too are bytes that no fence must let through */
	if (query(p, call, a, 0, fresh ? hold_and_tell : just_tell, held) < 0)
		no_memory(call);
}

static void drained(struct query *q, const struct tally *sum)
{
	struct hold *h = hold_find(q->ask.proxy, q->account);

	if (!h || account_gate(q->account) == GATE_OPEN) {
		ctl_fail(q->call, CTL_REFUSED, "account %s was released while it was drained", q->account->name);
		return;
	}
	h->drained = sum->flying == 0;
	if (!h->drained) {
		ctl_fail(q->call, CTL_FAILED, "account %s: %" PRIu64 " are still in flight", q->account->name, sum->flying);
		return;
	}
	ctl_answer(q->call,
		   json_pack("{ss sI sI sI sI}", "gate", gate_name(account_gate(q->account)), "drained", (json_int_t)sum->drained, "cut",
			     (json_int_t)sum->cut, "parked", (json_int_t)sum->parked_now, "ms", (json_int_t)(wall_ms() - h->held_at_ms)));
}

static void cmd_drain(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	struct hold *h;
	uint64_t seconds;

	if (!a || !want_number(call, req, "seconds", p->config->conf->proxy.drain, DRAIN_MAX_S, &seconds))
		return;
	h = hold_find(p, a);
	if (!h || account_gate(a) == GATE_OPEN) {
		ctl_fail(call, CTL_REFUSED, "account %s is not held: hold it first", a->name);
		return;
	}
	hold_extend(p, h, seconds * 1000);
	if (query(p, call, a, seconds * 1000, drain_and_tell, drained) < 0)
		no_memory(call);
}

static void fenced(struct query *q, const struct tally *sum)
{
	struct proxy *p = q->ask.proxy;
	struct account *a = q->account;
	struct hold *h = hold_find(p, a);

	if (!h || account_gate(a) == GATE_OPEN) {
		ctl_fail(q->call, CTL_REFUSED, "account %s was released meanwhile", a->name);
		return;
	}
	if (sum->flying) {
		ctl_fail(q->call, CTL_REFUSED, "account %s: %" PRIu64 " are in flight: drain first", a->name, sum->flying);
		return;
	}
	if (account_gate(a) == GATE_HELD) {
		if (!change(p, q->call, a, account_side(a), GATE_FENCED))
			return;
		h->fenced_at_ms = wall_ms();
		h->give_up = 0;
	}
	ctl_answer(q->call, json_pack("{ss so}", "gate", "fenced", "evidence", hold_evidence(p, h)));
}

static void cmd_fence(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	struct hold *h = a ? hold_find(p, a) : NULL;

	if (!a)
		return;
	if (!h || account_gate(a) == GATE_OPEN)
		ctl_fail(call, CTL_REFUSED, "account %s is not held: hold and drain it first", a->name);
	else if (!h->drained)
		ctl_fail(call, CTL_REFUSED, "account %s has not been drained: drain it first", a->name);
	else if (query(p, call, a, 0, just_tell, fenced) < 0)
		no_memory(call);
	else if (json_is_true(json_object_get(req, "watch")))
		h->watched_ms = loop_now(p->loop);
}

/* Home: whoever comes to its address is where he should be. Nothing of the account is counted meanwhile, for it is fenced. */
static void forget_and_tell(struct worker *w, struct ask *a)
{
	struct query *q = (struct query *)a;

	if (account_side(q->account) == SIDE_CLIENT)
		stragglers_forget(w->stragglers, q->account);
	tell(w, q);
}

static void switched(struct query *q, const struct tally *sum)
{
	(void)sum;
	ctl_answer(q->call, json_pack("{ss ss}", "side", side_name(account_side(q->account)), "gate", gate_name(account_gate(q->account))));
}

static void cmd_switch(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	enum side side;

	if (!a || !want_side(call, req, &side))
		return;
	if (account_side(a) != side && account_gate(a) != GATE_FENCED) {
		ctl_fail(call, CTL_REFUSED, "account %s is %s: hold, drain and fence it first", a->name, gate_name(account_gate(a)));
		return;
	}
	if (account_side(a) != side) {
		counts_switch(p, a, side);
		if (!change(p, call, a, side, GATE_FENCED))
			return;
		accepted_begin(a, loop_now(p->loop), true); /* nothing of it is in flight: it is fenced */
	}
	if (query(p, call, a, 0, forget_and_tell, switched) < 0) /* it has switched; what is not forgotten is not told while it is home */
		ctl_answer(call, json_pack("{ss ss}", "side", side_name(account_side(a)), "gate", gate_name(account_gate(a))));
}

static void released(struct query *q, const struct tally *sum)
{
	struct proxy *p = q->ask.proxy;
	struct account *a = q->account;
	struct hold *h = hold_find(p, a);
	json_t *evidence = NULL;

	(void)sum;
	if (h && account_gate(a) == GATE_OPEN) {
		evidence = hold_evidence(p, h);
		json_object_set_new(evidence, "released-at", json_time(wall_ms()));
		hold_end(p, h);
	}
	if (q->call)
		ctl_answer(q->call, json_pack("{ss ss so*}", "side", side_name(account_side(a)), "gate", gate_name(account_gate(a)),
					      "evidence", evidence));
	else
		json_decref(evidence);
}

static void cmd_release(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	uint64_t spread;

	if (!a || !want_number(call, req, "spread-ms", SPREAD_MS, SPREAD_MAX_MS, &spread))
		return;
	if (account_gate(a) != GATE_OPEN && !change(p, call, a, account_side(a), GATE_OPEN))
		return;
	set_eta(p, a, 0);
	if (query(p, call, a, spread, release_and_tell, released) < 0)
		no_memory(call);
}

static void cmd_eta(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	uint64_t eta;

	if (!a || !want_number(call, req, "seconds", 0, DRAIN_MAX_S * 30, &eta))
		return;
	set_eta(p, a, eta);
	ctl_answer(call, NULL);
}

void control_second(struct proxy *p)
{
	uint64_t now = loop_now(p->loop);

	for (struct hold *h = p->holds, *next; h; h = next) {
		struct account *a = h->account;

		next = h->next;
		if (!h->give_up || now < h->give_up || account_gate(a) != GATE_HELD)
			continue;
		log_warn("account=%s side=%s reason=\"held but never fenced: released to where it was\"", a->name,
			 side_name(account_side(a)));
		h->give_up = now + HOLD_GRACE_MS; /* if the disk refuses now, try again then */
		if (change(p, NULL, a, account_side(a), GATE_OPEN))
			query(p, NULL, a, SPREAD_MS, release_and_tell, released);
	}
}

/* ---- the socket ---- */

static const struct command {
	const char *name;
	void (*fn)(struct proxy *p, struct ctl_call *call, json_t *req);
} commands[] = {
	{"hold", cmd_hold},       {"drain", cmd_drain},
	{"fence", cmd_fence},     {"switch", cmd_switch},
	{"release", cmd_release}, {"eta", cmd_eta},
	{"hello", cmd_hello},     {"status", cmd_status},
	{"account", cmd_account}, {"traffic", cmd_traffic},
	{"list", cmd_list},       {"route", cmd_route},
	{"account-put", cmd_put}, {"account-remove", cmd_remove},
	{"reload", cmd_reload},   {"stragglers", cmd_stragglers},
	{"probe", cmd_probe},     {"seen", cmd_seen},
	{"fetch", cmd_fetch},     {"prove", cmd_prove},
	{"greet", cmd_greet},     {"metrics", cmd_metrics},
	{"top", cmd_top},         {"notice", cmd_notice},
};

static void on_request(struct ctl_call *call, const char *cmd, json_t *req, void **session, void *arg)
{
	struct proxy *p = arg;

	if (strncmp(cmd, "import-", 7) == 0) {
		control_import(p, call, cmd + 7, req, session);
		return;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(cmd, commands[i].name) == 0) {
			commands[i].fn(p, call, req);
			return;
		}
	}
	ctl_fail(call, CTL_USAGE, "no command %s", LOG_QUOTED(cmd, strlen(cmd)));
}

int control_tls_new(struct tls **out, const struct conf *c, struct err *err)
{
	char warning[TLS_TEXT_MAX];
	int rc = 0;

	*out = NULL;
	if (c->proxy.listen)
		rc = tls_new(out, c->tls.ca, c->tls.cert, c->tls.key, err);
	if (*out && tls_warning(*out, warning))
		log_warn("control: %s (%s)", warning, c->tls.cert);
	return rc;
}

void control_use_tls(struct proxy *p, struct tls *tls)
{
	if (p->ctl_tls)
		ctl_use_tls(p->ctl_tls, tls);
	tls_free(p->tls);
	p->tls = tls;
}

int control_open(struct proxy *p, struct err *err)
{
	const struct conf *c = p->config->conf;
	struct ctl_options opt = {
		.address = c->proxy.control,
		.handler = on_request,
		.session_free = control_import_free,
		.arg = p,
	};

	int rc;

	if (holds_restore(p, p->table) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	rc = ctl_listen(&p->ctl, loop_base(p->loop), &opt, err);
	if (rc < 0 || !c->proxy.listen)
		return rc;
	rc = control_tls_new(&p->tls, c, err);
	opt.address = c->proxy.listen;
	opt.tls = p->tls;
	return rc < 0 ? rc : ctl_listen(&p->ctl_tls, loop_base(p->loop), &opt, err);
}

void control_close(struct proxy *p)
{
	rounds_end(p, NULL, SIDE_CLIENT);
	proves_end(p);
	greets_end(p);
	ctl_close(p->ctl_tls);
	ctl_close(p->ctl);
	tls_free(p->tls);
	p->ctl = p->ctl_tls = NULL;
	p->tls = NULL;
	while (p->holds)
		hold_end(p, p->holds);
	notice_forget(p);
}
