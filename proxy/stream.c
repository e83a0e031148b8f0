#include "proxy/stream.h"

#include "lib/log.h"
#include "proxy/accepted.h"
#include "proxy/dial.h"
#include "proxy/farewell.h"
#include "proxy/flow.h"
#include "proxy/listener.h"
#include "proxy/pp.h"
#include "proxy/relay.h"
#include "proxy/route.h"
#include "proxy/sni.h"
#include "proxy/visitor.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum stream_state { STREAM_PROXY, STREAM_HELLO, STREAM_PARKED, STREAM_CONNECT, STREAM_RELAY, STREAM_LEAVING, STREAM_CLOSED };
#define TO(s)    (1u << STREAM_##s)
#define LEAVE_MS 2000 /* for what he says when he has been told no */
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[STREAM_PROXY] = {"proxy", TO(HELLO) | TO(CLOSED)}, /* the PROXY header of a trusted peer */
	[STREAM_HELLO] = {"hello", TO(PARKED) | TO(CONNECT) | TO(LEAVING) | TO(CLOSED)},
	[STREAM_PARKED] = {"parked", TO(PARKED) | TO(CONNECT) | TO(LEAVING) | TO(CLOSED)},
	[STREAM_CONNECT] = {"connect", TO(CONNECT) | TO(RELAY) | TO(CLOSED)},
	[STREAM_RELAY] = {"relay", TO(CLOSED)},
	[STREAM_LEAVING] = {"leaving", TO(CLOSED)}, /* turned away, and has to say something before he can be told */
	[STREAM_CLOSED] = {"closed", 0},
};

/* Small, since ten thousand idle ones must cost little. */
struct stream {
	struct visitor v; /* first; v.kept: what was said before the back end could hear it */
	struct end server;
	char *name; /* as the visitor asked for it */
	uint64_t up, down;
	union {
		uint32_t connect_start;
		uint32_t again_s; /* turned away: when to come again */
	};
	uint32_t connect_ms;
	uint8_t state;         /* written by enter() alone */
	uint8_t tried;         /* addresses of the target */
	bool server_spoke : 1; /* the last bytes that moved were the back end's */
	bool logged : 1;       /* the line of its end is written */
	bool last_call : 1;    /* the drain is nearly over: no new request once an answer is complete */
};

static void route_it(struct stream *s);

static struct stream *stream_of(struct flow *f)
{
	return (struct stream *)((char *)f - offsetof(struct stream, v.flow));
}

static void enter(struct stream *s, enum stream_state to)
{
	assert(states[s->state].next & (1u << to));
	log_debug("conn=%" PRIu64 " %s -> %s", s->v.id, states[s->state].name, states[to].name);
	s->state = (uint8_t)to;
}

static void log_end(struct stream *s, const char *why)
{
	struct visitor *v = &s->v;
	struct worker *w = v->flow.worker;
	struct access_line line = {
		.conn = v->id,
		.listener = v->listener->conf->name,
		.protocol = protocol_name(v->listener->conf->protocol),
		.port = v->listener->conf->port,
		.peer = visitor_peer(v),
		.account = v->flow.account ? v->flow.account->name : "-",
		.side = v->flow.where == FLOW_FLYING ? side_name((enum side)v->flow.side) : "-",
		.name = s->name ? slice_of(s->name) : (struct slice){0},
		.bytes_up = s->up,
		.bytes_down = s->down,
		.wait_ms = flow_waited_ms(&v->flow),
		.connect_ms = s->connect_ms,
		.total_ms = visitor_now(v) - v->started,
		.why = why,
	};

	log_debug("conn=%" PRIu64 " account=%s side=%s reason=\"%s\"", v->id, line.account, line.side, why);
	if (access_wanted(w->access))
		access_write(w->access, &line);
}

static void free_stream(struct later *l)
{
	struct stream *s = (struct stream *)((char *)l - offsetof(struct stream, v.later));

	slab_give(&s->v.flow.worker->streams, s);
}

/* TLS and TCP do not say what they carry: it may have written. */
static void count_accepted(struct stream *s, unsigned count, uint64_t bytes)
{
	const struct conf_listener *l = s->v.listener->conf;
	struct worker *w = s->v.flow.worker;

	accepted_connection(s->v.flow.account, w->index, l->name, l->protocol, count, bytes, loop_now(w->loop));
}

