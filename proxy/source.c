#include "proxy/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/random.h>

/* The table is cut into stripes, each a small hash table with its own lock and its share of the entries. A source lives in the
 * stripe its hash names, so that all a stripe needs to know is its own; only the number of connections in all is shared. */
#define STRIPES 64
#define ENTRIES (SOURCE_MAX / STRIPES)
#define BUCKETS ENTRIES
#define LOOK    8 /* how many of the least recently seen are weighed when every entry of a stripe has connections */

struct key {
	uint64_t net; /* the IPv4 address or the upper half of the IPv6 one */
	uint64_t family;
};

struct entry {
	struct key key;
	struct entry *chain;       /* of its bucket */
	TAILQ_ENTRY(entry) by_age; /* of idle or busy */
	unsigned held;
	uint64_t tokens;  /* thousandths of a connection */
	uint64_t seen_ms; /* when tokens was right */
};
TAILQ_HEAD(entries, entry);

struct stripe {
	pthread_mutex_t lock;
	struct entries idle, busy; /* least recently seen first; idle ones hold no connection */
	struct entry *bucket[BUCKETS];
	unsigned n_made;
	struct entry entry[ENTRIES]; /* made one after the other: memory nobody needed is never touched */
} __attribute__((aligned(64)));

struct sources {
	uint64_t secret[2]; /* of the hash: strangers must not choose who shares a bucket */
	atomic_uint concurrent, rate, budget;
	atomic_uint used;
	struct stripe stripe[STRIPES];
};

const char *source_verdict_name(enum source_verdict v)
{
	switch (v) {
	case SOURCE_OK:
		return "ok";
	case SOURCE_TOO_MANY:
		return "too many connections of this source";
	case SOURCE_TOO_FAST:
		return "too many new connections per second of this source";
	case SOURCE_HEAVY:
		return "nearly full, and this source holds too many";
	case SOURCE_FULL:
		return "full";
	}
	return "?";
}

struct sources *sources_new(const struct source_limits *lim)
{
	assert(lim->budget > 0);
	/* Pages straight from the kernel: aligned, zero, and not there before someone touches them. */
	struct sources *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	if (getrandom(s->secret, sizeof s->secret, 0) != sizeof s->secret) {
		munmap(s, sizeof *s);
		return NULL;
	}
	for (unsigned i = 0; i < STRIPES; i++) {
		pthread_mutex_init(&s->stripe[i].lock, NULL);
		TAILQ_INIT(&s->stripe[i].idle);
		TAILQ_INIT(&s->stripe[i].busy);
	}
	sources_limit(s, lim);
	return s;
}

void sources_free(struct sources *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&s->stripe[i].lock);
	munmap(s, sizeof *s);
}

void sources_limit(struct sources *s, const struct source_limits *lim)
{
	atomic_store(&s->concurrent, lim->concurrent);
	atomic_store(&s->rate, lim->rate);
	atomic_store(&s->budget, lim->budget);
}

static struct key key_of(const struct addr *peer)
{
	struct key k = {0, (uint64_t)addr_family(peer)};
	if (k.family == AF_INET)
		k.net = peer->v4.sin_addr.s_addr;
	else if (k.family == AF_INET6)
		memcpy(&k.net, &peer->v6.sin6_addr, sizeof k.net);
	return k;
}

static bool key_same(const struct key *a, const struct key *b)
{
	return a->net == b->net && a->family == b->family;
}

static void sip_round(uint64_t v[4])
{
#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))
	v[0] += v[1], v[1] = ROTL(v[1], 13) ^ v[0], v[0] = ROTL(v[0], 32);
	v[2] += v[3], v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = ROTL(v[1], 17) ^ v[2], v[2] = ROTL(v[2], 32);
#undef ROTL
}

