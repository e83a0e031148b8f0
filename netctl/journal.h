#pragma once
/* journal - the plans in force, on disk: one file PLAN.json each (lib/jsonfile.h: replaced whole, so that what is read is the old plan
 * or the new one, with a sum that tells what is not as it was written). The directory belongs to root alone; every program that changes
 * anything holds its lock. Errors: -EWOULDBLOCK: another shunt-netctl is at it; -EBADMSG: a file is damaged, of another version, or of
 * another plan - it is never guessed at, and the text says what to do; -ELOOP, -EPERM, -EINVAL, -EFBIG: it is none that we wrote.
 * Ownership: journal_close() drops the lock. Threads: the caller's. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>

struct journal;

int journal_open(struct journal **out, const char *dir, struct err *err); /* makes the directory (0700) where there is none */
void journal_close(struct journal *j);
const char *journal_dir(const struct journal *j);

/* wait_ms: how long to wait for another process to be done; -1: as long as it takes. */
int journal_lock(struct journal *j, int wait_ms, struct err *err);
void journal_unlock(struct journal *j);

int journal_read(struct journal *j, const char *plan, json_t **out, struct err *err); /* returns new; -ENOENT: no such plan in force */
int journal_write(struct journal *j, json_t *plan, struct err *err);                  /* by its member "plan"; on disk when it returns */
int journal_remove(struct journal *j, const char *plan, struct err *err);
/* returns new: an array, in the order in which the plans began. One that cannot be read is the error, and the others are there all the
 * same: that one is damaged must not keep others from being undone. NULL where the directory cannot be read. */
int journal_all(struct journal *j, json_t **out, struct err *err);
