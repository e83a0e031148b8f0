/* A request is in exactly one list: waiting (in line), on a link (assigned, sent or about to be), or over (its end is to be told).
 * Ends are told one by one from an event of their own: done() may cancel, ask or free as it likes. */
#include "dnsupdate/tcp.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CONNECT_MS  4000
#define ANSWER_MS   10000 /* and more, where the caller says so */
#define TRANSFER_MS 60000
#define IDLE_MS     3000 /* PowerDNS closes after 5 s, Knot after 10, BIND after 30 */

TAILQ_HEAD(requests, tcp_request);
struct tcp_request {
	TAILQ_ENTRY(tcp_request) next;
	struct requests *in;
	struct tcp *t;
	struct link *link; /* set while on one */
	const struct tcp_ops *ops;
	void *arg;
	struct event *deadline; /* of the answer; a transfer's of the next message */
	struct event *total;    /* a transfer's */
	size_t received;
	enum tcp_kind kind;
	int patience_ms;
	uint16_t id;
	bool sent, again;
	enum tcp_end end;
	struct err err;
};

struct link {
	LIST_ENTRY(link) next;
	struct tcp *t;
	struct bufferevent *bev;
	struct event *timer; /* to connect; then, while nothing is asked, how long it is kept */
	struct requests requests;
	size_t n;
	bool connected, transfer;
	bool stale; /* it left a request unanswered, or is being closed: no new ones */
};

struct tcp {
	struct event_base *base;
	struct addr server;
	LIST_HEAD(links, link) links;
	struct requests line, transfers_line, over;
	struct event *tell;
	struct event *start; /* looks at the lines once the current callback is through */
	size_t transfers;
	uint64_t strays;
};

static void arm(struct event *e, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(e, &tv);
}

static void move(struct tcp_request *r, struct requests *to)
{
	if (r->in)
		TAILQ_REMOVE(r->in, r, next);
	if (r->link)
		r->link->n--;
	r->link = NULL;
	r->in = to;
	if (to)
		TAILQ_INSERT_TAIL(to, r, next);
}

static void request_free(struct tcp_request *r)
{
	move(r, NULL);
	if (r->deadline)
		event_free(r->deadline);
	if (r->total)
		event_free(r->total);
	free(r);
}

/* ---- ends ---- */

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct tcp *t = arg;
	struct tcp_request *r = TAILQ_FIRST(&t->over);
	const struct tcp_ops *ops;
	enum tcp_end end;
	struct err err;
	void *who;

	(void)fd;
	(void)what;
	if (!r)
		return;
	ops = r->ops;
	who = r->arg;
	end = r->end;
	err = r->err;
	request_free(r);
	if (!TAILQ_EMPTY(&t->over))
		event_active(t->tell, 0, 0);
	ops->done(who, end, &err); /* the last: t may be gone after it */
}

static void link_idle(struct link *l);
static void link_free(struct link *l);

static void finish(struct tcp_request *r, enum tcp_end end, const struct err *err)
{
	struct tcp *t = r->t;
	struct link *l = r->link;

	event_del(r->deadline);
	if (r->total)
		event_del(r->total);
	r->end = end;
	if (err)
		r->err = *err;
	move(r, &t->over);
	event_active(t->tell, 0, 0);
	event_active(t->start, 0, 0);
	if (l && l->n == 0)
		link_idle(l);
}

/* ---- links ---- */

static void link_free(struct link *l)
{
	LIST_REMOVE(l, next);
	if (l->transfer)
		l->t->transfers--;
	if (l->bev)
		bufferevent_free(l->bev);
	if (l->timer)
		event_free(l->timer);
	free(l);
}

/* Nothing is asked on it any more. Freed by its timer, for this may be one of its own callbacks. */
static void link_idle(struct link *l)
{
	if (l->transfer)
		l->stale = true;
	arm(l->timer, l->stale ? 0 : IDLE_MS);
}

static void fail_all(struct requests *list, enum tcp_end end, const struct err *err)
{
	struct tcp_request *r;

	while ((r = TAILQ_FIRST(list)))
		finish(r, end, err);
}

/* The connection is gone. What was sent may be sent once more only where that is harmless. */
static void link_lost(struct link *l, const struct err *err)
{
	struct tcp *t = l->t;
	bool connected = l->connected, transfer = l->transfer;
	struct tcp_request *r;

	l->stale = true;
	while ((r = TAILQ_FIRST(&l->requests))) {
		if (connected && r->kind == TCP_AGAIN && !r->again) {
			event_del(r->deadline);
			r->again = true;
			r->sent = false;
			move(r, &t->line);
		} else {
			finish(r, r->sent ? TCP_NO_ANSWER : TCP_NOT_SENT, err);
		}
	}
	if (!connected) /* nor would those who wait be heard */
		fail_all(transfer ? &t->transfers_line : &t->line, TCP_NOT_SENT, err);
	event_active(t->start, 0, 0);
	link_free(l);
}

static int new_id(const struct link *l, uint16_t *id)
{
	for (int tries = 0; tries < 1000; tries++) {
		const struct tcp_request *r;

		*id = message_random_id();
		TAILQ_FOREACH(r, &l->requests, next)
		if (r->sent && r->id == *id)
			break;
		if (!r)
			return 0;
	}
	return -EBUSY;
}

