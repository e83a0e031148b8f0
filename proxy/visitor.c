#include "proxy/visitor.h"

#include "lib/clock.h"
#include "proxy/listener.h"
#include "proxy/pp.h"
#include "proxy/seen.h"
#include "proxy/straggler.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int kept_set(struct kept **k, const void *bytes, size_t len)
{
	struct kept *new = NULL;

	if (len) {
		new = malloc(sizeof *new + len);
		if (!new)
			return -ENOMEM;
		new->len = len;
		memcpy(new->bytes, bytes, len);
	}
	free(*k);
	*k = new;
	return 0;
}

uint32_t visitor_now(const struct visitor *v)
{
	return (uint32_t)loop_now(v->flow.worker->loop);
}

uint64_t visitor_active(const struct visitor *v)
{
	uint64_t now = loop_now(v->flow.worker->loop);

	return now - ((uint32_t)now - v->active);
}

void visitor_open(struct visitor *v, struct worker *w, struct listener *l, int fd, const struct addr *peer, event_callback_fn on_client,
		  void *arg, void (*shutdown)(struct conn_link *, bool))
{
	end_init(&v->client, fd, false);
	end_assign(&v->client, loop_base(w->loop), false, on_client, arg);
	v->client.readable = true; /* perhaps */
	v->flow.worker = w;
	v->id = w->index + (uint64_t)w->proxy->n_workers * w->next_id++;
	v->listener = listener_ref(l);
	v->source = *peer;
	v->started = v->active = visitor_now(v);
	v->link.shutdown = shutdown;
	worker_add_conn(w, &v->link);
}

void visitor_close(struct visitor *v, bool reset, void (*free_fn)(struct later *))
{
	struct worker *w = v->flow.worker;

	worker_again_cancel(w, &v->again);
	end_close(&v->client, w, reset);
	flow_leave(&v->flow);
	deadline_cancel(w->loop, &v->flow.deadline);
	worker_remove_conn(w, &v->link);
	sources_leave(w->sources, &v->source);
	listener_unref(v->listener);
	free(v->kept);
	free(v->via);
	v->kept = NULL;
	v->via = NULL;
	v->later.fn = free_fn;
	loop_later(w->loop, &v->later);
}

const struct addr *visitor_peer(const struct visitor *v)
{
	return v->via ? &v->via->src : &v->source;
}

void visitor_here(const struct visitor *v, struct addr *out)
{
	const struct addr *bind = &v->listener->conf->bind;
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	if (addr_family(bind) != AF_UNSPEC && !addr_is_any(bind))
		*out = *bind;
	else if (getsockname(v->client.fd, (struct sockaddr *)&ss, &len) < 0 || !addr_from_sockaddr(out, (struct sockaddr *)&ss))
		*out = (struct addr){0};
}

void visitor_dst(const struct visitor *v, struct addr *out)
{
	if (v->via)
		*out = v->via->dst;
	else
		visitor_here(v, out);
}

static void count_straggler(struct visitor *v, const struct route *r, const char *name, size_t len, const struct addr *dst)
{
	struct worker *w = v->flow.worker;
	enum protocol protocol = v->listener->conf->protocol;
	enum straggler_kind kind = protocol == PROTOCOL_HTTP ? STRAGGLER_HTTP : STRAGGLER_TLS;
	char text[ADDR_TEXT_MAX];

	if (len == 0) {
		struct addr at = *dst;

		if (addr_port(&at) == 0)
			addr_set_port(&at, v->listener->conf->port);
		kind = protocol == PROTOCOL_TCP ? STRAGGLER_TCP : STRAGGLER_ADDRESS;
		name = addr_text_port(&at, text);
		len = strlen(text);
	}
	stragglers_count(w->stragglers, r->account, kind, name, len, r->matched, dst, loop_now(w->loop));
}

void visitor_count(struct visitor *v, const struct route *r, const char *name, size_t len, const struct addr *dst)
{
	const struct conf_listener *l = v->listener->conf;

	flow_count_request(&v->flow);
	if (r->account == v->flow.worker->nobody)
		return;
	seen_count(&v->flow.worker->proxy->seen_room, r->account, l->port, l->protocol, (uint64_t)now_ms());
	if ((enum side)v->flow.side == SIDE_TRANSIT)
		count_straggler(v, r, name, len, dst);
}

long visitor_gather(struct visitor *v)
{
	struct worker *w = v->flow.worker;
	size_t have = v->kept ? v->kept->len : 0;
	long n;

	if (!v->client.readable || have >= sizeof w->in)
		return 0;
	if (have)
		memcpy(w->in, v->kept->bytes, have);
	n = end_recv(&v->client, w->in + have, sizeof w->in - have);
	if (n == -EAGAIN)
		return 0;
	if (n == 0)
		return -ENODATA;
	return n < 0 ? n : (long)have + n;
}

enum parse visitor_proxy_header(struct visitor *v, size_t n, size_t *skip, const char **why)
{
	struct worker *w = v->flow.worker;
	struct pp pp;
	enum parse p = pp_parse(&pp, (const uint8_t *)w->in, n);

	*why = p == PARSE_BAD ? pp.bad_reason : "out of memory";
	if (p == PARSE_MORE)
		return kept_set(&v->kept, w->in, n) < 0 ? PARSE_BAD : PARSE_MORE;
	if (p == PARSE_BAD)
		return PARSE_BAD;
	*skip = pp.len;
	kept_set(&v->kept, NULL, 0);
	if (pp.local)
		return PARSE_OK;
	v->via = malloc(sizeof *v->via);
	if (!v->via)
		return PARSE_BAD;
	*v->via = (struct via){pp.src, pp.dst};
	return PARSE_OK;
}

bool visitor_left(const struct visitor *v, bool fin)
{
	char c;
	ssize_t n = recv(v->client.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno != EAGAIN && errno != EINTR;
	if (n > 0) { /* bytes that came before a reset hide it from recv(2) */
		int error = 0;
		socklen_t len = sizeof error;

		if (getsockopt(v->client.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error)
			return true;
	}
	return fin && (n == 0 || v->client.rdhup);
}

bool visitor_moved(struct visitor *v, struct end *other)
{
	if (!v->client.moved && !other->moved)
		return false;
	v->client.moved = other->moved = false;
	v->active = visitor_now(v);
	return true;
}

static uint32_t queued_at(const struct end *e)
{
	int n = 0;

	return e->fd >= 0 && ioctl(e->fd, SIOCOUTQ, &n) == 0 ? (uint32_t)n : 0;
}

bool visitor_still_taken(struct visitor *v, const struct end *other)
{
	uint32_t now = queued_at(&v->client) + queued_at(other);

	if (now == 0 || now == v->queued)
		return false;
	v->queued = now;
	v->active = visitor_now(v);
	return true;
}

bool visitor_look_again(struct visitor *v, struct end *other)
{
	bool client = end_look_again(&v->client), server = end_look_again(other);

	end_keep_alive(&v->client);
	end_keep_alive(other);
	return client || server;
}
