#include "proxy/visit.h"

#include "lib/log.h"
#include "proxy/accepted.h"
#include "proxy/exchange.h"
#include "proxy/listener.h"
#include "proxy/page.h"
#include "proxy/relay.h"
#include "proxy/route.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_AFTER_S 30
#define LINGER_MS     2000
#define LINGER_MOST \
	(1u << 20) /* bytes of an unwanted request that are still taken, so that our answer is not lost to a reset (RFC 9112 9.6) */

#define TO(s) (1u << VISIT_##s)
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[VISIT_PROXY] = {"proxy", TO(HEAD) | TO(CLOSED)}, /* the PROXY header of a trusted peer */
	[VISIT_HEAD] = {"head", TO(PARKED) | TO(EXCHANGE) | TO(LINGER) | TO(CLOSED)},
	[VISIT_PARKED] = {"parked", TO(HEAD) | TO(LINGER) | TO(CLOSED)},
	[VISIT_EXCHANGE] = {"exchange", TO(HEAD) | TO(TUNNEL) | TO(LINGER) | TO(CLOSED)},
	[VISIT_TUNNEL] = {"tunnel", TO(CLOSED)},
	[VISIT_LINGER] = {"linger", TO(CLOSED)},
	[VISIT_CLOSED] = {"closed", 0},
};

static void read_head(struct visit *v);
static void look_at_head(struct visit *v, const char *bytes, size_t len);

static struct visit *visit_of(struct flow *f)
{
	return (struct visit *)((char *)f - offsetof(struct visit, v.flow));
}

void visit_enter(struct visit *v, enum visit_state to)
{
	assert(states[v->state].next & (1u << to));
	log_debug("conn=%" PRIu64 " %s -> %s", v->v.id, states[v->state].name, states[to].name);
	v->state = (uint8_t)to;
}

/* Without the framing of chunks. */
static uint64_t body_bytes(const struct body *b, uint64_t passed)
{
	return b->framing == BODY_CHUNKED ? b->chunk.data : passed;
}

void visit_log(struct visit *v, const char *why)
{
	struct worker *w = v->v.flow.worker;
	bool reached = v->v.flow.where == FLOW_FLYING;
	struct access_line line = {
		.conn = v->v.id,
		.listener = v->v.listener->conf->name,
		.protocol = "http",
		.port = v->v.listener->conf->port,
		.peer = visitor_peer(&v->v),
		.account = v->v.flow.account ? v->v.flow.account->name : "-",
		.side = reached ? side_name((enum side)v->v.flow.side) : "-",
		.version = v->x.method_text ? (v->x.minor_0 ? "1.0" : "1.1") : NULL,
		.status = v->x.status,
		.bytes_up = v->x.up,
		.bytes_down = v->x.down,
		.body_up = body_bytes(&v->x.request, v->x.up),
		.own = !v->x.answered,
		.body_down = body_bytes(&v->x.answer, v->x.down),
		.wait_ms = flow_waited_ms(&v->v.flow),
		.connect_ms = v->x.connect_ms,
		.total_ms = visitor_now(&v->v) - v->x.began,
		.why = why,
	};

	log_debug("conn=%" PRIu64 " account=%s side=%s status=%u reason=\"%s\"", v->v.id, line.account, line.side, v->x.status, why);
	if (!access_wanted(w->access))
		return;
	if (v->x.name)
		line.name = slice_of(v->x.name);
	if (v->x.method_text)
		line.method = slice_of(v->x.method_text);
	if (v->x.target)
		line.target = slice_of(v->x.target);
	access_write(w->access, &line);
}

static void free_visit(struct later *l)
{
	struct visit *v = (struct visit *)((char *)l - offsetof(struct visit, v.later));

	slab_give(&v->v.flow.worker->visits, v);
}

static bool may_have_written(const struct visit *v, enum write_method *method, enum accepted_verdict *verdict)
{
	*verdict = accepted_verdict_of(v->x.answered ? v->x.status : 0);
	return write_method_of(v->x.method, method) && (v->x.answered || (v->up && v->up->connected));
}

