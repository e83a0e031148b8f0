#pragma once
/* countfile - a file of JSON objects, one in a line, that is written anew as a whole every few seconds and added to in between.
 * Each line carries a CRC32c that goes on from the line before, as in store.h; the last line of what was written as a whole says so. It is
 * written beside the file and renamed over it, not synced: after a kill it is there, after a power cut it is there, older or (which the
 * check sums show) not at all. What is added is synced, with the file's name. When nothing would change, only the time of the file is set:
 * that is until when it is true.
 * Not for what must not be lost: whoever reads it does without where it is missing.
 * Threads: one. */
#include "lib/err.h"

#include <jansson.h>
#include <stdint.h>

struct countfile;

int countfile_new(struct countfile **out, const char *path, struct err *err); /* -ENOMEM; touches nothing */
void countfile_free(struct countfile *f);                                     /* NULL is fine */

/* All objects of the file: n_put that were put, and those added since; a last line that was not finished is cut off. What is added now goes
 * behind them. until_ms: of the clock of the day.
 * -ENOENT: there is none. -EBADMSG: damaged, of a later version, or not ours (owner, or writable by others). */
struct countfile_lines {
	json_t *all; /* an array */
	size_t n_put;
	uint64_t until_ms;
};
int countfile_read(struct countfile *f, struct countfile_lines *out, struct err *err); /* all is new */

/* The whole: begin, put each, commit. An error of begin or put is kept, and commit returns it. */
void countfile_begin(struct countfile *f);
void countfile_put(struct countfile *f, json_t *o);         /* takes o; NULL counts as no memory */
int countfile_commit(struct countfile *f, struct err *err); /* failed: the file is as it was, and its time too */

int countfile_add(struct countfile *f, json_t *o, struct err *err); /* takes o. On disk when it returns 0; -ENOENT: nothing to add to */
void countfile_remove(struct countfile *f);                         /* better none than one that is not true */
