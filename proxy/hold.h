#pragma once
/* hold - what the main thread knows of an account whose gate is closed: since when, what its drain and fence found, and when it gives up.
 * A hold that was never fenced ends by itself on the old side (the controller died, or forgot); a fenced one never does, because data may
 * have been copied since. Every change is on disk before it takes effect. Ownership: the proxy's list. Threads: the main one. Units: ms,
 * monotonic; wall-clock times only for the evidence. */
#include "proxy/flow.h"
#include "proxy/proxy.h"

#include <jansson.h>

#define HOLD_GRACE_MS 60000 /* beyond the drain, until a hold that nobody fences ends */

struct hold {
	struct hold *next;
	struct account *account;                         /* a reference */
	uint64_t give_up;                                /* 0: fenced, never */
	uint64_t held_at_ms, fenced_at_ms, opened_at_ms; /* wall clock; 0: not (yet) */
	enum side from;                                  /* where it was when the hold began */
	bool restored;     /* it began in a process that is gone: held_at_ms, and fenced_at_ms if so, are when we found it */
	struct tally seen; /* as of the last answer of the workers */
	bool drained;      /* nothing was in flight once the gate had been closed */
	bool releasing;
	uint64_t watched_ms; /* since when it counts that visitors were led past it, loop_now(); 0: since it began */
	uint64_t begun_ms;   /* loop_now() */
};

struct hold *hold_find(struct proxy *p, const struct account *a);
struct hold *hold_begin(struct proxy *p, struct account *a); /* finds or makes; NULL: no memory */
void hold_end(struct proxy *p, struct hold *h);
void hold_extend(struct proxy *p, struct hold *h, uint64_t ms);     /* gives up that much later, if at all */
int holds_restore(struct proxy *p, const struct table *t);          /* for accounts whose gate was closed on disk; -ENOMEM */
json_t *hold_evidence(const struct proxy *p, const struct hold *h); /* returns new */
uint64_t wall_ms(void);
json_t *json_time(uint64_t ms); /* RFC 3339 UTC with milliseconds; null for 0 */
