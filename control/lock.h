#pragma once
/* lock - who is at an account: byte-range locks on STATE.lock, one byte per account (its row's id), byte 0 for making the database,
 * far ones for what concerns all accounts.
 * They are locks of an open file description (F_OFD_SETLK): the kernel lets go when the process dies, however it dies, so a lock that
 * is held means somebody lives. Open a struct locks in the process that shall hold them: a forked child would share them. */
#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LOCK_CREATE 0
#define LOCK_SET    ((int64_t)1 << 60)       /* who changes the set of accounts, here and in the proxy */
#define LOCK_NET    (((int64_t)1 << 60) + 1) /* who begins, takes over, returns or finishes */
#define LOCK_MOVED  (((int64_t)1 << 60) + 2) /* who tells shunt-netctl which addresses have moved */

struct locks;
int locks_open(struct locks **out, const char *state, struct err *err); /* makes STATE.lock, mode 0600 */
void locks_close(struct locks *l);                                      /* lets go of all */
int locks_take(struct locks *l, int64_t id, struct err *err);           /* -EWOULDBLOCK: held by another */
int locks_wait(struct locks *l, int64_t id, struct err *err);
void locks_drop(struct locks *l, int64_t id);
bool locks_held(struct locks *l, int64_t id); /* by another; takes nothing */
