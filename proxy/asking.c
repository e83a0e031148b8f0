#include "proxy/asking.h"

#include "proxy/dial.h"
#include "proxy/probe.h"
#include "proxy/proxy.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void asking_hang_up(struct asking *a)
{
	probe_tls_free(a->tls);
	a->tls = NULL;
	if (a->fd >= 0) {
		event_del(&a->ev);
		close(a->fd);
	}
	a->fd = -1;
	a->state = ASKING_NOT;
}

void asking_end(struct asking *a)
{
	deadline_cancel(a->proxy->loop, &a->deadline);
	asking_hang_up(a);
}

const char *asking_late_text(const struct asking *a)
{
	return a->state == ASKING_CONNECTS ? "no connection" : a->state == ASKING_SHAKES ? "no TLS handshake" : "no answer";
}

/* ---- bytes ---- */

int asking_say(struct asking *a, const void *bytes, size_t len)
{
	ssize_t n;

	if (a->tls)
		return probe_tls_send(a->tls, bytes, len) ? 0 : -ECONNRESET;
	n = send(a->fd, bytes, len, MSG_NOSIGNAL);
	return n < 0 ? -errno : n < (ssize_t)len ? -ENOBUFS : 0;
}

ssize_t asking_hear(struct asking *a, void *out, size_t cap, short *wants)
{
	ssize_t n;

	*wants = EV_READ;
	if (a->tls)
		return probe_tls_recv(a->tls, out, cap, wants);
	while ((n = recv(a->fd, out, cap, 0)) < 0 && errno == EINTR)
		;
	return n < 0 ? -errno : n;
}

/* ---- the way there ---- */

static void is_open(struct asking *a)
{
	a->state = ASKING_OPEN;
	a->ops->open(a);
}

static void shake(struct asking *a)
{
	struct err err = {0};
	short wants;
	int rc = probe_tls_step(a->tls, &wants, &err);

	if (rc == -EAGAIN)
		asking_wait(a, wants);
	else if (rc < 0)
		a->ops->failed(a, err.text);
	else
		is_open(a);
}

static bool begin_tls(struct asking *a, struct err *err)
{
	return probe_tls_new(&a->tls, &a->proxy->probe_tls, a->fd, a->name, err) == 0 &&
	       (a->alpn == ALPN_NONE || probe_tls_offer(a->tls, a->alpn == ALPN_H2_TOO) == 0);
}

static void connected(struct asking *a)
{
	struct err err = {0};
	char text[PROBE_SAID_MAX];
	int error = 0, rc;
	socklen_t len = sizeof error;

	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		a->ops->failed(a, strerror(error ? error : errno));
	} else if ((rc = probe_announce(a->fd, a->listener, a->side, NULL, &a->came_to)) < 0) {
		snprintf(text, sizeof text, "the PROXY header could not be sent: %s", strerror(-rc));
		a->ops->failed(a, text);
	} else if (!a->name) {
		is_open(a);
	} else if (!begin_tls(a, &err)) {
		a->ops->failed(a, *err.text ? err.text : "out of memory");
	} else {
		a->state = ASKING_SHAKES;
		shake(a);
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct asking *a = arg;

	(void)fd;
	(void)what;
	switch (a->state) {
	case ASKING_CONNECTS:
		connected(a);
		return;
	case ASKING_SHAKES:
		shake(a);
		return;
	case ASKING_OPEN:
		a->ops->ready(a);
		return;
	case ASKING_NOT:
		return;
	}
}

void asking_wait(struct asking *a, short what)
{
	event_assign(&a->ev, loop_base(a->proxy->loop), a->fd, what, on_event, a);
	if (event_add(&a->ev, NULL) < 0)
		a->ops->failed(a, "out of memory");
}

static void on_late(struct deadline *d)
{
	struct asking *a = (struct asking *)(void *)((char *)d - offsetof(struct asking, deadline));

	a->ops->late(a);
}

void asking_limit(struct asking *a, uint64_t limit_ms)
{
	deadline_arm(a->proxy->loop, &a->deadline, on_late, limit_ms);
}

void asking_begin(struct asking *a, uint64_t limit_ms)
{
	int fd = dial_as_us(a->proxy, a->listener, a->side, &a->at);

	if (fd < 0) {
		a->ops->failed(a, strerror(-fd));
		return;
	}
	a->fd = fd;
	a->state = ASKING_CONNECTS;
	if (limit_ms)
		asking_limit(a, limit_ms);
	asking_wait(a, EV_WRITE);
}
