#pragma once
/* seenfile - what seen.h counts, kept on disk ("TABLE.seen", beside the table) so that it is of days, however often the process ends.
 * It is written every SEENFILE_MS, SEENFILE_BATCH accounts in a turn of the main thread, and less often where that takes much of its time;
 * a process that ends by itself writes it last of all. So of one that was killed at most those seconds are missing. They, and the time in
 * which no process ran, are told as uncounted. The file is as countfile.h says: a damaged or missing one means that counting begins anew,
 * which is told (since).
 * Accounts that the table has no more are forgotten with the next writing. One that came later than the file has a moment of its own from
 * which on it was counted (account.h).
 * Threads: the main one. Ownership: the proxy has one; it borrows the room. Units: ms since 1970 UTC, but for mono_ms. */
#include "lib/err.h"
#include "proxy/seen.h"

#define SEENFILE_MS    5000
#define SEENFILE_BATCH 1000

struct seenfile;
struct table;

/* Reads the file, and gives what it has to the accounts of t (NULL: not known; then it is forgotten). No worker may run yet. Damage is
 * logged. -ENOMEM. */
int seenfile_open(struct seenfile **out, const char *table_path, struct seen_room *room, const struct table *t, struct err *err);
void seenfile_close(struct seenfile *f); /* NULL is fine; writes nothing */
/* A few times a second; mono_ms is of the monotonic clock. */
void seenfile_second(struct seenfile *f, const struct table *t, uint64_t mono_ms);
void seenfile_write(struct seenfile *f, const struct table *t); /* all of it, now */

uint64_t seenfile_since(const struct seenfile *f, const struct account *a, uint64_t now_ms); /* at most SEEN_DAYS ago */
uint64_t seenfile_uncounted_ms(const struct seenfile *f, uint64_t now_ms);                   /* of the last SEEN_DAYS days */
