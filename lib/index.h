#pragma once
/* index - byte strings to small numbers, at a speed nobody outside can spoil.
 * Open addressing over SipHash-1-3 with a random key: whoever chooses the strings cannot aim at a slot. The size is fixed at
 * index_init(); at most three quarters of the slots are ever in use.
 * Ownership: keys are borrowed and must stay where they are as long as the index lives. Threads: index_get() any. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_KEY_MAX 255 /* bytes of one key */

struct index {
	struct index_slot *slots; /* NULL: an index of nothing, which is fine to ask */
	size_t mask, n, max;
	uint64_t key[2];
};

int index_init(struct index *x, size_t max); /* room for max keys; -ENOMEM, or -errno of getrandom */
void index_done(struct index *x);
/* 0, or -EEXIST with the value that is there already in *there (which may be NULL). More than max keys is a slip of the caller. */
int index_put(struct index *x, const void *key, size_t len, uint32_t value, uint32_t *there);
/* The key as it was put comes back in *stored, unless stored is NULL. A key longer than INDEX_KEY_MAX is never there. */
bool index_get(const struct index *x, const void *key, size_t len, uint32_t *value, const char **stored);

uint64_t siphash13(const uint64_t key[2], const void *bytes, size_t len);
