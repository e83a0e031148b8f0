#pragma once
/* resolve - host names of the configuration to addresses, through c-ares, kept fresh by their TTL.
 * A name that stops resolving keeps its last addresses and is asked again (5 s, doubling to 60 s). TTLs are taken between 1 s and 1 h.
 * /etc/hosts is honoured (c-ares "fb" lookups); entries from there are looked at again every 10 s.
 * Ownership: resolver_free() cancels everything; no callback after it. Threads: the loop's own (the main one). */
#include "lib/addr.h"
#include "lib/err.h"

#include <stddef.h>

#define RESOLVE_MAX 8 /* addresses kept of one name, IPv4 and IPv6 in the resolver's order (RFC 6724) */

struct event_base;
struct resolver;
struct watch;

/* Called whenever the set of addresses changes, first when it is known at all; n is never 0. The port is 0. */
typedef void resolve_fn(void *arg, const struct addr *addrs, size_t n);

int resolver_new(struct resolver **out, struct event_base *base, struct err *err);
int resolver_new_for_test(struct resolver **out, struct event_base *base, const char *servers_csv, struct err *err);
void resolver_free(struct resolver *r);
/* Keeps resolving name until watch_cancel(). family: AF_INET, AF_INET6 or AF_UNSPEC for both. NULL: no memory. */
struct watch *resolver_watch(struct resolver *r, const char *name, int family, resolve_fn *fn, void *arg);
void watch_cancel(struct watch *w); /* NULL is fine */
