#include "netctl/echo.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTION_MS 4000
#define LAST_WORD     "shunt\n"

struct echo;

struct talk {
	struct echo *echo; /* NULL: free */
	int fd;
	struct addr peer;
	struct event ev;
	size_t len;
	char said[ECHO_SAID_MAX];
};

struct echo {
	struct echoes *all; /* NULL: free */
	int fd;
	struct event ev, end;
	struct talk talks[ECHO_CONNECTIONS];
};

struct echoes {
	struct loop *loop;
	struct echo echoes[ECHO_MAX];
};

static void talk_end(struct talk *t)
{
	event_del(&t->ev);
	close(t->fd);
	t->echo = NULL;
}

static void answer(struct talk *t)
{
	char line[2 * ECHO_SAID_MAX + ADDR_TEXT_MAX + 40], text[ADDR_TEXT_MAX];
	size_t n = (size_t)snprintf(line, sizeof line, "{\"peer\":\"%s\",\"said\":\"", addr_text(&t->peer, text));

	for (size_t i = 0; i < t->len; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%02x", (unsigned char)t->said[i]);
	n += (size_t)snprintf(line + n, sizeof line - n, "\"}\n");
	if (send(t->fd, line, n, MSG_NOSIGNAL) < 0) {
		/* it has gone, and asks for nothing any more */
	}
}

static bool is_over(const struct talk *t)
{
	size_t n = strlen(LAST_WORD);

	return t->len == sizeof t->said || (t->len >= n && memcmp(t->said + t->len - n, LAST_WORD, n) == 0);
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
	struct talk *t = arg;
	ssize_t n = what & EV_TIMEOUT ? 0 : recv(fd, t->said + t->len, sizeof t->said - t->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		talk_end(t);
		return;
	}
	t->len += (size_t)n;
	if (!is_over(t))
		return;
	answer(t);
	talk_end(t);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct echo *e = arg;
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct talk *t = NULL;

	(void)what;
	for (int i = 0; i < ECHO_CONNECTIONS && !t; i++)
		t = e->talks[i].echo ? NULL : &e->talks[i];
	if (c < 0) {
		/* out of descriptors or memory: it would be ready for ever; who asks is told that nobody came */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			event_del(&e->ev);
		return;
	}
	if (!t || !addr_from_sockaddr(&t->peer, (struct sockaddr *)&ss)) {
		close(c);
		return;
	}
	t->echo = e;
	t->fd = c;
	t->len = 0;
	event_assign(&t->ev, loop_base(e->all->loop), c, EV_READ | EV_PERSIST, on_said, t);
	if (event_add(&t->ev, &(struct timeval){.tv_sec = CONNECTION_MS / 1000}) < 0)
		talk_end(t);
}

static void echo_end(struct echo *e)
{
	for (int i = 0; i < ECHO_CONNECTIONS; i++)
		if (e->talks[i].echo)
			talk_end(&e->talks[i]);
	event_del(&e->ev);
	event_del(&e->end);
	close(e->fd);
	e->all = NULL;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	echo_end(arg);
}

static int listen_at(int fd, const struct addr *at, uint16_t *port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr a = *at;

	addr_set_port(&a, 0);
	if (bind(fd, &a.sa, addr_len(&a)) < 0 || listen(fd, ECHO_CONNECTIONS) < 0 || getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	addr_from_sockaddr(&a, (struct sockaddr *)&ss);
	*port = addr_port(&a);
	return 0;
}

struct echoes *echoes_new(struct loop *l)
{
	struct echoes *e = calloc(1, sizeof *e);

	if (e)
		e->loop = l;
	return e;
}

int echo_open(struct echoes *all, const struct addr *at, int seconds, uint16_t *port, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct echo *e = NULL;
	int rc;

	for (int i = 0; i < ECHO_MAX && !e; i++)
		e = all->echoes[i].all ? NULL : &all->echoes[i];
	if (!e)
		return err_set(err, -EBUSY, "%d echoes are open: one ends within %d s", ECHO_MAX, ECHO_SECONDS_MAX);
	e->fd = socket(addr_family(at), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (e->fd < 0)
		return err_errno(err, -errno, "cannot make a socket");
	rc = listen_at(e->fd, at, port);
	if (rc < 0) {
		close(e->fd);
		return err_errno(err, rc, "cannot listen at %s", addr_text(at, text));
	}
	e->all = all;
	event_assign(&e->ev, loop_base(all->loop), e->fd, EV_READ | EV_PERSIST, on_connection, e);
	event_assign(&e->end, loop_base(all->loop), -1, 0, on_end, e);
	if (event_add(&e->ev, NULL) < 0 || event_add(&e->end, &(struct timeval){.tv_sec = seconds}) < 0) {
		echo_end(e);
		return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

void echoes_free(struct echoes *all)
{
	for (int i = 0; all && i < ECHO_MAX; i++)
		if (all->echoes[i].all)
			echo_end(&all->echoes[i]);
	free(all);
}
