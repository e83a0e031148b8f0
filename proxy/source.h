#pragma once
/* source - who holds how many connections: per IPv4 address or IPv6 /64, all workers together.
 * Limits: `concurrent` at once and `rate` new ones per second (token bucket, one second deep); 0 is none. Above 80 % of the budget a source
 * may hold at most as many connections as are still free: the heaviest are refused first, and the nearer the end the lighter the ones that
 * still get in. The table is bounded (SOURCE_MAX entries, those without connections go first, least recently seen); its hash is keyed.
 * Threads: any; striped locks, held for nanoseconds. */
#include "lib/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define SOURCE_MAX 65536

struct sources;

enum source_verdict { SOURCE_OK, SOURCE_TOO_MANY, SOURCE_TOO_FAST, SOURCE_HEAVY, SOURCE_FULL }; /* FULL: the budget itself is used up */
const char *source_verdict_name(enum source_verdict v);

struct source_limits {
	unsigned concurrent, rate; /* 0: none */
	unsigned budget;           /* connections in all; > 0 */
};
struct sources *sources_new(const struct source_limits *lim); /* NULL: no memory */
void sources_free(struct sources *s);
void sources_limit(struct sources *s, const struct source_limits *lim); /* takes effect for the next connection */
enum source_verdict sources_enter(struct sources *s, const struct addr *peer,
				  uint64_t now_ms); /* SOURCE_OK must be followed by one leave */
void sources_leave(struct sources *s, const struct addr *peer);
unsigned sources_used(const struct sources *s); /* connections in all */
