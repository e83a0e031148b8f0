#include "proxy/end.h"

#include "lib/clock.h"
#include "proxy/pipes.h"
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void end_init(struct end *e, int fd, bool nagle)
{
	*e = (struct end){.fd = fd, .nagle = nagle};
}

void end_took(struct end *e)
{
	e->moved = true;
	if (!e->sent)
		return;
	e->sent->last_ms = (uint64_t)now_ms();
	if (!e->sent->first_ms)
		e->sent->first_ms = e->sent->last_ms;
}

void sent_add(struct sent *to, const struct sent *from)
{
	if (from->first_ms && (!to->first_ms || from->first_ms < to->first_ms))
		to->first_ms = from->first_ms;
	if (from->last_ms > to->last_ms)
		to->last_ms = from->last_ms;
}

void end_no_delay(struct end *e)
{
	if (e->nagle)
		setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	e->nagle = false;
}

/* What is sent while nothing is unacknowledged goes out at once in any case. */
static void count_send(struct end *e)
{
	if (e->sends == 2 || (e->sends && !e->heard))
		end_no_delay(e);
	e->sends++;
	e->heard = false;
}

void end_assign(struct end *e, struct event_base *base, bool connecting, event_callback_fn fn, void *arg)
{
	e->writable = !connecting;
	event_assign(&e->ev, base, e->fd, EV_READ | EV_CLOSED | (connecting ? EV_WRITE : 0) | EV_ET | EV_PERSIST, fn, arg);
}

int end_watch(struct end *e)
{
	return event_add(&e->ev, NULL) < 0 ? -ENOMEM : 0;
}

/* Watches for these events instead. It has been in the poll set before, so there is room; what is true already is told anew. */
static void watch_for(struct end *e, short what)
{
	struct event *ev = &e->ev;

	event_del(ev);
	event_assign(ev, event_get_base(ev), e->fd, what, event_get_callback(ev), event_get_callback_arg(ev));
	event_add(ev, NULL);
}

void end_await_writable(struct end *e)
{
	e->writable = false;
	if (!(event_get_events(&e->ev) & EV_WRITE))
		watch_for(e, event_get_events(&e->ev) | EV_WRITE);
}

void end_pause(struct end *e)
{
	if (!e->paused)
		watch_for(e, event_get_events(&e->ev) & ~EV_READ);
	e->paused = true;
}

void end_resume(struct end *e)
{
	if (!e->paused)
		return;
	e->paused = false;
	e->readable = true;
	watch_for(e, event_get_events(&e->ev) | EV_READ);
}

void end_note(struct end *e, short what)
{
	if (what & EV_READ)
		e->readable = true;
	if (what & EV_WRITE)
		e->writable = true;
	if (what & EV_CLOSED)
		e->rdhup = e->readable = true;
}

void end_close(struct end *e, struct worker *w, bool reset)
{
	if (e->fd < 0)
		return;
	if (reset)
		setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	close(e->fd); /* which takes it out of the poll set; libevent's own attempt then costs next to nothing, and copes */
	if (event_initialized(&e->ev))
		event_del(&e->ev);
	e->fd = -1;
	free(e->rest);
	e->rest = NULL;
	if (e->pipe)
		pipes_put(w->pipes, e->pipe);
	e->pipe = NULL;
}

void end_shut(struct end *e)
{
	if (!e->shut)
		shutdown(e->fd, SHUT_WR);
	e->shut = true;
}

int end_keep(struct end *e, const void *bytes, size_t len)
{
	size_t have = e->rest ? e->rest->len - e->rest->from : 0;
	struct rest *r = malloc(sizeof *r + have + len);

	if (!r)
		return -ENOMEM;
	r->from = 0;
	r->len = have + len;
	if (have)
		memcpy(r->bytes, e->rest->bytes + e->rest->from, have);
	if (len)
		memcpy(r->bytes + have, bytes, len);
	free(e->rest);
	e->rest = r;
	return 0;
}

static int keep_iov(struct end *e, struct iovec *iov, int n, size_t skip)
{
	size_t all = 0, at = 0;
	struct rest *r;

	for (int i = 0; i < n; i++)
		all += iov[i].iov_len;
	r = malloc(sizeof *r + all - skip);
	if (!r)
		return -ENOMEM;
	r->from = 0;
	r->len = all - skip;
	for (int i = 0; i < n; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		memcpy(r->bytes + at, (char *)iov[i].iov_base + cut, iov[i].iov_len - cut);
		at += iov[i].iov_len - cut;
		skip -= cut;
	}
	e->rest = r;
	return 0;
}

int end_send(struct end *e, struct iovec *iov, int n)
{
	size_t all = 0;
	ssize_t sent;

	for (int i = 0; i < n; i++)
		all += iov[i].iov_len;
	if (end_blocked(e)) {
		for (int i = 0; i < n; i++)
			if (end_keep(e, iov[i].iov_base, iov[i].iov_len) < 0)
				return -ENOMEM;
		return 0;
	}
	if (all == 0)
		return 0;
	if (e->nagle)
		count_send(e);
	if (n == 1)
		sent = send(e->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
	else
		sent = sendmsg(e->fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = (size_t)n}, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		sent = 0;
	}
	if (sent > 0)
		end_took(e);
	if ((size_t)sent == all)
		return 0;
	end_await_writable(e);
	return keep_iov(e, iov, n, (size_t)sent);
}

static int flush_pipe(struct end *e, struct worker *w)
{
	struct pipe *p = e->pipe;

	while (p->held) {
		ssize_t n = splice(p->rd, NULL, e->fd, NULL, p->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EAGAIN) {
			end_await_writable(e);
			return 0;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		p->held -= (unsigned)n;
		end_took(e);
	}
	pipes_put(w->pipes, p);
	e->pipe = NULL;
	return 0;
}

int end_flush(struct end *e, struct worker *w)
{
	if (e->pipe && e->writable) {
		int rc = flush_pipe(e, w);

		if (rc < 0)
			return rc;
	}
	while (e->rest && !e->pipe && e->writable) {
		struct rest *r = e->rest;
		ssize_t n;

		if (e->nagle)
			count_send(e);
		n = send(e->fd, r->bytes + r->from, r->len - r->from, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return -errno;
			end_await_writable(e);
			return 0;
		}
		r->from += (size_t)n;
		end_took(e);
		if (r->from == r->len) {
			e->rest = NULL;
			free(r);
		}
	}
	return 0;
}

bool end_look_again(struct end *e)
{
	char c;

	if (e->fd < 0 || e->eof || e->readable)
		return e->readable;
	e->readable = recv(e->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR);
	return e->readable;
}

static void set(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof value);
}

void end_keep_alive(struct end *e)
{
	if (e->fd < 0 || e->watched)
		return;
	e->watched = true;
	set(e->fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set(e->fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set(e->fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
	set(e->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

long end_recv(struct end *e, void *buf, size_t cap)
{
	ssize_t n = recv(e->fd, buf, cap, 0);

	if (n < 0) {
		if (errno == EINTR || errno == EAGAIN) {
			e->readable = false;
			return -EAGAIN;
		}
		return -errno;
	}
	e->moved = e->heard = true;
	if (n == 0) {
		e->eof = true;
		e->readable = false;
	} else if ((size_t)n < cap && !e->rdhup) {
		e->readable = false; /* short: drained. With a FIN behind it the next call must still fetch the 0 */
	}
	return n;
}
