#pragma once
/* moved - the addresses of the client server whose accounts are all on the transit server. shunt-netctl of the client server is told of
 * them, so that the kernel forwards them while the proxy is away, rather than let the old copies answer (promise 4).
 * An account with addresses of its own has to do with these; one without with each pair's address that is nobody's own. One that is on its
 * way home counts as home already. An address that no account has to do with has not moved.
 * What netctl was told last is kept as marks, and before it is told that this is in doubt: so the next command tells it again.
 * Errors: of the journal, or as netctllink_ask(). */
#include "control/app.h"

#define MARK_INTERCEPT "intercept" /* the interception is in force: we had netctl do it */
#define MARK_REPLY     "reply"

int moved_addresses(struct app *a, json_t **out, struct err *err); /* new: texts, in the order of the pairs */
/* The interception at the client server, with these addresses, put in force and recorded; in force already is fine. code: netctl's. */
int moved_intercept(struct app *a, enum ctl_code *code, struct err *err);
/* Where they are not those that netctl was told last, and the interception is in force. What fails is said, and left to the next command.
 */
void moved_tell(struct app *a);
int moved_forget(struct app *a, struct err *err); /* all marks of the interception: it is gone */
