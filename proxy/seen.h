#pragma once
/* seen - by which ports and protocols visitors come to an account, day by day: what a move will have to carry. Counted on both sides, and
 * before anything has moved: requests of HTTP, connections of TLS and TCP. Only what comes to listeners of ours is seen.
 * An account's first visitor of a port costs about 100 bytes, of which there are SEEN_MAX at most; whatever comes by further ports is not
 * told. Counts begin with this process. Days are of 24 hours on the monotonic clock.
 * Threads: seen_count() any worker, one atomic addition each; seen_rows() any. Ownership: an account's own, freed with it. Units: ms of
 * loop_now(). */
#include "lib/conf.h"

#include <stdint.h>

#define SEEN_MAX  32
#define SEEN_DAYS 7

struct account;
struct seen;

struct seen_row {
	uint16_t port; /* of the listener: where visitors come to */
	enum protocol protocol;
	uint64_t count; /* in the last SEEN_DAYS days, today's included */
	uint64_t first_ms, last_ms;
};

void seen_count(struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms);
size_t seen_rows(const struct account *a, uint64_t now_ms, struct seen_row out[SEEN_MAX]); /* in order of ports */
void seen_free(struct seen *s);                                                            /* NULL is fine */
