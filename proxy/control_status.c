/* What the proxy tells of itself. */
#include "config.h"
#include "proxy/accepted.h"
#include "proxy/alive.h"
#include "proxy/control_impl.h"
#include "proxy/hold.h"
#include "proxy/http.h"
#include "proxy/listener.h"
#include "proxy/route.h"
#include "proxy/sni.h"
#include "proxy/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX 1000

static const char *table_state_name(enum table_state s)
{
	switch (s) {
	case TABLE_EMPTY:
		return "empty";
	case TABLE_OK:
		return "ok";
	case TABLE_DAMAGED:
		return "damaged";
	}
	return "?";
}

void cmd_hello(struct proxy *p, struct ctl_call *call, json_t *req)
{
	(void)req;
	ctl_answer(call, json_pack("{ss ss sI ss sI sI}", "program", "shunt-proxy", "version", PACKAGE_VERSION, "pid", (json_int_t)getpid(),
				   "table", table_state_name(p->table_state), "accounts", (json_int_t)table_size(p->table), "domains",
				   (json_int_t)table_domains(p->table)));
}

void cmd_reload(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct err err = {0};

	(void)req;
	if (proxy_reload(p, &err) < 0)
		ctl_fail(call, CTL_USAGE, "%s; nothing has changed", err.text);
	else
		ctl_answer(call, json_pack("{sI}", "listeners", (json_int_t)p->n_listeners));
}

/* ---- counters, gathered from the workers ---- */

struct count {
	struct ask ask;
	struct ctl_call *call;
	struct account *account; /* NULL: of all. Else a reference */
	struct counts {
		struct side_stats sides[2];
		struct sent sent[2];
		uint64_t flows, parked, refused, refused_sources;
		unsigned conns;
		struct accepted accepted; /* of one account */
		int rc;                   /* -ENOMEM: that is not all */
	} by_worker[];
};

static void count_in_worker(struct worker *w, struct ask *ask)
{
	struct count *c = (struct count *)ask;
	struct counts *n = &c->by_worker[w->index];
	const struct shard *s = c->account ? c->account->shards[w->index] : NULL;

	n->conns = w->n_conns;
	n->refused_sources = w->refused_sources;
	if (!c->account)
		memcpy(n->sides, w->stats, sizeof n->sides);
	for (int side = 0; s && side < 2; side++)
		n->sides[side] = (struct side_stats){s->requests[side], s->bytes_up[side], s->bytes_down[side], s->errors[side]};
	if (s) {
		memcpy(n->sent, s->sent, sizeof n->sent);
		n->flows = s->n_flows;
		n->parked = s->n_parked;
		n->refused = s->refused;
		n->rc = accepted_gather(w, c->account, &n->accepted);
	}
	ask_answered(ask);
}

static struct counts sum_of(const struct count *c)
{
	struct counts sum = {0};

	for (unsigned i = 0; i < c->ask.proxy->n_workers; i++) {
		const struct counts *n = &c->by_worker[i];

		for (int side = 0; side < 2; side++) {
			sum.sides[side].requests += n->sides[side].requests;
			sum.sides[side].bytes_up += n->sides[side].bytes_up;
			sum.sides[side].bytes_down += n->sides[side].bytes_down;
			sum.sides[side].errors += n->sides[side].errors;
			sent_add(&sum.sent[side], &n->sent[side]);
		}
		sum.flows += n->flows;
		sum.parked += n->parked;
		sum.refused += n->refused;
		sum.refused_sources += n->refused_sources;
		sum.conns += n->conns;
	}
	return sum;
}

static json_t *json_side(const struct side_stats *s)
{
	return json_pack("{sI sI sI sI}", "requests", (json_int_t)s->requests, "bytes-up", (json_int_t)s->bytes_up, "bytes-down",
			 (json_int_t)s->bytes_down, "errors", (json_int_t)s->errors);
}

static json_t *json_sides(const struct counts *c)
{
	return json_pack("{so so}", "client", json_side(&c->sides[SIDE_CLIENT]), "transit", json_side(&c->sides[SIDE_TRANSIT]));
}

