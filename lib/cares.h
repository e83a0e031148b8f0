#pragma once
/* cares - one channel of c-ares that lives in a libevent loop: its sockets are watched and its time limits kept; asking is done with
 * c-ares' own functions on cares_channel(). Answers are never taken from a cache of the channel.
 * Ownership: cares_close() ends what is under way (callbacks are called with ARES_EDESTRUCTION, from within) and frees the events. It must
 * not be called from one of this channel's own callbacks: put it off to a turn of the loop. A callback may ask more of its channel.
 * Errors: -ENOMEM, or -EINVAL where c-ares refuses the options or a file that it reads. Units: ms, bytes.
 * Threads: the loop's own; no two threads may open or close at a time, for c-ares counts its users without a lock. */
#include "lib/err.h"

#include <ares.h>

struct event_base;
struct cares;

/* All is borrowed for the call. What is 0 or NULL is as c-ares has it (see each). */
struct cares_opts {
	const char *servers;      /* "192.0.2.53,[2001:db8::53]:5353", asked in this order; NULL: those of /etc/resolv.conf */
	const char *lookups;      /* for ares_getaddrinfo(): "b" DNS, "f" the hosts file, "fb" both; NULL: "fb", or as resolv.conf says */
	unsigned timeout_ms;      /* of the first try at each server; c-ares lengthens it for those that follow; 0: 5000 (1.34: 2000) */
	unsigned tries;           /* of each server; 0: 4 (1.34: 3) */
	int flags;                /* ARES_FLAG_*; 0: none (1.34: ARES_FLAG_EDNS) */
	unsigned ednspsz;         /* the greatest UDP answer that is asked for, with ARES_FLAG_EDNS alone; 0: 1280 (1.34: 1232) */
	unsigned udp_max_queries; /* before a socket makes way for one of another port; 0: no limit; c-ares before 1.20 knows none */
};

int cares_open(struct cares **out, struct event_base *base, const struct cares_opts *opts, struct err *err); /* NULL in *out on failure */
void cares_close(struct cares *c);                                                                           /* NULL is fine */
ares_channel cares_channel(struct cares *c);                                                                 /* borrowed */
/* After each question, or a row of them, that was asked from outside this channel's callbacks: arms the time limit. Twice is fine. */
void cares_kick(struct cares *c);