/* What it may have changed there, for who wants to know the price of going back. Tunnels were counted when they began. */
static void count_accepted(struct visit *v)
{
	struct flow *f = &v->v.flow;
	struct worker *w = f->worker;
	enum write_method method;
	enum accepted_verdict verdict;

	if (f->where != FLOW_FLYING || !accepted_counts(f->account))
		return;
	if (v->state == VISIT_TUNNEL)
		accepted_connection(f->account, w->index, v->v.listener->conf->name, PROTOCOL_HTTP, 0, v->x.up, loop_now(w->loop));
	else if (may_have_written(v, &method, &verdict))
		accepted_request(f->account, w->index, method, verdict, body_bytes(&v->x.request, v->x.up), loop_now(w->loop));
}

/* Ends a request that did not run its course. */
static void abandon(struct visit *v, const char *why, bool reset)
{
	visit_log(v, why);
	count_accepted(v);
	if (v->v.flow.where == FLOW_FLYING)
		flow_count_bytes(&v->v.flow, v->x.up, v->x.down, reset);
	upstream_close(v->up, reset);
	v->up = NULL;
	exchange_done(v);
	flow_leave(&v->v.flow);
	v->v.flow.waited_ms = 0;
}

void visit_close(struct visit *v, const char *why, bool reset)
{
	if (v->state == VISIT_CLOSED)
		return;
	if (v->state == VISIT_EXCHANGE || v->state == VISIT_TUNNEL || v->state == VISIT_PARKED)
		abandon(v, why, reset);
	else
		log_debug("conn=%" PRIu64 " reason=\"%s\"", v->v.id, why);
	visit_enter(v, VISIT_CLOSED);
	upstream_close(v->up, false);
	v->up = NULL;
	visitor_close(&v->v, reset, free_visit);
}

/* ---- the end of a connection that the visitor may still be talking on ---- */

static void on_deadline(struct deadline *d);

static void linger_on(struct visit *v)
{
	struct worker *w = v->v.flow.worker;
	long n;

	if (end_flush(&v->v.client, w) < 0) {
		visit_close(v, "reset by the visitor", true);
		return;
	}
	if (end_blocked(&v->v.client))
		return;
	end_shut(&v->v.client);
	while (v->v.client.readable && v->x.up < LINGER_MOST) {
		n = end_recv(&v->v.client, w->in, sizeof w->in);
		if (n == -EAGAIN)
			return;
		if (n <= 0)
			break;
		v->x.up += (uint64_t)n;
	}
	if (v->v.client.eof || v->v.client.readable)
		visit_close(v, "ended", false);
}

static void linger(struct visit *v)
{
	struct worker *w = v->v.flow.worker;

	visit_enter(v, VISIT_LINGER);
	upstream_close(v->up, false);
	v->up = NULL;
	v->x.up = 0;
	kept_set(&v->v.kept, NULL, 0);
	deadline_arm(w->loop, &v->v.flow.deadline, on_deadline, end_blocked(&v->v.client) ? (uint64_t)w->conf->idle * 1000 : LINGER_MS);
	v->v.active = visitor_now(&v->v);
	linger_on(v);
}

void visit_refuse(struct visit *v, unsigned status, const struct account *moving, const char *why)
{
	struct page p = {.status = status, .head = v->x.method == METHOD_HEAD};
	char out[PAGE_MAX];
	size_t n;

	if (v->x.answered) {
		visit_close(v, why, true);
		return;
	}
	if (moving)
		p.retry_after_s = account_retry_after(moving, loop_now(v->v.flow.worker->loop), &p.eta_known);
	else if (status == 503)
		p.retry_after_s = RETRY_AFTER_S;
	p.moving = moving != NULL;
	meter_answer(&v->v.flow.worker->meter, status);
	n = page_write(out, &p);
	v->x.status = status;
	abandon(v, why, true);
	if (end_send(&v->v.client, &(struct iovec){out, n}, 1) < 0)
		visit_close(v, "reset by the visitor", true);
	else
		linger(v);
}

void visit_exchange_over(struct visit *v)
{
	struct worker *w = v->v.flow.worker;
	bool keep = v->x.keep && !w->draining;

	visit_log(v, "ok");
	count_accepted(v);
	flow_count_bytes(&v->v.flow, v->x.up, v->x.down, v->x.status >= 500);
	exchange_done(v);
	flow_leave(&v->v.flow);
	v->v.flow.waited_ms = 0;
	if (!keep) {
		linger(v);
		return;
	}
	visit_enter(v, VISIT_HEAD);
	v->began_head = false;
	deadline_arm(w->loop, &v->v.flow.deadline, on_deadline, (uint64_t)w->conf->keep_alive * 1000);
	if (v->v.kept) { /* pipelined */
		struct kept *k = v->v.kept;

		v->v.kept = NULL;
		memcpy(w->in, k->bytes, k->len);
		look_at_head(v, w->in, k->len);
		free(k);
	}
	read_head(v); /* nobody read during the exchange, so its edge has passed */
}

