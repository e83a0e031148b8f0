#pragma once
/* call - what a request asks for, as the command line that does it. Every value is checked against the route's fields; what is not one of
 * them is refused by name. No shell sees any of it: a value is one argument, "--option=VALUE" or behind "--".
 * Errors: -EINVAL the request is wrong (400), -EACCES a field that is not for owners (403), -ENOMEM; text in err. */
#include "control/serve/route.h"
#include "lib/err.h"

#include <jansson.h>

#define CALL_TEXT_MAX  512
#define CALL_LIST_MAX  10000
#define CALL_FILE_WORD "@accounts" /* stands for the file until there is one */

struct call {
	char **argv; /* what follows the command's own words; NULL at the end; owned */
	size_t n, cap;
	json_t *accounts; /* of an import; owned; NULL: none */
	bool yes, force, all, dry_run;
};
/* fields: an object, borrowed. arg: what stood for {account}. -EINVAL.. as above; call_done() in any case. */
int call_build(struct call *c, const struct route *r, const char *arg, const json_t *fields, bool owner, struct err *err);
void call_done(struct call *c);
bool call_wants_consent(const struct call *c, const struct route *r); /* and has not got it */

/* The fields of a query string (NULL: none) as the object that a body would be. Returns new; NULL: text in err. */
json_t *call_query(const struct route *r, const char *query, struct err *err);
