#pragma once
/* dnslink - the control messages of shunt-dnsupdate (dnsupdate/serve.h) as functions.
 * Each question (those of dns_many() together) is a connection of its own, and none that changes something is asked twice by itself. push
 * and undo may be said again: what is done already is found to be. Errors: 0 is its "exit":0. -EPROTO: it answered, with what it refuses or
 * could not do; *answer is set where it says more (zones, drift), and *code has the exit code. -EHOSTUNREACH: it was not asked, for it
 * cannot be reached. -ENOTCONN: it may have been asked, and its answer is lost or did not come in time. -EINTR by cancel_fd. Texts in err.
 * Units: seconds, ms. Ownership: the link owns its wire (wire.h); answers are new; accounts are borrowed. Threads: one at a time. */
#include "control/wire.h"
#include "lib/acctdef.h"

#include <stdbool.h>

#define DNS_TIMEOUT_MS 60000 /* reading all zones of an account, while nobody waits */
#define DNS_LOOK_MS    5000  /* a status */
#define DNS_GRACE_S    5     /* beyond the `wait` of a push or undo */

struct dnslink {
	const struct wire_ops *ops;
	void *self;
	char *address; /* for messages */
	int cancel_fd; /* -1: none; dns_plan() ends by it */
};

int dnslink_open(struct dnslink **out, const char *address, const struct conf_tls *tls, struct err *err);
int dnslink_with(struct dnslink **out, const char *address, const struct wire_ops *ops, void *self);
void dnslink_close(struct dnslink *l);
bool dnslink_is_away(int rc);

/* What the daemon is told of an account: name, domains, others (an array, borrowed; NULL: none). Returns new; NULL: no memory. */
json_t *dns_account(const struct acctdef *d, const json_t *others);

enum dns_verb { DNS_PUSH, DNS_UNDO };
/* What the verb would do; nothing changes. to is of DNS_PUSH. *code may be NULL. */
int dns_plan(struct dnslink *l, json_t *account, enum dns_verb verb, enum side to, json_t **answer, enum ctl_code *code, struct err *err);
int dns_push(struct dnslink *l, json_t *account, enum side to, int wait_s, json_t **answer, enum ctl_code *code, struct err *err);
int dns_undo(struct dnslink *l, json_t *account, int wait_s, json_t **answer, enum ctl_code *code, struct err *err);
/* n questions of one kind that only look: "classify", "plan" or "records"; fields[i] are taken, the array is not. Their answers in order:
 * each(arg, i, rc, answer, err), where answer is borrowed and rc as above. Over a long line they take the time of a few. When the daemon
 * goes away, all that are left get that as their answer. each must not ask over this link. */
void dns_many(struct dnslink *l, const char *cmd, json_t **fields, size_t n, ctl_each *each, void *arg);
json_t *dns_classify_fields(json_t *account);
json_t *dns_plan_fields(json_t *account, enum dns_verb verb, enum side to);
json_t *dns_records_fields(char *const *domains, size_t n); /* A, AAAA, HTTPS and CAA, as visitors find them (records of serve.h) */
int dns_status(struct dnslink *l, const char *account, json_t **answer, struct err *err); /* NULL: of all */
