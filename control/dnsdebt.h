#pragma once
/* dnsdebt - DNS of accounts beyond one move: records that are owed (publish.h), and what shunt-dnsupdate still has a hand in. */
#include "control/app.h"

/* Tries again, for name or (NULL) for all who are owed: by the side the account is on and its last move. Whoever is being moved is left to
 * that move. in_passing: on the way to something else, so no new try is begun after a few seconds, and what is still owed is only told.
 * EXIT_STUCK: something is still owed; text in err. */
enum exit_code dnsdebt_settle(struct app *a, const char *name, bool in_passing, struct err *err);
/* Is DNS as it was, of every account? -EPERM: no, or it cannot be told; err names the accounts and what to do. */
int dnsdebt_may_finish(struct app *a, struct err *err);
/* Is it published, of every account on the transit server, and seen by every name server? -EPERM likewise. */
int dnsdebt_may_reinstall(struct app *a, struct err *err);

/* Lines of `shunt status`, and a member "dns" of the output, or of o. A daemon that is away is said to be. */
void dnsdebt_status(struct app *a);
void dnsdebt_status_of(struct app *a, const char *account, json_t *o);

/* Whose DNS has a name of an account that is on the transit server, by what the move that published it found: "managed": its record was
 * changed, "external": it is not ours to change; else "unknown", as with --no-dns, where it is owed, and in a mixed zone. */
const char *dnsdebt_whose(struct app *a, const char *account, const char *name);
