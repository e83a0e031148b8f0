#pragma once
/* round - what is asked at once of one account and side: n questions, some of them at a time. It is the first member of a set (probe.h,
 * fetch.h), which knows the questions; the round knows whose turn it is, and which sets are to be given up.
 * Ownership: the set is the proxy's (p->rounds) from round_open() on, until it has told. Threads: the main one. */
#include "lib/acctdef.h"

#include <stdbool.h>
#include <stddef.h>

struct account;
struct proxy;
struct round;

struct round_ops {
	void (*begin)(struct round *r, size_t i);     /* the question i; its end is round_over(), maybe before this returns */
	void (*tell)(struct round *r, bool is_ended); /* all are over, or it was ended: calls round_close() and frees the set */
};

struct round {
	struct proxy *proxy;
	struct account *account; /* a reference */
	enum side side;
	const struct round_ops *ops;
	size_t n; /* by its set, after round_open() */
	/* its own */
	struct round *next, **link; /* in p->rounds */
	size_t at_once, next_up, running;
	bool beginning;
};

/* Begins a set without questions: it sets n, then comes round_begin(). */
void round_open(struct round *r, struct proxy *p, struct account *a, enum side side, size_t at_once, const struct round_ops *ops);
void round_begin(struct round *r); /* may free the set, if all are over at once */
void round_over(struct round *r);  /* one is over. May free the set */
void round_close(struct round *r); /* by tell(), before it frees the set: takes it off the list */
/* Of this account and side (NULL: all): not one byte more goes there. */
void rounds_end(struct proxy *p, const struct account *a, enum side side);
