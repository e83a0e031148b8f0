#pragma once
/* batch - many moves at once, seen as one: how many are over, and when all will be, from what finished moves took (past.h). A move that is
 * under way has what it should take left, less what it has taken; at least a second.
 * Pure. Units: ms on the monotonic clock, seconds, GB. Ownership: batch_done() frees; past is taken by batch_init(). */
#include "control/past.h"

struct batch {
	struct past past;
	struct batch_item {
		double gb;
		int64_t began; /* 0: not yet */
		bool over;
	} * items;
	size_t n, good, bad;
	int parallel;
};
int batch_init(struct batch *b, size_t n, int parallel, struct past *past); /* then set items[].gb; -ENOMEM */
void batch_done(struct batch *b);
void batch_began(struct batch *b, size_t i, int64_t now);
void batch_over(struct batch *b, size_t i, int64_t now, bool good);
int64_t batch_left_s(const struct batch *b, int64_t now);
/* "12 of 30 done, 1 failed, 4 under way, about 35 min left (1.8 GB/min)" */
void batch_text(const struct batch *b, int64_t now, char *out, size_t cap);
