#pragma once
/* asking - one connection of ours to a back end, as a visitor's would be made: the PROXY header that the side expects, a TLS handshake with
 * a server name where it is wanted, and a time within which all of it has to be over. What is said on it, and what an answer means, its
 * owner knows (probe.h, fetch.h).
 * Ownership: embedded in its owner, which may be freed by any of its callbacks; asking_end() gives up what it has. The listener and the
 * name are borrowed until then. Threads: the main one. Units: ms. */
#include "lib/acctdef.h"
#include "lib/loop.h"
#include "proxy/probe_tls.h"

#include <event2/event_struct.h>

struct asking;
struct listener;
struct proxy;

struct asking_ops {
	void (*open)(struct asking *a);                    /* the way to the service is open: behind TLS, where that is wanted */
	void (*ready)(struct asking *a);                   /* as asking_wait() wanted */
	void (*failed)(struct asking *a, const char *why); /* before it was open, or there is no memory */
	void (*late)(struct asking *a);
};

enum asking_alpn { ALPN_NONE, ALPN_HTTP1, ALPN_H2_TOO };

struct asking {
	/* by its owner, before asking_begin() */
	struct proxy *proxy;
	struct listener *listener;
	enum side side;
	struct addr came_to, at; /* where a visitor would have come to, and where that leads */
	const char *name;        /* of TLS; "": none. NULL: no TLS */
	enum asking_alpn alpn;
	const struct asking_ops *ops;
	/* its own */
	enum asking_state { ASKING_NOT, ASKING_CONNECTS, ASKING_SHAKES, ASKING_OPEN } state;
	int fd;
	struct event ev;
	struct deadline deadline;
	struct probe_tls *tls; /* while it has one */
};

/* What begins is told by ops, maybe before it returns. limit_ms 0: the time goes on that began before. */
void asking_begin(struct asking *a, uint64_t limit_ms);
void asking_limit(struct asking *a, uint64_t limit_ms);          /* from now on */
void asking_wait(struct asking *a, short what);                  /* EV_READ or EV_WRITE: ops->ready(), once */
int asking_say(struct asking *a, const void *bytes, size_t len); /* few enough for a new socket; 0 or -errno */
/* Bytes, 0 at the end, -EAGAIN (asking_wait(a, *wants)), -errno. */
ssize_t asking_hear(struct asking *a, void *out, size_t cap, short *wants);
const char *asking_late_text(const struct asking *a); /* "no connection", "no TLS handshake", "no answer" */
void asking_hang_up(struct asking *a);                /* the time goes on: it may begin again */
void asking_end(struct asking *a);                    /* twice is fine; before asking_begin() too, where fd is -1 */
