#pragma once
/* account - one account as the data plane sees it: where its traffic goes now, and what of it is in flight.
 * The word: side and gate in one atomic. Whoever controls stores it; workers load it once per request or connection.
 * It outlives tables: an import that names the account again keeps the object, and so its side, its gate and its connections.
 * A shard is one worker's own part: written by that worker alone, made at the account's first traffic there.
 * Threads: refs and word any; shards their worker's. Ownership: by reference count; a table holds one for each of its accounts, a
 * shard with connections holds one. */
#include "lib/acctdef.h"
#include "proxy/end.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct flow; /* one request or connection in flight (flow.h) */

struct shard {
	struct flow *flows;  /* in flight, most recent first */
	struct flow *parked; /* waiting behind the gate, oldest first */
	struct flow **parked_tail;
	unsigned n_flows, n_parked, n_idle;
	uint64_t requests[2], bytes_up[2], bytes_down[2], errors[2]; /* by side, since the start */
	uint64_t refused;                                            /* waited too long, or too many */
	struct sent sent[2];                                         /* by side; first since the last hold */
	struct upstream *idle;                                       /* pooled back-end connections, most recent first */
	struct drain *drains;                                        /* whoever waits for n_flows == 0 (flow.c) */
	struct spread *spread;                                       /* a release under way (flow.c) */
	struct tally *tally;                                         /* since the last hold (flow.c); NULL: none yet */
	struct busy *busy;                                           /* while somebody looks (busy.h); NULL: not listed */
	struct accepted *accepted;                                   /* since the last switch (accepted.h); NULL: nothing yet */
};

struct seen;
struct account {
	atomic_uint refs;
	atomic_uint word;               /* side | gate << 1 */
	atomic_uint eta;                /* seconds from eta_at until the hold should end; 0 is unknown */
	atomic_uint max_wait;           /* of this hold: 1 + seconds; 0: hold-max-wait holds */
	_Atomic uint64_t eta_at;        /* ms, CLOCK_MONOTONIC */
	_Atomic uint64_t counted_since; /* what its side has accepted (accepted.h); ms, CLOCK_MONOTONIC; 0: not counted */
	atomic_bool counted_whole;      /* nothing was before that */
	_Atomic(struct seen *) seen;    /* by which ports visitors come (seen.h); NULL: nobody has */
	atomic_bool seen_more;          /* by further ones, too, which are not counted */
	uint64_t seen_since;            /* counted from there on; ms since 1970 UTC. Written before workers see the account */
	unsigned n_shards;
	char name[ACCOUNT_NAME_MAX + 1];
	struct shard *shards[]; /* by worker; NULL until used */
};

struct account *account_new(const char *name, enum side side, enum gate gate, unsigned n_workers); /* one reference; NULL: no memory */
struct account *account_ref(struct account *a);
void account_unref(struct account *a);                           /* NULL is fine */
struct shard *account_shard(struct account *a, unsigned worker); /* that worker's; makes it; NULL: no memory */

static inline enum side account_side(const struct account *a)
{
	return (enum side)(atomic_load_explicit(&((struct account *)a)->word, memory_order_acquire) & 1);
}

static inline enum gate account_gate(const struct account *a)
{
	return (enum gate)(atomic_load_explicit(&((struct account *)a)->word, memory_order_acquire) >> 1);
}

static inline void account_set(struct account *a, enum side side, enum gate gate)
{
	atomic_store_explicit(&a->word, (unsigned)side | (unsigned)gate << 1, memory_order_release);
}
