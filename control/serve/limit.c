#include "control/serve/limit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void limit_init(struct limit *l, double per_s, double burst)
{
	memset(l, 0, sizeof(*l));
	l->per_s = per_s;
	l->burst = burst;
}

static size_t set_of(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return (h ^ h >> 16) % LIMIT_SETS;
}

static double level(const struct limit *l, const struct bucket *b, uint64_t now)
{
	double v = b->level + (double)(now > b->at ? now - b->at : 0) / 1000 * l->per_s;
	return *b->name && v < l->burst ? v : l->burst;
}

static int until_one(const struct limit *l, double have)
{
	double s = ceil((1 - have) / l->per_s);
	return s < 1 ? 1 : s > 86400 ? 86400 : (int)s;
}

static const struct bucket *find(const struct limit *l, const char *name)
{
	const struct bucket *set = l->buckets[set_of(name)];
	for (size_t i = 0; i < LIMIT_WAYS; i++) {
		if (strcmp(set[i].name, name) == 0)
			return &set[i];
	}
	return NULL;
}

static struct bucket *place(struct limit *l, const char *name, uint64_t now)
{
	struct bucket *set = l->buckets[set_of(name)], *fullest = &set[0];
	for (size_t i = 0; i < LIMIT_WAYS; i++) {
		if (strcmp(set[i].name, name) == 0)
			return &set[i];
		if (level(l, &set[i], now) > level(l, fullest, now))
			fullest = &set[i];
	}
	*fullest = (struct bucket){.level = l->burst, .at = now};
	snprintf(fullest->name, sizeof(fullest->name), "%s", name);
	return fullest;
}

bool limit_has(const struct limit *l, const char *name, uint64_t now_ms, int *retry_s)
{
	const struct bucket *b = find(l, name);
	double have = b ? level(l, b, now_ms) : l->burst;
	if (retry_s)
		*retry_s = until_one(l, have);
	return have >= 1;
}

bool limit_take(struct limit *l, const char *name, uint64_t now_ms, int *retry_s)
{
	struct bucket *b = place(l, name, now_ms);
	double have = level(l, b, now_ms);
	if (retry_s)
		*retry_s = until_one(l, have);
	b->level = have >= 1 ? have - 1 : have;
	b->at = now_ms;
	return have >= 1;
}
