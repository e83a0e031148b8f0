#include "proxy/seen.h"

#include "proxy/account.h"

#include <stdlib.h>

#define DAY_MS 86400000u
/* Of a day's word: which day it is, above how often. */
#define COUNT_BITS 40
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

/* Only ever added in front, so that readers need no lock. */
struct seen {
	struct seen *next;
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

/* NULL: there are too many, or no memory. */
static struct seen *entry(struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms)
{
	struct seen *first = atomic_load_explicit(&a->seen, memory_order_acquire), *looked = NULL, *fresh = NULL, *s;
	unsigned n = 0;

	for (;;) { /* once more when another worker was faster: only what it added is new */
		s = find(first, looked, port, protocol, &n);
		if (s || n >= SEEN_MAX)
			break;
		if (!fresh)
			fresh = calloc(1, sizeof *fresh);
		if (!fresh)
			return NULL;
		looked = first;
		fresh->port = port;
		fresh->protocol = (uint8_t)protocol;
		fresh->first_ms = now_ms;
		fresh->next = first;
		if (atomic_compare_exchange_strong_explicit(&a->seen, &first, fresh, memory_order_acq_rel, memory_order_acquire))
			return fresh;
	}
	free(fresh);
	return s;
}

void seen_count(struct account *a, uint16_t port, enum protocol protocol, uint64_t now_ms)
{
	uint64_t day = now_ms / DAY_MS + 1, was;
	struct seen *s = entry(a, port, protocol, now_ms);
	_Atomic uint64_t *word;

	if (!s)
		return;
	word = &s->days[day % SEEN_DAYS];
	was = atomic_load_explicit(word, memory_order_relaxed);
	if (was >> COUNT_BITS == day ||
	    !atomic_compare_exchange_strong_explicit(word, &was, day << COUNT_BITS | 1, memory_order_relaxed, memory_order_relaxed))
		atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
	if (now_ms - atomic_load_explicit(&s->last_ms, memory_order_relaxed) >= 1000)
		atomic_store_explicit(&s->last_ms, now_ms, memory_order_relaxed);
}

static int by_port(const void *a, const void *b)
{
	const struct seen_row *x = a, *y = b;

	return x->port != y->port ? (int)x->port - (int)y->port : (int)x->protocol - (int)y->protocol;
}

size_t seen_rows(const struct account *a, uint64_t now_ms, struct seen_row out[SEEN_MAX])
{
	const struct seen *s = atomic_load_explicit(&((struct account *)a)->seen, memory_order_acquire);
	uint64_t today = now_ms / DAY_MS + 1;
	size_t n = 0;

	for (; s && n < SEEN_MAX; s = s->next) {
		struct seen_row *r = &out[n];

		*r = (struct seen_row){s->port, (enum protocol)s->protocol, 0, s->first_ms,
				       atomic_load_explicit(&s->last_ms, memory_order_relaxed)};
		for (int i = 0; i < SEEN_DAYS; i++) {
			uint64_t word = atomic_load_explicit(&s->days[i], memory_order_relaxed);

			if (word && today - (word >> COUNT_BITS) < SEEN_DAYS)
				r->count += word & COUNT_MASK;
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

		free(s);
		s = next;
	}
}
