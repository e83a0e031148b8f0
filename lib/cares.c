/* c-ares has no loop of its own: it tells us which sockets to watch (on_sock_state) and until when it wants to be called again
 * (ares_timeout), which may change with every question and every answer. */
#include "lib/cares.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdlib.h>

struct sock { /* one of c-ares' sockets */
	struct sock *next;
	struct cares *c;
	struct event ev;
};

struct cares {
	struct event_base *base;
	ares_channel channel;
	struct sock *socks;
	struct event timer;
};

void cares_kick(struct cares *c)
{
	struct timeval tv, *next = ares_timeout(c->channel, NULL, &tv);
	if (next)
		event_add(&c->timer, next);
	else
		event_del(&c->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct cares *c = arg;
	(void)fd, (void)what;
	ares_process_fd(c->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	cares_kick(c);
}

static void on_sock(evutil_socket_t fd, short what, void *arg)
{
	struct cares *c = ((struct sock *)arg)->c; /* the struct sock may be gone after the next line */
	ares_process_fd(c->channel, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	cares_kick(c);
}

static void sock_free(struct sock **link)
{
	struct sock *s = *link;
	*link = s->next;
	event_del(&s->ev);
	free(s);
}

/* Where memory is out the question runs into its time limit. */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct cares *c = arg;
	struct sock **link = &c->socks, *s;
	while (*link && event_get_fd(&(*link)->ev) != fd)
		link = &(*link)->next;
	if (*link)
		sock_free(link);
	if (!readable && !writable)
		return;
	s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->c = c;
	event_assign(&s->ev, c->base, fd, (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0)), on_sock, s);
	event_add(&s->ev, NULL);
	s->next = c->socks;
	c->socks = s;
}

static int channel_init(struct cares *c, const struct cares_opts *o)
{
	struct ares_options opt = {
		.flags = o->flags,
		.timeout = (int)o->timeout_ms,
		.tries = (int)o->tries,
		.lookups = (char *)(uintptr_t)o->lookups, /* copied */
		.ednspsz = (int)o->ednspsz,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = c,
	};
	int mask = ARES_OPT_SOCK_STATE_CB | (o->flags ? ARES_OPT_FLAGS : 0) | (o->timeout_ms ? ARES_OPT_TIMEOUTMS : 0) |
		   (o->tries ? ARES_OPT_TRIES : 0) | (o->lookups ? ARES_OPT_LOOKUPS : 0) | (o->ednspsz ? ARES_OPT_EDNSPSZ : 0);
#ifdef ARES_OPT_UDP_MAX_QUERIES
	opt.udp_max_queries = (int)o->udp_max_queries;
	mask |= o->udp_max_queries ? ARES_OPT_UDP_MAX_QUERIES : 0;
#endif
#ifdef ARES_OPT_QUERY_CACHE /* of later versions, which use it by default */
	opt.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	return ares_init_options(&c->channel, &opt, mask);
}

static int failed(struct err *err, int status, const char *what)
{
	return err_set(err, status == ARES_ENOMEM ? -ENOMEM : -EINVAL, "%s: %s", what, ares_strerror(status));
}

int cares_open(struct cares **out, struct event_base *base, const struct cares_opts *opts, struct err *err)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL), rc;
	struct cares *c;
	*out = NULL;
	if (status != ARES_SUCCESS)
		return failed(err, status, "cannot start c-ares");
	c = calloc(1, sizeof *c);
	if (!c) {
		ares_library_cleanup();
		return err_set(err, -ENOMEM, "out of memory");
	}
	c->base = base;
	evtimer_assign(&c->timer, base, on_timer, c);
	status = channel_init(c, opts);
	if (status != ARES_SUCCESS) {
		c->channel = NULL;
		rc = failed(err, status, "cannot make a channel of c-ares");
		cares_close(c);
		return rc;
	}
	status = opts->servers ? ares_set_servers_ports_csv(c->channel, opts->servers) : ARES_SUCCESS;
	if (status != ARES_SUCCESS) {
		rc = failed(err, status, opts->servers);
		cares_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void cares_close(struct cares *c)
{
	if (!c)
		return;
	if (c->channel)
		ares_destroy(c->channel); /* says of each socket that it is gone */
	while (c->socks)
		sock_free(&c->socks);
	event_del(&c->timer);
	ares_library_cleanup();
	free(c);
}

ares_channel cares_channel(struct cares *c)
{
	return c->channel;
}
