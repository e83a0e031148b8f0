#pragma once
/* resolve - host names of the configuration to addresses, through c-ares, kept fresh by their TTL.
 * A name that stops resolving keeps its last addresses and is asked again (5 s, doubling to 60 s). TTLs are taken between 1 s and 1 h.
 * /etc/hosts is honoured, before DNS; entries from there are looked at again every 10 s. A changed /etc/resolv.conf is taken up when a
 * name does not resolve. That a name stops or starts to resolve again is logged here, once each.
 * Ownership: resolver_free() cancels everything and frees the watches; no callback after it. A callback may cancel any watch, its own
 * included, and free the resolver; it never runs inside resolver_watch(). Threads: the loop's own (the main one). */
#include "lib/addr.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>

#define RESOLVE_MAX 8 /* addresses kept of one name, IPv4 and IPv6 in the resolver's order (RFC 6724) */

struct event_base;
struct resolver;
struct watch;

/* Called whenever the set of addresses changes, first when it is known at all; n is never 0. The port is 0. Another order of the same
 * addresses (round robin) is no change. addrs is borrowed for the call. */
typedef void resolve_fn(void *arg, const struct addr *addrs, size_t n);

int resolver_new(struct resolver **out, struct event_base *base, struct err *err);
/* Asks these servers ("127.0.0.1:5353"), reads the hosts file that $CARES_HOSTS names, and waits a tenth as long, TTLs apart. */
int resolver_new_for_test(struct resolver **out, struct event_base *base, const char *servers_csv, struct err *err);
void resolver_free(struct resolver *r); /* NULL is fine */
bool resolve_name_ok(const char *name); /* letters, digits, - and _ in labels of 1 to 63, 253 in all; a dot may end it */
/* Keeps resolving name until watch_cancel(). family: AF_INET, AF_INET6 or AF_UNSPEC for both. NULL: no memory (errno ENOMEM), or a name
 * that resolve_name_ok() refuses (errno EINVAL). */
struct watch *resolver_watch(struct resolver *r, const char *name, int family, resolve_fn *fn, void *arg);
void watch_cancel(struct watch *w); /* NULL is fine */
