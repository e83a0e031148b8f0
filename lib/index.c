#include "lib/index.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* 16 bytes, four to a cache line: a look-up that finds nothing touches one line, one that finds something also its string. */
struct index_slot {
	const char *key; /* NULL: free */
	uint32_t value;
	uint32_t mark; /* upper 24 bits of the hash, then the key's length */
};

static uint64_t rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void sipround(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* n bytes, the first one lowest. */
static uint64_t load_le(const unsigned char *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

static uint64_t load_le64(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w); /* one instruction, which a loop would not become */
	return le64toh(w);
}

/* Aumasson and Bernstein's SipHash with one round per word and three at the end: what hash tables need of it. */
uint64_t siphash13(const uint64_t key[2], const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
			 key[1] ^ 0x7465646279746573};
	uint64_t last = (uint64_t)len << 56;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t w = load_le64(p);
		v[3] ^= w;
		sipround(v);
		v[0] ^= w;
	}
	last |= load_le(p, len);
	v[3] ^= last;
	sipround(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sipround(v);
	sipround(v);
	sipround(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int index_init(struct index *x, size_t max)
{
	size_t size = 8;

	memset(x, 0, sizeof *x);
	if (max == 0)
		return 0;
	if (max > UINT32_MAX)
		return -ENOMEM;
	while (size / 4 * 3 < max)
		size *= 2;
	if (getrandom(x->key, sizeof x->key, 0) != sizeof x->key)
		return errno ? -errno : -EIO;
	x->slots = calloc(size, sizeof *x->slots);
	if (!x->slots)
		return -ENOMEM;
	x->mask = size - 1;
	x->max = max;
	return 0;
}

void index_done(struct index *x)
{
	free(x->slots);
	memset(x, 0, sizeof *x);
}

/* The slot that holds the key, or the free one where it belongs. */
static struct index_slot *slot_of(const struct index *x, const void *key, size_t len, uint32_t *mark)
{
	uint64_t hash = siphash13(x->key, key, len);
	size_t at = hash & x->mask;

	*mark = (uint32_t)(hash >> 32 & 0xffffff00) | (uint32_t)len;
	while (x->slots[at].key && !(x->slots[at].mark == *mark && memcmp(x->slots[at].key, key, len) == 0))
		at = (at + 1) & x->mask;
	return &x->slots[at];
}

int index_put(struct index *x, const void *key, size_t len, uint32_t value, uint32_t *there)
{
	uint32_t mark;
	struct index_slot *s;

	assert(len <= INDEX_KEY_MAX && x->slots);
	s = slot_of(x, key, len, &mark);
	if (s->key) {
		if (there)
			*there = s->value;
		return -EEXIST;
	}
	assert(x->n < x->max);
	*s = (struct index_slot){key, value, mark};
	x->n++;
	return 0;
}

bool index_get(const struct index *x, const void *key, size_t len, uint32_t *value, const char **stored)
{
	uint32_t mark;
	const struct index_slot *s;

	if (!x->slots || len > INDEX_KEY_MAX)
		return false;
	s = slot_of(x, key, len, &mark);
	if (!s->key)
		return false;
	*value = s->value;
	if (stored)
		*stored = s->key;
	return true;
}
