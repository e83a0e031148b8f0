#pragma once
/* straggler - the names whose visitors still come to the client server's address although their account has moved to the transit server:
 * what shunt-proxy forwards tells whose DNS is still to be changed.
 * A table holds an entry per account, kind and name, counted by request (HTTP) or connection (TLS, TCP). Its memory is bounded whatever
 * visitors invent: only what the table of accounts recognises gets here; of the names that one wildcard covers the first STRAGGLER_BELOW
 * have entries of their own, the others count for the wildcard, so that inventing names cannot flush real ones; and when an entry is
 * needed beyond the limit the least recently seen one goes, and is counted.
 * Ownership: a table holds a reference to the account of each entry. Threads: none of its own; a worker has a table, and the main thread
 * makes one of copies of theirs. Units: ms of loop_now(), of before
 * the host's start too: differences of them are right, which is greater is not. */
#include "lib/addr.h"
#include "lib/conf.h"
#include "proxy/account.h"

#include <stddef.h>
#include <stdint.h>

/* Entries of one worker: at about 200 bytes each some 3 MB when full. As many moved names as a large client server has, and a host that
 * has more is told of the busiest and latest. */
#define STRAGGLERS_MAX 16384
/* Names below one wildcard: more than people read, far less than a visitor can invent. */
#define STRAGGLER_BELOW 64

enum straggler_kind {
	STRAGGLER_HTTP,    /* a Host */
	STRAGGLER_TLS,     /* a server name */
	STRAGGLER_TCP,     /* no name can be: the name is ADDRESS:PORT, where the visitor wanted to go */
	STRAGGLER_ADDRESS, /* HTTP or TLS without a name: likewise */
};
const char *straggler_kind_name(enum straggler_kind k);

/* What every request touches stands together at the end, beside the name. */
struct straggler {
	uint64_t of_account; /* what is counted of its account under all names together, as of stragglers_sorted() */
	uint64_t first_ms;
	struct straggler *newer, **link; /* by when it was seen last, to about a second */
	uint64_t moved_ms;               /* when it got its place there */
	unsigned below;                  /* entries whose group this is */
	struct addr here6, here4;        /* where they came to, the last of either family; AF_UNSPEC: none */
	struct straggler *chain;         /* of its bucket */
	struct straggler *group;         /* the wildcard's entry above it; NULL: none */
	struct account *account;         /* a reference */
	uint64_t hash;
	uint64_t last_ms;
	uint64_t count; /* 0: a wildcard's entry that so far only groups those below it */
	uint8_t kind;   /* enum straggler_kind */
	uint8_t star;   /* of a name that a wildcard covers: how many bytes of it the star stands for; else 0 */
	uint8_t len;    /* of name */
	char name[];    /* as looked up: lower case; or "*.domain", or an address with its port; NUL-terminated */
};

struct stragglers;
struct stragglers *stragglers_new(size_t max); /* at most max entries, 4 at least; memory is taken as they come. NULL: no memory */
void stragglers_free(struct stragglers *t);    /* NULL is fine */

/* One request or connection. matched is table_by_name()'s, or NULL; here is borrowed, its port is ignored. Where there is no memory for a
 * new entry it counts as one that had to go. */
void stragglers_count(struct stragglers *t, struct account *a, enum straggler_kind kind, const char *name, size_t len, const char *matched,
		      const struct addr *here, uint64_t now_ms);
/* What another process has counted of a name (its first and last time are of ours; addresses may be AF_UNSPEC). matched as above. */
struct straggler_kept {
	enum straggler_kind kind;
	const char *name, *matched;
	size_t len;
	uint64_t count, first_ms, last_ms;
	struct addr here4, here6;
};
void stragglers_restore(struct stragglers *t, struct account *a, const struct straggler_kept *k);
/* The account is home: what was counted of it is forgotten, so that a later move begins with nothing. */
void stragglers_forget(struct stragglers *t, const struct account *a);
/* Another table of accounts: forgets what is not the same account's in it any more. */
struct table;
void stragglers_keep(struct stragglers *t, const struct table *accounts);

size_t stragglers_size(const struct stragglers *t);
uint64_t stragglers_evicted(const struct stragglers *t); /* entries that had to go, since the start */
/* Copies the entries, of one account or (NULL) of all, one behind the other into one piece of memory, for another thread. Returns new, to
 * be freed with stragglers_copy_free(); NULL with *n > 0: no memory. */
void *stragglers_copy(const struct stragglers *t, const struct account *only, size_t *n);
/* The heaviest first, so that of what a wildcard covers these keep their entries. Copies may be NULL. */
int stragglers_merge(struct stragglers *into, void *const *copies, const size_t *n, size_t n_copies); /* -ENOMEM */
void stragglers_copy_free(void *copy, size_t n);
/* The entries with a count, the heaviest first, with of_account filled in; borrowed from t, the array is new. NULL: no memory. */
struct straggler **stragglers_sorted(struct stragglers *t, size_t *n);