/* Of one account, in stats: each side has its bytes' times, too. */
static json_t *json_sides_sent(const struct counts *c)
{
	json_t *o = json_sides(c);

	for (int side = 0; side < 2; side++) {
		json_t *s = json_object_get(o, side_name((enum side)side));

		json_object_set_new(s, "first-byte", json_time(c->sent[side].first_ms));
		json_object_set_new(s, "last-byte", json_time(c->sent[side].last_ms));
	}
	return o;
}

static void count_all(struct proxy *p, struct ctl_call *call, struct account *a, void (*done)(struct ask *))
{
	struct count *c = ask_new(p, sizeof *c + p->n_workers * sizeof *c->by_worker);

	if (!c) {
		ctl_fail(call, CTL_FAILED, "out of memory");
		return;
	}
	c->call = call;
	c->account = a ? account_ref(a) : NULL;
	c->ask.in_worker = count_in_worker;
	c->ask.done = done;
	ask_all(&c->ask);
}

static void count_free(struct count *c)
{
	for (unsigned i = 0; i < c->ask.proxy->n_workers; i++)
		accepted_done(&c->by_worker[i].accepted);
	account_unref(c->account);
	ask_free(c);
}

static void told_traffic(struct ask *ask)
{
	struct count *c = (struct count *)ask;
	struct counts sum = sum_of(c);

	ctl_answer(c->call, json_pack("{so sI sI sI}", "stats", json_sides_sent(&sum), "flows", (json_int_t)sum.flows, "parked",
				      (json_int_t)sum.parked, "refused", (json_int_t)sum.refused));
	count_free(c);
}

void cmd_traffic(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);

	if (a)
		count_all(p, call, a, told_traffic);
}

static json_t *json_account(const struct proxy *p, const struct account *a)
{
	struct acctdef d = *table_def(p->table, a); /* shallow: only its state differs */

	d.side = account_side(a);
	d.gate = account_gate(a);
	return acctdef_to_json(&d, true);
}

/* Less than all there is must not be told as all. */
static int sum_accepted(const struct count *c, struct accepted *sum)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->ask.proxy->n_workers; i++)
		rc = c->by_worker[i].rc < 0 ? c->by_worker[i].rc : accepted_merge(sum, &c->by_worker[i].accepted);
	return rc;
}

static void told_account(struct ask *ask)
{
	struct count *c = (struct count *)ask;
	struct counts sum = sum_of(c);
	struct accepted accepted = {0};

	if (table_find(ask->proxy->table, c->account->name) != c->account)
		ctl_fail(c->call, CTL_REFUSED, "account %s has just been removed", c->account->name);
	else if (sum_accepted(c, &accepted) < 0)
		ctl_fail(c->call, CTL_FAILED, "out of memory");
	else
		ctl_answer(c->call, json_pack("{so sI sI so so}", "account", json_account(ask->proxy, c->account), "flows",
					      (json_int_t)sum.flows, "parked", (json_int_t)sum.parked, "stats", json_sides_sent(&sum),
					      "since-switch", json_accepted(ask->proxy, c->account, &accepted)));
	accepted_done(&accepted);
	count_free(c);
}

void cmd_account(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);

	if (a)
		count_all(p, call, a, told_account);
}

static json_t *json_listeners(const struct proxy *p)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < p->n_listeners; i++) {
		const struct conf_listener *c = p->listeners[i]->conf;

		if (c->address)
			addr_text_port(&c->bind, text);
		else
			snprintf(text, sizeof text, "*:%u", c->port);
		json_array_append_new(list, json_pack("{ss ss ss s{ss ss}}", "name", c->name, "protocol", protocol_name(c->protocol),
						      "address", text, "source", "client", source_name(c->source[SIDE_CLIENT]), "transit",
						      source_name(c->source[SIDE_TRANSIT])));
	}
	return list;
}

static json_t *json_limits(const struct proxy *p)
{
	const struct conf_proxy *c = &p->config->conf->proxy;

	return json_pack("{si si si si si si si si si si si si si si si si si si}", "max-connections", (int)p->budget, "source-connections",
			 c->source_connections, "source-rate", c->source_rate, "hold-max-connections", c->hold_max_connections,
			 "hold-max-wait", c->hold_max_wait, "drain", c->drain, "http-head-max", c->http_head_max, "http-head-timeout",
			 c->http_head_timeout, "http-fields", HTTP_FIELDS_MAX, "http-request-line", HTTP_LINE_MAX, "hello-max",
			 c->hello_max, "hello-timeout", c->hello_timeout, "hello-records", SNI_RECORDS_MAX, "connect-timeout",
			 c->connect_timeout, "response-timeout", c->response_timeout, "keep-alive", c->keep_alive, "idle", c->idle,
			 "control-message", (int)CTL_LINE_MAX);
}