/* ---- the gate ---- */

static void go(struct flow *f)
{
	struct visit *v = visit_of(f);
	struct worker *w = f->worker;
	struct kept *k = v->v.kept;

	flow_leave(f);
	exchange_forget(&v->x);
	visit_enter(v, VISIT_HEAD);
	v->v.kept = NULL;
	memcpy(w->in, k->bytes, k->len);
	look_at_head(v, w->in, k->len);
	free(k);
}

static void refuse(struct flow *f, const char *why)
{
	visit_refuse(visit_of(f), 503, f->account, why);
}

static void cut(struct flow *f)
{
	visit_close(visit_of(f), "cut", true);
}

static int add_accepted(const struct flow *f, struct accepted *sum)
{
	const struct visit *v = (const struct visit *)((const char *)f - offsetof(struct visit, v.flow));
	enum write_method method;
	enum accepted_verdict verdict;

	if (v->state == VISIT_TUNNEL)
		return accepted_add_open(sum, v->v.listener->conf->name, PROTOCOL_HTTP, v->x.up, visitor_active(&v->v));
	if (v->state == VISIT_EXCHANGE && may_have_written(v, &method, &verdict))
		accepted_add_request(sum, method, verdict, body_bytes(&v->x.request, v->x.up), visitor_active(&v->v));
	return 0;
}

static void add_bytes(const struct flow *f, uint64_t *up, uint64_t *down)
{
	const struct visit *v = (const struct visit *)((const char *)f - offsetof(struct visit, v.flow));

	*up += v->x.up;
	*down += v->x.down;
}

static const struct flow_ops ops = {.go = go, .refuse = refuse, .cut = cut, .bytes = add_bytes, .accepted = add_accepted};

static char *copy_slice(struct slice s)
{
	return s.len ? strndup(s.p, s.len) : NULL;
}

static void start_exchange(struct visit *v, const struct http_head *h)
{
	struct exchange *x = &v->x;
	uint32_t began = v->v.flow.waited_ms ? x->began : visitor_now(&v->v);

	*x = (struct exchange){
		.method = h->method_id, .began = began, .minor_0 = h->minor == 0, .keep = h->keep_alive, .idempotent = h->idempotent};
	x->upgrade = h->upgrade.len != 0;
	if (access_wanted(v->v.flow.worker->access)) {
		x->method_text = copy_slice(h->method);
		x->target = copy_slice(h->target);
		x->name = copy_slice(h->host);
	}
}

/* bytes[0..len): the whole of what is here, from the head on. */
static void route_request(struct visit *v, const struct http_head *h, const char *bytes, size_t len)
{
	struct worker *w = v->v.flow.worker;
	const char *why = "the table is damaged";
	struct route r = {0};
	struct addr dst;

	start_exchange(v, h);
	if (w->refuse_all) {
		visit_refuse(v, 503, NULL, why);
		return;
	}
	visitor_dst(&v->v, &dst);
	r = route_find(w->table, w->conf->unknown, w->nobody, PROTOCOL_HTTP, h->name, h->name_len, &dst, v->v.listener->conf->port);
	if (!r.account) {
		visit_refuse(v, 421, NULL, r.why);
		return;
	}
	switch (flow_enter(&v->v.flow, w, r.account, &ops, &why)) {
	case FLOW_GO:
		visitor_count(&v->v, &r, h->name, h->name_len, &dst);
		visit_enter(v, VISIT_EXCHANGE);
		exchange_begin(v, h, bytes + h->head_len, len - h->head_len);
		return;
	case FLOW_WAIT:
		visit_enter(v, VISIT_PARKED);
		if (kept_set(&v->v.kept, bytes, len) < 0)
			visit_refuse(v, 503, NULL, "out of memory");
		return;
	case FLOW_REFUSED:
		visit_refuse(v, 503, r.account, why);
		return;
	}
}

/* ---- heads ---- */

