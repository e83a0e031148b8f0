#pragma once
/* dial - begins a connection to a back end: from which address, and with which mark on its packets.
 *
 *   plain, headers, proxy-v2   from whatever address the kernel picks
 *   transparent, local side    from the visitor's address, and a port that hardly any visitor uses (DIAL_PORT_FIRST to _LAST): the
 * service's socket has the same two ends as the visitor's own connection to us, so its port must be another one transparent, transit side
 * from the visitor's address and port; from another port where that one is still taken
 *
 * Marks, with interception (conf.h, netctl.mark): M on what goes to this very host, so that it is not intercepted again and its answers, to
 * an address that is not ours, come back here; 2*M on what goes to the transit server as if it came from the visitor, so that it is sent
 * through the tunnel. What goes to another host without pretending anything has none: it would be delivered here.
 * A visitor whose address cannot be taken (another family than the service's, link-local, or loopback towards the transit server) is
 * connected for as with plain: better so than not at all.
 * Threads: the worker's. Errors: -errno, of the last attempt. */
#include "lib/conf.h"
#include "proxy/account.h"

#define DIAL_PORT_FIRST 128
#define DIAL_PORT_LAST  1023
#define DIAL_PORTS      (DIAL_PORT_LAST - DIAL_PORT_FIRST + 1)

struct listener;
struct worker;

/* What a worker knows of ports. */
#define DIAL_CROWDS 64
struct dialer {
	unsigned next; /* of the range: workers start apart and go round */
	int diag;      /* asks the kernel for connections that exist; -1: none */
	uint64_t seed;
	struct crowd {
		struct addr visitor; /* for whom the whole range was taken, */
		uint64_t till;       /* and how long that is believed, ms: trying all of it costs a few */
	} crowds[DIAL_CROWDS];       /* by hash; a newer one takes the place */
};
void dialer_init(struct dialer *d, unsigned worker, unsigned n_workers);
void dialer_done(struct dialer *d);

struct dial {
	const struct listener *listener;
	enum side side;
	const struct addr *visitor; /* whom the connection is for */
	const struct addr *to;      /* with its port */
};
/* Begins a nonblocking TCP connection. The descriptor, or -errno. */
int dial_start(struct worker *w, const struct dial *d);

/* The same for a question of our own (probe.h), from whatever address the kernel picks; in the main thread. */
struct proxy;
int dial_as_us(const struct proxy *p, const struct listener *l, enum side side, const struct addr *to);
/* To the transit server as if it were for this visitor, whose port is 0 (prove.h); in the main thread. */
int dial_as_visitor(const struct proxy *p, const struct listener *l, const struct addr *visitor, const struct addr *to);

/* Ports to fall back to: high ones, in an order of their own; never 0 and never one of the range. */
uint16_t dial_high_port(struct dialer *d);
