#pragma once
/* listener - a port that visitors connect to: one socket per worker (SO_REUSEPORT), what is spoken on it, and where its traffic goes.
 * Without an address it is intercepted: then it has no sockets of its own (intercept.h).
 * Destinations: the local service of the client side, which for what is intercepted may be the very address that the visitor wanted; and
 * for the transit side the partner of the address that the visitor connected to. A reload makes new listeners; those with the same address
 * and port take over the sockets, so no connection is refused meanwhile. Ownership: the proxy holds a reference to each in force, every
 * connection one to its own. Threads: made in the main one; immutable after that, but for each worker's own event. */
#include "proxy/proxy.h"
#include "proxy/target.h"

struct sockets; /* the descriptors of one address and port, one per worker */

struct partner {
	struct target *client, *transit;
};

struct listener {
	atomic_uint refs;
	struct proxy *proxy;
	struct config *config; /* a reference: conf points into it */
	const struct conf_listener *conf;
	struct target *local;     /* NULL: where the visitor wanted to go */
	struct partner *partners; /* by pair */
	size_t n_partners;
	struct sockets *sockets; /* NULL: intercepted */
	struct event *events;    /* by worker */
	struct post last;        /* brings it home to be freed */
};

/* Binds (or takes over from `old`, n_old of them) and listens; err says who has the port. */
int listener_new(struct listener **out, struct proxy *p, struct config *config, const struct conf_listener *conf,
		 struct listener *const *old, size_t n_old, struct err *err);
struct listener *listener_ref(struct listener *l);
void listener_unref(struct listener *l);         /* any thread; the last reference is dropped in the main thread */
void listener_close_sockets(struct listener *l); /* when no worker listens any more */
bool listener_shares_sockets(const struct listener *l, struct listener *const *others, size_t n);

int listener_watch(struct listener *l, struct worker *w); /* in the worker: accept from now on */
void listener_unwatch(struct listener *l, struct worker *w);

/* Accepts one connection of a listening socket. -EAGAIN: no more for now, starved (and said) included; other -errno: not this one. */
int listener_accept(struct worker *w, int fd, struct addr *peer);
void listener_take(struct listener *l, struct worker *w, int fd, const struct addr *peer); /* takes fd: a visitor has come */
#define ACCEPT_BATCH 64                                                                    /* a turn */
/* A listening socket of ours. transparent: it also hears what was sent to other addresses and ports. err says who has the port. */
int listener_socket(const struct addr *at, bool transparent, struct err *err);

/* Where to: addresses to try one after the other. */
struct way {
	const struct target *target; /* NULL: self */
	const struct addr *addrs;    /* n of them, borrowed until the loop turns; NULL: self */
	struct addr self;
	size_t n;
	uint16_t port;
};
#define LISTENER_MAIN ((unsigned)-1) /* in place of a worker: asked by the main thread */
/* Where traffic of this side goes that was sent to dst; here: our own end of the visitor's connection, which is the same unless a PROXY
 * header said otherwise. False: nowhere, *why says so. */
bool listener_way(struct way *out, const struct listener *l, enum side side, const struct addr *dst, const struct addr *here,
		  unsigned worker, const char **why);
struct addr way_at(const struct way *way, size_t i); /* with the port */
/* Is it an address at which this host's own services listen, as far as the configuration tells: loopback, or a pair's client address? */
bool listener_is_here(const struct listener *l, const struct addr *a, unsigned worker);
bool listener_trusts(const struct listener *l, const struct addr *peer); /* a PROXY header is expected of it */
