#pragma once
/* price - what a rollback leaves behind: what the transit server has accepted of an account since it was switched there, as shunt-proxy
 * has counted it (`since-switch` of proxy/control.h), and consent to that.
 * A price is a JSON object: {"account","known":B,"reason"?,"whole"?:B,"switched-at":T|null,"counted-since"?:T,"writes"?,"connections"?,
 * "direct":B,"hook-copy":PATH|null,"nil":B,"text":S}; whole, counted-since, writes and connections are the proxy's. "direct": the move
 * had changed DNS, so that visitors went to the transit server without passing by the proxy, which counts nothing of that. "nil": nothing
 * can have been written. What is not known is never nil.
 * Given consent adds "consent": {"by":"--yes"|"answer"|"nothing to lose","at":T}. Ownership: json_t are returned new. */
#include "lib/err.h"
#include "lib/exits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define TRAIL_PRICE "price agreed to" /* a line of the trail, with the price as its evidence */

struct account_row;
struct app;

struct price_facts {
	const char *account;
	const json_t *since_switch; /* NULL or null: not known */
	const char *why;            /* it is not known */
	int64_t switched_at, now;   /* ms since 1970 UTC; switched_at as the journal has it */
	bool direct;
	const char *hook_copy; /* NULL: none is configured */
};
json_t *price_of(const struct price_facts *f); /* pure */

/* Asks the proxy, for all of them at once: out, an object, gets the price of each by name. */
void price_ask(struct app *a, const struct account_row *accounts, size_t n, json_t *out);
/* The same from its answer to `account`; NULL: it does not answer, and why. */
json_t *price_from(struct app *a, const struct account_row *account, const json_t *answer, const char *why);
const char *price_text(const json_t *price); /* borrowed */
/* Was it agreed to because there was nothing to lose, and is there something now, by the proxy's `since-switch`? */
bool price_has_risen(const json_t *price, const json_t *since_switch);

/* Shows these prices (an object by account) and asks for consent where one is not nil: on a terminal, or by --yes. Without it EXIT_REFUSED.
 * With it each price has its "consent". */
enum exit_code price_consent(struct app *a, json_t *prices, struct err *err);
