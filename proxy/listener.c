#include "proxy/listener.h"

#include "lib/log.h"
#include "proxy/portowner.h"
#include "proxy/stream.h"
#include "proxy/visit.h"
#include "proxy/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define BACKLOG         4096
#define USER_TIMEOUT_MS 120000u /* unacknowledged bytes: as long as this */

struct sockets {
	atomic_uint refs;
	struct addr bound;
	unsigned n;
	int fds[];
};

static void sockets_close(struct sockets *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->fds[i] >= 0)
			close(s->fds[i]);
		s->fds[i] = -1;
	}
}

static void sockets_unref(struct sockets *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	sockets_close(s);
	free(s);
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int set_transparent(int fd, int family)
{
	return family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) : set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

/* Accepted sockets inherit these, which saves a call each per connection. */
int listener_socket(const struct addr *at, bool transparent, struct err *err)
{
	char text[ADDR_TEXT_MAX], owner[128];
	int fd = socket(addr_family(at), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return err_errno(err, -errno, "cannot make a socket for %s", addr_text_port(at, text));
	if (addr_family(at) == AF_INET6)
		rc = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (rc == 0 && transparent)
		rc = set_transparent(fd, addr_family(at));
	if (rc == 0)
		rc = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0)
		rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0)
		rc = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (rc == 0)
		rc = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)USER_TIMEOUT_MS);
	if (rc == 0 && bind(fd, &at->sa, addr_len(at)) < 0)
		rc = -errno;
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	if (rc == -EADDRINUSE && portowner_describe(at, owner, sizeof owner) == 0)
		err_set(err, rc, "cannot listen on %s: %s has the port; stop it or give the listener another address or port",
			addr_text_port(at, text), owner);
	else if (rc == -EADDRNOTAVAIL)
		err_set(err, rc, "cannot listen on %s: this host does not have the address", addr_text_port(at, text));
	else if (rc == -EACCES)
		err_set(err, rc, "cannot listen on %s: ports below 1024 need CAP_NET_BIND_SERVICE (the service unit grants it)",
			addr_text_port(at, text));
	else
		err_errno(err, rc, "cannot listen on %s", addr_text_port(at, text));
	close(fd);
	return rc;
}

static struct sockets *sockets_open(const struct addr *at, unsigned n, int *rc, struct err *err)
{
	struct sockets *s = calloc(1, sizeof *s + n * sizeof *s->fds);

	if (!s) {
		*rc = err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->bound = *at;
	s->n = n;
	for (unsigned i = 0; i < n; i++)
		s->fds[i] = -1;
	for (unsigned i = 0; i < n; i++) {
		s->fds[i] = listener_socket(at, false, err);
		if (s->fds[i] < 0) {
			*rc = s->fds[i];
			sockets_unref(s);
			return NULL;
		}
	}
	return s;
}

/* An address without a partner has that of the first pair with one: any is better than the copy that was left. */
static const struct conf_host *transit_of(const struct conf *c, size_t i)
{
	size_t k = i;

	if (!c->pairs[k].transit.text)
		for (k = 0; !c->pairs[k].transit.text;) /* ends: one has (conf_check.c) */
			k++;
	return &c->pairs[k].transit;
}

static int make_targets(struct listener *l)
{
	const struct conf *c = l->config->conf;

	if (l->conf->local.text && !(l->local = target_new(l->proxy, &l->conf->local, AF_UNSPEC)))
		return -ENOMEM;
	l->partners = calloc(c->n_pairs ? c->n_pairs : 1, sizeof *l->partners);
	if (!l->partners)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_pairs; i++) {
		struct partner *pa = &l->partners[i];

		l->n_partners = i + 1;
		pa->client = target_new(l->proxy, &c->pairs[i].client, AF_UNSPEC);
		pa->transit = target_new(l->proxy, transit_of(c, i), AF_UNSPEC);
		if (!pa->client || !pa->transit)
			return -ENOMEM;
	}
	return 0;
}

static void free_listener(struct listener *l)
{
	for (size_t i = 0; i < l->n_partners; i++) {
		target_unref(l->partners[i].client);
		target_unref(l->partners[i].transit);
	}
	free(l->partners);
	target_unref(l->local);
	sockets_unref(l->sockets);
	config_unref(l->config);
	free(l->events);
	free(l);
}

int listener_new(struct listener **out, struct proxy *p, struct config *config, const struct conf_listener *conf,
		 struct listener *const *old, size_t n_old, struct err *err)
{
	struct listener *l = calloc(1, sizeof *l);
	int rc = -ENOMEM;