static json_t *json_holds(const struct proxy *p)
{
	json_t *list = json_array();

	for (const struct hold *h = p->holds; h; h = h->next) {
		json_t *o = json_pack("{ss ss ss so}", "name", h->account->name, "side", side_name(account_side(h->account)), "gate",
				      gate_name(account_gate(h->account)), "evidence", hold_evidence(p, h));

		json_array_append_new(list, o);
	}
	return list;
}

static json_t *json_intercept(const struct proxy *p)
{
	struct alive_state s = alive_state(p->alive, loop_now(p->loop));

	if (!s.on)
		return json_pack("{ss}", "state", "off");
	return json_pack("{ss sb sI si si sI sI so}", "state", "on", "alive", s.alive, "since-ms", (json_int_t)s.since_ms, "port",
			 (int)p->config->conf->proxy.intercept_port, "mark", (int)p->mark, "renewed", (json_int_t)s.renewed, "failed",
			 (json_int_t)s.failed, "error", s.error ? json_string(strerror(-s.error)) : json_null());
}

static void told_status(struct ask *ask)
{
	struct count *c = (struct count *)ask;
	struct proxy *p = ask->proxy;
	struct counts sum = sum_of(c);
	json_t *conns = json_pack("{sI sI sI sI}", "now", (json_int_t)sum.conns, "max", (json_int_t)p->budget, "parked",
				  (json_int_t)atomic_load(&p->parked), "refused-by-source", (json_int_t)sum.refused_sources);
	json_t *table = json_pack("{ss sI sI}", "state", table_state_name(p->table_state), "accounts", (json_int_t)table_size(p->table),
				  "domains", (json_int_t)table_domains(p->table));

	ctl_answer(c->call,
		   json_pack("{ss ss sI sI si so so so so so so so so sI}", "program", "shunt-proxy", "version", PACKAGE_VERSION, "pid",
			     (json_int_t)getpid(), "uptime-s", (json_int_t)((loop_now(p->loop) - p->started_ms) / 1000), "workers",
			     (int)p->n_workers, "table", table, "listeners", json_listeners(p), "connections", conns, "limits",
			     json_limits(p), "sides", json_sides(&sum), "held", json_holds(p), "intercept", json_intercept(p), "notice",
			     json_notice(p), "access-lines-lost", (json_int_t)access_lost(p->access)));
	count_free(c);
}

void cmd_status(struct proxy *p, struct ctl_call *call, json_t *req)
{
	(void)req;
	count_all(p, call, NULL, told_status);
}

