#include "proxy/hold.h"

#include "lib/clock.h"
#include "proxy/alive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t wall_ms(void)
{
	return (uint64_t)now_ms();
}

json_t *json_time(uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char day[32], text[64];

	if (!ms)
		return json_null();
	gmtime_r(&s, &tm);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03uZ", day, (unsigned)(ms % 1000));
	return json_string(text);
}

struct hold *hold_find(struct proxy *p, const struct account *a)
{
	struct hold *h = p->holds;

	while (h && h->account != a)
		h = h->next;
	return h;
}

struct hold *hold_begin(struct proxy *p, struct account *a)
{
	struct hold *h = hold_find(p, a);

	if (h)
		return h;
	h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->account = account_ref(a);
	h->held_at_ms = wall_ms();
	h->begun_ms = loop_now(p->loop);
	h->from = account_side(a);
	hold_extend(p, h, 0);
	h->next = p->holds;
	p->holds = h;
	return h;
}

void hold_extend(struct proxy *p, struct hold *h, uint64_t ms)
{
	uint64_t drain = (uint64_t)p->config->conf->proxy.drain * 1000, until;

	until = loop_now(p->loop) + (ms > drain ? ms : drain) + HOLD_GRACE_MS;
	if (account_gate(h->account) == GATE_FENCED)
		h->give_up = 0;
	else if (until > h->give_up)
		h->give_up = until;
}

void hold_end(struct proxy *p, struct hold *h)
{
	struct hold **link = &p->holds;

	while (*link && *link != h)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = h->next;
	account_unref(h->account);
	free(h);
}

int holds_restore(struct proxy *p, const struct table *t)
{
	for (size_t i = 0; i < table_size(t); i++) {
		struct account *a = table_at(t, i);
		struct hold *h;

		if (account_gate(a) == GATE_OPEN || hold_find(p, a))
			continue;
		h = hold_begin(p, a);
		if (!h)
			return -ENOMEM;
		if (account_gate(a) == GATE_FENCED) {
			h->give_up = 0;
			h->fenced_at_ms = h->held_at_ms; /* it was earlier; of when, the process that is gone told nobody */
		}
		h->restored = true;
		h->drained = true; /* what was in flight ended with the process that carried it; the gate has let nothing in since */
	}
	return 0;
}

/* Without a sign of life from us the kernel leads visitors to the local services: did that happen while it counts? Before a restart it may
 * have, unless it counts from later on. */
static bool failed_open(const struct proxy *p, const struct hold *h)
{
	struct alive_state s = alive_state(p->alive, loop_now(p->loop));

	if (!s.on)
		return false;
	return !s.alive || s.since > (h->watched_ms ? h->watched_ms : h->begun_ms) || (h->restored && !h->watched_ms);
}

json_t *hold_evidence(const struct proxy *p, const struct hold *h)
{
	const struct tally *t = &h->seen;
	enum side other = h->from == SIDE_CLIENT ? SIDE_TRANSIT : SIDE_CLIENT;

	return json_pack("{so so sI sI sI sI sI sI sI sI so so so so sb sb}", "held-at", json_time(h->held_at_ms), "fenced-at",
			 json_time(h->fenced_at_ms), "parked", (json_int_t)t->parked, "drained", (json_int_t)t->drained, "cut",
			 (json_int_t)t->cut, "refused", (json_int_t)t->refused, "released", (json_int_t)t->released, "gave-up",
			 (json_int_t)t->gave_up, "longest-wait-ms", (json_int_t)t->longest_wait_ms, "median-wait-ms",
			 (json_int_t)tally_median_wait_ms(t), "opened-at", json_time(h->opened_at_ms), "hold-ms",
			 h->opened_at_ms && !h->restored ? json_integer((json_int_t)(h->opened_at_ms - h->held_at_ms)) : json_null(),
			 "last-byte-old", json_time(h->restored ? 0 : t->sent[h->from].last_ms), "first-byte-new",
			 json_time(h->restored ? 0 : t->sent[other].first_ms), "restored", h->restored, "failed-open", failed_open(p, h));
}
