#pragma once
/* relay - moves bytes from one end to the other, as cheaply as the kernel allows.
 * Copying goes through the worker's one buffer of 64 KiB. When a read fills it, the direction changes to splice through a pooled pipe, and
 * back when a turn moved less than 16 KiB. What the receiver does not take stays in its rest or its pipe, and then nothing more is read:
 * memory is bounded by the slow peer's own share. A turn moves RELAY_SHARE at most, so that one fast transfer does not starve the others.
 * Threads: the worker's. */
#include "proxy/end.h"

#define RELAY_SHARE (2u << 20)

enum relayed {
	RELAY_BLOCKED,     /* until the next event of either end */
	RELAY_DONE,        /* all of *left has moved (it may still sit in to's rest or pipe) */
	RELAY_EOF,         /* from has ended and everything before has been handed on */
	RELAY_SHARE_USED,  /* there is more: come back next turn */
	RELAY_FROM_BROKEN, /* reset, or worse */
	RELAY_TO_BROKEN,
};
#define RELAY_FOREVER UINT64_MAX /* as *left: until the end of the stream; is not counted down */

/* Adds what was taken from `from` to *count. */
enum relayed relay_move(struct worker *w, struct end *from, struct end *to, uint64_t *left, uint64_t *count);

enum joined { JOINED_ON, JOINED_AGAIN /* next turn */, JOINED_OVER, JOINED_A_BROKEN, JOINED_B_BROKEN };
/* Two ends joined for good: moves bytes the asked ways, hands on a FIN once all before it has been taken, and says when both have ended. */
enum joined relay_join(struct worker *w, struct end *a, struct end *b, bool a_to_b, bool b_to_a, uint64_t *up, uint64_t *down);
