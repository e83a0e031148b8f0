#include "proxy/exchange.h"

#include "proxy/listener.h"
#include "proxy/pp.h"
#include "proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHUNK_PASS 65536 /* a chunk with so much left is moved past the decoder */

static struct worker *worker_of(const struct visit *v)
{
	return v->v.flow.worker;
}

static enum source source_of(const struct visit *v)
{
	return v->v.listener->conf->source[v->v.flow.side];
}

/* A connection that said whose it is (its address did, if nothing else), or one for a name of which nobody knows the owner, serves this
 * visitor alone. */
static bool is_private(const struct visit *v)
{
	return source_of(v) == SOURCE_PROXY_V2 || source_of(v) == SOURCE_TRANSPARENT || v->v.flow.account == worker_of(v)->nobody;
}

/* ---- finding a connection to the back end ---- */

/* What the request is to say first on a new connection, behind a PROXY header where one is due. */
static int keep_for(struct visit *v, struct upstream *u, struct iovec *iov, int n)
{
	uint8_t header[PP_V2_MAX];
	struct addr dst;
	int rc = 0;

	if (source_of(v) == SOURCE_PROXY_V2) {
		visitor_dst(&v->v, &dst);
		rc = end_keep(&u->end, header, pp_write_v2(header, visitor_peer(&v->v), &dst));
	}
	for (int i = 0; rc == 0 && i < n; i++)
		rc = end_keep(&u->end, iov[i].iov_base, iov[i].iov_len);
	return rc;
}

/* False: nowhere. */
static bool find_way(const struct visit *v, struct way *way, const char **why)
{
	struct addr dst, here;

	visitor_dst(&v->v, &dst);
	visitor_here(&v->v, &here);
	return listener_way(way, v->v.listener, (enum side)v->v.flow.side, &dst, &here, worker_of(v)->index, why);
}

static void away(struct visit *v, unsigned status, const char *why)
{
	worker_warn(worker_of(v), "listener=%s account=%s side=%s reason=\"%s\"", v->v.listener->conf->name, v->v.flow.account->name,
		    side_name((enum side)v->v.flow.side), why);
	visit_refuse(v, status, NULL, why);
}

/* Starts to connect to the next address. The caller has closed the previous upstream; NULL: the visit has been answered. */
static struct upstream *connect_next(struct visit *v, const char *why)
{
	struct worker *w = worker_of(v);
	const char *nowhere;
	struct way way;

	if (!find_way(v, &way, &nowhere))
		why = nowhere;
	while (v->x.tried < way.n) {
		struct addr to = way_at(&way, v->x.tried++);
		int rc = 0;

		v->up = upstream_connect(w, v, v->v.flow.account, (enum side)v->v.flow.side, &to, &rc);
		if (v->up) {
			visit_arm(v, (uint64_t)w->conf->connect_timeout * 1000);
			return v->up;
		}
		if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS)
			worker_starved(w, rc == -ENOMEM || rc == -ENOBUFS ? "memory" : "descriptors");
		why = "connect failed";
	}
	away(v, 502, why);
	return NULL;
}

/* The kept private connection, a pooled one, or NULL. */
static struct upstream *take_kept(struct visit *v, const char *name)
{
	struct worker *w = worker_of(v);
	struct upstream *u = v->up;
	const char *why;
	struct way way;
	struct addr to;

	find_way(v, &way, &why);
	if (u) {
		v->up = NULL;
		for (size_t i = 0; i < way.n; i++) {
			to = way_at(&way, i);
			if (u->account == v->v.flow.account && u->side == v->v.flow.side && addr_same(&u->addr, &to) &&
			    strcmp(v->up_name, name) == 0 && (v->x.idempotent || upstream_is_silent(u)))
				return u;
		}
		upstream_close(u, false);
	}
	for (size_t i = 0; i < way.n && !is_private(v); i++) {
		to = way_at(&way, i);
		u = upstream_from_pool(w, v->v.flow.account, (enum side)v->v.flow.side, &to, !v->x.idempotent);
		if (u)
			return u;
	}
	return NULL;
}

/* ---- the request ---- */

static void fail_request(struct visit *v, const char *why)
{
	if (v->x.answered)
		visit_close(v, why, true);
	else
		visit_refuse(v, 400, NULL, why);
}

