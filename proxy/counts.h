#pragma once
/* counts - what the proxy has counted of moved accounts (accepted.h, straggler.h), kept on disk so that it outlives the process.
 * Every COUNTS_MS the main thread asks the workers and writes what they have to "TABLE.counts", beside the table; a process that ends by
 * itself writes it last of all. So of one that was killed at most those seconds are missing, and the next one tells of which
 * (struct accepted_gaps). A switch is written there first: what was counted of an earlier stay never counts for a later one.
 * A file that is damaged or missing means what it meant before there was one: counted from the start on, and before is not known.
 * Asking is bounded: COUNTS_BATCH accounts of a worker at once, and when it takes long it is done the less often.
 * Threads: the main one. Ownership: the proxy has one. */
#include "proxy/accepted.h"

#define COUNTS_MS    5000
#define COUNTS_BATCH 256

struct counts;
struct proxy;

/* Reads the file, and gives accounts and names to the first worker; none may run yet. Damage is logged. -ENOMEM. */
int counts_open(struct counts **out, struct proxy *p, struct err *err);
void counts_close(struct counts *c); /* NULL is fine */
void counts_second(struct proxy *p); /* a few times a second */
/* Before the table says so: from now on nothing that was counted of a before is of the side it goes to. */
void counts_switch(struct proxy *p, const struct account *a, enum side to);
void counts_end(struct proxy *p); /* writes for the last time, and then stops the loop; twice is fine */

uint64_t counts_since(const struct counts *c);                   /* names are counted since then; ms of the clock of the day */
const struct accepted_gaps *counts_gaps(const struct counts *c); /* and this of it is missing; borrowed */