static void look_at_head(struct visit *v, const char *bytes, size_t len)
{
	struct worker *w = v->v.flow.worker;
	struct http_head h;

	switch (http_parse_request(&h, bytes, len, (size_t)w->conf->http_head_max)) {
	case PARSE_OK:
		v->began_head = false;
		kept_set(&v->v.kept, NULL, 0);
		route_request(v, &h, bytes, len);
		return;
	case PARSE_MORE:
		if (kept_set(&v->v.kept, bytes, len) < 0) {
			visit_close(v, "out of memory", true);
			return;
		}
		if (!v->began_head) /* absolute: more bytes do not buy more time */
			deadline_arm(w->loop, &v->v.flow.deadline, on_deadline, (uint64_t)w->conf->http_head_timeout * 1000);
		v->began_head = true;
		return;
	case PARSE_BAD:
		v->x = (struct exchange){.began = visitor_now(&v->v)};
		visit_refuse(v, h.bad_status, NULL, h.bad_reason);
		return;
	}
}

static size_t gather(struct visit *v)
{
	long n = visitor_gather(&v->v);

	if (n < 0)
		visit_close(v, n != -ENODATA ? "reset by the visitor" : v->v.kept ? "ended in a head" : "ended", false);
	return n > 0 ? (size_t)n : 0;
}

static void read_head(struct visit *v)
{
	size_t n;

	/* Until nothing is left: with a FIN behind the bytes no further edge will come. */
	while (v->state == VISIT_HEAD && v->v.client.readable && (n = gather(v)))
		look_at_head(v, v->v.flow.worker->in, n);
}

static void begin(struct visit *v)
{
	struct worker *w = v->v.flow.worker;

	visit_arm(v, w->draining ? FRESH_MS : (uint64_t)w->conf->keep_alive * 1000);
}

static void read_proxy_header(struct visit *v)
{
	size_t n = gather(v), skip;
	const char *why;

	if (n == 0)
		return;
	switch (visitor_proxy_header(&v->v, n, &skip, &why)) {
	case PARSE_OK:
		visit_enter(v, VISIT_HEAD);
		begin(v);
		if (n > skip)
			look_at_head(v, v->v.flow.worker->in + skip, n - skip);
		read_head(v);
		return;
	case PARSE_MORE:
		return;
	case PARSE_BAD:
		visit_close(v, why, false);
		return;
	}
}

/* ---- after a 101 ---- */

static void on_again(struct again *a);

static void tunnel(struct visit *v, bool up, bool down)
{
	struct worker *w = v->v.flow.worker;
	enum joined j = relay_join(w, &v->v.client, &v->up->end, up, down, &v->x.up, &v->x.down);

	if (visitor_moved(&v->v, &v->up->end) && !v->v.unsure) {
		v->v.unsure = true;
		visit_arm(v, LOOK_AGAIN_MS);
	}
	switch (j) {
	case JOINED_ON:
		return;
	case JOINED_AGAIN:
		worker_again(w, &v->v.again, on_again);
		return;
	case JOINED_OVER:
		visit_close(v, "ok", false);
		return;
	case JOINED_A_BROKEN:
		visit_close(v, "reset by the visitor", true);
		return;
	case JOINED_B_BROKEN:
		visit_close(v, "reset by the back end", true);
		return;
	}
}

void visit_tunnel(struct visit *v)
{
	struct worker *w = v->v.flow.worker;

	visit_enter(v, VISIT_TUNNEL);
	accepted_connection(v->v.flow.account, w->index, v->v.listener->conf->name, PROTOCOL_HTTP, 1, 0, loop_now(w->loop));
	v->v.unsure = false;
	visit_arm(v, (uint64_t)w->conf->idle * 1000);
	if (v->v.kept) { /* what the visitor said before it knew */
		int rc = end_send(&v->up->end, &(struct iovec){v->v.kept->bytes, v->v.kept->len}, 1);

		v->x.up += v->v.kept->len;
		kept_set(&v->v.kept, NULL, 0);
		if (rc < 0) {
			visit_close(v, "reset by the back end", true);
			return;
		}
	}
	tunnel(v, true, true);
}

/* ---- events ---- */

static void on_again(struct again *a)
{
	struct visit *v = (struct visit *)((char *)a - offsetof(struct visit, v.again));

	if (v->state == VISIT_TUNNEL)
		tunnel(v, true, true);
	else if (v->state == VISIT_EXCHANGE)
		exchange_run(v);
}

void visit_again(struct visit *v)
{
	worker_again(v->v.flow.worker, &v->v.again, on_again);
}

