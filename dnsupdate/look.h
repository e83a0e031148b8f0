#pragma once
/* look - every look-up that is not a transfer: questions to one server, or to the recursive ones, through c-ares.
 * Ids and source ports are random, cut UDP answers are asked for again over TCP, an answer to another question is dropped: c-ares' work.
 * Answers are parsed by wire.h. One channel per server, opened at the first question, closed when idle.
 * At most LOOK_MAX questions are under way; more wait in line. Threads: the loop's own.
 * Ownership: look_free() cancels all. After look_cancel() the callback never comes; it never comes from inside look_at(). */
#include "dnsupdate/wire.h"

#include "lib/addr.h"

#define LOOK_MAX        256
#define LOOK_TIMEOUT_MS 1500 /* of the first try; there are two, the second twice as long */

struct event_base;
struct looker;
struct look;

/* a: as it came, whatever its rcode; borrowed. NULL: no answer; err says who did not answer and why. */
typedef void look_fn(void *arg, const struct answer *a, const struct err *err);
/* n addresses, IPv4 and IPv6, ports 0; 0: err. */
typedef void look_addresses_fn(void *arg, const struct addr *addrs, size_t n, const struct err *err);

/* resolvers: addresses or names of recursive servers, NULL and 0 for those of /etc/resolv.conf; borrowed during the call.
 * Names among them are looked up through /etc/hosts and resolv.conf, blocking, at most 5 s. */
int look_new(struct looker **out, struct event_base *base, char *const *resolvers, size_t n, struct err *err);
void look_free(struct looker *l);
size_t look_resolvers(const struct looker *l, const struct addr **out); /* those of the configuration, ports set; borrowed; 0: none */

/* Asks that server alone, without recursion (RD=0). server's port 0 means 53. NULL: no memory. */
struct look *look_at(struct looker *l, const struct addr *server, const char *name, uint16_t type, look_fn *fn, void *arg);
/* Asks the recursive servers. */
struct look *look_up(struct looker *l, const char *name, uint16_t type, look_fn *fn, void *arg);
/* Both families of a host's addresses, /etc/hosts first. */
struct look *look_addresses(struct looker *l, const char *name, look_addresses_fn *fn, void *arg);
void look_cancel(struct look *k); /* NULL is fine */
