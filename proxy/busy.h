#pragma once
/* busy - which accounts have traffic now, and how much: for `shunt top`, and only while somebody looks.
 * Nobody looks mostly: then a worker has no list, and a request costs one comparison with NULL more. The first look makes the list from
 * what is in flight; from there on an account enters it with its next request or connection, and leaves it when it has been quiet between
 * two looks. So a look costs as much as there are busy accounts, not as there are accounts. BUSY_LOOK_MS after the last look the list goes.
 * Each listed account has two marks, what its counters were then; they are moved on at most once in BUSY_STEP_MS, however many look, and a
 * row tells what has come since the older one. Bytes of what is in flight count as they move, for the first BUSY_FLOWS of a look; those of
 * more when they end. Memory: about 150 bytes per busy account and worker, of which there are BUSY_MAX at most; more are counted as left
 * out. Units: ms of loop_now(), bytes. Threads: a list is its worker's; rows are whoever's who has them. Ownership: a list, and each row,
 * holds a reference to its accounts. */
#include "proxy/account.h"

#include <stddef.h>

#define BUSY_LOOK_MS 10000
#define BUSY_STEP_MS 900
#define BUSY_MAX     100000
#define BUSY_FLOWS   50000

struct worker;
struct busy_list;

struct busy_row {
	struct account *account;
	uint64_t requests, bytes_up, bytes_down, errors, refused; /* since the older mark */
	uint64_t flows, parked;                                   /* now */
};

struct busy_rows {
	struct busy_row *rows;
	size_t n;
	uint64_t left_out;    /* accounts that were not listed, for there were too many */
	uint64_t interval_ms; /* that the rows are about; 0: nobody has looked before, and there are none */
	int rc;               /* -ENOMEM: these are not all */
};
void busy_rows_done(struct busy_rows *r);

void busy_look(struct worker *w, struct busy_rows *out); /* then busy_rows_done() */
void busy_second(struct worker *w);                      /* once a second: ends the list that nobody looks at */
void busy_end(struct worker *w);                         /* none is fine */

void busy_list_account(struct worker *w, struct account *a); /* of busy_touch() */
/* Before the account's counters change. */
#define busy_touch(w, a)                                                                    \
	do {                                                                                \
		if ((w)->busy && (a)->shards[(w)->index] && !(a)->shards[(w)->index]->busy) \
			busy_list_account(w, a);                                            \
	} while (0)
