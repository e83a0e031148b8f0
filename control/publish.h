#pragma once
/* publish - what a move does about DNS, through shunt-dnsupdate: asked before any downtime whether it would be done, and done once the
 * account is switched. Visitors wait until a move is released, so trouble with DNS never keeps them: it becomes a debt, a mark in the
 * journal that says whose records are not as they should be, and why in the trail. Whoever publishes for that account again settles it
 * (dnsdebt.h, or its next move).
 * migrate pushes to the transit server, rollback undoes, relocate pushes to the client server; said again, each finds what is done already.
 * Units: seconds, ms. Ownership: as move.h. */
#include "control/move.h"

#define MARK_DNS   "dns " /* and the account: its records are owed */
#define OWED_MAX   800    /* of a text that says why */
#define TRAIL_DNS  "DNS " /* so begin the lines of the trail that say what became of it */
#define TRAIL_OWED TRAIL_DNS "is owed"

bool publish_concerns(const struct move *m); /* else: --no-dns, or no control.dns */

/* Before any downtime, sets m->dns_plan. -EPERM: the move would be refused by DNS; text in err. What another hand changed does not keep a
 * rollback from going home: that is owed then. -EINTR by the mover's cancel_fd. */
int publish_plan(struct move *m, struct err *err);
void publish_plan_text(const struct move *m, char *out, size_t cap); /* of m->dns_plan, in one line */

/* Of the step `published`: 0, also when it is owed: then m->owed says why, or m->unwritten that not even that could be written. */
int publish_move(struct move *m, struct err *err);

/* Whose records are to become what; db and dns are borrowed. */
struct publication {
	struct journal *db;
	struct dnslink *dns;
	int wait_s;
	const char *account;
	int64_t move;      /* for the trail; 0: none */
	const json_t *who; /* publish_account() */
	enum dns_verb verb;
	enum side to;
};
int publish_account(struct journal *db, const char *name, json_t **out, struct err *err); /* new, for dnslink; -ENOENT */
/* Pushes or undoes, then one transaction: the debt is cleared or set, and the trail says what became of it. 0; 1: it is owed, and why is in
 * err, with the code of dnslink.h; -errno: it could not be written. *evidence is new. */
int publish(const struct publication *p, json_t **evidence, struct err *err);

/* ---- for homeward.h ---- */
int publish_ask(struct move *m, enum side to, json_t **evidence, char *why, size_t cap); /* -errno of dnslink.h */
int publish_again(struct move *m, enum dns_verb verb, enum side to, json_t **evidence,
		  struct err *err);               /* what fails is owed: 0, and m->owed says why */
json_int_t publish_changes(const json_t *answer); /* record sets, of an answer or of evidence */

/* What an answer says, without its record sets: shunt-dnsupdate's own journal has these. New. did: "published", "undone", .. */
json_t *publish_evidence(const json_t *answer, const char *did);
/* ---- of the evidence; borrowed from it ---- */
/* "published (3 record sets, 2 zones, seen by all servers in 0.4 s)", "published (..), but ns2.. lags", "none (external)". */
void publish_text(const json_t *evidence, char *out, size_t cap);
json_int_t publish_ttl(const json_t *evidence);    /* seconds for which resolvers may hold what was there before; 0: nothing changed */
const json_t *publish_drift(const json_t *answer); /* the first of an answer's zones; NULL: none */
