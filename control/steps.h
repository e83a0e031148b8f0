#pragma once
/* steps - what a move does, in order (DESIGN 8). apply and undo are idempotent, and undo may come without apply.
 * They return 0 or -errno, and may leave what they have to say in m->evidence. */
#include "control/move.h"

enum step_index {
	STEP_PREPARING,
	STEP_HOLDING,
	STEP_DRAINING,
	STEP_FENCED,
	STEP_COPYING,
	STEP_SEALED,
	STEP_SWITCHED,
	STEP_PUBLISHED,
	STEP_RELEASED,
	N_STEPS
};

typedef int step_fn(struct move *m, struct err *err);
struct step {
	const char *name;
	step_fn *apply, *undo;
	void (*plan)(const struct move *m, char *out, size_t cap); /* what apply would do, for --dry-run */
};
extern const struct step steps[N_STEPS];
int step_find(const char *name); /* -1: none of that name */
