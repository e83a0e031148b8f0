#include "proxy/account.h"

#include "lib/clock.h"
#include "proxy/accepted.h"
#include "proxy/seen.h"

#include <stdlib.h>
#include <string.h>

struct account *account_new(const char *name, enum side side, enum gate gate, unsigned n_workers)
{
	struct account *a = calloc(1, sizeof *a + n_workers * sizeof *a->shards);

	if (!a)
		return NULL;
	atomic_init(&a->refs, 1);
	a->n_shards = n_workers;
	a->seen_since = (uint64_t)now_ms();
	strncpy(a->name, name, sizeof a->name - 1);
	account_set(a, side, gate);
	return a;
}

struct account *account_ref(struct account *a)
{
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

void account_unref(struct account *a)
{
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	seen_free(atomic_load_explicit(&a->seen, memory_order_relaxed));
	for (unsigned i = 0; i < a->n_shards; i++) {
		if (a->shards[i]) {
			free(a->shards[i]->tally);
			accepted_free(a->shards[i]->accepted);
		}
		free(a->shards[i]);
	}
	free(a);
}

struct shard *account_shard(struct account *a, unsigned worker)
{
	if (!a->shards[worker])
		a->shards[worker] = calloc(1, sizeof(struct shard));
	return a->shards[worker];
}
