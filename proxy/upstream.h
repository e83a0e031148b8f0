#pragma once
/* upstream - one connection to a back end, for HTTP: who it may serve, and the pool in which it waits between requests.
 * A connection belongs to one account on one side at one address for life. With the sources plain and headers it may serve any visitor of
 * that account, one after the other; with proxy-v2 it said whose it is, with transparent its address does, and it stays with that visitor's
 * connection. It goes back only after an
 * exchange in which nothing was unusual. What waits in the pool longer than POOL_IDLE_MS is closed: before common servers would close it
 * under our request. Ownership: the visit that uses it, or the shard's pool. Threads: the worker's. */
#include "lib/acctdef.h"
#include "lib/loop.h"
#include "proxy/end.h"

#define POOL_IDLE_MS     4000
#define POOL_PER_ACCOUNT 256 /* and worker */

struct account;
struct shard;
struct visit;
struct worker;

struct upstream {
	struct end end;
	struct worker *worker;
	struct visit *visit;                         /* whose request it serves; NULL: in the pool */
	struct account *account;                     /* a reference */
	struct upstream *next, **link;               /* in the shard's pool */
	struct upstream *pooled_next, **pooled_link; /* likewise in the worker's list */
	struct deadline deadline;
	struct later later;
	struct addr addr;
	uint64_t connect_start;
	enum side side;
	bool connected : 1, used : 1 /* has carried a request before */, closed : 1;
};

/* A waiting one to this address, or NULL. sure: look whether it still lives (for requests that must not be sent twice). */
struct upstream *upstream_from_pool(struct worker *w, struct account *a, enum side side, const struct addr *addr, bool sure);
/* Starts to connect; visit_on_upstream() hears of it. NULL: -errno in *rc. */
struct upstream *upstream_connect(struct worker *w, struct visit *v, struct account *a, enum side side, const struct addr *addr, int *rc);
void upstream_to_pool(struct upstream *u);           /* takes u; closes it when the pool is full or the gate is not open */
void upstream_close(struct upstream *u, bool reset); /* NULL is fine */
void upstreams_close_idle(struct worker *w, struct shard *s);
void upstreams_close_pooled(struct worker *w);     /* at the end: of all accounts, those that were removed included */
bool upstream_is_silent(const struct upstream *u); /* alive as far as the kernel knows, and has said nothing unasked */
int upstream_error(const struct upstream *u);      /* SO_ERROR as -errno, after an event of a connect; 0: connected */
