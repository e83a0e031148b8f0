#pragma once
/* limit - how often: token buckets by name, in a table of fixed size. A name that is not in it has a full bucket, so the fullest of a set
 * gives way where a set of the table is full: who floods it with new names can only make it forget those that are nearly full.
 * Units: per second; seconds. Threads: one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_SETS     256
#define LIMIT_WAYS     8
#define LIMIT_NAME_MAX 64

struct bucket {
	char name[LIMIT_NAME_MAX]; /* "": free */
	double level;              /* at the time at */
	uint64_t at;               /* ms, monotonic */
};

struct limit {
	double per_s, burst;
	struct bucket buckets[LIMIT_SETS][LIMIT_WAYS];
};
void limit_init(struct limit *l, double per_s, double burst);
/* Takes one out. False: there is none; *retry_s (or NULL) says in how many seconds there will be, 1 at least. */
bool limit_take(struct limit *l, const char *name, uint64_t now_ms, int *retry_s);
bool limit_has(const struct limit *l, const char *name, uint64_t now_ms, int *retry_s); /* as above, but takes none */
