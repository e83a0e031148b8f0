#pragma once
/* probe - does a side really answer for an account? The proxy asks its back ends (`probe` of proxy/control.h), since its way is the
 * visitors'. Before a move the old side is asked too, so that what did not answer there either does not keep an account from moving.
 * Ownership: answers are new. Texts in err. Threads: probe_all() makes its own and ends them. */
#include "control/proxylink.h"

#include <jansson.h>

struct app;

int probe_ask(struct proxylink *l, const char *account, enum side side, json_t **answer, struct err *err); /* as proxylink_ask() */

/* Pure: how many of an answer's probes are not ok, without those that were not ok before (an answer of the other side; NULL: none known).
 * out says which, as many as fit: "https (tls, alice.example at 198.51.100.10:443): connection refused; .."; *excused counts the others. */
size_t probe_failures(const json_t *answer, const json_t *before, size_t *excused, char *out, size_t cap);

/* Of all accounts, several at a time, with progress; *out: {"accounts":N,"probes":N,"unasked":N,"failed":[{"account","why"}..]}; unasked:
 * so many have nothing that a listener carries, and answer by default. -EINTR by a->sigfd; -ECONNREFUSED and others: the proxy cannot be
 * asked. */
int probe_all(struct app *a, enum side side, json_t **out, struct err *err);
