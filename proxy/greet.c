#include "proxy/greet.h"

#include "proxy/dial.h"
#include "proxy/listener.h"
#include "proxy/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
	struct greet *greet;
	char *said; /* into the result */
	bool header, connected;
	int fd; /* -1: over */
	struct event ev;
	struct probe_tls *tls;
};

struct greet {
	struct proxy *proxy;
	struct greet *next, **link;
	struct listener *listener; /* a reference */
	struct addr came_to;
	struct greet_result result;
	greet_done_fn *done;
	void *arg;
	struct deadline deadline;
	struct line lines[2];
};

static void hang_up(struct line *l)
{
	probe_tls_free(l->tls);
	l->tls = NULL;
	if (l->fd < 0)
		return;
	event_del(&l->ev);
	close(l->fd);
	l->fd = -1;
}

static void greet_free(struct greet *g)
{
	deadline_cancel(g->proxy->loop, &g->deadline);
	for (int i = 0; i < 2; i++)
		hang_up(&g->lines[i]);
	*g->link = g->next;
	if (g->next)
		g->next->link = g->link;
	listener_unref(g->listener);
	free(g);
}

static void tell(struct greet *g)
{
	g->done(g->arg, &g->result);
	greet_free(g);
}

static void on_late(struct deadline *d)
{
	tell((struct greet *)((char *)d - offsetof(struct greet, deadline)));
}

/* May free the greet. */
static void over(struct line *l)
{
	struct greet *g = l->greet;

	hang_up(l);
	if (g->lines[0].fd < 0 && g->lines[1].fd < 0)
		tell(g);
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static void want(struct line *l, short what)
{
	event_assign(&l->ev, loop_base(l->greet->proxy->loop), l->fd, what, on_event, l);
	if (event_add(&l->ev, NULL) < 0)
		over(l);
}

static bool begins_with_tls(uint16_t port)
{
	return port == 465 || port == 990 || port == 993 || port == 995;
}

static void shake(struct line *l)
{
	struct err err = {0};
	short wants;
	int rc = probe_tls_step(l->tls, &wants, &err);

	if (rc == -EAGAIN) {
		want(l, wants);
		return;
	}
	if (rc == 0)
		snprintf(l->said, GREET_MAX, "%s", probe_tls_version(l->tls));
	over(l);
}

static void connected(struct line *l)
{
	struct greet *g = l->greet;
	struct err err = {0};
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		snprintf(g->result.trouble, GREET_MAX, "%s", strerror(error ? error : errno));
		over(l);
		return;
	}
	l->connected = true;
	if (l->header && probe_announce(l->fd, g->listener, SIDE_TRANSIT, NULL, &g->came_to) < 0) {
		over(l);
		return;
	}
	if (!begins_with_tls(g->listener->conf->port)) {
		want(l, EV_READ);
	} else if (probe_tls_new(&l->tls, &g->proxy->probe_tls, l->fd, "mail.invalid", &err) < 0) {
		over(l);
	} else {
		shake(l);
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct line *l = arg;
	char bytes[GREET_MAX];
	ssize_t n;

	(void)what;
	if (!l->connected) {
		connected(l);
		return;
	}
	if (l->tls) {
		shake(l);
		return;
	}
	n = recv(fd, bytes, sizeof bytes, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		want(l, EV_READ);
		return;
	}
	if (n > 0) {
		char *end = memchr(bytes, '\n', (size_t)n);

		outline_text(l->said, GREET_MAX, bytes, end ? (size_t)(end - bytes) : (size_t)n);
	}
	over(l);
}

int greet_start(struct proxy *p, struct listener *l, const struct addr *came_to, greet_done_fn *done, void *arg)
{
	struct greet *g = calloc(1, sizeof *g);
	const char *why = "";
	struct addr to = {0};
	struct way way;

	if (!g)
		return -ENOMEM;
	*g = (struct greet){.proxy = p,
			    .next = p->greets,
			    .link = &p->greets,
			    .listener = listener_ref(l),
			    .came_to = *came_to,
			    .done = done,
			    .arg = arg};
	if (g->next)
		g->next->link = &g->next;
	p->greets = g;
	if (listener_way(&way, l, SIDE_TRANSIT, came_to, came_to, LISTENER_MAIN, &why))
		to = way_at(&way, 0);
	for (int i = 0; i < 2; i++) {
		int fd = addr_family(&to) == AF_UNSPEC ? -ENOENT : dial_as_us(p, l, SIDE_TRANSIT, &to);

		g->lines[i] = (struct line){
			.greet = g, .said = i == 0 ? g->result.with : g->result.without, .header = i == 0, .fd = fd < 0 ? -1 : fd};
		if (fd < 0)
			snprintf(g->result.trouble, GREET_MAX, "%s", *why ? why : strerror(-fd));
	}
	deadline_arm(p->loop, &g->deadline, on_late, g->lines[0].fd < 0 && g->lines[1].fd < 0 ? 0 : GREET_MS);
	for (int i = 0; i < 2; i++)
		if (g->lines[i].fd >= 0) {
			event_assign(&g->lines[i].ev, loop_base(p->loop), g->lines[i].fd, EV_WRITE, on_event, &g->lines[i]);
			event_add(&g->lines[i].ev, NULL); /* where it fails, the deadline tells */
		}
	return 0;
}

void greets_end(struct proxy *p)
{
	while (p->greets) {
		p->greets->done(p->greets->arg, NULL);
		greet_free(p->greets);
	}
}
