/* A hash table with chains and one list by age. An entry is one piece of memory with its name in it, so that a hit touches little: its
 * bucket and itself; its place in the list is brought up to date once a second. Whatever moves an entry there moves its group after it: so
 * a group is always more recent than all that is below it, and is never the one to go while an entry still points to it. */
#include "proxy/straggler.h"

#include "lib/index.h"
#include "proxy/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MOVE_MS 1000

struct stragglers {
	uint64_t key[2]; /* of the hash: strangers must not choose who shares a bucket */
	size_t max, mask, n;
	uint64_t evicted;
	struct straggler **buckets; /* NULL until the first entry */
	struct straggler *oldest, **newest;
};

const char *straggler_kind_name(enum straggler_kind k)
{
	switch (k) {
	case STRAGGLER_HTTP:
		return "http";
	case STRAGGLER_TLS:
		return "tls";
	case STRAGGLER_TCP:
		return "tcp";
	case STRAGGLER_ADDRESS:
		return "address";
	}
	return "?";
}

struct stragglers *stragglers_new(size_t max)
{
	struct stragglers *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	if (getrandom(t->key, sizeof t->key, 0) != (ssize_t)sizeof t->key) {
		free(t);
		return NULL;
	}
	t->max = max < 4 ? 4 : max;
	for (t->mask = 4; t->mask < t->max; t->mask *= 2)
		;
	t->mask--;
	t->newest = &t->oldest;
	return t;
}

/* ---- the list by age, the oldest first ---- */

static void list_append(struct stragglers *t, struct straggler *s)
{
	s->newer = NULL;
	s->link = t->newest;
	*t->newest = s;
	t->newest = &s->newer;
}

static void list_remove(struct stragglers *t, struct straggler *s)
{
	*s->link = s->newer;
	if (s->newer)
		s->newer->link = s->link;
	else
		t->newest = s->link;
}

static void move_last(struct stragglers *t, struct straggler *s)
{
	if (!s->newer)
		return;
	list_remove(t, s);
	list_append(t, s);
}

/* ---- entries ---- */

static void drop(struct stragglers *t, struct straggler *s)
{
	struct straggler **link = &t->buckets[s->hash & t->mask];

	assert(s->below == 0);
	while (*link != s)
		link = &(*link)->chain;
	*link = s->chain;
	list_remove(t, s);
	if (s->group)
		s->group->below--;
	account_unref(s->account);
	free(s);
	t->n--;
}

static struct straggler *find(const struct stragglers *t, const struct account *a, enum straggler_kind kind, const char *name, size_t len,
			      uint64_t hash)
{
	struct straggler *s = t->buckets ? t->buckets[hash & t->mask] : NULL;

	while (s && (s->hash != hash || s->account != a || s->kind != kind || s->len != len || memcmp(s->name, name, len) != 0))
		s = s->chain;
	return s;
}

static uint64_t hash_of(const struct stragglers *t, enum straggler_kind kind, const char *name, size_t len)
{
	return siphash13(t->key, name, len) ^ kind;
}

/* The oldest goes where there are too many. NULL: no memory. */
static struct straggler *add(struct stragglers *t, struct account *a, enum straggler_kind kind, const char *name, size_t len, uint64_t hash)
{
	struct straggler *s;

	if (!t->buckets)
		t->buckets = calloc(t->mask + 1, sizeof(struct straggler *));
	s = t->buckets ? malloc(sizeof *s + len + 1) : NULL;
	if (!s) {
		t->evicted++;
		return NULL;
	}
	if (t->n >= t->max) {
		drop(t, t->oldest);
		t->evicted++;
	}
	*s = (struct straggler){.account = account_ref(a), .hash = hash, .kind = (uint8_t)kind, .len = (uint8_t)len};
	memcpy(s->name, name, len);
	s->name[len] = '\0';
	s->chain = t->buckets[hash & t->mask];
	t->buckets[hash & t->mask] = s;
	list_append(t, s);
	t->n++;
	return s;
}

static struct straggler *find_or_add(struct stragglers *t, struct account *a, enum straggler_kind kind, const char *name, size_t len)
{
	uint64_t hash = hash_of(t, kind, name, len);
	struct straggler *s = find(t, a, kind, name, len, hash);

	return s ? s : add(t, a, kind, name, len, hash);
}

