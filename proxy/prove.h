#pragma once
/* prove - does the transit server see who a visitor is? One connection from this host to an echo of shunt-netctl there (netctl/echo.h),
 * made exactly as a listener's connections to the transit side are (source-transit), as if for a visitor at PROVE_V4 or PROVE_V6. The echo
 * tells which peer it saw and what was said first; what a service would take for the visitor's address is read from that:
 *   transparent   the peer's address
 *   proxy-v2      the source in the PROXY header
 *   headers, plain   nothing: services see this host. Not asked, the answer is no
 * It proves the way there. That a service believes the header is the service's own configuration, which nobody can see from outside.
 * The addresses are for benchmarks (RFC 2544, RFC 5180): nobody's in the Internet.
 * Ownership: it is the proxy's (p->proves) until its callback has run. Threads: the main one. */
#include "lib/addr.h"
#include "proxy/probe_tls.h"

#define PROVE_MS 3000
#define PROVE_V4 "198.18.0.77"
#define PROVE_V6 "2001:2::77"

struct listener;
struct proxy;

struct prove_result {
	bool ok;
	struct addr sent_as, seen; /* seen: AF_UNSPEC where nothing was */
	char said[PROBE_SAID_MAX];
};
typedef void prove_done_fn(void *arg, const struct prove_result *r); /* NULL: the proxy ends */
/* came_to: where the visitor would have come to. done runs once, maybe before it returns. -ENOMEM: never. */
int prove_start(struct proxy *p, struct listener *l, const struct addr *came_to, const struct addr *echo, prove_done_fn *done, void *arg);
void proves_end(struct proxy *p);

/* Pure: what an echo's line says; proxy_v2: the header is looked at, else the peer. False: said tells what is wrong. */
bool prove_judge(struct prove_result *r, const char *line, size_t len, bool proxy_v2);
