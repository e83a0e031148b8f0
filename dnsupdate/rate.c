#include "dnsupdate/rate.h"

/* The i-th of the future (from 0) may go a window after the one that is `most` places before it. */
uint64_t rate_eta(const struct rate *r, size_t n, uint64_t now)
{
	struct rate then = *r;
	uint64_t time = now, rounds;

	if (n == 0)
		return 0;
	rounds = (n - 1) / r->most; /* whole windows: after each, things are as they were */
	for (size_t left = (n - 1) % r->most + 1; left > 0; left--) {
		time += rate_wait(&then, time);
		rate_note(&then, time);
	}
	return time - now + rounds * RATE_WINDOW_MS;
}

uint64_t rate_wait(const struct rate *r, uint64_t now)
{
	uint64_t free_at = r->n < r->most ? 0 : r->at[r->n % r->most] + RATE_WINDOW_MS;

	return free_at > now ? free_at - now : 0;
}

void rate_note(struct rate *r, uint64_t now)
{
	r->at[r->n % r->most] = now;
	r->n++;
}