/* Splits what followed the head into this request's body, in canonical form behind the head in w->out, and what follows it. < 0: closed. */
static int first_body(struct visit *v, const char *rest, size_t len, struct iovec *body, size_t head_len)
{
	struct worker *w = worker_of(v);
	struct body *b = &v->x.request;
	size_t used = 0, out_len = 0;

	switch (b->framing) {
	case BODY_NONE:
	case BODY_UNTIL_CLOSE: /* requests have no such thing */
		b->done = true;
		break;
	case BODY_LENGTH:
		used = len < b->left ? len : (size_t)b->left;
		*body = (struct iovec){(char *)rest, used};
		b->left -= used;
		b->done = b->left == 0;
		break;
	case BODY_CHUNKED:
		chunk_init(&b->chunk, false);
		switch (chunk_feed(&b->chunk, rest, len, &used, w->out + head_len, &out_len)) {
		case PARSE_OK:
			b->done = true;
			break;
		case PARSE_MORE:
			break;
		case PARSE_BAD:
			fail_request(v, "bad chunk");
			return -EINVAL;
		}
		*body = (struct iovec){w->out + head_len, out_len};
		break;
	}
	v->x.up += body->iov_len;
	if (used < len && kept_set(&v->v.kept, rest + used, len - used) < 0) {
		visit_refuse(v, 503, NULL, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

void exchange_begin(struct visit *v, const struct http_head *h, const char *rest, size_t len)
{
	struct worker *w = worker_of(v);
	struct http_forward f = {.headers = source_of(v) == SOURCE_HEADERS, .scheme = "http"};
	char peer[ADDR_TEXT_MAX];
	struct iovec iov[2] = {{w->out, 0}, {NULL, 0}};
	const char *name = is_private(v) && v->v.flow.account == w->nobody ? h->name : "";
	struct upstream *u;

	if (f.headers)
		f.peer = addr_text(visitor_peer(&v->v), peer);
	iov[0].iov_len = http_write_request(w->out, sizeof w->out, h, &f);
	v->x.request = (struct body){.framing = h->framing, .left = h->length};
	if (first_body(v, rest, len, &iov[1], iov[0].iov_len) < 0)
		return;
	v->v.active = visitor_now(&v->v);
	u = take_kept(v, name);
	if (u) {
		u->visit = v;
		v->up = u;
		/* The back end may be closing it at this moment. What may be sent twice is kept until the answer begins. */
		if (v->x.idempotent && v->x.request.done && iov[1].iov_len == 0)
			kept_set(&v->x.replay, iov[0].iov_base, iov[0].iov_len);
		visit_arm(v, LOOK_AGAIN_MS);
		if (end_send(&u->end, iov, iov[1].iov_len ? 2 : 1) < 0)
			v->x.deaf = true; /* the answer, or its absence, says more */
		exchange_run(v);
		return;
	}
	u = connect_next(v, "");
	if (!u)
		return;
	memcpy(v->up_name, name, strlen(name) + 1);
	if (keep_for(v, u, iov, 2) < 0)
		visit_refuse(v, 503, NULL, "out of memory");
}

static void run_request(struct visit *v)
{
	struct worker *w = worker_of(v);
	struct exchange *x = &v->x;
	struct body *b = &x->request;
	struct end *to = &v->up->end;
	size_t used, out_len;
	uint64_t pass = 0, left;
	enum relayed r;
	long n;

	while (!b->done && !x->deaf && v->state == VISIT_EXCHANGE) {
		if (b->framing == BODY_LENGTH || (pass = chunk_data(&b->chunk)) >= CHUNK_PASS) {
			left = b->framing == BODY_LENGTH ? b->left : pass;
			r = relay_move(w, &v->v.client, to, &left, &x->up);
			if (b->framing == BODY_LENGTH)
				b->left = left;
			else
				chunk_moved(&b->chunk, pass - left);
			switch (r) {
			case RELAY_DONE:
				b->done = b->framing == BODY_LENGTH;
				continue;
			case RELAY_BLOCKED:
				return;
			case RELAY_SHARE_USED:
				visit_again(v);
				return;
			case RELAY_EOF: /* never completed for it, never glued to what comes next */
				visit_close(v, "ended in a body", true);
				return;
			case RELAY_FROM_BROKEN:
				visit_close(v, "reset by the visitor", true);
				return;
			case RELAY_TO_BROKEN:
				x->deaf = true;
				return;
			}
		}
		if (end_blocked(to) || !v->v.client.readable)
			return;
		n = end_recv(&v->v.client, w->in, sizeof w->in);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			visit_close(v, n ? "reset by the visitor" : "ended in a body", true);
			return;
		}
		switch (chunk_feed(&b->chunk, w->in, (size_t)n, &used, w->out, &out_len)) {
		case PARSE_OK:
			b->done = true;
			if (used < (size_t)n && kept_set(&v->v.kept, w->in + used, (size_t)n - used) < 0) {
				visit_close(v, "out of memory", true);
				return;
			}
			break;
		case PARSE_MORE:
			break;
		case PARSE_BAD:
			fail_request(v, "bad chunk");
			return;
		}
		x->up += out_len;
		if (end_send(to, &(struct iovec){w->out, out_len}, 1) < 0)
			x->deaf = true;
	}
}

/* ---- the answer ---- */

/* The back end broke or ended before a final answer. A kept connection that died without a byte is nobody's fault: once more on a new one.
 */
static void no_answer(struct visit *v, const char *why)
{
	struct exchange *x = &v->x;
	struct upstream *u;
	struct kept *again = x->replay;

	if (!again || x->head || !v->up->used) {
		away(v, 502, why);
		return;
	}
	upstream_close(v->up, true);
	v->up = NULL;
	x->replay = NULL;
	x->deaf = false;
	u = connect_next(v, why);
	if (u && keep_for(v, u, &(struct iovec){again->bytes, again->len}, 1) < 0)
		visit_refuse(v, 503, NULL, "out of memory");
	free(again);
}

/* Hands on the head of the final answer and as much of its body as came with it. */
static void begin_answer(struct visit *v, const struct http_head *h, const char *rest, size_t len)
{
	struct worker *w = worker_of(v);
	struct exchange *x = &v->x;
	struct body *b = &x->answer;
	struct http_forward f = {.unframed = x->minor_0 && h->framing == BODY_CHUNKED};
	struct iovec iov[2] = {{w->out, 0}, {NULL, 0}};
	size_t used = len, out_len = 0;

	*b = (struct body){.framing = h->framing, .left = h->length};
	x->answered = true;
	x->status = h->status;
	if (!h->keep_alive || h->framing == BODY_UNTIL_CLOSE || !x->request.done || x->deaf)
		x->unusual = true;
	/* An answer that came before the end of its request ends the connection: what is left of the request must not look like the next
	 * one. */
	if (h->framing == BODY_UNTIL_CLOSE || f.unframed || !x->request.done || x->deaf || w->draining)
		x->keep = false;
	f.close = !x->keep;
	f.keep_alive_10 = x->minor_0 && x->keep;
	iov[0].iov_len = http_write_response(w->out, sizeof w->out, h, &f);
	switch (b->framing) {
	case BODY_NONE:
		used = 0;
		b->done = true;
		break;
	case BODY_LENGTH:
		used = len < b->left ? len : (size_t)b->left;
		iov[1] = (struct iovec){(char *)rest, used};
		b->left -= used;
		b->done = b->left == 0;
		break;
	case BODY_CHUNKED:
		chunk_init(&b->chunk, f.unframed);
		switch (chunk_feed(&b->chunk, rest, len, &used, w->out + iov[0].iov_len, &out_len)) {
		case PARSE_OK:
			b->done = true;
			break;
		case PARSE_MORE:
			break;
		case PARSE_BAD:
			x->answered = false;
			away(v, 502, "bad chunk in the answer");
			return;
		}
		iov[1] = (struct iovec){w->out + iov[0].iov_len, out_len};
		break;
	case BODY_UNTIL_CLOSE:
		iov[1] = (struct iovec){(char *)rest, len};
		break;
	}
	if (used < len)
		x->unusual = true; /* surplus: it must never become somebody's next answer */
	x->down += iov[1].iov_len;
	if (end_send(&v->v.client, iov, iov[1].iov_len ? 2 : 1) < 0)
		visit_close(v, "reset by the visitor", true);
}

/* 1xx. False: the exchange is over or has become a tunnel. */
static bool interim(struct visit *v, const struct http_head *h, const char *rest, size_t len)
{
	struct worker *w = worker_of(v);
	size_t n;

	if (h->status == 101 && !v->x.upgrade) {
		away(v, 502, "101 that nobody asked for");
		return false;
	}
	if (v->x.minor_0)
		return true; /* a HTTP/1.0 client has never heard of them */
	n = http_write_response(w->out, sizeof w->out, h, &(struct http_forward){0});
	if (end_send(&v->v.client, (struct iovec[]){{w->out, n}, {(char *)rest, h->status == 101 ? len : 0}}, 2) < 0) {
		visit_close(v, "reset by the visitor", true);
		return false;
	}
	if (h->status != 101)
		return true;
	v->x.status = 101;
	v->x.answered = true;
	v->x.down += len;
	visit_tunnel(v);
	return false;
}

static void look_at_answer(struct visit *v, const char *bytes, size_t len)
{
	struct worker *w = worker_of(v);
	struct http_head h;

	while (len) {
		switch (http_parse_response(&h, bytes, len, (size_t)w->conf->http_head_max, v->x.method)) {
		case PARSE_OK:
			break;
		case PARSE_MORE:
			if (kept_set(&v->x.head, bytes, len) < 0)
				visit_refuse(v, 503, NULL, "out of memory");
			return;
		case PARSE_BAD:
			away(v, 502, h.bad_reason);
			return;
		}
		bytes += h.head_len;
		len -= h.head_len;
		if (h.status >= 200) {
			kept_set(&v->x.head, NULL, 0);
			kept_set(&v->x.replay, NULL, 0);
			begin_answer(v, &h, bytes, len);
			return;
		}
		if (!interim(v, &h, bytes, len))
			return;
	}
	kept_set(&v->x.head, NULL, 0);
}

static void read_answer_head(struct visit *v)
{
	struct worker *w = worker_of(v);
	size_t have = v->x.head ? v->x.head->len : 0;
	long n;

	if (have)
		memcpy(w->in, v->x.head->bytes, have);
	n = end_recv(&v->up->end, w->in + have, sizeof w->in - have);
	if (n == -EAGAIN)
		return;
	if (n <= 0)
		no_answer(v, n ? "reset by the back end" : "the back end ended without an answer");
	else
		look_at_answer(v, w->in, have + (size_t)n);
}

static void run_answer_body(struct visit *v)
{
	struct worker *w = worker_of(v);
	struct exchange *x = &v->x;
	struct body *b = &x->answer;
	struct end *from = &v->up->end, *to = &v->v.client;
	size_t used, out_len;
	uint64_t pass = 0, left;
	enum relayed r;
	long n;

	while (!b->done) {
		if (b->framing != BODY_CHUNKED || (pass = chunk_data(&b->chunk)) >= CHUNK_PASS) {
			left = b->framing == BODY_CHUNKED ? pass : b->framing == BODY_LENGTH ? b->left : RELAY_FOREVER;
			r = relay_move(w, from, to, &left, &x->down);
			if (b->framing == BODY_CHUNKED)
				chunk_moved(&b->chunk, pass - left);
			else
				b->left = left;
			switch (r) {
			case RELAY_DONE:
				b->done = b->framing == BODY_LENGTH;
				continue;
			case RELAY_BLOCKED:
				return;
			case RELAY_SHARE_USED:
				visit_again(v);
				return;
			case RELAY_EOF:
				if (b->framing != BODY_UNTIL_CLOSE) {
					visit_close(v, "the back end ended in its answer", true);
					return;
				}
				b->done = true;
				continue;
			case RELAY_FROM_BROKEN:
				visit_close(v, "reset by the back end", true);
				return;
			case RELAY_TO_BROKEN:
				visit_close(v, "reset by the visitor", true);
				return;
			}
		}
		if (end_blocked(to) || !from->readable)
			return;
		n = end_recv(from, w->in, sizeof w->in);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			visit_close(v, n ? "reset by the back end" : "the back end ended in its answer", true);
			return;
		}
		switch (chunk_feed(&b->chunk, w->in, (size_t)n, &used, w->out, &out_len)) {
		case PARSE_OK:
			b->done = true;
			x->unusual |= used < (size_t)n;
			break;
		case PARSE_MORE:
			break;
		case PARSE_BAD: /* without a last chunk the visitor sees that it is broken */
			visit_close(v, "bad chunk in the answer", true);
			return;
		}
		x->down += out_len;
		if (end_send(to, &(struct iovec){w->out, out_len}, 1) < 0) {
			visit_close(v, "reset by the visitor", true);
			return;
		}
	}
}

/* ---- both ---- */

/* False: not connected yet, or not to be. */
static bool connected(struct visit *v)
{
	struct upstream *u = v->up;
	struct rest *rest;
	int rc;

	if (u->connected)
		return true;
	if (!u->end.readable && !u->end.writable)
		return false;
	rc = u->end.readable ? upstream_error(u) : 0; /* a failed connect is reported as readable too */
	if (rc == 0) {
		u->connected = u->end.writable;
		v->x.connect_ms = visitor_now(&v->v) - (uint32_t)u->connect_start;
		v->v.active = visitor_now(&v->v);
		visit_arm(v, LOOK_AGAIN_MS);
		return u->connected;
	}
	rest = u->end.rest; /* the next address is to hear the same */
	u->end.rest = NULL;
	upstream_close(u, true);
	v->up = NULL;
	u = connect_next(v, rc == -ECONNREFUSED ? "connect refused" : "connect failed");
	if (u)
		u->end.rest = rest;
	else
		free(rest);
	return false;
}

void exchange_run(struct visit *v)
{
	struct worker *w = worker_of(v);
	struct exchange *x = &v->x;

	if (!connected(v))
		return;
	if (end_blocked(&v->up->end) && end_flush(&v->up->end, w) < 0)
		x->deaf = true;
	if (!x->request.done)
		run_request(v);
	/* v->up may be another one after a second try. */
	while (v->state == VISIT_EXCHANGE && !x->answered && v->up->connected && v->up->end.readable)
		read_answer_head(v);
	if (v->state == VISIT_EXCHANGE && x->answered && !x->answer.done)
		run_answer_body(v);
	if (v->state != VISIT_EXCHANGE)
		return;
	if (visitor_moved(&v->v, &v->up->end) && x->looked) {
		x->looked = false;
		visit_arm(v, LOOK_AGAIN_MS);
	}
	if (end_flush(&v->v.client, w) < 0)
		visit_close(v, "reset by the visitor", true);
	else if (x->answered && x->answer.done && !end_blocked(&v->v.client))
		visit_exchange_over(v);
}

void exchange_timeout(struct visit *v)
{
	struct worker *w = worker_of(v);
	struct exchange *x = &v->x;
	uint32_t quiet = visitor_now(&v->v) - v->v.active, limit;

	if (!v->up->connected) {
		away(v, 504, "connect timeout");
		return;
	}
	/* A reset that came with the last bytes may hide behind a short read (end_look_again()). */
	if (quiet >= LOOK_AGAIN_MS && !x->looked) {
		x->looked = true;
		if (x->request.done && visitor_left(&v->v, false)) {
			visit_close(v, "reset by the visitor", true);
			return;
		}
		if (visitor_look_again(&v->v, &v->up->end)) {
			visit_arm(v, LOOK_AGAIN_MS); /* first: v may be gone, or at its next request, afterwards */
			exchange_run(v);
			return;
		}
	} else if (quiet < LOOK_AGAIN_MS) {
		x->looked = false;
	}
	limit = (uint32_t)(x->request.done && !x->answered ? w->conf->response_timeout : w->conf->idle) * 1000;
	if (quiet >= limit && visitor_still_taken(&v->v, &v->up->end))
		quiet = 0;
	if (quiet < limit)
		visit_arm(v, x->looked ? limit - quiet : LOOK_AGAIN_MS);
	else if (x->answered)
		visit_close(v, "idle", true);
	else if (x->request.done)
		away(v, 504, "no answer in time");
	else
		visit_refuse(v, 408, NULL, "idle in a body");
}

void exchange_forget(struct exchange *x)
{
	free(x->replay);
	free(x->head);
	free(x->method_text);
	free(x->target);
	free(x->name);
	x->replay = x->head = NULL;
	x->method_text = x->target = x->name = NULL;
}

void exchange_done(struct visit *v)
{
	struct exchange *x = &v->x;
	struct upstream *u = v->up;

	exchange_forget(x);
	if (!u)
		return;
	if (x->unusual || x->deaf || !x->request.done || !x->answer.done || end_blocked(&u->end) || u->end.rdhup) {
		v->up = NULL;
		upstream_close(u, false);
	} else if (is_private(v)) {
		u->used = true; /* it stays with this visitor; visit_on_upstream() hears of its end */
	} else {
		v->up = NULL;
		upstream_to_pool(u);
	}
}
