#pragma once
/* ticket - the files of an operation in the store's directory STATE.run, named by its id: the one that its command writes its answer to,
 * and for an import the accounts. The first is there before the operation's row is, and is removed before anybody is told that it will not
 * be begun. A later serve begins what is queued only with its ticket: so what was refused stays refused, also where the database could not
 * be written at that time. Errors: 0 or -errno, text in err. */
#include "control/serve/store.h"

#include <jansson.h>
#include <linux/limits.h>

/* Makes it; accounts NULL: none. Returns the answer's file, locked (job.h), and the directory is on disk; failed: nothing of it is left. */
int ticket_make(const struct store *s, const char *id, const json_t *accounts, struct err *err);
/* Its answer's file. lock: of one that is not begun, as above; else of one that may run. -ENOENT: there is none. */
int ticket_open(const struct store *s, const char *id, bool lock, struct err *err);
void ticket_accounts(const struct store *s, const char *id, char out[PATH_MAX]); /* the accounts' path */
int ticket_remove(const struct store *s, const char *id, struct err *err);       /* none is fine */
/* Removes those that keeps() does not want: of operations that are over, or were never written down. */
void ticket_sweep(const struct store *s, bool (*keeps)(void *arg, const char *id), void *arg);