	if (!l)
		return err_set(err, rc, "out of memory");
	atomic_init(&l->refs, 1);
	l->proxy = p;
	l->config = config_ref(config);
	l->conf = conf;
	l->events = calloc(p->n_workers, sizeof *l->events);
	if (!l->events || make_targets(l) < 0) {
		rc = err_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	if (!conf->address) { /* intercept.c has the sockets of all such */
		*out = l;
		return 0;
	}
	for (size_t i = 0; i < n_old && !l->sockets; i++) {
		if (old[i]->sockets && addr_same(&old[i]->sockets->bound, &conf->bind)) {
			l->sockets = old[i]->sockets;
			atomic_fetch_add(&l->sockets->refs, 1);
		}
	}
	if (!l->sockets && !(l->sockets = sockets_open(&conf->bind, p->n_workers, &rc, err))) {
		err_wrap(err, "%s:%d: listener \"%s\"", config->conf->file, conf->line, conf->name);
		goto fail;
	}
	*out = l;
	return 0;
fail:
	free_listener(l);
	return rc;
}

struct listener *listener_ref(struct listener *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

static void free_in_main(struct post *post)
{
	free_listener((struct listener *)((char *)post - offsetof(struct listener, last)));
}

void listener_unref(struct listener *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	l->last.fn = free_in_main; /* its targets are the main thread's */
	loop_post(l->proxy->loop, &l->last);
}

void listener_close_sockets(struct listener *l)
{
	if (l->sockets)
		sockets_close(l->sockets);
}

bool listener_shares_sockets(const struct listener *l, struct listener *const *others, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (others[i] != l && l->sockets && others[i]->sockets == l->sockets)
			return true;
	return false;
}

/* ---- in a worker ---- */

void listener_take(struct listener *l, struct worker *w, int fd, const struct addr *peer)
{
	enum source_verdict v = sources_enter(w->sources, peer, loop_now(w->loop));
	int rc;

	if (v != SOURCE_OK) {
		char text[ADDR_TEXT_MAX];

		w->refused_sources++;
		log_debug("listener=%s peer=%s reason=\"%s\"", l->conf->name, addr_text(peer, text), source_verdict_name(v));
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
		close(fd);
		return;
	}
	if (l->conf->protocol == PROTOCOL_HTTP)
		rc = visit_accept(w, l, fd, peer);
	else
		rc = stream_accept(w, l, fd, peer);
	if (rc < 0) {
		sources_leave(w->sources, peer);
		worker_starved(w, "memory");
	}
}

int listener_accept(struct worker *w, int fd, struct addr *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int c;

	if (w->starved)
		return -EAGAIN;
	c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c >= 0) {
		addr_from_sockaddr(peer, (struct sockaddr *)&ss);
		return c;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		worker_starved(w, errno == EMFILE || errno == ENFILE ? "descriptors" : "memory");
		return -EAGAIN;
	}
	return -errno; /* but for EAGAIN these concern that one connection: ECONNABORTED, EPROTO, EPERM by a firewall, ... */
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct worker *w = worker_current();
	struct addr peer;
	int c;

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH && (c = listener_accept(w, fd, &peer)) != -EAGAIN; i++)
		if (c >= 0)
			listener_take(l, w, c, &peer);
}

int listener_watch(struct listener *l, struct worker *w)
{
	struct event *ev = &l->events[w->index];

	if (!l->sockets)
		return 0;
	event_assign(ev, loop_base(w->loop), l->sockets->fds[w->index], EV_READ | EV_PERSIST, on_acceptable, l);
	if (w->starved)
		return 0; /* worker.c adds it when accepting goes on */
	return event_add(ev, NULL) < 0 ? -ENOMEM : 0;
}

void listener_unwatch(struct listener *l, struct worker *w)
{
	struct event *ev = &l->events[w->index];

	if (event_initialized(ev))
		event_del(ev);
}

static bool has(const struct target_addrs *a, const struct addr *ip)
{
	for (size_t i = 0; a && i < a->n; i++)
		if (addr_same_ip(&a->addrs[i], ip))
			return true;
	return false;
}

static const struct target_addrs *known(const struct target *t, unsigned worker)
{
	return worker == LISTENER_MAIN ? target_known(t) : target_addrs(t, worker);
}

/* The partner of dst; NULL: none, or not to be told. */
static const struct target *partner_of(const struct listener *l, const struct addr *dst, unsigned worker)
{
	const struct target *only = NULL;
	size_t n_family = 0;

	for (size_t i = 0; i < l->n_partners; i++) {
		const struct target_addrs *a = known(l->partners[i].client, worker);

		if (has(a, dst))
			return l->partners[i].transit;
		if (a && addr_family(&a->addrs[0]) == addr_family(dst)) {
			only = l->partners[i].transit;
			n_family++;
		}
	}
	/* A listener on an address that no pair names (loopback, behind a NAT) is unambiguous with one pair alone. */
	if (n_family == 1)
		return only;
	return l->n_partners == 1 ? l->partners[0].transit : NULL;
}

bool listener_way(struct way *out, const struct listener *l, enum side side, const struct addr *dst, const struct addr *here,
		  unsigned worker, const char **why)
{
	const struct target_addrs *a;

	*out = (struct way){.port = l->conf->transit_port};
	if (side == SIDE_CLIENT && !l->local) {
		out->self = *here;
		out->n = addr_family(here) != AF_UNSPEC;
		out->port = l->conf->port;
		*why = "nobody knows where the visitor wanted to go";
		return out->n;
	}
	if (side == SIDE_CLIENT)
		out->port = l->conf->local.port;
	out->target = side == SIDE_CLIENT ? l->local : partner_of(l, dst, worker);
	a = out->target ? known(out->target, worker) : NULL;
	*why = out->target ? "its name has no address" : "no pair for this address";
	out->addrs = a ? a->addrs : NULL;
	out->n = a ? a->n : 0;
	return out->n;
}

struct addr way_at(const struct way *way, size_t i)
{
	struct addr to = way->addrs ? way->addrs[i] : way->self;

	addr_set_port(&to, way->port);
	return to;
}

bool listener_is_here(const struct listener *l, const struct addr *a, unsigned worker)
{
	for (size_t i = 0; i < l->n_partners; i++)
		if (has(known(l->partners[i].client, worker), a))
			return true;
	return addr_is_loopback(a);
}

bool listener_trusts(const struct listener *l, const struct addr *peer)
{
	for (size_t i = 0; i < l->conf->n_proxy_from; i++)
		if (addr_net_has(&l->conf->proxy_from[i], peer))
			return true;
	return false;
}