void cmd_list(struct proxy *p, struct ctl_call *call, json_t *req)
{
	const char *from = json_string_value(json_object_get(req, "from"));
	size_t n = table_size(p->table), lo = 0, hi = n;
	uint64_t max;
	json_t *list;

	if (!want_number(call, req, "max", LIST_MAX, LIST_MAX, &max))
		return;
	while (from && lo < hi) { /* the first name that is not below from */
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(table_at(p->table, mid)->name, from) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	list = json_array();
	for (hi = lo; hi < n && hi - lo < max; hi++) {
		const struct account *a = table_at(p->table, hi);
		char digest[DIGEST_TEXT_MAX];

		json_array_append_new(list,
				      json_pack("{ss ss ss ss}", "name", a->name, "side", side_name(account_side(a)), "gate",
						gate_name(account_gate(a)), "digest", acctdef_digest(table_def(p->table, a), digest)));
	}
	ctl_answer(call, json_pack("{so so}", "accounts", list, "next", hi < n ? json_string(table_at(p->table, hi)->name) : json_null()));
}

/* ---- where would it go? ---- */

static const struct listener *listener_for(const struct proxy *p, uint64_t port, const struct addr *to)
{
	for (size_t i = 0; i < p->n_listeners; i++) {
		const struct conf_listener *c = p->listeners[i]->conf;

		if (port ? c->port != port : c->protocol == PROTOCOL_TCP)
			continue;
		if (!to || !c->address || addr_is_any(&c->bind) || addr_same_ip(&c->bind, to))
			return p->listeners[i];
	}
	return NULL;
}

/* The login itself wins over *@domain, as a name does over a wildcard. */
static struct account *by_login(const struct proxy *p, const char *login)
{
	const char *at = strchr(login, '@');
	struct account *wild = NULL;

	for (size_t i = 0; i < table_size(p->table); i++) {
		struct account *a = table_at(p->table, i);
		const struct acctdef *d = table_def(p->table, a);

		for (size_t k = 0; k < d->n_logins; k++) {
			if (strcmp(d->logins[k], login) == 0)
				return a;
			if (at && strncmp(d->logins[k], "*@", 2) == 0 && strcmp(at, d->logins[k] + 1) == 0)
				wild = a;
		}
	}
	return wild;
}

static json_t *json_target(const struct listener *l, enum side side, const struct addr *dst)
{
	const char *why;
	struct way way;
	struct addr to;
	char text[ADDR_TEXT_MAX];

	if (!l || !listener_way(&way, l, side, dst, dst, LISTENER_MAIN, &why))
		return json_null();
	to = way_at(&way, 0);
	return json_string(addr_text_port(&to, text));
}

static size_t lower(char *out, size_t cap, const char *in)
{
	size_t n = 0;

	for (; in[n] && n + 1 < cap; n++)
		out[n] = (char)(in[n] >= 'A' && in[n] <= 'Z' ? in[n] + 32 : in[n]);
	if (n && out[n - 1] == '.')
		n--;
	out[n] = '\0';
	return n;
}

/* Where a visitor goes who comes to l, if nothing more is known. */
static struct addr usual_destination(const struct listener *l)
{
	for (size_t i = 0; !l->conf->address && i < l->n_partners; i++) {
		const struct target_addrs *a = target_known(l->partners[i].client);

		if (a)
			return a->addrs[0];
	}
	return l->conf->bind;
}

void cmd_route(struct proxy *p, struct ctl_call *call, json_t *req)
{
	const char *host = json_string_value(json_object_get(req, "host")), *to_text = json_string_value(json_object_get(req, "to"));
	const char *login = json_string_value(json_object_get(req, "login")), *expected;
	const struct listener *l;
	struct route r = {0};
	struct addr to = {0};
	char name[DOMAIN_MAX + 2], canon[LOGIN_MAX + 1];
	uint64_t port;
	size_t len = host ? lower(name, sizeof name, host) : 0;

	if (!want_number(call, req, "port", 0, 65535, &port))
		return;
	if (to_text && !addr_parse(&to, to_text)) {
		ctl_fail(call, CTL_USAGE, "\"to\": expected an address");
		return;
	}
	if (login && !login_canon(canon, login, &expected)) {
		ctl_fail(call, CTL_USAGE, "\"login\": expected %s", expected);
		return;
	}
	l = listener_for(p, port, to_text ? &to : NULL);
	if (l && !to_text)
		to = usual_destination(l);
	if (login && (r.account = by_login(p, canon)))
		r.why = "login";
	else
		r = route_find(p->table, p->config->conf->proxy.unknown, p->nobody, l ? l->conf->protocol : PROTOCOL_HTTP, name, len, &to,
			       (uint16_t)port);
	if (p->table_state == TABLE_DAMAGED)
		r = (struct route){.why = "the table on disk is damaged: everything is refused"};
	ctl_answer(call, json_pack("{so so so so so so ss}", "account",
				   r.account && r.account != p->nobody ? json_string(r.account->name) : json_null(), "side",
				   r.account ? json_string(side_name(account_side(r.account))) : json_null(), "gate",
				   r.account ? json_string(gate_name(account_gate(r.account))) : json_null(), "target",
				   r.account ? json_target(l, account_side(r.account), &to) : json_null(), "listener",
				   l ? json_string(l->conf->name) : json_null(), "matched",
				   r.matched ? json_string(r.matched) : json_null(), "why", r.why));
}
