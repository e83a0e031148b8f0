#pragma once
/* stragglers - the names whose visitors still come to the client server although their account has moved, as the proxy has counted them
 * (`stragglers` of proxy/control.h), with what somebody must change so that they do not: `shunt check --stragglers`.
 * A row is a JSON object: the proxy's, but one for all kinds of traffic of a name: "kinds" has them, count and share are their sums. Added
 * are "dns" ("external": the records are at the domain's own DNS provider; "managed": on the provider's DNS, shunt changes them; "unknown")
 * and "records": [{"name"?,"type","from","to"|null,"seen","remove"}], what is to be changed, by the pairs of the configuration: first where
 * it was seen to arrive, then the other family, which the name may have. No "name": the traffic brought none. "to" null: no pair has that
 * address, or, with "remove" true, it has no partner. Ownership: json_t are returned new. */
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/exits.h"

#include <jansson.h>

struct app;

/* Of these accounts; of all when n is 0. */
enum exit_code stragglers_show(struct app *a, char **words, int n, struct err *err);
/* The three heaviest of one account, for its status: a line, and "stragglers" in o. Says nothing where there are none, or the proxy cannot
 * tell. */
void stragglers_brief(struct app *a, const char *account, json_t *o);
/* Of all accounts, in one line: how many names, and the heaviest. */
void stragglers_total(struct app *a, char *out, size_t cap);

/* Pure. names: of the proxy's answer, the heaviest first, and so is what comes back. */
json_t *stragglers_rows(const json_t *names);
json_t *stragglers_records(const struct conf *c, const json_t *row);
