#pragma once
/* rate - at most so many in any minute, however the minute is laid: the times of the last ones are kept, and the next may go when the
 * oldest of them is a minute old. Stricter than a bucket of tokens, which lets through twice as much in the minute after it was full.
 * Units: ms on any clock that does not go back; a zeroed struct with `most` set is ready. */
#include <stddef.h>
#include <stdint.h>

#define RATE_MOST      256
#define RATE_WINDOW_MS 61000 /* the server's clock starts when a request arrives, ours when it leaves */

struct rate {
	size_t most; /* 1 to RATE_MOST */
	size_t n;    /* ever */
	uint64_t at[RATE_MOST];
};
uint64_t rate_wait(const struct rate *r, uint64_t now);          /* ms until one more may go; 0: now */
void rate_note(struct rate *r, uint64_t now);                    /* one goes */
uint64_t rate_eta(const struct rate *r, size_t n, uint64_t now); /* ms until the last of n more has gone, if they go as soon as they may */
