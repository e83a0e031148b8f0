#pragma once
/* listener - a port that visitors connect to: one socket per worker (SO_REUSEPORT), what is spoken on it, and where its traffic goes.
 * Destinations: the local service of the client side, and for the transit side the partner of the address that the visitor connected to.
 * A reload makes new listeners; those with the same address and port take over the sockets, so no connection is refused meanwhile.
 * Ownership: the proxy holds a reference to each in force, every connection one to its own. Threads: made in the main one; immutable after
 * that, but for each worker's own event. */
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
	struct target *local;
	struct partner *partners; /* by pair */
	size_t n_partners;
	struct sockets *sockets;
	struct event *events; /* by worker */
	struct post last;     /* brings it home to be freed */
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

/* Where traffic of this side goes that was sent to dst. NULL: nowhere, *why says so. *port: to connect to. */
const struct target *listener_target(const struct listener *l, enum side side, const struct addr *dst, uint16_t *port, unsigned worker,
				     const char **why);
bool listener_trusts(const struct listener *l, const struct addr *peer); /* a PROXY header is expected of it */
