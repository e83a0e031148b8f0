#pragma once
/* target - a host of ours to connect to: the addresses of a local service or of a partner on the transit server, as each worker sees them.
 * A literal address never changes. A name is resolved by the main thread, which hands each worker the new set by message; until the first
 * answer there is no address, and what wants to go there waits for nothing: it is told the back end is away.
 * Threads: target_addrs() in a worker; the rest in the main thread. Ownership: reference count (listeners, and look-ups in flight). */
#include "lib/addr.h"
#include "lib/conf.h"
#include "proxy/resolve.h"

#include <stdatomic.h>

struct proxy;
struct target;

struct target_addrs {
	atomic_uint refs;
	size_t n;
	struct addr addrs[RESOLVE_MAX];
};

/* host is copied. For a name, watching starts at once if the proxy has a resolver. NULL: no memory. */
struct target *target_new(struct proxy *p, const struct conf_host *host, int family);
struct target *target_ref(struct target *t);
void target_unref(struct target *t); /* main thread */
const char *target_text(const struct target *t);
const struct target_addrs *target_addrs(const struct target *t,
					unsigned worker);        /* borrowed until the worker's loop turns; NULL: none known */
const struct target_addrs *target_known(const struct target *t); /* main thread's view */