/* SipHash-1-3 of the two words of a key. */
static uint64_t hash_of(const struct sources *s, const struct key *k)
{
	const uint64_t words[] = {k->net, k->family, (uint64_t)sizeof *k << 56};
	uint64_t v[4] = {s->secret[0] ^ 0x736f6d6570736575u, s->secret[1] ^ 0x646f72616e646f6du, s->secret[0] ^ 0x6c7967656e657261u,
			 s->secret[1] ^ 0x7465646279746573u};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct stripe *stripe_of(struct sources *s, uint64_t hash)
{
	return &s->stripe[hash % STRIPES];
}

static struct entry **bucket_of(struct stripe *st, uint64_t hash)
{
	return &st->bucket[hash / STRIPES % BUCKETS];
}

static struct entry *find(struct stripe *st, uint64_t hash, const struct key *k)
{
	struct entry *e = *bucket_of(st, hash);
	while (e && !key_same(&e->key, k))
		e = e->chain;
	return e;
}

/* Whom to forget: one that holds nothing, else the lightest of those not seen for longest. Connections of a forgotten source still count
 * in `used`; of the source itself they are no longer known, which errs on the side of letting it in. */
static struct entry *victim(struct stripe *st)
{
	struct entry *e = TAILQ_FIRST(&st->idle), *best = e;
	if (e)
		return e;
	e = best = TAILQ_FIRST(&st->busy);
	for (unsigned i = 0; e && i < LOOK; i++, e = TAILQ_NEXT(e, by_age))
		if (e->held < best->held)
			best = e;
	return best;
}

static void forget(struct sources *s, struct stripe *st, struct entry *e)
{
	struct entry **link = bucket_of(st, hash_of(s, &e->key));
	while (*link != e)
		link = &(*link)->chain;
	*link = e->chain;
	TAILQ_REMOVE(e->held ? &st->busy : &st->idle, e, by_age);
}

/* A new entry, idle, its bucket of tokens full. */
static struct entry *add(struct sources *s, struct stripe *st, uint64_t hash, const struct key *k, uint64_t now_ms)
{
	struct entry *e;
	if (st->n_made < ENTRIES) {
		e = &st->entry[st->n_made++];
	} else {
		e = victim(st);
		forget(s, st, e);
	}
	struct entry **head = bucket_of(st, hash);
	*e = (struct entry){.key = *k, .chain = *head, .tokens = UINT64_MAX, .seen_ms = now_ms};
	*head = e;
	TAILQ_INSERT_TAIL(&st->idle, e, by_age);
	return e;
}

static void refill(struct entry *e, unsigned rate, uint64_t now_ms)
{
	uint64_t depth = (uint64_t)rate * 1000;
	/* Workers' clocks differ by a little; one that lags adds nothing. More than a second fills it anyway. */
	uint64_t passed = now_ms > e->seen_ms ? now_ms - e->seen_ms : 0;
	if (passed > 1000)
		passed = 1000;
	if (e->tokens < depth)
		e->tokens += passed * rate;
	if (e->tokens > depth)
		e->tokens = depth;
	if (now_ms > e->seen_ms)
		e->seen_ms = now_ms;
}

/* Takes one of the budget, or says why not. Several stripes compete, hence the loop: the limit is exact. */
static enum source_verdict reserve(struct sources *s, unsigned held)
{
	unsigned budget = atomic_load(&s->budget), used = atomic_load(&s->used);
	do {
		if (used >= budget)
			return SOURCE_FULL;
		if (((uint64_t)used + 1) * 5 > (uint64_t)budget * 4 && held >= budget - used)
			return SOURCE_HEAVY;
	} while (!atomic_compare_exchange_weak(&s->used, &used, used + 1));
	return SOURCE_OK;
}

/* e is NULL for a source not in the table. */
static enum source_verdict judge(struct sources *s, struct entry *e, unsigned rate, uint64_t now_ms)
{
	unsigned held = e ? e->held : 0, concurrent = atomic_load(&s->concurrent);
	if (concurrent && held >= concurrent)
		return SOURCE_TOO_MANY;
	if (rate && e) {
		refill(e, rate, now_ms);
		if (e->tokens < 1000)
			return SOURCE_TOO_FAST;
	}
	return reserve(s, held);
}

enum source_verdict sources_enter(struct sources *s, const struct addr *peer, uint64_t now_ms)
{
	struct key k = key_of(peer);
	uint64_t hash = hash_of(s, &k);
	struct stripe *st = stripe_of(s, hash);
	unsigned rate = atomic_load(&s->rate);

	pthread_mutex_lock(&st->lock);
	struct entry *e = find(st, hash, &k);
	enum source_verdict v = judge(s, e, rate, now_ms);
	if (v == SOURCE_OK && !e)
		e = add(s, st, hash, &k, now_ms);
	if (e) { /* seen, hence to the end of its list, also when refused */
		TAILQ_REMOVE(e->held ? &st->busy : &st->idle, e, by_age);
		if (v == SOURCE_OK) {
			if (rate) { /* judge() has seen a whole one, and a new entry has all */
				refill(e, rate, now_ms);
				e->tokens -= 1000;
			}
			e->held++;
		}
		TAILQ_INSERT_TAIL(e->held ? &st->busy : &st->idle, e, by_age);
	}
	pthread_mutex_unlock(&st->lock);
	return v;
}

void sources_leave(struct sources *s, const struct addr *peer)
{
	struct key k = key_of(peer);
	uint64_t hash = hash_of(s, &k);
	struct stripe *st = stripe_of(s, hash);

	pthread_mutex_lock(&st->lock);
	struct entry *e = find(st, hash, &k);
	if (e && e->held && --e->held == 0) { /* else it was forgotten meanwhile */
		TAILQ_REMOVE(&st->busy, e, by_age);
		TAILQ_INSERT_TAIL(&st->idle, e, by_age);
	}
	pthread_mutex_unlock(&st->lock);
	unsigned before = atomic_fetch_sub(&s->used, 1);
	assert(before > 0);
	(void)before;
}

unsigned sources_used(const struct sources *s)
{
	return atomic_load(&s->used);
}