static void stream_close(struct stream *s, const char *why, bool reset)
{
	if (s->state == STREAM_CLOSED)
		return;
	if (!s->logged)
		log_end(s, why);
	if (s->state == STREAM_RELAY)
		count_accepted(s, 0, s->up);
	if (s->v.flow.where == FLOW_FLYING)
		flow_count_bytes(&s->v.flow, s->up, s->down, reset);
	enter(s, STREAM_CLOSED);
	end_close(&s->server, s->v.flow.worker, reset);
	free(s->name);
	visitor_close(&s->v, reset, free_stream);
}

/* ---- joined: bytes both ways ---- */

static void on_again(struct again *a);
static void on_deadline(struct deadline *d);

static void relay(struct stream *s, bool up, bool down)
{
	struct worker *w = s->v.flow.worker;
	uint64_t up_before = s->up, down_before = s->down;
	bool hush = s->last_call && s->server_spoke && !s->v.client.eof;
	enum joined j = relay_join(w, &s->v.client, &s->server, up && !hush, down, &s->up, &s->down);

	if (s->up != up_before || s->down != down_before)
		s->server_spoke = s->down != down_before;
	if (visitor_moved(&s->v, &s->server) && !s->v.unsure) {
		s->v.unsure = true;
		deadline_arm(w->loop, &s->v.flow.deadline, on_deadline, LOOK_AGAIN_MS);
	}
	switch (j) {
	case JOINED_ON:
		return;
	case JOINED_AGAIN:
		worker_again(w, &s->v.again, on_again);
		return;
	case JOINED_OVER:
		stream_close(s, "ok", false);
		return;
	case JOINED_A_BROKEN:
		stream_close(s, "reset by the visitor", true);
		return;
	case JOINED_B_BROKEN: /* what did not end cleanly must not look as if it had */
		stream_close(s, "reset by the back end", true);
		return;
	}
}

static void on_again(struct again *a)
{
	relay((struct stream *)((char *)a - offsetof(struct stream, v.again)), true, true);
}

static void on_deadline(struct deadline *d)
{
	struct stream *s = (struct stream *)((char *)d - offsetof(struct stream, v.flow.deadline));
	uint32_t idle = (uint32_t)s->v.flow.worker->conf->idle * 1000, quiet = visitor_now(&s->v) - s->v.active;

	switch ((enum stream_state)s->state) {
	case STREAM_PROXY:
		stream_close(s, "PROXY header timeout", false);
		return;
	case STREAM_HELLO:
		stream_close(s, "hello timeout", false);
		return;
	case STREAM_CONNECT:
		stream_close(s, "connect timeout", true);
		return;
	case STREAM_LEAVING:
		stream_close(s, "leave timeout", false);
		return;
	case STREAM_RELAY:
		if (quiet >= idle && visitor_still_taken(&s->v, &s->server))
			quiet = 0;
		if (quiet >= idle) {
			stream_close(s, "idle", true);
			return;
		}
		if (s->v.unsure && quiet >= LOOK_AGAIN_MS) {
			s->v.unsure = false;
			if (visitor_look_again(&s->v, &s->server))
				relay(s, true, true);
		}
		if (s->state == STREAM_RELAY)
			deadline_arm(s->v.flow.worker->loop, d, on_deadline, s->v.unsure ? LOOK_AGAIN_MS : idle - quiet);
		return;
	case STREAM_PARKED: /* flow.c's while parked */
	case STREAM_CLOSED:
		return;
	}
}

/* ---- connecting ---- */

static void connect_next(struct stream *s, const char *why);

static int say_first(struct stream *s)
{
	uint8_t header[PP_V2_MAX];
	struct addr dst;
	struct iovec iov[2];
	int n = 0, rc;

	if (s->v.listener->conf->source[s->v.flow.side] == SOURCE_PROXY_V2) {
		visitor_dst(&s->v, &dst);
		iov[n++] = (struct iovec){header, pp_write_v2(header, visitor_peer(&s->v), &dst)};
	}
	if (s->v.kept)
		iov[n++] = (struct iovec){s->v.kept->bytes, s->v.kept->len};
	rc = n ? end_send(&s->server, iov, n) : 0;
	if (rc == 0 && s->v.kept)
		s->up += s->v.kept->len;
	free(s->v.kept);
	s->v.kept = NULL;
	return rc;
}

