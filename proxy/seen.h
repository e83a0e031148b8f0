#pragma once
/* seen - by which ports and protocols visitors come to an account, day by day: what a move will have to carry. Counted on both sides, and
 * before anything has moved: requests of HTTP, connections of TLS and TCP. Only what comes to listeners of ours is seen.
 * Days are UTC's, so that they are the same for the next process, which goes on counting from what this one leaves on disk (seenfile.h).
 * When the clock is set back, what was counted of days that are yet to come counts for nothing until they come.
 * An account's first visitor of a port costs 160 bytes, of which there are SEEN_MAX at most for an account and SEEN_ALL for all; whatever
 * comes by further ports is not counted, and that it came is told. A port that nobody has used for SEEN_DAYS keeps its place until the
 * process ends.
 * Threads: seen_count() any worker, one atomic addition each; seen_rows() any. Ownership: an account's own, freed with it; the room is the
 * proxy's and outlives accounts. Units: ms since 1970 UTC. */
#include "lib/conf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SEEN_MAX    32
#define SEEN_ALL    (1u << 18)
#define SEEN_DAYS   14
#define SEEN_DAY_MS UINT64_C(86400000)

struct account;
struct seen;

struct seen_room {
	atomic_uint taken; /* ports of all accounts */
};

struct seen_row {
	uint16_t port; /* of the listener: where visitors come to */
	enum protocol protocol;
	uint64_t count;                                 /* in the last SEEN_DAYS days, today's included */
	uint64_t day /* since 1970 */, days[SEEN_DAYS]; /* of these: that day, the one before it, .. */
	uint64_t first_ms, last_ms;
};

void seen_count(struct seen_room *room, struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms);
size_t seen_rows(const struct account *a, uint64_t now_ms, struct seen_row out[SEEN_MAX]); /* in order of ports; what is over is left out */
/* What another process has counted: day, days, first_ms and last_ms of the row. Only before workers run. False: there is no room. */
bool seen_restore(struct seen_room *room, struct account *a, const struct seen_row *row);
void seen_free(struct seen *s); /* NULL is fine */
