#include "proxy/seen.h"

#include "proxy/account.h"

#include <stdlib.h>

/* Of a day's word: which day it is, above how often. */
#define COUNT_BITS 40
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

/* Only ever added in front, so that readers need no lock. */
struct seen {
	struct seen *next;
	struct seen_room *room;
	uint16_t port;
	uint8_t protocol;
	uint64_t first_ms;
	_Atomic uint64_t last_ms;
	_Atomic uint64_t days[SEEN_DAYS];
};

static struct seen *find(struct seen *from, const struct seen *end, uint16_t port, enum protocol protocol, unsigned *n)
{
	for (; from != end; from = from->next, ++*n)
		if (from->port == port && from->protocol == (uint8_t)protocol)
			return from;
	return NULL;
}

static void drop(struct seen *s)
{
	atomic_fetch_sub_explicit(&s->room->taken, 1, memory_order_relaxed);
	free(s);
}

/* NULL: there are too many, or no memory. */
static struct seen *make(struct seen_room *room, uint16_t port, enum protocol protocol, uint64_t first_ms)
{
	struct seen *s = NULL;

	if (atomic_fetch_add_explicit(&room->taken, 1, memory_order_relaxed) < SEEN_ALL)
		s = calloc(1, sizeof *s);
	if (!s) {
		atomic_fetch_sub_explicit(&room->taken, 1, memory_order_relaxed);
		return NULL;
	}
	s->room = room;
	s->port = port;
	s->protocol = (uint8_t)protocol;
	s->first_ms = first_ms;
	return s;
}

/* NULL: there is no room. */
static struct seen *entry(struct seen_room *room, struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms)
{
	struct seen *first = atomic_load_explicit(&a->seen, memory_order_acquire), *looked = NULL, *fresh = NULL, *s;
	unsigned n = 0;

	for (;;) { /* once more when another worker was faster: only what it added is new */
		s = find(first, looked, port, protocol, &n);
		if (s || n >= SEEN_MAX || (!fresh && !(fresh = make(room, port, protocol, now_ms))))
			break;
		looked = first;
		fresh->next = first;
		if (atomic_compare_exchange_strong_explicit(&a->seen, &first, fresh, memory_order_acq_rel, memory_order_acquire))
			return fresh;
	}
	if (fresh)
		drop(fresh);
	if (!s && !atomic_load_explicit(&a->seen_more, memory_order_relaxed))
		atomic_store_explicit(&a->seen_more, true, memory_order_relaxed);
	return s;
}

void seen_count(struct seen_room *room, struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms)
{
	uint64_t day = now_ms / SEEN_DAY_MS, was;
	struct seen *s = entry(room, a, port, protocol, now_ms);
	_Atomic uint64_t *word;

	if (!s)
		return;
	word = &s->days[day % SEEN_DAYS];
	was = atomic_load_explicit(word, memory_order_relaxed);
	if (was >> COUNT_BITS == day ||
	    !atomic_compare_exchange_strong_explicit(word, &was, day << COUNT_BITS | 1, memory_order_relaxed, memory_order_relaxed))
		atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
	if (now_ms - atomic_load_explicit(&s->last_ms, memory_order_relaxed) >= 1000) /* also where the clock was set back */
		atomic_store_explicit(&s->last_ms, now_ms, memory_order_relaxed);
}

bool seen_restore(struct seen_room *room, struct account *a, const struct seen_row *row)
{
	struct seen *s = entry(room, a, row->port, row->protocol, row->first_ms);

	for (uint64_t i = 0; s && i < SEEN_DAYS && i <= row->day; i++) {
		uint64_t day = row->day - i;

		if (row->days[i])
			atomic_store_explicit(&s->days[day % SEEN_DAYS], day << COUNT_BITS | (row->days[i] & COUNT_MASK),
					      memory_order_relaxed);
	}
	if (s)
		atomic_store_explicit(&s->last_ms, row->last_ms, memory_order_relaxed);
	return s != NULL;
}

static int by_port(const void *a, const void *b)
{
	const struct seen_row *x = a, *y = b;

	return x->port != y->port ? (int)x->port - (int)y->port : (int)x->protocol - (int)y->protocol;
}

size_t seen_rows(const struct account *a, uint64_t now_ms, struct seen_row out[SEEN_MAX])
{
	const struct seen *s = atomic_load_explicit(&((struct account *)a)->seen, memory_order_acquire);
	uint64_t today = now_ms / SEEN_DAY_MS;
	size_t n = 0;

	for (; s && n < SEEN_MAX; s = s->next) {
		struct seen_row *r = &out[n];

		*r = (struct seen_row){.port = s->port,
				       .protocol = (enum protocol)s->protocol,
				       .day = today,
				       .first_ms = s->first_ms,
				       .last_ms = atomic_load_explicit(&s->last_ms, memory_order_relaxed)};
		for (int i = 0; i < SEEN_DAYS; i++) {
			uint64_t word = atomic_load_explicit(&s->days[i], memory_order_relaxed), ago = today - (word >> COUNT_BITS);

			if (ago < SEEN_DAYS) {
				r->days[ago] = word & COUNT_MASK;
				r->count += word & COUNT_MASK;
			}
		}
		n += r->count > 0;
	}
	qsort(out, n, sizeof *out, by_port);
	return n;
}

void seen_free(struct seen *s)
{
	while (s) {
		struct seen *next = s->next;

		drop(s);
		s = next;
	}
}
