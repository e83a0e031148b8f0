#pragma once
/* intercept - where the kernel hands over what it intercepts (nft's tproxy): per worker one socket for IPv4 and one for IPv6, at
 * intercept-port of every address, shared by all listeners without an address. An accepted socket's own end is where the visitor wanted to
 * go; its port names the listener. Whoever connects to intercept-port itself, or to a port of no listener, is reset.
 * The sockets live as long as the proxy: a reload may add and remove listeners meanwhile.
 * Ownership: struct proxy's. Threads: _new() and _free() the main one, the rest the worker's. */
#include "proxy/proxy.h"

struct intercept;

/* err names the capability that is missing, or who has the port. */
int intercept_new(struct intercept **out, struct proxy *p, uint16_t port, struct err *err);
void intercept_free(struct intercept *i);

/* All three: NULL is fine. */
int intercept_watch(struct intercept *i, struct worker *w); /* accept from now on; -ENOMEM */
void intercept_unwatch(struct intercept *i, struct worker *w);
bool intercept_watched(const struct intercept *i, const struct worker *w); /* both sockets */
