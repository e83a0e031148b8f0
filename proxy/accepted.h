#pragma once
/* accepted - what the side that an account is on has taken in since the account was switched there: what going back would leave behind.
 * Counted are requests that write (any method but GET, HEAD and OPTIONS; TRACE and CONNECT never get past http.h), by what became of them,
 * with the bytes of their bodies; and connections in which nobody can see requests, by listener: TLS, TCP, and what began as HTTP and was
 * upgraded. These may have written.
 * It begins at a switch, and goes on in the next process with what the one before has left on disk (counts.h); what came between its last
 * writing and its being killed is missing, and that is told. An account that is on the transit server when this process meets it, without
 * any such record (an import), is counted from there on, and what was before is unknown, which is never told as nothing. An account on the
 * client server that has not been switched costs nothing and is not counted.
 * Each worker counts in its shard of the account, memory is taken at the first thing to count: about 300 bytes, and 70 for each listener,
 * of which there are ACCEPTED_LISTENERS at most. A switch starts anew without asking the workers: what a shard has counted since another
 * moment than the account's is of before.
 * Ownership: a shard its own, a sum whoever made it. Threads: a shard's worker; accepted_begin() is the main one's, while nothing of the
 * account is in flight, or no worker runs. Units: ms of loop_now() (of before the host's start too: differences of them are right, which is
 * greater is not), bytes. */
#include "lib/conf.h"
#include "proxy/account.h"
#include "proxy/http.h"

#include <stdbool.h>

#define ACCEPTED_LISTENERS 64 /* named ones per account and worker; further ones are counted together */

enum accepted_verdict {
	ACCEPTED_OK,      /* answered with 2xx or 3xx (or 1xx) */
	ACCEPTED_REFUSED, /* answered with 4xx or 5xx */
	ACCEPTED_UNKNOWN, /* it was sent, at least in part, and no answer came back, or not yet: whether it was done nobody knows */
	ACCEPTED_VERDICTS
};
const char *accepted_verdict_name(enum accepted_verdict v); /* "accepted", "refused", "unanswered" */
enum accepted_verdict accepted_verdict_of(unsigned status); /* 0: no answer */

enum write_method { WRITE_POST, WRITE_PUT, WRITE_PATCH, WRITE_DELETE, WRITE_OTHER, WRITE_METHODS };
const char *write_method_name(enum write_method m);
bool write_method_of(enum http_method m, enum write_method *out); /* false: it only reads */

struct accepted_writes {
	uint64_t by_method[WRITE_METHODS];
	uint64_t bytes; /* of their bodies, as far as they were sent on */
	uint64_t first_ms, last_ms;
};

struct accepted_conns {
	struct accepted_conns *next;
	uint64_t count;
	uint64_t bytes; /* that visitors sent, handshakes included */
	uint64_t first_ms, last_ms;
	enum protocol protocol; /* PROTOCOL_HTTP: upgraded */
	char listener[];        /* "": of further listeners, together */
};

/* Between the last writing and the end of a process that did not end by itself nobody knows what came. */
struct accepted_gaps {
	unsigned n;
	uint64_t from_ms, until_ms; /* of the last one; of the clock of the day */
};

struct accepted {
	uint64_t since_ms; /* the account's when this was begun */
	struct accepted_gaps gaps;
	struct accepted_writes writes[ACCEPTED_VERDICTS];
	struct accepted_conns *conns; /* in the order in which they came */
	unsigned n_conns;
};

/* Counting starts anew. whole: the account has just been switched here, so nothing was before. */
void accepted_begin(struct account *a, uint64_t now_ms, bool whole);

/* Goes on with what another process has counted, since since_ms; takes kept's parts. Only before workers run. -ENOMEM: nothing was taken.
 */
int accepted_restore(struct account *a, uint64_t since_ms, bool whole, struct accepted *kept);

static inline bool accepted_counts(const struct account *a) /* else the two below do nothing */
{
	return atomic_load_explicit(&((struct account *)a)->counted_since, memory_order_relaxed) != 0;
}

/* In a worker, of what is in flight there. Where there is no memory the count is not whole any more. */
void accepted_request(struct account *a, unsigned worker, enum write_method m, enum accepted_verdict v, uint64_t bytes, uint64_t now_ms);
/* count: 1 when the back end has been reached, 0 with what was sent on it, later. */
void accepted_connection(struct account *a, unsigned worker, const char *listener, enum protocol protocol, unsigned count, uint64_t bytes,
			 uint64_t now_ms);

/* The entry of that listener, made where there is none; "": of further ones, together. NULL: no memory. */
struct accepted_conns *accepted_conns_of(struct accepted *a, const char *listener, enum protocol protocol);

/* In a worker: adds what it has counted to *sum, which is zeroed at first. -ENOMEM. */
int accepted_add(struct accepted *sum, const struct account *a, unsigned worker);
/* What is in flight and not counted yet: a request; a connection that was counted without what has been sent on it. */
void accepted_add_request(struct accepted *sum, enum write_method m, enum accepted_verdict v, uint64_t bytes, uint64_t at_ms);
int accepted_add_open(struct accepted *sum, const char *listener, enum protocol protocol, uint64_t bytes, uint64_t at_ms);
int accepted_merge(struct accepted *sum, const struct accepted *from);
void accepted_done(struct accepted *a); /* of a sum: its parts */
void accepted_free(struct accepted *a); /* NULL is fine */