static void send_request(struct tcp_request *r)
{
	struct link *l = r->link;
	struct message m = {0};
	struct err err = {0};
	uint8_t size[2];
	int rc = new_id(l, &r->id);

	if (rc == 0)
		rc = r->ops->build(r->arg, r->id, &m, &err);
	if (rc == 0) {
		size[0] = (uint8_t)(m.len >> 8);
		size[1] = (uint8_t)m.len;
		r->sent = true;
		if (bufferevent_write(l->bev, size, 2) < 0 || bufferevent_write(l->bev, m.bytes, m.len) < 0) {
			l->stale = true; /* half of it may be on its way: nothing may follow */
			rc = err_set(&err, -ENOMEM, "out of memory");
		}
	}
	message_done(&m);
	if (rc < 0) {
		finish(r, r->sent ? TCP_NO_ANSWER : TCP_NOT_SENT, &err);
		return;
	}
	arm(r->deadline, r->patience_ms);
	if (r->total && r->received == 0)
		arm(r->total, TRANSFER_MS);
}

static struct tcp_request *by_id(struct link *l, uint16_t id)
{
	struct tcp_request *r;

	TAILQ_FOREACH(r, &l->requests, next)
	if (r->sent && r->id == id)
		return r;
	return NULL;
}

static void on_message(struct link *l, const uint8_t *bytes, size_t len)
{
	struct tcp_request *r = by_id(l, (uint16_t)(bytes[0] << 8 | bytes[1]));
	struct err err;

	if (!r) {
		l->t->strays++;
		return;
	}
	r->received += len;
	switch (r->ops->answer(r->arg, bytes, len)) {
	case TCP_ENOUGH:
		finish(r, TCP_OK, NULL);
		return;
	case TCP_MORE:
		if (r->received <= TCP_TRANSFER_MAX) {
			arm(r->deadline, r->patience_ms);
			return;
		}
		err_set(&err, -EMSGSIZE, "found more than %u MiB, expected the end of the zone before", TCP_TRANSFER_MAX >> 20);
		finish(r, TCP_NO_ANSWER, &err);
		return;
	case TCP_IGNORE:
		return;
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct link *l = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	uint8_t size[2];
	struct err err;

	while (evbuffer_copyout(in, size, 2) == 2) {
		size_t len = (size_t)(size[0] << 8 | size[1]);
		uint8_t *all;

		if (len < 12) {
			err_set(&err, -EBADMSG, "found a message of %zu bytes, expected a DNS message, which has at least 12", len);
			link_lost(l, &err);
			return;
		}
		if (evbuffer_get_length(in) < 2 + len)
			return;
		all = evbuffer_pullup(in, (ev_ssize_t)(2 + len));
		if (!all) {
			err_set(&err, -ENOMEM, "out of memory");
			link_lost(l, &err);
			return;
		}
		on_message(l, all + 2, len);
		evbuffer_drain(in, 2 + len);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct link *l = arg;
	struct tcp_request *r, *later;
	struct err err;
	int yes = 1;

	if (what & BEV_EVENT_CONNECTED) {
		setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		l->connected = true;
		event_del(l->timer);
		if (l->n == 0)
			link_idle(l);
		for (r = TAILQ_FIRST(&l->requests); r; r = later) {
			later = TAILQ_NEXT(r, next);
			send_request(r);
		}
		return;
	}
	if (what & BEV_EVENT_EOF)
		err_set(&err, -ECONNRESET, "the server closed the connection");
	else
		err_errno(&err, -EVUTIL_SOCKET_ERROR(), l->connected ? "the connection broke" : "no connection");
	link_lost(l, &err);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	struct err err;

	(void)fd;
	(void)what;
	if (!l->connected) {
		err_set(&err, -ETIMEDOUT, "no connection within %d s", CONNECT_MS / 1000);
		link_lost(l, &err);
	} else if (l->n == 0) {
		event_active(l->t->start, 0, 0);
		link_free(l);
	}
}

/* Whether the server has closed it, or sent what nobody asked for. */
static bool is_closed(const struct link *l)
{
	char byte;
	ssize_t n = recv(bufferevent_getfd(l->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static struct link *link_new(struct tcp *t, bool transfer)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->t = t;
	l->transfer = transfer;
	t->transfers += transfer;
	TAILQ_INIT(&l->requests);
	LIST_INSERT_HEAD(&t->links, l, next);
	l->timer = evtimer_new(t->base, on_timer, l);
	l->bev = bufferevent_socket_new(t->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!l->timer || !l->bev) {
		link_free(l);
		return NULL;
	}
	bufferevent_setcb(l->bev, on_read, NULL, on_event, l);
	bufferevent_enable(l->bev, EV_READ | EV_WRITE);
	arm(l->timer, CONNECT_MS);
	return l;
}

/* ---- lines ---- */

static void put_on(struct tcp_request *r, struct link *l)
{
	move(r, &l->requests);
	r->link = l;
	l->n++;
	if (l->connected) {
		event_del(l->timer);
		send_request(r);
	}
}

static struct link *kept_link(struct tcp *t)
{
	for (struct link *l = LIST_FIRST(&t->links), *later; l; l = later) {
		later = LIST_NEXT(l, next);
		if (l->transfer || l->stale)
			continue;
		if (!l->connected || l->n > 0 || !is_closed(l))
			return l;
		link_free(l);
	}
	return NULL;
}

/* r starts on a fresh link. */
static bool connect_for(struct tcp *t, struct tcp_request *r)
{
	struct link *l = link_new(t, r->kind == TCP_TRANSFER);
	struct err err;

	if (!l) {
		err_set(&err, -ENOMEM, "out of memory");
		finish(r, TCP_NOT_SENT, &err);
		return false;
	}
	put_on(r, l);
	if (bufferevent_socket_connect(l->bev, &t->server.sa, (int)addr_len(&t->server)) < 0) {
		err_errno(&err, -EVUTIL_SOCKET_ERROR(), "no connection");
		link_lost(l, &err);
		return false;
	}
	return true;
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
	struct tcp *t = arg;
	struct tcp_request *r;

	(void)fd;
	(void)what;
	while ((r = TAILQ_FIRST(&t->transfers_line)) && t->transfers < TCP_TRANSFERS_MAX)
		if (!connect_for(t, r))
			break;
	while ((r = TAILQ_FIRST(&t->line))) {
		struct link *l = kept_link(t);

		if (!l && !connect_for(t, r))
			break;
		if (l && l->n >= TCP_FLIGHT_MAX)
			break;
		if (l)
			put_on(r, l);
	}
}

/* ---- requests ---- */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_request *r = arg;
	struct err err;

	(void)fd;
	(void)what;
	if (r->link && !r->received)
		r->link->stale = true; /* the next ones try another connection */
	if (r->received)
		err_set(&err, -ETIMEDOUT, "no further answer within %d s", r->patience_ms / 1000);
	else
		err_set(&err, -ETIMEDOUT, "no answer within %d s", r->patience_ms / 1000);
	finish(r, TCP_NO_ANSWER, &err);
}

static void on_total(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_request *r = arg;
	struct err err;

	(void)fd;
	(void)what;
	err_set(&err, -ETIMEDOUT, "no end of the transfer within %d s, after %zu bytes", TRANSFER_MS / 1000, r->received);
	finish(r, TCP_NO_ANSWER, &err);
}

struct tcp_request *tcp_ask(struct tcp *t, enum tcp_kind kind, int more_ms, const struct tcp_ops *ops, void *arg)
{
	struct tcp_request *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	*r = (struct tcp_request){.t = t, .kind = kind, .patience_ms = ANSWER_MS + more_ms, .ops = ops, .arg = arg};
	r->deadline = evtimer_new(t->base, on_deadline, r);
	r->total = kind == TCP_TRANSFER ? evtimer_new(t->base, on_total, r) : NULL;
	if (!r->deadline || (kind == TCP_TRANSFER && !r->total)) {
		request_free(r);
		return NULL;
	}
	move(r, kind == TCP_TRANSFER ? &t->transfers_line : &t->line);
	event_active(t->start, 0, 0);
	return r;
}

void tcp_cancel(struct tcp_request *r)
{
	struct link *l = r ? r->link : NULL;

	if (!r)
		return;
	event_active(r->t->start, 0, 0);
	request_free(r);
	if (l && l->n == 0 && l->connected)
		link_idle(l);
}

void tcp_hurry(struct tcp_request *r, int ms)
{
	struct timeval left, now;

	gettimeofday(&now, NULL);
	if (evtimer_pending(r->deadline, &left)) {
		evutil_timersub(&left, &now, &left);
		if (left.tv_sec * 1000 + left.tv_usec / 1000 < ms)
			return;
	}
	arm(r->deadline, ms);
}

uint64_t tcp_strays(const struct tcp *t)
{
	return t->strays;
}

/* ---- life ---- */

int tcp_new(struct tcp **out, struct event_base *base, const struct addr *server)
{
	struct tcp *t = calloc(1, sizeof *t);

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->base = base;
	t->server = *server;
	LIST_INIT(&t->links);
	TAILQ_INIT(&t->line);
	TAILQ_INIT(&t->transfers_line);
	TAILQ_INIT(&t->over);
	t->tell = event_new(base, -1, 0, on_tell, t);
	t->start = event_new(base, -1, 0, on_start, t);
	if (!t->tell || !t->start) {
		tcp_free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static void drop_all(struct requests *list)
{
	struct tcp_request *r;

	while ((r = TAILQ_FIRST(list)))
		request_free(r);
}

void tcp_free(struct tcp *t)
{
	struct link *l;

	if (!t)
		return;
	while ((l = LIST_FIRST(&t->links))) {
		drop_all(&l->requests);
		link_free(l);
	}
	drop_all(&t->line);
	drop_all(&t->transfers_line);
	drop_all(&t->over);
	if (t->tell)
		event_free(t->tell);
	if (t->start)
		event_free(t->start);
	free(t);
}