/* The entry that such a name counts for: its own, or that of the wildcard above it. NULL: no memory. */
static struct straggler *entry_for(struct stragglers *t, struct account *a, enum straggler_kind kind, const char *name, size_t len,
				   size_t star)
{
	uint64_t hash = hash_of(t, kind, name, len);
	struct straggler *s = find(t, a, kind, name, len, hash), *group;
	char wildcard[DOMAIN_MAX + 2];

	if (s || star == 0)
		return s ? s : add(t, a, kind, name, len, hash);
	wildcard[0] = '*';
	memcpy(wildcard + 1, name + star, len - star);
	group = find_or_add(t, a, kind, wildcard, len - star + 1);
	if (!group || group->below >= STRAGGLER_BELOW)
		return group;
	move_last(t, group); /* so that it is not the one that goes now */
	s = add(t, a, kind, name, len, hash);
	if (!s)
		return group;
	s->star = (uint8_t)star;
	s->group = group;
	group->below++;
	move_last(t, group);
	return s;
}

/* What was seen so often and in between those times counts for s. */
static void take(struct stragglers *t, struct straggler *s, uint64_t count, uint64_t first_ms, uint64_t last_ms)
{
	if (s->count == 0 || (int64_t)(first_ms - s->first_ms) < 0)
		s->first_ms = first_ms;
	if (s->count == 0 || (int64_t)(last_ms - s->last_ms) > 0)
		s->last_ms = last_ms;
	s->count += count;
	if (last_ms - s->moved_ms < MOVE_MS)
		return;
	s->moved_ms = last_ms;
	move_last(t, s);
	if (s->group)
		move_last(t, s->group);
}

static void take_address(struct straggler *s, const struct addr *here)
{
	struct addr *at = addr_family(here) == AF_INET6 ? &s->here6 : &s->here4;

	if (addr_family(here) != AF_UNSPEC && !addr_same_ip(at, here))
		*at = *here;
}

void stragglers_count(struct stragglers *t, struct account *a, enum straggler_kind kind, const char *name, size_t len, const char *matched,
		      const struct addr *here, uint64_t now_ms)
{
	size_t star = matched && *matched == '*' ? len - (strlen(matched) - 1) : 0;
	struct straggler *s = len && len <= DOMAIN_MAX ? entry_for(t, a, kind, name, len, star) : NULL;

	if (!s)
		return;
	take(t, s, 1, now_ms, now_ms);
	take_address(s, here);
}

void stragglers_restore(struct stragglers *t, struct account *a, const struct straggler_kept *k)
{
	/* a wildcard's own entry stands for itself */
	size_t star = k->matched && *k->matched == '*' && *k->name != '*' ? k->len - (strlen(k->matched) - 1) : 0;
	struct straggler *s = k->len && k->len <= DOMAIN_MAX ? entry_for(t, a, k->kind, k->name, k->len, star) : NULL;

	if (!s)
		return;
	take(t, s, k->count, k->first_ms, k->last_ms);
	take_address(s, &k->here4);
	take_address(s, &k->here6);
}

/* ---- forgetting ---- */

static bool owned(const struct straggler *s, const struct table *accounts)
{
	if (s->kind == STRAGGLER_HTTP || s->kind == STRAGGLER_TLS) /* a wildcard covers itself, too */
		return table_by_name(accounts, s->name, s->len, NULL) == s->account;
	return table_find(accounts, s->account->name) == s->account;
}

/* From the oldest on, so that groups come after what is below them. */
static void drop_where(struct stragglers *t, bool (*gone)(const struct straggler *s, const void *arg), const void *arg)
{
	for (struct straggler *s = t->oldest, *next; s; s = next) {
		next = s->newer;
		if (gone(s, arg))
			drop(t, s);
	}
}

static bool is_of(const struct straggler *s, const void *account)
{
	return s->account == account;
}

void stragglers_forget(struct stragglers *t, const struct account *a)
{
	drop_where(t, is_of, a);
}

static bool is_lost(const struct straggler *s, const void *accounts)
{
	return !owned(s, accounts) || (s->group && !owned(s->group, accounts));
}

void stragglers_keep(struct stragglers *t, const struct table *accounts)
{
	drop_where(t, is_lost, accounts);
}

