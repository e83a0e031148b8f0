#pragma once
/* sync - the proxy's table and the state database, made to agree; and moves whose owner died, brought to an end.
 * Which side an account is on is what the proxy does, so the database follows it; which accounts there are is what the database says.
 * A proxy without a table (new, or damaged on disk) gets all of it from the database, sides and gates included.
 * Neither is followed where that would guess an owner: a proxy that knows accounts on the transit server which the database lacks
 * is refused with what to do. */
#include "control/app.h"

int sync_fresh(struct proxylink *l, void *app, struct err *err); /* for proxylink.fresh */
int sync_accounts(struct app *a, bool importing, struct err *err);
/* Moves without a living owner; stuck ones only with stuck. name NULL: all. Says what became of each; the worst exit. */
enum exit_code sync_resume(struct app *a, const char *name, bool stuck, struct err *err);
int sync_lock_set(struct app *a, bool *taken, struct err *err);
void sync_unlock_set(struct app *a, bool taken);