static void on_connected(struct stream *s)
{
	s->connect_ms = visitor_now(&s->v) - s->connect_start;
	s->v.active = visitor_now(&s->v);
	enter(s, STREAM_RELAY);
	count_accepted(s, 1, 0);
	deadline_arm(s->v.flow.worker->loop, &s->v.flow.deadline, on_deadline, (uint64_t)s->v.flow.worker->conf->idle * 1000);
	if (say_first(s) < 0) {
		stream_close(s, "reset by the back end", true);
		return;
	}
	relay(s, s->v.client.readable, s->server.readable);
}

static void on_server(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	end_note(&s->server, what);
	if (s->state == STREAM_CONNECT) {
		int error = 0;
		socklen_t len = sizeof error;

		/* A failed connect is reported as readable too; writable alone is success. */
		if ((what & EV_READ) && (getsockopt(s->server.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error))
			connect_next(s, error == ECONNREFUSED ? "connect refused" : "connect failed");
		else if (what & EV_WRITE)
			on_connected(s);
		return;
	}
	relay(s, (what & EV_WRITE) && (end_blocked(&s->server) || s->v.client.readable), what & (EV_READ | EV_CLOSED));
}

static void warn_away(struct stream *s, const struct target *t, const char *why)
{
	worker_warn(s->v.flow.worker, "listener=%s account=%s side=%s target=%s reason=\"%s\"", s->v.listener->conf->name,
		    s->v.flow.account ? s->v.flow.account->name : "-", side_name((enum side)s->v.flow.side), t ? target_text(t) : "-", why);
}

/* Tries the addresses of the target one after the other; a name may have one of a family on which nobody listens. */
static void connect_next(struct stream *s, const char *why)
{
	struct worker *w = s->v.flow.worker;
	enum side side = (enum side)s->v.flow.side;
	struct addr dst, here;
	const char *nowhere;
	struct way way;

	visitor_dst(&s->v, &dst);
	visitor_here(&s->v, &here);
	enter(s, STREAM_CONNECT);
	end_close(&s->server, w, false);
	if (!listener_way(&way, s->v.listener, side, &dst, &here, w->index, &nowhere))
		why = nowhere;
	while (s->tried < way.n) {
		struct addr to = way_at(&way, s->tried++);
		const struct dial d = {s->v.listener, side, visitor_peer(&s->v), &to};
		int fd = dial_start(w, &d);

		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
			worker_starved(w, fd == -ENOMEM || fd == -ENOBUFS ? "memory" : "descriptors");
		if (fd < 0) {
			why = "connect failed";
			continue;
		}
		end_init(&s->server, fd, true);
		s->server.sent = flow_sent(&s->v.flow);
		end_assign(&s->server, loop_base(w->loop), true, on_server, s);
		if (end_watch(&s->server) < 0)
			break;
		s->connect_start = visitor_now(&s->v);
		deadline_arm(w->loop, &s->v.flow.deadline, on_deadline, (uint64_t)w->conf->connect_timeout * 1000);
		return;
	}
	warn_away(s, way.target, why);
	stream_close(s, why, true);
}

/* ---- the gate ---- */

static void go(struct flow *f)
{
	struct stream *s = stream_of(f);

	flow_leave(f);
	route_it(s); /* by the table of now: the account may have other names since */
}

/* Says it in his protocol's words, if that is known. What he has said is taken first: a socket closed with bytes in it is reset, and with
 * it would go what he has not read yet. False: he has to say something more before. */
static bool said_farewell(struct stream *s)
{
	struct worker *w = s->v.flow.worker;
	uint16_t port = s->v.listener->conf->port;
	long got = visitor_gather(&s->v);
	char words[FAREWELL_MAX];
	struct addr here;
	bool over;
	size_t n;

	if (s->state == STREAM_LEAVING && got == 0)
		return false;
	over = got <= 0 || !farewell_not_yet(words, &n, port, w->in, (size_t)got);
	if (over) {
		visitor_dst(&s->v, &here);
		n = farewell_write(words, port, &here, s->again_s);
	}
	kept_set(&s->v.kept, NULL, 0);
	if (n && end_send(&s->v.client, &(struct iovec){words, n}, 1) < 0)
		return true;
	s->down += n;
	return over;
}

static void turn_away(struct stream *s, const struct account *a, const char *why)
{
	struct worker *w = s->v.flow.worker;
	bool known;

	if (a && s->v.listener->conf->protocol == PROTOCOL_TCP) {
		s->again_s = account_retry_after(a, loop_now(w->loop), &known);
		if (!said_farewell(s)) {
			log_end(s, why);
			s->logged = true;
			flow_leave(&s->v.flow);
			enter(s, STREAM_LEAVING);
			deadline_arm(w->loop, &s->v.flow.deadline, on_deadline, LEAVE_MS);
			return;
		}
	}
	stream_close(s, why, false);
}

static void refuse(struct flow *f, const char *why)
{
	turn_away(stream_of(f), f->account, why);
}

static void cut(struct flow *f)
{
	stream_close(stream_of(f), "cut", true);
}

/* A TLS visitor's keep-alive connection looks like any other. One on which the back end had the last word a while ago is waiting for the
 * visitor's next request: closing it now loses nothing, a visitor asks again on a new connection (RFC 9112 9.3.1), and that one will wait
 * behind the gate. */
static void quiet(struct flow *f, unsigned quiet_ms, bool last_call)
{
	struct stream *s = stream_of(f);

	s->last_call = last_call;
	if (s->state == STREAM_RELAY && s->server_spoke && !end_blocked(&s->v.client) && visitor_now(&s->v) - s->v.active >= quiet_ms)
		stream_close(s, "drained", false);
}

static int add_accepted(const struct flow *f, struct accepted *sum)
{
	const struct stream *s = (const struct stream *)((const char *)f - offsetof(struct stream, v.flow));
	const struct conf_listener *l = s->v.listener->conf;

	return s->state == STREAM_RELAY ? accepted_add_open(sum, l->name, l->protocol, s->up, visitor_active(&s->v)) : 0;
}

static void add_bytes(const struct flow *f, uint64_t *up, uint64_t *down)
{
	const struct stream *s = (const struct stream *)((const char *)f - offsetof(struct stream, v.flow));

	*up += s->up;
	*down += s->down;
}

static const struct flow_ops ops = {.go = go, .refuse = refuse, .cut = cut, .quiet = quiet, .bytes = add_bytes, .accepted = add_accepted};

static void route_it(struct stream *s)
{
	struct worker *w = s->v.flow.worker;
	const struct conf_listener *c = s->v.listener->conf;
	const char *why = "the table is damaged", *name = s->name ? s->name : "";
	struct route r = {0};
	struct addr dst;

	visitor_dst(&s->v, &dst);
	if (!w->refuse_all) {
		r = route_find(w->table, w->conf->unknown, w->nobody, c->protocol, name, strlen(name), &dst, c->port);
		why = r.why;
	}
	if (!r.account) {
		stream_close(s, why, false);
		return;
	}
	switch (flow_enter(&s->v.flow, w, r.account, &ops, &why)) {
	case FLOW_GO:
		visitor_count(&s->v, &r, name, strlen(name), &dst);
		s->tried = 0;
		connect_next(s, "");
		return;
	case FLOW_WAIT:
		enter(s, STREAM_PARKED);
		return;
	case FLOW_REFUSED:
		turn_away(s, r.account, why);
		return;
	}
}

/* ---- before a side is known ---- */

/* > 0: so many bytes in the worker's buffer; 0: nothing new, or the stream has been closed. */
static size_t gather(struct stream *s)
{
	long n = visitor_gather(&s->v);

	if (n < 0)
		stream_close(s, n != -ENODATA ? "reset by the visitor" : s->v.kept ? "ended in its first message" : "said nothing", false);
	return n > 0 ? (size_t)n : 0;
}

static void on_hello(struct stream *s, const struct sni *sni, const void *bytes, size_t len)
{
	if (kept_set(&s->v.kept, bytes, len) < 0 || (sni->name_len && !(s->name = strdup(sni->name)))) {
		stream_close(s, "out of memory", true);
		return;
	}
	deadline_cancel(s->v.flow.worker->loop, &s->v.flow.deadline);
	route_it(s);
}

/* bytes are in w->in, or the rest of them behind a PROXY header. */
static void look_at_hello(struct stream *s, const char *bytes, size_t len)
{
	struct sni sni;

	switch (sni_parse(&sni, (const uint8_t *)bytes, len, (size_t)s->v.flow.worker->conf->hello_max)) {
	case PARSE_OK:
		on_hello(s, &sni, bytes, len);
		return;
	case PARSE_MORE:
		if (len && kept_set(&s->v.kept, bytes, len) < 0)
			stream_close(s, "out of memory", true);
		return;
	case PARSE_BAD:
		stream_close(s, sni.bad_reason, false);
		return;
	}
}

static void read_hello(struct stream *s)
{
	size_t n;

	/* Until nothing is left: with a FIN behind the bytes no further edge will come. */
	while (s->state == STREAM_HELLO && s->v.client.readable && (n = gather(s)))
		look_at_hello(s, s->v.flow.worker->in, n);
}

static void begin(struct stream *s, const char *bytes, size_t len)
{
	enter(s, STREAM_HELLO);
	if (s->v.listener->conf->protocol == PROTOCOL_TCP) {
		if (len && kept_set(&s->v.kept, bytes, len) < 0)
			stream_close(s, "out of memory", true);
		else
			route_it(s);
		return;
	}
	deadline_arm(s->v.flow.worker->loop, &s->v.flow.deadline, on_deadline, (uint64_t)s->v.flow.worker->conf->hello_timeout * 1000);
	if (len)
		look_at_hello(s, bytes, len);
}

static void read_proxy_header(struct stream *s)
{
	size_t n = gather(s), skip;
	const char *why;

	if (n == 0)
		return;
	switch (visitor_proxy_header(&s->v, n, &skip, &why)) {
	case PARSE_OK:
		begin(s, s->v.flow.worker->in + skip, n - skip);
		read_hello(s);
		return;
	case PARSE_MORE:
		return;
	case PARSE_BAD:
		stream_close(s, why, false);
		return;
	}
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	end_note(&s->v.client, what);
	switch ((enum stream_state)s->state) {
	case STREAM_PROXY:
		read_proxy_header(s);
		return;
	case STREAM_HELLO:
		read_hello(s);
		return;
	case STREAM_PARKED:
		/* With TLS a FIN before the handshake is leaving; with plain TCP it may be the end of a request. */
		if (visitor_left(&s->v, s->v.listener->conf->protocol == PROTOCOL_TLS))
			stream_close(s, "left while waiting", false);
		return;
	case STREAM_LEAVING:
		if (said_farewell(s))
			stream_close(s, "", false);
		return;
	case STREAM_RELAY:
		relay(s, what & (EV_READ | EV_CLOSED), (what & EV_WRITE) && (end_blocked(&s->v.client) || s->server.readable));
		return;
	case STREAM_CONNECT:
	case STREAM_CLOSED:
		return;
	}
}

static void on_shutdown(struct conn_link *link, bool now)
{
	struct stream *s = (struct stream *)link;

	if (now)
		stream_close(s, "shutdown", true);
	else if (s->state == STREAM_HELLO || s->state == STREAM_PROXY)
		deadline_arm(s->v.flow.worker->loop, &s->v.flow.deadline, on_deadline, FRESH_MS); /* its hello is on the way */
}

int stream_accept(struct worker *w, struct listener *l, int fd, const struct addr *peer)
{
	struct stream *s = slab_take(&w->streams, sizeof *s);

	if (!s) {
		close(fd);
		return -ENOMEM;
	}
	end_init(&s->server, -1, false);
	visitor_open(&s->v, w, l, fd, peer, on_client, s, on_shutdown);
	if (listener_trusts(l, peer))
		deadline_arm(w->loop, &s->v.flow.deadline, on_deadline, PP_TIMEOUT_MS);
	else
		begin(s, NULL, 0);
	if (s->state == STREAM_HELLO)
		read_hello(s);
	if (s->state != STREAM_CLOSED && end_watch(&s->v.client) < 0)
		stream_close(s, "out of memory", true);
	return 0;
}
