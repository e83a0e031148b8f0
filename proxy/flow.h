#pragma once
/* flow - one request (HTTP) or connection (TLS, TCP) of an account, from routing to its end. It is what a move holds, drains and cuts.
 *
 *   flow_enter(): the gate is looked at once. Open: the flow counts as in flight on the side it was given, until flow_leave().
 *                 Closed: it is parked and waits for the gate, at most hold-max-wait.
 * A flow is in flight in its own worker only. The gate's word is stored first and then every worker is asked; since a worker routes and
 * answers in one thread, whatever it let through before it answered is in its list, and nothing after. This is what makes a fence exact.
 * Threads: the worker's. Ownership: embedded in stream and visit; a shard only links them. */
#include "lib/loop.h"
#include "proxy/account.h"

struct accepted;
struct worker;

enum flow_where { FLOW_OUT, FLOW_FLYING, FLOW_PARKED };
enum flow_entry { FLOW_GO, FLOW_WAIT, FLOW_REFUSED };

struct flow_ops {
	void (*go)(struct flow *f);                      /* was parked; the gate is open: enter again */
	void (*refuse)(struct flow *f, const char *why); /* was parked; waited too long: answer and end */
	void (*cut)(struct flow *f);                     /* the drain is over: reset both ends */
	void (*quiet)(struct flow *f, unsigned quiet_ms,
		      bool last_call); /* while draining: end if nothing has moved for that long; may be NULL */
	void (*bytes)(const struct flow *f, uint64_t *up, uint64_t *down); /* in flight: adds what has passed and is not counted yet */
	int (*accepted)(const struct flow *f, struct accepted *sum); /* in flight: adds what is not counted yet (accepted.h); -ENOMEM */
};

struct flow {
	struct flow *next, **link;
	const struct flow_ops *ops;
	struct worker *worker;
	struct account *account;  /* a reference, while not FLOW_OUT */
	struct deadline deadline; /* the owner's only one; while parked it is how long the flow waits */
	uint32_t parked_at, waited_ms;
	uint8_t where, side;
};

/* FLOW_WAIT: ops->go or ops->refuse will be called. FLOW_REFUSED: too many wait already (or no memory); *why says so. */
enum flow_entry flow_enter(struct flow *f, struct worker *w, struct account *a, const struct flow_ops *ops, const char **why);
void flow_leave(struct flow *f); /* also while parked, or out */

uint32_t flow_waited_ms(const struct flow *f); /* behind the gate, until now */

struct sent *flow_sent(struct flow *f);                                         /* in flight: of its side, for the end that goes there */
void flow_count_request(struct flow *f);                                        /* in flight: for status */
void flow_count_bytes(struct flow *f, uint64_t up, uint64_t down, bool failed); /* likewise, at its end */

#define TALLY_WAITS 208 /* places: below 8 ms one each, then eight in every doubling */

/* What a hold has seen, summed over workers by the main thread. Counted from the hold's beginning to the release. */
struct tally {
	uint64_t flying, parked_now, parked, drained, cut, refused, released;
	uint64_t gave_up; /* left while they waited */
	struct sent sent[2];
	uint32_t longest_wait_ms;
	uint32_t waits[TALLY_WAITS]; /* how long those waited who do not wait any more */
};
void tally_add(struct tally *to, const struct tally *from);
void tally_wait(struct tally *t, uint32_t ms);
uint32_t tally_median_wait_ms(const struct tally *t); /* within an eighth of it, never above the longest; 0: nobody waited */

/* In one worker, for messages of the main thread. */
void flows_hold(struct worker *w,
		struct account *a); /* the gate has been stored: closes idle back-end connections, starts the tally anew */
void flows_tally(struct worker *w, struct account *a, struct tally *out);
typedef void drained_fn(struct worker *w, void *arg);
/* Calls fn once nothing of the account flies here: at once, when the last has left, or after ms, having cut the rest. A second drain
 * replaces the first one's time; both are called. A release ends it, and cuts nothing. -ENOMEM. */
int flows_drain(struct worker *w, struct account *a, uint64_t ms, drained_fn *fn, void *arg);
/* The gate is open: lets what is parked go, evenly over spread_ms; fn when the last has gone. -ENOMEM: all have gone at once. */
int flows_release(struct worker *w, struct account *a, uint64_t spread_ms, drained_fn *fn, void *arg);
/* How long a visitor of the account had better wait before trying again: the ETA where known, else 30 s; 1 s at least. *known: it is an
 * ETA. */
unsigned account_retry_after(const struct account *a, uint64_t now_ms, bool *known);
