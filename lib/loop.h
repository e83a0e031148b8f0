#pragma once
/* loop - one thread's event loop: libevent, an inbox that other threads may post to, and deadlines by the hundred thousand.
 * Deadlines live in a hashed timing wheel: arming and cancelling are O(1), and moving one later is a plain store (the entry is
 * looked at when its old time comes). They fire up to LOOP_TICK_MS late, never early.
 * Units: milliseconds on the monotonic clock (CLOCK_MONOTONIC). Threads: all but loop_post() and loop_stop() belong to the
 * loop's own thread. */
#include "lib/err.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_TICK_MS 50

struct loop;
struct deadline;
typedef void deadline_fn(struct deadline *d);

/* Embedded in what it guards; zeroed is "not armed". fn may free what holds the deadline. */
struct deadline {
	struct deadline *next, **link; /* set while in the wheel */
	uint32_t due;                  /* in ticks; 0: not wanted, even while in the wheel */
	uint32_t slot;                 /* the tick under which it is filed */
	deadline_fn *fn;
};

int loop_new(struct loop **out, struct err *err);
void loop_free(struct loop *l);
struct event_base *loop_base(struct loop *l);
int loop_run(struct loop *l);            /* until loop_stop() */
void loop_stop(struct loop *l);          /* any thread */
uint64_t loop_now(const struct loop *l); /* ms, from the coarse clock: cheap, good to a few ms */

void deadline_arm(struct loop *l, struct deadline *d, deadline_fn *fn, uint64_t after_ms);
void deadline_cancel(struct loop *l, struct deadline *d); /* after it, fn never runs; not armed is fine */

/* A message to a loop. Embedded in what it is about, so that posting cannot fail; it must stay put until fn runs, once, in the loop's
 * thread. */
struct post {
	struct post *next;
	void (*fn)(struct post *self);
};
void loop_post(struct loop *l, struct post *p); /* any thread; what one thread posts runs in that order */

void loop_drain_inbox(struct loop *l); /* runs what has been posted, now; for the time after loop_run() */

/* Runs fn after the events of this turn: the place to free what callbacks of this turn may still name. */
struct later {
	struct later *next;
	void (*fn)(struct later *self);
};
void loop_later(struct loop *l, struct later *item);
