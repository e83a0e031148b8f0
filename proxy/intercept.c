#include "proxy/intercept.h"

#include "lib/log.h"
#include "proxy/listener.h"
#include "proxy/worker.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { V4, V6, FAMILIES };

struct intercept {
	unsigned n_workers;
	struct door {
		int fd[FAMILIES];
		struct event ev[FAMILIES];
	} doors[]; /* by worker */
};

/* Asked in advance: CAP_NET_RAW would do for the sockets, and the lack would show at the first sign of life. */
static bool may_administer(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &h, d) < 0 || (d[0].effective & (1u << CAP_NET_ADMIN)); /* where it cannot be asked, try */
}

static int open_door(int family, uint16_t port, struct err *err)
{
	struct addr at = {0};
	int fd;

	addr_parse(&at, family == V4 ? "0.0.0.0" : "::");
	addr_set_port(&at, port);
	fd = listener_socket(&at, true, err);
	return fd < 0 ? err_wrap(err, "intercept-port = %u", port) : fd;
}

int intercept_new(struct intercept **out, struct proxy *p, uint16_t port, struct err *err)
{
	struct intercept *in = calloc(1, sizeof *in + p->n_workers * sizeof *in->doors);

	if (!in)
		return err_set(err, -ENOMEM, "out of memory");
	if (!may_administer()) {
		free(in);
		return err_set(err, -EPERM,
			       "intercept = true needs the capability CAP_NET_ADMIN, which this process does not have; "
			       "shunt-proxy.service grants it (AmbientCapabilities, CapabilityBoundingSet)");
	}
	in->n_workers = p->n_workers;
	for (unsigned i = 0; i < in->n_workers; i++)
		in->doors[i].fd[V4] = in->doors[i].fd[V6] = -1;
	for (unsigned i = 0; i < in->n_workers; i++) {
		for (int family = V4; family < FAMILIES; family++) {
			int fd = open_door(family, port, err);

			if (fd == -EAFNOSUPPORT && family == V6)
				continue; /* a kernel without IPv6 has nothing to hand over */
			if (fd < 0) {
				intercept_free(in);
				return fd;
			}
			in->doors[i].fd[family] = fd;
		}
	}
	*out = in;
	return 0;
}

void intercept_free(struct intercept *in)
{
	if (!in)
		return;
	for (unsigned i = 0; i < in->n_workers; i++)
		for (int family = V4; family < FAMILIES; family++)
			if (in->doors[i].fd[family] >= 0)
				close(in->doors[i].fd[family]);
	free(in);
}

/* ---- in a worker ---- */

static struct listener *listener_of(const struct worker *w, uint16_t port)
{
	for (size_t i = 0; i < w->n_listening; i++)
		if (!w->listening[i]->conf->address && w->listening[i]->conf->port == port)
			return w->listening[i];
	return NULL;
}

static void take(struct worker *w, int fd, const struct addr *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct listener *l = NULL;
	struct addr dst;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && addr_from_sockaddr(&dst, (struct sockaddr *)&ss))
		l = listener_of(w, addr_port(&dst));
	if (l) {
		listener_take(l, w, fd, peer);
		return;
	}
	log_debug("worker=%u reason=\"a connection to a port of no intercepted listener\"", w->index);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	close(fd);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct addr peer;
	int c;

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH && (c = listener_accept(w, fd, &peer)) != -EAGAIN; i++)
		if (c >= 0)
			take(w, c, &peer);
}

int intercept_watch(struct intercept *in, struct worker *w)
{
	struct door *d = in ? &in->doors[w->index] : NULL;

	for (int family = V4; d && family < FAMILIES; family++) {
		if (d->fd[family] < 0)
			continue;
		if (!event_initialized(&d->ev[family]))
			event_assign(&d->ev[family], loop_base(w->loop), d->fd[family], EV_READ | EV_PERSIST, on_acceptable, w);
		if (event_add(&d->ev[family], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

void intercept_unwatch(struct intercept *in, struct worker *w)
{
	struct door *d = in ? &in->doors[w->index] : NULL;

	for (int family = V4; d && family < FAMILIES; family++)
		if (event_initialized(&d->ev[family]))
			event_del(&d->ev[family]);
}

bool intercept_watched(const struct intercept *in, const struct worker *w)
{
	const struct door *d = in ? &in->doors[w->index] : NULL;

	for (int family = V4; d && family < FAMILIES; family++)
		if (d->fd[family] >= 0 && !(event_initialized(&d->ev[family]) && event_pending(&d->ev[family], EV_READ, NULL)))
			return false;
	return d != NULL;
}
