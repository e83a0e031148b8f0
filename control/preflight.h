#pragma once
/* preflight - what `shunt check` looks at besides the DNS verdicts of check.h, per account: ports and protocols that its visitors come by;
 * certificates, pages, redirects and ACME challenges as both sides answer them; names that share a certificate with other accounts;
 * addresses, HTTPS and CAA records; and whether the transit server sees visitors' addresses. All of it becomes findings (finding.h).
 * Who asks: shunt-proxy, since its way is the visitors', and shunt-dnsupdate. Nothing is changed anywhere.
 * A site that has not answered is asked a second time before anything is said of it.
 * The side that the account is on is compared with the one that its next move goes to; where that move is a rollback only the side that it
 * is on is looked at, for the other is an old copy.
 * Threads: preflight_accounts() any, with links to itself; the rest one. Ownership: answers are the caller's. */
#include "control/app.h"
#include "control/dnslink.h"

#define PREFLIGHT_DOMAINS 100 /* of an account that are asked for; more are counted */

struct preflight;
int preflight_new(struct preflight **out, struct app *a, struct err *err); /* borrows a */
void preflight_free(struct preflight *p);                                  /* NULL is fine */

struct preflight_case {
	const struct acctdef *def; /* with the side that it is on */
	enum side to;              /* where its next move goes */
	bool rollback;             /* that move is one */
	const json_t *domains;     /* as classify tells; NULL: DNS is not configured */
	const char *refused;       /* why DNS refuses the move; NULL: it does not */
	json_t *findings;          /* added to */
	json_t *https; /* set: what its own side answered over HTTPS, for preflight_judge_names(); new, NULL where nothing did */
};
/* Asks for all of them together, a kind of question at a time, so that over a long line n accounts take little longer than one. dns may be
 * NULL. Memory: the answers of n. */
void preflight_accounts(struct preflight *p, struct proxylink *proxy, struct dnslink *dns, struct preflight_case *cases, size_t n);
/* In one thread, when the account has its turn. */
void preflight_judge_names(struct preflight *p, const struct acctdef *def, const json_t *https, json_t *findings);