void stragglers_free(struct stragglers *t)
{
	if (!t)
		return;
	for (struct straggler *s = t->oldest, *next; s; s = next) {
		next = s->newer;
		account_unref(s->account);
		free(s);
	}
	free(t->buckets);
	free(t);
}

/* ---- telling ---- */

size_t stragglers_size(const struct stragglers *t)
{
	return t->n;
}

uint64_t stragglers_evicted(const struct stragglers *t)
{
	return t->evicted;
}

static size_t bytes_of(const struct straggler *s)
{
	size_t n = sizeof *s + s->len + 1u;

	return (n + _Alignof(struct straggler) - 1) / _Alignof(struct straggler) * _Alignof(struct straggler);
}

static bool is_told(const struct straggler *s, const struct account *only)
{
	return s->count && (!only || s->account == only);
}

void *stragglers_copy(const struct stragglers *t, const struct account *only, size_t *n)
{
	size_t bytes = 0;
	char *copy, *at;

	*n = 0;
	for (const struct straggler *s = t->oldest; s; s = s->newer) {
		if (is_told(s, only)) {
			bytes += bytes_of(s);
			++*n;
		}
	}
	copy = at = *n ? malloc(bytes) : NULL;
	for (const struct straggler *s = t->oldest; copy && s; s = s->newer) {
		if (!is_told(s, only))
			continue;
		memcpy(at, s, sizeof *s + s->len + 1u);
		account_ref(s->account);
		at += bytes_of(s);
	}
	return copy;
}

void stragglers_copy_free(void *copy, size_t n)
{
	char *at = copy;

	for (size_t i = 0; copy && i < n; i++) {
		struct straggler *s = (struct straggler *)at;

		at += bytes_of(s);
		account_unref(s->account);
	}
	free(copy);
}

static int heavier(const void *a, const void *b)
{
	const struct straggler *x = *(const struct straggler *const *)a, *y = *(const struct straggler *const *)b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->last_ms != y->last_ms)
		return (int64_t)(x->last_ms - y->last_ms) > 0 ? -1 : 1;
	return strcmp(x->name, y->name);
}

int stragglers_merge(struct stragglers *into, void *const *copies, const size_t *n, size_t n_copies)
{
	const struct straggler **all;
	size_t total = 0, k = 0;

	for (size_t i = 0; i < n_copies; i++)
		total += copies[i] ? n[i] : 0;
	all = calloc(total + 1, sizeof(struct straggler *));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n_copies; i++) {
		const char *at = copies[i];

		for (size_t j = 0; at && j < n[i]; j++) {
			all[k++] = (const struct straggler *)at;
			at += bytes_of(all[k - 1]);
		}
	}
	qsort(all, total, sizeof *all, heavier);
	for (size_t i = 0; i < total; i++) {
		const struct straggler *from = all[i];
		struct straggler *s = entry_for(into, from->account, (enum straggler_kind)from->kind, from->name, from->len, from->star);

		if (!s)
			continue;
		take(into, s, from->count, from->first_ms, from->last_ms);
		take_address(s, &from->here4);
		take_address(s, &from->here6);
	}
	free(all);
	return 0;
}

static int by_account(const void *a, const void *b)
{
	const struct straggler *x = *(struct straggler *const *)a, *y = *(struct straggler *const *)b;

	return x->account == y->account ? 0 : (uintptr_t)x->account < (uintptr_t)y->account ? -1 : 1;
}

static void sum_accounts(struct straggler **all, size_t n)
{
	size_t end;

	qsort(all, n, sizeof *all, by_account);
	for (size_t i = 0; i < n; i = end) {
		uint64_t sum = 0;

		for (end = i; end < n && all[end]->account == all[i]->account; end++)
			sum += all[end]->count;
		for (size_t k = i; k < end; k++)
			all[k]->of_account = sum;
	}
}

struct straggler **stragglers_sorted(struct stragglers *t, size_t *n)
{
	struct straggler **all = calloc(t->n + 1, sizeof(struct straggler *));

	*n = 0;
	if (!all)
		return NULL;
	for (struct straggler *s = t->oldest; s; s = s->newer) {
		if (s->count)
			all[(*n)++] = s;
	}
	sum_accounts(all, *n);
	qsort(all, *n, sizeof *all, heavier);
	return all;
}
