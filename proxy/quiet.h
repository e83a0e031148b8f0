#pragma once
/* quiet - back ends that have answered nobody of late: who asks for very many accounts (fetch.h) then need not wait for each of them anew.
 * A back end is an address with its port. It is quiet for QUIET_MS once QUIET_AFTER has been reached without an answer in between: each
 * connection that did not come about within its time counts a quarter of it, each answer that did not come counts one where it is another
 * account's than the one before, for a site may be slow alone. The last QUIET_MAX back ends that were late are remembered.
 * Zeroed is the start. Threads: one. Units: ms of loop_now(). */
#include "lib/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define QUIET_MAX   128
#define QUIET_AFTER 16
#define QUIET_MS    30000

struct account;

struct quiet {
	struct quiet_one {
		struct addr at;
		const struct account *last; /* who was late last; only compared */
		unsigned late;
		uint64_t until_ms; /* 0: it is not quiet */
	} of[QUIET_MAX];
	unsigned n, next; /* the next one goes, once all places are taken */
};

bool quiet_is(const struct quiet *q, const struct addr *at, uint64_t now_ms);
void quiet_late(struct quiet *q, const struct addr *at, const struct account *a, bool connecting, uint64_t now_ms);
void quiet_answered(struct quiet *q, const struct addr *at); /* whatever it was, if only that it does not want to */