static void on_deadline(struct deadline *d)
{
	struct visit *v = (struct visit *)((char *)d - offsetof(struct visit, v.flow.deadline));
	uint32_t idle = (uint32_t)v->v.flow.worker->conf->idle * 1000, quiet = visitor_now(&v->v) - v->v.active;

	switch ((enum visit_state)v->state) {
	case VISIT_PROXY:
		visit_close(v, "PROXY header timeout", false);
		return;
	case VISIT_HEAD:
		if (v->began_head) {
			v->x = (struct exchange){.began = visitor_now(&v->v)};
			visit_refuse(v, 408, NULL, "head timeout");
		} else {
			visit_close(v, "keep-alive over", false);
		}
		return;
	case VISIT_EXCHANGE:
		exchange_timeout(v);
		return;
	case VISIT_TUNNEL:
		if (quiet >= idle && visitor_still_taken(&v->v, &v->up->end))
			quiet = 0;
		if (quiet >= idle) {
			visit_close(v, "idle", true);
			return;
		}
		if (v->v.unsure && quiet >= LOOK_AGAIN_MS) {
			v->v.unsure = false;
			if (visitor_look_again(&v->v, &v->up->end))
				tunnel(v, true, true);
		}
		if (v->state == VISIT_TUNNEL)
			visit_arm(v, v->v.unsure ? LOOK_AGAIN_MS : idle - quiet);
		return;
	case VISIT_LINGER:
		visit_close(v, "ended", false);
		return;
	case VISIT_PARKED: /* flow.c's while parked */
	case VISIT_CLOSED:
		return;
	}
}

void visit_arm(struct visit *v, uint64_t after_ms)
{
	deadline_arm(v->v.flow.worker->loop, &v->v.flow.deadline, on_deadline, after_ms);
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	struct visit *v = arg;

	(void)fd;
	end_note(&v->v.client, what);
	switch ((enum visit_state)v->state) {
	case VISIT_PROXY:
		read_proxy_header(v);
		return;
	case VISIT_HEAD:
		read_head(v);
		return;
	case VISIT_PARKED:
		if (visitor_left(&v->v, false))
			visit_close(v, "left while waiting", true);
		return;
	case VISIT_EXCHANGE:
		/* A reset shows as readable. While an answer is awaited nobody reads, so look: the back end need not work for nobody. */
		if (v->x.request.done && (what & EV_READ) && visitor_left(&v->v, false))
			visit_close(v, "reset by the visitor", true);
		else
			exchange_run(v);
		return;
	case VISIT_TUNNEL:
		tunnel(v, what & (EV_READ | EV_CLOSED), (what & EV_WRITE) && (end_blocked(&v->v.client) || v->up->end.readable));
		return;
	case VISIT_LINGER:
		linger_on(v);
		return;
	case VISIT_CLOSED:
		return;
	}
}

void visit_on_upstream(struct visit *v, struct upstream *u)
{
	if (v->state == VISIT_EXCHANGE) {
		exchange_run(v);
	} else if (v->state == VISIT_TUNNEL) {
		tunnel(v, u->end.writable && (end_blocked(&u->end) || v->v.client.readable), u->end.readable);
	} else if (u->end.readable) { /* between requests: goodbye, or surplus that nobody asked for */
		v->up = NULL;
		upstream_close(u, false);
	}
}

static void on_shutdown(struct conn_link *link, bool now)
{
	struct visit *v = (struct visit *)link;

	if (now)
		visit_close(v, "shutdown", true);
	else if (v->state == VISIT_PROXY || (v->state == VISIT_HEAD && !v->began_head && !v->x.began))
		visit_arm(v, FRESH_MS); /* its first request is on the way */
	else if (v->state == VISIT_HEAD && !v->began_head)
		visit_close(v, "shutdown", false);
}

int visit_accept(struct worker *w, struct listener *l, int fd, const struct addr *peer)
{
	struct visit *v = slab_take(&w->visits, sizeof *v);

	if (!v) {
		close(fd);
		return -ENOMEM;
	}
	visitor_open(&v->v, w, l, fd, peer, on_client, v, on_shutdown);
	if (listener_trusts(l, peer)) {
		visit_arm(v, PP_TIMEOUT_MS);
	} else {
		visit_enter(v, VISIT_HEAD);
		begin(v);
		read_head(v);
	}
	if (v->state != VISIT_CLOSED && end_watch(&v->v.client) < 0)
		visit_close(v, "out of memory", true);
	return 0;
}
