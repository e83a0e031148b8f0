#pragma once
/* past - moves that are over, as the journal has them, and what they say of those to come: how long, and how fast.
 * A move takes a while of its own, and time for each GB of its databases. The former is what the shortest one took; the latter is measured,
 * beginning from 1 min per GB, which counts like one GB that was measured. Pure but for past_read() and past_ways_back().
 * Units: ms, GB, seconds where it says so. Ownership: past_done() frees. */
#include "control/journal.h"

struct past {
	struct past_move {
		int64_t took_ms;
		double gb;
	} * moves;
	size_t n, cap;
};
/* Moves of this kind that are done, since (ms). */
int past_read(struct journal *j, const char *kind, int64_t since, struct past *out, struct err *err);
int past_add(struct past *p, int64_t took_ms, double gb); /* -ENOMEM */
void past_done(struct past *p);

double past_move_s(const struct past *p, double gb); /* seconds that a move of so many GB takes */
double past_gb_per_min(const struct past *p);        /* 1 before anything is measured */
/* Seconds until so many moves are over, of which `parallel` go on side by side. */
double past_left_s(const struct past *p, const double *gbs, size_t n, int parallel);

/* When the last migration of each account on the transit server began: walks over rows of (name, started), in order of started. */
int past_migrated(struct journal *j, void (*fn)(void *arg, const char *name, int64_t started), void *arg, struct err *err);
